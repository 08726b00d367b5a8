/**
 * StoreState: what a store is made of. Private to this folder; store.ts is the face.
 */
import type { Bytes } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { ChangeLog } from './changeLog.ts';
import type { StoreStats } from './stats.ts';
import type { VersionTree } from './versionTree.ts';

export interface StoreState {
  readonly span: Span;
  tree: VersionTree;
  /** True while a fork may hold the same tree: the first write clones it. */
  treeShared: boolean;
  /** Versions above this were made after the last fork, so no other store can reach them. */
  sharedUpTo: Timestamp;
  /** Heap bytes of versions at or below `sharedUpTo` that went from here since, or were copied: a fork may hold them still. */
  sharedRemovedBytes: number;
  log: ChangeLog;
  readonly stats: StoreStats;
}

/** The tree, cloned first when a fork shares it. */
export function ownTree(state: StoreState): VersionTree {
  if (state.treeShared) {
    state.tree = state.tree.clone();
    state.treeShared = false;
  }
  return state.tree;
}

/** Where a piecewise walk goes on: at `key`, inside its versions below `before` when that is given. */
export interface ResumePoint {
  readonly key: Bytes;
  /** Exclusive: this key's versions at and above it have been delivered. */
  readonly before?: Timestamp;
}
