/**
 * Restore planning: what a RESTORE statement asks for, to the details of a job. Runs once; what it
 * decides never changes. Reads the collection and the catalog, writes the job's record only.
 *
 *   N1  the layers that reach the requested time are chosen, and proved to hold every version of
 *       every span that is restored, before anything is written
 *   N2  new ids are drawn last: a restore that cannot go has used none
 *   N3  names are checked here, so that the statement fails at once, and again under locks when the
 *       job writes them (publish.ts)
 */
import { isVarveError, StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { formatDecimal, formatUtc } from '../base/timestamp.ts';
import { CLUSTER_VERSION } from '../base/version.ts';
import type { AttachedDatabases } from '../catalog/attached.ts';
import type { Catalog, NameContext } from '../catalog/catalog.ts';
import type { DatabaseDescriptor, Descriptor, TableDescriptor, TypeDescriptor } from '../catalog/descriptor.ts';
import { DEFAULTDB_ID, POSTGRES_ID, PUBLIC_SCHEMA_ID, SYSTEM_DATABASE_ID } from '../catalog/descriptor.ts';
import { typeIdsUsed } from '../catalog/enumType.ts';
import { quoteLiteral, quoteName } from '../catalog/names.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { systemTable } from '../catalog/systemRows.ts';
import { listUsers } from '../catalog/users.ts';
import type { JobRegistry } from '../jobs/registry.ts';
import type { Kv, Txn } from '../kv/kv.ts';
import type { EngineServices } from '../sql/exec/statement.ts';
import type { BackupTargets } from '../sql/parse/ast.ts';
import type { StorageFactory } from '../storage/externalStorage.ts';

import { backupSnapshot, importStarts } from '../backup/backupCatalog.ts';
import { type BackupToken, checkNewest, chooseNamed, loadNamed, type NamedBackup, resolveToken } from '../backup/backupToken.ts';
import { type ChosenLayers, passedOverNotice } from '../backup/chain.ts';
import type { CollectionStorage } from '../backup/collectionStorage.ts';
import { namingPlaces, openCollection } from '../backup/collectionStorage.ts';
import { proveCoverage, requireSpan } from '../backup/coverage.ts';
import { secretsText } from '../backup/encryptionOptions.ts';
import { chainSecretsForJob } from '../backup/keyring.ts';
import { listedPlaces } from '../backup/listedLayers.ts';
import { requireParts } from '../backup/localityPart.ts';
import type { LocationDetails } from '../backup/locationDetails.ts';
import { urisText } from '../backup/locationDetails.ts';
import type { Layer } from '../backup/manifest.ts';
import { readBackupStatistics } from '../backup/statisticsFile.ts';

import { requireEmptyCluster } from './emptyCluster.ts';
import { type IdMap, rewriteDescriptors, type RewriteOptions, type SkipOptions } from './idRewrites.ts';
import type { PlannedLayers } from './plannedLayers.ts';
import { refuse, type Report } from './problems.ts';
import { checkNames } from './publish.ts';
import { newNames, renamed, type RenameRequest, resolveRenames } from './renames.ts';
import { checkVersions } from './restorableVersion.ts';
import { detailsToJson, RESTORE_JOB_TYPE, type RestoreDetails, type TypeUse } from './restoreDetails.ts';
import { pastStarts, withPasts } from './restoredHistory.ts';
import { restoredSpans, type RestoredTable } from './restoredSpans.ts';
import {
  checkRestoreInto,
  ownedBy,
  PRIVILEGES_AS_BACKED_UP,
  type RestoredPrivileges,
  type RestoreGrantees,
  withGrantsTo,
} from './restorePrivileges.ts';
import { checkHome, regionTypeMismatch, withRegionsHere } from './restoreRegions.ts';
import { resolveRestoreTargets, type RestoreTargets } from './restoreTargets.ts';
import { rowSpan } from './systemTableRows.ts';
import { compileCondition, filteredTargets, type RowCondition } from './rowFilter.ts';
import { withoutLostViews } from './viewRefs.ts';

export interface RestorePlanningDeps {
  readonly kv: Kv;
  readonly catalog: Catalog;
  readonly engine: Pick<EngineServices, 'functions'>;
  readonly jobs: JobRegistry;
  readonly storage: StorageFactory;
  readonly planned: PlannedLayers;
}

/** A RESTORE statement with its expressions evaluated. */
export interface RestoreRequest extends RestoreGrantees {
  readonly targets: BackupTargets;
  /** The targets as SQL and a space, for the job's description; empty for a cluster. */
  readonly targetsText: string;
  readonly backup: BackupToken;
  /** The session's use_backups_with_ids. */
  readonly useIds: boolean;
  readonly location: LocationDetails;
  /** AS OF SYSTEM TIME. */
  readonly asOf: Timestamp | undefined;
  readonly intoDb: string | undefined;
  readonly renames: readonly RenameRequest[];
  /** The condition that rows must meet. */
  readonly where: string | undefined;
  readonly newDbName: string | undefined;
  readonly skip: SkipOptions;
  /** The tables' past inside the chain's history comes, too. */
  readonly revisionHistory: boolean;
  readonly schemaOnly: boolean;
  readonly skipsLocalities: boolean;
  readonly removesRegions: boolean;
  /** sql.defaults.primary_region; empty for none. */
  readonly defaultRegion: string;
  /** With schemaOnly: the data is read and proved all the same. */
  readonly verifyData: boolean;
  /** Versions that do not go together are not refused. */
  readonly ignoresVersion: boolean;
  /** EXPERIMENTAL COPY: what it does not take is refused, and the rest restored as ever. */
  readonly isOnlineCopy: boolean;
  /** The job pauses itself where it would fail. */
  readonly pausesOnError: boolean;
  readonly executionLocality: string;
  /** Users of the backup that are here, too, get what it granted them. */
  readonly grants: boolean;
  /** The options as SQL, for the job's description. */
  readonly optionTexts: readonly string[];
  readonly user: string;
  readonly names: NameContext;
  /** Tells the user something. */
  readonly notice: (message: string, more?: { readonly hint?: string }) => void;
  readonly signal?: AbortSignal;
}

/**
 * Plans a restore and writes its job through `commit`, which runs the function in a transaction: the
 * statement's own one (detached, in an explicit transaction), or one that commits at once. Returns
 * the job's id. 58P01, XX001 for what is wrong with the backup, 22023 for a time that it does not
 * hold, and what restoreTargets.ts, idRewrites.ts and publish.ts throw.
 */
export async function planRestore(
  deps: RestorePlanningDeps,
  request: RestoreRequest,
  commit: (write: (txn: Txn) => Promise<void>) => Promise<void>,
): Promise<number> {
  const storage = openCollection(deps.storage, request.location, { user: request.user, nodeId: deps.kv.cluster.anyLiveNode().id });
  try {
    const { details, name, layers } = await namingPlaces(storage, () => makeDetails(deps, request, storage));
    const jobId = deps.jobs.newJobId();
    const description = describe(request, name);
    deps.planned.keep(jobId, layers);
    await commit(async (txn) => {
      await deps.jobs.create(txn, { id: jobId, type: RESTORE_JOB_TYPE, description, user: request.user, details: detailsToJson(details) });
    });
    return jobId;
  } finally {
    await storage.close();
  }
}

async function makeDetails(
  deps: RestorePlanningDeps,
  request: RestoreRequest,
  storage: CollectionStorage,
): Promise<{ details: RestoreDetails; name: string; layers: readonly Layer[] }> {
  const { kv, catalog } = deps;
  const plan = await planObjects(deps, request, storage, refuse);
  const { source, layers, time, targets, place, options, replaced, isCluster, tables } = plan;
  const last = layers.at(-1) as Layer;
  const created = isCluster ? await keepIds(catalog, place.created) : await drawIds(catalog, place.created);
  const ids: IdMap = { created, existing: place.existing };
  const pastStartsHere = [...plan.pastStarts].map(([oldId, from]) => [created.get(oldId) as number, from] as const);
  const importStartsHere = [...importStarts(targets.tables)].map(([oldId, start]) => [created.get(oldId) as number, start] as const);
  if (request.revisionHistory) tellPasts(plan, request);
  return {
    name: source.id ?? `/${source.full}`,
    layers,
    details: {
      location: await locationForJob(deps, request, storage, (layers[0] as Layer).directory),
      user: request.user,
      layers: layers.map(({ directory, manifestSha256 }) => ({ directory, manifestSha256 })),
      time,
      ingestTime: kv.hlc.now(),
      descriptors: withPasts(rewriteDescriptors(targets, ids, options), pastStartsHere, time),
      ...(pastStartsHere.length > 0 && { pastStarts: pastStartsHere }),
      ...(importStartsHere.length > 0 && { importStarts: importStartsHere }),
      tableIds: tables.map((oldId) => [oldId, created.get(oldId) as number] as const),
      typeUses: typeUsesOf(targets, ids),
      schemaOnly: request.schemaOnly,
      ...(plan.where && { where: plan.where }),
      hasStatistics: !request.schemaOnly && plan.where === undefined && (await hasStatistics(storage, last, request)),
      verifyData: request.verifyData,
      ...(request.pausesOnError && { pausesOnError: true }),
      executionLocality: request.executionLocality,
      ...(targets.systemTables.length > 0 && {
        system: {
          kind: isCluster ? 'cluster' : 'users',
          tables: targets.systemTables,
          ids: [...created],
          replaced,
          zonesBefore: isCluster ? await systemTable('zones').scan(kv.at(kv.reading())) : [],
        },
      }),
    },
  };
}

/** What a restore would do, in the backup's ids: nothing is drawn or written yet. */
export interface ObjectPlan extends ChosenLayers {
  readonly source: NamedBackup;
  readonly backup: CatalogSnapshot;
  /** Under their new names. */
  readonly targets: RestoreTargets;
  readonly place: Place;
  readonly options: RewriteOptions;
  /** Everything that is created, under ids below 0. */
  readonly trial: readonly Descriptor[];
  /** Ids in the backup of tables, views and sequences. */
  readonly tables: readonly number[];
  /** Which rows of the one table come. */
  readonly where: RowCondition | undefined;
  /** Where the past of each table begins that comes with it, by id in the backup. */
  readonly pastStarts: ReadonlyMap<number, Timestamp>;
  readonly isCluster: boolean;
  /** Databases that give way. */
  readonly replaced: readonly DatabaseDescriptor[];
}

/** Plans as far as reading goes. Throws what makes any plan impossible, and reports what else stands in the way. */
export async function planObjects(
  deps: RestorePlanningDeps,
  request: RestoreRequest,
  storage: CollectionStorage,
  report: Report,
): Promise<ObjectPlan> {
  const { catalog } = deps;
  const { signal } = request;
  const source = await resolveToken(storage, request.backup, { useIds: request.useIds, signal });
  const chain = await loadNamed(storage, source, signal, (directory, why) => request.notice(passedOverNotice(directory, why)));
  await checkNewest(storage, chain, source, request.asOf, signal);
  const { layers, time } = chooseNamed(chain, source, request.asOf, { withPast: request.revisionHistory });
  const last = layers.at(-1) as Layer;
  const backup = backupSnapshot(last.manifest, time);
  const named = resolveRestoreTargets(backup, last.manifest, request.targets, request.names);
  checkVersions(layers, CLUSTER_VERSION, request.ignoresVersion);
  if (request.isOnlineCopy) checkOnlineCopy(layers);
  const whole = withoutLostViews(named, request.skip, backup, report);
  const kept = request.where === undefined ? whole : filteredTargets(whole, request.skip.foreignKeys, report);
  const renames = resolveRenames(request.renames, kept, backup);
  const targets = withRegionsHere(renamed(kept, renames, request.newDbName), backup, deps.kv, request, report);

  const here = await catalog.current();
  const isCluster = request.targets.type === 'cluster';
  const place = findPlace(here, targets, { request, backup, report, attached: catalog.attached });
  const advice = checkRestoreInto(place.databases, request);
  if (advice !== undefined) request.notice(advice);
  const options = {
    privileges: await privilegesFor(deps, here, place, request),
    skip: request.skip,
    names: newNames(kept, renames, databaseNames(here, kept, targets, place), backup),
    report,
    backup,
    typesHere: new Map([...place.existing].map(([oldId, id]) => [oldId, here.typeById(id)])),
  };
  const replaced = isCluster ? requireEmptyCluster(here, new Set(), report) : [];
  // Under any ids at first: what is wrong with references or names shows before ids are drawn (N2).
  const ownIds = new Map(place.created.map(({ id }) => [id, -id]));
  const tables = targets.tables.map((table) => table.id);
  const trial = rewriteDescriptors(targets, { created: ownIds, existing: place.existing }, options);
  if (!isCluster) checkNames(here, trial, report);
  const now = deps.kv.hlc.now();
  const pasts = request.revisionHistory ? pastStarts({ layers, time }, whole.tables, now) : NO_PASTS;
  const where = conditionOf(deps, request, kept, trial);
  if (!request.schemaOnly || request.verifyData || targets.systemTables.length > 0) {
    await reporting(report, () => requireParts(storage, layers, signal));
  }
  const proved = request.schemaOnly && !request.verifyData ? [] : trial;
  await reporting(report, async () => proveRestorable({ layers, time }, proved, tables, ownIds, targets.systemTables));

  return { source, layers, time, backup, targets, place, options, trial, tables, where, pastStarts: pasts, isCluster, replaced };
}

/** What the job needs of the statement's secrets. */
async function locationForJob(
  deps: RestorePlanningDeps,
  { location, user, signal }: RestoreRequest,
  storage: CollectionStorage,
  full: string,
): Promise<LocationDetails> {
  const { secrets, ...places } = location;
  if (secrets === undefined) return location;
  const access = { secrets, services: deps.storage.secrets, context: { user } };
  return { ...places, secrets: await chainSecretsForJob(access, storage, full, signal) };
}

/** Ids here for what a cluster restore creates: those of the backup, as far as they have never been handed out here. */
async function keepIds(catalog: Catalog, created: readonly Descriptor[]): Promise<Map<number, number>> {
  const last = created.reduce((highest, one) => Math.max(highest, one.id + idsOf(one) - 1), 0);
  const free = await catalog.takeIdsUpTo(last);
  // The databases that every new cluster begins with have ids of their own.
  const isKept = ({ id }: Descriptor) => id >= free || id === DEFAULTDB_ID || id === POSTGRES_ID;
  const kept = created.filter(isKept).map(({ id }) => [id, id] as const);
  const drawn = await drawIds(
    catalog,
    created.filter((one) => !isKept(one)),
  );
  return new Map([...kept, ...drawn]);
}

/** New ids, in the order of the old ones. */
async function drawIds(catalog: Catalog, created: readonly Descriptor[]): Promise<Map<number, number>> {
  const ids = new Map<number, number>();
  const count = created.reduce((sum, one) => sum + idsOf(one), 0);
  let next = count === 0 ? 0 : await catalog.allocateIds(count);
  for (const one of created) {
    ids.set(one.id, next);
    next += idsOf(one);
  }
  return ids;
}

/** A type takes two: the next one is its array's. */
function idsOf({ kind }: Descriptor): number {
  return kind === 'type' ? 2 : 1;
}

async function privilegesFor(
  deps: RestorePlanningDeps,
  here: CatalogSnapshot,
  place: Place,
  request: RestoreRequest,
): Promise<RestoredPrivileges> {
  if (request.targets.type === 'cluster') return PRIVILEGES_AS_BACKED_UP;
  const owned = ownedBy(request.user, (descriptor) => {
    const database = here.databaseById(place.existing.get(descriptor.parentId) ?? 0);
    if (!database) return undefined;
    const schemaId = 'schemaId' in descriptor ? place.existing.get(descriptor.schemaId) : undefined;
    const schema = schemaId === undefined ? undefined : here.byId(schemaId);
    const isInPublic = !('schemaId' in descriptor) || descriptor.schemaId === PUBLIC_SCHEMA_ID;
    return { database: database.defaultPrivileges, schema: schema?.kind === 'schema' ? schema : isInPublic ? undefined : {} };
  });
  if (!request.grants) return owned;
  const users = await listUsers(deps.kv.at(deps.kv.reading()));
  return withGrantsTo(new Set(users.map(({ username }) => username)), owned);
}

/** False, and a notice, when the layer's statistics cannot be read: nothing depends on them. */
async function hasStatistics(storage: CollectionStorage, layer: Layer, { notice, signal }: RestoreRequest): Promise<boolean> {
  try {
    return (await readBackupStatistics(storage, layer, signal)).length > 0;
  } catch (error) {
    const isLost = isVarveError(error) && (error.code === SqlState.UndefinedFile || error.code === SqlState.DataCorrupted);
    if (!isLost) throw error;
    notice(`the backup's statistics are not restored: ${error.message}${error.detail === undefined ? '' : ` (${error.detail})`}`);
    return false;
  }
}

const NO_PASTS: ReadonlyMap<number, Timestamp> = new Map();

/** From when on every table has its past, and what keeps it. */
function tellPasts({ pastStarts: starts, targets }: ObjectPlan, { notice }: RestoreRequest): void {
  if (starts.size > 0) {
    const latest = formatUtc(Math.max(...starts.values()) as Timestamp);
    notice(`every restored table can be read AS OF SYSTEM TIME from ${latest} on; its gc.ttlseconds is raised to keep that past`);
  }
  const imported = targets.tables.filter(({ importing }) => importing !== undefined).map(({ name }) => name);
  if (imported.length > 0) notice(`tables that were being imported into come without their past: ${imported.join(', ')}`);
}

/** The condition, after a look whether it can be evaluated. */
function conditionOf(
  { engine }: RestorePlanningDeps,
  { where: text }: RestoreRequest,
  { tables: [source] }: RestoreTargets,
  trial: readonly Descriptor[],
): RowCondition | undefined {
  const table = trial.find((one) => one.kind === 'table');
  if (text === undefined || source === undefined || table?.kind !== 'table') return undefined;
  const where = { text, tableName: source.name };
  compileCondition(table, where, engine.functions);
  return where;
}

/** Layers that CockroachDB's online restore takes. */
const ONLINE_LAYERS_MAX = 3;

/** 0A000 for a chain that CockroachDB restores online after a compaction only. */
function checkOnlineCopy(layers: readonly Layer[]): void {
  if (layers.length <= ONLINE_LAYERS_MAX) return;
  throw new StatementError(
    SqlState.FeatureNotSupported,
    `experimental online restore: too many incremental layers ${layers.length} (from backup) > ${ONLINE_LAYERS_MAX} (limit)`,
    { hint: 'leave EXPERIMENTAL COPY out: a plain restore takes any number of layers' },
  );
}

/** Reports what the work throws, if it is about the backup. */
async function reporting(report: Report, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isVarveError(error)) throw error;
    report(error);
  }
}

/** XX001 unless the layers hold the data of every restored index (N1). */
function proveRestorable(
  { layers, time }: ChosenLayers,
  trial: readonly Descriptor[],
  oldIds: readonly number[],
  ownIds: ReadonlyMap<number, number>,
  systemTables: readonly TableDescriptor[],
): void {
  const covered = proveCoverage(layers);
  const byId = new Map(trial.map((descriptor) => [descriptor.id, descriptor]));
  const tables = oldIds.flatMap((oldId): RestoredTable[] => {
    const table = byId.get(ownIds.get(oldId) as number);
    return table?.kind === 'table' ? [{ oldId, table }] : [];
  });
  const directory = layers.at(-1)?.directory ?? '';
  for (const span of [...systemTables.map(rowSpan), ...restoredSpans(tables)]) requireSpan(covered, span, time, directory);
}

/** What is created, and what of the target database stands for a part of the backup. */
export interface Place {
  /** Ascending by id. */
  readonly created: readonly Descriptor[];
  readonly existing: ReadonlyMap<number, number>;
  /** Where restored tables go; empty for a restore of databases. */
  readonly databases: readonly DatabaseDescriptor[];
}

function findPlace(
  here: CatalogSnapshot,
  targets: RestoreTargets,
  {
    request,
    backup,
    report,
    attached,
  }: {
    readonly request: RestoreRequest;
    readonly backup: CatalogSnapshot;
    readonly report: Report;
    readonly attached: AttachedDatabases;
  },
): Place {
  const { databases, schemas, types, functions, tables, parents } = targets;
  const existing = new Map<number, number>();
  const into = parents.map((parent) => {
    const database = targetDatabase(here, request.intoDb ?? parent.name, { isNamed: request.intoDb !== undefined, attached }, report);
    existing.set(parent.id, database?.id ?? -parent.id);
    return database;
  });
  const databaseOf = (oldId: number) => into[parents.findIndex(({ id }) => id === oldId)];
  for (const table of tables) {
    const database = databaseOf(table.parentId);
    if (database) checkHome(table, database, { here, backup, removesRegions: request.removesRegions }, report);
  }
  for (const schema of schemas) {
    const database = databaseOf(schema.parentId);
    const found = database && here.schema(database, schema.name);
    if (found) existing.set(schema.id, found.id);
  }
  for (const type of types) {
    const database = databaseOf(type.parentId);
    const users = tables.filter((table) => typeIdsUsed(table).includes(type.id)).map(({ name }) => name);
    const found = database && existingType(here, type, database, { existing, users, report });
    if (found) existing.set(type.id, found.id);
  }
  const created = [...databases, ...schemas, ...types, ...functions, ...tables]
    .filter(({ id }) => !existing.has(id))
    .sort((a, b) => a.id - b.id);
  return { created, existing, databases: [...new Set(into)].filter((database) => database !== undefined) };
}

/** Undefined after a report. */
function targetDatabase(
  here: CatalogSnapshot,
  name: string,
  { isNamed, attached }: { readonly isNamed: boolean; readonly attached: AttachedDatabases },
  report: Report,
): DatabaseDescriptor | undefined {
  const database = here.database(name);
  if (database?.id === SYSTEM_DATABASE_ID) {
    throw new StatementError(SqlState.InsufficientPrivilege, 'tables cannot be restored into the system database', {
      hint: 'restore them into another one: WITH into_db = ...',
    });
  }
  if (database !== undefined) return database;
  if (attached.get(name)) {
    report(
      new StatementError(SqlState.ReadOnlySqlTransaction, `database "${name}" is an attached backup, which is read-only`, {
        hint: 'restore into another database: WITH into_db = ...; DETACH BACKUP ends it',
      }),
    );
    return undefined;
  }
  report(
    new StatementError(SqlState.InvalidCatalogName, `a database named "${name}" needs to exist to restore tables into it`, {
      hint: isNamed
        ? `CREATE DATABASE ${quoteName(name)}`
        : `CREATE DATABASE ${quoteName(name)}, or name another database: WITH into_db = ...`,
    }),
  );
  return undefined;
}

/** The type of the same name in the target database. Reports 42710 when it is another. */
function existingType(
  here: CatalogSnapshot,
  type: TypeDescriptor,
  database: DatabaseDescriptor,
  {
    existing,
    users,
    report,
  }: { readonly existing: ReadonlyMap<number, number>; readonly users: readonly string[]; readonly report: Report },
): TypeDescriptor | undefined {
  const schemaId = type.schemaId === PUBLIC_SCHEMA_ID ? PUBLIC_SCHEMA_ID : existing.get(type.schemaId);
  const id = schemaId === undefined ? undefined : here.lookup(database.id, schemaId, type.name);
  const found = id === undefined ? undefined : here.typeById(id);
  if (found === undefined) return undefined;
  if (type.isRegions) {
    const mismatch = regionTypeMismatch(type, found);
    if (mismatch === undefined && found.state === 'PUBLIC') return found;
    report(
      new StatementError(
        SqlState.DuplicateObject,
        `table-level restore of "${users.join('", "')}" into database "${database.name}": "${type.name}" is not compatible with type "${found.name}" existing in cluster: ${mismatch ?? `it is ${found.state}`}`,
        { hint: 'the database must have the regions of the backed-up one, added in the same order' },
      ),
    );
    return found;
  }
  // Stored rows hold representations: they must mean the same labels here.
  const isSame = sameList(found.members, type.members) && sameList(found.physical, type.physical);
  if (isSame && found.state === 'PUBLIC') return found;
  report(
    new StatementError(
      SqlState.DuplicateObject,
      `type "${type.name}" in database "${database.name}" is not compatible with the one of the backup`,
      {
        detail: sameList(found.members, type.members)
          ? 'they have the same members, which were added in another order'
          : `members are ${found.members.join(', ')}; in the backup they are ${type.members.join(', ')}`,
        hint: 'drop or rename the type, or restore WITH into_db',
      },
    ),
  );
  return found;
}

const sameList = (a: readonly string[], b: readonly string[]): boolean => a.length === b.length && a.every((one, i) => one === b[i]);

/** What each database of the backup is called here. */
function databaseNames(here: CatalogSnapshot, before: RestoreTargets, targets: RestoreTargets, place: Place): Map<string, string> {
  const names = new Map(before.databases.map(({ name }, i) => [name, targets.databases[i]?.name ?? name]));
  for (const parent of targets.parents) {
    const database = here.databaseById(place.existing.get(parent.id) ?? 0);
    if (database) names.set(parent.name, database.name);
  }
  return names;
}

/** Types that are here already, and the new tables that come to use them. */
function typeUsesOf(targets: RestoreTargets, { created, existing }: IdMap): TypeUse[] {
  const uses = new Map<number, number[]>();
  for (const table of targets.tables) {
    for (const oldTypeId of typeIdsUsed(table)) {
      const typeId = existing.get(oldTypeId);
      if (typeId !== undefined) uses.set(typeId, [...(uses.get(typeId) ?? []), created.get(table.id) as number]);
    }
  }
  return [...uses].map(([typeId, tableIds]) => ({ typeId, tableIds }));
}

/** The statement with its directory or id filled in, and secrets taken out. */
function describe(request: RestoreRequest, name: string): string {
  const asOf = request.asOf === undefined ? '' : ` AS OF SYSTEM TIME '${formatDecimal(request.asOf)}'`;
  const { location, executionLocality, optionTexts } = request;
  const texts = [
    ...optionTexts,
    ...(location.incrementalUris.length > 0 ? [`incremental_location = ${urisText(location.incrementalUris)}`] : []),
    ...(executionLocality === '' ? [] : [`execution locality = ${quoteLiteral(executionLocality)}`]),
    ...secretsText(location.secrets),
  ];
  const options = texts.length > 0 ? ` WITH OPTIONS (${texts.join(', ')})` : '';
  const source =
    location.places === undefined
      ? `${quoteLiteral(name)} IN ${urisText(location.uris)}`
      : listedPlaces(location)
          .map(({ uris }) => urisText(uris))
          .join(', ');
  const where = request.where === undefined ? '' : ` WHERE ${request.where}`;
  return `RESTORE ${request.targetsText}FROM ${source}${asOf}${where}${options}`;
}
