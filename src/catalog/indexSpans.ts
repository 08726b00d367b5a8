/**
 * Index spans: where in the keyspace an index lies, and the part of it that meets a constraint.
 */
import { assert } from '../base/assert.ts';
import type { Bytes } from '../base/bytes.ts';
import { indexPrefix, KeyWriter, tablePrefix } from '../base/keycode.ts';
import { prefixEnd, prefixSpan, type Span } from '../base/span.ts';

import { keyEncoder } from './columnCodec.ts';
import type { Datum } from './datum.ts';
import { columnById, type IndexDescriptor, type TableDescriptor } from './descriptor.ts';

export interface SpanBound {
  /** Not null. */
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

/** Every key of a table, all indexes. */
export function tableSpan(desc: TableDescriptor): Span {
  return prefixSpan(tablePrefix(desc.id));
}

export function indexSpan(desc: TableDescriptor, index: IndexDescriptor): Span {
  return prefixSpan(indexPrefix(desc.id, index.id));
}

const shared = new KeyWriter();

/**
 * The span of entries that meet a constraint: exact, rows outside never qualify and rows inside
 * always do. Undefined when nothing can (an empty interval).
 */
export function spanForConstraint(desc: TableDescriptor, index: IndexDescriptor, constraint: IndexConstraint): Span | undefined {
  const columnIds = [...index.columnIds, ...(index.unique ? [] : index.keySuffixColumnIds)];
  const { equals, lower, upper } = constraint;
  assert(equals.length <= columnIds.length, `constraint on ${equals.length} of ${columnIds.length} columns of ${index.name}`);
  const encode = (prefix: Bytes | undefined, i: number, datum: Datum): Bytes => {
    const column = columnById(desc, columnIds[i] ?? 0);
    assert(column, `index ${index.name} has no key column at ${i}`);
    const descending = index.directions[i] === 'DESC';
    shared.reset(prefix);
    if (datum === null) shared.null(descending);
    else keyEncoder(column.type, descending)(shared, datum);
    return shared.finish();
  };

  let prefix = indexPrefix(desc.id, index.id);
  equals.forEach((datum, i) => {
    prefix = encode(prefix, i, datum);
  });
  let key = prefix;
  let endKey = prefixEnd(prefix);
  const at = equals.length;
  const descending = index.directions[at] === 'DESC';
  const [first, last] = descending ? [upper, lower] : [lower, upper];
  if (first) {
    const bound = encode(prefix, at, first.value);
    key = first.inclusive ? bound : prefixEnd(bound);
  } else if ((last || constraint.notNull) && !descending) {
    key = shared.reset(prefix).notNull().finish();
  }
  if (last) {
    const bound = encode(prefix, at, last.value);
    endKey = last.inclusive ? prefixEnd(bound) : bound;
  } else if ((first || constraint.notNull) && descending) {
    endKey = shared.reset(prefix).notNull(true).finish();
  }
  return key < endKey ? { key, endKey } : undefined;
}
