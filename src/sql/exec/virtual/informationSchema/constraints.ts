/**
 * information_schema: constraints, keys and indexes.
 */
import {
  allIndexes,
  type ColumnDescriptor,
  columnById,
  type ForeignKeyDescriptor,
  type TableDescriptor,
  namedKeyColumnIds,
} from '../../../../catalog/descriptor.ts';
import { Type } from '../../../../catalog/type.ts';
import { type ConstraintInfo, constraintsOf } from '../../catalogLookup.ts';
import type { CatalogView, Relation } from '../catalogView.ts';
import { hidden, inSchema, yesNo } from '../defineTable.ts';
import { tableNames } from './relations.ts';

const table = inSchema('information_schema');

const CONSTRAINT_TYPES = { p: 'PRIMARY KEY', u: 'UNIQUE', c: 'CHECK', f: 'FOREIGN KEY' } as const;

/** The name under which the standard shows a NOT NULL, which has none of its own. */
function notNullName(relation: Relation, column: ColumnDescriptor): string {
  return `${relation.schemaOid}_${relation.table.id}_${column.id}_not_null`;
}

function* notNullColumns(relation: Relation): Generator<ColumnDescriptor> {
  for (const column of relation.table.columns) if (!column.nullable && !column.hidden && column.state === 'public') yield column;
}

function constraintNames({ database, schemaName }: Relation, constraint_name: string) {
  return { constraint_catalog: database.name, constraint_schema: schemaName, constraint_name };
}

const tableConstraints = table(
  'table_constraints',
  {
    constraint_catalog: Type.String,
    constraint_schema: Type.String,
    constraint_name: Type.String,
    table_catalog: Type.String,
    table_schema: Type.String,
    table_name: Type.String,
    constraint_type: Type.String,
    is_deferrable: Type.String,
    initially_deferred: Type.String,
    enforced: hidden(Type.String),
  },
  function* (view) {
    for (const relation of view.tables()) {
      const common = { ...tableNames(relation), is_deferrable: 'NO', initially_deferred: 'NO', enforced: 'YES' };
      for (const { name, type, id } of constraintsOf(relation.table)) {
        const fk = type === 'f' ? relation.table.foreignKeys.find((key) => key.id === id) : undefined;
        const deferral = fk?.deferral && { is_deferrable: 'YES', initially_deferred: fk.deferral === 'deferred' ? 'YES' : 'NO' };
        yield { ...constraintNames(relation, name), ...common, ...deferral, constraint_type: CONSTRAINT_TYPES[type] };
      }
      for (const column of notNullColumns(relation)) {
        yield { ...constraintNames(relation, notNullName(relation, column)), ...common, constraint_type: 'CHECK' };
      }
    }
  },
);

const checkConstraints = table(
  'check_constraints',
  { constraint_catalog: Type.String, constraint_schema: Type.String, constraint_name: Type.String, check_clause: Type.String },
  function* (view) {
    for (const relation of view.tables()) {
      for (const check of relation.table.checks) yield { ...constraintNames(relation, check.name), check_clause: `((${check.expr}))` };
      for (const column of notNullColumns(relation)) {
        yield { ...constraintNames(relation, notNullName(relation, column)), check_clause: `${column.name} IS NOT NULL` };
      }
    }
  },
);

function foreignKeyOf({ table: relation }: Relation, constraint: ConstraintInfo): ForeignKeyDescriptor | undefined {
  return constraint.type === 'f' ? relation.foreignKeys.find((fk) => fk.id === constraint.id) : undefined;
}

function referencedTable(view: CatalogView, relation: Relation, fk: ForeignKeyDescriptor): TableDescriptor | undefined {
  return fk.referencedTableId === relation.table.id ? relation.table : view.snapshot.tableById(fk.referencedTableId);
}

/** The unique constraint a foreign key points at. */
function referencedConstraint(parent: TableDescriptor, fk: ForeignKeyDescriptor): ConstraintInfo | undefined {
  return constraintsOf(parent).find(
    ({ index }) =>
      index !== undefined &&
      index.columnIds.length === fk.referencedColumnIds.length &&
      fk.referencedColumnIds.every((id) => index.columnIds.includes(id)),
  );
}

const keyColumnUsage = table(
  'key_column_usage',
  {
    constraint_catalog: Type.String,
    constraint_schema: Type.String,
    constraint_name: Type.String,
    table_catalog: Type.String,
    table_schema: Type.String,
    table_name: Type.String,
    column_name: Type.String,
    ordinal_position: Type.Int4,
    position_in_unique_constraint: Type.Int4,
  },
  function* (view) {
    for (const relation of view.tables()) {
      for (const constraint of constraintsOf(relation.table)) {
        if (constraint.type === 'c') continue;
        const fk = foreignKeyOf(relation, constraint);
        const parent = fk && referencedTable(view, relation, fk);
        const target = fk && parent && referencedConstraint(parent, fk);
        for (const [i, id] of constraint.columnIds.entries()) {
          const position = target ? target.columnIds.indexOf(fk?.referencedColumnIds[i] ?? 0) + 1 : undefined;
          yield {
            ...constraintNames(relation, constraint.name),
            ...tableNames(relation),
            column_name: columnById(relation.table, id)?.name,
            ordinal_position: i + 1,
            position_in_unique_constraint: position,
          };
        }
      }
    }
  },
);

const referentialConstraints = table(
  'referential_constraints',
  {
    constraint_catalog: Type.String,
    constraint_schema: Type.String,
    constraint_name: Type.String,
    unique_constraint_catalog: Type.String,
    unique_constraint_schema: Type.String,
    unique_constraint_name: Type.String,
    match_option: Type.String,
    update_rule: Type.String,
    delete_rule: Type.String,
    table_name: Type.String,
    referenced_table_name: Type.String,
  },
  function* (view) {
    for (const relation of view.tables()) {
      for (const fk of relation.table.foreignKeys) {
        const parent = referencedTable(view, relation, fk);
        if (!parent) continue;
        const [unique_constraint_catalog, unique_constraint_schema] = view.snapshot.fullName(parent);
        yield {
          ...constraintNames(relation, fk.name),
          unique_constraint_catalog,
          unique_constraint_schema,
          unique_constraint_name: referencedConstraint(parent, fk)?.name,
          match_option: fk.match === 'FULL' ? 'FULL' : 'NONE',
          update_rule: fk.onUpdate,
          delete_rule: fk.onDelete,
          table_name: relation.table.name,
          referenced_table_name: parent.name,
        };
      }
    }
  },
);

const USAGE_COLUMNS = {
  table_catalog: Type.String,
  table_schema: Type.String,
  table_name: Type.String,
} as const;
const CONSTRAINT_COLUMNS = {
  constraint_catalog: Type.String,
  constraint_schema: Type.String,
  constraint_name: Type.String,
} as const;

/** What a constraint is about: its own columns, for a foreign key those it refers to. */
function usedBy(view: CatalogView, relation: Relation, constraint: ConstraintInfo) {
  const fk = foreignKeyOf(relation, constraint);
  const used = fk ? referencedTable(view, relation, fk) : relation.table;
  if (!used) return undefined;
  const [table_catalog, table_schema, table_name] = view.snapshot.fullName(used);
  const names = { table_catalog, table_schema, table_name, ...constraintNames(relation, constraint.name) };
  return { names, used, columnIds: fk ? fk.referencedColumnIds : constraint.columnIds };
}

const constraintColumnUsage = table(
  'constraint_column_usage',
  { ...USAGE_COLUMNS, column_name: Type.String, ...CONSTRAINT_COLUMNS },
  function* (view) {
    for (const relation of view.tables()) {
      for (const constraint of constraintsOf(relation.table)) {
        const usage = usedBy(view, relation, constraint);
        for (const id of usage?.columnIds ?? []) {
          const column = usage && columnById(usage.used, id);
          if (column && !column.hidden) yield { ...usage.names, column_name: column.name };
        }
      }
    }
  },
);

const constraintTableUsage = table('constraint_table_usage', { ...USAGE_COLUMNS, ...CONSTRAINT_COLUMNS }, function* (view) {
  for (const relation of view.tables()) {
    for (const constraint of constraintsOf(relation.table)) {
      const usage = constraint.type === 'c' ? undefined : usedBy(view, relation, constraint);
      if (usage) yield usage.names;
    }
  }
});

/** CockroachDB's (after MySQL's): a row for every column of every index, stored and implicit ones included. */
const statistics = table(
  'statistics',
  {
    table_catalog: Type.String,
    table_schema: Type.String,
    table_name: Type.String,
    non_unique: Type.String,
    index_schema: Type.String,
    index_name: Type.String,
    seq_in_index: Type.Int4,
    column_name: Type.String,
    COLLATION: Type.String,
    cardinality: Type.Int4,
    direction: Type.String,
    storing: Type.String,
    implicit: Type.String,
  },
  function* (view) {
    for (const relation of view.tables()) {
      for (const index of allIndexes(relation.table)) {
        if (index.state !== 'public') continue;
        const common = {
          ...tableNames(relation),
          non_unique: yesNo(!index.unique),
          index_schema: relation.schemaName,
          index_name: index.name,
        };
        let position = 0;
        const cell = (id: number) => ({ column_name: columnById(relation.table, id)?.name, seq_in_index: ++position });
        for (const [i, id] of namedKeyColumnIds(index).entries()) {
          yield { ...common, ...cell(id), direction: index.directions[i], storing: 'NO', implicit: 'NO' };
        }
        for (const id of index.storeColumnIds) yield { ...common, ...cell(id), direction: 'N/A', storing: 'YES', implicit: 'NO' };
        for (const id of index.keySuffixColumnIds) yield { ...common, ...cell(id), direction: 'ASC', storing: 'NO', implicit: 'YES' };
      }
    }
  },
);

export const constraintTables = [
  checkConstraints,
  constraintColumnUsage,
  constraintTableUsage,
  keyColumnUsage,
  referentialConstraints,
  statistics,
  tableConstraints,
];
