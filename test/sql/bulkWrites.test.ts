/**
 * Statements of several pieces: whether unique keys collide is settled by the state that the whole
 * statement leaves, wherever the pieces are cut.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { isVarveError } from '../../src/base/errors.ts';
import { WRITE_ROWS } from '../../src/sql/exec/run.ts';
import { openSql } from '../support/sqlHarness.ts';

/** Two pieces and a bit. */
const ROWS = 2 * WRITE_ROWS + 7;

type Db = Awaited<ReturnType<typeof openSql>>;

async function filled(columns = 'id INT PRIMARY KEY, u INT UNIQUE, p INT, UNIQUE INDEX positive (p) WHERE p > 0'): Promise<Db> {
  const db = await openSql();
  await db.exec(`CREATE TABLE t (${columns})`);
  await db.exec(`INSERT INTO t SELECT i, i, i FROM generate_series(1, ${ROWS}) AS g(i)`);
  return db;
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (isVarveError(error)) return error.code;
    throw error;
  }
  return 'ok';
}

/** Count, and the sums of the columns, through the primary index and through each other one. */
async function sums(db: Db): Promise<string[]> {
  const found: string[] = [];
  for (const index of ['t_pkey', 't_u_key']) {
    found.push((await db.rows(`SELECT count(*), sum(id), sum(u), sum(p) FROM t@${index}`)).join());
  }
  assert.is(found[0], found[1]);
  return found;
}

const sumTo = (n: number): number => (n * (n + 1)) / 2;

const test = suite('sql: bulk writes');

for (const step of [1, -1]) {
  test(`all rows move on by ${step}, in the primary key and in a unique index`, async () => {
    const db = await filled();
    await db.exec(`UPDATE t SET id = id + ${step}, u = u + ${step}, p = p + ${step}`);
    const sum = sumTo(ROWS) + step * ROWS;
    assert.is((await sums(db))[0], `${ROWS},${sum},${sum},${sum}`);
    assert.equal(await db.rows('SELECT min(id), max(id) FROM t'), [[String(1 + step), String(ROWS + step)]]);
  });
}

test('all rows trade keys, first for last', async () => {
  const db = await filled();
  await db.exec(`UPDATE t SET id = ${ROWS + 1} - id, u = ${ROWS + 1} - u`);
  assert.is((await sums(db))[0], `${ROWS},${sumTo(ROWS)},${sumTo(ROWS)},${sumTo(ROWS)}`);
  assert.equal(await db.rows('SELECT u, p FROM t WHERE id = 1'), [['1', String(ROWS)]]);
});

test('a partial unique index takes in the first rows as it lets go of the last', async () => {
  const db = await filled();
  await db.exec(`UPDATE t SET p = -1 WHERE id <= ${WRITE_ROWS}`);
  // The first rows get the values of the last, which leave the index two pieces later.
  await db.exec(`UPDATE t SET p = CASE WHEN id <= ${WRITE_ROWS} THEN ${ROWS} + 1 - id ELSE 0 - id END`);
  assert.equal(await db.rows('SELECT count(*) FROM t WHERE p > 0'), [[String(WRITE_ROWS)]]);
});

test('a collision is found in whichever pieces its two rows lie, and nothing of the statement stays', async () => {
  const db = await filled();
  const before = await sums(db);
  for (const sql of [
    `UPDATE t SET id = CASE id WHEN ${ROWS} THEN 2 ELSE id + 1 END`,
    `UPDATE t SET u = CASE id WHEN 1 THEN ${ROWS + 1} ELSE u + 1 END`,
    `UPDATE t SET u = CASE id WHEN 1 THEN ${ROWS} ELSE u END`,
    `UPDATE t SET id = id + 1 WHERE id < ${ROWS}`,
    `UPDATE t SET p = 5 WHERE id IN (7, ${ROWS})`,
    `INSERT INTO t SELECT ${ROWS} + i, CASE i WHEN ${ROWS} THEN 2 * ${ROWS} - 1 ELSE ${ROWS} + i END, -1 FROM generate_series(1, ${ROWS}) AS g(i)`,
  ]) {
    assert.is(await codeOf(db.exec(sql)), '23505', sql);
    assert.equal(await sums(db), before, sql);
  }
});

test('ON CONFLICT DO UPDATE moves unique values on across pieces, and meets a row once', async () => {
  const db = await filled();
  const series = `generate_series(1, ${ROWS + 3}) AS g(i)`;
  await db.exec(`INSERT INTO t SELECT i, 0 - i, i FROM ${series} ON CONFLICT (id) DO UPDATE SET u = t.u + 3, p = 0`);
  assert.equal(await db.rows('SELECT count(*), min(u) FROM t WHERE p = 0'), [[String(ROWS), '4']]);
  const twice = `SELECT CASE i WHEN ${ROWS} THEN 1 ELSE i END, 0 - i, 0 FROM generate_series(1, ${ROWS}) AS g(i)`;
  assert.is(await codeOf(db.exec(`INSERT INTO t ${twice} ON CONFLICT (id) DO UPDATE SET p = -1`)), '21000');
  assert.is(await codeOf(db.exec(`UPSERT INTO t ${twice}`)), '21000');
});

test('ON CONFLICT DO NOTHING keeps the first of two rows of different pieces', async () => {
  const db = await openSql();
  await db.exec('CREATE TABLE t (id INT PRIMARY KEY, u INT UNIQUE)');
  const [count] = await db.rows(
    `WITH n AS (INSERT INTO t SELECT i, i % ${WRITE_ROWS} FROM generate_series(1, ${ROWS}) AS g(i) ON CONFLICT DO NOTHING RETURNING id) SELECT count(*), max(id) FROM n`,
  );
  assert.equal(count, [String(WRITE_ROWS), String(WRITE_ROWS)]);
});

test('RETURNING gives every row of an update that moves keys, old order kept', async () => {
  const db = await filled();
  const rows = await db.rows('UPDATE t SET id = id + 1 RETURNING id, u');
  assert.is(rows.length, ROWS);
  assert.equal(rows[0], ['2', '1']);
  assert.equal(rows.at(-1), [String(ROWS + 1), String(ROWS)]);
});

test('a cascade moves the keys of more children than a piece holds', async () => {
  const db = await openSql();
  await db.exec('CREATE TABLE up (id INT PRIMARY KEY)');
  await db.exec('CREATE TABLE down (id INT PRIMARY KEY, up INT UNIQUE REFERENCES up (id) ON UPDATE CASCADE)');
  await db.exec(`INSERT INTO up SELECT i FROM generate_series(1, ${ROWS}) AS g(i)`);
  await db.exec(`INSERT INTO down SELECT i, i FROM generate_series(1, ${ROWS}) AS g(i)`);
  await db.exec('UPDATE up SET id = id + 1');
  assert.equal(await db.rows('SELECT count(*), sum(up - id) FROM down'), [[String(ROWS), String(ROWS)]]);
});

test.run();
