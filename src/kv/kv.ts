/**
 * Kv: the contract of the key-value layer. Types only; localKv.ts implements it (openKv).
 *
 * The layer knows keys, spans and timestamps, never tables' meaning or SQL text. It is asynchronous
 * per batch, never per row, so that another engine can stand behind it: read at a timestamp, commit
 * with a read set, export, ingest, clear, thresholds. Every key starts with `/Table/<id>/<index>`.
 *
 *   K1  a read at T never changes: serving it forwards the HLC to T, so no later commit lands at or below T
 *   K2  a commit at C saw nothing that a commit in (read timestamp, C] changed
 *   K3  a read at or below a touched table's GC threshold is refused with 72000, whether or not GC has run
 *   K4  nobody sees a transaction's writes before it commits, and then all of them at once
 */
import type { Bytes } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import type { Hlc } from '../base/hlc.ts';
import type { EventLog } from '../base/eventLog.ts';
import type { MetricRegistry } from '../base/metrics.ts';
import type { Span } from '../base/span.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { Executor } from '../base/executor.ts';
import type { Activity } from '../base/idle.ts';
import type { Ids } from '../base/ids.ts';
import type { GcController } from '../gc/gcController.ts';
import type { StoreStats } from '../mvcc/stats.ts';
import type { Cluster } from './cluster.ts';
import type { Ancestor } from './forkPoint.ts';
import type { Memory } from './memory.ts';
import type { ExportOptions, ExportPiece, ReadOptions, ScanOptions, ScanResult } from './batches.ts';
import type { Mounts } from './mounts.ts';
import type { RangeQueue } from './rangeQueue.ts';
import type { RangeInfo, Ranges } from './ranges.ts';

export type Isolation = 'serializable' | 'snapshot' | 'read committed';
export type Priority = 'low' | 'normal' | 'high';

export type { ExportOptions, ExportPiece, ExportResume, ReadOptions, ScanOptions, ScanResult } from './batches.ts';

export interface KvReader {
  readonly readTimestamp: Timestamp;
  /** Values in the order of `keys`; undefined where no live row is. Keys may repeat and come in any order. */
  get(keys: readonly Bytes[], options?: ReadOptions): Promise<(Bytes | undefined)[]>;
  /** As get, without waiting: undefined when something has to be waited for. */
  getNow(keys: readonly Bytes[], options?: ReadOptions): (Bytes | undefined)[] | undefined;
  /** Live rows of a span, which may cross indexes and tables. */
  scan(span: Span, options?: ScanOptions): Promise<ScanResult>;
}

export type LockStrength = 'exclusive' | 'shared';
/** `block` waits in line; `nowait` throws 55P03; `skip` leaves the key out of the result. */
export type LockWait = 'block' | 'nowait' | 'skip';

export interface LockOptions {
  /** Default exclusive. */
  readonly strength?: LockStrength;
  /** Default block. */
  readonly wait?: LockWait;
  /** Ends the wait; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /**
   * True when the caller has read the keys in the present statement, and stands on what it saw: a
   * key that has changed since is a conflict, at every isolation level.
   */
  readonly alreadyRead?: boolean;
}

/** A row of the lock table, for people. */
export interface LockInfo {
  readonly key: Bytes;
  /** Present for a span lock: [key, endKey) is held whole. */
  readonly endKey?: Bytes;
  readonly strength: LockStrength;
  readonly holders: readonly string[];
  readonly waiters: readonly string[];
}

/** Since when, in microseconds, a transaction has held a key or waited for it. */
export type LockTimes = (transactionId: string, key: Bytes) => number | undefined;

declare const savepointBrand: unique symbol;
/** A place in a transaction's write buffer to roll back to. */
export interface Savepoint {
  readonly [savepointBrand]: true;
}

export type TxnState = 'open' | 'committed' | 'aborted';

export interface TxnOptions {
  /** Default serializable. */
  readonly isolation?: Isolation;
  readonly priority?: Priority;
  /** write() and lock() throw 25006. */
  readonly readOnly?: boolean;
  /** Shows in lock and retry messages. */
  readonly name?: string;
  /** The caller runs as an effect registered with the cluster's Activity: while it waits for a lock it does not count as runnable. */
  readonly isEffect?: boolean;
  /** Ends the waits for locks, of which each rejects with its reason. */
  readonly signal?: AbortSignal;
}

export interface Txn extends KvReader {
  readonly id: string;
  readonly name: string;
  readonly isolation: Isolation;
  readonly priority: Priority;
  readonly readOnly: boolean;
  readonly hasWrites: boolean;
  /** How often writes were undone (a savepoint, a statement): who remembers own writes looks again when it has changed. */
  readonly undoCount: number;
  readonly state: TxnState;
  /** Set by commit(): the time at which the writes stand, or the read timestamp when there were none. */
  readonly commitTimestamp: Timestamp | undefined;

  /**
   * Buffers writes: own reads see them at once. null deletes. Parallel arrays, any order; the last
   * write of a key counts. 53200, with none of them buffered, when the memory budget has no room.
   */
  write(keys: readonly Bytes[], values: readonly (Bytes | null)[]): void;
  /**
   * Takes each key's lock, held to the transaction's end, and returns the keys locked (all of them
   * unless `skip`). If one of the keys has changed since the read timestamp, the read timestamp is
   * refreshed, or 40001 thrown where reads do not hold any more. A deadlock is 40001 for the one of
   * lowest priority, the last to ask among equals; `nowait` and lockTimeoutMicros are 55P03. Holders
   * of lower priority are aborted. Every 40001 aborts the transaction and frees its locks, except
   * for a conflict after nextStatement(), which leaves it to restartStatement().
   */
  lock(keys: readonly Bytes[], options?: LockOptions): Promise<Bytes[]>;
  /** As lock, without waiting: true when all are held, false when one is not free; `wait` does not count. */
  lockNow(keys: readonly Bytes[], options?: LockOptions): boolean;
  /** Whether the key is among the buffered writes. */
  hasWritten(key: Bytes): boolean;
  /** Adds keys to the read set as read at the read timestamp: what a cached descriptor stood on. */
  noteRead(key: Bytes): void;
  /** As noteRead, for everything in a span. */
  noteReadSpan(span: Span): void;
  /**
   * Moves the read timestamp to now when nothing read so far has changed; false (and no change) otherwise.
   * A snapshot transaction that has read can never refresh.
   */
  refresh(): boolean;
  /** How long lock() may wait for one key; 0 for ever, which is the default. */
  lockTimeoutMicros: number;
  /** A statement begins, which restartStatement() can undo. Read committed: it reads at a new timestamp. */
  nextStatement(): void;
  /**
   * After a conflict (40001) inside a statement whose results nobody has seen: undoes its writes and
   * reads, keeps its locks, and moves the read timestamp to now. True when it may run again; false
   * when the transaction must be rolled back, because what earlier statements read has changed.
   */
  restartStatement(): boolean;

  savepoint(): Savepoint;
  /** Undoes the writes since; the read set and the locks stay. The savepoint remains usable. */
  rollbackTo(savepoint: Savepoint): void;
  release(savepoint: Savepoint): void;

  /** Validates, takes the commit timestamp, applies, runs the hooks. 40001 when validation fails, 53200 when the memory budget has no room. */
  commit(): Promise<Timestamp>;
  /** As commit, without waiting: undefined, with nothing done, when something has to be waited for. */
  commitNow(): Timestamp | undefined;
  /** Drops everything and frees the locks. Never throws; no effect on a finished transaction. */
  rollback(): void;
  /**
   * Runs inside the commit step, once validation passed and the timestamp is known; synchronous.
   * It may write(), which is how a value comes to hold the commit timestamp; throwing aborts.
   */
  beforeCommit(fn: (commitTimestamp: Timestamp) => void): void;
  /** Runs after the writes are visible and the locks are free. Not run on abort. */
  afterCommit(fn: (commitTimestamp: Timestamp) => void): void;
  /** Runs when the transaction ends without committing. */
  afterAbort(fn: () => void): void;
}

/** The writes of one commit that fall in a hook's span: sorted by key, distinct; null deletes. */
export interface CommittedWrites {
  readonly keys: readonly Bytes[];
  readonly values: readonly (Bytes | null)[];
}

/** Runs synchronously inside the commit step, for commits that write in its span. */
export interface CommitHook {
  /** Before anything is applied; throwing aborts the transaction with that error. */
  validate?(writes: CommittedWrites, commitTimestamp: Timestamp): void;
  /** After the writes are applied; must not throw. */
  apply?(writes: CommittedWrites, commitTimestamp: Timestamp): void;
}

/** A sorted run for ingest: keys ascending, and per key timestamps descending when given. */
export interface IngestRun {
  readonly keys: readonly Bytes[];
  /** Original timestamps: a restore with history. Absent: every version gets the one new timestamp. */
  readonly timestamps?: readonly Timestamp[];
  readonly values: readonly (Bytes | null)[];
  /** Bytes of keys and values, from who knows them: else they are counted. */
  readonly bytes?: number;
}

export interface IngestOptions {
  /** The one timestamp of every version of a run without timestamps; not above the reading. Default: that of the arrival. */
  readonly at?: Timestamp;
}

export interface RunOptions extends TxnOptions {
  /** Attempts before the last 40001 is thrown; default 50. */
  readonly attemptsMax?: number;
  /** Ends the waits for locks and those between attempts. */
  readonly signal?: AbortSignal;
}

export interface KvOptions {
  readonly clock: Clock;
  readonly executor: Executor;
  readonly ids: Ids;
  /** Where runnable effects register; a manual clock's own. */
  readonly activity?: Activity;
  /** Default: a new UUID from `ids`. */
  readonly clusterId?: string;
  /** One a node, each `region=a,zone=b` or empty; default one node without locality. */
  readonly localities?: readonly string[];
  /** Commits of so many keys or more are applied in slices; default 10,000. */
  readonly slicedCommitKeysMin?: number;
  /** From so many locked keys on a transaction holds spans instead; default 20,000. */
  readonly lockEscalationKeysMin?: number;
  /** The memory budget in bytes, shared with every fork; default none. */
  readonly memoryBytes?: number;
  /** Tables that may be written beyond the budget, so that dropping and backing up can go on; default none. */
  readonly isReservedTable?: (tableId: number) => boolean;
}

/** What a fork may have of its own; each defaults to the parent's, except a manual clock, of which a new one starts at the parent's time. */
export interface ForkOptions {
  readonly clock?: Clock;
  readonly executor?: Executor;
  readonly activity?: Activity;
  readonly ids?: Ids;
  readonly clusterId?: string;
}

export interface Kv {
  readonly clusterId: string;
  /** The cluster this one was forked from, if any. */
  readonly forkedFrom: string | undefined;
  /** The clusters it descends from, oldest first, and when it left each. */
  readonly lineage: readonly Ancestor[];
  readonly hlc: Hlc;
  readonly clock: Clock;
  readonly executor: Executor;
  readonly activity: Activity;
  readonly ids: Ids;
  /** What the database counts of itself: every part above registers its metrics here, a fork has its own. */
  readonly metrics: MetricRegistry;
  /** What happens in the database, for those who log it. */
  readonly events: EventLog;
  readonly cluster: Cluster;
  readonly ranges: Ranges;
  /** Splits, merges and lease preferences on the clock, once started; the catalog plugs its zones in here. */
  readonly rangeQueue: RangeQueue;
  /** Who holds and awaits which lock, for people. */
  readonly locks: { list(all?: boolean): LockInfo[]; contended(): { readonly key: Bytes; readonly waits: number }[]; times(): LockTimes };
  /** Thresholds, protected timestamps, and GC on demand; the catalog plugs its zones in here. */
  readonly gc: GcController;
  /** What data and work under way hold of the memory budget; what grows beyond it fails with 53200. */
  readonly memory: Memory;
  /** Tables that are read from elsewhere. */
  readonly mounts: Mounts;

  /** The HLC's reading without a tick: max(physical time, last timestamp). Times above it are the future. */
  reading(): Timestamp;
  begin(options?: TxnOptions): Txn;
  /**
   * A reader at `ts`. 22023 when ts is above the reading; each read is refused with 72000 at or
   * below a touched table's GC threshold (not when `unchecked`: for reading what is known to be kept).
   */
  at(ts: Timestamp, options?: { readonly unchecked?: boolean }): KvReader;
  /** Runs `fn` in a transaction and commits; runs it again on 40001, after backoff(). */
  run<T>(fn: (txn: Txn) => Promise<T>, options?: RunOptions): Promise<T>;

  /** What run() waits before the attempt after `attempt` (from 1); for those who run a transaction again themselves. */
  backoff(attempt: number, signal?: AbortSignal): Promise<void>;

  /** Returns the function that removes it. Hooks run in the order of their registration. */
  addCommitHook(span: Span, hook: CommitHook): () => void;

  /**
   * Versions in (start, end] of a span. `end` above the reading is 22023; `start` below a touched
   * table's threshold, or for a full export (start 0) `end` at or below it, is 72000.
   */
  exportSpan(span: Span, start: Timestamp, end: Timestamp, options: ExportOptions): Promise<ExportPiece>;
  /** Bulk into indexes that have never been public. Returns the timestamp under which the arrival is logged. 53200 when the memory budget has no room. */
  ingest(run: IngestRun, options?: IngestOptions): Promise<Timestamp>;
  /**
   * Drops every store of a table. For ids that are not, or never more, public. Its history is gone:
   * reads at times up to now are refused from here on, so an old descriptor never finds an empty
   * table. `neverPublic` forgets the threshold instead, for a restore that starts over.
   */
  clearTable(tableId: number, options?: { readonly neverPublic?: boolean }): void;
  clearIndex(tableId: number, indexId: number): void;
  /** Today's ranges that overlap a span, in key order, clipped to it. */
  rangesOf(span: Span): RangeInfo[];
  /** Makes the store and the range of a key's index, which come with the first write otherwise. What is mounted has none. */
  ensureRange(key: Bytes): void;
  /** Statistics of a span's stores; exact for whole indexes, an estimate for mounted ones. */
  stats(span: Span): StoreStats;
  /** How many versions the stores of a span have taken since a time, as their logs still know: what GC has settled counts no more. Cost: the logs' chunks since. */
  changesSince(span: Span, after: Timestamp): number;
  /** Ids of the tables that have a store, ascending. */
  tableIds(): number[];

  /** Both sides go on alone, and commit above the present reading. Commit hooks, transactions and locks stay with the parent. Cost: a few microseconds a store. */
  fork(options?: ForkOptions): Kv;
  /** Lists every broken invariant of stores and ranges, in words; empty when all hold. Cost: everything. */
  check(): string[];
  /** Stops timers and actors. */
  close(): void;
}
