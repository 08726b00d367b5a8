/**
 * Backup destination: where a new layer goes, and which layers it stands on. Reads only.
 *
 *   T1  an implicit end time whose directory is taken moves on to the next free hundredth of a
 *       second, for a directory is all that tells layers apart; an explicit one is refused
 *   T2  an incremental continues the newest layer of its chain, after proof that the chain has no
 *       holes: what cannot be restored is not appended to
 *   T3  a layer whose job may still take it back (paused after its manifest, say) is not continued
 */
import { isVarveError, StateError, StatementError, type VarveError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { formatUtc } from '../base/timestamp.ts';
import { KmsError } from '../storage/kms/kms.ts';

import { CLUSTER_TARGET } from './backupTargets.ts';
import { loadChain, newestLayer, pathTo } from './chain.ts';
import type { RememberedChain } from './chainMemory.ts';
import { EncryptionError } from './cipher.ts';
import { DIRECTORY_STEP_MICROS, directoryTime, fullDirectory, incrementalDirectory, isDirectoryTaken, isLayer } from './collection.ts';
import { type CollectionStorage, collectionAt } from './collectionStorage.ts';
import type { CoveredSpan } from './coverage.ts';
import type { Reservation } from './directoryReservations.ts';
import { resolveLatest } from './layerIndex.ts';
import type { Layer, Manifest } from './manifest.ts';
import { isMissing, readManifest } from './manifest.ts';

/** What the statement said after INTO. */
export type DestinationRequest =
  | { readonly type: 'new' }
  | { readonly type: 'latest' }
  /** A full's directory, as parseSubdirectory gives it. */
  | { readonly type: 'subdir'; readonly full: string };

/** The layers an incremental stands on. */
export interface PriorLayers {
  readonly full: string;
  readonly newest: Layer;
  /** What the chain covers. */
  readonly covered: readonly CoveredSpan[];
}

/**
 * Undefined for a new full. 58P01 when there is no such backup, XX001 when its chain is damaged, 55006
 * when the full is not final yet. `isFinal` says of a layer that its job cannot take it back any more; `memoryOf` gives what is
 * remembered of the chain on a full.
 */
export async function findPriorLayers(
  storage: CollectionStorage,
  request: DestinationRequest,
  isFinal: (layer: Layer) => Promise<boolean>,
  memoryOf: (full: string) => RememberedChain,
  signal?: AbortSignal,
): Promise<PriorLayers | undefined> {
  if (request.type === 'new') return undefined;
  const full = request.type === 'latest' ? await resolveLatest(storage, signal) : request.full;
  const memory = memoryOf(full);
  const [first, ...incrementals] = await loadChain(storage, full, signal, undefined, memory).catch((error: unknown) => {
    throw request.type === 'subdir' && isMissing(error) ? noFullBackup(request.full, error) : error;
  });
  if (!(await isFinal(first))) {
    throw new StateError(SqlState.ObjectInUse, `backup "${full}" is not finished`, {
      detail: `job ${first.manifest.jobId} may still take it back`,
      hint: 'wait for that job, resume it, or cancel it',
    });
  }
  // Beside one under way another layer begins where the chain ended before it.
  const chain: [Layer, ...Layer[]] = [first];
  for (const layer of incrementals) if (await isFinal(layer)) chain.push(layer);
  const newest = newestLayer(chain);
  const path = pathTo(chain, newest);
  return { full, newest, covered: memory.prove(path, `invalid previous backups (${path.map((layer) => layer.directory).join(', ')}): `) };
}

/** The 58P01 of an incremental on a full that is not there, in CockroachDB's words. `name`: as the user gave it. */
export function noFullBackup(name: string, cause?: unknown): StateError {
  return new StateError(
    SqlState.UndefinedFile,
    `No full backup exists in "${name}" to append an incremental backup to. To take a full backup, remove the subdirectory from the backup command (i.e. run 'BACKUP ... INTO <collectionURI>').`,
    { hint: 'SHOW BACKUPS IN lists the completed backups of a collection', cause },
  );
}

/** A free directory, reserved, and the end time that goes with it. */
export interface FreeDirectory {
  readonly reservation: Reservation;
  readonly endTime: Timestamp;
}

/**
 * The directory for a layer that ends at `endTime`, or at the next hundredth whose directory is free
 * when the time was not asked for. `reserve` gives undefined for a directory that another plan has
 * chosen, `isJobs` says of one that a job will write there. 58P02 when an explicit time's directory
 * is taken.
 */
export async function findFreeDirectory(
  storage: CollectionStorage,
  full: string | undefined,
  endTime: Timestamp,
  options: {
    readonly isExplicit: boolean;
    readonly reserve: (directory: string) => Reservation | undefined;
    readonly isJobs: (directory: string) => Promise<boolean>;
    readonly signal?: AbortSignal;
  },
): Promise<FreeDirectory> {
  for (let time = endTime; ; time = (directoryTime(time) + DIRECTORY_STEP_MICROS) as Timestamp) {
    const directory = full === undefined ? fullDirectory(time) : incrementalDirectory(full, time);
    // Reserved first: who had it reserved until just now has a job by now, which isJobs() sees.
    const reservation = options.reserve(directory);
    if (reservation !== undefined) {
      let isTaken = true;
      try {
        isTaken = (await options.isJobs(directory)) || (await isDirectoryTaken(storage, directory, options.signal));
      } finally {
        if (isTaken) reservation.release();
      }
      if (!isTaken) return { reservation, endTime: time };
    }
    if (options.isExplicit) {
      if (full === undefined && (await isLayer(storage, directory, options.signal))) {
        throw new StateError(
          SqlState.DuplicateFile,
          `A full backup already exists in ${storage.uri}/${directory}. Consider running an incremental backup to this full backup via \`BACKUP INTO '${directory}' IN '${storage.uri}'\``,
          {
            detail: `a backup that ends at ${formatUtc(endTime)} has that directory`,
            hint: 'ask for another time: directories are a hundredth of a second apart',
          },
        );
      }
      throw new StateError(
        SqlState.DuplicateFile,
        `a backup that ends at ${formatUtc(endTime)} has the directory "${directory}", which is taken`,
        {
          detail: `in "${storage.uri}"`,
          hint: 'ask for another time (directories are a hundredth of a second apart), or leave AS OF SYSTEM TIME out',
        },
      );
    }
  }
}

/**
 * The newest full of the collection; undefined when there is none. What cannot be read says nothing: a damaged full must
 * not keep anybody from taking the next.
 */
export async function newestFull(storage: CollectionStorage, signal?: AbortSignal): Promise<Manifest | undefined> {
  if (!storage.capabilities.list || !storage.isCollection) return undefined;
  try {
    return (await readNewest(storage, await resolveLatest(storage, signal), signal)).manifest;
  } catch (error) {
    if (isVarveError(error) && (UNREADABLE.has(error.code) || error instanceof EncryptionError || error instanceof KmsError))
      return undefined;
    throw error;
  }
}

/**
 * Throws 22023 when the newest full of the collection has nothing to do with a new one: LATEST would turn
 * to other targets. Related are backups that share a target by name, or within one cluster by id, so
 * that a renamed database and a cluster restored from this very collection go on in it.
 */
export function checkSameCollection(storage: CollectionStorage, newest: Manifest, request: CollectionRequest): void {
  const isSameCluster = newest.clusterId === request.clusterId;
  const isRelated =
    newest.scope === request.scope &&
    (newest.targets.some((name) => request.names.includes(name)) ||
      (isSameCluster && newest.targetIds.some((id) => request.ids.includes(id))));
  if (isRelated) return;
  throw new StatementError(SqlState.InvalidParameterValue, `the collection "${storage.uri}" holds backups of other targets`, {
    detail: `its newest full backup is of ${newest.targets.join(', ')}; this one would be of ${request.names.join(', ')}`,
    hint: 'give each set of targets a collection of its own: another URI after INTO',
  });
}

/** A chain begins anew: the full before it may be plain where this one is encrypted. */
async function readNewest(storage: CollectionStorage, full: string, signal?: AbortSignal): Promise<Layer> {
  try {
    return await readManifest(storage, full, signal);
  } catch (error) {
    if (!(error instanceof EncryptionError) || error.reason !== 'notEncrypted') throw error;
    return await readManifest(collectionAt(storage), full, signal);
  }
}

/** What a new full is of. */
export interface CollectionRequest {
  readonly clusterId: string;
  readonly scope: string;
  /** As a manifest's targets. */
  readonly names: readonly string[];
  readonly ids: readonly number[];
}

/** There is no full, it is damaged, or of a later version. One that is encrypted with another key says nothing either. */
const UNREADABLE: ReadonlySet<string> = new Set([SqlState.UndefinedFile, SqlState.DataCorrupted, SqlState.FeatureNotSupported]);

/** What of a statement the layer before it must fit. */
export interface LayerRequest {
  readonly clusterId: string;
  /** The cluster that this one was forked from. */
  readonly forkedFrom: string | undefined;
  readonly scope: string;
  /** Ids and names of what was asked for; `fullName` as the manifest's targets have it. */
  readonly requested: readonly { readonly id: number; readonly name: string; readonly fullName: string }[];
  /** Of the ids that the layer before was asked for: those that do not exist any more. */
  readonly goneIds: ReadonlySet<number>;
  /** Undefined when the end time is not known yet: then it is after everything. */
  readonly endTime: Timestamp | undefined;
  /** Tiers that have a place of their own, sorted; undefined when each layer has places of its own. */
  readonly localities: readonly string[] | undefined;
}

/** Throws unless a layer may follow `prior`: same cluster, same targets, a later end. 22023, 55000. */
export function checkContinues(prior: PriorLayers, request: LayerRequest): void {
  const { manifest, directory } = prior.newest;
  if (manifest.clusterId !== request.clusterId) {
    const isParent = manifest.clusterId === request.forkedFrom;
    throw new StateError(SqlState.ObjectNotInPrerequisiteState, 'previous backup was taken by another cluster', {
      detail: `layer "${directory}" is of cluster ${manifest.clusterId}${isParent ? ', from which this one was forked' : ''}; this is ${request.clusterId}`,
      hint: 'start a chain of your own: BACKUP ... INTO without LATEST IN, in a collection of your own',
    });
  }
  if (manifest.scope !== request.scope) {
    throw wrongTargets(otherScope(manifest, request), manifest.targets);
  }
  if (request.localities !== undefined && manifest.localities.join() !== request.localities.join()) {
    throw new StatementError(
      SqlState.InvalidParameterValue,
      `Requested backup has localities [${request.localities.join(' ')}], but a previous backup layer in this collection has localities [${manifest.localities.join(' ')}]. Mismatched backup layers are not supported. Please take a new full backup with the new localities, or an incremental backup with matching localities.`,
      { detail: `layer "${directory}"` },
    );
  }
  const before = new Set(manifest.targetIds);
  for (const { id, name, fullName } of request.requested) {
    // TRUNCATE gives a table another id; under the same name it goes on, exported from the beginning.
    if (before.has(id) || (request.scope === 'tables' && manifest.targets.includes(fullName))) continue;
    const what = request.scope === 'databases' ? 'the complete database' : 'table';
    const isSuccessor = manifest.targets.includes(fullName);
    throw wrongTargets(
      `previous backup does not contain ${what} "${name}"`,
      manifest.targets,
      isSuccessor ? 'another one of that name, which has been dropped or renamed since' : undefined,
    );
  }
  const asked = new Set(request.requested.map(({ id }) => id));
  const missing = manifest.targetIds.filter((id) => !asked.has(id) && !request.goneIds.has(id));
  if (missing.length > 0) {
    throw wrongTargets('requested targets leave out some of the previous backup', manifest.targets);
  }
  if (request.endTime !== undefined && request.endTime <= manifest.endTime) {
    throw new StatementError(
      SqlState.InvalidParameterValue,
      `AS OF SYSTEM TIME ${formatUtc(request.endTime)} is not after the end of the previous backup`,
      {
        detail: `layer "${directory}" ends at ${formatUtc(manifest.endTime)}`,
      },
    );
  }
}

function otherScope({ scope }: Manifest, request: LayerRequest): string {
  if (scope === 'cluster') return 'cannot append a backup of specific tables or databases to a cluster backup';
  if (request.scope === 'databases') return `previous backup does not contain the complete database "${request.requested[0]?.name}"`;
  return `previous backup is of ${scope}, this one of ${request.scope === 'cluster' ? CLUSTER_TARGET : request.scope}`;
}

function wrongTargets(message: string, targets: readonly string[], held = targets.join(', ')): VarveError {
  return new StatementError(SqlState.InvalidParameterValue, message, {
    detail: `the chain holds ${held}`,
    hint: 'an incremental backup has the targets of its chain; take a full backup of others into a collection of their own: BACKUP ... INTO',
  });
}
