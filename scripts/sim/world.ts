/**
 * World: the database under simulation, and all that it takes from outside.
 *
 *   W1  one thread, a manual clock, a seeded source of chance: the same seed runs the same way twice
 *   W2  who gets on first is chance too: storage calls and time slices last a random number of turns
 *       of the microtask queue, so that statements, jobs and GC meet in ever new places
 *   W3  everything that happens is in the trace, and the trace's digest tells two runs apart
 *
 * The commit timestamp of a statement comes from the transactions that it began: `attributed` runs it
 * in an asynchronous context that kv.begin() notes transactions in.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash } from 'node:crypto';

import { isVarveError } from '../../src/base/errors.ts';
import { toBuffer } from '../../src/base/bytes.ts';
import type { Clock, Timer } from '../../src/base/clock.ts';
import type { Executor } from '../../src/base/executor.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import type { Txn, TxnOptions } from '../../src/kv/kv.ts';
import { Database } from '../../src/server/database.ts';
import type { ExternalStorage, StorageOperation } from '../../src/storage/externalStorage.ts';
import { type FaultRule, FaultInjector } from '../../src/storage/faulty.ts';
import type { Dice } from './dice.ts';
import { Model, ModelError } from './model.ts';

export const START = '2026-11-20T12:00:00Z';
export const NODES = 3;
/** More than lie between a statement's end and what its client makes of it. */
const TURNS_TO_ACKNOWLEDGE = 20;

/** An invariant does not hold. Two failures of the same invariant count as the same when a trace is shortened. */
export class SimFailure extends Error {
  readonly invariant: string;

  constructor(invariant: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.invariant = invariant;
  }
}

/** The transactions that one statement began. */
export interface Stamp {
  readonly txns: Txn[];
}

/** A commit that a client has been told of, to be applied to the model in the order of timestamps. */
export interface AcknowledgedCommit {
  readonly ts: number;
  apply(): void;
}

const attribution = new AsyncLocalStorage<Stamp>();

/** Lets a number of turns of the microtask queue pass. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await undefined;
}

/** Waits for as long as something is under way, but for at most about so many turns. */
export async function turnsWhile(isBusy: () => boolean, turnsMax: number): Promise<void> {
  for (let waited = 0; isBusy() && waited < turnsMax; waited += 10) await turns(10);
}

/** Lets everything run that needs neither time nor a client to go on. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Inline, with slices and waits of random length. */
class SimExecutor implements Executor {
  readonly isInline = true;
  readonly #dice: Dice;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(dice: Dice) {
    this.#dice = dice;
  }

  run<T>(_name: string, work: () => T | Promise<T>): Promise<T> {
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => {});
    return result;
  }

  async yield(): Promise<void> {
    await turns(this.#dice.between(1, 6));
  }

  shouldYield(): boolean {
    return this.#dice.percent(10);
  }
}

/** Timers of retries that last a number of turns: a storage call that is tried again holds up nobody's time. */
class TurnClock implements Clock {
  readonly isManual = true;
  readonly #clock: Clock;
  readonly #dice: Dice;

  constructor(clock: Clock, dice: Dice) {
    this.#clock = clock;
    this.#dice = dice;
  }

  nowMicros(): number {
    return this.#clock.nowMicros();
  }

  setTimer(_delayMicros: number, callback: () => void): Timer {
    let isCanceled = false;
    void turns(this.#dice.between(1, 30)).then(() => {
      if (!isCanceled) callback();
    });
    return {
      cancel: () => {
        isCanceled = true;
      },
    };
  }
}

export class World {
  readonly db: Database;
  readonly clock: ManualClock;
  readonly dice: Dice;
  readonly faults: FaultInjector;
  readonly model = new Model();
  readonly counts = new Map<string, number>();
  readonly trace: string[] = [];
  /** Counts changes of the catalog that began or ended: statements planned before one may miss their table. */
  catalogChanges = 0;
  /** What the model knows of them. */
  knownChanges = 0;
  faultsOn = false;
  /** When faults were on; the last period has no end while they are. */
  readonly #faultPeriods: { readonly from: number; to: number }[] = [];
  readonly #hash = createHash('sha256');
  readonly #acknowledged: AcknowledgedCommit[] = [];
  readonly #judgements: (() => void)[] = [];
  /** Statements under way that may have committed what nobody has been told of. */
  readonly #open = new Set<Stamp>();
  #tracing: (line: string) => void;
  failure: SimFailure | undefined;

  private constructor(db: Database, clock: ManualClock, dice: Dice, faults: FaultInjector, tracing: (line: string) => void) {
    this.db = db;
    this.clock = clock;
    this.dice = dice;
    this.faults = faults;
    this.#tracing = tracing;
  }

  static async open(dice: Dice, tracing: (line: string) => void = () => {}): Promise<World> {
    const clock = new ManualClock(START);
    const faults = new FaultInjector({ rules: [], random: dice.fork('faults').random, clock, activity: clock.activity });
    const jitter = dice.fork('storage');
    const secure = dice.fork('secrets').random;
    const db = await Database.open({
      clock,
      seed: `sim ${dice.random.nextUint32()}`,
      localities: Array.from({ length: NODES }, (_, i) => `region=r${i + 1}`),
      executor: new SimExecutor(dice.fork('executor')),
      ioClock: new TurnClock(clock, dice.fork('io clock')),
      // A checkpoint every few rows, some of them inside a row: a crash rarely finds a restore at its start.
      restoreCheckpointBytes: dice.fork('checkpoints').pick([1, 30, 100]),
      // Keys and nonces that repeat: nothing here is secret.
      secureBytes: (count) => toBuffer(secure.bytes(count)),
      wrapStorage: (inner) => new SlowStorage(faults.wrap(inner), jitter),
    });
    const world = new World(db, clock, dice, faults, tracing);
    const { kv } = db;
    const begin = kv.begin.bind(kv);
    kv.begin = (options?: TxnOptions) => {
      const txn = begin(options);
      // Those of sessions have a priority; what draws ids or sequence values commits on its own.
      if (options?.priority !== undefined) attribution.getStore()?.txns.push(txn);
      return txn;
    };
    // What a statement sets off, such as a job, is not the statement.
    const during = kv.activity.during.bind(kv.activity);
    kv.activity.during = (what, work) => attribution.exit(() => during(what, work));
    return world;
  }

  get now(): number {
    return this.db.kv.reading();
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  note(line: string): void {
    this.trace.push(line);
    this.#hash.update(line).update('\n');
    this.#tracing(line);
  }

  /** Of everything noted so far. */
  digest(): string {
    return this.#hash.copy().digest('hex');
  }

  /** Remembers the first failure from a place that nobody awaits; the scheduler throws it. */
  fail(invariant: string, message: string, cause?: unknown): void {
    this.failure ??= new SimFailure(invariant, message, cause);
  }

  /** Runs a statement, noting the transactions it begins; `stamp` is complete when it ends. */
  async attributed<T>(stamp: Stamp, work: () => Promise<T>): Promise<T> {
    this.#open.add(stamp);
    try {
      return await attribution.run(stamp, work);
    } finally {
      // Whoever waits for it acknowledges its commit some turns from now, before the model may go past that.
      void turns(TURNS_TO_ACKNOWLEDGE).then(() => this.#open.delete(stamp));
    }
  }

  acknowledge(commit: AcknowledgedCommit): void {
    this.#acknowledged.push(commit);
  }

  /** Applies what has been acknowledged; false when a commit may not have been acknowledged yet, and nothing was applied. */
  catchUp(): boolean {
    for (const stamp of this.#open) if (committedWrite(stamp) !== undefined) return false;
    this.knownChanges = this.catalogChanges;
    this.#acknowledged.sort((a, b) => a.ts - b.ts);
    for (const commit of this.#acknowledged.splice(0)) {
      try {
        commit.apply();
      } catch (error) {
        if (error instanceof ModelError) throw new SimFailure('serializable', error.message, error);
        throw error;
      }
    }
    for (const judge of this.#judgements.splice(0)) judge();
    return true;
  }

  /** Runs a judgement once the model has caught up. */
  judgeLater(judge: () => void): void {
    this.#judgements.push(judge);
  }

  setFaults(rules: readonly FaultRule[]): void {
    this.faults.setRules(rules);
    const last = this.#faultPeriods.at(-1);
    if (this.faultsOn && last) last.to = this.now;
    this.faultsOn = rules.length > 0;
    if (this.faultsOn) this.#faultPeriods.push({ from: this.now, to: Number.POSITIVE_INFINITY });
  }

  /** Whether faults were on at some time from `from` on. */
  hadFaultsSince(from: number, to = Number.POSITIVE_INFINITY): boolean {
    return this.#faultPeriods.some((period) => from <= period.to && period.from <= to);
  }

  async close(): Promise<void> {
    await this.db.close();
  }
}

/** The last transaction of a statement that committed writes: its commit timestamp. */
export function committedWrite(stamp: Stamp): number | undefined {
  const txn = stamp.txns.findLast((one) => one.state === 'committed' && (one.commitTimestamp ?? 0) > one.readTimestamp);
  return txn?.commitTimestamp;
}

/** The timestamp at which a statement that only read did so. */
export function readTime(stamp: Stamp): number | undefined {
  return stamp.txns.findLast((one) => one.state === 'committed')?.commitTimestamp;
}

export function codeOf(error: unknown): string {
  return isVarveError(error) ? error.code : 'XX000';
}

export function tell(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { detail } = error as { detail?: string };
  return `${codeOf(error)} ${error.message}${detail ? ` (${detail})` : ''}`;
}

/** Makes each call last a random number of turns (W2). */
class SlowStorage implements ExternalStorage {
  readonly #inner: ExternalStorage;
  readonly #dice: Dice;

  constructor(inner: ExternalStorage, dice: Dice) {
    this.#inner = inner;
    this.#dice = dice;
  }

  get uri() {
    return this.#inner.uri;
  }
  get capabilities() {
    return this.#inner.capabilities;
  }

  async #slowly<T>(_operation: StorageOperation, work: () => Promise<T>): Promise<T> {
    await turns(this.#dice.between(0, 12));
    const result = await work();
    await turns(this.#dice.between(0, 12));
    return result;
  }

  write(...args: Parameters<ExternalStorage['write']>) {
    return this.#slowly('write', () => this.#inner.write(...args));
  }
  read(...args: Parameters<ExternalStorage['read']>) {
    return this.#slowly('read', () => this.#inner.read(...args));
  }
  async *readStream(...args: Parameters<ExternalStorage['readStream']>) {
    for await (const piece of this.#inner.readStream(...args)) {
      await turns(this.#dice.between(0, 12));
      yield piece;
    }
  }
  size(...args: Parameters<ExternalStorage['size']>) {
    return this.#slowly('size', () => this.#inner.size(...args));
  }
  list(...args: Parameters<ExternalStorage['list']>) {
    return this.#slowly('list', () => this.#inner.list(...args));
  }
  delete(...args: Parameters<ExternalStorage['delete']>) {
    return this.#slowly('delete', () => this.#inner.delete(...args));
  }
  close() {
    return this.#inner.close();
  }
}
