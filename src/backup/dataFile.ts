/**
 * Data file: the sorted key-value file of a layer, written and read in blocks (docs/format.md section 2).
 *
 * Writing: append() cuts entries into blocks of about 1 MiB, encodes each on the main thread and
 * hands it to the thread pool to compress, so the next block is encoded meanwhile. At most
 * IN_FLIGHT_MAX blocks wait when the caller awaits drain() between appends.
 * Reading: header, footer and index first, then the blocks that a span needs, a few ahead.
 *
 * Lives elsewhere: entries in a block (block.ts), checksums and compression (frame.ts), which file
 * holds what (manifest.ts).
 */
import { crc32 } from 'node:zlib';

import { assert } from '../base/assert.ts';
import type { Bytes } from '../base/bytes.ts';
import { StatementError } from '../base/errors.ts';
import type { Executor } from '../base/executor.ts';
import type { Span } from '../base/span.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { ExternalStorage } from '../storage/externalStorage.ts';

import {
  BLOCK_RAW_BYTES_MAX,
  type DecodedColumns,
  decodeBlock,
  type EntryColumns,
  encodeBlock,
  SectionReader,
  SectionWriter,
} from './block.ts';
import { corruptFile } from './corrupt.ts';
import { FRAME_OVERHEAD_BYTES, FrameKind, hex, openFrame, sealFrame } from './frame.ts';

export type { DecodedColumns, EntryColumns } from './block.ts';

export const DATA_FILE_VERSION = 1;
const HEADER_MAGIC = Buffer.from('\x89VKV\r\n\x1a\n', 'latin1');
const FOOTER_MAGIC = Buffer.from('VKVEND\r\n', 'latin1');
const HEADER_BYTES = 16;
const FOOTER_BYTES = 64;

/** Keys and values in one block, before compression. Larger compresses better, smaller reads less for a narrow span. */
export const BLOCK_BYTES = 1 << 20;
/** Blocks compressing or compressed that drain() leaves in memory: enough to keep two cores busy. */
const IN_FLIGHT_MAX = 4;
/** An entry's lengths and time take at most this much beside its bytes. */
const ENTRY_OVERHEAD_BYTES = 64;

/** What a file holds, known when it is finished. */
export interface DataFileSummary {
  readonly sizeBytes: number;
  readonly blockCount: number;
  readonly entryCount: number;
  readonly tombstoneCount: number;
  /** Logical bytes: key and value lengths. */
  readonly dataBytes: number;
  readonly firstKey: Bytes | undefined;
  readonly lastKey: Bytes | undefined;
}

interface BlockInfo {
  readonly offset: number;
  readonly frameLength: number;
  readonly rawLength: number;
  readonly entryCount: number;
  readonly firstKey: Bytes;
  readonly lastKey: Bytes;
}

/**
 * Builds one file. Use: append() entries in order, await drain() now and then, take what
 * takeChunks() gives, and at the end finish() and take the rest.
 */
export class DataFileEncoder {
  readonly #executor: Executor;
  readonly #blockBytes: number;
  #keys: Bytes[] = [];
  #timestamps: Timestamp[] = [];
  #values: (Bytes | null)[] = [];
  #pendingBytes = 0;
  /** Blocks in file order; the first ones may be compressed already. */
  readonly #inFlight: Promise<{ frame: Buffer; info: Omit<BlockInfo, 'offset'> }>[] = [];
  readonly #chunks: Buffer[] = [];
  readonly #blocks: BlockInfo[] = [];
  #offset = HEADER_BYTES;
  #tombstoneCount = 0;
  #entryCount = 0;
  #dataBytes = 0;
  #lastKey: Bytes | undefined;
  #lastTime = 0;
  #isFinished = false;

  constructor(executor: Executor, options: { blockBytes?: number } = {}) {
    this.#executor = executor;
    this.#blockBytes = options.blockBytes ?? BLOCK_BYTES;
    this.#chunks.push(encodeHeader());
  }

  /** Logical bytes appended so far: what decides when a file is full. */
  get dataBytes(): number {
    return this.#dataBytes;
  }

  get entryCount(): number {
    return this.#entryCount;
  }

  /**
   * Adds entries [from, to) after all earlier ones, in the order of D1 (asserted). Does not keep the
   * arrays. Throws 54000 for an entry too large for a block.
   */
  append(entries: EntryColumns, from = 0, to = entries.keys.length): void {
    assert(!this.#isFinished, 'append to a finished data file');
    for (let i = from; i < to; i++) {
      const key = entries.keys[i] as Bytes;
      const value = entries.values[i] as Bytes | null;
      const time = entries.timestamps[i] as Timestamp;
      const entryBytes = key.length + (value === null ? 0 : value.length);
      if (entryBytes > BLOCK_RAW_BYTES_MAX - ENTRY_OVERHEAD_BYTES) throw entryTooLarge(entryBytes);
      // A block that would grow beyond the limit is closed first; encodeBlock checks order inside a block only.
      if (this.#pendingBytes + entryBytes > BLOCK_RAW_BYTES_MAX / 2) this.#closeBlock();
      if (this.#keys.length === 0 && this.#lastKey !== undefined) {
        assert(key > this.#lastKey || (key === this.#lastKey && time < this.#lastTime), 'data file entries out of order');
      }
      this.#keys.push(key);
      this.#values.push(value);
      this.#timestamps.push(time);
      if (value === null) this.#tombstoneCount++;
      this.#pendingBytes += entryBytes;
      this.#dataBytes += entryBytes;
      this.#entryCount++;
      this.#lastKey = key;
      this.#lastTime = time;
      if (this.#pendingBytes >= this.#blockBytes) this.#closeBlock();
    }
  }

  /** Waits until few enough blocks are in flight. Rejects when compression failed. */
  async drain(inFlightMax = IN_FLIGHT_MAX): Promise<void> {
    while (this.#inFlight.length > inFlightMax) {
      const { frame, info } = await (this.#inFlight[0] as Promise<{ frame: Buffer; info: Omit<BlockInfo, 'offset'> }>);
      this.#inFlight.shift();
      this.#blocks.push({ ...info, offset: this.#offset });
      this.#offset += frame.length;
      this.#chunks.push(frame);
    }
  }

  /** The next stretch of the file, as far as it is ready. Each chunk is given out once. */
  takeChunks(): Buffer[] {
    return this.#chunks.splice(0);
  }

  /** Writes the last block, index and footer. The chunks not yet taken complete the file. */
  async finish(): Promise<DataFileSummary> {
    assert(!this.#isFinished, 'data file finished twice');
    this.#closeBlock();
    await this.drain(0);
    this.#isFinished = true;
    const index = await sealFrame(FrameKind.Index, encodeIndex(this.#blocks), this.#executor);
    const summary: DataFileSummary = {
      sizeBytes: this.#offset + index.length + FOOTER_BYTES,
      blockCount: this.#blocks.length,
      entryCount: this.#entryCount,
      tombstoneCount: this.#tombstoneCount,
      dataBytes: this.#dataBytes,
      firstKey: this.#blocks[0]?.firstKey,
      lastKey: this.#blocks.at(-1)?.lastKey,
    };
    this.#chunks.push(index, encodeFooter(this.#offset, index.length, summary));
    return summary;
  }

  #closeBlock(): void {
    if (this.#keys.length === 0) return;
    const raw = encodeBlock({ keys: this.#keys, timestamps: this.#timestamps, values: this.#values });
    const info = {
      frameLength: 0,
      rawLength: raw.length,
      entryCount: this.#keys.length,
      firstKey: this.#keys[0] as Bytes,
      lastKey: this.#keys.at(-1) as Bytes,
    };
    const sealed = sealFrame(FrameKind.Data, raw, this.#executor).then((frame) => ({
      frame,
      info: { ...info, frameLength: frame.length },
    }));
    // drain() reports a failure; until then it must not count as unhandled.
    sealed.catch(() => {});
    this.#inFlight.push(sealed);
    this.#keys = [];
    this.#timestamps = [];
    this.#values = [];
    this.#pendingBytes = 0;
  }
}

/** A file's chunks as they become ready, holding a few blocks at a time; `summary` resolves after the last one. */
export function encodeDataFile(
  batches: AsyncIterable<EntryColumns> | Iterable<EntryColumns>,
  executor: Executor,
  options: { blockBytes?: number } = {},
): { readonly chunks: AsyncIterable<Uint8Array>; summary(): DataFileSummary } {
  let summary: DataFileSummary | undefined;
  async function* chunks(): AsyncGenerator<Uint8Array> {
    const encoder = new DataFileEncoder(executor, options);
    for await (const batch of batches) {
      encoder.append(batch);
      await encoder.drain();
      yield* encoder.takeChunks();
    }
    summary = await encoder.finish();
    yield* encoder.takeChunks();
  }
  return {
    chunks: chunks(),
    summary: () => {
      assert(summary !== undefined, 'summary of a data file that is not finished');
      return summary;
    },
  };
}

/** Where a reader gets a file's bytes; `name` is for messages. */
export interface DataFileSource {
  readonly name: string;
  readonly sizeBytes: number;
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** A stored file as a source. */
export function storedDataFile(storage: ExternalStorage, name: string, sizeBytes: number, signal?: AbortSignal): DataFileSource {
  return { name, sizeBytes, read: (offset, length) => storage.read(name, { offset, length, signal }) };
}

/** A file in memory as a source. */
export function bufferDataFile(name: string, content: Uint8Array): DataFileSource {
  return { name, sizeBytes: content.length, read: async (offset, length) => content.subarray(offset, offset + length) };
}

/** Blocks read and decompressed ahead of the one in use. */
const READ_AHEAD = 2;

export class DataFileReader {
  readonly summary: DataFileSummary;
  readonly #source: DataFileSource;
  readonly #executor: Executor;
  readonly #blocks: readonly BlockInfo[];

  private constructor(source: DataFileSource, executor: Executor, blocks: readonly BlockInfo[], summary: DataFileSummary) {
    this.#source = source;
    this.#executor = executor;
    this.#blocks = blocks;
    this.summary = summary;
  }

  /** Reads and checks header, footer and index. Throws XX001, 0A000 for a newer version, and the source's errors. */
  static async open(source: DataFileSource, executor: Executor): Promise<DataFileReader> {
    const { name, sizeBytes } = source;
    if (sizeBytes < HEADER_BYTES + FOOTER_BYTES) {
      throw corruptFile(name, 0, 'file is too short', `at least ${HEADER_BYTES + FOOTER_BYTES} bytes`, sizeBytes);
    }
    const [header, footer] = await Promise.all([
      readExactly(source, 0, HEADER_BYTES),
      readExactly(source, sizeBytes - FOOTER_BYTES, FOOTER_BYTES),
    ]);
    checkHeader(header, name);
    const { indexOffset, indexLength, ...totals } = decodeFooter(footer, name, sizeBytes);
    const frame = await readExactly(source, indexOffset, indexLength);
    const raw = await openFrame(frame, FrameKind.Index, executor, name, indexOffset);
    const blocks = decodeIndex(raw, totals, name, indexOffset);
    return new DataFileReader(source, executor, blocks, {
      ...totals,
      sizeBytes,
      firstKey: blocks[0]?.firstKey,
      lastKey: blocks.at(-1)?.lastKey,
    });
  }

  /**
   * Entries with a key in `span` (all without one), in order, a block or part of one at a time. A full scan also
   * checks the footer's totals. Throws XX001.
   */
  async *scan(span?: Span): AsyncGenerator<DecodedColumns> {
    const wanted = this.#blocks.filter((block) => !span || (block.firstKey < span.endKey && block.lastKey >= span.key));
    const ahead: Promise<DecodedColumns>[] = [];
    const totals = { entryCount: 0, tombstoneCount: 0, dataBytes: 0 };
    let previous: DecodedColumns | undefined;
    for (let next = 0, i = 0; i < wanted.length; i++) {
      for (; next < wanted.length && next <= i + READ_AHEAD; next++) {
        const reading = this.#readBlock(wanted[next] as BlockInfo);
        reading.catch(() => {});
        ahead.push(reading);
      }
      const columns = await (ahead.shift() as Promise<DecodedColumns>);
      const block = wanted[i] as BlockInfo;
      if (previous) checkSeam(previous, columns, this.#source.name, block.offset);
      if (!span) addTotals(totals, columns);
      previous = columns;
      const cut = span ? cutColumns(columns, span) : columns;
      if (cut.keys.length > 0) yield cut;
    }
    if (span) return;
    for (const name of ['entryCount', 'tombstoneCount', 'dataBytes'] as const) {
      if (totals[name] !== this.summary[name]) {
        throw corruptFile(this.#source.name, this.#source.sizeBytes - FOOTER_BYTES, `footer's ${name}`, this.summary[name], totals[name]);
      }
    }
  }

  async #readBlock(block: BlockInfo): Promise<DecodedColumns> {
    const { name } = this.#source;
    const frame = await readExactly(this.#source, block.offset, block.frameLength);
    const raw = await openFrame(frame, FrameKind.Data, this.#executor, name, block.offset);
    if (raw.length !== block.rawLength)
      throw corruptFile(name, block.offset, 'raw length differs from the index', block.rawLength, raw.length);
    const columns = decodeBlock(raw, name, block.offset);
    if (columns.keys.length !== block.entryCount) {
      throw corruptFile(name, block.offset, 'entry count differs from the index', block.entryCount, columns.keys.length);
    }
    if (columns.keys[0] !== block.firstKey || columns.keys.at(-1) !== block.lastKey) {
      throw corruptFile(name, block.offset, 'first or last key differs from the index');
    }
    return columns;
  }
}

async function readExactly(source: DataFileSource, offset: number, length: number): Promise<Buffer> {
  const bytes = await source.read(offset, length);
  if (bytes.length !== length) throw corruptFile(source.name, offset, 'file is cut', `${length} bytes`, bytes.length);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The entries of `columns` inside the span. */
function cutColumns(columns: DecodedColumns, span: Span): DecodedColumns {
  const from = lowerBound(columns.keys, span.key);
  const to = lowerBound(columns.keys, span.endKey);
  if (from === 0 && to === columns.keys.length) return columns;
  return { keys: columns.keys.slice(from, to), timestamps: columns.timestamps.slice(from, to), values: columns.values.slice(from, to) };
}

/** Index of the first key that is not below `key`. */
function lowerBound(keys: readonly Bytes[], key: Bytes): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as Bytes) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** D1 across two neighbouring blocks whose boundary keys are equal; the index has checked that keys do not go back. */
function checkSeam(before: DecodedColumns, after: DecodedColumns, file: string, offset: number): void {
  if (before.keys.at(-1) !== after.keys[0]) return;
  if (!((after.timestamps[0] as number) < (before.timestamps.at(-1) as number))) {
    throw corruptFile(file, offset, 'block begins out of order');
  }
}

function addTotals(totals: { entryCount: number; tombstoneCount: number; dataBytes: number }, columns: DecodedColumns): void {
  totals.entryCount += columns.keys.length;
  for (let i = 0; i < columns.keys.length; i++) {
    const value = columns.values[i] as Bytes | null;
    totals.dataBytes += (columns.keys[i] as Bytes).length + (value === null ? 0 : value.length);
    if (value === null) totals.tombstoneCount++;
  }
}

function encodeHeader(): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  HEADER_MAGIC.copy(header);
  header.writeUInt16LE(DATA_FILE_VERSION, 8);
  header.writeUInt32LE(crc32(header.subarray(0, 12)), 12);
  return header;
}

function checkHeader(header: Buffer, file: string): void {
  if (!header.subarray(0, 8).equals(HEADER_MAGIC)) {
    throw corruptFile(file, 0, 'not a backup data file', HEADER_MAGIC.toString('hex'), header.subarray(0, 8).toString('hex'));
  }
  const crc = crc32(header.subarray(0, 12));
  if (header.readUInt32LE(12) !== crc) throw corruptFile(file, 12, 'header checksum mismatch', hex(header.readUInt32LE(12)), hex(crc));
  checkVersion(header.readUInt16LE(8), header.readUInt16LE(10), file, 8);
}

function checkVersion(version: number, flags: number, file: string, offset: number): void {
  if (version > DATA_FILE_VERSION) {
    throw new StatementError(
      SqlState.FeatureNotSupported,
      `backup file "${file}" has format version ${version}; this build reads up to ${DATA_FILE_VERSION}`,
      {
        hint: 'use a newer version of Varve',
      },
    );
  }
  if (version !== DATA_FILE_VERSION) throw corruptFile(file, offset, 'unknown format version', DATA_FILE_VERSION, version);
  if (flags !== 0) {
    throw new StatementError(SqlState.FeatureNotSupported, `backup file "${file}" is encrypted, which is not supported yet`);
  }
}

function encodeFooter(indexOffset: number, indexLength: number, summary: DataFileSummary): Buffer {
  const footer = Buffer.alloc(FOOTER_BYTES);
  footer.writeBigUInt64LE(BigInt(indexOffset), 0);
  footer.writeUInt32LE(indexLength, 8);
  footer.writeUInt32LE(summary.blockCount, 12);
  footer.writeBigUInt64LE(BigInt(summary.entryCount), 16);
  footer.writeBigUInt64LE(BigInt(summary.tombstoneCount), 24);
  footer.writeBigUInt64LE(BigInt(summary.dataBytes), 32);
  footer.writeUInt16LE(DATA_FILE_VERSION, 48);
  footer.writeUInt32LE(crc32(footer.subarray(0, 52)), 52);
  FOOTER_MAGIC.copy(footer, 56);
  return footer;
}

type Totals = Pick<DataFileSummary, 'blockCount' | 'entryCount' | 'tombstoneCount' | 'dataBytes'>;

function decodeFooter(footer: Buffer, file: string, sizeBytes: number): Totals & { indexOffset: number; indexLength: number } {
  const start = sizeBytes - FOOTER_BYTES;
  if (!footer.subarray(56).equals(FOOTER_MAGIC)) {
    throw corruptFile(file, start + 56, 'file is cut or has no footer', FOOTER_MAGIC.toString('hex'), footer.subarray(56).toString('hex'));
  }
  const crc = crc32(footer.subarray(0, 52));
  if (footer.readUInt32LE(52) !== crc)
    throw corruptFile(file, start + 52, 'footer checksum mismatch', hex(footer.readUInt32LE(52)), hex(crc));
  checkVersion(footer.readUInt16LE(48), footer.readUInt16LE(50), file, start + 48);
  const u64 = (offset: number): number => {
    const value = Number(footer.readBigUInt64LE(offset));
    if (!Number.isSafeInteger(value)) throw corruptFile(file, start + offset, 'count out of range', 'below 2^53', value);
    return value;
  };
  const fields = {
    indexOffset: u64(0),
    indexLength: footer.readUInt32LE(8),
    blockCount: footer.readUInt32LE(12),
    entryCount: u64(16),
    tombstoneCount: u64(24),
    dataBytes: u64(32),
  };
  if (u64(40) !== 0) throw corruptFile(file, start + 40, 'reserved bytes are not zero', 0, u64(40));
  if (fields.indexOffset < HEADER_BYTES || fields.indexOffset + fields.indexLength !== start) {
    throw corruptFile(file, start, 'index does not end where the footer begins', start, fields.indexOffset + fields.indexLength);
  }
  return fields;
}

function encodeIndex(blocks: readonly BlockInfo[]): Buffer {
  const out = new SectionWriter();
  for (const block of blocks) {
    out.uvarint(block.frameLength);
    out.uvarint(block.rawLength);
    out.uvarint(block.entryCount);
    out.bytes(block.firstKey);
    out.bytes(block.lastKey);
  }
  return out.finish();
}

/** Blocks that tile the file from the header to the index, in key order, with the footer's totals. */
function decodeIndex(raw: Buffer, totals: Totals, file: string, indexOffset: number): BlockInfo[] {
  const reader = new SectionReader(raw, 0, raw.length);
  const blocks: BlockInfo[] = [];
  let offset = HEADER_BYTES;
  let entryCount = 0;
  let previousKey: Bytes | undefined;
  while (!reader.isDone) {
    const frameLength = reader.uvarint();
    const rawLength = reader.uvarint();
    const count = reader.uvarint();
    const firstKey = reader.bytes(reader.uvarint());
    const lastKey = reader.bytes(reader.uvarint());
    if (reader.isBroken) throw corruptFile(file, indexOffset, `index entry ${blocks.length} is malformed`);
    if (frameLength <= FRAME_OVERHEAD_BYTES || frameLength > indexOffset - offset || rawLength > BLOCK_RAW_BYTES_MAX || count === 0) {
      throw corruptFile(file, indexOffset, `index entry ${blocks.length} is out of bounds`);
    }
    if (lastKey < firstKey || (previousKey !== undefined && firstKey < previousKey)) {
      throw corruptFile(file, indexOffset, `index entry ${blocks.length} is out of order`);
    }
    blocks.push({ offset, frameLength, rawLength, entryCount: count, firstKey, lastKey });
    offset += frameLength;
    entryCount += count;
    previousKey = lastKey;
  }
  if (offset !== indexOffset) throw corruptFile(file, indexOffset, 'blocks do not reach the index', indexOffset, offset);
  if (blocks.length !== totals.blockCount) throw corruptFile(file, indexOffset, 'number of blocks', totals.blockCount, blocks.length);
  if (entryCount !== totals.entryCount) throw corruptFile(file, indexOffset, 'number of entries', totals.entryCount, entryCount);
  return blocks;
}

function entryTooLarge(sizeBytes: number): StatementError {
  return new StatementError(SqlState.ProgramLimitExceeded, `a row of ${sizeBytes} bytes is too large for a backup file`, {
    detail: `the limit is ${BLOCK_RAW_BYTES_MAX - ENTRY_OVERHEAD_BYTES} bytes`,
  });
}
