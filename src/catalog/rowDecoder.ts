/**
 * Row decoder: key-values of one index to rows of the wanted columns.
 *
 * The heart of every scan, so everything that can be decided per decoder is: which key parts to
 * read, which to pass over, where in the row each column id goes, and when the tuple needs no
 * further reading. Keys are not looked at when no key column is wanted.
 *
 * Rows of several families come as consecutive keys, in either order of families; they share their
 * key up to the family suffix, whose length its last byte tells.
 */
import { assert } from '../base/assert.ts';
import type { Bytes } from '../base/bytes.ts';
import { indexPrefix, KeyReader } from '../base/keycode.ts';
import { TupleReader } from '../base/valuecode.ts';

import { isComposite, type KeyDecode, keyDecoder, keyPartsOf, type ValueDecode, valueDecoder } from './columnCodec.ts';
import { type Datum, Decimal } from './datum.ts';
import { columnById, type IndexDescriptor, MVCC_TIMESTAMP_COLUMN_ID, TABLE_OID_COLUMN_ID, type TableDescriptor } from './descriptor.ts';

/**
 * Decodes key-values of one index into rows of the wanted columns, in their order. Rows of several
 * families are assembled from consecutive keys; what a batch cut in half is kept for the next one.
 */
export interface RowDecoder {
  /** Column ids, in the order of the rows' datums. */
  readonly columnIds: readonly number[];
  /** True when each key is a whole row. */
  readonly isSingleKey: boolean;
  /**
   * Appends the batch's rows to `out`. `isLast` says that nothing follows, so a row in hand is complete.
   * `timestamps` is needed when MVCC_TIMESTAMP_COLUMN_ID is wanted.
   */
  decode(keys: readonly Bytes[], values: readonly Bytes[], isLast: boolean, out: Datum[][], timestamps?: readonly number[]): void;
  /** One row of a single-key index. */
  decodeOne(key: Bytes, value: Bytes, timestamp?: number): Datum[];
  /** The row that point reads of its family keys found; undefined when none of them is there. */
  decodeFamilies(keys: readonly Bytes[], values: readonly (Bytes | undefined)[]): Datum[] | undefined;
}

/** Columns an index can yield by itself: all stored ones for the primary; key, suffix and STORING columns otherwise. */
export function indexColumnIds(desc: TableDescriptor, index: IndexDescriptor): readonly number[] {
  if (index.id === desc.primaryIndex.id) return desc.columns.filter((column) => !column.isVirtual).map((column) => column.id);
  return [...new Set([...index.columnIds, ...index.keySuffixColumnIds, ...index.storeColumnIds])];
}

/** Throws XX000 when the index does not hold a wanted column. `columnIds` may contain MVCC_TIMESTAMP_COLUMN_ID and TABLE_OID_COLUMN_ID. */
export function rowDecoder(desc: TableDescriptor, index: IndexDescriptor, columnIds: readonly number[]): RowDecoder {
  return new Decoder(desc, index, columnIds);
}

/** Reads one key column into `target`, or passes over it when `target` is negative. */
interface KeyStep {
  readonly target: number;
  readonly decode: KeyDecode;
  readonly parts: number;
}

const FAMILY_ZERO = 0x88;

/** Length of a key without its family suffix. */
export function rowPrefixLength(key: Bytes): number {
  return key.length - 1 - (key.charCodeAt(key.length - 1) - FAMILY_ZERO);
}

class Decoder implements RowDecoder {
  readonly columnIds: readonly number[];
  readonly isSingleKey: boolean;
  readonly #prefixLength: number;
  readonly #keySteps: readonly KeyStep[];
  /** A unique entry keeps its pk columns in the value; they are read, or passed over, before the tuple. */
  readonly #valueSteps: readonly KeyStep[] | undefined;
  /** By column id: where in the row a tuple's column goes, plus one; 0 for columns that are not wanted. */
  readonly #targets: Uint32Array;
  readonly #decodes: (ValueDecode | undefined)[];
  readonly #lastTupleId: number;
  readonly #nullRow: Datum[];
  readonly #timestampTarget: number;
  readonly #key = new KeyReader();
  readonly #tuple = new TupleReader();
  // The row in hand of a table with several families.
  #row: Datum[] | undefined;
  #rowPrefix: Bytes = '' as Bytes;
  #rowTimestamp = 0;

  constructor(desc: TableDescriptor, index: IndexDescriptor, columnIds: readonly number[]) {
    const isPrimary = index.id === desc.primaryIndex.id;
    this.columnIds = columnIds;
    this.isSingleKey = !isPrimary || desc.families.length === 1;
    this.#prefixLength = indexPrefix(desc.id, index.id).length;
    this.#timestampTarget = columnIds.indexOf(MVCC_TIMESTAMP_COLUMN_ID);
    this.#nullRow = columnIds.map((id) => (id === TABLE_OID_COLUMN_ID ? desc.id : null));

    const held = new Set(indexColumnIds(desc, index));
    for (const id of columnIds) {
      const isSystem = id === MVCC_TIMESTAMP_COLUMN_ID || id === TABLE_OID_COLUMN_ID;
      assert(isSystem || held.has(id), `index ${index.name} of ${desc.name} does not hold column ${id}`);
    }
    const typeOf = (id: number) => {
      const column = columnById(desc, id);
      assert(column, `table ${desc.name} has no column ${id}`);
      return column.type;
    };
    const step = (id: number, descending: boolean): KeyStep => {
      const type = typeOf(id);
      return { target: columnIds.indexOf(id), decode: keyDecoder(type, descending), parts: keyPartsOf(type) };
    };
    const columns = index.columnIds.map((id, i) => step(id, index.directions[i] === 'DESC'));
    const suffix = index.keySuffixColumnIds.map((id) => step(id, false));
    this.#keySteps = withoutUnwantedTail(isPrimary || index.unique ? columns : [...columns, ...suffix]);
    this.#valueSteps = !isPrimary && index.unique && suffix.length > 0 ? suffix : undefined;

    const keyIds = new Set([...index.columnIds, ...index.keySuffixColumnIds]);
    const tupleIds = columnIds.filter((id) => held.has(id) && (!keyIds.has(id) || isComposite(typeOf(id))));
    this.#lastTupleId = Math.max(0, ...tupleIds);
    this.#targets = new Uint32Array(this.#lastTupleId + 1);
    this.#decodes = new Array(this.#lastTupleId + 1).fill(undefined);
    for (const id of tupleIds) {
      this.#targets[id] = columnIds.indexOf(id) + 1;
      this.#decodes[id] = valueDecoder(typeOf(id));
    }
  }

  decode(keys: readonly Bytes[], values: readonly Bytes[], isLast: boolean, out: Datum[][], timestamps?: readonly number[]): void {
    if (this.isSingleKey) {
      for (let i = 0; i < keys.length; i++) {
        out.push(this.decodeOne(keys[i] as Bytes, values[i] as Bytes, timestamps?.[i]));
      }
      return;
    }
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i] as Bytes;
      const length = rowPrefixLength(key);
      if (this.#row === undefined || length !== this.#rowPrefix.length || !key.startsWith(this.#rowPrefix)) {
        this.#flush(out);
        this.#rowPrefix = key.slice(0, length) as Bytes;
        this.#row = this.#nullRow.slice();
        this.#rowTimestamp = 0;
        this.#readKey(key, this.#row);
      }
      this.#readTuple(values[i] as Bytes, this.#row);
      this.#rowTimestamp = Math.max(this.#rowTimestamp, timestamps?.[i] ?? 0);
    }
    if (isLast) this.#flush(out);
  }

  #flush(out: Datum[][]): void {
    if (this.#row === undefined) return;
    if (this.#timestampTarget >= 0) this.#row[this.#timestampTarget] = timestampDatum(this.#rowTimestamp);
    out.push(this.#row);
    this.#row = undefined;
  }

  decodeOne(key: Bytes, value: Bytes, timestamp?: number): Datum[] {
    const row = this.#nullRow.slice();
    if (this.#keySteps.length > 0) this.#readKey(key, row);
    if (this.#valueSteps !== undefined) this.#readEntryValue(value, this.#valueSteps, row);
    else if (this.#lastTupleId > 0) this.#readTuple(value, row);
    if (this.#timestampTarget >= 0) row[this.#timestampTarget] = timestampDatum(timestamp ?? 0);
    return row;
  }

  decodeFamilies(keys: readonly Bytes[], values: readonly (Bytes | undefined)[]): Datum[] | undefined {
    let row: Datum[] | undefined;
    for (let i = 0; i < keys.length; i++) {
      const value = values[i];
      if (value === undefined) continue;
      if (row === undefined) {
        row = this.#nullRow.slice();
        this.#readKey(keys[i] as Bytes, row);
      }
      this.#readTuple(value, row);
    }
    return row;
  }

  #readKey(key: Bytes, row: Datum[]): void {
    readSteps(this.#key.reset(key, this.#prefixLength), this.#keySteps, row);
  }

  #readEntryValue(value: Bytes, steps: readonly KeyStep[], row: Datum[]): void {
    // Byte 0 is the kind.
    readSteps(this.#key.reset(value, 1), steps, row);
    if (this.#lastTupleId > 0) this.#readColumns(this.#tuple.reset(value, this.#key.position), row);
  }

  #readTuple(value: Bytes, row: Datum[]): void {
    this.#readColumns(this.#tuple.reset(value), row);
  }

  #readColumns(tuple: TupleReader, row: Datum[]): void {
    const last = this.#lastTupleId;
    while (tuple.columnId < last && tuple.next()) {
      const id = tuple.columnId;
      if (id > last) return;
      const target = this.#targets[id] as number;
      if (target !== 0) row[target - 1] = (this.#decodes[id] as ValueDecode)(tuple);
    }
  }
}

function readSteps(reader: KeyReader, steps: readonly KeyStep[], row: Datum[]): void {
  for (let i = 0; i < steps.length; i++) {
    const step = steps[i] as KeyStep;
    if (reader.takeNull()) continue;
    if (step.target >= 0) row[step.target] = step.decode(reader);
    else for (let part = 0; part < step.parts; part++) reader.skip();
  }
}

/** Reading stops at the last wanted key column. */
function withoutUnwantedTail(steps: readonly KeyStep[]): KeyStep[] {
  let length = steps.length;
  while (length > 0 && (steps[length - 1] as KeyStep).target < 0) length--;
  return steps.slice(0, length);
}

/** A version's commit time as crdb_internal_mvcc_timestamp shows it: nanoseconds with ten logical digits. */
function timestampDatum(micros: number): Datum {
  return micros === 0 ? null : Decimal.of(BigInt(micros) * 10_000_000_000_000n, 10);
}
