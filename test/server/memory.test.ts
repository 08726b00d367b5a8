/** The memory budget through SQL: what fails at the limit, what goes on, and what brings room back. */
import { connect } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { isVarveError, type VarveError } from '../../src/base/errors.ts';
import { nextTurn } from '../../src/base/idle.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import type { DatabaseOptions } from '../../src/server/openOptions.ts';
import { startPgServer } from '../../src/server/pgwire/pgServer.ts';
import { COLLECTION, TestDatabase } from '../restore/database.ts';

const BUDGET = 8 * 2 ** 20;

async function open(memoryBytes = BUDGET, options: DatabaseOptions = {}): Promise<TestDatabase> {
  const test = await TestDatabase.open({ memoryBytes, ...options });
  await test.run(
    'CREATE DATABASE bank',
    'USE bank',
    'CREATE TABLE accounts (id INT8 PRIMARY KEY, balance INT8, note STRING, INDEX (balance))',
  );
  await test.run("INSERT INTO accounts SELECT i, 0, repeat('x', 50) FROM generate_series(1, 500) AS g(i)");
  return test;
}

/** Updates rows in one statement after the other; the error that ends it. */
async function updateUntilRefused(test: TestDatabase, most = 1_000): Promise<{ error: VarveError; statements: number }> {
  for (let statements = 0; statements < most; statements++) {
    try {
      await test.run('UPDATE accounts SET balance = balance + 1 WHERE id <= 250');
    } catch (error) {
      if (!isVarveError(error)) throw error;
      return { error, statements };
    }
  }
  throw new Error(`${most} statements were not refused`);
}

async function bytesOf(test: TestDatabase, account: string): Promise<number> {
  return Number((await test.rows(`SELECT bytes FROM varve_internal.memory WHERE account = '${account}'`))[0]?.[0]);
}

const memory = suite('server: memory');

memory('endless updates at a TTL of 4 h end in 53200; reads, deletes, backups and DROP go on; time brings the room back', async () => {
  const test = await open();
  const { error, statements } = await updateUntilRefused(test);
  assert.is(error.code, '53200');
  assert.is(error.message, 'memory budget exceeded');
  assert.match(
    error.detail ?? '',
    /^of 8 MiB: live data \d+ KiB, garbage [\d.]+ MiB, change log \d+ KiB.*; pinned by protections 0 B; garbage of bank\.public\.accounts: [\d.]+ MiB, kept for gc\.ttlseconds = 14400/,
  );
  assert.match(error.hint ?? '', /varve_internal\.memory/);
  assert.ok(statements > 20, `${statements} statements`);
  assert.equal(await test.rows('SELECT count(*), max(balance) FROM accounts'), [['500', String(statements)]]);
  assert.ok((await bytesOf(test, 'used')) <= BUDGET);
  assert.is(await bytesOf(test, 'transactions'), 0);

  await test.run(
    'DELETE FROM accounts WHERE id > 250',
    'SHOW TABLES',
    'SELECT * FROM accounts ORDER BY note',
    `BACKUP DATABASE bank INTO '${COLLECTION}'`,
    'CREATE TABLE small (a INT8)',
    'DROP TABLE small',
  );
  assert.is(
    await test.error("INSERT INTO accounts SELECT i, 0, '' FROM generate_series(1000, 1999) AS g(i)"),
    '53200 memory budget exceeded',
  );

  await test.clock.advance('5h');
  assert.ok((await bytesOf(test, 'used')) < BUDGET / 4);
  assert.ok((await updateUntilRefused(test)).statements > 20);
  assert.equal(test.db.kv.check(), []);
  await test.close();
});

memory('a shorter TTL makes room at once; a protection keeps it, and is named with its owner', async () => {
  const test = await open();
  await test.run("SET CLUSTER SETTING jobs.debug.pausepoints = 'backup.afterFirstExport'");
  await test.run(`BACKUP DATABASE bank INTO '${COLLECTION}' WITH detached`);
  await test.clock.advance('1m');
  const [[job] = []] = await test.rows("SELECT job_id FROM [SHOW JOBS] WHERE status = 'paused'");
  assert.type(job, 'string');
  await updateUntilRefused(test);
  await test.run('ALTER TABLE accounts CONFIGURE ZONE USING gc.ttlseconds = 60');
  await test.clock.advance('2m');
  const { error, statements } = await updateUntilRefused(test);
  assert.is(statements, 0);
  assert.match(error.detail ?? '', new RegExp(`pinned by protections [\\d.]+ MiB; .*job ${job} protects history since 2026-11-20`));
  const sorted =
    "SELECT count(*) FROM (SELECT repeat('x', 100) || i::STRING AS t FROM generate_series(1, 10000) AS g(i) ORDER BY t OFFSET 1)";
  assert.is(await test.error(sorted), '53200 memory budget exceeded');
  await test.run(`CANCEL JOB ${job}`);
  await test.clock.advance('2m');
  assert.equal(await test.rows(sorted), [['9999']], 'a sort waits for the room that garbage can give');
  assert.ok((await updateUntilRefused(test)).statements > 20);
  await test.close();
});

memory('a dropped table gives its memory back once its TTL has passed', async () => {
  const test = await open();
  await updateUntilRefused(test);
  const [[id] = []] = await test.rows("SELECT 'accounts'::REGCLASS::INT8");
  await test.run('DROP TABLE accounts');
  assert.ok(test.db.kv.tableIds().includes(Number(id)));
  await test.clock.advance('3h');
  assert.ok(test.db.kv.tableIds().includes(Number(id)), 'its history is still readable');
  const holder = test.db.kv.begin();
  await test.db.services.catalog.lock(holder, [Number(id)]);
  await test.clock.advance('2h');
  assert.ok(test.db.kv.tableIds().includes(Number(id)), 'GC does not wait for whoever may be waiting for it');
  holder.rollback();
  await test.db.kv.gc.runGc();
  assert.not.ok(test.db.kv.tableIds().includes(Number(id)));
  assert.ok((await bytesOf(test, 'used')) < BUDGET / 20);
  await test.run(
    'CREATE TABLE accounts (id INT8 PRIMARY KEY, balance INT8)',
    'INSERT INTO accounts SELECT i, 0 FROM generate_series(1, 250) AS g(i)',
  );
  assert.ok((await updateUntilRefused(test)).statements > 20);
  await test.close();
});

memory('with early GC, pressure ends history instead of work, and a dropped table goes at once', async () => {
  const test = await open();
  await test.run('SET CLUSTER SETTING varve.memory.early_gc.enabled = true');
  const start = test.now();
  for (let i = 0; i < 200; i++) {
    await test.run('UPDATE accounts SET balance = balance + 1 WHERE id <= 250');
    await test.clock.advance('10s');
  }
  assert.match(await test.error(`SELECT * FROM accounts AS OF SYSTEM TIME ${start}`), /^72000 /);
  assert.equal(await test.rows('SELECT count(*), max(balance) FROM accounts'), [['500', '200']]);

  const [[id] = []] = await test.rows("SELECT 'accounts'::REGCLASS::INT8");
  await test.run('DROP TABLE accounts', 'CREATE TABLE accounts (id INT8 PRIMARY KEY, balance INT8, note STRING, INDEX (balance))');
  await test.run("INSERT INTO accounts SELECT i, 0, repeat('x', 50) FROM generate_series(1, 500) AS g(i)");
  const droppedAt = test.clock.nowMicros();
  for (let i = 0; i < 100; i++) {
    await test.run('UPDATE accounts SET balance = balance + 1 WHERE id <= 250');
    await test.clock.advance('1s');
  }
  assert.not.ok(test.db.kv.tableIds().includes(Number(id)));
  assert.ok(test.clock.nowMicros() - droppedAt < 3_600e6);
  await test.close();
});

memory('a statement beyond the budget is refused and leaves nothing', async () => {
  const test = await open();
  const before = test.db.kv.memory.figures();
  assert.is(
    await test.error("INSERT INTO accounts SELECT i, 0, 'x' FROM generate_series(1000, 1000000) AS g(i)"),
    '53200 memory budget exceeded',
  );
  assert.equal(test.db.kv.memory.figures(), before);
  assert.equal(await test.rows('SELECT count(*) FROM accounts'), [['500']]);
  await test.close();
});

memory('what sorts, joins, groups, WITH queries and results keep is counted, refused beyond the budget, and given back', async () => {
  const test = await open(BUDGET / 2);
  const many = "(SELECT i, repeat('x', 100) || i::STRING AS t FROM generate_series(1, 30000) AS g(i))";
  for (const sql of [
    `SELECT t FROM ${many} ORDER BY t DESC`,
    `SELECT count(*) FROM ${many} AS a JOIN ${many} AS b ON a.t = b.t`,
    `SELECT count(*) FROM (SELECT t, count(*) FROM ${many} GROUP BY t)`,
    `SELECT length(string_agg(t, '')) FROM ${many}`,
    `SELECT count(DISTINCT t) FROM ${many}`,
    `SELECT count(*) FROM (SELECT DISTINCT t FROM ${many})`,
    `SELECT count(*) FROM (SELECT t FROM ${many} EXCEPT SELECT t FROM ${many})`,
    `WITH w AS MATERIALIZED (SELECT * FROM ${many}) SELECT count(*) FROM w`,
    `SELECT * FROM ${many}`,
    `INSERT INTO accounts SELECT i + 1000, i, t FROM ${many}`,
  ]) {
    assert.is(await test.error(sql), '53200 memory budget exceeded', sql);
    for (const account of ['transactions', 'sorts', 'results']) assert.is(await bytesOf(test, account), 0, sql);
  }
  assert.equal(await test.rows(`SELECT count(*) FROM ${many}`), [['30000']]);
  assert.is((await test.rows(`SELECT t FROM ${many} ORDER BY t LIMIT 10`)).length, 10);
  await test.close();
});

memory('what a suspended portal keeps is given back when it is closed, replaced or abandoned', async () => {
  const test = await open();
  const { memory } = test.db.kv;
  const session = test.db.newSession({ database: 'bank' });
  await session.prepare('', "SELECT repeat('x', 100) || i::STRING AS t FROM generate_series(1, 5000) AS g(i) ORDER BY t");
  const suspend = async () => {
    session.bind('', '', []);
    assert.ok((await session.executePortal('', 10)).suspended);
    assert.ok(memory.budget.buffered('sorts') > 500_000);
  };
  await session.execute('BEGIN');
  await suspend();
  await session.closePortal('');
  assert.is(memory.budget.buffered('sorts'), 0);
  await suspend();
  const once = memory.budget.buffered('sorts');
  await suspend();
  assert.is(memory.budget.buffered('sorts'), once);
  await session.execute('ROLLBACK');
  await nextTurn();
  assert.is(memory.budget.buffered('sorts'), 0);
  await session.execute('BEGIN');
  await suspend();
  session.close();
  await nextTurn();
  assert.is(memory.budget.buffered('sorts'), 0);
  await test.close();
});

memory('a restore beyond the budget is paused, and canceled leaves nothing', async () => {
  const test = await open();
  for (const start of [1000, 2000, 3000, 4000]) {
    await test.run(`INSERT INTO accounts SELECT i, 0, repeat('x', 1000) FROM generate_series(${start}, ${start + 999}) AS g(i)`);
  }
  await test.run(`BACKUP DATABASE bank INTO '${COLLECTION}'`);
  const before = await bytesOf(test, 'live');
  assert.ok(before > BUDGET * 0.55, `${before} bytes`);
  assert.match(
    await test.error(`RESTORE DATABASE bank FROM LATEST IN '${COLLECTION}' WITH new_db_name = 'copy'`),
    /53200|memory budget exceeded/,
  );
  const [[jobId] = []] = await test.rows("SELECT job_id FROM [SHOW JOBS] WHERE job_type = 'RESTORE' AND status = 'paused'");
  await test.run(`CANCEL JOB ${jobId}`, `SHOW JOB WHEN COMPLETE ${jobId}`);
  assert.ok((await bytesOf(test, 'live')) < before + 100_000);
  assert.equal(await test.rows("SELECT database_name FROM [SHOW DATABASES] WHERE database_name = 'copy'"), []);
  assert.equal(test.db.kv.check(), []);
  await test.close();
});

memory('of a large result only what a slow client is being sent counts, until it has taken it', async () => {
  // The sockets' deadlines are none of this test's: their time stands still.
  const test = await open(64 * 2 ** 20, { ioClock: new ManualClock('2026-01-01T00:00:00Z') });
  const server = await startPgServer(test.db, { host: '127.0.0.1', port: 0 });
  const socket = connect(server.port, '127.0.0.1');
  const startup = Buffer.from('\0\0\0\0\0\x03\0\0user\0root\0\0', 'latin1');
  startup.writeInt32BE(startup.length);
  const query = Buffer.from("Q\0\0\0\0SELECT repeat('x', 1000) FROM generate_series(1, 20000)\0", 'latin1');
  query.writeInt32BE(query.length - 1, 1);
  socket.write(Buffer.concat([startup, query]));
  const results = () => test.db.kv.memory.budget.buffered('results');
  let most = 0;
  for (let turn = 0; turn < 300; turn++) {
    most = Math.max(most, results());
    await nextTurn();
  }
  // A batch of 1024 rows, or the first rows of the result before it began to stream.
  assert.ok(most > 0 && most < 3e6, `${most} bytes`);
  await new Promise<void>((resolve) => {
    let taken = 0;
    socket.on('data', (data) => {
      taken += data.length;
      if (taken > 20e6) resolve();
    });
  });
  for (let turn = 0; turn < 100_000 && results() > 0; turn++) await nextTurn();
  assert.is(results(), 0);
  socket.destroy();
  await server.close();
  await test.close();
});

memory('varve_internal.memory shows every account, and they add up', async () => {
  const test = await open();
  const rows = await test.rows('SELECT account, bytes FROM varve_internal.memory');
  const bytes = new Map(rows.map(([account, text]) => [account, Number(text)]));
  assert.equal([...bytes.keys()], ['live', 'garbage', 'log', 'forks', 'transactions', 'sorts', 'results', 'used', 'soft limit', 'limit']);
  assert.is(bytes.get('limit'), BUDGET);
  const sum = ['live', 'garbage', 'log', 'forks', 'transactions', 'sorts', 'results'].reduce(
    (all, account) => all + (bytes.get(account) ?? 0),
    0,
  );
  assert.is(bytes.get('used'), sum);
  assert.ok((bytes.get('live') ?? 0) > 500 * 200);
  await test.close();
});

memory.run();
