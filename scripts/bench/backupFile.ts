/**
 * Data files: encoding, storing and reading versions, in MB/s of logical data (keys and values).
 * The ceiling is one memcpy of the same bytes; storage is memory, so that the file format is what shows.
 */
import type { Bytes } from '../../src/base/bytes.ts';
import { PoolExecutor } from '../../src/base/executor.ts';
import { EVERYTHING } from '../../src/base/span.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import type { VersionRun } from '../../src/backup/block.ts';
import { BlockEncoder } from '../../src/backup/block.ts';
import { giveBlockBuffer } from '../../src/backup/blockBuffers.ts';
import { DataFileReader, readDataFile } from '../../src/backup/dataFileReader.ts';
import { writeDataFile } from '../../src/backup/dataFileWriter.ts';
import { MemoryFiles, openMemory } from '../../src/storage/memory.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import { BANK_ROW_BYTES, bankRows } from './bankRows.ts';
import type { BenchCase, BenchRow } from './bench.ts';
import { collectGarbage } from './bench.ts';

const START = 1_780_000_000_000_000;
const RUN_ROWS = 20_000;
const TIMES = 3;

/** Milliseconds of the fastest of a few runs. */
async function fastest(work: () => Promise<unknown> | unknown): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < TIMES; i++) {
    collectGarbage();
    const start = performance.now();
    await work();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

async function measure(rows: number): Promise<BenchRow[]> {
  const runs = makeRuns(rows);
  const megabytes = (rows * BANK_ROW_BYTES) / 1e6;
  const speed = (ms: number) => `${((megabytes / ms) * 1000).toFixed(0)} MB/s`;
  const executor = new PoolExecutor();
  const storage = openMemory(ParsedUri.parse('mem://bench'), new MemoryFiles());

  const source = Buffer.alloc(rows * BANK_ROW_BYTES, 1);
  const target = Buffer.alloc(source.length, 2);
  const copyMs = await fastest(() => source.copy(target));
  const ceiling = `memcpy ${speed(copyMs)}`;

  const encodeMs = await fastest(() => {
    const encoder = new BlockEncoder();
    for (const { keys, timestamps, values } of runs) {
      for (let i = 0; i < keys.length; i++) {
        if (encoder.add(keys[i]!, timestamps[i]!, values[i]!)) giveBlockBuffer(encoder.take().buffer);
      }
    }
  });
  async function* all(): AsyncGenerator<VersionRun> {
    yield* runs;
  }
  let written = await writeDataFile(storage, 'f', all(), { executor });
  const storeMs = await fastest(async () => {
    written = await writeDataFile(storage, 'f', all(), { executor });
  });
  const scanMs = await fastest(async () => {
    const reader = await DataFileReader.open(storage, 'f', { executor });
    for await (const run of reader.scan(EVERYTHING)) void run;
  });
  const proveMs = await fastest(async () => {
    for await (const run of readDataFile(storage, 'f', written, { executor })) void run;
  });
  const stored = `${((100 * written.sizeBytes) / source.length).toFixed(0)}% stored`;
  return [
    { name: 'backup file: encode', measured: speed(encodeMs), ceiling, ratio: encodeMs / copyMs },
    {
      name: 'backup file: write',
      measured: speed(storeMs),
      ceiling: `zstd, crc32, sha256; ${stored}`,
      aim: '200 MB/s or more',
      met: megabytes / storeMs >= 0.2,
    },
    { name: 'backup file: scan', measured: speed(scanMs), ceiling: 'zstd, crc32', aim: '200 MB/s or more', met: megabytes / scanMs >= 0.2 },
    { name: 'backup file: read and prove', measured: speed(proveMs), ceiling: 'zstd, crc32, sha256' },
  ];
}

function makeRuns(rows: number): VersionRun[] {
  const { keys, values } = bankRows(rows);
  const runs: VersionRun[] = [];
  for (let from = 0; from < rows; from += RUN_ROWS) {
    const part: Bytes[] = keys.slice(from, from + RUN_ROWS);
    // A hundred rows a commit, as a multi-row INSERT makes them.
    const timestamps = part.map((_, i) => (START + Math.floor((from + i) / 100)) as Timestamp);
    runs.push({ keys: part, timestamps, values: values.slice(from, from + RUN_ROWS) });
  }
  return runs;
}

export const cases: readonly BenchCase[] = [{ name: 'backup file', run: ({ rows }) => measure(rows) }];
