/**
 * Data file reader: by key through the index with ranged reads, or whole from front to back.
 *
 *   R1  what comes out has passed the block's checksum, the limits and the order; nothing is trusted before
 *   R2  one block is opened while the one before it is decoded and used; scan() keeps two groups of stored
 *       blocks beside them
 *   R3  readDataFile() also proves the whole file: its size, its SHA-256, the checksum of checksums,
 *       and that header, index, footer and blocks say the same; it throws at the end, so its user
 *       must not act on the versions before it has returned
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

import { Ahead } from '../base/ahead.ts';
import type { Bytes } from '../base/bytes.ts';
import type { Executor } from '../base/executor.ts';
import type { Span } from '../base/span.ts';
import type { ExternalStorage } from '../storage/externalStorage.ts';

import type { VersionRun } from './block.ts';
import { BlockDecoder, decodeBlock } from './block.ts';
import { takeBlockBuffer } from './blockBuffers.ts';
import type { BlockOpening, FileCipher } from './cipher.ts';
import type { FilePlace } from './corruption.ts';
import { corruptFile, expectEqual } from './corruption.ts';
import type { BlockInfo, Footer } from './dataFile.ts';
import { checkHeader, decodeFooter, decodeIndex, FOOTER_BYTES, footerFacts, HEADER_BYTES } from './dataFile.ts';
import type { OpenBlock } from './frame.ts';
import { BLOCK_BYTES_MAX, crcBytes, decodeFrameHeader, FRAME_BYTES, hex32, INLINE_BYTES_MAX, openFrame } from './frame.ts';

/** Stored bytes of neighbouring blocks fetched with one read: few round trips to an object store, little memory. */
const GROUP_BYTES = 4 << 20;
/** Read with the footer: an index is usually below this, so opening is one read after the size. */
const TAIL_BYTES = 64 << 10;
/** Versions decoded in one go: about two milliseconds of the main thread. */
const RUN_ENTRIES_MAX = 4096;

export interface ReadDataFileOptions {
  readonly executor: Executor;
  /** Of a file of an encrypted layer: `layer.cipher?.forFile(file.path)`. */
  readonly cipher?: FileCipher | undefined;
  readonly signal?: AbortSignal;
}

/** What the manifest says of a file. */
export interface ExpectedFile {
  readonly sizeBytes: number;
  readonly sha256: string;
}

export class DataFileReader {
  readonly name: string;
  readonly footer: Footer;
  readonly blocks: readonly BlockInfo[];
  /** All bytes of a small file, which was read at once. */
  readonly whole: Buffer | undefined;
  readonly #storage: ExternalStorage;
  readonly #options: ReadDataFileOptions;

  private constructor(
    storage: ExternalStorage,
    name: string,
    { footer, blocks, whole }: { footer: Footer; blocks: readonly BlockInfo[]; whole: Buffer | undefined },
    options: ReadDataFileOptions,
  ) {
    this.#storage = storage;
    this.name = name;
    this.footer = footer;
    this.blocks = blocks;
    this.whole = whole;
    this.#options = options;
  }

  /**
   * Reads and checks header, footer and index. `expectedSize` is what the manifest says; `isStreamed`: the caller reads the
   * file from its beginning, and checks the header there.
   * 58P01 when the file is missing, XX001 when it is not what was written.
   */
  static async open(
    storage: ExternalStorage,
    name: string,
    options: ReadDataFileOptions & { readonly expectedSize?: number; readonly isStreamed?: boolean },
  ): Promise<DataFileReader> {
    const { signal, cipher, isStreamed = false } = options;
    const { tail, size } = await readTail(storage, name, options);
    const tailOffset = size - tail.length;
    if (!isStreamed) {
      const header =
        tailOffset === 0 ? tail.subarray(0, HEADER_BYTES) : asBuffer(await storage.read(name, { offset: 0, length: HEADER_BYTES, signal }));
      checkHeader(header, name, cipher !== undefined);
    }
    const footerBytes = tail.subarray(Math.max(0, tail.length - FOOTER_BYTES));
    const footer = decodeFooter(footerBytes, name, size, cipher !== undefined);
    const frame =
      footer.indexOffset >= tailOffset
        ? tail.subarray(footer.indexOffset - tailOffset, footer.indexOffset - tailOffset + footer.indexSize)
        : asBuffer(await storage.read(name, { offset: footer.indexOffset, length: footer.indexSize, signal }));
    const place = { file: name, offset: footer.indexOffset };
    const opening = cipher?.opening(footer.blockCount, footerFacts(footerBytes));
    const index = await openFrame(frame, place, options.executor.isInline, opening);
    expectEqual(place, 'number of blocks', footer.blockCount, index.header.entryCount);
    const blocks = decodeIndex(index.content, footer, name);
    index.release();
    return new DataFileReader(storage, name, { footer, blocks, whole: tailOffset === 0 ? tail : undefined }, options);
  }

  /** The versions of one block, by its index: what a point read costs. */
  async block(index: number): Promise<VersionRun> {
    const group = { from: index, to: index + 1 };
    const block = await this.#open(await this.#fetch(group), group, index);
    const run = decodeBlock(block.content, block.info, { file: this.name, offset: block.info.offset }, block.after);
    block.release();
    return run;
  }

  /** The versions of keys in a span, in order, in runs of at most RUN_ENTRIES_MAX, never empty. */
  async *scan(span: Span): AsyncGenerator<VersionRun> {
    const { executor } = this.#options;
    const blocks = this.#openAll(this.#groups(span));
    let ahead: Promise<IteratorResult<OpenedBlock>> | undefined = handled(blocks.next());
    try {
      for (;;) {
        const next: IteratorResult<OpenedBlock> = await ahead;
        ahead = undefined;
        if (next.done) return;
        ahead = handled(blocks.next());
        const { content, info, after, release } = next.value;
        const decoder = new BlockDecoder(content, info, { file: this.name, offset: info.offset }, after);
        while (!decoder.isDone) {
          const run = clip(decoder.decode(RUN_ENTRIES_MAX), span);
          if (run !== undefined) yield run;
          if (executor.shouldYield()) await executor.yield();
        }
        release();
      }
    } finally {
      // Whoever leaves early leaves nothing reading behind.
      await ahead?.catch(() => undefined);
    }
  }

  /** The blocks of groups, the next group being read while those of one are opened. */
  async *#openAll(groups: Iterator<BlockGroup, undefined>): AsyncGenerator<OpenedBlock> {
    let next = groups.next();
    let ahead = next.done ? undefined : handled(this.#fetch(next.value));
    try {
      while (!next.done) {
        const group = next.value;
        const bytes = await (ahead as Promise<Buffer>);
        ahead = undefined;
        next = groups.next();
        if (!next.done) ahead = handled(this.#fetch(next.value));
        for (let i = group.from; i < group.to; i++) yield await this.#open(bytes, group, i);
      }
    } finally {
      await ahead?.catch(() => undefined);
    }
  }

  /** Indexes of the blocks that meet a span, in stretches of at most GROUP_BYTES (but at least one block). */
  *#groups(span: Span): Generator<BlockGroup, undefined> {
    let from = 0;
    while (from < this.blocks.length && this.blocks[from]!.lastKey < span.key) from++;
    while (from < this.blocks.length && this.blocks[from]!.firstKey < span.endKey) {
      let to = from + 1;
      let bytes = this.blocks[from]!.storedSize;
      while (to < this.blocks.length && this.blocks[to]!.firstKey < span.endKey && bytes + this.blocks[to]!.storedSize <= GROUP_BYTES) {
        bytes += this.blocks[to]!.storedSize;
        to++;
      }
      yield { from, to };
      from = to;
    }
    return undefined;
  }

  /** Reads neighbouring blocks. */
  async #fetch({ from, to }: BlockGroup): Promise<Buffer> {
    const first = this.blocks[from]!;
    const last = this.blocks[to - 1]!;
    const length = last.offset + FRAME_BYTES + last.storedSize - first.offset;
    const bytes =
      this.whole?.subarray(first.offset, first.offset + length) ??
      asBuffer(await this.#storage.read(this.name, { offset: first.offset, length, signal: this.#options.signal }));
    expectEqual({ file: this.name, offset: first.offset }, 'size of blocks', length, bytes.length);
    return bytes;
  }

  /** Checks and decompresses one block of a group. */
  async #open(group: Buffer, { from }: BlockGroup, index: number): Promise<OpenedBlock> {
    const info = this.blocks[index]!;
    const start = info.offset - this.blocks[from]!.offset;
    const frame = group.subarray(start, start + FRAME_BYTES + info.storedSize);
    const place = { file: this.name, offset: info.offset };
    const opened = await openBlock(frame, place, this.#options, index);
    expectEqual(place, 'entry count of a block', info.entryCount, opened.header.entryCount);
    expectEqual(place, 'raw size of a block', info.rawSize, opened.header.rawSize);
    return { ...opened, info, after: this.blocks[index - 1]?.lastKey ?? ('' as Bytes) };
  }
}

/** Neighbouring blocks, by their indexes: `to` is exclusive. */
interface BlockGroup {
  readonly from: number;
  readonly to: number;
}

/** What a decoder needs. */
interface OpenedBlock extends OpenBlock {
  readonly info: BlockInfo;
  /** The last key of the block before. */
  readonly after: Bytes;
}

async function openBlock(frame: Buffer, place: FilePlace, { executor, cipher }: ReadDataFileOptions, index: number): Promise<OpenBlock> {
  const opening: BlockOpening | undefined = cipher?.opening(index);
  return await executor.run('decompress backup block', () => openFrame(frame, place, executor.isInline, opening));
}

/** The end of a file, and its size: one read where the size is known, and all of a file that is small. */
async function readTail(
  storage: ExternalStorage,
  name: string,
  { expectedSize, signal }: { readonly expectedSize?: number; readonly signal?: AbortSignal },
): Promise<{ tail: Buffer; size: number }> {
  const size = expectedSize ?? (await storage.size(name));
  const offset = Math.max(0, size - TAIL_BYTES);
  // A byte more, so that a longer file shows.
  const tail = asBuffer(await storage.read(name, { offset, length: size - offset + 1, signal }));
  if (tail.length !== size - offset) expectEqual({ file: name, offset: 0 }, 'size', size, await storage.size(name));
  return { tail, size };
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

/**
 * Every version of a file, front to back in one pass over its bytes, and the proof of the whole
 * file (R3) when the last one has been taken. 58P01 when it is missing, XX001 when it is not what
 * was written.
 */
export async function* readDataFile(
  storage: ExternalStorage,
  name: string,
  expected: ExpectedFile,
  options: ReadDataFileOptions,
): AsyncGenerator<VersionRun> {
  const { signal } = options;
  const hash = createHash('sha256');
  // A small file is read once for both; a large one begins to come while its index is read.
  const isSmall = expected.sizeBytes <= TAIL_BYTES;
  const early = isSmall ? undefined : new StreamCutter(storage.readStream(name, { signal, isLent: true }), hash);
  try {
    const reader = await DataFileReader.open(storage, name, { ...options, expectedSize: expected.sizeBytes, isStreamed: true });
    const input = early ?? new StreamCutter(once(reader.whole as Buffer), hash);
    yield* readBlocks(reader, input, options);
    expectEqual({ file: name, offset: 0 }, 'SHA-256', expected.sha256, hash.digest('hex'));
  } finally {
    await early?.close();
  }
}

/** What readDataFile() proves, but for the digest. */
async function* readBlocks(
  { name, footer, blocks }: DataFileReader,
  input: StreamCutter,
  options: ReadDataFileOptions,
): AsyncGenerator<VersionRun> {
  const { executor, cipher } = options;
  let blocksCrc = 0;
  let after = '' as Bytes;
  const open = async (info: BlockInfo, number: number) => {
    const frame = await input.takeFrame(FRAME_BYTES + info.storedSize, info.rawSize, name);
    return await openBlock(frame, { file: name, offset: info.offset }, options, number);
  };
  checkHeader(await input.take(HEADER_BYTES, name), name, cipher !== undefined);
  let ahead = blocks[0] && handled(open(blocks[0], 0));
  try {
    for (const [i, info] of blocks.entries()) {
      const place = { file: name, offset: info.offset };
      const { header, content, release } = await (ahead ?? open(info, i));
      const next = blocks[i + 1];
      ahead = next && handled(open(next, i + 1));
      blocksCrc = crc32(crcBytes(header.crc), blocksCrc);
      expectEqual(place, 'entry count of a block', info.entryCount, header.entryCount);
      const decoder = new BlockDecoder(content, info, place, after);
      while (!decoder.isDone) {
        yield decoder.decode(RUN_ENTRIES_MAX);
        if (executor.shouldYield()) await executor.yield();
      }
      release();
      after = info.lastKey;
    }
  } finally {
    // Whoever leaves early, or fails, leaves nothing reading behind.
    await ahead?.catch(() => undefined);
  }
  const index = await input.take(footer.indexSize, name);
  blocksCrc = crc32(crcBytes(decodeFrameHeader(index, { file: name, offset: footer.indexOffset }).crc), blocksCrc);
  await input.take(FOOTER_BYTES, name);
  await input.end(name);
  expectEqual({ file: name, offset: 0 }, 'checksum of all blocks', hex32(footer.blocksCrc), hex32(blocksCrc));
}

/** XX001 or 58P01 unless the stored file has the size and SHA-256 that the manifest says. Reads it once, keeps nothing. */
export async function verifyStoredFile(
  storage: ExternalStorage,
  name: string,
  expected: ExpectedFile,
  signal?: AbortSignal,
): Promise<void> {
  const hash = createHash('sha256');
  let size = 0;
  const pieces = new Ahead(storage.readStream(name, { signal, isLent: true }));
  try {
    for (let piece = await pieces.next(); piece !== undefined; piece = await pieces.next()) {
      hash.update(piece);
      size += piece.length;
    }
  } finally {
    await pieces.close();
  }
  expectEqual({ file: name, offset: 0 }, 'size', expected.sizeBytes, size);
  expectEqual({ file: name, offset: 0 }, 'SHA-256', expected.sha256, hash.digest('hex'));
}

/** The same promise, which may fail before anybody waits for it. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

/** Cuts a stream of pieces into stretches of asked-for sizes, hashing as they pass. */
class StreamCutter {
  readonly #pieces: Ahead<Uint8Array>;
  readonly #hash: { update(bytes: Uint8Array): unknown };
  #held: Buffer = Buffer.alloc(0);
  #offset = 0;

  constructor(pieces: AsyncIterable<Uint8Array>, hash: { update(bytes: Uint8Array): unknown }) {
    this.#pieces = new Ahead(pieces);
    this.#hash = hash;
  }

  /** In memory of its own: the pieces' is lent. */
  async take(count: number, file: string): Promise<Buffer> {
    return await this.#fill(Buffer.allocUnsafe(count), file);
  }

  /** A frame for openFrame(): a large one in the block buffer in which it will be opened. */
  async takeFrame(count: number, rawSize: number, file: string): Promise<Buffer> {
    if (rawSize <= INLINE_BYTES_MAX || rawSize > BLOCK_BYTES_MAX) return await this.take(count, file);
    return await this.#fill(takeBlockBuffer(Math.max(count, rawSize + 1)).subarray(0, count), file);
  }

  async #fill(to: Buffer, file: string): Promise<Buffer> {
    let length = this.#held.copy(to);
    this.#held = this.#held.subarray(length);
    while (length < to.length) {
      const next = await this.#pieces.next();
      if (next === undefined) throw corruptFile({ file, offset: this.#offset }, 'end of file', `${to.length} more bytes`, length);
      this.#hash.update(next);
      const piece = asBuffer(next);
      const taken = piece.copy(to, length);
      length += taken;
      this.#held = piece.subarray(taken);
    }
    this.#offset += to.length;
    return to;
  }

  /** Throws XX001 when bytes are left. */
  async end(file: string): Promise<void> {
    const next = await this.#pieces.next();
    if (this.#held.length > 0 || next !== undefined) {
      throw corruptFile({ file, offset: this.#offset }, 'end of file', 'nothing', 'more bytes');
    }
  }

  async close(): Promise<void> {
    await this.#pieces.close();
  }
}

/** The part of a run inside a span; undefined when there is none. */
function clip(run: VersionRun, span: Span): VersionRun | undefined {
  const { keys, timestamps, values } = run;
  if (keys[0]! >= span.key && keys.at(-1)! < span.endKey) return run;
  const from = firstAtOrAfter(keys, span.key);
  const to = firstAtOrAfter(keys, span.endKey);
  if (from >= to) return undefined;
  return { keys: keys.slice(from, to), timestamps: timestamps.slice(from, to), values: values.slice(from, to) };
}

/** Index of the first key at or after `key` in a sorted list. */
function firstAtOrAfter(keys: readonly Bytes[], key: Bytes): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
