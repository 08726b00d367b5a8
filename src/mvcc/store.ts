/**
 * Store: every version of every key of one index, and the log of its changes.
 *
 *             key a        key b        key c
 *   @30         x                         3        x: tombstone
 *   @20         2            1                     a read at @25 sees a=2, b=1
 *   @10         1                         1        GC at threshold @30 leaves b=1, c=3
 *
 *   S1  a chain is sorted newest first, without equal timestamps
 *   S2  commits come in timestamp order (the log says so): nothing lands below what was logged
 *   S3  the log names every version above its floor (changeLog.ts, L2)
 *   S4  statistics are exact (check.ts counts them again)
 *   S5  forks share versions, sealed log chunks and tree nodes, and never see each other's writes
 *
 * Reads take any timestamp: that it lies above the GC threshold and not in the future is checked
 * above (gc, kv). Calls are synchronous; whoever has much to do calls piece by piece.
 *
 * Lives elsewhere: the tree (versionTree.ts), reading (read.ts), writing (write.ts), what it costs
 * on the heap (footprint.ts), export
 * (export.ts), garbage collection (collect.ts), the invariant walker (check.ts).
 */
import type { Bytes } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { MIN_TIMESTAMP } from '../base/timestamp.ts';
import type { Change } from './changeLog.ts';
import { ChangeLog } from './changeLog.ts';
import { checkStore } from './check.ts';
import type { CollectResult } from './collect.ts';
import { collect } from './collect.ts';
import { collectableBytes } from './collectable.ts';
import type { ExportOptions } from './export.ts';
import { ExportCursor } from './export.ts';
import type { Footprint, HeapBytes } from './footprint.ts';
import { heapBytesOf } from './footprint.ts';
import type { ScanOptions } from './read.ts';
import { changedKeys, changedSince, keyChangedSince, scan } from './read.ts';
import type { StoreStats } from './stats.ts';
import { countChain, emptyStats } from './stats.ts';
import type { ResumePoint, StoreState } from './storeState.ts';
import type { Version } from './version.ts';
import { versionAt } from './version.ts';
import type { VersionBatch } from './versionBatch.ts';
import { VersionTree } from './versionTree.ts';
import type { IngestedRows, WriteBatch } from './write.ts';
import { apply, clearSpan, ingest, ingestRows } from './write.ts';

export class Store {
  readonly #state: StoreState;
  readonly #footprint: Footprint | undefined;
  /** What `#footprint` counts of this store. */
  readonly #share: HeapBytes = { live: 0, garbage: 0, log: 0 };
  #sharedCounted = 0;
  /** Heap bytes when it was last forked: what the fork may hold on. */
  #forkedBytes = 0;

  /** An empty store for the keys of `span`; its heap bytes count in `footprint`. */
  constructor(span: Span, footprint?: Footprint) {
    this.#footprint = footprint;
    this.#state = {
      span,
      tree: new VersionTree(),
      treeShared: false,
      sharedUpTo: MIN_TIMESTAMP,
      sharedRemovedBytes: 0,
      log: new ChangeLog(),
      stats: emptyStats(),
    };
  }

  get span(): Span {
    return this.#state.span;
  }

  /** The greatest timestamp of any commit, ingest or clear so far; the next is at or above it. */
  get lastTimestamp(): Timestamp {
    return this.#state.log.last;
  }

  /** Below this, questions about changes walk the tree instead of the log. */
  get logFloor(): Timestamp {
    return this.#state.log.floor;
  }

  /** The newest version at or below `ts`, a tombstone included. Cost: O(log keys) and the versions above `ts`. */
  get(key: Bytes, ts: Timestamp): Version | undefined {
    return versionAt(this.#state.tree.get(key), ts);
  }

  /** The newest version, a tombstone included; the chain hangs on its `older`. */
  latest(key: Bytes): Version | undefined {
    return this.#state.tree.get(key);
  }

  /**
   * Appends the newest version at or below `ts` of each key in the span to `out`, in key order,
   * until the limit. Returns undefined when the span is done, else the resume key: the rest is
   * [result, span.endKey), or [span.key, result) in reverse; the other part is what was read.
   */
  scan(span: Span, ts: Timestamp, options: ScanOptions, out: VersionBatch): Bytes | undefined {
    return scan(this.#state, span, ts, options, out);
  }

  /**
   * Writes the batch's puts and deletes at `ts`, which is at or above every logged timestamp and
   * above every version of the batch's keys (both asserted). A large commit may come as several
   * calls at one `ts`, over slices [from, to) of its arrays; that no reader looks meanwhile is kv's care.
   */
  apply(ts: Timestamp, batch: WriteBatch, from = 0, to: number = batch.keys.length): void {
    apply(this.#state, ts, batch, from, to);
    this.#account();
  }

  /**
   * Adds versions with timestamps of their own, sorted by (key ascending, timestamp descending), at
   * or below `arrival`. For keys that have never been public. A version that is already there stays,
   * so a piece may be delivered again. Logged as one span event at `arrival`.
   */
  ingest(run: VersionBatch, arrival: Timestamp): void {
    ingest(this.#state, run, arrival);
    this.#account();
  }

  /** The same for keys, ascending, with one value each and one timestamp for all: above the last key of the store a pass over them. */
  ingestRows(rows: IngestedRows, arrival: Timestamp): void {
    ingestRows(this.#state, rows, arrival);
    this.#account();
  }

  /** Removes every version in the span, for keys never public or dropped. Leaves a span event at `at`. Cost: the keys removed. */
  clearSpan(span: Span, at: Timestamp): void {
    clearSpan(this.#state, span, at);
    this.#account();
  }

  /**
   * Validation: some change in the span after `after`, or undefined when there is none; the arrival
   * of an ingest and a clear count. Exact for `after` at or above the GC threshold.
   * Cost: the smaller of the changes since and the keys in the span, within a factor of two.
   */
  changedSince(span: Span, after: Timestamp): Change | undefined {
    return changedSince(this.#state, span, after);
  }

  /** Which keys those are, as the log has them; undefined when it is silent or holds more than `entriesMax` entries since. See read.ts. */
  changedKeys(span: Span, after: Timestamp, entriesMax: number): Bytes[] | undefined {
    return changedKeys(this.#state, span, after, entriesMax);
  }

  /** Entries of the log after a time. Cost: its chunks since. */
  changeCount(after: Timestamp): number {
    return this.#state.log.countBetween(after, this.#state.log.last);
  }

  /** changedSince() for one key: when it changed last, if after `after`. Cost: a get. */
  keyChangedSince(key: Bytes, after: Timestamp): Timestamp | undefined {
    return keyChangedSince(this.#state, key, after);
  }

  /** Starts an export of the span's versions in (start, end]; see ExportCursor. */
  openExport(span: Span, start: Timestamp, end: Timestamp, options: ExportOptions = {}): ExportCursor {
    return new ExportCursor(this.#state, span, start, end, options);
  }

  /** One piece of such an export: appends to `out`, returns where to go on (`options.resume`), undefined when done. */
  exportSpan(
    span: Span,
    start: Timestamp,
    end: Timestamp,
    options: ExportOptions & { readonly maxBytes: number },
    out: VersionBatch,
  ): ResumePoint | undefined {
    return new ExportCursor(this.#state, span, start, end, options).next(out, options.maxBytes);
  }

  /**
   * Removes what no read above `threshold` can see, in the span, looking at no more than
   * `maxVersions` log entries; call again until done. Log entries at or below the threshold go too.
   */
  collect(span: Span, threshold: Timestamp, budget: { readonly maxVersions: number }): CollectResult {
    const result = collect(this.#state, span, threshold, budget.maxVersions);
    this.#account();
    return result;
  }

  /** Exact, O(1). The object is a copy. */
  stats(): StoreStats {
    return { ...this.#state.stats };
  }

  /** Exact counts of a part. Cost: its versions, unless it is the whole store. */
  statsOf(span: Span): StoreStats {
    const { span: whole, tree } = this.#state;
    if (span.key <= whole.key && span.endKey >= whole.endKey) return this.stats();
    const stats = emptyStats();
    tree.walk(span, (key, head) => {
      countChain(stats, key, head, 1);
      return false;
    });
    return stats;
  }

  /** Bytes that collecting the whole store at this threshold would remove. Cost: every version. */
  collectableBytes(threshold: Timestamp): number {
    return collectableBytes(this.#state, threshold);
  }

  /** The key at which the span's bytes are halved, for a split; undefined when no key lies strictly inside. */
  middleKey(span: Span): Bytes | undefined {
    const half = this.statsOf(span).totalBytes / 2;
    const before = emptyStats();
    let middle: Bytes | undefined;
    this.#state.tree.walk(span, (key, head) => {
      if (before.totalBytes > 0) middle = key;
      countChain(before, key, head, 1);
      return middle !== undefined && before.totalBytes >= half;
    });
    return middle;
  }

  /** Log entries held, for diagnostics. */
  get logLength(): number {
    return this.#state.log.length;
  }

  /**
   * A store with the same content; either may change without the other seeing it. `footprint` counts
   * what the fork adds from here on. O(1).
   */
  fork(footprint?: Footprint): Store {
    const state = this.#state;
    const fork = new Store(state.span, footprint);
    const share = heapBytesOf(state.stats, state.log.held);
    Object.assign(fork.#share, share);
    fork.#forkedBytes = share.live + share.garbage + share.log;
    this.#forkedBytes = fork.#forkedBytes;
    state.treeShared = true;
    state.sharedUpTo = state.log.last;
    Object.assign(fork.#state, {
      tree: state.tree,
      treeShared: true,
      sharedUpTo: state.sharedUpTo,
      log: state.log.fork(),
      stats: { ...state.stats },
    });
    return fork;
  }

  /** What it holds on the heap, by its statistics; forks may share it. O(1). */
  heapBytes(): HeapBytes {
    return heapBytesOf(this.#state.stats, this.#state.log.held);
  }

  /** Takes the store, which nobody uses any more, out of the footprint; what a fork may hold of it counts on as shared. */
  drop(): void {
    const { live, garbage, log } = this.#share;
    this.#footprint?.add(-live, -garbage, -log, this.#forkedBytes);
    Object.assign(this.#share, { live: 0, garbage: 0, log: 0 });
  }

  #account(): void {
    const footprint = this.#footprint;
    if (footprint === undefined) return;
    const { stats, log, sharedRemovedBytes } = this.#state;
    const share = this.#share;
    const { live, garbage, log: logBytes } = heapBytesOf(stats, log.held);
    footprint.add(live - share.live, garbage - share.garbage, logBytes - share.log, sharedRemovedBytes - this.#sharedCounted);
    share.live = live;
    share.garbage = garbage;
    share.log = logBytes;
    this.#sharedCounted = sharedRemovedBytes;
  }

  /** Lists every broken invariant, in words; empty when all hold. Cost: everything. */
  check(): string[] {
    return checkStore(this.#state);
  }
}
