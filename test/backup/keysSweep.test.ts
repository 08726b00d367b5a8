/**
 * An encrypted backup at every pausepoint: its node stops, it is paused, canceled, its storage goes away. It ends as one
 * that nothing disturbed, under the one key that it began with, or leaves nothing (test/support/jobSweep.ts).
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { seededRandom } from '../../src/base/random.ts';
import { tablePrefix } from '../../src/base/keycode.ts';
import { FaultInjector } from '../../src/storage/faulty.ts';
import { MemoryKeys, openMemoryKms } from '../../src/storage/kms/memoryKms.ts';
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
// Whose a checkpoint is shows without the key: a KMS that does not answer, now or ever again, lets nothing stay.
for (const isRetryable of [true, false]) {
  test(`a KMS that ${isRetryable ? 'does not answer' : 'refuses'} while a backup is undone`, async () => {
    const database = await TestDatabase.open({ nodes: 3 });
    const { db, clock } = database;
    const keys = new MemoryKeys((count) => Buffer.alloc(count, 7));
    db.storage.secrets.registerKms('mem-kms', (uri) => openMemoryKms(uri, keys));
    // A file for each node that holds leases, so that there is a checkpoint.
    await database.run(
      'CREATE DATABASE bank; CREATE TABLE bank.t (id INT PRIMARY KEY); ALTER TABLE bank.t SPLIT AT VALUES (100), (200)',
      'INSERT INTO bank.t SELECT * FROM generate_series(1, 300)',
    );
    for (const { rangeId } of db.kv.rangesOf({ key: tablePrefix(50), endKey: tablePrefix(1000) }))
      db.kv.ranges.transferLease(rangeId, 1 + (rangeId % 3));
    // The lock of another job is there, so what cannot tell its owner would stay.
    const storage = db.storage.open('mem://bucket', { user: 'root', nodeId: 1 });
    const [[id] = []] = await database.rows(
      `SET CLUSTER SETTING jobs.debug.pausepoints = 'backup.afterFirstExport'; BACKUP DATABASE bank INTO '${place(0)}' WITH ${SECRETS.incremental}, detached`,
    );
    await clock.activity.settled();
    const names = await storage.list('');
    assert.ok(
      names.some((name) => name.includes('CHECKPOINT')),
      'there is a checkpoint',
    );
    const other = `${names.find((name) => name.includes('LOCK'))}9`;
    await storage.write(other, Buffer.from('{}'));
    for (const key of ['k1', 'k2']) keys.refused.set(key, { message: 'away', isRetryable });
    await database.run(`CANCEL JOB ${id}`);
    await clock.advance('1m');
    assert.is((await db.jobs.get(Number(id)))?.status, 'canceled');
    assert.equal(await storage.list(''), [other]);
    await database.close();
  });
}

test.run();
