/**
 * A table that came and went between two layers, and whose history is too old for the second one to claim: the layer
 * leaves it out, so that it may be collected while the backup is under way.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { COLLECTION, TestDatabase } from './database.ts';

const test = suite('a table that came and went');

test('is neither claimed nor missed', async () => {
  const db = await TestDatabase.open();
  await db.run(
    'CREATE DATABASE d',
    'CREATE TABLE d.t (id INT PRIMARY KEY)',
    'INSERT INTO d.t VALUES (1)',
    `BACKUP DATABASE d INTO '${COLLECTION}' WITH revision_history`,
    'CREATE TABLE d.passing (id INT PRIMARY KEY)',
    'ALTER TABLE d.passing CONFIGURE ZONE USING gc.ttlseconds = 1',
    'INSERT INTO d.passing VALUES (1)',
    'DROP TABLE d.passing',
    'INSERT INTO d.t VALUES (2)',
  );
  await db.clock.advance(1_500_000);
  await db.run("SET CLUSTER SETTING jobs.debug.pausepoints = 'backup.afterLock'");
  await db.run(`BACKUP DATABASE d INTO LATEST IN '${COLLECTION}' WITH revision_history, detached`);
  await db.clock.advance(1);
  await db.run("SET CLUSTER SETTING jobs.debug.pausepoints = ''", 'INSERT INTO d.t VALUES (3)');
  await db.db.kv.gc.runGc();
  assert.is(
    [...(await db.db.services.catalog.current()).all()].some(({ name }) => name === 'passing'),
    false,
    'its data is gone',
  );
  const job = (await db.db.jobs.list()).find(({ status }) => status === 'paused');
  assert.ok(job);
  await db.db.jobs.resume(job.id);
  const { status, error } = await db.db.jobs.wait(job.id);
  assert.is(status, 'succeeded', `${error?.message} ${error?.detail}`);
  await db.run(`RESTORE DATABASE d FROM LATEST IN '${COLLECTION}' WITH new_db_name = 'r'`);
  assert.equal(await db.rows('SELECT id FROM r.t ORDER BY id'), [['1'], ['2']]);
  assert.equal(await db.rows('SELECT table_name FROM [SHOW TABLES FROM r]'), [['t']]);
  await db.close();
});

test.run();
