/** Restores that stop by themselves and go on: no memory left, a storage that stays away; and one whose client goes away. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { isVarveError, StateError } from '../../src/base/errors.ts';
import { SqlState } from '../../src/base/sqlState.ts';
import { isTerminal } from '../../src/jobs/jobMachine.ts';
import { FaultInjector } from '../../src/storage/faulty.ts';
import { seededRandom } from '../../src/base/random.ts';
import { COLLECTION, TestDatabase } from './database.ts';

const test = suite('restores that pause');

const MEMORY_BYTES = 10 << 20;

async function source(database: TestDatabase): Promise<void> {
  await database.run(
    'CREATE DATABASE d; USE d; CREATE TABLE t (id INT PRIMARY KEY, v STRING)',
    "INSERT INTO t SELECT i, repeat('x', 200) FROM generate_series(1, 4000) AS g(i)",
    `BACKUP DATABASE d INTO '${COLLECTION}'`,
  );
}

const restoreAs = (name: string, options = '') =>
  `RESTORE DATABASE d FROM LATEST IN '${COLLECTION}' WITH new_db_name = '${name}'${options}`;

async function newestJob(database: TestDatabase): Promise<(string | null)[]> {
  const [row] = await database.rows(
    "SELECT job_id, status, running_status, error FROM crdb_internal.jobs WHERE job_type = 'RESTORE' ORDER BY created DESC LIMIT 1",
  );
  return row ?? [];
}

test('without memory for its rows it pauses, says why, and goes on once there is room', async () => {
  const database = await TestDatabase.open({ memoryBytes: MEMORY_BYTES });
  await source(database);
  let copies = 0;
  let error = '';
  while (error === '' && copies < 20) {
    const outcome = await database.error(restoreAs(`r${copies}`));
    if (outcome === 'no error') copies++;
    else error = outcome;
  }
  assert.ok(copies > 1, `${copies} copies`);
  assert.match(error, /^55000 job \d+ was paused before it completed: memory budget exceeded$/);
  const [id, ...shown] = await newestJob(database);
  assert.equal(shown, ['paused', 'pause reason: memory budget exceeded', 'memory budget exceeded']);
  // Nothing has changed, so it pauses again.
  await database.run(`RESUME JOB ${id}`);
  await database.clock.activity.settled();
  assert.is((await newestJob(database))[1], 'paused');
  await database.run('ALTER DATABASE r0 CONFIGURE ZONE USING gc.ttlseconds = 60; DROP DATABASE r0 CASCADE');
  await database.clock.advance('1h');
  await database.run(`RESUME JOB ${id}`);
  assert.equal(await database.rows(`SELECT status, running_status, error FROM [SHOW JOB WHEN COMPLETE ${id}]`), [['succeeded', null, '']]);
  assert.equal(await database.rows(`SELECT count(*) FROM r${copies}.t`), [['4000']]);
  assert.equal(await database.problems(), []);
  await database.close();
});

test('a storage that stays away pauses it, and a backup fails', async () => {
  let injector: FaultInjector | undefined;
  const database = await TestDatabase.open({ wrapStorage: (storage) => injector?.wrap(storage) ?? storage });
  await source(database);
  const { clock } = database;
  const rules = [{ name: /\.vkv$/, action: { kind: 'fail', isRetryable: true } as const }];
  injector = new FaultInjector({ rules, random: seededRandom('away'), clock, activity: clock.activity });
  const ids: number[] = [];
  for (const sql of [restoreAs('r', ', detached'), `BACKUP DATABASE d INTO 'mem://bucket/other' WITH detached`]) {
    const id = Number((await database.rows(sql))[0]?.[0]);
    ids.push(id);
    for (let minutes = 0; minutes < 600; minutes += 10) {
      await clock.activity.settled();
      const record = await database.db.jobs.get(id);
      if (record?.status === 'paused' || (record && isTerminal(record.status))) break;
      await clock.advance('10m');
    }
  }
  const [restore, backup] = await Promise.all(ids.map((id) => database.db.jobs.get(id)));
  assert.is(restore?.status, 'paused');
  assert.match(restore?.pauseError?.message ?? '', /^injected fault/);
  assert.is(restore?.pauseError?.detail, 'gave up after 6 attempts');
  assert.is(restore?.executionErrors.length, 6);
  assert.is(backup?.status, 'failed');
  injector = undefined;
  await database.run(`RESUME JOB ${ids[0]}`);
  assert.equal(await database.rows(`SELECT status FROM [SHOW JOB WHEN COMPLETE ${ids[0]}]`), [['succeeded']]);
  assert.equal(await database.rows('SELECT count(*) FROM r.t'), [['4000']]);
  await database.close();
});

test('a statement that is canceled, as when its client goes away, says that the job goes on', async () => {
  const database = await TestDatabase.open();
  await source(database);
  const client = new AbortController();
  database.db.jobs.pausepoints.setHook((name) => {
    if (name === 'restore.beforeIngest') client.abort(new StateError(SqlState.QueryCanceled, 'query execution canceled'));
  });
  const waiting = database.session.execute(restoreAs('r'), { signal: client.signal }).catch((error: unknown) => error);
  const error = await waiting;
  assert.ok(isVarveError(error), String(error));
  const [id] = await newestJob(database);
  assert.equal([error.code, error.detail], ['57014', `job ${id} goes on in the background`]);
  assert.equal(await database.rows(`SELECT status FROM [SHOW JOB WHEN COMPLETE ${id}]`), [['succeeded']]);
  assert.equal(await database.rows('SELECT count(*) FROM r.t'), [['4000']]);
  await database.close();
});

test.run();
