/** Metrics of a whole database: what moves when something is done, and crdb_internal.node_metrics. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { ManualClock } from '../../src/base/manualClock.ts';
import { timestamp } from '../../src/base/timestamp.ts';
import { Varve } from '../../src/server/varve.ts';

interface World {
  db: Varve;
  clock: ManualClock;
  /** What has changed since the last call, of the metrics whose names begin so. */
  moved(...prefixes: string[]): Promise<Record<string, number>>;
}

const test = suite<World>('server metrics');

test.before(async (world) => {
  world.clock = new ManualClock('2026-11-20T12:00:00Z');
  world.db = await Varve.open({ clock: world.clock, seed: 'metrics' });
  await world.db.query('CREATE TABLE t (k INT PRIMARY KEY, v STRING, INDEX (v))');
  await world.db.query("INSERT INTO t SELECT i, 'v' || i::STRING FROM generate_series(1, 100) AS g(i)");
  let before = new Map<string, number>();
  world.moved = async (...prefixes) => {
    const now = new Map((await world.db.database.metrics.read()).map(({ name, value }) => [name, value]));
    const changed = [...now].filter(
      ([name, value]) => value !== (before.get(name) ?? 0) && prefixes.some((prefix) => name.startsWith(prefix)),
    );
    const result = Object.fromEntries(changed.map(([name, value]) => [name, value - (before.get(name) ?? 0)]));
    before = now;
    return result;
  };
});
test.after(({ db }) => db.close());
test.before.each(async ({ moved }) => void (await moved()));

test('a backup counts as a job, what it reads and what it writes', async ({ db, moved }) => {
  await (await db.backup({ into: 'mem://b', targets: { database: 'defaultdb' } })).wait();
  const counted = await moved('jobs.', 'cloud.', 'storage.iterator', 'kv.protectedts.');
  assert.is(counted['jobs.backup.resume_completed'], 1);
  assert.is(counted['jobs.claimed_jobs'], 1);
  assert.is(counted['kv.protectedts.protect.success'], 1);
  assert.is(counted['kv.protectedts.release.success'], 1);
  const engineBytes = counted['storage.iterator.category-backup.block-load.bytes'] ?? 0;
  assert.ok(engineBytes > 100 * 2 * 10, `${engineBytes} bytes`);
  assert.is(counted['storage.iterator.category-backup.block-load.cached-bytes'], engineBytes);
  for (const name of ['writers_opened', 'write_bytes', 'readers_opened', 'read_bytes', 'listings'])
    assert.ok((counted[`cloud.${name}`] ?? 0) > 0, name);
  for (const name of ['open_readers', 'open_writers']) assert.is(counted[`cloud.${name}`], undefined, name);
});

test('a restore counts its ingestion, part by part', async ({ db, moved }) => {
  await db.query("RESTORE DATABASE defaultdb FROM LATEST IN 'mem://b' WITH new_db_name = 'other'");
  const counted = await moved('jobs.restore', 'addsstable');
  assert.is(counted['jobs.restore.resume_completed'], 1);
  assert.ok((counted['addsstable.proposals'] ?? 0) > 0);
  // The table's primary index and the other.
  assert.ok((counted['addsstable.applications'] ?? 0) >= 2);
});

test('protections: refused, moved, read, released by hand and as orphans', async ({ db, moved, clock }) => {
  const { kv, services, reconciler } = db.database;
  const { protections } = services;
  const record = { id: kv.ids.uuid(), ts: kv.reading(), metaType: 'jobs', meta: '1', target: { kind: 'cluster' } } as const;
  await kv.run((txn) => protections.protect(txn, record));
  await kv.run((txn) => protections.update(txn, record.id, kv.reading()));
  await protections.get(kv.at(kv.reading()), record.id);
  await clock.advance('8h');
  const failing = [
    (txn) => protections.protect(txn, { ...record, ts: timestamp(0) }),
    (txn) => protections.protect(txn, { ...record, id: kv.ids.uuid(), ts: timestamp(1) }),
    (txn) => protections.release(txn, kv.ids.uuid()),
    (txn) => protections.update(txn, kv.ids.uuid(), kv.reading()),
  ] satisfies Parameters<typeof kv.run>[0][];
  for (const work of failing) await assertFails(kv.run(work));
  assert.equal(await reconciler.reconcile(), []);
  assert.equal(await moved('kv.protectedts.'), {
    'kv.protectedts.get_record.success': 2,
    'kv.protectedts.protect.failed': 2,
    'kv.protectedts.protect.success': 1,
    'kv.protectedts.reconciliation.num_runs': 2,
    'kv.protectedts.reconciliation.records_processed': 1,
    'kv.protectedts.reconciliation.records_removed': 1,
    'kv.protectedts.release.failed': 1,
    'kv.protectedts.release.success': 1,
    'kv.protectedts.update_timestamp.failed': 1,
    'kv.protectedts.update_timestamp.success': 1,
  });
});

test('a look for orphans that fails is counted', async ({ db, moved }) => {
  const { kv, services, reconciler } = db.database;
  const record = { id: kv.ids.uuid(), ts: kv.reading(), metaType: 'odd', meta: '', target: { kind: 'cluster' } } as const;
  reconciler.addOwnerCheck('odd', () => Promise.reject(new Error('nobody knows')));
  await kv.run((txn) => services.protections.protect(txn, record));
  await moved();
  await assertFails(reconciler.reconcile());
  assert.equal(await moved('kv.protectedts.reconciliation.'), { 'kv.protectedts.reconciliation.errors': 1 });
  await kv.run((txn) => services.protections.release(txn, record.id));
});

test('GC counts the indexes that it went through, and what it removed', async ({ db, moved, clock }) => {
  await db.query("UPDATE t SET v = 'w' WHERE k <= 10");
  const { 'queue.gc.pending': pending = 0 } = await moved('queue.gc.');
  assert.ok(pending >= 2, `${pending} indexes wait`);
  await clock.advance('30h');
  const counted = await moved('queue.gc.', 'varve.gc.');
  assert.ok((counted['queue.gc.process.success'] ?? 0) > 0);
  // Ten rows, and ten entries of the other index that are gone.
  assert.ok((counted['varve.gc.removed_versions'] ?? 0) >= 30);
  assert.ok((counted['queue.gc.pending'] ?? 0) < 0);
});

test('crdb_internal.node_metrics is every metric, for those who may see the cluster', async ({ db }) => {
  const { rows } = await db.query(
    "SELECT store_id, name, value FROM crdb_internal.node_metrics WHERE name IN ('liveness.livenodes', 'jobs.backup.resume_completed', 'ranges') ORDER BY name",
  );
  assert.equal(
    rows.map(({ store_id, name, value }) => [store_id, name, typeof value === 'number' && value >= 1]),
    [
      [null, 'jobs.backup.resume_completed', true],
      [null, 'liveness.livenodes', true],
      [1, 'ranges', true],
    ],
  );
  await db.query('CREATE USER ann');
  const ann = await db.connect({ user: 'ann' });
  await assertFails(ann.query('SELECT * FROM crdb_internal.node_metrics'), '42501');
  await db.query('GRANT SYSTEM VIEWCLUSTERMETADATA TO ann');
  assert.ok((await ann.query('SELECT * FROM crdb_internal.node_metrics')).rows.length > 100);
  await ann.close();
});

test('a schedule counts its backups, and when the last one completed', async ({ db, moved, clock }) => {
  await db.query(`CREATE SCHEDULE s FOR BACKUP DATABASE defaultdb INTO 'mem://scheduled' RECURRING '@hourly' FULL BACKUP '@daily'
    WITH SCHEDULE OPTIONS first_run = 'now', updates_cluster_last_backup_time_metric`);
  await clock.advance('3h30m');
  const counted = await moved('schedules.');
  const started = counted['schedules.BACKUP.started'] ?? 0;
  assert.ok(started >= 3, `${started} backups`);
  assert.is(counted['schedules.BACKUP.succeeded'], started);
  const hour = Math.floor(clock.nowMicros() / 3_600_000_000) * 3600;
  assert.is(counted['schedules.BACKUP.last-completed-time'], hour);
  assert.is(counted['schedules.BACKUP.last-completed-time-by-virtual_cluster'], hour);
  assert.is(counted['schedules.BACKUP.protected_record_count'], 1);
  assert.is(counted['schedules.BACKUP.protected_age_sec'], Math.floor(clock.nowMicros() / 1e6) - hour);
  assert.is(counted['schedules.round.jobs-started'], 1);
  await db.query('DROP SCHEDULES SELECT id FROM [SHOW SCHEDULES]');
});

test('rounds tell what they put off, and why', async ({ db, moved, clock }) => {
  await db.query("SET CLUSTER SETTING jobs.debug.pausepoints = 'backup.afterLock'");
  const make = (policy: string) =>
    db.query(`CREATE SCHEDULE FOR BACKUP DATABASE defaultdb INTO 'mem://${policy}' RECURRING '@hourly' FULL BACKUP ALWAYS
      WITH SCHEDULE OPTIONS first_run = 'now', on_previous_running = '${policy}'`);
  await make('skip');
  await clock.advance('1s');
  await moved();
  await clock.advance('1h');
  assert.is((await moved('schedules.round'))['schedules.round.reschedule-skip'], 1);
  await make('wait');
  await clock.advance('1s');
  await moved();
  await clock.advance('1h');
  assert.is((await moved('schedules.round'))['schedules.round.reschedule-wait'], 1);
  await db.query('DROP SCHEDULES SELECT id FROM [SHOW SCHEDULES]');
  await db.query("CANCEL JOBS SELECT job_id FROM [SHOW JOBS] WHERE status = 'paused'");
  await db.query('RESET CLUSTER SETTING jobs.debug.pausepoints');
});

test('settings of what stores and pushes metrics elsewhere are kept', async ({ db }) => {
  const { rows } = await db.query(
    "SELECT variable, value FROM [SHOW ALL CLUSTER SETTINGS] WHERE variable LIKE 'external.graphite.%' OR variable LIKE 'timeseries.storage.resolution%' ORDER BY variable",
  );
  assert.equal(
    rows.map(({ variable, value }) => `${variable} ${value}`),
    [
      'external.graphite.endpoint ',
      'external.graphite.interval 10s',
      'timeseries.storage.resolution_10s.ttl 240h0m0s',
      'timeseries.storage.resolution_30m.ttl 2160h0m0s',
    ],
  );
});

test('a fork counts for itself', async ({ db }) => {
  const fork = await db.fork();
  const counted = (await fork.database.metrics.read()).find(({ name }) => name === 'jobs.backup.resume_completed');
  assert.is(counted?.value, 0);
  await fork.close();
});

async function assertFails(call: Promise<unknown>, code?: string): Promise<void> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown as { code?: string },
  );
  assert.ok(error, 'it went through');
  if (code !== undefined) assert.is(error.code, code);
}

test.run();
