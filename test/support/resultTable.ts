/** A statement's result as text for golden scripts: columns padded to their widest value, NULL as NULL. */
import type { StatementResult } from '../../src/sql/exec/statement.ts';
import { textRows } from './sqlHarness.ts';

export function resultTable(result: StatementResult): string {
  if (!result.columns) return result.tag;
  const header = result.columns.map((column) => column.name);
  const rows = textRows(result).map((row) => row.map((value) => value ?? 'NULL'));
  const hasLongText = rows.some((row) => row.some((value) => value.includes('\n')));
  const widths = header.map((name, i) => Math.max(name.length, ...rows.map((row) => (row[i] ?? '').length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (hasLongText ? cell : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd();
  return [line(header), ...rows.map(line)].join('\n');
}
