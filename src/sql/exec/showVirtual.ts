/**
 * SHOW of virtual tables: their columns, their CREATE TABLE, who may read them. They have no indexes and no constraints.
 */
import type { CatalogSnapshot, NameContext } from '../../catalog/catalog.ts';
import type { Datum } from '../../catalog/datum.ts';
import { quoteName } from '../../catalog/names.ts';
import { PUBLIC_ROLE } from '../../catalog/privileges.ts';
import { sqlTypeName } from '../../catalog/type.ts';
import type { ObjectName } from '../parse/ast.ts';
import type { VirtualColumn, VirtualTable, VirtualTables } from '../plan/virtualTable.ts';
import type { RunContext } from './context.ts';
import { text, textOrNull } from './virtual/support.ts';
import { type ResolvedVirtual, resolveVirtual } from './virtual/virtualNames.ts';

/** The virtual table that a SHOW names, or undefined. */
export async function virtualNamed(context: RunContext, name: ObjectName): Promise<ResolvedVirtual | undefined> {
  const snapshot: CatalogSnapshot = await context.catalog();
  const names: NameContext = context.names;
  return resolveVirtual(
    context.engine.virtualTables,
    snapshot,
    name.parts.map((part) => part.text),
    names,
  );
}

const shownColumns = (table: VirtualTable): readonly VirtualColumn[] => table.columns.filter((column) => column.hidden !== true);

/** Rows of SHOW COLUMNS. */
export function virtualColumnRows(table: VirtualTable, withComment: boolean): Datum[][] {
  return shownColumns(table).map((column) => [
    text(column.name),
    text(sqlTypeName(column.type)),
    column.notNull !== true,
    null,
    text(''),
    [],
    false,
    ...(withComment ? [null] : []),
  ]);
}

/** The row of SHOW CREATE. */
export function virtualCreateRow(table: VirtualTable): Datum[] {
  const name = `${quoteName(table.schema)}.${quoteName(table.name)}`;
  const columns = shownColumns(table).map(
    (column) => `${quoteName(column.name)} ${sqlTypeName(column.type)} ${column.notNull ? 'NOT NULL' : 'NULL'}`,
  );
  return [text(name), text(`CREATE TABLE ${name} (\n\t${columns.join(',\n\t')}\n)`)];
}

/** Rows of SHOW TABLES from a virtual schema: nobody owns them, and nobody has counted their rows. */
export function virtualTableRows(tables: VirtualTables, schema: string, withComment: boolean): Datum[][] {
  return tables
    .all()
    .filter((table) => table.schema === schema)
    .map((table) => [text(schema), text(table.name), text('table'), null, null, null, ...(withComment ? [textOrNull(table.comment)] : [])]);
}

/** Who may read it: everybody. */
export const VIRTUAL_GRANTS = [{ grantee: PUBLIC_ROLE, privileges: ['SELECT'] }] as const;
