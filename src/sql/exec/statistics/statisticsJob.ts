/**
 * The jobs that collect statistics: CREATE STATS for people, AUTO CREATE STATS for the database itself.
 *
 * Such a job holds nothing but its result: it reads the table as of one time, and its last transaction writes the new
 * rows and removes those they replace. Interrupted, it begins anew. Of one set of columns only the newest statistic is
 * kept, and beside it the four newest automatic ones, as CockroachDB keeps them.
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { Timestamp } from '../../../base/timestamp.ts';
import { allIndexes, type TableDescriptor } from '../../../catalog/descriptor.ts';
import { systemTable } from '../../../catalog/systemRows.ts';
import { AUTOMATIC_NAME, isNewer, readStatistics, type Statistic, statisticRow } from '../../../catalog/tableStatistics.ts';
import type { JobContext, JobOutcome, Json, Resumer } from '../../../jobs/job.ts';
import type { Txn } from '../../../kv/kv.ts';
import type { EngineServices } from '../statement.ts';
import { collectStatistics } from './collect.ts';

export const STATISTICS_JOB_TYPE = 'CREATE STATS';
export const AUTOMATIC_STATISTICS_JOB_TYPE = 'AUTO CREATE STATS';

/** Of both types; each job has one durable write, its last. */
export const STATISTICS_PAUSEPOINTS = Object.freeze(['createstats.beforeWrite'] as const);

/** Automatic statistics that are kept of a set of columns beside a newer one. */
const AUTOMATIC_KEPT = 4;
/** Columns beyond the indexed ones that are looked at unasked. */
const OTHER_COLUMNS_MAX = 100;

export interface StatisticsDetails {
  readonly [member: string]: Json;
  readonly tableId: number;
  /** null: none. */
  readonly name: string | null;
  /** Columns looked at together; null for the usual sets. */
  readonly columnIds: number[] | null;
  /** null: the present. */
  readonly at: number | null;
}

export class StatisticsResumer implements Resumer {
  readonly #engine: EngineServices;
  readonly #details: StatisticsDetails;

  constructor(engine: EngineServices, details: StatisticsDetails) {
    this.#engine = engine;
    this.#details = details;
  }

  async resume(ctx: JobContext): Promise<JobOutcome> {
    const { tableId, name, columnIds } = this.#details;
    const { kv, settings } = this.#engine;
    const at = (this.#details.at ?? kv.reading()) as Timestamp;
    const table = (await this.#engine.catalog.snapshot(kv.at(at))).tableById(tableId);
    if (!table) throw new StatementError(SqlState.UndefinedTable, `relation [${tableId}] does not exist`);
    const usual = usualSets(table, settings.bool('sql.stats.multi_column_collection.enabled'));
    const collected = await collectStatistics({
      kv,
      table,
      sets: columnIds ? [[...columnIds].sort((a, b) => a - b)] : usual,
      at,
      signal: ctx.signal,
      hasHistograms: settings.bool('sql.stats.histogram_collection.enabled'),
      bucketsMax: settings.number('sql.stats.histogram_buckets.count'),
      onFraction: (fraction) => ctx.setFraction(fraction),
    });
    const made = collected.map((one): Statistic => ({ ...one, tableId, id: kv.ids.int8(), name: name ?? undefined, createdAt: at }));
    await ctx.pausepoint('createstats.beforeWrite');
    return { inFinalTxn: (txn) => keepStatistics(txn, tableId, made) };
  }

  async onFailOrCancel(): Promise<undefined> {
    // Nothing was written.
  }
}

/** Writes new statistics of a table, and removes what they replace. */
async function keepStatistics(txn: Txn, tableId: number, made: readonly Statistic[]): Promise<void> {
  const rows = systemTable('table_statistics');
  const known = await readStatistics(txn, tableId);
  for (const statistic of made) {
    const set = statistic.columnIds.join();
    const older = known.filter((one) => one.columnIds.join() === set).sort((a, b) => (isNewer(a, b) ? -1 : 1));
    const automatic = older.filter((one) => one.name === AUTOMATIC_NAME).slice(0, AUTOMATIC_KEPT);
    for (const one of older) if (!automatic.includes(one)) await rows.delete(txn, tableId, one.id);
    await rows.upsert(txn, statisticRow(statistic));
  }
}

/** Each prefix of an index' columns, the indexes in order, then every other column by itself. */
export function usualSets(table: TableDescriptor, withSeveral: boolean): number[][] {
  const isThere = (id: number): boolean =>
    table.columns.some((column) => column.id === id && column.state === 'public' && !column.isVirtual && !column.isIndexExpression);
  const sets = new Map<string, number[]>();
  const add = (ids: readonly number[]): void => {
    const set = [...new Set(ids)].sort((a, b) => a - b);
    if (set.length > 0 && set.every(isThere)) sets.set(set.join(), set);
  };
  for (const index of allIndexes(table)) {
    if (index.state !== 'public') continue;
    for (let length = 1; length <= index.columnIds.length; length++) {
      const prefix = index.columnIds.slice(0, length);
      if (length === 1 || withSeveral) add(prefix);
      else for (const id of prefix) add([id]);
    }
  }
  if (withSeveral) for (const index of allIndexes(table)) for (const id of index.columnIds) add([id]);
  for (const column of table.columns.slice(0, OTHER_COLUMNS_MAX)) add([column.id]);
  return [...sets.values()];
}
