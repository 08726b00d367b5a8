/**
 * The memory budget: whether what is accounted is what the heap holds, and whether a real server
 * under endless updates ends in 53200, works on, and recovers.
 *
 * A ratio below 1 would mean that the heap can outgrow the budget unseen.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import pg from 'pg';

import { isVarveError, open } from '../../src/index.ts';
import { type BenchCase, type BenchRow, collectGarbage } from './bench.ts';

const MEBIBYTE = 2 ** 20;
const BUDGET_BYTES = 96 * MEBIBYTE;
/** Rows of one statement. */
const ROWS = 2_000;

const span = (i: number): string => `generate_series(${i * ROWS}, ${(i + 1) * ROWS - 1}) AS g(i)`;

/** Tables, and the statement that fills them on the i-th call. */
const SHAPES: readonly { name: string; table: string; fill: (i: number) => string }[] = [
  {
    name: 'small rows',
    table: 'CREATE TABLE t (a INT8 PRIMARY KEY, b INT8)',
    fill: (i) => `INSERT INTO t SELECT i, i FROM ${span(i)}`,
  },
  {
    name: 'indexes',
    table: 'CREATE TABLE t (a INT8 PRIMARY KEY, b INT8, c STRING, INDEX (b), UNIQUE INDEX (c))',
    fill: (i) => `INSERT INTO t SELECT i, i, 'text ' || i::STRING FROM ${span(i)}`,
  },
  {
    name: 'text',
    table: 'CREATE TABLE t (a UUID PRIMARY KEY DEFAULT gen_random_uuid(), c STRING)',
    fill: (i) => `INSERT INTO t (c) SELECT repeat('x', 500) FROM ${span(i)}`,
  },
  {
    name: 'updates',
    table: 'CREATE TABLE t (a INT8 PRIMARY KEY, b INT8)',
    fill: (i) => (i === 0 ? `INSERT INTO t SELECT i, 0 FROM ${span(0)}` : 'UPDATE t SET b = b + 1'),
  },
];

/** What is reachable, the database before this one not counted: what holds it lets go of it in turns of the event loop. */
async function settledHeap(): Promise<number> {
  for (let i = 0; i < 4; i++) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return process.memoryUsage().heapUsed;
}

/** Fills a database to its budget, and compares the accounts with the heap. */
async function accounted(): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const { name, table, fill } of SHAPES) {
    const db = await open({ seed: 'bench', memoryBytes: BUDGET_BYTES });
    await db.query(table);
    const before = await settledHeap();
    try {
      for (let i = 0; ; i++) await db.query(fill(i));
    } catch (error) {
      if (!isVarveError(error) || error.code !== '53200') throw error;
    }
    const heapBytes = (await settledHeap()) - before;
    const { usedBytes } = db.database.kv.memory.figures();
    rows.push({
      name: `memory: accounted, ${name}`,
      measured: `${(usedBytes / MEBIBYTE).toFixed(1)} MiB`,
      ceiling: `heap ${(heapBytes / MEBIBYTE).toFixed(1)} MiB`,
      ratio: usedBytes / heapBytes,
      aim: 'between 0.95 and 1.3',
      met: usedBytes > heapBytes * 0.95 && usedBytes < heapBytes * 1.3,
    });
    await db.close();
  }
  return rows;
}

const PROCESS_BUDGET = '512MB';
const root = join(import.meta.dirname, '..', '..');

/** A server of 512 MB under endless updates at the default TTL of four hours. */
async function endlessUpdates(): Promise<BenchRow[]> {
  const folder = await mkdtemp(join(tmpdir(), 'varve-bench-'));
  const urlFile = join(folder, 'url');
  const flags = ['--memory', PROCESS_BUDGET, '--listen-addr', '127.0.0.1:0', '--http-addr', '127.0.0.1:0'];
  const server = spawn(
    process.execPath,
    [join(root, 'bin', 'varve.js'), 'start', ...flags, '--external-io-dir', folder, '--listening-url-file', urlFile],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await once(server.stdout, 'data');
  const client = new pg.Client({ connectionString: (await readFile(urlFile, 'utf8')).trim() });
  await client.connect();
  const rows: BenchRow[] = [];
  try {
    await client.query('CREATE TABLE t (id INT8 PRIMARY KEY, n INT8, note STRING, INDEX (n))');
    await client.query("INSERT INTO t SELECT i, 0, repeat('x', 100) FROM generate_series(1, 20000) AS g(i)");
    const start = performance.now();
    const refused = await codeOfEndless(client, 'UPDATE t SET n = n + 1 WHERE id <= 5000');
    rows.push({
      name: `memory: updates until ${PROCESS_BUDGET} are full`,
      measured: `${((performance.now() - start) / 1000).toFixed(1)} s`,
      aim: 'ends in 53200',
      met: refused === '53200',
    });
    const resident = residentBytes(server.pid);
    if (resident !== undefined) {
      rows.push({
        name: 'memory: resident then',
        measured: `${(resident / MEBIBYTE).toFixed(0)} MiB`,
        ceiling: PROCESS_BUDGET,
        ratio: resident / 512e6,
      });
    }
    await client.query('DELETE FROM t WHERE id > 10000');
    await client.query("BACKUP DATABASE defaultdb INTO 'nodelocal://1/full'");
    await client.query('ALTER TABLE t CONFIGURE ZONE USING gc.ttlseconds = 1');
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    const relief = performance.now();
    await client.query('UPDATE t SET n = n + 1 WHERE id <= 5000');
    rows.push({ name: 'memory: the update that waits for GC', measured: `${((performance.now() - relief) / 1000).toFixed(1)} s` });
  } finally {
    await client.end();
    server.kill('SIGTERM');
    await once(server, 'exit');
    rmSync(folder, { recursive: true, force: true });
  }
  return rows;
}

/** Runs a statement until it fails; the SQLSTATE. */
async function codeOfEndless(client: pg.Client, sql: string): Promise<string | undefined> {
  try {
    for (;;) await client.query(sql);
  } catch (error) {
    return (error as { code?: string }).code;
  }
}

/** Resident bytes of the child of a process, which holds the heap that --memory asked for; undefined where /proc is not. */
function residentBytes(pid: number | undefined): number | undefined {
  try {
    const child = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0];
    const status = readFileSync(`/proc/${child || pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
  } catch {
    return undefined;
  }
}

export const cases: readonly BenchCase[] = [
  { name: 'memory accounts', run: accounted },
  { name: 'memory process', run: endlessUpdates },
];
