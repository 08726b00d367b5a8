/**
 * Fields of dates, times and intervals: EXTRACT, date_trunc, age. Pure functions over local
 * (zone-less) microseconds; callers move zoned values to their wall clock first.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { Interval } from '../../catalog/datum.ts';
import { civilFromDays, daysFromCivil, daysInMonth, isInfinite, joinMicros, splitMicros } from '../../catalog/datetime.ts';
import { MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND } from '../../catalog/interval.ts';
import type { Int } from './intArithmetic.ts';

const SYNONYMS: Readonly<Record<string, string>> = {
  years: 'year',
  y: 'year',
  months: 'month',
  mon: 'month',
  weeks: 'week',
  days: 'day',
  d: 'day',
  dayofyear: 'doy',
  dayofweek: 'dow',
  hours: 'hour',
  h: 'hour',
  minutes: 'minute',
  m: 'minute',
  seconds: 'second',
  s: 'second',
  milliseconds: 'millisecond',
  ms: 'millisecond',
  microseconds: 'microsecond',
  us: 'microsecond',
  quarters: 'quarter',
  decades: 'decade',
  centuries: 'century',
  millenniums: 'millennium',
  millennia: 'millennium',
};

/** A field's one name. */
export function fieldName(written: string): string {
  const lower = written.trim().toLowerCase();
  return SYNONYMS[lower] ?? lower;
}

export function unsupportedField(field: string): StatementError {
  return new StatementError(SqlState.InvalidParameterValue, `unsupported timespan: ${field}`);
}

/** Monday of the ISO week 1 of a year, as days. */
function isoYearStart(year: number): number {
  const january4 = daysFromCivil(year, 1, 4);
  return january4 - isoWeekday(january4) + 1;
}

/** 1 Monday to 7 Sunday. 1970-01-01 was a Thursday. */
function isoWeekday(days: number): number {
  return ((((days + 3) % 7) + 7) % 7) + 1;
}

function isoYear(days: number): number {
  const { year } = civilFromDays(days);
  if (days >= isoYearStart(year + 1)) return year + 1;
  return days < isoYearStart(year) ? year - 1 : year;
}

/** EXTRACT from local microseconds. `epochOffset` seconds east: epoch counts from the UTC instant. */
export function extractFromTimestamp(written: string, local: Int, offsetSeconds = 0): number {
  const field = fieldName(written);
  if (isInfinite(local)) return local;
  const { days, micros } = splitMicros(local);
  const time = extractFromTime(field, micros);
  if (time !== undefined && field !== 'epoch') return time;
  const { year, month, day } = civilFromDays(days);
  switch (field) {
    case 'millennium':
      return year > 0 ? Math.floor((year + 999) / 1000) : -Math.floor((999 - (year - 1)) / 1000);
    case 'century':
      return year > 0 ? Math.floor((year + 99) / 100) : -Math.floor((99 - (year - 1)) / 100);
    case 'decade':
      return Math.floor(year / 10);
    case 'year':
      return year > 0 ? year : year - 1;
    case 'isoyear':
      return isoYear(days);
    case 'quarter':
      return Math.floor((month - 1) / 3) + 1;
    case 'month':
      return month;
    case 'week':
      return Math.floor((days - isoYearStart(isoYear(days))) / 7) + 1;
    case 'day':
      return day;
    case 'dow':
      return isoWeekday(days) % 7;
    case 'isodow':
      return isoWeekday(days);
    case 'doy':
      return days - daysFromCivil(year, 1, 1) + 1;
    case 'julian':
      return days + 2440588 + micros / MICROS_PER_DAY;
    case 'epoch':
      return days * 86400 + micros / MICROS_PER_SECOND - offsetSeconds;
    case 'timezone':
      return offsetSeconds;
    case 'timezone_hour':
      return Math.trunc(offsetSeconds / 3600);
    case 'timezone_minute':
      return Math.trunc(offsetSeconds / 60) % 60;
    default:
      throw unsupportedField(written);
  }
}

/** Fields of a time of day; undefined for a field it does not have. */
export function extractFromTime(written: string, micros: number): number | undefined {
  switch (fieldName(written)) {
    case 'hour':
      return Math.floor(micros / MICROS_PER_HOUR);
    case 'minute':
      return Math.floor(micros / MICROS_PER_MINUTE) % 60;
    case 'second':
      return (micros % MICROS_PER_MINUTE) / MICROS_PER_SECOND;
    case 'millisecond':
      return (micros % MICROS_PER_MINUTE) / 1000;
    case 'microsecond':
      return micros % MICROS_PER_MINUTE;
    case 'epoch':
      return micros / MICROS_PER_SECOND;
    default:
      return undefined;
  }
}

export function extractFromInterval(written: string, { months, days, micros }: Interval): number {
  const clock = Number(micros);
  const years = Math.trunc(months / 12);
  switch (fieldName(written)) {
    case 'millennium':
      return Math.trunc(years / 1000);
    case 'century':
      return Math.trunc(years / 100);
    case 'decade':
      return Math.trunc(years / 10);
    case 'year':
      return years;
    case 'quarter':
      return Math.trunc((months % 12) / 3) + 1;
    case 'month':
      return months % 12;
    case 'day':
      return days;
    case 'hour':
      return Math.trunc(clock / MICROS_PER_HOUR);
    case 'minute':
      return Math.trunc(clock / MICROS_PER_MINUTE) % 60;
    case 'second':
      return (clock % MICROS_PER_MINUTE) / MICROS_PER_SECOND;
    case 'millisecond':
      return (clock % MICROS_PER_MINUTE) / 1000;
    case 'microsecond':
      return clock % MICROS_PER_MINUTE;
    case 'epoch':
      // A year is 365.25 days and a month 30 here, as in PostgreSQL.
      return years * 31557600 + (months % 12) * 2592000 + days * 86400 + clock / MICROS_PER_SECOND;
    default:
      throw unsupportedField(written);
  }
}

/** Local microseconds cut to a field's start. */
export function truncateTimestamp(written: string, local: Int): Int {
  if (isInfinite(local)) return local;
  const { days, micros } = splitMicros(local);
  const { year, month } = civilFromDays(days);
  const startOf = (y: number, m = 1): Int => joinMicros(daysFromCivil(y, m, 1), 0);
  const cut = (unit: number): Int => joinMicros(days, micros - (micros % unit));
  switch (fieldName(written)) {
    case 'millennium':
      return startOf(Math.floor((year - 1) / 1000) * 1000 + 1);
    case 'century':
      return startOf(Math.floor((year - 1) / 100) * 100 + 1);
    case 'decade':
      return startOf(Math.floor(year / 10) * 10);
    case 'year':
      return startOf(year);
    case 'quarter':
      return startOf(year, Math.floor((month - 1) / 3) * 3 + 1);
    case 'month':
      return startOf(year, month);
    case 'week':
      return joinMicros(days - isoWeekday(days) + 1, 0);
    case 'day':
      return joinMicros(days, 0);
    case 'hour':
      return cut(MICROS_PER_HOUR);
    case 'minute':
      return cut(MICROS_PER_MINUTE);
    case 'second':
      return cut(MICROS_PER_SECOND);
    case 'millisecond':
      return cut(1000);
    case 'microsecond':
      return local;
    default:
      throw unsupportedField(written);
  }
}

/** A time of day, or the clock part of an interval, cut to a field's start. */
export function truncateClock(written: string, micros: number): number {
  const field = fieldName(written);
  const unit = CLOCK_UNITS[field];
  if (unit === undefined) throw unsupportedField(written);
  return Math.trunc(micros / unit) * unit;
}

const CLOCK_UNITS: Readonly<Record<string, number>> = {
  hour: MICROS_PER_HOUR,
  minute: MICROS_PER_MINUTE,
  second: MICROS_PER_SECOND,
  millisecond: 1000,
  microsecond: 1,
};

const MONTH_UNITS: Readonly<Record<string, number>> = { millennium: 12000, century: 1200, decade: 120, year: 12, quarter: 3, month: 1 };

export function truncateInterval(written: string, interval: Interval): Interval {
  const field = fieldName(written);
  const months = MONTH_UNITS[field];
  if (months !== undefined) return new Interval(Math.trunc(interval.months / months) * months, 0, 0);
  if (field === 'week') return new Interval(interval.months, Math.trunc(interval.days / 7) * 7, 0);
  if (field === 'day') return new Interval(interval.months, interval.days, 0);
  return new Interval(interval.months, interval.days, truncateClock(written, Number(interval.micros)));
}

/** end - begin in years, months, days and clock time, as PostgreSQL's age() counts. */
export function ageBetween(end: Int, begin: Int): Interval {
  if (isInfinite(end) || isInfinite(begin)) throw new StatementError(SqlState.DatetimeFieldOverflow, 'cannot subtract infinite timestamps');
  if (end < begin) return ageBetween(begin, end).negated();
  const a = splitMicros(end);
  const b = splitMicros(begin);
  const to = civilFromDays(a.days);
  const from = civilFromDays(b.days);
  let months = (to.year - from.year) * 12 + to.month - from.month;
  let days = to.day - from.day;
  let micros = a.micros - b.micros;
  if (micros < 0) {
    micros += MICROS_PER_DAY;
    days--;
  }
  if (days < 0) {
    days += daysInMonth(from.year, from.month);
    months--;
  }
  return new Interval(months, days, micros);
}
