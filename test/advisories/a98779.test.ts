/** A restore that loses its coordinator between two checkpoints goes on where it was, and skips no file that it had begun. */
import * as assert from 'uvu/assert';

import { COLLECTION } from '../restore/database.ts';
import { restored, testAdvisory } from './support.ts';

const ROWS = 40;

testAdvisory(
  'a98779',
  'a restore that is resumed after its first checkpoint restores all rows',
  async (db) => {
    await db.run(
      'CREATE DATABASE d',
      'CREATE TABLE d.t (id INT PRIMARY KEY, v STRING, INDEX (v))',
      `INSERT INTO d.t SELECT i, 'v' || i::STRING FROM generate_series(1, ${ROWS}) AS g(i)`,
      `BACKUP DATABASE d INTO '${COLLECTION}'`,
    );
    let crashes = 0;
    db.db.jobs.pausepoints.setHook(async (name, ctx) => {
      if (name !== 'restore.afterFirstCheckpoint' || crashes++ > 0) return;
      db.db.kv.cluster.stopNode(ctx.node.id);
    });
    const rows = await restored(db, COLLECTION, 't');
    assert.ok(crashes > 1, 'the job came back');
    assert.is(rows.length, ROWS);
    assert.equal(
      rows.map(([, v]) => v),
      Array.from({ length: ROWS }, (_, i) => `v${i + 1}`),
    );
  },
  () => ({ nodes: 3, restoreCheckpointBytes: 200 }),
);
