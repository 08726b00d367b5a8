/**
 * RangeQueue: splits ranges that have grown too large and merges neighbours that are small, by the
 * policy's sizes, on the clock. The work is synchronous range by range, so it never meets a commit.
 *
 *   RQ1  a cut lies where a row starts, strictly inside the range
 *   RQ2  a cut made by statement stays until it expires or UNSPLIT releases it
 *   RQ3  what a run splits the next one does not merge: a merge never makes a range that is too large
 *
 * A size counts every version's bytes, as CockroachDB's ranges do. Cost of a run: a look at each
 * index's totals; the versions of ranges only where a cut may go, or the index is too large for one.
 * Lives elsewhere: when to run (rangeQueueMachine.ts), what a split is (ranges.ts).
 */
import type { Actor } from 'xstate';
import { createActor } from 'xstate';

import type { Clock, Timer } from '../base/clock.ts';
import { MICROS_PER_SECOND } from '../base/duration.ts';
import type { Executor } from '../base/executor.ts';
import type { Activity } from '../base/idle.ts';
import type { IndexStore } from './keyspace.ts';
import { DEFAULT_RANGE_POLICY, type RangePolicy } from './rangePolicy.ts';
import { rangeQueueMachine } from './rangeQueueMachine.ts';
import type { RangeInfo, Ranges } from './ranges.ts';

export interface RangeQueueOptions {
  readonly clock: Clock;
  readonly executor: Executor;
  readonly activity: Activity;
  readonly ranges: Ranges;
  /** Every store there is. */
  entries(): readonly IndexStore[];
}

/** From a write to the look at what it made of the sizes. */
export const RANGE_QUEUE_INTERVAL_MICROS = 5 * MICROS_PER_SECOND;

type Effect = 'armTimer' | 'armExpiry' | 'cancelTimer' | 'look';

/** By actor: so one machine serves every cluster, and a fork builds none. */
const effectsOf = new WeakMap<object, Readonly<Record<Effect, () => void>>>();

const run =
  (effect: Effect) =>
  ({ self }: { self: object }): void =>
    effectsOf.get(self)?.[effect]();

const machine = rangeQueueMachine.provide({
  actions: { armTimer: run('armTimer'), armExpiry: run('armExpiry'), cancelTimer: run('cancelTimer'), look: run('look') },
});

export class RangeQueue {
  readonly actor: Actor<typeof rangeQueueMachine>;
  readonly #options: RangeQueueOptions;
  #policy: RangePolicy = DEFAULT_RANGE_POLICY;
  /** Kept beside the actor: a commit asks for it. */
  #isIdle = false;
  #expiry: number | undefined;
  #timer: Timer | undefined;
  readonly #afterLook: (() => Promise<void>)[] = [];

  constructor(options: RangeQueueOptions) {
    this.#options = options;
    this.actor = createActor(machine, { id: 'rangeQueue' });
    effectsOf.set(this.actor, {
      armTimer: () => this.#arm(RANGE_QUEUE_INTERVAL_MICROS),
      armExpiry: () => this.#arm((this.#expiry ?? 0) - options.clock.nowMicros()),
      cancelTimer: () => this.#timer?.cancel(),
      look: () => {
        void options.activity
          .during('range queue', async () => {
            const expiry = await this.run();
            for (const look of this.#afterLook) await look();
            return expiry;
          })
          .then((expiry) => {
            this.#expiry = expiry;
            this.actor.send({ type: 'queue.done', expiry });
          });
      },
    });
    this.actor.subscribe((snapshot) => {
      this.#isIdle = snapshot.value !== 'waiting' && snapshot.value !== 'off';
    });
    this.actor.start();
  }

  get policy(): RangePolicy {
    return this.#policy;
  }

  /** The catalog plugs its zones in. */
  usePolicy(policy: RangePolicy): void {
    this.#policy = policy;
    this.policyChanged();
  }

  /** Leases follow new preferences at once; sizes are looked at soon. */
  policyChanged(): void {
    for (const entry of this.#options.entries()) this.#cutParts(entry);
    this.#options.ranges.reassignLeases();
    this.noteWrites();
  }

  #arm(micros: number): void {
    this.#timer = this.#options.clock.setTimer(Math.max(1, micros), () => this.actor.send({ type: 'queue.tick' }));
  }

  start(): void {
    this.actor.send({ type: 'queue.start' });
  }

  close(): void {
    this.actor.send({ type: 'queue.stop' });
    this.actor.stop();
  }

  /** Called after each look: some time after writes, and not again before others. */
  addAfterLook(look: () => Promise<void>): void {
    this.#afterLook.push(look);
  }

  /** Called after commits. Cheap. */
  noteWrites(): void {
    if (this.#isIdle) this.actor.send({ type: 'queue.changed' });
  }

  /** Looks at every range now. Returns when the next cut expires by itself, if one will. */
  async run(): Promise<number | undefined> {
    const { executor, ranges } = this.#options;
    let expiry: number | undefined;
    for (const entry of this.#options.entries()) this.#cutParts(entry);
    ranges.reassignLeases();
    for (const entry of [...this.#options.entries()]) {
      const { minBytes, maxBytes } = this.#policy.sizesOf(entry.tableId, entry.indexId);
      const isOne = ranges.lookup(entry.span.key)?.span.endKey === entry.span.endKey;
      const isLarge = entry.store.stats().totalBytes > maxBytes;
      if (isOne && !isLarge) continue;
      this.#merge(entry, minBytes, maxBytes);
      for (const range of ranges.overlapping(entry.span)) {
        if (isLarge) this.#split(entry, range, maxBytes);
        if (range.splitUntil !== undefined && Number.isFinite(range.splitUntil))
          expiry = Math.min(expiry ?? range.splitUntil, range.splitUntil);
        if (executor.shouldYield()) await executor.yield();
      }
    }
    return expiry;
  }

  /** Cuts an index where a part begins that has lease preferences of its own. */
  #cutParts({ tableId, indexId }: IndexStore): void {
    for (const key of this.#policy.boundsOf(tableId, indexId)) this.#options.ranges.splitBySize(key);
  }

  /** Joins neighbours of which one is smaller than wanted. */
  #merge(entry: IndexStore, minBytes: number, maxBytes: number): void {
    const { ranges, clock } = this.#options;
    const bounds = this.#policy.boundsOf(entry.tableId, entry.indexId);
    const bytesOf = (range: RangeInfo) => entry.store.statsOf(range.span).totalBytes;
    let left: RangeInfo | undefined;
    let leftBytes: number | undefined;
    for (const right of ranges.overlapping(entry.span)) {
      const isCutToStay = right.splitUntil !== undefined && right.splitUntil > clock.nowMicros();
      const isFree = !isCutToStay && !bounds.includes(right.span.key);
      let rightBytes: number | undefined;
      if (left !== undefined && isFree) {
        leftBytes ??= bytesOf(left);
        rightBytes = bytesOf(right);
        const isWanted = Math.min(leftBytes, rightBytes) < minBytes && leftBytes + rightBytes <= maxBytes;
        if (isWanted && ranges.merge(left.span.key)) {
          leftBytes += rightBytes;
          continue;
        }
      }
      left = right;
      leftBytes = rightBytes;
    }
  }

  /** Halves a range until no part is too large, or only one row is left. */
  #split(entry: IndexStore, range: RangeInfo, maxBytes: number): void {
    const { ranges } = this.#options;
    const rest = [range.span];
    for (let span = rest.pop(); span !== undefined; span = rest.pop()) {
      if (entry.store.statsOf(span).totalBytes <= maxBytes) continue;
      const middle = entry.store.middleKey(span);
      const key = middle && this.#policy.rowStart(middle);
      if (key === undefined || key <= span.key || key >= span.endKey) continue;
      ranges.splitBySize(key);
      rest.push({ key: span.key, endKey: key }, { key, endKey: span.endKey });
    }
  }
}
