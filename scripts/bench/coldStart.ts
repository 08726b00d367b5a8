/**
 * Cold start: a new process to its first answered query, beside a process that does nothing.
 *
 * Two ways to get there: the package as `npm install varve` brings it (bundled here into a scratch folder,
 * so that it is of this day), to which the aims apply, and the sources of a checkout. The child marks
 * when its modules are loaded, the database is open, and the first query (which parses, plans and runs
 * for the first time) is answered. Times are the least of several runs in turns, which others on the machine
 * disturb less than medians; with the compile cache warm, as on any second start, and without one.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import pg from 'pg';

import { bundle } from '../bundle.ts';
import type { BenchCase, BenchRow } from './bench.ts';
import { freePort } from './servers.ts';

const RUNS = 11;
/** A server that has not answered by then never will. */
const START_MS_MAX = 30_000;
const root = join(import.meta.dirname, '..', '..');

/** A way to have Varve: the file of the library, and that of the command. */
interface Variant {
  readonly name: string;
  readonly library: string;
  readonly command: string;
}

const PARTS = ['loaded', 'opened', 'first', 'created'] as const;
type Parts = Record<(typeof PARTS)[number], number>;

const childScript = (library: string): string => `
  if (process.env.VARVE_BENCH_CACHE) (await import('node:module')).enableCompileCache(process.env.VARVE_BENCH_CACHE);
  const start = performance.now();
  const { open } = await import(${JSON.stringify(pathToFileURL(library).href)});
  const loaded = performance.now();
  const db = await open();
  const opened = performance.now();
  await db.query('SELECT 1');
  const first = performance.now();
  if (process.env.VARVE_BENCH_CREATE) await db.query('CREATE TABLE t (a INT PRIMARY KEY)');
  const created = performance.now();
  process.stdout.write(JSON.stringify({ loaded: loaded - start, opened: opened - loaded, first: first - opened, created: created - first }));
  process.exit(0);
`;

function wallMs(args: string[], env: NodeJS.ProcessEnv): { ms: number; out: string } {
  const start = performance.now();
  const { stdout, status, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`the child failed: ${stderr}`);
  return { ms: performance.now() - start, out: stdout };
}

/** From `varve start` to the answer to a first query. */
async function firstAnswerMs(command: string, env: NodeJS.ProcessEnv): Promise<number> {
  const port = await freePort();
  const httpPort = await freePort();
  const start = performance.now();
  const args = [command, 'start', '--listen-addr', `127.0.0.1:${port}`, '--http-addr', `127.0.0.1:${httpPort}`];
  const child = spawn(process.execPath, args, { stdio: 'ignore', env });
  try {
    for (;;) {
      const client = new pg.Client({ connectionString: `postgresql://root@127.0.0.1:${port}/defaultdb` });
      try {
        await client.connect();
        await client.query('SELECT 1');
        const ms = performance.now() - start;
        await client.end();
        return ms;
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

/** The package as it is published: bundles, launcher and manifest, with the dependencies of this checkout. */
async function packageIn(folder: string): Promise<Variant> {
  await bundle(root, join(folder, 'dist'));
  cpSync(join(root, 'bin'), join(folder, 'bin'), { recursive: true });
  cpSync(join(root, 'package.json'), join(folder, 'package.json'));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'), 'junction');
  return { name: 'package', library: join(folder, 'dist', 'index.js'), command: join(folder, 'bin', 'varve.js') };
}

async function run(): Promise<BenchRow[]> {
  const scratch = mkdtempSync(join(tmpdir(), 'varve-cold-'));
  const bareEnv = { ...process.env, NODE_OPTIONS: '' };
  const cache = join(scratch, 'cache');
  const env = { ...bareEnv, VARVE_BENCH_CACHE: cache, NODE_COMPILE_CACHE: cache };
  try {
    const sources = { name: 'sources', library: join(root, 'src', 'index.ts'), command: join(root, 'bin', 'varve.js') };
    const variants = [await packageIn(join(scratch, 'package')), sources].map((variant) => ({
      variant,
      script: ['--input-type=module', '-e', childScript(variant.library)],
      whole: [] as number[],
      uncached: [] as number[],
      served: [] as number[],
      parts: [] as Parts[],
    }));
    const bare: number[] = [];
    // The first round of all fills the caches.
    for (let i = 0; i <= RUNS; i++) {
      const bareMs = wallMs(['-e', '0'], bareEnv).ms;
      if (i > 0) bare.push(bareMs);
      for (const { variant, script, whole, uncached, served, parts } of variants) {
        const { ms } = wallMs(script, env);
        const { out } = wallMs(script, { ...env, VARVE_BENCH_CREATE: '1' });
        const servedMs = await firstAnswerMs(variant.command, env);
        const uncachedMs = wallMs(script, bareEnv).ms;
        if (i === 0) continue;
        whole.push(ms);
        uncached.push(uncachedMs);
        served.push(servedMs);
        parts.push(JSON.parse(out) as Parts);
      }
    }
    const bareMs = Math.min(...bare);
    const ceiling = `node -e 0 ${bareMs.toFixed(0)} ms`;
    return variants.flatMap(({ variant: { name }, whole, uncached, served, parts }): BenchRow[] => {
      const isAimedAt = name === 'package';
      const libraryMs = Math.min(...whole) - bareMs;
      const serverMs = Math.min(...served);
      const least = (part: keyof Parts): string => `${Math.min(...parts.map((one) => one[part])).toFixed(0)} ms`;
      return [
        {
          name: `cold start, ${name}: library`,
          measured: `node + ${libraryMs.toFixed(0)} ms`,
          ceiling: `load ${least('loaded')}, open ${least('opened')}, query ${least('first')}, table ${least('created')}`,
          ...(isAimedAt && { aim: '< 50 ms', met: libraryMs < 50 }),
        },
        { name: '  without compile cache', measured: `node + ${(Math.min(...uncached) - bareMs).toFixed(0)} ms` },
        {
          name: `cold start, ${name}: start`,
          measured: `${serverMs.toFixed(0)} ms`,
          ceiling,
          ratio: serverMs / bareMs,
          ...(isAimedAt && { aim: 4 }),
        },
      ];
    });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

export const cases: readonly BenchCase[] = [{ name: 'cold', run }];
