/**
 * Sessions: prepared statements, portals, cancellation, timeouts, retries, hooks.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { isVarveError } from '../../src/base/errors.ts';
import { Type } from '../../src/catalog/type.ts';
import type { ShowJobs } from '../../src/sql/parse/ast.ts';
import { openSql, type SqlHarness, textRows } from '../support/sqlHarness.ts';

const test = suite('sql session');

async function withDb(work: (db: SqlHarness) => Promise<void>): Promise<void> {
  const db = await openSql();
  try {
    await work(db);
  } finally {
    db.close();
  }
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (isVarveError(error)) return error.code;
    throw error;
  }
  return 'no error';
}

test('a prepared statement tells its parameter types and columns without running', () =>
  withDb(async (db) => {
    await db.exec('CREATE TABLE t (a INT PRIMARY KEY, b STRING)');
    const session = db.session();
    const prepared = await session.prepare('p', 'INSERT INTO t VALUES ($1, $2) RETURNING a + 1 AS n');
    assert.equal(
      prepared.parameterTypes.map((type) => type.family),
      ['int', 'string'],
    );
    assert.equal(
      prepared.columns?.map((column) => column.name),
      ['n'],
    );
    assert.equal(await db.rows('SELECT count(*) FROM t'), [['0']]);
    session.bind('', 'p', [1, 'x' as never]);
    const result = await session.executePortal('');
    assert.is(result.tag, 'INSERT 0 1');
    assert.equal(result.rows, [[2]]);
    assert.equal(await db.rows('SELECT * FROM t', { session: 'other' }), [['1', 'x']]);
  }));

test('an untyped placeholder is a string, and an error in PREPARE; a declared type settles it', () =>
  withDb(async (db) => {
    const session = db.session();
    assert.is((await session.prepare('', 'SELECT $1')).parameterTypes[0]?.family, 'string');
    assert.is(await codeOf(session.execute('PREPARE untyped AS SELECT $1')), '42P18');
    const prepared = await session.prepare('', 'SELECT $1', [Type.Date]);
    assert.is(prepared.parameterTypes[0]?.family, 'date');
    assert.is(await codeOf(session.prepare('', 'SELECT 1; SELECT 2')), '42601');
    await session.prepare('same', 'SELECT 1');
    assert.is(await codeOf(session.prepare('same', 'SELECT 1')), '42P05');
  }));

test('a portal gives its rows in pieces, and ends its transaction at sync', () =>
  withDb(async (db) => {
    const session = db.session();
    await session.prepare('s', 'SELECT i FROM generate_series(1, 5) AS g(i)');
    session.bind('c', 's', []);
    const first = await session.executePortal('c', 2);
    assert.equal([first.rows, first.suspended, first.tag], [[[1], [2]], true, undefined]);
    const second = await session.executePortal('c', 2);
    assert.equal([second.rows, second.suspended], [[[3], [4]], true]);
    const last = await session.executePortal('c', 2);
    assert.equal([last.rows, last.suspended, last.tag], [[[5]], false, 'SELECT 5']);
    await session.sync();
    assert.is(session.transactionStatus, 'I');
    assert.is(await codeOf(session.executePortal('nope')), '34000');
  }));

test('a plan is made again when the table changes under it', () =>
  withDb(async (db) => {
    await db.exec('CREATE TABLE t (a INT PRIMARY KEY, b INT)');
    await db.exec('INSERT INTO t VALUES (1, 2)');
    assert.equal(await db.rows('SELECT * FROM t'), [['1', '2']]);
    await db.exec('ALTER TABLE t ADD COLUMN c INT DEFAULT 3', { session: 'other' });
    assert.equal(await db.rows('SELECT * FROM t'), [['1', '2', '3']]);
    await db.exec('CREATE UNIQUE INDEX ON t (b)', { session: 'other' });
    assert.is(await codeOf(db.exec('INSERT INTO t VALUES (2, 2)')), '23505');
  }));

test('a write through a plan that a schema change has overtaken fails its commit', () =>
  withDb(async (db) => {
    await db.exec('CREATE TABLE t (a INT PRIMARY KEY, b INT)');
    await db.exec('BEGIN; INSERT INTO t VALUES (1, 1)');
    await db.exec('CREATE INDEX ON t (b)', { session: 'other' });
    assert.is(await codeOf(db.exec('COMMIT')), '40001');
    assert.equal(await db.rows('SELECT count(*) FROM t@t_b_idx'), [['0']]);
  }));

test('implicit statements that conflict run again until they succeed', () =>
  withDb(async (db) => {
    await db.exec('CREATE TABLE n (id INT PRIMARY KEY, v INT)');
    await db.exec('INSERT INTO n VALUES (1, 0)');
    const sessions = Array.from({ length: 8 }, (_, i) => `s${i}`);
    await Promise.all(sessions.map((session) => db.exec('UPDATE n SET v = v + 1 WHERE id = 1', { session })));
    assert.equal(await db.rows('SELECT v FROM n'), [['8']]);
  }));

test('cancel ends a waiting statement with 57014, and the session goes on', () =>
  withDb(async (db) => {
    await db.exec('CREATE TABLE t (a INT PRIMARY KEY, b INT); INSERT INTO t VALUES (1, 1)');
    await db.exec('BEGIN; UPDATE t SET b = 2');
    const waiting = codeOf(db.exec('UPDATE t SET b = 3', { session: 'b' }));
    await new Promise((resolve) => setImmediate(resolve));
    db.session('b').cancel();
    assert.is(await waiting, '57014');
    await db.exec('COMMIT');
    await db.exec('UPDATE t SET b = 4', { session: 'b' });
    assert.equal(await db.rows('SELECT b FROM t'), [['4']]);
  }));

test('statement_timeout counts on the clock', () =>
  withDb(async (db) => {
    await db.exec('CREATE TABLE t (a INT PRIMARY KEY, b INT); INSERT INTO t VALUES (1, 1)');
    await db.exec('BEGIN; UPDATE t SET b = 2');
    await db.exec("SET statement_timeout = '2s'", { session: 'b' });
    const waiting = codeOf(db.exec('UPDATE t SET b = 3', { session: 'b' }));
    await new Promise((resolve) => setImmediate(resolve));
    await db.clock.advance('3s');
    assert.is(await waiting, '57014');
    await db.exec('ROLLBACK');
  }));

test('results before an error are given, though the implicit transaction is undone', () =>
  withDb(async (db) => {
    await db.exec('CREATE TABLE t (a INT PRIMARY KEY)');
    const tags: string[] = [];
    const failing = db.exec('INSERT INTO t VALUES (1); INSERT INTO t VALUES (1)', { onResult: (result) => tags.push(result.tag) });
    assert.is(await codeOf(failing), '23505');
    assert.equal(tags, ['INSERT 0 1']);
    assert.equal(await db.rows('SELECT count(*) FROM t'), [['0']]);
  }));

test('a hook runs its statement kind, also as a row source', () =>
  withDb(async (db) => {
    db.engine.statements.register<ShowJobs>('showJobs', {
      isReadOnly: true,
      columns: () => [{ name: 'job_id', type: Type.Int8 }],
      run: async () => ({ tag: 'SHOW JOBS 2', rows: [[7], [8]] }),
    });
    assert.equal(await db.rows('SHOW JOBS'), [['7'], ['8']]);
    assert.equal(await db.rows('SELECT job_id + 1 FROM [SHOW JOBS] WHERE job_id > 7'), [['9']]);
    db.engine.virtualTables.register({
      schema: 'varve_internal',
      name: 'answers',
      columns: [{ name: 'n', type: Type.Int8 }],
      rows: () => [[42]],
    });
    assert.equal(await db.rows('SELECT n FROM varve_internal.answers'), [['42']]);
  }));

test('rows of several families, and indexes that do not cover, come back whole and in order', () =>
  withDb(async (db) => {
    await db.exec(
      'CREATE TABLE f (a INT, b INT, c STRING, d STRING, PRIMARY KEY (a, b DESC), INDEX by_c (c), FAMILY (a, b), FAMILY (c), FAMILY (d))',
    );
    await db.exec(
      "INSERT INTO f SELECT i // 10, i % 10, CASE WHEN i % 3 = 0 THEN NULL ELSE 'c' || (i % 4)::STRING END, NULL FROM generate_series(0, 299) AS g(i)",
    );
    await db.exec("UPDATE f SET d = 'set', c = NULL WHERE b = 5");
    const forward = await db.rows('SELECT a, b, c, d FROM f ORDER BY a, b DESC');
    const reverse = await db.rows('SELECT a, b, c, d FROM f ORDER BY a DESC, b');
    assert.is(forward.length, 300);
    assert.equal(reverse, [...forward].reverse());
    assert.equal(forward[4], ['0', '5', null, 'set']);
    const byIndex = await db.rows("SELECT a, b, c, d FROM f WHERE c = 'c1' ORDER BY a, b DESC");
    assert.equal(
      byIndex,
      forward.filter((row) => row[2] === 'c1'),
    );
    assert.equal(await db.rows('SELECT count(*) FROM f WHERE c IS NULL'), [[String(forward.filter((row) => row[2] === null).length)]]);
    assert.equal(await db.rows('SELECT a, b FROM f WHERE a = 3 AND b IN (1, 9, 4)'), [
      ['3', '9'],
      ['3', '4'],
      ['3', '1'],
    ]);
  }));

test('closing a session rolls back what was open', () =>
  withDb(async (db) => {
    await db.exec('CREATE TABLE t (a INT PRIMARY KEY)');
    const session = db.engine.newSession();
    await session.execute('BEGIN; INSERT INTO t VALUES (1)');
    session.close();
    assert.is(await codeOf(session.execute('SELECT 1')), '57P01');
    await db.exec('INSERT INTO t VALUES (1)');
    assert.equal(textRows((await db.exec('SELECT * FROM t'))[0]), [['1']]);
  }));

test.run();
