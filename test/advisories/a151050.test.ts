/** A storage that fails once, for good, while a data file is written: the backup must fail, and never be a layer without the file. */
import * as assert from 'uvu/assert';

import { seededRandom } from '../../src/base/random.ts';
import { FaultInjector } from '../../src/storage/faulty.ts';
import { COLLECTION, START } from '../restore/database.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { restored, testAdvisory } from './support.ts';

let faults: FaultInjector;

testAdvisory(
  'a151050',
  'a failed write of a data file fails the backup',
  async (db) => {
    await db.run('CREATE DATABASE d', 'CREATE TABLE d.t (id INT PRIMARY KEY, v STRING)', "INSERT INTO d.t VALUES (1, 'a'), (2, 'b')");
    faults.setRules([{ operations: ['write'], name: /\/data\//, nth: 1, count: 1, action: { kind: 'fail', isRetryable: false } }]);
    const first = await db.error(`BACKUP DATABASE d INTO '${COLLECTION}'`);
    assert.match(first, /^58/, 'the error reaches the statement');
    assert.equal(await db.rows(`SHOW BACKUPS IN '${COLLECTION}'`), []);
    await db.run(`BACKUP DATABASE d INTO '${COLLECTION}'`);
    assert.equal(await restored(db, COLLECTION, 't'), [
      ['1', 'a'],
      ['2', 'b'],
    ]);
  },
  () => {
    faults = new FaultInjector({ rules: [], random: seededRandom('a151050'), clock: new ManualClock(START) });
    return { wrapStorage: (inner) => faults.wrap(inner) };
  },
);
