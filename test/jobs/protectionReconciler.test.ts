/** Records whose job is gone or over are released, on the clock; everybody else's stay. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { ManualClock } from '../../src/base/manualClock.ts';
import { Varve } from '../../src/server/varve.ts';

const test = suite<{ db: Varve; clock: ManualClock }>('jobs: protection reconciler');

test.before.each(async (context) => {
  context.clock = new ManualClock('2026-11-20T12:00:00Z');
  context.db = await Varve.open({ clock: context.clock, seed: 'reconciler' });
  await context.db.query('CREATE TABLE t (k INT PRIMARY KEY)');
  await context.db.query('INSERT INTO t VALUES (1)');
});
test.after.each(({ db }) => db.close());

async function hold(db: Varve, metaType: string, meta: string): Promise<string> {
  const { kv, services } = db.database;
  const id = kv.ids.uuid();
  const ts = kv.reading();
  await kv.run((txn) => services.protections.protect(txn, { id, ts, metaType, meta, target: { kind: 'cluster' } }));
  return id;
}

const held = (db: Varve): string[] => db.database.services.protections.current().map(({ id }) => id);

test('a record of a job that does not exist goes after the interval, not before', async ({ db, clock }) => {
  const id = await hold(db, 'jobs', '123456');
  await clock.advance('4m59s');
  assert.equal(held(db), [id]);
  await clock.advance('1s');
  assert.equal(held(db), []);
});

test('the interval is a setting, and counts from the next look', async ({ db, clock }) => {
  await db.query("SET CLUSTER SETTING kv.protectedts.reconciliation.interval = '10s'");
  await clock.advance('5m');
  await hold(db, 'jobs', '123456');
  await clock.advance('10s');
  assert.equal(held(db), []);
});

test('what people and unknown kinds hold stays', async ({ db, clock }) => {
  const ids = [await hold(db, 'user', 'root'), await hold(db, 'tenants', '1')].sort();
  await clock.advance('1d');
  assert.equal(held(db).sort(), ids);
  assert.is(db.database.reconciler.actor.getSnapshot().value, 'idle');
});

test('a paused backup keeps its record; a canceled one has none left', async ({ db, clock }) => {
  await db.query("SET CLUSTER SETTING jobs.debug.pausepoints = 'backup.afterLock'");
  const job = await db.backup({ into: 'mem://b', targets: { database: 'defaultdb' } });
  await clock.advance('1h');
  assert.is((await job.record())?.status, 'paused');
  assert.is(held(db).length, 1);
  await db.query(`CANCEL JOB ${job.id}`);
  await clock.advance('1s');
  assert.equal(held(db), []);
});

test('a record that outlived its succeeded job goes', async ({ db, clock }) => {
  const job = await db.backup({ into: 'mem://b', targets: { database: 'defaultdb' } });
  await job.wait();
  await hold(db, 'jobs', String(job.id));
  await clock.advance('5m');
  assert.equal(held(db), []);
});

test('two looks at once release a record once', async ({ db }) => {
  const id = await hold(db, 'jobs', '5');
  const released = (await Promise.all([db.database.reconciler.reconcile(), db.database.reconciler.reconcile()])).flat();
  assert.equal(released, [id]);
});

test.run();
