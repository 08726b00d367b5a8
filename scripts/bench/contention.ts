/**
 * Contended transfers over the wire: eight clients move money between few accounts, each transfer a
 * SERIALIZABLE transaction that runs again until it commits. Beside it PostgreSQL, where its binaries
 * are found: its own temporary cluster, fsync off, the same client code and the same account numbers.
 * The two take turns, a slice of time each, and each server is a process of its own.
 *
 *   by update   BEGIN, two UPDATEs by a difference, lower account first, COMMIT: writers wait for each other
 *   by read     BEGIN, two SELECTs, two UPDATEs by value, in any order, COMMIT: stale reads are refused
 *
 * PostgreSQL looks for a deadlock only after deadlock_timeout. Here that is 10 ms: with its default of
 * a second the second workload would mostly measure that pause.
 *
 * After each slice the sum of all accounts is checked: a bench that loses money measures nothing.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import pg from 'pg';

import { seededRandom } from '../../src/base/random.ts';
import type { BenchCase, BenchRow } from './bench.ts';

const CLIENTS = 8;
const ACCOUNTS = 20;
const BALANCE = 1000;
const SLICES = 3;
const SLICE_MS = 1500;
/** What a process may be run as when we are the superuser, whom PostgreSQL refuses: nobody. */
const NOBODY = 65_534;
const SETUP = [
  'DROP TABLE IF EXISTS accounts',
  'CREATE TABLE accounts (id INT PRIMARY KEY, balance INT NOT NULL)',
  `INSERT INTO accounts SELECT i, ${BALANCE} FROM generate_series(0, ${ACCOUNTS - 1}) AS g (i)`,
];

interface Server {
  readonly url: string;
  stop(): Promise<void>;
}

interface Figures {
  transfers: number;
  attempts: number;
  elapsedMs: number;
  readonly latencies: number[];
}

async function startVarve(): Promise<Server> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'contentionServer.ts')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return {
    url: line.toString().trim(),
    stop: async () => {
      child.stdin.end();
      await once(child, 'exit');
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address ? address.port : 0;
}

/** A PostgreSQL of our own; undefined when it is not installed. */
async function startPostgres(): Promise<Server | undefined> {
  if (spawnSync('initdb', ['--version']).status !== 0 || spawnSync('postgres', ['--version']).status !== 0) return undefined;
  const folder = await mkdtemp(join(tmpdir(), 'varve-postgres-'));
  const isRoot = process.getuid?.() === 0;
  if (isRoot) await chown(folder, NOBODY, NOBODY);
  const as = isRoot ? { uid: NOBODY, gid: NOBODY } : {};
  const data = join(folder, 'data');
  const made = spawnSync('initdb', ['-D', data, '-A', 'trust', '-U', 'root', '-N', '-E', 'UTF8', '--locale=C'], { ...as, cwd: folder });
  if (made.status !== 0) {
    await rm(folder, { recursive: true, force: true });
    return undefined;
  }
  const port = await freePort();
  const settings = [
    'fsync=off',
    'synchronous_commit=off',
    'full_page_writes=off',
    'deadlock_timeout=10ms',
    'listen_addresses=127.0.0.1',
    `unix_socket_directories=${folder}`,
  ];
  const child: ChildProcess = spawn('postgres', ['-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])], {
    ...as,
    cwd: folder,
    stdio: 'ignore',
  });
  const url = `postgresql://root@127.0.0.1:${port}/postgres`;
  for (let attempt = 1; ; attempt++) {
    try {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      await client.end();
      break;
    } catch (error) {
      if (attempt >= 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  return {
    url,
    stop: async () => {
      child.kill('SIGINT');
      await once(child, 'exit');
      await rm(folder, { recursive: true, force: true });
    },
  };
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
async function slice(url: string, transfer: Transfer, seed: string, figures: Figures): Promise<void> {
  const clients = await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      await client.query("SET default_transaction_isolation = 'serializable'");
      return client;
    }),
  );
  const start = performance.now();
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

const percentile = ({ latencies }: Figures, share: number): number =>
  latencies.sort((a, b) => a - b)[Math.floor(latencies.length * share)] ?? Number.NaN;
const perSecond = ({ transfers, elapsedMs }: Figures): number => (transfers / elapsedMs) * 1000;
const describe = (figures: Figures): string =>
  `${Math.round(perSecond(figures))}/s, ${(figures.attempts / figures.transfers).toFixed(2)} tries`;

async function run(): Promise<BenchRow[]> {
  const varve = await startVarve();
  const postgres = await startPostgres();
  const servers = postgres ? [varve, postgres] : [varve];
  const table: BenchRow[] = [];
  try {
    for (const [how, transfer] of [
      ['by update', byUpdate],
      ['by read', byRead],
    ] as const) {
      const figures = servers.map((): Figures => ({ transfers: 0, attempts: 0, elapsedMs: 0, latencies: [] }));
      for (const server of servers) await prepare(server.url);
      // The first slice warms both up.
      for (const server of servers) await slice(server.url, transfer, 'warm', { transfers: 0, attempts: 0, elapsedMs: 0, latencies: [] });
      for (let round = 0; round < SLICES; round++) {
        for (const [i, server] of servers.entries()) await slice(server.url, transfer, `${how}${round}`, figures[i] as Figures);
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
