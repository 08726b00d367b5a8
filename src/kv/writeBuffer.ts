/**
 * WriteBuffer: a transaction's own writes until it commits, in key order: an ordered map.
 *
 * A savepoint is a clone of the map, which shares everything with it and costs nothing until one of
 * the two changes; rolling back to it puts the clone in the map's place.
 *
 *   W1  the map holds each written key once, with the value written last; null is a delete
 *   W2  a savepoint's clone is never written to
 *   W3  what gather() has laid out in arrays follows every later write, and is dropped when the map
 *       is put back to an earlier state
 *
 * Cost: a write or lookup is logarithmic in the writes so far; a savepoint, and a rollback to it, constant.
 */
import sortedBtree from 'sorted-btree';

import { assert } from '../base/assert.ts';
import type { Bytes } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';
import { firstAtOrAfter } from './hooks.ts';
import { bufferedBytes } from './memory.ts';

// Loaders differ in what the default of a CommonJS package is: Node gives its exports, bundlers the class itself.
const BTree = sortedBtree.default ?? (sortedBtree as unknown as typeof sortedBtree.default);
type Writes = InstanceType<typeof BTree<Bytes, Bytes | null>>;

/** A state of the buffer. */
export interface Mark {
  readonly writes: Writes;
  readonly bytes: number;
}

/** Keys, ascending, and beside each its value. */
interface Sorted {
  readonly keys: Bytes[];
  readonly values: (Bytes | null)[];
}

/** Keys laid out between two looks at the clock: half a millisecond where they lie scattered on the heap. */
const SLICE_KEYS = 2_048;

export class WriteBuffer {
  #writes: Writes = NOTHING;
  /** The whole map, laid out by gather(). */
  #sorted: Sorted | undefined;
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
    if (this.#writes === NOTHING) this.#writes = emptyWrites();
    this.#writes.set(key, value);
    if (this.#sorted !== undefined) place(this.#sorted, key, value);
  }

  /** Every key, ascending, and the value of each. Cost: the writes, unless they were gathered. */
  sorted(): Sorted {
    return this.#sorted ?? { keys: this.#writes.keysArray(), values: this.#writes.valuesArray() };
  }

  /**
   * Lays the writes out for sorted(), a slice at a time; a few may still follow, each at the cost of
   * a move of the arrays' ends. `breathe` ends a time slice when it is used up. Nothing else may
   * change the buffer meanwhile.
   */
  async gather(breathe: () => Promise<void> | undefined): Promise<void> {
    const count = this.#writes.size;
    const sorted: Sorted = { keys: new Array<Bytes>(count), values: new Array<Bytes | null>(count) };
    let at = 0;
    for (const [key, value] of this.#writes.entries(undefined, [] as unknown as [Bytes, Bytes | null])) {
      sorted.keys[at] = key;
      sorted.values[at++] = value;
      const pause = at % SLICE_KEYS === 0 ? breathe() : undefined;
      if (pause) await pause;
    }
    assert(at === this.#writes.size, 'a write buffer was changed while it was laid out');
    this.#sorted = sorted;
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
    this.#sorted = undefined;
    this.#writes = cloned(mark.writes);
    this.#bytes = mark.bytes;
  }

  clear(): void {
    this.#sorted = undefined;
    this.#writes = NOTHING;
    this.#marks = [];
    this.#bytes = 0;
  }
}

function place({ keys, values }: Sorted, key: Bytes, value: Bytes | null): void {
  const at = firstAtOrAfter(keys, key);
  if (keys[at] === key) {
    values[at] = value;
  } else {
    keys.splice(at, 0, key);
    values.splice(at, 0, value);
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
