/** The executor of schedules, on a whole database: what costs nothing, and who wins when two decide. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { StorageError } from '../../src/base/errors.ts';
import { InlineExecutor } from '../../src/base/executor.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { SqlState } from '../../src/base/sqlState.ts';
import { Database } from '../../src/server/database.ts';
import type { DatabaseOptions } from '../../src/server/openOptions.ts';
import { textRows } from '../support/sqlHarness.ts';

const test = suite('schedule executor');

async function open(options: DatabaseOptions = {}) {
  const clock = new ManualClock('2026-11-20T10:30:00Z');
  const db = await Database.open({ clock, executor: new InlineExecutor(), seed: 'executor', ...options });
  const session = db.newSession();
  const rows = async (sql: string) => textRows((await session.execute(sql)).at(-1));
  return { clock, db, rows };
}

test('ten thousand idle schedules cost nothing between ticks, and only those that are due are touched', async () => {
  const { clock, db, rows } = await open();
  try {
    await rows(`INSERT INTO system.scheduled_jobs (schedule_id, schedule_name, owner, next_run, schedule_expr, schedule_details, executor_type, execution_args)
      SELECT i, 'idle', 'root', '2027-01-01 00:00:00+00'::TIMESTAMPTZ + i * '1 second'::INTERVAL, '@yearly', '{}', 'scheduled-backup-executor',
        '{"backup_statement": "BACKUP INTO ''mem://b/x'' WITH detached"}' FROM generate_series(1, 10000) AS g(i)`);
    const { executor } = db.schedules;
    assert.is(executor.active, 10_000);
    let events = 0;
    const { unsubscribe } = executor.actor.subscribe(() => events++);
    await clock.advance('30d');
    assert.is(events, 0);
    unsubscribe();
    // Rows of no cluster pause themselves when they wake: one after another, five in a round.
    await clock.set('2027-01-01T00:00:07Z');
    assert.is(executor.active, 9_993);
    await rows('DELETE FROM system.scheduled_jobs');
    assert.is(executor.active, 0);
  } finally {
    await db.close();
  }
});

test('a schedule that is changed while its backup is planned is not started', async () => {
  let interfere: (() => Promise<unknown>) | undefined;
  const { clock, db, rows } = await open({
    wrapStorage: (storage) =>
      new Proxy(storage, {
        get(target, property) {
          const value = Reflect.get(target, property) as unknown;
          if (typeof value !== 'function') return value;
          if (property !== 'list') return value.bind(target);
          return async (...args: unknown[]) => {
            const act = interfere;
            interfere = undefined;
            await act?.();
            return await value.apply(target, args);
          };
        },
      }),
  });
  try {
    await rows('CREATE TABLE t (a INT PRIMARY KEY)');
    await rows("CREATE SCHEDULE FOR BACKUP TABLE t INTO 'mem://b/x' RECURRING '@hourly' FULL BACKUP ALWAYS");
    const other = db.newSession();
    interfere = () => other.execute('PAUSE SCHEDULES SELECT id FROM [SHOW SCHEDULES]');
    await clock.advance('1h');
    assert.is(interfere, undefined);
    assert.equal(await rows('SELECT schedule_status, state FROM [SHOW SCHEDULES]'), [['PAUSED', null]]);
    assert.equal(await rows('SELECT count(*) FROM [SHOW JOBS]'), [['0']]);
    // Altered it starts all the same, with what was altered, as of the time at which it was due.
    await rows('RESUME SCHEDULES SELECT id FROM [SHOW SCHEDULES]');
    const [[id]] = (await rows('SELECT id FROM [SHOW SCHEDULES]')) as [[string]];
    interfere = () => other.execute(`ALTER BACKUP SCHEDULE ${id} SET INTO 'mem://b/y'`);
    await clock.advance('1h');
    assert.equal(await rows("SHOW BACKUPS IN 'mem://b/x'"), []);
    assert.equal(await rows("SHOW BACKUPS IN 'mem://b/y'"), [['/2026/11/20-120000.00']]);
  } finally {
    await db.close();
  }
});

test('a backup that fails while its row becomes no schedule is counted, and takes nothing else along', async () => {
  let spoil: (() => Promise<unknown>) | undefined;
  const { clock, db, rows } = await open({
    wrapStorage: (storage) =>
      new Proxy(storage, {
        get(target, property) {
          const value = Reflect.get(target, property) as unknown;
          if (typeof value !== 'function') return value;
          if (property !== 'write') return value.bind(target);
          return async (...args: unknown[]) => {
            const act = spoil;
            if (act === undefined) return await value.apply(target, args);
            await act();
            throw new StorageError(SqlState.InsufficientPrivilege, 'may not write', { operation: 'write', redactedUri: 'mem://b/x' });
          };
        },
      }),
  });
  try {
    await rows('CREATE TABLE t (a INT PRIMARY KEY)');
    await rows("CREATE SCHEDULE FOR BACKUP TABLE t INTO 'mem://b/x' RECURRING '@hourly' FULL BACKUP ALWAYS");
    const other = db.newSession();
    spoil = () => other.execute("UPDATE system.scheduled_jobs SET executor_type = 'nobody'");
    await clock.advance('1h');
    assert.equal(await rows('SELECT status FROM [SHOW JOBS]'), [['failed']]);
    const errors = (await db.metrics.read()).find(({ name }) => name === 'schedules.error');
    assert.is(errors?.value, 1);
  } finally {
    await db.close();
  }
});

test('what a schedule was late with before it was paused is not counted as missed when it goes on', async () => {
  const { clock, db, rows } = await open();
  try {
    await rows('CREATE TABLE t (a INT PRIMARY KEY)');
    await rows("SET CLUSTER SETTING jobs.debug.pausepoints = 'backup.afterLock'");
    await rows("CREATE SCHEDULE FOR BACKUP TABLE t INTO 'mem://b/x' RECURRING '@hourly' FULL BACKUP ALWAYS");
    await clock.advance('2h');
    assert.match(String((await rows('SELECT state FROM [SHOW SCHEDULES]'))[0]?.[0]), /delayed due to 1 already running/);
    await rows('PAUSE SCHEDULES SELECT id FROM [SHOW SCHEDULES]');
    await rows("SET CLUSTER SETTING jobs.debug.pausepoints = ''");
    await rows('RESUME JOBS SELECT job_id FROM [SHOW JOBS]');
    await clock.advance('24h');
    await rows('RESUME SCHEDULES SELECT id FROM [SHOW SCHEDULES]');
    await clock.advance('1h');
    assert.equal(await rows('SELECT missed_runs FROM varve_internal.backup_rpo'), [['0']]);
    // SHOW JOBS has what ended within twelve hours.
    assert.equal(await rows('SELECT status, count(*) FROM [SHOW JOBS] GROUP BY status'), [['succeeded', '1']]);
  } finally {
    await db.close();
  }
});

test('a backup begun for one destination does not wake the incrementals of another, which has its own at once', async () => {
  const { clock, db, rows } = await open();
  try {
    await rows('CREATE TABLE t (a INT PRIMARY KEY)');
    await rows("CREATE SCHEDULE FOR BACKUP TABLE t INTO 'mem://b/old' RECURRING '@hourly'");
    await rows("SET CLUSTER SETTING jobs.debug.pausepoints = 'backup.beforeExport'");
    await clock.advance('1m');
    await rows("SET CLUSTER SETTING jobs.debug.pausepoints = ''");
    const [[full]] = (await rows("SELECT id FROM [SHOW SCHEDULES FOR BACKUP] WHERE backup_type = 'FULL'")) as [[string]];
    await rows('SET CLUSTER SETTING jobs.scheduler.enabled = false');
    await rows(`ALTER BACKUP SCHEDULE ${full} SET INTO 'mem://b/new'`);
    await rows("RESUME JOBS SELECT job_id FROM [SHOW JOBS] WHERE status = 'paused'");
    await clock.advance('1s');
    assert.equal(await rows("SHOW BACKUPS IN 'mem://b/old'"), [['/2026/11/20-103000.00']]);
    const incremental = "SELECT schedule_status, state FROM [SHOW SCHEDULES FOR BACKUP] WHERE backup_type = 'INCREMENTAL'";
    assert.equal(await rows(incremental), [['PAUSED', 'Waiting for initial backup to complete']]);
    assert.is(db.kv.gc.protections.list().filter(({ metaType }) => metaType === 'schedules').length, 0);
    await rows('SET CLUSTER SETTING jobs.scheduler.enabled = true');
    await clock.advance('1s');
    assert.equal(await rows(incremental), [['ACTIVE', null]]);
  } finally {
    await db.close();
  }
});

test('a first full that failed is taken at once where its schedule is sent; one still to come keeps its time', async () => {
  const { clock, db, rows } = await open();
  const create = (name: string, first: string) =>
    rows(
      `CREATE SCHEDULE ${name} FOR BACKUP TABLE t INTO 'external://${name}' RECURRING '@hourly' WITH SCHEDULE OPTIONS first_run = '${first}'`,
    );
  try {
    await rows('CREATE TABLE t (a INT PRIMARY KEY)');
    for (const [name, first] of [
      ['failed', 'now'],
      ['later', '2026-11-20 20:00:00'],
    ] as const) {
      await rows(`CREATE EXTERNAL CONNECTION ${name} AS 'mem://b/${name}'`);
      await create(name, first);
      await rows(`DROP EXTERNAL CONNECTION ${name}`);
    }
    await clock.advance('1m');
    for (const [id, label] of await rows("SELECT id, label FROM [SHOW SCHEDULES FOR BACKUP] WHERE backup_type = 'FULL'")) {
      await rows(`ALTER BACKUP SCHEDULE ${id} SET INTO 'mem://b/${label}2'`);
    }
    await clock.advance('1s');
    const state = "SELECT label, schedule_status FROM [SHOW SCHEDULES FOR BACKUP] WHERE backup_type = 'INCREMENTAL'";
    assert.equal(await rows(state), [
      ['failed', 'ACTIVE'],
      ['later', 'PAUSED'],
    ]);
    await clock.set('2026-11-20T20:01:00Z');
    assert.is((await rows(state))[1]?.[1], 'ACTIVE');
  } finally {
    await db.close();
  }
});

test('a round that fails as a whole is counted, and the next one does its work', async () => {
  const { clock, db, rows } = await open({});
  const { kv } = db;
  const read = kv.at.bind(kv);
  try {
    await rows('CREATE TABLE t (a INT PRIMARY KEY)');
    await rows("CREATE SCHEDULE FOR BACKUP TABLE t INTO 'mem://b/x' RECURRING '@hourly' FULL BACKUP ALWAYS");
    let failures = 0;
    kv.at = (time) => {
      if (new Error().stack?.includes('#runDue') && failures++ === 0) throw new TypeError('a bug');
      return read(time);
    };
    await clock.advance('1h');
    assert.ok(failures >= 1);
    const errors = (await db.metrics.read()).find(({ name }) => name === 'schedules.error');
    assert.is(errors?.value, 1);
    await clock.advance('10m');
    assert.equal(await rows('SELECT status FROM [SHOW JOBS]'), [['succeeded']]);
  } finally {
    kv.at = read;
    await db.close();
  }
});

test.run();
