/**
 * System rows: typed, plain access to the rows of system tables, for the layers that keep their
 * state in them (jobs, schedules, zones, users). SQL reads the same rows through ordinary plans.
 *
 * A row is an object with a property for each column, in plain JavaScript:
 *
 *   STRING string    BYTES Bytes    BOOL boolean    INT, DATE, TIMESTAMP number (bigint beyond 2^53)
 *   UUID its text    JSONB plain data               DECIMAL Decimal    absent or null: NULL
 *
 * Writers lock the row first, as every SQL write does, and keep the indexes.
 */
import { asBytes, type Bytes, toHex, utf8Decode, utf8Encode } from '../base/bytes.ts';
import { assert } from '../base/assert.ts';
import type { Span } from '../base/span.ts';
import type { KvReader, Txn } from '../kv/kv.ts';

import type { Datum } from './datum.ts';
import { Json, jsonFromPlain } from './json.ts';
import { type KeyValues, type RowDecoder, rowDecoder, indexSpan, spanForConstraint, tableCodec } from './rowCodec.ts';
import { type SystemTableName, systemTables } from './systemTables.ts';
import type { ColumnDescriptor, TableDescriptor } from './descriptor.ts';
import type { ColumnType } from './type.ts';

/** A value of a system row in plain JavaScript. */
export type PlainValue = unknown;
export type PlainRow = Readonly<Record<string, PlainValue>>;

/** Rows of a table that are remembered as they were decoded: more than are at work at once. */
const DECODED_MAX = 32;

export class SystemTable {
  readonly desc: TableDescriptor;
  readonly #decoder: RowDecoder;
  readonly #keyDecoder: RowDecoder;
  /** By key; the row decoded last stands last. */
  readonly #decoded = new Map<Bytes, { readonly value: Bytes; readonly row: PlainRow }>();

  constructor(desc: TableDescriptor) {
    this.desc = desc;
    this.#decoder = rowDecoder(
      desc,
      desc.primaryIndex,
      desc.columns.map((column) => column.id),
    );
    this.#keyDecoder = rowDecoder(desc, desc.primaryIndex, desc.primaryIndex.columnIds);
  }

  /** Every key of the rows. */
  get span(): Span {
    return indexSpan(this.desc, this.desc.primaryIndex);
  }

  /** The key of the row with these primary key values. */
  key(...primaryKey: PlainValue[]): Bytes {
    const datums = primaryKey.map((value, i) => toDatum(this.#keyColumn(i), value));
    return tableCodec(this.desc).lookupKeys(datums)[0] as Bytes;
  }

  async get(reader: KvReader, ...primaryKey: PlainValue[]): Promise<PlainRow | undefined> {
    const key = this.key(...primaryKey);
    const [value] = await reader.get([key]);
    return value === undefined ? undefined : this.decodeAgain(key, value);
  }

  /** Rows in primary key order; with `prefix`, those whose first key columns equal it. */
  async scan(reader: KvReader, ...prefix: PlainValue[]): Promise<PlainRow[]> {
    const equals = prefix.map((value, i) => toDatum(this.#keyColumn(i), value));
    const span = spanForConstraint(this.desc, this.desc.primaryIndex, { equals });
    assert(span, 'an equality constraint has a span');
    const { keys, values } = await reader.scan(span);
    return keys.map((key, i) => this.decode(key, values[i] as Bytes));
  }

  /** Rows in primary key order whose value in one column is accepted; of the others nothing else is decoded. */
  async scanWhere(reader: KvReader, columnName: string, accepts: (value: PlainValue) => boolean): Promise<PlainRow[]> {
    const column = this.desc.columns.find(({ name }) => name === columnName);
    assert(column, `system.${this.desc.name} has no column ${columnName}`);
    const decoder = rowDecoder(this.desc, this.desc.primaryIndex, [column.id]);
    const { keys, values } = await reader.scan(this.span);
    const rows: PlainRow[] = [];
    keys.forEach((key, i) => {
      const value = values[i] as Bytes;
      if (accepts(fromDatum(column.type, decoder.decodeOne(key, value)[0] ?? null))) rows.push(this.decode(key, value));
    });
    return rows;
  }

  /** Keys, ascending, of the rows that have one of these values in the first column of an index: its cost is what it finds. */
  async keysByIndex(reader: KvReader, indexName: string, values: readonly PlainValue[]): Promise<Bytes[]> {
    const index = this.desc.indexes.find(({ name }) => name === indexName);
    const column = this.desc.columns.find(({ id }) => id === index?.columnIds[0]);
    assert(index && column, `system.${this.desc.name} has no index ${indexName}`);
    const decoder = rowDecoder(this.desc, index, this.desc.primaryIndex.columnIds);
    const found: Bytes[] = [];
    for (const value of values) {
      const span = spanForConstraint(this.desc, index, { equals: [toDatum(column, value)] });
      assert(span, 'an equality constraint has a span');
      const entries = await reader.scan(span);
      entries.keys.forEach((key, i) => {
        const primaryKey = decoder.decodeOne(key, entries.values[i] as Bytes);
        found.push(tableCodec(this.desc).lookupKeys(primaryKey)[0] as Bytes);
      });
    }
    return found.sort();
  }

  decode(key: Bytes, value: Bytes): PlainRow {
    const datums = this.#decoder.decodeOne(key, value);
    const row: Record<string, PlainValue> = {};
    this.desc.columns.forEach((column, i) => {
      row[column.name] = fromDatum(column.type, datums[i] ?? null);
    });
    return row;
  }

  /** As decode, for rows that are read over and over, mostly unchanged: what is not changed is not decoded again. */
  decodeAgain(key: Bytes, value: Bytes): PlainRow {
    const decoded = this.#decoded.get(key);
    // A value that stayed is the very same string.
    if (decoded?.value === value) return decoded.row;
    const row = this.decode(key, value);
    this.#decoded.delete(key);
    this.#decoded.set(key, { value, row });
    for (const oldest of this.#decoded.keys()) {
      if (this.#decoded.size <= DECODED_MAX) break;
      this.#decoded.delete(oldest);
    }
    return row;
  }

  /** The primary key columns, from a row's key alone: for rows that are gone. */
  decodeKey(key: Bytes): PlainRow {
    const datums = this.#keyDecoder.decodeOne(key, '' as Bytes);
    return Object.fromEntries(datums.map((datum, i) => [this.#keyColumn(i).name, fromDatum(this.#keyColumn(i).type, datum)]));
  }

  /** Inserts or replaces the whole row. Waits for the row's lock. */
  async upsert(txn: Txn, row: PlainRow): Promise<void> {
    const datums = this.#datums(row);
    const key = tableCodec(this.desc).rowKey(datums);
    await txn.lock([key]);
    const [before] = this.desc.indexes.length === 0 ? [] : await txn.get([key], { validated: true });
    this.#write(txn, key, before, datums);
  }

  /** As upsert, without a look at what was there: for new rows and tables without indexes. */
  put(txn: Txn, row: PlainRow): void {
    const datums = this.#datums(row);
    this.#write(txn, tableCodec(this.desc).rowKey(datums), undefined, datums);
  }

  /** Changes some columns; false when there is no such row. Waits for the row's lock. */
  async update(txn: Txn, primaryKey: readonly PlainValue[], changes: PlainRow): Promise<boolean> {
    const key = this.key(...primaryKey);
    await txn.lock([key]);
    const [before] = await txn.get([key], { validated: true });
    if (before === undefined) return false;
    this.#write(txn, key, before, this.#datums({ ...this.decode(key, before), ...changes }));
    return true;
  }

  /** Deletes a row; false when there is none. Waits for the row's lock. */
  async delete(txn: Txn, ...primaryKey: PlainValue[]): Promise<boolean> {
    const key = this.key(...primaryKey);
    await txn.lock([key]);
    const [before] = await txn.get([key], { validated: true });
    if (before === undefined) return false;
    this.#write(txn, key, before, undefined);
    return true;
  }

  #write(txn: Txn, key: Bytes, before: Bytes | undefined, after: readonly Datum[] | undefined): void {
    const codec = tableCodec(this.desc);
    const out: KeyValues = { keys: [], values: [] };
    if (before !== undefined) {
      const old = this.#decoder.decodeOne(key, before);
      for (const index of this.desc.indexes) {
        out.keys.push(codec.entryKey(index, old));
        out.values.push(null);
      }
    }
    if (after === undefined) {
      out.keys.push(key);
      out.values.push(null);
    } else {
      codec.encodeRow(after, out);
      for (const index of this.desc.indexes) {
        const entry = codec.encodeEntry(index, after);
        out.keys.push(entry.key);
        out.values.push(entry.value);
      }
    }
    txn.write(out.keys, out.values);
  }

  #datums(row: PlainRow): Datum[] {
    for (const name of Object.keys(row)) {
      assert(
        this.desc.columns.some((column) => column.name === name),
        `system.${this.desc.name} has no column ${name}`,
      );
    }
    return this.desc.columns.map((column) => {
      const datum = toDatum(column, row[column.name]);
      assert(datum !== null || column.nullable, `null in system.${this.desc.name}.${column.name}`);
      return datum;
    });
  }

  #keyColumn(i: number): ColumnDescriptor {
    const column = this.desc.columns.find((candidate) => candidate.id === this.desc.primaryIndex.columnIds[i]);
    assert(column, `system.${this.desc.name} has no key column ${i}`);
    return column;
  }
}

function toDatum(column: ColumnDescriptor, value: PlainValue): Datum {
  if (value === null || value === undefined) return null;
  return plainToDatum(column.type, value);
}

function plainToDatum(type: ColumnType, value: PlainValue): Datum {
  switch (type.family) {
    case 'string':
      return utf8Encode(value as string);
    case 'uuid':
      return asBytes(Buffer.from((value as string).replaceAll('-', ''), 'hex').latin1Slice());
    case 'jsonb':
      return new Json(jsonFromPlain(value));
    case 'array':
      return (value as readonly unknown[]).map((item) => (item === null ? null : plainToDatum(type.element ?? type, item)));
    default:
      return value as Datum;
  }
}

function fromDatum(type: ColumnType, datum: Datum): PlainValue {
  if (datum === null) return null;
  switch (type.family) {
    case 'string':
      return utf8Decode(datum as Bytes);
    case 'uuid': {
      const hex = toHex(datum as Bytes);
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
    }
    case 'jsonb':
      return (datum as Json).toPlain();
    case 'array':
      return (datum as readonly Datum[]).map((item) => fromDatum(type.element ?? type, item));
    default:
      return datum;
  }
}

const tables = new Map<SystemTableName, SystemTable>();

/** `systemTable('jobs').get(reader, id)`. */
export function systemTable(name: SystemTableName): SystemTable {
  let table = tables.get(name);
  if (!table) {
    table = new SystemTable(systemTables[name].desc);
    tables.set(name, table);
  }
  return table;
}
