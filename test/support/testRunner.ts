/**
 * Test runner: each test file in a process of its own, and true totals over all of them.
 *
 * uvu counts within a process; what it cannot count is a file that crashes, hangs, stops in the
 * middle or defines no test. Each of these is at least one failure here.
 *
 * Invariants
 *   R1  failed >= 1 for a file unless its process ended by itself with code 0 and printed totals
 *       of at least one test, all passed (skipped tests are counted apart)
 *   R2  the last line written is the totals alone, and `failed` decides the exit code
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';

const launcher = fileURLToPath(new URL('../../bin/run.js', import.meta.url));
/** What a failing file may print, from its end: one that prints without end must not fill the heap. */
const OUTPUT_CHARS_MAX = 1_000_000;
/** Far above what any file takes on a busy machine: this ends files that hang. */
const HANGING_MS = 300_000;

export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export interface FileResult extends Totals {
  readonly file: string;
  readonly durationMs: number;
  /** Why the file failed beyond its failed tests, such as `exit code 7`. */
  readonly problems: readonly string[];
  readonly output: string;
}

export interface RunOptions {
  readonly write: (text: string) => void;
  /** A file that takes longer is killed with its children, and counts as failed. */
  readonly timeoutMs?: number;
  readonly parallel?: number;
  /** Ends the run: kills what is running, and counts it as failed. */
  readonly signal?: AbortSignal;
}

/** Every `*.test.ts` below `root`, sorted; with filters, those whose path below it contains one of them. */
export function findTestFiles(root: string, filters: readonly string[] = []): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts') && !entry.parentPath.includes('node_modules'))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => filters.length === 0 || filters.some((filter) => relative(join(root, '..'), file).includes(filter)))
    .sort();
}

/** Runs the files, a few at a time, and writes a line for each, the output of those that fail, and the totals. */
export async function runTestFiles(files: readonly string[], options: RunOptions): Promise<Totals> {
  const waiting = [...files];
  const sum = { passed: 0, failed: 0, skipped: 0 };
  const worker = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const result = await runTestFile(file, options);
      sum.passed += result.passed;
      sum.failed += result.failed;
      sum.skipped += result.skipped;
      options.write(formatResult(result));
    }
  };
  const parallel = options.parallel ?? Math.min(4, availableParallelism());
  await Promise.all(Array.from({ length: parallel }, worker));
  if (files.length === 0) {
    options.write('no test file matches\n');
    sum.failed = 1;
  }
  options.write(`${formatTotals(sum)}\n`);
  return sum;
}

/** `12 passed, 0 failed`, and `, 1 skipped` where there are any. */
export function formatTotals({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

function formatResult(result: FileResult): string {
  const problems = result.problems.length > 0 ? ` (${result.problems.join(', ')})` : '';
  const seconds = (result.durationMs / 1000).toFixed(1);
  const line = `${result.failed > 0 ? 'FAIL' : 'ok  '} ${relative(process.cwd(), result.file)}: ${formatTotals(result)}${problems}, ${seconds} s\n`;
  return result.failed > 0 ? `${line}${result.output.trimEnd()}\n\n` : line;
}

/** Runs one file to its end, however it ends; never rejects. */
export function runTestFile(
  file: string,
  { timeoutMs = HANGING_MS, signal }: Pick<RunOptions, 'timeoutMs' | 'signal'>,
): Promise<FileResult> {
  return new Promise((resolve) => {
    const started = performance.now();
    const problems: string[] = [];
    let output = '';
    const keep = (chunk: string) => {
      output = (output + chunk).slice(-OUTPUT_CHARS_MAX);
    };
    // A process group of its own, so that whatever the test started can be ended with it.
    const child = spawn(process.execPath, [launcher, file], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...(process.stdout.isTTY ? { FORCE_COLOR: '1' } : {}), ...process.env, VARVE_VERIFY: '1' },
    });
    const killGroup = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // The group has ended by itself.
      }
    };
    const end = (problem: string) => {
      problems.push(problem);
      killGroup();
    };
    const timer = setTimeout(() => end(`timed out after ${timeoutMs / 1000} s`), timeoutMs);
    const onAbort = () => end('interrupted');
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });

    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    child.on('error', (error) => problems.push(error.message));
    child.on('exit', (code, exitSignal) => {
      clearTimeout(timer);
      if (problems.length === 0 && exitSignal !== null) problems.push(`killed by ${exitSignal}`);
      if (problems.length === 0 && code !== 0) problems.push(`exit code ${code}`);
      // Closes the pipes where a process that the test left behind still holds them.
      killGroup();
    });
    child.on('close', () => {
      signal?.removeEventListener('abort', onAbort);
      resolve({ file, durationMs: performance.now() - started, output, ...judge(output, problems) });
    });
  });
}

/** The totals of one file by what it printed and how it ended. */
export function judge(output: string, problems: readonly string[]): Totals & { problems: readonly string[] } {
  const text = stripVTControlCharacters(output);
  const printed = [...text.matchAll(/^ {2}Total: +(\d+)\n {2}Passed: +(\d+)\n {2}Skipped: +(\d+)$/gm)].at(-1);
  if (printed === undefined) return { passed: 0, failed: 1, skipped: 0, problems: [...problems, 'no totals'] };
  const [total, passed, skipped] = printed.slice(1).map(Number) as [number, number, number];
  if (total + skipped === 0) return { passed: 0, failed: 1, skipped: 0, problems: [...problems, 'no tests'] };
  return { passed, failed: Math.max(total - passed, problems.length > 0 ? 1 : 0), skipped, problems };
}
