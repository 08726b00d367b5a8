/**
 * Garbage collection of one store, driven by the change log.
 *
 * A version may go when a newer version of its key lies at or below the threshold; a tombstone may
 * go once it is itself at or below it and all below it goes. So every read above the threshold
 * stays what it was.
 *
 * Each log entry at or below the threshold is visited once and dropped. All that is older than its
 * version may go: if no fork shares the version, its tail is cut off right there, without a look at
 * the tree. Tombstones, ingested history and versions that a fork may share go through the tree. So
 * collecting costs what became garbage, not what exists.
 *
 * Idempotent and resumable: a call does a bounded amount of work and says whether more is left.
 * Which threshold, and that it is raised before data goes, is gc's business.
 */
import type { Bytes } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';
import { hasTestFault } from '../base/testFaults.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { keyHeapBytes, LOG_ENTRY_BYTES, VERSION_BYTES, versionHeapBytes } from './footprint.ts';
import type { StoreState } from './storeState.ts';
import { ownTree } from './storeState.ts';
import type { Version } from './version.ts';
import { relink, setOlder, versionBytes } from './version.ts';

export interface CollectResult {
  readonly removedVersions: number;
  readonly removedBytes: number;
  /** False when the budget ran out: call again. */
  readonly done: boolean;
}

/** See Store.collect. */
export function collect(state: StoreState, span: Span, threshold: Timestamp, entriesMax: number): CollectResult {
  const before = { versions: state.stats.versions, bytes: state.stats.totalBytes };
  if (hasTestFault('a162085')) clearLate(state);
  // Keys that need the tree, each once: a row that is written all the time has many entries in a sweep.
  const keys = new Set<Bytes>();
  const done = state.log.sweep(span, threshold, entriesMax, (key, version, isHistory) => {
    if (version.ts <= state.sharedUpTo) state.sharedRemovedBytes += LOG_ENTRY_BYTES;
    if (isHistory || version.ts <= state.sharedUpTo) {
      keys.add(key);
      return;
    }
    if (version.older !== undefined) {
      forget(state, key, version.older);
      setOlder(version, undefined);
    }
    if (version.value === null) keys.add(key);
  });
  for (const key of keys) collectKey(state, key, threshold);
  return {
    removedVersions: before.versions - state.stats.versions,
    removedBytes: before.bytes - state.stats.totalBytes,
    done,
  };
}

/** Removes what may go of one key, by its chain in the tree. Cost: the versions above the threshold, and those that go. */
function collectKey(state: StoreState, key: Bytes, threshold: Timestamp): void {
  const kept: Version[] = [];
  const head = state.tree.get(key);
  let newest = head;
  for (; newest !== undefined && newest.ts > threshold; newest = newest.older) kept.push(newest);
  if (newest !== undefined && newest.value !== null) {
    kept.push(newest);
    newest = newest.older;
  }
  if (newest === undefined) return;
  if (kept.length === 0 && hasTestFault('a162085')) {
    lateKeys.set(state, [...(lateKeys.get(state) ?? []), key]);
    return;
  }
  const wasShared = forget(state, key, newest);
  if (kept.length === 0) {
    state.stats.totalKeys--;
    state.stats.heldBytes -= key.length;
    if (wasShared) state.sharedRemovedBytes += keyHeapBytes(key);
    ownTree(state).delete(key);
    return;
  }
  const chain = relink(kept, undefined, state.sharedUpTo);
  // Of what a fork shares there may be two now.
  for (const version of kept) if (version.ts <= state.sharedUpTo) state.sharedRemovedBytes += VERSION_BYTES;
  if (chain !== head) ownTree(state).set(key, chain);
}

/** Keys of which nothing is live, to be cleared by the next call: only while tests put that bug back. */
const lateKeys = new WeakMap<StoreState, Bytes[]>();

/** A bug that tests put back: between the decision that a key is garbage and its removal others had their turn. */
function clearLate(state: StoreState): void {
  for (const key of lateKeys.get(state) ?? []) {
    const head = state.tree.get(key);
    if (head === undefined) continue;
    forget(state, key, head);
    state.stats.totalKeys--;
    state.stats.heldBytes -= key.length;
    ownTree(state).delete(key);
  }
  lateKeys.delete(state);
}

/**
 * Takes a chain's tail, which holds no live version, out of the statistics. Its links are undone
 * too, where no fork needs them: a log entry may still name one of its versions, and must find
 * nothing more to remove. True when a fork may hold some of it.
 */
function forget(state: StoreState, key: Bytes, tail: Version): boolean {
  const { stats } = state;
  let isShared = false;
  let version: Version | undefined = tail;
  while (version !== undefined) {
    stats.versions--;
    stats.totalBytes -= versionBytes(key, version.value);
    if (version.value === null) stats.tombstones--;
    else stats.heldBytes -= version.value.length;
    const older: Version | undefined = version.older;
    if (version.ts > state.sharedUpTo) {
      setOlder(version, undefined);
    } else {
      state.sharedRemovedBytes += versionHeapBytes(version.value);
      isShared = true;
    }
    version = older;
  }
  return isShared;
}
