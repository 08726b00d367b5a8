/**
 * Garbage collection of one store, driven by the change log.
 *
 * A version may go when a newer version of its key lies at or below the threshold; a tombstone may
 * go once it is itself at or below it and all below it goes. So every read above the threshold
 * stays what it was. Each log entry at or below the threshold names a key whose older versions may
 * now go; it is visited once and dropped, so collecting costs what became garbage, not what exists.
 *
 * Idempotent and resumable: a call does a bounded amount of work and says whether more is left.
 * Which threshold, and that it is raised before data goes, is gc's business.
 */
import type { Bytes } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { StoreState } from './storeState.ts';
import { ownTree } from './storeState.ts';
import { Version, versionBytes } from './version.ts';

export interface CollectResult {
  readonly removedVersions: number;
  readonly removedBytes: number;
  /** False when the budget ran out: call again. */
  readonly done: boolean;
}

/** See Store.collect. */
export function collect(state: StoreState, span: Span, threshold: Timestamp, entriesMax: number): CollectResult {
  const removed = { versions: 0, bytes: 0 };
  // A row that is written all the time has many entries in one sweep; one visit does for all.
  const keys = new Set<Bytes>();
  const done = state.log.sweep(span, threshold, entriesMax, (key) => keys.add(key));
  for (const key of keys) collectKey(state, key, threshold, removed);
  return { removedVersions: removed.versions, removedBytes: removed.bytes, done };
}

function collectKey(state: StoreState, key: Bytes, threshold: Timestamp, removed: { versions: number; bytes: number }): void {
  const head = state.tree.get(key);
  let above: Version | undefined;
  let newest = head;
  while (newest !== undefined && newest.ts > threshold) {
    above = newest;
    newest = newest.older;
  }
  if (head === undefined || newest === undefined) return;
  const oldestKept = newest.value === null ? above : newest;
  const tail = oldestKept === undefined ? head : oldestKept.older;
  if (tail === undefined) return;

  const { stats } = state;
  for (let version: Version | undefined = tail; version !== undefined; version = version.older) {
    const bytes = versionBytes(key, version.value);
    removed.versions++;
    removed.bytes += bytes;
    stats.versions--;
    stats.totalBytes -= bytes;
    if (version.value === null) stats.tombstones--;
  }
  if (oldestKept === undefined) {
    stats.totalKeys--;
    ownTree(state).delete(key);
  } else if (oldestKept.ts > state.sharedUpTo) {
    // Made since the last fork, so only this store reaches it: the tail is cut off in place.
    (oldestKept as { older: Version | undefined }).older = undefined;
  } else {
    ownTree(state).set(key, copyDownTo(head, oldestKept));
  }
}

/** A copy of the chain that ends with `last`. */
function copyDownTo(head: Version, last: Version): Version {
  const kept: Version[] = [];
  for (let version = head; version !== last; version = version.older as Version) kept.push(version);
  let copy = new Version(last.ts, last.value, undefined);
  for (let i = kept.length - 1; i >= 0; i--) {
    const version = kept[i] as Version;
    copy = new Version(version.ts, version.value, copy);
  }
  return copy;
}
