/**
 * Text forms of intervals: PostgreSQL's (`1 year 2 mons 3 days 04:05:06`), short units (`-4h`, `1h30m`),
 * SQL standard (`1-2 3 04:05:06`) and ISO 8601 (`P1Y2M3DT4H5M6S`) are read; any style can be printed.
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

import { Interval, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND } from './interval.ts';

export type IntervalStyle = 'postgres' | 'iso_8601' | 'sql_standard';

type Unit = { readonly field: 'months' | 'days' | 'micros'; readonly scale: number };

const months = (scale: number): Unit => ({ field: 'months', scale });
const days = (scale: number): Unit => ({ field: 'days', scale });
const micros = (scale: number): Unit => ({ field: 'micros', scale });

const UNITS: ReadonlyMap<string, Unit> = new Map(
  [
    ['y yr yrs year years', months(12)],
    ['mon mons month months', months(1)],
    ['dec decs decade decades', months(120)],
    ['c cent century centuries', months(1200)],
    ['mil mils millennium millennia', months(12000)],
    ['w week weeks', days(7)],
    ['d day days', days(1)],
    ['h hr hrs hour hours', micros(MICROS_PER_HOUR)],
    ['m min mins minute minutes', micros(MICROS_PER_MINUTE)],
    ['s sec secs second seconds', micros(MICROS_PER_SECOND)],
    ['ms msec msecs msecond mseconds millisecond milliseconds', micros(1000)],
    ['us usec usecs usecond useconds microsecond microseconds µs', micros(1)],
  ].flatMap(([names, unit]) => (names as string).split(' ').map((name) => [name, unit as Unit] as const)),
);

function fail(text: string, reason: string): never {
  throw new StatementError(SqlState.InvalidDatetimeFormat, `could not parse "${text}" as type interval: ${reason}`);
}

// Adds amount * unit with the fraction spilling down, exactly for the decimal digits as written.
class Sum {
  months = 0;
  days = 0;
  micros = 0n;

  add(amountText: string, unit: Unit): void {
    const [whole = '0', fraction = ''] = amountText.replace(/^[+-]/, '').split('.');
    const sign = amountText.startsWith('-') ? -1 : 1;
    const scaled = Number(whole === '' ? '0' : whole) * unit.scale;
    const rest = fraction === '' ? 0 : Number(`0.${fraction}`) * unit.scale;
    if (unit.field === 'micros') {
      this.micros += BigInt(sign) * (BigInt(whole === '' ? '0' : whole) * BigInt(unit.scale) + BigInt(Math.round(rest)));
    } else if (unit.field === 'days') {
      const wholeDays = Math.floor(rest);
      this.days += sign * (scaled + wholeDays);
      this.micros += BigInt(sign) * BigInt(Math.round((rest - wholeDays) * MICROS_PER_DAY));
    } else {
      const wholeMonths = Math.floor(rest);
      this.months += sign * (scaled + wholeMonths);
      const restDays = (rest - wholeMonths) * 30;
      const wholeDays = Math.floor(restDays + 1e-9);
      this.days += sign * wholeDays;
      this.micros += BigInt(sign) * BigInt(Math.round(Math.max(0, restDays - wholeDays) * MICROS_PER_DAY));
    }
  }

  addClock(sign: string, hours: string, minutes: string, seconds: string): void {
    const factor = sign === '-' ? '-' : '';
    this.add(factor + hours, micros(MICROS_PER_HOUR));
    this.add(factor + minutes, micros(MICROS_PER_MINUTE));
    this.add(factor + seconds, micros(MICROS_PER_SECOND));
  }

  result(text: string): Interval {
    const limit = 2n ** 63n;
    if (Math.abs(this.months) > 2 ** 31 || Math.abs(this.days) > 2 ** 31 || this.micros >= limit || this.micros < -limit) {
      throw new StatementError(SqlState.DatetimeFieldOverflow, `interval out of range: "${text}"`);
    }
    // No negative zeros: they print and compare oddly.
    return new Interval(this.months + 0 || 0, this.days + 0 || 0, this.micros);
  }
}

const AMOUNT_UNIT = /^([+-]?(?:\d+\.?\d*|\.\d+))\s*([a-zµ]+)/i;
const CLOCK = /^([+-]?)(\d+):(\d{1,2})(?::(\d{1,2}(?:\.\d*)?))?/;
const YEAR_MONTH = /^([+-]?)(\d+)-(\d+)/;
const BARE = /^([+-]?(?:\d+\.?\d*|\.\d+))/;
const ISO = /^([+-]?)P(?!$)((?:[+-]?[\d.,]+[YMWD])*)(?:T(?!$)((?:[+-]?[\d.,]+[HMS])*))?$/i;

/** Reads any accepted form. 22007 when it is none, 22008 when too large. */
export function parseInterval(text: string): Interval {
  const trimmed = text.trim();
  if (trimmed === '') fail(text, 'interval: empty input');
  const iso = ISO.exec(trimmed);
  if (iso) return parseIso(text, iso);
  const sum = new Sum();
  let rest = trimmed.replace(/^@\s*/, '');
  let isAgo = false;
  if (/\sago$/i.test(rest)) {
    isAgo = true;
    rest = rest.slice(0, -4).trimEnd();
  }
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    const match = pattern.exec(rest) ?? undefined;
    if (match) rest = rest.slice(match[0].length);
    return match;
  };
  while (rest !== '') {
    const clock = take(CLOCK);
    const yearMonth = clock ? undefined : take(YEAR_MONTH);
    const amount = clock || yearMonth ? undefined : (take(AMOUNT_UNIT) ?? take(BARE));
    if (clock) {
      sum.addClock(clock[1] ?? '', clock[2] ?? '0', clock[3] ?? '0', clock[4] ?? '0');
    } else if (yearMonth) {
      const sign = yearMonth[1] === '-' ? '-' : '';
      sum.add(sign + yearMonth[2], months(12));
      sum.add(sign + yearMonth[3], months(1));
    } else if (!amount) {
      fail(text, `interval: invalid input "${rest}"`);
    } else if (amount[2] !== undefined) {
      const unit = UNITS.get(amount[2].toLowerCase());
      if (!unit) fail(text, `interval: unknown unit "${amount[2]}" in duration "${trimmed}"`);
      sum.add(amount[1] ?? '0', unit);
    } else if (/^\s+[+-]?\d+:/.test(rest)) {
      // A bare number is days before a clock time, else seconds, which must come last.
      sum.add(amount[1] ?? '0', days(1));
    } else {
      if (rest.trim() !== '') fail(text, `interval: missing unit at position ${trimmed.length - rest.length}: "${rest.trim()}"`);
      sum.add(amount[1] ?? '0', micros(MICROS_PER_SECOND));
    }
    rest = rest.replace(/^[\s,]+/, '');
  }
  const interval = sum.result(text);
  return isAgo ? interval.negated() : interval;
}

function parseIso(text: string, match: RegExpExecArray): Interval {
  const sum = new Sum();
  const sign = match[1] === '-' ? -1 : 1;
  const addAll = (part: string | undefined, units: Readonly<Record<string, Unit>>) => {
    for (const [, amount = '', letter = ''] of (part ?? '').matchAll(/([+-]?[\d.,]+)([A-Z])/gi)) {
      const number = amount.replace(',', '.');
      const unit = units[letter.toUpperCase()];
      if (!unit || !/^[+-]?(\d+\.?\d*|\.\d+)$/.test(number)) fail(text, 'interval: invalid ISO 8601 duration');
      sum.add(sign < 0 ? (number.startsWith('-') ? number.slice(1) : `-${number.replace('+', '')}`) : number, unit);
    }
  };
  addAll(match[2], { Y: months(12), M: months(1), W: days(7), D: days(1) });
  addAll(match[3], { H: micros(MICROS_PER_HOUR), M: micros(MICROS_PER_MINUTE), S: micros(MICROS_PER_SECOND) });
  return sum.result(text);
}

interface Fields {
  readonly years: number;
  readonly months: number;
  readonly days: number;
  readonly isClockNegative: boolean;
  readonly hours: bigint;
  readonly minutes: bigint;
  readonly seconds: string;
}

function fieldsOf(interval: Interval): Fields {
  const total = BigInt(interval.micros);
  const clock = total < 0n ? -total : total;
  const fraction = clock % 1_000_000n;
  const wholeSeconds = String((clock / 1_000_000n) % 60n);
  return {
    years: Math.trunc(interval.months / 12),
    months: interval.months % 12,
    days: interval.days,
    isClockNegative: total < 0n,
    hours: clock / 3_600_000_000n,
    minutes: (clock / 60_000_000n) % 60n,
    seconds: fraction === 0n ? wholeSeconds : `${wholeSeconds}.${String(fraction).padStart(6, '0').replace(/0+$/, '')}`,
  };
}

/** `1 year 2 mons -3 days 04:05:06.789`; `00:00:00` for zero. */
export function formatInterval(interval: Interval, style: IntervalStyle = 'postgres'): string {
  const fields = fieldsOf(interval);
  if (style === 'iso_8601') return formatIso(fields);
  if (style === 'sql_standard') return formatStandard(fields);
  const parts: string[] = [];
  let isAfterNegative = false;
  const add = (value: number, name: string) => {
    if (value === 0) return;
    const plural = value === 1 ? '' : 's';
    parts.push(`${isAfterNegative && value > 0 ? '+' : ''}${value} ${name}${plural}`);
    isAfterNegative = value < 0;
  };
  add(fields.years, 'year');
  add(fields.months, 'mon');
  add(fields.days, 'day');
  if (interval.micros !== 0 || parts.length === 0) {
    const sign = fields.isClockNegative ? '-' : isAfterNegative ? '+' : '';
    parts.push(sign + clockText(fields));
  }
  return parts.join(' ');
}

function clockText(fields: Fields): string {
  const seconds = fields.seconds.indexOf('.') === 1 || fields.seconds.length === 1 ? `0${fields.seconds}` : fields.seconds;
  return `${String(fields.hours).padStart(2, '0')}:${String(fields.minutes).padStart(2, '0')}:${seconds}`;
}

function formatIso(fields: Fields): string {
  const clockSign = fields.isClockNegative ? '-' : '';
  const part = (value: number | bigint | string, letter: string, sign = '') => (String(value) === '0' ? '' : `${sign}${value}${letter}`);
  const date = part(fields.years, 'Y') + part(fields.months, 'M') + part(fields.days, 'D');
  const clock = part(fields.hours, 'H', clockSign) + part(fields.minutes, 'M', clockSign) + part(fields.seconds, 'S', clockSign);
  if (date === '' && clock === '') return 'PT0S';
  return `P${date}${clock === '' ? '' : `T${clock}`}`;
}

function formatStandard(fields: Fields): string {
  const parts: string[] = [];
  const signed = (isNegative: boolean, text: string) => (isNegative ? `-${text}` : text);
  const hasClock = fields.hours !== 0n || fields.minutes !== 0n || fields.seconds !== '0';
  if (fields.years !== 0 || fields.months !== 0) {
    parts.push(signed(fields.years < 0 || fields.months < 0, `${Math.abs(fields.years)}-${Math.abs(fields.months)}`));
  }
  if (fields.days !== 0) parts.push(String(fields.days));
  if (hasClock) parts.push(signed(fields.isClockNegative, clockText(fields).replace(/^0(?=\d:)/, '')));
  else if (fields.days !== 0) parts.push('0:00:00');
  return parts.length === 0 ? '0' : parts.join(' ');
}
