/**
 * Statistics: histograms against counting, samples of large tables, and when tables are looked at unasked.
 */
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { buildHistogram, histogramRows, rowsBetween, rowsEqualTo } from '../../src/catalog/histogram.ts';
import { Type } from '../../src/catalog/type.ts';
import { openSql } from '../support/sqlHarness.ts';
import { runs } from '../support/depth.ts';

const histograms = suite('histograms');

histograms('hold every row once, and are right where a value is a bound', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 200 }),
      fc.integer({ min: 2, max: 40 }),
      (values, buckets) => {
        const sorted = [...values].sort((a, b) => a - b);
        const histogram = buildHistogram(Type.Int8, sorted, 1, buckets);
        assert.ok(histogram);
        assert.is(histogramRows(histogram), values.length);
        assert.ok(histogram.buckets.length <= buckets);
        for (const { upper, equalRows } of histogram.buckets) {
          assert.is(rowsEqualTo(histogram, upper), equalRows);
          assert.is(equalRows, values.filter((value) => value === upper).length);
          const upTo = rowsBetween(histogram, undefined, { value: upper, inclusive: true });
          assert.is(upTo, values.filter((value) => value <= Number(upper)).length);
          assert.is(rowsBetween(histogram, { value: upper, inclusive: false }, undefined), values.length - upTo);
        }
        assert.is(rowsEqualTo(histogram, 31), 0);
        assert.is(rowsEqualTo(histogram, -1), 0);
        // Anything between is at most a bucket off.
        const deepest = Math.max(...histogram.buckets.map((bucket) => bucket.rangeRows));
        for (let value = 0; value <= 30; value++) {
          const estimated = rowsBetween(histogram, undefined, { value, inclusive: false });
          assert.ok(Math.abs(estimated - values.filter((one) => one < value).length) <= deepest);
        }
      },
    ),
    { numRuns: runs(300), seed: 7 },
  );
});

histograms.run();

const collecting = suite('collecting statistics');

collecting('a sample of a large table tells its counts, whatever step its values repeat in', async () => {
  const db = await openSql({ jobs: true });
  await db.exec('CREATE TABLE t (id INT PRIMARY KEY, few INT, half INT, twice INT, gone INT)');
  await db.exec('INSERT INTO t SELECT i, i % 10, i % 3, i // 2, CASE WHEN i % 4 = 0 THEN i END FROM generate_series(1, 90000) AS g(i)');
  await db.exec('ANALYZE t');
  const rows = await db.rows('SELECT column_names, row_count, distinct_count, null_count FROM [SHOW STATISTICS FOR TABLE t]');
  const of = new Map(rows.map(([name, ...counts]) => [name, counts.map(Number)]));
  for (const [, [count]] of of) assert.is(count, 90_000);
  const near = (actual: number | undefined, wanted: number, share: number): void =>
    assert.ok(Math.abs((actual ?? 0) - wanted) <= wanted * share, `${actual} for ${wanted}`);
  near(of.get('{id}')?.[1], 90_000, 0);
  near(of.get('{few}')?.[1], 10, 0);
  near(of.get('{half}')?.[1], 3, 0);
  near(of.get('{twice}')?.[1], 45_000, 0.1);
  near(of.get('{gone}')?.[2], 67_500, 0.02);
  db.close();
});

collecting('a table is looked at by itself when enough of it has changed, and not before', async () => {
  const db = await openSql({ jobs: true });
  db.kv.rangeQueue.start();
  const kept = () => db.rows('SELECT statistics_name, row_count FROM [SHOW STATISTICS FOR TABLE t] ORDER BY created');
  await db.exec('CREATE TABLE t (id INT PRIMARY KEY, a INT); CREATE TABLE small (id INT PRIMARY KEY)');
  await db.exec('INSERT INTO t SELECT i, i FROM generate_series(1, 400) AS g(i); INSERT INTO small VALUES (1)');
  await db.clock.advance('10m');
  assert.equal(await kept(), []);
  await db.exec('INSERT INTO t SELECT i, i FROM generate_series(401, 1000) AS g(i)');
  await db.clock.advance('30s');
  assert.equal(await kept(), []);
  await db.clock.advance('40s');
  assert.equal(await kept(), [
    ['__auto__', '1000'],
    ['__auto__', '1000'],
  ]);
  // 500 + 20% of 1,000.
  await db.exec('UPDATE t SET a = a + 1 WHERE id <= 700');
  await db.clock.advance('10m');
  assert.is((await kept()).length, 2);
  await db.exec('UPDATE t SET a = a + 1 WHERE id = 1');
  await db.clock.advance('10m');
  assert.is((await kept()).length, 4);
  assert.equal(await db.rows('SELECT description, status FROM [SHOW AUTOMATIC JOBS]'), [
    ['Table statistics refresh for defaultdb.public.t', 'succeeded'],
    ['Table statistics refresh for defaultdb.public.t', 'succeeded'],
  ]);
  assert.equal(await db.rows('SELECT * FROM [SHOW JOBS]'), []);
  await db.exec('SET CLUSTER SETTING sql.stats.automatic_collection.enabled = false; DELETE FROM t WHERE true');
  await db.clock.advance('10m');
  assert.is((await kept()).length, 4);
  db.close();
});

collecting.run();

const kept = suite('kept plans');

kept('a plan is made anew when a table has become several times larger, or is counted, and not before', async () => {
  const db = await openSql({ jobs: true });
  await db.exec('CREATE TABLE small (id INT PRIMARY KEY, k INT); CREATE TABLE large (id INT PRIMARY KEY, k INT, INDEX (k))');
  await db.exec('INSERT INTO small SELECT i, i FROM generate_series(1, 200) AS g(i)');
  const sql = 'SELECT count(*) FROM small JOIN large ON small.k = large.k';
  const run = async (): Promise<string | null | undefined> => (await db.rows(sql))[0]?.[0];
  const planOf = () => [...(db.engine.parse(sql)[0]?.plans.values() ?? [])].at(-1)?.compiled.plan;
  assert.is(await run(), '0');
  assert.ok(planOf() === undefined, 'a text that has come once');
  await run();
  await run();
  const first = planOf();
  assert.ok(first);
  await db.exec('INSERT INTO large SELECT i, i FROM generate_series(1, 300) AS g(i)');
  assert.is(await run(), '200');
  assert.ok(planOf() === first, 'three times the size of a small table');
  await db.exec('INSERT INTO large SELECT i, i FROM generate_series(301, 9000) AS g(i)');
  assert.is(await run(), '200');
  const second = planOf();
  assert.ok(second !== first);
  assert.is(await run(), '200');
  assert.ok(planOf() === second);
  await db.exec('ANALYZE large');
  assert.is(await run(), '200');
  assert.ok(planOf() !== second);
  // A plan for one table without statistics is good until there are some.
  const one = 'SELECT count(id) FROM small WHERE k = 7';
  for (let i = 0; i < 3; i++) await db.rows(one);
  const plansOfOne = () => [...(db.engine.parse(one)[0]?.plans.values() ?? [])];
  const guessed = plansOfOne()[0];
  assert.is(guessed?.isCurrent?.(), true);
  await db.exec('ANALYZE small');
  assert.is(guessed?.isCurrent?.(), false);
  await db.rows(one);
  assert.ok(plansOfOne()[0] !== guessed);
  // Whatever the sizes, one row by its key is read by its key.
  const point = 'SELECT k FROM large WHERE id = 5';
  for (let i = 0; i < 3; i++) await db.rows(point);
  assert.is([...(db.engine.parse(point)[0]?.plans.values() ?? [])][0]?.isCurrent, undefined);
  db.close();
});

kept.run();
