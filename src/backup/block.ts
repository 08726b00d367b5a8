/**
 * Block: the entries of a data file in pieces of about 1 MiB.
 *
 *   B1  entries ascend by key and, within a key, descend by timestamp, across blocks too
 *   B2  a block decodes by itself: its first entry shares nothing
 *   B3  what decode() takes, encode() could have written: every field is checked, twice where it
 *       is stated twice (frame and index, count and content)
 *
 * The encoder writes into a block buffer; take() hands it out with the finished content, and the caller gives it
 * back (blockBuffers.ts) when the block has been stored. So the main thread encodes the next block while the last
 * one is compressed, with no allocation per entry.
 *
 * Lives elsewhere: the frame a block is stored in (frame.ts), the file around the blocks (dataFile.ts).
 * Format: docs/format.md 2.3.
 */
import { assert } from '../base/assert.ts';
import type { Bytes } from '../base/bytes.ts';
import type { Timestamp } from '../base/timestamp.ts';

import { giveBlockBuffer, takeBlockBuffer } from './blockBuffers.ts';
import type { FilePlace } from './corruption.ts';
import { corruptFile } from './corruption.ts';

/** Versions as parallel arrays, sorted by (key ascending, timestamp descending); null is a tombstone. */
export interface VersionRun {
  readonly keys: readonly Bytes[];
  readonly timestamps: readonly Timestamp[];
  readonly values: readonly (Bytes | null)[];
}

/** A block is closed at this raw size. Large enough to compress well, small enough to seek and to hold a few in memory. */
export const BLOCK_TARGET_BYTES = 1 << 20;
/** Longest key and value together: rows beyond it are refused long before (the decoder's guard against a bad length). */
export const ENTRY_BYTES_MAX = 32 << 20;
/** Shared, suffix length, time and value length: at most eight bytes each. */
const ENTRY_NUMBERS_BYTES_MAX = 32;

/** A finished block, not yet compressed. */
export interface RawBlock {
  /** Holds the content from its beginning. The caller's, to give back once the block is stored. */
  readonly buffer: Buffer;
  /** Of the content. */
  readonly rawSize: number;
  readonly entryCount: number;
  readonly tombstoneCount: number;
  /** Bytes of keys and values. */
  readonly dataBytes: number;
  readonly firstKey: Bytes;
  readonly lastKey: Bytes;
  readonly lowestTime: Timestamp;
  readonly highestTime: Timestamp;
}

/** What of an index entry the decoder of a block checks. */
export interface BlockBounds {
  readonly entryCount: number;
  readonly firstKey: Bytes;
  readonly lastKey: Bytes;
}

export class BlockEncoder {
  readonly #targetBytes: number;
  /** Undefined between two blocks. */
  #buffer: Buffer | undefined;
  #length = 0;
  #entryCount = 0;
  #tombstoneCount = 0;
  #dataBytes = 0;
  #firstKey = '' as Bytes;
  #lastKey = '' as Bytes;
  #lastTime = 0 as Timestamp;
  #lowestTime = 0 as Timestamp;
  #highestTime = 0 as Timestamp;
  #isFirstOfFile = true;

  constructor(targetBytes: number = BLOCK_TARGET_BYTES) {
    assert(targetBytes >= 1 && targetBytes <= BLOCK_TARGET_BYTES, `block target out of range: ${targetBytes}`);
    this.#targetBytes = targetBytes;
  }

  get entryCount(): number {
    return this.#entryCount;
  }

  /** Raw bytes in the block under way. */
  get length(): number {
    return this.#length;
  }

  /** Appends one version; true when the block is full and take() is due. */
  add(key: Bytes, time: Timestamp, value: Bytes | null): boolean {
    const valueLength = value === null ? 0 : value.length;
    // The message is made only when it is needed: making one for each entry would cost more than encoding it.
    if (key.length + valueLength > ENTRY_BYTES_MAX) assert(false, `backup entry of ${key.length + valueLength} bytes`);
    this.#checkOrder(key, time);
    const needed = this.#length + key.length + valueLength + ENTRY_NUMBERS_BYTES_MAX;
    const buffer = this.#buffer !== undefined && needed <= this.#buffer.length ? this.#buffer : this.#grow(needed);
    let at = this.#length;
    let shared = 0;
    if (this.#entryCount === 0) {
      this.#firstKey = key;
      this.#lowestTime = time;
      this.#highestTime = time;
    } else {
      shared = sharedLength(this.#lastKey, key);
      if (time < this.#lowestTime) this.#lowestTime = time;
      if (time > this.#highestTime) this.#highestTime = time;
    }
    const suffixLength = key.length - shared;
    at = writeUvarint(buffer, at, shared);
    at = writeUvarint(buffer, at, suffixLength);
    if (suffixLength < 24) {
      for (let i = shared; i < key.length; i++) buffer[at++] = key.charCodeAt(i);
    } else {
      at += buffer.latin1Write(shared === 0 ? key : key.slice(shared), at);
    }
    at = writeSvarint(buffer, at, time - this.#lastTime);
    if (value === null) {
      buffer[at++] = 0;
      this.#tombstoneCount++;
    } else {
      at = writeUvarint(buffer, at, valueLength + 1);
      at += buffer.latin1Write(value, at);
    }
    this.#length = at;
    this.#entryCount++;
    this.#dataBytes += key.length + valueLength;
    this.#lastKey = key;
    this.#lastTime = time;
    return at >= this.#targetBytes;
  }

  /**
   * Appends versions of a run from index `from` on, until the block is full or the run ends, and
   * returns the index of the next one. The loop stands here, in a plain function, because V8 runs
   * the same loop inside an async generator at half the speed.
   */
  fill({ keys, timestamps, values }: VersionRun, from: number): number {
    let i = from;
    // Parallel arrays: every index below the length is there.
    while (i < keys.length) if (this.add(keys[i]!, timestamps[i]!, values[i++]!)) break;
    return i;
  }

  get isFull(): boolean {
    return this.#length >= this.#targetBytes;
  }

  /** Ends the block and starts the next one in another buffer. The block has at least one entry. */
  take(): RawBlock {
    assert(this.#buffer !== undefined, 'an empty backup block');
    const block: RawBlock = {
      buffer: this.#buffer,
      rawSize: this.#length,
      entryCount: this.#entryCount,
      tombstoneCount: this.#tombstoneCount,
      dataBytes: this.#dataBytes,
      firstKey: this.#firstKey,
      lastKey: this.#lastKey,
      lowestTime: this.#lowestTime,
      highestTime: this.#highestTime,
    };
    this.#buffer = undefined;
    this.#length = 0;
    this.#entryCount = 0;
    this.#tombstoneCount = 0;
    this.#dataBytes = 0;
    // The order is checked across blocks (B1), the time's difference starts from 0 again (B2).
    this.#previousTime = this.#lastTime;
    this.#lastTime = 0 as Timestamp;
    return block;
  }

  /** Gives up what has been encoded since the last take(). */
  drop(): void {
    if (this.#buffer) giveBlockBuffer(this.#buffer);
    this.#buffer = undefined;
  }

  /** Time of the last entry of the block before. */
  #previousTime = 0 as Timestamp;

  #checkOrder(key: Bytes, time: Timestamp): void {
    if (this.#isFirstOfFile) {
      assert(key.length > 0, 'a backup entry without a key');
      this.#isFirstOfFile = false;
      return;
    }
    const lastTime = this.#entryCount === 0 ? this.#previousTime : this.#lastTime;
    const isSorted = key > this.#lastKey || (key === this.#lastKey && time < lastTime);
    if (!isSorted)
      assert(false, `backup entries out of order: ${JSON.stringify(key)}@${time} after ${JSON.stringify(this.#lastKey)}@${lastTime}`);
  }

  /** Another buffer with what is in the present one. */
  #grow(neededBytes: number): Buffer {
    const before = this.#buffer;
    const larger = takeBlockBuffer(Math.max(neededBytes, this.#targetBytes, (before?.length ?? 0) * 1.5));
    if (before) {
      before.copy(larger, 0, 0, this.#length);
      giveBlockBuffer(before);
    }
    this.#buffer = larger;
    return larger;
  }
}

/** Raw content to versions, all at once. See BlockDecoder. */
export function decodeBlock(content: Buffer, bounds: BlockBounds, place: FilePlace, after: Bytes): VersionRun {
  return new BlockDecoder(content, bounds, place, after).decode(bounds.entryCount);
}

/** Bytes of a key's end that a loop copies sooner than a call does. */
const COPIED_HERE_MAX = 16;

/**
 * Raw content to versions, in runs of the caller's size: a block of tiny entries has so many that
 * decoding them all would hold the main thread too long. `after` is the last key of the block
 * before, which the first key may repeat (an older version of it) but not precede. Keys come out
 * flat. What a block says of itself as a whole is checked with its last run.
 */
export class BlockDecoder {
  readonly #content: Buffer;
  readonly #bounds: BlockBounds;
  readonly #reader: BlockReader;
  #index = 0;
  #scratch = Buffer.allocUnsafe(512);
  #keyLength = 0;
  #lastKey: Bytes;
  #lastTime = 0;

  constructor(content: Buffer, bounds: BlockBounds, place: FilePlace, after: Bytes) {
    this.#content = content;
    this.#bounds = bounds;
    this.#reader = new BlockReader(content, place);
    this.#lastKey = after;
  }

  /** True when every entry has been decoded. */
  get isDone(): boolean {
    return this.#index === this.#bounds.entryCount;
  }

  /** The next `countMax` versions, or as many as are left. */
  decode(countMax: number): VersionRun {
    const start = this.#index;
    const count = Math.min(countMax, this.#bounds.entryCount - start);
    const keys = new Array<Bytes>(count);
    const timestamps = new Array<Timestamp>(count);
    const values = new Array<Bytes | null>(count);
    const content = this.#content;
    const reader = this.#reader;
    let scratch = this.#scratch;
    let keyLength = this.#keyLength;
    let lastKey = this.#lastKey;
    let lastTime = this.#lastTime;

    for (let n = 0; n < count; n++) {
      const isFirst = n === 0 && start === 0;
      const shared = reader.uvarint('shared key length');
      const suffixLength = reader.uvarint('key suffix length');
      if (shared > keyLength) throw reader.corrupt('shared key length', `at most ${keyLength}`, shared);
      let key: Bytes;
      if (suffixLength === 0 && shared === keyLength && !isFirst) {
        key = lastKey;
      } else {
        const from = reader.skip(suffixLength, 'key suffix');
        keyLength = shared + suffixLength;
        if (keyLength > scratch.length) scratch = Buffer.concat([scratch], keyLength * 2);
        if (suffixLength > COPIED_HERE_MAX) content.copy(scratch, shared, from, from + suffixLength);
        else for (let i = 0; i < suffixLength; i++) scratch[shared + i] = content[from + i] as number;
        key = scratch.latin1Slice(0, keyLength) as Bytes;
      }
      const time = lastTime + reader.svarint('time');
      if (!(time >= 0 && time <= Number.MAX_SAFE_INTEGER)) throw reader.corrupt('time', 'a time in range', time);
      const stored = reader.uvarint('value length');
      let value: Bytes | null = null;
      if (stored > 0) {
        const from = reader.skip(stored - 1, 'value');
        value = content.latin1Slice(from, from + stored - 1) as Bytes;
      }
      if (key.length === 0) throw reader.corrupt('key', 'at least one byte', 'none');
      if (isFirst && key !== this.#bounds.firstKey) {
        throw reader.corrupt('first key', JSON.stringify(this.#bounds.firstKey), JSON.stringify(key));
      }
      if (key < lastKey || (!isFirst && key === lastKey && time >= lastTime))
        throw reader.corrupt('entry', 'ascending order', 'an earlier key or later time');
      keys[n] = key;
      timestamps[n] = time as Timestamp;
      values[n] = value;
      lastKey = key;
      lastTime = time;
    }
    this.#index = start + count;
    this.#scratch = scratch;
    this.#keyLength = keyLength;
    this.#lastKey = lastKey;
    this.#lastTime = lastTime;
    if (this.isDone) this.#checkEnd();
    return { keys, timestamps, values };
  }

  #checkEnd(): void {
    const reader = this.#reader;
    const { lastKey } = this.#bounds;
    if (reader.at !== this.#content.length) throw reader.corrupt('end of block', this.#content.length, reader.at);
    if (this.#lastKey !== lastKey) throw reader.corrupt('last key', JSON.stringify(lastKey), JSON.stringify(this.#lastKey));
  }
}

/** Reads numbers and stretches of a block's raw content, never past its end. */
export class BlockReader {
  readonly #content: Buffer;
  readonly #place: FilePlace;
  at = 0;

  constructor(content: Buffer, place: FilePlace) {
    this.#content = content;
    this.#place = place;
  }

  uvarint(what: string): number {
    const first = this.#content[this.at];
    if (first !== undefined && first < 0x80) {
      this.at++;
      return first;
    }
    return this.#rest(what, 0, 1, 0);
  }

  svarint(what: string): number {
    const first = this.#content[this.at];
    if (first === undefined) throw this.corrupt(what, 'a number', 'the end of the block');
    let magnitude = first & 0x3f;
    if (first < 0x80) this.at++;
    else magnitude = this.#rest(what, magnitude, 64, 1);
    if ((first & 0x40) === 0) return magnitude;
    if (magnitude === 0) throw this.corrupt(what, 'a number', 'minus zero');
    return -magnitude;
  }

  bytes(what: string): Bytes {
    const length = this.uvarint(`length of ${what}`);
    const from = this.skip(length, what);
    return this.#content.latin1Slice(from, from + length) as Bytes;
  }

  /** Passes over `count` bytes and returns where they begin. */
  skip(count: number, what: string): number {
    const from = this.at;
    if (count > this.#content.length - from) throw this.corrupt(what, `at most ${this.#content.length - from} bytes`, count);
    this.at = from + count;
    return from;
  }

  corrupt(what: string, expected: string | number, found: string | number): Error {
    return corruptFile(this.#place, `${what} (byte ${this.at} of the block's content)`, expected, found);
  }

  /** The bytes of a number from the `skipped`-th on, on top of what the first gave. */
  #rest(what: string, value: number, scale: number, skipped: number): number {
    let at = this.at + skipped;
    for (let count = skipped; count < 8; count++) {
      const byte = this.#content[at++];
      if (byte === undefined) throw this.corrupt(what, 'a number', 'the end of the block');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER || (byte === 0 && count > 0)) break;
        this.at = at;
        return value;
      }
      scale *= 128;
    }
    throw this.corrupt(what, 'a number below 2^53 in its shortest form', 'more');
  }
}

/** Bytes that both strings begin with. */
function sharedLength(a: Bytes, b: Bytes): number {
  const length = a.length < b.length ? a.length : b.length;
  let i = 0;
  while (i < length && a.charCodeAt(i) === b.charCodeAt(i)) i++;
  return i;
}

/** Writes seven bits a byte, lowest first; returns the offset after it. */
export function writeUvarint(buffer: Buffer, at: number, value: number): number {
  while (value >= 0x80) {
    buffer[at++] = (value % 128) | 0x80;
    value = Math.floor(value / 128);
  }
  buffer[at++] = value;
  return at;
}

function writeSvarint(buffer: Buffer, at: number, value: number): number {
  const sign = value < 0 ? 0x40 : 0;
  const magnitude = Math.abs(value);
  if (magnitude < 64) {
    buffer[at++] = magnitude | sign;
    return at;
  }
  buffer[at++] = (magnitude % 64) | sign | 0x80;
  return writeUvarint(buffer, at, Math.floor(magnitude / 64));
}
