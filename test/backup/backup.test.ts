/**
 * Backups end to end below SQL: what a chain holds at any time equals what a reader sees at that
 * time, whatever stops the job on its way; and a job that fails or is canceled leaves nothing.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { VarveError } from '../../src/base/errors.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { BACKUP_PAUSEPOINTS } from '../../src/backup/backupJob.ts';
import { restorableIntervals, loadChain } from '../../src/backup/chain.ts';
import { readLatest } from '../../src/backup/collection.ts';
import { isTerminal } from '../../src/jobs/jobMachine.ts';
import { FaultInjector, type FaultRule } from '../../src/storage/faulty.ts';
import type { HarnessOptions } from './harness.ts';
import { COLLECTION, Harness } from './harness.ts';

const test = suite('backup');

const FULL = `BACKUP DATABASE bank INTO '${COLLECTION}'`;
const INCREMENTAL = `BACKUP DATABASE bank INTO LATEST IN '${COLLECTION}' WITH revision_history`;
const T = 'bank.t';

async function bank(options: HarnessOptions = {}): Promise<Harness> {
  const harness = await Harness.open(options);
  await harness.createDatabase('bank');
  await harness.createTable(T);
  await harness.createTable('bank.u');
  await harness.put(T, new Map(Array.from({ length: 30 }, (_, i) => [i, `row ${i}`])));
  await harness.put('bank.u', new Map([[1, 'u']]));
  await harness.clock.advance('1s');
  return harness;
}

async function assertRestorable(harness: Harness, time?: Timestamp): Promise<void> {
  for (const table of [T, 'bank.u']) {
    const back = await harness.readBack(table, time);
    assert.equal([...back.data], [...(await harness.liveData(table, back.time))], `${table} as of ${back.time}`);
  }
}

function protectionCount(harness: Harness): number {
  return harness.kv.gc.protections.size;
}

/** Runs until the job is terminal, letting time pass for its retries. */
async function finish(harness: Harness, id: number): Promise<string> {
  for (let minutes = 0; minutes < 600; minutes += 10) {
    await harness.clock.activity.settled();
    const record = await harness.jobs.get(id);
    if (record && (isTerminal(record.status) || record.status === 'paused')) return record.status;
    await harness.clock.advance('10m');
  }
  throw new Error(`job ${id} does not end: ${(await harness.jobs.get(id))?.status}`);
}

async function start(harness: Harness, sql: string): Promise<number> {
  const separator = sql.includes(' WITH ') ? ', detached' : ' WITH detached';
  const { rows } = await harness.run(`${sql}${separator}`);
  return rows[0]?.['job_id'] as number;
}

test('a full and an incremental bring back every moment that they say they can', async () => {
  const harness = await bank();
  const { rows } = await harness.run(FULL);
  assert.equal(Object.keys(rows[0] ?? {}), ['job_id', 'status', 'fraction_completed', 'rows', 'index_entries', 'bytes']);
  assert.is(rows[0]?.['rows'], 31);
  assert.is(rows[0]?.['index_entries'], 31);
  await assertRestorable(harness);
  await harness.put(
    T,
    new Map([
      [1, 'changed'],
      [2, null],
      [100, 'new'],
    ]),
  );
  await harness.clock.advance('1s');
  await harness.run(INCREMENTAL);
  await assertRestorable(harness);
  assert.is(protectionCount(harness), 0);
  assert.ok(!(await harness.fileNames()).some((name) => /LOCK|CHECKPOINT/.test(name)));
  harness.close();
});

for (const [what, sql] of [
  ['full', FULL],
  ['incremental', INCREMENTAL],
] as const) {
  test(`${what}: the coordinator's node stops at each pausepoint, and another finishes`, async () => {
    for (const point of BACKUP_PAUSEPOINTS.filter((name) => !name.includes('Revert'))) {
      if (what === 'incremental' && point.includes('Latest')) continue;
      const harness = await bank({ nodes: 3 });
      if (what === 'incremental') await harness.run(FULL);
      await harness.put(T, new Map([[3, `at ${point}`]]));
      let stops = 0;
      harness.jobs.pausepoints.setHook((name, ctx) => {
        if (name === point && stops++ === 0) harness.kv.cluster.stopNode(ctx.node.id);
      });
      const id = await start(harness, sql);
      assert.is(await finish(harness, id), 'succeeded', point);
      assert.ok(stops >= 1, `${point} was reached`);
      await assertRestorable(harness);
      const leftovers = (await harness.fileNames()).filter((name) => /LOCK|CHECKPOINT/.test(name));
      assert.equal(leftovers, [], point);
      await assertOnlyNamedFiles(harness);
      assert.is(protectionCount(harness), 0, point);
      harness.close();
    }
  });

  test(`${what}: a cancel at each pausepoint leaves nothing`, async () => {
    for (const point of BACKUP_PAUSEPOINTS) {
      if (what === 'incremental' && point.includes('Latest')) continue;
      const harness = await bank({ nodes: 2 });
      if (what === 'incremental') await harness.run(FULL);
      await harness.put(T, new Map([[3, `at ${point}`]]));
      const before = await harness.fileNames();
      // The two pausepoints of reverting are reached by a cancel before them; there the node stops.
      const isRevert = point.includes('Revert');
      let reached = false;
      harness.jobs.pausepoints.setHook(async (name, ctx) => {
        if (name === (isRevert ? 'backup.afterFirstExport' : point)) await harness.jobs.cancel(ctx.jobId);
        if (isRevert && name === point && !reached) harness.kv.cluster.stopNode(ctx.node.id);
        if (name === point) reached = true;
      });
      const id = await start(harness, sql);
      assert.is(await finish(harness, id), 'canceled', point);
      assert.ok(reached, point);
      assert.equal(await harness.fileNames(), before, point);
      assert.is(protectionCount(harness), 0, point);
      // And the next one works.
      harness.jobs.pausepoints.setHook(undefined);
      await harness.clock.advance('1s');
      await harness.run(sql);
      await assertRestorable(harness);
      harness.close();
    }
  });

  test(`${what}: paused at each pausepoint it goes on after RESUME`, async () => {
    for (const point of BACKUP_PAUSEPOINTS.filter((name) => !name.includes('Revert'))) {
      if (what === 'incremental' && point.includes('Latest')) continue;
      const harness = await bank();
      if (what === 'incremental') await harness.run(FULL);
      await harness.put(T, new Map([[3, `at ${point}`]]));
      harness.pausepoints = point;
      const id = await start(harness, sql);
      assert.is(await finish(harness, id), 'paused', point);
      // History goes on expiring while it is paused; what the backup needs is held.
      await harness.put(T, new Map([[3, 'after the end']]));
      await harness.clock.advance('30h');
      harness.pausepoints = '';
      await harness.jobs.resume(id);
      assert.is(await finish(harness, id), 'succeeded', point);
      const back = await harness.readBack(T);
      assert.match(await harness.showRows(T, back.data), `3=at ${point}`);
      harness.close();
    }
  });
}

/** Every data file of the collection is named by a manifest. */
async function assertOnlyNamedFiles(harness: Harness): Promise<void> {
  const named = new Set<string>();
  for (const layer of await loadChain(harness.collection, await readLatest(harness.collection))) {
    for (const file of layer.manifest.files) named.add(`${layer.directory}/${file.path}`);
  }
  const data = (await harness.fileNames()).filter((name) => name.includes('/data/'));
  assert.equal(data, [...named].sort());
}

test('backups planned at one moment get directories of their own, or are refused when they ask for one time', async () => {
  const harness = await bank();
  await harness.run(FULL);
  await harness.clock.advance('1s');
  for (const sql of [FULL, INCREMENTAL]) {
    const before = await harness.fileNames();
    const ids = await Promise.all([1, 2, 3].map(() => start(harness, sql)));
    for (const id of ids) assert.is(await finish(harness, id), 'succeeded', sql);
    const manifests = (await harness.fileNames()).filter((name) => name.endsWith('/BACKUP_MANIFEST') && !before.includes(name));
    assert.is(manifests.length, 3, manifests.join(' '));
    await assertRestorable(harness);
    await harness.clock.advance('1s');

    const at = harness.kv.reading();
    await harness.clock.advance('1s');
    const [statement = '', options = ''] = sql.split(' WITH ');
    const asking = `${statement} AS OF SYSTEM TIME '${at}' WITH detached${options && `, ${options}`}`;
    const asked = await Promise.allSettled([1, 2].map(() => harness.run(asking)));
    assert.equal(asked.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    for (const one of asked) if (one.status === 'rejected') assert.is(one.reason.code, '58P02');
    await harness.clock.activity.settled();
    await assertRestorable(harness);
    await harness.clock.advance('1s');
  }
  assert.ok(!(await harness.fileNames()).some((name) => /LOCK|CHECKPOINT/.test(name)));
  harness.close();
});

test('a backup in a transaction keeps its directory until the transaction has ended', async () => {
  const harness = await bank();
  const ended: string[] = [];
  for (const end of ['commit', 'rollback'] as const) {
    const at = harness.kv.reading();
    await harness.clock.advance('1s');
    const sql = `${FULL} AS OF SYSTEM TIME '${at}' WITH detached`;
    let other: Promise<unknown> | undefined;
    const outcome = await harness
      .run(sql, {
        explicit: true,
        beforeCommit: async () => {
          other = harness.run(sql).then(
            () => 'planned',
            (error) => error.code,
          );
          assert.is(await other, '58P02', 'while the first is not committed');
          if (end === 'rollback') throw new Error('the client rolls back');
        },
      })
      .then(
        () => 'committed',
        (error: Error) => error.message,
      );
    assert.is(outcome, end === 'commit' ? 'committed' : 'the client rolls back');
    await harness.clock.activity.settled();
    ended.push(
      await harness.run(sql).then(
        () => 'planned',
        (error) => error.code,
      ),
    );
  }
  assert.equal(ended, ['58P02', 'planned']);
  harness.close();
});

test('the n-th storage call fails: the job goes on by a retry, or fails and leaves nothing', async () => {
  const run = async (nth: number, isRetryable: boolean) => {
    let injector: FaultInjector | undefined;
    const harness = await bank({ nodes: 2, wrap: (storage) => injector?.wrap(storage) ?? storage });
    await harness.run(FULL);
    const before = await harness.fileNames();
    await harness.put(T, new Map([[1, 'x']]));
    const rules = [{ nth, count: 1, action: { kind: 'fail', isRetryable, after: nth % 2 === 0 } as const }];
    injector = new FaultInjector({ rules, random: seededRandom(nth), clock: harness.clock, activity: harness.clock.activity });
    const where = () => `call ${nth} of ${injector?.log.length}: ${JSON.stringify(injector?.log[nth - 1])}`;
    // Planning's calls are the statement's own: it reports, and nothing was made.
    const id = await start(harness, INCREMENTAL).catch((error: VarveError) => error);
    if (typeof id !== 'number') {
      assert.is(id.code, '58030', where());
      assert.equal(await harness.fileNames(), before, where());
    } else {
      const status = await finish(harness, id);
      if (isRetryable) assert.is(status, 'succeeded', where());
      if (status === 'succeeded') await assertRestorable(harness);
      else {
        assert.is(status, 'failed', where());
        assert.equal(await harness.fileNames(), before, where());
      }
    }
    assert.is(protectionCount(harness), 0, where());
    harness.close();
    return injector.log;
  };
  const calls = (await run(Number.MAX_SAFE_INTEGER, true)).length;
  assert.ok(calls > 20, `${calls} calls`);
  for (const isRetryable of [true, false]) {
    for (let nth = 1; nth <= calls; nth++) {
      const log = await run(nth, isRetryable);
      assert.is(log[nth - 1]?.fault, 'fail', `call ${nth} was made`);
    }
  }
});

test('a storage that answers late: time passes for all workers, whoever waits', async () => {
  for (const seed of [1, 2]) {
    let injector: FaultInjector | undefined;
    const harness = await bank({ nodes: 3, wrap: (storage) => injector?.wrap(storage) ?? storage });
    const clock = harness.clock;
    const slow: FaultRule = { probability: 0.6, action: { kind: 'delay', micros: 3_000_000 } };
    injector = new FaultInjector({ rules: [slow], random: seededRandom(seed), clock, activity: clock.activity });
    for (const sql of [FULL, INCREMENTAL]) {
      // Planning reads the storage as well, as nobody's effect.
      const backing = harness.run(sql);
      let isDone = false;
      void backing.then(
        () => (isDone = true),
        () => (isDone = true),
      );
      for (let minutes = 0; !isDone && minutes < 60; minutes++) await clock.advance('1m');
      await backing;
      await harness.put(T, new Map([[seed, `late ${seed}`]]));
    }
    injector.setRules([]);
    await assertRestorable(harness);
    harness.close();
  }
});

test('a file that was stored wrong, or a manifest, never makes a success', async () => {
  for (const kind of ['truncate', 'corrupt'] as const) {
    for (const name of [/data\//, /BACKUP_MANIFEST$/, /BACKUP_MANIFEST-CHECKSUM$/, /LATEST-/]) {
      let injector: FaultInjector | undefined;
      const harness = await bank({ wrap: (storage) => injector?.wrap(storage) ?? storage });
      const action = kind === 'truncate' ? ({ kind, keepBytes: 10 } as const) : ({ kind } as const);
      const rules = [{ operations: ['write'] as const, name, count: 1, action }];
      injector = new FaultInjector({ rules, random: seededRandom(7), clock: harness.clock, activity: harness.clock.activity });
      const id = await start(harness, FULL);
      const status = await finish(harness, id);
      assert.is.not(status, 'succeeded', `${kind} ${name}`);
      assert.is((await harness.jobs.get(id))?.error?.code, 'XX001', `${kind} ${name}`);
      // A damaged manifest left in its place would stand in the way of the whole chain.
      assert.is(status, 'failed', `${kind} ${name}`);
      assert.equal(await harness.fileNames(), [], `${kind} ${name}`);
      assert.is(protectionCount(harness), 0);
      harness.close();
    }
  }
});

test('a damaged checkpoint goes too when a backup is canceled', async () => {
  let injector: FaultInjector | undefined;
  const harness = await bank({ nodes: 2, wrap: (storage) => injector?.wrap(storage) ?? storage });
  const rules = [{ operations: ['write'] as const, name: /BACKUP-CHECKPOINT/, action: { kind: 'truncate', keepBytes: 20 } as const }];
  injector = new FaultInjector({ rules, random: seededRandom(7), clock: harness.clock, activity: harness.clock.activity });
  harness.jobs.pausepoints.setHook(async (name, ctx) => {
    if (name === 'backup.afterExport') await harness.jobs.cancel(ctx.jobId);
  });
  const id = await start(harness, FULL);
  assert.is(await finish(harness, id), 'canceled');
  assert.ok(injector.log.some(({ fault }) => fault === 'truncate'));
  assert.equal(await harness.fileNames(), []);
  harness.close();
});

test('a manifest that reads wrong once while a backup is undone is read again', async () => {
  let injector: FaultInjector | undefined;
  const harness = await bank({ wrap: (storage) => injector?.wrap(storage) ?? storage });
  const id = await start(harness, FULL);
  harness.jobs.pausepoints.setHook((name) => {
    if (name === 'backup.afterLatest') void harness.jobs.cancel(id);
    if (name !== 'backup.beforeRevert') return;
    const rules = [
      { operations: ['read'] as const, name: /BACKUP_MANIFEST$/, count: 2, action: { kind: 'truncate', keepBytes: 50 } as const },
    ];
    injector ??= new FaultInjector({ rules, random: seededRandom(7), clock: harness.clock, activity: harness.clock.activity });
  });
  assert.is(await finish(harness, id), 'canceled');
  assert.ok(injector?.log.some(({ fault }) => fault === 'truncate'));
  assert.equal(await harness.fileNames(), []);
  assert.is(protectionCount(harness), 0);
  harness.close();
});

test('a storage that cannot be written any more ends the job, says what is left, and holds no history', async () => {
  for (const isRetryable of [true, false]) {
    let injector: FaultInjector | undefined;
    const harness = await bank({ wrap: (storage) => injector?.wrap(storage) ?? storage });
    const rules = [{ operations: ['write', 'delete'] as const, nth: 3, action: { kind: 'fail', isRetryable } as const }];
    injector = new FaultInjector({ rules, random: seededRandom(1), clock: harness.clock, activity: harness.clock.activity });
    const id = await start(harness, FULL);
    assert.is(await finish(harness, id), 'failed');
    const record = await harness.jobs.get(id);
    assert.is(record?.error?.code, '58030');
    assert.match(record?.runningStatus ?? '', 'files are left in "mem://bucket/c"');
    assert.is(protectionCount(harness), 0);
    harness.close();
  }
});

test('waits for a far storage are few: what can stand beside another call does', async () => {
  let injector: FaultInjector | undefined;
  const harness = await bank({ wrap: (storage) => injector?.wrap(storage) ?? storage });
  const { clock } = harness;
  const far: FaultRule = { action: { kind: 'delay', micros: 1_000_000 } };
  injector = new FaultInjector({ rules: [far], random: seededRandom(1), clock, activity: clock.activity });
  const rounds: number[] = [];
  for (const sql of [FULL, FULL, INCREMENTAL]) {
    let isDone = false;
    const backing = harness.run(sql).finally(() => (isDone = true));
    let seconds = 0;
    for (; !isDone && seconds < 60; seconds++) await clock.advance('1s');
    await backing;
    rounds.push(seconds);
  }
  assert.equal(rounds, [8, 10, 13]);
  harness.close();
});

test('of manifest and checksum, written at once, one alone is no layer, and goes with the backup', async () => {
  for (const name of [/BACKUP_MANIFEST$/, /BACKUP_MANIFEST-CHECKSUM$/]) {
    let injector: FaultInjector | undefined;
    const harness = await bank({ wrap: (storage) => injector?.wrap(storage) ?? storage });
    const rules = [{ operations: ['write'] as const, name, action: { kind: 'fail', isRetryable: false } as const }];
    injector = new FaultInjector({ rules, random: seededRandom(1), clock: harness.clock, activity: harness.clock.activity });
    let alone: string[] = [];
    harness.jobs.pausepoints.setHook(async (point) => {
      if (point === 'backup.beforeRevert') alone = (await harness.fileNames()).filter((file) => /MANIFEST/.test(file));
    });
    const id = await start(harness, FULL);
    assert.is(await finish(harness, id), 'failed');
    assert.is(alone.length, 1, `the other one is there: ${alone}`);
    assert.equal(await harness.fileNames(), [], String(name));
    harness.close();
  }
});

test('an attempt that follows another takes a checksum away before it writes a manifest', async () => {
  let injector: FaultInjector | undefined;
  const harness = await bank({ wrap: (storage) => injector?.wrap(storage) ?? storage });
  // As many as the storage and the first attempt of the job take.
  const rules = [
    { operations: ['write'] as const, name: /BACKUP_MANIFEST$/, count: 5, action: { kind: 'fail', isRetryable: true } as const },
  ];
  injector = new FaultInjector({ rules, random: seededRandom(1), clock: harness.clock, activity: harness.clock.activity });
  const id = await start(harness, FULL);
  assert.is(await finish(harness, id), 'succeeded');
  const steps = injector.log.filter(({ operation, name }) => ['write', 'delete'].includes(operation) && /MANIFEST/.test(name));
  const told = steps.map(({ operation, name, fault }) => `${operation} ${name.replace(/.*MANIFEST/, '')}${fault ? ' fails' : ''}`);
  assert.equal(told.slice(0, 2).sort(), ['write  fails', 'write -CHECKSUM']);
  assert.equal(told.slice(-3), ['delete -CHECKSUM', 'write ', 'write -CHECKSUM']);
  await assertRestorable(harness);
  harness.close();
});

/** Every table that was there at a restorable moment reads back as it was. */
async function assertMoment(harness: Harness, time: Timestamp, where: string): Promise<number> {
  const tables = await harness.publicTablesAt(time);
  for (const table of tables) {
    const back = await harness.readBack(table, time);
    assert.equal([...back.data], [...(await harness.liveData(table, time))], `${table} as of ${time}, ${where}`);
  }
  return tables.length;
}

test('random chains: any restorable moment reads back as it was, through schema changes too', async () => {
  let moments = 0;
  for (let seed = 0; seed < 12; seed++) {
    const random = seededRandom(`chain ${seed}`);
    const harness = await bank({ seed: `chain ${seed}`, nodes: 1 + random.int(3) });
    const tables = [T, 'bank.u'];
    let backups = 0;
    for (let step = 0; step < 18; step++) {
      await harness.clock.advance(`${1 + random.int(20)}s`);
      const table = tables[random.int(tables.length)] as string;
      const choice = random.int(14);
      if (choice === 0) {
        tables.push(`bank.new${step}`);
        await harness.createTable(`bank.new${step}`);
      } else if (choice === 1 && tables.length > 1) {
        await harness.dropTable(table);
        tables.splice(tables.indexOf(table), 1);
      } else if (choice === 2) {
        await harness.truncateTable(table);
      } else if (choice < 9) {
        const rows = Array.from(
          { length: 1 + random.int(5) },
          () => [random.int(40), random.int(4) === 0 ? null : `v${random.int(9)}`] as const,
        );
        await harness.put(table, new Map(rows));
      } else {
        const history = random.int(3) > 0 ? ' WITH revision_history' : '';
        const into = backups++ === 0 || random.int(6) === 0 ? 'INTO' : 'INTO LATEST IN';
        await harness.run(`BACKUP DATABASE bank ${into} '${COLLECTION}'${history}`);
      }
    }
    if (backups === 0) await harness.run(FULL);
    const chain = await loadChain(harness.collection, await readLatest(harness.collection));
    for (const { from, to } of restorableIntervals(chain)) {
      const where = `seed ${seed}`;
      moments += await assertMoment(harness, to, where);
      for (let i = 0; i < 4 && from < to; i++)
        moments += await assertMoment(harness, (from + random.int(to - from + 1)) as Timestamp, where);
      // Most changes are far from a random microsecond of four hours: look around the recent ones too.
      const recent = Math.max(from, to - 200_000_000);
      for (let i = 0; i < 4 && recent < to; i++)
        moments += await assertMoment(harness, (recent + random.int(to - recent + 1)) as Timestamp, where);
    }
    harness.close();
  }
  assert.ok(moments > 200, `${moments} tables were compared`);
});

test.run();
