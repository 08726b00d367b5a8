/**
 * Keyspace: one ordered keyspace over one store an index, each made at its first write.
 *
 *   KS1  entries are sorted by their prefix span and disjoint; every key belongs to at most one
 *   KS2  an entry's span is all keys that start with `/Table/<tableId>/<indexId>`
 *
 * Lives elsewhere: versions and logs (mvcc/store.ts), who serves which part (ranges.ts).
 */
import type { Bytes } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';
import { intersectSpans, prefixSpan } from '../base/span.ts';
import type { Footprint } from '../mvcc/footprint.ts';
import { Store } from '../mvcc/store.ts';
import { indexOfKey } from './indexOfKey.ts';

/** The store of one index. */
export interface IndexStore {
  readonly tableId: number;
  readonly indexId: number;
  readonly span: Span;
  readonly store: Store;
}

export class Keyspace {
  #entries: IndexStore[] = [];
  /** The entry found last: batches mostly stay within one index. */
  #recent: IndexStore | undefined;
  readonly #onCreate: (entry: IndexStore) => void;

  readonly #footprint: Footprint | undefined;

  /** `footprint`: where the stores count what they hold on the heap. */
  constructor(onCreate: (entry: IndexStore) => void, footprint?: Footprint) {
    this.#onCreate = onCreate;
    this.#footprint = footprint;
  }

  /** The store of the key's index; undefined when nothing was ever written to it. */
  find(key: Bytes): IndexStore | undefined {
    const recent = this.#recent;
    if (recent !== undefined && recent.span.key <= key && key < recent.span.endKey) return recent;
    const entry = this.#entries[this.#firstEndingAfter(key)];
    if (entry === undefined || entry.span.key > key) return undefined;
    this.#recent = entry;
    return entry;
  }

  /** The same, made when it is missing. Throws XX001 when the key does not start with an index prefix. */
  ensure(key: Bytes): IndexStore {
    const found = this.find(key);
    if (found !== undefined) return found;
    const { tableId, indexId, length } = indexOfKey(key);
    const span = prefixSpan(key.slice(0, length) as Bytes);
    const entry: IndexStore = { tableId, indexId, span, store: new Store(span, this.#footprint) };
    this.#entries.splice(this.#firstEndingAfter(key), 0, entry);
    this.#onCreate(entry);
    return entry;
  }

  /** The stores that a span touches, in key order. */
  overlapping(span: Span): IndexStore[] {
    const found: IndexStore[] = [];
    for (let i = this.#firstEndingAfter(span.key); i < this.#entries.length; i++) {
      const entry = this.#entries[i] as IndexStore;
      if (entry.span.key >= span.endKey) break;
      found.push(entry);
    }
    return found;
  }

  /** The first of them at or after `span.key`; with `reverse`, the last before `span.endKey`. */
  firstIn(span: Span, reverse = false): IndexStore | undefined {
    if (!reverse) {
      const entry = this.#entries[this.#firstEndingAfter(span.key)];
      return entry !== undefined && entry.span.key < span.endKey ? entry : undefined;
    }
    let index = this.#firstEndingAfter(span.endKey);
    let entry = this.#entries[index];
    if (entry === undefined || entry.span.key >= span.endKey) entry = this.#entries[--index];
    return entry !== undefined && intersectSpans(entry.span, span) !== undefined ? entry : undefined;
  }

  /** Every store, in key order. */
  entries(): readonly IndexStore[] {
    return this.#entries;
  }

  storesOfTable(tableId: number): IndexStore[] {
    return this.#entries.filter((entry) => entry.tableId === tableId);
  }

  /** Ids of tables with a store, ascending (the key encoding keeps the order of ids). */
  tableIds(): number[] {
    const ids: number[] = [];
    for (const { tableId } of this.#entries) if (ids.at(-1) !== tableId) ids.push(tableId);
    return ids;
  }

  drop(entry: IndexStore): void {
    this.#entries.splice(this.#entries.indexOf(entry), 1);
    entry.store.drop();
    if (this.#recent === entry) this.#recent = undefined;
  }

  /** Takes over another keyspace's stores as forks of them. */
  forkFrom(other: Keyspace): void {
    this.#entries = other.#entries.map((entry) => ({ ...entry, store: entry.store.fork(this.#footprint) }));
  }

  #firstEndingAfter(key: Bytes): number {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#entries[middle] as IndexStore).span.endKey <= key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
