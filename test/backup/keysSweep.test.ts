/**
 * An encrypted backup at every pausepoint: its node stops, it is paused, canceled, its storage goes away. It ends as one
 * that nothing disturbed, under the one key that it began with, or leaves nothing (test/support/jobSweep.ts).
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { seededRandom } from '../../src/base/random.ts';
import { FaultInjector } from '../../src/storage/faulty.ts';
import { TestDatabase } from '../restore/database.ts';
import { sweepJob } from '../support/jobSweep.ts';

const test = suite('job sweep, encrypted');
const SECRETS = { full: "encryption_passphrase = 'p'", incremental: "kms = ('mem-kms:///k1', 'mem-kms:///k2')" };
const place = (n: number) => `mem://bucket/c${n}`;

for (const kind of ['full', 'incremental'] as const) {
  test(`BACKUP, ${kind}`, async () => {
    let injector: FaultInjector | undefined;
    const database = await TestDatabase.open({ nodes: 2, wrapStorage: (storage) => injector?.wrap(storage) ?? storage });
    const { db, clock } = database;
    injector = new FaultInjector({ rules: [], random: seededRandom('outage'), clock, activity: clock.activity });
    const outage = (isDown: boolean) => injector?.setRules(isDown ? [{ action: { kind: 'fail', isRetryable: true } }] : []);
    const files = async () => await db.storage.open('mem://bucket', { user: 'root', nodeId: 1 }).list('');
    await database.run(
      'CREATE DATABASE bank; USE bank; CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t SELECT * FROM generate_series(1, 100)',
    );
    await clock.advance('1s');
    const first = database.now();
    await clock.advance('1s');
    await database.run('DELETE FROM t WHERE id > 90; ALTER DATABASE bank CONFIGURE ZONE USING gc.ttlseconds = 100000000');
    await clock.advance('1s');
    const second = database.now();
    const secret = SECRETS[kind];
    const backup = (n: number, into: string, at: string, more: string) =>
      `BACKUP DATABASE bank INTO ${into}'${place(n)}' AS OF SYSTEM TIME ${at} WITH ${secret}${more}`;
    const runs = await sweepJob({
      jobs: db.jobs,
      cluster: db.kv.cluster,
      clock,
      type: 'BACKUP',
      prepare: async (n) => {
        if (kind === 'incremental') await database.run(backup(n, '', first, ''));
      },
      start: async (n) => {
        const sql = kind === 'full' ? backup(n, '', second, ', detached') : backup(n, 'LATEST IN ', second, ', detached');
        return Number((await database.rows(sql))[0]?.[0]);
      },
      result: async (n) => {
        const proof = await database.rows(`VERIFY BACKUP FROM LATEST IN '${place(n)}' WITH ${secret}`);
        const left = (await files()).filter((name) => name.startsWith(`c${n}/`) && /LOCK|CHECKPOINT|INFO/.test(name));
        return JSON.stringify([proof, left.map((name) => name.split('/').slice(4))]);
      },
      traces: async () => [...(await database.traces()), ...(await files())],
      outage: { begin: () => outage(true), end: () => outage(false) },
      exhausted: 'failed',
      elsewhere: kind === 'full' ? [] : ['backup.beforeLatest', 'backup.afterLatest'],
    });
    assert.ok(runs > 40, `${runs} runs`);
    await database.close();
  });
}
test.run();
