/**
 * Random: a seeded source of chance. Never for keys, salts or nonces: those come from node:crypto.
 *
 * The generator is sfc32, Chris Doty-Humphrey's small fast counting generator (PractRand, public
 * domain): 128 bits of state, of which 32 are a counter, so no seed leads to a short cycle. The
 * seed text is spread over the state by a 32-bit FNV-1a hash and Murmur3's finalizer.
 */
import { assert } from './assert.ts';
import type { Bytes } from './bytes.ts';

export interface Random {
  /** Uniform in [0, 2^32). */
  nextUint32(): number;
  /** Uniform in [0, 1), 53 bits. */
  float(): number;
  /** Uniform in [0, maxExclusive), 1 <= maxExclusive <= 2^53. */
  int(maxExclusive: number): number;
  bytes(count: number): Bytes;
  /** A source of its own, given by this one's seed and `label` alone: how many numbers either has drawn does not matter. */
  fork(label: string): Random;
}

/** A source for a seed: equal seeds give equal numbers, on every machine. */
export function seededRandom(seed: string | number): Random {
  return new Sfc32(String(seed));
}

class Sfc32 implements Random {
  readonly #seed: string;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: string) {
    this.#seed = seed;
    this.#a = hash32(`a:${seed}`);
    this.#b = hash32(`b:${seed}`);
    this.#c = hash32(`c:${seed}`);
    // The author's warm-up, which mixes the three words of the seed into each other.
    for (let round = 0; round < 15; round++) this.nextUint32();
  }

  nextUint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  float(): number {
    const high = this.nextUint32() >>> 5;
    const low = this.nextUint32() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  int(maxExclusive: number): number {
    assert(Number.isSafeInteger(maxExclusive) && maxExclusive >= 1, `random bound out of range: ${maxExclusive}`);
    // The bias of scaling 53 bits is below 2^-21 for the ranges in use, and a draw never loops.
    return Math.floor(this.float() * maxExclusive);
  }

  bytes(count: number): Bytes {
    const buffer = Buffer.allocUnsafe(count);
    for (let i = 0; i < count; i++) buffer[i] = this.nextUint32() & 0xff;
    return buffer.latin1Slice() as Bytes;
  }

  fork(label: string): Random {
    return new Sfc32(`${this.#seed}/${label}`);
  }
}

function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) | 0;
}
