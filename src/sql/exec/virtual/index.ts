/**
 * The engine's own virtual tables, schema by schema.
 */
import { VirtualTables } from '../../plan/virtualTable.ts';
import { byCatalog } from './byCatalog.ts';
import { crdbInternalTables } from './crdbInternal/index.ts';
import { informationSchemaTables } from './informationSchema/index.ts';
import { pgCatalogTables } from './pgCatalog/index.ts';
import { pgExtensionTables } from './pgExtension.ts';

let shared: VirtualTables | undefined;

/** pg_catalog, information_schema, crdb_internal and pg_extension: one registry for every engine, which each extends by a child. */
export function builtinVirtualTables(): VirtualTables {
  if (shared) return shared;
  const tables = new VirtualTables();
  for (const table of [...pgCatalogTables, ...informationSchemaTables, ...crdbInternalTables, ...pgExtensionTables])
    tables.register(byCatalog(table));
  shared = tables;
  return tables;
}
