/**
 * CREATE TABLE AS: a table with the columns of a query, filled with its rows in the same transaction.
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { familyName } from '../../../catalog/type.ts';
import type { CreateTableAs, TableElement } from '../../parse/ast.ts';
import { constraintQueue } from '../foreignKeys.ts';
import { tableWriter } from '../tableWriter.ts';
import { alreadyExists, type SchemaChange } from './common.ts';
import { publishTable, TableBuilder } from './createTable.ts';
import { elementOf } from './tableInMaking.ts';
import { emptyTable } from './emptyTable.ts';
import { newPlace } from './temporary.ts';

export async function createTableAs(change: SchemaChange, stmt: CreateTableAs): Promise<void> {
  if (stmt.query.body.kind === 'selectCore' && stmt.query.body.asOf) {
    throw new StatementError(SqlState.SyntaxError, 'AS OF SYSTEM TIME must be provided on a top-level statement');
  }
  const { schema, name, taken } = await newPlace(change, stmt.name, stmt.temporary);
  if (taken) {
    if (stmt.ifNotExists) return;
    throw alreadyExists(taken, name);
  }
  const { context } = change;
  const result = await context.engine.runNested(context, stmt.query);
  const columns = result.columns ?? [];
  if (stmt.columns.length > 0 && stmt.columns.length !== columns.length) {
    const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
    throw new StatementError(
      SqlState.SyntaxError,
      `CREATE TABLE specifies ${count(stmt.columns.length, 'column name')}, but data source has ${count(columns.length, 'column')}`,
    );
  }
  const id = await change.allocateId();
  const builder = new TableBuilder(change, emptyTable(id, name, schema, context));
  columns.forEach((column, i) => {
    const columnName = stmt.columns[i]?.name.text ?? column.name;
    const { type } = column;
    if (builder.table.columns.some((one) => one.name === columnName)) {
      throw new StatementError(SqlState.DuplicateColumn, `duplicate column name: "${columnName}"`);
    }
    if (type.family === 'unknown' || type.family === 'tuple' || type.family === 'void') {
      const shown = type.family === 'tuple' ? 'tuple' : familyName(type);
      throw new StatementError(SqlState.InvalidTableDefinition, `value type ${shown} cannot be used for table columns`, {
        hint: 'cast the value to the type that the column is to have',
      });
    }
    const columnId = builder.table.nextColumnId;
    builder.set({
      columns: [...builder.table.columns, { id: columnId, name: columnName, type, nullable: true, state: 'public' }],
      nextColumnId: columnId + 1,
    });
  });
  const ofColumns = stmt.columns.flatMap(({ name: column, isPrimaryKey, family }): TableElement[] => [
    ...(isPrimaryKey
      ? [{ kind: 'primaryKey', name: undefined, columns: [elementOf(column)], storing: [], where: undefined, pos: column.pos } as const]
      : []),
    ...(family ? [{ kind: 'familyDef', name: family, columns: [column], pos: column.pos } as const] : []),
  ]);
  await builder.addElements([...ofColumns, ...stmt.elements]);
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
