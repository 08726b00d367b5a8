/**
 * TableShape: how a table's row lies in memory while a statement works on it.
 *
 * Position i < columns.length is the table's i-th column (write-only ones included, which no name
 * finds); then come crdb_internal_mvcc_timestamp and tableoid. Every scan, write and constraint of
 * the table shares this layout, so positions can be worked out once.
 */
import {
  type ColumnDescriptor,
  type IndexDescriptor,
  MVCC_TIMESTAMP_COLUMN_ID,
  TABLE_OID_COLUMN_ID,
  type TableDescriptor,
} from '../../catalog/descriptor.ts';
import { assert } from '../../base/assert.ts';
import { Type } from '../../catalog/type.ts';
import type { PlanColumn } from './plan.ts';

export interface TableShape {
  readonly table: TableDescriptor;
  /** Width of a row: the columns, then the system columns. */
  readonly width: number;
  readonly columns: readonly PlanColumn[];
  /** Column ids by position. */
  readonly columnIds: readonly number[];
  /** Position of a column id; XX000 when the table has none. */
  positionOf(columnId: number): number;
  /** Positions of the primary key's columns in key order. */
  readonly keyPositions: readonly number[];
}

const shapes = new WeakMap<TableDescriptor, TableShape>();

/** The shape of a table; made once a descriptor. */
export function tableShape(table: TableDescriptor): TableShape {
  let shape = shapes.get(table);
  if (!shape) {
    shape = makeShape(table);
    shapes.set(table, shape);
  }
  return shape;
}

function makeShape(table: TableDescriptor): TableShape {
  const columns: PlanColumn[] = table.columns.map(({ name, type, id }) => ({ name, type, tableId: table.id, columnId: id }));
  columns.push({ name: 'crdb_internal_mvcc_timestamp', type: Type.Decimal }, { name: 'tableoid', type: Type.Oid });
  const columnIds = [...table.columns.map((column) => column.id), MVCC_TIMESTAMP_COLUMN_ID, TABLE_OID_COLUMN_ID];
  const positions = new Map(columnIds.map((id, position) => [id, position]));
  const positionOf = (columnId: number): number => {
    const position = positions.get(columnId);
    assert(position !== undefined, `table "${table.name}" has no column ${columnId}`);
    return position;
  };
  return { table, width: columns.length, columns, columnIds, positionOf, keyPositions: table.primaryIndex.columnIds.map(positionOf) };
}

/** The column at a position; undefined for the system columns. */
export function columnAt(shape: TableShape, position: number): ColumnDescriptor | undefined {
  return shape.table.columns[position];
}

/** Ids of the columns that an index entry gives: key, key suffix and stored ones; everything for the primary index. */
export function indexColumnIds(table: TableDescriptor, index: IndexDescriptor): ReadonlySet<number> {
  if (index.id === table.primaryIndex.id) return new Set(tableShape(table).columnIds);
  return new Set([...index.columnIds, ...index.keySuffixColumnIds, ...index.storeColumnIds]);
}
