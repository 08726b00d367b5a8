/**
 * Deletion mark: while a job deletes layers of a chain, a small file beside the full says so, and nothing is added to the chain.
 *
 *   <full>/BACKUP-DELETE-<jobId>      content as of a lock
 *
 *   M1  whoever deletes writes its mark first and looks for locks then; whoever adds a layer writes its lock first and looks
 *       for marks then. Of two that meet at least one sees the other, and gives way
 *   M2  a mark or lock whose job is terminal, or unknown to its own cluster, holds nothing
 *
 * Source of the idea: Dekker's algorithm, as with two jobs that race for one directory (directoryClaim.ts).
 */
import { StateError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { isTerminal } from '../jobs/jobMachine.ts';
import type { JobRegistry } from '../jobs/registry.ts';
import type { ExternalStorage } from '../storage/externalStorage.ts';

import { decodeLock, encodeLock } from './collection.ts';
import type { Claimant } from './directoryClaim.ts';
import { isMissing } from './manifest.ts';

const MARK = 'BACKUP-DELETE-';
const LOCK = 'BACKUP-LOCK-';

export function markName(full: string, jobId: string): string {
  return `${full}/${MARK}${jobId}`;
}

/** Marks the chain of a full. Written again it is the same. */
export async function writeMark(storage: ExternalStorage, full: string, { clusterId, jobId, nodeId }: Claimant, signal?: AbortSignal) {
  await storage.write(markName(full, jobId), encodeLock({ clusterId, jobId, node: nodeId }), { signal });
}

/** Who is at work in a directory. */
export interface Holder {
  readonly jobId: string;
  readonly isDeletion: boolean;
  /** The job's status; undefined of another cluster's. */
  readonly status: string | undefined;
  readonly name: string;
}

/** The jobs other than `own` that hold a directory, by its locks and marks. `names`: the files in it. */
export async function holdersOf(
  storage: ExternalStorage,
  names: readonly string[],
  own: Pick<Claimant, 'clusterId' | 'jobId'>,
  jobs: JobRegistry,
  signal?: AbortSignal,
): Promise<Holder[]> {
  const holders: Holder[] = [];
  for (const name of names) {
    const base = name.slice(name.lastIndexOf('/') + 1);
    const kind = [MARK, LOCK].find((prefix) => base.startsWith(prefix));
    if (kind === undefined) continue;
    const jobId = base.slice(kind.length);
    let content: Uint8Array;
    try {
      content = await storage.read(name, { signal });
    } catch (error) {
      if (isMissing(error)) continue;
      throw error;
    }
    const isOfThisCluster = decodeLock(content)?.clusterId === own.clusterId;
    if (isOfThisCluster && jobId === own.jobId) continue;
    const record = isOfThisCluster ? await jobs.get(Number(jobId)) : undefined;
    if (isOfThisCluster && (record === undefined || isTerminal(record.status))) continue;
    holders.push({ jobId, isDeletion: kind === MARK, status: record?.status, name });
  }
  return holders;
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
  const names = await storage.list(`${full}/${MARK}`, { signal });
  const [holder] = await holdersOf(storage, names, claimant, jobs, signal);
  if (holder === undefined) return;
  throw new StateError(SqlState.ObjectInUse, `layers of backup "${full}" are being deleted by job ${holder.jobId}`, {
    detail: holder.status === undefined ? 'the job is of another cluster' : `the job is ${holder.status}`,
    hint: `wait for that job, or take a full backup: BACKUP ... INTO without LATEST IN${holder.status === undefined ? `; if that cluster is gone, delete the file "${holder.name}" by hand` : ''}`,
  });
}
