/**
 * The whole system through SQL: loading, backup, incremental backup, restore, and what a backup does
 * to the latency of point reads beside it.
 *
 * One bank table of 123-byte rows is loaded once a size; every case works on it. The ceiling of
 * backup and restore is zstd alone, level 1, one thread, over the same logical bytes.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress, constants } from 'node:zlib';

import { EVERYTHING } from '../../src/base/span.ts';
import { seededRandom } from '../../src/base/random.ts';
import { bankStatements } from '../../src/cli/workload/bank.ts';
import { open, type Varve } from '../../src/index.ts';
import { type BenchCase, type BenchRow, collectGarbage, rate, throughput } from './bench.ts';

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);
const LEVEL_1 = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
/** Point reads whose latency is sampled, idle and during a backup. */
const READS = 5_000;

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

/** The median of `times` runs; `prepare` is not timed. */
async function medianMs(times: number, prepare: () => Promise<unknown>, work: () => Promise<unknown>): Promise<number> {
  const runs: number[] = [];
  for (let i = 0; i < times; i++) {
    await prepare();
    runs.push(await timed(work));
  }
  return runs.sort((a, b) => a - b)[times >> 1] as number;
}

const nothing = async () => {};

/** Milliseconds that zstd alone takes to compress, and to decompress, as many bytes of bank rows. */
async function zstdAlone(db: Varve, bytes: number): Promise<{ compressMs: number; decompressMs: number }> {
  const { rows } = await db.query('SELECT id, balance, payload FROM bank.bank LIMIT 10000');
  const sample = Buffer.from(rows.map((row) => `${row['id']}${row['balance']}${row['payload']}`).join(''));
  const block = Buffer.alloc(1 << 20);
  for (let at = 0; at < block.length; at += sample.length) sample.copy(block, at);
  const blocks = Math.ceil(bytes / block.length);
  let stored: Buffer = Buffer.alloc(0);
  const compressMs = await timed(async () => {
    for (let i = 0; i < blocks; i++) stored = await compress(block, LEVEL_1);
  });
  const decompressMs = await timed(async () => {
    for (let i = 0; i < blocks; i++) await decompress(stored);
  });
  return { compressMs, decompressMs };
}

/** Latencies of point reads in milliseconds, ascending, while `beside` runs (or alone). */
async function readLatencies(db: Varve, rows: number, beside?: () => boolean): Promise<number[]> {
  const random = seededRandom('reads');
  const latencies: number[] = [];
  const client = db.connect();
  for (let i = 0; beside ? beside() : i < READS; i++) {
    const id = random.int(rows);
    const start = performance.now();
    await client.query('SELECT balance FROM bank.bank WHERE id = $1', [id]);
    latencies.push(performance.now() - start);
    // Gives what else is ready its turn, as requests from a socket would.
    await new Promise((resolve) => setImmediate(resolve));
  }
  client.close();
  return latencies.sort((a, b) => a - b);
}

const percentile = (sorted: readonly number[], share: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
const micros = (ms: number) => `${(ms * 1000).toFixed(0)} µs`;

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

    const alone = await zstdAlone(db, bytes);
    const fullMs = await medianMs(3, nothing, () => db.query("BACKUP DATABASE bank INTO 'nodelocal://1/bench'"));
    table.push({
      name: 'backup full',
      measured: throughput(bytes, fullMs),
      ceiling: `zstd -1 alone ${throughput(bytes, alone.compressMs)}`,
      ratio: fullMs / alone.compressMs,
    });
    const restoreMs = await timed(() =>
      db.query("RESTORE DATABASE bank FROM LATEST IN 'nodelocal://1/bench' WITH new_db_name = 'restored'"),
    );
    table.push({
      name: 'restore full',
      measured: throughput(bytes, restoreMs),
      ceiling: `zstd -1 alone ${throughput(bytes, alone.decompressMs)}`,
      ratio: restoreMs / alone.decompressMs,
    });
    await db.query('DROP DATABASE restored CASCADE');

    const incrementalMs = await medianMs(
      5,
      () => db.query('UPDATE bank.bank SET balance = balance + 1 WHERE id % 100 = 0'),
      () => db.query("BACKUP DATABASE bank INTO LATEST IN 'nodelocal://1/bench'"),
    );
    table.push({
      name: 'backup incremental, 1% changed',
      measured: `${incrementalMs.toFixed(1)} ms`,
      ceiling: `full ${fullMs.toFixed(0)} ms`,
      ratio: incrementalMs / fullMs,
      aim: 1 / 20,
    });

    const idle = await readLatencies(db, rows);
    let isRunning = true;
    const backup = db.query("BACKUP DATABASE bank INTO 'nodelocal://1/beside'").finally(() => {
      isRunning = false;
    });
    const busy = await readLatencies(db, rows, () => isRunning);
    await backup;
    table.push({
      name: 'point read p99 beside backup',
      measured: micros(percentile(busy, 0.99)),
      ceiling: `idle ${micros(percentile(idle, 0.99))}`,
      ratio: percentile(busy, 0.99) / percentile(idle, 0.99),
    });

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
      measured: `${micros(percentile(beside, 0.99))}, ${removedVersions} collected`,
      ceiling: `idle ${micros(percentile(idle, 0.99))}`,
      ratio: percentile(beside, 0.99) / percentile(idle, 0.99),
    });
  } finally {
    await db.close();
    await rm(folder, { recursive: true, force: true });
  }
  return table;
}

export const cases: readonly BenchCase[] = [{ name: 'system', run }];
