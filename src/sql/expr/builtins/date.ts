/**
 * Functions on dates, times and intervals. now() is the transaction's reading of the hybrid logical
 * clock, so it never steps back; clock_timestamp() is the injected clock's.
 */
import { type Bytes as ByteString, utf8Decode, utf8Encode } from '../../../base/bytes.ts';
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { Decimal as DecimalValue, Interval as IntervalValue, TimeTz as TimeTzValue } from '../../../catalog/datum.ts';
import {
  daysFromCivil,
  daysInMonth,
  fromLocal,
  isInfinite,
  joinMicros,
  requireTimeZone,
  splitMicros,
  type TimeZone,
  toLocal,
} from '../../../catalog/datetime.ts';
import { parseDate, parseTimestamp } from '../../../catalog/datetimeText.ts';
import { MICROS_PER_DAY, MICROS_PER_SECOND } from '../../../catalog/interval.ts';
import { parseInterval } from '../../../catalog/intervalText.ts';
import type { ColumnType } from '../../../catalog/type.ts';
import {
  alias,
  contextual,
  Day,
  Decimal,
  Float8,
  Int8,
  Interval,
  pure,
  Text,
  Time,
  Timestamp,
  TimestampTz,
  TimeTz,
  Bool,
} from '../define.ts';
import type { EvalContext } from '../evalContext.ts';
import type { Int } from '../intArithmetic.ts';
import { dateToMicros } from '../operators/temporal.ts';
import type { EvalFn, Overload } from '../overload.ts';
import { zoneOf } from '../sessionZone.ts';
import {
  ageBetween,
  extractFromInterval,
  extractFromTime,
  extractFromTimestamp,
  fieldName,
  truncateClock,
  truncateInterval,
  truncateTimestamp,
  unsupportedField,
} from '../timeFields.ts';
import { strftime, toChar } from '../toChar.ts';

type I = IntervalValue;
const text = (bytes: unknown): string => utf8Decode(bytes as ByteString);

function offsetAt(instant: Int, zone: TimeZone): number {
  if (isInfinite(instant)) return 0;
  const { days, micros } = splitMicros(instant);
  return zone.offsetAt(days * 86400 + Math.floor(micros / MICROS_PER_SECOND));
}

const extract: readonly Overload[] = [
  pure<[ByteString, Int]>('extract', [Text, Timestamp], Float8, (field, at) => extractFromTimestamp(text(field), at), {
    preferred: true,
  }),
  contextual('extract', [Text, TimestampTz], Float8, 'stable', (ctx, field, at) => {
    const zone = zoneOf(ctx);
    return extractFromTimestamp(text(field), toLocal(at as Int, zone), offsetAt(at as Int, zone));
  }),
  pure<[ByteString, number]>('extract', [Text, Day], Float8, (field, days) => extractFromTimestamp(text(field), dateToMicros(days))),
  pure<[ByteString, number]>('extract', [Text, Time], Float8, (field, micros) => clockField(text(field), micros)),
  pure<[ByteString, TimeTzValue]>('extract', [Text, TimeTz], Float8, (field, { micros, offsetSeconds }) => {
    const name = fieldName(text(field));
    if (name === 'timezone') return offsetSeconds;
    return name === 'epoch' ? micros / MICROS_PER_SECOND - offsetSeconds : clockField(name, micros);
  }),
  pure<[ByteString, I]>('extract', [Text, Interval], Float8, (field, interval) => extractFromInterval(text(field), interval)),
];

function clockField(field: string, micros: number): number {
  const value = extractFromTime(field, micros);
  if (value === undefined) throw unsupportedField(field);
  return value;
}

/** A moment in the forms CockroachDB lets the context choose from. */
function moment(name: string, read: (ctx: EvalContext) => Int, volatility: 'stable' | 'volatile'): Overload[] {
  return [
    contextual(name, [], TimestampTz, volatility, (ctx) => read(ctx), { preferred: true }),
    contextual(name, [], Timestamp, volatility, (ctx) => toLocal(read(ctx), zoneOf(ctx))),
  ];
}

const transactionTime = (ctx: EvalContext): Int => ctx.transactionTimestamp;
const localDay = (at: Int, ctx: EvalContext): number => splitMicros(toLocal(at, zoneOf(ctx))).days;
const timeOfDay = (ctx: EvalContext): number => splitMicros(toLocal(ctx.transactionTimestamp, zoneOf(ctx))).micros;

function checkDate(year: number, month: number, day: number): number {
  if (year === 0) throw new StatementError(SqlState.DatetimeFieldOverflow, 'year value of 0 is not valid');
  const astronomical = year < 0 ? year + 1 : year;
  if (!(month >= 1 && month <= 12) || !(day >= 1 && day <= daysInMonth(astronomical, month))) {
    throw new StatementError(SqlState.DatetimeFieldOverflow, `date field value out of range: ${year}-${month}-${day}`);
  }
  return daysFromCivil(astronomical, month, day);
}

function checkClock(hour: number, minute: number, second: number): number {
  if (!(hour >= 0 && hour <= 24 && minute >= 0 && minute < 60 && second >= 0 && second <= 60)) {
    throw new StatementError(SqlState.DatetimeFieldOverflow, `time field value out of range: ${hour}:${minute}:${second}`);
  }
  return Math.round((hour * 3600 + minute * 60 + second) * MICROS_PER_SECOND);
}

const six = [Int8, Int8, Int8, Int8, Int8, Float8];
/** A local moment of year, month, day, hour, minute and second. 22008. */
export const makeLocal = (args: readonly unknown[]): Int => {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = args.map(Number);
  return joinMicros(checkDate(year, month, day), checkClock(hour, minute, second));
};

function fromEpoch(seconds: number): Int {
  if (!Number.isFinite(seconds)) {
    if (Number.isNaN(seconds)) throw new StatementError(SqlState.InvalidParameterValue, 'timestamp cannot be NaN');
    return seconds;
  }
  const days = Math.floor(seconds / 86400);
  return joinMicros(days, Math.round((seconds - days * 86400) * MICROS_PER_SECOND));
}

function rendered(
  name: string,
  type: ColumnType,
  render: (at: Int, pattern: string, zone: string, offset: number) => string,
  fn: (at: never, ctx: EvalContext) => [Int, string, number],
  volatility: 'immutable' | 'stable',
): Overload {
  const run: EvalFn = (ctx, at, pattern) => {
    const [local, zone, offset] = fn(at as never, ctx);
    return utf8Encode(render(local, text(pattern), zone, offset));
  };
  return { name, params: [type, Text], returns: Text, volatility, fn: run };
}

function renders(name: string, render: typeof toChar | typeof strftime): Overload[] {
  return [
    rendered(name, Timestamp, render, (at: Int) => [at, '', 0], 'immutable'),
    rendered(
      name,
      TimestampTz,
      render,
      (at: Int, ctx) => {
        const zone = zoneOf(ctx);
        return [toLocal(at, zone), zone.name, offsetAt(at, zone)];
      },
      'stable',
    ),
    rendered(name, Day, render, (days: number) => [dateToMicros(days), '', 0], 'immutable'),
  ];
}

function inZone(zoneName: unknown): TimeZone {
  return requireTimeZone(text(zoneName));
}

const timezone: readonly Overload[] = [
  pure<[ByteString, Int]>('timezone', [Text, Timestamp], TimestampTz, (zone, at) => fromLocal(at, inZone(zone))),
  pure<[ByteString, Int]>('timezone', [Text, TimestampTz], Timestamp, (zone, at) => toLocal(at, inZone(zone)), { preferred: true }),
  pure<[ByteString, TimeTzValue]>('timezone', [Text, TimeTz], TimeTz, (zone, at) => moveTime(at, inZone(zone).offsetAt(0))),
];

function moveTime({ micros, offsetSeconds }: TimeTzValue, to: number): TimeTzValue {
  const moved = micros + (to - offsetSeconds) * MICROS_PER_SECOND;
  return new TimeTzValue(((moved % MICROS_PER_DAY) + MICROS_PER_DAY) % MICROS_PER_DAY, to);
}

const FOLLOWER_LAG_MICROS = 4_200_000;

const age: readonly Overload[] = [
  pure<[Int, Int]>('age', [TimestampTz, TimestampTz], Interval, ageBetween, { preferred: true }),
  pure<[Int, Int]>('age', [Timestamp, Timestamp], Interval, ageBetween),
  contextual(
    'age',
    [TimestampTz],
    Interval,
    'stable',
    (ctx, at) => ageBetween(fromLocal(joinMicros(localDay(ctx.transactionTimestamp, ctx), 0), zoneOf(ctx)), at as Int),
    {
      preferred: true,
    },
  ),
  contextual('age', [Timestamp], Interval, 'stable', (ctx, at) =>
    ageBetween(joinMicros(localDay(ctx.transactionTimestamp, ctx), 0), at as Int),
  ),
];

export const dateFunctions: readonly Overload[] = [
  ...extract,
  ...alias('date_part', extract),
  pure<[ByteString, Int]>('date_trunc', [Text, Timestamp], Timestamp, (field, at) => truncateTimestamp(text(field), at)),
  contextual(
    'date_trunc',
    [Text, TimestampTz],
    TimestampTz,
    'stable',
    (ctx, field, at) => {
      const zone = zoneOf(ctx);
      return fromLocal(truncateTimestamp(text(field), toLocal(at as Int, zone)), zone);
    },
    { preferred: true },
  ),
  contextual('date_trunc', [Text, Day], TimestampTz, 'stable', (ctx, field, days) =>
    fromLocal(truncateTimestamp(text(field), dateToMicros(days as number)), zoneOf(ctx)),
  ),
  pure<[ByteString, number]>(
    'date_trunc',
    [Text, Time],
    Interval,
    (field, micros) => new IntervalValue(0, 0, truncateClock(text(field), micros)),
  ),
  pure<[ByteString, I]>('date_trunc', [Text, Interval], Interval, (field, interval) => truncateInterval(text(field), interval)),
  ...moment('now', transactionTime, 'stable'),
  ...moment('current_timestamp', transactionTime, 'stable'),
  ...moment('transaction_timestamp', transactionTime, 'stable'),
  ...moment('statement_timestamp', (ctx) => ctx.statementTimestamp, 'stable'),
  ...moment('clock_timestamp', (ctx) => ctx.clock.nowMicros(), 'volatile'),
  contextual('localtimestamp', [], Timestamp, 'stable', (ctx) => toLocal(ctx.transactionTimestamp, zoneOf(ctx))),
  contextual('current_date', [], Day, 'stable', (ctx) => localDay(ctx.transactionTimestamp, ctx)),
  contextual(
    'current_time',
    [],
    TimeTz,
    'stable',
    (ctx) => new TimeTzValue(timeOfDay(ctx), offsetAt(ctx.transactionTimestamp, zoneOf(ctx))),
    {
      preferred: true,
    },
  ),
  contextual('current_time', [], Time, 'stable', timeOfDay),
  contextual('localtime', [], Time, 'stable', timeOfDay),
  contextual('timeofday', [], Text, 'volatile', (ctx) =>
    utf8Encode(toChar(toLocal(ctx.clock.nowMicros(), zoneOf(ctx)), 'Dy Mon DD HH24:MI:SS.US YYYY TZ', zoneOf(ctx).name)),
  ),
  ...age,
  ...timezone,
  contextual('timezone', [Text, Day], TimestampTz, 'immutable', (_, zone, days) => fromLocal(dateToMicros(days as number), inZone(zone))),
  pure<[Int, Int, Int]>('make_date', [Int8, Int8, Int8], Day, (year, month, day) => checkDate(Number(year), Number(month), Number(day))),
  pure('make_timestamp', six, Timestamp, (...args) => makeLocal(args)),
  contextual('make_timestamptz', six, TimestampTz, 'stable', (ctx, ...args) => fromLocal(makeLocal(args), zoneOf(ctx))),
  pure('make_time', [Int8, Int8, Float8], Time, (...args) => {
    const [hour = 0, minute = 0, second = 0] = args.map(Number);
    return checkClock(hour, minute, second);
  }),
  pure<[number]>('to_timestamp', [Float8], TimestampTz, fromEpoch),
  ...renders('to_char', toChar),
  ...renders('experimental_strftime', strftime),
  pure<[ByteString]>('parse_timestamp', [Text], Timestamp, (a) => parseTimestamp(text(a))),
  pure<[ByteString]>('parse_date', [Text], Day, (a) => parseDate(text(a))),
  pure<[ByteString]>('parse_interval', [Text], Interval, (a) => parseInterval(text(a))),
  pure<[I]>('justify_hours', [Interval], Interval, (a) => justifyHours(a)),
  pure<[I]>('justify_days', [Interval], Interval, (a) => justifyDays(a)),
  pure<[I]>('justify_interval', [Interval], Interval, (a) => justifyDays(justifyHours(a))),
  pure<[Int]>('isfinite', [Timestamp], Bool, (a) => !isInfinite(a)),
  pure<[Int]>('isfinite', [TimestampTz], Bool, (a) => !isInfinite(a), { preferred: true }),
  pure<[number]>('isfinite', [Day], Bool, (a) => !isInfinite(a)),
  contextual('cluster_logical_timestamp', [], Decimal, 'volatile', (ctx) => DecimalValue.of(BigInt(ctx.logicalTimestamp) * 10n ** 13n, 10)),
  contextual('follower_read_timestamp', [], TimestampTz, 'volatile', (ctx) => ctx.statementTimestamp - FOLLOWER_LAG_MICROS),
  contextual('experimental_follower_read_timestamp', [], TimestampTz, 'volatile', (ctx) => ctx.statementTimestamp - FOLLOWER_LAG_MICROS),
];

function justifyHours({ months, days, micros }: I): I {
  const whole = BigInt(micros) / BigInt(MICROS_PER_DAY);
  return new IntervalValue(months, days + Number(whole), BigInt(micros) - whole * BigInt(MICROS_PER_DAY));
}

function justifyDays({ months, days, micros }: I): I {
  const whole = Math.trunc(days / 30);
  return new IntervalValue(months + whole, days - whole * 30, micros);
}
