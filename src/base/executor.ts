/**
 * Executor: where work runs, and when a long loop lets others run.
 *
 * run() is for what leaves the main thread (compression, encryption, digests): Node's own async
 * calls inside `work` do that, run() bounds how many are under way. shouldYield() and yield() cut
 * long loops on the main thread into time slices. In production a slice is milliseconds of a
 * monotonic clock; under simulation it is a count of rows, and work runs inline, one after the
 * other, so a run is the same every time.
 */
import { Activity, nextTurn } from './idle.ts';

export interface Executor {
  /**
   * True under simulation: work uses the synchronous forms of what else would run on the thread pool,
   * whose order differs from run to run.
   */
  readonly isInline: boolean;
  /** Runs `work` when a worker is free; `name` shows in diagnostics. Rejects with what `work` throws. */
  run<T>(name: string, work: () => T | Promise<T>): Promise<T>;
  /** Ends a time slice: everything that is ready runs before this resolves. */
  yield(): Promise<void>;
  /** True when the present slice is used up. Cheap enough to ask for every few rows. */
  shouldYield(): boolean;
}

export interface PoolExecutorOptions {
  /** A monotonic reading in milliseconds. */
  readonly nowMs?: () => number;
  /** Milliseconds of main-thread work in one slice. */
  readonly sliceMs?: number;
  /** Works under way at once; Node's thread pool has four threads unless told otherwise. */
  readonly concurrencyMax?: number;
  readonly activity?: Activity;
}

/** The executor of production. */
export class PoolExecutor implements Executor {
  readonly isInline = false;
  readonly #nowMs: () => number;
  readonly #sliceMs: number;
  readonly #concurrencyMax: number;
  readonly #activity: Activity;
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #sliceStartMs: number;
  /** The turn for which everyone waits who has ended the present slice. */
  #nextSlice: Promise<void> | undefined;

  constructor(options: PoolExecutorOptions = {}) {
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#sliceMs = options.sliceMs ?? 5;
    this.#concurrencyMax = options.concurrencyMax ?? 4;
    this.#activity = options.activity ?? new Activity();
    this.#sliceStartMs = this.#nowMs();
  }

  async run<T>(name: string, work: () => T | Promise<T>): Promise<T> {
    const end = this.#activity.begin(name);
    try {
      if (this.#running < this.#concurrencyMax) this.#running++;
      else await new Promise<void>((resolve) => this.#waiting.push(resolve));
      try {
        return await work();
      } finally {
        // The place goes straight to the first in line, so a newcomer cannot overtake it.
        const next = this.#waiting.shift();
        if (next) next();
        else this.#running--;
      }
    } finally {
      end();
    }
  }

  async yield(): Promise<void> {
    const end = this.#activity.begin('time slice');
    // One slice for all: if each began its own, a turn would last as many slices as there are tasks.
    this.#nextSlice ??= nextTurn().then(() => {
      this.#nextSlice = undefined;
      this.#sliceStartMs = this.#nowMs();
    });
    await this.#nextSlice;
    end();
  }

  shouldYield(): boolean {
    return this.#nowMs() - this.#sliceStartMs >= this.#sliceMs;
  }
}

/** The executor of simulation: inline, in order, a slice being a number of questions asked. */
export class InlineExecutor implements Executor {
  readonly isInline = true;
  readonly #sliceCount: number;
  #asked = 0;
  #tail: Promise<unknown> = Promise.resolve();

  /** `sliceCount`: how many times shouldYield() says no before it says yes. */
  constructor(sliceCount = 1000) {
    this.#sliceCount = sliceCount;
  }

  run<T>(_name: string, work: () => T | Promise<T>): Promise<T> {
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => {});
    return result;
  }

  async yield(): Promise<void> {
    this.#asked = 0;
    await Promise.resolve();
  }

  shouldYield(): boolean {
    return ++this.#asked > this.#sliceCount;
  }
}
