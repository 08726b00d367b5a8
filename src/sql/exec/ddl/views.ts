/**
 * CREATE VIEW, CREATE OR REPLACE VIEW, and materialized views.
 *
 * A view keeps its query as text with full names (viewText.ts) and lists what it reads; what it reads
 * lists the view. A materialized view is a table as well: its rows are those of its query at the time
 * of CREATE or REFRESH. Since a view is made of what is there already, and replacing one checks, no
 * view ever reads itself.
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { MAX_SYSTEM_ID, type TableDescriptor, type ViewDefinition, updated } from '../../../catalog/descriptor.ts';
import { familyName, sqlTypeName, Type, typesEqual, type ColumnType } from '../../../catalog/type.ts';
import type { ResolvedSchema } from '../../../catalog/catalog.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { quoteName, quoteNames } from '../../../catalog/names.ts';
import type { CreateView, Expr, RefreshView } from '../../parse/ast.ts';
import { parseQuery } from '../../parse/parse.ts';
import { printExpr, printSelect } from '../../parse/printer.ts';
import { constraintQueue } from '../foreignKeys.ts';
import { wholeScan } from '../keyRows.ts';
import { compileReadOnly } from '../operators.ts';
import { collect } from '../run.ts';
import { tableWriter } from '../tableWriter.ts';
import { alreadyExists, partsOf, type SchemaChange } from './common.ts';
import { publishTable, TableBuilder } from './createTable.ts';
import { noteDependent } from './dependents.ts';
import { emptyTable } from './emptyTable.ts';
import { newPlace } from './temporary.ts';
import { type ViewText, viewText } from './viewText.ts';

interface ViewColumn {
  readonly name: string;
  readonly type: ColumnType;
}

export async function createView(change: SchemaChange, stmt: CreateView): Promise<void> {
  const place = await newPlace(change, stmt.name, stmt.temporary);
  const { name, taken } = place;
  if (taken && !(stmt.orReplace && taken.kind === 'table')) {
    if (!stmt.ifNotExists) throw alreadyExists(taken, name);
    change.context.notice(`relation "${name}" already exists, skipping`);
    return;
  }
  const replaced = taken?.kind === 'table' ? taken : undefined;
  if (replaced && (!replaced.view || replaced.view.isMaterialized)) {
    throw new StatementError(SqlState.WrongObjectType, `"${name}" is not a view`);
  }
  if (replaced) change.check(replaced, 'DROP');
  const text = viewText(change, stmt.query);
  const isOnTemporary = text.definition.dependsOnIds.some((id) => change.snapshot.tableById(id)?.temporary);
  const isMoved = isOnTemporary && !place.schema.descriptor?.temporary;
  if (isMoved && (stmt.materialized || replaced)) {
    throw new StatementError(SqlState.FeatureNotSupported, 'a view that stays cannot read temporary relations');
  }
  const schema = isMoved ? await temporarySchemaOfView(change, stmt, name) : place.schema;
  checkDatabases(change, schema, text);
  const columns = viewColumns(stmt, text);
  if (replaced) return replaceView(change, replaced, columns, text.definition);
  if (stmt.materialized) return createMaterialized(change, stmt, schema, name, columns, text.definition);
  const id = await change.allocateId();
  const empty = emptyTable(id, name, schema, change.context);
  const view = { ...withColumns(empty, columns), view: text.definition };
  await change.writeName(schema.database.id, schema.id, name, id);
  await change.write(view);
  await noteDependent(change, id, [], text.definition.dependsOnIds);
}

/** A view of what goes with the session goes with it too. */
async function temporarySchemaOfView(change: SchemaChange, stmt: CreateView, name: string): Promise<ResolvedSchema> {
  const { schema, taken } = await newPlace(change, { ...stmt.name, parts: stmt.name.parts.slice(-1) }, true);
  if (taken) throw alreadyExists(taken, name);
  change.context.notice(`view "${name}" will be a temporary view`);
  return schema;
}

function checkDatabases(change: SchemaChange, schema: ResolvedSchema, { databaseIds }: ViewText): void {
  if (change.context.engine.settings.bool('sql.cross_db_views.enabled')) return;
  for (const id of databaseIds) {
    if (id === schema.database.id || id <= MAX_SYSTEM_ID) continue;
    throw new StatementError(SqlState.FeatureNotSupported, 'the view cannot refer to other databases', {
      hint: `it reads database "${change.snapshot.databaseById(id)?.name}"; SET CLUSTER SETTING sql.cross_db_views.enabled = true allows that`,
    });
  }
}

function viewColumns(stmt: CreateView, { columns }: ViewText): ViewColumn[] {
  if (stmt.columns.length > 0 && stmt.columns.length !== columns.length) {
    const given = `${stmt.columns.length} column name${stmt.columns.length === 1 ? '' : 's'}`;
    throw new StatementError(
      SqlState.SyntaxError,
      `CREATE VIEW specifies ${given}, but data source has ${columns.length} column${columns.length === 1 ? '' : 's'}`,
    );
  }
  const seen = new Set<string>();
  return columns.map(({ name: own, type }, i) => {
    const name = stmt.columns[i]?.text ?? own;
    if (seen.has(name)) throw new StatementError(SqlState.DuplicateColumn, `duplicate column name: "${name}"`);
    seen.add(name);
    return { name, type: type.family === 'unknown' ? Type.String : type };
  });
}

function withColumns(view: TableDescriptor, columns: readonly ViewColumn[]): TableDescriptor {
  const made = columns.map(({ name, type }, i) => ({ id: i + 1, name, type, nullable: true, state: 'public' as const }));
  return updated(view, { columns: made, nextColumnId: made.length + 1 });
}

async function replaceView(
  change: SchemaChange,
  view: TableDescriptor,
  columns: readonly ViewColumn[],
  definition: ViewDefinition,
): Promise<void> {
  if (columns.length < view.columns.length) throw new StatementError(SqlState.InvalidTableDefinition, 'cannot drop columns from view');
  for (const [i, old] of view.columns.entries()) {
    const { name, type } = columns[i] as ViewColumn;
    if (name !== old.name) {
      throw new StatementError(SqlState.InvalidTableDefinition, `cannot change name of view column "${old.name}" to "${name}"`);
    }
    if (!typesEqual(type, old.type)) {
      const change_ = `from ${familyName(old.type)} to ${familyName(type)}`;
      throw new StatementError(SqlState.InvalidTableDefinition, `cannot change type of view column "${old.name}" ${change_}`);
    }
  }
  refuseCycle(change, view, definition.dependsOnIds);
  await change.write(updated(withColumns(view, columns), { view: definition }));
  await noteDependent(change, view.id, view.view?.dependsOnIds ?? [], definition.dependsOnIds);
}

function refuseCycle(change: SchemaChange, view: TableDescriptor, ids: readonly number[]): void {
  for (const id of ids) {
    if (id === view.id) {
      const name = quoteNames(change.snapshot.fullName(view));
      throw new StatementError(SqlState.InvalidObjectDefinition, `cyclic view dependency for relation ${name}`);
    }
    refuseCycle(change, view, change.snapshot.tableById(id)?.view?.dependsOnIds ?? []);
  }
}

// ---- materialized views -----------------------------------------------------------------------

async function createMaterialized(
  change: SchemaChange,
  stmt: CreateView,
  schema: ResolvedSchema,
  name: string,
  columns: readonly ViewColumn[],
  definition: ViewDefinition,
): Promise<void> {
  for (const { type } of columns) {
    if (type.family === 'tuple' || type.family === 'void') {
      throw new StatementError(SqlState.FeatureNotSupported, `a column cannot have type ${sqlTypeName(type)}`);
    }
  }
  const id = await change.allocateId();
  const empty = emptyTable(id, name, schema, change.context);
  const builder = new TableBuilder(change, { ...withColumns(empty, columns), view: { ...definition, isMaterialized: true } });
  await builder.addElements([]);
  builder.finish();
  const table = await publishTable(change, builder, schema);
  await noteDependent(change, id, [], definition.dependsOnIds);
  if (stmt.withData !== false) await fill(change, table);
}

/** Puts the rows of its query into an empty materialized view. */
async function fill(change: SchemaChange, table: TableDescriptor): Promise<void> {
  const { context } = change;
  const result = await context.engine.runNested(context, parseQuery(table.view?.query ?? ''));
  const run = context.newRun(0, 0);
  const writer = tableWriter(table, context.engine.functions);
  const rows = result.rows.map((row): Datum[] => {
    // Behind the query's columns the row id.
    const whole: Datum[] = [...row, context.engine.kv.ids.int8()];
    writer.prepare(whole, run);
    return whole;
  });
  await writer.insert(rows, run, await constraintQueue(context));
}

/** REFRESH MATERIALIZED VIEW: its rows become those its query has now. 42809 for what is none. */
export async function refreshView(change: SchemaChange, stmt: RefreshView): Promise<void> {
  const view = change.relation(stmt.name, 'any')?.descriptor;
  if (!view) return;
  if (!view.view?.isMaterialized) {
    throw new StatementError(SqlState.WrongObjectType, `"${partsOf(stmt.name).at(-1)}" is not a materialized view`);
  }
  if (!change.roles.has(view.privileges.owner)) change.requireAdmin(`refresh materialized view ${view.name}`);
  const { context } = change;
  const run = context.newRun(0, 0);
  const rows = await collect(compileReadOnly(wholeScan(view))(run));
  await tableWriter(view, context.engine.functions).delete(
    rows.map((row) => row.slice(0, view.columns.length)),
    run,
    await constraintQueue(context),
  );
  if (stmt.withData) await fill(change, view);
}

/** SHOW CREATE VIEW; `isNewer`: as 25.1 prints it, with a line for each column, and constants of user types folded. */
export function createViewText(view: TableDescriptor, schema: string, isNewer = false): string {
  const columns = view.columns.filter((column) => !column.hidden).map((column) => quoteName(column.name));
  const kind = view.view?.isMaterialized ? 'MATERIALIZED VIEW' : view.temporary ? 'TEMP VIEW' : 'VIEW';
  const head = `CREATE ${kind} ${quoteNames([schema, view.name])}`;
  const query = view.view?.query ?? '';
  return isNewer
    ? `${head} (\n\t${columns.join(',\n\t')}\n) AS ${printSelect(parseQuery(query), { replace: foldedConstant })};`
    : `${head} (${columns.join(', ')}) AS ${query}`;
}

/** `'Good'::d.s.e`, as stored, is a constant of type s.e. */
function foldedConstant(expr: Expr): string | undefined {
  if (expr.kind !== 'cast' || expr.operand.kind !== 'string' || expr.type.name.parts.length !== 3) return undefined;
  const name = { ...expr.type.name, parts: expr.type.name.parts.slice(1) };
  return printExpr({ ...expr, kind: 'annotate', type: { ...expr.type, name } });
}
