/**
 * Row codec: rows of a table to key-values and back, in CockroachDB's encoding.
 *
 *   row            /table/primary index/pk columns/family      ->  tuple of the family's columns
 *   entry          /table/index/columns/missing pk columns/0   ->  stored columns
 *   unique entry   /table/index/columns/0                      ->  missing pk columns, stored columns
 *
 * A unique entry with a NULL among its columns is keyed like a plain one, so NULLs never collide.
 *
 *   R1  family 0 is always present, other families when one of their columns is not NULL
 *   R2  a family's tuple holds its columns that are not in the primary key, in id order, and of the
 *       primary key those whose key part is lossy (columnCodec.ts)
 *   R3  a NULL is not written: a row older than a column reads as NULL in it
 *
 * Virtual columns are never stored. Write-only columns and indexes are encoded like any other:
 * which of them a statement must maintain is its planner's business.
 *
 * Lives elsewhere: decoding (rowDecoder.ts), spans of constraints (indexSpans.ts).
 * Source of the format: CockroachDB docs/tech-notes/encoding.md.
 */
import { assert } from '../base/assert.ts';
import type { Bytes } from '../base/bytes.ts';
import { indexPrefix, KeyWriter } from '../base/keycode.ts';
import { pointSpan, type Span } from '../base/span.ts';
import { TupleWriter, ValueKind } from '../base/valuecode.ts';

import { isComposite, isLossy, type KeyEncode, keyEncoder, type ValueEncode, valueEncoder } from './columnCodec.ts';
import type { Datum } from './datum.ts';
import { columnById, type IndexDescriptor, type TableDescriptor } from './descriptor.ts';
import type { ColumnType } from './type.ts';

export { type IndexConstraint, indexSpan, type SpanBound, spanForConstraint, tableSpan } from './indexSpans.ts';
export { indexColumnIds, type RowDecoder, rowDecoder } from './rowDecoder.ts';

/** Key-values as parallel arrays, in the form Txn.write takes. */
export interface KeyValues {
  readonly keys: Bytes[];
  readonly values: (Bytes | null)[];
}

/** One index entry. */
export interface IndexEntry {
  readonly key: Bytes;
  readonly value: Bytes;
}

/**
 * Encoders of one table. A row is an array of datums in the order of `desc.columns` (virtual
 * columns included, ignored); datums already have their columns' types.
 */
export interface TableCodec {
  readonly desc: TableDescriptor;
  /** Position of a column in a row, by column id. */
  readonly ordinals: ReadonlyMap<number, number>;
  /** The row's key without a family suffix. Primary key datums are not null. */
  rowPrefix(row: readonly Datum[]): Bytes;
  /** The key of family 0, which every row has: what a writer locks. */
  rowKey(row: readonly Datum[]): Bytes;
  /** Keys of all families, in order. */
  familyKeys(row: readonly Datum[]): Bytes[];
  /** As familyKeys, from the datums of the primary key columns in key order. */
  lookupKeys(primaryKey: readonly Datum[]): Bytes[];
  /** Appends the row's families. With `all`, absent families appear as deletes (null): what an update needs. */
  encodeRow(row: readonly Datum[], out: KeyValues, options?: { readonly all?: boolean }): void;
  /** Appends deletes of the row's families. */
  encodeRowDelete(row: readonly Datum[], out: KeyValues): void;
  /** The entry of a secondary index for this row. Partial indexes' predicates are the caller's. */
  encodeEntry(index: IndexDescriptor, row: readonly Datum[]): IndexEntry;
  /** The key of that entry. */
  entryKey(index: IndexDescriptor, row: readonly Datum[]): Bytes;
  /**
   * The point at which another row would collide with this one on a unique index (or the primary);
   * undefined when a key column is NULL: never a conflict.
   */
  uniqueSpan(index: IndexDescriptor, row: readonly Datum[]): Span | undefined;
}

interface KeyColumn {
  readonly ordinal: number;
  readonly descending: boolean;
  readonly encode: KeyEncode;
}

interface ValueColumn {
  readonly id: number;
  readonly ordinal: number;
  readonly type: ColumnType;
  readonly encode: ValueEncode;
  /** In the key already: written only when the key part is lossy. */
  readonly onlyLossy: boolean;
}

interface IndexCodec {
  readonly index: IndexDescriptor;
  readonly prefix: Bytes;
  readonly columns: readonly KeyColumn[];
  readonly suffix: readonly KeyColumn[];
  readonly stored: readonly ValueColumn[];
}

interface FamilyCodec {
  readonly id: number;
  readonly columns: readonly ValueColumn[];
}

const codecs = new WeakMap<TableDescriptor, TableCodec>();

/** The codec of a descriptor; built once for each descriptor object. */
export function tableCodec(desc: TableDescriptor): TableCodec {
  let codec = codecs.get(desc);
  if (!codec) {
    codec = new Codec(desc);
    codecs.set(desc, codec);
  }
  return codec;
}

class Codec implements TableCodec {
  readonly desc: TableDescriptor;
  readonly ordinals: ReadonlyMap<number, number>;
  readonly #primary: IndexCodec;
  readonly #families: readonly FamilyCodec[];
  readonly #indexes = new Map<number, IndexCodec>();
  readonly #key = new KeyWriter();
  readonly #suffix = new KeyWriter();
  readonly #value = new TupleWriter();

  constructor(desc: TableDescriptor) {
    this.desc = desc;
    this.ordinals = new Map(desc.columns.map((column, i) => [column.id, i]));
    this.#primary = this.#indexCodec(desc.primaryIndex);
    const keyIds = new Set(desc.primaryIndex.columnIds);
    this.#families = desc.families.map((family) => ({ id: family.id, columns: this.#valueColumns(family.columnIds, keyIds) }));
  }

  rowPrefix(row: readonly Datum[]): Bytes {
    return this.#writeKey(this.#primary.prefix, this.#primary.columns, row).finish();
  }

  rowKey(row: readonly Datum[]): Bytes {
    return this.#writeKey(this.#primary.prefix, this.#primary.columns, row).family(0).finish();
  }

  familyKeys(row: readonly Datum[]): Bytes[] {
    if (this.#families.length === 1) return [this.rowKey(row)];
    return this.#withFamilies(this.rowPrefix(row));
  }

  lookupKeys(primaryKey: readonly Datum[]): Bytes[] {
    const key = this.#key.reset(this.#primary.prefix);
    const { columns } = this.#primary;
    for (let i = 0; i < columns.length; i++) {
      const column = columns[i] as KeyColumn;
      const datum = primaryKey[i] ?? null;
      if (datum === null) key.null(column.descending);
      else column.encode(key, datum);
    }
    return this.#families.length === 1 ? [key.family(0).finish()] : this.#withFamilies(key.finish());
  }

  #withFamilies(prefix: Bytes): Bytes[] {
    return this.#families.map((family) => this.#key.reset(prefix).family(family.id).finish());
  }

  encodeRow(row: readonly Datum[], out: KeyValues, options: { readonly all?: boolean } = {}): void {
    const key = this.#writeKey(this.#primary.prefix, this.#primary.columns, row);
    if (this.#families.length === 1) {
      out.keys.push(key.family(0).finish());
      out.values.push(this.#familyValue(this.#families[0] as FamilyCodec, row) as Bytes);
      return;
    }
    const prefix = key.finish();
    for (const family of this.#families) {
      const value = this.#familyValue(family, row);
      if (value === null && options.all !== true) continue;
      out.keys.push(this.#key.reset(prefix).family(family.id).finish());
      out.values.push(value);
    }
  }

  encodeRowDelete(row: readonly Datum[], out: KeyValues): void {
    for (const key of this.familyKeys(row)) {
      out.keys.push(key);
      out.values.push(null);
    }
  }

  encodeEntry(index: IndexDescriptor, row: readonly Datum[]): IndexEntry {
    const codec = this.#codecOf(index);
    const key = this.#entryKey(codec, row);
    let suffix: Bytes | undefined;
    if (index.unique) {
      this.#suffix.reset();
      this.#writeColumns(this.#suffix, codec.suffix, row);
      suffix = this.#suffix.finish();
    }
    this.#value.reset(ValueKind.Bytes, suffix);
    this.#writeValues(codec.stored, row);
    return { key, value: this.#value.finish() };
  }

  entryKey(index: IndexDescriptor, row: readonly Datum[]): Bytes {
    return this.#entryKey(this.#codecOf(index), row);
  }

  uniqueSpan(index: IndexDescriptor, row: readonly Datum[]): Span | undefined {
    if (index.id === this.desc.primaryIndex.id) return pointSpan(this.rowKey(row));
    const codec = this.#codecOf(index);
    assert(index.unique, `index ${index.name} is not unique`);
    if (hasNull(codec.columns, row)) return undefined;
    return pointSpan(this.#writeKey(codec.prefix, codec.columns, row).family(0).finish());
  }

  #entryKey(codec: IndexCodec, row: readonly Datum[]): Bytes {
    const key = this.#writeKey(codec.prefix, codec.columns, row);
    if (!codec.index.unique || hasNull(codec.columns, row)) this.#writeColumns(key, codec.suffix, row);
    return key.family(0).finish();
  }

  #writeKey(prefix: Bytes, columns: readonly KeyColumn[], row: readonly Datum[]): KeyWriter {
    const key = this.#key.reset(prefix);
    this.#writeColumns(key, columns, row);
    return key;
  }

  #writeColumns(key: KeyWriter, columns: readonly KeyColumn[], row: readonly Datum[]): void {
    for (let i = 0; i < columns.length; i++) {
      const column = columns[i] as KeyColumn;
      const datum = row[column.ordinal] ?? null;
      if (datum === null) key.null(column.descending);
      else column.encode(key, datum);
    }
  }

  /** Null when the family is absent: no column to write, and not family 0. */
  #familyValue(family: FamilyCodec, row: readonly Datum[]): Bytes | null {
    this.#value.reset();
    const isEmpty = this.#writeValues(family.columns, row) === 0;
    return isEmpty && family.id !== 0 ? null : this.#value.finish();
  }

  #writeValues(columns: readonly ValueColumn[], row: readonly Datum[]): number {
    let written = 0;
    for (let i = 0; i < columns.length; i++) {
      const column = columns[i] as ValueColumn;
      const datum = row[column.ordinal] ?? null;
      if (datum === null || (column.onlyLossy && !isLossy(column.type, datum))) continue;
      column.encode(this.#value, column.id, datum);
      written++;
    }
    return written;
  }

  #codecOf(index: IndexDescriptor): IndexCodec {
    let codec = this.#indexes.get(index.id);
    if (!codec) {
      codec = this.#indexCodec(index);
      this.#indexes.set(index.id, codec);
    }
    return codec;
  }

  #indexCodec(index: IndexDescriptor): IndexCodec {
    const keyIds = new Set([...index.columnIds, ...index.keySuffixColumnIds]);
    return {
      index,
      prefix: indexPrefix(this.desc.id, index.id),
      columns: index.columnIds.map((id, i) => this.#keyColumn(id, index.directions[i] === 'DESC')),
      suffix: index.keySuffixColumnIds.map((id) => this.#keyColumn(id, false)),
      stored: this.#valueColumns([...keyIds, ...index.storeColumnIds], keyIds),
    };
  }

  #keyColumn(id: number, descending: boolean): KeyColumn {
    return { ordinal: this.#ordinalOf(id), descending, encode: keyEncoder(this.#column(id).type, descending) };
  }

  /** Sorted by id, as the tuple wants them; key columns only if some value of theirs is lossy. */
  #valueColumns(ids: readonly number[], keyIds: ReadonlySet<number>): ValueColumn[] {
    return [...new Set(ids)]
      .filter((id) => !this.#column(id).isVirtual && (!keyIds.has(id) || isComposite(this.#column(id).type)))
      .sort((a, b) => a - b)
      .map((id) => {
        const { type } = this.#column(id);
        return { id, ordinal: this.#ordinalOf(id), type, encode: valueEncoder(type), onlyLossy: keyIds.has(id) };
      });
  }

  #column(id: number) {
    const column = columnById(this.desc, id);
    assert(column, `table ${this.desc.name} has no column ${id}`);
    return column;
  }

  #ordinalOf(id: number): number {
    const ordinal = this.ordinals.get(id);
    assert(ordinal !== undefined, `table ${this.desc.name} has no column ${id}`);
    return ordinal;
  }
}

function hasNull(columns: readonly KeyColumn[], row: readonly Datum[]): boolean {
  for (const column of columns) if ((row[column.ordinal] ?? null) === null) return true;
  return false;
}
