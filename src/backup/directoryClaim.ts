/**
 * Directory claim: one job writes a layer's directory, and everybody can see which.
 *
 *   L1  the lock's name carries the job id, so locks of two jobs are two files: each writes its own
 *       first and looks for others then. Two that race see each other, and neither goes on
 *   L2  a lock whose job is terminal or unknown to its own cluster, or of another cluster and lapsed (holders.ts), holds nothing,
 *       and is removed. A job at work writes its own again before it lapses
 *   L3  what another job or cluster wrote is never removed, a dead lock excepted
 */
import { StateError } from '../base/errors.ts';
import { isVarveError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { formatUtc } from '../base/timestamp.ts';
import { isTerminal } from '../jobs/jobMachine.ts';
import type { JobRegistry } from '../jobs/registry.ts';

import { EncryptionError } from './cipher.ts';
import { decodeLock, listClaims, lockName, MANIFEST_NAME } from './collection.ts';
import type { CollectionStorage } from './collectionStorage.ts';
import { type Claimant, claimOf, hasLapsed } from './holders.ts';
import type { Manifest } from './manifest.ts';
import { decodeManifest, isMissing } from './manifest.ts';

/** Writes the claimant's lock, unless it is there. True when it was not, and the storage can tell: then the file of that name is this claimant's. */
export async function writeLock(storage: CollectionStorage, directory: string, claimant: Claimant, signal?: AbortSignal): Promise<boolean> {
  try {
    // Without conditional create, the name alone keeps two jobs apart.
    await storage.write(lockName(directory, claimant.jobId), claimOf(claimant), {
      signal,
      ifAbsent: storage.capabilities.conditionalCreate,
    });
    return storage.capabilities.conditionalCreate;
  } catch (error) {
    // This job's own, from a claim before; or one of the same id from another cluster, which checkAlone will see.
    if (!isVarveError(error) || error.code !== SqlState.DuplicateFile) throw error;
    return false;
  }
}

/** Writes a lock that is known to be the claimant's own again, before other clusters take it for a dead one's. */
export async function renewLock(storage: CollectionStorage, directory: string, claimant: Claimant, signal?: AbortSignal): Promise<void> {
  await storage.write(lockName(directory, claimant.jobId), claimOf(claimant), { signal });
}

/** `isOurs`: as writeLock said. Throws 55006 naming the other job when another one that is not terminal holds the directory, 58P02 when it holds a finished layer. */
export async function checkAlone(
  storage: CollectionStorage,
  directory: string,
  claimant: Claimant,
  isOurs: boolean,
  jobs: JobRegistry,
  signal?: AbortSignal,
): Promise<void> {
  const { locks, hasManifest } = await listClaims(storage, directory, signal);
  for (const jobId of locks) {
    if (isOurs && jobId === claimant.jobId) continue;
    const name = lockName(directory, jobId);
    const lock = await readLock(storage, name, signal);
    if (lock === 'gone') continue;
    const isOfThisCluster = lock?.clusterId === claimant.clusterId;
    if (isOfThisCluster && jobId === claimant.jobId) continue;
    const record = isOfThisCluster ? await jobs.get(Number(jobId)) : undefined;
    const isDead = isOfThisCluster
      ? record === undefined || isTerminal(record.status)
      : lock !== undefined && hasLapsed(lock, claimant.now);
    if (isDead) {
      if (storage.capabilities.delete) await storage.delete(name);
      continue;
    }
    throw new StateError(SqlState.ObjectInUse, `backup directory "${whereIs(storage, directory)}" is in use by job ${jobId}`, {
      detail: isOfThisCluster
        ? `the job is ${record?.status}`
        : `the job is of another cluster: ${lock?.clusterId ?? 'its lock cannot be read'}`,
      hint: isOfThisCluster
        ? 'wait for that job, or cancel it'
        : `${lock?.until === undefined ? '' : `its lock lapses at ${formatUtc(lock.until)}; `}if that cluster is gone, delete the file "${name}" by hand and try again`,
    });
  }
  const manifest = hasManifest ? await ownableManifest(storage, directory, signal) : undefined;
  if (manifest !== undefined && (manifest.jobId !== claimant.jobId || manifest.clusterId !== claimant.clusterId)) {
    throw new StateError(SqlState.DuplicateFile, `backup directory "${whereIs(storage, directory)}" holds a backup already`, {
      detail: `job ${manifest.jobId} of cluster ${manifest.clusterId} wrote it`,
    });
  }
}

/** The directory as its user knows it. */
function whereIs(storage: CollectionStorage, directory: string): string {
  return storage.isCollection ? directory : String(storage.layerStorages(directory)[0]?.uri);
}

async function readLock(storage: CollectionStorage, name: string, signal?: AbortSignal) {
  try {
    return decodeLock(await storage.read(name, { signal }));
  } catch (error) {
    if (isMissing(error)) return 'gone' as const;
    throw error;
  }
}

/** One that this job's key does not open is another's. */
async function ownableManifest(storage: CollectionStorage, directory: string, signal?: AbortSignal): Promise<Manifest | undefined> {
  try {
    return await storedManifest(storage, directory, signal);
  } catch (error) {
    if (!(error instanceof EncryptionError)) throw error;
    throw new StateError(SqlState.DuplicateFile, `backup directory "${directory}" holds a backup already`, {
      detail: 'it is encrypted with another key, or not at all',
      cause: error,
    });
  }
}

/** The manifest in a directory, with its checksum file or without; undefined when there is none. XX001 when it is damaged. */
export async function storedManifest(storage: CollectionStorage, directory: string, signal?: AbortSignal): Promise<Manifest | undefined> {
  const file = `${directory}/${MANIFEST_NAME}`;
  try {
    const bytes = Buffer.from(await storage.read(file, { signal }));
    return await decodeManifest(bytes, file, await storage.keys.cipherOf(storage, directory, signal));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
