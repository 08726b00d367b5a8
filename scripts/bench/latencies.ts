/**
 * How long point reads of the bank table take through the library, alone and beside other work of the same process.
 */
import { seededRandom } from '../../src/base/random.ts';
import type { Varve } from '../../src/index.ts';

/** Point reads whose latency is sampled when nothing runs beside them. */
const READS = 5_000;

/** Latencies of point reads in milliseconds, ascending, while `beside` runs (or alone). */
export async function readLatencies(db: Varve, rows: number, beside?: () => boolean): Promise<number[]> {
  const random = seededRandom('reads');
  const latencies: number[] = [];
  const client = db.connect();
  for (let i = 0; beside ? beside() : i < READS; i++) {
    const id = random.int(rows);
    const start = performance.now();
    await client.query('SELECT balance FROM bank.bank WHERE id = $1', [id]);
    latencies.push(performance.now() - start);
    // Gives what else is ready its turn, as requests from a socket would.
    await new Promise((resolve) => setImmediate(resolve));
  }
  client.close();
  return latencies.sort((a, b) => a - b);
}

export function p99(sorted: readonly number[]): number {
  return sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN;
}

export function micros(ms: number): string {
  return `${(ms * 1000).toFixed(0)} µs`;
}
