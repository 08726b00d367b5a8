/**
 * Pauses: for how long bulk work keeps the event loop from everyone else.
 *
 * While a case runs, a watcher takes one turn of the event loop after another. A turn's pause is the
 * time since the turn before, less what the watched work could not help: V8's garbage collector,
 * given apart, and moments in which the machine ran something else (the thread's own processor time
 * stands still then). What is left is ours, and no turn of it should exceed OURS_MAX_MS.
 *
 * What the collector took is read from a CPU profile: the collector's own reports leave out the
 * steps of its incremental marking.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { type Profiler, Session } from 'node:inspector/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Client, open, type Varve } from '../../src/index.ts';
import { type BenchCase, type BenchRow, collectGarbage } from './bench.ts';

/** Milliseconds of one turn that are tolerable. */
const OURS_MAX_MS = 10;
/** Turns shorter than this are only counted. */
const NOTED_MS = 0.5;
const SAMPLE_MICROS = 500;

interface Turn {
  readonly start: number;
  readonly end: number;
  /** Milliseconds of processor time of this thread; its wall time where Node cannot tell. */
  readonly busy: number;
}

interface Collection {
  readonly start: number;
  readonly end: number;
}

interface Pauses {
  readonly seconds: number;
  /** The longest turn, and the 99th percentile of all turns. */
  readonly max: number;
  readonly p99: number;
  /** The longest turn without V8's part and without what the machine took. */
  readonly ours: number;
  /** The longest that V8 took of one turn. */
  readonly v8: number;
}

/** Milliseconds of processor time that this thread has had; undefined on a Node that does not tell. */
function threadMs(): number | undefined {
  const usage = (process as { threadCpuUsage?: () => { user: number; system: number } }).threadCpuUsage?.();
  return usage && (usage.user + usage.system) / 1000;
}

/** Watches the event loop while `work` runs. */
async function watch(work: () => Promise<unknown>): Promise<Pauses> {
  const profiler = new Session();
  profiler.connect();
  await profiler.post('Profiler.enable');
  await profiler.post('Profiler.setSamplingInterval', { interval: SAMPLE_MICROS });
  await profiler.post('Profiler.start');
  const turns: Turn[] = [];
  const lengths: number[] = [];
  let isOver = false;
  let last = performance.now();
  let lastBusy = threadMs();
  const look = (): void => {
    const now = performance.now();
    const busy = threadMs();
    lengths.push(now - last);
    if (now - last >= NOTED_MS)
      turns.push({ start: last, end: now, busy: busy === undefined || lastBusy === undefined ? now - last : busy - lastBusy });
    last = now;
    lastBusy = busy;
    if (!isOver) setImmediate(look);
  };
  setImmediate(look);
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / 1000;
  isOver = true;
  const { profile } = await profiler.post('Profiler.stop');
  profiler.disconnect();
  const collections = collectionsOf(profile);
  let ours = 0;
  let v8 = 0;
  for (const turn of turns) {
    const collected = collectedWithin(turn, collections);
    v8 = Math.max(v8, collected);
    ours = Math.max(ours, Math.min(turn.busy, turn.end - turn.start) - collected);
  }
  lengths.sort((a, b) => a - b);
  return { seconds, max: lengths.at(-1) ?? 0, p99: lengths[Math.floor(lengths.length * 0.99)] ?? 0, ours, v8 };
}

/** When the collector ran, on the clock of performance.now(). */
function collectionsOf({ nodes, startTime, samples = [], timeDeltas = [] }: Profiler.Profile): Collection[] {
  const collector = nodes.find((node) => node.callFrame.functionName === '(garbage collector)')?.id;
  const found: Collection[] = [];
  const offset = Number(process.hrtime.bigint()) / 1e6 - performance.now();
  let end = startTime / 1000 - offset;
  for (const [i, node] of samples.entries()) {
    const start = end;
    end += (timeDeltas[i] ?? 0) / 1000;
    if (node === collector) found.push({ start, end });
  }
  return found;
}

/** Milliseconds of a turn that V8's collector took. */
function collectedWithin(turn: Turn, collections: readonly Collection[]): number {
  let sum = 0;
  for (const { start, end } of collections) sum += Math.max(0, Math.min(end, turn.end) - Math.max(start, turn.start));
  return sum;
}

const ms = (millis: number): string => `${millis.toFixed(1)} ms`;

function rowOf(name: string, { seconds, max, p99, ours, v8 }: Pauses): BenchRow {
  return {
    name: `pause: ${name}`,
    measured: `${ms(ours)} in ${seconds.toFixed(1)} s`,
    ceiling: `V8 ${ms(v8)}, turn ${ms(max)}, p99 ${ms(p99)}`,
    aim: `ours below ${OURS_MAX_MS} ms`,
    met: ours < OURS_MAX_MS,
  };
}

const TABLE = 'CREATE TABLE t (id INT PRIMARY KEY, a INT NOT NULL, b STRING NOT NULL)';
const fill = (rows: number) => `INSERT INTO t SELECT i, i * 7919 % ${rows}, repeat('x', 80) FROM generate_series(1, ${rows}) AS g(i)`;

/** A case: what comes before it is not watched. */
interface Watched {
  readonly name: string;
  readonly prepare?: (bench: Bench) => Promise<unknown>;
  readonly work: (bench: Bench) => Promise<unknown>;
  readonly after?: (bench: Bench) => Promise<unknown>;
}

interface Bench {
  readonly db: Varve;
  readonly client: Client;
  readonly rows: number;
  fork?: Varve;
}

const run = (sql: string) => (bench: Bench) => bench.client.query(sql);

/** Commits beside a large transaction that change nothing it has read, so that its validation has a log to look through. */
async function beside(bench: Bench, work: () => Promise<unknown>): Promise<unknown> {
  let isOver = false;
  const other = bench.db.connect();
  const writing = (async () => {
    for (let i = 0; !isOver; i++) {
      await other.query('UPSERT INTO u VALUES ($1, $1)', [i % 100]);
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  try {
    return await work();
  } finally {
    isOver = true;
    await writing;
    other.close();
  }
}

/** In order: each leaves the table full for the next. */
const WATCHED: readonly Watched[] = [
  { name: 'INSERT ... SELECT', prepare: run(TABLE), work: (bench) => bench.client.query(fill(bench.rows)) },
  { name: 'UPDATE of all rows, one statement', work: run('UPDATE t SET a = a + 1') },
  { name: 'UPDATE in a transaction', prepare: run('BEGIN'), work: run('UPDATE t SET a = a + 1') },
  { name: '  its COMMIT', work: run('COMMIT') },
  {
    name: '  its ROLLBACK',
    prepare: async ({ client }) => {
      await client.query('BEGIN');
      await client.query('UPDATE t SET a = a + 1');
    },
    work: run('ROLLBACK'),
  },
  {
    name: '  ROLLBACK TO SAVEPOINT, 2nd UPDATE',
    prepare: async ({ client }) => {
      await client.query('BEGIN');
      await client.query('UPDATE t SET a = a + 1 WHERE id % 2 = 0');
    },
    work: async ({ client }) => {
      await client.query('SAVEPOINT s');
      await client.query('UPDATE t SET a = a + 1 WHERE id % 4 = 0');
      await client.query('ROLLBACK TO SAVEPOINT s');
    },
    after: run('ROLLBACK'),
  },
  {
    name: '  COMMIT beside commits',
    prepare: async ({ client }) => {
      await client.query('CREATE TABLE IF NOT EXISTS u (k INT PRIMARY KEY, v INT)');
      await client.query('BEGIN');
      await client.query('UPDATE t SET a = a + 1 WHERE id % 2 = 0');
    },
    work: (bench) => beside(bench, () => bench.client.query('COMMIT')),
  },
  {
    name: 'COMMIT that read all rows',
    prepare: async ({ client }) => {
      await client.query('BEGIN');
      await client.query('SELECT sum(a) FROM t');
      await client.query('UPSERT INTO u VALUES (1, 1)');
    },
    work: run('COMMIT'),
  },
  {
    name: 'UPDATE that moves all keys',
    work: (bench) => bench.client.query(`UPDATE t SET id = id + ${bench.rows}`),
    after: (bench) => bench.client.query(`UPDATE t SET id = id - ${bench.rows}`),
  },
  {
    name: 'SELECT ... FOR UPDATE',
    prepare: run('BEGIN'),
    work: run('SELECT count(*) FROM (SELECT id FROM t FOR UPDATE) AS s'),
    after: run('ROLLBACK'),
  },
  {
    name: 'SELECT ... FOR SHARE',
    prepare: run('BEGIN'),
    work: run('SELECT count(*) FROM (SELECT id FROM t FOR SHARE) AS s'),
    after: run('ROLLBACK'),
  },
  {
    name: 'GC of the versions before',
    prepare: async ({ client }) => {
      await client.query('ALTER TABLE t CONFIGURE ZONE USING gc.ttlseconds = 1');
      await new Promise((resolve) => setTimeout(resolve, 1_200));
    },
    work: ({ db }) => db.database.kv.gc.runGc(),
    after: run('ALTER TABLE t CONFIGURE ZONE DISCARD'),
  },
  { name: 'CREATE INDEX', work: run('CREATE INDEX i ON t (a)') },
  { name: 'UPDATE with an index', work: run('UPDATE t SET a = a + 1') },
  { name: 'CREATE UNIQUE INDEX', work: run('CREATE UNIQUE INDEX k ON t (id, a)'), after: run('DROP INDEX k') },
  { name: 'ADD COLUMN with a default', work: run('ALTER TABLE t ADD COLUMN c INT NOT NULL DEFAULT 7') },
  { name: 'BACKUP', work: run("BACKUP TABLE t INTO 'nodelocal://1/pauses'") },
  {
    name: 'RESTORE',
    prepare: async ({ client }) => {
      await client.query('CREATE DATABASE restored');
    },
    work: run("RESTORE TABLE t FROM LATEST IN 'nodelocal://1/pauses' WITH into_db = 'restored'"),
  },
  {
    name: 'fork',
    work: async (bench) => {
      bench.fork = await bench.db.fork();
    },
  },
  {
    name: 'UPDATE after the fork',
    work: run('UPDATE t SET a = a + 1'),
    after: async ({ fork }) => fork?.close(),
  },
  { name: 'DELETE of all rows', work: run('DELETE FROM t') },
  { name: 'TRUNCATE', work: run('TRUNCATE restored.t') },
  {
    name: 'GC of all that, and of the truncated',
    prepare: async ({ client }) => {
      await client.query('ALTER DATABASE restored CONFIGURE ZONE USING gc.ttlseconds = 1');
      await client.query('ALTER TABLE t CONFIGURE ZONE USING gc.ttlseconds = 1');
      await new Promise((resolve) => setTimeout(resolve, 1_200));
    },
    work: ({ db }) => db.database.kv.gc.runGc(),
    after: run('ALTER TABLE t CONFIGURE ZONE DISCARD'),
  },
  { name: 'DROP TABLE', prepare: (bench) => bench.client.query(fill(bench.rows)), work: run('DROP TABLE t') },
];

/** The rows, each as soon as it is measured. */
export async function* pauses(rows: number): AsyncGenerator<BenchRow> {
  const folder = await mkdtemp(join(tmpdir(), 'varve-bench-'));
  const db = await open({ externalIoDir: folder, seed: 'bench' });
  const bench: Bench = { db, client: db.connect(), rows };
  try {
    for (const { name, prepare, work, after } of WATCHED) {
      await prepare?.(bench);
      collectGarbage();
      yield rowOf(name, await watch(() => work(bench)));
      await after?.(bench);
    }
  } finally {
    bench.client.close();
    await db.close();
    await rm(folder, { recursive: true, force: true });
  }
}

export const cases: readonly BenchCase[] = [
  {
    name: 'pauses',
    async run({ rows }) {
      const table: BenchRow[] = [];
      for await (const row of pauses(rows)) table.push(row);
      return table;
    },
  },
];
