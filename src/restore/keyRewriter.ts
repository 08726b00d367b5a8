/**
 * Key rewriter: the same key under another table's prefix. Rows hold no ids, so a table's data moves
 * to its new id by its keys' first bytes alone.
 */
import { assert } from '../base/assert.ts';
import type { Bytes } from '../base/bytes.ts';

/** V8 keeps a joined string of this length or more as a rope over its two parts, which a store must not hold. */
const ROPE_LENGTH_MIN = 13;

export class KeyRewriter {
  readonly #from: Bytes;
  readonly #to: Bytes;
  /** The new prefix at the front; keys are laid behind it so that their old prefix lies under it. */
  #buffer = Buffer.allocUnsafe(1024);
  readonly #toBytes: Buffer;

  /** Both are index prefixes. */
  constructor(from: Bytes, to: Bytes) {
    this.#from = from;
    this.#to = to;
    this.#toBytes = Buffer.from(to, 'latin1');
  }

  /** The key that rewrite() made this one of. */
  restore(key: Bytes): Bytes {
    return (this.#from + key.slice(this.#to.length)) as Bytes;
  }

  /** `key` starts with the old prefix; the result with the new one, and it is a flat string. */
  rewrite(key: Bytes): Bytes {
    const kept = key.length - this.#from.length;
    const length = this.#to.length + kept;
    assert(key.startsWith(this.#from), 'a key of another index');
    if (length < ROPE_LENGTH_MIN) return (this.#to + key.slice(this.#from.length)) as Bytes;
    // The key is written so that what is kept begins right behind the place of the new prefix.
    const shift = Math.max(this.#from.length, this.#to.length);
    if (shift + kept > this.#buffer.length) this.#buffer = Buffer.allocUnsafe(2 * (shift + kept));
    const buffer = this.#buffer;
    buffer.latin1Write(key, shift - this.#from.length);
    const start = shift - this.#to.length;
    for (let i = 0; i < this.#toBytes.length; i++) buffer[start + i] = this.#toBytes[i] as number;
    return buffer.latin1Slice(start, start + length) as Bytes;
  }
}
