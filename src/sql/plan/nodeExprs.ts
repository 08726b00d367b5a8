/** The expressions that a plan node holds itself, without those of its inputs. */
import type { TypedExpr } from '../expr/typedExpr.ts';
import type { KeyBound, PlanNode, ScanNode } from './plan.ts';

export function nodeExprs(node: PlanNode): readonly TypedExpr[] {
  const given = (...exprs: readonly (TypedExpr | undefined)[]): TypedExpr[] => exprs.filter((expr) => expr !== undefined);
  switch (node.kind) {
    case 'values':
      return node.rows.flat();
    case 'scan':
      return [...constraintExprs(node), ...(node.limit ?? [])];
    case 'filter':
      return [node.predicate];
    case 'project':
      return node.exprs;
    case 'projectSet':
      return node.generators;
    case 'join':
      return given(...node.leftKeys, ...node.rightKeys, node.on);
    case 'lookupJoin':
      return given(...node.keys, node.on);
    case 'apply':
      return given(node.on);
    case 'aggregate':
      return [...node.keys, ...node.aggregates];
    case 'window':
      return node.windows;
    case 'sort':
      return node.top ?? [];
    case 'limit':
      return given(node.limit, node.offset);
    case 'lockRows':
      return node.limit ?? [];
    case 'insert':
    case 'update':
    case 'delete':
      return node.returning ?? [];
    case 'virtualScan':
    case 'distinct':
    case 'setOperation':
    case 'ordinality':
    case 'cteScan':
    case 'statement':
      return [];
  }
}

function constraintExprs({ constraint }: ScanNode): TypedExpr[] {
  if (!constraint) return [];
  const values = constraint.prefix.flat().flatMap((alternative) => {
    if (alternative.kind === 'null') return [];
    return [alternative.kind === 'value' ? alternative.value : alternative.array];
  });
  const bounds: (KeyBound | undefined)[] = (constraint.ranges ?? [constraint]).flatMap(({ low, high }) => [low, high]);
  return [...values, ...bounds.flatMap((bound) => (bound ? [bound.value] : []))];
}
