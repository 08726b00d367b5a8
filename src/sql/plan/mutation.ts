/**
 * INSERT, UPSERT, UPDATE and DELETE to plan nodes.
 *
 * An insert's input gives whole rows: what the statement names, defaults for the rest. An update's
 * input gives the old row, then what FROM adds, then the new values; a delete's the old row. The
 * executor (../exec/mutate.ts) reads its whole input before it writes the first row.
 */
import { ConstraintError, StateError, StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { ColumnDescriptor, IndexDescriptor, TableDescriptor } from '../../catalog/descriptor.ts';
import { columnByName, givenKeyColumnIds } from '../../catalog/descriptor.ts';
import { type ColumnType, Type } from '../../catalog/type.ts';
import type { Assignment, DeleteStatement, Expr, InsertStatement, Name, OnConflict, Returning, UpdateStatement } from '../parse/ast.ts';
import { parseExpression } from '../parse/parse.ts';
import { coerceTo } from '../expr/analyze.ts';
import { formatExpr } from '../expr/formatExpr.ts';
import type { TypedExpr } from '../expr/typedExpr.ts';
import { columnNameOf } from './columnName.ts';
import { indexExpressionsOf } from './indexExpressions.ts';
import { indexNamed } from './indexNamed.ts';
import { knownOf, planFrom, planTableScan } from './from.ts';
import type { ConflictAction, PlanColumn, PlanNode, SortKey } from './plan.ts';
import type { CommonTables, PlanContext, PlannedQuery } from './planContext.ts';
import { Frame, type ScopeColumn, type ScopeTable, SelectScope } from './scope.ts';
import { columnExpr, planWith, starColumns, starText } from './select.ts';
import { type TableShape, tableShape } from './tableShape.ts';

const parsedDefaults = new WeakMap<ColumnDescriptor, Expr>();

/** A column's DEFAULT, typed for the column; NULL without one. */
export function defaultOf(ctx: PlanContext, column: ColumnDescriptor, table: TableDescriptor): TypedExpr {
  if (column.defaultExpr === undefined) return nullOf(column.type);
  let parsed = parsedDefaults.get(column);
  if (!parsed) {
    parsed = parseExpression(column.defaultExpr);
    parsedDefaults.set(column, parsed);
  }
  const typed = ctx.analyze(parsed, undefined, { clause: 'DEFAULT', desired: column.type, commonTables: undefined, typesOf: table });
  return coerceTo(typed, column.type, column.name);
}

function nullOf(type: ColumnType): TypedExpr {
  return { kind: 'const', type, value: null };
}

/** A column by name that a statement writes. 42703 unknown, 55000 while it is being added. */
function columnOf(table: TableDescriptor, name: Name): { column: ColumnDescriptor; position: number } {
  const column = columnByName(table, name.text);
  if (column?.state === 'write_only') {
    throw new StateError(SqlState.ObjectNotInPrerequisiteState, `column "${name.text}" is being backfilled`, {
      hint: 'it can be used when its schema change has ended, which COMMIT waits for inside a transaction',
    });
  }
  if (column?.state !== 'public') {
    throw new StatementError(SqlState.UndefinedColumn, `column "${name.text}" does not exist`, { location: { position: name.pos + 1 } });
  }
  return { column, position: table.columns.indexOf(column) };
}

/** As columnOf, for one that takes any value. 55000 computed. */
function writableColumn(table: TableDescriptor, name: Name): Target {
  const target = columnOf(table, name);
  refuseComputed(target.column);
  return target;
}

// ---- INSERT -----------------------------------------------------------------------------------

export function planInsert(ctx: PlanContext, stmt: InsertStatement, outer: CommonTables | undefined): PlannedQuery {
  ctx.mutates = true;
  const frame = new Frame(undefined);
  const ctes = stmt.with ? planWith(ctx, stmt.with, frame, outer) : outer;
  const { table, schema, database } = ctx.env.resolveTable(stmt.table, 'INSERT');
  // What may be met has to be read, and written.
  if (stmt.upsert || stmt.onConflict) ctx.env.resolveTable(stmt.table, 'SELECT');
  if (stmt.upsert || stmt.onConflict?.update) ctx.env.resolveTable(stmt.table, 'UPDATE');
  const shape = tableShape(table);
  const targets = insertTargets(table, stmt.columns);
  refusePartialKeys(table, targets);
  const input = insertInput(ctx, stmt, table, targets, frame, ctes);
  requirePrimaryKey(table, targets);
  const alias = stmt.alias?.text ?? table.name;
  const scopeTable: ScopeTable = {
    name: alias,
    schema: stmt.alias ? undefined : schema,
    database: stmt.alias ? undefined : database,
    keyColumnIds: table.primaryIndex.columnIds,
  };
  const own = rowScope(shape, scopeTable, 0);
  const conflict: ConflictAction | undefined = stmt.upsert
    ? { type: 'upsert' }
    : stmt.onConflict && planConflict(ctx, stmt.onConflict, shape, own, frame, ctes);
  const { returning, columns } = planReturning(ctx, stmt.returning, new SelectScope(own, frame), ctes);
  return {
    node: { kind: 'insert', table, alias, input, targets: targets.map((target) => target.position), conflict, returning, columns },
    columns,
  };
}

interface Target {
  readonly column: ColumnDescriptor;
  readonly position: number;
}

/** How many values the rows of VALUES have; a query's width is known when it is planned. */
function givenWidth({ source }: InsertStatement): number {
  return source?.body.kind === 'values' ? (source.body.rows[0]?.length ?? 0) : Number.POSITIVE_INFINITY;
}

/** What a statement may write: the columns it names, else all that are seen; computed ones too, which then take DEFAULT alone. */
function insertTargets(table: TableDescriptor, names: readonly Name[]): Target[] {
  if (names.length > 0) {
    const targets = names.map((name) => columnOf(table, name));
    refuseTwice(targets);
    return targets;
  }
  const targets: Target[] = [];
  table.columns.forEach((column, position) => {
    if (column.state === 'public' && !column.hidden) targets.push({ column, position });
  });
  return targets;
}

/** 23502 when a statement gives no value for a column of the primary key that has no default. */
function requirePrimaryKey(table: TableDescriptor, targets: readonly Target[]): void {
  for (const id of table.primaryIndex.columnIds) {
    const column = table.columns.find((one) => one.id === id);
    if (!column || column.defaultExpr !== undefined || column.computeExpr !== undefined) continue;
    if (targets.some((target) => target.column.id === id)) continue;
    throw new ConstraintError(SqlState.NotNullViolation, `missing "${column.name}" primary key column`, {
      column: column.name,
      table: table.name,
      relationId: table.id,
    });
  }
}

/** MATCH FULL: a statement names all columns of the key or none. 23503. */
function refusePartialKeys(table: TableDescriptor, targets: readonly Target[]): void {
  for (const fk of table.foreignKeys) {
    if (fk.match !== 'FULL' || fk.columnIds.length < 2) continue;
    const missing = fk.columnIds.filter((id) => !targets.some(({ column }) => column.id === id));
    if (missing.length === 0 || missing.length === fk.columnIds.length) continue;
    const names = missing.map((id) => `"${table.columns.find((column) => column.id === id)?.name}"`).sort();
    const what = names.length === 1 ? `value for column ${names[0]}` : `values for columns [${names.join(' ')}]`;
    throw new ConstraintError(SqlState.ForeignKeyViolation, `missing ${what} in multi-part foreign key`, {
      constraint: fk.name,
      table: table.name,
    });
  }
}

function refuseTwice(targets: readonly Target[]): void {
  const seen = new Set<number>();
  for (const { column, position } of targets) {
    if (seen.has(position)) throw new StatementError(SqlState.SyntaxError, `multiple assignments to the same column "${column.name}"`);
    seen.add(position);
  }
}

/** Whole rows: position by position of the descriptor's columns. */
function insertInput(
  ctx: PlanContext,
  stmt: InsertStatement,
  table: TableDescriptor,
  targets: readonly Target[],
  frame: Frame,
  ctes: CommonTables | undefined,
): PlanNode {
  const columns: PlanColumn[] = tableShape(table).columns.slice(0, table.columns.length);
  const defaults = table.columns.map((column) => (column.computeExpr === undefined ? defaultOf(ctx, column, table) : nullOf(column.type)));
  const { source } = stmt;
  const verb = stmt.upsert ? 'UPSERT' : 'INSERT';
  if (!source) return { kind: 'values', rows: [defaults], columns };
  const isPlainValues = source.body.kind === 'values' && !source.with && source.orderBy.length === 0 && !source.limit && !source.offset;
  if (source.body.kind === 'values' && isPlainValues) {
    const scope = new SelectScope([], frame);
    const hasColumnList = stmt.columns.length > 0;
    const firstWidth = givenWidth(stmt);
    const rows = source.body.rows.map((row) => {
      checkEven(row.length, firstWidth);
      checkWidth(row.length, targets.length, hasColumnList, verb);
      const whole = [...defaults];
      row.forEach((expr, i) => {
        const target = targets[i];
        if (!target || expr.kind === 'default' || isLeftToIdentity(target.column, stmt)) return;
        refuseGenerated(target.column, stmt);
        whole[target.position] = valueFor(ctx, expr, target.column, scope, 'VALUES', ctes);
      });
      return whole;
    });
    return { kind: 'values', rows, columns };
  }
  const query = ctx.planQuery(
    source,
    frame,
    ctes,
    targets.map((target) => target.column.type),
  );
  checkWidth(query.columns.length, targets.length, stmt.columns.length > 0, verb);
  const exprs = [...defaults];
  query.columns.forEach((column, index) => {
    const target = targets[index];
    if (!target || isLeftToIdentity(target.column, stmt)) return;
    refuseGenerated(target.column, stmt);
    exprs[target.position] = coerceTo(
      { kind: 'column', type: column.type, index, name: column.name },
      target.column.type,
      target.column.name,
    );
  });
  return { kind: 'project', input: query.node, exprs, columns };
}

/** OVERRIDING USER VALUE: identity columns count on, whatever was given. */
function isLeftToIdentity(column: ColumnDescriptor, { overriding }: InsertStatement): boolean {
  return overriding === 'user' && column.generatedAsIdentity !== undefined;
}

/** What a column generates always takes no other value. 55000, 428C9. */
function refuseGenerated(column: ColumnDescriptor, { overriding }: InsertStatement): void {
  refuseComputed(column);
  if (column.generatedAsIdentity === 'always' && overriding !== 'system')
    throw generatedAlways(`cannot insert into column "${column.name}"`, column);
}

function generatedAlways(message: string, { name }: ColumnDescriptor): StatementError {
  return new StatementError(SqlState.GeneratedAlways, message, {
    detail: `Column "${name}" is an identity column defined as GENERATED ALWAYS.`,
  });
}

function refuseComputed({ name, computeExpr }: ColumnDescriptor): void {
  if (computeExpr !== undefined) {
    throw new StateError(SqlState.ObjectNotInPrerequisiteState, `cannot write directly to computed column "${name}"`);
  }
}

function checkEven(given: number, wanted: number): void {
  if (given !== wanted) {
    throw new StatementError(SqlState.SyntaxError, `VALUES lists must all be the same length, expected ${wanted} columns, found ${given}`);
  }
}

function checkWidth(given: number, wanted: number, isListed: boolean, verb: string): void {
  if (given === wanted || (!isListed && given < wanted && given > 0)) return;
  const what = given > wanted ? 'expressions' : 'target columns';
  throw new StatementError(
    SqlState.SyntaxError,
    `${verb} has more ${what} than ${given > wanted ? 'target columns' : 'expressions'}, ${given} expressions for ${wanted} targets`,
  );
}

function valueFor(
  ctx: PlanContext,
  expr: Expr,
  column: ColumnDescriptor,
  scope: SelectScope,
  clause: string,
  ctes: CommonTables | undefined,
): TypedExpr {
  const typed = ctx.analyze(expr, scope, { clause, desired: column.type, commonTables: ctes });
  return coerceTo(typed, column.type, column.name);
}

/** The columns of a table's row, laid out from `offset`. */
function rowScope(shape: TableShape, table: ScopeTable, offset: number): ScopeColumn[] {
  const columns: ScopeColumn[] = [];
  shape.columns.forEach((column, i) => {
    const desc = shape.table.columns[i];
    if (desc?.state === 'write_only' || desc?.isIndexExpression) return;
    columns.push({ ...column, index: i + offset, table, isHidden: !desc || desc.hidden === true, isMerged: false });
  });
  return columns;
}

function planConflict(
  ctx: PlanContext,
  clause: OnConflict,
  shape: TableShape,
  own: readonly ScopeColumn[],
  frame: Frame,
  ctes: CommonTables | undefined,
): ConflictAction {
  const { table } = shape;
  const condition = (expr: Expr): string =>
    formatExpr(ctx.analyzeBool(expr, new SelectScope(own, frame), { clause: 'WHERE', commonTables: ctes }));
  const arbiter = conflictArbiter(table, clause, condition);
  if (!clause.update) {
    if (!arbiter && table.uniqueWithoutIndex?.length) {
      throw new StatementError(
        SqlState.FeatureNotSupported,
        'ON CONFLICT DO NOTHING on a table with UNIQUE WITHOUT INDEX is not supported',
        {
          hint: 'name the columns of a unique index: ON CONFLICT (column_name) DO NOTHING',
        },
      );
    }
    return { type: 'nothing', arbiters: arbiter ? [arbiter] : undefined };
  }
  if (!arbiter) {
    throw new StatementError(SqlState.SyntaxError, 'ON CONFLICT DO UPDATE requires inference specification or constraint name', {
      hint: 'for example, ON CONFLICT (column_name)',
    });
  }
  const [own0] = own;
  if (own0?.table?.name === 'excluded') throw new StatementError(SqlState.DuplicateAlias, 'ambiguous source name: "excluded"');
  const excluded: ScopeTable = { name: 'excluded', schema: undefined, database: undefined, keyColumnIds: undefined };
  const proposed = rowScope(shape, excluded, shape.width);
  const scope = new SelectScope([...proposed, ...own], frame);
  const { targets, exprs } = planAssignments(ctx, clause.update.set, table, scope, ctes);
  addOnUpdate(ctx, table, targets, exprs);
  const where = clause.update.where && ctx.analyzeBool(clause.update.where, scope, { clause: 'WHERE', commonTables: ctes });
  return { type: 'update', arbiter, targets: targets.map((target) => target.position), exprs, where };
}

/** The unique index that a clause means; a partial one when its condition is the one that WHERE gives. 42P10 when there is none. */
function conflictArbiter(table: TableDescriptor, clause: OnConflict, condition: (expr: Expr) => string): IndexDescriptor | undefined {
  const unique = [table.primaryIndex, ...table.indexes.filter((index) => index.unique && index.state === 'public')];
  if (clause.constraint) {
    const name = clause.constraint.text;
    const named = indexNamed(table, name);
    const found = unique.find((index) => index.id === named?.id);
    if (!found) throw new StatementError(SqlState.UndefinedObject, `constraint "${name}" for table "${table.name}" does not exist`);
    return found;
  }
  if (clause.columns.length === 0) return undefined;
  const ids = new Set(clause.columns.map((name) => writableOrComputed(table, name).id));
  const fits = unique.filter(
    (index) => givenKeyColumnIds(index).length === ids.size && givenKeyColumnIds(index).every((id) => ids.has(id)),
  );
  const where = clause.arbiterWhere && condition(clause.arbiterWhere);
  const found =
    fits.find((index) => index.predicate === undefined) ??
    fits.find((index) => index.predicate !== undefined && condition(parseExpression(index.predicate)) === where);
  if (!found) {
    throw new StatementError(
      SqlState.InvalidColumnReference,
      'there is no unique or exclusion constraint matching the ON CONFLICT specification',
    );
  }
  return found;
}

function writableOrComputed(table: TableDescriptor, name: Name): ColumnDescriptor {
  const column = columnByName(table, name.text);
  if (column?.state !== 'public') throw new StatementError(SqlState.UndefinedColumn, `column "${name.text}" does not exist`);
  return column;
}

// ---- SET --------------------------------------------------------------------------------------

function planAssignments(
  ctx: PlanContext,
  set: readonly Assignment[],
  table: TableDescriptor,
  scope: SelectScope,
  ctes: CommonTables | undefined,
): { targets: Target[]; exprs: TypedExpr[] } {
  const targets: Target[] = [];
  const exprs: TypedExpr[] = [];
  const assign = (target: Target, value: Expr): void => {
    targets.push(target);
    if (value.kind !== 'default') refuseIdentity(target.column);
    exprs.push(
      value.kind === 'default' ? defaultOf(ctx, target.column, table) : valueFor(ctx, value, target.column, scope, 'UPDATE SET', ctes),
    );
  };
  for (const assignment of set) {
    const columns = assignment.columns.map((name) => writableColumn(table, name));
    const [first] = columns;
    if (!assignment.isTuple && first) {
      assign(first, assignment.value);
      continue;
    }
    const { value } = assignment;
    if (value.kind === 'tuple') {
      checkCount(columns.length, value.elements.length);
      columns.forEach((column, i) => {
        const element = value.elements[i];
        if (element) assign(column, element);
      });
      continue;
    }
    if (value.kind !== 'subquery') {
      checkCount(columns.length, 1);
      if (first) assign(first, value);
      continue;
    }
    const typed = ctx.rowSubquery(
      value.query,
      scope,
      ctes,
      columns.map((target) => target.column.type),
    );
    const fields = typed.type.family === 'tuple' ? (typed.type.fields ?? []) : [typed.type];
    checkCount(columns.length, fields.length);
    columns.forEach((target, index) => {
      const type = fields[index] ?? Type.Unknown;
      refuseIdentity(target.column);
      const field: TypedExpr =
        typed.type.family === 'tuple' ? { kind: 'field', type, operand: typed, index, name: target.column.name } : typed;
      targets.push(target);
      exprs.push(coerceTo(field, target.column.type, target.column.name));
    });
  }
  refuseTwice(targets);
  return { targets, exprs };
}

function refuseIdentity(column: ColumnDescriptor): void {
  if (column.generatedAsIdentity === 'always') throw generatedAlways(`column "${column.name}" can only be updated to DEFAULT`, column);
}

function checkCount(columns: number, values: number): void {
  if (columns !== values) {
    throw new StatementError(SqlState.SyntaxError, `number of columns (${columns}) does not match number of values (${values})`);
  }
}

/** Columns with ON UPDATE that the statement does not set take that value. */
function addOnUpdate(ctx: PlanContext, table: TableDescriptor, targets: Target[], exprs: TypedExpr[]): void {
  table.columns.forEach((column, position) => {
    if (column.onUpdateExpr === undefined || targets.some((target) => target.position === position)) return;
    const typed = ctx.analyze(parseExpression(column.onUpdateExpr), undefined, {
      clause: 'ON UPDATE',
      desired: column.type,
      commonTables: undefined,
    });
    targets.push({ column, position });
    exprs.push(coerceTo(typed, column.type, column.name));
  });
}

// ---- UPDATE, DELETE ---------------------------------------------------------------------------

export function planUpdate(ctx: PlanContext, stmt: UpdateStatement, outer: CommonTables | undefined): PlannedQuery {
  ctx.mutates = true;
  if (ctx.env.safeUpdates && !stmt.where && !stmt.limit) throw unsafe('UPDATE without WHERE or LIMIT clause');
  const frame = new Frame(undefined);
  const ctes = stmt.with ? planWith(ctx, stmt.with, frame, outer) : outer;
  const { table, node: source, scope } = writeSource(ctx, stmt.table, 'UPDATE', stmt.from, frame, ctes);
  const shape = tableShape(table);
  let node = filtered(ctx, source, stmt.where, scope, ctes);
  const { targets, exprs } = planAssignments(ctx, stmt.set, table, scope, ctes);
  addOnUpdate(ctx, table, targets, exprs);
  node = sortedAndLimited(ctx, node, stmt, scope, ctes);
  const valuesOffset = node.columns.length;
  const rowExprs = node.columns.map(({ type, name }, index): TypedExpr => ({ kind: 'column', type, index, name }));
  const values: PlanColumn[] = targets.map(({ column }) => ({ name: column.name, type: column.type }));
  const input: PlanNode = { kind: 'project', input: node, exprs: [...rowExprs, ...exprs], columns: [...node.columns, ...values] };
  const { returning, columns } = planReturning(ctx, stmt.returning, scope, ctes);
  const alias = stmt.table.alias?.name.text ?? shape.table.name;
  return {
    node: { kind: 'update', table, alias, input, targets: targets.map((target) => target.position), valuesOffset, returning, columns },
    columns,
  };
}

export function planDelete(ctx: PlanContext, stmt: DeleteStatement, outer: CommonTables | undefined): PlannedQuery {
  ctx.mutates = true;
  if (ctx.env.safeUpdates && !stmt.where && !stmt.limit) throw unsafe('DELETE without WHERE or LIMIT clause');
  const frame = new Frame(undefined);
  const ctes = stmt.with ? planWith(ctx, stmt.with, frame, outer) : outer;
  const { table, node: source, scope } = writeSource(ctx, stmt.table, 'DELETE', stmt.using, frame, ctes);
  const filteredNode = filtered(ctx, source, stmt.where, scope, ctes);
  const input = sortedAndLimited(ctx, filteredNode, stmt, scope, ctes);
  const { returning, columns } = planReturning(ctx, stmt.returning, scope, ctes);
  const alias = stmt.table.alias?.name.text ?? table.name;
  return { node: { kind: 'delete', table, alias, input, returning, columns }, columns };
}

function unsafe(what: string): StatementError {
  return new StatementError(SqlState.Warning, `rejected (sql_safe_updates = true): ${what}`);
}

/** The written table's scan first, then the sources of FROM or USING. */
function writeSource(
  ctx: PlanContext,
  ref: UpdateStatement['table'],
  privilege: 'UPDATE' | 'DELETE',
  others: UpdateStatement['from'],
  frame: Frame,
  ctes: CommonTables | undefined,
): { table: TableDescriptor; node: PlanNode; scope: SelectScope } {
  const { table, schema, database } = ctx.env.resolveTable(ref.name, privilege);
  ctx.env.resolveTable(ref.name, 'SELECT');
  const scan = planTableScan(ref, table, schema, database);
  const expressions = indexExpressionsOf(ctx, table, scan.columns);
  const own: PlanNode = { ...scan.node, ...knownOf(ctx, table), forWrite: true, ...(expressions && { expressions }) };
  if (others.length === 0) return { table, node: own, scope: new SelectScope(scan.columns, frame) };
  const rest = planFrom(ctx, others, frame, ctes);
  const width = own.columns.length;
  const shifted = rest.columns.map((column) => ({ ...column, index: column.index + width }));
  const node: PlanNode = {
    kind: 'join',
    type: 'inner',
    left: own,
    right: rest.node,
    leftKeys: [],
    rightKeys: [],
    on: undefined,
    columns: [...own.columns, ...rest.node.columns],
  };
  return { table, node, scope: new SelectScope([...scan.columns, ...shifted], frame) };
}

function filtered(ctx: PlanContext, node: PlanNode, where: Expr | undefined, scope: SelectScope, ctes: CommonTables | undefined): PlanNode {
  if (!where) return node;
  const predicate = ctx.analyzeBool(where, scope, { clause: 'WHERE', commonTables: ctes });
  return { kind: 'filter', input: node, predicate, columns: node.columns };
}

/** ORDER BY and LIMIT of a row change say which rows it meets. */
function sortedAndLimited(
  ctx: PlanContext,
  input: PlanNode,
  stmt: Pick<UpdateStatement, 'orderBy' | 'limit'>,
  scope: SelectScope,
  ctes: CommonTables | undefined,
): PlanNode {
  let node = input;
  if (stmt.orderBy.length > 0) {
    const { columns } = node;
    const exprs: TypedExpr[] = columns.map((column, index) => columnExpr({ ...column, index }));
    const keys: SortKey[] = stmt.orderBy.map((item) => {
      const typed = ctx.analyze(item.expr, scope, { clause: 'ORDER BY', commonTables: ctes });
      const index = typed.kind === 'column' ? typed.index : exprs.push(typed) - 1;
      return { index, descending: item.descending, nullsFirst: item.nulls ? item.nulls === 'first' : !item.descending };
    });
    const wide: PlanColumn[] = exprs.map((expr, i) => columns[i] ?? { name: `order${i}`, type: expr.type });
    if (exprs.length > columns.length) node = { kind: 'project', input: node, exprs, columns: wide };
    node = { kind: 'sort', input: node, keys, top: undefined, columns: node.columns };
    if (exprs.length > columns.length) node = { kind: 'project', input: node, exprs: exprs.slice(0, columns.length), columns };
  }
  if (stmt.limit) {
    node = { kind: 'limit', input: node, limit: ctx.analyzeCount(stmt.limit, 'LIMIT', ctes), offset: undefined, columns: node.columns };
  }
  return node;
}

// ---- RETURNING --------------------------------------------------------------------------------

function planReturning(
  ctx: PlanContext,
  clause: Returning,
  scope: SelectScope,
  ctes: CommonTables | undefined,
): { returning: TypedExpr[] | undefined; columns: PlanColumn[] } {
  if (clause === undefined || clause === 'nothing') return { returning: undefined, columns: [] };
  const returning: TypedExpr[] = [];
  const columns: PlanColumn[] = [];
  for (const target of clause) {
    if (target.expr.kind === 'star') {
      if (target.alias) {
        throw new StatementError(SqlState.SyntaxError, `"${starText(target.expr)}" cannot be aliased`);
      }
      for (const column of starColumns(scope, target.expr)) {
        returning.push(columnExpr(column));
        columns.push({ name: column.name, type: column.type, tableId: column.tableId, columnId: column.columnId });
      }
      continue;
    }
    const typed = ctx.analyze(target.expr, scope, { clause: 'RETURNING', commonTables: ctes });
    returning.push(typed);
    const source = typed.kind === 'column' ? scope.columns.find((column) => column.index === typed.index) : undefined;
    columns.push({
      name: target.alias?.text ?? columnNameOf(target.expr),
      type: typed.type,
      tableId: source?.tableId,
      columnId: source?.columnId,
    });
  }
  return { returning, columns };
}
