/**
 * The row that benchmarks work on: CockroachDB's bank workload, (id INT PRIMARY KEY, balance INT,
 * payload STRING), 123 bytes of key and value together.
 */
import type { Bytes } from '../../src/base/bytes.ts';
import { KeyWriter } from '../../src/base/keycode.ts';
import { seededRandom } from '../../src/base/random.ts';
import { TupleWriter } from '../../src/base/valuecode.ts';
import { bankPayload, PAYLOAD_BYTES } from '../../src/cli/workload/bank.ts';

export const BANK_ROW_BYTES = 123;
const TABLE_ID = 104;

const keyWriter = new KeyWriter();
const tupleWriter = new TupleWriter();

export function bankKey(id: number): Bytes {
  return keyWriter.reset().tableIndex(TABLE_ID, 1).int(id).family(0).finish();
}

/** Payload of ASCII letters, so that with its key the row has BANK_ROW_BYTES bytes. */
export function bankValue(key: Bytes, id: number, balance: number): Bytes {
  const head = tupleWriter.reset().int(2, balance).finish().length + 2;
  const length = BANK_ROW_BYTES - key.length - head;
  const payload = `initial-${id.toString(36)}-`.padEnd(length, 'abcdefghijklmnopqrstuvwxyz').slice(0, length);
  return tupleWriter
    .reset()
    .int(2, balance)
    .bytes(3, payload as Bytes)
    .finish();
}

export interface BankRows {
  readonly keys: Bytes[];
  readonly values: Bytes[];
  /** Indexes of the rows in a random order. */
  readonly shuffled: Uint32Array;
}

export function bankRows(count: number): BankRows {
  const keys: Bytes[] = [];
  const values: Bytes[] = [];
  for (let id = 0; id < count; id++) {
    const key = bankKey(id);
    keys.push(key);
    values.push(bankValue(key, id, 1000));
  }
  const random = seededRandom('bank');
  const shuffled = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = random.int(i + 1);
    const swap = shuffled[i] as number;
    shuffled[i] = shuffled[j] as number;
    shuffled[j] = swap;
  }
  return { keys, values, shuffled };
}

/** A thousand payloads as the bank workload fills its rows, for tables that are loaded through SQL. */
export function bankPayloads(): string[] {
  const random = seededRandom('payloads');
  return Array.from({ length: 1000 }, () => bankPayload(random, PAYLOAD_BYTES));
}
