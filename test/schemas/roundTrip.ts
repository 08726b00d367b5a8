/**
 * What becomes of a real schema: it is loaded through psql as it was published, its database is dumped,
 * loaded again (through psql and COPY, and by Varve itself), and compared: rows of tables and of views,
 * constraints, counters.
 */
import * as assert from 'uvu/assert';

import { startPostgres } from '../../scripts/bench/servers.ts';
import { contents, firstDifference, listen, type Listening, psql, run } from '../dump/support.ts';

export interface RealSchema {
  readonly database: string;
  /** Session variables of the database, which are no part of the schema. */
  readonly settings: readonly string[];
  /** As published; then rows, where the schema has too few. */
  readonly scripts: readonly string[];
  /** The errors that psql may report. */
  readonly refused: RegExp;
  /** Run when everything is loaded and read, against the source. */
  readonly asked?: (source: Listening, content: Content) => Promise<void>;
}

/** What each side has, by name. */
interface Content {
  readonly tables: Map<string, string[]>;
  readonly views: Map<string, string[]>;
  readonly constraints: Map<string, string[]>;
  readonly counters: Map<string, string[]>;
}

export async function roundTrip(schema: RealSchema): Promise<void> {
  const { database } = schema;
  const servers = await Promise.all([listen(), listen(), listen()]);
  const [source, target, twin] = servers;
  try {
    for (const { varve } of servers) await varve.query(`CREATE DATABASE ${database}`);
    for (const setting of schema.settings) await source.varve.query(`ALTER DATABASE ${database} SET ${setting}`);
    for (const script of schema.scripts) {
      const report = await timed('loaded through psql', () => psql(source.url(database), script, { goesOn: true }));
      const errors = report.split('\n').filter((line) => line.startsWith('ERROR:'));
      assert.equal(
        errors.filter((line) => !schema.refused.test(line)),
        [],
      );
    }
    const loaded = await timed('read', () => contentOf(source, database));
    checkSize(loaded);
    await schema.asked?.(source, loaded);

    const script = await timed("dumped in PostgreSQL's dialect", () => dump(source, database, 'postgres'));
    assert.is(await timed('loaded through psql and COPY', () => psql(target.url(database), script)), '');
    assertSame(loaded, await timed('read', () => contentOf(target, database)));

    await replayInPostgres(script, loaded);

    const own = await timed("dumped in CockroachDB's dialect", () => dump(source, database, 'cockroach'));
    await timed('loaded', () => twin.varve.query(`USE ${database}; ${own}`));
    assertSame(loaded, await timed('read', () => contentOf(twin, database)));
    const lines = own.split('\n');
    const again = (await dump(twin, database, 'cockroach')).split('\n');
    const at = again.findIndex((line, i) => line !== lines[i]);
    assert.is(again[at], lines[at], 'the dump of what was dumped');
  } finally {
    for (const server of servers) await server.close();
  }
}

/** A real PostgreSQL has the same tables and views after it, where one is installed. */
async function replayInPostgres(script: string, loaded: Content): Promise<void> {
  const postgres = await startPostgres();
  if (!postgres) return console.log('not loaded into PostgreSQL, which is not installed');
  try {
    assert.is(await timed('loaded into PostgreSQL', () => psql(postgres.url, script)), '');
    assert.is(firstDifference(loaded.tables, await contents(postgres.url)), undefined);
    assert.is(firstDifference(loaded.views, await contents(postgres.url, 'views')), undefined);
  } finally {
    await postgres.stop();
  }
}

/** What a real schema is here. */
function checkSize({ tables, views, constraints, counters }: Content): void {
  const rows = [...tables.values()].reduce((sum, table) => sum + table.length, 0);
  const keys = [...constraints.keys()].filter((name) => name.startsWith('f ')).length;
  const seen = [...views.values()].filter((view) => view.length > 0).length;
  console.log(
    `${tables.size} tables with ${rows} rows, ${views.size} views (${seen} of them with rows), ${keys} foreign keys, ${counters.size} sequences`,
  );
  assert.ok(tables.size >= 20 && rows >= 100_000, 'a schema of 20 tables and 100,000 rows');
  assert.ok(seen > 0 && keys > 20 && [...counters.values()].some(([used]) => used?.includes('true')), 'views, foreign keys and sequences');
}

function assertSame(a: Content, b: Content): void {
  for (const part of ['tables', 'views', 'constraints', 'counters'] as const) assert.is(firstDifference(a[part], b[part]), undefined);
}

const dump = (server: Listening, database: string, format: string): Promise<string> =>
  run('dump', database, '--url', server.url(database), '--format', format);

async function contentOf(server: Listening, database: string): Promise<Content> {
  const url = server.url(database);
  const { varve } = server;
  const constraints = new Map<string, string[]>();
  const counters = new Map<string, string[]>();
  const { rows: known } = await varve.query(
    `SELECT con.contype || ' ' || n.nspname || '.' || c.relname || '.' || con.conname AS name, pg_get_constraintdef(con.oid) AS text
       FROM ${database}.pg_catalog.pg_constraint AS con
       JOIN ${database}.pg_catalog.pg_class AS c ON c.oid = con.conrelid
       JOIN ${database}.pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      WHERE n.nspname NOT IN ('crdb_internal', 'information_schema', 'pg_catalog')`,
  );
  for (const { name, text } of known) constraints.set(String(name), [String(text)]);
  const { rows: sequences } = await varve.query(
    `SELECT sequence_schema AS schema, sequence_name AS name FROM ${database}.information_schema.sequences`,
  );
  for (const { schema, name } of sequences) {
    const full = `"${String(schema)}"."${String(name)}"`;
    const { rows } = await varve.query(`SELECT last_value, is_called FROM ${database}.${full}`);
    counters.set(full, [`${String(rows[0]?.['last_value'])} ${String(rows[0]?.['is_called'])}`]);
  }
  return { tables: await contents(url), views: await contents(url, 'views'), constraints, counters };
}

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const begun = performance.now();
  const result = await work();
  console.log(`${what} in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
  return result;
}
