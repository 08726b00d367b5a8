/**
 * Backup planning: what a BACKUP statement asks for, to the details of a job. Runs once; what it
 * decides never changes. Reads catalog and destination, writes the job and its protection only.
 *
 *   N1  the job and its protected timestamps commit in one transaction: a layer whose start is not
 *       readable any more has no job, and a job's history cannot be collected under it
 *   N2  tables that continue are protected from the layer's start; introduced ones from its end, or
 *       with revision history from the time from which the layer holds all of it
 *   N3  a full with revision history starts at the highest GC threshold of its tables, and not before
 *       the last of its targets was made; an attempt that GC overtakes takes a later one
 */
import { StatementError } from '../base/errors.ts';
import { tableOfKey } from '../kv/indexOfKey.ts';
import type { Span } from '../base/span.ts';
import { subtractSpans } from '../base/span.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { formatDecimal, formatForError, formatUtc, MIN_TIMESTAMP } from '../base/timestamp.ts';
import { MICROS_PER_SECOND } from '../base/duration.ts';
import type { Catalog, NameContext } from '../catalog/catalog.ts';
import type { ClusterSettings } from '../catalog/settings.ts';
import { SYSTEM_DATABASE_ID } from '../catalog/descriptor.ts';
import { quoteLiteral } from '../catalog/names.ts';
import { isAdmin } from '../catalog/privileges.ts';
import type { ProtectedRecords } from '../catalog/protectedRecords.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { CATALOG_TABLE_IDS } from '../catalog/zones.ts';
import { HistoryGoneError } from '../gc/thresholds.ts';
import { CREATED_BY_SCHEDULE } from '../jobs/job.ts';
import type { JobRegistry } from '../jobs/registry.ts';
import type { Kv, Txn } from '../kv/kv.ts';
import type { BackupTargets as TargetsAst } from '../sql/parse/ast.ts';
import type { StorageFactory } from '../storage/externalStorage.ts';
import { KmsError } from '../storage/kms/kms.ts';

import { isBackedUp } from './backupCatalog.ts';
import type { DestinationRequest, PriorLayers } from './backupDestination.ts';
import { checkContinues, checkSameCollection, findFreeDirectory, findPriorLayers, newestFull } from './backupDestination.ts';
import type { BackupDetails, ScheduleLink } from './backupDetails.ts';
import type { BackupMetrics } from './backupMetrics.ts';
import { BACKUP_JOB_TYPE, detailsFromJson, detailsToJson } from './backupDetails.ts';
import {
  descriptorHistory,
  type HistoryIndex,
  historySince,
  indexesOfHistory,
  introducedSpans,
  spansOfDescriptors,
  spansOfHistory,
  standingSince,
  toldSince,
  vanishedTables,
} from './backupSpans.ts';
import { type BackupGrantees, checkBackupPrivileges } from './backupPrivileges.ts';
import type { ResolvedTargets } from './backupTargets.ts';
import { resolveTargets, withUsers } from './backupTargets.ts';
import { type ChainMemory, RememberedChain } from './chainMemory.ts';
import type { CollectionStorage } from './collectionStorage.ts';
import { namingPlaces, openCollection } from './collectionStorage.ts';
import type { DirectoryReservations } from './directoryReservations.ts';
import { encodeEncryptionInfo } from './encryptionInfo.ts';
import { secretsText } from './encryptionOptions.ts';
import { chainSecretsForJob, createChainKey } from './keyring.ts';
import { isListed, listedPlaces, withNewLayer } from './listedLayers.ts';
import type { LocationDetails } from './locationDetails.ts';
import { isSamePlace, localitiesOf, placeKey, urisText } from './locationDetails.ts';
import type { DescriptorChange, Layer, Manifest } from './manifest.ts';

export interface BackupPlanningDeps {
  readonly kv: Kv;
  readonly catalog: Catalog;
  readonly protections: ProtectedRecords;
  readonly jobs: JobRegistry;
  readonly storage: StorageFactory;
  readonly reservations: DirectoryReservations;
  readonly metrics: BackupMetrics;
  readonly settings: ClusterSettings;
  /** Jobs of layers that are known to be final, which they stay: a chain's are asked for with each layer that it gets. */
  readonly finalJobs: Set<string>;
  readonly chains: ChainMemory;
}

/** A BACKUP statement with its expressions evaluated. */
export interface BackupRequest extends BackupGrantees {
  readonly targets: TargetsAst;
  readonly destination: DestinationRequest;
  readonly location: LocationDetails;
  /** AS OF SYSTEM TIME. */
  readonly asOf: Timestamp | undefined;
  readonly revisionHistory: boolean;
  readonly executionLocality: string;
  readonly strictLocality: boolean;
  /** A failure for want of the KMS shows among the metrics. */
  readonly updatesMetrics: boolean;
  readonly detached: boolean;
  /** The schedule that asks for it. */
  readonly schedule?: ScheduleLink | undefined;
  readonly user: string;
  readonly names: NameContext;
  /** Tells the user something. */
  readonly notice: (message: string) => void;
  readonly signal?: AbortSignal;
}

// Each attempt leaves GC more time to overtake; after the last one something else is wrong.
const LOWER_BOUND_MARGINS_MICROS = [0, MICROS_PER_SECOND, 10 * MICROS_PER_SECOND];

/**
 * Plans a backup and writes its job and protection through `commit`, which runs the function in a
 * transaction: the statement's own one (detached, in an explicit transaction), or one that commits
 * at once. Returns the job's id.
 */
export async function planBackup(
  deps: BackupPlanningDeps,
  request: BackupRequest,
  commit: (write: (txn: Txn) => Promise<void>) => Promise<void>,
): Promise<number> {
  const storage = openCollection(deps.storage, request.location, { user: request.user, nodeId: deps.kv.cluster.anyLiveNode().id });
  try {
    for (let attempt = 0; ; attempt++) {
      try {
        return await namingPlaces(storage, () => planOnce(deps, request, storage, LOWER_BOUND_MARGINS_MICROS[attempt] ?? 0, commit));
      } catch (error) {
        if (request.updatesMetrics && error instanceof KmsError) deps.metrics.noteKmsInaccessible(deps.kv.reading());
        if (!(error instanceof StartGoneError)) throw error;
        // A start that stands where GC does can be chosen again.
        if (!request.revisionHistory || attempt + 1 === LOWER_BOUND_MARGINS_MICROS.length) throw protectionError(error.gone);
      }
    }
  } finally {
    await storage.close();
  }
}

async function planOnce(
  deps: BackupPlanningDeps,
  request: BackupRequest,
  storage: CollectionStorage,
  marginMicros: number,
  commit: (write: (txn: Txn) => Promise<void>) => Promise<void>,
): Promise<number> {
  const prior = await findPriorLayers(
    storage,
    request.destination,
    (layer) => isFinal(deps, layer),
    (full) => memoryOf(deps, request.location, full),
    request.signal,
  );
  const isMixed = deps.settings.get('varve.backup.mixed_collections.enabled');
  // Read beside what follows, until it is needed.
  const newest = prior || isMixed ? undefined : newestFull(storage, request.signal);
  newest?.catch(() => {});
  // A chain that cannot be continued is said before anything else is looked at.
  const wanted = request.asOf ?? deps.kv.hlc.now();
  const { reservation, endTime } = await findFreeDirectory(storage, prior?.full, firstEnd(wanted, prior, request), {
    isExplicit: request.asOf !== undefined,
    reserve: (directory) => deps.reservations.take(request.location, directory),
    isJobs: (directory) => isJobs(deps, request.location, directory),
    signal: request.signal,
  });
  try {
    const location = withNewLayer(request.location, reservation.directory);
    const plan = await makePlan(
      deps,
      { ...request, location },
      storage,
      { prior, newest },
      { directory: reservation.directory, endTime },
      marginMicros,
    );
    await readStart(() =>
      commit(async (txn) => {
        // A transaction of the user's own may commit the job much later.
        reservation.hold();
        txn.afterCommit(reservation.release);
        txn.afterAbort(reservation.release);
        await writeJob(deps, request, plan, txn);
      }),
    );
    return plan.jobId;
  } finally {
    reservation.release();
  }
}

/** The layer's start, not its end, is not readable any more. */
class StartGoneError extends Error {
  readonly gone: HistoryGoneError;

  constructor(gone: HistoryGoneError) {
    super(gone.message);
    this.gone = gone;
  }
}

/** Runs what reads or holds the layer's start. */
async function readStart<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw error instanceof HistoryGoneError ? new StartGoneError(error) : error;
  }
}

/** A protection that the job needs. */
interface Hold {
  readonly id: string;
  readonly ts: Timestamp;
  readonly tableIds: readonly number[];
}

interface BackupPlan {
  readonly jobId: number;
  readonly details: BackupDetails;
  readonly holds: readonly Hold[];
}

async function makePlan(
  deps: BackupPlanningDeps,
  request: BackupRequest,
  storage: CollectionStorage,
  { prior, newest }: { readonly prior: PriorLayers | undefined; readonly newest: Promise<Manifest | undefined> | undefined },
  { directory, endTime }: { readonly directory: string; readonly endTime: Timestamp },
  marginMicros: number,
): Promise<BackupPlan> {
  const { kv } = deps;
  const { revisionHistory } = request;
  // The end may have moved beyond the clock: from now on nothing commits at or below it.
  kv.hlc.forward(endTime);
  const snapshot = await snapshotAt(deps, endTime);
  const named = resolveTargets(snapshot, request.targets, request.names);
  const advice = checkBackupPrivileges(named, request);
  if (advice !== undefined) request.notice(advice);
  // Passwords go only into an administrator's backups.
  const isOldForm = request.location.places !== undefined;
  const targets = isOldForm && isAdmin(request.grantees) ? withUsers(named, snapshot) : named;
  if (prior) {
    checkContinues(prior, {
      clusterId: kv.clusterId,
      forkedFrom: kv.forkedFrom,
      scope: targets.scope,
      requested: targets.requested.map((one, i) => ({ id: one.id, name: one.name, fullName: targets.names[i] ?? '' })),
      goneIds: new Set(prior.newest.manifest.targetIds.filter((id) => !isStanding(snapshot, id))),
      endTime: request.asOf,
      localities: isListed(request.location) ? undefined : localitiesOf(request.location.uris),
    });
  } else {
    const { scope, names, requested } = targets;
    const before = await newest;
    if (before) checkSameCollection(storage, before, { clusterId: kv.clusterId, scope, names, ids: requested.map(({ id }) => id) });
  }
  const startTime = prior?.newest.manifest.endTime ?? MIN_TIMESTAMP;
  const liveSpans = spansOfDescriptors(targets.descriptors);
  checkReadable(kv, liveSpans, endTime);

  if (prior) {
    // The user's own tables first: their names say more than the catalog's, whose history is read next.
    const continuing = subtractSpans(liveSpans, introducedSpans(liveSpans, prior.covered, startTime));
    await readStart(async () => checkReadable(kv, continuing, startTime));
  }
  const told = revisionHistory ? await readStart(() => tellHistory(deps, targets, prior, endTime, marginMicros)) : undefined;
  const history = told?.changes ?? [];
  const dataOf = (changes: readonly DescriptorChange[]) => {
    const spans = revisionHistory ? spansOfHistory([...changes, ...asChanges(targets)]) : liveSpans;
    const introduced = prior ? introducedSpans(spans, prior.covered, startTime) : [];
    return { spans, introduced, tables: splitTables(spans, introduced) };
  };
  const { fresh } = dataOf(history).tables;
  const late = prior ? lateTables(kv, fresh, history, marginMicros) : new Map<number, Timestamp>();
  const bounding = fresh.filter((id) => !late.has(id));
  const bound = told === undefined ? endTime : prior ? freshBound(kv, bounding, told.from, endTime, marginMicros) : told.from;
  // What came and went before the bound is in no time that the layer claims, and may be collected at any moment.
  const claimed = historySince(history, bound);
  const { spans, introduced, tables } = dataOf(claimed);
  if (prior) {
    const isNew = ({ key }: HistoryIndex) => introduced.some((span) => span.key <= key && key < span.endKey);
    await readStart(async () => checkIndexesReadable(kv, claimed, (index) => (isNew(index) ? bound : startTime)));
  }
  const holds = makeHolds(deps, tables, prior ? startTime : bound, bound, late);
  const encryption = await planEncryption(deps, request, storage, prior);
  const parent = prior && { directory: prior.newest.directory, endTime: startTime, manifestSha256: prior.newest.manifestSha256 };
  return {
    jobId: deps.jobs.newJobId(),
    holds,
    details: {
      location: encryption.location,
      encryptionInfo: encryption.info,
      user: request.user,
      directory,
      kind: prior ? 'incremental' : 'full',
      layerId: kv.ids.uuid(),
      scope: targets.scope,
      targets: targets.names,
      targetIds: targets.requested.map(({ id }) => id),
      completeDatabaseIds: targets.completeDatabaseIds,
      descriptorIds: targets.descriptors.map(({ id }) => id),
      historyIds: revisionHistory ? historyIdsOf(targets, prior) : [],
      startTime,
      endTime,
      revisionHistory,
      revisionStartTime: bound,
      lateTables: [...late].filter(([, from]) => from > bound),
      localities: localitiesOf(request.location.uris),
      executionLocality: request.executionLocality,
      strictLocality: request.strictLocality,
      updatesMetrics: request.updatesMetrics,
      schedule: request.schedule,
      spans,
      introducedSpans: introduced,
      parent,
      protectionIds: holds.map(({ id }) => id),
    },
  };
}

/** Keys for the job: a new full has one of its own, wrapped for the statement's secrets; an incremental has its chain's. */
async function planEncryption(
  deps: BackupPlanningDeps,
  { location, user, signal }: BackupRequest,
  storage: CollectionStorage,
  prior: PriorLayers | undefined,
): Promise<{ readonly location: LocationDetails; readonly info: string | undefined }> {
  const { secrets, ...places } = location;
  if (secrets === undefined) return { location, info: undefined };
  const access = { secrets, services: deps.storage.secrets, context: { user } };
  if (prior) return { location: { ...places, secrets: await chainSecretsForJob(access, storage, prior.full, signal) }, info: undefined };
  const { info, forJob } = await createChainKey(access, signal);
  return { location: { ...places, secrets: forJob }, info: (await encodeEncryptionInfo(info)).toString('base64') };
}

/** An implicit end is after the chain's, whatever the clock says. */
function firstEnd(wanted: Timestamp, prior: PriorLayers | undefined, request: BackupRequest): Timestamp {
  if (!prior || request.asOf !== undefined) return wanted;
  return Math.max(wanted, prior.newest.manifest.endTime + 1) as Timestamp;
}

/** A job that succeeded, or has no record any more, leaves its layer as it is; any other may remove it. */
async function isFinal({ kv, jobs, finalJobs }: BackupPlanningDeps, { manifest }: Layer): Promise<boolean> {
  const { clusterId, jobId } = manifest;
  if (clusterId !== kv.clusterId || finalJobs.has(jobId)) return true;
  const record = await jobs.get(Number(jobId));
  const isDone = record === undefined || record.status === 'succeeded';
  if (isDone) finalJobs.add(jobId);
  return isDone;
}

/** The layers that older statements list lie elsewhere with each statement: nothing is remembered of them. */
function memoryOf({ chains }: BackupPlanningDeps, location: LocationDetails, full: string): RememberedChain {
  return location.places === undefined ? chains.of(`${placeKey(location)}\n${full}`) : new RememberedChain();
}

/** Whether an unfinished job will write to this directory of the collection, or does. */
async function isJobs(deps: BackupPlanningDeps, location: LocationDetails, directory: string): Promise<boolean> {
  for (const record of await deps.jobs.listUnfinished()) {
    if (record.type !== BACKUP_JOB_TYPE) continue;
    const details = detailsFromJson(record.details);
    if (details.directory === directory && isSamePlace(details.location, location)) return true;
  }
  return false;
}

async function snapshotAt(deps: BackupPlanningDeps, time: Timestamp): Promise<CatalogSnapshot> {
  return await deps.catalog.snapshot(deps.kv.at(time));
}

function isStanding(snapshot: CatalogSnapshot, id: number): boolean {
  const descriptor = snapshot.byId(id);
  return descriptor !== undefined && isBackedUp(descriptor);
}

/** Throws 72000 when an index of the history is not readable from where its layer begins, or from when it came, on. */
function checkIndexesReadable(kv: Kv, history: readonly DescriptorChange[], startOf: (index: HistoryIndex) => Timestamp): void {
  for (const index of indexesOfHistory(history)) {
    kv.gc.thresholds.check(index.tableId, Math.max(startOf(index), index.since) as Timestamp, index.indexId);
  }
}

/** Throws 72000 when a table of the spans is not readable at `time`. */
function checkReadable(kv: Kv, spans: readonly Span[], time: Timestamp): void {
  for (const id of tableIdsOf(spans)) kv.gc.thresholds.check(id, time);
}

/** The history of a layer: from when on it can be told, and the versions of descriptors in it (N3). */
async function tellHistory(
  deps: BackupPlanningDeps,
  targets: ResolvedTargets,
  prior: PriorLayers | undefined,
  endTime: Timestamp,
  marginMicros: number,
): Promise<{ from: Timestamp; changes: DescriptorChange[] }> {
  const today = await deps.catalog.current();
  const scope = { isCluster: targets.scope === 'cluster', databaseIds: targets.completeDatabaseIds, ids: historyIdsOf(targets, prior) };
  let from = prior ? prior.newest.manifest.endTime : lowerBound(deps.kv, targets, endTime, marginMicros);
  for (;;) {
    const changes = await descriptorHistory(deps.kv, scope, from, endTime);
    const vanished = vanishedTables(changes, (id) => today.byId(id) !== undefined);
    const [first] = vanished;
    if (first !== undefined && prior) {
      throw new StatementError(
        SqlState.SnapshotTooOld,
        `the history of table "${first.name}" (${first.id}) since the previous backup is gone`,
        {
          detail: `it was dropped at ${formatUtc(first.until)}, and its data was collected when its gc.ttlseconds had passed`,
          hint: 'take a full backup, or an incremental one without revision_history; to keep history longer, raise gc.ttlseconds',
        },
      );
    }
    // A full claims no time at which one of its targets did not stand yet: a table that TRUNCATE made has another id.
    const standing = prior ? [] : standingIds(targets).map((id) => standingSince(changes, id));
    const until = Math.max(from, ...standing, ...vanished.map((table) => table.until));
    // Dropped tables and indexes may have a later threshold than those that are left; beyond it they are not told of.
    // What the clock moves from look to look is for the next attempt's margin.
    const { thresholds } = deps.kv.gc;
    const cut = indexesOfHistory(changes).filter((index) => thresholds.of(index.tableId, index.indexId) >= index.since);
    const thresholdsOf = [
      ...tableIdsOf(spansOfHistory(changes)).map((id) => thresholds.of(id)),
      ...cut.map(({ tableId, indexId }) => thresholds.of(tableId, indexId)),
    ];
    const readable = prior ? [] : thresholdsOf.map((threshold) => threshold + 1 + marginMicros);
    const threshold = Math.max(from, ...readable);
    if (until === from && threshold - from < MICROS_PER_SECOND) return { from, changes };
    from = Math.min(endTime, Math.max(until, threshold)) as Timestamp;
    if (from === endTime) return { from, changes: await descriptorHistory(deps.kv, scope, from, endTime) };
  }
}

/** What a full must not reach back before: its targets; of a cluster the system database, the first thing that there was. */
function standingIds({ scope, requested }: ResolvedTargets): number[] {
  return scope === 'cluster' ? [SYSTEM_DATABASE_ID] : requested.map(({ id }) => id);
}

/** What a layer's history is about: everything backed up, and what the layer before was of. */
function historyIdsOf(targets: ResolvedTargets, prior: PriorLayers | undefined): number[] {
  const before = prior?.newest.manifest.descriptors.map(({ id }) => id) ?? [];
  return [...new Set([...targets.descriptors.map(({ id }) => id), ...before])].sort((a, b) => a - b);
}

/** The highest GC threshold of the tables, and of the catalog's own: from there on every one of them can be read. */
function lowerBound(kv: Kv, targets: ResolvedTargets, endTime: Timestamp, marginMicros: number): Timestamp {
  const tableIds = targets.descriptors.filter(({ kind }) => kind === 'table').map(({ id }) => id);
  const bound = [...CATALOG_TABLE_IDS, ...tableIds].reduce((highest, id) => Math.max(highest, kv.gc.thresholds.of(id) + 1), 0);
  return Math.min(endTime, Math.max(1, bound + marginMicros)) as Timestamp;
}

function asChanges(targets: ResolvedTargets): DescriptorChange[] {
  return targets.descriptors.map((descriptor) => ({ id: descriptor.id, time: descriptor.modificationTime, descriptor }));
}

/** Tables that continue, and tables of which everything is introduced; ids, ascending. */
interface SplitTables {
  readonly continuing: readonly number[];
  readonly fresh: readonly number[];
}

function splitTables(spans: readonly Span[], introduced: readonly Span[]): SplitTables {
  const continuing: number[] = [];
  const fresh: number[] = [];
  for (const id of tableIdsOf(spans)) {
    const own = spans.filter((span) => tableOfKey(span.key) === id);
    const isNew = subtractSpans(own, introduced).length === 0;
    (isNew ? fresh : continuing).push(id);
  }
  return { continuing, fresh };
}

/**
 * From when on an incremental with revision history holds all of it. A table that it introduces has
 * not been protected so far: where its history begins later than the layer, so does what can be
 * restored from inside the layer.
 */
function freshBound(kv: Kv, fresh: readonly number[], startTime: Timestamp, endTime: Timestamp, marginMicros: number): Timestamp {
  const threshold = fresh.reduce((highest, id) => Math.max(highest, kv.gc.thresholds.of(id)), 0);
  return threshold < startTime ? startTime : (Math.min(endTime, threshold + 1 + marginMicros) as Timestamp);
}

/**
 * Tables that a layer introduces and that were not there before the time from which they can be read, such
 * as restored ones: the layer's history does not have to wait for them. By id, from when on they can be read.
 */
function lateTables(kv: Kv, fresh: readonly number[], history: readonly DescriptorChange[], marginMicros: number): Map<number, Timestamp> {
  const late = new Map<number, Timestamp>();
  for (const id of fresh) {
    const from = (kv.gc.thresholds.of(id) + 1 + marginMicros) as Timestamp;
    if ((toldSince(history, id) ?? MIN_TIMESTAMP) >= from) late.set(id, from);
  }
  return late;
}

/** One record for the tables that continue, one for each time from which new ones are told of (N2); without any, one of no table. */
function makeHolds(
  deps: BackupPlanningDeps,
  { continuing, fresh }: SplitTables,
  start: Timestamp,
  freshStart: Timestamp,
  late: ReadonlyMap<number, Timestamp>,
): Hold[] {
  const holds: Hold[] = [];
  const hold = (ts: Timestamp, tableIds: readonly number[]) => holds.push({ id: deps.kv.ids.uuid(), ts, tableIds });
  if (continuing.length > 0) hold(start, continuing);
  const startOf = (id: number) => Math.max(freshStart, late.get(id) ?? MIN_TIMESTAMP) as Timestamp;
  for (const ts of new Set(fresh.map(startOf))) {
    hold(
      ts,
      fresh.filter((id) => startOf(id) === ts),
    );
  }
  // Any record holds the schemas too, which a layer without rows also has.
  if (holds.length === 0) hold(start, []);
  return holds;
}

/** Ids of the tables whose keys are in sorted spans, ascending. Spans may touch and be merged across tables. */
function tableIdsOf(spans: readonly Span[]): number[] {
  return [...new Set(spans.flatMap((span) => tableOfKey(span.key) ?? []))];
}

/** The job's record and its protections (N1). May run again after a 40001. */
async function writeJob(deps: BackupPlanningDeps, request: BackupRequest, plan: BackupPlan, txn: Txn): Promise<void> {
  const { jobId, details, holds } = plan;
  for (const { id, ts, tableIds } of holds) {
    // The commit checks this again, with the catalog's own tables; here the user's are the ones to name.
    for (const tableId of tableIds) deps.kv.gc.thresholds.check(tableId, ts);
    await deps.protections.protect(txn, { id, ts, metaType: 'jobs', meta: String(jobId), target: { kind: 'objects', ids: tableIds } });
  }
  await deps.jobs.create(txn, {
    id: jobId,
    type: BACKUP_JOB_TYPE,
    description: describe(request, details),
    user: request.user,
    ...(request.schedule && { createdBy: { type: CREATED_BY_SCHEDULE, id: request.schedule.id } }),
    details: detailsToJson(details),
  });
}

/** The statement with directory and end time filled in, and secrets taken out. */
function describe(request: BackupRequest, details: BackupDetails): string {
  const full = details.kind === 'full' ? details.directory : details.directory.split('/').slice(1, 4).join('/');
  const { location, executionLocality, endTime } = details;
  const options = [
    ...(details.revisionHistory ? ['revision_history = true'] : []),
    ...(request.detached ? ['detached'] : []),
    ...(location.incrementalUris.length > 0 ? [`incremental_location = ${urisText(location.incrementalUris)}`] : []),
    ...(executionLocality === '' ? [] : [`execution locality = ${quoteLiteral(executionLocality)}`]),
    ...(details.strictLocality ? ['strict storage locality'] : []),
    ...secretsText(location.secrets),
    ...(details.updatesMetrics ? ['updates_cluster_monitoring_metrics'] : []),
  ];
  const suffix = options.length > 0 ? ` WITH OPTIONS (${options.join(', ')})` : '';
  const place = urisText(location.uris);
  const asOf = ` AS OF SYSTEM TIME '${formatDecimal(endTime)}'`;
  if (location.places !== undefined) return `BACKUP ${targetsText(details)}TO ${place}${asOf}${listedText(details)}${suffix}`;
  return `BACKUP ${targetsText(details)}INTO ${quoteLiteral(`/${full}`)} IN ${place}${asOf}${suffix}`;
}

/** ` INCREMENTAL FROM 'u', 'v'`, unless the layer is a full, or appended to one. */
function listedText({ location, directory }: BackupDetails): string {
  const before = listedPlaces(location).filter((place) => place.directory !== directory);
  return before.length === 0 || !isListed(location) ? '' : ` INCREMENTAL FROM ${before.map(({ uris }) => urisText(uris)).join(', ')}`;
}

/** The targets and a space, or nothing for a cluster. */
function targetsText({ scope, targets }: BackupDetails): string {
  if (scope === 'cluster') return '';
  if (scope === 'tables') return `TABLE ${targets.join(', ')} `;
  return `DATABASE ${targets.map((name) => name.replace(/^DATABASE /, '')).join(', ')} `;
}

/** The 72000 of a start that cannot be protected any more, in the words of a backup. */
function protectionError(error: HistoryGoneError): StatementError {
  const { tableId, timestamp, threshold } = error;
  return new StatementError(
    SqlState.SnapshotTooOld,
    `protected ts verification error: range span: /Table/${tableId}: batch timestamp ${formatForError(timestamp)} must be after replica GC threshold ${formatForError(threshold)}`,
    {
      detail: error.detail,
      hint: 'take a full backup; for later ones raise gc.ttlseconds, back up more often, or hold the time with varve_internal.protect_timestamp(target, timestamp)',
      cause: error,
    },
  );
}
