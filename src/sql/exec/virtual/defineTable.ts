/**
 * How virtual tables are written: columns as a record of types, rows as records of plain values.
 *
 * A row names what it fills; the rest is NULL, so a table has PostgreSQL's full shape while its rows
 * say only what Varve knows. Text is a JavaScript string here and becomes a datum in one place.
 *
 * Lives elsewhere: what rows are made from (catalogView.ts).
 */
import { assert } from '../../../base/assert.ts';
import { utf8Encode } from '../../../base/bytes.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { type ColumnType, Type } from '../../../catalog/type.ts';
import type { StatementContext } from '../statement.ts';
import type { VirtualTable } from '../../plan/virtualTable.ts';
import { CatalogView } from './catalogView.ts';

export type VirtualTableDefinition = Omit<VirtualTable, 'oid'>;
/** A column with more to say of it than its type. */
interface ColumnSpec {
  readonly type: ColumnType;
  readonly hidden?: boolean;
  readonly notNull?: boolean;
}
type Columns = Readonly<Record<string, ColumnType | ColumnSpec>>;

/** Beyond what `*` gives in CockroachDB: there for those who name it. */
export const hidden = (type: ColumnType): ColumnSpec => ({ type, hidden: true });
export const required = (type: ColumnType): ColumnSpec => ({ type, notNull: true });

const specOf = (column: ColumnType | ColumnSpec): ColumnSpec => ('family' in column ? { type: column } : column);

/** A plain value: text as a JavaScript string (also in arrays), anything else as its datum. */
export type Cell = string | Datum | undefined | readonly string[];
export type Cells<C> = { readonly [Name in keyof C]?: Cell };

/** The maker of one schema's tables: `inSchema('pg_catalog')('pg_am', { oid: Type.Oid }, (view) => [{ oid: 1 }])`. */
export function inSchema(schema: string) {
  return <const C extends Columns>(
    name: string,
    columns: C,
    rows: (view: CatalogView) => Iterable<Cells<NoInfer<C>>> | Promise<Iterable<Cells<NoInfer<C>>>>,
    comment?: string,
  ): VirtualTableDefinition => {
    // PostgreSQL's catalogs have the oid of their table in every row; queries name it, `*` leaves it out.
    const hasTableOid = schema === 'pg_catalog';
    const names = Object.entries(columns).map(([column, spec]) => ({
      name: column,
      ...specOf(spec),
      toDatum: converter(specOf(spec).type),
    }));
    return {
      schema,
      name,
      columns: [
        ...names.map(({ toDatum: _, ...column }) => column),
        ...(hasTableOid ? [{ name: 'tableoid', type: Type.Oid, hidden: true }] : []),
      ],
      ...(comment !== undefined && { comment }),
      async rows(context: StatementContext, database) {
        const view = await CatalogView.open(context, database);
        const datums: Datum[][] = [];
        for (const row of await rows(view)) {
          // The type checker lets a generator yield members that are no columns.
          for (const member of Object.keys(row)) assert(member in columns, `${schema}.${name} has no column ${member}`);
          const values = names.map((column) => column.toDatum(row[column.name]));
          if (hasTableOid) values.push(view.classOid(name));
          datums.push(values);
        }
        return datums;
      },
    };
  };
}

/** Tables that exist so that queries on them work, and never hold a row. */
export function emptyTables(schema: string, tables: Readonly<Record<string, Columns>>): VirtualTableDefinition[] {
  const table = inSchema(schema);
  return Object.entries(tables).map(([name, columns]) => table(name, columns, () => []));
}

function converter(type: ColumnType): (cell: Cell) => Datum {
  if (type.family === 'string') return (cell) => (cell === undefined || cell === null ? null : utf8Encode(cell as string));
  if (type.family === 'array' && type.element?.family === 'string') {
    return (cell) => (cell === undefined || cell === null ? null : (cell as readonly string[]).map(utf8Encode));
  }
  return (cell) => (cell === undefined ? null : (cell as Datum));
}

export const yesNo = (value: boolean): string => (value ? 'YES' : 'NO');

/** A 64-bit value kept as decimal text, as a datum. */
export function intOfText(text: string): number | bigint {
  const value = BigInt(text);
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}
