/**
 * Virtual tables whose rows follow from the catalog alone: made once for a version of it, not once for each query that
 * looks. Tools that read a schema ask table by table.
 *
 * What else goes into the rows is part of the key: the database, whose roles may see, the search path and the setting that
 * says how expressions are printed. A transaction that has changed the catalog sees rows of its own, never kept.
 * Tables with sizes, sequence values or sessions in them are not among these.
 */
import type { Catalog } from '../../../catalog/catalog.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { isAdmin } from '../../../catalog/privileges.ts';
import type { VirtualTableDefinition } from './defineTable.ts';
import type { StatementContext } from '../statement.ts';

const CATALOG_ONLY: ReadonlySet<string> = new Set([
  'pg_catalog.pg_attrdef',
  'pg_catalog.pg_attribute',
  'pg_catalog.pg_constraint',
  'pg_catalog.pg_depend',
  'pg_catalog.pg_description',
  'pg_catalog.pg_enum',
  'pg_catalog.pg_index',
  'pg_catalog.pg_indexes',
  'pg_catalog.pg_proc',
  'pg_catalog.pg_type',
  'information_schema.columns',
  'information_schema.constraint_column_usage',
  'information_schema.key_column_usage',
  'information_schema.referential_constraints',
  'information_schema.statistics',
  'information_schema.table_constraints',
]);

/** Of one table: databases and users that take turns. */
const KEPT_MAX = 4;
/** Beyond so many rows they are made anew: the memory is worth more. */
const ROWS_MAX = 50_000;

interface Kept {
  readonly key: string;
  readonly rows: readonly Datum[][];
}

/** The table with its rows kept, if they follow from the catalog. */
export function byCatalog(table: VirtualTableDefinition): VirtualTableDefinition {
  if (!CATALOG_ONLY.has(`${table.schema}.${table.name}`)) return table;
  const kept = new WeakMap<Catalog, Kept[]>();
  return {
    ...table,
    async rows(context: StatementContext, database) {
      const key = await keyOf(context, database);
      if (key === undefined) return table.rows(context, database);
      const { catalog } = context.engine;
      const known = kept.get(catalog) ?? [];
      const found = known.find((one) => one.key === key);
      if (found) return found.rows.slice();
      const rows = [...(await table.rows(context, database))];
      if (rows.length <= ROWS_MAX) kept.set(catalog, [{ key, rows: rows.slice() }, ...known.slice(0, KEPT_MAX - 1)]);
      return rows;
    },
  };
}

/** Undefined when the rows are the transaction's own. */
async function keyOf(context: StatementContext, database: string | undefined): Promise<string | undefined> {
  const { version } = await context.catalog();
  if (version < 0) return undefined;
  // All admins see alike.
  const roles = isAdmin(context.user) ? [] : [...(await context.roles())].sort();
  return JSON.stringify([version, database, roles, context.names, context.session.vars.get('catalog_expressions')]);
}
