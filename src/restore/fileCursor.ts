/**
 * File cursor: a place in one data file that moves forward through the keys of one unit after another.
 *
 *   F1  a file that is used whole is streamed once, front to back, and proved whole by its SHA-256
 *       (dataFileReader.ts, R3); of another only the blocks that a unit needs are fetched, each
 *       proved by its own checksum
 *   F2  one step is always under way ahead: it is read and decompressed while the versions before it
 *       are merged and ingested
 */
import { Ahead } from '../base/ahead.ts';
import type { Bytes } from '../base/bytes.ts';
import type { Executor } from '../base/executor.ts';
import type { Span } from '../base/span.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { ExternalStorage } from '../storage/externalStorage.ts';

import type { VersionRun } from '../backup/block.ts';
import type { CollectionStorage } from '../backup/collectionStorage.ts';
import { DataFileReader, readDataFile } from '../backup/dataFileReader.ts';
import { requireFile } from '../backup/fileIdentity.ts';

import type { LayerFile } from './spanCovering.ts';

export interface FileCursorOptions {
  readonly storage: CollectionStorage;
  readonly executor: Executor;
  readonly signal: AbortSignal;
}

const NO_RUN: VersionRun = Object.freeze({ keys: [], timestamps: [], values: [] });

/** Versions of one file, in units given in key order. Call enter() for each unit, then advance() whenever `at` is at `end`. */
export class FileCursor {
  keys: readonly Bytes[] = [];
  timestamps: readonly Timestamp[] = [];
  values: readonly (Bytes | null)[] = [];
  /** The next version is at index `at`; those of the unit end before `end`. */
  at = 0;
  end = 0;
  readonly #file: LayerFile;
  readonly #options: FileCursorOptions;
  readonly #isWhole: boolean;
  #span: Span | undefined;
  #runs: Ahead<VersionRun> | undefined;
  #reader: DataFileReader | undefined;

  constructor(file: LayerFile, isWhole: boolean, options: FileCursorOptions) {
    this.#file = file;
    this.#isWhole = isWhole;
    this.#options = options;
    // Opening and the first read begin now, while the unit before is still at work.
    if (isWhole) this.#runs = new Ahead(readWhole(file, options));
  }

  /** Goes to a unit's first version. */
  async enter(span: Span): Promise<void> {
    this.#span = span;
    if (!this.#isWhole) {
      await this.#runs?.close();
      this.#take(NO_RUN);
      this.#reader ??= await DataFileReader.open(await placeOf(this.#file, this.#options), this.#file.name, {
        ...this.#options,
        cipher: this.#file.cipher,
        expectedSize: this.#file.file.sizeBytes,
      });
      requireFile(this.#reader, this.#file.file);
      this.#runs = new Ahead(this.#reader.scan(span));
    }
    this.at = firstAtOrAfter(this.keys, span.key, this.at);
    this.end = firstAtOrAfter(this.keys, span.endKey, this.at);
    if (this.at === this.end) await this.advance();
  }

  /** Takes the next run of versions of the unit, when those before are used up; false when there are none. */
  async advance(): Promise<boolean> {
    const span = this.#span;
    if (span === undefined) return false;
    // What lies behind the unit's end is the next unit's.
    while (this.end === this.keys.length) {
      const run = await this.#runs?.next();
      if (run === undefined) {
        this.#take(NO_RUN);
        return false;
      }
      this.#take(run);
      this.at = firstAtOrAfter(run.keys, span.key, 0);
      this.end = firstAtOrAfter(run.keys, span.endKey, this.at);
      if (this.at < this.end) return true;
    }
    return false;
  }

  /** Reads a whole file's rest, for its proof: what follows the last unit is its index and its digest. */
  async finish(): Promise<void> {
    if (this.#isWhole) while ((await this.#runs?.next()) !== undefined);
    await this.close();
  }

  async close(): Promise<void> {
    await this.#runs?.close();
    this.#runs = undefined;
    this.#take(NO_RUN);
  }

  #take({ keys, timestamps, values }: VersionRun): void {
    this.keys = keys;
    this.timestamps = timestamps;
    this.values = values;
    this.at = 0;
    this.end = 0;
  }
}

async function placeOf({ directory, file }: LayerFile, { storage }: FileCursorOptions): Promise<ExternalStorage> {
  return await storage.fileStorage(directory, file.locality);
}

async function* readWhole(file: LayerFile, options: FileCursorOptions): AsyncGenerator<VersionRun> {
  yield* readDataFile(await placeOf(file, options), file.name, file.file, { ...options, cipher: file.cipher });
}

/** Index of the first key at or after `key` in a sorted list, at `from` or behind it. */
export function firstAtOrAfter(keys: readonly Bytes[], key: Bytes, from: number): number {
  let low = from;
  let high = keys.length;
  // Most runs lie wholly inside a unit.
  if (low < high && (keys[low] as Bytes) >= key) return low;
  if (low < high && (keys[high - 1] as Bytes) < key) return high;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as Bytes) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
