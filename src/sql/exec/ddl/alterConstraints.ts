/**
 * ALTER TABLE, the part of it that is about constraints: adding, dropping, renaming and validating them, and
 * moving the rows to another primary key.
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { type CheckDescriptor, givenKeyColumnIds, type TableDescriptor, updated } from '../../../catalog/descriptor.ts';
import { analyzeBool } from '../../expr/analyze.ts';
import { compileExpr } from '../../expr/compile.ts';
import { parseExpression } from '../../parse/parse.ts';
import type { AlterTable, AlterTableAction, Name } from '../../parse/ast.ts';
import { indexNamed } from '../../plan/indexNamed.ts';
import { constraintQueue, validateForeignKey } from '../foreignKeys.ts';
import { wholeScan } from '../keyRows.ts';
import { compileReadOnly } from '../operators.ts';
import { collect } from '../run.ts';
import { rowAnalysis, tableWriter } from '../tableWriter.ts';
import { checkError } from '../schemaChange/validateChange.ts';
import type { SchemaChange } from './common.ts';
import { bucketsOf } from './hashSharded.ts';
import { foreignKeyNamed } from './constraintNames.ts';
import { TableBuilder } from './createTable.ts';
import { dropForeignKey } from './dropForeignKey.ts';
import { fillIndex } from './indexes.ts';
import { withRegionFirst } from './localities.ts';
import { addUniqueWithoutIndex, dropUniqueWithoutIndex, validateUniqueWithoutIndex } from './uniqueWithoutIndex.ts';

type Action<T extends AlterTableAction['type']> = Extract<AlterTableAction, { type: T }>;

export async function rowsOf(change: SchemaChange, table: TableDescriptor): Promise<Datum[][]> {
  return collect(compileReadOnly(wholeScan(table))(change.context.newRun(0, 0)));
}

export async function addConstraint(
  change: SchemaChange,
  table: TableDescriptor,
  action: Action<'addConstraint'>,
  stmt: AlterTable,
): Promise<void> {
  const { constraint } = action;
  const builder = new TableBuilder(change, table);
  const name = constraint.name?.text;
  if (action.ifNotExists && name !== undefined && constraintNames(table).includes(name)) return;
  const isOnline = !action.notValid && (await change.isOnline(table));
  switch (constraint.kind) {
    case 'check': {
      const check = builder.addCheck(name, constraint.expr, !action.notValid && !isOnline);
      if (isOnline) return change.writePending(builder.table, { constraintIds: [check.id] }, stmt);
      if (!action.notValid) await validateCheck(change, builder.table, check);
      return change.write(builder.table);
    }
    case 'foreignKey': {
      const fk = builder.addForeignKey(name, constraint.columns, constraint.reference, !action.notValid && !isOnline);
      if (isOnline) await change.writePending(builder.table, { constraintIds: [fk.id] }, stmt);
      else await change.write(builder.table);
      await builder.writeReferences();
      if (!action.notValid && !isOnline) {
        const queue = await constraintQueue(change.context);
        await validateForeignKey(builder.table, fk, queue, change.context.newRun(0, 0));
      }
      return;
    }
    case 'unique': {
      if (constraint.withoutIndex) return addUniqueWithoutIndex(change, builder, constraint, !action.notValid);
      const state = isOnline ? 'write_only' : 'public';
      const buckets = await bucketsOf(change, constraint);
      const index = builder.addIndex({ ...constraint, unique: true, isConstraint: true, state, buckets });
      if (isOnline) return change.writePending(builder.table, { indexIds: [index.id] }, stmt);
      await change.write(builder.table);
      return fillIndex(change, builder.table, index);
    }
    case 'primaryKey':
      return alterPrimaryKey(change, table, { columns: constraint.columns, name });
  }
}

/**
 * ADD PRIMARY KEY over a hidden rowid, or ALTER PRIMARY KEY: every row moves to its new key. The
 * old key stays as a unique index unless it was the hidden rowid.
 */
export async function alterPrimaryKey(
  change: SchemaChange,
  table: TableDescriptor,
  action: { readonly columns: Action<'alterPrimaryKey'>['columns']; readonly name?: string },
): Promise<void> {
  const oldKey = table.primaryIndex;
  const [onlyId, ...others] = givenKeyColumnIds(oldKey);
  const only = others.length === 0 ? table.columns.find((column) => column.id === onlyId) : undefined;
  const isRowId = only?.hidden === true && only.defaultExpr === 'unique_rowid()';
  if (action.name !== undefined && !isRowId) {
    throw new StatementError(SqlState.InvalidTableDefinition, `multiple primary keys for table "${table.name}" are not allowed`);
  }
  const builder = new TableBuilder(change, table);
  const { columnIds, directions } = builder.keyColumns(action.columns);
  for (const id of columnIds) {
    const column = table.columns.find((one) => one.id === id);
    if (column?.nullable && !isRowId) {
      throw new StatementError(SqlState.InvalidTableDefinition, `cannot use nullable column "${column.name}" in primary key`);
    }
    builder.replaceColumn(id, { nullable: false });
  }
  const { sharded: _sharded, regional: _regional, ...plain } = oldKey;
  const key = withRegionFirst(table, { ...plain, name: action.name ?? oldKey.name, columnIds, directions });
  builder.set({
    primaryIndex: key,
    indexes: builder.table.indexes.map((index) => ({
      ...index,
      keySuffixColumnIds: key.columnIds.filter((id) => !index.columnIds.includes(id)),
      storeColumnIds: index.storeColumnIds.filter((id) => !key.columnIds.includes(id)),
    })),
  });
  if (!isRowId) {
    builder.addIndex({
      name: undefined,
      unique: true,
      columns: givenKeyColumnIds(oldKey).map((id) => {
        const column = table.columns.find((one) => one.id === id);
        return {
          expr: { kind: 'column', parts: [{ text: column?.name ?? '', pos: 0 }], pos: 0 },
          descending: false,
          nulls: undefined,
          pos: 0,
        };
      }),
      storing: [],
      where: undefined,
    });
  }
  builder.finish();
  const rows = await rowsOf(change, table);
  const run = change.context.newRun(0, 0);
  const { functions } = change.context.engine;
  const queue = await constraintQueue(change.context);
  // Neither side's foreign keys are touched: the same rows come back.
  const bare = (desc: TableDescriptor): TableDescriptor => ({ ...desc, foreignKeys: [], referencedByIds: [] });
  await tableWriter(bare(table), functions).delete(rows, run, queue);
  await change.write(builder.table);
  const writer = tableWriter(bare(builder.table), functions);
  const next = rows.map((row) => row.slice(0, table.columns.length));
  for (const row of next) writer.prepare(row, run);
  await writer.insert(next, run, queue);
  // Keys of rows in several regions are compared at the end.
  await queue.settle(run);
}

export function constraintNames(table: TableDescriptor): string[] {
  const unique = [...table.indexes.filter((index) => index.unique), ...(table.uniqueWithoutIndex ?? [])];
  return [table.primaryIndex, ...table.checks, ...table.foreignKeys, ...unique].map((one) => one.name);
}

export async function validateCheck(change: SchemaChange, table: TableDescriptor, check: CheckDescriptor): Promise<void> {
  const test = compileExpr(analyzeBool(parseExpression(check.expr), rowAnalysis(table, change.context.engine.functions, 'CHECK')));
  const run = change.context.newRun(0, 0);
  for (const row of await rowsOf(change, table)) {
    if (test(row, run.eval) === false) throw checkError(table, check, row);
  }
}

export async function dropConstraint(change: SchemaChange, table: TableDescriptor, action: Action<'dropConstraint'>): Promise<void> {
  const name = action.constraint.text;
  const check = table.checks.find((one) => one.name === name);
  if (check) return change.write(updated(table, { checks: table.checks.filter((one) => one.id !== check.id) }));
  const fk = foreignKeyIn(change, table, name);
  if (fk) return dropForeignKey(change, table, fk.id);
  const unique = table.uniqueWithoutIndex?.find((one) => one.name === name);
  if (unique) return dropUniqueWithoutIndex(change, table, [unique], action.behavior === 'cascade');
  const index = table.indexes.find((one) => one.unique && one.name === name);
  if (index) {
    throw new StatementError(
      SqlState.FeatureNotSupported,
      `unimplemented: cannot drop UNIQUE constraint "${name}" using ALTER TABLE DROP CONSTRAINT, use DROP INDEX CASCADE instead`,
    );
  }
  if (indexNamed(table, name)?.id === table.primaryIndex.id) {
    throw new StatementError(
      SqlState.FeatureNotSupported,
      'dropping the primary key without adding another in its place is not supported yet',
    );
  }
  if (action.ifExists) return;
  throw new StatementError(SqlState.UndefinedObject, `constraint "${name}" does not exist`);
}

const foreignKeyIn = (change: SchemaChange, table: TableDescriptor, name: string) =>
  foreignKeyNamed(table, name, (id) => change.snapshot.tableById(id)?.name);

/** The name that a constraint has, when it is asked for by another style's. */
function actualName(change: SchemaChange, table: TableDescriptor, name: string): string {
  if (constraintNames(table).includes(name)) return name;
  const fk = foreignKeyIn(change, table, name);
  const isPrimary = indexNamed(table, name)?.id === table.primaryIndex.id;
  return fk ? fk.name : isPrimary ? table.primaryIndex.name : name;
}

export async function renameConstraint(change: SchemaChange, table: TableDescriptor, action: Action<'renameConstraint'>): Promise<void> {
  const to = action.newName.text;
  const from = actualName(change, table, action.constraint.text);
  const names = constraintNames(table);
  if (!names.includes(from)) throw new StatementError(SqlState.UndefinedObject, `constraint "${from}" does not exist`);
  if (names.includes(to)) throw new StatementError(SqlState.DuplicateObject, `duplicate constraint name: "${to}"`);
  // A unique constraint is its index, and indexes share one space of names.
  if (table.indexes.some((index) => index.name === to)) {
    throw new StatementError(SqlState.DuplicateRelation, `relation ${to} already exists`);
  }
  const rename = <T extends { readonly name: string }>(one: T): T => (one.name === from ? { ...one, name: to } : one);
  await change.write(
    updated(table, {
      checks: table.checks.map(rename),
      foreignKeys: table.foreignKeys.map(rename),
      ...(table.uniqueWithoutIndex && { uniqueWithoutIndex: table.uniqueWithoutIndex.map(rename) }),
      indexes: table.indexes.map((index) => (index.unique ? rename(index) : index)),
      primaryIndex: rename(table.primaryIndex),
    }),
  );
}

export async function validateConstraint(change: SchemaChange, table: TableDescriptor, constraint: Name, stmt: AlterTable): Promise<void> {
  const check = table.checks.find((one) => one.name === constraint.text);
  const unique = table.uniqueWithoutIndex?.find((one) => one.name === constraint.text);
  if (unique) return validateUniqueWithoutIndex(change, table, unique);
  if (table.indexes.some((one) => one.unique && one.name === constraint.text)) return;
  const found = check ?? foreignKeyIn(change, table, constraint.text);
  if (found?.validated) return;
  if (found && (await change.isOnline(table))) return change.writePending(table, { validateIds: [found.id] }, stmt);
  if (check) {
    await validateCheck(change, table, check);
    return change.write(updated(table, { checks: table.checks.map((one) => (one.id === check.id ? { ...one, validated: true } : one)) }));
  }
  const fk = foreignKeyIn(change, table, constraint.text);
  if (!fk) throw new StatementError(SqlState.UndefinedObject, `constraint "${constraint.text}" does not exist`);
  const queue = await constraintQueue(change.context);
  await validateForeignKey(table, fk, queue, change.context.newRun(0, 0));
  return change.write(
    updated(table, { foreignKeys: table.foreignKeys.map((one) => (one.id === fk.id ? { ...one, validated: true } : one)) }),
  );
}
