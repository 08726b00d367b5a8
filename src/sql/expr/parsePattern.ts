/**
 * to_timestamp and to_date with a pattern: the reverse of toChar.ts.
 *
 * Blanks and punctuation of the pattern match any blanks and punctuation, or none. Fields read as many digits as they have
 * places (YYYY, and any field that no digits follow, as many as there are); what is not said is the start of year 1. A time
 * zone is read from TZH and TZM; without them the caller's counts. Source: PostgreSQL's manual.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { civilFromDays, daysFromCivil, daysInMonth, joinMicros } from '../../catalog/datetime.ts';
import { MICROS_PER_SECOND } from '../../catalog/interval.ts';
import type { Int } from './intArithmetic.ts';

export interface ParsedMoment {
  readonly local: Int;
  readonly days: number;
  /** Seconds east of UTC, when the text says. */
  readonly offsetSeconds: number | undefined;
}

const FIELDS =
  /"[^"]*"|FM|FX|HH24|HH12|HH|MI|SSSSS|SSSS|SS|MS|US|FF[1-6]|A\.M\.|P\.M\.|AM|PM|Y,YYY|YYYY|YYY|YY|Y|IYYY|Month|Mon|MM|Day|DDD|DD|Dy|D|ID|IW|WW|W|CC|J|Q|TZH|TZM|BC|AD|B\.C\.|A\.D\.|RM|TH|[\s\S]/gi;
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const MONTH_NAMES = [
  'january',
  'february',
  'march',
  'april',
  'may',
  'june',
  'july',
  'august',
  'september',
  'october',
  'november',
  'december',
];
const ROMAN_MONTHS = ['i', 'ii', 'iii', 'iv', 'v', 'vi', 'vii', 'viii', 'ix', 'x', 'xi', 'xii'];
/** Digits a field has; those with a sign of their own and years of any length apart. */
const WIDTHS: Readonly<Record<string, number>> = {
  HH24: 2, HH12: 2, HH: 2, MI: 2, SSSSS: 5, SSSS: 5, SS: 2, MS: 3, US: 6, YYYY: 4, YYY: 3, YY: 2, Y: 1, IYYY: 4, MM: 2, DDD: 3, DD: 2, D: 1, ID: 1, IW: 2, WW: 2,
  W: 1, CC: 2, J: 7, Q: 1, TZM: 2, TZH: 2,
}; // biome-ignore format: a table

const invalid = (text: string, field: string): StatementError =>
  new StatementError(SqlState.InvalidDatetimeFormat, `invalid value "${text}" for "${field}"`, { detail: 'Value must be an integer.' });

class Reader {
  readonly source: string;
  readonly values = new Map<string, number>();
  at = 0;
  isAfternoon: boolean | undefined;
  isBeforeChrist = false;
  zoneSign = 1;

  constructor(source: string) {
    this.source = source;
  }

  skip(test: RegExp): void {
    while (this.at < this.source.length && test.test(this.source[this.at] as string)) this.at++;
  }

  /** Digits, at most `width` of them unless all that follow belong to it. */
  number(field: string, width: number): number {
    this.skip(/\s/);
    const [digits = ''] =
      /^[+-]?\d+/.exec(this.source.slice(this.at, this.at + width + (/^[+-]/.test(this.source.slice(this.at)) ? 1 : 0))) ?? [];
    if (digits === '') throw invalid(this.source.slice(this.at, this.at + width), field);
    this.at += digits.length;
    return Number(digits);
  }

  /** One of some words, whatever their case: its place. */
  word(field: string, words: readonly string[]): number {
    this.skip(/\s/);
    const rest = this.source.slice(this.at).toLowerCase();
    let best = -1;
    words.forEach((word, i) => {
      if (rest.startsWith(word) && word.length > (words[best]?.length ?? 0)) best = i;
    });
    if (best < 0) {
      throw new StatementError(
        SqlState.InvalidDatetimeFormat,
        `invalid value "${this.source.slice(this.at, this.at + 9)}" for "${field}"`,
        {
          detail: 'The given value did not match any of the allowed values for this field.',
        },
      );
    }
    this.at += (words[best] as string).length;
    return best;
  }
}

/** What follows a field decides whether it stops at its width. */
function widthOf(field: string, next: string | undefined): number {
  const width = WIDTHS[field] ?? 2;
  const isOpen = next === undefined || !(next.toUpperCase() in WIDTHS);
  if (/^(YYYY|IYYY|J)$/.test(field)) return isOpen ? 8 : width;
  return width;
}

function readField(reader: Reader, written: string, next: string | undefined): void {
  const field = written.toUpperCase();
  const { values } = reader;
  switch (field) {
    case 'MONTH':
      values.set('MM', reader.word(written, MONTH_NAMES) + 1);
      return;
    case 'MON':
      values.set('MM', reader.word(written, MONTHS) + 1);
      return;
    case 'RM':
      values.set('MM', reader.word(written, ROMAN_MONTHS) + 1);
      return;
    case 'DAY':
    case 'DY':
      reader.skip(/[a-z]/i);
      return;
    case 'AM':
    case 'PM':
    case 'A.M.':
    case 'P.M.':
      reader.isAfternoon = reader.word(written, ['a.m.', 'am', 'p.m.', 'pm']) >= 2;
      return;
    case 'BC':
    case 'AD':
    case 'B.C.':
    case 'A.D.':
      reader.isBeforeChrist = reader.word(written, ['a.d.', 'ad', 'b.c.', 'bc']) >= 2;
      return;
    case 'TH':
      reader.word(written, ['st', 'nd', 'rd', 'th']);
      return;
    case 'FM':
    case 'FX':
      return;
    case 'TZH': {
      reader.zoneSign = reader.source[reader.at] === '-' ? -1 : 1;
      values.set('TZH', Math.abs(reader.number(written, 2)));
      return;
    }
    case 'Y,YYY': {
      const thousands = reader.number(written, 3);
      reader.skip(/,/);
      values.set('YYYY', thousands * 1000 + reader.number(written, 3));
      return;
    }
    case 'MS':
    case 'US':
      values.set('US', fractionDigits(reader, written, field === 'MS' ? 3 : 6));
      return;
    default:
      if (/^FF[1-6]$/.test(field)) values.set('US', fractionDigits(reader, written, Number(field[2])));
      else values.set(field, reader.number(written, widthOf(field, next)));
  }
}

/** Microseconds: `.5` by MS is half a second. */
function fractionDigits(reader: Reader, field: string, width: number): number {
  const [digits = ''] = /^\d+/.exec(reader.source.slice(reader.at, reader.at + width)) ?? [];
  if (digits === '') throw invalid(reader.source.slice(reader.at, reader.at + width), field);
  reader.at += digits.length;
  return Number(digits.padEnd(6, '0'));
}

/** 22007 for a text that the pattern does not fit, 22008 for fields out of range. */
export function parseByPattern(source: string, pattern: string): ParsedMoment {
  const reader = new Reader(source);
  reader.skip(/\s/);
  const parts = pattern.match(FIELDS) ?? [];
  parts.forEach((part, i) => {
    if (part.startsWith('"') && part.length > 1) reader.at += part.length - 2;
    else if (part.length > 1 || part.toUpperCase() in WIDTHS) readField(reader, part, parts[i + 1]);
    else if (/[^a-z0-9]/i.test(part))
      reader.skip(/[\s.,:;/_'-]/.test(part) && /^(TZH)$/i.test(parts[i + 1] ?? '') ? /\s/ : /[^\p{L}\p{N}+]/u);
    else if (reader.at < source.length) reader.at++;
  });
  return assemble(reader, source);
}

function yearOf({ values, isBeforeChrist }: Reader): number {
  const century = values.get('CC');
  const short = values.get('YY') ?? values.get('Y');
  // Two digits are the year nearest to 2020.
  const near = (year: number, span: number): number => (year < 70 ? 2000 + year : year < span ? 1900 + year : year);
  const year =
    values.get('YYYY') ??
    values.get('IYYY') ??
    (values.has('YYY') ? near(values.get('YYY') as number, 100) + ((values.get('YYY') as number) >= 100 ? 1000 : 0) : undefined) ??
    (short === undefined ? undefined : century === undefined ? near(short, 100) : (century - 1) * 100 + short) ??
    (century === undefined ? 1 : (century - 1) * 100 + 1);
  return isBeforeChrist ? 1 - year : year;
}

function assemble(reader: Reader, source: string): ParsedMoment {
  const { values } = reader;
  const get = (field: string): number => values.get(field) ?? 0;
  const outOfRange = (): StatementError =>
    new StatementError(SqlState.DatetimeFieldOverflow, `date/time field value out of range: "${source}"`);
  const year = yearOf(reader);
  let days: number;
  if (values.has('J')) days = get('J') - 2440588;
  else if (values.has('DDD')) {
    days = daysFromCivil(year, 1, 1) + get('DDD') - 1;
    if (get('DDD') < 1 || civilFromDays(days).year !== year) throw outOfRange();
  } else if (values.has('IW')) {
    const fourth = daysFromCivil(year, 1, 4);
    const monday = fourth - ((((fourth + 3) % 7) + 7) % 7);
    days = monday + (get('IW') - 1) * 7 + (values.get('ID') ?? 1) - 1;
  } else if (values.has('WW')) days = daysFromCivil(year, 1, 1) + (get('WW') - 1) * 7;
  else {
    const month = values.get('MM') ?? 1;
    const day = values.get('DD') ?? (values.has('W') ? (get('W') - 1) * 7 + 1 : 1);
    if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) throw outOfRange();
    days = daysFromCivil(year, month, day);
  }
  let seconds = values.get('SSSS') ?? values.get('SSSSS');
  if (seconds === undefined) {
    let hour = values.get('HH24') ?? values.get('HH12') ?? get('HH');
    if (reader.isAfternoon !== undefined) {
      if (hour < 1 || hour > 12) {
        throw new StatementError(SqlState.InvalidDatetimeFormat, `hour "${hour}" is invalid for the 12-hour clock`, {
          hint: 'Use the 24-hour clock, or give an hour between 1 and 12.',
        });
      }
      hour = (hour % 12) + (reader.isAfternoon ? 12 : 0);
    }
    if (hour > 24 || get('MI') > 59 || get('SS') > 60) throw outOfRange();
    seconds = hour * 3600 + get('MI') * 60 + get('SS');
  }
  const offsetSeconds = values.has('TZH') || values.has('TZM') ? reader.zoneSign * (get('TZH') * 3600 + get('TZM') * 60) : undefined;
  return { local: joinMicros(days, seconds * MICROS_PER_SECOND + get('US')), days, offsetSeconds };
}
