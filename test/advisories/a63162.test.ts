/**
 * A backup between the time that an index's entries are computed at and their arrival: the layer that first has
 * the index must bring the entries from before its start too. With other changes: test/restore/schemaChange.test.ts.
 */
import * as assert from 'uvu/assert';

import { COLLECTION } from '../restore/database.ts';
import { testAdvisory } from './support.ts';

const ROWS = 50;

testAdvisory('a63162', 'an index that was being filled during a layer comes whole with the next', async (db) => {
  await db.run(
    'CREATE DATABASE d',
    'CREATE TABLE d.t (id INT PRIMARY KEY, a INT)',
    `INSERT INTO d.t SELECT i, i * 2 FROM generate_series(1, ${ROWS}) AS g(i)`,
    `BACKUP DATABASE d INTO '${COLLECTION}'`,
  );
  const other = db.db.newSession();
  let layers = 0;
  db.db.jobs.pausepoints.setHook(async (name) => {
    if (name !== 'schemachange.afterProtect' || layers++ > 0) return;
    await other.execute(`BACKUP DATABASE d INTO LATEST IN '${COLLECTION}'`);
  });
  await db.run('CREATE INDEX later ON d.t (a)');
  assert.is(layers, 1);
  db.db.jobs.pausepoints.setHook(undefined);
  await db.run(`INSERT INTO d.t VALUES (0, 0); BACKUP DATABASE d INTO LATEST IN '${COLLECTION}'`);
  await db.run(`RESTORE DATABASE d FROM LATEST IN '${COLLECTION}' WITH new_db_name = 'r'`);
  assert.is((await db.rows('SELECT a FROM r.t@later')).length, ROWS + 1);
  assert.equal(await db.problems(), []);
});
