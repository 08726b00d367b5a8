/**
 * Merge files: the data files of a compacted layer, from the files of the layers that it stands for.
 *
 *   F1  a file ends between two pieces, when it is large enough or the next piece's tier is another
 *   F2  with history every version is kept; without, the newest of each key, and of keys from time 0 no deletion
 *   F3  a file that is used whole is proved whole by its digest, of another each block by its checksum (fileCursor.ts)
 *   F4  memory: a block or two of each file that a piece touches, and what the writer has under way
 */
import type { Bytes } from '../../base/bytes.ts';
import type { Executor } from '../../base/executor.ts';
import { indexPrefix } from '../../base/keycode.ts';
import { indexOfKey } from '../../kv/indexOfKey.ts';

import type { VersionRun } from '../../backup/block.ts';
import type { FileCipher } from '../../backup/cipher.ts';
import type { CollectionStorage } from '../../backup/collectionStorage.ts';
import { writeDataFile } from '../../backup/dataFileWriter.ts';
import { EntryCounter } from '../../backup/exportFile.ts';
import type { ManifestFile, ManifestFilePart, SpanInterval } from '../../backup/manifest.ts';
import { combineFingerprints, VersionsFingerprint } from '../../backup/partFingerprint.ts';
import { FileCursor } from '../fileCursor.ts';
import type { LayerFile } from '../spanCovering.ts';
import { allVersions, type MergedRun } from '../verify/allVersions.ts';
import type { Piece } from './compactionPlan.ts';

export interface MergeFilesOptions {
  readonly storage: CollectionStorage;
  readonly executor: Executor;
  readonly signal: AbortSignal;
  /** Where the compacted layer goes. */
  readonly directory: string;
  readonly revisionHistory: boolean;
  readonly targetBytes: number;
  readonly newFileName: () => string;
  readonly cipherFor: (path: string) => FileCipher | undefined;
  /** The tier whose place holds a piece's file; '' for the default one. */
  readonly tierOf: (piece: Piece) => string;
  /** After each file. */
  readonly onFile: (file: ManifestFile | undefined, emptySpans: readonly SpanInterval[]) => Promise<void>;
}

/** Merges pieces, given in key order. Throws what reading and writing throws; files of a failed run stay where they are. */
export async function mergeFiles(pieces: readonly Piece[], options: MergeFilesOptions): Promise<void> {
  const work = new Merging(pieces, options);
  try {
    while (work.hasMore) await work.writeFile();
  } finally {
    await work.close();
  }
}

class Merging {
  readonly #pieces: readonly Piece[];
  readonly #options: MergeFilesOptions;
  #next = 0;
  readonly #cursors = new Map<LayerFile, FileCursor>();
  /** Index of the last piece that needs a file. */
  readonly #lastUse = new Map<LayerFile, number>();
  readonly #isWhole = new Map<LayerFile, boolean>();

  constructor(pieces: readonly Piece[], options: MergeFilesOptions) {
    this.#pieces = pieces;
    this.#options = options;
    const used = new Map<LayerFile, number>();
    pieces.forEach(({ parts }, i) => {
      for (const { file, isCut } of parts) {
        this.#lastUse.set(file, i);
        if (!isCut) used.set(file, (used.get(file) ?? 0) + 1);
      }
    });
    for (const [file, count] of used) this.#isWhole.set(file, count === file.file.parts.length);
  }

  get hasMore(): boolean {
    return this.#next < this.#pieces.length;
  }

  async close(): Promise<void> {
    for (const cursor of this.#cursors.values()) await cursor.close();
  }

  async writeFile(): Promise<void> {
    const { storage, directory, executor, signal, newFileName, cipherFor, tierOf, onFile } = this.#options;
    const locality = tierOf(this.#pieces[this.#next] as Piece);
    const path = newFileName();
    const progress = { storedBytes: 0 };
    const parts: ManifestFilePart[] = [];
    const emptySpans: SpanInterval[] = [];
    const runs = this.#runs(locality, progress, parts, emptySpans);
    const first = await runs.next();
    if (first.done) {
      await onFile(undefined, emptySpans);
      return;
    }
    async function* all(): AsyncGenerator<VersionRun> {
      yield first.value as VersionRun;
      yield* runs;
    }
    const cipher = cipherFor(path);
    const place = storage.writeStorage(directory, locality);
    const { sizeBytes, sha256 } = await writeDataFile(place, `${directory}/${path}`, all(), { executor, signal, progress, cipher });
    await onFile({ path, locality, sizeBytes, sha256, parts }, emptySpans);
  }

  /** Versions of the next pieces, until the file is large enough. */
  async *#runs(
    locality: string,
    progress: { readonly storedBytes: number },
    parts: ManifestFilePart[],
    emptySpans: SpanInterval[],
  ): AsyncGenerator<MergedRun> {
    const { targetBytes, tierOf, signal } = this.#options;
    for (let piece = this.#pieces[this.#next]; piece !== undefined; piece = this.#pieces[this.#next]) {
      if (tierOf(piece) !== locality || progress.storedBytes >= targetBytes) return;
      signal.throwIfAborted();
      const { length } = indexPrefixOf(piece.span.key);
      const counter = new EntryCounter(piece.span);
      const versions = new VersionsFingerprint(length);
      for await (const merged of allVersions(await this.#enter(piece))) {
        const run = this.#kept(merged, piece);
        counter.add(run);
        versions.add(run, 0, run.keys.length);
        if (run.keys.length > 0) yield run;
      }
      await this.#leave(piece);
      const { isEmpty, ...counts } = counter.counts;
      const { span, startTime, endTime } = piece;
      if (isEmpty) emptySpans.push({ span, startTime, endTime });
      else parts.push({ span, startTime, endTime, ...counts, fingerprint: this.#fingerprint(piece, versions.sum.toHex()) });
      this.#next++;
    }
  }

  #fingerprint({ parts, endTime }: Piece, versions: string) {
    const recorded = parts.map(({ part, isCut }) => (isCut ? undefined : part.fingerprint)).filter((one) => one !== undefined);
    if (recorded.length < parts.length) return undefined;
    const place = { file: parts[0]?.file.name ?? '', offset: 0 };
    return combineFingerprints(recorded, versions, this.#options.revisionHistory ? undefined : endTime, place);
  }

  async #enter({ span, parts }: Piece): Promise<FileCursor[]> {
    const { storage, executor, signal } = this.#options;
    const cursors: FileCursor[] = [];
    for (const file of new Set(parts.map((part) => part.file))) {
      const cursor = this.#cursors.get(file) ?? new FileCursor(file, this.#isWhole.get(file) ?? false, { storage, executor, signal });
      this.#cursors.set(file, cursor);
      await cursor.enter(span);
      cursors.push(cursor);
    }
    return cursors;
  }

  async #leave({ parts }: Piece): Promise<void> {
    for (const file of new Set(parts.map((part) => part.file))) {
      if (this.#lastUse.get(file) !== this.#next) continue;
      await this.#cursors.get(file)?.finish();
      this.#cursors.delete(file);
    }
  }

  /** What of a run is stored (F2). A run ends between keys. */
  #kept(run: MergedRun, { startTime }: Piece): MergedRun {
    if (this.#options.revisionHistory) return run;
    const kept: MergedRun = { keys: [], timestamps: [], values: [], bytes: 0 };
    for (let i = 0; i < run.keys.length; i++) {
      const key = run.keys[i] as Bytes;
      const value = run.values[i] ?? null;
      if (key === run.keys[i - 1] || (value === null && startTime === 0)) continue;
      kept.keys.push(key);
      kept.timestamps.push(run.timestamps[i] as MergedRun['timestamps'][number]);
      kept.values.push(value);
      kept.bytes += key.length + (value?.length ?? 0);
    }
    return kept;
  }
}

function indexPrefixOf(key: Bytes): Bytes {
  const { tableId, indexId } = indexOfKey(key);
  return indexPrefix(tableId, indexId);
}
