/**
 * WriteBuffer: a transaction's own writes until it commits, in key order: an ordered map.
 *
 * A savepoint is a clone of the map, which shares everything with it and costs nothing until one of
 * the two changes; rolling back to it puts the clone in the map's place.
 *
 *   W1  the map holds each written key once, with the value written last; null is a delete
 *   W2  a savepoint's clone is never written to
 *
 * Cost: a write or lookup is logarithmic in the writes so far; a savepoint, and a rollback to it, constant.
 */
import sortedBtree from 'sorted-btree';

import type { Bytes } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';
import { bufferedBytes } from './memory.ts';

// The package is CommonJS: what is imported is its exports object.
const BTree = sortedBtree.default;
type Writes = InstanceType<typeof BTree<Bytes, Bytes | null>>;

/** A state of the buffer. */
export interface Mark {
  readonly writes: Writes;
  readonly bytes: number;
}

export class WriteBuffer {
  #writes: Writes = emptyWrites();
  #bytes = 0;
  /** Savepoints by mark; all are dropped when the last one standing is released. */
  #marks: Mark[] = [];
  #savepoints = 0;

  get size(): number {
    return this.#writes.size;
  }

  /** Bytes of keys and values held. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Heap bytes it will hold once committed. */
  get heapBytes(): number {
    return bufferedBytes(this.#writes.size, this.#bytes);
  }

  /** The value, null for a delete, undefined when the key was not written. */
  get(key: Bytes): Bytes | null | undefined {
    return this.#writes.get(key);
  }

  set(key: Bytes, value: Bytes | null): void {
    const previous = this.#writes.get(key);
    this.#bytes += (value?.length ?? 0) - (previous?.length ?? 0) + (previous === undefined ? key.length : 0);
    this.#writes.set(key, value);
  }

  /** Every key, ascending. */
  sortedKeys(): readonly Bytes[] {
    return this.#writes.keysArray();
  }

  /** The values in the order of sortedKeys(). */
  sortedValues(): (Bytes | null)[] {
    return this.#writes.valuesArray();
  }

  /** The keys written in a span, ascending. */
  keysIn(span: Span): readonly Bytes[] {
    const keys: Bytes[] = [];
    this.#writes.forRange(span.key, span.endKey, false, (key) => {
      keys.push(key);
    });
    return keys;
  }

  /** True when a key of the span was written. */
  touches(span: Span): boolean {
    if (this.#writes.size === 0) return false;
    const key = this.#writes.has(span.key) ? span.key : this.#writes.nextHigherKey(span.key);
    return key !== undefined && key < span.endKey;
  }

  /** A place to undo to; pass it to releaseMark once. */
  mark(): number {
    this.#savepoints++;
    return this.#marks.push({ writes: this.#writes.clone(), bytes: this.#bytes }) - 1;
  }

  undoTo(mark: number): void {
    this.restore(this.#marks[mark] as Mark);
  }

  releaseMark(): void {
    if (--this.#savepoints === 0) this.#marks = [];
  }

  /** The present state, to restore() once or many times; costs no savepoint. */
  freeze(): Mark {
    return { writes: this.#writes.clone(), bytes: this.#bytes };
  }

  restore(mark: Mark): void {
    this.#writes = mark.writes.clone();
    this.#bytes = mark.bytes;
  }

  clear(): void {
    this.#writes = emptyWrites();
    this.#marks = [];
    this.#bytes = 0;
  }
}

function emptyWrites(): Writes {
  return new BTree<Bytes, Bytes | null>(undefined, compare);
}

function compare(a: Bytes, b: Bytes): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
