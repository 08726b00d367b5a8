/**
 * SHOW of catalog and cluster, with CockroachDB's columns and order of rows.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Datum } from '../../catalog/datum.ts';
import {
  allIndexes,
  type DatabaseDescriptor,
  type IndexDescriptor,
  type TableDescriptor,
  type TypeDescriptor,
  namedKeyColumnIds,
} from '../../catalog/descriptor.ts';
import { quoteName, quoteNames } from '../../catalog/names.ts';
import { hasSystemPrivilege } from '../../catalog/globalPrivileges.ts';
import { isNewerForm } from '../../catalog/newerForm.ts';
import { hasAnyPrivilege, hasPrivilege, NODE_USER } from '../../catalog/privileges.ts';
import { indexSpan } from '../../catalog/rowCodec.ts';
import { schemaMeant } from '../../catalog/snapshot.ts';
import { arrayOf, type ColumnType, sqlTypeName, Type } from '../../catalog/type.ts';
import { formatLocality } from '../../kv/locality.ts';
import type { ObjectName, Show } from '../parse/ast.ts';
import { parseStatements } from '../parse/parse.ts';
import { printStatement } from '../parse/printer.ts';
import type { RunContext } from './context.ts';
import { constraintsOf } from './catalogLookup.ts';
import { partsOf, requireUserType, SchemaChange } from './ddl/common.ts';
import { createTypeText } from './ddl/types.ts';
import { functionNamed } from './ddl/functionNames.ts';
import { createFunctionText, shownFunctions } from './functionText.ts';
import { createViewText } from './ddl/views.ts';
import { rangeForRowColumns, showRangeForRow, showRanges, showRangesColumns } from './rangeStatements.ts';
import { ACTIVITY_COLUMNS, activityRows } from './showActivity.ts';
import { constraintText, createDatabaseText, createSequenceText, createTableText, displayExpr } from './showCreate.ts';
import { ACCESS_COLUMNS, showAccess } from './showAccess.ts';
import { grantColumns, showGrants } from './showGrants.ts';
import { localityCell, REGION_COLUMNS, regionCells, regionView, showRegions } from './showRegions.ts';
import { virtualColumnRows, virtualCreateRow, virtualNamed, virtualTableRows } from './showVirtual.ts';
import type { EngineServices, HookResult, ResultColumn, SessionState, StatementHooks } from './statement.ts';
import {
  SHOW_HISTOGRAM_COLUMNS,
  SHOW_STATISTICS_COLUMNS,
  SHOW_STATISTICS_JSON_COLUMNS,
  showHistogram,
  showStatistics,
} from './statistics/statements.ts';
import { isListedSchema } from './virtual/catalogView.ts';
import { columns, text, textOrNull } from './virtual/support.ts';

type Of<W extends Show['what']> = Extract<Show, { what: W }>;

const asColumns = (spec: Parameters<typeof columns>[0]): ResultColumn[] => columns(spec).map(({ name, type }) => ({ name, type }));
const T = Type;

function columnsOf(stmt: Show, { settings }: EngineServices): ResultColumn[] {
  const comment: Readonly<Record<string, ColumnType>> = 'withComment' in stmt && stmt.withComment ? { comment: T.String } : {};
  switch (stmt.what) {
    case 'databases':
      return asColumns({
        database_name: T.String,
        owner: T.Name,
        primary_region: T.String,
        ...(isNewerForm(settings) && { secondary_region: T.String }),
        regions: arrayOf(T.String),
        survival_goal: T.String,
        ...comment,
      });
    case 'schemas':
      return asColumns({ schema_name: T.String, owner: T.Name, ...comment });
    case 'tables':
      return asColumns({
        schema_name: T.String,
        table_name: T.String,
        type: T.String,
        owner: T.Name,
        estimated_row_count: T.Int8,
        locality: T.String,
        ...comment,
      });
    case 'sequences':
      return asColumns({ sequence_schema: T.String, sequence_name: T.String });
    case 'functions':
      return asColumns({
        schema_name: T.String,
        function_name: T.String,
        result_data_type: T.String,
        argument_data_types: T.String,
        function_type: T.String,
        volatility: T.String,
      });
    case 'types':
      return asColumns({ schema: T.String, name: T.String, owner: T.Name });
    case 'enums':
      return asColumns({ schema: T.String, name: T.String, values: arrayOf(T.String), owner: T.Name });
    case 'columns':
      return asColumns({
        column_name: T.String,
        data_type: T.String,
        is_nullable: T.Bool,
        column_default: T.String,
        generation_expression: T.String,
        indices: arrayOf(T.String),
        is_hidden: T.Bool,
        ...comment,
      });
    case 'indexes':
    case 'databaseIndexes':
      return asColumns({
        table_name: T.String,
        index_name: T.String,
        non_unique: T.Bool,
        seq_in_index: T.Int8,
        column_name: T.String,
        direction: T.String,
        storing: T.Bool,
        implicit: T.Bool,
        ...comment,
      });
    case 'constraints':
      return asColumns({
        table_name: T.String,
        constraint_name: T.String,
        constraint_type: T.String,
        details: T.String,
        validated: T.Bool,
      });
    case 'create':
      return asColumns({ [isNamedTable(stmt.object) ? 'table_name' : `${stmt.object}_name`]: T.String, create_statement: T.String });
    case 'createFunction':
      return asColumns({ function_name: T.String, create_statement: T.String });
    case 'createAll':
      return asColumns({ create_statement: T.String });
    case 'locality':
      return asColumns({ locality: T.String });
    case 'regions':
    case 'survivalGoal':
    case 'partitions':
      return asColumns(REGION_COLUMNS[regionView(stmt)]);
    case 'statistics':
      return [...(stmt.format === undefined ? SHOW_STATISTICS_COLUMNS : SHOW_STATISTICS_JSON_COLUMNS)];
    case 'histogram':
      return [...SHOW_HISTOGRAM_COLUMNS];
    case 'syntax':
      return asColumns({ field: T.String, message: T.String });
    case 'savepointStatus':
      return asColumns({ savepoint_name: T.String, is_initial_savepoint: T.Bool });
    case 'transactionStatus':
      return asColumns({ 'TRANSACTION STATUS': T.String });
    case 'sessions':
    case 'statements':
    case 'transactions':
      return asColumns(ACTIVITY_COLUMNS[stmt.what]);
    case 'grants':
      return grantColumns(stmt.target, settings);
    case 'users':
    case 'roles':
    case 'grantsOnRole':
    case 'systemGrants':
    case 'defaultPrivileges':
      return asColumns(ACCESS_COLUMNS[stmt.what]);
    case 'ranges':
      return showRangesColumns(stmt);
    case 'rangeForRow':
      return rangeForRowColumns;
    default:
      throw new StatementError(SqlState.FeatureNotSupported, `SHOW ${stmt.what.toUpperCase()} is not supported yet`);
  }
}

async function databaseOf(
  context: RunContext,
  from: ObjectName | undefined,
): Promise<{ database: DatabaseDescriptor; schema: string | undefined }> {
  const snapshot = await context.catalog();
  const parts = from ? partsOf(from) : [];
  if (parts.length === 0) {
    if (context.names.currentDatabase === '') throw new StatementError(SqlState.InvalidCatalogName, 'no database specified');
    return { database: snapshot.requireDatabase(context.names.currentDatabase), schema: undefined };
  }
  if (parts.length > 1) return { database: snapshot.requireDatabase(parts[0] ?? ''), schema: schemaMeant(parts[1] ?? '', context.names) };
  const name = parts[0] ?? '';
  const database = snapshot.database(name);
  if (database) return { database, schema: undefined };
  const current = snapshot.database(context.names.currentDatabase);
  const own = schemaMeant(name, context.names);
  if (current && own !== name) return { database: current, schema: own };
  if (current && (snapshot.schema(current, name) || context.engine.virtualTables.hasSchema(name)))
    return { database: current, schema: name };
  throw new StatementError(SqlState.InvalidCatalogName, `target database or schema does not exist`);
}

async function relationsIn(context: RunContext, from: ObjectName | undefined): Promise<{ schema: string; table: TableDescriptor }[]> {
  const snapshot = await context.catalog();
  const { database, schema } = await databaseOf(context, from);
  const roles = await context.roles();
  const seesAll = hasPrivilege(roles, database.privileges, 'CONNECT');
  const list = snapshot
    .tablesOf(database.id, { withTemporary: true })
    .filter((table) => seesAll || hasAnyPrivilege(roles, table.privileges))
    .map((table) => ({ schema: snapshot.schemaById(database, table.schemaId)?.name ?? 'public', table }));
  const filtered = schema === undefined ? list : list.filter((one) => one.schema === schema);
  return filtered.sort((a, b) => (a.schema === b.schema ? (a.table.name < b.table.name ? -1 : 1) : a.schema < b.schema ? -1 : 1));
}

/** Every session for admins and holders of VIEWACTIVITY, one's own for others. */
async function visibleSessions(context: RunContext): Promise<readonly SessionState[]> {
  const roles = await context.roles();
  const seesAll =
    (await hasSystemPrivilege(context.reader, roles, 'VIEWACTIVITY')) ||
    (await hasSystemPrivilege(context.reader, roles, 'VIEWACTIVITYREDACTED'));
  return context.engine.sessions().filter((session) => seesAll || session.sessionUser === context.session.sessionUser);
}

async function rowsOf(context: RunContext, stmt: Show): Promise<Datum[][]> {
  const snapshot = await context.catalog();
  const roles = await context.roles();
  const isNewer = isNewerForm(context.engine.settings);
  const withComment = (stmt_: { withComment: boolean }, comment: string | undefined): Datum[] =>
    stmt_.withComment ? [textOrNull(comment)] : [];
  switch (stmt.what) {
    case 'databases':
      return snapshot
        .allDatabases()
        .filter((one) => hasAnyPrivilege(roles, one.privileges))
        .map((one) => {
          const [primary, secondary, ...rest] = regionCells(one, snapshot);
          const cells = isNewer ? [primary, secondary, ...rest] : [primary, ...rest];
          return [text(one.name), text(one.privileges.owner), ...cells, ...withComment(stmt, one.comment)];
        });
    case 'schemas': {
      const { database } = await databaseOf(context, stmt.from);
      const ofNode = isNewer ? text(NODE_USER) : null;
      const rows: Datum[][] = context.engine.virtualTables
        .schemas()
        .filter(isListedSchema)
        .map((name) => [text(name), ofNode, ...withComment(stmt, undefined)]);
      for (const schema of snapshot.schemasOf(database, { withTemporary: true })) {
        const owner = (schema.descriptor?.privileges ?? database.publicSchema)?.owner ?? 'admin';
        rows.push([text(schema.name), text(owner), ...withComment(stmt, schema.descriptor?.comment)]);
      }
      return rows.sort((a, b) => ((a[0] as string) < (b[0] as string) ? -1 : 1));
    }
    case 'tables': {
      const { schema: named } = await databaseOf(context, stmt.from);
      if (named !== undefined && context.engine.virtualTables.hasSchema(named)) {
        return virtualTableRows(context.engine.virtualTables, named, stmt.withComment);
      }
      // Estimates come of statistics that are collected all the time; without them nothing is known.
      const isCounted = context.engine.settings.bool('sql.stats.automatic_collection.enabled');
      return (await relationsIn(context, stmt.from)).map(({ schema, table }) =>
        [
          text(schema),
          text(table.name),
          text(table.sequence ? 'sequence' : table.view ? 'view' : 'table'),
          text(table.privileges.owner),
          table.sequence || table.view || !isCounted
            ? 0
            : context.engine.kv.stats(indexSpan(table, table.primaryIndex)).liveKeys / Math.max(1, table.families.length),
          localityCell(table, snapshot),
          ...withComment(stmt, table.comment),
        ].map((value, i) => (i === 4 ? Math.round(Number(value)) : (value as Datum))),
      );
    }
    case 'statistics':
      return showStatistics(context, stmt);
    case 'histogram':
      return showHistogram(context, stmt);
    case 'sequences':
      return (await relationsIn(context, stmt.from))
        .filter(({ table }) => table.sequence)
        .map(({ schema, table }) => [text(schema), text(table.name)]);
    case 'functions': {
      const { database, schema } = await databaseOf(context, stmt.from);
      return shownFunctions(snapshot, database, schema).map((row) => row.map(text));
    }
    case 'types':
    case 'enums': {
      const { database, schema: named } = await databaseOf(context, stmt.from);
      // FROM a database means its public schema.
      const only = stmt.what === 'enums' && stmt.from ? (named ?? 'public') : undefined;
      const schemaOf = (type: TypeDescriptor): string => snapshot.schemaById(database, type.schemaId)?.name ?? 'public';
      const nameIn = (type: TypeDescriptor) => `${snapshot.fullName(type)[1]}.${type.name}`;
      const types = snapshot
        .typesOf(database.id)
        .filter((type) => only === undefined || schemaOf(type) === only)
        .sort((a, b) => (nameIn(a) < nameIn(b) ? -1 : 1));
      return types.map((type) => {
        const schema = text(schemaOf(type));
        const owner = text(type.privileges.owner);
        return stmt.what === 'types'
          ? [schema, text(type.name), owner]
          : [schema, text(type.name), type.members.length > 0 ? type.members.map(text) : null, owner];
      });
    }
    case 'columns': {
      const virtual = await virtualNamed(context, stmt.table);
      if (virtual) return virtualColumnRows(virtual.table, stmt.withComment);
      return showColumns(await SchemaChange.begin(context), stmt);
    }
    case 'indexes': {
      if (await virtualNamed(context, stmt.table)) return [];
      const change = await SchemaChange.begin(context);
      const found = change.relation(stmt.table, 'any')?.descriptor;
      const table = found?.view?.isMaterialized ? found : change.table(stmt.table);
      requireAnyPrivilege(change, table);
      return indexRows(table, stmt.withComment);
    }
    case 'databaseIndexes': {
      const relations = await relationsIn(context, stmt.database);
      return relations.filter(({ table }) => !table.sequence && !table.view).flatMap(({ table }) => indexRows(table, stmt.withComment));
    }
    case 'constraints': {
      if (await virtualNamed(context, stmt.table)) return [];
      const change = await SchemaChange.begin(context);
      const table = change.table(stmt.table);
      requireAnyPrivilege(change, table);
      const types = { p: 'PRIMARY KEY', u: 'UNIQUE', c: 'CHECK', f: 'FOREIGN KEY' } as const;
      return constraintsOf(table)
        .sort((a, b) => (a.name < b.name ? -1 : 1))
        .map((one) => {
          const validated =
            table.foreignKeys.find((fk) => one.type === 'f' && fk.id === one.id)?.validated ??
            table.checks.find((check) => one.type === 'c' && check.id === one.id)?.validated ??
            table.uniqueWithoutIndex?.find((unique) => one.type === 'u' && !one.index && unique.id === one.id)?.validated ??
            true;
          return [
            text(table.name),
            text(one.name),
            text(types[one.type]),
            text(constraintText(table, one.type, one.id, snapshot, one.index === undefined)),
            validated,
          ];
        });
    }
    case 'createFunction': {
      const change = await SchemaChange.begin(context);
      const one = functionNamed(change, stmt.function);
      return one ? [[text(one.name), text(createFunctionText(one, change.snapshot))]] : [];
    }
    case 'create': {
      const isRelation = isNamedTable(stmt.object) || stmt.object === 'table';
      const virtual = isRelation ? await virtualNamed(context, stmt.name) : undefined;
      if (virtual) return [virtualCreateRow(virtual.table)];
      return showCreate(await SchemaChange.begin(context), stmt);
    }
    case 'createAll':
      return (await relationsIn(context, undefined))
        .filter(({ table }) => !table.view)
        .sort((a, b) => a.table.id - b.table.id)
        .map(({ table }) => [text(`${table.sequence ? createSequenceText(table, snapshot) : createTableText(table, snapshot)};`)]);
    case 'locality': {
      const node = context.engine.kv.cluster.node(context.session.nodeId);
      return [[text(formatLocality(node.locality))]];
    }
    case 'regions':
    case 'survivalGoal':
    case 'partitions':
      return showRegions(context, stmt);
    case 'syntax':
      return syntaxRows(stmt.sql);
    case 'savepointStatus':
      return (context.session.transaction?.savepointNames() ?? []).map((name, i) => [text(name), i === 0]);
    case 'transactionStatus':
      return [[text(context.session.transactionState)]];
    case 'sessions':
    case 'statements':
    case 'transactions':
      return (await visibleSessions(context)).flatMap((session) => activityRows(session, stmt.what));
    case 'grants':
      return showGrants(await SchemaChange.begin(context), stmt);
    case 'users':
    case 'roles':
    case 'grantsOnRole':
    case 'systemGrants':
    case 'defaultPrivileges':
      return showAccess(context, stmt);
    case 'ranges':
      return showRanges(context, stmt);
    case 'rangeForRow':
      return showRangeForRow(context, stmt);
    default:
      throw new StatementError(SqlState.FeatureNotSupported, `SHOW ${stmt.what.toUpperCase()} is not supported yet`);
  }
}

/** Each statement of a text as it prints, or what is wrong with the text. */
function syntaxRows(sql: string): Datum[][] {
  try {
    return parseStatements(sql).map(({ ast }) => [text('sql'), text(printStatement(ast))]);
  } catch (error) {
    if (!(error instanceof StatementError)) throw error;
    const { message, code, detail, hint } = error;
    const parts = { error: message, code, detail, hint };
    return Object.entries(parts).flatMap(([field, value]) => (value === undefined ? [] : [[text(field), text(value)]]));
  }
}

function showColumns(change: SchemaChange, stmt: Extract<Show, { what: 'columns' | 'indexes' }>): Datum[][] {
  const relation = change.relation(stmt.table, 'any');
  const table = relation?.descriptor;
  if (!table) return [];
  requireAnyPrivilege(change, table);
  const indexes =
    table.sequence || (table.view && !table.view.isMaterialized) ? [] : allIndexes(table).filter((index) => index.state === 'public');
  return table.columns
    .filter((column) => column.state === 'public' && !column.isIndexExpression)
    .map((column) => [
      text(column.name),
      text(sqlTypeName(column.type)),
      column.nullable,
      column.defaultExpr === undefined ? null : text(displayExpr(column.defaultExpr, change.snapshot)),
      text(column.computeExpr ?? ''),
      indexes
        .filter((index) => [...namedKeyColumnIds(index), ...index.keySuffixColumnIds, ...index.storeColumnIds].includes(column.id))
        .map((index) => index.name)
        .sort()
        .map(text),
      column.hidden === true,
      ...(stmt.withComment ? [textOrNull(column.comment)] : []),
    ]);
}

function indexRows(table: TableDescriptor, withComment: boolean): Datum[][] {
  const nameOf = (id: number): Datum => text(table.columns.find((column) => column.id === id)?.name ?? `[${id}]`);
  const rows: Datum[][] = [];
  const add = (index: IndexDescriptor, ids: readonly number[], start: number, kind: 'key' | 'storing' | 'implicit'): void => {
    ids.forEach((id, i) => {
      const direction = kind === 'storing' ? 'N/A' : kind === 'key' ? (index.directions[i] ?? 'ASC') : 'ASC';
      const row: Datum[] = [
        text(table.name),
        text(index.name),
        !index.unique,
        start + i + 1,
        nameOf(id),
        text(direction),
        kind === 'storing',
        kind === 'implicit' || (index.regional === true && kind === 'key' && i === 0),
      ];
      rows.push(withComment ? [...row, textOrNull(index.comment)] : row);
    });
  };
  const sorted = allIndexes(table)
    .filter((index) => index.state === 'public')
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const index of sorted) {
    add(index, namedKeyColumnIds(index), 0, 'key');
    add(index, index.storeColumnIds, index.columnIds.length, 'storing');
    add(index, index.keySuffixColumnIds, index.columnIds.length + index.storeColumnIds.length, 'implicit');
  }
  return rows;
}

/** Views and sequences are tables in the heading of SHOW CREATE. */
const isNamedTable = (object: Of<'create'>['object']): boolean => object === 'any' || object === 'view' || object === 'sequence';

/** 42501 for a user to whom nothing on the relation is granted. */
function requireAnyPrivilege(change: SchemaChange, table: TableDescriptor): void {
  const { roles, context } = change;
  if (hasAnyPrivilege(roles, table.privileges)) return;
  throw new StatementError(SqlState.InsufficientPrivilege, `user ${context.user} has no privileges on relation ${table.name}`);
}

/** A relation's name as it reads from the session's database. */
function shownName(change: SchemaChange, table: TableDescriptor): string {
  const full = change.snapshot.fullName(table);
  if (full[0] !== change.context.names.currentDatabase) return quoteNames(full);
  return full[1] === 'public' ? quoteName(table.name) : quoteNames(full.slice(1));
}

function showCreate(change: SchemaChange, stmt: Of<'create'>): Datum[][] {
  const { snapshot } = change;
  if (stmt.object === 'database') {
    const database = change.database(stmt.name.parts.at(-1)?.text ?? '');
    return [[text(database.name), text(createDatabaseText(database, snapshot))]];
  }
  if (stmt.object === 'schema') throw new StatementError(SqlState.FeatureNotSupported, 'SHOW CREATE SCHEMA is not supported yet');
  if (stmt.object === 'type') {
    const type = requireUserType(change, stmt.name);
    return [[text(type.name), text(createTypeText(type, snapshot.fullName(type)[1] ?? 'public'))]];
  }
  const relation = change.relation(stmt.name, stmt.object === 'any' || stmt.object === 'view' ? 'any' : stmt.object);
  const table = relation?.descriptor;
  if (!table) return [];
  requireAnyPrivilege(change, table);
  if (stmt.object === 'view' && !table.view) throw new StatementError(SqlState.WrongObjectType, `"${table.name}" is not a view`);
  const isNewer = isNewerForm(change.context.engine.settings);
  if (table.view) {
    const shownView = isNewer ? nameAsResolved(change, table, stmt.name) : shownName(change, table);
    return [[text(shownView), text(createViewText(table, snapshot.fullName(table)[1] ?? 'public', isNewer))]];
  }
  const shown = isNewer ? nameAsResolved(change, table, stmt.name) : stmt.name.parts.map((part) => quoteName(part.text)).join('.');
  if (table.sequence) return [[text(shown), text(createSequenceText(table, snapshot))]];
  return [[text(shown), text(isNewer ? `${createTableText(withoutOnlyFamily(table), snapshot)};` : createTableText(table, snapshot))]];
}

/** The name that was given, with the schema that it left out after a database. */
function nameAsResolved(change: SchemaChange, table: TableDescriptor, { parts }: ObjectName): string {
  const full = change.snapshot.fullName(table);
  const namesDatabase = parts.length > 1 && parts[0]?.text === full[0] && (parts.length > 2 || parts[0]?.text !== full[1]);
  return quoteNames(namesDatabase ? full : parts.map((part) => part.text));
}

/** 25.1 does not print the family that every table has. */
function withoutOnlyFamily(table: TableDescriptor): TableDescriptor {
  const [family] = table.families;
  return table.families.length === 1 && family?.name === 'primary' ? { ...table, families: [{ ...family, columnIds: [] }] } : table;
}

export function registerShowStatements(hooks: StatementHooks): void {
  hooks.register<Show>('show', {
    isReadOnly: true,
    columns: (stmt, context) => columnsOf(stmt, context.engine),
    run: async (context, stmt): Promise<HookResult> => {
      const rows = await rowsOf(context as RunContext, stmt);
      return { tag: `SHOW ${rows.length}`, rows };
    },
  });
}
