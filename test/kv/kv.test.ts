/** What the contract promises beside isolation: hooks, large commits, forks, exports in pieces, retries. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { Bytes } from '../../src/base/bytes.ts';
import { RetryError } from '../../src/base/errors.ts';
import { EVERYTHING } from '../../src/base/span.ts';
import { SqlState } from '../../src/base/sqlState.ts';
import { MIN_TIMESTAMP } from '../../src/base/timestamp.ts';
import type { ExportResume, Kv } from '../../src/kv/kv.ts';
import { failure, key, keyName, makeKv, numberKey, put, rows, tableSpan, value } from './support.ts';
import { runs } from '../support/depth.ts';

const hooks = suite('kv: commit hooks');

hooks('a hook hears of the writes in its span, sorted, before and after they are applied', async () => {
  const { kv } = makeKv();
  const heard: string[] = [];
  const remove = kv.addCommitHook(tableSpan(107), {
    validate: ({ keys }, ts) => heard.push(`validate ${keys.map(keyName)} ${ts > kv.begin().readTimestamp ? 'later' : 'now'}`),
    apply: ({ keys, values }) => heard.push(`apply ${keys.map(keyName)} ${values.map((v) => v ?? '-')}`),
  });
  await put(kv, { a: '1' });
  await put(kv, { '107:b': '1', a: '2', '107:a': null, '108:z': '1' });
  remove();
  await put(kv, { '107:c': '1' });
  assert.equal(heard, ['validate 107:a,107:b now', 'apply 107:a,107:b -,1']);
});

hooks('what a hook or a beforeCommit throws aborts with nothing applied', async () => {
  const { kv } = makeKv();
  const remove = kv.addCommitHook(tableSpan(), {
    validate: () => {
      throw new Error('refused');
    },
  });
  let isAborted = false;
  const txn = kv.begin();
  txn.write([key('a'), key('107:a')], [value('1'), value('1')]);
  txn.afterAbort(() => {
    isAborted = true;
  });
  assert.is((await failure(txn.commit())).message, 'refused');
  assert.ok(isAborted);
  remove();
  const second = kv.begin();
  second.beforeCommit(() => {
    throw new Error('no');
  });
  assert.is((await failure(second.commit())).message, 'no');
  assert.is(await rows(kv.begin(), {}, EVERYTHING), '');
});

hooks('a value may hold the commit timestamp, and afterCommit sees the writes and no locks', async () => {
  const { kv } = makeKv();
  const txn = kv.begin();
  await txn.lock([key('a')]);
  txn.beforeCommit((ts) => txn.write([key('a')], [value(String(ts))]));
  let seen: Promise<string> | undefined;
  txn.afterCommit(() => {
    assert.is(kv.locks.list().length, 0);
    seen = rows(kv.begin());
  });
  const ts = await txn.commit();
  assert.is(await seen, `a=${ts}`);
});

hooks('a key outside every index is refused before anything is applied', async () => {
  const { kv } = makeKv();
  const txn = kv.begin();
  txn.write([key('a'), 'x' as Bytes], [value('1'), value('2')]);
  assert.is((await failure(txn.commit())).code, 'XX001');
  assert.is(await rows(kv.begin()), '');
});
hooks.run();

const large = suite('kv: large commits');

large('others read below a large commit until all of it is there, and commit after it', async () => {
  const { kv } = makeKv({ sliceCount: 1 });
  const COUNT = 12_000;
  const txn = kv.begin();
  const keys = Array.from({ length: COUNT }, (_, i) => numberKey(i));
  txn.write(
    keys,
    keys.map(() => value('x')),
  );
  const heard: number[] = [];
  kv.addCommitHook(tableSpan(), { apply: (writes) => heard.push(writes.keys.length) });
  let isDone = false;
  const committing = txn.commit().finally(() => {
    isDone = true;
  });
  await Promise.resolve();
  await Promise.resolve();
  assert.not.ok(isDone, 'it was not sliced');

  const countOf = async (reader: {
    scan: Kv['at'] extends (...args: never[]) => infer R ? (R extends { scan: infer S } ? S : never) : never;
  }) => (await reader.scan(tableSpan())).keys.length;
  const snapshot = kv.begin();
  assert.is(await countOf(snapshot), 0, 'a part was visible');
  assert.equal(heard, []);
  // At or above its timestamp one waits for all of it.
  const atNow = kv.at(kv.reading());
  const exported = kv.exportSpan(tableSpan(), MIN_TIMESTAMP, kv.reading(), { allVersions: false, maxBytes: 1e9 });
  const other = kv.begin();
  other.write([numberKey(5)], [value('y')]);
  const otherTs = other.commit();
  const reading = kv.begin();
  await reading.get([numberKey(7)]);
  reading.write([numberKey(-1)], [value('z')]);
  const refused = failure(reading.commit());

  const [ts, later] = await Promise.all([committing, otherTs]);
  assert.ok(later > ts);
  assert.ok(snapshot.readTimestamp < ts);
  assert.is(await countOf(snapshot), 0);
  assert.is(await countOf(atNow), COUNT);
  assert.is((await exported).keys.length, COUNT);
  assert.is((await refused).code, '40001');
  assert.equal(heard, [COUNT, 1]);
  assert.equal(await kv.begin().get([numberKey(5), numberKey(6)]), ['y', 'x']);
  assert.equal(kv.check(), []);
});

large('a large read set is validated ahead of the step, and what comes in between still counts', async () => {
  for (const isLate of [false, true]) {
    const { kv } = makeKv();
    const keys = Array.from({ length: 3_000 }, (_, i) => numberKey(i));
    await kv.run(async (txn) =>
      txn.write(
        keys,
        keys.map(() => value('x')),
      ),
    );
    const txn = kv.begin();
    await txn.get(keys);
    txn.write([numberKey(-1)], [value('sum')]);
    const committing = txn.commit().then(
      () => 'committed',
      (error) => error.code,
    );
    // Runs while the other one lets others run, between its two looks at the read set.
    const other = kv.begin();
    other.write([numberKey(isLate ? 2_999 : 3_001)], [value('y')]);
    await other.commit();
    assert.is(await committing, isLate ? '40001' : 'committed');
  }
});

large('whatever comes between the slices of a validation is seen: reads, held rows, and what a snapshot transaction writes', async () => {
  const COUNT = 2_500;
  const keys = Array.from({ length: COUNT }, (_, i) => numberKey(2 * i));
  const xs = keys.map(() => value('x'));
  const outcomes = new Set<string>();
  for (const [how, isolation] of [
    ['reads', 'serializable'],
    ['held', 'read committed'],
    ['writes', 'snapshot'],
  ] as const) {
    for (const hit of [0, 1, COUNT, 2 * COUNT - 2]) {
      for (let turns = 0; turns <= 80; turns += 8) {
        const { kv } = makeKv({ sliceCount: 0, slicedCommitKeysMin: turns % 16 === 0 ? 1_000 : 10_000 });
        await kv.run(async (txn) => txn.write(keys, xs));
        const txn = kv.begin({ isolation });
        txn.nextStatement();
        if (how === 'reads') await txn.get(keys);
        if (how === 'held') await txn.lock(keys, { alreadyRead: true });
        if (how === 'writes') txn.write(keys, xs);
        else txn.write([numberKey(-1)], [value('sum')]);
        const committing = txn.commit().catch((error) => error.code as string);
        for (let i = 0; i < turns; i++) await Promise.resolve();
        const other = kv.begin();
        other.write([numberKey(hit)], [value('y')]);
        const otherTs = await other.commit();
        const ts = await committing;
        const isHit = hit % 2 === 0;
        if (!isHit) assert.type(ts, 'number', `${how}: a key between is no conflict`);
        else if (typeof ts === 'number') assert.ok(otherTs > ts, `${how}: committed over a change after ${turns} turns`);
        else assert.is(ts, '40001');
        outcomes.add(`${how} ${isHit} ${typeof ts}`);
      }
    }
  }
  assert.is(outcomes.size, 9, [...outcomes].join());
});

large('a fork taken in the middle has all of it, and so has its parent', async () => {
  const { kv } = makeKv({ sliceCount: 1, slicedCommitKeysMin: 20 });
  const keys = Array.from({ length: 100 }, (_, i) => numberKey(i));
  const txn = kv.begin();
  txn.write(
    keys,
    keys.map(() => value('x')),
  );
  const committing = txn.commit();
  await Promise.resolve();
  await Promise.resolve();
  const fork = kv.fork();
  assert.is((await fork.begin().scan(tableSpan())).keys.length, 100);
  await committing;
  assert.is((await kv.begin().scan(tableSpan())).keys.length, 100);
  assert.equal([...kv.check(), ...fork.check()], []);
});
large.run();

const forks = suite('kv: forks');

forks('forks of forks never see each other, whatever each writes and collects', async () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('write' as const),
        side: fc.nat(5),
        name: fc.constantFrom('a', 'b', 'c', '107:a'),
        text: fc.option(fc.nat(9).map(String)),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('fork' as const, 'gc' as const, 'advance' as const), side: fc.nat(5) }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40, size: 'max' }), async (steps) => {
      const sides = [{ ...makeKv(), model: new Map<string, string>() }];
      for (const todo of steps) {
        const side = sides[todo.side % sides.length];
        if (side === undefined) throw new Error('unreachable');
        if (todo.kind === 'write') {
          await put(side.kv, { [todo.name]: todo.text });
          if (todo.text === null) side.model.delete(todo.name);
          else side.model.set(todo.name, todo.text);
        } else if (todo.kind === 'gc') {
          await side.kv.gc.runGc();
        } else if (todo.kind === 'advance') {
          await side.clock.advance('5h');
        } else {
          const kv = side.kv.fork();
          assert.is.not(kv.clusterId, side.kv.clusterId);
          assert.is(kv.forkedFrom, side.kv.clusterId);
          assert.ok(kv.reading() >= side.kv.reading());
          sides.push({ kv, clock: kv.clock as typeof side.clock, model: new Map(side.model) });
        }
      }
      for (const { kv, model } of sides) {
        const expected = [...model].sort(([x], [y]) => (key(x) < key(y) ? -1 : 1)).map(([name, text]) => `${name}=${text}`);
        assert.is(await rows(kv.begin(), {}, EVERYTHING), expected.join(' '));
        assert.equal(kv.check(), []);
        kv.close();
      }
    }),
    { numRuns: runs(150) },
  );
});
forks.run();

const pieces = suite('kv: scans and exports in pieces');

pieces('an export in pieces of any size, also from a stored resume point, equals one piece', async () => {
  const writes = fc.array(
    fc.record({ name: fc.constantFrom('a', 'b', '107:a', '107/2:b', '109:c'), text: fc.option(fc.nat(99).map(String)) }),
    {
      minLength: 1,
      maxLength: 40,
    },
  );
  await fc.assert(
    fc.asyncProperty(
      writes,
      fc.integer({ min: 1, max: 60 }),
      fc.boolean(),
      fc.boolean(),
      fc.nat(40),
      async (todo, maxBytes, allVersions, isStored, from) => {
        const { kv } = makeKv();
        const times: number[] = [];
        for (const { name, text } of todo) times.push(await put(kv, { [name]: text }));
        const end = kv.reading();
        // A start of its own, or everything.
        const start = from < times.length ? (times[from] as typeof end) : MIN_TIMESTAMP;
        const whole = await kv.exportSpan(EVERYTHING, start, end, { allVersions, maxBytes: 1e9 });
        assert.is(whole.resume, undefined);
        const keys: Bytes[] = [];
        const timestamps: number[] = [];
        let resume: ExportResume | undefined;
        do {
          const given: ExportResume | undefined = isStored && resume ? { ...resume } : resume;
          const piece = await kv.exportSpan(EVERYTHING, start, end, { allVersions, maxBytes, resume: given });
          keys.push(...piece.keys);
          timestamps.push(...piece.timestamps);
          resume = piece.resume;
        } while (resume !== undefined);
        assert.equal(keys, whole.keys);
        assert.equal(timestamps, whole.timestamps);
      },
    ),
    { numRuns: runs(200) },
  );
});

pieces('a scan in pieces crosses indexes and tables and equals the whole, forward and reverse', async () => {
  const { kv } = makeKv({ sliceCount: 1 });
  const writes: Record<string, string> = {};
  for (let i = 0; i < 30; i++) writes[`${105 + (i % 3)}/${1 + (i % 2)}:k${i}`] = String(i);
  await put(kv, writes);
  for (const ownWrites of [false, true]) {
    const txn = kv.begin();
    if (ownWrites) txn.write([key('106:k99'), key('105:k0'), key('107:k2')], [value('new'), null, value('changed')]);
    const whole = await txn.scan(EVERYTHING);
    for (const reverse of [false, true]) {
      for (const options of [{ limit: 1 }, { limit: 7 }, { maxBytes: 1 }, { maxBytes: 40 }]) {
        const found: Bytes[] = [];
        let rest = EVERYTHING;
        for (;;) {
          const { keys, resume } = await txn.scan(rest, { ...options, reverse });
          found.push(...keys);
          if (resume === undefined) break;
          rest = reverse ? { key: rest.key, endKey: resume } : { key: resume, endKey: rest.endKey };
        }
        assert.equal(reverse ? found.reverse() : found, whole.keys, `${JSON.stringify(options)} ${reverse} ${ownWrites}`);
      }
    }
  }
});
pieces.run();

const retries = suite('kv: run');

retries('40001 is tried again, a bounded number of times; other errors are not', async () => {
  const { kv } = makeKv();
  let attempts = 0;
  const conflict = () => {
    attempts++;
    throw new RetryError(SqlState.SerializationFailure, 'restart transaction: again');
  };
  assert.is((await failure(kv.run(async () => conflict(), { attemptsMax: 7 }))).code, '40001');
  assert.is(attempts, 7);
  let others = 0;
  const other = kv.run(async () => {
    others++;
    throw new Error('mine');
  });
  assert.is((await failure(other)).message, 'mine');
  assert.is(others, 1);
});

retries('a transaction that outlives the TTL of what it read is told to run again', async () => {
  const { kv, clock } = makeKv();
  await put(kv, { a: '1' });
  const txn = kv.begin();
  await txn.get([key('a')]);
  txn.write([key('b')], [value('1')]);
  await put(kv, { a: null });
  await clock.advance('5h');
  await kv.gc.runGc();
  const error = await failure(txn.commit());
  assert.is(error.code, '40001');
  // The deletion itself is gone: only the threshold can tell.
  assert.match(error.message, 'below the replica GC threshold of table 106');
  assert.is((await failure(kv.at(txn.readTimestamp).get([key('a')]))).code, '72000');
});
retries.run();
