/**
 * Garbage collection beside a split and new writes. There a request to clear a span was built before a split, and
 * took rows that were written behind it. Here what may go is decided version by version, and goes in the same step,
 * in a store that no split touches.
 */
import * as assert from 'uvu/assert';

import type { Bytes } from '../../src/base/bytes.ts';
import { tablePrefix } from '../../src/base/keycode.ts';
import { tableNamed } from '../sql/schemaChange/agreement.ts';
import { testAdvisory } from './support.ts';

/** More than a span of garbage had to hold there, and more than one slice of a run here. */
const ROWS = 2500;

testAdvisory('a162085', 'rows written where garbage is being collected stay, whatever splits meanwhile', async (db) => {
  const { kv } = db.db;
  await db.run(
    'CREATE DATABASE d',
    'CREATE TABLE d.t (id INT PRIMARY KEY, a INT, INDEX by_a (a))',
    'ALTER TABLE d.t CONFIGURE ZONE USING gc.ttlseconds = 60',
    `INSERT INTO d.t SELECT i, -i FROM generate_series(1, ${ROWS}) AS g(i)`,
  );
  const { id } = tableNamed(db.db.engine, 't');
  const { keys } = await kv.at(kv.reading()).scan({ key: tablePrefix(id), endKey: tablePrefix(id + 1) });
  await db.run('DELETE FROM d.t WHERE true');
  await db.clock.advance(61_000_000);
  const collecting = kv.gc.runGc();
  // Without the family: where a row starts.
  kv.ranges.split(keys[ROWS / 2]?.slice(0, -1) as Bytes);
  const writing = db.run(`INSERT INTO d.t VALUES (1, 10), (${ROWS - 5}, 20)`);
  await Promise.all([collecting, writing]);
  await db.run(`INSERT INTO d.t VALUES (${ROWS - 4}, 30)`);
  await kv.gc.runGc();
  const expected = [
    ['1', '10'],
    [`${ROWS - 5}`, '20'],
    [`${ROWS - 4}`, '30'],
  ];
  assert.equal(await db.rows('SELECT id, a FROM d.t ORDER BY id'), expected);
  assert.equal(await db.rows('SELECT id, a FROM d.t@by_a ORDER BY id'), expected);
  assert.equal(await db.problems(), []);
});
