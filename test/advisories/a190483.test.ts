/**
 * Rows of several column families, cut between their families wherever something can be cut: a range, a checkpoint of
 * a restore that dies. There a restored range began inside a row, and reads missed the row's other families; here a
 * range is only a record, reads go by the store, and a restore goes on at a key, not at a row.
 */
import * as assert from 'uvu/assert';

import type { Bytes } from '../../src/base/bytes.ts';
import { tablePrefix } from '../../src/base/keycode.ts';
import { tableNamed } from '../sql/schemaChange/agreement.ts';
import { COLLECTION } from '../restore/database.ts';
import { testAdvisory } from './support.ts';

testAdvisory(
  'a190483',
  'rows are whole although ranges and checkpoints lie between their families',
  async (db) => {
    const { kv, jobs } = db.db;
    await db.run(
      'CREATE DATABASE d',
      'CREATE TABLE d.t (id INT PRIMARY KEY, a INT, b STRING, FAMILY f0 (id), FAMILY f1 (a), FAMILY f2 (b))',
      "INSERT INTO d.t SELECT i, i * 2, 'b' || i::STRING FROM generate_series(1, 8) AS g(i)",
    );
    const expected = await db.rows('SELECT * FROM d.t ORDER BY id');
    const cutInside = async () => {
      const { id } = tableNamed(db.db.engine, 't');
      const { keys } = await kv.at(kv.reading()).scan({ key: tablePrefix(id), endKey: tablePrefix(id + 1) });
      assert.is(keys.length, 24);
      const range = kv.ranges.split(keys[10] as Bytes);
      assert.ok(range !== undefined);
      kv.ranges.transferLease(range, 2);
    };
    await cutInside();
    assert.equal(await db.rows('SELECT * FROM d.t ORDER BY id'), expected);
    await db.run(`BACKUP DATABASE d INTO '${COLLECTION}'`);
    let crashes = 0;
    jobs.pausepoints.setHook(async (name, ctx) => {
      if (name === 'restore.afterFirstCheckpoint' && crashes++ === 0) kv.cluster.stopNode(ctx.node.id);
    });
    await db.run(`RESTORE DATABASE d FROM LATEST IN '${COLLECTION}' WITH new_db_name = 'r'`);
    assert.ok(crashes > 1, 'the job came back');
    await cutInside();
    assert.equal(await db.rows('SELECT * FROM r.t ORDER BY id'), expected);
    assert.equal(await db.rows('SELECT * FROM r.t WHERE id = 4'), [['4', '8', 'b4']]);
  },
  // A checkpoint at each key.
  () => ({ nodes: 3, restoreCheckpointBytes: 1 }),
);
