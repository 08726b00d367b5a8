/**
 * Writes: a commit's puts and deletes at one timestamp, bulk ingest of versions that already have
 * theirs, and clearing a span. All keep the statistics exact and the log complete.
 */
import { assert, verifyEnabled } from '../base/assert.ts';
import type { Bytes } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';
import { nextKey, spanContains } from '../base/span.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { MIN_TIMESTAMP } from '../base/timestamp.ts';
import { keyHeapBytes, LOG_ENTRY_BYTES, versionHeapBytes } from './footprint.ts';
import { addStats, countChain, emptyStats } from './stats.ts';
import type { StoreState } from './storeState.ts';
import { ownTree } from './storeState.ts';
import { relink, Version } from './version.ts';
import { VersionBatch } from './versionBatch.ts';

/** What a commit writes: parallel arrays, each key once. A null value deletes. */
export interface WriteBatch {
  readonly keys: readonly Bytes[];
  readonly values: readonly (Bytes | null)[];
}

/** New rows: parallel arrays, keys ascending, and the one timestamp of all. */
export interface IngestedRows {
  readonly keys: readonly Bytes[];
  readonly values: readonly Bytes[];
  readonly at: Timestamp;
}

/** See Store.apply. */
export function apply(state: StoreState, ts: Timestamp, batch: WriteBatch, from: number, to: number): void {
  const { log, stats } = state;
  assert(ts >= log.last, `commit at @${ts} below the last logged @${log.last}`);
  const tree = ownTree(state);
  const { keys, values } = batch;
  for (let i = from; i < to; i++) {
    const key = keys[i] as Bytes;
    const value = values[i] as Bytes | null;
    if (verifyEnabled) assert(spanContains(state.span, key), 'write outside the span of its store');
    const version = tree.push(key, ts, value);
    const old = version.older;
    const bytes = value === null ? key.length : key.length + value.length;
    if (old === undefined) {
      stats.totalKeys++;
      stats.heldBytes += key.length;
    } else if (old.value !== null) {
      stats.liveKeys--;
      stats.liveBytes -= key.length + old.value.length;
    }
    if (value === null) {
      stats.tombstones++;
    } else {
      stats.liveKeys++;
      stats.liveBytes += bytes;
      stats.heldBytes += value.length;
    }
    stats.versions++;
    stats.totalBytes += bytes;
    log.append(tree.placedKey, version);
  }
}

/** See Store.ingestRows. */
export function ingestRows(state: StoreState, { keys, values, at }: IngestedRows, arrival: Timestamp): void {
  const last = ownTree(state).lastKey;
  if (keys.length === 0) return;
  if (last !== undefined && last >= (keys[0] as Bytes)) {
    const batch = new VersionBatch();
    for (let i = 0; i < keys.length; i++) batch.push(keys[i] as Bytes, at, values[i] as Bytes);
    ingest(state, batch, arrival);
    return;
  }
  assert(at <= arrival, 'ingested version later than its arrival');
  const heads = new Array<Version>(keys.length);
  let bytes = 0;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as Bytes;
    const value = values[i] as Bytes;
    // Asked first: messages would cost more than the write.
    if (i > 0 && (keys[i - 1] as Bytes) >= key) assert(false, 'ingested run out of key order');
    heads[i] = new Version(at, value, undefined);
    bytes += key.length + value.length;
  }
  const span = { key: keys[0] as Bytes, endKey: nextKey(keys[keys.length - 1] as Bytes) };
  if (verifyEnabled) assert(span.key >= state.span.key && span.endKey <= state.span.endKey, 'ingest outside the span of its store');
  state.tree.append(keys, heads);
  const count = keys.length;
  const more = { liveKeys: count, totalKeys: count, versions: count, tombstones: 0, liveBytes: bytes, totalBytes: bytes, heldBytes: bytes };
  addStats(state.stats, more);
  state.log.addIngest({ kind: 'ingest', span, at: arrival, minTs: at, maxTs: at }, []);
}

/** See Store.ingest. */
export function ingest(state: StoreState, run: VersionBatch, arrival: Timestamp): void {
  const { keys, values, timestamps, length } = run;
  if (length === 0) return;
  const tree = ownTree(state);
  const history: { key: Bytes; version: Version }[] = [];
  // A bulk load in key order finds nothing there, and adds whole leaves.
  const last = tree.lastKey;
  const isAppended = last === undefined || last < (keys[0] as Bytes);
  const newKeys: Bytes[] = [];
  const newHeads: Version[] = [];
  let minTs = arrival;
  let maxTs = 0 as Timestamp;
  for (let start = 0; start < length; ) {
    const key = keys[start] as Bytes;
    let end = start + 1;
    while (end < length && keys[end] === key) end++;
    assert(start === 0 || (keys[start - 1] as Bytes) < key, 'ingested run out of key order');
    if (verifyEnabled) assert(spanContains(state.span, key), 'ingest outside the span of its store');
    let head: Version | undefined;
    for (let i = end - 1; i >= start; i--) {
      const ts = timestamps[i] as Timestamp;
      const value = values[i] as Bytes | null;
      assert(head === undefined || head.ts < ts, 'ingested run out of timestamp order');
      assert(ts <= arrival, 'ingested version later than its arrival');
      const supersedes = head !== undefined || value === null;
      head = new Version(ts, value, head);
      if (supersedes) history.push({ key, version: head });
      if (ts < minTs) minTs = ts;
      if (ts > maxTs) maxTs = ts;
    }
    const present = isAppended ? undefined : tree.get(key);
    if (present !== undefined) {
      // A resumed restore delivers a piece again, or the next layer of a chain adds to the key.
      countChain(state.stats, key, present, -1);
      // Which of the versions supersede another is open now; each is looked at again when its time comes.
      for (let version = head; version !== undefined; version = version.older) history.push({ key, version });
      head = mergeChains(present, head, state.sharedUpTo);
    }
    countChain(state.stats, key, head, 1);
    if (isAppended) {
      newKeys.push(key);
      newHeads.push(head as Version);
    } else {
      tree.set(key, head as Version);
    }
    start = end;
  }
  if (isAppended) tree.append(newKeys, newHeads);
  history.sort((a, b) => a.version.ts - b.version.ts);
  state.log.addIngest(
    { kind: 'ingest', span: { key: keys[0] as Bytes, endKey: nextKey(keys[length - 1] as Bytes) }, at: arrival, minTs, maxTs },
    history,
  );
}

/**
 * One chain of all versions; where both have a timestamp, the first's stays. Versions of the first
 * chain that no fork shares are relinked, not copied, because the log holds them (changeLog.ts, L4).
 */
function mergeChains(first: Version, second: Version | undefined, sharedUpTo: Timestamp): Version {
  const newestFirst: Version[] = [];
  let a: Version | undefined = first;
  let b = second;
  while (a !== undefined || b !== undefined) {
    if (b === undefined || (a !== undefined && a.ts >= b.ts)) {
      if (b !== undefined && a?.ts === b.ts) b = b.older;
      newestFirst.push(a as Version);
      a = a?.older;
    } else {
      newestFirst.push(b);
      b = b.older;
    }
  }
  return relink(newestFirst, undefined, sharedUpTo);
}

/** See Store.clearSpan. */
export function clearSpan(state: StoreState, span: Span, at: Timestamp): void {
  const removed = emptyStats();
  state.tree.walk(span, (key, head) => {
    countChain(removed, key, head, 1);
    let isShared = false;
    for (let version: Version | undefined = head; version !== undefined; version = version.older) {
      if (version.ts > state.sharedUpTo) continue;
      state.sharedRemovedBytes += versionHeapBytes(version.value);
      isShared = true;
    }
    if (isShared) state.sharedRemovedBytes += keyHeapBytes(key);
    return false;
  });
  if (removed.totalKeys > 0) {
    ownTree(state).deleteSpan(span, removed.totalKeys);
    const { stats } = state;
    stats.liveKeys -= removed.liveKeys;
    stats.totalKeys -= removed.totalKeys;
    stats.versions -= removed.versions;
    stats.tombstones -= removed.tombstones;
    stats.liveBytes -= removed.liveBytes;
    stats.totalBytes -= removed.totalBytes;
    stats.heldBytes -= removed.heldBytes;
  }
  const logged = state.log.held;
  state.log.addClear({ kind: 'clear', span, at, minTs: at, maxTs: at });
  if (state.sharedUpTo > MIN_TIMESTAMP) state.sharedRemovedBytes += (logged - state.log.held) * LOG_ENTRY_BYTES;
}
