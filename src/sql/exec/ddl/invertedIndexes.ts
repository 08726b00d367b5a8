/**
 * Inverted indexes: CREATE INVERTED INDEX ON t (doc), USING GIN (tags).
 *
 * The last column is the one that is looked into, a JSONB or an array. In the index a virtual column of BYTES stands for its
 * keys, of which a row has several (catalog/invertedKeys.ts); columns before it are ordinary.
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { isKeyable } from '../../../catalog/columnCodec.ts';
import { type ColumnDescriptor, columnByName, type TableDescriptor } from '../../../catalog/descriptor.ts';
import { quoteName } from '../../../catalog/names.ts';
import { sqlTypeName } from '../../../catalog/type.ts';
import type { IndexElement, Name } from '../../parse/ast.ts';
import { parseExpression } from '../../parse/parse.ts';
import type { SchemaChange } from './common.ts';
import { expressionColumn } from './indexExpressions.ts';

/** 0A000, 42P16 for what an inverted index cannot be. */
export function checkInverted(element: {
  readonly unique: boolean;
  readonly storing: readonly Name[];
  readonly columns: readonly IndexElement[];
}): void {
  if (element.unique) throw new StatementError(SqlState.InvalidTableDefinition, "inverted indexes can't be unique");
  if (element.storing.length > 0)
    throw new StatementError(SqlState.InvalidTableDefinition, "inverted indexes don't support stored columns");
  if (element.columns.at(-1)?.descending) {
    throw new StatementError(SqlState.FeatureNotSupported, 'the last column in an inverted index cannot have the DESC option');
  }
}

/** The column looked into, and the one that stands for its keys: one there is, or a new one with the table's next id. */
export function invertedColumn(
  change: SchemaChange,
  table: TableDescriptor,
  { expr }: IndexElement,
): { readonly column: ColumnDescriptor; readonly key: ColumnDescriptor } {
  if (expr.kind !== 'column' || expr.parts.length !== 1) {
    throw new StatementError(SqlState.FeatureNotSupported, 'inverted indexes over expressions are not supported', {
      hint: 'add a computed column, and make the index over it',
    });
  }
  const name = expr.parts[0]?.text ?? '';
  const column = columnByName(table, name);
  if (!column) throw new StatementError(SqlState.UndefinedColumn, `column "${name}" does not exist`);
  const { family, element } = column.type;
  if (family !== 'jsonb' && !(family === 'array' && element && isKeyable(element))) {
    throw new StatementError(
      SqlState.FeatureNotSupported,
      `column ${name} of type ${sqlTypeName(column.type).toLowerCase()} is not allowed as the last column in an inverted index`,
    );
  }
  const key = expressionColumn(change, table, parseExpression(`crdb_internal.inverted_key(${quoteName(name)})`));
  return { column, key };
}
