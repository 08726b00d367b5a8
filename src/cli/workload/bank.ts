/**
 * The bank workload: accounts, and transfers between two of them that keep the total.
 *
 * One table, `bank.bank (id, balance, payload)`; with the default payload a row is 123 bytes of
 * logical data. Generation is seeded: the same rows and seed give the same table, byte for byte.
 *
 * Source: `cockroach workload init bank` (schema and transfer statement's idea).
 */
import { type Random, seededRandom } from '../../base/random.ts';

export const BANK_DATABASE = 'bank';
export const BANK_TABLE = 'bank.bank';
export const INITIAL_BALANCE = 1000;
/** With the id and balance columns and the key this makes a row of 123 bytes. */
export const PAYLOAD_BYTES = 100;
/** Rows in one INSERT: large enough that parsing dominates the round trip. */
const BATCH_ROWS = 1000;
const TRANSFER_MAX = 10;

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

export interface BankOptions {
  readonly rows: number;
  readonly payloadBytes?: number;
  readonly seed?: number;
  /** Drops a database that is already there. */
  readonly drop?: boolean;
}

/** `initial-` and random letters, `size` bytes in all. */
export function bankPayload(random: Random, size: number): string {
  let text = 'initial-';
  while (text.length < size) text += LETTERS[random.int(LETTERS.length)];
  return text.slice(0, size);
}

/** The statements that create and fill the table, in order; a generator, so a million rows never stand in memory. */
export function* bankStatements(options: BankOptions): Generator<{ sql: string; rows: number }> {
  const random = seededRandom(options.seed ?? 1);
  if (options.drop) yield { sql: `DROP DATABASE IF EXISTS ${BANK_DATABASE} CASCADE`, rows: 0 };
  yield { sql: `CREATE DATABASE IF NOT EXISTS ${BANK_DATABASE}`, rows: 0 };
  yield { sql: `CREATE TABLE ${BANK_TABLE} (id INT8 NOT NULL PRIMARY KEY, balance INT8, payload STRING)`, rows: 0 };
  for (let first = 0; first < options.rows; first += BATCH_ROWS) {
    const end = Math.min(first + BATCH_ROWS, options.rows);
    const values: string[] = [];
    for (let id = first; id < end; id++)
      values.push(`(${id}, ${INITIAL_BALANCE}, '${bankPayload(random, options.payloadBytes ?? PAYLOAD_BYTES)}')`);
    yield { sql: `INSERT INTO ${BANK_TABLE} VALUES ${values.join(', ')}`, rows: end - first };
  }
}

/** One transfer of a random amount between two random accounts, as one statement. */
export function transferStatement(random: Random, rows: number): string {
  const from = random.int(rows);
  const to = (from + 1 + random.int(Math.max(1, rows - 1))) % rows;
  const amount = 1 + random.int(TRANSFER_MAX);
  return (
    `UPDATE ${BANK_TABLE} SET balance = CASE id WHEN ${from} THEN balance - ${amount} WHEN ${to} THEN balance + ${amount} END ` +
    `WHERE id IN (${from}, ${to})`
  );
}
