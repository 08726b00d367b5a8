/**
 * Restore targets: the names in a RESTORE statement to descriptors of the backup, as of the requested time.
 *
 *   T1  a database comes whole, from a backup that holds it whole
 *   T2  a table comes alone: with its schema and the user types it uses, but nothing that it
 *       refers to. What it misses is said by idRewrites.ts
 */
import { isVarveError, StatementError, withFields } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { formatUtc } from '../base/timestamp.ts';
import type { NameContext } from '../catalog/catalog.ts';
import type { DatabaseDescriptor, SchemaDescriptor, TableDescriptor, TypeDescriptor } from '../catalog/descriptor.ts';
import { SYSTEM_DATABASE_ID } from '../catalog/descriptor.ts';
import { typeIdsUsed } from '../catalog/enumType.ts';
import { quoteName } from '../catalog/names.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { type ResolvedTargets, resolveTargets, type TargetPattern } from '../catalog/targets.ts';
import type { BackupTargets } from '../sql/parse/ast.ts';

import type { Manifest } from '../backup/manifest.ts';

/** What of the backup is restored; each list ascending by id. */
export interface RestoreTargets {
  /** Databases that are created. Empty for a restore of tables. */
  readonly databases: readonly DatabaseDescriptor[];
  readonly schemas: readonly SchemaDescriptor[];
  readonly types: readonly TypeDescriptor[];
  readonly tables: readonly TableDescriptor[];
  /** The backed-up database of each table, for a restore of tables. */
  readonly parents: readonly DatabaseDescriptor[];
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
      return { databases: found.databases, schemas: found.schemas, types: found.types, tables: found.tables, parents: [] };
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
        databases: [],
        schemas: found.schemas.filter(({ id }) => schemaIds.has(id)),
        types: found.types.filter(({ id }) => used.has(id)),
        tables: found.tables,
        parents: [...found.databases, ...found.parentDatabases],
      };
    }
    case 'cluster':
      throw new StatementError(SqlState.FeatureNotSupported, 'RESTORE of the whole cluster is not supported yet', {
        hint: 'name the databases: RESTORE DATABASE a, b FROM ...',
      });
    case 'systemUsers':
      throw new StatementError(SqlState.FeatureNotSupported, 'RESTORE SYSTEM USERS is not supported yet');
  }
}

function resolve(snapshot: CatalogSnapshot, manifest: Manifest, patterns: TargetPattern[], context: NameContext): ResolvedTargets {
  try {
    return resolveTargets(snapshot, patterns, context);
  } catch (error) {
    if (!isVarveError(error)) throw error;
    throw withFields(error, {
      detail: `the backup holds ${manifest.targets.join(', ')}; names are looked up as of ${formatUtc(snapshot.timestamp)}`,
      hint: 'SHOW BACKUP FROM ... IN ... lists what a backup holds',
    });
  }
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
