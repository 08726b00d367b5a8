/**
 * The engine's own virtual tables, schema by schema.
 */
import type { VirtualTables } from '../../plan/virtualTable.ts';
import { crdbInternalTables } from './crdbInternal/index.ts';
import { informationSchemaTables } from './informationSchema/index.ts';
import { pgCatalogTables } from './pgCatalog/index.ts';

/** Adds pg_catalog, information_schema and crdb_internal to an engine's registry. */
export function registerVirtualTables(tables: VirtualTables): void {
  for (const table of [...pgCatalogTables, ...informationSchemaTables, ...crdbInternalTables]) tables.register(table);
}
