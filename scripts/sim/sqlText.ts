/**
 * SQL text: the model's operations and values as statements, and results back as values.
 */
import { type Bytes, utf8Decode } from '../../src/base/bytes.ts';
import type { Datum } from '../../src/catalog/datum.ts';
import type { Operation, TableModel, TableSpec, Value, Where } from './model.ts';

/** A time as AS OF SYSTEM TIME takes it: nanoseconds. */
export function timeSql(micros: number): string {
  return `'${micros}000'`;
}

export function literal(value: Value): string {
  return value === null ? 'NULL' : typeof value === 'number' ? String(value) : `'${value}'`;
}

/** `asOf` stands in the statement itself. Every change returns what the model compares: keys and new values. */
export function operationSql(operation: Operation, asOf?: number): string {
  switch (operation.kind) {
    case 'select': {
      const { table, columns, where, index, lock } = operation;
      const time = asOf === undefined ? '' : ` AS OF SYSTEM TIME ${timeSql(asOf)}`;
      return `SELECT ${columns.join(', ')} FROM ${table}${index === undefined ? '' : `@${index}`}${time}${whereSql(where)}${lock ? ` FOR ${lock.strength}${lock.wait && ` ${lock.wait}`}` : ''}`;
    }
    case 'insert':
    case 'upsert': {
      const { table, columns, rows, kind } = operation;
      const skip = operation.generatesId ? 1 : 0;
      const values = rows.map((row) => `(${row.slice(skip).map(literal).join(', ')})`).join(', ');
      return `${kind.toUpperCase()} INTO ${table} (${columns.slice(skip).join(', ')}) VALUES ${values} RETURNING ${columns.join(', ')}`;
    }
    case 'update': {
      const { table, column, add, where } = operation;
      return `UPDATE ${table} SET ${column} = ${column} + ${add}${whereSql(where)} RETURNING ${[...operation.keyColumns, column].join(', ')}`;
    }
    case 'delete':
      return `DELETE FROM ${operation.table}${whereSql(operation.where)} RETURNING ${operation.keyColumns.join(', ')}`;
  }
}

function whereSql({ column, low, high }: Where): string {
  return high === low + 1 ? ` WHERE ${column} = ${low}` : ` WHERE ${column} >= ${low} AND ${column} < ${high}`;
}

export function createTableSql(spec: TableSpec, families: readonly (readonly string[])[]): string {
  const { columns, primaryKey, indexes, foreignKey, sequence } = spec;
  const parts = columns.map(({ name, type, default: value }) => {
    if (name === 'id' && sequence !== undefined) return `${name} ${type} DEFAULT nextval('${spec.database}.${sequence}')`;
    return `${name} ${type}${value === null ? '' : ` DEFAULT ${literal(value)}`}`;
  });
  parts.push(`PRIMARY KEY (${primaryKey.join(', ')})`);
  for (const { name, column, unique } of indexes) parts.push(`${unique ? 'UNIQUE ' : ''}INDEX ${name} (${column})`);
  if (foreignKey) {
    const cascade = foreignKey.cascades ? ' ON DELETE CASCADE' : '';
    parts.push(`CONSTRAINT fk FOREIGN KEY (${foreignKey.column}) REFERENCES ${spec.database}.${foreignKey.parent} (id)${cascade}`);
  }
  if (spec.isBank) parts.push('CONSTRAINT solvent CHECK (a >= 0)');
  families.forEach((family, i) => {
    parts.push(`FAMILY f${i} (${family.join(', ')})`);
  });
  return `CREATE TABLE ${spec.database}.${spec.name} (${parts.join(', ')})`;
}

/** INT and STRING datums only. */
export function valueOfDatum(datum: Datum): Value {
  if (datum === null || typeof datum === 'number') return datum;
  if (typeof datum === 'bigint') return Number(datum);
  return utf8Decode(datum as Bytes);
}

/** Every row of a table, in the columns it has at a time. */
export function wholeTableSql(name: string, table: TableModel, ts: number, index?: string): string {
  const columns = table.columnsAt(ts).map((column) => column.name);
  return `SELECT ${columns.join(', ')} FROM ${name}${index === undefined ? '' : `@${index}`}`;
}
