/**
 * GcController: garbage collection of one cluster: thresholds first, data after.
 *
 *   G1  a table's thresholds are settled, synchronously, before any of its versions goes
 *   G2  a protection that was verified and put stays honoured: both happen against the same index,
 *       without an await between them, inside the step that commits its record
 *   G3  what a run removes no read above the threshold can tell
 *
 * A run walks every store's change log up to its index's threshold, in slices, so it costs what
 * became garbage. Lives elsewhere: the bound (threshold.ts, thresholds.ts), records
 * (protectedTimestamps.ts), when to run (gcMachine.ts), which versions of a key go (mvcc/collect.ts).
 */
import type { Clock } from '../base/clock.ts';
import type { Executor } from '../base/executor.ts';
import type { Activity } from '../base/idle.ts';
import type { MetricRegistry } from '../base/metrics.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { StoreStats } from '../mvcc/stats.ts';
import { addStats, emptyStats, garbageBytes } from '../mvcc/stats.ts';
import type { Store } from '../mvcc/store.ts';
import type { GcActor } from './gcActor.ts';
import { createGcActor } from './gcActor.ts';
import { GcMetrics } from './gcMetrics.ts';
import type { ProtectionRecord } from './protectedTimestamps.ts';
import { covers, ProtectedTimestamps } from './protectedTimestamps.ts';
import type { SpanConfigs } from './spanConfigs.ts';
import { DEFAULT_SPAN_CONFIGS } from './spanConfigs.ts';
import { gcThreshold } from './threshold.ts';
import type { ThresholdExplanation } from './thresholds.ts';
import { REST_OF_TABLE, Thresholds } from './thresholds.ts';

/** The stores that GC works on; kv implements it. */
export interface GcStores {
  tableIds(): readonly number[];
  storesOf(tableId: number): Iterable<{ readonly indexId: number; readonly store: Store }>;
}

export interface GcControllerOptions {
  readonly clock: Clock;
  readonly executor: Executor;
  readonly activity: Activity;
  readonly stores: GcStores;
  readonly metrics: MetricRegistry;
  /** The HLC's reading. */
  readonly now: () => Timestamp;
  readonly configs?: SpanConfigs;
  /** What a fork starts with. */
  readonly protections?: ProtectedTimestamps;
}

export interface GcResult {
  readonly removedVersions: number;
  readonly removedBytes: number;
  /** Of each table that has data, by table id: up to there all of its history may be gone. */
  readonly thresholds: ReadonlyMap<number, Timestamp>;
}

/** What a user wants to know about the history of one table, or of an index with a TTL of its own. */
export interface GcExplanation extends ThresholdExplanation {
  readonly stats: StoreStats;
  readonly garbageBytes: number;
  /** Bytes that GC would take now if no protection covered the table. */
  readonly pinnedBytes: number;
  /** Every record that covers the table, oldest first. */
  readonly protections: readonly ProtectionRecord[];
}

/** Ten minutes of clock time between runs, as long as there is something to wait for. */
export const GC_INTERVAL_MICROS_DEFAULT = 10 * 60 * 1_000_000;
/** Log entries a collect call looks at: about a millisecond. */
const SLICE_ENTRIES = 2_000;

export class GcController {
  readonly protections: ProtectedTimestamps;
  readonly thresholds: Thresholds;
  readonly #options: GcControllerOptions;
  readonly #actor: GcActor;
  readonly #counts: GcMetrics;
  #intervalMicros = GC_INTERVAL_MICROS_DEFAULT;
  #configs: SpanConfigs;
  #stopListening: () => void;
  #running: Promise<GcResult> | undefined;
  readonly #afterRun = new Set<(result: GcResult) => void | Promise<void>>();

  constructor(options: GcControllerOptions) {
    this.#options = options;
    this.#configs = options.configs ?? DEFAULT_SPAN_CONFIGS;
    this.protections = options.protections ?? new ProtectedTimestamps();
    this.thresholds = new Thresholds(options.now, this.#configs, this.protections, () => options.stores.tableIds());
    this.#counts = new GcMetrics(options.metrics, () => this.#waitingGarbage());
    this.protections.onChange(() => this.noteGarbage());
    this.#stopListening = this.#configs.onBeforeChange(() => this.noteGarbage());
    this.#actor = createGcActor({
      clock: options.clock,
      intervalMicros: () => this.#intervalMicros,
      collect: async () => {
        await this.#run();
        return this.#hasWaitingGarbage();
      },
    });
  }

  /** The machine, for charts and traces. */
  get actor(): GcActor {
    return this.#actor;
  }

  get configs(): SpanConfigs {
    return this.#configs;
  }

  /** The catalog plugs its zones in; thresholds are settled under the old ones first. */
  useConfigs(configs: SpanConfigs): void {
    this.thresholds.useConfigs(configs);
    this.#stopListening();
    this.#configs = configs;
    this.#stopListening = configs.onBeforeChange(() => this.noteGarbage());
    this.noteGarbage();
  }

  get intervalMicros(): number {
    return this.#intervalMicros;
  }

  /** Counts from the next time the timer is armed. */
  set intervalMicros(micros: number) {
    this.#intervalMicros = Math.max(1, micros);
  }

  /** Starts the timer. */
  start(): void {
    this.#actor.send({ type: 'gc.start' });
  }

  /** Stops the timer; a run under way ends by itself. */
  stop(): void {
    this.#actor.send({ type: 'gc.stop' });
  }

  /** Ends the actor for good. */
  close(): void {
    this.stop();
    this.#stopListening();
    this.thresholds.close();
    this.#actor.stop();
  }

  /** Called after commits, and whenever garbage may have been freed: arms the timer if it is not. Cheap. */
  noteGarbage(): void {
    if (this.#actor.getSnapshot().value === 'idle') this.#actor.send({ type: 'gc.garbage' });
  }

  /**
   * Work at the end of each run, before it counts as done: removing dropped tables whose time has
   * come. In the order of registration; must not throw. Returns the function that removes it.
   */
  addAfterRun(work: (result: GcResult) => void | Promise<void>): () => void {
    this.#afterRun.add(work);
    return () => this.#afterRun.delete(work);
  }

  /** Collects now, up to the present thresholds. A call during a run waits for that run, then runs again. */
  async runGc(): Promise<GcResult> {
    while (this.#running !== undefined) await this.#running;
    const running = this.#run();
    // Lets the chart show it; the machine's own call joins this run.
    this.#actor.send({ type: 'gc.run' });
    return running;
  }

  /**
   * Throws 72000 when the record's time is at or below the threshold of a table it covers, or of
   * the catalog's history. Call it in the commit step that writes the record, then put the record
   * into `protections` in the same step.
   */
  verifyProtection(record: ProtectionRecord): void {
    for (const tableId of this.thresholds.tableIds()) {
      const config = this.thresholds.configOf(tableId);
      const isHeld = config.isCatalog === true || covers(record, tableId, config);
      if (isHeld && !this.thresholds.isReadable(tableId, record.ts)) {
        throw this.thresholds.errorFor(tableId, record.ts, 'protected ts verification error: timestamp');
      }
    }
  }

  /** What GC knows of one table: all of its data, and of its thresholds the highest. Cost: its versions when a protection holds it back, else nothing. */
  explain(tableId: number): GcExplanation {
    return this.#explain(tableId, this.thresholds.explain(tableId), () => true);
  }

  /** The same in parts: each index that has a TTL of its own, and before them the rest of the table. */
  explainParts(tableId: number): GcExplanation[] {
    const apart = this.thresholds.indexesApart(tableId);
    if (apart.length === 0) return [this.explain(tableId)];
    const rest = this.#explain(tableId, this.thresholds.explain(tableId, REST_OF_TABLE), (indexId) => !apart.includes(indexId));
    return [rest, ...apart.map((id) => this.#explain(tableId, this.thresholds.explain(tableId, id), (indexId) => indexId === id))];
  }

  #explain(tableId: number, explanation: ThresholdExplanation, has: (indexId: number) => boolean): GcExplanation {
    const stores = [...this.#options.stores.storesOf(tableId)].filter(({ indexId }) => has(indexId));
    const stats = emptyStats();
    for (const { store } of stores) addStats(stats, store.stats());
    const isHeld = explanation.oldestProtection !== undefined;
    const config = this.thresholds.configOf(tableId);
    return {
      ...explanation,
      stats,
      garbageBytes: garbageBytes(stats),
      pinnedBytes: isHeld ? this.#freedBytes(tableId, stores, undefined) : 0,
      protections: this.protections.list().filter((record) => covers(record, tableId, config)),
    };
  }

  /** Bytes that GC would take now if this record alone were released. Cost: the versions of the tables that it is the oldest of. */
  pinnedBy(record: ProtectionRecord): number {
    let bytes = 0;
    for (const tableId of this.thresholds.tableIds()) {
      if (this.thresholds.explain(tableId).oldestProtection?.id !== record.id) continue;
      const config = this.thresholds.configOf(tableId);
      const next = this.protections
        .list()
        .find((other) => other.id !== record.id && (config.isCatalog === true || covers(other, tableId, config)));
      bytes += this.#freedBytes(tableId, this.#options.stores.storesOf(tableId), next?.ts);
    }
    return bytes;
  }

  /** Bytes of these stores that GC could take besides if the oldest protection of the table were `oldest`. */
  #freedBytes(
    tableId: number,
    stores: Iterable<{ readonly indexId: number; readonly store: Store }>,
    oldest: Timestamp | undefined,
  ): number {
    let bytes = 0;
    for (const { indexId, store } of stores) {
      const { reason, now, ttlSeconds, threshold } = this.thresholds.explain(tableId, indexId);
      if (reason === 'protection')
        bytes += store.collectableBytes(gcThreshold(now, ttlSeconds, oldest)) - store.collectableBytes(threshold);
    }
    return bytes;
  }

  #run(): Promise<GcResult> {
    this.#running ??= this.#options.activity
      .during('gc', () => this.#collectAll())
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  async #collectAll(): Promise<GcResult> {
    const { stores, executor, clock } = this.#options;
    const thresholds = new Map<number, Timestamp>();
    const begin = clock.nowMicros();
    let removedVersions = 0;
    let removedBytes = 0;
    this.thresholds.settleAll();
    for (const tableId of [...stores.tableIds()]) {
      thresholds.set(tableId, this.thresholds.settle(tableId));
      for (const { indexId, store } of [...stores.storesOf(tableId)]) {
        const threshold = this.thresholds.of(tableId, indexId);
        for (let done = false; !done; ) {
          const result = this.#counts.failing(() => store.collect(store.span, threshold, { maxVersions: SLICE_ENTRIES }));
          removedVersions += result.removedVersions;
          removedBytes += result.removedBytes;
          done = result.done;
          if (executor.shouldYield()) await executor.yield();
        }
        this.#counts.collected.add();
      }
    }
    this.#counts.noteRun(removedVersions, removedBytes, clock.nowMicros() - begin);
    const result = { removedVersions, removedBytes, thresholds };
    for (const work of this.#afterRun) await work(result);
    return result;
  }

  /** Whether some table holds garbage, or was dropped, and no protection pins it, so that waiting will free it. */
  #hasWaitingGarbage(): boolean {
    for (const tableId of this.thresholds.tableIds()) {
      const isDropped = this.thresholds.configOf(tableId).droppedAt !== undefined;
      if (isDropped && this.thresholds.explain(tableId).reason !== 'protection') return true;
      for (const _ of this.#waitingStores(tableId)) return true;
    }
    return false;
  }

  /** How many indexes hold garbage that time alone will free. */
  #waitingGarbage(): number {
    let count = 0;
    for (const tableId of this.thresholds.tableIds()) for (const _ of this.#waitingStores(tableId)) count++;
    return count;
  }

  *#waitingStores(tableId: number): Generator<Store> {
    for (const { indexId, store } of this.#options.stores.storesOf(tableId)) {
      if (garbageBytes(store.stats()) > 0 && this.thresholds.explain(tableId, indexId).reason !== 'protection') yield store;
    }
  }
}
