/**
 * to_char of numbers and intervals, to_number, to_date and to_timestamp by pattern, and the makers of dates and intervals
 * that date.ts does not have.
 */
import { type Bytes as ByteString, utf8Decode, utf8Encode } from '../../../base/bytes.ts';
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { type Datum, Decimal as DecimalValue, Interval as IntervalValue, TimeTz as TimeTzValue } from '../../../catalog/datum.ts';
import {
  fromLocal,
  isInfinite,
  joinMicros,
  offsetZone,
  requireTimeZone,
  splitMicros,
  subtractTimestamps,
  toLocal,
} from '../../../catalog/datetime.ts';
import { parseTime, parseTimeTz } from '../../../catalog/datetimeText.ts';
import { MICROS_PER_DAY, MICROS_PER_SECOND } from '../../../catalog/interval.ts';
import { Bool, contextual, Day, Decimal, Float8, Int8, Interval, pure, Text, Time, Timestamp, TimestampTz, TimeTz } from '../define.ts';
import type { Int } from '../intArithmetic.ts';
import { numberToChar, toNumber } from '../numberPattern.ts';
import type { Overload } from '../overload.ts';
import { parseByPattern } from '../parsePattern.ts';
import { zoneOf } from '../sessionZone.ts';
import { intervalToChar } from '../toChar.ts';
import { makeLocal } from './date.ts';

const text = (bytes: Datum | undefined): string => utf8Decode(bytes as ByteString);

/** The start of the stride that a moment lies in, counted from an origin. 22023/0A000 for strides without a fixed length. */
function bin(stride: IntervalValue, at: Int, origin: Int): Int {
  if (stride.months !== 0) {
    throw new StatementError(SqlState.FeatureNotSupported, 'timestamps cannot be binned into intervals containing months or years');
  }
  const width = BigInt(stride.micros) + BigInt(stride.days) * BigInt(MICROS_PER_DAY);
  if (width <= 0n) throw new StatementError(SqlState.DatetimeFieldOverflow, 'stride must be greater than zero');
  if (isInfinite(at)) return at;
  if (isInfinite(origin)) throw new StatementError(SqlState.DatetimeFieldOverflow, 'origin out of range');
  const { days, micros } = subtractTimestamps(at, origin);
  const distance = BigInt(micros) + BigInt(days) * BigInt(MICROS_PER_DAY);
  const rest = ((distance % width) + width) % width;
  const moved = BigInt(at) - rest;
  const { days: wholeDays, micros: inDay } = splitMicros(moved);
  return joinMicros(wholeDays, inDay);
}

/** years, months, weeks, days, hours, minutes, seconds: all but the last whole. */
function makeInterval(args: readonly Datum[]): IntervalValue {
  const [years = 0, months = 0, weeks = 0, days = 0, hours = 0, minutes = 0, seconds = 0] = args.map(Number);
  const micros = (hours * 3600 + minutes * 60) * MICROS_PER_SECOND + Math.round(seconds * MICROS_PER_SECOND);
  return new IntervalValue(years * 12 + months, weeks * 7 + days, BigInt(micros));
}

const INTERVAL_PARTS = [Int8, Int8, Int8, Int8, Int8, Int8, Float8];

export const patternFunctions: readonly Overload[] = [
  pure<[Int, ByteString]>('to_char', [Int8, Text], Text, (value, pattern) =>
    utf8Encode(numberToChar(DecimalValue.fromInt(value), text(pattern))),
  ),
  pure<[DecimalValue, ByteString]>('to_char', [Decimal, Text], Text, (value, pattern) => utf8Encode(numberToChar(value, text(pattern)))),
  pure<[number, ByteString]>('to_char', [Float8, Text], Text, (value, pattern) =>
    utf8Encode(numberToChar(DecimalValue.fromFloat(value), text(pattern))),
  ),
  pure<[IntervalValue, ByteString]>('to_char', [Interval, Text], Text, (value, pattern) =>
    utf8Encode(intervalToChar(value, text(pattern))),
  ),
  pure<[ByteString, ByteString]>('to_number', [Text, Text], Decimal, (source, pattern) => toNumber(text(source), text(pattern))),
  pure<[ByteString, ByteString]>('to_date', [Text, Text], Day, (source, pattern) => parseByPattern(text(source), text(pattern)).days),
  contextual('to_timestamp', [Text, Text], TimestampTz, 'stable', (ctx, source, pattern) => {
    const { local, offsetSeconds } = parseByPattern(text(source), text(pattern));
    return fromLocal(local, offsetSeconds === undefined ? zoneOf(ctx) : offsetZone(offsetSeconds));
  }),
  pure<[ByteString]>('parse_time', [Text], Time, (source) => parseTime(text(source))),
  pure<[ByteString]>('parse_timetz', [Text], TimeTz, (source) => {
    const { micros, offsetSeconds } = parseTimeTz(text(source));
    return new TimeTzValue(micros, offsetSeconds);
  }),
  pure<[IntervalValue, Int, Int]>('date_bin', [Interval, Timestamp, Timestamp], Timestamp, bin),
  pure<[IntervalValue, Int, Int]>('date_bin', [Interval, TimestampTz, TimestampTz], TimestampTz, bin, { preferred: true }),
  ...INTERVAL_PARTS.map((_, i) => pure('make_interval', INTERVAL_PARTS.slice(0, i + 1), Interval, (...args) => makeInterval(args))),
  pure('make_interval', [], Interval, () => makeInterval([])),
  pure('make_timestamptz', [Int8, Int8, Int8, Int8, Int8, Float8, Text], TimestampTz, (...args) =>
    fromLocal(makeLocal(args.slice(0, 6)), requireTimeZone(text(args[6]))),
  ),
  pure<[IntervalValue]>('isfinite', [Interval], Bool, () => true),
  contextual('timezone', [Text, Time], TimeTz, 'stable', (ctx, zone, micros) => {
    const to = requireTimeZone(text(zone));
    const own = zoneOf(ctx);
    const day = splitMicros(toLocal(ctx.transactionTimestamp, own)).days;
    const offset = to.offsetAt(day * 86400);
    const moved = (micros as number) + (offset - own.offsetAt(day * 86400)) * MICROS_PER_SECOND;
    return new TimeTzValue(((moved % MICROS_PER_DAY) + MICROS_PER_DAY) % MICROS_PER_DAY, offset);
  }),
];
