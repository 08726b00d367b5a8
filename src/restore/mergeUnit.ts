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

/** Merges cursors that have entered the same unit into `sink`. Throws what reading throws. */
export async function mergeUnit(cursors: readonly FileCursor[], time: Timestamp, sink: RowSink): Promise<void> {
  await new Merge(cursors, time, sink).run();
}

class Merge {
  #cursors: FileCursor[];
  readonly #time: Timestamp;
  readonly #sink: RowSink;
  /** The key under decision; undefined before the first. */
  #key: Bytes | undefined;
  /** Its newest version so far at or below the time; -1: none. */
  #bestTime = -1;
  #bestValue: Bytes | null = null;

  constructor(cursors: readonly FileCursor[], time: Timestamp, sink: RowSink) {
    this.#cursors = [...cursors];
    this.#time = time;
    this.#sink = sink;
  }

  async run(): Promise<void> {
    for (;;) {
      await this.#refill();
      const first = this.#first();
      if (first === undefined) break;
      const bound = this.#leastKeyBeside(first);
      // All versions below the others' next key, or, where they meet, those of the one key they share.
      const to =
        bound === undefined
          ? first.end
          : bound > (first.keys[first.at] as Bytes)
            ? Math.min(first.end, firstAtOrAfter(first.keys, bound, first.at))
            : this.#endOfKey(first);
      while (first.at < to) if (!this.#pass(first, to)) await this.#sink.drain();
    }
    if (!this.#decide()) await this.#sink.drain();
  }

  /** Brings up what used-up cursors have next; those at the unit's end go. */
  async #refill(): Promise<void> {
    let isAnyDone = false;
    for (const cursor of this.#cursors) {
      if (cursor.at === cursor.end && !(await cursor.advance())) isAnyDone = true;
    }
    if (isAnyDone) this.#cursors = this.#cursors.filter((cursor) => cursor.at < cursor.end);
  }

  /** The cursor with the least next key. */
  #first(): FileCursor | undefined {
    let first: FileCursor | undefined;
    for (const cursor of this.#cursors) {
      if (first === undefined || (cursor.keys[cursor.at] as Bytes) < (first.keys[first.at] as Bytes)) first = cursor;
    }
    return first;
  }

  #leastKeyBeside(first: FileCursor): Bytes | undefined {
    let least: Bytes | undefined;
    for (const cursor of this.#cursors) {
      if (cursor === first) continue;
      const key = cursor.keys[cursor.at] as Bytes;
      if (least === undefined || key < least) least = key;
    }
    return least;
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
    if (key === undefined || this.#bestTime < 0 || this.#bestValue === null) return true;
    return this.#sink.add(key, this.#bestValue);
  }
}
