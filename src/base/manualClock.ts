/**
 * ManualClock: time that moves only when told.
 *
 * advance() and set() fire one due timer after another in (due time, order of creation), and after
 * each wait until no effect is runnable (idle.ts), so what a timer starts is finished before the
 * next one fires, and a simulated year costs only its events. Calls queue behind each other.
 */
import type { Clock, Timer } from './clock.ts';
import { parseDuration } from './duration.ts';
import { StateError, StatementError } from './errors.ts';
import { Activity } from './idle.ts';
import { SqlState } from './sqlState.ts';
import type { Timestamp } from './timestamp.ts';
import { formatUtc, timestamp } from './timestamp.ts';

interface ManualTimer {
  readonly due: number;
  readonly order: number;
  readonly callback: () => void;
}

/** A moment: ISO 8601 text (UTC unless it says otherwise), a Date, or microseconds since the epoch. */
export type Moment = string | Date | number | Timestamp;

export class ManualClock implements Clock {
  readonly isManual = true;
  /** Where the system that runs on this clock registers its runnable effects. */
  readonly activity: Activity;
  #now: number;
  #timerCount = 0;
  /** Sorted by (due, order). */
  readonly #timers: ManualTimer[] = [];
  #queue: Promise<void> = Promise.resolve();

  constructor(start: Moment, activity: Activity = new Activity({ isSimulated: true })) {
    this.#now = momentToMicros(start);
    this.activity = activity;
  }

  nowMicros(): number {
    return this.#now;
  }

  /** Due timers fire at the next advance() or set(), also one with no delay. */
  setTimer(delayMicros: number, callback: () => void): Timer {
    const timer = { due: this.#now + Math.max(0, Math.ceil(delayMicros)), order: this.#timerCount++, callback };
    // Orders only grow, so the place is after every timer due no later.
    let low = 0;
    let high = this.#timers.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#timers[middle]?.due ?? 0) <= timer.due) low = middle + 1;
      else high = middle;
    }
    this.#timers.splice(low, 0, timer);
    return {
      cancel: () => {
        const index = this.#timers.indexOf(timer);
        if (index >= 0) this.#timers.splice(index, 1);
      },
    };
  }

  /** When the next timer is due, in microseconds; undefined without timers. */
  nextDue(): number | undefined {
    return this.#timers[0]?.due;
  }

  /** Moves time by a duration such as '25h' or '1h30m', or by microseconds. Throws 22023 on a bad or negative one. */
  advance(interval: string | number): Promise<void> {
    const micros = typeof interval === 'number' ? interval : parseDuration(interval);
    if (!Number.isSafeInteger(micros) || micros < 0) {
      const error = new StatementError(SqlState.InvalidParameterValue, `a clock moves forwards only, not by ${interval}`);
      return Promise.reject(error);
    }
    return this.#enqueue(() => momentToMicros(this.#now + micros));
  }

  /** Moves time to a moment. Throws 55000 when it lies in the past, as momentToMicros() what is no moment. */
  async set(time: Moment): Promise<void> {
    const target = momentToMicros(time);
    return this.#enqueue(() => {
      if (target < this.#now) {
        throw new StateError(SqlState.ObjectNotInPrerequisiteState, 'a clock moves forwards only', {
          detail: `asked for ${formatUtc(timestamp(target))}, the clock shows ${formatUtc(timestamp(this.#now))}`,
        });
      }
      return target;
    });
  }

  #enqueue(target: () => number): Promise<void> {
    const run = this.#queue.then(() => this.#moveTo(target));
    this.#queue = run.catch(() => {});
    return run;
  }

  async #moveTo(target: () => number): Promise<void> {
    await this.activity.settled();
    const end = target();
    for (let next = this.#timers[0]; next && next.due <= end; next = this.#timers[0]) {
      this.#timers.shift();
      this.#now = Math.max(this.#now, next.due);
      next.callback();
      await this.activity.settled();
    }
    this.#now = end;
    await this.activity.settled();
  }
}

/**
 * Microseconds since the epoch; a Date counts milliseconds, text may have six fractional digits.
 * Throws 22007 on what is no time, 22023 on one outside 1970 to 2255.
 */
export function momentToMicros(moment: Moment): Timestamp {
  const micros = moment instanceof Date ? moment.getTime() * 1000 : typeof moment === 'string' ? textToMicros(moment) : moment;
  if (typeof micros !== 'number' || Number.isNaN(micros)) {
    const text = typeof moment === 'string' ? `"${moment}"` : String(moment);
    throw new StatementError(SqlState.InvalidDatetimeFormat, `cannot read ${text} as a time`, {
      hint: 'write it as 2026-11-20T12:00:00Z',
    });
  }
  if (!Number.isSafeInteger(micros) || micros < 0) {
    throw new StatementError(SqlState.InvalidParameterValue, 'a clock shows whole microseconds from 1970 to 2255', {
      detail: `asked for ${typeof moment === 'string' ? moment : `${micros} microseconds`}`,
    });
  }
  return timestamp(micros);
}

/** NaN for what is no time, a day that its month does not have included. */
function textToMicros(text: string): number {
  const match = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?$/i.exec(text.trim());
  const [, day, time = '00:00:00', fraction = '', offset = 'Z'] = match ?? [];
  const midnight = Date.parse(`${day}T00:00:00Z`);
  if (Number.isNaN(midnight) || new Date(midnight).toISOString().slice(0, 10) !== day) return Number.NaN;
  const zone = /^z$/i.test(offset) ? 'Z' : offset.length === 3 ? `${offset}:00` : offset;
  return Date.parse(`${day}T${time}${zone}`) * 1000 + Number(fraction.padEnd(6, '0').slice(0, 6));
}
