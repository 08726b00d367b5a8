/**
 * `npm run bench "sql embedded"`: Varve as a library beside databases that run in the same process:
 * better-sqlite3 (or Node's own SQLite where that is not installed), PGlite and pg-mem.
 *
 * The peers are no dependencies of Varve: they are measured where they are found, in this checkout's
 * node_modules or in the folder named by VARVE_BENCH_PEERS:
 *
 *   npm install --prefix DIR better-sqlite3 @electric-sql/pglite pg-mem
 *
 * Each is called as its own documentation does it: SQLite by prepared statements, the others by query
 * texts with parameters. Works take turns. Ratios are Varve's time over SQLite's, where there is one.
 */
import { open } from '../../src/index.ts';
import { bankPayloads } from './bankRows.ts';
import { type BenchCase, type BenchRow, collectGarbage, rate } from './bench.ts';
import { optional } from './peers.ts';

/** One database, as the works below use it. */
interface Peer {
  readonly name: string;
  /** Rows it is asked to hold at most: some would take minutes for a million. */
  readonly rowsMax: number;
  load(payloads: readonly string[], rows: number): Promise<void>;
  read(id: number): unknown;
  update(id: number): unknown;
  transfer(from: number, to: number): unknown;
  sum(): unknown;
  close(): unknown;
}

const TABLE = 'CREATE TABLE bank (id INT8 PRIMARY KEY, balance INT8 NOT NULL, payload TEXT)';
const READ = 'SELECT balance FROM bank WHERE id = $1';
const ADD = 'UPDATE bank SET balance = balance + $1 WHERE id = $2';
const SUM = 'SELECT sum(balance) AS total FROM bank';
const STATEMENT_ROWS = 1000;
const TURN_MS = 400;
const ROUNDS = 4;
const SUM_RUNS = 5;
/** Calls between two looks at the clock. */
const CALLS = 64;

type Query = (sql: string, values?: readonly unknown[]) => unknown;

/** A database that takes texts with parameters. */
function byText(name: string, rowsMax: number, query: Query, close: () => unknown): Peer {
  return {
    name,
    rowsMax,
    load: async (payloads, rows) => {
      await query(TABLE);
      for (let first = 0; first < rows; first += STATEMENT_ROWS) {
        const values: string[] = [];
        for (let id = first; id < Math.min(first + STATEMENT_ROWS, rows); id++) {
          values.push(`(${id}, 1000, '${payloads[id % payloads.length]}')`);
        }
        await query(`INSERT INTO bank VALUES ${values.join(', ')}`);
      }
    },
    read: (id) => query(READ, [id]),
    update: (id) => query(ADD, [1, id]),
    transfer: async (from, to) => {
      await query('BEGIN');
      await query(ADD, [-1, from]);
      await query(ADD, [1, to]);
      await query('COMMIT');
    },
    sum: () => query(SUM),
    close,
  };
}

async function varve(): Promise<Peer> {
  const db = await open({ seed: 'bench' });
  return byText(
    'varve',
    Number.POSITIVE_INFINITY,
    (sql, values) => db.query(sql, values),
    () => db.close(),
  );
}

interface SqliteStatement {
  run(...values: unknown[]): unknown;
  get(...values: unknown[]): unknown;
}
interface SqliteDatabase {
  exec(sql: string): unknown;
  prepare(sql: string): SqliteStatement;
  close(): void;
}

function bySqlite(name: string, db: SqliteDatabase): Peer {
  db.exec(TABLE);
  const read = db.prepare('SELECT balance FROM bank WHERE id = ?');
  const add = db.prepare('UPDATE bank SET balance = balance + ? WHERE id = ?');
  const [begin, commit] = [db.prepare('BEGIN'), db.prepare('COMMIT')];
  return {
    name,
    rowsMax: Number.POSITIVE_INFINITY,
    load: async (payloads, rows) => {
      const insert = db.prepare('INSERT INTO bank VALUES (?, ?, ?)');
      for (let first = 0; first < rows; first += STATEMENT_ROWS) {
        begin.run();
        for (let id = first; id < Math.min(first + STATEMENT_ROWS, rows); id++) insert.run(id, 1000, payloads[id % payloads.length]);
        commit.run();
      }
    },
    read: (id) => read.get(id),
    update: (id) => add.run(1, id),
    transfer: (from, to) => {
      begin.run();
      add.run(-1, from);
      add.run(1, to);
      commit.run();
    },
    sum: () => db.prepare(SUM).get(),
    close: () => db.close(),
  };
}

async function sqlite(): Promise<Peer> {
  const better = await optional<{ default: new (file: string) => SqliteDatabase }>('better-sqlite3');
  if (better) return bySqlite('better-sqlite3', new better.default(':memory:'));
  const { DatabaseSync } = await import('node:sqlite');
  return bySqlite('node:sqlite', new DatabaseSync(':memory:') as unknown as SqliteDatabase);
}

interface QueryApi {
  query(sql: string, values?: readonly unknown[]): Promise<unknown>;
}

async function pglite(): Promise<Peer | undefined> {
  const found = await optional<{ PGlite: { create(): Promise<QueryApi & { close(): Promise<void> }> } }>('@electric-sql/pglite');
  if (!found) return undefined;
  const db = await found.PGlite.create();
  return byText(
    'PGlite',
    Number.POSITIVE_INFINITY,
    (sql, values) => db.query(sql, values),
    () => db.close(),
  );
}

async function pgMem(): Promise<Peer | undefined> {
  interface PgMem {
    newDb(): { adapters: { createPg(): { Client: new () => QueryApi & { connect(): Promise<void>; end(): Promise<void> } } } };
  }
  const found = await optional<PgMem & { default?: PgMem }>('pg-mem');
  if (!found) return undefined;
  const { Client } = (found.default ?? found).newDb().adapters.createPg();
  const client = new Client();
  await client.connect();
  return byText(
    'pg-mem',
    20_000,
    (sql, values) => client.query(sql, values),
    () => client.end(),
  );
}

interface Tally {
  count: number;
  ms: number;
}

/** Calls one work on each peer in turns; what it gives is waited for when it is a promise. */
async function takeTurns(peers: readonly Peer[], rows: number, call: (peer: Peer, id: number, rows: number) => unknown): Promise<Tally[]> {
  const tallies = peers.map((): Tally => ({ count: 0, ms: 0 }));
  for (let round = -1; round < ROUNDS; round++) {
    for (const [i, peer] of peers.entries()) {
      const size = Math.min(rows, peer.rowsMax);
      let id = (round + 2) * 7919;
      let count = 0;
      const start = performance.now();
      let elapsed = 0;
      while (elapsed < TURN_MS) {
        for (let n = 0; n < CALLS; n++) {
          // A step that shares no factor with the number of rows: every row, in no order.
          id = (id + 617_189) % size;
          const given = call(peer, id, size);
          if (given instanceof Promise) await given;
        }
        count += CALLS;
        elapsed = performance.now() - start;
      }
      // The first round warms up.
      if (round < 0) continue;
      const tally = tallies[i] as Tally;
      tally.count += count;
      tally.ms += elapsed;
    }
  }
  return tallies;
}

function compared(
  name: string,
  peers: readonly Peer[],
  tallies: readonly Tally[],
  text: (tally: Tally) => string,
  aim: number,
): BenchRow[] {
  const [ours, sqliteTally, ...others] = tallies as [Tally, Tally, ...Tally[]];
  const cost = ({ ms, count }: Tally) => ms / count;
  return [
    {
      name: `sql embedded ${name}`,
      measured: text(ours),
      ceiling: `${peers[1]?.name} ${text(sqliteTally)}`,
      ratio: cost(ours) / cost(sqliteTally),
      aim,
    },
    ...others.map((tally, i) => ({
      name: '',
      measured: '',
      ceiling: `${peers[i + 2]?.name} ${text(tally)}`,
      ratio: cost(ours) / cost(tally),
    })),
  ];
}

async function run({ rows }: { rows: number }): Promise<BenchRow[]> {
  const peers = [await varve(), await sqlite(), await pglite(), await pgMem()].filter((peer) => peer !== undefined);
  const payloads = bankPayloads();
  const rated = ({ count, ms }: Tally) => rate(count, ms);
  try {
    const loads: Tally[] = [];
    for (const peer of peers) {
      collectGarbage();
      const count = Math.min(rows, peer.rowsMax);
      const start = performance.now();
      await peer.load(payloads, count);
      loads.push({ count, ms: performance.now() - start });
    }
    const table = compared('load', peers, loads, rated, 1);
    table.push(...compared('point read', peers, await takeTurns(peers, rows, (peer, id) => peer.read(id)), rated, 2));
    table.push(...compared('update', peers, await takeTurns(peers, rows, (peer, id) => peer.update(id)), rated, 2));
    const transfers = await takeTurns(peers, rows, (peer, id, size) => peer.transfer(id, (id + 1) % size));
    table.push(...compared('transfer', peers, transfers, rated, 2));
    const sums = peers.map((): number[] => []);
    for (let i = 0; i < SUM_RUNS; i++) {
      for (const [at, peer] of peers.entries()) {
        const start = performance.now();
        await peer.sum();
        sums[at]?.push(performance.now() - start);
      }
    }
    const medians = sums.map((times, i): Tally => {
      const ms = times.sort((a, b) => a - b)[times.length >> 1] as number;
      return { ms, count: Math.min(rows, peers[i]?.rowsMax ?? rows) / rows };
    });
    table.push(
      ...compared('sum', peers, medians, ({ ms, count }) => `${ms.toFixed(1)} ms${count < 1 ? ` for ${count * rows} rows` : ''}`, 2),
    );
    return table;
  } finally {
    for (const peer of peers) await peer.close();
  }
}

export const cases: readonly BenchCase[] = [{ name: 'sql embedded', run }];
