/** The registry beside what the golden scripts show: transactions, waiting, retention, limits, forks, rows. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { timestamp } from '../../src/base/timestamp.ts';
import { type JobContext, type JobRecord, RetryableJobError, StaleClaimError } from '../../src/jobs/job.ts';
import { systemJobTable } from '../../src/jobs/jobTable.ts';
import { requireSucceeded } from '../../src/jobs/registry.ts';
import { JOB_COLUMNS, jobRow, showJobs } from '../../src/jobs/showJobs.ts';
import { LOCKED_KEY, ToyCluster } from './toyJobs.ts';

const test = suite('job registry');
const details = (...steps: string[]) => ({ name: 'toy', steps, revert: [] });

async function withToys(body: (toys: ToyCluster) => Promise<void>, ...options: ConstructorParameters<typeof ToyCluster>): Promise<void> {
  const toys = new ToyCluster(...options);
  await toys.registry.start();
  try {
    await body(toys);
  } finally {
    toys.close();
  }
}

const messageOf = (call: () => unknown): string => {
  try {
    call();
    return 'no error';
  } catch (error) {
    return `${(error as { code: string }).code} ${(error as Error).message}`;
  }
};

test('a job of a transaction that does not commit leaves no trace', () =>
  withToys(async (toys) => {
    const txn = toys.kv.begin();
    const id = await toys.registry.create(txn, { type: 'TOY', description: '', user: 'root', details: details() });
    assert.ok(await toys.registry.get(id, txn));
    await toys.settle();
    txn.rollback();
    await toys.settle();
    assert.is(await toys.registry.get(id), undefined);
    assert.equal(toys.log, []);
  }));

test('time passes while a job waits for a lock that a client holds', () =>
  withToys(async (toys) => {
    const id = await toys.create(details('sleep 10s', 'checkpoint', 'sleep 10s'));
    await toys.settle();
    const client = toys.kv.begin();
    await toys.registry.request(client, id, 'pause');
    // The checkpoint is due after ten seconds, and the client sleeps on.
    await toys.clock.advance('1h');
    assert.is((await toys.registry.get(id))?.progress, null);
    client.rollback();
    await toys.clock.advance('10s');
    assert.is((await toys.registry.get(id))?.status, 'succeeded');
  }));

test('a request to stop ends a wait for a lock, in the last transaction too', () =>
  withToys(async (toys) => {
    for (const step of ['lock', 'final-lock']) {
      for (const request of ['cancel', 'pause'] as const) {
        const client = toys.kv.begin();
        await client.lock([LOCKED_KEY]);
        const id = await toys.create(details(step));
        await toys.settle();
        assert.is((await toys.registry.get(id))?.status, 'running', step);
        await toys.registry[request](id);
        await toys.settle();
        assert.is((await toys.registry.get(id))?.status, request === 'cancel' ? 'canceled' : 'paused', step);
        client.rollback();
        if (request === 'cancel') continue;
        await toys.registry.resume(id);
        await toys.settle();
        assert.is((await toys.registry.get(id))?.status, 'succeeded', step);
      }
    }
  }));

test('a node that stops ends its jobs’ waits for locks', () =>
  withToys(async (toys) => {
    const client = toys.kv.begin();
    await client.lock([LOCKED_KEY]);
    const id = await toys.create(details('lock'));
    await toys.settle();
    const first = (await toys.registry.get(id))?.claim?.nodeId as number;
    toys.kv.cluster.stopNode(first);
    await toys.settle();
    assert.ok((await toys.registry.get(id))?.claim?.nodeId !== first);
    assert.is(toys.kv.locks.list().filter(({ waiters }) => waiters.length > 0)[0]?.waiters.length, 1, 'only the new claim waits');
    client.rollback();
    await toys.settle();
    assert.is((await toys.registry.get(id))?.status, 'succeeded');
  }));

test('a job goes to a node that it prefers while one is live, and whoever waits learns which has it', () =>
  withToys(
    async (toys) => {
      const claimant = async (id: number) => (await toys.registry.wait(id, { untilClaimed: true })).claim?.nodeId;
      const first = await toys.create(details('sleep 1h'));
      assert.is(await claimant(first), 3);
      assert.is(await claimant(first), 3, 'also when it runs already');
      // Busier than the others, and still preferred.
      const second = await toys.create(details('sleep 1h'));
      assert.is(await claimant(second), 3);
      toys.kv.cluster.stopNode(3);
      await toys.settle();
      assert.ok([1, 2].includes((await toys.registry.get(first))?.claim?.nodeId as number), 'without it any other takes over');
      const ended = await toys.create(details());
      await toys.settle();
      assert.is((await toys.registry.wait(ended, { untilClaimed: true })).status, 'succeeded');
    },
    3,
    { mayRunOn: (_details, node) => node.id === 3 },
  ));

test('what has not ended is listed without the rest', () =>
  withToys(async (toys) => {
    const ended = await toys.create(details());
    await toys.settle();
    const open = await toys.create(details('sleep 10s'));
    await toys.settle();
    assert.equal(
      (await toys.registry.list()).map(({ id }) => id),
      [ended, open],
    );
    assert.equal(await toys.registry.listUnfinished(), [await toys.registry.get(open)]);
    await toys.registry.pause(open);
    await toys.settle();
    assert.equal(
      (await toys.registry.listUnfinished()).map(({ status }) => status),
      ['paused'],
    );
  }));

test('a record survives its row, every member of it', () =>
  withToys(async (toys) => {
    const record: JobRecord = {
      id: 1_795_000_000_000_001,
      type: 'TOY',
      description: "BACKUP INTO 'nodelocal://1/ü'",
      statement: 'SELECT 1',
      user: 'root',
      createdBy: { type: 'crdb_schedule', id: 77 },
      details: { a: [1, 'two', null, true], time: 1_795_000_000_000_000 },
      status: 'paused',
      revertOutcome: 'canceled',
      pausedWhileReverting: true,
      pauseReason: 'because',
      pauseError: { code: '55000', message: 'pause point "x" hit', hint: 'h' },
      claim: { nodeId: 2, nodeEpoch: 3 },
      claimEpoch: 7,
      created: timestamp(1_795_000_000_000_001),
      started: timestamp(1_795_000_000_000_002),
      finished: timestamp(1_795_000_000_000_003),
      modified: timestamp(1_795_000_000_000_004),
      progress: { done: 0.25, keys: ['bc89'] },
      fractionCompleted: 0.123456,
      runningStatus: 'waiting',
      highWater: timestamp(1_795_000_000_000_005),
      result: [1, 2],
      error: { code: '58030', message: 'disk', detail: 'd' },
      executionErrors: ['one', 'two'],
      attempts: 2,
      nextRun: timestamp(1_795_000_000_000_006),
    };
    toys.registry.close();
    await toys.kv.run((txn) => systemJobTable.write(txn, record));
    assert.equal(await toys.registry.get(record.id), record);
    assert.equal(await toys.registry.list(), [record]);
  }));

test('wait resolves at the end, and at a pause unless told otherwise', () =>
  withToys(async (toys) => {
    const id = await toys.create(details('sleep 10s', 'checkpoint', 'sleep 10s'));
    const paused = toys.registry.wait(id);
    const ended = toys.registry.wait(id, { throughPauses: true });
    await toys.clock.advance('10s');
    await toys.registry.pause(id, 'lunch');
    assert.is((await paused).status, 'paused');
    assert.is(
      messageOf(() => requireSucceeded({ ...({} as JobRecord), id: 5, status: 'paused', pauseReason: 'lunch' })),
      '55000 job 5 was paused before it completed: lunch',
    );
    await toys.registry.resume(id);
    await toys.clock.advance('10s');
    const record = await ended;
    assert.is(requireSucceeded(record), record);
    assert.equal(record.result, [2]);
    assert.is((await toys.registry.wait(id)).status, 'succeeded');
  }));

test('wait ends with the error of the job, of an unknown job, of its signal, of the shutdown', () =>
  withToys(async (toys) => {
    const failing = await toys.create(details('fail'));
    const failed = await toys.registry.wait(failing);
    assert.is(
      messageOf(() => requireSucceeded(failed)),
      '55000 the toy broke',
    );
    const hold = await toys.create(details('hold'));
    const reject = (wait: Promise<unknown>) =>
      wait.then(
        () => 'no error',
        (error: Error & { code?: string }) => `${error.code} ${error.message}`,
      );
    assert.is(await reject(toys.registry.wait(404)), '42704 job with ID 404 does not exist');
    const controller = new AbortController();
    const aborted = reject(toys.registry.wait(hold, { signal: controller.signal }));
    controller.abort(Object.assign(new Error('statement canceled'), { code: '57014' }));
    assert.is(await aborted, '57014 statement canceled');
    const held = toys.registry.wait(hold);
    await toys.settle();
    await toys.registry.cancel(hold);
    assert.is(
      messageOf(() => requireSucceeded({ ...failed, status: 'canceled' })),
      '57014 job canceled by user',
    );
    assert.is((await held).status, 'canceled');
    const last = await toys.create(details('hold'));
    const shut = reject(toys.registry.wait(last));
    await toys.settle();
    toys.registry.close();
    assert.is(await shut, `57P01 job ${last}: the server is shutting down`);
  }));

test('a rolled-back request changes nothing; one in a transaction works at its commit', () =>
  withToys(async (toys) => {
    const id = await toys.create(details('sleep 10s'));
    await toys.settle();
    const txn = toys.kv.begin();
    await toys.registry.request(txn, id, 'pause');
    txn.rollback();
    await toys.settle();
    assert.is((await toys.registry.get(id))?.status, 'running');
    const other = toys.kv.begin();
    await toys.registry.request(other, id, 'pause');
    assert.is((await toys.registry.get(id, other))?.status, 'pause-requested');
    await other.commit();
    await toys.settle();
    assert.is((await toys.registry.get(id))?.status, 'paused');
  }));

test('attempts run out: fail or pause, as the type says; a checkpoint starts the count anew', async () => {
  const endOf = async (whenExhausted: 'fail' | 'pause', ...steps: string[]): Promise<string> => {
    let end = '';
    await withToys(
      async (toys) => {
        const id = await toys.create(details(...steps));
        await toys.clock.advance('2h');
        const record = await toys.registry.get(id);
        end = `${record?.status} ${record?.error?.message ?? record?.pauseError?.message ?? '-'}`;
      },
      1,
      { attemptsMax: 3, whenExhausted },
    );
    return end;
  };
  assert.is(await endOf('fail', 'retry 9'), 'failed the toy is wound down');
  assert.is(await endOf('pause', 'retry 9'), 'paused the toy is wound down');
  assert.is(await endOf('fail', 'retry 2', 'checkpoint', 'retry 2', 'checkpoint'), 'succeeded -');
});

test('a type that cannot be canceled says so', () =>
  withToys(
    async (toys) => {
      const id = await toys.create(details('sleep 1s'));
      const error = await toys.registry.cancel(id).catch((thrown: unknown) => thrown);
      assert.is((error as Error).message, `job ${id} of type TOY cannot be canceled`);
    },
    1,
    { isCancelable: false },
  ));

test('work with a lost claim cannot commit, even one that began before the loss', () =>
  withToys(async (toys) => {
    const contexts: JobContext[] = [];
    toys.registry.pausepoints.setHook((_name, ctx) => void contexts.push(ctx));
    await toys.create(details('pausepoint toy.start', 'sleep 1h'));
    await toys.settle();
    const [ctx] = contexts as [JobContext];
    await ctx.checkClaim();
    const outcome = ctx
      .txn(async (txn) => {
        await systemJobTable.delete(txn, 404);
        toys.kv.cluster.stopNode(ctx.node.id);
      })
      .catch((error: unknown) => error);
    assert.instance(await outcome, StaleClaimError);
    assert.instance(await ctx.checkpoint({ progress: 'late' }).catch((error: unknown) => error), StaleClaimError);
    assert.instance(await ctx.checkClaim().catch((error: unknown) => error), StaleClaimError);
    await toys.settle();
    assert.is(contexts.length, 2);
    assert.is((await toys.registry.get(ctx.jobId))?.progress, null);
  }));

test('the final transaction commits with the status or not at all', () =>
  withToys(async (toys) => {
    const registry = toys.registry;
    let attempts = 0;
    registry.register('FINAL', {}, () => ({
      resume: async () => ({
        inFinalTxn: async (txn) => {
          await systemJobTable.write(txn, { ...((await registry.get(4711, txn)) as JobRecord), description: 'published' });
          if (++attempts === 1) throw new RetryableJobError('not yet');
        },
      }),
      onFailOrCancel: async () => undefined,
    }));
    await toys.kv.run((txn) =>
      registry.create(txn, { id: 4711, type: 'TOY', description: 'draft', user: 'root', details: details('hold') }),
    );
    const id = await toys.kv.run((txn) => registry.create(txn, { type: 'FINAL', description: '', user: 'root', details: null }));
    await toys.settle();
    assert.is((await registry.get(4711))?.description, 'draft');
    assert.is((await registry.get(id))?.status, 'retry-running');
    await toys.clock.advance('30s');
    assert.is((await registry.get(4711))?.description, 'published');
    assert.is((await registry.get(id))?.status, 'succeeded');
  }));

test('jobs go to the node with the fewest', () =>
  withToys(async (toys) => {
    for (let i = 0; i < 7; i++) {
      await toys.create(details('hold'));
      await toys.settle();
    }
    assert.equal(
      [1, 2, 3].map((nodeId) => toys.registry.runningOn(nodeId).length),
      [3, 2, 2],
    );
    assert.is(toys.registry.runner(toys.registry.runningOn(2)[0] as number)?.actor.getSnapshot().value, 'running');
  }));

test('finished jobs go when their retention is over, and nothing polls until then', () =>
  withToys(async (toys) => {
    const first = await toys.create(details());
    await toys.clock.advance('1h');
    const second = await toys.create(details());
    const kept = await toys.create(details('hold'));
    await toys.clock.advance('334h59m');
    assert.equal(
      (await toys.registry.list()).map((record) => record.id),
      [first, second, kept],
    );
    await toys.clock.advance('1m1s');
    assert.equal(
      (await toys.registry.list()).map((record) => record.id),
      [second, kept],
    );
    await toys.clock.advance('1h');
    assert.equal(
      (await toys.registry.list()).map((record) => record.id),
      [kept],
    );
    assert.is(toys.clock.nextDue(), undefined);
  }));

test('a fork has its jobs paused, and the parent goes on', () =>
  withToys(async (toys) => {
    const running = await toys.create(details('sleep 10s'));
    const retrying = await toys.create(details('retry 1'));
    const finished = await toys.create(details());
    await toys.settle();
    const kv = toys.kv.fork();
    const registry = toys.newRegistry({}, kv);
    await registry.start({ pauseAll: true });
    assert.equal(
      (await registry.list()).map((record) => [record.id, record.status]),
      [
        [running, 'paused'],
        [retrying, 'paused'],
        [finished, 'succeeded'],
      ],
    );
    await toys.clock.advance('1m');
    assert.is((await toys.registry.get(running))?.status, 'succeeded');
    assert.is((await registry.get(running))?.status, 'paused');
    registry.close();
    kv.close();
  }));

test('SHOW JOBS: unfinished first, twelve hours back, descriptions cut', () => {
  const record = (id: number, more: Partial<JobRecord>): JobRecord => ({
    id,
    type: 'BACKUP',
    description: `job ${id}`,
    user: 'root',
    details: null,
    status: 'running',
    claimEpoch: 1,
    created: timestamp(id),
    modified: timestamp(id),
    progress: null,
    fractionCompleted: 0,
    executionErrors: [],
    attempts: 0,
    ...more,
  });
  const hour = 3_600_000_000;
  const view = { isLiveIn: (nodeId: number) => nodeId === 1, isAutomatic: (type: string) => type === 'AUTO' };
  const rows = showJobs(
    [
      record(1, { status: 'succeeded', finished: timestamp(20 * hour) }),
      record(2, { status: 'failed', finished: timestamp(8 * hour), error: { code: '58030', message: 'disk' } }),
      record(3, { status: 'succeeded', finished: timestamp(15 * hour) }),
      record(4, { started: timestamp(30), claim: { nodeId: 2, nodeEpoch: 1 } }),
      record(5, { started: timestamp(20), claim: { nodeId: 1, nodeEpoch: 1 }, description: 'ü'.repeat(101) }),
      record(6, { type: 'AUTO' }),
    ],
    timestamp(20 * hour),
    view,
  );
  assert.equal(
    rows.map((row) => [row.job_id, row.coordinator_id, row.error]),
    [
      [5, 1, ''],
      [4, 0, ''],
      [3, 0, ''],
      [1, 0, ''],
    ],
  );
  assert.is(rows[0]?.description, `${'ü'.repeat(100)}...`);
  assert.is(jobRow(record(5, { description: 'x'.repeat(101) }), view).description.length, 101);
  assert.equal(
    Object.keys(rows[0] ?? {}),
    JOB_COLUMNS.map(([name]) => name),
  );
});

test('a row that somebody spoils by hand hinders nobody, and goes on when it is mended', () =>
  withToys(async (toys) => {
    const id = await toys.create(details('sleep 10s'));
    const other = await toys.create(details('sleep 20s'));
    await toys.settle();
    const record = (await toys.registry.get(id)) as JobRecord;
    await toys.kv.run((txn) => systemJobTable.write(txn, { ...record, status: 'nonsense' as JobRecord['status'] }));
    await toys.settle();
    assert.is((await toys.registry.listUnfinished()).length, 1);
    const error = await toys.registry.get(id).catch((thrown: unknown) => thrown as Error & { code: string });
    assert.equal([(error as { code: string }).code, (error as Error).message], ['XX001', `system.jobs: the row of job ${id} is malformed`]);
    await toys.clock.advance('1m');
    assert.is((await toys.registry.get(other))?.status, 'succeeded');
    await toys.kv.run((txn) => systemJobTable.write(txn, { ...record, claim: undefined }));
    await toys.clock.advance('1m');
    assert.is((await toys.registry.get(id))?.status, 'succeeded');
  }));

test('the setting of pausepoints knows only defined names', () => {
  const toys = new ToyCluster();
  toys.registry.pausepoints.checkSetting(' toy.start ,toy.end');
  assert.is(
    messageOf(() => toys.registry.pausepoints.checkSetting('toy.start,toy.nowhere')),
    '22023 unknown pause point: toy.nowhere',
  );
  toys.close();
});

test.run();
