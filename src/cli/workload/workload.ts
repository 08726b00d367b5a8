/**
 * Workloads: generated data, and where there is one, an endless stream of statements on it.
 *
 * Generation is seeded: the same rows and seed give the same tables, byte for byte. `bank`, `kv`,
 * `movr` and `ycsb` have the schemas of CockroachDB's workloads of these names; the rows are ours.
 */
import type { Random } from '../../base/random.ts';
import type { SqlClient } from '../sqlClient.ts';

export interface WorkloadOptions {
  /** Rows of the largest table. */
  readonly rows: number;
  readonly seed?: number | undefined;
  /** Drops the database first if it is there. */
  readonly drop?: boolean;
  /** Bytes of payload a row, where rows have one. */
  readonly payloadBytes?: number | undefined;
}

export interface LoadStatement {
  readonly sql: string;
  /** Rows that it inserts. */
  readonly rows: number;
}

export interface Workload {
  readonly name: string;
  /** One line for the help. */
  readonly summary: string;
  /** The database that it fills. */
  readonly database: string;
  /** The table that `rows` counts, for the report. */
  readonly table: string;
  readonly defaultRows: number;
  /** The statements that create and fill the tables, in order; a generator, so that a million rows never stand in memory. */
  load(options: WorkloadOptions): Iterable<LoadStatement>;
  /** One operation: a single statement. */
  operation(random: Random, rows: number): string;
}

/** Creates and fills a workload's tables; the number of rows inserted. `onProgress` hears of it. */
export async function loadWorkload(
  client: SqlClient,
  workload: Workload,
  options: WorkloadOptions,
  onProgress: (rows: number) => void = () => {},
): Promise<number> {
  let rows = 0;
  for (const statement of workload.load(options)) {
    await client.run(statement.sql);
    rows += statement.rows;
    if (statement.rows > 0) onProgress(rows);
  }
  return rows;
}

/** Rows in one INSERT: large enough that parsing dominates the round trip. */
const BATCH_ROWS = 500;

/** INSERTs of `count` rows, each the text of a tuple without its parentheses. */
export function* inserts(table: string, count: number, row: (index: number) => string): Generator<LoadStatement> {
  for (let first = 0; first < count; first += BATCH_ROWS) {
    const end = Math.min(first + BATCH_ROWS, count);
    const values: string[] = [];
    for (let index = first; index < end; index++) values.push(`(${row(index)})`);
    yield { sql: `INSERT INTO ${table} VALUES ${values.join(', ')}`, rows: end - first };
  }
}

/** The statements that make an empty database; with `drop`, after what was there. */
export function* freshDatabase(name: string, drop: boolean | undefined): Generator<LoadStatement> {
  if (drop) yield { sql: `DROP DATABASE IF EXISTS ${name} CASCADE`, rows: 0 };
  yield { sql: `CREATE DATABASE IF NOT EXISTS ${name}`, rows: 0 };
}
