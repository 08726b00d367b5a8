/**
 * Index keys that are expressions: CREATE INDEX ON t (lower(a)).
 *
 * The expression becomes a virtual computed column that no statement can name; it is called by the expression's
 * text, so that errors and catalogs show that. Indexes over one expression share a column, and the last of them to go takes
 * it along. Lives elsewhere: finding the expression in conditions (../../plan/indexExpressions.ts).
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { isKeyable } from '../../../catalog/columnCodec.ts';
import { allIndexes, type ColumnDescriptor, type TableDescriptor } from '../../../catalog/descriptor.ts';
import { familyName } from '../../../catalog/type.ts';
import type { Expr } from '../../parse/ast.ts';
import type { SchemaChange } from './common.ts';
import { storeIndexExpression } from './storedExpr.ts';

/** The column that stands for an expression: one there is, or a new one with the table's next id. 42P16, 0A000 when it cannot be a key. */
export function expressionColumn(change: SchemaChange, table: TableDescriptor, expr: Expr): ColumnDescriptor {
  const { text, type } = storeIndexExpression(change, expr, table);
  const known = table.columns.find((column) => column.isIndexExpression && column.computeExpr === text);
  if (known) return known;
  if (!isKeyable(type)) {
    throw new StatementError(SqlState.FeatureNotSupported, `index element ${text} of type ${familyName(type)} is not indexable`);
  }
  return {
    id: table.nextColumnId,
    name: text,
    type,
    nullable: true,
    computeExpr: text,
    isVirtual: true,
    isIndexExpression: true,
    hidden: true,
    state: 'public',
  };
}

/** The columns without those of expressions that no index is over any more. */
export function withoutIdleExpressions(table: TableDescriptor): readonly ColumnDescriptor[] {
  return table.columns.filter(
    (column) => !column.isIndexExpression || allIndexes(table).some((index) => index.columnIds.includes(column.id)),
  );
}
