/**
 * Restores that are stopped on their way: the coordinator's node dies, the job is paused or canceled,
 * the storage fails, at every place where that can happen. What succeeds is right and whole; what does
 * not leaves nothing.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { seededRandom } from '../../src/base/random.ts';
import type { JobCheckpoint, JobContext, JobOutcome, Json } from '../../src/jobs/job.ts';
import { FIRST_USER_ID } from '../../src/catalog/descriptor.ts';
import type { Txn } from '../../src/kv/kv.ts';
import { detailsFromJson } from '../../src/restore/restoreDetails.ts';
import { PlannedLayers } from '../../src/restore/plannedLayers.ts';
import { RESTORE_PAUSEPOINTS, RestoreResumer } from '../../src/restore/restoreJob.ts';
import type { DatabaseOptions } from '../../src/server/openOptions.ts';
import type { FaultRule } from '../../src/storage/faulty.ts';
import { FaultInjector } from '../../src/storage/faulty.ts';

import { COLLECTION, TestDatabase } from './database.ts';

const test = suite('restore job');

const REVERT_FROM = RESTORE_PAUSEPOINTS.indexOf('restore.beforeRevert');
const OF_CLUSTERS: readonly string[] = ['restore.afterZones', 'restore.beforeSystemTables'];
const FORWARD = RESTORE_PAUSEPOINTS.slice(0, REVERT_FROM).filter((point) => !OF_CLUSTERS.includes(point));
const REVERT = RESTORE_PAUSEPOINTS.slice(REVERT_FROM);

/** Enough rows for several ingested runs; two layers that overlap. */
async function bank(options: DatabaseOptions = {}): Promise<TestDatabase> {
  const database = await TestDatabase.open({ nodes: 3, ...options });
  await database.run(
    'CREATE DATABASE bank; USE bank; CREATE SEQUENCE q',
    'CREATE TABLE accounts (id INT PRIMARY KEY, balance INT, INDEX (balance))',
    "CREATE TABLE moves (id INT PRIMARY KEY DEFAULT nextval('q'), account INT REFERENCES accounts (id))",
    'INSERT INTO accounts SELECT i, 100 + i FROM generate_series(1, 6000) AS g(i)',
    'INSERT INTO moves (account) SELECT i FROM generate_series(1, 20) AS g(i)',
  );
  await database.clock.advance('1s');
  await database.run(`BACKUP DATABASE bank INTO '${COLLECTION}'`);
  await database.run('UPDATE accounts SET balance = 0 WHERE id % 100 = 0', 'DELETE FROM accounts WHERE id > 5000');
  await database.clock.advance('1s');
  await database.run(`BACKUP DATABASE bank INTO LATEST IN '${COLLECTION}' WITH revision_history`);
  return database;
}

const restoreAs = (name: string) => `RESTORE DATABASE bank FROM LATEST IN '${COLLECTION}' WITH new_db_name = '${name}', detached`;

async function start(database: TestDatabase, name: string): Promise<number> {
  return Number((await database.rows(restoreAs(name)))[0]?.[0]);
}

async function assertSame(database: TestDatabase, name: string, what: string): Promise<void> {
  for (const table of ['accounts', 'moves', 'q']) {
    const text = (db: string) => database.rows(`SELECT * FROM ${db}.public.${table} ORDER BY 1`);
    assert.equal(await text(name), await text('bank'), `${what}: ${table}`);
  }
  const byIndex = (db: string) => database.rows(`SELECT id FROM ${db}.public.accounts WHERE balance = 0 ORDER BY id`);
  assert.equal(await byIndex(name), await byIndex('bank'), what);
  assert.equal(await database.problems(), [], what);
}

test('the coordinator dies at each pausepoint, and another node finishes', async () => {
  const database = await bank();
  const { jobs, kv } = database.db;
  for (const [i, point] of FORWARD.entries()) {
    let stops = 0;
    let stopped = 0;
    jobs.pausepoints.setHook((name, ctx) => {
      if (name !== point || stops++ > 0) return;
      stopped = ctx.node.id;
      kv.cluster.stopNode(stopped);
    });
    const id = await start(database, `r${i}`);
    assert.is(await database.finish(id), 'succeeded', point);
    assert.ok(stops >= 1, `${point} was reached`);
    assert.is((await jobs.get(id))?.fractionCompleted, 1);
    await assertSame(database, `r${i}`, point);
    kv.cluster.startNode(stopped);
  }
  await database.close();
});

test('a cancel at each pausepoint leaves nothing, and the next restore works', async () => {
  const database = await bank();
  const { jobs } = database.db;
  const before = await database.traces();
  for (const point of FORWARD) {
    let reached = false;
    jobs.pausepoints.setHook(async (name, ctx) => {
      if (name !== point || reached) return;
      reached = true;
      await jobs.cancel(ctx.jobId);
    });
    assert.is(await database.finish(await start(database, 'r')), 'canceled', point);
    assert.ok(reached, point);
    assert.equal(await database.traces(), before, point);
  }
  assert.is(await database.finish(await start(database, 'r')), 'succeeded');
  await assertSame(database, 'r', 'after cancels');
  await database.close();
});

test('the coordinator dies while it undoes, and another node finishes undoing', async () => {
  const database = await bank();
  const { jobs, kv } = database.db;
  const before = await database.traces();
  for (const point of REVERT) {
    let stopped = 0;
    jobs.pausepoints.setHook(async (name, ctx) => {
      if (name === 'restore.afterFirstIngest') await jobs.cancel(ctx.jobId);
      if (name !== point || stopped > 0) return;
      stopped = ctx.node.id;
      kv.cluster.stopNode(stopped);
    });
    assert.is(await database.finish(await start(database, 'r')), 'canceled', point);
    assert.ok(stopped > 0, point);
    assert.equal(await database.traces(), before, point);
    kv.cluster.startNode(stopped);
  }
  await database.close();
});

test('paused at each pausepoint by the setting, it goes on after RESUME', async () => {
  const database = await bank({ nodes: 1 });
  for (const [i, point] of FORWARD.entries()) {
    await database.run(`SET CLUSTER SETTING jobs.debug.pausepoints = '${point}'`);
    const id = await start(database, `r${i}`);
    assert.is(await database.finish(id), 'paused', point);
    assert.match(await database.error(`SELECT * FROM r${i}.public.accounts`), /^(42P01|55000|3D000)/, point);
    await database.run("SET CLUSTER SETTING jobs.debug.pausepoints = ''", `RESUME JOB ${id}`);
    assert.is(await database.finish(id), 'succeeded', point);
    await assertSame(database, `r${i}`, point);
  }
  await database.close();
});

/** A bank whose storage can be made to fail from now on. */
async function faultyBank(): Promise<{ database: TestDatabase; inject: (...rules: FaultRule[]) => FaultInjector; heal: () => void }> {
  let injector: FaultInjector | undefined;
  const database = await bank({ nodes: 1, wrapStorage: (storage) => injector?.wrap(storage) ?? storage });
  const { clock } = database;
  return {
    database,
    inject: (...rules) => {
      injector = new FaultInjector({ rules, random: seededRandom('faults'), clock, activity: clock.activity });
      return injector;
    },
    heal: () => {
      injector = undefined;
    },
  };
}

test('any one failing call is survived, or fails the restore clearly and leaves nothing', async () => {
  const { database, inject, heal } = await faultyBank();
  const calls = inject();
  await database.rows(`RESTORE DATABASE bank FROM LATEST IN '${COLLECTION}' WITH new_db_name = 'r0'`);
  const callCount = calls.log.length;
  assert.ok(callCount > 10, `${callCount} calls`);
  await database.run('DROP DATABASE r0 CASCADE');
  // What was dropped keeps its place for its TTL.
  let before = await database.traces();
  for (let nth = 1; nth <= callCount; nth++) {
    inject({ nth, count: 1, action: { kind: 'fail', isRetryable: false } });
    const error = await database.error(`RESTORE DATABASE bank FROM LATEST IN '${COLLECTION}' WITH new_db_name = 'r'`);
    if (calls.log[nth - 1]?.name.includes('/BACKUP-READ-')) {
      // A place that may only be read is restored from as well; a mark that could not be deleted lapses.
      assert.is(error, 'no error', `call ${nth}`);
      await database.run('DROP DATABASE r CASCADE');
      before = await database.traces();
      continue;
    }
    assert.match(error, /^58030/, `call ${nth}`);
    assert.equal(await database.traces(), before, `call ${nth}`);
  }
  heal();
  await database.rows(`RESTORE DATABASE bank FROM LATEST IN '${COLLECTION}' WITH new_db_name = 'r'`);
  await assertSame(database, 'r', 'after failures');
  await database.close();
});

test('a passing failure of any data read is retried, and the restore succeeds', async () => {
  const { database, inject, heal } = await faultyBank();
  for (let nth = 1; nth <= 8; nth++) {
    // More in a row than the storage's own retries take: the job has to try again.
    inject({ operations: ['read', 'readStream', 'size'], name: /\.vkv$/, nth, count: 40, action: { kind: 'fail', isRetryable: true } });
    const id = await start(database, `r${nth}`);
    await database.clock.activity.settled();
    await database.clock.advance('1m');
    heal();
    assert.is(await database.finish(id), 'succeeded', `call ${nth}`);
    await assertSame(database, `r${nth}`, `call ${nth}`);
  }
  await database.close();
});

test('a flipped bit or a lost tail anywhere is found: XX001, and nothing is left', async () => {
  const { database, inject, heal } = await faultyBank();
  const reference = await database.traces();
  for (const action of [{ kind: 'corrupt' }, { kind: 'truncate', keepBytes: 30 }] as const) {
    for (let nth = 1; nth <= 30; nth++) {
      const injector = inject({ operations: ['read', 'readStream'], nth, count: 1, action });
      const error = await database.error(`RESTORE DATABASE bank FROM LATEST IN '${COLLECTION}' WITH new_db_name = 'r'`);
      const hit = injector.log.find(({ fault }) => fault !== undefined);
      if (hit === undefined || error === 'no error') {
        // Beyond the last read, or in bytes that were read along and not used: then it is right all the same.
        await assertSame(database, 'r', `${action.kind} ${nth}`);
        assert.ok(hit === undefined || hit.operation === 'read', `${action.kind} of ${hit?.name} went unseen`);
        if (hit === undefined) break;
        await database.run('DROP DATABASE r CASCADE');
        continue;
      }
      assert.match(error, /^(XX001|0A000|58P01)/, `${action.kind} of ${hit.name}`);
      const left = (await database.traces()).filter((line) => !reference.includes(line) && !/ DROP$|^store/.test(line));
      assert.equal(left, [], `${action.kind} of ${hit.name}`);
    }
    heal();
    await database.run('DROP DATABASE IF EXISTS r CASCADE');
  }
  await database.close();
});

test('crashes at every checkpoint, before and after it is stored: each run goes on where the last one came to', async () => {
  const database = await bank({ nodes: 1 });
  const { kv, services, storage, jobs } = database.db;
  const { catalog } = services;
  // A record that planning wrote, whose work is done here by hand.
  await database.run("SET CLUSTER SETTING jobs.debug.pausepoints = 'restore.beforeDescriptors'");
  const id = await start(database, 'r');
  assert.is(await database.finish(id), 'paused');
  const record = await jobs.get(id);
  assert.ok(record);
  let progress: Json = null;
  const doneKeys: string[] = [];
  let runs = 0;
  let outcome: JobOutcome | undefined;
  while (outcome === undefined) {
    runs++;
    const losesCheckpoint = runs % 2 === 0;
    const context = {
      node: kv.cluster.anyLiveNode(),
      signal: new AbortController().signal,
      progress,
      txn: <T>(fn: (txn: Txn) => Promise<T>) => kv.run(fn),
      checkClaim: async () => {},
      pausepoint: async () => {},
      checkpoint: async (update: JobCheckpoint) => {
        if (losesCheckpoint) throw new Error('crash before the checkpoint');
        progress = update.progress as Json;
        doneKeys.push(JSON.stringify(progress));
        if (update.fractionCompleted !== 0.98) throw new Error('crash after the checkpoint');
      },
    } as unknown as JobContext;
    const resumer = new RestoreResumer(
      { kv, catalog, storage, engine: database.db.engine, planned: new PlannedLayers(), checkpointBytes: 1 << 13 },
      detailsFromJson(record.details),
    );
    try {
      outcome = await resumer.resume(context);
    } catch (error) {
      assert.match((error as Error).message, /^crash/);
    }
  }
  assert.ok(runs > 6, `${runs} runs`);
  assert.is(
    new Set(doneKeys.slice(0, -1)).size,
    doneKeys.length - 1,
    'every stored checkpoint is further than the one before, but for the last',
  );
  await database.run("SET CLUSTER SETTING jobs.debug.pausepoints = ''");
  await kv.run(async (txn) => await outcome?.inFinalTxn?.(txn));
  await assertSame(database, 'r', 'after crashes');
  const [whole] = await database.rows(
    `SELECT rows, index_entries, bytes FROM [RESTORE DATABASE bank FROM LATEST IN '${COLLECTION}' WITH new_db_name = 'again']`,
  );
  const { rows, indexEntries, dataBytes } = outcome.result as { rows: number; indexEntries: number; dataBytes: number };
  assert.equal([rows, indexEntries, dataBytes].map(String), whole, 'rows that came twice are counted once');
  await database.close();
});

test('while it runs nobody can use or take what it restores', async () => {
  const database = await bank();
  await database.run('CREATE DATABASE other');
  await database.run("SET CLUSTER SETTING jobs.debug.pausepoints = 'restore.afterIngest'");
  const id = Number(
    (await database.rows(`RESTORE TABLE accounts FROM LATEST IN '${COLLECTION}' WITH into_db = 'other', detached`))[0]?.[0],
  );
  assert.is(await database.finish(id), 'paused');
  assert.is(await database.error('SELECT * FROM other.accounts'), '55000 relation "accounts" is offline: restoring');
  assert.match(await database.error('CREATE TABLE other.accounts (id INT PRIMARY KEY)'), /^42P07/);
  assert.match(await database.error('DROP DATABASE other CASCADE'), /^55000/);
  assert.match(await database.error(`RESTORE TABLE accounts FROM LATEST IN '${COLLECTION}' WITH into_db = 'other'`), /^42P07/);
  const second = await start(database, 'r');
  await database.finish(second);
  assert.match(await database.error('CREATE DATABASE r'), /^42P04/);
  await database.run("SET CLUSTER SETTING jobs.debug.pausepoints = ''", `RESUME JOB ${id}`, `CANCEL JOB ${second}`);
  assert.is(await database.finish(id), 'succeeded');
  assert.is(await database.finish(second), 'canceled');
  assert.equal(await database.rows('SELECT count(*) FROM other.accounts'), [['5000']]);
  assert.equal(await database.problems(), []);
  await database.close();
});

test('of two restores of one name at once, one succeeds whole and the other leaves nothing', async () => {
  const database = await bank();
  const sessions = [database.db.newSession(), database.db.newSession()];
  const sql = `RESTORE DATABASE bank FROM LATEST IN '${COLLECTION}' WITH new_db_name = 'r'`;
  const outcomes = await Promise.all(
    sessions.map((session) =>
      database.rows(sql, session).then(
        () => 'succeeded',
        (error: { code: string; message: string }) => `${error.code} ${error.message}`,
      ),
    ),
  );
  assert.equal(outcomes.sort(), ['42P04 database "r" already exists', 'succeeded']);
  await assertSame(database, 'r', 'the one that succeeded');
  // Stores, descriptors and names are those of the source, of the restored copy, and of the system.
  const before = await database.traces();
  assert.not.ok(before.some((line) => line.includes('OFFLINE')));
  const ids = new Set(before.filter((line) => line.startsWith('descriptor')).map((line) => line.split(' ').at(-2)));
  for (const line of before) {
    const id = line.startsWith('store') ? line.split(' ')[1] : undefined;
    if (Number(id) >= FIRST_USER_ID) assert.ok(ids.has(id), `${line} has no descriptor`);
  }
  await database.close();
});

test('what it goes into is dropped meanwhile: the restore fails at the end and leaves nothing', async () => {
  const database = await bank();
  await database.run('CREATE DATABASE other; CREATE SCHEMA bank.s; CREATE SCHEMA other.s; CREATE TABLE bank.s.t (id INT PRIMARY KEY)');
  await database.run(`BACKUP DATABASE bank INTO '${COLLECTION}'`, "SET CLUSTER SETTING jobs.debug.pausepoints = 'restore.beforePublish'");
  const before = await database.traces();
  const id = Number(
    (await database.rows(`RESTORE TABLE bank.s.t FROM LATEST IN '${COLLECTION}' WITH into_db = 'other', detached`))[0]?.[0],
  );
  assert.is(await database.finish(id), 'paused');
  await database.run('DROP SCHEMA other.s CASCADE');
  await database.run("SET CLUSTER SETTING jobs.debug.pausepoints = ''", `RESUME JOB ${id}`);
  assert.is(await database.finish(id), 'failed');
  assert.equal((await database.db.jobs.get(id))?.error, {
    code: '3F000',
    message: 'the schema that "t" is restored into has been dropped',
  });
  const left = (await database.traces()).filter((line) => !before.includes(line));
  assert.equal(left, []);
  assert.equal(await database.problems(), []);
  await database.run('DROP DATABASE other CASCADE');
  await database.close();
});

test('several databases at once, with references between them, and a long chain of layers', async () => {
  const database = await TestDatabase.open();
  await database.run(
    'SET CLUSTER SETTING sql.cross_db_fks.enabled = true',
    'CREATE DATABASE a; CREATE DATABASE b',
    'CREATE TABLE a.public.parent (id INT PRIMARY KEY, v INT)',
    'CREATE TABLE b.public.child (id INT PRIMARY KEY, p INT REFERENCES a.public.parent (id))',
    'INSERT INTO a.public.parent SELECT i, 0 FROM generate_series(0, 99) AS g(i)',
    'INSERT INTO b.public.child SELECT i, i FROM generate_series(0, 99) AS g(i)',
    `BACKUP DATABASE a, b INTO '${COLLECTION}'`,
  );
  for (let layer = 1; layer <= 40; layer++) {
    await database.clock.advance('1s');
    await database.run(
      `UPDATE a.public.parent SET v = ${layer} WHERE id % 40 < ${layer}`,
      `DELETE FROM b.public.child WHERE id = ${layer}`,
      `BACKUP DATABASE a, b INTO LATEST IN '${COLLECTION}'${layer % 3 === 0 ? ' WITH revision_history' : ''}`,
    );
  }
  const text = async () => [
    await database.rows('SELECT * FROM a.public.parent ORDER BY id'),
    await database.rows('SELECT * FROM b.public.child ORDER BY id'),
  ];
  const before = await text();
  await database.run('DROP DATABASE b CASCADE; DROP DATABASE a CASCADE', `RESTORE DATABASE a, b FROM LATEST IN '${COLLECTION}'`);
  assert.equal(await text(), before);
  assert.match(await database.error('INSERT INTO b.public.child VALUES (1000, 1000)'), /^23503/);
  assert.equal(await database.problems(), []);
  await database.close();
});

test('detached in a transaction, it starts when that commits, and never if it does not', async () => {
  const database = await bank({ nodes: 1 });
  const before = await database.traces();
  await database.run('BEGIN', restoreAs('r'), 'ROLLBACK');
  await database.clock.activity.settled();
  assert.equal(await database.traces(), before);
  assert.match(await database.error(`BEGIN; RESTORE DATABASE bank FROM LATEST IN '${COLLECTION}' WITH new_db_name = 'r'`), /^25001/);
  await database.run('ROLLBACK', 'BEGIN', restoreAs('r'), 'COMMIT');
  const [job] = await database.rows("SELECT job_id FROM [SHOW JOBS] WHERE job_type = 'RESTORE'");
  assert.is(await database.finish(Number(job?.[0])), 'succeeded');
  await assertSame(database, 'r', 'detached');
  await database.close();
});

test.run();
