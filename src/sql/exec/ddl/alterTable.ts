/**
 * ALTER TABLE: each action turns the descriptor into the next one. What only adds (columns with values,
 * indexes, constraints) is left to a job where the table has rows, as with CREATE INDEX (indexes.ts).
 * What rewrites the rows as they stand (ALTER COLUMN TYPE, ALTER PRIMARY KEY, a column filled from a
 * sequence) does it in the statement's transaction, whose read set holds every row.
 */
import { ConstraintError, StateError, StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { prefixSpan } from '../../../base/span.ts';
import { tablePrefix } from '../../../base/keycode.ts';
import { type CheckDescriptor, columnByName, type ColumnDescriptor, type TableDescriptor, updated } from '../../../catalog/descriptor.ts';
import { quoteName } from '../../../catalog/names.ts';
import { analyzeExpr } from '../../expr/analyze.ts';
import { traits } from '../../expr/traits.ts';
import { parseExpression } from '../../parse/parse.ts';
import type { AlterTable, AlterTableAction, Name } from '../../parse/ast.ts';
import { constraintQueue } from '../foreignKeys.ts';
import { defaultOf, type RowChange, rowAnalysis, tableWriter } from '../tableWriter.ts';
import { notNullError } from '../schemaChange/validateChange.ts';
import { freeName, type SchemaChange } from './common.ts';
import {
  addConstraint,
  alterPrimaryKey,
  validateCheck,
  dropConstraint,
  renameConstraint,
  validateConstraint,
  constraintNames,
  rowsOf,
} from './alterConstraints.ts';
import { dropForeignKey } from './dropForeignKey.ts';
import { setColumnType } from './columnType.ts';
import { TableBuilder } from './createTable.ts';
import { dropViewsOf } from './drop.ts';
import { alterIdentity, dropOwnedSequences } from './identity.ts';
import { dropUniqueWithoutIndex } from './uniqueWithoutIndex.ts';
import { setLocality } from './setLocality.ts';
import { moveRelation, renameRelation, schemaToMoveTo } from './databases.ts';
import { setOwner } from './ownership.ts';
import { fillIndex, removeIndex } from './indexes.ts';
import { renameInText, storeDefault } from './storedExpr.ts';

export async function alterTable(change: SchemaChange, stmt: AlterTable): Promise<void> {
  const found = change.relation(stmt.name, 'any', stmt.ifExists);
  if (!found) return;
  const { id } = found.descriptor;
  const isRename = stmt.actions.every((action) => action.type === 'rename' || action.type === 'setSchema' || action.type === 'owner');
  if (!isRename && (found.descriptor.sequence || found.descriptor.view)) {
    throw new StatementError(SqlState.WrongObjectType, `"${found.descriptor.name}" is not a table`);
  }
  // What moves the table asks for rights of its own.
  if (!isRename) change.checkAlterable(found.descriptor);
  await change.awaitPending(found.descriptor);
  const described = { ...stmt, name: change.fullName(found.descriptor, stmt.name) };
  for (const action of stmt.actions) {
    const table = change.snapshot.tableById(id);
    if (table) await apply(change, table, action, described);
  }
}

function requireColumn(table: TableDescriptor, name: Name): ColumnDescriptor {
  const column = columnByName(table, name.text);
  if (column?.state !== 'public') throw new StatementError(SqlState.UndefinedColumn, `column "${name.text}" does not exist`);
  return column;
}

async function isEmpty(change: SchemaChange, table: TableDescriptor): Promise<boolean> {
  const result = await change.txn.scan(prefixSpan(tablePrefix(table.id)), { limit: 1, validated: true });
  return result.keys.length === 0;
}

async function apply(change: SchemaChange, table: TableDescriptor, action: AlterTableAction, stmt: AlterTable): Promise<void> {
  const builder = new TableBuilder(change, table);
  switch (action.type) {
    case 'addColumn':
      return addColumn(change, table, action, stmt);
    case 'dropColumn':
      return dropColumn(change, table, action);
    case 'setDefault': {
      const column = requireColumn(table, action.column);
      if (column.computeExpr !== undefined) {
        throw new StatementError(SqlState.SyntaxError, `column "${column.name}" of relation "${table.name}" is a computed column`);
      }
      const stored = storeDefault(change, action.expr, column.type, column.name);
      const isNull = action.expr.kind === 'null';
      builder.replaceColumn(column.id, {
        defaultExpr: isNull ? undefined : stored.text,
        usesSequenceIds: stored.sequenceIds.length > 0 ? stored.sequenceIds : undefined,
      });
      builder.noteSequences(column.id, stored.sequenceIds);
      await change.write(builder.table);
      return builder.writeReferences();
    }
    case 'dropDefault':
      builder.replaceColumn(requireColumn(table, action.column).id, { defaultExpr: undefined, usesSequenceIds: undefined });
      return change.write(builder.table);
    case 'setOnUpdate': {
      const column = requireColumn(table, action.column);
      const stored = storeDefault(change, action.expr, column.type, column.name, 'ON UPDATE');
      builder.replaceColumn(column.id, { onUpdateExpr: stored.text });
      builder.noteSequences(column.id, stored.sequenceIds);
      await change.write(builder.table);
      return builder.writeReferences();
    }
    case 'dropOnUpdate':
      builder.replaceColumn(requireColumn(table, action.column).id, { onUpdateExpr: undefined });
      return change.write(builder.table);
    case 'setNotNull':
      return setNotNull(change, table, requireColumn(table, action.column), stmt);
    case 'setPhysical':
      requireColumn(table, action.column);
      change.context.notice(`SET ${action.parameter} has no effect`, {
        detail: action.parameter === 'STORAGE' ? 'rows are kept in memory, whole' : 'the planner takes no samples of columns',
      });
      return;
    case 'dropNotNull': {
      const column = requireColumn(table, action.column);
      if (table.primaryIndex.columnIds.includes(column.id)) {
        throw new StatementError(SqlState.InvalidTableDefinition, `column "${column.name}" is in a primary index`);
      }
      builder.replaceColumn(column.id, { nullable: true });
      return change.write(builder.table);
    }
    case 'setVisible':
      builder.replaceColumn(requireColumn(table, action.column).id, { hidden: action.visible ? undefined : true });
      return change.write(builder.table);
    case 'addIdentity':
    case 'setIdentity':
    case 'dropIdentity':
      return alterIdentity(change, table, requireColumn(table, action.column), action);
    case 'dropStored': {
      const column = requireColumn(table, action.column);
      if (column.computeExpr === undefined) {
        throw new StatementError(SqlState.InvalidColumnDefinition, `column "${column.name}" is not a computed column`);
      }
      if (column.isVirtual) {
        throw new StatementError(SqlState.InvalidColumnDefinition, `column "${column.name}" is not a stored computed column`);
      }
      builder.replaceColumn(column.id, { computeExpr: undefined });
      return change.write(builder.table);
    }
    case 'setType':
      return setColumnType(change, table, requireColumn(table, action.column), action);
    case 'renameColumn':
      return renameColumn(change, table, action);
    case 'addConstraint':
      return addConstraint(change, table, action, stmt);
    case 'dropConstraint':
      return dropConstraint(change, table, action);
    case 'renameConstraint':
      return renameConstraint(change, table, action);
    case 'validateConstraint':
      return validateConstraint(change, table, action.constraint, stmt);
    case 'alterPrimaryKey':
      return alterPrimaryKey(change, table, action);
    case 'setStorageParams':
      for (const param of action.params) {
        builder.storageParam(param, await change.context.evalDatum(param.value ?? { kind: 'boolean', value: true, pos: 0 }));
      }
      return change.write(builder.table);
    case 'resetStorageParams': {
      const params = Object.fromEntries(Object.entries(table.storageParams ?? {}).filter(([name]) => !action.names.includes(name)));
      builder.set({ storageParams: params });
      if (action.names.includes('exclude_data_from_backup')) builder.set({ excludeDataFromBackup: undefined });
      return change.write(builder.table);
    }
    case 'setLocality':
      return setLocality(change, builder, action.locality);
    case 'rename':
      return renameRelation(change, table, action.newName);
    case 'setSchema': {
      const database = change.snapshot.databaseById(table.parentId);
      if (!database) return;
      change.check(table, 'DROP');
      return moveRelation(change, table, schemaToMoveTo(change, database, action.schema.text, table.schemaId).id, table.name);
    }
    case 'owner':
      return setOwner(change, table, action.owner);
  }
}

type Action<T extends AlterTableAction['type']> = Extract<AlterTableAction, { type: T }>;

async function addColumn(change: SchemaChange, table: TableDescriptor, action: Action<'addColumn'>, stmt: AlterTable): Promise<void> {
  const existing = columnByName(table, action.column.name.text);
  if (existing) {
    if (action.ifNotExists) return;
    throw new StatementError(SqlState.DuplicateColumn, `column "${existing.name}" of relation "${table.name}" already exists`);
  }
  if (action.column.qualifiers.some((qualifier) => qualifier.type === 'unique' && qualifier.withoutIndex)) {
    throw new StatementError(SqlState.FeatureNotSupported, 'adding a column marked as UNIQUE WITHOUT INDEX is unsupported', {
      hint: 'add the column first, then run ALTER TABLE ... ADD CONSTRAINT to add a UNIQUE WITHOUT INDEX constraint on the column',
    });
  }
  const builder = new TableBuilder(change, table);
  const indexesBefore = new Set(table.indexes.map((index) => index.id));
  await builder.addElements([action.column]);
  builder.finish();
  if ((await change.isOnline(table)) && !readsSequence(change, builder.table, action.column.name)) {
    return addColumnOnline(change, table, builder, action, stmt);
  }
  await change.write(builder.table);
  await builder.writeReferences();
  const next = builder.table;
  const column = columnByName(next, action.column.name.text);
  if (!column) return;
  const needsValue = column.defaultExpr !== undefined || column.computeExpr !== undefined;
  if (needsValue) await backfillColumn(change, table, next, column);
  else if (!column.nullable && !(await isEmpty(change, next))) throw nullsPresent(column);
  for (const index of next.indexes) if (!indexesBefore.has(index.id)) await fillIndex(change, next, index);
  for (const check of next.checks) if (!table.checks.some((known) => known.id === check.id)) await validateCheck(change, next, check);
}

/** Its default asks a sequence, or something else that has to be waited for: not for writers to fill in passing. */
function readsSequence(change: SchemaChange, table: TableDescriptor, name: Name): boolean {
  const column = columnByName(table, name.text);
  if (column?.defaultExpr === undefined) return false;
  const context = rowAnalysis(table, change.context.engine.functions, 'DEFAULT');
  return traits(analyzeExpr(parseExpression(column.defaultExpr), context, column.type)).isAsync;
}

/** A column that needs nothing of the rows is there at once; any other waits, with all that came with it, for the job. */
async function addColumnOnline(
  change: SchemaChange,
  before: TableDescriptor,
  builder: TableBuilder,
  action: Action<'addColumn'>,
  stmt: AlterTable,
): Promise<void> {
  const column = builder.column(action.column.name.text);
  const isNew = (known: readonly { readonly id: number }[]) => (one: { readonly id: number }) => !known.some(({ id }) => id === one.id);
  const isNewIndex = isNew(before.indexes);
  const isNewConstraint = isNew([...before.checks, ...before.foreignKeys]);
  const { indexes, checks, foreignKeys } = builder.table;
  const indexIds = indexes.filter(isNewIndex).map(({ id }) => id);
  const constraintIds = [...checks, ...foreignKeys].filter(isNewConstraint).map(({ id }) => id);
  const hasValue = column.defaultExpr !== undefined || column.computeExpr !== undefined;
  if (!hasValue && !column.nullable) throw nullsPresent(column);
  if (!hasValue && indexIds.length + constraintIds.length === 0) {
    await change.write(builder.table);
    return builder.writeReferences();
  }
  builder.replaceColumn(column.id, { state: 'write_only' });
  const unvalidated = <C extends { readonly id: number }>(one: C): C => (isNewConstraint(one) ? { ...one, validated: false } : one);
  builder.set({
    indexes: indexes.map((index) => (isNewIndex(index) ? { ...index, state: 'write_only' as const } : index)),
    checks: checks.map(unvalidated),
    foreignKeys: foreignKeys.map(unvalidated),
  });
  await change.writePending(builder.table, { columnIds: [column.id], indexIds, constraintIds }, stmt);
  await builder.writeReferences();
}

function nullsPresent(column: ColumnDescriptor): ConstraintError {
  return new ConstraintError(SqlState.NotNullViolation, `null value in column "${column.name}" violates not-null constraint`, {
    column: column.name,
  });
}

/** Rewrites every row with the new column's default, or its computed value. */
async function backfillColumn(
  change: SchemaChange,
  before: TableDescriptor,
  table: TableDescriptor,
  column: ColumnDescriptor,
): Promise<void> {
  const run = change.context.newRun(0, 0);
  const { engine } = change.context;
  const rows = await rowsOf(change, before);
  const position = table.columns.findIndex((one) => one.id === column.id);
  const writer = tableWriter(table, engine.functions);
  const queue = await constraintQueue(change.context);
  const changes: RowChange[] = [];
  for (const row of rows) {
    const old = row.slice(0, before.columns.length);
    old.splice(position, 0, null);
    const next = old.slice();
    if (column.computeExpr === undefined) next[position] = await defaultOf(table, column.id, run);
    writer.prepare(next, run);
    changes.push({ old, next });
  }
  // Indexes over the new column are filled afterwards, from the rows as they then are.
  const plain = { ...table, indexes: table.indexes.filter((index) => before.indexes.some((known) => known.id === index.id)) };
  await tableWriter(plain, engine.functions).update(changes, run, queue);
  await queue.settle(run);
}

async function dropColumn(change: SchemaChange, table: TableDescriptor, action: Action<'dropColumn'>): Promise<void> {
  const column = columnByName(table, action.column.text);
  if (!column) {
    if (action.ifExists) return;
    throw new StatementError(SqlState.UndefinedColumn, `column "${action.column.text}" does not exist`);
  }
  if (change.context.session.vars.isOn('sql_safe_updates')) {
    throw new StatementError(
      SqlState.Warning,
      'rejected (sql_safe_updates = true): ALTER TABLE DROP COLUMN will remove all data in that column',
    );
  }
  if (table.locality?.kind === 'row' && table.locality.columnId === column.id) {
    throw new StatementError(
      SqlState.InvalidColumnReference,
      `cannot drop column ${quoteName(column.name)} as it is used to store the region in a REGIONAL BY ROW table`,
      { hint: 'change the locality of the table first, or have its regions in another column: ALTER TABLE ... SET LOCALITY' },
    );
  }
  if (table.primaryIndex.columnIds.includes(column.id)) {
    throw new StatementError(SqlState.InvalidColumnReference, `column "${column.name}" is referenced by the primary key`);
  }
  if (action.behavior === 'cascade') await dropViewsOf(change, table, { columnId: column.id });
  const reads = (one: ColumnDescriptor): boolean => one.computeExpr !== undefined && mentions(one.computeExpr, column.name);
  const expressionIds = table.columns.filter((one) => one.isIndexExpression && reads(one)).map((one) => one.id);
  const computed = table.columns.find((one) => !one.isIndexExpression && reads(one));
  if (computed) {
    throw new StateError(SqlState.InvalidColumnReference, `column "${column.name}" is referenced by computed column "${computed.name}"`);
  }
  for (const index of table.indexes) {
    const isOver = [...index.columnIds, ...index.storeColumnIds].some((id) => id === column.id || expressionIds.includes(id));
    if (!isOver && !(index.predicate && mentions(index.predicate, column.name))) continue;
    await removeIndex(change, table, index, action.behavior === 'cascade');
  }
  for (const fk of table.foreignKeys) {
    if (!fk.columnIds.includes(column.id)) continue;
    await dropForeignKey(change, change.snapshot.tableById(table.id) ?? table, fk.id);
  }
  const unique = table.uniqueWithoutIndex?.filter(({ columnIds }) => columnIds.includes(column.id)) ?? [];
  if (unique.length > 0) await dropUniqueWithoutIndex(change, table, unique, action.behavior === 'cascade');
  const current = change.snapshot.tableById(table.id) ?? table;
  for (const id of current.referencedByIds) {
    const child = change.snapshot.tableById(id);
    if (child?.foreignKeys.some((fk) => fk.referencedTableId === table.id && fk.referencedColumnIds.includes(column.id))) {
      throw new StateError(SqlState.DependentObjectsStillExist, `"${column.name}" is referenced by foreign key from table "${child.name}"`);
    }
  }
  await change.write(
    updated(current, {
      columns: current.columns.filter((one) => one.id !== column.id),
      families: current.families.map((family) => ({ ...family, columnIds: family.columnIds.filter((id) => id !== column.id) })),
      checks: current.checks.filter((check) => !check.columnIds.includes(column.id)),
    }),
  );
  await dropOwnedSequences(change, column, action.behavior);
}

function mentions(expr: string, name: string): boolean {
  return renameInText(expr, name, `${name}_`) !== renameInText(expr, name, name);
}

async function setNotNull(change: SchemaChange, table: TableDescriptor, column: ColumnDescriptor, stmt: AlterTable): Promise<void> {
  if (!column.nullable) return;
  if (await change.isOnline(table)) {
    // Until every row was looked at a check keeps new ones from being NULL.
    const names = new Set(constraintNames(table));
    const check: CheckDescriptor = {
      id: table.nextConstraintId,
      name: freeName(`${column.name}_auto_not_null`, names),
      expr: `${quoteName(column.name)} IS NOT NULL`,
      columnIds: [column.id],
      validated: false,
    };
    const next = updated(table, { checks: [...table.checks, check], nextConstraintId: check.id + 1 });
    return change.writePending(next, { notNull: [{ columnId: column.id, checkId: check.id }] }, stmt);
  }
  const position = table.columns.indexOf(column);
  for (const row of await rowsOf(change, table)) {
    if (row[position] === null) throw notNullError(table, position, row);
  }
  const builder = new TableBuilder(change, table);
  builder.replaceColumn(column.id, { nullable: false });
  await change.write(builder.table);
}

async function renameColumn(change: SchemaChange, table: TableDescriptor, action: Action<'renameColumn'>): Promise<void> {
  const column = requireColumn(table, action.column);
  const to = action.newName.text;
  if (to === column.name) return;
  if (columnByName(table, to))
    throw new StatementError(SqlState.DuplicateColumn, `column "${to}" of relation "${table.name}" already exists`);
  const rename = (text: string): string => renameInText(text, column.name, to);
  await change.write(
    updated(table, {
      columns: table.columns.map((one) => ({
        ...one,
        ...(one.id === column.id && { name: to }),
        ...(one.computeExpr !== undefined && { computeExpr: rename(one.computeExpr) }),
        ...(one.isIndexExpression && { name: rename(one.name) }),
      })),
      checks: table.checks.map((check) => (check.columnIds.includes(column.id) ? { ...check, expr: rename(check.expr) } : check)),
      indexes: table.indexes.map((index) => (index.predicate === undefined ? index : { ...index, predicate: rename(index.predicate) })),
    }),
  );
}
