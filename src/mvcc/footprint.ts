/**
 * Footprint: what stores cost on the heap, for the memory budget.
 *
 *   F1  a store's share follows from its exact statistics and the length of its log: nothing is walked
 *   F2  a footprint is the sum of its stores' shares; each store corrects its own after every change
 *
 * Measured with Node 24 (64-bit, no pointer compression), 100,000 rows in commits of one row: a
 * version is an object of 48 bytes and its timestamp's box of 16; a value or a key a header of 16 and
 * 4 of padding on average; a key's places in the tree take 26 at the usual fill, an entry of the log
 * 16. The sum came within 6% of the heap's growth for inserts in and out of order, updates and
 * deletes of rows from 20 to 1,000 bytes. Commits of many rows share the box, and cost less.
 *
 * Forks share versions with their parent. A fork's stores begin with a share of nothing and count
 * what they add; what one side removes while the other may still hold it counts on as `shared`.
 *
 * Lives elsewhere: the statistics (stats.ts), limits and what happens at them (kv/memory.ts).
 */
import type { Bytes } from '../base/bytes.ts';
import type { StoreStats } from './stats.ts';

/** A version without its value. */
export const VERSION_BYTES = 64;
const STRING_BYTES = 20;
const TREE_ENTRY_BYTES = 26;
export const LOG_ENTRY_BYTES = 16;

/** Heap bytes by what they are for. */
export interface HeapBytes {
  /** Newest versions of live keys. */
  live: number;
  /** Superseded versions and tombstones. */
  garbage: number;
  /** The change log. */
  log: number;
}

/** What a store with these statistics and so many log entries holds. */
export function heapBytesOf(stats: StoreStats, logEntries: number): HeapBytes {
  const values = stats.versions - stats.tombstones;
  const total =
    stats.heldBytes + stats.versions * VERSION_BYTES + values * STRING_BYTES + stats.totalKeys * (STRING_BYTES + TREE_ENTRY_BYTES);
  const live = stats.liveBytes + stats.liveKeys * (VERSION_BYTES + 2 * STRING_BYTES + TREE_ENTRY_BYTES);
  return { live, garbage: total - live, log: logEntries * LOG_ENTRY_BYTES };
}

/** What one version holds, its key's share not counted. */
export function versionHeapBytes(value: Bytes | null): number {
  return value === null ? VERSION_BYTES : VERSION_BYTES + STRING_BYTES + value.length;
}

/** What a key holds, whatever its versions. */
export function keyHeapBytes(key: Bytes): number {
  return key.length + STRING_BYTES + TREE_ENTRY_BYTES;
}

export class Footprint implements HeapBytes {
  live = 0;
  garbage = 0;
  log = 0;
  /** What stores removed and forks may still hold; counts only while there are forks. */
  shared = 0;
  readonly #sum: Footprint | undefined;

  /** `sum`: a footprint that this one is a part of. */
  constructor(sum?: Footprint) {
    this.#sum = sum;
  }

  get total(): number {
    return this.live + this.garbage + this.log;
  }

  add(live: number, garbage: number, log: number, shared: number): void {
    this.live += live;
    this.garbage += garbage;
    this.log += log;
    this.shared += shared;
    this.#sum?.add(live, garbage, log, shared);
  }

  /** Takes everything out, of the sum too. */
  clear(): void {
    this.add(-this.live, -this.garbage, -this.log, -this.shared);
  }
}
