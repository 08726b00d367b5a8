/**
 * The store against a bare sorted-btree with the same keys: what versions, statistics and the
 * change log add. Each commit writes 100 rows, as a multi-row statement does.
 */
import sortedBtree from 'sorted-btree';

import type { Bytes } from '../../src/base/bytes.ts';
import { EVERYTHING } from '../../src/base/span.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { MAX_TIMESTAMP } from '../../src/base/timestamp.ts';
import { Store } from '../../src/mvcc/store.ts';
import { VersionBatch } from '../../src/mvcc/versionBatch.ts';
import type { BankRows } from './bankRows.ts';
import { BANK_ROW_BYTES, bankRows } from './bankRows.ts';
import type { BenchCase, BenchRow } from './bench.ts';
import { collectGarbage, fastestMs, fastestPairMs, rate, throughput } from './bench.ts';

type BareTree = InstanceType<typeof sortedBtree.default<Bytes, Bytes>>;

const COMMIT_ROWS = 100;
/** Time of the first commit: as large as real timestamps are. */
const START = 1_780_000_000_000_000;
const RUNS = 3;
/** Runs of what takes a few milliseconds, where one interruption would count. */
const SHORT_RUNS = 10;

function newBareTree(): BareTree {
  return new sortedBtree.default<Bytes, Bytes>(undefined, (a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

interface Commit {
  readonly ts: Timestamp;
  readonly keys: Bytes[];
  readonly values: Bytes[];
}

/** The rows as commits, in the given order; strings of their own, as a statement makes them. */
function commits(rows: BankRows, order: ArrayLike<number>, firstTs: number): Commit[] {
  const result: Commit[] = [];
  for (let start = 0; start < order.length; start += COMMIT_ROWS) {
    const keys: Bytes[] = [];
    const values: Bytes[] = [];
    for (let i = start; i < Math.min(start + COMMIT_ROWS, order.length); i++) {
      const index = order[i] as number;
      keys.push(ownCopy(rows.keys[index] as Bytes));
      values.push(ownCopy(rows.values[index] as Bytes));
    }
    result.push({ ts: (firstTs + result.length) as Timestamp, keys, values });
  }
  return result;
}

function ownCopy(bytes: Bytes): Bytes {
  return Buffer.from(bytes, 'latin1').latin1Slice() as Bytes;
}

function inOrder(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => i);
}

function applyAll(store: Store, batches: readonly Commit[]): void {
  for (const commit of batches) store.apply(commit.ts, commit);
}

function setAll(tree: BareTree, batches: readonly Commit[]): void {
  for (const commit of batches) {
    for (let i = 0; i < commit.keys.length; i++) tree.set(commit.keys[i] as Bytes, commit.values[i] as Bytes);
  }
}

function filledStore(rows: BankRows): Store {
  const store = new Store(EVERYTHING);
  applyAll(store, commits(rows, inOrder(rows.keys.length), START));
  return store;
}

function filledTree(rows: BankRows): BareTree {
  const tree = newBareTree();
  setAll(tree, commits(rows, inOrder(rows.keys.length), START));
  return tree;
}

function insert(count: number): BenchRow[] {
  const rows = bankRows(count);
  const result: BenchRow[] = [];
  for (const [name, order] of [
    ['insert in key order', inOrder(count)],
    ['insert in random order', rows.shuffled],
  ] as const) {
    const batches = commits(rows, order, START);
    const [ours, bare] = fastestPairMs(
      RUNS,
      () => {
        const store = new Store(EVERYTHING);
        return () => applyAll(store, batches);
      },
      () => {
        const tree = newBareTree();
        return () => setAll(tree, batches);
      },
    );
    result.push({ name, measured: rate(count, ours), ceiling: `btree set ${rate(count, bare)}`, ratio: ours / bare, aim: 1.5 });
  }
  return result;
}

function update(count: number): BenchRow[] {
  const rows = bankRows(count);
  const store = filledStore(rows);
  const tree = filledTree(rows);
  let ts = START + count;
  const [ours, bare] = fastestPairMs(
    RUNS,
    () => {
      const batches = commits(rows, rows.shuffled, ts);
      ts += count;
      return () => applyAll(store, batches);
    },
    () => {
      const batches = commits(rows, rows.shuffled, ts);
      return () => setAll(tree, batches);
    },
  );
  return [
    {
      name: 'update in random order',
      measured: rate(count, ours),
      ceiling: `btree set ${rate(count, bare)}`,
      ratio: ours / bare,
      aim: 1.5,
    },
  ];
}

function pointGet(count: number): BenchRow[] {
  const rows = bankRows(count);
  const store = filledStore(rows);
  const tree = filledTree(rows);
  const keys = Array.from(rows.shuffled, (index) => ownCopy(rows.keys[index] as Bytes));
  const ts = store.lastTimestamp;
  let found = 0;
  const [ours, bare] = fastestPairMs(
    RUNS,
    () => () => {
      for (const key of keys) if (store.get(key, ts)?.value) found++;
    },
    () => () => {
      for (const key of keys) if (tree.get(key)) found++;
    },
  );
  if (found !== 2 * RUNS * count) throw new Error(`found ${found} rows`);
  return [
    { name: 'point get as of now', measured: rate(count, ours), ceiling: `btree get ${rate(count, bare)}`, ratio: ours / bare, aim: 1.5 },
  ];
}

function asOfScan(count: number): BenchRow[] {
  const rows = bankRows(count);
  const store = filledStore(rows);
  const tree = filledTree(rows);
  const before = store.lastTimestamp;
  const result: BenchRow[] = [];
  const batch = new VersionBatch();
  const scanAll = (ts: Timestamp): void => {
    let rest = EVERYTHING;
    let seen = 0;
    for (;;) {
      batch.clear();
      const resume = store.scan(rest, ts, { limit: 1024 }, batch);
      seen += batch.length;
      if (resume === undefined) break;
      rest = { key: resume, endKey: rest.endKey };
    }
    if (seen !== count) throw new Error(`scanned ${seen} rows`);
  };
  let bytes = 0;
  const bareScan = () => () => {
    tree.forRange(EVERYTHING.key, EVERYTHING.endKey, false, (key, value) => {
      bytes += key.length + value.length;
    });
  };
  const [ours, bare] = fastestPairMs(RUNS, () => () => scanAll(before), bareScan);
  const ceiling = `btree forRange ${rate(count, bare)}`;
  result.push({ name: 'scan, newest version', measured: rate(count, ours), ceiling, ratio: ours / bare, aim: 2 });
  applyAll(store, commits(rows, rows.shuffled, before + 1));
  const [older, bareAgain] = fastestPairMs(RUNS, () => () => scanAll(before), bareScan);
  result.push({
    name: 'scan as of one version back',
    measured: rate(count, older),
    ceiling: `btree forRange ${rate(count, bareAgain)}`,
    ratio: older / bareAgain,
    aim: 2,
  });
  if (bytes !== 2 * RUNS * count * BANK_ROW_BYTES) throw new Error(`saw ${bytes} bytes`);
  return result;
}

function exportScan(count: number): BenchRow[] {
  const rows = bankRows(count);
  const store = filledStore(rows);
  const base = store.lastTimestamp;
  const logical = count * BANK_ROW_BYTES;
  const batch = new VersionBatch();
  const exportAll = (start: Timestamp): number => {
    let bytes = 0;
    const cursor = store.openExport(EVERYTHING, start, store.lastTimestamp);
    for (;;) {
      batch.clear();
      const resume = cursor.next(batch, 1 << 20);
      bytes += batch.bytes;
      if (resume === undefined) return bytes;
    }
  };
  const source = Buffer.alloc(logical, 1);
  const target = Buffer.alloc(logical);
  const [full, copy] = fastestPairMs(
    RUNS,
    () => () => {
      if (exportAll(0 as Timestamp) !== logical) throw new Error('export is incomplete');
    },
    () => () => source.copy(target),
  );
  const changed = Math.ceil(count / 100);
  applyAll(store, commits(rows, rows.shuffled.subarray(0, changed), base + 1));
  const incremental = fastestMs(
    SHORT_RUNS,
    () => undefined,
    () => exportAll(base),
  );
  return [
    {
      name: 'export, not encoded',
      measured: throughput(logical, full),
      ceiling: `memcpy ${throughput(logical, copy)}`,
      ratio: full / copy,
    },
    {
      name: 'export after 1% changed',
      measured: `${incremental.toFixed(1)} ms`,
      ceiling: `full ${full.toFixed(1)} ms`,
      ratio: incremental / full,
      aim: 0.05,
    },
  ];
}

function fork(count: number): BenchRow[] {
  const rows = bankRows(count);
  const store = filledStore(rows);
  const forkMs = fastestMs(
    20,
    () => undefined,
    () => store.fork(),
  );
  let ts = START + count;
  const firstWriteMs = fastestMs(
    20,
    () => store.fork(),
    (copy) => copy.apply(++ts as Timestamp, { keys: [rows.keys[0] as Bytes], values: ['x' as Bytes] }),
  );
  return [
    { name: 'fork', measured: `${(forkMs * 1000).toFixed(0)} us`, aim: '< 1 ms', met: forkMs < 1 },
    { name: 'first write after a fork', measured: `${(firstWriteMs * 1000).toFixed(0)} us`, aim: '< 1 ms', met: firstWriteMs < 1 },
  ];
}

function memory(count: number): BenchRow[] {
  const rows = bankRows(count);
  const used = () => {
    collectGarbage();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const before = used();
  const tree = filledTree(rows);
  const afterTree = used();
  const store = filledStore(rows);
  const afterStore = used();
  applyAll(store, commits(rows, rows.shuffled, START + count));
  const afterUpdate = used();
  const perRow = (bytes: number) => (bytes / count).toFixed(0);
  if (tree.size !== count || store.stats().versions !== 2 * count) throw new Error('rows are missing');
  const ours = afterStore - afterTree;
  const bare = afterTree - before;
  return [
    { name: 'memory per row', measured: `${perRow(ours)} bytes`, ceiling: `btree ${perRow(bare)} bytes`, ratio: ours / bare },
    { name: 'memory per update', measured: `${perRow(afterUpdate - afterStore)} bytes` },
  ];
}

function collect(count: number): BenchRow[] {
  const rows = bankRows(count);
  const store = filledStore(rows);
  const changed = Math.ceil(count / 100);
  let ts: number = store.lastTimestamp;
  const budget = { maxVersions: 10_000 };
  const finish = () => {
    while (!store.collect(EVERYTHING, ts as Timestamp, budget).done) {}
  };
  finish();
  const collectMs = fastestMs(
    SHORT_RUNS,
    () => {
      applyAll(store, commits(rows, rows.shuffled.subarray(0, changed), ts + 1));
      ts = store.lastTimestamp;
    },
    finish,
  );
  const batch = new VersionBatch();
  const walkMs = fastestMs(
    RUNS,
    () => batch.clear(),
    () => store.scan(EVERYTHING, MAX_TIMESTAMP, {}, batch),
  );
  if (store.stats().versions !== count) throw new Error('garbage is left');
  return [
    {
      name: 'collect 1% garbage',
      measured: `${collectMs.toFixed(1)} ms`,
      ceiling: `walk of all keys ${walkMs.toFixed(1)} ms`,
      ratio: collectMs / walkMs,
      aim: 0.05,
    },
  ];
}

export const cases: BenchCase[] = [
  { name: 'mvcc.insert', run: ({ rows }) => insert(rows) },
  { name: 'mvcc.update', run: ({ rows }) => update(rows) },
  { name: 'mvcc.get', run: ({ rows }) => pointGet(rows) },
  { name: 'mvcc.scan', run: ({ rows }) => asOfScan(rows) },
  { name: 'mvcc.export', run: ({ rows }) => exportScan(rows) },
  { name: 'mvcc.fork', run: ({ rows }) => fork(rows) },
  { name: 'mvcc.memory', run: ({ rows }) => memory(rows) },
  { name: 'mvcc.collect', run: ({ rows }) => collect(rows) },
];
