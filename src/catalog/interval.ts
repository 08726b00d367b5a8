/**
 * Interval: months, days and microseconds, kept apart because a month has no fixed number of days
 * and a day no fixed number of hours. Comparison takes a month as 30 days and a day as 24 hours,
 * as PostgreSQL and CockroachDB do; addition to a date or timestamp respects the calendar (datetime.ts).
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

export const MICROS_PER_SECOND = 1_000_000;
export const MICROS_PER_MINUTE = 60 * MICROS_PER_SECOND;
export const MICROS_PER_HOUR = 60 * MICROS_PER_MINUTE;
export const MICROS_PER_DAY = 24 * MICROS_PER_HOUR;
const DAYS_PER_MONTH = 30;
/** Of months and of days, as in PostgreSQL; microseconds have 64 bits. */
const PART_MAX = 2 ** 31 - 1;

export class Interval {
  readonly months: number;
  readonly days: number;
  /** Microseconds: an integer number while safe, else a bigint. */
  readonly micros: number | bigint;

  constructor(months: number, days: number, micros: number | bigint) {
    this.months = months;
    this.days = days;
    this.micros = typeof micros === 'bigint' && Number.isSafeInteger(Number(micros)) ? Number(micros) : micros;
  }

  static readonly Zero: Interval = new Interval(0, 0, 0);

  /** Total microseconds at 30 days a month and 24 hours a day: the sort key. */
  sortMicros(): bigint {
    return BigInt(this.months * DAYS_PER_MONTH + this.days) * BigInt(MICROS_PER_DAY) + BigInt(this.micros);
  }

  compare(other: Interval): number {
    const a = this.sortMicros();
    const b = other.sortMicros();
    return a < b ? -1 : a > b ? 1 : 0;
  }

  /** Throws 22008 beyond what an interval holds. */
  static #checked(months: number, days: number, micros: bigint): Interval {
    if (Math.abs(months) > PART_MAX || Math.abs(days) > PART_MAX || BigInt.asIntN(64, micros) !== micros) throw outOfRange();
    return new Interval(months, days, micros);
  }

  plus(other: Interval): Interval {
    return Interval.#checked(this.months + other.months, this.days + other.days, BigInt(this.micros) + BigInt(other.micros));
  }

  negated(): Interval {
    return new Interval(0 - this.months, 0 - this.days, -BigInt(this.micros));
  }

  minus(other: Interval): Interval {
    return this.plus(other.negated());
  }

  /** Multiplies. 22008 for a factor that is no number, or too large. A fraction of a month spills into days, a fraction of a day into microseconds. */
  times(factor: number): Interval {
    const months = this.months * factor;
    const wholeMonths = Math.trunc(months);
    const days = this.days * factor + (months - wholeMonths) * DAYS_PER_MONTH;
    const wholeDays = Math.trunc(roundTiny(days));
    const micros = Number(this.micros) * factor + (roundTiny(days) - wholeDays) * MICROS_PER_DAY;
    if (!Number.isFinite(wholeMonths + wholeDays + micros)) throw outOfRange();
    return Interval.#checked(wholeMonths, wholeDays, BigInt(Math.round(micros)));
  }
}

function outOfRange(): StatementError {
  return new StatementError(SqlState.DatetimeFieldOverflow, 'interval out of range');
}

// A product such as 0.1 * 30 misses a whole number of days by a few units in the last place.
function roundTiny(days: number): number {
  const nearest = Math.round(days);
  return Math.abs(days - nearest) < 1e-9 ? nearest : days;
}
