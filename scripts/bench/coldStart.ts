/**
 * Cold start: a new process to its first answered query, beside a process that does nothing.
 *
 * The child marks when its modules are loaded, the database is open, and the first query (which
 * parses, plans and runs for the first time) is answered. Medians of several runs, with the compile
 * cache warm, as on any second start.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import pg from 'pg';

import type { BenchCase, BenchRow } from './bench.ts';
import { freePort } from './servers.ts';

const RUNS = 11;
/** A server that has not answered by then never will. */
const START_MS_MAX = 30_000;
const root = join(import.meta.dirname, '..', '..');

const CHILD = `
  const { enableCompileCache } = await import('node:module');
  enableCompileCache(process.env.VARVE_BENCH_CACHE);
  const start = performance.now();
  const { open } = await import(${JSON.stringify(pathToFileURL(join(root, 'src', 'index.ts')).href)});
  const loaded = performance.now();
  const db = await open();
  const opened = performance.now();
  await db.query('CREATE TABLE t (a INT PRIMARY KEY)');
  const created = performance.now();
  await db.query('SELECT 1');
  const first = performance.now();
  process.stdout.write(JSON.stringify({ loaded: loaded - start, opened: opened - loaded, created: created - opened, first: first - created }));
  process.exit(0);
`;

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

function wallMs(args: string[], env: NodeJS.ProcessEnv): { ms: number; out: string } {
  const start = performance.now();
  const { stdout, status, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`the child failed: ${stderr}`);
  return { ms: performance.now() - start, out: stdout };
}

/** From `varve start` to the answer to a first query. The command keeps a compile cache of its own. */
async function firstAnswerMs(): Promise<number> {
  const port = await freePort();
  const start = performance.now();
  const args = [
    join(root, 'bin', 'varve.js'),
    'start',
    '--listen-addr',
    `127.0.0.1:${port}`,
    '--http-addr',
    `127.0.0.1:${await freePort()}`,
  ];
  const child = spawn(process.execPath, args, { stdio: 'ignore' });
  try {
    for (;;) {
      const client = new pg.Client({ connectionString: `postgresql://root@127.0.0.1:${port}/defaultdb` });
      try {
        await client.connect();
        await client.query('SELECT 1');
        await client.end();
        return performance.now() - start;
      } catch (error) {
        if ((error as { code?: string }).code !== 'ECONNREFUSED' || performance.now() - start > START_MS_MAX) throw error;
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    }
  } finally {
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
}

async function run(): Promise<BenchRow[]> {
  const cache = mkdtempSync(join(tmpdir(), 'varve-cache-'));
  const env = { ...process.env, VARVE_BENCH_CACHE: cache, NODE_OPTIONS: '' };
  try {
    wallMs(['--input-type=module', '-e', CHILD], env);
    const bare: number[] = [];
    const whole: number[] = [];
    const parts: Record<string, number>[] = [];
    const served: number[] = [];
    await firstAnswerMs();
    for (let i = 0; i < RUNS; i++) {
      bare.push(wallMs(['-e', '0'], env).ms);
      const { ms, out } = wallMs(['--input-type=module', '-e', CHILD], env);
      whole.push(ms);
      parts.push(JSON.parse(out) as Record<string, number>);
      served.push(await firstAnswerMs());
    }
    const part = (name: string) => `${median(parts.map((one) => one[name] as number)).toFixed(1)} ms`;
    const bareMs = median(bare);
    const wholeMs = median(whole);
    const serverMs = median(served);
    return [
      { name: 'cold start: modules', measured: part('loaded') },
      { name: 'cold start: open', measured: part('opened') },
      { name: 'cold start: first statement', measured: part('created') },
      { name: 'cold start: first query', measured: part('first') },
      {
        name: 'cold start: process',
        measured: `${wholeMs.toFixed(0)} ms`,
        ceiling: `node -e 0 ${bareMs.toFixed(0)} ms`,
        ratio: wholeMs / bareMs,
      },
      {
        name: 'cold start: library',
        measured: `node + ${(wholeMs - bareMs).toFixed(0)} ms`,
        aim: '< 50 ms',
        met: wholeMs - bareMs < 50,
      },
      {
        name: 'cold start: varve start',
        measured: `${serverMs.toFixed(0)} ms`,
        ceiling: `node -e 0 ${bareMs.toFixed(0)} ms`,
        ratio: serverMs / bareMs,
        aim: 4,
      },
    ];
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
}

export const cases: readonly BenchCase[] = [{ name: 'cold', run }];
