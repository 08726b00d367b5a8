/** The parts by themselves: localities, ranges, the write buffer, the read set, node charts. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createActor } from 'xstate';

import type { Bytes } from '../../src/base/bytes.ts';
import { StateError } from '../../src/base/errors.ts';
import { pointSpan } from '../../src/base/span.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { timestamp } from '../../src/base/timestamp.ts';
import { SqlState } from '../../src/base/sqlState.ts';
import { Keyspace } from '../../src/kv/keyspace.ts';
import { formatLocality, matchesLocality, parseLocality, tiersByPrecision } from '../../src/kv/locality.ts';
import { nodeMachine } from '../../src/kv/nodeMachine.ts';
import { Ranges } from '../../src/kv/ranges.ts';
import { ReadSet } from '../../src/kv/readSet.ts';
import { WriteBuffer } from '../../src/kv/writeBuffer.ts';
import { key, makeKv, numberKey, tableSpan, value } from './support.ts';

const locality = suite('kv: locality');

locality('reads and prints ordered tiers', () => {
  assert.is(formatLocality(parseLocality('region=eu, zone=b')), 'region=eu,zone=b');
  assert.is(formatLocality(parseLocality('')), '');
  assert.equal(tiersByPrecision(parseLocality('region=eu,zone=b'))[0], { key: 'zone', value: 'b' });
  assert.ok(matchesLocality(parseLocality('region=eu,zone=b'), parseLocality('zone=b')));
  assert.not.ok(matchesLocality(parseLocality('region=eu,zone=b'), parseLocality('region=us')));
  for (const bad of ['region', 'region=', '=eu', 'a=b,,c=d', 'a=1,a=2', 'a=b=c']) {
    assert.throws(
      () => parseLocality(bad),
      (error: { code: string }) => error.code === '22023',
    );
  }
});
locality.run();

const ranges = suite('kv: ranges');

ranges('splits and merges keep ranges sorted, disjoint and tiling', () => {
  const step = fc.record({ kind: fc.constantFrom('split', 'merge', 'drop', 'create'), n: fc.nat(20), table: fc.constantFrom(106, 107) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      const found = new Ranges(
        () => [{ nodeId: 1, epoch: 1 }],
        () => 1000,
      );
      const made = new Set<number>();
      for (const { kind, n, table } of steps) {
        if (kind === 'create' && !made.has(table)) {
          found.create(tableSpan(table), table, 1);
          made.add(table);
        } else if (kind === 'drop') {
          found.drop(tableSpan(table));
          made.delete(table);
        } else if (kind === 'split') {
          const id = found.split(numberKey(n, table));
          assert.is(id !== undefined, made.has(table));
          if (id !== undefined) assert.is(found.lookup(numberKey(n, table))?.span.key, numberKey(n, table));
        } else {
          found.merge(numberKey(n, table));
        }
        assert.equal(found.check(), []);
      }
      for (const table of made) {
        const parts = found.overlapping(tableSpan(table));
        assert.is(parts[0]?.span.key, tableSpan(table).key);
        assert.is(parts.at(-1)?.span.endKey, tableSpan(table).endKey);
        // A walk of any span gets it clipped, without gaps.
        const span = { key: numberKey(3, table), endKey: numberKey(9, table) };
        const clipped = found.overlapping(span);
        assert.is(clipped[0]?.span.key, span.key);
        assert.is(clipped.at(-1)?.span.endKey, span.endKey);
        clipped.forEach((part, i) => {
          if (i > 0) assert.is(part.span.key, clipped[i - 1]?.span.endKey);
        });
      }
    }),
  );
});
ranges.run();

const buffer = suite('kv: write buffer');

buffer('equals a plain map with copies as savepoints, whole and in slices', () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('set' as const), n: fc.nat(40), text: fc.option(fc.nat(9).map(String)) }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constantFrom('mark' as const, 'undo' as const, 'release' as const, 'sort' as const),
      }),
    },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const found = new WriteBuffer();
      let model = new Map<Bytes, Bytes | null>();
      const marks: { mark: number; copy: Map<Bytes, Bytes | null> }[] = [];
      for (const todo of steps) {
        const last = marks.at(-1);
        if (todo.kind === 'set') {
          const text = todo.text === null ? null : value(todo.text);
          found.set(numberKey(todo.n), text);
          model.set(numberKey(todo.n), text);
        } else if (todo.kind === 'mark') {
          marks.push({ mark: found.mark(), copy: new Map(model) });
        } else if (todo.kind === 'undo' && last) {
          found.undoTo(last.mark);
          model = new Map(last.copy);
        } else if (todo.kind === 'release' && last) {
          found.releaseMark();
          marks.pop();
        } else if (todo.kind === 'sort') {
          assert.equal([...found.sorted().keys], [...model.keys()].sort());
        }
      }
      const keys = [...model.keys()].sort();
      assert.equal([...found.sorted().keys], keys);
      assert.equal(
        found.sorted().values,
        keys.map((k) => model.get(k) ?? null),
      );
      const { keys: allKeys, values: allValues } = found.sorted();
      const slices = found.slices(7);
      const first = slices.next().value;
      // What is written meanwhile is not the slices' business.
      found.set(numberKey(99), value('later'));
      const all = [...(first ? [first] : []), ...slices];
      assert.equal(
        all.flatMap((slice) => slice.keys),
        allKeys,
      );
      assert.equal(
        all.flatMap((slice) => slice.values),
        allValues,
      );
      model.set(numberKey(99), value('later'));
      keys.push(numberKey(99));
      const span = { key: numberKey(10), endKey: numberKey(20) };
      const part = found.partIn(span);
      assert.equal(part?.keys ?? [], found.keysIn(span));
      assert.equal(
        part?.values ?? [],
        found.keysIn(span).map((k) => model.get(k)),
      );
      assert.is(
        found.keyAtOrAfter(numberKey(15)),
        keys.find((k) => k >= numberKey(15)),
      );
      assert.equal(
        [...found.keysIn(span)],
        keys.filter((k) => k >= span.key && k < span.endKey),
      );
      assert.is(found.touches(span), found.keysIn(span).length > 0);
      assert.is(
        found.bytes,
        keys.reduce((sum, k) => sum + k.length + (model.get(k)?.length ?? 0), 0),
      );
    }),
  );
});
buffer.run();

const readSet = suite('kv: read set');

readSet('collapsing bounds it, and never loses a read', () => {
  const keyspace = new Keyspace(() => {});
  const write = (k: Bytes, ts: Timestamp) => keyspace.ensure(k).store.apply(ts, { keys: [k], values: [value('x')] });
  write(numberKey(0), timestamp(1));
  const reads = new ReadSet();
  // Every second number, far more than are kept as points, and as single spans in another table.
  for (let i = 0; i < 60_000; i += 2) reads.addPoint(numberKey(i), timestamp(5));
  for (let i = 0; i < 10_000; i += 2) reads.addSpan(pointSpan(numberKey(i, 107)), timestamp(5));
  assert.ok(reads.size < 25_000, `${reads.size} parts`);
  assert.is(reads.firstChange(keyspace), undefined);
  write(numberKey(70_000), timestamp(6));
  write(numberKey(11_000, 107), timestamp(6));
  assert.is(reads.firstChange(keyspace), undefined, 'a conflict outside of what was read');
  write(numberKey(9_998, 107), timestamp(7));
  assert.equal(reads.firstChange(keyspace), { key: numberKey(9_998, 107), changedAt: 7, readAt: 5 });
  reads.rebase(timestamp(7));
  assert.is(reads.firstChange(keyspace), undefined);
  write(numberKey(59_998), timestamp(8));
  assert.is(reads.firstChange(keyspace)?.key, numberKey(59_998));
});

readSet('spans that touch or overlap become one, and all of it counts', () => {
  const pieces: [from: number, to: number][][] = [
    [
      [0, 5],
      [5, 10],
    ],
    [
      [0, 6],
      [3, 10],
    ],
    [
      [5, 10],
      [0, 5],
    ],
    [
      [0, 10],
      [3, 4],
    ],
  ];
  for (const list of pieces) {
    for (let n = 0; n < 12; n++) {
      const keyspace = new Keyspace(() => {});
      const reads = new ReadSet();
      for (const [from, to] of list) reads.addSpan({ key: numberKey(from), endKey: numberKey(to) }, timestamp(5));
      keyspace.ensure(numberKey(n)).store.apply(timestamp(6), { keys: [numberKey(n)], values: [null] });
      assert.is(reads.firstChange(keyspace) !== undefined, n < 10, `${JSON.stringify(list)}: ${n}`);
    }
  }
});

readSet('each read is validated from its own time on', () => {
  const keyspace = new Keyspace(() => {});
  const apply = (k: Bytes, ts: number) => keyspace.ensure(k).store.apply(timestamp(ts), { keys: [k], values: [null] });
  apply(key('a'), 10);
  const reads = new ReadSet();
  reads.addPoint(key('a'), timestamp(10));
  assert.is(reads.firstChange(keyspace), undefined);
  reads.addPoint(key('b'), timestamp(9));
  assert.is(reads.firstChange(keyspace), undefined);
  reads.addPoint(key('a'), timestamp(9));
  assert.equal(reads.firstChange(keyspace), { key: key('a'), changedAt: 10, readAt: 9 });
});
readSet.run();

const nodes = suite('kv: nodes');

nodes('the chart: what each event does in each state', () => {
  const cases: [path: readonly string[], expected: string][] = [
    [[], 'stopped'],
    [['node.start'], 'starting'],
    [['node.start', 'node.ready'], 'live'],
    [['node.start', 'node.stop'], 'stopped'],
    [['node.start', 'node.ready', 'node.stop'], 'stopped'],
    [['node.start', 'node.ready', 'node.drain'], 'draining'],
    [['node.start', 'node.ready', 'node.drain', 'node.drained'], 'stopped'],
    [['node.start', 'node.ready', 'node.drain', 'node.stop'], 'stopped'],
    [['node.drain'], 'stopped'],
    [['node.start', 'node.ready', 'node.start'], 'live'],
  ];
  const actions = { startUp: () => {}, becomeLive: () => {}, handOver: () => {}, leave: () => {} };
  for (const [path, expected] of cases) {
    const actor = createActor(nodeMachine.provide({ actions }));
    actor.start();
    for (const type of path) actor.send({ type } as Parameters<typeof actor.send>[0]);
    assert.is(actor.getSnapshot().value, expected, path.join(' '));
  }
});

nodes('a claim of an older epoch is void, and draining waits for the work it was given', async () => {
  const { kv } = makeKv({ localities: ['region=eu', 'region=us'] });
  const { cluster } = kv;
  const epoch = cluster.node(1).epoch;
  assert.ok(cluster.isLiveIn(1, epoch));
  cluster.stopNode(1);
  assert.not.ok(cluster.isLiveIn(1, epoch));
  cluster.startNode(1);
  assert.not.ok(cluster.isLiveIn(1, epoch));
  assert.ok(cluster.isLiveIn(1, epoch + 1));

  let finish = () => {};
  cluster.addDrainWork(
    () =>
      new Promise<void>((resolve) => {
        finish = resolve;
      }),
  );
  const drained = cluster.drainNode(2);
  assert.is(cluster.node(2).status, 'draining');
  assert.not.ok(cluster.node(2).isLive);
  finish();
  await drained;
  assert.is(cluster.node(2).status, 'stopped');
  cluster.stopNode(1);
  assert.is(cluster.actor.getSnapshot().value, 'unavailable');
  assert.throws(
    () => cluster.anyLiveNode(),
    (error: { code: string }) => error.code === '57P03',
  );
  assert.throws(
    () => cluster.node(3),
    (error: { code: string }) => error.code === '22023',
  );
  cluster.startNode(2);
  assert.is(cluster.actor.getSnapshot().value, 'available');
  kv.close();
});

nodes('a node stops also when the work that it waits for fails, and only a bug behind it shows', async () => {
  const { kv } = makeKv({ localities: ['', '', ''] });
  const bugs: unknown[] = [];
  const onBug = (reason: unknown) => bugs.push(reason);
  process.on('unhandledRejection', onBug);
  try {
    const failures = [new StateError(SqlState.ObjectNotInPrerequisiteState, 'a refusal'), new TypeError('a bug')];
    for (const [i, failure] of failures.entries()) {
      const remove = kv.cluster.addDrainWork(() => Promise.reject(failure));
      await kv.cluster.drainNode(i + 1);
      assert.is(kv.cluster.node(i + 1).status, 'stopped');
      remove();
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(bugs, [failures[1]]);
  } finally {
    process.off('unhandledRejection', onBug);
    kv.close();
  }
});
nodes.run();
