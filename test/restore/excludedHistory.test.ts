/**
 * A table that is excluded from backups while one with history is under way: nothing holds its history any more, so
 * the backup says that it is gone, instead of claiming times whose rows it does not have.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { COLLECTION, TestDatabase } from './database.ts';

const test = suite('history of a table that is excluded meanwhile');
const HOUR = 3_600_000_000;

/** A layer with history, during which the table is excluded and its history collected, or not. */
async function backUp(during: readonly string[], hours: number): Promise<{ db: TestDatabase; code: string }> {
  const db = await TestDatabase.open();
  await db.run(
    'CREATE DATABASE d',
    'CREATE TABLE d.t (id INT PRIMARY KEY, a INT)',
    'ALTER DATABASE d CONFIGURE ZONE USING gc.ttlseconds = 7200',
    'INSERT INTO d.t VALUES (1, 10), (2, 20)',
  );
  await db.clock.advance(HOUR);
  await db.run('DELETE FROM d.t WHERE id = 2');
  await db.clock.advance(1.5 * HOUR);
  const other = db.db.newSession();
  const backup = `BACKUP DATABASE d INTO '${COLLECTION}' WITH revision_history, detached`;
  await db.run("SET CLUSTER SETTING jobs.debug.pausepoints = 'backup.afterLock'", backup);
  await db.clock.advance(1);
  await db.run("SET CLUSTER SETTING jobs.debug.pausepoints = ''");
  for (const sql of during) await other.execute(sql);
  await db.clock.advance(hours * HOUR);
  await db.db.kv.gc.runGc();
  const [job] = (await db.db.jobs.list()).filter(({ type, status }) => type === 'BACKUP' && status === 'paused');
  assert.ok(job, 'the backup waits at its pausepoint');
  await db.db.jobs.resume(job.id);
  const { error } = await db.db.jobs.wait(job.id);
  return { db, code: error?.code ?? 'ok' };
}

test('a full layer does not claim what has been collected', async () => {
  const { db, code } = await backUp(['ALTER TABLE d.t SET (exclude_data_from_backup = true)'], 1);
  // The layer's end is readable; what it claims before that is not.
  assert.is(code, '72000');
  await db.close();
});

test('nor what is gone without a trace: the index that was there before a TRUNCATE', async () => {
  const { db, code } = await backUp(['ALTER TABLE d.t SET (exclude_data_from_backup = true)', 'TRUNCATE d.t'], 5);
  assert.is(code, '72000');
  await db.close();
});

test('without the exclusion the protection holds it, however long the backup waits', async () => {
  const { db, code } = await backUp([], 5);
  assert.is(code, 'ok');
  await db.close();
});

test('an exclusion that nothing has come of yet does no harm', async () => {
  const { db, code } = await backUp(['ALTER TABLE d.t SET (exclude_data_from_backup = true)'], 0);
  assert.is(code, 'ok');
  await db.close();
});

test('a layer without rows holds its schemas, however long it waits', async () => {
  const db = await TestDatabase.open();
  await db.run(
    "SET CLUSTER SETTING jobs.debug.pausepoints = 'backup.afterLock'",
    'CREATE DATABASE d',
    'CREATE TABLE d.t (id INT PRIMARY KEY) WITH (exclude_data_from_backup = true)',
    'INSERT INTO d.t VALUES (1)',
    `BACKUP TABLE d.t INTO '${COLLECTION}' WITH detached`,
  );
  await db.clock.advance(60 * HOUR);
  // The catalog remembers its latest states without reading them; it must have forgotten this one.
  for (let i = 0; i < 70; i++)
    await db.run(`COMMENT ON DATABASE d IS '${i}'`, `ALTER TABLE d.t RENAME TO u${i}`, `ALTER TABLE d.u${i} RENAME TO t`);
  await db.run("SET CLUSTER SETTING jobs.debug.pausepoints = ''");
  const [job] = (await db.db.jobs.list()).filter(({ type }) => type === 'BACKUP');
  assert.ok(job);
  await db.db.jobs.resume(job.id);
  const { status, error } = await db.db.jobs.wait(job.id);
  assert.is(status, 'succeeded', error?.message);
  await db.run('DROP DATABASE d CASCADE', 'CREATE DATABASE d', `RESTORE TABLE d.t FROM LATEST IN '${COLLECTION}'`);
  assert.equal(await db.rows('SELECT * FROM d.t'), []);
  assert.equal(db.db.services.protections.current(), []);
  await db.close();
});

test.run();
