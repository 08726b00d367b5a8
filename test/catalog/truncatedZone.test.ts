/** A table that TRUNCATE makes has its predecessor's zone from the first moment on. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { InlineExecutor } from '../../src/base/executor.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { Database } from '../../src/server/database.ts';

const test = suite('zone of a truncated table');

test('its threshold is never settled under the TTL of its database', async () => {
  const clock = new ManualClock('2026-11-20T12:00:00Z');
  const db = await Database.open({ clock, seed: 'truncated zone', executor: new InlineExecutor() });
  const session = db.newSession();
  await session.execute('CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY)');
  await session.execute('ALTER DATABASE d CONFIGURE ZONE USING gc.ttlseconds = 20');
  await session.execute('ALTER TABLE d.t CONFIGURE ZONE USING gc.ttlseconds = 3600');
  await clock.advance('10m');
  await session.execute('TRUNCATE d.t');
  const { catalog } = db.services;
  const snapshot = await catalog.current();
  const table = snapshot.requireTable(['d', 't'], { currentDatabase: 'd', searchPath: ['public'] }).descriptor;
  const ageSeconds = (db.kv.reading() - db.kv.gc.thresholds.of(table.id)) / 1_000_000;
  assert.ok(ageSeconds >= 600, `history of ${ageSeconds} s`);
  // A time before the truncation can be held: the database's history is there.
  await session.execute("SELECT varve_internal.protect_timestamp('d', now() - '1m'::INTERVAL)");
  await db.close();
});

test.run();
