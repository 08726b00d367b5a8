/**
 * Rows by predicate: for any condition, sizes of runs and interruptions, the restored table holds exactly the
 * rows for which it holds, in every index.
 */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { COLLECTION, TestDatabase } from './database.ts';

const test = suite('rows by predicate');

const ROWS = 400;

test('every index holds the rows that meet the condition, wherever the job was interrupted', async () => {
  const database = await TestDatabase.open({ restoreCheckpointBytes: 1 << 9 });
  try {
    await database.run(
      'CREATE DATABASE d',
      'USE d',
      `CREATE TABLE t (a INT, b INT, c STRING, d INT, v INT AS (a % 7) VIRTUAL, PRIMARY KEY (a, b), INDEX by_c (c) STORING (d),
         UNIQUE INDEX by_d (d), INDEX even (c) WHERE d % 2 = 0, INDEX by_v (v), FAMILY (a, b), FAMILY (c), FAMILY (d))`,
      `INSERT INTO t SELECT i // 10, i % 10, repeat('x', i % 50), i FROM generate_series(1, ${ROWS}) AS g(i)`,
      `UPDATE t SET c = NULL WHERE d % 11 = 0`,
      `BACKUP DATABASE d INTO '${COLLECTION}' WITH revision_history`,
      `DELETE FROM t WHERE d % 13 = 0`,
      `UPDATE t SET c = c || 'y' WHERE a > 20`,
      `BACKUP DATABASE d INTO LATEST IN '${COLLECTION}' WITH revision_history`,
    );
    let copies = 0;
    const conditionArbitrary = fc.constantFrom(
      'true',
      'false',
      'd % 3 = 0',
      "c LIKE '%y'",
      'c IS NULL',
      'v = 3 OR b = 9',
      'a BETWEEN 10 AND 12',
    );
    const pauseArbitrary = fc.constantFrom('', 'restore.afterFirstIngest', 'restore.afterFirstCheckpoint', 'restore.afterIngest');
    await fc.assert(
      fc.asyncProperty(conditionArbitrary, pauseArbitrary, async (condition, pause) => {
        const copy = `t${++copies}`;
        await database.run(`SET CLUSTER SETTING jobs.debug.pausepoints = '${pause}'`);
        const restore = `RESTORE TABLE d.t FROM LATEST IN '${COLLECTION}' WHERE ${condition} WITH rename = (t = ${copy}), detached`;
        const [[id = ''] = []] = await database.rows(restore);
        await database.clock.activity.settled();
        await database.run(`SET CLUSTER SETTING jobs.debug.pausepoints = ''`);
        if (pause !== '') await database.run(`RESUME JOB ${id}`);
        await database.rows(`SHOW JOB WHEN COMPLETE ${id}`);
        const of = (table: string, columns: string, where = 'true') =>
          database.rows(`SELECT ${columns} FROM ${table} WHERE ${where} ORDER BY ${columns}`);
        assert.equal(await of(copy, 'a, b, c, d, v'), await of('t', 'a, b, c, d, v', condition));
        assert.equal(await of(`${copy}@by_c`, 'c, d'), await of('t', 'c, d', condition));
        assert.equal(await of(`${copy}@by_d`, 'd'), await of('t', 'd', condition));
        assert.equal(await of(`${copy}@by_v`, 'v, a, b'), await of('t', 'v, a, b', condition));
        assert.equal(await of(`${copy}@even`, 'c, d', 'd % 2 = 0'), await of('t', 'c, d', `(${condition}) AND d % 2 = 0`));
        assert.equal(await database.problems(), []);
      }),
      { numRuns: 15 },
    );
  } finally {
    await database.close();
  }
});

test.run();
