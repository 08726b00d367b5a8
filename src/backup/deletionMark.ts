/**
 * Deletion mark: while a job deletes layers of a chain, a small file beside the full says so, and nothing is added to the chain.
 *
 *   <full>/BACKUP-DELETE-<jobId>      content as of a lock
 *
 *   M1  whoever deletes writes its mark first and looks for locks then; whoever adds a layer writes its lock first and looks
 *       for marks then. Of two that meet at least one sees the other, and gives way
 *   M2  whose mark or lock holds, and until when, is said in holders.ts
 *
 * Source of the idea: Dekker's algorithm, as with two jobs that race for one directory (directoryClaim.ts).
 */
import { StateError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { JobRegistry } from '../jobs/registry.ts';
import type { ExternalStorage } from '../storage/externalStorage.ts';

import { type Claimant, claimOf, DELETION_MARK, holdersOf } from './holders.ts';

export function markName(full: string, jobId: string): string {
  return `${full}/${DELETION_MARK}${jobId}`;
}

/** Marks the chain of a full. Written again it holds longer. */
export async function writeMark(storage: ExternalStorage, full: string, claimant: Claimant, signal?: AbortSignal): Promise<void> {
  await storage.write(markName(full, claimant.jobId), claimOf(claimant), { signal });
}

/** Throws 55006 when a job deletes layers of the chain that `claimant` is adding one to (M1). Needs `list`. */
export async function refuseWhileDeleted(
  storage: ExternalStorage,
  full: string,
  claimant: Claimant,
  jobs: JobRegistry,
  signal?: AbortSignal,
): Promise<void> {
  if (!storage.capabilities.list) return;
  const names = await storage.list(`${full}/${DELETION_MARK}`, { signal });
  const [holder] = await holdersOf(storage, names, claimant, jobs, signal);
  if (holder === undefined) return;
  throw new StateError(SqlState.ObjectInUse, `layers of backup "${full}" are being deleted by job ${holder.jobId}`, {
    detail: holder.status === undefined ? 'the job is of another cluster' : `the job is ${holder.status}`,
    hint: `wait for that job, or take a full backup: BACKUP ... INTO without LATEST IN${holder.status === undefined ? `; if that cluster is gone, delete the file "${holder.name}" by hand` : ''}`,
  });
}
