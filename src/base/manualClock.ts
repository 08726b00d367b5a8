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
    return this.#enqueue(() => this.#now + micros);
  }

  /** Moves time to a moment. Throws 55000 when it lies in the past. */
  set(time: Moment): Promise<void> {
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

/** Microseconds since the epoch; a Date counts milliseconds, text may have six fractional digits. */
export function momentToMicros(moment: Moment): number {
  if (typeof moment === 'number') return timestamp(moment);
  if (moment instanceof Date) return timestamp(moment.getTime() * 1000);
  const match = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?$/i.exec(moment.trim());
  const zone = !match?.[4] || /^z$/i.test(match[4]) ? 'Z' : match[4].length === 3 ? `${match[4]}:00` : match[4];
  const millis = match ? Date.parse(`${match[1]}T${match[2] ?? '00:00:00'}${zone}`) : Number.NaN;
  if (Number.isNaN(millis) || millis < 0) {
    throw new StatementError(SqlState.InvalidDatetimeFormat, `cannot read "${moment}" as a time`, {
      hint: 'write it as 2026-11-20T12:00:00Z',
    });
  }
  return millis * 1000 + Number((match?.[3] ?? '').padEnd(6, '0').slice(0, 6));
}
