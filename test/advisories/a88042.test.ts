/**
 * Rows that a layer holds, that went while no layer covered their table, and that a later layer, which has the table
 * from time zero again, knows nothing of: there no tombstone says that they went, so the older layer must not be asked.
 */
import * as assert from 'uvu/assert';

import { COLLECTION } from '../restore/database.ts';
import { restored, testAdvisory } from './support.ts';

testAdvisory('a88042', 'rows that were taken back while their table was in no backup stay away', async (db) => {
  await db.run(
    'CREATE DATABASE d',
    'CREATE TABLE d.t (id INT PRIMARY KEY, v STRING)',
    "INSERT INTO d.t VALUES (1, 'kept')",
    "INSERT INTO d.t SELECT i, 'bulk' FROM generate_series(100, 199) AS g(i)",
    `BACKUP DATABASE d INTO '${COLLECTION}'`,
    'ALTER TABLE d.t SET (exclude_data_from_backup = true)',
    "DELETE FROM d.t WHERE v = 'bulk'",
    `BACKUP DATABASE d INTO LATEST IN '${COLLECTION}'`,
    'ALTER TABLE d.t RESET (exclude_data_from_backup)',
    `BACKUP DATABASE d INTO LATEST IN '${COLLECTION}'`,
  );
  assert.equal(await restored(db, COLLECTION, 't'), [['1', 'kept']]);
});
