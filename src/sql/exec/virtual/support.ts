/**
 * Helpers for virtual tables: the relations of a database, text datums, column shorthands.
 */
import { utf8Encode } from '../../../base/bytes.ts';
import type { CatalogSnapshot } from '../../../catalog/catalog.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { type DatabaseDescriptor, PUBLIC_SCHEMA_ID, type TableDescriptor } from '../../../catalog/descriptor.ts';
import { type ColumnType, Type } from '../../../catalog/type.ts';
import type { VirtualColumn } from '../../plan/virtualTable.ts';
import type { StatementContext } from '../statement.ts';

export const text = (value: string): Datum => utf8Encode(value);
export const textOrNull = (value: string | undefined): Datum => (value === undefined ? null : utf8Encode(value));
export const yesNo = (value: boolean): Datum => text(value ? 'YES' : 'NO');

/** `columns({ oid: Type.Oid, relname: Type.Name })`. */
export function columns(spec: Readonly<Record<string, ColumnType>>): VirtualColumn[] {
  return Object.entries(spec).map(([name, type]) => ({ name, type }));
}

export interface Relation {
  readonly database: DatabaseDescriptor;
  readonly schema: string;
  readonly schemaId: number;
  readonly table: TableDescriptor;
}

/** Public relations of a database (or of all), with their schemas' names. */
export async function relations(
  context: StatementContext,
  database: string | undefined,
): Promise<{ snapshot: CatalogSnapshot; list: Relation[] }> {
  const snapshot = await context.catalog();
  const databases = database === undefined ? snapshot.allDatabases() : [snapshot.database(database)].filter((one) => one !== undefined);
  const list: Relation[] = [];
  for (const one of databases) {
    for (const table of snapshot.tablesOf(one.id)) {
      const schema = table.schemaId === PUBLIC_SCHEMA_ID ? 'public' : (snapshot.schemaById(one, table.schemaId)?.name ?? 'public');
      list.push({ database: one, schema, schemaId: table.schemaId, table });
    }
  }
  return { snapshot, list };
}

export { Type };
