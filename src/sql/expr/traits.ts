/**
 * Traits: facts about an expression that planners and the compiler ask again and again.
 * Computed once a node, bottom up, and remembered beside it (a WeakMap: nodes stay plain data).
 */
import { castReadsSession } from './castVolatility.ts';
import type { Volatility } from './overload.ts';
import type { TypedExpr } from './typedExpr.ts';
import { childrenOf } from './walk.ts';

export interface Traits {
  /** The worst of its parts. A subquery is stable, or volatile when its plan says so. */
  readonly volatility: Volatility;
  /** Columns of the current row that it reads, correlated subqueries' included. */
  readonly columns: ReadonlySet<number>;
  readonly hasOuterColumns: boolean;
  readonly hasPlaceholders: boolean;
  readonly hasSubqueries: boolean;
  readonly hasAggregates: boolean;
  readonly hasGenerators: boolean;
  readonly hasWindows: boolean;
  /** Holds a correlated subquery or a function that waits: compile with compileAsync. */
  readonly isAsync: boolean;
  /** One value for all rows of a statement: no columns, not volatile. The executor may evaluate it once, before the rows. */
  readonly isRowIndependent: boolean;
}

const remembered = new WeakMap<TypedExpr, Traits>();
const NO_COLUMNS: ReadonlySet<number> = new Set();
const RANK: Record<Volatility, number> = { immutable: 0, stable: 1, volatile: 2 };

export function traits(expr: TypedExpr): Traits {
  let known = remembered.get(expr);
  if (known === undefined) {
    known = compute(expr);
    remembered.set(expr, known);
  }
  return known;
}

function compute(expr: TypedExpr): Traits {
  let volatility = ownVolatility(expr);
  let columns: ReadonlySet<number> = NO_COLUMNS;
  let hasOuterColumns = expr.kind === 'outer';
  let hasPlaceholders = expr.kind === 'placeholder';
  let hasSubqueries = expr.kind === 'subquery';
  let hasAggregates = expr.kind === 'aggregate';
  let hasGenerators = expr.kind === 'generator';
  let hasWindows = expr.kind === 'window';
  let isAsync = (expr.kind === 'call' && expr.overload.asyncFn !== undefined) || (expr.kind === 'subquery' && expr.slot === undefined);
  if (expr.kind === 'column') columns = new Set([expr.index]);
  if (expr.kind === 'subquery' && expr.plan.outerColumns.length > 0) columns = new Set(expr.plan.outerColumns);
  if (expr.kind === 'subquery' && expr.slot === undefined && expr.plan.outerColumns.length === 0) hasOuterColumns = true;
  for (const child of childrenOf(expr)) {
    const part = traits(child);
    if (RANK[part.volatility] > RANK[volatility]) volatility = part.volatility;
    if (part.columns.size > 0) columns = columns.size === 0 ? part.columns : new Set([...columns, ...part.columns]);
    hasOuterColumns ||= part.hasOuterColumns;
    hasPlaceholders ||= part.hasPlaceholders;
    hasSubqueries ||= part.hasSubqueries;
    hasAggregates ||= part.hasAggregates;
    hasGenerators ||= part.hasGenerators;
    hasWindows ||= part.hasWindows;
    isAsync ||= part.isAsync;
  }
  return {
    volatility,
    columns,
    hasOuterColumns,
    hasPlaceholders,
    hasSubqueries,
    hasAggregates,
    hasGenerators,
    hasWindows,
    isAsync,
    isRowIndependent: columns.size === 0 && volatility !== 'volatile' && !hasAggregates && !hasGenerators && !hasWindows,
  };
}

function ownVolatility(expr: TypedExpr): Volatility {
  switch (expr.kind) {
    case 'call':
      return expr.overload.volatility;
    case 'generator':
      return expr.overload.volatility;
    case 'subquery':
      return expr.plan.isVolatile ? 'volatile' : 'stable';
    case 'placeholder':
      return 'stable';
    case 'cast':
      return castReadsSession(expr.operand.type, expr.type) ? 'stable' : 'immutable';
    default:
      return 'immutable';
  }
}
