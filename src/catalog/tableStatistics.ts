/**
 * TableStatistics: what is known of the values in tables, from the rows of system.table_statistics.
 *
 *   T1  the newest statistic of a set of columns is the one that counts; older ones are history
 *   T2  a commit hook keeps what is in memory as the rows are: planning looks it up without waiting
 *   T3  statistics say how things were; how many rows a table has is exact elsewhere (Kv.stats)
 *
 * A row holds the time its values were read at (`createdAt`), counts, and for single columns a
 * histogram as JSON: { type, buckets }. Lives elsewhere: who makes rows (sql/exec/statistics), what
 * planning makes of them (sql/plan/selectivity.ts).
 */
import { letGo } from '../base/errors.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { Kv, KvReader, Txn } from '../kv/kv.ts';
import type { TableDescriptor } from './descriptor.ts';
import { bucketsFromJson, type Histogram, type JsonBucket } from './histogram.ts';
import { type PlainRow, systemTable } from './systemRows.ts';

/** Names that the automatic ones go by. */
export const AUTOMATIC_NAME = '__auto__';

/** One statistic, as its row has it. */
export interface Statistic {
  readonly tableId: number;
  readonly id: number;
  readonly name: string | undefined;
  /** Ascending. */
  readonly columnIds: readonly number[];
  readonly createdAt: Timestamp;
  readonly rowCount: number;
  /** NULL is a value here. */
  readonly distinctCount: number;
  /** Rows in which all of the columns are NULL. */
  readonly nullCount: number;
  /** Bytes of a value on average. */
  readonly avgSize: number;
  /** Of one column whose values were not all NULL. */
  readonly histogram: { readonly type: string; readonly buckets: readonly JsonBucket[] } | undefined;
}

/** What planning asks of one table. */
export interface KnownStatistics {
  /** The newest of each set of columns, by their ids: `1` or `1,3`. */
  readonly bySet: ReadonlyMap<string, Statistic>;
  /** When the newest was made. */
  readonly createdAt: Timestamp;
  /** Changes whenever any of the table's does. */
  readonly version: number;
}

export function statisticFromRow(row: PlainRow): Statistic {
  return {
    tableId: Number(row['tableID']),
    id: Number(row['statisticID']),
    name: (row['name'] ?? undefined) as string | undefined,
    columnIds: (row['columnIDs'] as readonly number[]).map(Number),
    createdAt: Number(row['createdAt']) as Timestamp,
    rowCount: Number(row['rowCount']),
    distinctCount: Number(row['distinctCount']),
    nullCount: Number(row['nullCount']),
    avgSize: Number(row['avgSize']),
    histogram: (row['histogram'] ?? undefined) as Statistic['histogram'],
  };
}

export function statisticRow(statistic: Statistic): PlainRow {
  const { tableId, id, name, columnIds, createdAt, rowCount, distinctCount, nullCount, avgSize, histogram } = statistic;
  return {
    tableID: tableId,
    statisticID: id,
    name: name ?? null,
    columnIDs: columnIds,
    createdAt,
    rowCount,
    distinctCount,
    nullCount,
    avgSize,
    histogram: histogram ?? null,
  };
}

/** A table's rows, oldest first. */
export async function readStatistics(reader: KvReader, tableId: number): Promise<Statistic[]> {
  const rows = (await systemTable('table_statistics').scan(reader, tableId)).map(statisticFromRow);
  return rows.sort((a, b) => a.createdAt - b.createdAt || a.id - b.id);
}

/** Removes what is known of a table. */
export async function forgetStatistics(txn: Txn, tableId: number): Promise<void> {
  const rows = systemTable('table_statistics');
  for (const row of await rows.scan(txn, tableId)) await rows.delete(txn, tableId, row['statisticID']);
}

export class TableStatistics {
  readonly #tables: Map<number, Map<number, Statistic>>;
  readonly #known = new Map<number, KnownStatistics | undefined>();
  readonly #removeHook: () => void;
  #version = 0;

  private constructor(kv: Kv, tables: Map<number, Map<number, Statistic>>) {
    this.#tables = tables;
    const table = systemTable('table_statistics');
    this.#removeHook = kv.addCommitHook(table.span, {
      apply: ({ keys, values }) => {
        for (const [i, key] of keys.entries()) {
          const value = values[i];
          if (value) this.#put(statisticFromRow(table.decode(key, value)));
          else {
            const row = table.decodeKey(key);
            this.#remove(Number(row['tableID']), Number(row['statisticID']));
          }
        }
      },
    });
  }

  static async open(kv: Kv): Promise<TableStatistics> {
    const statistics = new TableStatistics(kv, new Map());
    for (const row of await systemTable('table_statistics').scan(kv.at(kv.reading()))) statistics.#put(statisticFromRow(row));
    return statistics;
  }

  /** Of a fork of the cluster: what is known goes with it. */
  fork(kv: Kv): TableStatistics {
    return new TableStatistics(kv, new Map([...this.#tables].map(([id, rows]) => [id, new Map(rows)])));
  }

  /** What is known of a table; undefined when nothing is. Cost: a look-up. */
  of(tableId: number): KnownStatistics | undefined {
    if (!this.#tables.has(tableId)) return undefined;
    if (this.#known.has(tableId)) return this.#known.get(tableId);
    const bySet = new Map<string, Statistic>();
    let createdAt = 0 as Timestamp;
    for (const statistic of this.#tables.get(tableId)?.values() ?? []) {
      const set = statistic.columnIds.join(',');
      const other = bySet.get(set);
      if (!other || isNewer(statistic, other)) bySet.set(set, statistic);
      if (statistic.createdAt > createdAt) createdAt = statistic.createdAt;
    }
    const known = { bySet, createdAt, version: ++this.#version };
    this.#known.set(tableId, known);
    return known;
  }

  /** Ids of the tables that something is known of. */
  tableIds(): number[] {
    return [...this.#tables.keys()];
  }

  close(): void {
    this.#removeHook();
  }

  #put(statistic: Statistic): void {
    const rows = this.#tables.get(statistic.tableId) ?? new Map<number, Statistic>();
    rows.set(statistic.id, statistic);
    this.#tables.set(statistic.tableId, rows);
    this.#known.delete(statistic.tableId);
  }

  #remove(tableId: number, id: number): void {
    const rows = this.#tables.get(tableId);
    rows?.delete(id);
    if (rows?.size === 0) this.#tables.delete(tableId);
    this.#known.delete(tableId);
  }
}

export function isNewer(a: Statistic, b: Statistic): boolean {
  return a.createdAt > b.createdAt || (a.createdAt === b.createdAt && a.id > b.id);
}

const histograms = new WeakMap<Statistic, Histogram | undefined>();

/** A single column's histogram with values of its type; undefined without one, or when the column is of another type by now. */
export function histogramOf(statistic: Statistic, table: TableDescriptor): Histogram | undefined {
  const { histogram } = statistic;
  if (!histogram) return undefined;
  if (histograms.has(statistic)) return histograms.get(statistic);
  const column = table.columns.find((one) => one.id === statistic.columnIds[0]);
  let parsed: Histogram | undefined;
  try {
    parsed = column && bucketsFromJson(column.type, histogram.buckets);
  } catch (error) {
    // Injected, or of a type that the column no longer has: it says nothing.
    letGo(error);
  }
  histograms.set(statistic, parsed);
  return parsed;
}
