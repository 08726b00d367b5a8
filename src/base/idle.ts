/**
 * Activity: how a simulated clock knows that nothing can run any more at the present moment.
 *
 * Every effect that could run on without time moving registers itself: `const end = begin('export')`
 * before, `end()` after. An effect that waits for the clock, a lock, a pausepoint or a client does
 * not count while it waits: it wraps that wait in `suspend`. The statement that asks for time to
 * pass does the same. What runs in plain promise continuations needs no registration, because
 * settled() also lets several turns of the event loop pass.
 */
import { assert } from './assert.ts';

/** Event-loop turns that must pass quietly. A turn runs every continuation that is ready, so one
 * would do; the second lets what a socket or the thread pool has just delivered be taken up. */
const QUIET_TURNS = 2;

export class Activity {
  readonly #effects = new Set<{ readonly what: string }>();
  #suspended = 0;
  #beginCount = 0;
  #waiters: (() => void)[] = [];

  /** Registers a runnable effect; the returned function ends it, once. */
  begin(what: string): () => void {
    const effect = { what };
    this.#effects.add(effect);
    this.#beginCount++;
    return () => {
      if (this.#effects.delete(effect)) this.#changed();
    };
  }

  /** Runs `work` as a registered effect. */
  async during<T>(what: string, work: () => T | Promise<T>): Promise<T> {
    const end = this.begin(what);
    try {
      return await work();
    } finally {
      end();
    }
  }

  /** Awaits `wait` while one registered effect, the caller's, does not count as runnable. */
  async suspend<T>(wait: Promise<T>): Promise<T> {
    this.#suspended++;
    this.#changed();
    try {
      return await wait;
    } finally {
      this.#suspended--;
      this.#beginCount++;
    }
  }

  /** How many registered effects could run now. */
  get busy(): number {
    return this.#effects.size - this.#suspended;
  }

  /** What is registered, for the message when something never ends. */
  names(): string[] {
    return [...this.#effects].map((effect) => effect.what).sort();
  }

  /** Resolves once no effect is runnable and nothing started for QUIET_TURNS turns of the event loop. */
  async settled(): Promise<void> {
    for (;;) {
      const begun = this.#beginCount;
      for (let turn = 0; turn < QUIET_TURNS; turn++) await nextTurn();
      if (this.busy > 0) await new Promise<void>((resolve) => this.#waiters.push(resolve));
      else if (this.#beginCount === begun) return;
    }
  }

  #changed(): void {
    assert(this.busy >= 0, 'suspend was called by an effect that never began');
    if (this.busy > 0) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}

/** Resolves on the next turn of the event loop, after everything that is ready now has run. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
