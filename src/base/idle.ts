/**
 * Activity: how a simulated clock knows that nothing can run any more at the present moment.
 *
 * Every effect that could run on without time moving registers itself: `const end = begin('export')`
 * before, `end()` after, or `during`. An effect that waits for the clock, a lock, a pausepoint or a
 * client does not count while it waits: whatever runs inside its `during` wraps that wait in
 * `suspend`. Who waits is known from the asynchronous context, so code that both effects and others
 * call, a storage say, wraps its waits without asking whose they are.
 *
 *   I1  an effect counts once, however many of its branches wait; as long as one does, it does not
 *       count. Branches that may work while others wait are effects of their own (`alongside`)
 *   I2  a wait of nobody's changes nothing
 *
 * What runs in plain promise continuations needs no registration, because settled() also lets
 * several turns of the event loop pass.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

/** Event-loop turns that must pass quietly. A turn runs every continuation that is ready, so one
 * would do; the second lets what a socket or the thread pool has just delivered be taken up. */
const QUIET_TURNS = 2;

interface Effect {
  readonly what: string;
  /** How many of its branches wait. */
  waits: number;
}

export class Activity {
  readonly #effects = new Set<Effect>();
  readonly #current: AsyncLocalStorage<Effect> | undefined;
  #suspended = 0;
  #beginCount = 0;
  #waiters: (() => void)[] = [];

  /** `isSimulated`: time passes on request, so somebody asks when all is settled. Otherwise waits are not counted, which costs nothing. */
  constructor(options: { readonly isSimulated?: boolean } = {}) {
    this.#current = options.isSimulated ? new AsyncLocalStorage() : undefined;
  }

  /** Registers a runnable effect, which never waits; the returned function ends it, once. */
  begin(what: string): () => void {
    const effect = this.#add(what);
    return () => this.#end(effect);
  }

  /** Runs `work` as a registered effect. */
  async during<T>(what: string, work: () => T | Promise<T>): Promise<T> {
    const effect = this.#add(what);
    try {
      return await (this.#current ? this.#current.run(effect, work) : work());
    } finally {
      this.#end(effect);
    }
  }

  /** Awaits `wait`; meanwhile the effect in whose `during` this is called, if any, does not count as runnable. */
  async suspend<T>(wait: Promise<T>): Promise<T> {
    const effect = this.#current?.getStore();
    if (effect === undefined || !this.#effects.has(effect)) return await wait;
    if (effect.waits++ === 0) this.#suspended++;
    this.#changed();
    try {
      return await wait;
    } finally {
      if (--effect.waits === 0 && this.#effects.has(effect)) this.#suspended--;
      this.#beginCount++;
    }
  }

  /** Runs works side by side, each as an effect of its own, while the caller's waits for them. */
  async alongside<T>(what: string, works: readonly (() => Promise<T>)[]): Promise<T[]> {
    return await this.suspend(Promise.all(works.map((work) => this.during(what, work))));
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

  #add(what: string): Effect {
    const effect = { what, waits: 0 };
    this.#effects.add(effect);
    this.#beginCount++;
    return effect;
  }

  #end(effect: Effect): void {
    if (!this.#effects.delete(effect)) return;
    if (effect.waits > 0) this.#suspended--;
    this.#changed();
  }

  #changed(): void {
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
