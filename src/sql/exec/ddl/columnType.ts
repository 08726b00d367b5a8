/**
 * ALTER COLUMN ... TYPE ... [USING expr]: every row is written again with the column's new value.
 *
 * The value is that of USING over the old row, or a cast of the old one. Indexes come along, whatever they are over; what would
 * have to change its meaning hinders it: foreign keys, and computed columns and index expressions that read the column. A default
 * has to fit the new type, checks and index conditions have to make sense with it. Done in the statement's transaction: the scan of
 * the table is validated at the commit.
 */
import { letGo, StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { allIndexes, type ColumnDescriptor, type TableDescriptor } from '../../../catalog/descriptor.ts';
import { type ColumnType, familyName, sqlTypeName, typesEqual } from '../../../catalog/type.ts';
import { analyzeExpr, coerceTo } from '../../expr/analyze.ts';
import { type Compiled, compileExpr } from '../../expr/compile.ts';
import { traits } from '../../expr/traits.ts';
import type { AlterTableAction, Expr } from '../../parse/ast.ts';
import { parseExpression } from '../../parse/parse.ts';
import { constraintQueue } from '../foreignKeys.ts';
import { rowAnalysis, tableWriter } from '../tableWriter.ts';
import { validateUnique } from '../uniqueChecks.ts';
import { rowsOf } from './alterConstraints.ts';
import type { SchemaChange } from './common.ts';
import { TableBuilder } from './createTable.ts';
import { renameInText, storeDefault } from './storedExpr.ts';

type SetType = Extract<AlterTableAction, { type: 'setType' }>;

export async function setColumnType(
  change: SchemaChange,
  table: TableDescriptor,
  column: ColumnDescriptor,
  action: SetType,
): Promise<void> {
  const { type } = change.columnType(action.newType);
  if (!action.using && typesEqual(column.type, type)) return;
  refuseDependents(change, table, column, type);
  const convert = conversion(change, table, column, type, action);
  const builder = new TableBuilder(change, table);
  builder.replaceColumn(column.id, { type, ...defaultFor(change, column, type) });
  const rows = await rowsOf(change, table);
  const position = table.columns.indexOf(column);
  const run = change.context.newRun(0, 0);
  const { functions } = change.context.engine;
  const next = rows.map((row) => {
    const copy = row.slice(0, table.columns.length);
    copy[position] = convert(row, run.eval) as Datum;
    return copy;
  });
  const queue = await constraintQueue(change.context);
  await tableWriter(table, functions).delete(rows, run, queue);
  await change.write(builder.table);
  const writer = tableWriter(builder.table, functions);
  for (const row of next) writer.prepare(row, run);
  await writer.insert(next, run, queue);
  for (const unique of builder.table.uniqueWithoutIndex ?? []) {
    if (unique.validated && unique.columnIds.includes(column.id)) await validateUnique(builder.table, unique, change.context.newRun(0, 0));
  }
}

/** 0A000 for what holds the column to its type. */
function refuseDependents(change: SchemaChange, table: TableDescriptor, column: ColumnDescriptor, type: ColumnType): void {
  const refuse = (why: string): never => {
    const message = `cannot change the type of column "${column.name}" from ${familyName(column.type)} to ${familyName(type)}: ${why}`;
    throw new StatementError(SqlState.FeatureNotSupported, message);
  };
  if (column.computeExpr !== undefined) refuse('it is computed');
  const refers = table.foreignKeys.some((fk) => fk.columnIds.includes(column.id));
  const isReferred = table.referencedByIds.some((id) =>
    change.snapshot
      .tableById(id)
      ?.foreignKeys.some((fk) => fk.referencedTableId === table.id && fk.referencedColumnIds.includes(column.id)),
  );
  if (refers || isReferred) refuse('a foreign key compares it');
  const reader = table.columns.find(({ computeExpr }) => computeExpr !== undefined && reads(computeExpr, column.name));
  if (reader?.isIndexExpression) {
    const index = allIndexes(table).find(({ columnIds }) => columnIds.includes(reader.id));
    refuse(`index "${index?.name}" is over an expression of it`);
  }
  if (reader) refuse(`computed column "${reader.name}" reads it`);
}

function reads(expr: string, column: string): boolean {
  return renameInText(expr, column, `${column}_`) !== renameInText(expr, column, column);
}

/** The new value of a row. 42804 when USING gives another type, 42846 when there is no cast. */
function conversion(change: SchemaChange, table: TableDescriptor, column: ColumnDescriptor, type: ColumnType, action: SetType): Compiled {
  const cast: Expr = {
    kind: 'cast',
    operand: { kind: 'column', parts: [{ text: column.name, pos: 0 }], pos: 0 },
    type: action.newType,
    pos: action.newType.pos,
  };
  const context = {
    ...rowAnalysis(table, change.context.engine.functions, 'ALTER COLUMN TYPE USING EXPRESSION'),
    session: change.context.session.values,
    resolveType: (name: Parameters<SchemaChange['columnType']>[0]) => change.columnType(name).type,
  };
  const typed = coerceTo(analyzeExpr(action.using ?? cast, context, type), type, column.name);
  if (traits(typed).isAsync) {
    throw new StatementError(SqlState.FeatureNotSupported, 'ALTER COLUMN TYPE USING cannot ask sequences or other tables');
  }
  return compileExpr(typed);
}

/** The default for the new type; 42804 for one that does not fit. */
function defaultFor(change: SchemaChange, column: ColumnDescriptor, type: ColumnType): Partial<ColumnDescriptor> {
  if (column.defaultExpr === undefined || (column.usesSequenceIds?.length ?? 0) > 0) return {};
  try {
    return { defaultExpr: storeDefault(change, parseExpression(column.defaultExpr), type, column.name).text };
  } catch (cause) {
    letGo(cause);
    throw new StatementError(
      SqlState.DatatypeMismatch,
      `default for column "${column.name}" cannot be cast automatically to type ${sqlTypeName(type)}`,
      { hint: 'drop the default first, and set another one when the type has changed', cause },
    );
  }
}
