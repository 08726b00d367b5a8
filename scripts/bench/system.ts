/**
 * The whole system through SQL: loading, memory a row, point reads, and what garbage collection does to the
 * latency of point reads beside it. One bank table of 123-byte rows is loaded once a size; every case works on it.
 * Backup and restore: backupRestore.ts.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { EVERYTHING } from '../../src/base/span.ts';
import { seededRandom } from '../../src/base/random.ts';
import { bankStatements } from '../../src/cli/workload/bank.ts';
import { open, type Varve } from '../../src/index.ts';
import { type BenchCase, type BenchRow, collectGarbage, rate } from './bench.ts';
import { micros, p99, readLatencies } from './latencies.ts';

interface Loaded {
  readonly db: Varve;
  readonly folder: string;
  readonly loadMs: number;
  /** Bytes of keys and values of the table. */
  readonly bytes: number;
  readonly heapBytes: number;
}

async function load(rows: number): Promise<Loaded> {
  const folder = await mkdtemp(join(tmpdir(), 'varve-bench-'));
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  const db = await open({ externalIoDir: folder, seed: 'bench' });
  const start = performance.now();
  const base = db.database.kv.stats(EVERYTHING).liveBytes;
  for (const { sql } of bankStatements({ rows })) await db.query(sql);
  const loadMs = performance.now() - start;
  collectGarbage();
  return {
    db,
    folder,
    loadMs,
    bytes: db.database.kv.stats(EVERYTHING).liveBytes - base,
    heapBytes: process.memoryUsage().heapUsed - before,
  };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function run({ rows }: { rows: number }): Promise<BenchRow[]> {
  const { db, folder, loadMs, bytes, heapBytes } = await load(rows);
  const table: BenchRow[] = [];
  try {
    table.push({ name: 'sql load, 1000-row INSERTs', measured: rate(rows, loadMs) });
    table.push({
      name: 'sql memory a row',
      measured: `${Math.round(heapBytes / rows)} bytes`,
      ceiling: `${Math.round(bytes / rows)} bytes of data`,
    });
    const client = db.connect();
    const random = seededRandom('point');
    const pointMs = await timed(async () => {
      for (let i = 0; i < 20_000; i++) await client.query('SELECT balance FROM bank.bank WHERE id = $1', [random.int(rows)]);
    });
    table.push({ name: 'sql point read, embedded', measured: rate(20_000, pointMs) });
    client.close();

    const idle = await readLatencies(db, rows);

    // Every row gets a second version, which a TTL of a second then makes garbage.
    // The TTL comes after it: an update of a million rows lasts longer.
    await db.query('UPDATE bank.bank SET balance = balance + 1');
    await db.query('ALTER TABLE bank.bank CONFIGURE ZONE USING gc.ttlseconds = 1');
    await new Promise((resolve) => setTimeout(resolve, 1500));
    let isCollecting = true;
    const gc = db.database.kv.gc.runGc().finally(() => {
      isCollecting = false;
    });
    const beside = await readLatencies(db, rows, () => isCollecting);
    const { removedVersions } = await gc;
    table.push({
      name: 'point read p99 beside GC',
      measured: `${micros(p99(beside))}, ${removedVersions} collected`,
      ceiling: `idle ${micros(p99(idle))}`,
      ratio: p99(beside) / p99(idle),
    });
  } finally {
    await db.close();
    await rm(folder, { recursive: true, force: true });
  }
  return table;
}

export const cases: readonly BenchCase[] = [{ name: 'system', run }];
