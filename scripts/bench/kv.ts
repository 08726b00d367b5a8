/**
 * Transactions that meet nobody, beside the bare store doing the same reads and writes: what a
 * snapshot, a read set, a write buffer, locks and the commit step add. And the cost of a fork.
 */
import { PoolExecutor } from '../../src/base/executor.ts';
import { Ids } from '../../src/base/ids.ts';
import { seededRandom } from '../../src/base/random.ts';
import { EVERYTHING } from '../../src/base/span.ts';
import { SystemClock } from '../../src/base/systemClock.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import type { Kv } from '../../src/kv/kv.ts';
import { openKv } from '../../src/kv/localKv.ts';
import { Store } from '../../src/mvcc/store.ts';
import { VersionBatch } from '../../src/mvcc/versionBatch.ts';
import type { BankRows } from './bankRows.ts';
import { bankRows } from './bankRows.ts';
import type { BenchCase, BenchRow } from './bench.ts';
import { collectGarbage, rate } from './bench.ts';

/** Transactions of one row each, and of COMMIT_ROWS rows in another case. */
const TRANSACTIONS = 50_000;
const COMMIT_ROWS = 100;
const FORKS = 5;

function newKv(): Kv {
  const clock = new SystemClock();
  return openKv({ clock, executor: new PoolExecutor(), ids: new Ids(seededRandom('bench'), clock) });
}

/** A cluster with the rows, put there by ingest. */
async function loadedKv(rows: BankRows): Promise<Kv> {
  const kv = newKv();
  await kv.ingest({ keys: rows.keys, values: rows.values });
  return kv;
}

function loadedStore(rows: BankRows): Store {
  const store = new Store(EVERYTHING);
  const batch = new VersionBatch();
  for (let i = 0; i < rows.keys.length; i++) batch.push(rows.keys[i] as never, 1 as Timestamp, rows.values[i] as never);
  store.ingest(batch, 1 as Timestamp);
  return store;
}

/** Milliseconds for TRANSACTIONS rows read and written, `size` of them a transaction. */
async function transactionsMs(rows: BankRows, size: number, withLocks: boolean): Promise<number> {
  const kv = await loadedKv(rows);
  collectGarbage();
  const start = performance.now();
  for (let done = 0; done < TRANSACTIONS; done += size) {
    const { keys, values } = pick(rows, done, size);
    const txn = kv.begin();
    if (withLocks) await txn.lock(keys);
    await txn.get(keys);
    txn.write(keys, values);
    await txn.commit();
  }
  return performance.now() - start;
}

/** The same reads and writes on the store itself. */
function bareMs(rows: BankRows, size: number): number {
  const store = loadedStore(rows);
  collectGarbage();
  const start = performance.now();
  for (let done = 0; done < TRANSACTIONS; done += size) {
    const ts = (done + 2) as Timestamp;
    const batch = pick(rows, done, size);
    for (const key of batch.keys) store.get(key, ts);
    store.apply(ts, batch);
  }
  return performance.now() - start;
}

function pick(rows: BankRows, from: number, size: number) {
  const keys: BankRows['keys'] = [];
  const values: BankRows['values'] = [];
  for (let i = from; i < from + size; i++) {
    const index = rows.shuffled[i % rows.keys.length] as number;
    keys.push(rows.keys[index] as (typeof keys)[number]);
    values.push(rows.values[index] as (typeof values)[number]);
  }
  return { keys, values };
}

async function forks(rows: BankRows): Promise<BenchRow[]> {
  const kv = await loadedKv(rows);
  const key = rows.keys[0] as (typeof rows.keys)[number];
  const value = rows.values[0] as (typeof rows.values)[number];
  let forkMs = Number.POSITIVE_INFINITY;
  let writeMs = Number.POSITIVE_INFINITY;
  for (let i = 0; i < FORKS; i++) {
    collectGarbage();
    let start = performance.now();
    const fork = kv.fork();
    forkMs = Math.min(forkMs, performance.now() - start);
    start = performance.now();
    for (const side of [kv, fork]) {
      const txn = side.begin();
      txn.write([key], [value]);
      await txn.commit();
    }
    writeMs = Math.min(writeMs, performance.now() - start);
    fork.close();
  }
  kv.close();
  return [
    { name: 'kv fork', measured: `${forkMs.toFixed(3)} ms`, aim: '< 1 ms', met: forkMs < 1 },
    { name: 'kv first write of both sides', measured: `${writeMs.toFixed(3)} ms` },
  ];
}

export const cases: readonly BenchCase[] = [
  {
    name: 'kv transactions',
    async run({ rows: count }) {
      const rows = bankRows(count);
      const found: BenchRow[] = [];
      for (const [name, size, withLocks] of [
        ['kv txn, 1 row', 1, false],
        ['kv txn, 1 row, locked', 1, true],
        [`kv txn, ${COMMIT_ROWS} rows, locked`, COMMIT_ROWS, true],
      ] as const) {
        const measured = await transactionsMs(rows, size, withLocks);
        const bare = bareMs(rows, size);
        found.push({
          name,
          measured: `${rate(TRANSACTIONS / size, measured)} txn`,
          ceiling: `bare store ${rate(TRANSACTIONS / size, bare)}`,
          ratio: measured / bare,
        });
      }
      return found;
    },
  },
  { name: 'kv fork', run: ({ rows }) => forks(bankRows(rows)) },
];
