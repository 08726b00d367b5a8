/**
 * Names of virtual objects: which virtual table a name means, and the refusal of whatever would change one.
 *
 * Texts and codes are CockroachDB's: pg_catalog's tables are "system catalogs", all others "virtual objects".
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { CatalogSnapshot, NameContext } from '../../../catalog/catalog.ts';
import { quoteName } from '../../../catalog/names.ts';
import { relationPath } from '../../../catalog/snapshot.ts';
import type { VirtualTable, VirtualTables } from '../../plan/virtualTable.ts';

export interface ResolvedVirtual {
  readonly table: VirtualTable;
  /** Whose objects it shows; undefined for those of every database (`"".information_schema.tables`). */
  readonly database: string | undefined;
}

/**
 * The virtual table of a name on the search path, or undefined. 3D000 for an unknown database; 42704
 * for a table of pg_catalog without any, since its rows belong to one.
 */
export function resolveVirtual(
  tables: VirtualTables,
  snapshot: CatalogSnapshot,
  parts: readonly string[],
  names: NameContext,
): ResolvedVirtual | undefined {
  const table = virtualNamed(tables, snapshot, parts, names);
  if (!table) return undefined;
  const database = parts.length > 2 ? parts[0] : names.currentDatabase;
  if (database === undefined || database === '') {
    if (table.schema !== 'pg_catalog') return { table, database: undefined };
    throw new StatementError(SqlState.UndefinedObject, 'cannot access virtual schema in anonymous database', {
      hint: 'verify that the current database and search_path are valid and/or the target database exists',
    });
  }
  if (parts.length > 2) snapshot.requireDatabase(database);
  return { table, database };
}

function virtualNamed(
  tables: VirtualTables,
  snapshot: CatalogSnapshot,
  parts: readonly string[],
  names: NameContext,
): VirtualTable | undefined {
  const last = parts.at(-1) ?? '';
  if (parts.length > 1) return tables.get(parts.at(-2) ?? '', last);
  // pg_catalog comes first in every search path that does not name it, behind what is temporary, as in PostgreSQL.
  const own = relationPath(names);
  const first = own.length - names.searchPath.length;
  const path = names.searchPath.includes('pg_catalog') ? own : [...own.slice(0, first), 'pg_catalog', ...own.slice(first)];
  const database = snapshot.database(names.currentDatabase);
  for (const name of path) {
    const table = tables.get(name, last);
    if (table) return table;
    const schema = database && snapshot.schema(database, name);
    if (schema && snapshot.lookup(schema.database.id, schema.id, last) !== undefined) return undefined;
  }
  return undefined;
}

/** 42501 or 42809: a virtual table is made of code, and nothing changes it. */
export function virtualTableIsFixed(table: VirtualTable): StatementError {
  return table.schema === 'pg_catalog'
    ? new StatementError(SqlState.InsufficientPrivilege, `${quoteName(table.name)} is a system catalog`)
    : new StatementError(SqlState.WrongObjectType, `${quoteName(table.name)} is a virtual object and cannot be modified`);
}

/** 42602 when a new object is to go into a virtual schema. */
export function refuseVirtualSchema(tables: VirtualTables, parts: readonly string[]): void {
  const schema = parts.at(-2);
  if (schema === undefined || !tables.hasSchema(schema)) return;
  throw new StatementError(SqlState.InvalidName, `schema cannot be modified: "${schema}"`);
}
