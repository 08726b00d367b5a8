/**
 * Arithmetic on dates, times and intervals. Months and days count on the calendar, in the session's
 * time zone where the type has one.
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { type Decimal as DecimalValue, Interval as IntervalValue, TimeTz as TimeTzValue } from '../../../catalog/datum.ts';
import { addInterval, addIntervalInZone, fromLocal, isInfinite, joinMicros } from '../../../catalog/datetime.ts';
import { MICROS_PER_DAY } from '../../../catalog/interval.ts';
import { contextual, Day, Decimal, Float8, Int8, Interval, pure, Time, Timestamp, TimestampTz, TimeTz } from '../define.ts';
import { divisionByZero, type Int } from '../intArithmetic.ts';
import type { Overload } from '../overload.ts';
import { zoneOf } from '../sessionZone.ts';

type I = IntervalValue;
type D = DecimalValue;

/** Midnight of a date as a timestamp; infinities stay. */
export function dateToMicros(days: number): number | bigint {
  return isInfinite(days) ? days : joinMicros(days, 0);
}

function shiftDate(days: number, by: Int): number {
  const shifted = days + Number(by);
  if (Number.isFinite(days) && Math.abs(shifted) > 2_147_483_647) {
    throw new StatementError(SqlState.DatetimeFieldOverflow, 'date is out of range');
  }
  return shifted;
}

/** The difference as days and the rest of a day. */
export function differenceOf(a: Int, b: Int): I {
  if (isInfinite(a) || isInfinite(b)) throw new StatementError(SqlState.DatetimeFieldOverflow, 'cannot subtract infinite timestamps');
  const micros = BigInt(a) - BigInt(b);
  const days = micros / BigInt(MICROS_PER_DAY);
  return new IntervalValue(0, Number(days), micros - days * BigInt(MICROS_PER_DAY));
}

function wrapTime(micros: number, by: Int): number {
  const day = BigInt(MICROS_PER_DAY);
  const moved = (BigInt(micros) + BigInt(by)) % day;
  return Number(moved < 0n ? moved + day : moved);
}

function commuted(overload: Overload): Overload[] {
  const [a, b] = overload.params;
  const { fn } = overload;
  if (!a || !b || !fn) return [overload];
  return [overload, { ...overload, params: [b, a], fn: (ctx, x, y) => fn(ctx, y as never, x as never) }];
}

const divideInterval = (a: I, b: number): I => {
  if (b === 0) throw divisionByZero();
  return a.times(1 / b);
};

export const temporalOperators: readonly Overload[] = [
  ...commuted(pure<[number, Int]>('+', [Day, Int8], Day, shiftDate)),
  ...commuted(pure<[number, I]>('+', [Day, Interval], Timestamp, (a, b) => addInterval(dateToMicros(a), b))),
  ...commuted(pure<[number, number]>('+', [Day, Time], Timestamp, (a, b) => (isInfinite(a) ? a : joinMicros(a, b)))),
  ...commuted(
    pure<[number, TimeTzValue]>('+', [Day, TimeTz], TimestampTz, (a, b) =>
      isInfinite(a) ? a : joinMicros(a, b.micros - b.offsetSeconds * 1e6),
    ),
  ),
  ...commuted(pure<[Int, I]>('+', [Timestamp, Interval], Timestamp, addInterval)),
  ...commuted(
    contextual('+', [TimestampTz, Interval], TimestampTz, 'stable', (ctx, a, b) => addIntervalInZone(a as Int, b as I, zoneOf(ctx))),
  ),
  ...commuted(pure<[number, I]>('+', [Time, Interval], Time, (a, b) => wrapTime(a, b.micros))),
  ...commuted(
    pure<[TimeTzValue, I]>('+', [TimeTz, Interval], TimeTz, (a, b) => new TimeTzValue(wrapTime(a.micros, b.micros), a.offsetSeconds)),
  ),
  pure<[I, I]>('+', [Interval, Interval], Interval, (a, b) => a.plus(b)),

  pure<[number, Int]>('-', [Day, Int8], Day, (a, b) => shiftDate(a, -Number(b))),
  pure<[number, number]>('-', [Day, Day], Int8, (a, b) => {
    if (isInfinite(a) || isInfinite(b)) throw new StatementError(SqlState.DatetimeFieldOverflow, 'cannot subtract infinite dates');
    return a - b;
  }),
  pure<[number, number]>('-', [Day, Time], Timestamp, (a, b) => (isInfinite(a) ? a : joinMicros(a, -b))),
  pure<[number, I]>('-', [Day, Interval], Timestamp, (a, b) => addInterval(dateToMicros(a), b.negated())),
  pure<[number, number]>('-', [Time, Time], Interval, (a, b) => new IntervalValue(0, 0, a - b)),
  pure<[number, I]>('-', [Time, Interval], Time, (a, b) => wrapTime(a, -BigInt(b.micros))),
  pure<[TimeTzValue, I]>(
    '-',
    [TimeTz, Interval],
    TimeTz,
    (a, b) => new TimeTzValue(wrapTime(a.micros, -BigInt(b.micros)), a.offsetSeconds),
  ),
  pure<[Int, Int]>('-', [Timestamp, Timestamp], Interval, differenceOf),
  pure<[Int, Int]>('-', [TimestampTz, TimestampTz], Interval, differenceOf),
  contextual('-', [Timestamp, TimestampTz], Interval, 'stable', (ctx, a, b) => differenceOf(fromLocal(a as Int, zoneOf(ctx)), b as Int)),
  contextual('-', [TimestampTz, Timestamp], Interval, 'stable', (ctx, a, b) => differenceOf(a as Int, fromLocal(b as Int, zoneOf(ctx)))),
  pure<[Int, I]>('-', [Timestamp, Interval], Timestamp, (a, b) => addInterval(a, b.negated())),
  contextual('-', [TimestampTz, Interval], TimestampTz, 'stable', (ctx, a, b) =>
    addIntervalInZone(a as Int, (b as I).negated(), zoneOf(ctx)),
  ),
  pure<[I, I]>('-', [Interval, Interval], Interval, (a, b) => a.minus(b)),

  ...commuted(pure<[I, Int]>('*', [Interval, Int8], Interval, (a, b) => a.times(Number(b)))),
  ...commuted(pure<[I, number]>('*', [Interval, Float8], Interval, (a, b) => a.times(b))),
  ...commuted(pure<[I, D]>('*', [Interval, Decimal], Interval, (a, b) => a.times(b.toNumber()))),
  pure<[I, Int]>('/', [Interval, Int8], Interval, (a, b) => divideInterval(a, Number(b))),
  pure<[I, number]>('/', [Interval, Float8], Interval, divideInterval),
];
