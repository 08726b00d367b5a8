/**
 * Merge unit: of every key, the newest version at or below the restored time, over all files that
 * hold the key; keys whose newest version is a tombstone are left out.
 *
 *   time      @10    @20    @30    @40          restored to @35
 *   layer 1   a=1
 *             b=1                               a: @30 wins    -> a=3
 *   layer 2          b=-                        b: tombstone   -> nothing
 *   layer 3                 a=3    a=4          c: only @40    -> nothing
 *                                  c=4
 *
 *   time      @10    @20    @30                 restored to @35, imported into from @15 on
 *   layer 1   a=1    c=1                        a: older       -> a=1
 *             b=1                               b: deleted, then imported anew -> nothing
 *   layer 2                 b=2                 c: imported    -> nothing
 *
 *   M1  keys come out ascending, each once
 *   M2  a key's versions may come from several files and runs, in any order among files; it is
 *       decided when the first greater key comes
 *   M3  where one file alone goes on, its versions pass in one loop: only stretches where files
 *       really interleave pay for the merge
 */
import type { Bytes } from '../base/bytes.ts';
import type { Timestamp } from '../base/timestamp.ts';

import type { FileCursor } from './fileCursor.ts';
import { firstAtOrAfter } from './fileCursor.ts';

/** Where live rows go. add() says whether there is room for another; when not, drain() is awaited first. */
export interface RowSink {
  add(key: Bytes, value: Bytes): boolean;
  drain(): Promise<void>;
}

/**
 * Merges cursors that have entered the same unit into `sink`. Keys whose newest version is above `importStart` are left
 * out, too: they were imported (backupCatalog.ts, B2). Throws what reading throws.
 */
export async function mergeUnit(cursors: readonly FileCursor[], time: Timestamp, sink: RowSink, importStart = time): Promise<void> {
  await new Merge(cursors, time, sink, importStart).run();
}

class Merge {
  /** By next key, which every one has: a binary heap, for a chain can have hundreds of layers. */
  readonly #heap: FileCursor[] = [];
  readonly #cursors: readonly FileCursor[];
  readonly #time: Timestamp;
  readonly #sink: RowSink;
  readonly #importStart: Timestamp;
  /** The key under decision; undefined before the first. */
  #key: Bytes | undefined;
  /** Its newest version so far at or below the time; -1: none. */
  #bestTime = -1;
  #bestValue: Bytes | null = null;

  constructor(cursors: readonly FileCursor[], time: Timestamp, sink: RowSink, importStart: Timestamp) {
    this.#cursors = cursors;
    this.#time = time;
    this.#sink = sink;
    this.#importStart = importStart;
  }

  async run(): Promise<void> {
    for (const cursor of this.#cursors) if (cursor.at < cursor.end || (await cursor.advance())) this.#heap.push(cursor);
    for (let i = this.#heap.length >> 1; i >= 0; i--) this.#siftDown(i);
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      const bound = this.#leastKeyBeside();
      // All versions below the others' next key, or, where they meet, those of the one key they share.
      const to =
        bound === undefined
          ? first.end
          : bound > nextKeyOf(first)
            ? Math.min(first.end, firstAtOrAfter(first.keys, bound, first.at))
            : this.#endOfKey(first);
      while (first.at < to) if (!this.#pass(first, to)) await this.#sink.drain();
      if (first.at === first.end && !(await first.advance())) this.#removeFirst();
      else this.#siftDown(0);
    }
    if (!this.#decide()) await this.#sink.drain();
  }

  /** The least next key but for the first cursor's. */
  #leastKeyBeside(): Bytes | undefined {
    const [, a, b] = this.#heap;
    if (a === undefined) return undefined;
    const key = nextKeyOf(a);
    return b !== undefined && nextKeyOf(b) < key ? nextKeyOf(b) : key;
  }

  #removeFirst(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#siftDown(0);
  }

  /** Moves the cursor at a place down to where it belongs. */
  #siftDown(from: number): void {
    const heap = this.#heap;
    const cursor = heap[from];
    if (cursor === undefined) return;
    const key = nextKeyOf(cursor);
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      const left = heap[child];
      if (left === undefined) break;
      let least = left;
      const right = heap[child + 1];
      if (right !== undefined && nextKeyOf(right) < nextKeyOf(left)) {
        least = right;
        child++;
      }
      if (nextKeyOf(least) >= key) break;
      heap[at] = least;
      at = child;
    }
    heap[at] = cursor;
  }

  #endOfKey(cursor: FileCursor): number {
    const key = cursor.keys[cursor.at];
    let to = cursor.at + 1;
    while (to < cursor.end && cursor.keys[to] === key) to++;
    return to;
  }

  /** Takes versions up to index `to`. False when the sink is full; `at` has then moved on as far as it went. */
  #pass(cursor: FileCursor, to: number): boolean {
    const { keys, timestamps, values } = cursor;
    const time = this.#time;
    let hasRoom = true;
    let at = cursor.at;
    while (at < to && hasRoom) {
      const key = keys[at] as Bytes;
      const timestamp = timestamps[at] as Timestamp;
      if (key !== this.#key) {
        hasRoom = this.#decide();
        this.#key = key;
        this.#bestTime = -1;
      }
      if (timestamp <= time && timestamp > this.#bestTime) {
        this.#bestTime = timestamp;
        this.#bestValue = values[at] ?? null;
      }
      at++;
    }
    cursor.at = at;
    return hasRoom;
  }

  /** The key under decision is complete. */
  #decide(): boolean {
    const key = this.#key;
    if (key === undefined || this.#bestTime < 0 || this.#bestValue === null || this.#bestTime > this.#importStart) return true;
    return this.#sink.add(key, this.#bestValue);
  }
}

function nextKeyOf(cursor: FileCursor): Bytes {
  return cursor.keys[cursor.at] as Bytes;
}
