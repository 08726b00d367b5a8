/**
 * What memory a full backup takes beside the database, for tables of several sizes: it should be the same for all. Each
 * size in a process of its own, to nodelocal; the peak is sampled every few milliseconds.
 *
 * Resident memory counts everything: block buffers, the worker threads, and what the garbage collector has not taken yet.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { loadBank } from './backupRestore.ts';
import { type BenchCase, type BenchRow, collectGarbage } from './bench.ts';

const SIZES = [1, 4, 10];
const ROWS_MAX = 4_000_000;
const SAMPLE_MS = 5;
const MIB = 1 << 20;
/** Of a table ten times as large, against the smallest. */
const RATIO_MAX = 1.5;

interface Peak {
  readonly tableBytes: number;
  /** Beyond what was there when the backup began. */
  readonly residentBytes: number;
  readonly bufferBytes: number;
}

async function peakOf(rows: number): Promise<Peak> {
  const { db, bytes, close } = await loadBank(rows);
  collectGarbage();
  const before = process.memoryUsage();
  const peak = { residentBytes: 0, bufferBytes: 0 };
  const look = () => {
    const { rss, arrayBuffers } = process.memoryUsage();
    peak.residentBytes = Math.max(peak.residentBytes, rss - before.rss);
    peak.bufferBytes = Math.max(peak.bufferBytes, arrayBuffers - before.arrayBuffers);
  };
  const sampling = setInterval(look, SAMPLE_MS);
  await db.query("BACKUP DATABASE bank INTO 'nodelocal://1/memory'");
  clearInterval(sampling);
  look();
  await close();
  return { tableBytes: bytes, ...peak };
}

async function inProcess(rows: number): Promise<Peak> {
  const child = spawn(process.execPath, [...process.execArgv, import.meta.filename, String(rows)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const pieces: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => pieces.push(piece));
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0) throw new Error(`the bench of memory ended with ${code}`);
  return JSON.parse(Buffer.concat(pieces).toString()) as Peak;
}

async function run({ rows }: { rows: number }): Promise<BenchRow[]> {
  const table: BenchRow[] = [];
  let least: Peak | undefined;
  for (const count of SIZES.map((times) => rows * times).filter((each) => each <= ROWS_MAX)) {
    const peak = await inProcess(count);
    least ??= peak;
    table.push({
      name: `backup memory, table of ${Math.round(peak.tableBytes / 1e6)} MB`,
      measured: `${(peak.residentBytes / MIB).toFixed(0)} MiB, ${(peak.bufferBytes / MIB).toFixed(0)} of buffers`,
      ceiling: `of ${Math.round(least.tableBytes / 1e6)} MB ${(least.residentBytes / MIB).toFixed(0)} MiB`,
      ratio: peak.residentBytes / least.residentBytes,
      aim: RATIO_MAX,
    });
  }
  return table;
}

export const cases: readonly BenchCase[] = [{ name: 'backup memory', run }];

// As a program: the peak with so many rows, as JSON.
if (process.argv[1] === import.meta.filename) console.log(JSON.stringify(await peakOf(Number(process.argv[2]))));
