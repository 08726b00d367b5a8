/**
 * What every level promises: a read sees exactly the committed state of the read timestamp with the
 * transaction's own writes over it, also in transactions that fail later; and what each level
 * validates at commit.
 */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { utf8Decode } from '../../src/base/bytes.ts';
import { isVarveError } from '../../src/base/errors.ts';
import type { Isolation, Kv, Txn } from '../../src/kv/kv.ts';
import { failure, key, makeKv, numberKey, put, rows, TABLE, tableSpan, value } from './support.ts';
import { runs } from '../support/depth.ts';

const LEVELS: readonly Isolation[] = ['serializable', 'snapshot', 'read committed'];
const NAMES = ['a', 'b', 'c', 'd'];

const isolation = suite('kv: isolation levels');

const step = fc.record({
  slot: fc.integer({ min: 0, max: 2 }),
  kind: fc.constantFrom('get', 'get', 'put', 'put', 'put', 'commit', 'refresh', 'nextStatement', 'rollback'),
  name: fc.constantFrom(...NAMES),
  text: fc.nat(99).map(String),
});

isolation('reads are of one snapshot, and at snapshot isolation the first committer of a key wins', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...LEVELS), fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }), async (level, steps) => {
      const { kv } = makeKv({ sliceCount: 0, slicedCommitKeysMin: 3 });
      interface Open {
        readonly txn: Txn;
        readonly own: Map<string, string>;
      }
      const committed: { at: number; readAt: number; own: Map<string, string> }[] = [];
      const ends: Promise<void>[] = [];
      const slots: (Open | undefined)[] = [];
      /** Every read with what it must have been; checked when all commits are known. */
      const reads: { ts: number; own: Map<string, string>; name: string; found: string }[] = [];
      for (const { slot, kind, name, text } of steps) {
        const open: Open = slots[slot] ?? { txn: kv.begin({ isolation: level }), own: new Map() };
        slots[slot] = open;
        const { txn, own } = open;
        if (kind === 'get') {
          const [found] = await txn.get([key(name)]);
          reads.push({ ts: txn.readTimestamp, own: new Map(own), name, found: found === undefined ? '' : utf8Decode(found) });
        } else if (kind === 'put') {
          txn.write([key(name)], [value(text)]);
          own.set(name, text);
        } else if (kind === 'refresh') {
          txn.refresh();
        } else if (kind === 'nextStatement') {
          txn.nextStatement();
        } else {
          slots[slot] = undefined;
          if (kind === 'rollback') {
            txn.rollback();
            continue;
          }
          const readAt = txn.readTimestamp;
          const ended = txn.commit().then(
            (at) => void committed.push({ at, readAt, own }),
            (error) => assert.ok(isVarveError(error) && error.code === '40001', String(error)),
          );
          ends.push(ended);
          await Promise.resolve();
        }
      }
      await Promise.all(ends);
      committed.sort((x, y) => x.at - y.at || y.own.size - x.own.size);
      for (const { ts, own, name, found } of reads) {
        const seen = committed.filter((commit) => commit.at <= ts && commit.own.has(name)).at(-1);
        assert.is(found, own.get(name) ?? seen?.own.get(name) ?? '', `${level}: ${name} at ${ts}`);
      }
      if (level !== 'snapshot') return;
      for (const { at, readAt, own } of committed) {
        const rival = committed.find((other) => other.at > readAt && other.at < at && [...own.keys()].some((name) => other.own.has(name)));
        assert.is(rival, undefined, 'two overlapping transactions wrote one key');
      }
    }),
    { numRuns: runs(400) },
  );
});

isolation('constraint reads and noted reads are validated at every level, plain reads at serializable only', async () => {
  const cases: [how: string, read: (txn: Txn) => unknown, refusedAt: readonly Isolation[]][] = [
    ['plain get', (txn) => txn.get([key('r')]), ['serializable']],
    ['plain scan', (txn) => txn.scan({ key: key('r'), endKey: key('s') }), ['serializable']],
    ['validated get', (txn) => txn.get([key('r')], { validated: true }), LEVELS],
    ['validated scan of nothing', (txn) => txn.scan({ key: key('q'), endKey: key('s') }, { validated: true }), LEVELS],
    ['noted key', (txn) => txn.noteRead(key('r')), LEVELS],
    ['noted span', (txn) => txn.noteReadSpan({ key: key('q'), endKey: key('s') }), LEVELS],
  ];
  for (const [how, read, refusedAt] of cases) {
    for (const level of LEVELS) {
      const { kv } = makeKv();
      const txn = kv.begin({ isolation: level });
      await read(txn);
      txn.write([key('w')], [value('1')]);
      await put(kv, { r: '1' });
      const code = refusedAt.includes(level) ? '40001' : undefined;
      const found = await txn.commit().then(
        () => undefined,
        (error) => error.code,
      );
      assert.is(found, code, `${how} at ${level}`);
    }
  }
});

isolation('a row that is held by its lock alone is asked for changes at commit, in case of a writer without locks', async () => {
  const overruns: readonly (readonly [how: string, write: (kv: Kv) => Promise<unknown>, keys: readonly string[]])[] = [
    ['a put', (kv) => put(kv, { b: '2' }), ['a', 'b', 'c']],
    ['a delete', (kv) => put(kv, { b: null }), ['b']],
    ['an ingest', (kv) => kv.ingest({ keys: [key('b')], values: [value('2')] }), ['a', 'b', 'c']],
    ['a cleared index', async (kv) => kv.clearIndex(TABLE, 1), ['b']],
  ];
  for (const [how, overrun, names] of overruns) {
    // A serializable transaction that knows of an index has its descriptor in the read set, and so sees its end.
    for (const level of how === 'a cleared index' ? LEVELS.slice(1) : LEVELS) {
      for (const heldKeysMin of [1, 3_000]) {
        const { kv } = makeKv({ sliceCount: 0 });
        await put(kv, { a: '1', b: '1', c: '1' });
        const txn = kv.begin({ isolation: level });
        txn.nextStatement();
        await rows(txn);
        await txn.lock(names.map(key), { alreadyRead: true });
        const others = Array.from({ length: heldKeysMin }, (_, i) => numberKey(i, 107));
        await txn.lock(others, { alreadyRead: level !== 'serializable' });
        txn.write([key('107:x')], [value('1')]);
        await overrun(kv);
        assert.is((await failure(txn.commit())).code, '40001', `${how} at ${level}, ${heldKeysMin} keys`);
      }
    }
  }
});

isolation('what changes between held rows, or before a later statement holds a row, is no conflict at read committed', async () => {
  const { kv } = makeKv();
  await put(kv, { a: '1', c: '1', d: '1' });
  const txn = kv.begin({ isolation: 'read committed' });
  txn.nextStatement();
  await rows(txn);
  await txn.lock([key('a'), key('c')], { alreadyRead: true });
  await put(kv, { b: '1', d: '2' });
  txn.nextStatement();
  await rows(txn);
  await txn.lock([key('d')], { alreadyRead: true });
  txn.write([key('d')], [value('3')]);
  await txn.commit();
  assert.is(await rows(kv.at(kv.reading())), 'a=1 b=1 c=1 d=3');
});

isolation('a statement that runs again forgets what its first run held', async () => {
  const { kv } = makeKv();
  await put(kv, { a: '1', b: '1' });
  const txn = kv.begin({ isolation: 'read committed' });
  txn.nextStatement();
  await rows(txn);
  await txn.lock([key('a')], { alreadyRead: true });
  await put(kv, { b: '2' });
  assert.is((await failure(txn.lock([key('b')], { alreadyRead: true }))).code, '40001');
  await put(kv, { a: '2' });
  assert.ok(txn.restartStatement());
  assert.is(await rows(txn), 'a=2 b=2');
  txn.write([key('c')], [value('1')]);
  await txn.commit();
});

isolation('a refresh does not take a deletion that GC has collected for no change', async () => {
  const { kv, clock } = makeKv();
  await put(kv, { a: '1', b: '1' });
  const txn = kv.begin();
  await txn.get([key('a')]);
  await put(kv, { a: null });
  await clock.advance('10h');
  await kv.gc.runGc();
  assert.not.ok(txn.refresh());
  txn.write([key('b')], [value('2')]);
  assert.is((await failure(txn.commit())).code, '40001');
});

isolation('a row that was deleted and collected while others were waited for is not written over', async () => {
  for (const level of LEVELS) {
    const { kv, clock } = makeKv();
    await put(kv, { a: '1', b: '1' });
    const holder = kv.begin();
    await holder.lock([key('b')]);
    const txn = kv.begin({ isolation: level });
    txn.nextStatement();
    await rows(txn);
    await put(kv, { a: null });
    const locked = failure(txn.lock([key('a'), key('b')], { alreadyRead: true }));
    await clock.advance('10h');
    await kv.gc.runGc();
    holder.rollback();
    assert.is((await locked).code, '40001', level);
    assert.ok(txn.restartStatement(), level);
    assert.is(await rows(txn), 'b=1', level);
  }
});

isolation('at snapshot isolation a deletion that GC has collected is still a conflict', async () => {
  const { kv, clock } = makeKv();
  await put(kv, { a: '1' });
  const txn = kv.begin({ isolation: 'snapshot' });
  await rows(txn);
  txn.write([key('a')], [value('2')]);
  await put(kv, { a: null });
  await clock.advance('10h');
  await kv.gc.runGc();
  assert.is((await failure(txn.commit())).code, '40001');
});

isolation('a snapshot that grew too old in a wait for a lock is a conflict; without a wait it is 72000', async () => {
  const { kv, clock } = makeKv();
  await put(kv, { a: '1' });
  const holder = kv.begin();
  await holder.lock([key('a')]);
  const txn = kv.begin();
  txn.nextStatement();
  const locked = txn.lock([key('a')]);
  await clock.advance('10h');
  await put(kv, { b: '1' });
  holder.rollback();
  await locked;
  assert.is((await failure(txn.get([key('a')]))).code, '40001');
  assert.is((await failure(txn.scan(tableSpan()))).code, '40001');
  assert.ok(txn.restartStatement());
  assert.is(await rows(txn), 'a=1 b=1');
  await clock.advance('10h');
  assert.is((await failure(txn.get([key('a')]))).code, '72000');
});

isolation('without writes nothing is validated, and the commit stands at the read timestamp', async () => {
  const { kv } = makeKv();
  await put(kv, { a: '1' });
  const txn = kv.begin();
  assert.is(await rows(txn), 'a=1');
  await put(kv, { a: '2' });
  assert.is(await txn.commit(), txn.readTimestamp);
  assert.is(txn.state, 'committed');
  assert.is((await failure(txn.get([key('a')]))).code, '25P01');
});

isolation('an unchecked reader may look below the threshold, a checked one may not', async () => {
  const { kv, clock } = makeKv();
  await put(kv, { a: '1' });
  const early = kv.hlc.now();
  await clock.advance('5h');
  assert.is((await failure(rows(kv.at(early)))).code, '72000');
  assert.is(await rows(kv.at(early, { unchecked: true })), 'a=1');
  // A table that never had data has a threshold too: the answer does not depend on it.
  assert.is((await failure(kv.at(early).get([key('200:x')]))).code, '72000');
});
isolation.run();
