/** Values of some columns in one row, as foreign keys and unique constraints compare them; and reading all of a table for them. */
import { type Datum, datumsEqual } from '../../catalog/datum.ts';
import type { TableDescriptor } from '../../catalog/descriptor.ts';
import type { ScanNode } from '../plan/plan.ts';
import { tableShape } from '../plan/tableShape.ts';
import { rowKey } from './sort.ts';

export type KeyRow = readonly Datum[];

export function keyOf(table: TableDescriptor, columnIds: readonly number[], row: readonly Datum[]): KeyRow {
  const shape = tableShape(table);
  return columnIds.map((id) => row[shape.positionOf(id)] as Datum);
}

/** What is the same for keys that are equal. */
export function keyHash(table: TableDescriptor, columnIds: readonly number[]): (key: KeyRow) => unknown {
  const shape = tableShape(table);
  return rowKey(
    columnIds.map((_, i) => i),
    columnIds.map((id) => (table.columns[shape.positionOf(id)] as TableDescriptor['columns'][number]).type),
  );
}

export function differ(table: TableDescriptor, columnIds: readonly number[], a: readonly Datum[], b: readonly Datum[]): boolean {
  const shape = tableShape(table);
  return columnIds.some((id) => {
    const position = shape.positionOf(id);
    const column = table.columns[position];
    return column !== undefined && !datumsEqual(column.type, a[position] as Datum, b[position] as Datum);
  });
}

/** A scan of a whole table, rows laid out as statements lay them out. */
export function wholeScan(table: TableDescriptor): ScanNode {
  const shape = tableShape(table);
  return {
    kind: 'scan',
    table,
    alias: table.name,
    index: table.primaryIndex,
    constraint: undefined,
    columnIds: shape.columnIds,
    reverse: false,
    limit: undefined,
    forcedIndex: undefined,
    forWrite: true,
    isConstraint: true,
    columns: shape.columns,
  };
}
