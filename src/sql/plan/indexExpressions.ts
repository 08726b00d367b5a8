/**
 * Index expressions in conditions: where a filter over a scan holds the very expression of an index's key, the key's
 * column stands in for it, and indexes are then chosen as for any column. Equal is what prints equal and has the same type.
 */
import type { TableDescriptor } from '../../catalog/descriptor.ts';
import { type ColumnType, typesEquivalent } from '../../catalog/type.ts';
import { coerceTo } from '../expr/analyze.ts';
import { formatExpr } from '../expr/formatExpr.ts';
import type { TypedExpr } from '../expr/typedExpr.ts';
import { mapExpr } from '../expr/walk.ts';
import type { Expr } from '../parse/ast.ts';
import { parseExpression } from '../parse/parse.ts';
import { type IndexExpression, mapPlan, type PlanNode } from './plan.ts';
import { Frame, type ScopeColumn, SelectScope } from './scope.ts';

/** What analyses a condition or key in a table's own scope. */
interface Analyzer {
  analyze(
    expr: Expr,
    scope: SelectScope,
    options: { readonly clause: string; readonly desired?: ColumnType; readonly commonTables: undefined },
  ): TypedExpr;
}

const columnAt = (index: number): string => `@${index + 1}`;

/** The expressions of a table's indexes over a scan of it; undefined when it has none. */
export function indexExpressionsOf(
  ctx: Analyzer,
  table: TableDescriptor,
  columns: readonly ScopeColumn[],
): readonly IndexExpression[] | undefined {
  if (!table.columns.some((column) => column.isIndexExpression)) return undefined;
  // By the table's own names, whatever an alias calls them.
  const own = columns.map((column) => ({ ...column, name: table.columns[column.index]?.name ?? column.name }));
  const scope = new SelectScope(own, new Frame(undefined));
  return table.columns.flatMap((column, index): IndexExpression[] => {
    if (!column.isIndexExpression || column.computeExpr === undefined) return [];
    const typed = ctx.analyze(parseExpression(column.computeExpr), scope, {
      clause: 'INDEX',
      desired: column.type,
      commonTables: undefined,
    });
    return [{ index, expr: coerceTo(typed, column.type, column.name) }];
  });
}

/** Puts the columns in the place of the expressions, in every filter that stands on a scan. */
export function useIndexExpressions(node: PlanNode): PlanNode {
  return mapPlan(node, (at) => {
    if (at.kind !== 'filter' || at.input.kind !== 'scan' || !at.input.expressions) return at;
    const wanted = at.input.expressions.map(({ index, expr }) => ({ index, type: expr.type, text: formatExpr(expr, columnAt) }));
    const { columns } = at.input;
    const predicate = mapExpr(at.predicate, (expr) => {
      if (expr.kind === 'column' || expr.kind === 'const') return undefined;
      const found = wanted.find(({ type, text }) => typesEquivalent(type, expr.type) && formatExpr(expr, columnAt) === text);
      return found && { kind: 'column', type: found.type, index: found.index, name: columns[found.index]?.name ?? '' };
    });
    return predicate === at.predicate ? at : { ...at, predicate };
  });
}
