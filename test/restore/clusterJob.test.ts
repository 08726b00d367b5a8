/**
 * Restores of a cluster that are stopped on their way: at every pausepoint the coordinator's node dies, or
 * the job is canceled or paused. What succeeds equals the cluster that was backed up, system tables
 * included; what does not leaves the cluster as empty as it was, so that the next restore works.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { RESTORE_PAUSEPOINTS } from '../../src/restore/restoreJob.ts';
import { MemoryFiles } from '../../src/storage/memory.ts';

import { COLLECTION, TestDatabase } from './database.ts';

const test = suite('restore of a cluster');

const REVERT_FROM = RESTORE_PAUSEPOINTS.indexOf('restore.beforeRevert');
const FORWARD = RESTORE_PAUSEPOINTS.slice(0, REVERT_FROM);
const REVERT = RESTORE_PAUSEPOINTS.slice(REVERT_FROM);

/** What a cluster is, as far as a restore of it brings it back. */
const CONTENT = [
  'SELECT database_name, owner FROM [SHOW DATABASES]',
  'SELECT * FROM bank.accounts ORDER BY 1',
  'SELECT * FROM bank.moves ORDER BY 1',
  'SELECT username, options, member_of FROM [SHOW USERS]',
  'SELECT * FROM system.privileges',
  'SELECT * FROM system.zones',
  'SELECT * FROM system.database_role_settings',
  'SELECT name, value FROM system.settings',
  'SHOW GRANTS ON bank.accounts',
];

/** The collection of a small cluster in two layers, and what the cluster held then. */
async function backedUp(): Promise<{ files: MemoryFiles; content: string[] }> {
  const files = new MemoryFiles();
  const source = await TestDatabase.open({ files });
  await source.run(
    'CREATE USER joe; CREATE ROLE dev; GRANT dev TO joe; CREATE DATABASE bank; DROP DATABASE postgres',
    'CREATE TABLE bank.accounts (id INT PRIMARY KEY, balance INT, INDEX (balance))',
    'CREATE TABLE bank.moves (id INT PRIMARY KEY, account INT REFERENCES bank.accounts (id))',
    'INSERT INTO bank.accounts SELECT i, 100 + i FROM generate_series(1, 3000) AS g(i)',
    'INSERT INTO bank.moves SELECT i, i FROM generate_series(1, 20) AS g(i)',
    "GRANT SELECT ON bank.accounts TO joe; GRANT SYSTEM VIEWJOB TO dev; ALTER ROLE joe SET timezone = 'UTC'",
    "ALTER TABLE bank.moves CONFIGURE ZONE USING gc.ttlseconds = 700; SET CLUSTER SETTING bulkio.backup.file_size = '2MiB'",
  );
  await source.run(`BACKUP INTO '${COLLECTION}'`);
  await source.run(
    'DELETE FROM bank.accounts WHERE id > 2500; CREATE USER ann; ALTER RANGE default CONFIGURE ZONE USING gc.ttlseconds = 900',
  );
  await source.run(`BACKUP INTO LATEST IN '${COLLECTION}'`);
  const content = await contentOf(source);
  await source.close();
  return { files, content };
}

async function contentOf(database: TestDatabase): Promise<string[]> {
  const lines: string[] = [];
  for (const sql of CONTENT) lines.push(...(await database.rows(sql)).map((row) => `${sql}: ${row.join(' ')}`));
  return lines;
}

/** As traces(), with the rows of the system's own tables, which a restore that fails must not have changed. */
async function tracesOf(database: TestDatabase): Promise<string[]> {
  // The stores of system.jobs and system.eventlog come with the first job.
  const traces = (await database.traces()).filter((line) => line !== 'store 12' && line !== 'store 15');
  for (const sql of CONTENT.filter((text) => !text.includes('bank'))) {
    traces.push(...(await database.rows(sql)).map((row) => `${sql}: ${row.join(' ')}`));
  }
  return traces;
}

async function start(database: TestDatabase): Promise<number> {
  return Number((await database.rows(`RESTORE FROM LATEST IN '${COLLECTION}' WITH detached`))[0]?.[0]);
}

test('the coordinator dies at each pausepoint, and another node finishes', async () => {
  const { files, content } = await backedUp();
  for (const point of FORWARD) {
    const database = await TestDatabase.open({ files, nodes: 3 });
    const { jobs, kv } = database.db;
    let stops = 0;
    jobs.pausepoints.setHook((name, ctx) => {
      if (name === point && stops++ === 0) kv.cluster.stopNode(ctx.node.id);
    });
    assert.is(await database.finish(await start(database)), 'succeeded', point);
    assert.ok(stops >= 1, `${point} was reached`);
    assert.equal(await contentOf(database), content, point);
    assert.equal(await database.problems(), [], point);
    await database.close();
  }
});

test('a cancel at each pausepoint leaves an empty cluster, and the next restore works', async () => {
  const { files, content } = await backedUp();
  const database = await TestDatabase.open({ files });
  const { jobs } = database.db;
  const before = await tracesOf(database);
  for (const point of FORWARD) {
    let reached = false;
    jobs.pausepoints.setHook(async (name, ctx) => {
      if (name !== point || reached) return;
      reached = true;
      await jobs.cancel(ctx.jobId);
    });
    assert.is(await database.finish(await start(database)), 'canceled', point);
    assert.ok(reached, point);
    assert.equal(await tracesOf(database), before, point);
    assert.equal(await database.problems(), [], point);
  }
  assert.is(await database.finish(await start(database)), 'succeeded');
  const withoutIds = (lines: string[]) => lines.filter((line) => !/system\.(zones|database_role_settings)/.test(line));
  assert.equal(withoutIds(await contentOf(database)), withoutIds(content));
  assert.match(
    String(await database.rows('SELECT raw_config_sql FROM [SHOW ZONE CONFIGURATION FOR TABLE bank.moves]')),
    /gc.ttlseconds = 700/,
  );
  await database.close();
});

test('the coordinator dies while it undoes, and another node finishes undoing', async () => {
  const { files } = await backedUp();
  for (const point of REVERT) {
    const database = await TestDatabase.open({ files, nodes: 3 });
    const { jobs, kv } = database.db;
    const before = await tracesOf(database);
    let stopped = 0;
    jobs.pausepoints.setHook(async (name, ctx) => {
      if (name === 'restore.beforeSystemTables') await jobs.cancel(ctx.jobId);
      if (name !== point || stopped > 0) return;
      stopped = ctx.node.id;
      kv.cluster.stopNode(stopped);
    });
    assert.is(await database.finish(await start(database)), 'canceled', point);
    assert.ok(stopped > 0, point);
    assert.equal(await tracesOf(database), before, point);
    await database.close();
  }
});

test('paused at each pausepoint by the setting, it goes on after RESUME', async () => {
  const { files, content } = await backedUp();
  for (const point of FORWARD) {
    const database = await TestDatabase.open({ files });
    await database.run(`SET CLUSTER SETTING jobs.debug.pausepoints = '${point}'`);
    const id = await start(database);
    assert.is(await database.finish(id), 'paused', point);
    assert.match(await database.error('SELECT * FROM bank.accounts'), /^(42P01|55000|3D000)/, point);
    await database.run("SET CLUSTER SETTING jobs.debug.pausepoints = ''", `RESUME JOB ${id}`);
    assert.is(await database.finish(id), 'succeeded', point);
    assert.equal(await contentOf(database), content, point);
    await database.close();
  }
});

test('what others make meanwhile stays, or keeps the restore from beginning', async () => {
  const { files } = await backedUp();
  const database = await TestDatabase.open({ files });
  const { jobs } = database.db;
  jobs.pausepoints.setHook(async (name) => {
    if (name === 'restore.beforeDescriptors') await database.db.newSession().execute('CREATE DATABASE IF NOT EXISTS mine');
  });
  const id = await start(database);
  assert.is(await database.finish(id), 'failed');
  assert.match((await jobs.get(id))?.error?.message ?? '', /no tables or databases but found 1 descriptors: mine$/);
  await database.run('DROP DATABASE mine');
  jobs.pausepoints.setHook(async (name) => {
    if (name === 'restore.afterIngest')
      await database.db.newSession().execute('CREATE DATABASE IF NOT EXISTS late; CREATE USER IF NOT EXISTS late');
  });
  assert.is(await database.finish(await start(database)), 'succeeded');
  assert.equal(await database.rows("SELECT database_name FROM [SHOW DATABASES] WHERE database_name IN ('late', 'bank')"), [
    ['bank'],
    ['late'],
  ]);
  assert.equal(await database.rows("SELECT username FROM [SHOW USERS] WHERE username = 'late'"), []);
  await database.close();
});

test.run();
