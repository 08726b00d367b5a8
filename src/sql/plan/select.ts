/**
 * Queries: SELECT, VALUES, set operations, WITH, ORDER BY and LIMIT to plan nodes.
 *
 * The operators of a SELECT stack in this order, each left out when it has nothing to do:
 *
 *   limit
 *   project      drops what only ORDER BY needed
 *   sort
 *   distinct
 *   project      the SELECT list, then expressions that only ORDER BY needs
 *   projectSet   set-returning functions of the SELECT list
 *   window       (window.ts)
 *   filter       HAVING
 *   aggregate    (grouping.ts)
 *   filter       WHERE
 *   FROM         (from.ts)
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { type ColumnType, familyName, Type, typesEquivalent } from '../../catalog/type.ts';
import type { Expr, OrderItem, QueryBody, SelectCore, SelectStatement, SelectTarget, ValuesCore, WithClause } from '../parse/ast.ts';
import type { TypedExpr, TypedGenerator } from '../expr/typedExpr.ts';
import { traits } from '../expr/traits.ts';
import { mapExpr, sameExpr } from '../expr/walk.ts';
import { columnNameOf } from './columnName.ts';
import { planFrom } from './from.ts';
import { Grouping } from './grouping.ts';
import { lockingInside, lockTargets, notWith, refuseUnlockable } from './locking.ts';
import { ordinalOf } from './ordinal.ts';
import { mapPlan, type PlanColumn, type PlanNode, type SortKey } from './plan.ts';
import type { CommonTablePlan, CommonTables, PlanContext, PlannedQuery } from './planContext.ts';
import { recursiveBody } from './recursive.ts';
import { Frame, type ScopeColumn, SelectScope } from './scope.ts';
import { namedWindows, planWindows } from './window.ts';

/** Plans a whole query expression. */
export function planQuery(
  ctx: PlanContext,
  written: SelectStatement,
  frame: Frame,
  ctes: CommonTables | undefined,
  desired?: readonly ColumnType[],
): PlannedQuery {
  const query = lockingInside(written);
  if (query.body.kind === 'select') refuseClausesTwice(query, query.body);
  const inner = query.with ? planWith(ctx, query.with, frame, ctes) : ctes;
  // ( SELECT ... ) with nothing of its own around it.
  if (query.body.kind === 'select' && query.orderBy.length === 0 && !query.limit && !query.offset && query.locking.length === 0) {
    return planQuery(ctx, query.body, frame, inner, desired);
  }
  let planned: PlannedQuery;
  if (query.body.kind === 'selectCore') {
    planned = planSelectCore(ctx, query.body, query.orderBy, query.locking, frame, inner, desired);
  } else {
    if (query.locking.length > 0) throw notWith(query.locking, query.body.kind === 'values' ? 'VALUES' : 'UNION/INTERSECT/EXCEPT');
    planned = planBody(ctx, query.body, frame, inner, desired);
    planned = sortOutput(ctx, planned, query.orderBy, frame, inner);
  }
  return limited(ctx, planned, query, inner);
}

/** Parentheses around a query with its own ORDER BY or LIMIT take no second one. */
function refuseClausesTwice(outer: SelectStatement, inner: SelectStatement): void {
  const refuse = (clause: string): StatementError => new StatementError(SqlState.SyntaxError, `multiple ${clause} clauses not allowed`);
  if (outer.orderBy.length > 0 && inner.orderBy.length > 0) throw refuse('ORDER BY');
  if (outer.limit && inner.limit) throw refuse('LIMIT');
  if (outer.offset && inner.offset) throw refuse('OFFSET');
}

function limited(ctx: PlanContext, planned: PlannedQuery, query: SelectStatement, ctes: CommonTables | undefined): PlannedQuery {
  if (!query.limit && !query.offset) return planned;
  const limit = query.limit && ctx.analyzeCount(query.limit, 'LIMIT', ctes);
  const offset = query.offset && ctx.analyzeCount(query.offset, 'OFFSET', ctes);
  return { ...planned, node: { kind: 'limit', input: planned.node, limit, offset, columns: planned.node.columns } };
}

function planBody(
  ctx: PlanContext,
  body: QueryBody,
  frame: Frame,
  ctes: CommonTables | undefined,
  desired: readonly ColumnType[] | undefined,
): PlannedQuery {
  switch (body.kind) {
    case 'select':
      return planQuery(ctx, body, frame, ctes, desired);
    case 'selectCore':
      return planSelectCore(ctx, body, [], [], frame, ctes, desired);
    case 'values':
      return planValues(ctx, body, frame, ctes, desired);
    case 'setOperation': {
      const left = planBody(ctx, body.left, frame, ctes, desired);
      const right = planBody(ctx, body.right, frame, ctes, desired ?? left.columns.map((column) => column.type));
      const name = body.op.toUpperCase();
      if (left.columns.length !== right.columns.length) {
        throw new StatementError(
          SqlState.SyntaxError,
          `each ${name} query must have the same number of columns: ${left.columns.length} vs ${right.columns.length}`,
        );
      }
      const types = left.columns.map((column, i) => commonType(column.type, right.columns[i]?.type ?? column.type, name));
      const [a, b] = [converted(left, types), converted(right, types)];
      const columns = left.columns.map((column, i) => ({ name: column.name, type: types[i] ?? column.type }));
      return { node: { kind: 'setOperation', op: body.op, all: body.all, left: a, right: b, columns }, columns };
    }
  }
}

/** The type both sides of a set operation take; 42804 when there is none. */
function commonType(left: ColumnType, right: ColumnType, operation: string): ColumnType {
  if (left.family === 'unknown') return right;
  if (right.family === 'unknown' || typesEquivalent(left, right)) return left;
  const rank: Partial<Record<string, number>> = { int: 1, decimal: 2, float: 3 };
  const [a, b] = [rank[left.family], rank[right.family]];
  if (a !== undefined && b !== undefined) return a > b ? left : right;
  throw new StatementError(SqlState.DatatypeMismatch, `${operation} types ${familyName(left)} and ${familyName(right)} cannot be matched`);
}

function converted(query: PlannedQuery, types: readonly ColumnType[]): PlanNode {
  if (query.columns.every((column, i) => column.type.family === types[i]?.family)) return query.node;
  const exprs = query.columns.map((column, index): TypedExpr => {
    const operand: TypedExpr = { kind: 'column', type: column.type, index, name: column.name };
    const type = types[index] ?? column.type;
    return column.type.family === type.family ? operand : { kind: 'cast', type, operand, context: 'explicit' };
  });
  const columns = query.columns.map((column, i) => ({ name: column.name, type: types[i] ?? column.type }));
  return { kind: 'project', input: query.node, exprs, columns };
}

/** VALUES: every column takes one type, settled by its first typed value. */
export function planValues(
  ctx: PlanContext,
  body: ValuesCore,
  frame: Frame,
  ctes: CommonTables | undefined,
  desired: readonly ColumnType[] | undefined,
): PlannedQuery {
  const width = body.rows[0]?.length ?? 0;
  const scope = new SelectScope([], frame);
  const types: (ColumnType | undefined)[] = [];
  const rows: TypedExpr[][] = [];
  for (const row of body.rows) {
    if (row.length !== width) {
      throw new StatementError(
        SqlState.SyntaxError,
        `VALUES lists must all be the same length, expected ${width} columns, found ${row.length}`,
      );
    }
    rows.push(
      row.map((expr, i) => {
        const typed = ctx.analyze(expr, scope, { clause: 'VALUES', desired: types[i] ?? desired?.[i], commonTables: ctes });
        if (typed.type.family !== 'unknown') types[i] ??= typed.type;
        return typed;
      }),
    );
  }
  for (const row of rows) {
    row.forEach((expr, i) => {
      const type = types[i];
      if (!type || expr.type.family === 'unknown' || typesEquivalent(expr.type, type)) return;
      const wider = commonType(type, expr.type, 'VALUES');
      types[i] = wider;
    });
  }
  const columns: PlanColumn[] = Array.from({ length: width }, (_, i) => ({ name: `column${i + 1}`, type: types[i] ?? Type.Unknown }));
  const cast = rows.map((row) =>
    row.map((expr, i): TypedExpr => {
      const type = types[i];
      if (!type || expr.type.family === type.family) return expr;
      if (expr.kind === 'const' && expr.value === null) return { ...expr, type };
      return { kind: 'cast', type, operand: expr, context: 'explicit' };
    }),
  );
  return { node: { kind: 'values', rows: cast, columns }, columns };
}

// ---- WITH -------------------------------------------------------------------------------------

export function planWith(ctx: PlanContext, clause: WithClause, frame: Frame, outer: CommonTables | undefined): CommonTables {
  const entries = new Map<string, CommonTablePlan>();
  const tables: CommonTables = { entries, outer };
  for (const table of clause.tables) {
    const name = table.name.text;
    if (entries.has(name)) throw new StatementError(SqlState.DuplicateAlias, `WITH query name ${name} specified more than once`);
    const inner = new Frame(frame.outer);
    const cte = ctx.cteCount++;
    const named = (columns: readonly PlanColumn[]): PlanColumn[] => {
      if (table.columns.length > columns.length) {
        throw new StatementError(
          SqlState.InvalidColumnReference,
          `source "${name}" has ${columns.length} columns available but ${table.columns.length} columns specified`,
        );
      }
      return columns.map((column, i) => ({ name: table.columns[i]?.text ?? column.name, type: column.type }));
    };
    const union = clause.recursive && table.statement.kind === 'select' ? recursiveBody(table.statement, name) : undefined;
    if (union) {
      const first = planBody(ctx, union.left, inner, tables, undefined);
      const columns = named(first.columns);
      entries.set(name, { name, cte, columns });
      const before = ctx.prelude.length;
      const step = planBody(ctx, union.right, inner, tables, undefined);
      // They may read the rows of the turn, which are not there when the statement begins.
      const prelude = ctx.prelude.splice(before);
      if (step.columns.length !== columns.length) {
        throw new StatementError(
          SqlState.SyntaxError,
          `each UNION query must have the same number of columns: ${columns.length} vs ${step.columns.length}`,
        );
      }
      refuseCorrelated(inner, name);
      const stepNode = converted(
        step,
        columns.map((column) => column.type),
      );
      ctx.prelude.push({ kind: 'cte', cte, name, node: first.node, recursive: { step: stepNode, prelude, all: union.all } });
      continue;
    }
    const isChange = table.statement.kind !== 'select';
    if (isChange && frame.outer) {
      throw new StatementError(SqlState.FeatureNotSupported, 'WITH clause containing a data-modifying statement must be at the top level', {
        hint: 'write it as a WITH of the statement around it',
      });
    }
    const planned = ctx.planRows(table.statement, inner, tables);
    refuseCorrelated(inner, name);
    entries.set(name, { name, cte, columns: named(planned.columns), returnsNothing: isChange && planned.columns.length === 0 });
    ctx.prelude.push({ kind: 'cte', cte, name, node: planned.node, recursive: undefined });
  }
  return tables;
}

function refuseCorrelated(frame: Frame, name: string): void {
  if (frame.isCorrelated) {
    throw new StatementError(SqlState.FeatureNotSupported, `WITH query "${name}" refers to the query around it, which is not supported`);
  }
}

// ---- SELECT -----------------------------------------------------------------------------------

/** A SELECT item, typed over the FROM row (or, after grouping, over the groups). */
interface Target {
  expr: TypedExpr;
  readonly name: string;
  readonly source: ScopeColumn | undefined;
  readonly ast: Expr;
}

function planSelectCore(
  ctx: PlanContext,
  core: SelectCore,
  orderBy: readonly OrderItem[],
  locking: SelectStatement['locking'],
  frame: Frame,
  ctes: CommonTables | undefined,
  desired: readonly ColumnType[] | undefined,
): PlannedQuery {
  const from = planFrom(ctx, core.from, frame, ctes);
  const scope = new SelectScope(from.columns, frame);
  scope.windows = namedWindows(core.windows);
  let node = from.node;
  if (core.where) {
    const predicate = ctx.analyzeBool(core.where, scope, { clause: 'WHERE', commonTables: ctes });
    node = { kind: 'filter', input: node, predicate, columns: node.columns };
  }
  const targets = planTargets(ctx, core.targets, scope, ctes, desired);
  const sortExprs = orderBy.map((item) => orderExpr(ctx, item, targets, scope, ctes, core.distinct));
  const having = core.having && ctx.analyzeBool(core.having, scope, { clause: 'HAVING', allowAggregates: true, commonTables: ctes });
  const distinctOn =
    typeof core.distinct === 'object' ? core.distinct.map((expr) => targetExpr(ctx, expr, targets, scope, ctes, 'DISTINCT ON')) : [];

  const all = [...targets.map((target) => target.expr), ...sortExprs, ...distinctOn, ...(having ? [having] : [])];
  let order = orderBy;
  if (locking.length > 0) {
    refuseUnlockable(locking, core, all);
    const locked = lockTargets(node, locking, from.columns);
    for (const { targets: lockedTables } of locked) for (const { table } of lockedTables) ctx.env.requireLockable(table);
    // Sorted first, so that LIMIT bounds what is locked.
    if (orderBy.length > 0 && !sortExprs.some((expr) => traits(expr).hasGenerators)) {
      node = sortRows(node, sortExprs, orderBy);
      all.splice(targets.length, sortExprs.length);
      order = [];
    }
    const skipping = new Set(locked.filter((step) => step.wait === 'skip').flatMap((step) => step.aliases));
    if (skipping.size > 0) {
      node = mapPlan(node, (at) => (at.kind === 'scan' && skipping.has(at.alias) ? { ...at, skipsLocked: true } : at));
    }
    for (const { aliases: _, ...step } of locked) node = { kind: 'lockRows', input: node, ...step, columns: node.columns };
  }
  let exprs = all;
  if (core.groupBy.length > 0 || having || all.some((expr) => traits(expr).hasAggregates)) {
    const grouping = new Grouping(node, scope);
    for (const expr of core.groupBy) {
      if (expr.kind === 'star') {
        for (const column of starColumns(scope, expr)) grouping.addKey(columnExpr(column));
        continue;
      }
      for (const part of groupItems(expr)) grouping.addKey(targetExpr(ctx, part, targets, scope, ctes, 'GROUP BY'));
    }
    exprs = grouping.rewrite(all);
    node = grouping.node(core.groupBy.length === 0);
    const rewrittenHaving = having && exprs.pop();
    if (rewrittenHaving) node = { kind: 'filter', input: node, predicate: rewrittenHaving, columns: node.columns };
  }
  if (exprs.some((expr) => traits(expr).volatility === 'volatile')) frame.isVolatile = true;

  ({ node, exprs } = planWindows(node, exprs));
  // Set-returning functions become columns of a projectSet below the projection.
  const generators: TypedGenerator[] = [];
  if (exprs.some((expr) => traits(expr).hasGenerators)) {
    let width = node.columns.length;
    const extra: PlanColumn[] = [];
    exprs = exprs.map((expr) =>
      mapExpr(expr, (part) => {
        if (part.kind !== 'generator') return undefined;
        const at = width;
        generators.push(part);
        width += part.columns.length;
        extra.push(...part.columns);
        const columns = part.columns.map(
          (column, i): TypedExpr => ({ kind: 'column', type: column.type, index: at + i, name: column.name }),
        );
        const single = columns[0];
        if (columns.length === 1 && single) return single;
        return { kind: 'tuple', type: part.type, elements: columns, labels: part.columns.map((column) => column.name) };
      }),
    );
    node = { kind: 'projectSet', input: node, generators, columns: [...node.columns, ...extra] };
  }
  return projectAndSort(node, targets, exprs, order, core.distinct, distinctOn.length);
}

export function starText({ qualifier }: Extract<Expr, { kind: 'star' }>): string {
  return [...(qualifier?.parts ?? []).map((part) => part.text), '*'].join('.');
}

/** GROUP BY (a, (b, c)) groups by each; a lone () by nothing. */
function groupItems(expr: Expr): readonly Expr[] {
  return expr.kind === 'tuple' && expr.labels.length === 0 ? expr.elements.flatMap(groupItems) : [expr];
}

function planTargets(
  ctx: PlanContext,
  targets: readonly SelectTarget[],
  scope: SelectScope,
  ctes: CommonTables | undefined,
  desired: readonly ColumnType[] | undefined,
): Target[] {
  const planned: Target[] = [];
  for (const { expr, alias } of targets) {
    if (expr.kind === 'star') {
      if (alias) throw new StatementError(SqlState.SyntaxError, `"${starText(expr)}" cannot be aliased`);
      const columns = starColumns(scope, expr);
      ctx.recorder?.star(expr, columns);
      for (const column of columns) {
        planned.push({ expr: columnExpr(column), name: column.name, source: column, ast: expr });
      }
      continue;
    }
    if (expr.kind === 'field' && !expr.field) {
      const operand = ctx.analyze(expr.operand, scope, {
        clause: 'SELECT',
        allowAggregates: true,
        allowGenerators: true,
        allowWindows: true,
        commonTables: ctes,
      });
      (operand.type.fields ?? []).forEach((type, index) => {
        const name = operand.type.labels?.[index] ?? `?column?`;
        planned.push({ expr: { kind: 'field', type, operand, index, name }, name, source: undefined, ast: expr });
      });
      continue;
    }
    const typed = ctx.analyze(expr, scope, {
      clause: 'SELECT',
      allowAggregates: true,
      allowGenerators: true,
      allowWindows: true,
      desired: desired?.[planned.length],
      commonTables: ctes,
    });
    const source = typed.kind === 'column' ? scope.columns.find((column) => column.index === typed.index) : undefined;
    planned.push({ expr: typed, name: alias?.text ?? columnNameOf(expr), source, ast: expr });
  }
  return planned;
}

export function columnExpr({ type, index, name }: Pick<ScopeColumn, 'type' | 'index' | 'name'>): TypedExpr {
  return { kind: 'column', type, index, name };
}

/** The columns `*` or `t.*` stands for. */
export function starColumns(scope: SelectScope, star: Extract<Expr, { kind: 'star' }>): readonly ScopeColumn[] {
  if (!star.qualifier) {
    if (scope.columns.length === 0) {
      throw new StatementError(SqlState.SyntaxError, 'cannot use "*" without a FROM clause');
    }
    return scope.columns.filter((column) => !column.isHidden && !column.isMerged);
  }
  const columns = scope.columnsOf(star.qualifier.parts);
  if (!columns) {
    const prefix = star.qualifier.parts.map((part) => part.text).join('.');
    throw new StatementError(SqlState.UndefinedTable, `no data source matches pattern: ${prefix}.*`);
  }
  return columns;
}

/** GROUP BY and DISTINCT ON items: an ordinal, an output name that is no column, or an expression. */
function targetExpr(
  ctx: PlanContext,
  expr: Expr,
  targets: readonly Target[],
  scope: SelectScope,
  ctes: CommonTables | undefined,
  clause: string,
): TypedExpr {
  const ordinal = ordinalOf(expr, targets.length, clause);
  if (ordinal !== undefined) {
    const target = targets[ordinal - 1];
    if (target) return target.expr;
  }
  if (expr.kind === 'column' && expr.parts.length === 1) {
    const name = expr.parts[0]?.text;
    // In GROUP BY a column of FROM is meant before an output name; DISTINCT ON reads as ORDER BY does.
    if (clause === 'DISTINCT ON' || !scope.columns.some((column) => column.name === name)) {
      const found = targets.filter((target) => target.name === name && target.ast.kind !== 'star');
      if (found[0]) return found[0].expr;
    }
  }
  return ctx.analyze(expr, scope, {
    clause,
    allowAggregates: clause !== 'GROUP BY',
    allowWindows: clause !== 'GROUP BY',
    commonTables: ctes,
  });
}

/** ORDER BY items: an output name first, then an ordinal, then an expression over FROM. */
function orderExpr(
  ctx: PlanContext,
  item: OrderItem,
  targets: readonly Target[],
  scope: SelectScope,
  ctes: CommonTables | undefined,
  _distinct: SelectCore['distinct'],
): TypedExpr {
  const { expr } = item;
  if (expr.kind === 'column' && expr.parts.length === 1) {
    const name = expr.parts[0]?.text;
    const found = targets.filter((target) => target.name === name);
    const first = found[0];
    if (first) {
      if (found.some((target) => !sameExpr(target.expr, first.expr))) {
        throw new StatementError(SqlState.AmbiguousColumn, `ORDER BY "${name}" is ambiguous`);
      }
      return first.expr;
    }
  }
  const ordinal = ordinalOf(expr, targets.length, 'ORDER BY');
  const target = ordinal === undefined ? undefined : targets[ordinal - 1];
  if (target) return target.expr;
  return ctx.analyze(expr, scope, {
    clause: 'ORDER BY',
    allowAggregates: true,
    allowGenerators: true,
    allowWindows: true,
    commonTables: ctes,
  });
}

/** `exprs`: the targets, then the sort expressions, then those of DISTINCT ON. */
function projectAndSort(
  input: PlanNode,
  targets: readonly Target[],
  exprs: readonly TypedExpr[],
  orderBy: readonly OrderItem[],
  distinct: SelectCore['distinct'],
  distinctOnCount: number,
): PlannedQuery {
  const columns: PlanColumn[] = targets.map((target, i) => ({
    name: target.name,
    type: exprs[i]?.type ?? target.expr.type,
    tableId: target.source?.tableId,
    columnId: target.source?.columnId,
  }));
  const outputs = exprs.slice(0, targets.length);
  const width = outputs.length;
  const positionOf = (expr: TypedExpr): number => {
    const known = outputs.findIndex((output) => sameExpr(output, expr) && traits(output).volatility !== 'volatile');
    if (known >= 0) return known;
    outputs.push(expr);
    return outputs.length - 1;
  };
  const keys: SortKey[] = [];
  orderBy.forEach((item, i) => {
    const expr = exprs[targets.length + i];
    if (!expr) return;
    const known = outputs.indexOf(expr);
    const index = known >= 0 ? known : positionOf(expr);
    if (keys.some((key) => key.index === index)) return;
    keys.push({ index, descending: item.descending, nullsFirst: item.nulls ? item.nulls === 'first' : !item.descending });
  });
  if (distinct === 'distinct' && outputs.length > width) {
    throw new StatementError(SqlState.InvalidColumnReference, 'for SELECT DISTINCT, ORDER BY expressions must appear in select list');
  }
  const on = exprs.slice(targets.length + orderBy.length, targets.length + orderBy.length + distinctOnCount).map(positionOf);
  const all: PlanColumn[] = outputs.map((expr, i) => columns[i] ?? { name: `order${i}`, type: expr.type });
  let node: PlanNode = { kind: 'project', input, exprs: outputs, columns: all };
  if (distinct === 'distinct') {
    node = { kind: 'distinct', input: node, on: columns.map((_, i) => i), columns: all };
    if (keys.length > 0) node = { kind: 'sort', input: node, keys, top: undefined, columns: all };
  } else if (distinctOnCount > 0) {
    const leading = new Set(keys.slice(0, on.length).map((key) => key.index));
    if (
      keys.length > 0 &&
      !on.slice(0, keys.length).every((position) => leading.has(position)) &&
      ![...leading].every((position) => on.includes(position))
    ) {
      throw new StatementError(SqlState.InvalidColumnReference, 'SELECT DISTINCT ON expressions must match initial ORDER BY expressions');
    }
    if (keys.length > 0) node = { kind: 'sort', input: node, keys, top: undefined, columns: all };
    node = { kind: 'distinct', input: node, on, columns: all };
  } else if (keys.length > 0) {
    node = { kind: 'sort', input: node, keys, top: undefined, columns: all };
  }
  if (outputs.length > width) {
    const exprs = columns.map((column, index): TypedExpr => ({ kind: 'column', type: column.type, index, name: column.name }));
    node = { kind: 'project', input: node, exprs, columns };
  }
  return { node, columns };
}

/** ORDER BY over a set operation or VALUES: output names and ordinals, and expressions of output columns. */
function sortOutput(
  ctx: PlanContext,
  planned: PlannedQuery,
  orderBy: readonly OrderItem[],
  frame: Frame,
  ctes: CommonTables | undefined,
): PlannedQuery {
  if (orderBy.length === 0) return planned;
  const columns: ScopeColumn[] = planned.columns.map((column, index) => ({
    ...column,
    index,
    table: undefined,
    isHidden: false,
    isMerged: false,
  }));
  const scope = new SelectScope(columns, frame);
  const targets: Target[] = columns.map((column) => ({
    expr: columnExpr(column),
    name: column.name,
    source: column,
    ast: { kind: 'null', pos: 0 },
  }));
  const exprs = orderBy.map((item) => orderExpr(ctx, item, targets, scope, ctes, 'all'));
  const sorted = projectAndSort(planned.node, targets, [...targets.map((target) => target.expr), ...exprs], orderBy, 'all', 0);
  return { node: sorted.node, columns: planned.columns };
}

/** The rows in the order of expressions over them, which need not be columns. */
function sortRows(input: PlanNode, exprs: readonly TypedExpr[], orderBy: readonly OrderItem[]): PlanNode {
  const width = input.columns.length;
  const outputs: TypedExpr[] = input.columns.map(({ type, name }, index) => ({ kind: 'column', type, index, name }));
  const keys = orderBy.map((item, i): SortKey => {
    const expr = exprs[i] as TypedExpr;
    const index = expr.kind === 'column' ? expr.index : outputs.push(expr) - 1;
    return { index, descending: item.descending, nullsFirst: item.nulls ? item.nulls === 'first' : !item.descending };
  });
  if (outputs.length === width) return { kind: 'sort', input, keys, top: undefined, columns: input.columns };
  const wide = outputs.map((expr, i) => input.columns[i] ?? { name: `order${i}`, type: expr.type });
  const project: PlanNode = { kind: 'project', input, exprs: outputs, columns: wide };
  const sort: PlanNode = { kind: 'sort', input: project, keys, top: undefined, columns: wide };
  return { kind: 'project', input: sort, exprs: outputs.slice(0, width), columns: input.columns };
}
