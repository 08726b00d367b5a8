/**
 * Join keys: equalities between the two sides of a join become the keys of a hash join. What is
 * left of ON is tested on each pair that the keys let through.
 */
import { typesEquivalent } from '../../catalog/type.ts';
import type { TypedExpr } from '../expr/typedExpr.ts';
import { traits } from '../expr/traits.ts';
import { conjunctsOf } from '../expr/walk.ts';
import { conjunction } from './filterPushdown.ts';
import { moveColumns } from './moveExpr.ts';
import { type JoinNode, mapPlan, type PlanNode } from './plan.ts';

export function findJoinKeys(root: PlanNode): PlanNode {
  return mapPlan(root, (node) => (node.kind === 'join' && node.on ? withKeys(node, node.on) : node));
}

function withKeys(node: JoinNode, on: TypedExpr): JoinNode {
  const leftWidth = node.left.columns.length;
  const leftKeys = [...node.leftKeys];
  const rightKeys = [...node.rightKeys];
  const rest: TypedExpr[] = [];
  for (const expr of conjunctsOf(on)) {
    const pair = expr.kind === 'comparison' && expr.op === '=' ? sidesOf(expr.left, expr.right, leftWidth) : undefined;
    if (pair && typesEquivalent(pair.left.type, pair.right.type)) {
      leftKeys.push(pair.left);
      rightKeys.push(moveColumns(pair.right, (index) => index - leftWidth));
    } else {
      rest.push(expr);
    }
  }
  return { ...node, leftKeys, rightKeys, on: conjunction(rest) };
}

function sidesOf(a: TypedExpr, b: TypedExpr, leftWidth: number): { left: TypedExpr; right: TypedExpr } | undefined {
  const [sideA, sideB] = [sideOf(a, leftWidth), sideOf(b, leftWidth)];
  if (sideA === 'left' && sideB === 'right') return { left: a, right: b };
  if (sideA === 'right' && sideB === 'left') return { left: b, right: a };
  return undefined;
}

function sideOf(expr: TypedExpr, leftWidth: number): 'left' | 'right' | undefined {
  const { columns, isAsync, volatility } = traits(expr);
  if (isAsync || volatility === 'volatile' || columns.size === 0) return undefined;
  let side: 'left' | 'right' | undefined;
  for (const column of columns) {
    const here = column < leftWidth ? 'left' : 'right';
    if (side && side !== here) return undefined;
    side = here;
  }
  return side;
}
