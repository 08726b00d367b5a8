/**
 * Restore targets: the names in a RESTORE statement to descriptors of the backup, as of the requested time.
 *
 *   T1  a database comes whole, from a backup that holds it whole
 *   T2  a table comes alone: with its schema and the user types it uses, but nothing that it
 *       refers to. What it misses is said by idRewrites.ts
 *   T3  a cluster comes with every database but the system's own, of which rows of tables come
 *       (systemTableRestore.ts), and from a backup of a cluster only
 */
import { isVarveError, StatementError, withFields } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { formatUtc } from '../base/timestamp.ts';
import type { NameContext } from '../catalog/catalog.ts';
import type { DatabaseDescriptor, FunctionDescriptor, SchemaDescriptor, TableDescriptor, TypeDescriptor } from '../catalog/descriptor.ts';
import { SYSTEM_DATABASE_ID } from '../catalog/descriptor.ts';
import { typeIdsUsed } from '../catalog/enumType.ts';
import { quoteName } from '../catalog/names.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { type ResolvedTargets, resolveCluster, resolveTargets, type TargetPattern } from '../catalog/targets.ts';
import type { BackupTargets } from '../sql/parse/ast.ts';

import type { Manifest } from '../backup/manifest.ts';

import { requireClusterBackup } from './emptyCluster.ts';
import { USER_TABLES } from './systemTableRestore.ts';

/** What of the backup is restored; each list ascending by id. */
export interface RestoreTargets {
  /** Databases that are created. Empty for a restore of tables. */
  readonly databases: readonly DatabaseDescriptor[];
  readonly schemas: readonly SchemaDescriptor[];
  readonly types: readonly TypeDescriptor[];
  /** They come with their database, and never with a table. */
  readonly functions: readonly FunctionDescriptor[];
  readonly tables: readonly TableDescriptor[];
  /** The backed-up database of each table, for a restore of tables. */
  readonly parents: readonly DatabaseDescriptor[];
  /** Tables of the backup's system database whose rows come, for a restore of a cluster or its users. */
  readonly systemTables: readonly TableDescriptor[];
}

/** Throws 3D000, 3F000, 42P01 for what the backup does not hold, 22023 for a database that it holds in part, 0A000. */
export function resolveRestoreTargets(
  snapshot: CatalogSnapshot,
  manifest: Manifest,
  targets: BackupTargets,
  context: NameContext,
): RestoreTargets {
  switch (targets.type) {
    case 'databases': {
      const names = [...new Set(targets.names.map((name) => name.text))];
      const found = resolve(
        snapshot,
        manifest,
        names.map((name) => ({ kind: 'database', name })),
        context,
      );
      for (const database of found.databases) requireWhole(manifest, database);
      const { databases, schemas, types, functions, tables } = found;
      return { ...NOTHING, databases, schemas, types, functions, tables };
    }
    case 'tables': {
      const patterns = targets.patterns.map(({ parts, star }): TargetPattern => {
        return { kind: star ? 'wildcard' : 'table', parts: parts.map((part) => part.text) };
      });
      const found = resolve(snapshot, manifest, patterns, context);
      if (found.tables.length === 0) {
        throw new StatementError(SqlState.UndefinedTable, 'no tables of the backup match the given patterns', {
          detail: holdingOf(manifest),
        });
      }
      // Of types only those in use: a whole schema's other types stay where they are.
      const used = new Set(found.tables.flatMap(typeIdsUsed));
      const schemaIds = new Set([...found.tables, ...found.types.filter(({ id }) => used.has(id))].map(({ schemaId }) => schemaId));
      return {
        ...NOTHING,
        schemas: found.schemas.filter(({ id }) => schemaIds.has(id)),
        types: found.types.filter(({ id }) => used.has(id)),
        tables: found.tables,
        parents: [...found.databases, ...found.parentDatabases],
      };
    }
    case 'cluster': {
      requireClusterBackup(manifest.scope);
      const { databases, schemas, types, functions, tables } = resolveCluster(snapshot);
      return { ...NOTHING, databases, schemas, types, functions, tables, systemTables: snapshot.tablesOf(SYSTEM_DATABASE_ID) };
    }
    case 'systemUsers': {
      const known: readonly string[] = USER_TABLES;
      const systemTables = snapshot.tablesOf(SYSTEM_DATABASE_ID).filter(({ name }) => known.includes(name));
      if (systemTables.some(({ name }) => name === 'users')) return { ...NOTHING, systemTables };
      throw new StatementError(SqlState.InvalidParameterValue, 'cannot restore system users as no system.users table in the backup', {
        detail: holdingOf(manifest),
        hint: 'backups of a cluster, of database system and of table system.users hold it',
      });
    }
  }
}

const NOTHING: RestoreTargets = Object.freeze({
  databases: [],
  schemas: [],
  types: [],
  functions: [],
  tables: [],
  parents: [],
  systemTables: [],
});

function resolve(snapshot: CatalogSnapshot, manifest: Manifest, patterns: TargetPattern[], context: NameContext): ResolvedTargets {
  try {
    return resolveTargets(snapshot, patterns, context);
  } catch (error) {
    if (!isVarveError(error)) throw error;
    const database = databaseMeant(snapshot, patterns);
    throw withFields(error, {
      detail: `the backup holds ${manifest.targets.join(', ')}; names are looked up as of ${formatUtc(snapshot.timestamp)}`,
      hint: database
        ? `to restore the database, write RESTORE DATABASE ${quoteName(database)} FROM ...`
        : 'SHOW BACKUP FROM ... IN ... lists what a backup holds',
    });
  }
}

/** The database of the backup that a single name stands for where a table's is expected: `RESTORE bank FROM ...`. */
function databaseMeant(snapshot: CatalogSnapshot, [pattern, ...others]: readonly TargetPattern[]): string | undefined {
  if (pattern?.kind !== 'table' || others.length > 0 || pattern.parts.length !== 1) return undefined;
  return snapshot.database(pattern.parts[0] ?? '')?.name;
}

function requireWhole(manifest: Manifest, database: DatabaseDescriptor): void {
  if (database.id === SYSTEM_DATABASE_ID) {
    throw new StatementError(SqlState.FeatureNotSupported, 'RESTORE of the system database is not supported', {
      hint: 'restore its tables into another database: RESTORE TABLE system.users FROM ... WITH into_db = ...',
    });
  }
  if (manifest.completeDatabaseIds.includes(database.id)) return;
  throw new StatementError(SqlState.InvalidParameterValue, `the backup does not hold the complete database "${database.name}"`, {
    detail: holdingOf(manifest),
    hint: `restore its tables: RESTORE TABLE ${quoteName(database.name)}.* FROM ...`,
  });
}

function holdingOf(manifest: Manifest): string {
  return `it holds ${manifest.targets.join(', ')}`;
}
