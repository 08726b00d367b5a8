/**
 * Semi joins: a correlated EXISTS or IN as a join that gives each left row once at most, NOT EXISTS as one
 * that gives the rows without a match. (NOT IN is none: a NULL among the values changes its meaning.)
 *
 * Run row by row, such a subquery reads its tables once for each row around it. That is right where
 * an index takes it to the few rows it needs; where it would read a whole table each time, one
 * hash join reads it once. Only queries whose WHERE ties them to the row around them are turned:
 * one that counts, limits or nests what it reads keeps its meaning only row by row.
 */
import { Type, typesEquivalent } from '../../catalog/type.ts';
import type { TypedExpr, TypedSubquery } from '../expr/typedExpr.ts';
import { traits } from '../expr/traits.ts';
import { conjunctsOf, mapExpr } from '../expr/walk.ts';
import { conjunction, filterOf } from './filterPushdown.ts';
import { inputsOf, type JoinNode, mapPlan, type PlanNode, type PlannedSubquery } from './plan.ts';
import { nodeExprs } from './nodeExprs.ts';

export function useSemiJoins(root: PlanNode): PlanNode {
  return mapPlan(root, (node) => {
    if (node.kind !== 'filter' || !isPlainRead(node.input)) return node;
    let { input } = node;
    const rest: TypedExpr[] = [];
    for (const expr of conjunctsOf(node.predicate)) {
      const joined = joinOf(expr, input);
      if (joined) input = joined;
      else rest.push(expr);
    }
    return input === node.input ? node : filterOf(input, rest);
  });
}

/** Rows that are read in order to be written are held to what was read of them: their scans stay below their filters. */
export function isPlainRead(node: PlanNode): boolean {
  return !(node.kind === 'scan' && node.forWrite) && inputsOf(node).every(isPlainRead);
}

function joinOf(expr: TypedExpr, left: PlanNode): JoinNode | undefined {
  const isNegated = expr.kind === 'not';
  const isIn = expr.kind === 'anyAll' && expr.quantifier === 'any' && expr.op === '=';
  const subquery = expr.kind === 'not' ? expr.operand : isIn ? expr.right : expr;
  if (subquery.kind !== 'subquery' || subquery.slot !== undefined) return undefined;
  const plan = subquery.plan as PlannedSubquery;
  if (plan.form !== (isIn ? 'array' : 'exists') || plan.isVolatile || !plan.unoptimized || !readsWhole(plan.node)) return undefined;
  const source = sourceOf(plan.unoptimized);
  if (!source) return undefined;
  const tied: TypedExpr[] = [];
  if (isIn) {
    const value = plan.columns.length === 1 && source.value && acrossJoin(source.value, subquery, left.columns.length);
    if (!value || traits(expr.left).isAsync || !typesEquivalent(expr.left.type, value.type)) return undefined;
    tied.push({ kind: 'comparison', type: Type.Bool, op: '=', left: expr.left, right: value });
  }
  const own: TypedExpr[] = [];
  for (const condition of source.conditions) {
    if (!traits(condition).hasOuterColumns) own.push(condition);
    else {
      const moved = acrossJoin(condition, subquery, left.columns.length);
      if (!moved) return undefined;
      tied.push(moved);
    }
  }
  if (!tied.some((condition) => condition.kind === 'comparison' && condition.op === '=') || readsOuter(source.node)) return undefined;
  return {
    kind: 'join',
    type: isNegated ? 'anti' : 'semi',
    left,
    right: filterOf(source.node, own),
    leftKeys: [],
    rightKeys: [],
    on: conjunction(tied),
    columns: left.columns,
  };
}

/** Does each run of the subquery read something that the row around it does not narrow? */
export function readsWhole(node: PlanNode): boolean {
  if (node.kind === 'virtualScan') return true;
  if (node.kind === 'scan') return !nodeExprs(node).some((expr) => traits(expr).hasOuterColumns);
  return inputsOf(node).some(readsWhole);
}

interface Source {
  readonly node: PlanNode;
  readonly conditions: readonly TypedExpr[];
  /** The first value that a projection makes of its rows. */
  readonly value?: TypedExpr | undefined;
}

/** What a query reads and the conditions of its WHERE, if nothing but a projection or an order stands above. */
function sourceOf(node: PlanNode): Source | undefined {
  switch (node.kind) {
    case 'project': {
      const source = node.exprs.some((expr) => traits(expr).volatility === 'volatile') ? undefined : sourceOf(node.input);
      // Of a projection over another the value is not looked for.
      return source && { ...source, value: 'value' in source ? undefined : node.exprs[0] };
    }
    case 'sort':
      return sourceOf(node.input);
    case 'filter':
      return { node: node.input, conditions: conjunctsOf(node.predicate) };
    default:
      return undefined;
  }
}

/** The condition over the left row and then the subquery's; undefined when it reads anything else. */
export function acrossJoin(condition: TypedExpr, { plan }: TypedSubquery, leftWidth: number): TypedExpr | undefined {
  const { hasSubqueries, volatility } = traits(condition);
  if (hasSubqueries || volatility === 'volatile') return undefined;
  const { outerMap } = plan as PlannedSubquery;
  let isPossible = true;
  const moved = mapExpr(condition, (expr) => {
    if (expr.kind === 'column') return { ...expr, index: expr.index + leftWidth };
    if (expr.kind !== 'outer') return undefined;
    if (expr.depth !== 1) isPossible = false;
    return { kind: 'column', type: expr.type, index: outerMap?.get(expr.index) ?? expr.index, name: expr.name };
  });
  return isPossible ? moved : undefined;
}

/** Does anything in the plan read a row around it, or may it? */
export function readsOuter(node: PlanNode): boolean {
  return (
    nodeExprs(node).some((expr) => traits(expr).hasOuterColumns || traits(expr).isAsync || traits(expr).volatility === 'volatile') ||
    node.kind === 'apply' ||
    inputsOf(node).some(readsOuter)
  );
}
