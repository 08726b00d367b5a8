/**
 * crdb_internal: what Varve tells of itself under CockroachDB's names, for operators and teaching.
 *
 * The tables of cluster.ts show the present, also under AS OF SYSTEM TIME: what they are about has
 * no history. Those of catalog.ts show the descriptors of the time read.
 */
import { catalogTables } from './catalog.ts';
import { clusterTables } from './cluster.ts';
import { moreTables } from './more.ts';
import { transactionTables } from './transactions.ts';

export const crdbInternalTables = [...catalogTables, ...clusterTables, ...transactionTables, ...moreTables];
