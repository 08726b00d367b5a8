/**
 * Publish: a restore's descriptors written OFFLINE at its begin, made PUBLIC at its end, or removed.
 *
 *   offline   writeOffline: rows and names are there, so nobody else can take a name; nothing can be used
 *   public    publish: all of it in one transaction, which is also the one that ends the job
 *   removed   removeOffline, then the data
 *
 *   P1  each step may run again after a crash and then changes nothing
 *   P2  removal touches only rows and names of this restore's own ids, which nobody else ever had,
 *       but for the databases that every new cluster begins with: a restore of a cluster puts its
 *       own in their place, under their ids even, and when it fails they come back as they were
 */
import { StateError, StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Catalog, CatalogDependencies, CatalogSnapshot } from '../catalog/catalog.ts';
import type { Descriptor } from '../catalog/descriptor.ts';
import { describeKind, namePlace, PUBLIC_SCHEMA_ID, updated } from '../catalog/descriptor.ts';
import { nameKey } from '../catalog/snapshot.ts';
import { writeRegionZones, writeTableZones } from '../catalog/regionZones.ts';
import { systemTable } from '../catalog/systemRows.ts';
import { ZoneSet } from '../catalog/zones.ts';
import type { Kv, Txn } from '../kv/kv.ts';

import { requireEmptyCluster } from './emptyCluster.ts';
import { refuse, type Report } from './problems.ts';
import { keepPasts } from './restoredHistory.ts';
import type { RestoreDetails, SystemRestore } from './restoreDetails.ts';

/**
 * Reports 42P04, 42P07, 42P06 or 42710 when a name is taken by another id, or wanted twice; 3D000 or 3F000 when a
 * parent is not there. Ids below 0 stand for what a plan alone knows.
 */
export function checkNames(snapshot: CatalogSnapshot, descriptors: readonly Descriptor[], report: Report = refuse): void {
  const created = new Set(descriptors.map(({ id }) => id));
  const wanted = new Set<string>();
  for (const descriptor of descriptors) {
    const place = namePlace(descriptor);
    const { parentId, name } = place;
    const schemaId = 'schemaId' in descriptor ? descriptor.schemaId : 0;
    const taken = snapshot.lookup(parentId, place.schemaId, name);
    if (taken !== undefined && taken !== descriptor.id) report(nameTaken(snapshot, descriptor));
    const key = nameKey(parentId, place.schemaId, name);
    if (wanted.has(key)) report(nameWantedTwice(descriptor));
    wanted.add(key);
    if (parentId > 0 && !created.has(parentId) && snapshot.databaseById(parentId)?.state !== 'PUBLIC') {
      report(new StatementError(SqlState.InvalidCatalogName, `the database that "${name}" is restored into has been dropped`));
    }
    if (schemaId > 0 && schemaId !== PUBLIC_SCHEMA_ID && !created.has(schemaId) && snapshot.byId(schemaId)?.state !== 'PUBLIC') {
      report(new StatementError(SqlState.InvalidSchemaName, `the schema that "${name}" is restored into has been dropped`));
    }
  }
}

function nameWantedTwice(descriptor: Descriptor): StatementError {
  const code = {
    database: SqlState.DuplicateDatabase,
    schema: SqlState.DuplicateSchema,
    type: SqlState.DuplicateObject,
    table: SqlState.DuplicateRelation,
    function: SqlState.DuplicateFunction,
  };
  return new StatementError(code[descriptor.kind], `the restore would make two objects "${descriptor.name}" in one place`, {
    hint: 'give one of them another name: WITH rename',
  });
}

function nameTaken(snapshot: CatalogSnapshot, descriptor: Descriptor): StatementError {
  const { name } = descriptor;
  if (descriptor.kind === 'database') {
    return new StatementError(SqlState.DuplicateDatabase, `database "${name}" already exists`, {
      hint: 'restore it under another name WITH new_db_name, or drop or rename the one that is there',
    });
  }
  if (descriptor.kind === 'schema') return new StatementError(SqlState.DuplicateSchema, `schema "${name}" already exists`);
  const place = snapshot.databaseById(descriptor.parentId)?.name ?? `[${descriptor.parentId}]`;
  const [code, what] = descriptor.kind === 'type' ? [SqlState.DuplicateObject, 'type'] : [SqlState.DuplicateRelation, 'relation'];
  return new StatementError(code, `${what} "${name}" already exists`, {
    detail: `in database "${place}", where this ${describeKind(descriptor)} would be restored`,
    hint: 'a restore never goes over existing data: drop or rename what is there, or restore WITH into_db or rename',
  });
}

/** Writes descriptors and names, after a check that the names are free, or for a cluster that nothing else is there. */
export async function writeOffline(catalog: Catalog, txn: Txn, details: RestoreDetails): Promise<void> {
  const { descriptors } = details;
  if (details.system?.kind === 'cluster') await giveWay(catalog, txn, details, details.system);
  const snapshot = await lockedSnapshot(catalog, txn, descriptors);
  checkNames(snapshot, descriptors);
  const isFirst = descriptors.every(({ id }) => snapshot.byId(id) === undefined);
  const tables = descriptors.filter((one) => one.kind === 'table');
  if (isFirst && details.pastStarts) await keepPasts(txn, snapshot, tables, details.pastStarts);
  for (const descriptor of descriptors) {
    // A coordinator before this one came that far (P1).
    if (snapshot.byId(descriptor.id) === undefined) writeNamed(catalog, txn, descriptor);
  }
  catalog.noteReads(txn, snapshot.dependencies);
}

function writeNamed(catalog: Catalog, txn: Txn, descriptor: Descriptor): void {
  const { parentId, schemaId, name } = namePlace(descriptor);
  catalog.writeDescriptor(txn, descriptor);
  catalog.writeName(txn, parentId, schemaId, name, descriptor.id);
  if (descriptor.kind === 'database') catalog.writeName(txn, descriptor.id, 0, 'public', PUBLIC_SCHEMA_ID);
}

/** Removes a descriptor with its names, as far as they are there. */
function removeNamed(catalog: Catalog, txn: Txn, snapshot: CatalogSnapshot, descriptor: Descriptor): void {
  const { parentId, schemaId, name } = namePlace(descriptor);
  if (snapshot.lookup(parentId, schemaId, name) === descriptor.id) catalog.deleteName(txn, parentId, schemaId, name);
  if (descriptor.kind === 'database' && snapshot.lookup(descriptor.id, 0, 'public') !== undefined) {
    catalog.deleteName(txn, descriptor.id, 0, 'public');
  }
  if (snapshot.byId(descriptor.id) !== undefined) catalog.deleteDescriptor(txn, descriptor.id);
}

/** Throws 55000 when the cluster is not empty (any more). Removes the databases that it began with. */
async function giveWay(catalog: Catalog, txn: Txn, { descriptors }: RestoreDetails, { replaced }: SystemRestore): Promise<void> {
  await lockedSnapshot(catalog, txn, [...descriptors, ...replaced]);
  const snapshot = await catalog.snapshot(txn);
  catalog.noteAllReads(txn);
  for (const present of requireEmptyCluster(snapshot, new Set(descriptors.map(({ id }) => id)))) {
    const planned = replaced.find(({ id }) => id === present.id);
    if (planned?.version !== present.version) {
      throw new StateError(
        SqlState.ObjectNotInPrerequisiteState,
        `database "${present.name}" has changed since the restore of the cluster was planned`,
        { hint: 'restore once more' },
      );
    }
    removeNamed(catalog, txn, snapshot, present);
  }
}

/**
 * Makes everything PUBLIC. Reads of the new tables below the commit, or the past that came with them, are refused
 * from then on: what they held then is not here. 3D000 or 3F000 when what the tables go into is gone.
 */
export async function publish(kv: Kv, catalog: Catalog, txn: Txn, details: RestoreDetails): Promise<void> {
  const { descriptors } = details;
  const snapshot = await lockedSnapshot(catalog, txn, [...descriptors, ...usedTypes(await catalog.snapshot(txn), details)]);
  checkNames(snapshot, descriptors);
  for (const { id } of descriptors) {
    const offline = snapshot.byId(id);
    if (offline?.state !== 'OFFLINE') {
      throw new StateError(
        SqlState.ObjectNotInPrerequisiteState,
        `descriptor ${id} of the restore is ${offline?.state ?? 'gone'}, not OFFLINE`,
      );
    }
    catalog.writeDescriptor(txn, updated(offline, { state: 'PUBLIC', offlineReason: undefined }));
  }
  for (const { typeId, tableIds } of details.typeUses) {
    const type = snapshot.typeById(typeId);
    if (type?.state !== 'PUBLIC') {
      throw new StateError(SqlState.ObjectNotInPrerequisiteState, `type ${typeId}, which restored tables use, has been dropped`);
    }
    const referencedByIds = [...new Set([...type.referencedByIds, ...tableIds])].sort((a, b) => a - b);
    catalog.writeDescriptor(txn, updated(type, { referencedByIds }));
  }
  catalog.noteReads(txn, snapshot.dependencies);
  await writeZones(txn, await catalog.snapshot(txn), details);
  txn.beforeCommit((commitTimestamp) => {
    const pastStarts = new Map(details.pastStarts);
    for (const [, newId] of details.tableIds) {
      kv.gc.thresholds.raise(newId, ((pastStarts.get(newId) ?? commitTimestamp) - 1) as typeof commitTimestamp);
    }
  });
}

/** The zones that regions decide: of restored databases, and of tables that came into one. A cluster's zones came with it, but for new regions. */
async function writeZones(txn: Txn, snapshot: CatalogSnapshot, { descriptors, system }: RestoreDetails): Promise<void> {
  const databases = descriptors.map(({ id }) => snapshot.databaseById(id)).filter((one) => one?.regions !== undefined);
  const zones = databases.length > 0 && system?.kind === 'cluster' ? await ZoneSet.read(txn, snapshot) : undefined;
  for (const database of databases) {
    if (database && zones?.own({ kind: 'database', id: database.id })?.leasePreferences === undefined) {
      await writeRegionZones(txn, snapshot, database);
    }
  }
  const created = new Set(descriptors.map(({ id }) => id));
  const tables = descriptors.map(({ id }) => snapshot.tableById(id)).filter((table) => table !== undefined);
  const moved = tables.filter(({ parentId }) => !created.has(parentId) && snapshot.databaseById(parentId)?.regions);
  for (const parentId of new Set(moved.map((table) => table.parentId))) {
    await writeTableZones(txn, snapshot, moved.filter((table) => table.parentId === parentId)); // biome-ignore format: one line
  }
}

/** Removes what writeOffline wrote, as far as it is there, and puts back what gave way to it. */
export async function removeOffline(catalog: Catalog, txn: Txn, details: RestoreDetails): Promise<void> {
  const { descriptors, system } = details;
  const replaced = system?.replaced ?? [];
  const snapshot = await lockedSnapshot(catalog, txn, [...descriptors, ...replaced]);
  const isReplaced = (id: number) => replaced.some((one) => one.id === id);
  for (const descriptor of descriptors) {
    // What is not OFFLINE under such an id is the database that has not given way yet (P2).
    const isOther = isReplaced(descriptor.id) && snapshot.byId(descriptor.id)?.state !== 'OFFLINE';
    if (!isOther) removeNamed(catalog, txn, snapshot, descriptor);
  }
  for (const [id] of details.pastStarts ?? []) await systemTable('zones').delete(txn, id);
  catalog.noteReads(txn, snapshot.dependencies);
  const left = (await catalog.snapshot(txn)).tracked();
  for (const descriptor of replaced) {
    if (left.byId(descriptor.id) === undefined && left.lookup(0, 0, descriptor.name) === undefined) writeNamed(catalog, txn, descriptor);
  }
  catalog.noteReads(txn, left.dependencies);
}

/** Drops the data of every table that removeOffline removed. */
export function clearData(kv: Kv, details: RestoreDetails): void {
  for (const [, newId] of details.tableIds) kv.clearTable(newId);
}

function usedTypes(snapshot: CatalogSnapshot, details: RestoreDetails): Descriptor[] {
  return details.typeUses.flatMap(({ typeId }) => snapshot.typeById(typeId) ?? []);
}

async function lockedSnapshot(
  catalog: Catalog,
  txn: Txn,
  descriptors: readonly Descriptor[],
): Promise<CatalogSnapshot & { readonly dependencies: CatalogDependencies }> {
  await catalog.lock(
    txn,
    descriptors.map(({ id }) => id),
    descriptors.map(namePlace),
  );
  return (await catalog.snapshot(txn)).tracked();
}
