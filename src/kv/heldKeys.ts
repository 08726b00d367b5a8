/**
 * HeldKeys: the rows that a transaction of a weaker level read in order to write or lock them.
 *
 * Their locks keep every transaction away that takes locks. What takes none (an ingest, a clear, a
 * writer without locks) is seen by asking, at commit, whether a key has changed since its lock was
 * granted. SQL has no such writer on a table that others can write to; this is what would tell.
 *
 *   HK1  firstChange() finds a change of any key after the time at which it was last known unchanged
 *   HK2  it never finds a change of another key: no false conflict, however many keys there are
 *
 * Keys of one index that were held at one time are a run; what lies between its ends is asked about
 * first, so a run in a quiet part of the table costs one question.
 */
import type { Bytes } from '../base/bytes.ts';
import type { Executor } from '../base/executor.ts';
import { nextKey, type Span } from '../base/span.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { firstAtOrAfter } from './hooks.ts';
import { sameIndex } from './indexOfKey.ts';
import type { IndexStore, Keyspace } from './keyspace.ts';
import type { ReadConflict } from './readSet.ts';

interface Run {
  /** Unchanged at this time. */
  ts: Timestamp;
  readonly keys: Bytes[];
  /** Whether the keys came in order, as scans give them. */
  isSorted: boolean;
  min: Bytes;
  max: Bytes;
  /** The index's store when they were held. */
  readonly entry: IndexStore | undefined;
}

/** Keys that are looked at between two looks at the clock. */
const SLICE_KEYS = 256;

export class HeldKeys {
  #runs: Run[] = [];
  #size = 0;
  /** Runs before this one were there at the last mark(). */
  #marked = 0;

  /** Keys that may have to be looked at. */
  get size(): number {
    return this.#size;
  }

  /** The keys, of any indexes, are locked now and have not changed up to `ts`. */
  add(keys: readonly Bytes[], ts: Timestamp, keyspace: Keyspace): void {
    for (const key of keys) {
      const last = this.#runs.at(-1);
      if (last !== undefined && this.#runs.length > this.#marked && last.ts === ts && sameIndex(last.min, key)) {
        last.keys.push(key);
        if (key > last.max) {
          last.max = key;
        } else {
          last.isSorted = false;
          if (key < last.min) last.min = key;
        }
      } else {
        this.#runs.push({ ts, keys: [key], isSorted: true, min: key, max: key, entry: keyspace.find(key) });
      }
    }
    this.#size += keys.length;
  }

  /** A statement begins: what it holds can be dropped by undo(). */
  mark(): void {
    this.#marked = this.#runs.length;
  }

  /** Drops what was added since mark(): the statement reads anew, under the locks that it keeps. */
  undo(): void {
    for (const run of this.#runs.splice(this.#marked)) this.#size -= run.keys.length;
  }

  clear(): void {
    this.#runs = [];
    this.#size = 0;
    this.#marked = 0;
  }

  /** A change of a held key, by somebody who took no lock; undefined when there was none. */
  firstChange(keyspace: Keyspace): ReadConflict | undefined {
    for (const run of this.#runs) {
      const store = storeToAsk(run, keyspace);
      if (store === undefined) continue;
      if (store === 'cleared') return cleared(run);
      // Few changes are looked up among the keys, rather than the other way round.
      const changed = run.isSorted ? store.store.changedKeys(hullOf(run), run.ts, run.keys.length) : undefined;
      for (const key of changed?.filter((one) => run.keys[firstAtOrAfter(run.keys, one)] === one) ?? run.keys) {
        const changedAt = store.store.keyChangedSince(key, run.ts);
        if (changedAt !== undefined) return { key, changedAt, readAt: run.ts };
      }
    }
    return undefined;
  }

  /** The same in slices, ahead of the commit step, which then asks about changes after `ts` only. `ts`: a snapshot taken just before. */
  async prevalidate(keyspace: Keyspace, ts: Timestamp, executor: Executor): Promise<ReadConflict | undefined> {
    for (const run of this.#runs) {
      const store = storeToAsk(run, keyspace);
      if (store === 'cleared') return cleared(run);
      for (let i = 0; store !== undefined && i < run.keys.length; i++) {
        if (i % SLICE_KEYS === 0 && executor.shouldYield()) await executor.yield();
        const key = run.keys[i] as Bytes;
        const changedAt = store.store.keyChangedSince(key, run.ts);
        if (changedAt !== undefined) return { key, changedAt, readAt: run.ts };
      }
      if (ts > run.ts) run.ts = ts;
    }
    return undefined;
  }
}

/** The store in which one of the run's keys may have changed; undefined when none can have. */
function storeToAsk(run: Run, keyspace: Keyspace): IndexStore | 'cleared' | undefined {
  const entry = keyspace.find(run.min);
  if (run.entry !== undefined && entry !== run.entry) return 'cleared';
  if (entry === undefined || entry.store.lastTimestamp <= run.ts) return undefined;
  if (run.keys.length > 1 && entry.store.changedSince(hullOf(run), run.ts) === undefined) return undefined;
  return entry;
}

function hullOf({ min, max }: Run): Span {
  return { key: min, endKey: nextKey(max) };
}

function cleared(run: Run): ReadConflict {
  return { key: run.min, changedAt: run.ts, readAt: run.ts };
}
