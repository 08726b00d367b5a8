/**
 * information_schema: tables, columns, views, sequences.
 *
 * The standard's columns as PostgreSQL has them, those that Varve can say nothing about NULL;
 * is_hidden and crdb_sql_type are CockroachDB's.
 */
import type { ColumnDescriptor } from '../../../../catalog/descriptor.ts';
import { type ColumnType, pgTypeName, pgTypname, sqlTypeName, Type } from '../../../../catalog/type.ts';
import { displayExpr, plainExpr } from '../../showCreate.ts';
import { postgresDefault, showsPostgresExprs } from '../postgresExpr.ts';
import type { CatalogView, Relation } from '../catalogView.ts';
import { hidden, inSchema, required, yesNo } from '../defineTable.ts';

const table = inSchema('information_schema');

/** The database that virtual tables show under: the one read. */
export const catalogOf = (view: CatalogView): string => (view.databases.length === 1 ? (view.databases[0]?.name ?? '') : '');

const tables = table(
  'tables',
  {
    table_catalog: required(Type.String),
    table_schema: required(Type.String),
    table_name: required(Type.String),
    table_type: required(Type.String),
    self_referencing_column_name: hidden(Type.String),
    reference_generation: hidden(Type.String),
    user_defined_type_catalog: hidden(Type.String),
    user_defined_type_schema: hidden(Type.String),
    user_defined_type_name: hidden(Type.String),
    is_insertable_into: required(Type.String),
    is_typed: hidden(Type.String),
    commit_action: hidden(Type.String),
    version: Type.Int8,
  },
  function* (view) {
    for (const { table: relation, database, schemaName } of view.relations()) {
      if (relation.sequence) continue;
      yield {
        table_catalog: database.name,
        table_schema: schemaName,
        table_name: relation.name,
        table_type: relation.view ? 'VIEW' : relation.temporary ? 'LOCAL TEMPORARY' : 'BASE TABLE',
        is_insertable_into: yesNo(!relation.view),
        is_typed: 'NO',
        version: relation.version,
      };
    }
    for (const virtual of view.virtualTables) {
      yield {
        table_catalog: catalogOf(view),
        table_schema: virtual.schema,
        table_name: virtual.name,
        table_type: 'SYSTEM VIEW',
        is_insertable_into: 'NO',
        is_typed: 'NO',
        version: 1,
      };
    }
  },
);

/** What the standard tells of a type, for columns and for attributes of them. */
function typeCells(type: ColumnType) {
  const isString = type.family === 'string';
  const bounded = (isString && type.variant !== '"char"') || type.family === 'bit' ? type.width : undefined;
  const isTime = type.family.startsWith('time');
  return {
    data_type: dataType(type),
    character_maximum_length: bounded,
    character_octet_length: isString && bounded !== undefined ? bounded * 4 : undefined,
    ...numericCells(type),
    datetime_precision: isTime || type.family === 'interval' ? (type.precision ?? 6) : type.family === 'date' ? 0 : undefined,
    udt_schema: type.family === 'enum' ? 'public' : 'pg_catalog',
    udt_name: pgTypname(type),
    crdb_sql_type: sqlTypeName(type),
  };
}

function dataType(type: ColumnType): string {
  if (type.family === 'array') return type.variant === undefined ? 'ARRAY' : pgTypeName(type);
  if (type.family === 'enum') return 'USER-DEFINED';
  return pgTypeName(type).replace(/\(.*\)/, '');
}

function numericCells(type: ColumnType) {
  switch (type.family) {
    case 'int':
      return { numeric_precision: type.width ?? 64, numeric_precision_radix: 2, numeric_scale: 0 };
    case 'float':
      return { numeric_precision: type.width === 32 ? 24 : 53, numeric_precision_radix: 2 };
    case 'decimal':
      return { numeric_precision: type.precision, numeric_precision_radix: 10, numeric_scale: type.scale };
    default:
      return {};
  }
}

function identityCells(column: ColumnDescriptor, view: CatalogView) {
  if (column.generatedAsIdentity === undefined) return { is_identity: 'NO', identity_cycle: 'NO' };
  const sequence = view.snapshot.tableById(column.ownsSequenceIds?.[0] ?? 0)?.sequence;
  return {
    is_identity: 'YES',
    identity_generation: column.generatedAsIdentity.toUpperCase(),
    identity_start: sequence?.start,
    identity_increment: sequence?.increment,
    identity_maximum: sequence?.maxValue,
    identity_minimum: sequence?.minValue,
    identity_cycle: yesNo(sequence?.cycle === true),
  };
}

function defaultText(column: ColumnDescriptor, view: CatalogView): string | undefined {
  if (column.defaultExpr === undefined) return undefined;
  return showsPostgresExprs(view) ? postgresDefault(column.defaultExpr, column, view) : displayExpr(column.defaultExpr, view.snapshot);
}

const columns = table(
  'columns',
  {
    table_catalog: Type.String,
    table_schema: Type.String,
    table_name: Type.String,
    column_name: Type.String,
    column_comment: Type.String,
    ordinal_position: Type.Int4,
    column_default: Type.String,
    is_nullable: Type.String,
    data_type: Type.String,
    character_maximum_length: Type.Int4,
    character_octet_length: Type.Int4,
    numeric_precision: Type.Int4,
    numeric_precision_radix: Type.Int4,
    numeric_scale: Type.Int4,
    datetime_precision: Type.Int4,
    interval_type: Type.String,
    interval_precision: Type.Int4,
    character_set_catalog: Type.String,
    character_set_schema: Type.String,
    character_set_name: Type.String,
    collation_catalog: Type.String,
    collation_schema: Type.String,
    collation_name: Type.String,
    domain_catalog: Type.String,
    domain_schema: Type.String,
    domain_name: Type.String,
    udt_catalog: Type.String,
    udt_schema: Type.String,
    udt_name: Type.String,
    scope_catalog: Type.String,
    scope_schema: Type.String,
    scope_name: Type.String,
    maximum_cardinality: Type.Int4,
    dtd_identifier: Type.String,
    is_self_referencing: Type.String,
    is_identity: Type.String,
    identity_generation: Type.String,
    identity_start: Type.String,
    identity_increment: Type.String,
    identity_maximum: Type.String,
    identity_minimum: Type.String,
    identity_cycle: Type.String,
    is_generated: Type.String,
    generation_expression: Type.String,
    is_updatable: Type.String,
    is_hidden: Type.String,
    crdb_sql_type: Type.String,
  },
  function* (view) {
    for (const { table: relation, database, schemaName } of view.relations()) {
      if (relation.sequence) continue;
      const where = { table_catalog: database.name, table_schema: schemaName, table_name: relation.name };
      for (const column of relation.columns) {
        if (column.state !== 'public' || column.isIndexExpression) continue;
        const cells = typeCells(column.type);
        yield {
          ...where,
          ...cells,
          ...identityCells(column, view),
          udt_schema: column.type.family === 'enum' ? enumSchema(column.type, view) : cells.udt_schema,
          column_name: column.name,
          column_comment: column.comment ?? '',
          ordinal_position: column.id,
          column_default: defaultText(column, view),
          is_nullable: yesNo(column.nullable),
          udt_catalog: database.name,
          dtd_identifier: String(column.id),
          is_self_referencing: 'NO',
          is_generated: column.computeExpr === undefined ? 'NEVER' : 'ALWAYS',
          generation_expression: plainExpr(column.computeExpr ?? ''),
          is_updatable: yesNo(!relation.view && column.computeExpr === undefined),
          is_hidden: yesNo(column.hidden === true),
        };
      }
    }
    for (const virtual of view.virtualTables) {
      const where = {
        table_catalog: catalogOf(view),
        table_schema: virtual.schema,
        table_name: virtual.name,
        udt_catalog: catalogOf(view),
      };
      for (const [i, column] of view.visibleColumns(virtual).entries()) {
        yield {
          ...where,
          ...typeCells(column.type),
          column_name: column.name,
          column_comment: '',
          ordinal_position: i + 1,
          is_nullable: yesNo(column.notNull !== true),
          dtd_identifier: String(i + 1),
          is_self_referencing: 'NO',
          is_identity: 'NO',
          identity_cycle: 'NO',
          is_generated: 'NEVER',
          generation_expression: '',
          is_updatable: 'NO',
          is_hidden: 'NO',
        };
      }
    }
  },
);

function enumSchema(type: ColumnType, view: CatalogView): string {
  const descriptor = view.snapshot.typeById(type.typeId ?? 0);
  return (descriptor && view.snapshot.fullName(descriptor)[1]) ?? 'public';
}

const views = table(
  'views',
  {
    table_catalog: Type.String,
    table_schema: Type.String,
    table_name: Type.String,
    view_definition: Type.String,
    check_option: Type.String,
    is_updatable: Type.String,
    is_insertable_into: Type.String,
    is_trigger_updatable: Type.String,
    is_trigger_deletable: Type.String,
    is_trigger_insertable_into: Type.String,
  },
  function* (view) {
    for (const { table: relation, database, schemaName } of view.views()) {
      if (relation.view?.isMaterialized) continue;
      yield {
        table_catalog: database.name,
        table_schema: schemaName,
        table_name: relation.name,
        view_definition: relation.view?.query,
        is_updatable: 'NO',
        is_insertable_into: 'NO',
        is_trigger_updatable: 'NO',
        is_trigger_deletable: 'NO',
        is_trigger_insertable_into: 'NO',
      };
    }
  },
);

const sequences = table(
  'sequences',
  {
    sequence_catalog: Type.String,
    sequence_schema: Type.String,
    sequence_name: Type.String,
    data_type: Type.String,
    numeric_precision: Type.Int4,
    numeric_precision_radix: Type.Int4,
    numeric_scale: Type.Int4,
    start_value: Type.String,
    minimum_value: Type.String,
    maximum_value: Type.String,
    increment: Type.String,
    cycle_option: Type.String,
  },
  function* (view) {
    for (const { table: relation, database, schemaName } of view.sequences()) {
      const options = relation.sequence;
      if (!options) continue;
      yield {
        sequence_catalog: database.name,
        sequence_schema: schemaName,
        sequence_name: relation.name,
        data_type: options.integerWidth === 64 ? 'bigint' : options.integerWidth === 32 ? 'integer' : 'smallint',
        numeric_precision: options.integerWidth,
        numeric_precision_radix: 2,
        numeric_scale: 0,
        start_value: options.start,
        minimum_value: options.minValue,
        maximum_value: options.maxValue,
        increment: options.increment,
        cycle_option: yesNo(options.cycle === true),
      };
    }
  },
);

/** Name cells of a relation, under any prefix the standard has for them. */
export function tableNames({ table: relation, database, schemaName }: Relation) {
  return { table_catalog: database.name, table_schema: schemaName, table_name: relation.name };
}

/** Relations that a view or a default uses. */
const viewTableUsage = table(
  'view_table_usage',
  {
    view_catalog: Type.String,
    view_schema: Type.String,
    view_name: Type.String,
    table_catalog: Type.String,
    table_schema: Type.String,
    table_name: Type.String,
  },
  function* (view) {
    for (const { table: relation, database, schemaName } of view.views()) {
      for (const id of relation.view?.dependsOnIds ?? []) {
        const used = view.snapshot.tableById(id);
        if (!used || used.sequence) continue;
        const [table_catalog, table_schema, table_name] = view.snapshot.fullName(used);
        yield { view_catalog: database.name, view_schema: schemaName, view_name: relation.name, table_catalog, table_schema, table_name };
      }
    }
  },
);

/** Columns of user types. */
const columnUdtUsage = table(
  'column_udt_usage',
  {
    udt_catalog: required(Type.String),
    udt_schema: required(Type.String),
    udt_name: required(Type.String),
    table_catalog: required(Type.String),
    table_schema: required(Type.String),
    table_name: required(Type.String),
    column_name: required(Type.String),
  },
  function* (view) {
    for (const relation of view.relations()) {
      for (const column of relation.table.columns) {
        const type = column.type.family === 'array' ? column.type.element : column.type;
        const descriptor = view.snapshot.typeById(type?.typeId ?? 0);
        if (!descriptor || column.state !== 'public') continue;
        const [udt_catalog, udt_schema, udt_name] = view.snapshot.fullName(descriptor);
        yield { udt_catalog, udt_schema, udt_name, ...tableNames(relation), column_name: column.name };
      }
    }
  },
);

export const relationTables = [columnUdtUsage, columns, sequences, tables, viewTableUsage, views];
