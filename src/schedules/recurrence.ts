/**
 * Recurrence: a crontab expression of five fields, or one of the forms @hourly to @yearly, as a function of time in UTC.
 *
 * croner reads the expression and finds times; it is never given anything to run, so it has no timers of its own.
 * Its `?` means the moment at which it reads; here it means any, as in other crontabs.
 */
import { Cron } from 'croner';

import { MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MILLI } from '../base/duration.ts';
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { type Timestamp, timestamp } from '../base/timestamp.ts';

/** Beyond this many, occurrences are counted by the period: nobody needs to know the last of half a million. */
const COUNTED_MAX = 10_000;

/** Expressions that were read before: a schedule's is asked for at each of its runs. A reader of times keeps no state. */
const CRONS = new Map<string, Cron>();
const CRONS_MAX = 256;

export class Recurrence {
  readonly text: string;
  readonly #cron: Cron;

  /** 22023 for what is no crontab expression, with croner's own words as detail, and for one that no day fulfils. */
  constructor(text: string) {
    this.text = text;
    const known = CRONS.get(text);
    if (known !== undefined) {
      this.#cron = known;
      return;
    }
    try {
      this.#cron = new Cron(text.replaceAll('?', '*'), { mode: '5-part', utcOffset: 0 });
    } catch (error) {
      throw new StatementError(
        SqlState.InvalidParameterValue,
        `error parsing schedule expression: ${JSON.stringify(text)}; it must be a valid cron expression`,
        {
          detail: error instanceof Error ? error.message : String(error),
          hint: "five fields (minute hour day month weekday) as in '*/15 * * * *', or @hourly, @daily, @weekly, @monthly, @yearly; all in UTC",
        },
      );
    }
    if (this.#cron.nextRun(new Date(0)) === null) {
      throw new StatementError(SqlState.InvalidParameterValue, `schedule expression ${JSON.stringify(text)} never runs`, {
        detail: 'there is no such day',
      });
    }
    if (CRONS.size >= CRONS_MAX) CRONS.clear();
    CRONS.set(text, this.#cron);
  }

  /** The first occurrence after a time; undefined at the end of the calendar. */
  next(after: Timestamp): Timestamp | undefined {
    const found = this.#cron.nextRun(new Date(Math.floor(after / MICROS_PER_MILLI)));
    return found === null ? undefined : timestamp(found.getTime() * MICROS_PER_MILLI);
  }

  /** The last occurrence at or before a time. */
  last(at: Timestamp): Timestamp | undefined {
    const [found] = this.#cron.previousRuns(1, new Date(Math.floor(at / MICROS_PER_MILLI) + 1));
    return found === undefined ? undefined : timestamp(found.getTime() * MICROS_PER_MILLI);
  }

  /** From the occurrence after a time to the one after that, in microseconds. */
  period(after: Timestamp): number {
    const first = this.next(after);
    const second = first === undefined ? undefined : this.next(first);
    return first === undefined || second === undefined ? Number.POSITIVE_INFINITY : second - first;
  }

  /** How many occurrences lie in (after, until]; beyond ten thousand an estimate. */
  count(after: Timestamp, until: Timestamp): number {
    let count = 0;
    for (let at = this.next(after); at !== undefined && at <= until; at = this.next(at)) {
      count++;
      if (count === COUNTED_MAX) return count + Math.floor((until - at) / this.period(at));
    }
    return count;
  }
}

/** How often a full backup is taken when nobody says: undefined means every time. */
export function defaultFullRecurrence(incrementalPeriod: number): '@daily' | '@weekly' | undefined {
  if (incrementalPeriod <= MICROS_PER_HOUR) return '@daily';
  return incrementalPeriod <= MICROS_PER_DAY ? '@weekly' : undefined;
}

/** 22023 unless incrementals come at least as often as fulls. */
export function checkFrequencies(incremental: Recurrence, full: Recurrence, now: Timestamp): void {
  if (incremental.period(now) > full.period(now)) {
    throw new StatementError(SqlState.InvalidParameterValue, 'incremental backups must occur more often than full backups', {
      detail: `incremental backups would come ${incremental.text}, full ones ${full.text}`,
    });
  }
}
