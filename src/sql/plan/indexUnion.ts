/**
 * Index unions: `a = 1 OR b = 2` as the rows that an index on a gives, and those that an index on b gives beside them.
 *
 *   union all
 *   ├── scan t@a      a = 1
 *   └── filter        (a = 1) IS NOT TRUE
 *       └── scan t@b  b = 2
 *
 * Each branch leaves out what the branches before it give, so that no row comes twice and none has to be remembered.
 */
import { Type } from '../../catalog/type.ts';
import type { TypedExpr } from '../expr/typedExpr.ts';
import { traits } from '../expr/traits.ts';
import { conjunctsOf } from '../expr/walk.ts';
import { filterOf } from './filterPushdown.ts';
import type { PlanNode, ScanNode } from './plan.ts';

const BRANCHES_MAX = 8;

/** A way to read a scan, and its cost. */
export interface Path {
  readonly scan: ScanNode;
  readonly rest: readonly TypedExpr[];
  readonly cost: number;
}

/** The cheapest union for one of the conditions, if each of its branches has an index. `cheapest`: the best path under some conditions. */
export function indexUnion(
  scan: ScanNode,
  conjuncts: readonly TypedExpr[],
  cheapest: (conjuncts: readonly TypedExpr[]) => Path | undefined,
): { readonly node: PlanNode; readonly cost: number } | undefined {
  if (scan.forWrite || scan.forcedIndex !== undefined || scan.skipsLocked) return undefined;
  let best: { node: PlanNode; cost: number } | undefined;
  for (const conjunct of conjuncts) {
    if (conjunct.kind !== 'or') continue;
    const branches = disjunctsOf(conjunct);
    const isPlain = branches.length <= BRANCHES_MAX && !traits(conjunct).isAsync && traits(conjunct).volatility !== 'volatile';
    if (!isPlain) continue;
    const others = conjuncts.filter((other) => other !== conjunct);
    const paths: Path[] = [];
    for (const [i, branch] of branches.entries()) {
      const path = cheapest([...others, ...conjunctsOf(branch), ...branches.slice(0, i).map(isNotTrue)]);
      if (!path?.scan.constraint) break;
      paths.push(path);
    }
    if (paths.length < branches.length) continue;
    const cost = paths.reduce((sum, path) => sum + path.cost, 0);
    if (best && best.cost <= cost) continue;
    const [first, ...more] = paths.map((path) => filterOf(path.scan, path.rest));
    if (!first) continue;
    const node = more.reduce<PlanNode>(
      (left, right) => ({ kind: 'setOperation', op: 'union', all: true, left, right, columns: scan.columns }),
      first,
    );
    best = { node, cost };
  }
  return best;
}

function disjunctsOf(expr: TypedExpr): TypedExpr[] {
  return expr.kind === 'or' ? [...disjunctsOf(expr.left), ...disjunctsOf(expr.right)] : [expr];
}

const isNotTrue = (operand: TypedExpr): TypedExpr => ({ kind: 'isTruth', type: Type.Bool, negated: true, value: true, operand });
