/**
 * pg_catalog: PostgreSQL 13's system catalogs, as far as Varve has something to show in them.
 *
 * Columns have PostgreSQL's names, order and types; cells without a meaning here are NULL or what
 * PostgreSQL shows for "none". Node trees (adbin, conbin, indpred) hold SQL text, which pg_get_expr
 * gives back. Oids: ../../catalogLookup.ts.
 * Source: PostgreSQL 13 documentation, "System Catalogs".
 */
import { constraintTables } from './constraints.ts';
import { emptyPgTables } from './empty.ts';
import { relationTables } from './relations.ts';
import { serverTables } from './server.ts';
import { statisticsTables } from './statistics.ts';
import { typeTables } from './types.ts';

export const pgCatalogTables = [
  ...constraintTables,
  ...emptyPgTables,
  ...relationTables,
  ...serverTables,
  ...statisticsTables,
  ...typeTables,
];
