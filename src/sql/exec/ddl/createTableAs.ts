/**
 * CREATE TABLE AS: a table with the columns of a query, filled with its rows in the same transaction.
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { type ColumnType, sqlTypeName, Type } from '../../../catalog/type.ts';
import type { CreateTableAs } from '../../parse/ast.ts';
import { constraintQueue } from '../foreignKeys.ts';
import { tableWriter } from '../tableWriter.ts';
import { alreadyExists, type SchemaChange } from './common.ts';
import { elementOf, emptyTable, publishTable, TableBuilder } from './createTable.ts';

export async function createTableAs(change: SchemaChange, stmt: CreateTableAs): Promise<void> {
  if (stmt.temporary) throw new StatementError(SqlState.FeatureNotSupported, 'temporary tables are not supported yet');
  const { schema, name, taken } = change.target(stmt.name);
  if (taken) {
    if (stmt.ifNotExists) return;
    throw alreadyExists(taken, name);
  }
  const { context } = change;
  const result = await context.engine.runNested(context, stmt.query);
  const columns = result.columns ?? [];
  if (stmt.columns.length > columns.length) {
    throw new StatementError(
      SqlState.SyntaxError,
      `CREATE TABLE specifies ${stmt.columns.length} column names, but data source has ${columns.length} columns`,
    );
  }
  const id = await change.allocateId();
  const builder = new TableBuilder(change, emptyTable(id, name, schema, context));
  columns.forEach((column, i) => {
    const columnName = stmt.columns[i]?.text ?? column.name;
    const type: ColumnType = column.type.family === 'unknown' ? Type.String : column.type;
    if (builder.table.columns.some((one) => one.name === columnName)) {
      throw new StatementError(SqlState.DuplicateColumn, `duplicate column name: "${columnName}"`);
    }
    if (type.family === 'tuple' || type.family === 'void') {
      throw new StatementError(SqlState.FeatureNotSupported, `a column cannot have type ${sqlTypeName(type)}`);
    }
    const columnId = builder.table.nextColumnId;
    builder.set({
      columns: [...builder.table.columns, { id: columnId, name: columnName, type, nullable: true, state: 'public' }],
      nextColumnId: columnId + 1,
    });
  });
  if (stmt.primaryKey.length > 0) {
    builder.setPrimaryKey({
      kind: 'primaryKey',
      name: undefined,
      columns: stmt.primaryKey.map(elementOf),
      storing: [],
      where: undefined,
      pos: stmt.pos,
    });
  }
  await builder.addElements([]);
  builder.finish();
  const table = await publishTable(change, builder, schema);
  const run = context.newRun(0, 0);
  const writer = tableWriter(table, context.engine.functions);
  const queue = await constraintQueue(context);
  const rows = result.rows.map((row): Datum[] => {
    const whole: Datum[] = [...row];
    while (whole.length < table.columns.length) whole.push(context.engine.kv.ids.int8());
    writer.prepare(whole, run);
    return whole;
  });
  await writer.insert(rows, run, queue);
}
