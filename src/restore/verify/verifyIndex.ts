/**
 * Verify index: the history of one index, restored into a scratch store and read there, against what the backup
 * recorded while it was taken.
 *
 *   files of all layers -> merge -> scratch store (every version, under another table id)
 *                                     |-> export with what each version replaced -> changes of each part
 *                                     |-> a read as of the end                   -> what a reader sees
 *
 *   X1  each recorded change (one for each commit, up to 256 a part) must come out of the store again; since
 *       fingerprints add up, the state at every recorded time is then the recorded one
 *   X2  a reader of the store sees, at the end of each era, exactly the newest versions that went in
 *   X3  the scratch store holds a chunk of keys at a time, never the table: fingerprints add up over keys too
 *
 * The scratch store is a kv of its own: nothing of it can be seen, locked or found in the running cluster.
 */
import type { Bytes } from '../../base/bytes.ts';
import { CorruptionError, isVarveError, type VarveError } from '../../base/errors.ts';
import { EntryHasher, Fingerprint } from '../../base/fingerprint.ts';
import { indexPrefix } from '../../base/keycode.ts';
import { prettyKey } from '../../base/prettyKey.ts';
import { prefixSpan, type Span } from '../../base/span.ts';
import { SqlState } from '../../base/sqlState.ts';
import { formatUtc, MIN_TIMESTAMP, type Timestamp } from '../../base/timestamp.ts';
import type { ExportPiece, Kv } from '../../kv/kv.ts';

import type { CollectionStorage } from '../../backup/collectionStorage.ts';
import type { Layer, ManifestFilePart } from '../../backup/manifest.ts';
import { decodeChanges, type FingerprintChange } from '../../backup/partFingerprint.ts';
import { FileCursor } from '../fileCursor.ts';
import { KeyRewriter } from '../keyRewriter.ts';
import type { LayerFile } from '../spanCovering.ts';
import { allVersions, type MergedRun } from './allVersions.ts';
import { type EraPiece, type EraUnit, eraUnits, type PathPieces } from './eras.ts';

/** Bytes of keys and values in the scratch store at most, but for one run: about four times that on the heap. */
const CHUNK_BYTES = 8 << 20;
const PIECE_BYTES = 1 << 18;
/** The scratch store's table. The backup's own id may be the same: nothing depends on it. */
const SCRATCH_TABLE_ID = 1_000;

export interface VerifyIndexOptions {
  readonly storage: CollectionStorage;
  /** A kv with nothing in it, and left so. */
  readonly scratch: Kv;
  /** A path, full first. */
  readonly layers: readonly Layer[];
  /** What the path holds. */
  readonly pieces: PathPieces;
  /** What the index is called in errors. */
  readonly name: string;
  readonly tableId: number;
  readonly indexId: number;
  readonly signal: AbortSignal;
  /** Told how many bytes of keys and values the scratch store holds. */
  readonly onHeld: (bytes: number) => void;
}

export interface VerifiedIndex {
  /** What of the recorded history did not come out, or could not be read. */
  readonly faults: readonly VarveError[];
  /** By layer of the path: the fingerprint of what a reader sees at its end; undefined before the index is in the backup. */
  readonly fingerprints: readonly (Fingerprint | undefined)[];
  /** By layer: recorded times that were compared. */
  readonly times: readonly (ReadonlySet<Timestamp> | undefined)[];
}

/** Restores and compares one index. Throws what the signal throws; anything wrong with the backup is a fault. */
export async function verifyIndex(options: VerifyIndexOptions): Promise<VerifiedIndex> {
  const work = new IndexWork(options);
  try {
    await work.run();
  } catch (error) {
    options.signal.throwIfAborted();
    if (!isVarveError(error)) throw error;
    work.faults.push(error);
  } finally {
    await work.close();
  }
  return work;
}

/** What a reader of the scratch store must see. */
interface LiveRows {
  readonly keys: Bytes[];
  readonly values: Bytes[];
  /** Of the version that was counted last. */
  lastKey: Bytes | undefined;
}

/** What comes out of the store for a part, beside what was recorded. */
interface PartChanges {
  readonly file: string;
  readonly layer: number;
  readonly part: ManifestFilePart;
  readonly recorded: readonly FingerprintChange[];
  readonly found: readonly Fingerprint[];
}

class IndexWork implements VerifiedIndex {
  readonly faults: VarveError[] = [];
  readonly #options: VerifyIndexOptions;
  readonly #prefix: Bytes;
  readonly #scratchSpan: Span;
  readonly #rewriter: KeyRewriter;
  readonly #cursors = new Map<LayerFile, FileCursor>();
  readonly #parts = new Map<ManifestFilePart, PartChanges>();
  readonly #hasher = new EntryHasher();
  /** By layer: what changes from the layer before to this one. */
  readonly #steps: (Fingerprint | undefined)[];
  #held = 0;

  constructor(options: VerifyIndexOptions) {
    const { tableId, indexId, layers } = options;
    this.#options = options;
    this.#prefix = indexPrefix(tableId, indexId);
    this.#scratchSpan = prefixSpan(indexPrefix(SCRATCH_TABLE_ID, indexId));
    this.#rewriter = new KeyRewriter(this.#prefix, indexPrefix(SCRATCH_TABLE_ID, indexId));
    this.#steps = layers.map(() => undefined);
  }

  get fingerprints(): (Fingerprint | undefined)[] {
    let sum: Fingerprint | undefined;
    return this.#steps.map((step) => {
      if (step !== undefined) {
        sum = sum?.copy() ?? new Fingerprint();
        sum.add(step);
      }
      return sum;
    });
  }

  get times(): (ReadonlySet<Timestamp> | undefined)[] {
    const times: (Set<Timestamp> | undefined)[] = this.#options.layers.map(() => undefined);
    for (const { layer, recorded } of this.#parts.values()) {
      times[layer] ??= new Set();
      for (const { time } of recorded) times[layer].add(time);
    }
    return times;
  }

  async run(): Promise<void> {
    const { layers, pieces, scratch } = this.#options;
    for (const { manifest } of layers) scratch.hlc.forward(manifest.endTime);
    const units = eraUnits(prefixSpan(this.#prefix), pieces);
    for (const unit of units) await this.#verifyUnit(unit);
    for (const part of this.#parts.values()) this.#compare(part);
  }

  async close(): Promise<void> {
    for (const cursor of this.#cursors.values()) await cursor.close();
    this.#options.scratch.clearTable(SCRATCH_TABLE_ID, { neverPublic: true });
  }

  async #verifyUnit({ span, eras }: EraUnit): Promise<void> {
    for (const [i, era] of eras.entries()) {
      // The era counts from its first layer up to the one before the next era's first.
      const until = eras[i + 1]?.[0]?.layer ?? this.#options.layers.length;
      for (const piece of era) {
        this.#note(piece);
        this.#stepOf(piece.layer);
      }
      const cursors = await this.#enter(span, era);
      for await (const run of allVersions(cursors)) {
        this.#options.signal.throwIfAborted();
        await this.#ingest(run);
        if (this.#held >= CHUNK_BYTES) await this.#check(era, until);
      }
      if (this.#held > 0) await this.#check(era, until);
    }
  }

  async #enter(span: Span, era: readonly EraPiece[]): Promise<FileCursor[]> {
    const { storage, scratch, signal } = this.#options;
    const cursors = era.flatMap(({ content }) => {
      if (content === undefined) return [];
      const { file } = content;
      const cursor = this.#cursors.get(file) ?? new FileCursor(file, false, { storage, executor: scratch.executor, signal });
      this.#cursors.set(file, cursor);
      return [cursor];
    });
    await Promise.all(cursors.map((cursor) => cursor.enter(span)));
    return cursors;
  }

  async #ingest({ keys, timestamps, values, bytes }: MergedRun): Promise<void> {
    const { scratch } = this.#options;
    await scratch.ingest({ keys: keys.map((key) => this.#rewriter.rewrite(key)), timestamps, values });
    this.#held += bytes;
    this.#options.onHeld(this.#held);
    if (scratch.executor.shouldYield()) await scratch.executor.yield();
  }

  /** Reads the store, and empties it. */
  async #check(era: readonly EraPiece[], until: number): Promise<void> {
    const { scratch, signal } = this.#options;
    const end = (era.at(-1) as EraPiece).endTime;
    const live: LiveRows = { keys: [], values: [], lastKey: undefined };
    let resume: ExportPiece['resume'];
    do {
      signal.throwIfAborted();
      const options = { allVersions: true, unchecked: true, withReplaced: true, maxBytes: PIECE_BYTES, resume };
      const piece = await scratch.exportSpan(this.#scratchSpan, MIN_TIMESTAMP, end, options);
      this.#count(piece, era, until, live);
      resume = piece.resume;
      if (scratch.executor.shouldYield()) await scratch.executor.yield();
    } while (resume !== undefined);
    await this.#read(live, end);
    scratch.clearTable(SCRATCH_TABLE_ID, { neverPublic: true });
    this.#held = 0;
    this.#options.onHeld(0);
  }

  /** What each version brought and took, at its time. */
  #count(piece: ExportPiece, era: readonly EraPiece[], until: number, live: LiveRows): void {
    const hasher = this.#hasher;
    const skip = this.#scratchSpan.key.length;
    const { keys, timestamps, values, replaced } = piece;
    // The fingerprint up to the era's end only: from `until` on another era counts.
    const undo = until < this.#steps.length ? this.#stepOf(until) : undefined;
    let lastTime = -1;
    let change: Fingerprint | undefined;
    let step = new Fingerprint();
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i] as Bytes;
      const time = timestamps[i] as Timestamp;
      const value = values[i] ?? null;
      const before = replaced?.[i] ?? null;
      if (time !== lastTime) {
        const place = this.#changeOf(era, key, time);
        change = place.change;
        step = this.#stepOf(place.layer);
        lastTime = time;
      }
      // The newest version of a key comes first.
      if (key !== live.lastKey) {
        live.lastKey = key;
        if (value !== null) {
          live.keys.push(key);
          live.values.push(value);
        }
      }
      if (value !== null) {
        hasher.hash(key, skip, value);
        change?.addHash(hasher.entry);
        step.addHash(hasher.entry);
        undo?.subtractHash(hasher.entry);
      }
      if (before !== null) {
        hasher.hash(key, skip, before);
        change?.subtractHash(hasher.entry);
        step.subtractHash(hasher.entry);
        undo?.addHash(hasher.entry);
      }
    }
  }

  /** Where a version counts: its layer, and the recorded change at or above its time. */
  #changeOf(era: readonly EraPiece[], key: Bytes, time: Timestamp): { layer: number; change: Fingerprint | undefined } {
    const at = firstAtOrAbove(era, time, ({ endTime }) => endTime);
    const piece = era[at];
    const changes = piece?.content && this.#parts.get(piece.content.part);
    if (piece === undefined || piece.content === undefined) {
      throw this.#error(`a version of ${this.#pretty(key)} at ${formatUtc(time)}`, 'nothing stored of that time', 'a version');
    }
    const index = changes === undefined ? -1 : firstAtOrAbove(changes.recorded, time, (change) => change.time);
    if (changes !== undefined && index === changes.recorded.length) {
      throw this.#error(`a version of ${this.#pretty(key)} at ${formatUtc(time)}`, 'a recorded change at or after it', 'none');
    }
    return { layer: piece.layer, change: changes?.found[index] };
  }

  /** Reads the restored rows as of a time: they must be the newest versions that went in. */
  async #read(live: LiveRows, at: Timestamp): Promise<void> {
    const reader = this.#options.scratch.at(at, { unchecked: true });
    let { key } = this.#scratchSpan;
    const { endKey } = this.#scratchSpan;
    let count = 0;
    let isSame = true;
    while (key < endKey) {
      const { keys, values, resume } = await reader.scan({ key, endKey }, { maxBytes: PIECE_BYTES });
      for (let i = 0; i < keys.length; i++, count++) isSame &&= keys[i] === live.keys[count] && values[i] === live.values[count];
      key = resume ?? endKey;
    }
    if (isSame && count === live.keys.length) return;
    const found = isSame ? String(count) : 'others';
    this.faults.push(this.#error(`a read of ${this.#options.name} at ${formatUtc(at)}`, `${live.keys.length} live entries`, found));
  }

  /** A key of the scratch store as the backup has it. */
  #pretty(key: Bytes): string {
    return prettyKey((this.#prefix + key.slice(this.#scratchSpan.key.length)) as Bytes);
  }

  #note({ layer, content }: EraPiece): void {
    if (content === undefined || this.#parts.has(content.part)) return;
    const { file, part } = content;
    if (part.fingerprint === undefined) return;
    const recorded = decodeChanges(part.fingerprint.changes, { file: file.name, offset: 0 });
    this.#parts.set(part, { file: file.name, layer, part, recorded, found: recorded.map(() => new Fingerprint()) });
  }

  #stepOf(layer: number): Fingerprint {
    this.#steps[layer] ??= new Fingerprint();
    return this.#steps[layer];
  }

  #compare({ file, part, recorded, found }: PartChanges): void {
    const index = recorded.findIndex((change, i) => !change.delta.equals(found[i] as Fingerprint));
    const change = recorded[index];
    if (change === undefined) return;
    const { key, endKey } = part.span;
    const what = `what changed in ${this.#options.name}, in [${prettyKey(key)}, ${prettyKey(endKey)}), up to ${formatUtc(change.time)}`;
    this.faults.push(this.#error(what, change.delta.toHex(), (found[index] as Fingerprint).toHex(), file));
  }

  #error(what: string, expected: string, found: string, file?: string): CorruptionError {
    return new CorruptionError(SqlState.DataCorrupted, `the restored history is not what was backed up: ${what}`, {
      detail: `expected ${expected}, found ${found}`,
      hint: 'restore to a time before it, or from another backup',
      ...(file !== undefined && { file }),
    });
  }
}

/** Index of the first element whose time is at or above `time`, in ascending order; the length when there is none. */
function firstAtOrAbove<T>(list: readonly T[], time: Timestamp, timeOf: (element: T) => Timestamp): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (timeOf(list[middle] as T) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
