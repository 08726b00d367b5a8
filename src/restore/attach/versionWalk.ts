/**
 * Version walk: the keys of a span in several data files, forward or backward, block by block: a reader that stops
 * early has read little.
 *
 * Each step gives one key with all its versions, of all files. Blocks come from the cache, so a step waits
 * only where a block has to be read.
 */
import type { Bytes } from '../../base/bytes.ts';
import type { Span } from '../../base/span.ts';
import type { Timestamp } from '../../base/timestamp.ts';

import type { VersionRun } from '../../backup/block.ts';
import type { DataFileReader } from '../../backup/dataFileReader.ts';
import { firstAtOrAfter } from '../fileCursor.ts';
import type { BlockCache } from './blockCache.ts';

/** Hears the versions of the key that a step has reached, in no order of time. */
export type VersionSink = (time: Timestamp, value: Bytes | null) => void;

export class VersionWalk {
  #walks: FileWalk[];
  readonly #isReverse: boolean;

  constructor(readers: readonly DataFileReader[], cache: BlockCache, span: Span, isReverse: boolean) {
    this.#isReverse = isReverse;
    this.#walks = readers.map((reader) => new FileWalk(reader, cache, span, isReverse));
  }

  /** The next key, whose versions go to `sink`; undefined at the end. Waits only where a block has to be read. */
  next(sink: VersionSink): Bytes | undefined | Promise<Bytes | undefined> {
    const pending = this.#walks.filter((walk) => walk.needsBlock);
    if (pending.length > 0) return this.#load(pending).then(() => this.next(sink));
    this.#walks = this.#walks.filter((walk) => walk.key !== undefined);
    let key: Bytes | undefined;
    for (const walk of this.#walks) {
      const candidate = walk.key as Bytes;
      if (key === undefined || (this.#isReverse ? candidate > key : candidate < key)) key = candidate;
    }
    if (key === undefined) return undefined;
    return this.#take(key, sink);
  }

  #take(key: Bytes, sink: VersionSink): Bytes | Promise<Bytes> {
    for (const walk of this.#walks) {
      walk.take(key, sink);
      // The versions of a key may go on in the next block.
      if (walk.needsBlock && walk.mayHold(key)) return this.#load([walk]).then(() => this.#take(key, sink));
    }
    return key;
  }

  async #load(walks: readonly FileWalk[]): Promise<void> {
    await Promise.all(walks.map((walk) => walk.load()));
  }
}

class FileWalk {
  readonly #reader: DataFileReader;
  readonly #cache: BlockCache;
  readonly #span: Span;
  readonly #step: 1 | -1;
  /** The block to be loaded, or that is. */
  #block: number;
  #run: VersionRun | undefined;
  #at = 0;

  constructor(reader: DataFileReader, cache: BlockCache, span: Span, isReverse: boolean) {
    const { blocks } = reader;
    this.#reader = reader;
    this.#cache = cache;
    this.#span = span;
    this.#step = isReverse ? -1 : 1;
    this.#block = isReverse
      ? firstBlock(reader, (i) => (blocks[i]?.firstKey as Bytes) >= span.endKey) - 1
      : firstBlock(reader, (i) => (blocks[i]?.lastKey as Bytes) >= span.key);
  }

  /** True when the next key stands in a block that is not there yet. */
  get needsBlock(): boolean {
    return this.#run === undefined && this.#meets(this.#block);
  }

  /** The next key; undefined at the end of the span. Not while a block is needed. */
  get key(): Bytes | undefined {
    const key = this.#run?.keys[this.#at];
    return key !== undefined && key >= this.#span.key && key < this.#span.endKey ? key : undefined;
  }

  /** Whether the block to be loaded may begin with versions of a key. */
  mayHold(key: Bytes): boolean {
    const block = this.#reader.blocks[this.#block];
    return block !== undefined && block.firstKey <= key && key <= block.lastKey;
  }

  async load(): Promise<void> {
    const run = await this.#cache.get(this.#reader, this.#block);
    this.#run = run;
    this.#at = this.#step === 1 ? firstAtOrAfter(run.keys, this.#span.key, 0) : firstAtOrAfter(run.keys, this.#span.endKey, 0) - 1;
    this.#leaveWhenDone();
  }

  take(key: Bytes, sink: VersionSink): void {
    while (this.#run !== undefined && this.#run.keys[this.#at] === key) {
      sink(this.#run.timestamps[this.#at] as Timestamp, this.#run.values[this.#at] ?? null);
      this.#at += this.#step;
      this.#leaveWhenDone();
    }
  }

  #leaveWhenDone(): void {
    if (this.#run !== undefined && this.#at >= 0 && this.#at < this.#run.keys.length) return;
    this.#run = undefined;
    this.#block += this.#step;
  }

  #meets(index: number): boolean {
    const block = this.#reader.blocks[index];
    return block !== undefined && block.firstKey < this.#span.endKey && block.lastKey >= this.#span.key;
  }
}

/** The first block for which `holds` is true; it is from there on. The number of blocks when for none. */
export function firstBlock({ blocks }: DataFileReader, holds: (index: number) => boolean): number {
  let low = 0;
  let high = blocks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
