/**
 * Ingest units: the data of a restore, unit after unit in key order, into stores that nobody can see yet.
 *
 *   I1  every row gets the one timestamp that planning chose, and a version of a restored past its own, so a piece that is ingested again, after
 *       a crash between ingest and checkpoint, changes nothing
 *   I2  keys are done in ascending order: one key says how far the work has come
 *   I3  a file is opened when the unit before its first one begins, and closed after its last
 *
 * One stream of work suffices: reading and decompressing run ahead beside it (fileCursor.ts), and
 * decoding, merging and ingesting share the one main thread anyway.
 */
import { assert } from '../base/assert.ts';
import type { Bytes } from '../base/bytes.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { indexOfKey } from '../kv/indexOfKey.ts';
import type { IngestRun, Kv } from '../kv/kv.ts';

import type { CollectionStorage } from '../backup/collectionStorage.ts';
import type { EntryCounts } from '../backup/manifest.ts';

import { FileCursor } from './fileCursor.ts';
import type { KeyRewriter } from './keyRewriter.ts';
import { mergeUnit } from './mergeUnit.ts';
import { neededVersions } from './restoredHistory.ts';
import { type KeptEntries, lastRowStart, type RowFilter } from './rowFilter.ts';
import { allVersions, type MergedRun } from './verify/allVersions.ts';
import { filesUsedWhole, type LayerFile, type RestoreUnit, unitBytes, unitsAfter } from './spanCovering.ts';

/** Rows of one ingested run: two or three milliseconds of the main thread. A run is never more than lies between two checkpoints. */
const RUN_ROWS_MAX = 4096;
const RUN_BYTES_MAX = 1 << 20;
/** The last byte of a row's first key: column family 0. */
const FAMILY_ZERO = 0x88;

/** How far the work has come. */
export interface IngestProgress extends EntryCounts {
  /** In the backup's keys: everything at or below is ingested. Undefined at the start. */
  readonly doneKey: Bytes | undefined;
}

/** An index as the backup keys it, and where its rows go. */
export interface RestoredIndex {
  readonly rewriter: KeyRewriter;
  readonly newTableId: number;
  readonly isPrimary: boolean;
  /** Of the primary index of a table of which some rows come: the others' entries are made from its rows. */
  readonly filter?: RowFilter | undefined;
  /** Where the past begins that comes with it. */
  readonly pastFrom?: Timestamp | undefined;
  /** Newer rows were those of an import, and do not come. */
  readonly importStart?: Timestamp | undefined;
}

export interface IngestUnitsOptions {
  readonly kv: Kv;
  readonly storage: CollectionStorage;
  readonly units: readonly RestoreUnit[];
  readonly done: IngestProgress;
  /** As of when. */
  readonly time: Timestamp;
  /** The timestamp of every ingested row. */
  readonly at: Timestamp;
  /** The restored index that a backup's table and index id stand for. */
  readonly indexOf: (tableId: number, indexId: number) => RestoredIndex | undefined;
  /** Bytes of rows between two calls of onProgress. */
  readonly checkpointBytes: number;
  /** True: rows are made and dropped, to prove that they can be. */
  readonly isDropped: boolean;
  readonly signal: AbortSignal;
  /** Called after each ingested run, before it counts as done anywhere. */
  readonly onRun: (newTableId: number) => Promise<void>;
  /** Makes progress durable. `fraction` is of the bytes to read. */
  readonly onProgress: (progress: IngestProgress, fraction: number) => Promise<void>;
}

/** Ingests what of `units` (sorted) is not done yet, and returns the final counts. */
export async function ingestUnits(options: IngestUnitsOptions): Promise<IngestProgress> {
  const work = new IngestWork(options);
  try {
    return await work.run();
  } finally {
    await work.close();
  }
}

class IngestWork {
  readonly #options: IngestUnitsOptions;
  readonly #units: readonly RestoreUnit[];
  readonly #cursors = new Map<LayerFile, FileCursor>();
  /** Index of the last unit that uses a file. */
  readonly #lastUse = new Map<LayerFile, number>();
  readonly #wholeFiles: ReadonlySet<LayerFile>;
  readonly #totalBytes: number;
  #finishedBytes = 0;
  #progress: IngestProgress;
  #bytesSinceCheckpoint = 0;
  /** Of a filtered index, between two units: the begin of a row that the next one goes on with. */
  #held: RunBuilder | undefined;

  constructor(options: IngestUnitsOptions) {
    this.#options = options;
    this.#progress = options.done;
    this.#totalBytes = options.units.reduce((sum, unit) => sum + unitBytes(unit), 0);
    this.#units = unitsAfter(options.units, options.done.doneKey);
    this.#finishedBytes = this.#totalBytes - this.#units.reduce((sum, unit) => sum + unitBytes(unit), 0);
    this.#units.forEach((unit, i) => {
      for (const file of unit.files) this.#lastUse.set(file, i);
    });
    this.#wholeFiles = filesUsedWhole(this.#units);
  }

  async run(): Promise<IngestProgress> {
    for (const [i, unit] of this.#units.entries()) {
      this.#open(unit);
      const next = this.#units[i + 1];
      if (next) this.#open(next);
      await this.#ingest(unit, next);
      this.#finishedBytes += unitBytes(unit);
      for (const file of unit.files) {
        if (this.#lastUse.get(file) !== i) continue;
        await this.#cursors.get(file)?.finish();
        this.#cursors.delete(file);
      }
    }
    return this.#progress;
  }

  async close(): Promise<void> {
    for (const cursor of this.#cursors.values()) await cursor.close();
    this.#cursors.clear();
  }

  #open(unit: RestoreUnit): void {
    const { storage, kv, signal } = this.#options;
    for (const file of unit.files) {
      if (this.#cursors.has(file)) continue;
      this.#cursors.set(file, new FileCursor(file, this.#wholeFiles.has(file), { storage, executor: kv.executor, signal }));
    }
  }

  async #ingest(unit: RestoreUnit, next: RestoreUnit | undefined): Promise<void> {
    const { tableId, indexId } = indexOfKey(unit.span.key);
    const index = this.#options.indexOf(tableId, indexId);
    assert(index !== undefined, `a unit of index ${tableId}/${indexId}, which is not restored`);
    const cursors = unit.files.map((file) => this.#cursors.get(file) as FileCursor);
    // Together, so that the first reads of many layers do not wait for one another.
    await Promise.all(cursors.map((cursor) => cursor.enter(unit.span)));
    if (index.pastFrom !== undefined) {
      for await (const run of allVersions(cursors)) await this.#ingestVersions(index, index.pastFrom, run);
      return;
    }
    const run =
      this.#held ??
      new RunBuilder(index, Math.min(RUN_BYTES_MAX, this.#options.checkpointBytes), (finished) => this.#flush(index, finished));
    this.#held = undefined;
    await mergeUnit(cursors, this.#options.time, run, index.importStart);
    const { tableId: nextTable, indexId: nextIndex } = next ? indexOfKey(next.span.key) : { tableId: -1, indexId: -1 };
    if (index.filter && nextTable === tableId && nextIndex === indexId) {
      await run.drain();
      this.#held = run;
    } else {
      await run.drain(true);
    }
  }

  async #flush(index: RestoredIndex, run: FinishedRun): Promise<void> {
    const { kv, at, signal, isDropped } = this.#options;
    signal.throwIfAborted();
    const kept = index.filter?.keep(run.keys, run.values);
    const parts: readonly IngestRun[] = kept
      ? [kept.primary, ...kept.secondary].filter(({ keys }) => keys.length > 0)
      : [{ keys: run.keys, values: run.values, bytes: run.dataBytes }];
    for (const part of isDropped ? [] : parts) await kv.ingest(part, { at });
    await this.#options.onRun(index.newTableId);
    const { rows, indexEntries, dataBytes } = this.#progress;
    const own = index.isPrimary ? 0 : run.keys.length;
    this.#progress = {
      doneKey: run.lastKey,
      rows: rows + (kept?.rowCount ?? (index.isPrimary ? run.rowCount : 0)),
      indexEntries: indexEntries + (kept?.secondary.reduce((sum, { keys }) => sum + keys.length, 0) ?? own),
      dataBytes: dataBytes + (kept ? bytesOf(kept.primary) + kept.secondary.reduce((sum, part) => sum + bytesOf(part), 0) : run.dataBytes),
    };
    await this.#step(run.dataBytes);
  }

  /** Versions of whole keys, with the timestamps that they have. */
  async #ingestVersions(index: RestoredIndex, from: Timestamp, run: MergedRun): Promise<void> {
    const { kv, time, signal } = this.#options;
    signal.throwIfAborted();
    const needed = neededVersions(run, from, time);
    const values = needed.map((i) => run.values[i] ?? null);
    const timestamps = needed.map((i) => run.timestamps[i] as Timestamp);
    if (needed.length > 0) {
      await kv.ingest({ keys: needed.map((i) => index.rewriter.rewrite(run.keys[i] as Bytes)), timestamps, values });
    }
    await this.#options.onRun(index.newTableId);
    const isLive = (n: number) => values[n] !== null && (n === 0 || run.keys[needed[n - 1] as number] !== run.keys[needed[n] as number]);
    const live = needed.filter((_, n) => isLive(n)).map((i) => run.keys[i] as Bytes);
    const { rows, indexEntries, dataBytes } = this.#progress;
    this.#progress = {
      doneKey: run.keys.at(-1),
      rows: rows + (index.isPrimary ? live.filter((key) => key.charCodeAt(key.length - 1) === FAMILY_ZERO).length : 0),
      indexEntries: indexEntries + (index.isPrimary ? 0 : live.length),
      dataBytes: dataBytes + needed.reduce((sum, i) => sum + (run.keys[i] as Bytes).length + (run.values[i]?.length ?? 0), 0),
    };
    await this.#step(run.bytes);
  }

  /** After each ingested run of so many bytes. */
  async #step(bytes: number): Promise<void> {
    const { kv, checkpointBytes } = this.#options;
    this.#bytesSinceCheckpoint += bytes;
    if (this.#bytesSinceCheckpoint >= checkpointBytes) {
      this.#bytesSinceCheckpoint = 0;
      await this.#options.onProgress(this.#progress, this.#fraction());
    }
    if (kv.executor.shouldYield()) await kv.executor.yield();
  }

  #fraction(): number {
    return this.#totalBytes === 0 ? 1 : this.#finishedBytes / this.#totalBytes;
  }
}

function bytesOf({ keys, values }: KeptEntries): number {
  return keys.reduce((sum, key, i) => sum + key.length + (values[i] as Bytes).length, 0);
}

interface FinishedRun {
  readonly keys: readonly Bytes[];
  readonly values: readonly Bytes[];
  readonly lastKey: Bytes;
  readonly rowCount: number;
  readonly dataBytes: number;
}

/** Collects rows of one index under their new keys. */
class RunBuilder {
  readonly #index: RestoredIndex;
  readonly #bytesMax: number;
  readonly #flush: (run: FinishedRun) => Promise<void>;
  #keys: Bytes[] = [];
  #values: Bytes[] = [];
  #lastKey = '' as Bytes;
  #rowCount = 0;
  #dataBytes = 0;

  constructor(index: RestoredIndex, bytesMax: number, flush: (run: FinishedRun) => Promise<void>) {
    this.#index = index;
    this.#bytesMax = bytesMax;
    this.#flush = flush;
  }

  add(key: Bytes, value: Bytes): boolean {
    this.#keys.push(this.#index.rewriter.rewrite(key));
    this.#values.push(value);
    this.#lastKey = key;
    this.#dataBytes += key.length + value.length;
    if (key.charCodeAt(key.length - 1) === FAMILY_ZERO) this.#rowCount++;
    return this.#keys.length < RUN_ROWS_MAX && this.#dataBytes < this.#bytesMax;
  }

  /** Hands on what there is; of a filtered index the last row stays until it is known to be whole (`isEnd`). */
  async drain(isEnd = false): Promise<void> {
    const count = this.#index.filter && !isEnd ? lastRowStart(this.#keys) : this.#keys.length;
    if (count === 0) return;
    const keys = this.#keys.slice(0, count);
    const values = this.#values.slice(0, count);
    const heldKeys = this.#keys.slice(count);
    const heldValues = this.#values.slice(count);
    const heldBytes = heldKeys.reduce((sum, key, i) => sum + key.length + (heldValues[i] as Bytes).length, 0);
    const lastKey = count < this.#keys.length ? this.#index.rewriter.restore(keys.at(-1) as Bytes) : this.#lastKey;
    const run = { keys, values, lastKey, rowCount: this.#rowCount, dataBytes: this.#dataBytes - heldBytes };
    this.#keys = heldKeys;
    this.#values = heldValues;
    this.#rowCount = 0;
    this.#dataBytes = heldBytes;
    await this.#flush(run);
  }
}
