/**
 * A deletion that is stopped anywhere: at each of its pausepoints, by a node that stops, a pause, a cancel; at each call of the
 * storage, by one that refuses from there on or fails once. Whatever happens, every backup that is listed afterwards
 * can be restored, what is kept is untouched, and the next EXPIRE leaves nothing of the rest. And the race: a backup that
 * is added to a chain while the chain is deleted.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { seededRandom } from '../../src/base/random.ts';
import { isTerminal } from '../../src/jobs/jobMachine.ts';
import { RETENTION_PAUSEPOINTS } from '../../src/restore/retention/retentionJob.ts';
import { FaultInjector, type FaultRule } from '../../src/storage/faulty.ts';
import { TestDatabase } from './database.ts';

const test = suite('retention');

const BASE = 'mem://bucket/base';

/** Three chains, of which the oldest has three layers and one that stands for two of them. */
class Rig {
  readonly database: TestDatabase;
  readonly injector: FaultInjector;
  #count = 0;

  private constructor(database: TestDatabase, injector: FaultInjector) {
    this.database = database;
    this.injector = injector;
  }

  static async open(): Promise<Rig> {
    let injector: FaultInjector | undefined;
    const database = await TestDatabase.open({ nodes: 3, wrapStorage: (storage) => injector?.wrap(storage) ?? storage });
    const { clock } = database;
    await database.run('CREATE DATABASE d', 'CREATE TABLE d.t (id INT PRIMARY KEY, v INT, INDEX (v))', 'INSERT INTO d.t VALUES (1, 1)');
    const key = "WITH encryption_passphrase = 'secret'";
    for (const layers of [3, 2, 1]) {
      await clock.advance('1h');
      await database.run(`BACKUP DATABASE d INTO '${BASE}' ${key}`);
      for (let i = 1; i < layers; i++) {
        await clock.advance('1m');
        await database.run('UPDATE d.t SET v = v + 1', `BACKUP DATABASE d INTO LATEST IN '${BASE}' ${key}`);
      }
      if (layers === 3) await database.run(`COMPACT BACKUP LATEST IN '${BASE}' ${key}`);
    }
    injector = new FaultInjector({ rules: [], random: seededRandom('retention'), clock, activity: clock.activity });
    return new Rig(database, injector);
  }

  /** A collection that is a copy of the first one. */
  async copy(): Promise<string> {
    const uri = `mem://bucket/c${this.#count++}`;
    const open = (text: string) => this.database.db.storage.open(text, { user: 'root', nodeId: 1 });
    const [from, to] = [open(BASE), open(uri)];
    for (const name of await from.list('')) await to.write(name, Buffer.from(await from.read(name)));
    return uri;
  }

  async files(uri: string): Promise<string[]> {
    return await this.database.db.storage.open(uri, { user: 'root', nodeId: 1 }).list('');
  }

  async listed(uri: string): Promise<string[]> {
    return (await this.database.rows(`SHOW BACKUPS IN '${uri}'`)).map((row) => row[0] as string);
  }

  /** Starts a statement and lets time pass until its job has ended; undefined when there was none. */
  async expire(uri: string): Promise<string | undefined> {
    const { database } = this;
    const { jobs } = database.db;
    const known = new Set((await jobs.list()).map(({ id }) => id));
    let isOver = false;
    const statement = database.rows(`EXPIRE BACKUPS IN '${uri}' KEEP 1 FULLS`, database.db.newSession()).then(
      () => {
        isOver = true;
      },
      () => {
        isOver = true;
      },
    );
    for (let i = 0; i < 60; i++) {
      await database.clock.activity.settled();
      const job = (await jobs.list()).find(({ id }) => !known.has(id));
      if (job && isTerminal(job.status)) {
        await statement;
        for (const node of database.db.kv.cluster.nodes) if (!node.isLive) database.db.kv.cluster.startNode(node.id);
        return job.status;
      }
      if (job === undefined && isOver) return undefined;
      if (job?.status === 'paused') await jobs.resume(job.id);
      await database.clock.advance('5m');
    }
    throw new Error('the deletion does not end');
  }

  /** Every listed backup is whole (verified to the last row), and the newest is as it was; then all the rest goes. */
  async check(uri: string, newest: string, where: string): Promise<void> {
    const listed = await this.listed(uri);
    assert.ok(listed.includes(newest), `${where}: the newest is kept`);
    for (const path of listed) {
      const rows = await this.database.rows(
        `SELECT status FROM [VERIFY BACKUP FROM '${path}' IN '${uri}' WITH encryption_passphrase = 'secret']`,
      );
      assert.ok(rows.length > 0 && rows.every(([status]) => status === 'ok'), `${where}: ${path}`);
    }
    await this.expire(uri);
    assert.equal(await this.listed(uri), [newest], where);
    const ofOthers = (await this.files(uri)).filter((name) => !name.includes(newest.slice(1)) && !name.startsWith('metadata/'));
    assert.equal(ofOthers, [], `${where}: files that are nobody's`);
    assert.is(
      (await this.files(uri)).filter((name) => name.startsWith('metadata/')).length,
      2,
      `${where}: index and pointer of the newest`,
    );
  }
}

test('stopped, paused and canceled at each pausepoint', async () => {
  const rig = await Rig.open();
  const { jobs, kv } = rig.database.db;
  const newest = (await rig.listed(BASE)).at(-1) as string;
  const stops = {
    stop: (ctx: { readonly node: { readonly id: number } }) => kv.cluster.stopNode(ctx.node.id),
    pause: (ctx: { readonly jobId: number }) => jobs.pause(ctx.jobId),
    cancel: (ctx: { readonly jobId: number }) => jobs.cancel(ctx.jobId),
  };
  const reached = new Set<string>();
  for (const point of RETENTION_PAUSEPOINTS) {
    for (const [what, stop] of Object.entries(stops)) {
      // The first time that it comes there, and the last.
      for (const nth of what === 'stop' ? [1, 4] : [2]) {
        const uri = await rig.copy();
        let count = 0;
        jobs.pausepoints.setHook(async (name, ctx) => {
          if (name === point && ++count === nth) {
            reached.add(point);
            await stop(ctx);
          }
        });
        const status = await rig.expire(uri);
        jobs.pausepoints.setHook(undefined);
        const isCanceled = what === 'cancel' && count >= nth;
        assert.is(status, isCanceled ? 'canceled' : 'succeeded', `${what} at ${point} ${nth}`);
        await rig.check(uri, newest, `${what} at ${point} ${nth}`);
      }
    }
  }
  assert.is(reached.size, RETENTION_PAUSEPOINTS.length);
  await rig.database.close();
});

test('a storage that refuses deletions, or fails, from the n-th call on', async () => {
  const rig = await Rig.open();
  const newest = (await rig.listed(BASE)).at(-1) as string;
  const kinds: [what: string, rule: FaultRule][] = [
    ['refuses', { operations: ['delete'], action: { kind: 'fail', isRetryable: false } }],
    ['refuses afterwards', { operations: ['delete'], count: 1, action: { kind: 'fail', isRetryable: false, after: true } }],
    ['fails once', { count: 1, action: { kind: 'fail', isRetryable: true } }],
  ];
  for (const [what, rule] of kinds) {
    const step = what === 'fails once' ? 13 : 5;
    let failures = 0;
    for (let nth = 1; nth < 400; nth += step) {
      const uri = await rig.copy();
      rig.injector.setRules([{ ...rule, nth }]);
      const calls = rig.injector.log.length;
      const status = await rig.expire(uri);
      rig.injector.setRules([]);
      const isMet = rig.injector.log.slice(calls).some(({ fault }) => fault === 'fail');
      if (status !== 'succeeded') failures++;
      await rig.check(uri, newest, `${what} at ${nth}`);
      if (!isMet) break;
    }
    assert.ok(failures > 3 || what === 'fails once', `${what}: ${failures} failures`);
  }
  await rig.database.close();
});

test('a storage that refuses a deletion is told of in plain words', async () => {
  const rig = await Rig.open();
  const uri = await rig.copy();
  const before = await rig.files(uri);
  rig.injector.setRules([
    { operations: ['delete'], name: /incrementals/, action: { kind: 'fail', isRetryable: false, message: 'object is locked' } },
  ]);
  const error = await rig.database.rows(`EXPIRE BACKUPS IN '${uri}' KEEP 1 FULLS`).then(
    () => undefined,
    (thrown: { message: string; hint: string; detail: string }) => thrown,
  );
  rig.injector.setRules([]);
  assert.match(error?.message ?? '', /could not be deleted: .*object is locked/);
  assert.match(error?.hint ?? '', /object lock/);
  // Index files of the layer are gone, which costs time only; all layers are there.
  assert.equal(
    (await rig.files(uri)).filter((name) => !name.startsWith('metadata/')),
    before.filter((name) => !name.startsWith('metadata/')),
  );
  assert.is((await rig.listed(uri)).length, 3);
  await rig.database.close();
});

test('a backup that is added while its chain is deleted gives way, or the deletion does', async () => {
  const rig = await Rig.open();
  const { database } = rig;
  const { jobs } = database.db;
  const outcomes = new Set<string>();
  const [oldest = '', second = ''] = await rig.listed(BASE);
  for (const point of RETENTION_PAUSEPOINTS) {
    for (const backupPoint of [
      'backup.beforeLock',
      'backup.afterLock',
      'backup.beforeManifest',
      'backup.afterManifest',
      'backup.afterCleanup',
    ]) {
      const uri = await rig.copy();
      // The deletion waits at its point until the backup has come to its own, and the other way round.
      const gates = new Map<string, () => void>();
      const arrived = new Set<string>();
      jobs.pausepoints.setHook(async (name, ctx) => {
        if ((name !== point && name !== backupPoint) || arrived.has(name)) return;
        arrived.add(name);
        const other = name === point ? backupPoint : point;
        if (arrived.has(other)) gates.get(other)?.();
        else if (name === point) await ctx.kv.activity.suspend(new Promise<void>((resolve) => gates.set(name, resolve)));
      });
      const deletion = database.error(`DELETE BACKUP '${oldest}' IN '${uri}'`);
      void deletion;
      await database.clock.activity.settled();
      const session = database.db.newSession();
      const sql = `BACKUP DATABASE d INTO '${oldest}' IN '${uri}' WITH encryption_passphrase = 'secret'`;
      const backup = database.rows(sql, session).then(
        () => 'added',
        (error: { message: string }) => error.message,
      );
      for (let i = 0; i < 5; i++) {
        await database.clock.activity.settled();
        await database.clock.advance('1m');
      }
      for (const open of gates.values()) open();
      await database.clock.activity.settled();
      const [deleted, added] = [await deletion, await backup];
      jobs.pausepoints.setHook(undefined);
      outcomes.add(`${deleted === 'no error'} ${added === 'added'}`);
      assert.not(deleted === 'no error' && added === 'added' && !(await rig.listed(uri)).includes(oldest), `${point}, ${backupPoint}`);
      // What is listed is whole.
      assert.ok((await rig.listed(uri)).includes(second), `${point}, ${backupPoint}`);
      for (const path of await rig.listed(uri)) {
        await database.rows(`VERIFY BACKUP FROM '${path}' IN '${uri}' WITH encryption_passphrase = 'secret'`);
      }
    }
  }
  // Either gives way; which one, the order decides.
  assert.ok(outcomes.has('true false') && outcomes.has('false true'), [...outcomes].join('; '));
  await database.close();
});

test.run();
