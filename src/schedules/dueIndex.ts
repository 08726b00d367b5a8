/**
 * DueIndex: which schedules are due, and when the next one will be: in memory, in order, equal to the rows of
 * system.scheduled_jobs inside every commit step. Ten thousand idle schedules cost their entries and nothing else.
 *
 * Of those due at one moment incrementals come first: a full that is faster would otherwise end at the very time
 * at which the incremental beside it begins, and leave it nothing to do.
 */
import sortedBtree from 'sorted-btree';

import type { Timestamp } from '../base/timestamp.ts';

// Loaders differ in what the default of a CommonJS package is: Node gives its exports, bundlers the class itself.
const BTree = sortedBtree.default ?? (sortedBtree as unknown as typeof sortedBtree.default);

export interface DueEntry {
  readonly id: number;
  readonly nextRun: Timestamp;
  readonly isFull: boolean;
}

export class DueIndex {
  readonly #byTime = new BTree<DueEntry, undefined>(undefined, compare);
  readonly #byId = new Map<number, DueEntry>();

  get size(): number {
    return this.#byId.size;
  }

  /** Replaces what was there of that schedule. */
  set(entry: DueEntry): void {
    this.delete(entry.id);
    this.#byId.set(entry.id, entry);
    this.#byTime.set(entry, undefined);
  }

  delete(id: number): void {
    const before = this.#byId.get(id);
    if (before === undefined) return;
    this.#byId.delete(id);
    this.#byTime.delete(before);
  }

  /** When the earliest is due. */
  earliest(): Timestamp | undefined {
    return this.#byTime.minKey()?.nextRun;
  }

  /** Those due at a time, earliest first; `limit` of them at most, 0 for all. */
  due(now: Timestamp, limit: number): DueEntry[] {
    const found: DueEntry[] = [];
    for (const entry of this.#byTime.keys()) {
      if (entry.nextRun > now || (limit > 0 && found.length === limit)) break;
      found.push(entry);
    }
    return found;
  }
}

function compare(a: DueEntry, b: DueEntry): number {
  return a.nextRun - b.nextRun || Number(a.isFull) - Number(b.isFull) || a.id - b.id;
}
