/**
 * Dates and times: the proleptic Gregorian calendar, time zones, and arithmetic with intervals.
 *
 * A timestamp is microseconds since the epoch, a number while safe and a bigint beyond (the year
 * 2255); inside, it is split into days and microseconds of the day, which are always safe numbers.
 * Years are astronomical: 0 is 1 BC. Zone rules come from Intl, which ships with the runtime.
 *
 * Lives elsewhere: text forms (datetimeText.ts).
 * Source of the day count: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

import { canonicalInt } from './datum.ts';
import { Interval, MICROS_PER_DAY, MICROS_PER_SECOND } from './interval.ts';

export interface CivilDate {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
}

/** 4714-11-24 BC, and the day after the last one of the year 294276: PostgreSQL's timestamp bounds. */
export const TIMESTAMP_DAY_MIN = daysFromCivil(-4713, 11, 24);
export const TIMESTAMP_DAY_END = daysFromCivil(294277, 1, 1);
/** Dates reach further: 5881580-07-11 is the last. */
export const DATE_DAY_END = daysFromCivil(5881580, 7, 12);

/** Days since 1970-01-01. */
export function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146097 + dayOfEra - 719468;
}

export function civilFromDays(days: number): CivilDate {
  const z = days + 719468;
  const era = Math.floor(z / 146097);
  const dayOfEra = z - era * 146097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36524) - Math.floor(dayOfEra / 146096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthIndex = Math.floor((5 * dayOfYear + 2) / 153);
  const month = monthIndex < 10 ? monthIndex + 3 : monthIndex - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return { year, month, day: dayOfYear - Math.floor((153 * monthIndex + 2) / 5) + 1 };
}

export function daysInMonth(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** Days since the epoch, and microseconds of that day in [0, 86400000000). The timestamp is finite. */
export function splitMicros(micros: number | bigint): { days: number; micros: number } {
  if (typeof micros === 'number') {
    const days = Math.floor(micros / MICROS_PER_DAY);
    return { days, micros: micros - days * MICROS_PER_DAY };
  }
  const perDay = BigInt(MICROS_PER_DAY);
  const rest = ((micros % perDay) + perDay) % perDay;
  return { days: Number((micros - rest) / perDay), micros: Number(rest) };
}

/** The inverse; `micros` may lie outside its day. Throws 22008 beyond the bounds of timestamps. */
export function joinMicros(days: number, micros: number): number | bigint {
  const wholeDays = days + Math.floor(micros / MICROS_PER_DAY);
  if (wholeDays < TIMESTAMP_DAY_MIN || wholeDays >= TIMESTAMP_DAY_END) {
    throw new StatementError(SqlState.DatetimeFieldOverflow, 'timestamp out of range');
  }
  const total = days * MICROS_PER_DAY + micros;
  if (Number.isSafeInteger(total)) return total;
  return canonicalInt(BigInt(days) * BigInt(MICROS_PER_DAY) + BigInt(micros));
}

export function isInfinite(value: number | bigint): value is number {
  return value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY;
}

/** A time zone: a fixed offset, or a name of the IANA database. */
export interface TimeZone {
  /** As shown by SHOW TIME ZONE: `UTC`, `Europe/Berlin`, `+02:00`. */
  readonly name: string;
  /** Seconds east of UTC at a UTC second. */
  offsetAt(utcSeconds: number): number;
}

export const UTC: TimeZone = Object.freeze({ name: 'UTC', offsetAt: () => 0 });

const zones = new Map<string, TimeZone>([['utc', UTC]]);
const ZONE_CACHE_MAX = 256;

/** The zone of that name or offset (`+02`, `-05:30`, `UTC+3` counts east), without regard to case; undefined when there is none. */
export function findTimeZone(name: string): TimeZone | undefined {
  const key = name.trim().toLowerCase();
  const cached = zones.get(key);
  if (cached) return cached;
  const zone = fixedZone(key) ?? namedZone(name.trim());
  if (zone && zones.size < ZONE_CACHE_MAX) zones.set(key, zone);
  return zone;
}

/** Throws 22023 for an unknown zone. */
export function requireTimeZone(name: string): TimeZone {
  const zone = findTimeZone(name);
  if (!zone) {
    throw new StatementError(SqlState.InvalidParameterValue, `invalid value for parameter "timezone": "${name}"`, {
      hint: 'use an IANA name such as Europe/Berlin, or an offset such as +02:00',
    });
  }
  return zone;
}

/** `seconds` east of UTC. */
export function offsetZone(seconds: number): TimeZone {
  if (seconds === 0) return UTC;
  return Object.freeze({ name: formatOffset(seconds, true), offsetAt: () => seconds });
}

function fixedZone(key: string): TimeZone | undefined {
  if (key === 'z' || key === 'zulu' || key === 'gmt') return UTC;
  const match = /^(?:utc|gmt)?([+-])(\d{1,2})(?::?(\d{2}))?(?::?(\d{2}))?$/.exec(key);
  if (!match) return undefined;
  const seconds = Number(match[2]) * 3600 + Number(match[3] ?? 0) * 60 + Number(match[4] ?? 0);
  if (seconds > 18 * 3600) return undefined;
  return offsetZone(match[1] === '-' ? -seconds : seconds);
}

function namedZone(name: string): TimeZone | undefined {
  if (!/^[A-Za-z]/.test(name)) return undefined;
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      hourCycle: 'h23',
      era: 'short',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch {
    return undefined;
  }
  // Zone rules change at whole quarters of an hour, and a cached quarter saves the slow Intl call. The
  // exception are changes from local mean time, before about 1920: they seem some minutes early.
  const cache = new Map<number, number>();
  const offsetAt = (utcSeconds: number): number => {
    const quarter = Math.floor(utcSeconds / 900);
    let offset = cache.get(quarter);
    if (offset === undefined) {
      offset = intlOffset(format, quarter * 900);
      if (cache.size >= 4096) cache.clear();
      cache.set(quarter, offset);
    }
    return offset;
  };
  return Object.freeze({ name: format.resolvedOptions().timeZone, offsetAt });
}

function intlOffset(format: Intl.DateTimeFormat, utcSeconds: number): number {
  // JavaScript's Date ends in the year 275760; the rules of the last years stand for those after.
  const seconds = Math.max(-8.64e12, Math.min(8.64e12, utcSeconds));
  const parts: Record<string, string> = {};
  for (const part of format.formatToParts(new Date(seconds * 1000))) parts[part.type] = part.value;
  const year = parts['era'] === 'BC' ? 1 - Number(parts['year']) : Number(parts['year']);
  const days = daysFromCivil(year, Number(parts['month']), Number(parts['day']));
  return days * 86400 + Number(parts['hour']) * 3600 + Number(parts['minute']) * 60 + Number(parts['second']) - seconds;
}

/** A UTC timestamp to the wall-clock time of a zone, as a timestamp without zone. Infinities stay. */
export function toLocal(micros: number | bigint, zone: TimeZone): number | bigint {
  if (zone === UTC || isInfinite(micros)) return micros;
  const { days, micros: rest } = splitMicros(micros);
  const offset = zone.offsetAt(days * 86400 + Math.floor(rest / MICROS_PER_SECOND));
  return joinMicros(days, rest + offset * MICROS_PER_SECOND);
}

/**
 * The wall-clock time of a zone to UTC. A time that occurs twice takes the earlier instant; one that
 * is skipped takes the offset before the gap, as PostgreSQL does.
 */
export function fromLocal(local: number | bigint, zone: TimeZone): number | bigint {
  if (zone === UTC || isInfinite(local)) return local;
  const { days, micros } = splitMicros(local);
  const seconds = days * 86400 + Math.floor(micros / MICROS_PER_SECOND);
  const before = zone.offsetAt(seconds - 86400);
  const after = zone.offsetAt(seconds + 86400);
  const isBefore = zone.offsetAt(seconds - before) === before;
  const isAfter = zone.offsetAt(seconds - after) === after;
  const offset = isBefore || !isAfter ? before : after;
  return joinMicros(days, micros - offset * MICROS_PER_SECOND);
}

/** Adds an interval to a timestamp without zone: months (the day clipped to the month), then days, then microseconds. */
export function addInterval(micros: number | bigint, interval: Interval): number | bigint {
  if (isInfinite(micros)) return micros;
  const { days, micros: rest } = splitMicros(micros);
  const moved = addMonths(days, interval.months) + interval.days;
  const extra = splitMicros(interval.micros);
  return joinMicros(moved + extra.days, rest + extra.micros);
}

/** As addInterval, with months and days counted on the wall clock of a zone. */
export function addIntervalInZone(micros: number | bigint, interval: Interval, zone: TimeZone): number | bigint {
  if (isInfinite(micros)) return micros;
  const calendar = new Interval(interval.months, interval.days, 0);
  const moved = interval.months || interval.days ? fromLocal(addInterval(toLocal(micros, zone), calendar), zone) : micros;
  return addInterval(moved, new Interval(0, 0, interval.micros));
}

export function addMonths(days: number, months: number): number {
  if (months === 0) return days;
  const { year, month, day } = civilFromDays(days);
  const total = year * 12 + (month - 1) + months;
  const newYear = Math.floor(total / 12);
  const newMonth = total - newYear * 12 + 1;
  return daysFromCivil(newYear, newMonth, Math.min(day, daysInMonth(newYear, newMonth)));
}

/** The difference of two timestamps as days-free microseconds, as CockroachDB's subtraction gives it. */
export function subtractTimestamps(a: number | bigint, b: number | bigint): Interval {
  if (isInfinite(a) || isInfinite(b)) throw new StatementError(SqlState.DatetimeFieldOverflow, 'cannot subtract infinite timestamps');
  return new Interval(0, 0, BigInt(a) - BigInt(b));
}

/** `+02`, `-05:30`, `+00:19:32`; with `isLong` always minutes. */
export function formatOffset(seconds: number, isLong = false): string {
  const total = Math.abs(seconds);
  const two = (n: number) => String(n).padStart(2, '0');
  const minutes = Math.floor(total / 60) % 60;
  let text = `${seconds < 0 ? '-' : '+'}${two(Math.floor(total / 3600))}`;
  if (isLong || minutes !== 0 || total % 60 !== 0) text += `:${two(minutes)}`;
  if (total % 60 !== 0) text += `:${two(total % 60)}`;
  return text;
}
