/**
 * Sequences: counters in the keyspace, advanced in transactions of their own, so that a value once
 * handed out is never handed out again, whatever becomes of the statement that took it.
 *
 * A sequence is one row: `/table/1/0/0`, the tuple of column 1. Its value is the last one handed
 * out; before the first, it is start - increment, as in CockroachDB.
 */
import { assert } from '../base/assert.ts';
import type { Bytes } from '../base/bytes.ts';
import { StatementError } from '../base/errors.ts';
import { KeyWriter } from '../base/keycode.ts';
import { SqlState } from '../base/sqlState.ts';
import { TupleReader, TupleWriter } from '../base/valuecode.ts';
import type { Kv, KvReader, Txn } from '../kv/kv.ts';

import { canonicalInt } from './datum.ts';
import type { SequenceOptions, TableDescriptor } from './descriptor.ts';

const VALUE_COLUMN_ID = 1;

/** The key of a sequence's value. */
export function sequenceKey(sequenceId: number): Bytes {
  return new KeyWriter().tableIndex(sequenceId, 1).int(0).family(0).finish();
}

export function encodeSequenceValue(value: number | bigint): Bytes {
  return new TupleWriter().reset().int(VALUE_COLUMN_ID, value).finish();
}

export function decodeSequenceValue(bytes: Bytes): number | bigint {
  const reader = new TupleReader(bytes);
  assert(reader.seek(VALUE_COLUMN_ID), 'a sequence without a value');
  return reader.int();
}

/** Adds to a counter inside the caller's transaction and returns the new value. The counter exists. */
export async function advanceCounter(txn: Txn, sequenceId: number, by: number): Promise<number> {
  const key = sequenceKey(sequenceId);
  await txn.lock([key]);
  const [stored] = await txn.get([key], { validated: true });
  assert(stored !== undefined, `counter ${sequenceId} has no value`);
  const next = Number(decodeSequenceValue(stored)) + by;
  txn.write([key], [encodeSequenceValue(next)]);
  return next;
}

/** Moves a counter up to `to`, unless it is there already, and returns what it was before. The counter exists. */
export async function raiseCounter(txn: Txn, sequenceId: number, to: number): Promise<number> {
  const before = await advanceCounter(txn, sequenceId, 0);
  if (before < to) txn.write([sequenceKey(sequenceId)], [encodeSequenceValue(to)]);
  return before;
}

/** Writes the value before the first: what CREATE SEQUENCE, and RESTART, do in their transaction. */
export function initializeSequence(txn: Txn, sequenceId: number, options: SequenceOptions): void {
  txn.write([sequenceKey(sequenceId)], [encodeSequenceValue(canonicalInt(BigInt(options.start) - BigInt(options.increment)))]);
}

function optionsOf(desc: TableDescriptor): SequenceOptions {
  if (!desc.sequence) throw new StatementError(SqlState.WrongObjectType, `"${desc.name}" is not a sequence`);
  return desc.sequence;
}

export class Sequences {
  readonly #kv: Kv;
  /** Ends of queues: calls on one sequence go one after another, so they never fail each other's commits. */
  readonly #tails = new Map<number, Promise<unknown>>();

  constructor(kv: Kv) {
    this.#kv = kv;
  }

  /**
   * The next value, committed at once; of a sequence that `txn` itself has made, inside `txn`.
   * 2200H beyond the bound of a sequence that does not cycle; 42809 when it is none.
   */
  async nextval(desc: TableDescriptor, txn?: Txn): Promise<number | bigint> {
    const options = optionsOf(desc);
    const advance = async (inside: Txn): Promise<number | bigint | undefined> => {
      const key = sequenceKey(desc.id);
      const [stored] = await inside.get([key], { validated: true });
      if (stored === undefined) return undefined;
      const value = nextValue(desc.name, options, BigInt(decodeSequenceValue(stored)));
      inside.write([key], [encodeSequenceValue(value)]);
      return value;
    };
    const value = (await this.#inLine(desc.id, () => this.#kv.run(advance))) ?? (txn && (await advance(txn)));
    if (value === undefined) throw new StatementError(SqlState.UndefinedTable, `relation "${desc.name}" does not exist`);
    return value;
  }

  /** Makes `value` the last one handed out, or with `isCalled` false the next one. Committed as nextval is. 22003 out of bounds. */
  async setval(desc: TableDescriptor, value: number | bigint, isCalled = true, txn?: Txn): Promise<void> {
    const options = optionsOf(desc);
    const wanted = BigInt(value);
    if (wanted < BigInt(options.minValue) || wanted > BigInt(options.maxValue)) {
      throw new StatementError(
        SqlState.NumericValueOutOfRange,
        `value ${wanted} is out of bounds for sequence "${desc.name}" (${options.minValue}..${options.maxValue})`,
      );
    }
    const last = encodeSequenceValue(canonicalInt(isCalled ? wanted : wanted - BigInt(options.increment)));
    const set = async (inside: Txn): Promise<boolean> => {
      const [stored] = await inside.get([sequenceKey(desc.id)], { validated: true });
      if (stored !== undefined) inside.write([sequenceKey(desc.id)], [last]);
      return stored !== undefined;
    };
    const isSet = (await this.#inLine(desc.id, () => this.#kv.run(set))) || (txn !== undefined && (await set(txn)));
    if (!isSet) throw new StatementError(SqlState.UndefinedTable, `relation "${desc.name}" does not exist`);
  }

  #inLine<T>(sequenceId: number, fn: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(sequenceId) ?? Promise.resolve();
    const result = before.then(fn, fn);
    const tail = result.catch(() => undefined);
    this.#tails.set(sequenceId, tail);
    void tail.then(() => {
      if (this.#tails.get(sequenceId) === tail) this.#tails.delete(sequenceId);
    });
    return result;
  }
}

/** What SELECT ... FROM the sequence shows: the last value handed out, or the start while none was. */
export async function readSequence(
  reader: KvReader,
  desc: TableDescriptor,
): Promise<{ lastValue: number | bigint; isCalled: boolean; stored: number | bigint }> {
  const options = optionsOf(desc);
  const [bytes] = await reader.get([sequenceKey(desc.id)]);
  if (bytes === undefined) throw new StatementError(SqlState.UndefinedTable, `relation "${desc.name}" does not exist`);
  const stored = decodeSequenceValue(bytes);
  const isCalled = BigInt(stored) !== BigInt(options.start) - BigInt(options.increment);
  return { lastValue: isCalled ? stored : canonicalInt(BigInt(options.start)), isCalled, stored };
}

function nextValue(name: string, options: SequenceOptions, last: bigint): number | bigint {
  const increment = BigInt(options.increment);
  const [min, max] = [BigInt(options.minValue), BigInt(options.maxValue)];
  const next = last + increment;
  if (next >= min && next <= max) return canonicalInt(next);
  if (options.cycle) return canonicalInt(increment > 0n ? min : max);
  const [bound, value] = increment > 0n ? ['maximum', max] : ['minimum', min];
  throw new StatementError(SqlState.SequenceGeneratorLimitExceeded, `reached ${bound} value of sequence "${name}" (${value})`);
}

/** The options of `CREATE SEQUENCE name` with these parts given. Throws 22023 for bounds that make no sense. */
export function sequenceOptions(given: {
  readonly increment?: bigint;
  readonly minValue?: bigint;
  readonly maxValue?: bigint;
  readonly start?: bigint;
  readonly cacheSize?: bigint;
  readonly cycle?: boolean;
  readonly isVirtual?: boolean;
  readonly integerWidth?: 16 | 32 | 64;
  readonly ownedBy?: SequenceOptions['ownedBy'];
}): SequenceOptions {
  const integerWidth = given.integerWidth ?? 64;
  const increment = given.increment ?? 1n;
  const refuse = (message: string) => {
    throw new StatementError(SqlState.InvalidParameterValue, message);
  };
  if (increment === 0n) refuse('INCREMENT must not be zero');
  const typeMax = 2n ** BigInt(integerWidth - 1) - 1n;
  const minValue = given.minValue ?? (increment > 0n ? 1n : -typeMax - 1n);
  const maxValue = given.maxValue ?? (increment > 0n ? typeMax : -1n);
  const start = given.start ?? (increment > 0n ? minValue : maxValue);
  if (minValue < -typeMax - 1n) refuse(`MINVALUE (${minValue}) is out of range for type INT${integerWidth / 8}`);
  if (maxValue > typeMax) refuse(`MAXVALUE (${maxValue}) is out of range for type INT${integerWidth / 8}`);
  if (minValue > maxValue) refuse(`MINVALUE (${minValue}) must be less than MAXVALUE (${maxValue})`);
  if (start > maxValue) refuse(`START value (${start}) cannot be greater than MAXVALUE (${maxValue})`);
  if (start < minValue) refuse(`START value (${start}) cannot be less than MINVALUE (${minValue})`);
  const cacheSize = given.cacheSize ?? 1n;
  if (cacheSize < 1n) refuse(`CACHE (${cacheSize}) must be greater than zero`);
  return {
    increment: String(increment),
    minValue: String(minValue),
    maxValue: String(maxValue),
    start: String(start),
    cacheSize: String(cacheSize),
    ...(given.isVirtual && { isVirtual: true }),
    integerWidth,
    ...(given.cycle && { cycle: true }),
    ...(given.ownedBy && { ownedBy: given.ownedBy }),
  };
}
