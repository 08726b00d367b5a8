/**
 * Success: what a schedule's backup leaves behind when it has succeeded, in the transaction that ends its job.
 *
 *   full         the incremental schedule that waited for it wakes up; a new chain begins, whose record holds history
 *                from the full's end on, and the record of the chain before is released
 *   incremental  the record of its chain moves on to its own end
 *
 *   C1  a record is only ever at the end of a layer that is durable and that its schedule's next backup continues, or
 *       earlier: the job's own protections are released after this, in the same transaction, so there is never a hole
 *   C2  a layer moves the record of its own chain only: one that was appended to an older full, while a newer one
 *       completed, leaves the newer chain's record where it is
 *   C3  a full that ends later than it should (a slow one beside a newer one) takes nothing from the newer chain: LATEST
 *       does not go back either
 */
import type { Ids } from '../base/ids.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { ProtectedRecords } from '../catalog/protectedRecords.ts';
import type { ProtectionTarget } from '../gc/protectedTimestamps.ts';
import type { Txn } from '../kv/kv.ts';
import type { BackupDetails } from '../backup/backupDetails.ts';
import { fullOfDirectory } from '../backup/collection.ts';
import type { ScheduledSuccess } from '../backup/scheduledBackup.ts';

import { Recurrence } from './recurrence.ts';
import { isIncremental, isPaused, readSchedule, type Schedule, writeSchedule } from './schedule.ts';

export interface SuccessDeps {
  readonly clusterId: string;
  readonly ids: Ids;
  readonly protections: ProtectedRecords;
  now(): Timestamp;
}

/** May run again after a 40001. */
export async function noteSuccess(deps: SuccessDeps, txn: Txn, { schedule: link, details }: ScheduledSuccess): Promise<void> {
  const own = await readSchedule(txn, link.id);
  // Dropped since, or sent elsewhere: what follows will be about other backups.
  if (own === undefined || (own.args.place ?? 0) !== link.place) return;
  const newest = Math.max(own.state.newest_restorable ?? 0, details.endTime) as Timestamp;
  const told: Schedule = { ...own, state: { ...own.state, newest_restorable: newest } };
  if (isIncremental(own)) {
    await moveRecord(deps, txn, told, details);
    await writeSchedule(txn, told);
    return;
  }
  const dependent = own.args.dependent_schedule_id === undefined ? undefined : await readSchedule(txn, own.args.dependent_schedule_id);
  const isAwaited = own.args.unpause_on_success !== undefined && own.args.unpause_on_success === dependent?.id;
  await writeSchedule(txn, isAwaited ? { ...told, args: { ...told.args, unpause_on_success: undefined } } : told);
  if (dependent === undefined) return;
  const chained = own.args.chain_protected_timestamp_records ? await beginChain(deps, txn, dependent, details) : dependent;
  const woken = isAwaited && isPaused(chained) ? wake(deps, chained) : chained;
  if (woken !== dependent) await writeSchedule(txn, woken);
}

/** It waited for a full of this cluster, wherever it was made. */
function wake({ clusterId, now }: SuccessDeps, schedule: Schedule): Schedule {
  return {
    ...schedule,
    nextRun: new Recurrence(schedule.recurrence).next(now()),
    state: { ...schedule.state, status: undefined, waiting_since: undefined },
    details: { ...schedule.details, cluster_id: clusterId },
  };
}

/** The incremental schedule with the record of a chain that begins with this full (C3). */
async function beginChain(deps: SuccessDeps, txn: Txn, schedule: Schedule, details: BackupDetails): Promise<Schedule> {
  const { args } = schedule;
  const present = args.protected_timestamp_record;
  const isChained = present !== undefined && (await deps.protections.get(txn, present)) !== undefined;
  if (isChained && args.chain_end !== undefined && details.endTime <= args.chain_end) return schedule;
  const id = deps.ids.uuid();
  await deps.protections.protect(txn, {
    id,
    ts: details.endTime,
    metaType: 'schedules',
    meta: String(schedule.id),
    target: targetOf(details),
  });
  await releaseRecord(deps.protections, txn, schedule);
  return {
    ...schedule,
    args: { ...args, protected_timestamp_record: id, chain_full: details.directory, chain_end: details.endTime },
  };
}

/** C2. What was released meanwhile stays so. */
async function moveRecord({ protections }: SuccessDeps, txn: Txn, { args }: Schedule, details: BackupDetails): Promise<void> {
  const { protected_timestamp_record: id, chain_full: full } = args;
  if (id === undefined || full === undefined || fullOfDirectory(details.directory) !== full) return;
  const record = await protections.get(txn, id);
  if (record !== undefined && record.ts < details.endTime) await protections.update(txn, id, details.endTime);
}

/** Lets go of what a schedule holds. */
export async function releaseRecord(protections: ProtectedRecords, txn: Txn, { args }: Schedule): Promise<void> {
  const id = args.protected_timestamp_record;
  if (id !== undefined && (await protections.get(txn, id)) !== undefined) await protections.release(txn, id);
}

/** What the next backup will want of history: what was asked for, with all that comes into it. */
function targetOf({ scope, completeDatabaseIds, targetIds }: BackupDetails): ProtectionTarget {
  if (scope === 'cluster') return { kind: 'cluster' };
  return { kind: 'objects', ids: scope === 'databases' ? completeDatabaseIds : targetIds };
}
