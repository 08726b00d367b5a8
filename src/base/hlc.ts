/**
 * Hlc: the hybrid logical clock, the one source of ordered time.
 *
 *   H1  now() is unique and greater than every earlier now() and every forwarded timestamp
 *   H2  now() is never below physical time at the call
 *
 * Serving a read at T forwards the clock to T first, so no later commit can land at or below T:
 * that is the whole of the argument that a snapshot never changes.
 * Source: Kulkarni and others, "Logical Physical Clocks" (2014); one number serves both parts,
 * because a microsecond is finer than commits come.
 */
import type { Clock } from './clock.ts';
import type { Timestamp } from './timestamp.ts';
import { MIN_TIMESTAMP, timestamp } from './timestamp.ts';

export class Hlc {
  readonly #clock: Clock;
  #last: Timestamp;

  /** `start`: the first now() is above it. */
  constructor(clock: Clock, start: Timestamp = MIN_TIMESTAMP) {
    this.#clock = clock;
    this.#last = start;
  }

  /** A new timestamp: max(physical time, last + 1). */
  now(): Timestamp {
    this.#last = timestamp(Math.max(Math.floor(this.#clock.nowMicros()), this.#last + 1));
    return this.#last;
  }

  /** The present reading without a tick: no commit so far is above it unless time was forwarded by it. */
  last(): Timestamp {
    return this.#last;
  }

  /** After this no now() returns `ts` or less. */
  forward(ts: Timestamp): void {
    if (ts > this.#last) this.#last = ts;
  }
}
