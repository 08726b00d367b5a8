/**
 * Block: entries in columns, to and from the bytes that docs/format.md section 2 lays down.
 *
 *   D1  entries are sorted by key ascending, then time descending, and no (key, time) comes twice
 *   D2  every section is used up exactly
 *
 * Both sides check both; the decoder trusts nothing it reads. Speed: all values are joined and
 * written in one call, decoded keys and values are flat strings of their own.
 */
import { assert } from '../base/assert.ts';
import { asBytes, type Bytes } from '../base/bytes.ts';
import type { Timestamp } from '../base/timestamp.ts';

import { corruptFile } from './corrupt.ts';

/** Versions as parallel arrays; mvcc's VersionBatch is one. A null value is a tombstone. */
export interface EntryColumns {
  readonly keys: readonly Bytes[];
  readonly timestamps: readonly Timestamp[];
  readonly values: readonly (Bytes | null)[];
}

/** What a decoder returns: the same, owned by the caller. */
export interface DecodedColumns {
  readonly keys: Bytes[];
  readonly timestamps: Timestamp[];
  readonly values: (Bytes | null)[];
}

/** Longest payload, and so about the longest entry: 128 MiB. It bounds what a reader allocates on a file's word. */
export const BLOCK_RAW_BYTES_MAX = 2 ** 27;

const HEAD_BYTES = 20;
const UVARINT_BYTES_MAX = 8;

/** A buffer that grows; kept between blocks. */
class Scratch {
  buffer = Buffer.allocUnsafeSlow(1 << 14);
  length = 0;

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    if (this.length + count <= this.buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.length + count));
    this.buffer.copy(larger, 0, 0, this.length);
    this.buffer = larger;
  }

  uvarint(value: number): void {
    if (this.length + UVARINT_BYTES_MAX > this.buffer.length) this.reserve(UVARINT_BYTES_MAX);
    let at = this.length;
    const { buffer } = this;
    while (value >= 0x80) {
      buffer[at++] = (value & 0x7f) | 0x80;
      // Beyond 32 bits only division keeps the value.
      value = value > 0x7fffffff ? Math.floor(value / 128) : value >>> 7;
    }
    buffer[at++] = value;
    this.length = at;
  }

  /** 2 * |value| + sign as a uvarint; its 54 bits may not fit a number, so the first seven are written apart. */
  signed(value: number): void {
    const sign = value < 0 ? 1 : 0;
    const magnitude = sign ? -value : value;
    if (magnitude < 0x40000000) return this.uvarint(magnitude * 2 + sign);
    this.reserve(UVARINT_BYTES_MAX);
    this.buffer[this.length++] = ((magnitude % 64) * 2 + sign) | 0x80;
    this.uvarint(Math.floor(magnitude / 64));
  }

  bytes(bytes: Bytes, from: number): void {
    const count = bytes.length - from;
    this.reserve(count);
    if (count <= 24) {
      for (let i = 0; i < count; i++) this.buffer[this.length + i] = bytes.charCodeAt(from + i);
    } else {
      this.buffer.latin1Write(bytes.slice(from), this.length, count);
    }
    this.length += count;
  }
}

const keyLengths = new Scratch();
const keyBytes = new Scratch();
const times = new Scratch();
const valueLengths = new Scratch();

/**
 * The payload of a data block. Entries keep D1 (asserted) and are at least one; the payload must not
 * exceed BLOCK_RAW_BYTES_MAX, which the caller sees to. Cost: one pass, about 500 MB/s.
 */
export function encodeBlock(entries: EntryColumns): Buffer {
  const { keys, timestamps, values } = entries;
  const count = keys.length;
  assert(count > 0 && timestamps.length === count && values.length === count, `uneven block columns: ${count} keys`);
  for (const scratch of [keyLengths, keyBytes, times, valueLengths]) scratch.length = 0;
  let valueBytes = 0;
  let previousKey: Bytes | undefined;
  let previousTime = 0;
  for (let i = 0; i < count; i++) {
    const key = keys[i] as Bytes;
    const time = timestamps[i] as Timestamp;
    const value = values[i] as Bytes | null;
    const shared = previousKey === undefined ? 0 : sharedPrefix(previousKey, key);
    if (previousKey !== undefined) assertOrder(previousKey, previousTime, key, time, shared);
    keyLengths.uvarint(shared);
    keyLengths.uvarint(key.length - shared);
    keyBytes.bytes(key, shared);
    times.signed(time - previousTime);
    valueLengths.uvarint(value === null ? 0 : value.length + 1);
    if (value !== null) valueBytes += value.length;
    previousKey = key;
    previousTime = time;
  }
  const raw = Buffer.allocUnsafeSlow(HEAD_BYTES + keyLengths.length + keyBytes.length + times.length + valueLengths.length + valueBytes);
  raw.writeUInt32LE(count, 0);
  let headAt = 4;
  let at = HEAD_BYTES;
  for (const section of [keyLengths, keyBytes, times, valueLengths]) {
    raw.writeUInt32LE(section.length, headAt);
    section.buffer.copy(raw, at, 0, section.length);
    headAt += 4;
    at += section.length;
  }
  // join() leaves out null, and makes one flat string of the rest.
  const written = raw.latin1Write(values.join(''), at);
  assert(written === valueBytes, `block values: ${written} bytes written of ${valueBytes}`);
  return raw;
}

/** How many leading bytes two keys have in common. */
function sharedPrefix(a: Bytes, b: Bytes): number {
  const end = Math.min(a.length, b.length);
  let at = 0;
  while (at < end && a.charCodeAt(at) === b.charCodeAt(at)) at++;
  return at;
}

function assertOrder(previousKey: Bytes, previousTime: number, key: Bytes, time: number, shared: number): void {
  const isSame = shared === key.length && shared === previousKey.length;
  const inOrder = isSame
    ? time < previousTime
    : shared === previousKey.length || (shared < key.length && key.charCodeAt(shared) > previousKey.charCodeAt(shared));
  assert(inOrder, `backup entries out of order: a key at ${time} after one at ${previousTime}`);
}

/** Reads one payload; `fileOffset` is where its frame begins, for messages. Throws XX001. */
export function decodeBlock(raw: Buffer, file: string, fileOffset: number): DecodedColumns {
  const fail = (what: string, expected?: number | string, found?: number | string) => corruptFile(file, fileOffset, what, expected, found);
  if (raw.length < HEAD_BYTES) throw fail('block is too short', `at least ${HEAD_BYTES} bytes`, raw.length);
  const count = raw.readUInt32LE(0);
  const ends: number[] = [];
  let end = HEAD_BYTES;
  for (let section = 0; section < 4; section++) {
    end += raw.readUInt32LE(4 + section * 4);
    ends.push(end);
  }
  if (end > raw.length) throw fail('block sections are longer than the block', raw.length, end);
  const [keyLengthsEnd = 0, keyBytesEnd = 0, timesEnd = 0, valueLengthsEnd = 0] = ends;
  // Each entry takes at least two bytes of key lengths, so the count cannot make us allocate at will.
  if (count === 0 || count * 2 > keyLengthsEnd - HEAD_BYTES) throw fail('entry count does not fit the block', '', count);

  const lengths = new SectionReader(raw, HEAD_BYTES, keyLengthsEnd);
  const timeReader = new SectionReader(raw, keyBytesEnd, timesEnd);
  const valueReader = new SectionReader(raw, timesEnd, valueLengthsEnd);
  let keyAt = keyLengthsEnd;
  let valueAt = valueLengthsEnd;
  let keyBuffer = Buffer.allocUnsafeSlow(256);
  const keys: Bytes[] = new Array(count);
  const timestamps: Timestamp[] = new Array(count);
  const values: (Bytes | null)[] = new Array(count);
  let previousKey: Bytes | undefined;
  let previousTime = 0;
  for (let i = 0; i < count; i++) {
    const shared = lengths.uvarint();
    const rest = lengths.uvarint();
    if (shared > (previousKey?.length ?? 0) || rest > keyBytesEnd - keyAt) throw fail(`key ${i} reaches outside its section`);
    const length = shared + rest;
    if (length > keyBuffer.length) {
      const larger = Buffer.allocUnsafeSlow(length * 2);
      keyBuffer.copy(larger, 0, 0, shared);
      keyBuffer = larger;
    }
    if (rest <= 24) for (let j = 0; j < rest; j++) keyBuffer[shared + j] = raw[keyAt + j] as number;
    else raw.copy(keyBuffer, shared, keyAt, keyAt + rest);
    keyAt += rest;
    const key = asBytes(keyBuffer.latin1Slice(0, length));
    const time = previousTime + timeReader.signed();
    if (!(time >= 0 && time <= Number.MAX_SAFE_INTEGER)) throw fail(`time of entry ${i} is out of range`, '', time);
    if (previousKey !== undefined && !(key > previousKey || (key === previousKey && time < previousTime))) {
      throw fail(`entry ${i} is out of order`);
    }
    const valueLength = valueReader.uvarint() - 1;
    if (valueLength > raw.length - valueAt) throw fail(`value ${i} reaches outside its section`);
    keys[i] = key;
    timestamps[i] = time as Timestamp;
    values[i] = valueLength < 0 ? null : asBytes(raw.latin1Slice(valueAt, valueAt + valueLength));
    if (valueLength > 0) valueAt += valueLength;
    previousKey = key;
    previousTime = time;
  }
  if (lengths.isBroken || timeReader.isBroken || valueReader.isBroken) throw fail('a number in the block is malformed');
  if (!lengths.isDone || !timeReader.isDone || !valueReader.isDone || keyAt !== keyBytesEnd || valueAt !== raw.length) {
    throw fail('block sections are not used up');
  }
  return { keys, timestamps, values };
}

/** Walks the numbers of one section. Running over its end gives zeros and sets `isBroken`, which the caller checks once. */
export class SectionReader {
  isBroken = false;
  readonly #buffer: Buffer;
  readonly #end: number;
  #at: number;

  constructor(buffer: Buffer, start: number, end: number) {
    this.#buffer = buffer;
    this.#at = start;
    this.#end = end;
  }

  get isDone(): boolean {
    return this.#at === this.#end;
  }

  uvarint(): number {
    if (this.#at >= this.#end) return this.#break();
    let byte = this.#buffer[this.#at++] as number;
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let scale = 128, length = 1; ; scale *= 128, length++) {
      if (this.#at >= this.#end || length === UVARINT_BYTES_MAX) return this.#break();
      byte = this.#buffer[this.#at++] as number;
      value += (byte & 0x7f) * scale;
      if (byte >= 0x80) continue;
      return byte === 0 || value > Number.MAX_SAFE_INTEGER ? this.#break() : value;
    }
  }

  signed(): number {
    if (this.#at >= this.#end) return this.#break();
    const first = this.#buffer[this.#at++] as number;
    let magnitude = (first & 0x7f) >> 1;
    if (first >= 0x80) {
      const rest = this.uvarint();
      if (rest === 0) return this.#break();
      magnitude += rest * 64;
    }
    if ((first & 1) === 0) return magnitude;
    return magnitude === 0 ? this.#break() : -magnitude;
  }

  bytes(count: number): Bytes {
    if (count > this.#end - this.#at) {
      this.#break();
      return asBytes('');
    }
    this.#at += count;
    return asBytes(this.#buffer.latin1Slice(this.#at - count, this.#at));
  }

  #break(): number {
    this.isBroken = true;
    this.#at = this.#end;
    return 0;
  }
}

/** Grows bytes of uvarints and byte strings: what the index is made of. */
export class SectionWriter {
  readonly #scratch = new Scratch();

  uvarint(value: number): void {
    this.#scratch.uvarint(value);
  }

  /** Length and bytes. */
  bytes(bytes: Bytes): void {
    this.#scratch.uvarint(bytes.length);
    this.#scratch.bytes(bytes, 0);
  }

  finish(): Buffer {
    return Buffer.from(this.#scratch.buffer.subarray(0, this.#scratch.length));
  }
}
