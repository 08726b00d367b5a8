/**
 * What jobs of other clusters hold of a collection, and for how long: a restore that is under way elsewhere keeps its chain from
 * EXPIRE and DELETE until it is done, or its process has been dead for a day; so does a backup's lock. Where nothing may be
 * written a restore does without.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { ManualClock } from '../../src/base/manualClock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { collectionAt } from '../../src/backup/collectionStorage.ts';
import { HOLD_MICROS } from '../../src/backup/holders.ts';
import { ReadMark } from '../../src/backup/readMark.ts';
import { FaultInjector, type FaultRule } from '../../src/storage/faulty.ts';
import { MemoryFiles, openMemory } from '../../src/storage/memory.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import { COLLECTION, START, TestDatabase } from './database.ts';

const test = suite('holders');

/** A cluster with a collection of two fulls; returns the older one's directory. */
async function owner(files: MemoryFiles): Promise<{ database: TestDatabase; older: string }> {
  const database = await TestDatabase.open({ files, seed: 'owner' });
  await database.run('CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY); INSERT INTO d.t VALUES (1)');
  for (let i = 0; i < 2; i++) {
    await database.clock.advance('1h');
    await database.run(`BACKUP DATABASE d INTO '${COLLECTION}'`);
  }
  const [[older] = []] = await database.rows(`SHOW BACKUPS IN '${COLLECTION}'`);
  return { database, older: older ?? '' };
}

/** Another cluster, with a restore of the older full that is stopped when it has read something. */
async function reader(files: MemoryFiles, older: string): Promise<{ database: TestDatabase; job: string }> {
  const database = await TestDatabase.open({ files, seed: 'reader' });
  await database.clock.advance('2h');
  const [[job] = []] = await database.rows(
    `SET CLUSTER SETTING jobs.debug.pausepoints = 'restore.afterFirstIngest'; RESTORE DATABASE d FROM '${older}' IN '${COLLECTION}' WITH detached`,
  );
  await database.clock.activity.settled();
  return { database, job: job ?? '' };
}

const EXPIRE = `SELECT path, action, reason FROM [EXPIRE BACKUPS IN '${COLLECTION}' KEEP 1 FULLS]`;

async function marks(files: MemoryFiles): Promise<string[]> {
  return (await openMemory(ParsedUri.parse(COLLECTION), files).list('')).filter((name) => name.includes('BACKUP-READ-'));
}

test('a restore in another cluster keeps its chain until it has read everything', async () => {
  const files = new MemoryFiles();
  const { database, older } = await owner(files);
  const elsewhere = await reader(files, older);
  assert.is((await marks(files)).length, 1);
  const [[path, action, reason] = []] = (await database.rows(EXPIRE)).filter((row) => row[0] === older);
  assert.equal([path, action], [older, 'kept']);
  assert.is(
    reason,
    `it is in use by restore job ${elsewhere.job} of another cluster, until 2026-11-21 14:00:00.000000+00:00 if it does not say so again`,
  );
  assert.match(
    await database.error(`DELETE BACKUP '${older}' IN '${COLLECTION}'`),
    /^55006 backup .* cannot be deleted: it is in use by restore job/,
  );
  await elsewhere.database.run("SET CLUSTER SETTING jobs.debug.pausepoints = ''", `RESUME JOB ${elsewhere.job}`);
  await elsewhere.database.clock.activity.settled();
  assert.equal(await elsewhere.database.rows('SELECT * FROM d.t'), [['1']]);
  assert.equal(await marks(files), []);
  assert.equal(
    (await database.rows(EXPIRE)).filter((row) => row[0] === older),
    [[older, 'deleted', 'a full is newer']],
  );
  await elsewhere.database.close();
  await database.close();
});

test('what a killed restore left lapses after a day', async () => {
  const files = new MemoryFiles();
  const { database, older } = await owner(files);
  await (await reader(files, older)).database.close();
  await database.clock.advance('23h');
  assert.equal(
    (await database.rows(EXPIRE)).map((row) => row[1]),
    ['kept', 'kept'],
  );
  await database.clock.advance('1h');
  assert.equal((await database.rows(EXPIRE)).map((row) => row[1]).sort(), ['deleted', 'kept']);
  assert.equal(await marks(files), []);
  await database.close();
});

test('a mark that has become old is written again', async () => {
  const clock = new ManualClock(START);
  const storage = openMemory(ParsedUri.parse(COLLECTION), new MemoryFiles());
  const collection = collectionAt(storage);
  const mark = new ReadMark('f', { clusterId: 'c', jobId: '1', nodeId: 1 }, clock);
  const until = async () => JSON.parse(Buffer.from(await storage.read('f/BACKUP-READ-1-c')).toString()).until as number;
  const begun = clock.nowMicros();
  await mark.keep(collection);
  await clock.advance('59m');
  await mark.keep(collection);
  assert.is(await until(), begun + HOLD_MICROS);
  await clock.advance('1m');
  await mark.keep(collection);
  assert.is(await until(), clock.nowMicros() + HOLD_MICROS);
  await mark.remove(collection);
  assert.equal(await storage.list(''), []);
});

test('a place that may only be read is restored from', async () => {
  let injector: FaultInjector | undefined;
  const database = await TestDatabase.open({ wrapStorage: (storage) => injector?.wrap(storage) ?? storage });
  await database.run(
    'CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY); INSERT INTO d.t VALUES (1)',
    `BACKUP DATABASE d INTO '${COLLECTION}'`,
  );
  const refuse: FaultRule = { operations: ['write', 'delete'], action: { kind: 'fail', isRetryable: false } };
  const { clock } = database;
  injector = new FaultInjector({ rules: [refuse], random: seededRandom('read only'), clock, activity: clock.activity });
  await database.run(`RESTORE DATABASE d FROM LATEST IN '${COLLECTION}' WITH new_db_name = 'r'`);
  assert.equal(await database.rows('SELECT * FROM r.t'), [['1']]);
  assert.ok(injector.log.some(({ operation, fault }) => operation === 'write' && fault !== undefined));
  // Undone, too.
  const [[job] = []] = await database.rows(
    `SET CLUSTER SETTING jobs.debug.pausepoints = 'restore.beforePublish'; RESTORE DATABASE d FROM LATEST IN '${COLLECTION}' WITH new_db_name = 's', detached`,
  );
  await clock.activity.settled();
  await database.run(`CANCEL JOB ${job}`);
  await clock.advance('1m');
  assert.is((await database.db.jobs.get(Number(job)))?.status, 'canceled');
  await database.close();
});

test('the lock of a killed process lets go after a day', async () => {
  const externalIoDir = mkdtempSync(join(tmpdir(), 'varve-holders-'));
  try {
    const dead = await TestDatabase.open({ externalIoDir, seed: 'dead' });
    await dead.run(
      'CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY); INSERT INTO d.t VALUES (1)',
      "BACKUP DATABASE d INTO 'nodelocal://1/c'",
      "SET CLUSTER SETTING jobs.debug.pausepoints = 'backup.afterFirstExport'",
    );
    await dead.clock.advance('1h');
    await dead.run("BACKUP DATABASE d INTO 'nodelocal://1/c' WITH detached");
    await dead.clock.activity.settled();
    await dead.close();

    const database = await TestDatabase.open({ externalIoDir, seed: 'next' });
    const storage = database.db.storage.open('nodelocal://1/c', { user: 'root', nodeId: 1 });
    const locks = async () => (await storage.list('')).filter((name) => name.includes('BACKUP-LOCK-'));
    const expire = () => database.rows("SELECT path, action FROM [EXPIRE BACKUPS IN 'nodelocal://1/c' KEEP 1 FULLS]");
    await database.clock.advance('24h');
    assert.equal(
      (await expire()).map((row) => row[1]),
      ['kept'],
    );
    assert.is((await locks()).length, 1);
    await database.clock.advance('1h');
    assert.equal(
      (await expire()).map((row) => row[1]),
      ['kept', 'deleted'],
    );
    assert.equal(await locks(), []);
    await storage.close();
    await database.close();
  } finally {
    rmSync(externalIoDir, { recursive: true });
  }
});

test.run();
