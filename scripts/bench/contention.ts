/**
 * Contended transfers over the wire: eight clients move money between few accounts, each transfer a
 * SERIALIZABLE transaction that runs again until it commits. Beside it PostgreSQL, where its binaries
 * are found: its own temporary cluster, fsync off, the same client code and the same account numbers.
 * The two take turns, a slice of time each, and each server is a process of its own.
 *
 *   by update   BEGIN, two UPDATEs by a difference, lower account first, COMMIT: writers wait for each other
 *   by read     BEGIN, two SELECTs, two UPDATEs by value, in any order, COMMIT: stale reads are refused
 *
 * A server's CPU time a transfer stands beside its throughput: it hardly depends on what else runs on
 * the machine. PostgreSQL's processes share all cores, Varve's statements one.
 *
 * After each slice the sum of all accounts is checked: a bench that loses money measures nothing.
 */
import pg from 'pg';

import { seededRandom } from '../../src/base/random.ts';
import type { BenchCase, BenchRow } from './bench.ts';
import { type Server, startServers } from './servers.ts';

const CLIENTS = 8;
const ACCOUNTS = 20;
const BALANCE = 1000;
const SLICES = 3;
const SLICE_MS = 1500;
const SETUP = [
  'DROP TABLE IF EXISTS accounts',
  'CREATE TABLE accounts (id INT PRIMARY KEY, balance INT NOT NULL)',
  `INSERT INTO accounts SELECT i, ${BALANCE} FROM generate_series(0, ${ACCOUNTS - 1}) AS g (i)`,
];

interface Figures {
  transfers: number;
  attempts: number;
  elapsedMs: number;
  cpuMs: number;
  readonly latencies: number[];
}

type Transfer = (client: pg.Client, from: number, to: number, amount: number) => Promise<void>;

const text = (name: string, sql: string, values: readonly number[]) => ({ name, text: sql, values: [...values] });

const byUpdate: Transfer = async (client, from, to, amount) => {
  const sql = 'UPDATE accounts SET balance = balance + $1 WHERE id = $2';
  const [low, high] = from < to ? [from, to] : [to, from];
  await client.query(text('add', sql, [low === from ? -amount : amount, low]));
  await client.query(text('add', sql, [high === from ? -amount : amount, high]));
};

const byRead: Transfer = async (client, from, to, amount) => {
  const read = async (id: number) => {
    const { rows } = await client.query(text('read', 'SELECT balance FROM accounts WHERE id = $1', [id]));
    return Number(rows[0].balance);
  };
  const [a, b] = [await read(from), await read(to)];
  const sql = 'UPDATE accounts SET balance = $1 WHERE id = $2';
  await client.query(text('set', sql, [a - amount, from]));
  await client.query(text('set', sql, [b + amount, to]));
};

/** One slice: every client transfers until time is up. */
async function slice({ url, cpuMs }: Server, transfer: Transfer, seed: string, figures: Figures): Promise<void> {
  const clients = await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      await client.query("SET default_transaction_isolation = 'serializable'");
      return client;
    }),
  );
  const start = performance.now();
  const cpuBefore = cpuMs() ?? Number.NaN;
  await Promise.all(
    clients.map(async (client, number) => {
      const random = seededRandom(`${seed}/${number}`);
      while (performance.now() - start < SLICE_MS) {
        const from = random.int(ACCOUNTS);
        const to = (from + 1 + random.int(ACCOUNTS - 1)) % ACCOUNTS;
        const begun = performance.now();
        for (let done = false; !done; ) {
          figures.attempts++;
          try {
            await client.query('BEGIN');
            await transfer(client, from, to, 1 + random.int(10));
            await client.query('COMMIT');
            done = true;
          } catch (error) {
            const { code } = error as { code?: string };
            if (code !== '40001' && code !== '40P01') throw error;
            await client.query('ROLLBACK').catch(() => {});
          }
        }
        figures.transfers++;
        figures.latencies.push(performance.now() - begun);
      }
    }),
  );
  figures.elapsedMs += performance.now() - start;
  figures.cpuMs += (cpuMs() ?? Number.NaN) - cpuBefore;
  const { rows } = await (clients[0] as pg.Client).query('SELECT sum(balance) AS total FROM accounts');
  await Promise.all(clients.map((client) => client.end()));
  if (Number(rows[0].total) !== ACCOUNTS * BALANCE) throw new Error(`money was made or lost: ${rows[0].total}`);
}

async function prepare(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  for (const sql of SETUP) await client.query(sql);
  await client.end();
}

const noFigures = (): Figures => ({ transfers: 0, attempts: 0, elapsedMs: 0, cpuMs: 0, latencies: [] });
const percentile = ({ latencies }: Figures, share: number): number =>
  latencies.sort((a, b) => a - b)[Math.floor(latencies.length * share)] ?? Number.NaN;
const perSecond = ({ transfers, elapsedMs }: Figures): number => (transfers / elapsedMs) * 1000;
const cpu = ({ cpuMs, transfers }: Figures): string => `${Math.round((cpuMs / transfers) * 1000)} µs`;
const describe = (figures: Figures): string =>
  `${Math.round(perSecond(figures))}/s, ${(figures.attempts / figures.transfers).toFixed(2)} tries`;

async function run(): Promise<BenchRow[]> {
  const servers = await startServers();
  const table: BenchRow[] = [];
  try {
    for (const [how, transfer] of [
      ['by update', byUpdate],
      ['by read', byRead],
    ] as const) {
      const figures = servers.map(noFigures);
      for (const server of servers) await prepare(server.url);
      // The first slice warms both up.
      for (const server of servers) await slice(server, transfer, 'warm', noFigures());
      for (let round = 0; round < SLICES; round++) {
        for (const [i, server] of servers.entries()) await slice(server, transfer, `${how}${round}`, figures[i] as Figures);
      }
      const [ours, theirs] = figures as [Figures, Figures | undefined];
      table.push({
        name: `contention transfers ${how}`,
        measured: describe(ours),
        ...(theirs && {
          ceiling: `postgres ${describe(theirs)}`,
          ratio: perSecond(theirs) / perSecond(ours),
          aim: 0.5,
        }),
      });
      table.push({
        name: `contention p99 ${how}`,
        measured: `${percentile(ours, 0.99).toFixed(1)} ms`,
        ...(theirs && {
          ceiling: `postgres ${percentile(theirs, 0.99).toFixed(1)} ms`,
          ratio: percentile(ours, 0.99) / percentile(theirs, 0.99),
          aim: 1,
        }),
      });
      table.push({
        name: `contention server CPU ${how}`,
        measured: cpu(ours),
        ...(theirs && { ceiling: `postgres ${cpu(theirs)}`, ratio: ours.cpuMs / ours.transfers / (theirs.cpuMs / theirs.transfers) }),
      });
    }
  } finally {
    for (const server of servers) await server.stop();
  }
  return table;
}

let figuresOnce: Promise<BenchRow[]> | undefined;

/** The accounts are few whatever the size of the other cases, so it is measured once. */
export const cases: readonly BenchCase[] = [
  {
    name: 'contention',
    run: () => {
      const isFirst = figuresOnce === undefined;
      figuresOnce ??= run();
      return isFirst ? figuresOnce : [];
    },
  },
];
