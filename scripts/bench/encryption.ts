/**
 * What encryption costs a backup and a restore: plain and encrypted in turns, over the same rows, into memory. The
 * aim is under 15%.
 *
 * Rows hold digests in hexadecimal, which zstd halves: rows that it makes almost nothing of would leave nothing to
 * encrypt. The ratio is of processor time, all threads together, the median of several turns: it moves little on a
 * machine that does other things. Deriving the key from the passphrase (PBKDF2, 64,000 rounds) is a part of every
 * statement, and shown by itself.
 */
import { createHash } from 'node:crypto';

import { EVERYTHING } from '../../src/base/span.ts';
import { open, type Varve } from '../../src/index.ts';
import { type BenchCase, type BenchRow, collectGarbage, throughput } from './bench.ts';

const TIMES = 7;
const BATCH_ROWS = 1000;
const SECRET = "encryption_passphrase = 'bench'";
/** The aim: encrypted takes at most this much of plain. */
const RATIO_MAX = 1.15;

interface Cost {
  readonly wallMs: number;
  readonly processorMs: number;
}

interface Sides {
  readonly plain: Cost;
  readonly encrypted: Cost;
}

async function inTurns(plain: () => Promise<unknown>, encrypted: () => Promise<unknown>, after: () => Promise<unknown>): Promise<Sides> {
  const costs: [Cost[], Cost[]] = [[], []];
  for (let i = 0; i < TIMES; i++) {
    // Who goes first changes.
    for (const side of i % 2 === 0 ? [0, 1] : [1, 0]) {
      collectGarbage();
      const start = performance.now();
      const used = process.cpuUsage();
      await (side === 0 ? plain() : encrypted());
      const { user, system } = process.cpuUsage(used);
      costs[side as 0 | 1].push({ wallMs: performance.now() - start, processorMs: (user + system) / 1000 });
      await after();
    }
  }
  return { plain: medianOf(costs[0]), encrypted: medianOf(costs[1]) };
}

function medianOf(costs: readonly Cost[]): Cost {
  const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1] as number;
  return { wallMs: median(costs.map(({ wallMs }) => wallMs)), processorMs: median(costs.map(({ processorMs }) => processorMs)) };
}

function rowOf(name: string, bytes: number, { plain, encrypted }: Sides): BenchRow {
  return {
    name,
    measured: throughput(bytes, encrypted.wallMs),
    ceiling: `plain ${throughput(bytes, plain.wallMs)}`,
    ratio: encrypted.processorMs / plain.processorMs,
    aim: RATIO_MAX,
  };
}

async function keyDerivationMs(db: Varve): Promise<number> {
  const { secrets } = db.database.storage;
  const start = performance.now();
  for (let i = 0; i < TIMES; i++) await secrets.deriveKey('bench', Buffer.alloc(16), 64_000);
  return (performance.now() - start) / TIMES;
}

/** A hundred hexadecimal digits. */
function payload(id: number): string {
  return createHash('sha512').update(String(id)).digest('hex').slice(0, 100);
}

async function run({ rows }: { rows: number }): Promise<BenchRow[]> {
  const db = await open({ seed: 'bench' });
  try {
    const before = db.database.kv.stats(EVERYTHING).liveBytes;
    await db.query('CREATE DATABASE bank; CREATE TABLE bank.bank (id INT PRIMARY KEY, payload STRING)');
    for (let from = 0; from < rows; from += BATCH_ROWS) {
      const values = Array.from({ length: Math.min(BATCH_ROWS, rows - from) }, (_, i) => `(${from + i}, '${payload(from + i)}')`);
      await db.query(`INSERT INTO bank.bank VALUES ${values.join(', ')}`);
    }
    const bytes = db.database.kv.stats(EVERYTHING).liveBytes - before;
    const nothing = async () => {};
    const backup = await inTurns(
      () => db.query("BACKUP DATABASE bank INTO 'mem://bench/plain'"),
      () => db.query(`BACKUP DATABASE bank INTO 'mem://bench/encrypted' WITH ${SECRET}`),
      nothing,
    );
    const restore = await inTurns(
      () => db.query("RESTORE DATABASE bank FROM LATEST IN 'mem://bench/plain' WITH new_db_name = 'restored'"),
      () => db.query(`RESTORE DATABASE bank FROM LATEST IN 'mem://bench/encrypted' WITH new_db_name = 'restored', ${SECRET}`),
      () => db.query('DROP DATABASE restored CASCADE'),
    );
    return [
      rowOf('backup encrypted', bytes, backup),
      rowOf('restore encrypted', bytes, restore),
      { name: 'backup key derivation', measured: `${(await keyDerivationMs(db)).toFixed(1)} ms`, ceiling: 'once a statement' },
    ];
  } finally {
    await db.close();
  }
}

export const cases: readonly BenchCase[] = [{ name: 'backup encryption', run }];
