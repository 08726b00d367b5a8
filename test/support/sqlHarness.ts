/**
 * A whole SQL database on a manual clock, for tests: kv, catalog and engine, sessions by name.
 *
 *   const db = await openSql();
 *   await db.exec('CREATE TABLE t (a INT PRIMARY KEY)');
 *   await db.rows('SELECT a FROM t');           // [['1']]: text forms, NULL is null
 *   await db.clock.advance('25h');
 */
import { isVarveError } from '../../src/base/errors.ts';
import { InlineExecutor } from '../../src/base/executor.ts';
import { Ids } from '../../src/base/ids.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { type CatalogServices, openCatalog } from '../../src/catalog/bootstrap.ts';
import { formatDatum } from '../../src/catalog/datumText.ts';
import { openKv } from '../../src/kv/localKv.ts';
import type { Kv } from '../../src/kv/kv.ts';
import { systemJobTable } from '../../src/jobs/jobTable.ts';
import { JobRegistry } from '../../src/jobs/registry.ts';
import { SqlEngine } from '../../src/sql/exec/engine.ts';
import { registerJobStatements } from '../../src/sql/exec/jobStatements.ts';
import type { PieceSizes } from '../../src/sql/exec/schemaChange/backfill.ts';
import { registerSchemaChanges } from '../../src/sql/exec/schemaChange/registerSchemaChanges.ts';
import { registerStatistics } from '../../src/sql/exec/statistics/register.ts';
import type { ExecuteOptions, Session, SessionOptions } from '../../src/sql/exec/session.ts';
import type { StatementResult } from '../../src/sql/exec/statement.ts';

export const HARNESS_START = '2026-11-20T00:00:00Z';

export interface SqlHarness {
  readonly clock: ManualClock;
  readonly kv: Kv;
  readonly services: CatalogServices;
  readonly engine: SqlEngine;
  readonly jobs: JobRegistry;
  /** The session of that name, made at its first use; '' is the default one. */
  session(name?: string, options?: SessionOptions): Session;
  /** Runs a text in a session and gives its results. */
  exec(sql: string, options?: ExecuteOptions & { session?: string }): Promise<StatementResult[]>;
  /** The rows of the last statement as text. */
  rows(sql: string, options?: ExecuteOptions & { session?: string }): Promise<(string | null)[][]>;
  close(): void;
}

export interface SqlHarnessOptions {
  readonly seed?: string;
  readonly localities?: readonly string[];
  /** With jobs: schema changes of tables with rows are online, and job statements are there. */
  readonly jobs?: boolean | PieceSizes;
}

export async function openSql(options: SqlHarnessOptions = {}): Promise<SqlHarness> {
  const clock = new ManualClock(HARNESS_START);
  const random = seededRandom(options.seed ?? 'sql');
  const kv = openKv({
    clock,
    executor: new InlineExecutor(),
    ids: new Ids(random.fork('ids'), clock),
    activity: clock.activity,
    localities: options.localities,
  });
  const services = await openCatalog(kv);
  const engine = new SqlEngine({
    kv,
    catalog: services.catalog,
    zones: services.zones,
    settings: services.settings,
    sequences: services.sequences,
    random: random.fork('sql'),
  });
  const { settings } = services;
  const jobs = new JobRegistry({
    kv,
    table: systemJobTable,
    settings: {
      pausepoints: () => settings.text('jobs.debug.pausepoints'),
      retryInitialDelayMicros: () => settings.number('jobs.registry.retry.initial_delay'),
      retryMaxDelayMicros: () => settings.number('jobs.registry.retry.max_delay'),
      retentionMicros: () => settings.number('jobs.retention_time'),
    },
  });
  if (options.jobs) {
    const sizes = options.jobs === true ? undefined : options.jobs;
    registerJobStatements(engine.statements, jobs);
    registerSchemaChanges({ engine, jobs, protections: services.protections, sizes });
    registerStatistics(engine, services.statistics, jobs);
    await jobs.start();
  }
  const sessions = new Map<string, Session>();
  const session = (name = '', sessionOptions: SessionOptions = {}): Session => {
    let known = sessions.get(name);
    if (!known) {
      known = engine.newSession(sessionOptions);
      sessions.set(name, known);
    }
    return known;
  };
  return {
    clock,
    kv,
    services,
    engine,
    jobs,
    session,
    exec: (sql, run = {}) => session(run.session).execute(sql, run),
    rows: async (sql, run = {}) => {
      const results = await session(run.session).execute(sql, run);
      return textRows(results.at(-1));
    },
    close: () => {
      engine.close();
      jobs.close();
      services.close();
      kv.close();
    },
  };
}

/** A result's rows as text. */
export function textRows(result: StatementResult | undefined): (string | null)[][] {
  const columns = result?.columns ?? [];
  return (result?.rows ?? []).map((row) =>
    columns.map((column, i) => {
      const value = row[i] ?? null;
      return value === null ? null : formatDatum(column.type, value);
    }),
  );
}

/** `error 23505: message`, with detail and hint on lines of their own. */
export function describeError(error: unknown): string {
  if (!isVarveError(error)) throw error;
  const lines = [`error ${error.code}: ${error.message}`];
  if (error.detail !== undefined) lines.push(`detail: ${error.detail}`);
  if (error.hint !== undefined) lines.push(`hint: ${error.hint}`);
  return lines.join('\n');
}
