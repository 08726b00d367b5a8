/**
 * The ycsb workload: one wide table; workload A of the benchmark, half point reads and half updates
 * of one field, on keys of which few are drawn often (a zipfian distribution).
 *
 * Source: Cooper et al., "Benchmarking Cloud Serving Systems with YCSB" (2010); `cockroach workload
 * init ycsb` (schema). The zipfian draw is by inverting its continuous approximation.
 */
import { type Random, seededRandom } from '../../base/random.ts';
import { freshDatabase, inserts, type Workload } from './workload.ts';

const FIELDS = 10;
const FIELD_BYTES = 100;
/** YCSB's own constant: the larger, the fewer keys are hot. */
const SKEW = 0.99;
const LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789';

function letters(random: Random, size: number): string {
  let text = '';
  while (text.length < size) text += LETTERS[random.int(LETTERS.length)];
  return text;
}

/** `user` and twenty digits: the key's number, scattered. */
function userKey(index: number): string {
  const scattered = (BigInt(index) * 0x9e3779b97f4a7c15n) & 0xffff_ffff_ffff_ffffn;
  return `user${scattered.toString().padStart(20, '0')}`;
}

/** An index below `rows`, small ones most often. */
function zipfian(random: Random, rows: number): number {
  const exponent = 1 - SKEW;
  const uniform = random.int(1_000_000) / 1_000_000;
  const index = Math.floor(((rows + 1) ** exponent * uniform + (1 - uniform)) ** (1 / exponent)) - 1;
  return Math.min(rows - 1, Math.max(0, index));
}

export const ycsbWorkload: Workload = {
  name: 'ycsb',
  summary: 'ten fields a key; reads and updates of few hot keys',
  database: 'ycsb',
  table: 'ycsb.usertable',
  defaultRows: 1000,
  *load({ rows, seed = 1, drop, payloadBytes = FIELD_BYTES }) {
    const random = seededRandom(`ycsb/${seed}`);
    const names = Array.from({ length: FIELDS }, (_, field) => `field${field} STRING NOT NULL`);
    yield* freshDatabase('ycsb', drop);
    yield { sql: `CREATE TABLE ycsb.usertable (ycsb_key VARCHAR(255) NOT NULL PRIMARY KEY, ${names.join(', ')})`, rows: 0 };
    yield* inserts('ycsb.usertable', rows, (index) => {
      const values = Array.from({ length: FIELDS }, () => `'${letters(random, payloadBytes)}'`);
      return `'${userKey(index)}', ${values.join(', ')}`;
    });
  },
  operation(random, rows) {
    const key = userKey(zipfian(random, rows));
    if (random.int(2) === 0) return `SELECT * FROM ycsb.usertable WHERE ycsb_key = '${key}'`;
    return `UPDATE ycsb.usertable SET field${random.int(FIELDS)} = '${letters(random, FIELD_BYTES)}' WHERE ycsb_key = '${key}'`;
  },
};
