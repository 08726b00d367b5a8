/**
 * Commit: validate what was read, take the timestamp, apply, tell the hooks.
 *
 *   CM1  from the last look at the read set to the last write applied nothing else commits
 *   CM2  the commit timestamp is above every read timestamp ever served, so snapshots stay still
 *   CM3  hooks run in the same step: what they keep is never older or newer than the data
 *
 *   validate ── timestamp ── beforeCommit ── hooks.validate ── apply ── hooks.apply
 *   └──────────────── one synchronous step, below slicedCommitKeysMin ──────────────┘
 *
 * A large read set is validated in slices ahead of that step, which then asks about the rest only.
 * A large write set is applied in slices after it (publish.ts).
 */
import type { Bytes } from '../base/bytes.ts';
import { prefixEnd } from '../base/span.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { applyWrites } from './applyWrites.ts';
import type { KvCore } from './core.ts';
import { snapshotTimestamp, underWay } from './core.ts';
import { expiredKeys, expiredReads } from './expiry.ts';
import type { HeldKeys } from './heldKeys.ts';
import { firstAtOrAfter } from './hooks.ts';
import { indexOfKey } from './indexOfKey.ts';
import type { CommittedWrites, Isolation } from './kv.ts';
import { publish } from './publish.ts';
import type { ReadSet } from './readSet.ts';
import { refreshError, writeTooOldError } from './retryErrors.ts';
import type { WriteBuffer } from './writeBuffer.ts';

/** What committing needs of a transaction. */
export interface Committing {
  readonly isolation: Isolation;
  readonly readTimestamp: Timestamp;
  readonly reads: ReadSet;
  /** Keys that a lock holds, of which nobody without a lock may have written a newer value. */
  readonly held: HeldKeys;
  readonly buffer: WriteBuffer;
  readonly beforeCommitFns: readonly ((commitTimestamp: Timestamp) => void)[];
  /** What is buffered is about to be counted as data. */
  handOver(): void;
  /** The writes stand at `ts`, or there were none after all. */
  applied(ts: Timestamp): void;
}

/** From so many keys on a commit is applied in slices: below, applying takes a few milliseconds. */
export const SLICED_COMMIT_KEYS_MIN_DEFAULT = 10_000;
/** From so many reads on they are validated once ahead of the step. */
const PREVALIDATED_READS_MIN = 2_000;

/** Commits a transaction that has writes, or functions that may write. Throws 40001, 53200, or what a hook or function threw, with nothing applied. */
export async function commitTxn(core: KvCore, txn: Committing): Promise<void> {
  if (txn.buffer.size >= core.slicedCommitKeysMin) {
    await txn.buffer.gather(() => (core.executor.shouldYield() ? core.executor.yield() : undefined));
  }
  if (core.memory.budget.isExceeded) await requireRoom(core, txn.buffer);
  for (let large = underWay(core); large !== undefined; large = underWay(core)) await large.published;
  if (txn.reads.size >= PREVALIDATED_READS_MIN) {
    // Validates at a new snapshot and lets others run: the step below then asks about few changes.
    const ts = snapshotTimestamp(core);
    validate(core, txn);
    txn.reads.rebase(ts);
    await core.executor.yield();
    for (let large = underWay(core); large !== undefined; large = underWay(core)) await large.published;
  }
  if (txn.held.size >= PREVALIDATED_READS_MIN) {
    const conflict = await txn.held.prevalidate(core.keyspace, snapshotTimestamp(core), core.executor);
    if (conflict !== undefined) throw writeTooOldError(conflict.key, conflict.changedAt, conflict.readAt);
    for (let large = underWay(core); large !== undefined; large = underWay(core)) await large.published;
  }
  const decided = decide(core, txn);
  if (decided === undefined) return;
  const { writes, ts } = decided;
  if (writes.keys.length >= core.slicedCommitKeysMin) await publish(core, writes, ts);
  else applyAtOnce(core, writes, ts);
  settle(core, txn, ts);
}

/** As commitTxn, in one step without waiting; false, with nothing done, for what has to be waited for or comes in slices. */
export function commitTxnNow(core: KvCore, txn: Committing): boolean {
  if (core.memory.budget.isExceeded || underWay(core) !== undefined) return false;
  if (txn.reads.size >= PREVALIDATED_READS_MIN || txn.held.size >= PREVALIDATED_READS_MIN) return false;
  // What functions write is known only when they have run.
  if (txn.beforeCommitFns.length > 0 || txn.buffer.size >= core.slicedCommitKeysMin) return false;
  const decided = decide(core, txn);
  if (decided === undefined) return true;
  applyAtOnce(core, decided.writes, decided.ts);
  settle(core, txn, decided.ts);
  return true;
}

/** The part of the step that may refuse; undefined when there is nothing to apply. */
function decide(core: KvCore, txn: Committing): { readonly writes: CommittedWrites; readonly ts: Timestamp } | undefined {
  validate(core, txn);
  const ts = core.hlc.now();
  for (const fn of txn.beforeCommitFns) fn(ts);
  if (txn.buffer.size === 0) {
    txn.applied(ts);
    return undefined;
  }
  const writes: CommittedWrites = txn.buffer.sorted();
  checkKeys(core, writes.keys);
  core.hooks.validate(writes, ts);
  txn.handOver();
  return { writes, ts };
}

function applyAtOnce(core: KvCore, writes: CommittedWrites, ts: Timestamp): void {
  applyWrites(core, writes, ts, 0, writes.keys.length);
  core.hooks.apply(writes, ts);
}

function settle(core: KvCore, txn: Committing, ts: Timestamp): void {
  txn.applied(ts);
  core.gc.noteGarbage();
  core.memory.noteGrowth();
  core.rangeQueue.noteWrites();
}

/** The memory budget is exceeded: throws 53200 if the writes would grow it and collecting garbage does not help. */
async function requireRoom(core: KvCore, buffer: WriteBuffer): Promise<void> {
  const { keys, values } = buffer.sorted();
  if (core.memory.grows(keys, values)) await core.memory.makeRoom(0);
}

/** Throws XX001 when a key belongs to no index: after this, applying cannot fail. */
function checkKeys(core: KvCore, keys: readonly Bytes[]): void {
  for (let i = 0; i < keys.length; ) {
    const key = keys[i] as Bytes;
    const endKey = core.keyspace.find(key)?.span.endKey ?? prefixEnd(key.slice(0, indexOfKey(key).length) as Bytes);
    i = (keys.at(-1) as Bytes) < endKey ? keys.length : firstAtOrAfter(keys, endKey);
  }
}

/** Throws 40001 unless everything read or held still holds; for a snapshot transaction, unless nothing it writes is newer than its snapshot. */
function validate(core: KvCore, txn: Committing): void {
  const { keyspace } = core;
  if (!txn.reads.isEmpty) {
    const conflict = txn.reads.firstChange(keyspace);
    if (conflict !== undefined) {
      const { key, changedAt, readAt } = conflict;
      if (txn.buffer.get(key) !== undefined) throw writeTooOldError(key, changedAt, readAt);
      throw refreshError(key, changedAt, readAt);
    }
    const expired = expiredReads(core, txn.reads);
    if (expired !== undefined) throw expired;
  }
  const overrun = txn.held.firstChange(keyspace);
  if (overrun !== undefined) throw writeTooOldError(overrun.key, overrun.changedAt, overrun.readAt);
  if (txn.isolation !== 'snapshot') return;
  const { keys } = txn.buffer.sorted();
  const expired = expiredKeys(core, keys, txn.readTimestamp);
  if (expired !== undefined) throw expired;
  for (const key of keys) {
    const changedAt = keyspace.find(key)?.store.keyChangedSince(key, txn.readTimestamp);
    if (changedAt !== undefined) throw writeTooOldError(key, changedAt, txn.readTimestamp);
  }
}
