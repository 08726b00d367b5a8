/**
 * Backup targets: the names in a BACKUP statement to descriptors, in the catalog as of the end time.
 *
 * A database brings everything in it, and so does `d.*` where d is no schema of the current database. A table brings itself, the database and schema it lies in,
 * and the user types of its columns, but nothing else that it refers to. Tables that are OFFLINE
 * are refused where they are named. Of databases and wildcards those that are being imported into are
 * part, for what they held before; those that are being restored, and dropped ones, are left out. Without targets the backup is of the cluster: every database whole,
 * and of the system database those tables that a new cluster needs (systemTables.ts says which).
 */
import { isVarveError, StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { formatUtc } from '../base/timestamp.ts';
import type { NameContext, ResolvedSchema } from '../catalog/catalog.ts';
import type { DatabaseDescriptor, Descriptor, TableDescriptor } from '../catalog/descriptor.ts';
import { SYSTEM_DATABASE_ID } from '../catalog/descriptor.ts';
import { quoteName, quoteNames } from '../catalog/names.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { clusterBackupTables, systemTables } from '../catalog/systemTables.ts';
import type { BackupTargets as TargetsAst } from '../sql/parse/ast.ts';
import type { TablePattern } from '../sql/parse/ast.ts';

import { isBackedUp } from './backupCatalog.ts';
import type { BackupScope } from './manifest.ts';

export interface ResolvedTargets {
  readonly scope: BackupScope;
  /** As the manifest and the job's description name them. */
  readonly names: readonly string[];
  /** What was asked for: databases, or tables; empty for a cluster. Ascending by id. */
  readonly requested: readonly (DatabaseDescriptor | TableDescriptor)[];
  readonly completeDatabaseIds: readonly number[];
  /** Everything whose descriptor is backed up, ascending by id. */
  readonly descriptors: readonly Descriptor[];
}

/** Throws 3D000, 3F000, 42P01 for unknown names, 55000 for an offline table, 0A000 for targets that are not supported. */
export function resolveTargets(snapshot: CatalogSnapshot, targets: TargetsAst, context: NameContext): ResolvedTargets {
  if (targets.type === 'cluster') return resolveWholeCluster(snapshot);
  try {
    return resolveNamed(snapshot, targets, context);
  } catch (error) {
    if (!isVarveError(error)) throw error;
    throw new StatementError(error.code, `failed to resolve targets specified in the BACKUP stmt: ${error.message}`, error);
  }
}

function resolveNamed(snapshot: CatalogSnapshot, targets: Exclude<TargetsAst, { type: 'cluster' }>, context: NameContext): ResolvedTargets {
  switch (targets.type) {
    case 'databases':
      return resolveDatabases(
        snapshot,
        targets.names.map((name) => name.text),
      );
    case 'tables': {
      const databases = targets.patterns.map((pattern) => wholeDatabase(snapshot, pattern, context));
      const isAllWhole = databases.length > 0 && databases.every((database) => database !== undefined);
      return isAllWhole
        ? resolveDatabases(
            snapshot,
            databases.map(({ name }) => name),
          )
        : resolveTables(snapshot, targets.patterns, context);
    }
    case 'systemUsers':
      throw new StatementError(SqlState.FeatureNotSupported, 'BACKUP SYSTEM USERS is not supported', {
        hint: 'BACKUP TABLE system.users INTO ...',
      });
  }
}

/**
 * With the table of users, which every backup had at the time of BACKUP ... TO: RESTORE SYSTEM USERS, or
 * RESTORE of that table into another database, brings them back.
 */
export function withUsers(targets: ResolvedTargets, snapshot: CatalogSnapshot): ResolvedTargets {
  const known = new Set(targets.descriptors.map(({ id }) => id));
  const added = [SYSTEM_DATABASE_ID, systemTables.users.desc.id].filter((id) => !known.has(id)).flatMap((id) => snapshot.byId(id) ?? []);
  return { ...targets, descriptors: [...targets.descriptors, ...added].sort(byId) };
}

/** How manifests and messages name the target of a cluster backup, which no statement names. */
export const CLUSTER_TARGET = 'the whole cluster';

function resolveWholeCluster(snapshot: CatalogSnapshot): ResolvedTargets {
  const databases = snapshot.allDatabases().filter(({ id }) => id !== SYSTEM_DATABASE_ID);
  if (snapshot.databaseById(SYSTEM_DATABASE_ID) === undefined) {
    throw new StatementError(SqlState.InvalidParameterValue, 'no descriptors available to backup at selected time', {
      detail: `the cluster did not exist yet at ${formatUtc(snapshot.timestamp)}`,
    });
  }
  const system = [SYSTEM_DATABASE_ID, ...clusterBackupTables.map(({ id }) => id)].flatMap((id) => snapshot.byId(id) ?? []);
  return {
    scope: 'cluster',
    names: [CLUSTER_TARGET],
    requested: [],
    completeDatabaseIds: databases.map(({ id }) => id).sort((a, b) => a - b),
    descriptors: [...system, ...databases.flatMap((database) => everythingIn(snapshot, database))].sort(byId),
  };
}

/** A database and all in it. */
function everythingIn(snapshot: CatalogSnapshot, database: DatabaseDescriptor): Descriptor[] {
  const schemas = snapshot.schemasOf(database).flatMap(({ descriptor }) => descriptor ?? []);
  const types = snapshot.typesOf(database.id);
  return [database, ...schemas, ...tablesIn(snapshot, database), ...types, ...snapshot.functionsOf(database.id)];
}

/** Tables, views and sequences of a database, or of one schema, that backups hold. */
function tablesIn(snapshot: CatalogSnapshot, { id }: DatabaseDescriptor, place: { readonly schemaId?: number } = {}): TableDescriptor[] {
  return snapshot.tablesOf(id, { ...place, anyState: true }).filter(isBackedUp);
}

function resolveDatabases(snapshot: CatalogSnapshot, names: readonly string[]): ResolvedTargets {
  const databases = [...new Map(names.map((name) => [name, snapshot.requireDatabase(name)])).values()].sort(byId);
  return {
    scope: 'databases',
    names: databases.map((database) => `DATABASE ${quoteName(database.name)}`),
    requested: databases,
    completeDatabaseIds: databases.map((database) => database.id),
    descriptors: databases.flatMap((database) => everythingIn(snapshot, database)).sort(byId),
  };
}

function resolveTables(snapshot: CatalogSnapshot, patterns: readonly TablePattern[], context: NameContext): ResolvedTargets {
  const tables = new Map<number, TableDescriptor>();
  for (const pattern of patterns) {
    const parts = pattern.parts.map((name) => name.text);
    const found = pattern.star ? tablesMatching(snapshot, parts, context) : [requireTable(snapshot, parts, context)];
    for (const table of found) tables.set(table.id, table);
  }
  const requested = [...tables.values()].sort(byId);
  const descriptors = new Map<number, Descriptor>();
  const add = (descriptor: Descriptor | undefined) => {
    if (descriptor) descriptors.set(descriptor.id, descriptor);
  };
  for (const table of requested) {
    add(table);
    add(snapshot.databaseById(table.parentId));
    add(snapshot.byId(table.schemaId));
    for (const type of snapshot.typesOf(table.parentId)) if (type.referencedByIds.includes(table.id)) add(type);
  }
  return {
    scope: 'tables',
    names: requested.map((table) => quoteNames(snapshot.fullName(table))),
    requested,
    completeDatabaseIds: [],
    descriptors: [...descriptors.values()].sort(byId),
  };
}

/** Temporary tables are no part of a backup. 42P01, 55000. */
function requireTable(snapshot: CatalogSnapshot, parts: readonly string[], context: NameContext): TableDescriptor {
  const found = snapshot.resolveTable(parts, context, { includeOffline: true })?.descriptor;
  if (found === undefined || found.temporary) {
    throw new StatementError(SqlState.UndefinedTable, `table "${parts.join('.')}" does not exist`);
  }
  return snapshot.requireTable(parts, context).descriptor;
}

/** The database that `x.*` means when the current one has no schema x: all of it, and not its tables alone. */
function wholeDatabase(snapshot: CatalogSnapshot, { parts, star }: TablePattern, context: NameContext): DatabaseDescriptor | undefined {
  const [first, ...others] = parts;
  if (!star || first === undefined || others.length > 0) return undefined;
  const current = context.currentDatabase === '' ? undefined : snapshot.database(context.currentDatabase);
  return current && snapshot.schema(current, first.text) ? undefined : snapshot.database(first.text);
}

/** `*`, `x.*`: schema x of the current database first, else database x; `db.schema.*`. 42P01 when nothing matches. */
function tablesMatching(snapshot: CatalogSnapshot, parts: readonly string[], context: NameContext): TableDescriptor[] {
  const found = schemasMatching(snapshot, parts, context).flatMap(({ database, id }) => tablesIn(snapshot, database, { schemaId: id }));
  if (found.length === 0) {
    throw new StatementError(SqlState.UndefinedTable, `no tables match ${[...parts.map(quoteName), '*'].join('.')}`);
  }
  return found;
}

function schemasMatching(snapshot: CatalogSnapshot, parts: readonly string[], context: NameContext): ResolvedSchema[] {
  const [first, second] = parts;
  const current = context.currentDatabase === '' ? undefined : snapshot.database(context.currentDatabase);
  if (first === undefined) {
    const database = current ?? snapshot.requireDatabase(context.currentDatabase);
    return context.searchPath.flatMap((name) => snapshot.schema(database, name) ?? []);
  }
  if (second !== undefined) return [snapshot.requireSchema(snapshot.requireDatabase(first), second)];
  const schema = current && snapshot.schema(current, first);
  return schema ? [schema] : snapshot.schemasOf(snapshot.requireDatabase(first));
}

function byId(a: Descriptor, b: Descriptor): number {
  return a.id - b.id;
}
