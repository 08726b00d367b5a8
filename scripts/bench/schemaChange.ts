/**
 * Schema changes: what an online CREATE INDEX and ADD COLUMN cost, and what they do to writers beside.
 *
 * The ceiling is the same index made in the statement's own transaction, on a table that the
 * transaction created: no job, no second look, but all rows in memory and no writer beside. Beside
 * writes, CLIENTS sessions update random rows all the time; their rate and the 99th percentile of
 * their latency are given without and with the change, and how often one of them met a conflict that
 * it could not run again by itself.
 */
import { seededRandom } from '../../src/base/random.ts';
import { Database } from '../../src/server/database.ts';
import { isVarveError } from '../../src/base/errors.ts';
import type { Session } from '../../src/sql/exec/session.ts';
import { type BenchCase, type BenchRow, collectGarbage, rate } from './bench.ts';

const CLIENTS = 4;
/** How long writers run alone before the change begins. */
const ALONE_MS = 1_500;

const CREATE = 'CREATE TABLE t (id INT PRIMARY KEY, a INT NOT NULL, b STRING NOT NULL)';
const fill = (rows: number) => `INSERT INTO t SELECT i, i * 7919 % ${rows}, repeat('x', 80) FROM generate_series(1, ${rows}) AS g(i)`;

async function loaded(rows: number): Promise<{ db: Database; session: Session }> {
  const db = await Database.open({ seed: 'bench' });
  const session = db.newSession();
  await session.execute(CREATE);
  await session.execute(fill(rows));
  collectGarbage();
  return { db, session };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** Milliseconds of an index made in the transaction that made the table. */
async function directMs(rows: number, ddl: string): Promise<number> {
  const db = await Database.open({ seed: 'bench' });
  const session = db.newSession();
  await session.execute(`BEGIN; ${CREATE}`);
  await session.execute(fill(rows));
  collectGarbage();
  const ms = await timed(() => session.execute(`${ddl}; COMMIT`));
  await db.close();
  return ms;
}

interface Latencies {
  readonly millis: number[];
  conflicts: number;
}

/** Updates random rows until told to stop; `into()` says where each latency counts. */
async function writer(db: Database, rows: number, seed: string, isOver: () => boolean, into: () => Latencies): Promise<void> {
  const session = db.newSession();
  const random = seededRandom(seed);
  while (!isOver()) {
    const id = 1 + Math.floor(random.float() * rows);
    const target = into();
    const start = performance.now();
    try {
      await session.execute(`UPDATE t SET b = repeat('y', 80), a = ${rows + id} WHERE id = ${id}`);
    } catch (error) {
      if (!isVarveError(error) || error.code !== '40001') throw error;
      target.conflicts++;
    }
    target.millis.push(performance.now() - start);
    // A socket would give others a turn here.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function p99({ millis }: Latencies): string {
  const sorted = millis.toSorted((a, b) => a - b);
  return `${(sorted[Math.floor(sorted.length * 0.99)] ?? 0).toFixed(1)} ms`;
}

async function besideWrites(rows: number, what: string, ddl: string): Promise<BenchRow[]> {
  const { db, session } = await loaded(rows);
  const alone: Latencies = { millis: [], conflicts: 0 };
  const beside: Latencies = { millis: [], conflicts: 0 };
  let into = alone;
  let isOver = false;
  const writers = Array.from({ length: CLIENTS }, (_, i) =>
    writer(
      db,
      rows,
      `writer ${i}`,
      () => isOver,
      () => into,
    ),
  );
  await new Promise((resolve) => setTimeout(resolve, ALONE_MS));
  into = beside;
  const ms = await timed(() => session.execute(ddl));
  isOver = true;
  await Promise.all(writers);
  await db.close();
  return [
    { name: `${what} beside writes`, measured: `${rate(rows, ms)} rows` },
    {
      name: `  writes beside ${what}`,
      measured: `${rate(beside.millis.length, ms)}, p99 ${p99(beside)}`,
      ceiling: `alone ${rate(alone.millis.length, ALONE_MS)}, p99 ${p99(alone)}`,
      ratio: alone.millis.length / ALONE_MS / (beside.millis.length / ms),
      aim: `no conflict given to a client (${beside.conflicts})`,
      met: beside.conflicts === 0,
    },
  ];
}

const INDEX = 'CREATE INDEX i ON t (a)';
const UNIQUE = 'CREATE UNIQUE INDEX i ON t (a)';
const COLUMN = 'ALTER TABLE t ADD COLUMN c INT NOT NULL DEFAULT 7';

export const cases: readonly BenchCase[] = [
  {
    name: 'schema change',
    async run({ rows }) {
      const found: BenchRow[] = [];
      for (const [name, ddl] of [
        ['create index', INDEX],
        ['create unique index', UNIQUE],
        ['add column', COLUMN],
      ] as const) {
        const { db, session } = await loaded(rows);
        const ms = await timed(() => session.execute(ddl));
        await db.close();
        const direct = await directMs(rows, ddl);
        found.push({ name, measured: `${rate(rows, ms)} rows`, ceiling: `in a transaction ${rate(rows, direct)}`, ratio: ms / direct });
      }
      return found;
    },
  },
  {
    name: 'schema change beside writes',
    async run({ rows }) {
      return [...(await besideWrites(rows, 'create index', INDEX)), ...(await besideWrites(rows, 'add column', COLUMN))];
    },
  },
];
