/**
 * LocalKv: the key-value layer of one process: a keyspace of stores, transactions over it, ranges
 * and nodes as metadata, and the GC that belongs to it. See kv.ts for what each call promises.
 */
import type { Bytes } from '../base/bytes.ts';
import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { sleep } from '../base/clock.ts';
import { isVarveError, StatementError } from '../base/errors.ts';
import { EventLog } from '../base/eventLog.ts';
import type { Executor } from '../base/executor.ts';
import { Hlc } from '../base/hlc.ts';
import { Activity } from '../base/idle.ts';
import type { Ids } from '../base/ids.ts';
import { ManualClock } from '../base/manualClock.ts';
import { MetricRegistry } from '../base/metrics.ts';
import type { Span } from '../base/span.ts';
import { intersectSpans } from '../base/span.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { formatForError, timestamp } from '../base/timestamp.ts';
import { GcController } from '../gc/gcController.ts';
import type { StoreStats } from '../mvcc/stats.ts';
import { addStats, emptyStats } from '../mvcc/stats.ts';
import { Cluster } from './cluster.ts';
import { SLICED_COMMIT_KEYS_MIN_DEFAULT } from './commit.ts';
import type { KvCore } from './core.ts';
import { isReadableAt, untilReadableAt } from './core.ts';
import type { Ancestor } from './forkPoint.ts';
import { exportPiece } from './exportSpan.ts';
import { CommitHooks } from './hooks.ts';
import { ingestRun } from './ingest.ts';
import { Keyspace } from './keyspace.ts';
import type {
  CommitHook,
  ExportOptions,
  ExportPiece,
  ForkOptions,
  IngestOptions,
  IngestRun,
  Kv,
  KvOptions,
  KvReader,
  RunOptions,
  ScanOptions,
  ScanResult,
  Txn,
  TxnOptions,
} from './kv.ts';
import { addDelay, KvMetrics } from './kvMetrics.ts';
import { formatLocality, parseLocality } from './locality.ts';
import { LockTable } from './lockTable.ts';
import { Memory } from './memory.ts';
import { Mounts } from './mounts.ts';
import { preferredNodes } from './rangePolicy.ts';
import { RangeQueue } from './rangeQueue.ts';
import type { RangeInfo } from './ranges.ts';
import { Ranges } from './ranges.ts';
import { getSnapshot, scanSnapshot } from './snapshotReads.ts';
import { LocalTxn } from './txn.ts';

/** How often run() tries by default. */
const ATTEMPTS_MAX = 50;
/** So many attempts follow each other at once; later ones wait on the clock. */
const IMMEDIATE_ATTEMPTS = 5;
const BACKOFF_MICROS_MAX = 100_000;
/** At most 2^6 turns of the event loop are let pass. */
const BACKOFF_EXPONENT_MAX = 6;

/** A new, empty cluster. */
export function openKv(options: KvOptions): Kv {
  return new LocalKv(options, undefined);
}

class LocalKv implements Kv, KvCore {
  readonly clusterId: string;
  readonly forkedFrom: string | undefined;
  readonly lineage: readonly Ancestor[];
  readonly hlc: Hlc;
  readonly clock: Clock;
  readonly executor: Executor;
  readonly activity: Activity;
  readonly ids: Ids;
  readonly metrics = new MetricRegistry();
  readonly events = new EventLog();
  readonly counts = new KvMetrics(this.metrics);
  readonly cluster: Cluster;
  readonly ranges: Ranges;
  readonly rangeQueue: RangeQueue;
  readonly gc: GcController;
  readonly memory: Memory;
  readonly keyspace: Keyspace;
  readonly locks: LockTable;
  readonly hooks = new CommitHooks();
  readonly mounts = new Mounts();
  readonly slicedCommitKeysMin: number;
  publication: KvCore['publication'];
  readonly #lockEscalationKeysMin: number | undefined;
  readonly #isReservedTable: (tableId: number) => boolean;

  constructor(options: KvOptions, parent: LocalKv | undefined) {
    this.clock = options.clock;
    this.executor = options.executor;
    this.ids = options.ids;
    this.activity = options.activity ?? (options.clock instanceof ManualClock ? options.clock.activity : new Activity());
    this.clusterId = options.clusterId ?? options.ids.uuid();
    this.forkedFrom = parent?.clusterId;
    this.lineage = parent ? [...parent.lineage, { clusterId: parent.clusterId, forkedAt: parent.hlc.last() }] : [];
    this.slicedCommitKeysMin = options.slicedCommitKeysMin ?? SLICED_COMMIT_KEYS_MIN_DEFAULT;
    this.#lockEscalationKeysMin = options.lockEscalationKeysMin;
    this.locks = new LockTable({ escalationKeysMin: this.#lockEscalationKeysMin, now: () => this.clock.nowMicros() });
    this.hlc = new Hlc(this.clock, parent?.hlc.last());
    this.cluster = new Cluster((options.localities ?? ['']).map(parseLocality), () => this.clock.nowMicros());
    this.ranges = new Ranges(
      () => this.cluster.liveLeases(),
      (tableId, indexId) => this.#liveBytesOf(tableId, indexId),
    );
    this.#isReservedTable = options.isReservedTable ?? (() => false);
    this.memory = new Memory(
      {
        limitBytes: options.memoryBytes ?? Number.POSITIVE_INFINITY,
        isReserved: this.#isReservedTable,
        stores: () => this.keyspace.entries().map((entry) => entry.store),
      },
      parent?.memory,
    );
    this.keyspace = new Keyspace((entry) => this.ranges.create(entry.span, entry.tableId, entry.indexId), this.memory.footprint);
    if (parent !== undefined) {
      this.keyspace.forkFrom(parent.keyspace);
      this.ranges.copyFrom(parent.ranges);
    }
    this.gc = new GcController({
      clock: this.clock,
      executor: this.executor,
      activity: this.activity,
      metrics: this.metrics,
      now: () => this.reading(),
      stores: {
        tableIds: () => this.keyspace.tableIds(),
        storesOf: (tableId) => this.keyspace.storesOfTable(tableId),
      },
      configs: parent?.gc.configs,
      protections: parent?.gc.protections.copy(),
    });
    this.rangeQueue = new RangeQueue({
      clock: this.clock,
      executor: this.executor,
      activity: this.activity,
      ranges: this.ranges,
      entries: () => this.keyspace.entries(),
    });
    this.ranges.preferredOf = (tableId, indexId, key, live) => {
      if (live.length === 1) return live;
      const preferences = this.rangeQueue.policy.leasePreferencesOf(tableId, indexId, key);
      if (preferences.length === 0) return live;
      const nodes = live.map((lease) => ({ lease, locality: this.cluster.node(lease.nodeId).locality }));
      return preferredNodes(nodes, preferences).map(({ lease }) => lease);
    };
    this.memory.useGc(this.gc);
    if (parent !== undefined) this.gc.thresholds.restoreFloors(parent.gc.thresholds.settledFloors());
    this.cluster.start(this.ranges);
  }

  reading(): Timestamp {
    return timestamp(Math.max(Math.floor(this.clock.nowMicros()), this.hlc.last()));
  }

  begin(options: TxnOptions = {}): Txn {
    return new LocalTxn(this, options);
  }

  at(ts: Timestamp, options: { readonly unchecked?: boolean } = {}): KvReader {
    this.#checkNotFuture(ts);
    this.hlc.forward(ts);
    return new SnapshotReader(this, ts, options.unchecked ?? false);
  }

  async run<T>(fn: (txn: Txn) => Promise<T>, options: RunOptions = {}): Promise<T> {
    const attemptsMax = options.attemptsMax ?? ATTEMPTS_MAX;
    for (let attempt = 1; ; attempt++) {
      options.signal?.throwIfAborted();
      const txn = this.begin(options);
      try {
        const result = await fn(txn);
        await txn.commit();
        return result;
      } catch (error) {
        txn.rollback();
        if (!isVarveError(error) || error.code !== SqlState.SerializationFailure || attempt >= attemptsMax) throw error;
      }
      await this.backoff(attempt, options.signal);
    }
  }

  async backoff(attempt: number, signal?: AbortSignal): Promise<void> {
    // Chance parts transactions that would otherwise meet again in step; time passes only for the
    // unlucky, and never on a clock that moves when told, where the wait might have no end.
    const turns = this.ids.randomInt8() % 2 ** Math.min(attempt, BACKOFF_EXPONENT_MAX);
    for (let i = 0; i <= turns; i++) await this.executor.yield();
    if (attempt < IMMEDIATE_ATTEMPTS || this.clock.isManual) return;
    await sleep(this.clock, Math.min(1_000 * 2 ** (attempt - IMMEDIATE_ATTEMPTS), BACKOFF_MICROS_MAX), signal, { holdsProcess: true });
  }

  addCommitHook(span: Span, hook: CommitHook): () => void {
    return this.hooks.add(span, hook);
  }

  async exportSpan(span: Span, start: Timestamp, end: Timestamp, options: ExportOptions): Promise<ExportPiece> {
    assert(start <= end, `export from ${start} to ${end}`);
    this.#checkNotFuture(end);
    this.hlc.forward(end);
    const waitsFrom = isReadableAt(this, end) ? undefined : this.clock.nowMicros();
    await untilReadableAt(this, end);
    if (waitsFrom !== undefined) addDelay(this.counts.exportDelay, this.clock, waitsFrom);
    const mounted = this.mounts.sourceOf(span.key);
    if (mounted !== undefined) return await mounted.export(span, start, end, options);
    return exportPiece(this, span, start, end, options);
  }

  ingest(run: IngestRun, options: IngestOptions = {}): Promise<Timestamp> {
    return ingestRun(this, run, options);
  }

  clearTable(tableId: number, options: { readonly neverPublic?: boolean } = {}): void {
    this.publication?.finishNow();
    for (const entry of this.keyspace.storesOfTable(tableId)) {
      this.keyspace.drop(entry);
      this.ranges.drop(entry.span);
    }
    if (options.neverPublic) this.gc.thresholds.forget(tableId);
    else this.gc.thresholds.closeHistory(tableId, this.hlc.now());
  }

  clearIndex(tableId: number, indexId: number): void {
    this.publication?.finishNow();
    for (const entry of this.keyspace.storesOfTable(tableId)) {
      if (entry.indexId !== indexId) continue;
      this.keyspace.drop(entry);
      this.ranges.drop(entry.span);
    }
  }

  rangesOf(span: Span): RangeInfo[] {
    return this.ranges.overlapping(span);
  }

  ensureRange(key: Bytes): void {
    if (this.mounts.sourceOf(key) === undefined) this.keyspace.ensure(key);
  }

  stats(span: Span): StoreStats {
    const stats = emptyStats();
    const mounted = this.mounts.sourceOf(span.key)?.estimate(span);
    if (mounted !== undefined) return { ...stats, liveKeys: mounted.keys, totalKeys: mounted.keys, liveBytes: mounted.bytes };
    for (const { store, span: whole } of this.keyspace.overlapping(span)) {
      const part = intersectSpans(span, whole);
      if (part !== undefined) addStats(stats, store.statsOf(part));
    }
    return stats;
  }

  changesSince(span: Span, after: Timestamp): number {
    let count = 0;
    for (const { store } of this.keyspace.overlapping(span)) count += store.changeCount(after);
    return count;
  }

  tableIds(): number[] {
    return this.keyspace.tableIds();
  }

  fork(options: ForkOptions = {}): Kv {
    this.publication?.finishNow();
    // Both sides go on above one timestamp, so what each has beyond it is its own (forkPoint.ts).
    this.hlc.forward(this.reading());
    const clock = options.clock ?? (this.clock.isManual ? new ManualClock(this.clock.nowMicros()) : this.clock);
    return new LocalKv(
      {
        clock,
        executor: options.executor ?? this.executor,
        ids: options.ids ?? this.ids,
        activity: options.activity ?? (clock === this.clock ? this.activity : undefined),
        clusterId: options.clusterId,
        localities: this.cluster.nodes.map((node) => formatLocality(node.locality)),
        slicedCommitKeysMin: this.slicedCommitKeysMin,
        lockEscalationKeysMin: this.#lockEscalationKeysMin,
        isReservedTable: this.#isReservedTable,
      },
      this,
    );
  }

  check(): string[] {
    const broken = this.ranges.check();
    for (const { store, tableId, indexId } of this.keyspace.entries()) {
      for (const problem of store.check()) broken.push(`/Table/${tableId}/${indexId}: ${problem}`);
    }
    return broken;
  }

  close(): void {
    this.gc.close();
    this.rangeQueue.close();
    this.cluster.close();
    this.memory.close();
  }

  #checkNotFuture(ts: Timestamp): void {
    const now = this.reading();
    if (ts <= now) return;
    throw new StatementError(
      SqlState.InvalidParameterValue,
      `AS OF SYSTEM TIME: cannot specify timestamp in the future (${formatForError(ts)} > ${formatForError(now)})`,
    );
  }

  #liveBytesOf(tableId: number, indexId: number): number {
    for (const entry of this.keyspace.storesOfTable(tableId)) if (entry.indexId === indexId) return entry.store.stats().liveBytes;
    return 0;
  }
}

/** A read at a fixed time, outside any transaction. */
class SnapshotReader implements KvReader {
  readonly readTimestamp: Timestamp;
  readonly #core: KvCore;
  readonly #unchecked: boolean;

  constructor(core: KvCore, ts: Timestamp, unchecked: boolean) {
    this.#core = core;
    this.readTimestamp = ts;
    this.#unchecked = unchecked;
  }

  getNow(keys: readonly Bytes[]): (Bytes | undefined)[] | undefined {
    if (this.#core.mounts.sourceOf(keys[0]) !== undefined) return undefined;
    return isReadableAt(this.#core, this.readTimestamp) ? getSnapshot(this.#core, keys, this.readTimestamp, this.#unchecked) : undefined;
  }

  async get(keys: readonly Bytes[]): Promise<(Bytes | undefined)[]> {
    const mounted = this.#core.mounts.sourceOf(keys[0]);
    if (mounted !== undefined) return await mounted.get(keys, this.readTimestamp);
    await untilReadableAt(this.#core, this.readTimestamp);
    return getSnapshot(this.#core, keys, this.readTimestamp, this.#unchecked);
  }

  async scan(span: Span, options: ScanOptions = {}): Promise<ScanResult> {
    const mounted = this.#core.mounts.sourceOf(span.key);
    if (mounted !== undefined) return await mounted.scan(span, this.readTimestamp, options);
    await untilReadableAt(this.#core, this.readTimestamp);
    const { rows, resume } = await scanSnapshot(this.#core, span, this.readTimestamp, { ...options, unchecked: this.#unchecked });
    return { keys: rows.keys, values: rows.values as Bytes[], timestamps: rows.timestamps, resume };
  }
}
