/**
 * All versions: the versions of a stretch of keys from several files as one run, sorted by (key ascending, time
 * descending): what a store that had taken every layer in would hold. The runs end between keys.
 *
 * Two files with the same version of a key contradict each other: XX001.
 */
import type { Bytes } from '../../base/bytes.ts';
import { CorruptionError } from '../../base/errors.ts';
import { prettyKey } from '../../base/prettyKey.ts';
import { SqlState } from '../../base/sqlState.ts';
import { formatUtc, type Timestamp } from '../../base/timestamp.ts';

import type { FileCursor } from '../fileCursor.ts';

/** Versions of a run: two or three milliseconds of the main thread. */
const RUN_VERSIONS_MAX = 4096;
const RUN_BYTES_MAX = 1 << 20;

export interface MergedRun {
  readonly keys: Bytes[];
  readonly timestamps: Timestamp[];
  readonly values: (Bytes | null)[];
  /** Of keys and values. */
  bytes: number;
}

/** Merges cursors that have entered the same unit. Throws what reading throws. */
export async function* allVersions(cursors: readonly FileCursor[]): AsyncGenerator<MergedRun> {
  let open = [...cursors];
  let run = newRun();
  for (;;) {
    const refilled: FileCursor[] = [];
    for (const cursor of open) if (cursor.at < cursor.end || (await cursor.advance())) refilled.push(cursor);
    open = refilled;
    const key = leastKey(open);
    if (key === undefined) break;
    if (run.keys.length >= RUN_VERSIONS_MAX || run.bytes >= RUN_BYTES_MAX) {
      yield run;
      run = newRun();
    }
    const [only] = open;
    if (open.length === 1 && only !== undefined && takeKeys(only, run)) continue;
    const from = run.keys.length;
    for (const cursor of open) {
      // A key's versions may go on in the next block.
      do {
        while (cursor.at < cursor.end && cursor.keys[cursor.at] === key) {
          push(run, key, cursor.timestamps[cursor.at] as Timestamp, cursor.values[cursor.at] ?? null);
          cursor.at++;
        }
      } while (cursor.at === cursor.end && (await cursor.advance()) && cursor.keys[cursor.at] === key);
    }
    sortVersions(run, from);
  }
  if (run.keys.length > 0) yield run;
}

/** Takes the keys of one file, as far as its block goes, but for the last one, whose versions may go on in the next block. False when there are none. */
function takeKeys(cursor: FileCursor, run: MergedRun): boolean {
  const { keys, timestamps, values } = cursor;
  let to = Math.min(cursor.end, cursor.at + RUN_VERSIONS_MAX);
  const last = keys[to - 1];
  while (to > cursor.at && keys[to - 1] === last) to--;
  const isAny = to > cursor.at;
  for (; cursor.at < to; cursor.at++) {
    push(run, keys[cursor.at] as Bytes, timestamps[cursor.at] as Timestamp, values[cursor.at] ?? null);
  }
  return isAny;
}

function newRun(): MergedRun {
  return { keys: [], timestamps: [], values: [], bytes: 0 };
}

function push(run: MergedRun, key: Bytes, time: Timestamp, value: Bytes | null): void {
  run.keys.push(key);
  run.timestamps.push(time);
  run.values.push(value);
  run.bytes += key.length + (value?.length ?? 0);
}

function leastKey(cursors: readonly FileCursor[]): Bytes | undefined {
  let least: Bytes | undefined;
  for (const { keys, at } of cursors) {
    const key = keys[at] as Bytes;
    if (least === undefined || key < least) least = key;
  }
  return least;
}

/** Puts the versions of the last key, from index `from` on, newest first. */
function sortVersions(run: MergedRun, from: number): void {
  const { keys, timestamps, values } = run;
  let isSorted = true;
  for (let i = from + 1; i < keys.length; i++) if ((timestamps[i - 1] as Timestamp) <= (timestamps[i] as Timestamp)) isSorted = false;
  if (isSorted) return;
  const order = Array.from({ length: keys.length - from }, (_, i) => from + i).sort(
    (a, b) => (timestamps[b] as Timestamp) - (timestamps[a] as Timestamp),
  );
  const sorted = order.map((i) => [timestamps[i] as Timestamp, values[i] ?? null] as const);
  sorted.forEach(([time, value], i) => {
    if (time === sorted[i - 1]?.[0]) throw twice(keys[from] as Bytes, time);
    timestamps[from + i] = time;
    values[from + i] = value;
  });
}

function twice(key: Bytes, time: Timestamp): CorruptionError {
  return new CorruptionError(
    SqlState.DataCorrupted,
    `two files of the backup hold the version of ${prettyKey(key)} at ${formatUtc(time)}`,
    {
      hint: 'a file of another backup lies among those of this one',
    },
  );
}
