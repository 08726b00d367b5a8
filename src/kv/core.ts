/**
 * KvCore: the parts that reads, transactions and commits of one cluster share. Private to kv.
 *
 * It also holds the one large commit that may be under way. Such a commit has taken its timestamp C
 * but not yet applied everything: until it is published, new snapshots lie just below C, and
 * whatever would read or commit at or above C waits (publish.ts).
 */
import type { Clock } from '../base/clock.ts';
import type { Executor } from '../base/executor.ts';
import type { Hlc } from '../base/hlc.ts';
import type { Activity } from '../base/idle.ts';
import type { Ids } from '../base/ids.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { prevTimestamp } from '../base/timestamp.ts';
import type { GcController } from '../gc/gcController.ts';
import type { CommitHooks } from './hooks.ts';
import type { Keyspace } from './keyspace.ts';
import type { KvMetrics } from './kvMetrics.ts';
import type { LockTable } from './lockTable.ts';
import type { Memory } from './memory.ts';
import type { Mounts } from './mounts.ts';
import type { RangeQueue } from './rangeQueue.ts';

/** A commit that has its timestamp and is being applied in slices. */
export interface Publication {
  readonly commitTimestamp: Timestamp;
  /** Resolves when everything is visible. */
  readonly published: Promise<void>;
  /** Applies the rest at once, without letting others run. */
  finishNow(): void;
}

export interface KvCore {
  readonly clock: Clock;
  readonly hlc: Hlc;
  readonly executor: Executor;
  readonly activity: Activity;
  readonly ids: Ids;
  readonly counts: KvMetrics;
  readonly keyspace: Keyspace;
  readonly locks: LockTable;
  readonly hooks: CommitHooks;
  readonly gc: GcController;
  readonly memory: Memory;
  readonly rangeQueue: RangeQueue;
  readonly mounts: Mounts;
  /** Commits of so many keys or more go through publish.ts, a tenth of them a slice. */
  readonly slicedCommitKeysMin: number;
  publication: Publication | undefined;
}

/**
 * The large commit under way, if any. Whoever commits or ingests loops over it in place: between the
 * last look and its own step nothing may come, not even the turn that a helper's promise takes.
 */
export function underWay(core: KvCore): Publication | undefined {
  return core.publication;
}

/** A timestamp for a new snapshot: everything committed so far is at or below it, and no later commit will be. */
export function snapshotTimestamp(core: KvCore): Timestamp {
  if (core.publication !== undefined) return prevTimestamp(core.publication.commitTimestamp);
  return core.hlc.now();
}

/** False while a large commit is under way that a read at `ts` would see half of. */
export function isReadableAt(core: KvCore, ts: Timestamp): boolean {
  return core.publication === undefined || core.publication.commitTimestamp > ts;
}

/**
 * Waits for a large commit that a read at `ts` would see half of. The HLC has been forwarded to
 * `ts`, so no later one can come below it.
 */
export async function untilReadableAt(core: KvCore, ts: Timestamp): Promise<void> {
  while (!isReadableAt(core, ts)) await core.publication?.published;
}
