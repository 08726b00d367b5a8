/**
 * The optimizer: an ordered list of rules, each a function from plan to plan.
 *
 * The order matters: filters go down first, so that joins find their keys and scans their
 * constraints; columns are pruned before indexes are chosen, since an index that holds all that is
 * needed is cheaper; limits come last, when it is known which sorts are left.
 */
import { pushFilters } from './filterPushdown.ts';
import { chooseIndexes } from './indexLookup.ts';
import { findJoinKeys } from './joinKeys.ts';
import { orderJoins } from './joinOrder.ts';
import { pushLimits } from './limitPushdown.ts';
import { matchPartialIndexes } from './partialIndexes.ts';
import type { PlanNode } from './plan.ts';
import { useIndexExpressions } from './indexExpressions.ts';
import { pruneColumns } from './pruneColumns.ts';
import { useSemiJoins } from './semiJoins.ts';

export interface OptimizerRule {
  readonly name: string;
  readonly apply: (node: PlanNode) => PlanNode;
}

export const OPTIMIZER_RULES: readonly OptimizerRule[] = Object.freeze([
  { name: 'use semi joins', apply: useSemiJoins },
  { name: 'push filters', apply: pushFilters },
  { name: 'order joins', apply: orderJoins },
  { name: 'use index expressions', apply: useIndexExpressions },
  { name: 'match partial indexes', apply: matchPartialIndexes },
  { name: 'find join keys', apply: findJoinKeys },
  { name: 'prune columns', apply: pruneColumns },
  { name: 'choose indexes', apply: chooseIndexes },
  { name: 'push limits', apply: pushLimits },
]);

/** Applies every rule once, in order. The result gives the same columns and, where ordered, the same order. */
export function optimize(node: PlanNode): PlanNode {
  return OPTIMIZER_RULES.reduce((plan, rule) => rule.apply(plan), node);
}
