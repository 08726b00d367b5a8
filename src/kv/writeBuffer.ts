/**
 * WriteBuffer: a transaction's own writes until it commits: a map for lookups and a sorted list of
 * keys for scans and for the commit. The list is brought up to date only when somebody asks for it.
 *
 *   W1  sortedKeys() holds exactly the map's keys, ascending
 *   W2  while a savepoint stands, the undo log can take every write since it back, last first
 */
import type { Bytes } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';

interface UndoEntry {
  readonly key: Bytes;
  /** undefined: the key was not in the buffer. */
  readonly previous: Bytes | null | undefined;
}

/** So few new keys are put in one by one; more are merged in one pass. */
const SPLICE_KEYS_MAX = 8;

export class WriteBuffer {
  readonly #values = new Map<Bytes, Bytes | null>();
  #sorted: Bytes[] = [];
  /** Keys of the map that the sorted list lacks. */
  #unsorted: Bytes[] = [];
  #undo: UndoEntry[] = [];
  #savepoints = 0;
  #bytes = 0;

  get size(): number {
    return this.#values.size;
  }

  /** Bytes of keys and values held. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The value, null for a delete, undefined when the key was not written. */
  get(key: Bytes): Bytes | null | undefined {
    return this.#values.get(key);
  }

  set(key: Bytes, value: Bytes | null): void {
    const previous = this.#values.get(key);
    if (this.#savepoints > 0) this.#undo.push({ key, previous });
    if (previous === undefined) {
      this.#unsorted.push(key);
      this.#bytes += key.length;
    } else if (previous !== null) {
      this.#bytes -= previous.length;
    }
    if (value !== null) this.#bytes += value.length;
    this.#values.set(key, value);
  }

  /** Every key, ascending. Do not keep it across a write. */
  sortedKeys(): readonly Bytes[] {
    const fresh = this.#unsorted;
    if (fresh.length === 0) return this.#sorted;
    if (fresh.length > 1) fresh.sort(compare);
    const last = this.#sorted.at(-1);
    if (last === undefined) {
      this.#sorted = fresh;
    } else if (last < (fresh[0] as Bytes)) {
      for (const key of fresh) this.#sorted.push(key);
    } else if (fresh.length <= SPLICE_KEYS_MAX) {
      for (const key of fresh) this.#sorted.splice(this.#firstAtOrAfter(key), 0, key);
    } else {
      this.#sorted = mergeSorted(this.#sorted, fresh);
    }
    this.#unsorted = [];
    return this.#sorted;
  }

  /** The values in the order of sortedKeys(). */
  sortedValues(): (Bytes | null)[] {
    return this.sortedKeys().map((key) => this.#values.get(key) as Bytes | null);
  }

  /** The keys written in a span, ascending. */
  keysIn(span: Span): readonly Bytes[] {
    if (this.#values.size === 0) return [];
    this.sortedKeys();
    const from = this.#firstAtOrAfter(span.key);
    const to = this.#firstAtOrAfter(span.endKey);
    return from === to ? [] : this.#sorted.slice(from, to);
  }

  /** True when a key of the span was written. */
  touches(span: Span): boolean {
    if (this.#values.size === 0) return false;
    const key = this.sortedKeys()[this.#firstAtOrAfter(span.key)];
    return key !== undefined && key < span.endKey;
  }

  /** A place to undo to; pass it to releaseMark once. */
  mark(): number {
    this.#savepoints++;
    return this.#undo.length;
  }

  undoTo(mark: number): void {
    if (this.#undo.length === mark) return;
    while (this.#undo.length > mark) {
      const { key, previous } = this.#undo.pop() as UndoEntry;
      const present = this.#values.get(key);
      this.#bytes += (previous?.length ?? 0) - (present?.length ?? 0);
      if (previous === undefined) {
        this.#bytes -= key.length;
        this.#values.delete(key);
      } else {
        this.#values.set(key, previous);
      }
    }
    this.#sorted = [];
    this.#unsorted = [...this.#values.keys()];
  }

  releaseMark(): void {
    if (--this.#savepoints === 0) this.#undo = [];
  }

  clear(): void {
    this.#values.clear();
    this.#sorted = [];
    this.#unsorted = [];
    this.#undo = [];
    this.#bytes = 0;
  }

  /** Index in the sorted list, which is up to date but for what is being put in. */
  #firstAtOrAfter(key: Bytes): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#sorted[middle] as Bytes) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function compare(a: Bytes, b: Bytes): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function mergeSorted(a: readonly Bytes[], b: readonly Bytes[]): Bytes[] {
  const merged: Bytes[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) merged.push((a[i] as Bytes) < (b[j] as Bytes) ? (a[i++] as Bytes) : (b[j++] as Bytes));
  while (i < a.length) merged.push(a[i++] as Bytes);
  while (j < b.length) merged.push(b[j++] as Bytes);
  return merged;
}
