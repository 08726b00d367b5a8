/**
 * Whatever index and order the optimizer chooses, a query gives what a plain filter over the whole
 * table gives. `OFFSET 0` around the table is a fence: no condition passes it, so the fenced form
 * scans, filters and sorts.
 */
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { openSql } from '../support/sqlHarness.ts';
import { runs } from '../support/depth.ts';

const test = suite('sql plan equivalence');

const COLUMNS = ['a', 'b', 'c', 'd'] as const;
const column = fc.constantFrom(...COLUMNS);
const value = fc.oneof(
  { weight: 9, arbitrary: fc.integer({ min: -1, max: 6 }).map(String) },
  { weight: 1, arbitrary: fc.constant('NULL') },
);

const condition: fc.Arbitrary<string> = fc.oneof(
  fc.tuple(column, fc.constantFrom('=', '<', '<=', '>', '>=', '<>'), value).map(([name, op, v]) => `${name} ${op} ${v}`),
  fc.tuple(column, fc.array(value, { minLength: 1, maxLength: 4 })).map(([name, list]) => `${name} IN (${list.join(', ')})`),
  fc.tuple(column, fc.boolean()).map(([name, negated]) => `${name} IS ${negated ? 'NOT ' : ''}NULL`),
  fc.tuple(column, value, value).map(([name, low, high]) => `${name} BETWEEN ${low} AND ${high}`),
  fc.tuple(value, column).map(([v, name]) => `${v} < ${name}`),
  fc.tuple(column, column).map(([x, y]) => `(${x} = 1 OR ${y} > 3)`),
  fc.tuple(column, value, value, value).map(([x, v, low, high]) => `(${x} < ${v} OR ${x} BETWEEN ${low} AND ${high} OR ${x} = 5)`),
  fc.tuple(column, value, value).map(([x, v, w]) => `(${x} = ${v} OR ${x} = ${w} OR ${x} IS NULL)`),
  fc.tuple(column, column, value, value).map(([x, y, v, w]) => `((${x} = ${v} AND ${y} > 2) OR ${x} >= ${w})`),
  fc
    .tuple(column, column, fc.constantFrom('<', '<=', '>', '>=', '='), value, value)
    .map(([x, y, op, v, w]) => `(${x}, ${y}) ${op} (${v}, ${w})`),
  fc.tuple(column, column, value, value).map(([x, y, v, w]) => `(${x}, ${y}) IN ((${v}, ${w}), (1, 2))`),
  fc.tuple(column, value).map(([x, v]) => `${x} IS NOT DISTINCT FROM ${v}`),
  fc.constantFrom("s LIKE 'a%'", "s LIKE 'ab_'", "s LIKE '%b'", "s LIKE 'b'", "s NOT LIKE 'a%'", "s LIKE 'é%'", "s >= 'b'"),
  fc.constantFrom('d > 2', 'd = 4', 'd IS NOT NULL', 'NOT f', 'f', 'f IS TRUE'),
  fc.tuple(column, column).map(([x, y]) => `${x} IN (SELECT ${y} FROM t WHERE a = 2)`),
);
const orderItem = fc
  .tuple(column, fc.boolean(), fc.constantFrom('', ' NULLS FIRST', ' NULLS LAST'))
  .map(([name, descending, nulls]) => `${name}${descending ? ' DESC' : ''}${nulls}`);

const query = fc.record({
  conditions: fc.array(condition, { maxLength: 3 }),
  order: fc.uniqueArray(orderItem, { maxLength: 3, selector: (item) => item[0] }),
  limit: fc.option(fc.integer({ min: 0, max: 6 })),
});

test('an optimized query equals the fenced one', async () => {
  const db = await openSql();
  await db.exec(`CREATE TABLE t (
    a INT, b INT, c INT, d INT, id INT PRIMARY KEY, s STRING, f BOOL,
    INDEX ab (a, b DESC), INDEX c_d (c) STORING (d), UNIQUE INDEX bcid (b, c, id), INDEX d_desc (d DESC, a),
    INDEX s (s), INDEX f_a (f, a), INDEX part (a) WHERE d > 2, INDEX part_c (c DESC) STORING (a) WHERE d IS NOT NULL
  )`);
  const texts = ['NULL', "'a'", "'ab'", "'abc'", "'b'", "'bé'", "'é'", "'éa'", "''"];
  const rows = Array.from({ length: 120 }, (_, i) => {
    const pick = (salt: number): string => ((i * salt) % 7 === 6 ? 'NULL' : String((i * salt) % 7));
    return `(${pick(3)}, ${pick(5)}, ${pick(11)}, ${pick(13)}, ${i}, ${texts[i % texts.length]}, ${pick(17) === 'NULL' ? 'NULL' : i % 4 === 1})`;
  });
  await db.exec(`INSERT INTO t VALUES ${rows.join(', ')}`);
  await fc.assert(
    fc.asyncProperty(query, async ({ conditions, order, limit }) => {
      const where = conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : '';
      // The primary key at the end makes the order total, so that a limit means the same rows.
      const tail = `ORDER BY ${[...order, 'id'].join(', ')}${limit === null ? '' : ` LIMIT ${limit}`}`;
      const fast = await db.rows(`SELECT id, a, d FROM t ${where} ${tail}`);
      const plain = await db.rows(`SELECT id, a, d FROM (SELECT * FROM t OFFSET 0) AS t ${where} ${tail}`);
      assert.equal(fast, plain, `${where} ${tail}`);
      const counted = await db.rows(`SELECT count(*), sum(id) FROM t ${where}`);
      const fenced = await db.rows(`SELECT count(*), sum(id) FROM (SELECT * FROM t OFFSET 0) AS t ${where}`);
      assert.equal(counted, fenced, where);
    }),
    { numRuns: runs(300), seed: 7 },
  );
  db.close();
});

test('a join equals the fenced one, whatever its algorithm', async () => {
  const db = await openSql();
  await db.exec(`CREATE TABLE p (id INT PRIMARY KEY, g INT, INDEX (g)); CREATE TABLE q (id INT PRIMARY KEY, pid INT, v INT, INDEX (pid))`);
  await db.exec('INSERT INTO p SELECT i, CASE WHEN i % 5 = 0 THEN NULL ELSE i % 4 END FROM generate_series(1, 30) AS s(i)');
  await db.exec('INSERT INTO q SELECT i, CASE WHEN i % 6 = 0 THEN NULL ELSE i % 20 END, i % 3 FROM generate_series(1, 60) AS s(i)');
  const joinType = fc.constantFrom('JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN');
  const on = fc.constantFrom('p.id = q.pid', 'p.id = q.pid AND q.v > 0', 'p.g = q.v', 'p.id = q.pid AND p.g = 1', 'p.id < q.id - 50');
  const where = fc.constantFrom(
    '',
    'WHERE p.id = 7',
    'WHERE p.g = 2 AND q.v < 2',
    'WHERE q.id IS NULL',
    'WHERE q.v = 1 OR p.id IS NULL',
    'WHERE p.id IN (1, 5, 7)',
  );
  await fc.assert(
    fc.asyncProperty(joinType, on, where, async (join, condition, filter) => {
      const tail = `ON ${condition} ${filter} ORDER BY p.id, q.id`;
      const fast = await db.rows(`SELECT p.id, p.g, q.id, q.v FROM p ${join} q ${tail}`);
      const plain = await db.rows(
        `SELECT p.id, p.g, q.id, q.v FROM (SELECT * FROM p OFFSET 0) AS p ${join} (SELECT * FROM q OFFSET 0) AS q ${tail}`,
      );
      assert.equal(fast, plain, `${join} ${tail}`);
    }),
    { numRuns: runs(200), seed: 7 },
  );
  db.close();
});

test('a chain of joins and correlated EXISTS equal their fenced forms', async () => {
  const db = await openSql();
  await db.exec(`CREATE TABLE p (id INT PRIMARY KEY, g INT, h INT); CREATE TABLE q (id INT PRIMARY KEY, pid INT, v INT);
    CREATE TABLE r (id INT PRIMARY KEY, k INT, w INT, INDEX (k))`);
  await db.exec('INSERT INTO p SELECT i, CASE WHEN i % 5 = 0 THEN NULL ELSE i % 4 END, i % 3 FROM generate_series(1, 20) AS s(i)');
  await db.exec('INSERT INTO q SELECT i, CASE WHEN i % 6 = 0 THEN NULL ELSE i % 12 END, i % 3 FROM generate_series(1, 25) AS s(i)');
  await db.exec('INSERT INTO r SELECT i, i % 7, CASE WHEN i % 4 = 0 THEN NULL ELSE i % 5 END FROM generate_series(1, 15) AS s(i)');
  const condition = fc.constantFrom(
    'p.id = r.k',
    'r.w = q.v',
    'p.g = q.v',
    'q.pid = p.id',
    'p.h + q.v = r.w',
    'q.id > 20',
    'p.g IS NULL',
    'r.id < p.id',
  );
  const table = (name: string, isFenced: boolean): string => (isFenced ? `(SELECT * FROM ${name} OFFSET 0)` : name);
  const inner = fc.constantFrom(
    'q.pid = p.id',
    'q.pid = p.id AND q.v > p.h',
    'q.v = p.g AND q.id < 9',
    'p.g = q.v AND p.h = 1',
    'q.pid = p.id OR q.v = p.g',
    'q.pid < p.id',
  );
  const negated = fc.constantFrom('EXISTS', 'NOT EXISTS');
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(condition, { minLength: 1, maxLength: 3 }), negated, inner, async (conditions, exists, tie) => {
      const chain = (isFenced: boolean): string =>
        `SELECT p.id, q.id, r.id FROM ${table('p', isFenced)} AS p, ${table('q', isFenced)} AS q, ${table('r', isFenced)} AS r
         WHERE ${isFenced ? `CASE WHEN ${conditions.join(' AND ')} THEN true END` : conditions.join(' AND ')} ORDER BY 1, 2, 3`;
      assert.equal(await db.rows(chain(false)), await db.rows(chain(true)), conditions.join(' AND '));
      // OFFSET 0 inside keeps the subquery one that runs row by row.
      const semi = (fence: string): string =>
        `SELECT p.id FROM p WHERE p.id < 18 AND ${exists} (SELECT 1 FROM q WHERE ${tie} ${fence}) AND ${conditions[0]?.includes('r.') ? 'true' : 'p.h < 2'} ORDER BY 1`;
      assert.equal(await db.rows(semi('')), await db.rows(semi('OFFSET 0')), `${exists} ${tie}`);
      const plan = (await db.rows(`EXPLAIN ${semi('')}`)).map(([line]) => line).join('\n');
      assert.is(/join \((semi|anti)\)/.test(plan), tie.includes(' = ') && !tie.includes(' OR '), plan);
    }),
    { numRuns: runs(60), seed: 7 },
  );
  db.close();
});

test('min and max equal what the fenced table gives', async () => {
  const db = await openSql();
  await db.exec('CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, INDEX (a), INDEX (b DESC, a))');
  await db.exec('INSERT INTO t SELECT i, CASE WHEN i % 3 = 0 THEN NULL ELSE (i * 7) % 20 END, i % 4 FROM generate_series(1, 40) AS s(i)');
  for (const call of ['min(a)', 'max(a)', 'min(b)', 'max(b)', 'min(id)', 'max(id)', 'min(a + 1)', 'max(a) FILTER (WHERE b = 1)']) {
    for (const where of ['true', 'a > 5', 'b = 2', 'a IS NULL', 'id > 100', 'b = 3 AND a < 10']) {
      const [fast, plain] = ['t', '(SELECT * FROM t OFFSET 0) AS t'].map((from) => db.rows(`SELECT ${call} FROM ${from} WHERE ${where}`));
      assert.equal(await fast, await plain, `${call} WHERE ${where}`);
    }
  }
  db.close();
});

test.run();
