/** A row updated far more often than one piece of an export takes: every one of its revisions is in the backup, and each is restored. */
import * as assert from 'uvu/assert';

import { COLLECTION } from '../restore/database.ts';
import { restored, testAdvisory } from './support.ts';

/** Of about 100 KiB each: more than the megabyte of one piece. */
const REVISIONS = 15;
const WIDTH = 100_000;

testAdvisory('a101963', 'each revision of a row that fills several pieces is restored', async (db) => {
  await db.run('CREATE DATABASE d', 'CREATE TABLE d.t (id INT PRIMARY KEY, n INT, v STRING)');
  await db.run(
    `INSERT INTO d.t VALUES (1, -1, 'low'), (2, -1, ''), (3, -1, 'high'); BACKUP DATABASE d INTO '${COLLECTION}' WITH revision_history`,
  );
  const times: string[] = [];
  for (let n = 0; n < REVISIONS; n++) {
    await db.run(`UPDATE d.t SET n = ${n}, v = repeat('x', ${WIDTH}) WHERE id = 2`);
    times.push(db.now());
  }
  await db.run(`BACKUP DATABASE d INTO LATEST IN '${COLLECTION}' WITH revision_history`);
  for (const n of [0, 1, 4, REVISIONS - 1]) {
    const rows = await restored(db, COLLECTION, 't', times[n]);
    assert.equal(
      rows.map(([id, revision]) => `${id} ${revision}`),
      ['1 -1', `2 ${n}`, '3 -1'],
      `revision ${n}`,
    );
  }
});
