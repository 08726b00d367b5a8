/**
 * Identity columns that come, change and go after their table: ALTER COLUMN ... ADD GENERATED, SET
 * GENERATED, DROP IDENTITY. Rows that are there keep their values.
 *
 * Lives elsewhere: identity in CREATE TABLE, and the sequence itself (serialColumn.ts).
 */
import { StateError, StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { ColumnDescriptor, TableDescriptor } from '../../../catalog/descriptor.ts';
import { updated } from '../../../catalog/descriptor.ts';
import type { AlterTableAction, DropBehavior } from '../../parse/ast.ts';
import type { SchemaChange } from './common.ts';
import { dropSequence } from './drop.ts';
import { withSequence } from './serialColumn.ts';

type IdentityAction = Extract<AlterTableAction, { type: 'addIdentity' | 'setIdentity' | 'dropIdentity' }>;

/** 22023 and 55000 for columns that cannot be what they are to become. */
export async function alterIdentity(
  change: SchemaChange,
  table: TableDescriptor,
  column: ColumnDescriptor,
  action: IdentityAction,
): Promise<void> {
  const kind = 'always' in action && action.always ? 'always' : 'by default';
  const place = `column "${column.name}" of relation "${table.name}"`;
  if (action.type === 'addIdentity') {
    checkMayCount(column, place);
    const counted = await withSequence(change, table, { ...column, generatedAsIdentity: kind }, action.options);
    return change.write(withColumn(table, counted));
  }
  if (column.generatedAsIdentity === undefined) {
    if (action.type === 'dropIdentity' && action.ifExists) {
      change.context.notice(`${place} is not an identity column, skipping`);
      return;
    }
    throw new StateError(SqlState.ObjectNotInPrerequisiteState, `${place} is not an identity column`);
  }
  if (action.type === 'setIdentity') return change.write(withColumn(table, { ...column, generatedAsIdentity: kind }));
  const { generatedAsIdentity: _, defaultExpr: _default, usesSequenceIds: _uses, ownsSequenceIds: _owns, ...plain } = column;
  await change.write(withColumn(table, plain));
  await dropOwnedSequences(change, column, undefined);
}

function checkMayCount(column: ColumnDescriptor, place: string): void {
  const refuse = (what: string) => new StateError(SqlState.ObjectNotInPrerequisiteState, `${place} ${what}`);
  if (column.generatedAsIdentity !== undefined) throw refuse('is already an identity column');
  if (column.defaultExpr !== undefined || column.computeExpr !== undefined) throw refuse('already has a default value');
  if (column.type.family !== 'int') {
    throw new StatementError(SqlState.InvalidParameterValue, 'identity column type must be INT, INT2, INT4 or INT8');
  }
  if (column.nullable) throw refuse('must be declared NOT NULL before identity can be added');
}

function withColumn(table: TableDescriptor, column: ColumnDescriptor): TableDescriptor {
  return updated(table, { columns: table.columns.map((one) => (one.id === column.id ? column : one)) });
}

/** The sequences that a column owns go with it; with RESTRICT, 2BP01 where another column calls one. */
export async function dropOwnedSequences(change: SchemaChange, column: ColumnDescriptor, behavior: DropBehavior): Promise<void> {
  for (const id of column.ownsSequenceIds ?? []) await dropSequence(change, id, behavior);
}
