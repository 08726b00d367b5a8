/**
 * The optimizer: an ordered list of rules, each a function from plan to plan.
 *
 * The order matters: filters go down first, so that joins find their keys and scans their
 * constraints; columns are pruned before indexes are chosen, since an index that holds all that is
 * needed is cheaper; limits come last, when it is known which sorts are left.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { pushFilters } from './filterPushdown.ts';
import { chooseIndexes } from './indexLookup.ts';
import { findJoinKeys } from './joinKeys.ts';
import { orderJoins } from './joinOrder.ts';
import { pushLimits } from './limitPushdown.ts';
import { matchPartialIndexes } from './partialIndexes.ts';
import type { PlanNode } from './plan.ts';
import { useIndexExpressions } from './indexExpressions.ts';
import { pruneColumns } from './pruneColumns.ts';
import { joinScalars } from './scalarJoins.ts';
import { useSemiJoins } from './semiJoins.ts';

export interface OptimizerRule {
  readonly name: string;
  readonly apply: (node: PlanNode) => PlanNode;
}

export const OPTIMIZER_RULES: readonly OptimizerRule[] = Object.freeze([
  { name: 'use semi joins', apply: useSemiJoins },
  { name: 'join scalars', apply: joinScalars },
  { name: 'push filters', apply: pushFilters },
  { name: 'order joins', apply: orderJoins },
  { name: 'use index expressions', apply: useIndexExpressions },
  { name: 'match partial indexes', apply: matchPartialIndexes },
  { name: 'find join keys', apply: findJoinKeys },
  { name: 'prune columns', apply: pruneColumns },
  { name: 'choose indexes', apply: chooseIndexes },
  { name: 'push limits', apply: pushLimits },
]);

/**
 * Applies every rule once, in order, but those named in `without`: any plan is right without any of them. The result gives
 * the same columns and, where ordered, the same order.
 */
export function optimize(node: PlanNode, without?: ReadonlySet<string>): PlanNode {
  return OPTIMIZER_RULES.reduce((plan, rule) => (without?.has(rule.name) ? plan : rule.apply(plan)), node);
}

/** Rules by their names, between commas; `all` stands for every one. 22023 for a name that there is none of. */
export function rulesNamed(text: string): ReadonlySet<string> | undefined {
  if (text === '') return undefined;
  if (text === 'all') return ALL_RULES;
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !ALL_RULES.has(name));
  if (unknown !== undefined) throw new StatementError(SqlState.InvalidParameterValue, `there is no optimizer rule "${unknown}"`);
  return new Set(names);
}

const ALL_RULES: ReadonlySet<string> = new Set(OPTIMIZER_RULES.map(({ name }) => name));
