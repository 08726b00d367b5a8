/**
 * The engine's own virtual tables, schema by schema.
 */
import type { VirtualTables } from '../../plan/virtualTable.ts';

/** Adds pg_catalog, information_schema and crdb_internal to an engine's registry. */
export function registerVirtualTables(tables: VirtualTables): void {
  for (const table of VIRTUAL_TABLES) tables.register(table);
}

const VIRTUAL_TABLES: readonly Parameters<VirtualTables['register']>[0][] = [];
