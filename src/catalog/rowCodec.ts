/**
 * Row codec: rows of a table to key-values and back, in CockroachDB's encoding.
 */
import type { Bytes } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';

import type { Datum } from './datum.ts';
import type { IndexDescriptor, TableDescriptor } from './descriptor.ts';

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
  /** Appends the row's families. With `all`, absent families appear as deletes (null): what an update needs. */
  encodeRow(row: readonly Datum[], out: KeyValues, options?: { all?: boolean }): void;
  /** Appends deletes of the row's families. */
  encodeRowDelete(row: readonly Datum[], out: KeyValues): void;
  /** The entry of a secondary index for this row. Partial indexes' predicates are the caller's. */
  encodeEntry(index: IndexDescriptor, row: readonly Datum[]): IndexEntry;
  /**
   * The span in which another row would collide with this one on a unique index: the entry's point,
   * or undefined when a key column is NULL (never a conflict).
   */
  uniqueSpan(index: IndexDescriptor, row: readonly Datum[]): Span | undefined;
}

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
}

export interface SpanBound {
  readonly value: Datum;
  readonly inclusive: boolean;
}

/** What a planner knows of an index's leading key columns. */
export interface IndexConstraint {
  /** Values of the first columns, null for IS NULL. */
  readonly equals: readonly Datum[];
  /** Bounds on the next column, by value whatever the column's direction; NULLs of it are left out. */
  readonly lower?: SpanBound;
  readonly upper?: SpanBound;
  /** The next column is not null: implied by a bound. */
  readonly notNull?: boolean;
}

export declare function tableCodec(desc: TableDescriptor): TableCodec;
export declare function rowDecoder(desc: TableDescriptor, index: IndexDescriptor, columnIds: readonly number[]): RowDecoder;
/** Columns an index can yield by itself: all for the primary; key, suffix and STORING columns otherwise. */
export declare function indexColumnIds(desc: TableDescriptor, index: IndexDescriptor): readonly number[];
export declare function indexSpan(desc: TableDescriptor, index: IndexDescriptor): Span;
export declare function tableSpan(desc: TableDescriptor): Span;
/** The span of entries that meet a constraint; undefined when none can. */
export declare function spanForConstraint(desc: TableDescriptor, index: IndexDescriptor, constraint: IndexConstraint): Span | undefined;
