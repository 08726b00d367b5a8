/**
 * FROM: table expressions to plan nodes and the scope of their columns.
 *
 * Sources separated by commas are cross joins, which the optimizer turns into joins proper when
 * WHERE gives it keys. A join's row is left's columns, then right's; USING and NATURAL leave both
 * columns in the row and show one of them (for FULL, a COALESCE put behind them).
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { indexById } from '../../catalog/descriptor.ts';
import { type ColumnType, Type, typesEquivalent } from '../../catalog/type.ts';
import type {
  ColumnRef,
  FunctionSource,
  JoinSource,
  Name,
  Statement,
  StatementSource,
  TableAlias,
  TableRef,
  TableSource,
} from '../parse/ast.ts';
import { printStatement } from '../parse/printer.ts';
import type { TypedExpr, TypedGenerator } from '../expr/typedExpr.ts';
import { traits } from '../expr/traits.ts';
import { columnNameOf } from './columnName.ts';
import { indexExpressionsOf } from './indexExpressions.ts';
import { indexNamed } from './indexNamed.ts';
import { partialIndexesOf } from './partialIndexes.ts';
import type { JoinType, PlanColumn, PlanNode, ScanNode } from './plan.ts';
import { type CommonTables, findCommonTable, type PlanContext, type PlannedQuery, type Relation } from './planContext.ts';
import { Frame, type ScopeColumn, type ScopeTable, SelectScope } from './scope.ts';
import { tableShape } from './tableShape.ts';

/** A planned FROM: its rows, and the names of their columns. */
export interface PlannedSource {
  readonly node: PlanNode;
  readonly columns: readonly ScopeColumn[];
}

/** One row without columns: what SELECT without FROM reads. */
export const ONE_ROW: PlanNode = Object.freeze({ kind: 'values', columns: [], rows: [[]] });

/** Plans a FROM list; empty gives one row. */
export function planFrom(ctx: PlanContext, sources: readonly TableSource[], frame: Frame, ctes: CommonTables | undefined): PlannedSource {
  let planned: PlannedSource | undefined;
  for (const source of sources) {
    planned = planned ? combine(ctx, planned, source, frame, ctes) : planSource(ctx, source, frame, ctes, undefined);
  }
  if (!planned) return { node: ONE_ROW, columns: [] };
  checkDistinctNames(planned.columns);
  return planned;
}

function combine(ctx: PlanContext, left: PlannedSource, source: TableSource, frame: Frame, ctes: CommonTables | undefined): PlannedSource {
  const right = planSource(ctx, source, frame, ctes, left);
  return joined(left, right, 'inner', undefined);
}

function checkDistinctNames(columns: readonly ScopeColumn[]): void {
  const seen = new Map<string, ScopeTable>();
  for (const { table } of columns) {
    if (!table) continue;
    const key = `${table.name}`;
    const other = seen.get(key);
    if (other && other !== table && other.schema === table.schema && other.database === table.database) {
      throw new StatementError(SqlState.DuplicateAlias, `source name "${table.name}" specified more than once (missing AS clause)`);
    }
    if (!other) seen.set(key, table);
  }
}

/** `left`: what stands before it in FROM, for LATERAL. */
function planSource(
  ctx: PlanContext,
  source: TableSource,
  frame: Frame,
  ctes: CommonTables | undefined,
  left: PlannedSource | undefined,
): PlannedSource {
  switch (source.kind) {
    case 'table':
      return withOrdinality(source, planTable(ctx, source, frame, ctes));
    case 'subquerySource': {
      const isLateral = source.lateral && left !== undefined;
      const inner = isLateral ? new Frame(new SelectScope(left.columns, frame)) : new Frame(frame.outer);
      const query = ctx.planQuery(source.query, inner, ctes);
      noteOuter(frame, inner, isLateral);
      return lateral(withOrdinality(source, aliased(query.node, query.columns, source.alias)), inner, isLateral);
    }
    case 'functionSource':
      return planFunction(ctx, source, frame, ctes, left);
    case 'statementSource': {
      const columns = ctx.env.statementColumns(source.statement);
      if (isPlannable(source.statement.kind)) {
        const inner = new Frame(frame.outer);
        const query = ctx.planRows(source.statement, inner, ctes);
        noteOuter(frame, inner, false);
        if (source.statement.kind !== 'select')
          return withOrdinality(source, aliased(completed(ctx, source, query), query.columns, source.alias));
        return withOrdinality(source, aliased(query.node, query.columns, source.alias));
      }
      ctx.isCacheable = false;
      return withOrdinality(source, aliased({ kind: 'statement', statement: source.statement, columns }, columns, source.alias));
    }
    case 'join':
      return planJoin(ctx, source, frame, ctes, left);
  }
}

/** A mutation runs to its end, however many of its rows are read: it is done before the query, like one in WITH. */
function completed(ctx: PlanContext, source: StatementSource, query: PlannedQuery): PlanNode {
  if (query.columns.length === 0) throw returnsNothing(source.statement);
  const cte = ctx.cteCount++;
  ctx.prelude.push({ kind: 'cte', cte, name: source.statement.kind, node: query.node, recursive: undefined });
  return { kind: 'cteScan', cte, name: source.statement.kind, columns: query.columns };
}

/** 42703 for a statement in brackets without rows. */
export function returnsNothing(statement: Statement): StatementError {
  return new StatementError(SqlState.UndefinedColumn, `statement source "${printStatement(statement)}" does not return any columns`);
}

export function isPlannable(kind: string): boolean {
  return kind === 'select' || kind === 'insert' || kind === 'update' || kind === 'delete';
}

/** A derived table sees the same rows around it as the query it stands in. */
function noteOuter(frame: Frame, inner: Frame, isLateral: boolean): void {
  if (inner.isVolatile) frame.isVolatile = true;
  if (isLateral || !inner.isCorrelated) return;
  frame.isCorrelated = true;
  for (const column of inner.outerColumns) frame.outerColumns.add(column);
}

/** Marks a source that has to run once for each row before it. */
interface LateralSource extends PlannedSource {
  readonly isApplied: boolean;
}

function lateral(source: PlannedSource, inner: Frame, isLateral: boolean): LateralSource {
  return { ...source, isApplied: isLateral && inner.isCorrelated };
}

function isApplied(source: PlannedSource): boolean {
  return (source as Partial<LateralSource>).isApplied === true;
}

// ---- tables -----------------------------------------------------------------------------------

function planTable(ctx: PlanContext, source: TableRef, frame: Frame, ctes: CommonTables | undefined): PlannedSource {
  if (source.name.id !== undefined) return planTableById(ctx, source, frame, source.name.id);
  const only = source.name.parts.length === 1 ? source.name.parts[0] : undefined;
  const cte = only && findCommonTable(ctes, only.text);
  if (cte) {
    if (cte.columns.length === 0) {
      throw new StatementError(SqlState.FeatureNotSupported, `WITH clause "${cte.name}" does not return any columns`);
    }
    if (cte.returnsNothing) throw new StatementError(SqlState.UndefinedColumn, `WITH clause "${cte.name}" does not return any columns`);
    const node: PlanNode = { kind: 'cteScan', cte: cte.cte, name: cte.name, columns: cte.columns };
    return aliased(node, cte.columns, source.alias ?? { name: { text: cte.name, pos: source.pos }, columns: [] });
  }
  return planRelation(ctx, source, frame, ctx.env.resolveRelation(source.name));
}

/** `[53(2, 1) AS t]`: some columns of a table by their ids. 42P01 and 42703 name what is not there. */
function planTableById(ctx: PlanContext, source: TableRef, frame: Frame, id: number): PlannedSource {
  const relation = ctx.env.resolveRelation(source.name);
  const { alias, columnIds } = source;
  if (columnIds === undefined || relation.kind === 'virtual') return planRelation(ctx, source, frame, relation);
  if (columnIds.length === 0) {
    throw new StatementError(SqlState.SyntaxError, 'an explicit list of column IDs must include at least one column');
  }
  const whole = planRelation(ctx, { ...source, alias: alias && { ...alias, columns: [] } }, frame, relation);
  const chosen = columnIds.map((columnId) => {
    const column = whole.columns.find((one) => one.columnId === columnId);
    if (!column) throw new StatementError(SqlState.UndefinedColumn, `column [${columnId}] does not exist`, { detail: `in table ${id}` });
    return { ...column, isHidden: false };
  });
  const names = alias?.columns ?? [];
  return { node: whole.node, columns: chosen.map((column, i) => ({ ...column, name: names[i]?.text ?? column.name })) };
}

function planRelation(ctx: PlanContext, source: TableRef, frame: Frame, relation: Relation): PlannedSource {
  const alias = source.alias?.name.text;
  if (relation.kind === 'virtual') {
    const columns: PlanColumn[] = relation.table.columns.map(({ name, type }) => ({ name, type }));
    const node: PlanNode = {
      kind: 'virtualScan',
      table: relation.table,
      database: relation.database,
      alias: alias ?? relation.table.name,
      columns,
    };
    const table: ScopeTable = {
      name: alias ?? relation.table.name,
      schema: alias === undefined ? relation.table.schema : undefined,
      database: alias === undefined ? relation.database : undefined,
      keyColumnIds: undefined,
    };
    const hidden = relation.table.columns.map((column) => column.hidden === true);
    return { node, columns: scopeColumns(columns, table, source.alias, (i) => hidden[i] ?? false) };
  }
  const uses = ctx.recorder?.usesOf(relation.table.id);
  if (relation.table.view && !relation.table.view.isMaterialized) return planView(ctx, source, relation, frame, uses);
  const scan = planTableScan(source, relation.table, relation.schema, relation.database, uses);
  const expressions = indexExpressionsOf(ctx, relation.table, scan.columns);
  const partialIndexes = partialIndexesOf(ctx, relation.table, scan.columns);
  const known = { ...(expressions && { expressions }), ...(partialIndexes && { partialIndexes }), ...knownOf(ctx, relation.table) };
  return { ...scan, node: { ...scan.node, ...known } };
}

/** What is known of the rows of a table: for its scan. */
export function knownOf(ctx: PlanContext, table: ScanNode['table']): Pick<ScanNode, 'rowCount' | 'statistics'> {
  const rowCount = ctx.env.rowCount?.(table);
  const statistics = ctx.env.statistics?.(table);
  return { ...(rowCount !== undefined && { rowCount }), ...(statistics && { statistics }) };
}

/** A view: its query in its place, under its name and its columns' names. */
function planView(
  ctx: PlanContext,
  source: TableRef,
  { table: view, schema, database }: Extract<Relation, { kind: 'table' }>,
  frame: Frame,
  uses: Set<number> | undefined,
): PlannedSource {
  if (source.hint?.index) throw new StatementError(SqlState.UndefinedObject, `index "${source.hint.index.text}" not found`);
  const { query, env } = ctx.env.viewSource(view, database);
  const inner = new Frame(undefined);
  const { node, columns: planned } = ctx.within(env, () => ctx.planQuery(query, inner, undefined));
  noteOuter(frame, inner, false);
  const alias = source.alias?.name.text;
  const table: ScopeTable = {
    name: alias ?? view.name,
    schema: alias === undefined ? schema : undefined,
    database: alias === undefined ? database : undefined,
    keyColumnIds: undefined,
    ...(uses && { uses }),
  };
  const columns = view.columns.map(({ name, type }, i): PlanColumn => ({ name, type: planned[i]?.type ?? type }));
  const scope = scopeColumns(columns, table, source.alias, () => false);
  return { node, columns: scope.map((column, i) => ({ ...column, columnId: view.columns[i]?.id })) };
}

/** A scan of a whole table under its alias, with hidden and system columns in its scope. */
export function planTableScan(
  source: Pick<TableRef, 'alias' | 'hint' | 'pos'>,
  desc: ScanNode['table'],
  schema: string,
  database: string,
  uses?: Set<number>,
): { node: ScanNode; columns: ScopeColumn[] } {
  const shape = tableShape(desc);
  const alias = source.alias?.name.text;
  const hinted = source.hint?.index?.text;
  const hintedId = source.hint?.indexId;
  const index = hintedId !== undefined ? indexById(desc, hintedId) : hinted === undefined ? undefined : indexNamed(desc, hinted);
  if ((hinted !== undefined || hintedId !== undefined) && index?.state !== 'public') {
    throw new StatementError(
      SqlState.UndefinedObject,
      hinted === undefined ? `index [${hintedId}] not found` : `index "${hinted}" not found`,
    );
  }
  const forced = index?.name;
  const node: ScanNode = {
    kind: 'scan',
    table: desc,
    alias: alias ?? desc.name,
    index: desc.primaryIndex,
    constraint: undefined,
    columnIds: shape.columnIds,
    reverse: source.hint?.direction === 'desc',
    limit: undefined,
    forcedIndex: forced,
    forWrite: false,
    columns: shape.columns,
  };
  const table: ScopeTable = {
    name: alias ?? desc.name,
    schema: alias === undefined ? schema : undefined,
    database: alias === undefined ? database : undefined,
    keyColumnIds: desc.primaryIndex.columnIds,
    ...(uses && { uses }),
  };
  const columns = scopeColumns(shape.columns, table, source.alias, (i) => {
    const column = desc.columns[i];
    return !column || column.hidden === true;
  }).filter(({ index: at }) => desc.columns[at]?.state !== 'write_only' && !desc.columns[at]?.isIndexExpression);
  return { node, columns };
}

/** Gives a node's columns the names of an alias; with fewer names than columns the rest keep theirs. */
export function aliased(node: PlanNode, columns: readonly PlanColumn[], alias: TableAlias | undefined): PlannedSource {
  const table: ScopeTable | undefined = alias && { name: alias.name.text, schema: undefined, database: undefined, keyColumnIds: undefined };
  return { node, columns: scopeColumns(columns, table, alias, () => false) };
}

function scopeColumns(
  columns: readonly PlanColumn[],
  table: ScopeTable | undefined,
  alias: TableAlias | undefined,
  isHidden: (i: number) => boolean,
): ScopeColumn[] {
  const names = alias?.columns ?? [];
  const visible = columns.filter((_, i) => !isHidden(i)).length;
  if (names.length > visible) {
    throw new StatementError(
      SqlState.InvalidColumnReference,
      `source "${alias?.name.text}" has ${visible} columns available but ${names.length} columns specified`,
    );
  }
  let next = 0;
  return columns.map(({ name, type, tableId, columnId }, index) => {
    const hidden = isHidden(index);
    const renamed = hidden ? undefined : names[next++]?.text;
    return { name: renamed ?? name, type, index, table, isHidden: hidden, isMerged: false, tableId, columnId };
  });
}

function withOrdinality(
  source: { readonly withOrdinality: boolean; readonly alias: TableAlias | undefined },
  planned: PlannedSource,
): PlannedSource {
  if (!source.withOrdinality) return planned;
  const given = source.alias?.columns[planned.columns.filter((other) => !other.isHidden).length]?.text;
  const column: PlanColumn = { name: given ?? 'ordinality', type: Type.Int8 };
  const index = planned.node.columns.length;
  const node: PlanNode = { kind: 'ordinality', input: planned.node, columns: [...planned.node.columns, column] };
  const table = planned.columns[0]?.table;
  return { node, columns: [...planned.columns, { ...column, index, table, isHidden: false, isMerged: false }] };
}

/** An alias without the name it gives to the ordinality column. */
function aliasBelowOrdinality(alias: TableAlias, columnCount: number, withOrdinality: boolean): TableAlias {
  return withOrdinality && alias.columns.length === columnCount + 1 ? { ...alias, columns: alias.columns.slice(0, columnCount) } : alias;
}

// ---- table functions --------------------------------------------------------------------------

function planFunction(
  ctx: PlanContext,
  source: FunctionSource,
  frame: Frame,
  ctes: CommonTables | undefined,
  left: PlannedSource | undefined,
): PlannedSource {
  // Functions in FROM see the tables before them without LATERAL.
  const inner = new Frame(left ? new SelectScope(left.columns, frame) : frame.outer);
  const scope = new SelectScope([], inner);
  const exprs = source.calls.map((call) => ctx.analyze(call, scope, { clause: 'FROM', allowGenerators: true, commonTables: ctes }));
  const generators: TypedGenerator[] = [];
  const columns: PlanColumn[] = [];
  const alias = source.alias ?? {
    name: { text: columnNameOf(source.calls[0] ?? { kind: 'null', pos: source.pos }), pos: source.pos },
    columns: [],
  };
  let isRowFunction = false;
  let node: PlanNode;
  if (exprs.every((expr) => expr.kind === 'generator')) {
    for (const expr of exprs) {
      if (expr.kind !== 'generator') continue;
      generators.push(expr);
      const isSingle = expr.columns.length === 1 && exprs.length === 1;
      for (const column of expr.columns) columns.push({ name: isSingle ? alias.name.text : column.name, type: column.type });
    }
    node = { kind: 'projectSet', input: ONE_ROW, generators, columns };
  } else {
    isRowFunction = true;
    exprs.forEach((expr, i) => {
      const call = source.calls[i];
      columns.push({ name: exprs.length === 1 ? alias.name.text : call ? columnNameOf(call) : 'f', type: expr.type });
    });
    node = { kind: 'project', input: ONE_ROW, exprs, columns };
  }
  if (exprs.some((expr) => traits(expr).volatility === 'volatile')) frame.isVolatile = true;
  const renamed = source.alias
    ? aliasBelowOrdinality(source.alias, columns.length, source.withOrdinality)
    : isRowFunction || columns.length >= 1
      ? alias
      : undefined;
  if (left) {
    noteLateral(frame, inner);
    return lateral(withOrdinality(source, aliased(node, columns, renamed)), inner, true);
  }
  noteOuter(frame, inner, false);
  return withOrdinality(source, aliased(node, columns, renamed));
}

function noteLateral(frame: Frame, inner: Frame): void {
  if (inner.isVolatile) frame.isVolatile = true;
}

// ---- joins ------------------------------------------------------------------------------------

function planJoin(
  ctx: PlanContext,
  source: JoinSource,
  frame: Frame,
  ctes: CommonTables | undefined,
  before: PlannedSource | undefined,
): PlannedSource {
  const left = planSource(ctx, source.left, frame, ctes, before);
  const right = planSource(ctx, source.right, frame, ctes, left);
  const type: JoinType = source.type === 'cross' ? 'inner' : source.type;
  const using = source.natural ? commonNames(left.columns, right.columns) : source.using;
  checkDistinctNames([...left.columns, ...right.columns]);
  if (using.length === 0) {
    const scope = new SelectScope([...left.columns, ...shifted(right.columns, left.node.columns.length)], frame);
    const on = source.on && ctx.analyzeBool(source.on, scope, { clause: 'ON', commonTables: ctes });
    return joined(left, right, type, on);
  }
  return joinUsing(ctx, left, right, type, using, frame, ctes);
}

function joined(left: PlannedSource, right: PlannedSource, type: JoinType, on: TypedExpr | undefined): PlannedSource {
  const columns = [...left.node.columns, ...right.node.columns];
  const scope = [
    ...missing(left.columns, type === 'right' || type === 'full'),
    ...missing(shifted(right.columns, left.node.columns.length), type === 'left' || type === 'full'),
  ];
  if (isApplied(right)) {
    if (type !== 'inner' && type !== 'left') {
      throw new StatementError(SqlState.InvalidColumnReference, `the combining JOIN type must be INNER or LEFT for a LATERAL reference`);
    }
    return { node: { kind: 'apply', type, left: left.node, right: right.node, on, columns }, columns: scope };
  }
  return { node: { kind: 'join', type, left: left.node, right: right.node, leftKeys: [], rightKeys: [], on, columns }, columns: scope };
}

const missing = (columns: readonly ScopeColumn[], mayBe: boolean): readonly ScopeColumn[] =>
  mayBe ? columns.map((column) => ({ ...column, mayBeMissing: true })) : columns;

function shifted(columns: readonly ScopeColumn[], by: number): ScopeColumn[] {
  return columns.map((column) => ({ ...column, index: column.index + by }));
}

function commonNames(left: readonly ScopeColumn[], right: readonly ScopeColumn[]): Name[] {
  const names = new Set(right.filter((column) => !column.isHidden && !column.isMerged).map((column) => column.name));
  return left
    .filter((column) => !column.isHidden && !column.isMerged && names.has(column.name))
    .map((column) => ({ text: column.name, pos: 0 }));
}

function joinUsing(
  ctx: PlanContext,
  left: PlannedSource,
  right: PlannedSource,
  type: JoinType,
  using: readonly Name[],
  frame: Frame,
  ctes: CommonTables | undefined,
): PlannedSource {
  const rightColumns = shifted(right.columns, left.node.columns.length);
  const merged: ScopeColumn[] = [];
  const pairs: { left: ScopeColumn; right: ScopeColumn }[] = [];
  let on: TypedExpr | undefined;
  const scope = new SelectScope([...left.columns, ...rightColumns], frame);
  for (const name of using) {
    const a = oneColumn(left.columns, name.text, 'left');
    const b = oneColumn(rightColumns, name.text, 'right');
    pairs.push({ left: a, right: b });
    // Compared through the same analysis as any `=`, over names that can only mean these two.
    const pairScope = new SelectScope(
      [
        { ...a, name: 'l', table: undefined },
        { ...b, name: 'r', table: undefined },
      ],
      scope.frame,
    );
    const equal = ctx.analyzeBool({ kind: 'binary', op: '=', left: columnRef('l'), right: columnRef('r'), pos: name.pos }, pairScope, {
      clause: 'USING',
      commonTables: ctes,
    });
    on = on ? { kind: 'and', type: Type.Bool, left: on, right: equal } : equal;
  }
  const source = joined(left, right, type, on);
  let node = source.node;
  if (type === 'full') {
    const columns = [...node.columns];
    const exprs: TypedExpr[] = columns.map((column, index) => ({ kind: 'column', type: column.type, index, name: column.name }));
    for (const pair of pairs) {
      exprs.push(coalesce(pair.left, pair.right));
      merged.push({
        name: pair.left.name,
        type: pair.left.type,
        index: columns.length,
        table: undefined,
        isHidden: false,
        isMerged: false,
      });
      columns.push({ name: pair.left.name, type: pair.left.type });
    }
    node = { kind: 'project', input: node, exprs, columns };
  } else {
    for (const pair of pairs) merged.push({ ...(type === 'right' ? pair.right : pair.left), table: undefined });
  }
  const hide = (columns: readonly ScopeColumn[], side: 'left' | 'right') =>
    columns.map((column) => (pairs.some((pair) => pair[side] === column) ? { ...column, isMerged: true } : column));
  const leftOnes = missing(hide(left.columns, 'left'), type === 'right' || type === 'full');
  return { node, columns: [...merged, ...leftOnes, ...missing(hide(rightColumns, 'right'), type === 'left' || type === 'full')] };
}

function coalesce(a: ScopeColumn, b: ScopeColumn): TypedExpr {
  const column = ({ type, index, name }: ScopeColumn): TypedExpr => ({ kind: 'column', type, index, name });
  const right: TypedExpr = typesEquivalent(a.type, b.type) ? column(b) : cast(column(b), a.type);
  return { kind: 'coalesce', type: a.type, args: [column(a), right] };
}

function cast(operand: TypedExpr, type: ColumnType): TypedExpr {
  return { kind: 'cast', type, operand, context: 'explicit' };
}

const columnRef = (text: string): ColumnRef => ({ kind: 'column', parts: [{ text, pos: 0 }], pos: 0 });

function oneColumn(columns: readonly ScopeColumn[], name: string, side: string): ScopeColumn {
  const found = columns.filter((column) => column.name === name && !column.isMerged && !column.isHidden);
  if (found.length > 1)
    throw new StatementError(SqlState.AmbiguousColumn, `common column name "${name}" appears more than once in ${side} table`);
  const only = found[0];
  if (!only)
    throw new StatementError(SqlState.UndefinedColumn, `column "${name}" specified in USING clause does not exist in ${side} table`);
  return only;
}
