/** The memory budget of a cluster: what it counts, and what happens at its limits. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { EVERYTHING } from '../../src/base/span.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { prevTimestamp } from '../../src/base/timestamp.ts';
import { DEFAULT_TABLE_CONFIG } from '../../src/gc/spanConfigs.ts';
import type { Kv } from '../../src/kv/kv.ts';
import { failure, key, makeKv, numberKey, put, rows, TABLE, tableSpan, value } from './support.ts';

const BUDGET = 1 << 20;
const RESERVED = 3;

const open = (options: Parameters<typeof makeKv>[0] = {}) =>
  makeKv({ memoryBytes: BUDGET, isReservedTable: (id) => id === RESERVED, ...options });

const accountOf = (kv: Kv, name: string): number =>
  kv.memory.figures().accounts.find(({ account }) => account === name)?.bytes ?? Number.NaN;

/** Overwrites twenty rows in one transaction after the other until one is refused. */
async function updateUntilRefused(kv: Kv, most = 10_000): Promise<{ error: Awaited<ReturnType<typeof failure>>; commits: number }> {
  const keys = Array.from({ length: 20 }, (_, i) => numberKey(i));
  for (let commits = 0; commits < most; commits++) {
    const values = keys.map(() => value(`round ${commits}`));
    try {
      await kv.run(async (txn) => txn.write(keys, values));
    } catch (error) {
      return { error: error as Error, commits };
    }
  }
  throw new Error(`${most} commits were not refused`);
}

const record = (id: string, ts: Timestamp, meta = '42') => ({ id, ts, metaType: 'jobs', meta, target: { kind: 'cluster' } }) as const;

const memory = suite('kv: memory');

memory('endless updates end in 53200 with the figures; reads, deletes, exports and reserved tables go on; GC brings it back', async () => {
  const { kv, clock } = open();
  const { error, commits } = await updateUntilRefused(kv);
  assert.is(error.code, '53200');
  assert.is(error.message, 'memory budget exceeded');
  assert.match(error.detail ?? '', /^of 1 MiB: live data [\d.]+ KiB, garbage \d+ KiB, change log \d+ KiB, transactions [\d.]+ KiB; /);
  assert.match(error.detail ?? '', /pinned by protections 0 B; garbage of table 106: \d+ KiB, kept for gc\.ttlseconds = 14400$/);
  assert.match(error.hint ?? '', /gc\.ttlseconds/);
  assert.ok(commits > 200, `${commits} commits`);
  assert.ok(kv.memory.budget.usedBytes <= BUDGET, 'nothing that was refused counts');
  assert.is(accountOf(kv, 'transactions'), 0);

  assert.equal(await kv.at(kv.reading()).get([numberKey(7)]), [value(`round ${commits - 1}`)]);
  assert.is(
    (await kv.exportSpan(tableSpan(), 0 as Timestamp, kv.reading(), { allVersions: true, maxBytes: 1e9 })).keys.length,
    commits * 20,
  );
  await put(kv, { [`${RESERVED}:job`]: 'x'.repeat(10_000) });
  await kv.run(async (txn) => txn.write([numberKey(1), numberKey(2)], [null, null]));
  assert.is((await updateUntilRefused(kv)).commits, 0);

  await clock.advance('5h');
  await put(kv, { a: '1' });
  assert.ok(kv.memory.budget.usedBytes < BUDGET / 10);
  assert.ok((await updateUntilRefused(kv)).commits > 200);
  assert.equal(kv.check(), []);
  kv.close();
});

memory('a refusal names who pins the garbage; released, it can go', async () => {
  const { kv, clock } = open();
  await put(kv, { a: '1' });
  kv.gc.protections.put(record('p1', kv.reading()));
  await updateUntilRefused(kv);
  await clock.advance('5h');
  const { error, commits } = await updateUntilRefused(kv);
  assert.is(commits, 0, 'a protection was passed');
  assert.match(error.detail ?? '', /pinned by protections [5-9]\d\d KiB/);
  assert.match(error.detail ?? '', /job 42 protects history since 2026-11-20 00:00:00/);
  assert.match(error.hint ?? '', /^end or release what protects history/);
  kv.gc.protections.remove('p1');
  assert.ok((await updateUntilRefused(kv)).commits > 200);
  kv.close();
});

memory('a transaction beyond the budget is refused while it writes, and leaves nothing', async () => {
  const { kv } = open();
  await put(kv, { a: '1' });
  const before = kv.memory.figures();
  const txn = kv.begin();
  const refused = failure(
    (async () => {
      for (let n = 0; n < 1_000_000; n += 1_000) {
        const keys = Array.from({ length: 1_000 }, (_, i) => numberKey(n + i));
        txn.write(
          keys,
          keys.map(() => value('some text')),
        );
      }
    })(),
  );
  const error = await refused;
  assert.is(error.code, '53200');
  assert.match(error.detail ?? '', /transactions [89]\d\d KiB/);
  assert.ok(kv.memory.budget.usedBytes <= BUDGET);
  txn.rollback();
  assert.equal(kv.memory.figures(), before);
  assert.is(await rows(kv.at(kv.reading())), 'a=1');
  kv.close();
});

memory('a transaction in the middle of the budget keeps its room until it commits', async () => {
  const { kv } = open({ slicedCommitKeysMin: 100 });
  const keys = Array.from({ length: 4_000 }, (_, i) => numberKey(i));
  const txn = kv.begin();
  txn.write(
    keys,
    keys.map(() => value('some text')),
  );
  const held = kv.memory.budget.usedBytes;
  const savepoint = txn.savepoint();
  txn.write([key('b')], [value('x'.repeat(1_000))]);
  assert.ok(kv.memory.budget.usedBytes > held + 1_000);
  txn.rollbackTo(savepoint);
  assert.is(kv.memory.budget.usedBytes, held);
  assert.is(
    (
      await failure(
        (async () =>
          txn.write(
            keys.map((_, i) => numberKey(i + 4_000)),
            keys.map(() => value('some text')),
          ))(),
      )
    ).code,
    '53200',
  );
  await txn.commit();
  assert.is(accountOf(kv, 'transactions'), 0);
  const used = kv.memory.budget.usedBytes;
  assert.ok(used > held * 0.9 && used <= held, `${held} were held for ${used}`);
  kv.close();
});

memory('an ingest beyond the budget is refused whole', async () => {
  const { kv } = open();
  const keys = Array.from({ length: 10_000 }, (_, i) => numberKey(i));
  const error = await failure(kv.ingest({ keys, values: keys.map(() => value('some text')) }));
  assert.is(error.code, '53200');
  assert.is(kv.stats(EVERYTHING).versions, 0);
  kv.close();
});

memory('above the soft limit garbage goes in the background, one run at a time, and nobody is refused', async () => {
  const { kv, clock } = open({ sliceCount: 10 });
  kv.gc.useConfigs({
    version: 0,
    configOf: () => ({ ...DEFAULT_TABLE_CONFIG, ttlSeconds: 1 }),
    tableIds: () => [],
    onBeforeChange: () => () => {},
  });
  let running = 0;
  let most = 0;
  let runs = 0;
  kv.gc.addAfterRun(async () => {
    most = Math.max(most, ++running);
    runs++;
    await Promise.resolve();
    running--;
  });
  const keys = Array.from({ length: 100 }, (_, i) => numberKey(i));
  for (let i = 0; i < 400; i++) {
    await kv.run(async (txn) =>
      txn.write(
        keys,
        keys.map(() => value(`round ${i}`)),
      ),
    );
    await clock.advance('100ms');
    assert.ok(kv.memory.budget.usedBytes <= BUDGET);
  }
  assert.is(most, 1);
  assert.ok(runs >= 5 && runs < 40, `${runs} runs`);
  kv.close();
});

memory('early GC shortens history under pressure, and never passes a protection', async () => {
  const { kv, clock } = open();
  kv.memory.isEarlyGcOn = true;
  const keys = Array.from({ length: 100 }, (_, i) => numberKey(i));
  const write = (text: string) =>
    kv.run(async (txn) =>
      txn.write(
        keys,
        keys.map(() => value(text)),
      ),
    );
  for (let i = 0; i < 200; i++) {
    await write(`round ${i}`);
    await clock.advance('10s');
    assert.ok(kv.memory.budget.usedBytes <= BUDGET);
  }
  const kept = kv.reading() - kv.gc.thresholds.of(TABLE);
  assert.ok(kept < 4 * 3_600e6 && kept >= 1e6, `history of ${kept} microseconds`);

  const held = kv.reading();
  kv.gc.protections.put(record('p1', held));
  let refused: Error & { code?: string } = new Error('nothing was refused');
  for (let i = 0; i < 200; i++) {
    try {
      await write(`later ${i}`);
    } catch (error) {
      refused = error as typeof refused;
      break;
    }
    await clock.advance('10s');
  }
  assert.is(refused.code, '53200');
  assert.is(kv.gc.thresholds.of(TABLE), prevTimestamp(held));
  assert.equal(await kv.at(held).get([numberKey(7)]), [value('round 199')]);
  kv.close();
});

memory('forks count what they add; alone again, a cluster counts what it holds', async () => {
  const { kv, clock } = open();
  const keys = Array.from({ length: 2_000 }, (_, i) => numberKey(i));
  await kv.run(async (txn) =>
    txn.write(
      keys,
      keys.map(() => value('some text')),
    ),
  );
  const alone = kv.memory.budget.usedBytes;
  const forks = Array.from({ length: 200 }, () => kv.fork());
  assert.is(kv.memory.budget.usedBytes, alone);
  const [first, second] = forks as [Kv, Kv];
  await put(first, { a: '1' });
  const added = kv.memory.budget.usedBytes - alone;
  assert.ok(added > 100 && added < 300, `${added}`);

  // What the parent collects, 199 forks still hold.
  await kv.run(async (txn) =>
    txn.write(
      keys,
      keys.map(() => null),
    ),
  );
  await clock.advance('5h');
  await kv.gc.runGc();
  assert.is(kv.stats(EVERYTHING).versions, 0);
  assert.ok(kv.memory.budget.usedBytes >= alone);
  assert.ok(accountOf(kv, 'forks') > alone * 0.8);
  assert.is((await updateUntilRefused(second)).error.code, '53200', 'the parent and its forks share one budget');

  for (const fork of forks) fork.close();
  assert.is(kv.memory.budget.usedBytes, 0);
  assert.is(accountOf(kv, 'forks'), 0);
  kv.close();
});

memory('a fork that outlives its parent counts everything it holds', async () => {
  const { kv } = open();
  await put(kv, { a: '1', b: '2' });
  const fork = kv.fork();
  await put(fork, { c: '3' });
  kv.close();
  const { live, log } = fork.memory.footprint;
  assert.is(fork.memory.budget.usedBytes, live + log);
  await put(fork, { a: null, b: null, c: null });
  const whole = open().kv;
  await put(whole, { a: '1', b: '2' });
  await put(whole, { c: '3' });
  await put(whole, { a: null, b: null, c: null });
  assert.equal(fork.memory.figures(), whole.memory.figures());
});

memory('after any traffic the accounts equal a recount', async () => {
  const step = fc.record({
    kind: fc.constantFrom('put', 'put', 'put', 'delete', 'rollback', 'gc', 'clear', 'ingest', 'fork'),
    n: fc.nat(30),
    size: fc.nat(50),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const { kv, clock } = open({ slicedCommitKeysMin: 5 });
      for (const { kind, n, size } of steps) {
        const names = Array.from({ length: 1 + (size % 9) }, (_, i) => key(`${105 + (n % 3)}:${n + i}`));
        const values = names.map(() => value('x'.repeat(size)));
        if (kind === 'put') await kv.run(async (txn) => txn.write(names, values));
        if (kind === 'delete')
          await kv.run(async (txn) =>
            txn.write(
              names,
              names.map(() => null),
            ),
          );
        if (kind === 'rollback') {
          const txn = kv.begin();
          txn.write(names, values);
          txn.rollback();
        }
        if (kind === 'gc') {
          await clock.advance(`${size}m`);
          await kv.gc.runGc();
        }
        if (kind === 'clear') kv.clearTable(105 + (n % 3), { neverPublic: true });
        if (kind === 'ingest') {
          const keys = names.map((_, i) => key(`200:${String(n).padStart(3, '0')}${String(i).padStart(3, '0')}`));
          await kv.ingest({ keys, values });
        }
        if (kind === 'fork') {
          const fork = kv.fork();
          await put(fork, { a: 'x'.repeat(size) });
          fork.close();
        }
      }
      const figures = kv.memory.figures();
      kv.memory.recount();
      assert.equal(kv.memory.figures(), figures);
      assert.equal(kv.check(), []);
      assert.is(
        figures.usedBytes,
        figures.accounts.reduce((all, { bytes }) => all + bytes, 0),
      );
      kv.close();
    }),
    { numRuns: 100 },
  );
});

memory.run();
