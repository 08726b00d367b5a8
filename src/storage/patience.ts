/**
 * Patience: ends a request that does not move, on the injected clock. Counted is the time that the other side
 * lets us wait, between `enter` and `leave`; what a caller does with the bytes meanwhile is its own business.
 *
 * It looks once in every `limitMicros`, so a silent request ends after one to two of them: a timer for each
 * piece of a stream would cost more than the piece.
 */
import type { Clock, Timer } from '../base/clock.ts';

export class Patience {
  readonly #clock: Clock;
  readonly #limitMicros: number;
  readonly #onSilence: () => void;
  #timer: Timer | undefined;
  #waits = 0;
  #isWaiting = false;
  /** The wait that was under way at the last look. */
  #seen = 0;

  /** `onSilence` is called once at most. */
  constructor(clock: Clock, limitMicros: number, onSilence: () => void) {
    this.#clock = clock;
    this.#limitMicros = limitMicros;
    this.#onSilence = onSilence;
    this.#arm();
  }

  enter(): void {
    this.#waits++;
    this.#isWaiting = true;
  }

  leave(): void {
    this.#isWaiting = false;
  }

  /** Nothing is waited for any more. Idempotent. */
  end(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(): void {
    this.#timer = this.#clock.setTimer(this.#limitMicros, () => {
      if (this.#isWaiting && this.#seen === this.#waits) return this.#onSilence();
      this.#seen = this.#isWaiting ? this.#waits : 0;
      this.#arm();
    });
  }
}
