/** The shell without a terminal: lines in, results out; its commands, options and completion. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { embeddedClient } from '../../src/cli/embeddedClient.ts';
import { formatResult } from '../../src/cli/resultFormat.ts';
import { type CatalogNames, completions } from '../../src/cli/shell/completion.ts';
import { DEFAULT_PROMPT } from '../../src/cli/shell/options.ts';
import { Shell } from '../../src/cli/shell/shell.ts';
import { WORKLOADS } from '../../src/cli/workload/workloads.ts';
import { Database } from '../../src/server/database.ts';

const test = suite<{ db: Database }>('the shell');

test.before(async (context) => {
  context.db = await Database.open({});
});
test.after(async ({ db }) => {
  await db.close();
});

/** A shell that collects what it prints. */
async function openShell(db: Database): Promise<{ shell: Shell; said: (...lines: string[]) => Promise<string> }> {
  let said = '';
  const print = (text: string): void => {
    said += text;
  };
  const client = embeddedClient(db, { database: 'defaultdb' });
  const shell = new Shell({
    client,
    io: { out: print, err: print, isTerminal: true, monotonicMicros: () => 0 },
    options: { displayFormat: 'table', errexit: false, echo: false, showTimes: false, prompt1: DEFAULT_PROMPT },
    address: 'localhost:26257',
  });
  await shell.start();
  return {
    shell,
    said: async (...lines) => {
      said = '';
      for (const line of lines) await shell.line(line);
      return said;
    },
  };
}

test('a statement goes on over lines until its semicolon', async ({ db }) => {
  const { shell, said } = await openShell(db);
  assert.is(await said('SELECT 1'), '');
  assert.match(shell.prompt, /^ +-> $/);
  assert.match(await said("+ 1 AS two, ';' AS semicolon", '; SELECT 3 AS three;'), /two.*semicolon[\s\S]*2 \| ;[\s\S]*three[\s\S]*3/);
  assert.is(shell.pending, '');
});

test('the prompt shows user, address, database and transaction', async ({ db }) => {
  const { shell, said } = await openShell(db);
  assert.is(shell.prompt, 'root@localhost:26257/defaultdb> ');
  await said('BEGIN;');
  assert.is(shell.prompt, 'root@localhost:26257/defaultdb OPEN> ');
  assert.match(await said('SELECT nope;'), 'ERROR: column "nope" does not exist\nSQLSTATE: 42703');
  assert.is(shell.prompt, 'root@localhost:26257/defaultdb ABORTED> ');
  await said('ROLLBACK;', '\\c system', '\\set prompt1 %n at %m %> in %/> ');
  assert.is(shell.prompt, 'root at localhost 26257 in system>');
  assert.is(shell.failures, 1);
});

test('listings describe what is there', async ({ db }) => {
  const { said } = await openShell(db);
  await said('CREATE DATABASE IF NOT EXISTS listed; USE listed;');
  await said('CREATE TABLE pets (id INT PRIMARY KEY, name STRING, INDEX by_name (name)); CREATE VIEW names AS SELECT name FROM pets;');
  await said('CREATE SEQUENCE numbers; CREATE TYPE mood AS ENUM (\'calm\'); CREATE TABLE "Odd" (a INT);');
  assert.match(await said('\\d'), /names +\| view[\s\S]*numbers +\| sequence[\s\S]*pets +\| table/);
  assert.not.match(await said('\\dt p*'), 'Odd');
  assert.match(await said('\\dv'), 'names');
  assert.match(await said('\\ds'), 'numbers');
  assert.match(await said('\\di pets*'), 'pets_pkey');
  assert.match(await said('\\dT'), 'mood');
  assert.match(await said('\\dn'), 'public');
  assert.match(await said('\\l'), 'listed');
  assert.match(await said('\\du'), 'root');
  assert.match(await said('\\df gen_random_uuid'), 'uuid');
  assert.match(await said('\\d pets'), /column_name[\s\S]*by_name[\s\S]*PRIMARY KEY/);
  assert.match(await said('\\d "Odd"'), 'column_name');
  assert.match(await said('\\d nowhere'), 'relation "nowhere" does not exist');
});

test('options and scripts', async ({ db }) => {
  const folder = await mkdtemp(join(tmpdir(), 'varve-shell-'));
  const { shell, said } = await openShell(db);
  try {
    await writeFile(join(folder, 'outer.sql'), 'SELECT 1 AS one;\n\\ir inner.sql\n');
    await writeFile(join(folder, 'inner.sql'), 'SELECT 2 AS two\n');
    await writeFile(join(folder, 'loop.sql'), '\\ir loop.sql\n');
    assert.match(await said(`\\i ${join(folder, 'outer.sql')}`), /one[\s\S]*two/);
    assert.match(await said(`\\i ${join(folder, 'loop.sql')}`), 'include each other');
  } finally {
    await rm(folder, { recursive: true });
  }
  assert.match(await said('\\set show_times', '\\set'), /show_times +\| true/);
  assert.match(await said('SELECT 1;'), 'Time: 0.0ms');
  await said('\\timing', '\\x');
  assert.is(await said('SELECT 1 AS a;'), '-[ RECORD 1 ]\na | 1\n(1 row)\n');
  assert.is(await said('\\x'), 'format is table\n');
  assert.match(await said('\\set nonsense'), 'unknown option "nonsense"');
  assert.match(await said('\\nonsense'), 'invalid syntax');
  assert.match(await said('\\?'), '\\timing');
  assert.is(await said('\\echo a  b'), 'a  b\n');
  assert.is(await said('\\! echo out; echo err >&2').then((text) => [...text.split('\n')].sort().join()), ',err,out');
  assert.match(await said("\\| echo 'SELECT 5 AS five;'"), 'five');
  assert.is(await said('SELECT', '\\p'), 'SELECT\n');
  assert.is(await said('\\r', 'SELECT 7 AS seven;'), '  seven\n---------\n      7\n(1 row)\n');
  await said('\\set errexit', 'SELECT 1/0;');
  assert.ok(shell.hasQuit);
});

const CATALOG: CatalogNames = {
  databases: ['defaultdb', 'movr'],
  schemas: ['public'],
  tables: new Map([
    ['rides', ['id', 'city', 'revenue']],
    ['users', ['id', 'name', 'Odd']],
  ]),
};

test('completion follows the grammar', () => {
  const next = (text: string): string[] => completions(text, CATALOG).words;
  assert.equal(next('SELE'), ['SELECT']);
  assert.equal(next('sele'), ['select']);
  assert.equal(next('SELECT * FROM rides ORD'), ['ORDER']);
  assert.equal(next('SELECT * FROM rides ORDER '), ['BY']);
  assert.ok(next('ALTER TABLE rides ').includes('ADD'));
  assert.not(next('ALTER TABLE rides ').includes('SELECT'));
  assert.equal(next("SELECT 'FR"), []);
  assert.equal(next('SELECT 1; INS'), ['INSERT']);
});

test('completion knows the catalog', () => {
  const next = (text: string): string[] => completions(text, CATALOG).words;
  assert.equal(next('SELECT * FROM ri'), ['rides']);
  assert.equal(next('INSERT INTO us'), ['users']);
  assert.ok(next('SELECT * FROM rides WHERE re').includes('revenue'));
  assert.not(next('SELECT * FROM rides WHERE na').includes('name'));
  assert.equal(next('SELECT u.na'), []);
  assert.equal(next('SELECT * FROM users AS u WHERE u.'), ['"Odd"', 'id', 'name']);
  assert.equal(next('USE mo'), ['movr']);
});

test('a table fits its terminal', () => {
  const columns = ['a', 'long'].map((name) => ({ name, isNumeric: false }));
  const rows = [['1', 'x'.repeat(50)]];
  const width = (text: string): number => Math.max(...text.split('\n').map((line) => line.length));
  assert.ok(width(formatResult({ tag: '', columns, rows }, 'table', 40)) <= 40);
  assert.is(formatResult({ tag: '', columns, rows }, 'table', 40).split('x').length, 51);
  assert.is(formatResult({ tag: '', columns, rows }, 'table', 80), formatResult({ tag: '', columns, rows }, 'table'));
  const many = Array.from({ length: 20 }, (_, i) => ({ name: `column_number_${i}`, isNumeric: false }));
  assert.match(formatResult({ tag: '', columns: many, rows: [many.map(() => 'v')] }, 'table', 40), '-[ RECORD 1 ]');
});

test('every workload loads, the same each time, and its operations run', async ({ db }) => {
  const client = embeddedClient(db);
  for (const workload of WORKLOADS) {
    const load = () => [...workload.load({ rows: 20 })];
    assert.equal(load(), load());
    for (const { sql } of load()) await client.run(sql);
    assert.is((await client.run(`SELECT count(*) FROM ${workload.table}`)).rows[0]?.[0], '20');
    let draw = 0;
    const random = { int: (below: number) => draw++ % below } as Parameters<typeof workload.operation>[0];
    for (let i = 0; i < 12; i++) await client.run(workload.operation(random, 20));
  }
});

test.run();
