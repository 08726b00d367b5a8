/**
 * Forks as tests use them, and diffs: `db.fork()` of a whole database, what each holds, the way of a
 * test over the wire from create_fork to its first row, and what differs in a large table of which a
 * hundred rows have changed, against a diff that has to look at every row.
 */
import pg from 'pg';

import { bankStatements } from '../../src/cli/workload/bank.ts';
import { open, type Varve } from '../../src/index.ts';
import { type BenchCase, type BenchRow, collectGarbage } from './bench.ts';

const FORKS = 200;
const CHANGED = 100;

const median = (sorted: readonly number[]): number => sorted[sorted.length >> 1] as number;

async function medianMs(times: number, work: (i: number) => Promise<unknown>): Promise<number> {
  const runs: number[] = [];
  for (let i = 0; i < times; i++) {
    const start = performance.now();
    await work(i);
    runs.push(performance.now() - start);
  }
  return median(runs.sort((a, b) => a - b));
}

async function run({ rows }: { rows: number }): Promise<BenchRow[]> {
  const db = await open({ seed: 'bench' });
  const table: BenchRow[] = [];
  try {
    for (const { sql } of bankStatements({ rows })) await db.query(sql);
    // The first forks of a process compile what the others run.
    for (let i = 0; i < 20; i++) await (await db.fork()).close();
    const forks: Varve[] = [];
    collectGarbage();
    const heapBefore = process.memoryUsage().heapUsed;
    const forkMs = await medianMs(FORKS, async () => forks.push(await db.fork()));
    collectGarbage();
    const heapBytes = (process.memoryUsage().heapUsed - heapBefore) / FORKS;
    table.push({ name: 'fork of a database', measured: `${forkMs.toFixed(2)} ms`, aim: '< 1 ms', met: forkMs < 1 });
    table.push({
      name: `memory of a fork, ${FORKS} alive`,
      measured: `${(heapBytes / 1000).toFixed(0)} kB`,
      aim: '< 1 MB',
      met: heapBytes < 1e6,
    });
    for (const fork of forks) await fork.close();
    table.push(...(await overTheWire(db)), ...(await diffs(db, rows)));
  } finally {
    await db.close();
  }
  return table;
}

async function overTheWire(db: Varve): Promise<BenchRow[]> {
  const server = await db.listen();
  const url = `postgresql://root@127.0.0.1:${server.port}/bank`;
  const main = new pg.Client(url);
  await main.connect();
  const connectAndRead = async (to: string): Promise<void> => {
    const client = new pg.Client(to);
    await client.connect();
    await client.query('SELECT balance FROM bank WHERE id = 1');
    await client.end();
  };
  try {
    const plainMs = await medianMs(50, () => connectAndRead(url));
    const forkMs = await medianMs(50, async (i) => {
      await main.query('SELECT varve_internal.create_fork($1)', [`w${i}`]);
      await connectAndRead(`${url}@w${i}`);
    });
    return [
      {
        name: 'create_fork, connect, read',
        measured: `${forkMs.toFixed(1)} ms`,
        ceiling: `connect, read ${plainMs.toFixed(1)} ms`,
        ratio: forkMs / plainMs,
      },
    ];
  } finally {
    await main.end();
    await server.close();
    await db.database.forks.close();
  }
}

async function diffs(db: Varve, rows: number): Promise<BenchRow[]> {
  const fork = await db.fork();
  const from = String((await db.query('SELECT cluster_logical_timestamp()::STRING AS t')).rows[0]?.['t']);
  const step = Math.max(1, Math.floor(rows / CHANGED));
  await db.query(
    `UPDATE bank.bank SET balance = balance + 1 WHERE id IN (${Array.from({ length: CHANGED }, (_, i) => i * step).join(',')})`,
  );
  const expect = async (work: Promise<readonly unknown[]>): Promise<void> => {
    const found = (await work).length;
    if (found !== CHANGED) throw new Error(`a diff found ${found} rows instead of ${CHANGED}`);
  };
  const timesMs = await medianMs(9, () => expect(db.diff('bank.bank', { from })));
  const forksMs = await medianMs(9, () => expect(fork.diff('bank.bank', { fork: db })));
  // A stranger shares no history, so every row is compared: what a diff without logs would cost.
  const stranger = await open({ seed: 'stranger' });
  for (const { sql } of bankStatements({ rows })) await stranger.query(sql);
  const wholeMs = await medianMs(1, () => expect(stranger.diff('bank.bank', { fork: db })));
  await stranger.close();
  await fork.close();
  const row = (name: string, ms: number): BenchRow => ({
    name,
    measured: `${ms.toFixed(2)} ms`,
    ceiling: `every row compared ${wholeMs.toFixed(0)} ms`,
    ratio: ms / wholeMs,
    aim: 1 / 20,
  });
  return [row(`diff of two times, ${CHANGED} rows`, timesMs), row(`diff of two forks, ${CHANGED} rows`, forksMs)];
}

export const cases: readonly BenchCase[] = [{ name: 'forks', run }];
