/**
 * The kv workload: one table of keys and values, half reads and half writes of keys drawn evenly.
 *
 * Source: `cockroach workload init kv` (schema).
 */
import { type Random, seededRandom } from '../../base/random.ts';
import { freshDatabase, inserts, type Workload } from './workload.ts';

const VALUE_BYTES = 16;

function hex(random: Random, bytes: number): string {
  let text = '';
  for (let index = 0; index < bytes; index++) text += random.int(256).toString(16).padStart(2, '0');
  return `x'${text}'`;
}

export const kvWorkload: Workload = {
  name: 'kv',
  summary: 'keys and values, read and written one at a time',
  database: 'kv',
  table: 'kv.kv',
  defaultRows: 1000,
  *load({ rows, seed = 1, drop, payloadBytes = VALUE_BYTES }) {
    const random = seededRandom(`kv/${seed}`);
    yield* freshDatabase('kv', drop);
    yield { sql: 'CREATE TABLE kv.kv (k INT8 NOT NULL PRIMARY KEY, v BYTES NOT NULL)', rows: 0 };
    yield* inserts('kv.kv', rows, (key) => `${key}, ${hex(random, payloadBytes)}`);
  },
  operation(random, rows) {
    const key = random.int(rows);
    return random.int(2) === 0
      ? `SELECT k, v FROM kv.kv WHERE k = ${key}`
      : `UPSERT INTO kv.kv VALUES (${key}, ${hex(random, VALUE_BYTES)})`;
  },
};
