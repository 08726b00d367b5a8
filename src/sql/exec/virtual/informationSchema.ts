/**
 * information_schema: the SQL standard's views of the catalog, as far as tools ask for them.
 */
import type { Datum } from '../../../catalog/datum.ts';
import { type ColumnType, pgTypeName, pgTypname, sqlTypeName } from '../../../catalog/type.ts';
import type { VirtualTable } from '../../plan/virtualTable.ts';
import { constraintsOf } from '../catalogLookup.ts';
import { displayExpr } from '../showCreate.ts';
import { columns, relations, text, textOrNull, Type, yesNo } from './support.ts';

type Table = Omit<VirtualTable, 'oid'>;

const NUMERIC_BITS = new Set(['int', 'float']);

function numericPrecision(type: ColumnType): Datum {
  if (NUMERIC_BITS.has(type.family)) return type.family === 'float' ? (type.width === 32 ? 24 : 53) : (type.width ?? 64);
  return type.precision !== undefined && type.family === 'decimal' ? type.precision : null;
}

export const informationSchemaTables: readonly Table[] = [
  {
    schema: 'information_schema',
    name: 'tables',
    columns: columns({
      table_catalog: Type.String,
      table_schema: Type.String,
      table_name: Type.String,
      table_type: Type.String,
      is_insertable_into: Type.String,
      version: Type.Int8,
    }),
    rows: async (context, database) => {
      const { list } = await relations(context, database);
      const rows = list
        .filter(({ table }) => !table.sequence)
        .map((relation): Datum[] => [
          text(relation.database.name),
          text(relation.schema),
          text(relation.table.name),
          text(relation.table.view ? 'VIEW' : 'BASE TABLE'),
          yesNo(!relation.table.view),
          relation.table.version,
        ]);
      for (const virtual of context.engine.virtualTables.all()) {
        rows.push([text(database ?? ''), text(virtual.schema), text(virtual.name), text('SYSTEM VIEW'), yesNo(false), 1]);
      }
      return rows;
    },
  },
  {
    schema: 'information_schema',
    name: 'columns',
    columns: columns({
      table_catalog: Type.String,
      table_schema: Type.String,
      table_name: Type.String,
      column_name: Type.String,
      ordinal_position: Type.Int8,
      column_default: Type.String,
      is_nullable: Type.String,
      data_type: Type.String,
      character_maximum_length: Type.Int8,
      numeric_precision: Type.Int8,
      numeric_scale: Type.Int8,
      datetime_precision: Type.Int8,
      udt_catalog: Type.String,
      udt_schema: Type.String,
      udt_name: Type.String,
      is_identity: Type.String,
      is_generated: Type.String,
      generation_expression: Type.String,
      is_updatable: Type.String,
      is_hidden: Type.String,
      crdb_sql_type: Type.String,
    }),
    rows: async (context, database) => {
      const { list, snapshot } = await relations(context, database);
      const rows: Datum[][] = [];
      for (const { table, schema, database: owner } of list) {
        if (table.sequence) continue;
        for (const column of table.columns) {
          if (column.state !== 'public') continue;
          const { type } = column;
          rows.push([
            text(owner.name),
            text(schema),
            text(table.name),
            text(column.name),
            column.id,
            column.defaultExpr === undefined ? null : text(displayExpr(column.defaultExpr, snapshot)),
            yesNo(column.nullable),
            text(type.family === 'array' ? 'ARRAY' : type.family === 'enum' ? 'USER-DEFINED' : pgTypeName(type).replace(/\(.*\)/, '')),
            type.family === 'string' && type.width !== undefined ? type.width : null,
            numericPrecision(type),
            type.family === 'int' ? 0 : (type.scale ?? null),
            type.family.startsWith('time') ? (type.precision ?? 6) : null,
            text(owner.name),
            text('pg_catalog'),
            text(pgTypname(type)),
            yesNo(column.generatedAsIdentity !== undefined),
            text(column.computeExpr === undefined ? 'NEVER' : 'ALWAYS'),
            text(column.computeExpr ?? ''),
            yesNo(column.computeExpr === undefined),
            yesNo(column.hidden === true),
            text(sqlTypeName(type)),
          ]);
        }
      }
      return rows;
    },
  },
  {
    schema: 'information_schema',
    name: 'schemata',
    columns: columns({
      catalog_name: Type.String,
      schema_name: Type.String,
      default_character_set_name: Type.String,
      sql_path: Type.String,
      crdb_is_user_defined: Type.String,
    }),
    rows: async (context, database) => {
      const snapshot = await context.catalog();
      const rows: Datum[][] = [];
      for (const one of snapshot.allDatabases()) {
        if (database !== undefined && one.name !== database) continue;
        for (const name of context.engine.virtualTables.schemas()) rows.push([text(one.name), text(name), null, null, yesNo(false)]);
        for (const schema of snapshot.schemasOf(one))
          rows.push([text(one.name), text(schema.name), null, null, yesNo(schema.descriptor !== undefined)]);
      }
      return rows;
    },
  },
  {
    schema: 'information_schema',
    name: 'table_constraints',
    columns: columns({
      constraint_catalog: Type.String,
      constraint_schema: Type.String,
      constraint_name: Type.String,
      table_catalog: Type.String,
      table_schema: Type.String,
      table_name: Type.String,
      constraint_type: Type.String,
      is_deferrable: Type.String,
      initially_deferred: Type.String,
    }),
    rows: async (context, database) => {
      const { list } = await relations(context, database);
      const types = { p: 'PRIMARY KEY', u: 'UNIQUE', c: 'CHECK', f: 'FOREIGN KEY' } as const;
      return list.flatMap(({ table, schema, database: owner }) => {
        const catalog = text(owner.name);
        const named = constraintsOf(table).map((constraint) => ({ name: constraint.name, type: types[constraint.type] as string }));
        const notNull = table.sequence ? [] : table.columns.filter((column) => !column.nullable);
        for (const column of notNull) named.push({ name: `${table.schemaId}_${table.id}_${column.id}_not_null`, type: 'CHECK' });
        return named.map((one): Datum[] => [
          catalog,
          text(schema),
          text(one.name),
          catalog,
          text(schema),
          text(table.name),
          text(one.type),
          yesNo(false),
          yesNo(false),
        ]);
      });
    },
  },
  {
    schema: 'information_schema',
    name: 'key_column_usage',
    columns: columns({
      constraint_catalog: Type.String,
      constraint_schema: Type.String,
      constraint_name: Type.String,
      table_catalog: Type.String,
      table_schema: Type.String,
      table_name: Type.String,
      column_name: Type.String,
      ordinal_position: Type.Int8,
      position_in_unique_constraint: Type.Int8,
    }),
    rows: async (context, database) => {
      const { list } = await relations(context, database);
      return list.flatMap(({ table, schema, database: owner }) =>
        constraintsOf(table)
          .filter((constraint) => constraint.type !== 'c')
          .flatMap((constraint) =>
            constraint.columnIds.map((id, i): Datum[] => {
              const column = table.columns.find((candidate) => candidate.id === id);
              const catalog = text(owner.name);
              return [
                catalog,
                text(schema),
                text(constraint.name),
                catalog,
                text(schema),
                text(table.name),
                text(column?.name ?? ''),
                i + 1,
                constraint.type === 'f' ? i + 1 : null,
              ];
            }),
          ),
      );
    },
  },
  {
    schema: 'information_schema',
    name: 'sequences',
    columns: columns({
      sequence_catalog: Type.String,
      sequence_schema: Type.String,
      sequence_name: Type.String,
      data_type: Type.String,
      start_value: Type.String,
      minimum_value: Type.String,
      maximum_value: Type.String,
      increment: Type.String,
      cycle_option: Type.String,
    }),
    rows: async (context, database) => {
      const { list } = await relations(context, database);
      return list.flatMap(({ table, schema, database: owner }): Datum[][] => {
        const options = table.sequence;
        if (!options) return [];
        return [
          [
            text(owner.name),
            text(schema),
            text(table.name),
            text('bigint'),
            text(options.start),
            text(options.minValue),
            text(options.maxValue),
            text(options.increment),
            yesNo(false),
          ],
        ];
      });
    },
  },
  {
    schema: 'information_schema',
    name: 'views',
    columns: columns({ table_catalog: Type.String, table_schema: Type.String, table_name: Type.String, view_definition: Type.String }),
    rows: async (context, database) => {
      const { list } = await relations(context, database);
      return list.flatMap(({ table, schema, database: owner }): Datum[][] =>
        table.view ? [[text(owner.name), text(schema), text(table.name), textOrNull(table.view.query)]] : [],
      );
    },
  },
];
