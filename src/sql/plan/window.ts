/**
 * Window functions in a query: each distinct one becomes a column of a window node below the
 * projection.
 */
import type { WindowSpec, Name } from '../parse/ast.ts';
import { windowNames } from '../expr/analyzeWindow.ts';
import type { TypedExpr, TypedWindow } from '../expr/typedExpr.ts';
import { traits } from '../expr/traits.ts';
import { ExprPlaces, mapExpr, sameExpr } from '../expr/walk.ts';
import type { PlanNode } from './plan.ts';

/** The WINDOW clause by name. Throws 42P20 for a name given twice. */
export function namedWindows(
  windows: readonly { readonly name: Name; readonly spec: WindowSpec }[],
): ReadonlyMap<string, WindowSpec> | undefined {
  return windows.length === 0 ? undefined : windowNames(windows);
}

/** True when one sort serves both. */
export function shareOrder(a: TypedWindow, b: TypedWindow): boolean {
  return (
    a.partitionBy.length === b.partitionBy.length &&
    a.orderBy.length === b.orderBy.length &&
    a.partitionBy.every((expr, i) => sameExpr(expr, b.partitionBy[i] as TypedExpr)) &&
    a.orderBy.every((key, i) => {
      const other = b.orderBy[i];
      return other && key.descending === other.descending && key.nullsFirst === other.nullsFirst && sameExpr(key.expr, other.expr);
    })
  );
}

/** The node with the window functions of the expressions added, and the expressions over its rows. */
export function planWindows(node: PlanNode, exprs: TypedExpr[]): { node: PlanNode; exprs: TypedExpr[] } {
  if (!exprs.some((expr) => traits(expr).hasWindows)) return { node, exprs };
  const windows: TypedWindow[] = [];
  const places = new ExprPlaces();
  const width = node.columns.length;
  const rewritten = exprs.map((expr) =>
    mapExpr(expr, (part) => {
      if (part.kind !== 'window') return undefined;
      const isSteady = traits(part).volatility !== 'volatile';
      let place = isSteady ? places.find(part) : -1;
      if (place < 0) {
        place = windows.push(part) - 1;
        if (isSteady) places.add(part, place);
      }
      return { kind: 'column', type: part.type, index: width + place, name: part.overload.name };
    }),
  );
  const columns = [...node.columns, ...windows.map((window) => ({ name: window.overload.name, type: window.type }))];
  return { node: { kind: 'window', input: node, windows, columns }, exprs: rewritten };
}
