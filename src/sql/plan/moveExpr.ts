/**
 * Moving expressions between row layouts: pushing a filter below a join or a projection, or lifting
 * a SELECT item above an aggregation, changes which position each column has. Correlated subqueries
 * move along: they keep a map from the positions they were analysed with to those they now find.
 */
import type { TypedExpr, TypedSubquery } from '../expr/typedExpr.ts';
import { mapExpr } from '../expr/walk.ts';
import type { PlannedSubquery } from './plan.ts';

/** The expression with column `i` replaced by column `moved(i)`. */
export function moveColumns(expr: TypedExpr, moved: (index: number) => number): TypedExpr {
  return mapExpr(expr, (node) => {
    if (node.kind === 'column') {
      const index = moved(node.index);
      return index === node.index ? node : { ...node, index };
    }
    return node.kind === 'subquery' ? moveSubquery(node, moved) : undefined;
  });
}

/** The subquery under another layout of the row around it. */
export function moveSubquery(node: TypedSubquery, moved: (index: number) => number): TypedSubquery {
  const plan = node.plan as PlannedSubquery;
  if (plan.outerColumns.length === 0) return node;
  const outerMap = new Map<number, number>();
  if (plan.outerMap) for (const [from, to] of plan.outerMap) outerMap.set(from, moved(to));
  else for (const column of plan.outerColumns) outerMap.set(column, moved(column));
  const next: PlannedSubquery = { ...plan, outerMap, outerColumns: [...new Set(outerMap.values())] };
  return { ...node, plan: next };
}

/**
 * The expression with column `i` replaced by `exprs[i]`: a filter above a projection moved below it.
 * Undefined when a correlated subquery reads a column that is not a plain column below.
 */
export function inlineColumns(expr: TypedExpr, exprs: readonly TypedExpr[]): TypedExpr | undefined {
  let isPossible = true;
  const inlined = mapExpr(expr, (node) => {
    if (node.kind === 'column') return exprs[node.index] ?? node;
    if (node.kind !== 'subquery') return undefined;
    return moveSubquery(node, (index) => {
      const below = exprs[index];
      if (below?.kind === 'column') return below.index;
      isPossible = false;
      return index;
    });
  });
  return isPossible ? inlined : undefined;
}
