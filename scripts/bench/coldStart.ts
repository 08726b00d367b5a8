/**
 * Cold start: a new process to its first answered query, beside a process that does nothing.
 *
 * The child marks when its modules are loaded, the database is open, and the first query (which
 * parses, plans and runs for the first time) is answered. Medians of several runs, with the compile
 * cache warm, as on any second start.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import type { BenchCase, BenchRow } from './bench.ts';

const RUNS = 11;
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

function run(): BenchRow[] {
  const cache = mkdtempSync(join(tmpdir(), 'varve-cache-'));
  const env = { ...process.env, VARVE_BENCH_CACHE: cache, NODE_OPTIONS: '' };
  try {
    wallMs(['--input-type=module', '-e', CHILD], env);
    const bare: number[] = [];
    const whole: number[] = [];
    const parts: Record<string, number>[] = [];
    for (let i = 0; i < RUNS; i++) {
      bare.push(wallMs(['-e', '0'], env).ms);
      const { ms, out } = wallMs(['--input-type=module', '-e', CHILD], env);
      whole.push(ms);
      parts.push(JSON.parse(out) as Record<string, number>);
    }
    const part = (name: string) => `${median(parts.map((one) => one[name] as number)).toFixed(1)} ms`;
    const bareMs = median(bare);
    const wholeMs = median(whole);
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
    ];
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
}

export const cases: readonly BenchCase[] = [{ name: 'cold', run }];
