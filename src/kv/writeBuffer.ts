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
import type { CommittedWrites } from './kv.ts';
import { bufferedBytes } from './memory.ts';

// Loaders differ in what the default of a CommonJS package is: Node gives its exports, bundlers the class itself.
const BTree = sortedBtree.default ?? (sortedBtree as unknown as typeof sortedBtree.default);
type Writes = InstanceType<typeof BTree<Bytes, Bytes | null>>;

/** A state of the buffer. */
export interface Mark {
  readonly writes: Writes;
  readonly bytes: number;
}

export class WriteBuffer {
  #writes: Writes = NOTHING;
  #bytes = 0;
  /** Savepoints by mark; all are dropped when the last one standing is released. */
  #marks: Mark[] = [];
  #savepoints = 0;
  /** How often it was put back to an earlier state. */
  undoCount = 0;

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
    if (this.#writes === NOTHING) this.#writes = emptyWrites();
    const writes = this.#writes;
    // Most keys are new: then one descent does.
    if (writes.set(key, value, false)) {
      this.#bytes += key.length + (value?.length ?? 0);
      return;
    }
    this.#bytes += (value?.length ?? 0) - (writes.get(key)?.length ?? 0);
    writes.set(key, value);
  }

  /** Every key, ascending, and the value of each. Cost: the writes; who has many takes slices(). */
  sorted(): CommittedWrites {
    return { keys: this.#writes.keysArray(), values: this.#writes.valuesArray() };
  }

  /** The same in pieces of so many keys, of the buffer as it is now, whatever becomes of it meanwhile. */
  *slices(keysMax: number): Generator<CommittedWrites, undefined> {
    let keys: Bytes[] = [];
    let values: (Bytes | null)[] = [];
    for (const [key, value] of cloned(this.#writes).entries(undefined, [] as unknown as [Bytes, Bytes | null])) {
      keys.push(key);
      values.push(value);
      if (keys.length < keysMax) continue;
      yield { keys, values };
      keys = [];
      values = [];
    }
    if (keys.length > 0) yield { keys, values };
    return undefined;
  }

  /** The writes that fall in the span; undefined when none does. Cost: what falls in it. */
  partIn(span: Span): CommittedWrites | undefined {
    const keys = this.keysIn(span);
    return keys.length === 0 ? undefined : { keys, values: keys.map((key) => this.#writes.get(key) ?? null) };
  }

  /** The first key at or above this one. */
  keyAtOrAfter(key: Bytes): Bytes | undefined {
    return this.#writes.has(key) ? key : this.#writes.nextHigherKey(key);
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
    const key = this.keyAtOrAfter(span.key);
    return key !== undefined && key < span.endKey;
  }

  /** A place to undo to; pass it to releaseMark once. */
  mark(): number {
    this.#savepoints++;
    return this.#marks.push({ writes: cloned(this.#writes), bytes: this.#bytes }) - 1;
  }

  undoTo(mark: number): void {
    this.restore(this.#marks[mark] as Mark);
  }

  releaseMark(): void {
    if (--this.#savepoints === 0) this.#marks = [];
  }

  /** The present state, to restore() once or many times; costs no savepoint. */
  freeze(): Mark {
    return { writes: cloned(this.#writes), bytes: this.#bytes };
  }

  restore(mark: Mark): void {
    this.undoCount++;
    this.#writes = cloned(mark.writes);
    this.#bytes = mark.bytes;
  }

  clear(): void {
    this.#writes = NOTHING;
    this.#marks = [];
    this.#bytes = 0;
  }
}

/** What every buffer holds at first, and never writes to: most transactions write little, or nothing. */
const NOTHING: Writes = new BTree<Bytes, Bytes | null>(undefined, compare);

function cloned(writes: Writes): Writes {
  return writes === NOTHING ? NOTHING : writes.clone();
}

function emptyWrites(): Writes {
  return new BTree<Bytes, Bytes | null>(undefined, compare);
}

function compare(a: Bytes, b: Bytes): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
