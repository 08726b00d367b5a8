/**
 * Fingerprint: a sum of hashes over a set of entries (key, value), by which two sets are known to be
 * the same without comparing them.
 *
 *   FP1  order-independent: entries may come in any order and any grouping
 *   FP2  additive: the fingerprint of a set after inserts and deletes is the one before, plus the
 *        hashes of what came, minus those of what went; each of four 32-bit lanes adds by itself
 *   FP3  a key is hashed without its index prefix, so a table and its copy under other ids agree
 *
 * It tells accidents and bugs from equality: for sets that differ by chance it is equal once in 2^128.
 * It is no defence against somebody who chooses entries so that sums agree; digests and encryption are.
 * Cost: about 80 ns for an entry of 120 bytes and two sums.
 *
 * Mixing and finalisation are those of Austin Appleby's MurmurHash3 (x86, 128 bits, seed 0, public
 * domain); how entries are laid out for it: docs/format.md 8.
 */
import { assert } from './assert.ts';
import type { Bytes } from './bytes.ts';

const LANES = 4;
const BLOCK_BYTES = 16;
/** Stands for the length of the value of a deleted key. */
const TOMBSTONE_LENGTH = 0xffffffff;

/** A sum of hashes. Starts as the fingerprint of no entries. */
export class Fingerprint {
  readonly #lanes = new Int32Array(LANES);

  /** 32 hexadecimal digits, as toHex gives them; undefined for other text. */
  static parse(text: string): Fingerprint | undefined {
    if (!/^[0-9a-f]{32}$/.test(text)) return undefined;
    const sum = new Fingerprint();
    for (let i = 0; i < LANES; i++) sum.#lanes[i] = Number.parseInt(text.slice(i * 8, i * 8 + 8), 16);
    return sum;
  }

  static read(from: Buffer, at: number): Fingerprint {
    const sum = new Fingerprint();
    for (let i = 0; i < LANES; i++) sum.#lanes[i] = from.readInt32LE(at + i * 4);
    return sum;
  }

  get isZero(): boolean {
    return this.#lanes.every((lane) => lane === 0);
  }

  /** Adds one hash, or another sum's lanes. */
  addHash(hash: Int32Array): void {
    const lanes = this.#lanes;
    for (let i = 0; i < LANES; i++) lanes[i] = (lanes[i] as number) + (hash[i] as number);
  }

  subtractHash(hash: Int32Array): void {
    const lanes = this.#lanes;
    for (let i = 0; i < LANES; i++) lanes[i] = (lanes[i] as number) - (hash[i] as number);
  }

  add(other: Fingerprint): void {
    this.addHash(other.#lanes);
  }

  copy(): Fingerprint {
    const sum = new Fingerprint();
    sum.add(this);
    return sum;
  }

  equals(other: Fingerprint): boolean {
    return this.#lanes.every((lane, i) => lane === other.#lanes[i]);
  }

  /** 32 lower-case hexadecimal digits, the first lane first. */
  toHex(): string {
    return Array.from(this.#lanes, (lane) => (lane >>> 0).toString(16).padStart(8, '0')).join('');
  }

  /** 16 bytes, lanes little-endian. */
  write(to: Buffer, at: number): void {
    this.#lanes.forEach((lane, i) => {
      to.writeInt32LE(lane, at + i * 4);
    });
  }
}

/** Hashes entries, one at a time, into lanes that the next one overwrites. */
export class EntryHasher {
  /** Of the entry that was hashed last. */
  readonly entry = new Int32Array(LANES);
  /** Of the same with a time, once stamp() was called. */
  readonly version = new Int32Array(LANES);
  #buffer = Buffer.alloc(1 << 12);
  #words = wordsOf(this.#buffer);
  /** The time that was mixed in last, and its halves: neighbours mostly have the same one. */
  #time = 0;
  #timeLow = 0;
  #timeHigh = 0;

  /** Hashes an entry: the key from byte `skip` on, and the value; null: the key is deleted. */
  hash(key: Bytes, skip: number, value: Bytes | null): void {
    const keyLength = key.length - skip;
    const valueLength = value === null ? 0 : value.length;
    // The key is written whole, so that what is hashed of it begins at a block; a cut string would have to be made first.
    const keyEnd = BLOCK_BYTES + padded(keyLength);
    const end = keyEnd + padded(valueLength);
    if (skip > BLOCK_BYTES) assert(false, `an index prefix of ${skip} bytes`);
    if (end > this.#buffer.length) this.#grow(end);
    this.#clearBlock(keyEnd);
    if (keyLength <= BLOCK_BYTES) {
      const buffer = this.#buffer;
      for (let i = 0; i < keyLength; i++) buffer[BLOCK_BYTES + i] = key.charCodeAt(skip + i);
    } else {
      this.#buffer.latin1Write(key, BLOCK_BYTES - skip);
    }
    if (value !== null && valueLength > 0) {
      this.#clearBlock(end);
      this.#buffer.latin1Write(value, keyEnd);
    }
    this.#mix(BLOCK_BYTES / 4, end / 4, keyLength, value === null ? TOMBSTONE_LENGTH : valueLength);
  }

  /** Mixes the time of a version into the entry that was hashed last. */
  stamp(time: number): void {
    const { entry } = this;
    if (time !== this.#time) {
      this.#time = time;
      this.#timeLow = (time % 2 ** 32) | 0;
      this.#timeHigh = Math.floor(time / 2 ** 32);
    }
    // By index: taking a typed array apart costs an iterator.
    const h1 = (entry[0] as number) ^ this.#timeLow;
    const h2 = (entry[1] as number) ^ this.#timeHigh;
    finish(this.version, h1, h2, entry[2] as number, entry[3] as number);
  }

  /** Zeros before the last block's bytes are written: what it does not fill is padding. */
  #clearBlock(end: number): void {
    const words = this.#words;
    for (let i = end / 4 - 4; i < end / 4; i++) words[i] = 0;
  }

  #grow(bytes: number): void {
    this.#buffer = Buffer.alloc(padded(bytes * 2));
    this.#words = wordsOf(this.#buffer);
  }

  #mix(from: number, to: number, keyLength: number, valueLength: number): void {
    const words = this.#words;
    let h1 = 0;
    let h2 = 0;
    let h3 = 0;
    let h4 = 0;
    for (let i = from; i < to; i += 4) {
      let k = Math.imul(words[i] as number, C1);
      h1 ^= Math.imul((k << 15) | (k >>> 17), C2);
      h1 = (((h1 << 19) | (h1 >>> 13)) + h2) | 0;
      h1 = (Math.imul(h1, 5) + 0x561ccd1b) | 0;
      k = Math.imul(words[i + 1] as number, C2);
      h2 ^= Math.imul((k << 16) | (k >>> 16), C3);
      h2 = (((h2 << 17) | (h2 >>> 15)) + h3) | 0;
      h2 = (Math.imul(h2, 5) + 0x0bcaa747) | 0;
      k = Math.imul(words[i + 2] as number, C3);
      h3 ^= Math.imul((k << 17) | (k >>> 15), C4);
      h3 = (((h3 << 15) | (h3 >>> 17)) + h4) | 0;
      h3 = (Math.imul(h3, 5) + 0x96cd1c35) | 0;
      k = Math.imul(words[i + 3] as number, C4);
      h4 ^= Math.imul((k << 18) | (k >>> 14), C1);
      h4 = (((h4 << 13) | (h4 >>> 19)) + h1) | 0;
      h4 = (Math.imul(h4, 5) + 0x32ac3b17) | 0;
    }
    finish(this.entry, h1 ^ keyLength, h2 ^ valueLength, h3 ^ keyLength, h4 ^ valueLength);
  }
}

const C1 = 0x239b961b;
const C2 = 0xab0e9789 | 0;
const C3 = 0x38b34ae5;
const C4 = 0xa1e38b93 | 0;

function finish(out: Int32Array, a: number, b: number, c: number, d: number): void {
  let h1 = (a + b + c + d) | 0;
  let h2 = finalMix(b + h1);
  let h3 = finalMix(c + h1);
  let h4 = finalMix(d + h1);
  h1 = (finalMix(h1) + h2 + h3 + h4) | 0;
  h2 += h1;
  h3 += h1;
  h4 += h1;
  out[0] = h1;
  out[1] = h2;
  out[2] = h3;
  out[3] = h4;
}

function finalMix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

function padded(length: number): number {
  return (length + BLOCK_BYTES - 1) & ~(BLOCK_BYTES - 1);
}

function wordsOf(buffer: Buffer): Int32Array {
  return new Int32Array(buffer.buffer, buffer.byteOffset, buffer.length / 4);
}
