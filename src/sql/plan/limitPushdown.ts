/**
 * Limits: a sort below a limit keeps only the first rows, a scan from which nothing is dropped stops
 * after them, and FOR UPDATE locks no more rows than are returned.
 */
import type { TypedExpr } from '../expr/typedExpr.ts';
import { inputsOf, mapPlan, type PlanNode, withInputs } from './plan.ts';

export function pushLimits(root: PlanNode): PlanNode {
  return mapPlan(root, (node) => {
    if (node.kind !== 'limit' || !node.limit) return node;
    const rows = node.offset ? [node.limit, node.offset] : [node.limit];
    return { ...node, input: pushInto(node.input, rows) };
  });
}

function pushInto(node: PlanNode, rows: readonly TypedExpr[]): PlanNode {
  switch (node.kind) {
    case 'sort':
      return { ...node, top: rows };
    case 'scan':
      return node.limit ? node : { ...node, limit: rows };
    case 'lockRows':
      // Unless some may be skipped, as many are read as are locked.
      return { ...node, limit: rows, input: node.wait === 'skip' ? node.input : pushInto(node.input, rows) };
    case 'project':
    case 'ordinality': {
      const [input] = inputsOf(node);
      return input ? withInputs(node, [pushInto(input, rows)]) : node;
    }
    default:
      return node;
  }
}
