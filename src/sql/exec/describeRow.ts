/** Rows and keys in words: how error details show them. */
import type { Datum } from '../../catalog/datum.ts';
import { formatDatum } from '../../catalog/datumText.ts';
import type { ColumnDescriptor, TableDescriptor } from '../../catalog/descriptor.ts';
import { tableShape } from '../plan/tableShape.ts';

/** `(a, b)=(1, 'x')`: columns and values as error details show them. */
export function describeKey(table: TableDescriptor, columnIds: readonly number[], row: readonly Datum[]): string {
  const shown = describeValues(table, columnIds, row);
  return `(${shown.map(([name]) => name).join(', ')})=(${shown.map(([, value]) => value).join(', ')})`;
}

/** `a=1, b='x'`: a row as validation shows it. */
export function describeRow(table: TableDescriptor, columnIds: readonly number[], row: readonly Datum[]): string {
  return describeValues(table, columnIds, row)
    .map((shown) => shown.join('='))
    .join(', ');
}

function describeValues(table: TableDescriptor, columnIds: readonly number[], row: readonly Datum[]): [name: string, value: string][] {
  return columnIds.flatMap((id) => {
    const position = tableShape(table).positionOf(id);
    const column = table.columns[position];
    if (!column) return [];
    const value = row[position] ?? null;
    const text =
      value === null ? 'NULL' : value === true ? 'true' : value === false ? 'false' : quoteIfText(column, formatDatum(column.type, value));
    return [[column.name, text] as [string, string]];
  });
}

const PLAIN_FAMILIES = new Set(['int', 'float', 'decimal', 'bool', 'oid']);

function quoteIfText(column: ColumnDescriptor, text: string): string {
  return PLAIN_FAMILIES.has(column.type.family) ? text : `'${text.replaceAll("'", "''")}'`;
}
