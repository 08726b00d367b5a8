/**
 * Merge joins: when indexes give both sides in the order of the join's keys, and the right side is large, neither has to be
 * kept in memory. The sides are asked for in the order of one of the right table's indexes.
 */
import { allIndexes } from '../../catalog/descriptor.ts';
import { estimate, FEWEST_ROWS } from './estimate.ts';
import type { JoinNode, PlanNode, ScanNode, SortKey } from './plan.ts';

/** Orders of the two sides that serve a merge join, and which keys they are of. */
export interface MergeOrder {
  readonly pairs: readonly number[];
  readonly left: readonly SortKey[];
  readonly right: readonly SortKey[];
}

/** The orders to try, by the right side's indexes: each begins with every key of the join. None for a small right side. */
export function mergeOrders(node: JoinNode): MergeOrder[] {
  const { leftKeys, rightKeys, type } = node;
  if (leftKeys.length === 0 || type === 'right' || type === 'full') return [];
  if (![...leftKeys, ...rightKeys].every((key) => key.kind === 'column')) return [];
  const scan = scanBelow(node.right);
  if (!scan || estimate(node.right) <= FEWEST_ROWS) return [];
  const orders: MergeOrder[] = [];
  for (const index of allIndexes(scan.table)) {
    if (index.state !== 'public' || index.columnIds.length < leftKeys.length) continue;
    const pairs = index.columnIds
      .slice(0, leftKeys.length)
      .map((id) => rightKeys.findIndex((key) => key.kind === 'column' && scan.columnIds[key.index] === id));
    if (pairs.includes(-1) || new Set(pairs).size < pairs.length) continue;
    const ofSide = (keys: JoinNode['leftKeys']): SortKey[] =>
      pairs.flatMap((pair) => {
        const key = keys[pair];
        return key?.kind === 'column' ? [{ index: key.index, descending: false, nullsFirst: true }] : [];
      });
    orders.push({ pairs, left: ofSide(leftKeys), right: ofSide(rightKeys) });
  }
  return orders;
}

function scanBelow(node: PlanNode): ScanNode | undefined {
  const scan = node.kind === 'filter' ? node.input : node;
  return scan.kind === 'scan' && !scan.forWrite ? scan : undefined;
}
