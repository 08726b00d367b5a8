/**
 * What the tests of dumps share: a database behind a socket, `varve dump` on it, psql, and the rows of
 * every table of a server as text, to compare two servers by.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';

import pg from 'pg';

import { type OpenOptions, Varve } from '../../src/index.ts';
import { commandLine } from '../support/commandLine.ts';

export interface Listening {
  readonly varve: Varve;
  /** Of a database on it. */
  url(database?: string): string;
  close(): Promise<void>;
}

export async function listen(options: OpenOptions = {}): Promise<Listening> {
  const varve = await Varve.open(options);
  const server = await varve.listen();
  return {
    varve,
    url: (database = 'defaultdb') => server.url.replace('/defaultdb', `/${database}`),
    async close() {
      await server.close();
      await varve.close();
    },
  };
}

/** The output of a command line; throws with what it wrote to standard error when it fails. */
export async function run(...argv: string[]): Promise<string> {
  const { status, out, err } = await commandLine(...argv);
  if (status !== 0) throw new Error(err);
  return out;
}

/** Runs a script through psql, which stops at the first error unless it `goesOn`. Returns what it reported, '' when nothing. */
export async function psql(url: string, script: string, options: { readonly goesOn?: boolean } = {}): Promise<string> {
  const child = spawn('psql', ['-X', '-q', '-v', `ON_ERROR_STOP=${options.goesOn ? 0 : 1}`, url], {
    env: { ...process.env, PGOPTIONS: '' },
  });
  let err = '';
  child.stderr.on('data', (data: Buffer) => {
    err += data.toString();
  });
  child.stdout.resume();
  child.stdin.on('error', () => {});
  child.stdin.end(script);
  const [code] = (await new Promise<unknown[]>((resolve) => child.on('close', (...args) => resolve(args)))) as [number];
  return code === 0 ? err : `psql ended with ${code}: ${err}`;
}

// What the server sent, whatever the type.
const AS_TEXT = { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig;

/** Of every table and materialized view, or of every other view: its columns' names, and its rows as text, sorted (a digest of them for views). Hidden columns are left out. */
export async function contents(url: string, of: 'tables' | 'views' = 'tables'): Promise<Map<string, string[]>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const setting of ["timezone = 'UTC'", "bytea_output = 'hex'", 'extra_float_digits = 3', "intervalstyle = 'postgres'"]) {
      await client.query(`SET ${setting}`);
    }
    const { rows: tables } = await client.query<{ schema: string; name: string; columns: string[] }>(
      `SELECT n.nspname::TEXT AS schema, c.relname::TEXT AS name, array_agg(a.attname::TEXT ORDER BY a.attnum) AS columns
         FROM pg_catalog.pg_class AS c
         JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
         JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relkind IN (${of === 'tables' ? "'r', 'm'" : "'v'"}) AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'crdb_internal', 'pg_extension')
          AND NOT (a.attname = 'rowid')
        GROUP BY 1, 2 ORDER BY 1, 2`,
    );
    const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;
    const found = new Map<string, string[]>();
    for (const { schema, name, columns } of tables) {
      const list = columns.map(quote).join(', ');
      const { rows } = await client.query({
        text: `SELECT ${list} FROM ${quote(schema)}.${quote(name)}`,
        rowMode: 'array',
        types: AS_TEXT,
      });
      const texts = rows.map((row) => JSON.stringify(row)).sort();
      // Views show the same rows many times over.
      found.set(`${schema}.${name}(${columns.join(', ')})`, of === 'tables' || texts.length === 0 ? texts : [digest(texts)]);
    }
    return found;
  } finally {
    await client.end();
  }
}

function digest(texts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(text).update('\n');
  return `${texts.length} rows, sha256 ${hash.digest('hex')}`;
}

/** The first difference of two servers' contents in words; undefined when there is none. */
export function firstDifference(a: Map<string, string[]>, b: Map<string, string[]>): string | undefined {
  const names = new Set([...a.keys(), ...b.keys()]);
  for (const name of names) {
    const [left, right] = [a.get(name), b.get(name)];
    if (!left || !right) return `${name} is only in the ${left ? 'first' : 'second'}`;
    if (left.length !== right.length) return `${name} has ${left.length} rows, and ${right.length}`;
    const at = left.findIndex((row, i) => row !== right[i]);
    if (at >= 0) return `${name}: ${left[at]} and ${right[at]}`;
  }
  return undefined;
}
