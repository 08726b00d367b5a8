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
import type { RetryError } from '../base/errors.ts';
import { prefixEnd } from '../base/span.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { applyWrites } from './applyWrites.ts';
import type { KvCore } from './core.ts';
import { snapshotTimestamp, underWay } from './core.ts';
import { expiredKeys, expiredReads } from './expiry.ts';
import type { HeldKeys } from './heldKeys.ts';
import { firstAtOrAfter, partIn } from './hooks.ts';
import { indexOfKey } from './indexOfKey.ts';
import type { CommittedWrites, Isolation } from './kv.ts';
import { publish } from './publish.ts';
import type { ReadConflict, ReadSet } from './readSet.ts';
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
/** Buffered keys that are looked at between two looks at the clock. */
const SLICE_KEYS = 512;

/** Commits a transaction that has writes, or functions that may write. Throws 40001, 53200, or what a hook or function threw, with nothing applied. */
export async function commitTxn(core: KvCore, txn: Committing): Promise<void> {
  if (core.memory.budget.isExceeded) await requireRoom(core, txn.buffer);
  for (let large = underWay(core); large !== undefined; large = underWay(core)) await large.published;
  if (txn.reads.size >= PREVALIDATED_READS_MIN) {
    // At a new snapshot, letting others run: the step below then asks about few changes.
    const ts = snapshotTimestamp(core);
    const conflict = await txn.reads.firstChangeInSlices(core.keyspace, core.executor);
    refuse(txn, conflict, expiredReads(core, txn.reads));
    txn.reads.rebase(ts);
    await core.executor.yield();
    for (let large = underWay(core); large !== undefined; large = underWay(core)) await large.published;
  }
  if (txn.held.size >= PREVALIDATED_READS_MIN) {
    const conflict = await txn.held.prevalidate(core.keyspace, snapshotTimestamp(core), core.executor);
    if (conflict !== undefined) throw writeTooOldError(conflict.key, conflict.changedAt, conflict.readAt);
    for (let large = underWay(core); large !== undefined; large = underWay(core)) await large.published;
  }
  let unwrittenSince = txn.readTimestamp;
  if (txn.isolation === 'snapshot' && txn.buffer.size >= PREVALIDATED_READS_MIN) {
    const ts = snapshotTimestamp(core);
    for (const { keys } of txn.buffer.slices(SLICE_KEYS)) {
      refuseNewer(core, keys, txn.readTimestamp);
      if (core.executor.shouldYield()) await core.executor.yield();
    }
    unwrittenSince = ts;
    for (let large = underWay(core); large !== undefined; large = underWay(core)) await large.published;
  }
  const decided = decide(core, txn, unwrittenSince);
  if (decided === undefined) return;
  const { writes, ts } = decided;
  if (writes === 'many') await publish(core, txn.buffer, ts);
  else applyAtOnce(core, writes, ts);
  settle(core, txn, ts);
}

/** As commitTxn, in one step without waiting; false, with nothing done, for what has to be waited for or comes in slices. */
export function commitTxnNow(core: KvCore, txn: Committing): boolean {
  if (core.memory.budget.isExceeded || underWay(core) !== undefined) return false;
  if (txn.reads.size >= PREVALIDATED_READS_MIN || txn.held.size >= PREVALIDATED_READS_MIN) return false;
  // What functions write is known only when they have run.
  if (txn.beforeCommitFns.length > 0 || txn.buffer.size >= core.slicedCommitKeysMin) return false;
  const decided = decide(core, txn, txn.readTimestamp);
  if (decided === undefined) return true;
  if (decided.writes !== 'many') applyAtOnce(core, decided.writes, decided.ts);
  settle(core, txn, decided.ts);
  return true;
}

interface Decided {
  /** Laid out; `many` stay in the buffer, from which publish() takes them. */
  readonly writes: CommittedWrites | 'many';
  readonly ts: Timestamp;
}

/** The part of the step that may refuse; undefined when there is nothing to apply. `unwrittenSince`: see validate(). */
function decide(core: KvCore, txn: Committing, unwrittenSince: Timestamp): Decided | undefined {
  validate(core, txn, unwrittenSince);
  const ts = core.hlc.now();
  for (const fn of txn.beforeCommitFns) fn(ts);
  if (txn.buffer.size === 0) {
    txn.applied(ts);
    return undefined;
  }
  if (txn.buffer.size >= core.slicedCommitKeysMin) {
    checkManyKeys(core, txn.buffer);
    core.hooks.validate((span) => txn.buffer.partIn(span), ts);
    txn.handOver();
    return { writes: 'many', ts };
  }
  const writes = txn.buffer.sorted();
  checkKeys(core, writes.keys);
  core.hooks.validate((span) => partIn(writes, span), ts);
  txn.handOver();
  return { writes, ts };
}

function applyAtOnce(core: KvCore, writes: CommittedWrites, ts: Timestamp): void {
  applyWrites(core, writes, ts, 0, writes.keys.length);
  core.hooks.apply((span) => partIn(writes, span), ts);
}

function settle(core: KvCore, txn: Committing, ts: Timestamp): void {
  txn.applied(ts);
  core.gc.noteGarbage();
  core.memory.noteGrowth();
  core.rangeQueue.noteWrites();
}

/** The memory budget is exceeded: throws 53200 if the writes would grow it and collecting garbage does not help. */
async function requireRoom(core: KvCore, buffer: WriteBuffer): Promise<void> {
  for (const { keys, values } of buffer.slices(SLICE_KEYS)) {
    if (core.memory.grows(keys, values)) return core.memory.makeRoom(0);
    if (core.executor.shouldYield()) await core.executor.yield();
  }
}

/** Throws XX001 when a key belongs to no index: after this, applying cannot fail. */
function checkKeys(core: KvCore, keys: readonly Bytes[]): void {
  for (let i = 0; i < keys.length; ) {
    const key = keys[i] as Bytes;
    const endKey = endOfIndex(core, key);
    i = (keys.at(-1) as Bytes) < endKey ? keys.length : firstAtOrAfter(keys, endKey);
  }
}

function checkManyKeys(core: KvCore, buffer: WriteBuffer): void {
  for (let key = buffer.keyAtOrAfter('' as Bytes); key !== undefined; ) key = buffer.keyAtOrAfter(endOfIndex(core, key));
}

function endOfIndex(core: KvCore, key: Bytes): Bytes {
  return core.keyspace.find(key)?.span.endKey ?? prefixEnd(key.slice(0, indexOfKey(key).length) as Bytes);
}

/**
 * Throws 40001 unless everything read or held still holds; for a snapshot transaction, unless nothing
 * it writes is newer than its snapshot, or than `unwrittenSince`, up to which that is known.
 */
function validate(core: KvCore, txn: Committing, unwrittenSince: Timestamp): void {
  const { keyspace } = core;
  if (!txn.reads.isEmpty) refuse(txn, txn.reads.firstChange(keyspace), expiredReads(core, txn.reads));
  const overrun = txn.held.firstChange(keyspace);
  if (overrun !== undefined) throw writeTooOldError(overrun.key, overrun.changedAt, overrun.readAt);
  if (txn.isolation !== 'snapshot') return;
  const { buffer } = txn;
  if (unwrittenSince === txn.readTimestamp) {
    refuseNewer(core, buffer.sorted().keys, unwrittenSince);
    return;
  }
  // Few changes can have come since; they are looked up among the writes, rather than the other way round.
  for (let key = buffer.keyAtOrAfter('' as Bytes); key !== undefined; key = buffer.keyAtOrAfter(endOfIndex(core, key))) {
    const entry = keyspace.find(key);
    if (entry === undefined) continue;
    const changed = entry.store.changedKeys(entry.span, unwrittenSince, buffer.size);
    refuseNewer(core, changed?.filter((one) => buffer.get(one) !== undefined) ?? buffer.keysIn(entry.span), unwrittenSince);
  }
}

/** Throws when one of the keys has changed since, or when that cannot be told any more. */
function refuseNewer(core: KvCore, keys: readonly Bytes[], since: Timestamp): void {
  const expired = expiredKeys(core, keys, since);
  if (expired !== undefined) throw expired;
  for (const key of keys) {
    const changedAt = core.keyspace.find(key)?.store.keyChangedSince(key, since);
    if (changedAt !== undefined) throw writeTooOldError(key, changedAt, since);
  }
}

function refuse(txn: Committing, conflict: ReadConflict | undefined, expired: RetryError | undefined): void {
  if (conflict !== undefined) {
    const { key, changedAt, readAt } = conflict;
    if (txn.buffer.get(key) !== undefined) throw writeTooOldError(key, changedAt, readAt);
    throw refreshError(key, changedAt, readAt);
  }
  if (expired !== undefined) throw expired;
}
