/**
 * FOREIGN KEY definitions: checked against the table they refer to, and made into descriptors.
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import {
  allIndexes,
  type ColumnDescriptor,
  columnByName,
  givenKeyColumnIds,
  type ForeignKeyAction,
  type ForeignKeyDescriptor,
  type TableDescriptor,
} from '../../../catalog/descriptor.ts';
import { familyName, typesEquivalent } from '../../../catalog/type.ts';
import type { ForeignKeyReference, Name, ReferentialAction } from '../../parse/ast.ts';
import { partsOf, type SchemaChange } from './common.ts';

const ACTIONS: Readonly<Record<ReferentialAction, ForeignKeyAction>> = {
  noAction: 'NO ACTION',
  restrict: 'RESTRICT',
  cascade: 'CASCADE',
  setNull: 'SET NULL',
  setDefault: 'SET DEFAULT',
};

export interface ForeignKeyDefinition {
  readonly name: string;
  readonly columns: readonly Name[];
  readonly reference: ForeignKeyReference;
  readonly validated: boolean;
}

/** The descriptor of a foreign key of `table`, with the table's next constraint id. 42703, 42804, 42830. */
export function foreignKeyOf(
  change: SchemaChange,
  table: TableDescriptor,
  { name, columns, reference, validated }: ForeignKeyDefinition,
): ForeignKeyDescriptor {
  const parent = referencedTable(change, table, reference);
  const columnIds = columns.map((column) => columnId(table, column));
  columns.forEach(({ text }, i) => {
    if (columnIds.indexOf(columnIds[i] as number) < i) {
      throw new StatementError(SqlState.InvalidForeignKey, `foreign key contains duplicate column "${text}"`);
    }
  });
  const referencedColumnIds =
    reference.columns.length > 0
      ? reference.columns.map((column) => columnId(parent, column))
      : [...givenKeyColumnIds(parent.primaryIndex)];
  if (referencedColumnIds.length !== columnIds.length) {
    throw new StatementError(
      SqlState.SyntaxError,
      `${columnIds.length} columns must reference exactly ${columnIds.length} columns in referenced table (found ${referencedColumnIds.length})`,
    );
  }
  checkTypes(table, columnIds, parent, referencedColumnIds);
  checkUnique(parent, referencedColumnIds);
  const onDelete = ACTIONS[reference.onDelete];
  const onUpdate = ACTIONS[reference.onUpdate];
  const { deferral } = reference;
  if (deferral && reference.match === 'full' && columnIds.length > 1) {
    throw new StatementError(SqlState.FeatureNotSupported, 'unimplemented: deferrable foreign keys of several columns with MATCH FULL');
  }
  for (const action of [onDelete, onUpdate]) checkAction(change, table, action, columnIds);
  const virtual = table.columns.find((column) => column.isVirtual && columnIds.includes(column.id));
  if (virtual) {
    throw new StatementError(SqlState.FeatureNotSupported, `virtual column "${virtual.name}" cannot reference a foreign key`);
  }
  // What is computed cannot be set; with its row it may go.
  if (columnIds.some((id) => table.columns.find((column) => column.id === id)?.computeExpr !== undefined)) {
    const isSet = (action: ForeignKeyAction): boolean => action === 'SET NULL' || action === 'SET DEFAULT';
    const which = isSet(onUpdate) || onUpdate === 'CASCADE' ? 'ON UPDATE' : isSet(onDelete) ? 'ON DELETE' : undefined;
    if (which) {
      throw new StatementError(SqlState.InvalidForeignKey, `invalid ${which} action for foreign key constraint containing computed column`);
    }
  }
  return {
    id: table.nextConstraintId,
    name,
    columnIds,
    referencedTableId: parent.id,
    referencedColumnIds,
    onDelete,
    onUpdate,
    match: reference.match === 'full' ? 'FULL' : 'SIMPLE',
    validated,
    ...(deferral && { deferral }),
  };
}

/** A table under construction may refer to itself before any name finds it. */
function referencedTable(change: SchemaChange, table: TableDescriptor, reference: ForeignKeyReference): TableDescriptor {
  const parts = partsOf(reference.table);
  const isSelf = parts.length === 1 && parts[0] === table.name && !change.snapshot.tableById(table.id);
  const found = isSelf ? table : change.table(reference.table);
  if (found.id === table.id) return table;
  if (found.temporary !== table.temporary) {
    const kind = table.temporary ? 'temporary' : 'permanent';
    throw new StatementError(SqlState.InvalidTableDefinition, `constraints on ${kind} tables may reference only ${kind} tables`);
  }
  if (found.parentId !== table.parentId && !change.context.engine.settings.bool('sql.cross_db_fks.enabled')) {
    throw new StatementError(
      SqlState.InvalidForeignKey,
      "foreign references between databases are not allowed (see the 'sql.cross_db_fks.enabled' cluster setting)",
    );
  }
  change.check(found, 'SELECT');
  return found;
}

function columnId(table: TableDescriptor, name: Name): number {
  const column = columnByName(table, name.text);
  if (!column) throw new StatementError(SqlState.UndefinedColumn, `column "${name.text}" does not exist`);
  return column.id;
}

function checkTypes(table: TableDescriptor, columnIds: readonly number[], parent: TableDescriptor, referencedIds: readonly number[]): void {
  columnIds.forEach((id, i) => {
    const from = table.columns.find((column) => column.id === id) as ColumnDescriptor;
    const to = parent.columns.find((column) => column.id === referencedIds[i]) as ColumnDescriptor;
    if (typesEquivalent(from.type, to.type)) return;
    throw new StatementError(
      SqlState.DatatypeMismatch,
      `type of "${from.name}" (${familyName(from.type)}) does not match foreign key "${parent.name}"."${to.name}" (${familyName(to.type)})`,
    );
  });
}

function checkUnique(parent: TableDescriptor, referencedIds: readonly number[]): void {
  const isUnique = allIndexes(parent).some(
    (index) =>
      index.unique &&
      index.state === 'public' &&
      index.predicate === undefined &&
      givenKeyColumnIds(index).length === referencedIds.length &&
      givenKeyColumnIds(index).every((id) => referencedIds.includes(id)),
  );
  const isKept = parent.uniqueWithoutIndex?.some(
    ({ columnIds }) => columnIds.length === referencedIds.length && columnIds.every((id) => referencedIds.includes(id)),
  );
  if (isUnique || isKept) return;
  const names = referencedIds.map((id) => parent.columns.find((column) => column.id === id)?.name).join(', ');
  throw new StatementError(
    SqlState.InvalidForeignKey,
    `there is no unique constraint matching given keys for referenced table ${parent.name}`,
    { detail: `no unique index on (${names})` },
  );
}

/** The setting that accepts actions which can only fail. */
export const NULL_ACTIONS_SETTING = 'varve.null_actions_on_not_null';

/** A column that an action would set to NULL, though it is NOT NULL: the action can only fail. */
function columnThatFails(table: TableDescriptor, action: ForeignKeyAction, columnIds: readonly number[]): ColumnDescriptor | undefined {
  if (action !== 'SET NULL' && action !== 'SET DEFAULT') return undefined;
  return table.columns.find(
    (column) => columnIds.includes(column.id) && !column.nullable && (action === 'SET NULL' || column.defaultExpr === undefined),
  );
}

/** Whether a foreign key is accepted only under NULL_ACTIONS_SETTING. */
export function hasActionThatFails(table: TableDescriptor, { onDelete, onUpdate, columnIds }: ForeignKeyDescriptor): boolean {
  return [onDelete, onUpdate].some((action) => columnThatFails(table, action, columnIds) !== undefined);
}

function checkAction(change: SchemaChange, table: TableDescriptor, action: ForeignKeyAction, columnIds: readonly number[]): void {
  const column = columnThatFails(table, action, columnIds);
  if (!column || change.context.session.vars.get(NULL_ACTIONS_SETTING) === 'on') return;
  const full = [...change.snapshot.fullName(table), column.name].join('.');
  const what = `cannot add a ${action} cascading action on column "${full}" which has a NOT NULL constraint`;
  throw new StatementError(SqlState.InvalidForeignKey, action === 'SET NULL' ? what : `${what} and a NULL default expression`, {
    hint: `such an action can only fail; SET ${NULL_ACTIONS_SETTING} = on accepts it all the same, as PostgreSQL does`,
  });
}
