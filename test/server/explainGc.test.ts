/** db.explainGc() and the range queue on a whole database: what the library tells, and what the clock does by itself. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { ManualClock } from '../../src/base/manualClock.ts';
import { timestamp } from '../../src/base/timestamp.ts';
import { Varve } from '../../src/server/varve.ts';

const HOUR = 3_600_000_000;
const test = suite<{ db: Varve; clock: ManualClock }>('explainGc');

test.before.each(async (context) => {
  context.clock = new ManualClock('2026-11-20T12:00:00Z');
  context.db = await Varve.open({ clock: context.clock, seed: 'explain' });
  await context.db.query('CREATE TABLE t (k INT PRIMARY KEY, v STRING)');
  await context.db.query("INSERT INTO t SELECT i, 'x' FROM generate_series(1, 10) AS g(i)");
});
test.after.each(({ db }) => db.close());

for (const isLate of [false, true]) {
  test(`names the chain and when it is lost: an incremental ${isLate ? 'then is refused' : 'before is taken'}`, async ({ db, clock }) => {
    assert.equal((await db.explainGc('t')).chains, []);
    await (await db.backup({ into: 'mem://a', targets: { database: 'defaultdb' } })).wait();
    await clock.advance('1h');
    await (await db.backup({ into: 'mem://a', targets: { database: 'defaultdb' }, incremental: true })).wait();
    const [chain, ...others] = (await db.explainGc('t')).chains;
    assert.equal(others, []);
    assert.is(chain?.layers, 2);
    assert.is(chain?.lostAt, (chain?.endTime ?? 0) + 4 * HOUR);
    assert.is(chain?.limitingTableId, (await db.explainGc('t')).tableId);

    await clock.set(timestamp((chain?.lostAt ?? 0) + (isLate ? 0 : -1_000_000)));
    let code = 'taken';
    await db.query("BACKUP DATABASE defaultdb INTO LATEST IN 'mem://a'").catch((error: { code: string }) => {
      code = error.code;
    });
    assert.is(code, isLate ? '72000' : 'taken');
  });
}

test('a protection makes the chain last; what it pins is counted, and freed with it', async ({ db, clock }) => {
  await (await db.backup({ into: 'mem://a', targets: { table: 't' } })).wait();
  await db.query("SELECT varve_internal.protect_timestamp('t', cluster_logical_timestamp())");
  for (let i = 0; i < 3; i++) await db.query("UPDATE t SET v = v || 'y'");
  await clock.advance('6h');
  const held = await db.explainGc('t');
  assert.is(held.reason, 'protection');
  assert.ok(held.pinnedBytes > 0 && held.pinnedBytes === held.garbageBytes, `${held.pinnedBytes} of ${held.garbageBytes}`);
  const [record] = held.protections;
  assert.is(record && db.database.kv.gc.pinnedBy(record), held.pinnedBytes);
  await db.query('SELECT varve_internal.release_protection(id) FROM varve_internal.protected_timestamps');
  const { removedBytes } = await db.database.kv.gc.runGc();
  assert.ok(removedBytes >= held.pinnedBytes, `${removedBytes} removed, ${held.pinnedBytes} were pinned`);
  assert.is((await db.explainGc('t')).garbageBytes, 0);
});

test('of two records only the oldest pins, as far as the next one', async ({ db, clock }) => {
  await db.query("SELECT varve_internal.protect_timestamp('t', cluster_logical_timestamp())");
  await db.query("UPDATE t SET v = 'first'");
  await db.query("SELECT varve_internal.protect_timestamp('t', cluster_logical_timestamp())");
  await db.query("UPDATE t SET v = 'second'");
  await clock.advance('6h');
  const { protections, pinnedBytes } = await db.explainGc('t');
  const pins = protections.map((record) => db.database.kv.gc.pinnedBy(record));
  assert.is(pins[1], 0);
  assert.ok((pins[0] ?? 0) > 0 && (pins[0] ?? 0) < pinnedBytes);
});

test('an index that was dropped leaves the history of its table alone', async ({ db, clock }) => {
  await db.query("CREATE INDEX i ON t (v); ALTER INDEX t@i CONFIGURE ZONE USING gc.ttlseconds = 30; BACKUP TABLE t INTO 'mem://a'");
  const { rows } = await db.query('SELECT cluster_logical_timestamp()::STRING AS before');
  const before = rows[0]?.['before'] as string;
  await clock.advance('10s');
  await db.query("DROP INDEX t@i; UPDATE t SET v = 'later'");
  for (let hour = 0; hour < 3; hour++) {
    await clock.advance('1h');
    await db.database.kv.gc.runGc();
    const read = await db.query(`SELECT count(*)::INT4 AS c FROM t AS OF SYSTEM TIME ${before} WHERE k > 0 AND v || '' = 'x'`);
    assert.equal(read.rows, [{ c: 10 }], `after ${hour + 1} hours`);
  }
  const refused = await db.query(`SELECT count(*) FROM t@i AS OF SYSTEM TIME ${before}`).catch((error: { code: string }) => error.code);
  assert.is(refused, '72000', 'what the index held is gone');
  const [chain] = (await db.explainGc('t')).chains;
  assert.is(chain?.lostAt, (chain?.endTime ?? 0) + 4 * HOUR);
  await db.query("BACKUP TABLE t INTO LATEST IN 'mem://a'");
});

for (const isLate of [false, true]) {
  test(`a layer with history needs the past of an index dropped since: ${isLate ? 'too late' : 'in time'}`, async ({ db, clock }) => {
    await db.query('CREATE INDEX i ON t (v); ALTER INDEX t@i CONFIGURE ZONE USING gc.ttlseconds = 600');
    await db.query("BACKUP TABLE t INTO 'mem://a' WITH revision_history");
    await clock.advance('1s');
    await db.query("UPDATE t SET v = 'y'; DROP INDEX t@i");
    const [chain] = (await db.explainGc('t')).chains;
    assert.is(chain?.lostAt, (chain?.endTime ?? 0) + 600_000_000);
    await clock.set(timestamp((chain?.lostAt ?? 0) + (isLate ? 0 : -1_000_000)));
    const taken = await db.query("BACKUP TABLE t INTO LATEST IN 'mem://a' WITH revision_history").then(
      () => 'taken',
      (error: { code: string; detail: string }) => `${error.code} ${error.detail}`,
    );
    assert.match(taken, isLate ? /^72000 index defaultdb\.public\.t@/ : /^taken$/);
    // A full backup tells of what there is.
    await clock.advance('2h');
    await db.query("BACKUP TABLE t INTO 'mem://b' WITH revision_history");
    const asOf = timestamp((chain?.endTime ?? 0) + 500_000);
    const restored = await db
      .query(`CREATE DATABASE r; RESTORE TABLE t FROM LATEST IN 'mem://b' AS OF SYSTEM TIME ${asOf}000 WITH into_db = 'r'`)
      .catch((error: { code: string }) => error.code);
    assert.type(restored, 'string', 'it claims no time at which the index stood');
  });
}

test('a fork explains itself, and has a queue and a reconciler of its own', async ({ db }) => {
  await db.query('ALTER TABLE t SPLIT AT VALUES (5)');
  const fork = await db.fork();
  await fork.query('ALTER TABLE t UNSPLIT ALL');
  await (fork.clock as ManualClock).advance('5s');
  const ranges = async (one: Varve) => (await one.query('SHOW RANGES FROM TABLE t')).rowCount;
  assert.is(await ranges(fork), 1);
  assert.is(await ranges(db), 2);
  assert.is((await fork.explainGc('t')).reason, 'ttl');
  await fork.close();
  assert.is(await ranges(db), 2);
});

test('idle timers end: a simulated year costs nothing without writes', async ({ db, clock }) => {
  await clock.advance('7d');
  assert.is(db.database.kv.rangeQueue.actor.getSnapshot().value, 'idle');
  assert.is(db.database.reconciler.actor.getSnapshot().value, 'idle');
  await clock.advance('365d');
});

test.run();
