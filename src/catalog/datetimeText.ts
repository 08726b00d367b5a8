/**
 * Text forms of dates, times, timestamps and intervals: what users write, and what PostgreSQL prints.
 *
 * Reading accepts ISO 8601 and PostgreSQL's looser forms (`2026-1-2`, `20260102`, `Jan 2 2026`,
 * `8:30 PM`, zone names and offsets, `BC`, `infinity`, `epoch`); fractions beyond microseconds are
 * rounded. Ambiguous numeric dates (1/2/2026) read as month/day/year, PostgreSQL's default.
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

import {
  civilFromDays,
  DATE_DAY_END,
  daysFromCivil,
  daysInMonth,
  findTimeZone,
  formatOffset,
  fromLocal,
  isInfinite,
  joinMicros,
  offsetZone,
  splitMicros,
  TIMESTAMP_DAY_MIN,
  type TimeZone,
  toLocal,
  UTC,
} from './datetime.ts';
import { MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND } from './interval.ts';

/** What reading a date or time may depend on. */
export interface DateContext {
  /** The session's zone; UTC when absent. */
  readonly timeZone?: TimeZone;
  /** For `now`, `today`, `tomorrow`, `yesterday`: UTC microseconds of the transaction. Without it they are refused. */
  readonly nowMicros?: number;
}

interface Parsed {
  readonly days: number | undefined;
  readonly micros: number | undefined;
  readonly zone: TimeZone | undefined;
  readonly infinity: number | undefined;
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

const TIME = /^(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d+))?)?\s*(am|pm)?/i;
const ISO_DATE = /^(\d{1,7})-(\d{1,2})-(\d{1,2})(?!\d)/;
const SLASH_DATE = /^(\d{1,2})[/.](\d{1,2})[/.](\d{4,7})/;
const YEAR_FIRST_SLASH = /^(\d{4,7})\/(\d{1,2})\/(\d{1,2})/;
const COMPACT_DATE = /^(\d{4})(\d{2})(\d{2})(?![\d:])/;
const COMPACT_TIME = /^(\d{2})(\d{2})(\d{2})(?:[.,](\d+))?(?!\d)/;
const MONTH_FIRST = /^([a-z]{3,9})\.?[\s-]+(\d{1,2})(?:st|nd|rd|th)?,?[\s-]+(\d{1,7})/i;
const DAY_FIRST = /^(\d{1,2})[\s-]+([a-z]{3,9})\.?,?[\s-]+(\d{1,7})/i;
const YEAR_MONTH_NAME = /^(\d{4,7})-([a-z]{3,9})-(\d{1,2})/i;
const OFFSET = /^(?:utc|gmt)?([+-])(\d{1,2})(?::?(\d{2}))?(?::?(\d{2}))?/i;
const ZONE_NAME = /^[a-z][a-z0-9_+-]*(?:\/[a-z0-9_+-]+)*/i;

function fail(text: string, typeName: string, reason?: string): never {
  throw new StatementError(
    SqlState.InvalidDatetimeFormat,
    `parsing as type ${typeName}: could not parse "${text}"`,
    reason === undefined ? {} : { detail: reason },
  );
}

function overflow(text: string, typeName: string, reason: string): never {
  throw new StatementError(SqlState.DatetimeFieldOverflow, `parsing as type ${typeName}: ${reason}`, { detail: `in "${text}"` });
}

/** One scanner for all date and time types: takes whatever comes next until nothing is left. */
function scan(text: string, typeName: string, context: DateContext): Parsed {
  let rest = text.trim();
  let date: { year: number; month: number; day: number } | undefined;
  let days: number | undefined;
  let micros: number | undefined;
  let zone: TimeZone | undefined;
  let isBc = false;
  if (rest === '') fail(text, typeName, 'empty or blank input');
  const setDate = (year: number, month: number, day: number, length: number) => {
    if (date || days !== undefined) fail(text, typeName, 'more than one date');
    date = { year, month, day };
    rest = rest.slice(length);
  };
  while (rest !== '') {
    let match = /^(?:[\s,]+|t(?=\d))/i.exec(rest);
    if (match && (match[0].toLowerCase() !== 't' || date)) {
      rest = rest.slice(match[0].length);
      continue;
    }
    match = micros === undefined ? TIME.exec(rest) : null;
    if (match) {
      micros = timeMicros(text, typeName, match);
      rest = rest.slice(match[0].length);
      continue;
    }
    if (!date && days === undefined) {
      match = ISO_DATE.exec(rest) ?? YEAR_FIRST_SLASH.exec(rest) ?? COMPACT_DATE.exec(rest);
      if (match) {
        setDate(Number(match[1]), Number(match[2]), Number(match[3]), match[0].length);
        continue;
      }
      match = SLASH_DATE.exec(rest);
      if (match) {
        setDate(Number(match[3]), Number(match[1]), Number(match[2]), match[0].length);
        continue;
      }
      match = MONTH_FIRST.exec(rest);
      if (match && monthOf(match[1])) {
        setDate(Number(match[3]), monthOf(match[1]), Number(match[2]), match[0].length);
        continue;
      }
      match = DAY_FIRST.exec(rest);
      if (match && monthOf(match[2])) {
        setDate(Number(match[3]), monthOf(match[2]), Number(match[1]), match[0].length);
        continue;
      }
      match = YEAR_MONTH_NAME.exec(rest);
      if (match && monthOf(match[2])) {
        setDate(Number(match[1]), monthOf(match[2]), Number(match[3]), match[0].length);
        continue;
      }
    } else if (micros === undefined) {
      match = COMPACT_TIME.exec(rest);
      if (match) {
        micros = timeMicros(text, typeName, match);
        rest = rest.slice(match[0].length);
        continue;
      }
    }
    match = OFFSET.exec(rest);
    if (match && (micros !== undefined || date)) {
      if (zone) fail(text, typeName, 'more than one time zone');
      const seconds = Number(match[2]) * 3600 + Number(match[3] ?? 0) * 60 + Number(match[4] ?? 0);
      if (seconds > 18 * 3600) overflow(text, typeName, 'time zone offset out of range');
      zone = offsetZone(match[1] === '-' ? -seconds : seconds);
      rest = rest.slice(match[0].length);
      continue;
    }
    match = ZONE_NAME.exec(rest);
    if (!match) fail(text, typeName);
    const word = match[0].toLowerCase();
    if (word === 'bc' || word === 'ad') {
      isBc = word === 'bc';
    } else if (word === 'infinity' || word === 'inf') {
      if (rest.trim().length !== word.length) fail(text, typeName);
      return { days: undefined, micros: undefined, zone: undefined, infinity: Number.POSITIVE_INFINITY };
    } else if (word === 'epoch') {
      days = 0;
      micros ??= 0;
      zone ??= UTC;
    } else if (word === 'now' || word === 'today' || word === 'tomorrow' || word === 'yesterday') {
      if (context.nowMicros === undefined) fail(text, typeName, 'a relative date needs a current time');
      const local = splitMicros(toLocal(context.nowMicros, context.timeZone ?? UTC));
      days = local.days + (word === 'tomorrow' ? 1 : word === 'yesterday' ? -1 : 0);
      if (word === 'now') micros = local.micros;
    } else if (!DAYS.some((day) => word.startsWith(day) && 'sundaymondaytuesdaywednesdaythursdayfridaysaturday'.includes(word))) {
      const named = findTimeZone(match[0]);
      if (!named || zone) fail(text, typeName);
      zone = named;
    }
    rest = rest.slice(match[0].length);
    if (rest.startsWith('inity')) fail(text, typeName);
  }
  if (date) days = dayNumber(text, typeName, date, isBc);
  return { days, micros, zone, infinity: undefined };
}

function monthOf(word: string | undefined): number {
  const lower = (word ?? '').toLowerCase();
  const full = ['january', 'february', 'march', 'april', 'may', 'june', 'july', 'august', 'september', 'october', 'november', 'december'];
  const index = MONTHS.indexOf(lower);
  return (index >= 0 ? index : full.indexOf(lower)) + 1;
}

function dayNumber(text: string, typeName: string, date: { year: number; month: number; day: number }, isBc: boolean): number {
  if (date.year === 0) overflow(text, typeName, 'year value of 0 is out of range');
  const year = isBc ? 1 - date.year : date.year;
  if (date.month < 1 || date.month > 12) overflow(text, typeName, `month value ${date.month} is out of range`);
  if (date.day < 1 || date.day > daysInMonth(year, date.month)) overflow(text, typeName, `day value ${date.day} is out of range`);
  return daysFromCivil(year, date.month, date.day);
}

function timeMicros(text: string, typeName: string, match: RegExpExecArray): number {
  const meridiem = match[5]?.toLowerCase();
  let hour = Number(match[1]);
  const minute = Number(match[2]);
  const second = Number(match[3] ?? 0);
  if (meridiem) {
    if (hour < 1 || hour > 12) overflow(text, typeName, `hour value ${hour} is out of range`);
    hour = (hour % 12) + (meridiem === 'pm' ? 12 : 0);
  }
  if (hour > 24) overflow(text, typeName, `hour value ${hour} is out of range`);
  if (minute > 59) overflow(text, typeName, `minute value ${minute} is out of range`);
  if (second > 60) overflow(text, typeName, `second value ${second} is out of range`);
  const fraction = match[4] === undefined ? 0 : Math.round(Number(`0.${match[4]}`) * MICROS_PER_SECOND);
  const micros = hour * MICROS_PER_HOUR + minute * MICROS_PER_MINUTE + second * MICROS_PER_SECOND + fraction;
  if (micros > MICROS_PER_DAY) overflow(text, typeName, `hour value ${hour} is out of range`);
  return micros;
}

const isNegativeInfinity = (text: string): boolean => /^\s*-inf(?:inity)?\s*$/i.test(text);

/** Days since the epoch, or an infinity. 22007 and 22008. A time of day is ignored. */
export function parseDate(text: string, context: DateContext = {}): number {
  if (isNegativeInfinity(text)) return Number.NEGATIVE_INFINITY;
  const { days, infinity } = scan(text, 'date', context);
  if (infinity !== undefined) return infinity;
  if (days === undefined) fail(text, 'date', 'missing required date fields');
  if (days < TIMESTAMP_DAY_MIN || days >= DATE_DAY_END) overflow(text, 'date', 'date is out of range');
  return days;
}

/** A timestamp without zone: a zone in the text is ignored, as PostgreSQL does. */
export function parseTimestamp(text: string, context: DateContext = {}): number | bigint {
  if (isNegativeInfinity(text)) return Number.NEGATIVE_INFINITY;
  const { days, micros, infinity } = scan(text, 'timestamp', context);
  if (infinity !== undefined) return infinity;
  if (days === undefined) fail(text, 'timestamp', 'missing required date fields');
  return joinMicros(days, micros ?? 0);
}

/** A timestamp with zone, in UTC: the text's zone or offset, else the session's. */
export function parseTimestampTz(text: string, context: DateContext = {}): number | bigint {
  if (isNegativeInfinity(text)) return Number.NEGATIVE_INFINITY;
  const { days, micros, zone, infinity } = scan(text, 'timestamptz', context);
  if (infinity !== undefined) return infinity;
  if (days === undefined) fail(text, 'timestamptz', 'missing required date fields');
  return fromLocal(joinMicros(days, micros ?? 0), zone ?? context.timeZone ?? UTC);
}

/** Microseconds since midnight, 24:00:00 included. A date or zone in the text is ignored. */
export function parseTime(text: string, context: DateContext = {}): number {
  const { micros } = scan(text, 'time', context);
  if (micros === undefined) fail(text, 'time', 'missing required time fields');
  return micros;
}

export function parseTimeTz(text: string, context: DateContext = {}): { micros: number; offsetSeconds: number } {
  const { days, micros, zone } = scan(text, 'timetz', context);
  if (micros === undefined) fail(text, 'timetz', 'missing required time fields');
  const used = zone ?? context.timeZone ?? UTC;
  const at = days === undefined ? Math.floor((context.nowMicros ?? 0) / MICROS_PER_SECOND) : days * 86400;
  return { micros, offsetSeconds: used.offsetAt(at) };
}

const two = (n: number): string => (n < 10 ? `0${n}` : String(n));

/** `2026-11-20`, `0044-03-15 BC`, `infinity`. */
export function formatDate(days: number): string {
  if (isInfinite(days)) return days > 0 ? 'infinity' : '-infinity';
  const { text, era } = dateText(days);
  return text + era;
}

function dateText(days: number): { text: string; era: string } {
  const { year, month, day } = civilFromDays(days);
  const isBc = year <= 0;
  return { text: `${String(isBc ? 1 - year : year).padStart(4, '0')}-${two(month)}-${two(day)}`, era: isBc ? ' BC' : '' };
}

/** `11:59:59.12`: as many fractional digits as needed. */
export function formatTime(micros: number): string {
  const seconds = Math.floor(micros / MICROS_PER_SECOND);
  const fraction = micros - seconds * MICROS_PER_SECOND;
  const text = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return fraction === 0 ? text : `${text}.${String(fraction).padStart(6, '0').replace(/0+$/, '')}`;
}

export function formatTimeTz(micros: number, offsetSeconds: number): string {
  return formatTime(micros) + formatOffset(offsetSeconds);
}

/** `2026-11-20 11:59:59.12`. */
export function formatTimestamp(micros: number | bigint): string {
  if (isInfinite(micros)) return micros > 0 ? 'infinity' : '-infinity';
  const split = splitMicros(micros);
  const { text, era } = dateText(split.days);
  return `${text} ${formatTime(split.micros)}${era}`;
}

/** `2026-11-20 12:59:59.12+01`, on the wall clock of a zone. */
export function formatTimestampTz(micros: number | bigint, zone: TimeZone = UTC): string {
  if (isInfinite(micros)) return micros > 0 ? 'infinity' : '-infinity';
  const utc = splitMicros(micros);
  const offset = zone.offsetAt(utc.days * 86400 + Math.floor(utc.micros / MICROS_PER_SECOND));
  const shifted = utc.micros + offset * MICROS_PER_SECOND;
  const dayShift = Math.floor(shifted / MICROS_PER_DAY);
  const { text, era } = dateText(utc.days + dayShift);
  return `${text} ${formatTime(shifted - dayShift * MICROS_PER_DAY)}${formatOffset(offset)}${era}`;
}
