/**
 * Holders: the small files by which jobs show what of a collection they are at, to jobs of this cluster and of others.
 *
 *   <layer>/BACKUP-LOCK-<jobId>                 writes this layer (directoryClaim.ts)
 *   <full>/BACKUP-DELETE-<jobId>                deletes layers of the chain (deletionMark.ts)
 *   <full>/BACKUP-READ-<jobId>-<clusterId>      restores from the chain (readMark.ts)
 *
 *   H1  of a job of one's own cluster its record says whether it is over: the file holds while it is not
 *   H2  of another cluster's job nobody here can ask, so its file says until when it holds: HOLD_MICROS from when it was written,
 *       and a job at work writes it again before. So what a killed process left lets go by itself. A file without that time, of an
 *       older version, holds until it is deleted by hand
 *   H3  the time is the reader's own clock's: clocks that are hours apart are none that backups can be trusted to
 */
import { MICROS_PER_HOUR } from '../base/duration.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { formatUtc } from '../base/timestamp.ts';
import { isTerminal } from '../jobs/jobMachine.ts';
import type { JobRegistry } from '../jobs/registry.ts';
import type { ExternalStorage } from '../storage/externalStorage.ts';

import { decodeLock, encodeLock, type LockContent } from './collection.ts';
import { isMissing } from './manifest.ts';

/** What a job that is paused or that cannot reach the storage for a night keeps. */
export const HOLD_MICROS = 24 * MICROS_PER_HOUR;
/** How old a job at work lets its file become. */
export const RENEW_MICROS = MICROS_PER_HOUR;

export const DELETION_MARK = 'BACKUP-DELETE-';
export const LOCK = 'BACKUP-LOCK-';
export const READ_MARK = 'BACKUP-READ-';

/** A job that holds something, and when it says so. */
export interface Claimant {
  readonly clusterId: string;
  readonly jobId: string;
  readonly nodeId: number;
  readonly now: Timestamp;
}

/** What a claimant writes into its file. */
export function claimOf({ clusterId, jobId, nodeId, now }: Claimant): Buffer {
  return encodeLock({ clusterId, jobId, node: nodeId, until: (now + HOLD_MICROS) as Timestamp });
}

/** True for what another cluster's job has left too long ago (H2). */
export function hasLapsed({ until }: LockContent, now: Timestamp): boolean {
  return until !== undefined && until <= now;
}

/** Whether a file of this name is one by which a job holds something. */
export function isHold(name: string): boolean {
  return prefixOf(name) !== undefined;
}

function prefixOf(name: string): string | undefined {
  const base = name.slice(name.lastIndexOf('/') + 1);
  return [DELETION_MARK, LOCK, READ_MARK].find((prefix) => base.startsWith(prefix));
}

/** Who is at work in a directory. */
export interface Holder {
  readonly jobId: string;
  /** The job's status; undefined of another cluster's. */
  readonly status: string | undefined;
  /** Of another cluster's: when its file lapses, unless it is written again. */
  readonly until: Timestamp | undefined;
  readonly name: string;
}

/** As a reason for something names it. */
export function holderText({ jobId, status, until, name }: Holder): string {
  if (status !== undefined) return `job ${jobId}`;
  const what = prefixOf(name) === READ_MARK ? `restore job ${jobId}` : `job ${jobId}`;
  return `${what} of another cluster${until === undefined ? '' : `, until ${formatUtc(until)} if it does not say so again`}`;
}

/** Jobs other than `own` that hold a directory, by the `names` of files in it. */
export async function holdersOf(
  storage: ExternalStorage,
  names: readonly string[],
  own: Pick<Claimant, 'clusterId' | 'jobId' | 'now'>,
  jobs: JobRegistry,
  signal?: AbortSignal,
): Promise<Holder[]> {
  const holders: Holder[] = [];
  for (const name of names) {
    const prefix = prefixOf(name);
    if (prefix === undefined) continue;
    const jobId = /^\d+/.exec(name.slice(name.lastIndexOf(prefix) + prefix.length))?.[0] ?? '';
    let content: Uint8Array;
    try {
      content = await storage.read(name, { signal });
    } catch (error) {
      if (isMissing(error)) continue;
      throw error;
    }
    const claim = decodeLock(content);
    if (claim?.clusterId === own.clusterId) {
      const record = jobId === own.jobId ? undefined : await jobs.get(Number(jobId));
      if (record !== undefined && !isTerminal(record.status)) holders.push({ jobId, status: record.status, until: undefined, name });
    } else if (claim === undefined || !hasLapsed(claim, own.now)) {
      holders.push({ jobId, status: undefined, until: claim?.until, name });
    }
  }
  return holders;
}
