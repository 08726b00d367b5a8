/**
 * Lookup joins: for each row of the left side, its matches in an index of the right table.
 *
 * That costs a look-up a row, where a hash join reads the right table once and keeps it. By the sizes of the tables,
 * and by guesses where one has no known size.
 */
import type { IndexDescriptor } from '../../catalog/descriptor.ts';
import { allIndexes } from '../../catalog/descriptor.ts';
import { Type } from '../../catalog/type.ts';
import type { TypedExpr } from '../expr/typedExpr.ts';
import { conjunctsOf } from '../expr/walk.ts';
import { countedEstimate, estimate, plannedRows } from './estimate.ts';
import { conjunction } from './filterPushdown.ts';
import { moveColumns } from './moveExpr.ts';
import type { JoinNode, PlanNode, ScanNode } from './plan.ts';
import { distinctOfSet } from './selectivity.ts';

/** A lookup takes as long as a scan takes for so many rows. */
export const ROWS_READ_A_LOOKUP = 20;

/** The index of a table to look join keys up in, and which of them are its first columns. `keyIds`: the table's columns among the keys. */
export function lookupIndex(
  scan: ScanNode,
  keyIds: readonly (number | undefined)[],
): { index: IndexDescriptor; pairs: number[] } | undefined {
  if (scan.forcedIndex !== undefined || scan.forWrite) return undefined;
  let best: { index: IndexDescriptor; pairs: number[] } | undefined;
  for (const index of allIndexes(scan.table)) {
    // An inverted index finds a row once for each of its keys.
    if (index.state !== 'public' || index.predicate !== undefined || index.inverted) continue;
    const pairs: number[] = [];
    for (const id of index.columnIds) {
      const pair = keyIds.findIndex((keyId, i) => keyId === id && !pairs.includes(i));
      if (pair < 0) break;
      pairs.push(pair);
    }
    const isWhole = index.unique && pairs.length === index.columnIds.length;
    if (pairs.length > 0 && (!best || isWhole || pairs.length > best.pairs.length)) best = { index, pairs };
    if (isWhole) break;
  }
  return best;
}

/** Rows that one look-up of the first `count` columns of an index finds, about. */
export function rowsALookup(scan: ScanNode, index: IndexDescriptor, count: number): number {
  if (index.unique && count === index.columnIds.length) return 1;
  const rows = plannedRows(scan);
  const distinct = distinctOfSet(scan, index.columnIds.slice(0, count), rows);
  // Without statistics a key stands for few rows, as a foreign key does, not for a twentieth of a large table.
  return distinct === undefined ? 1 : rows / distinct;
}

/**
 * The join as look-ups into an index of its right table, when that costs less than reading it. `rowsWanted`: how many rows
 * of the join a limit takes: the left side is then read no further than it needs.
 */
export function lookupJoin(node: JoinNode, rowsWanted?: number): PlanNode | undefined {
  if ((node.type !== 'inner' && node.type !== 'left') || node.leftKeys.length === 0) return undefined;
  const scan = node.right.kind === 'filter' ? node.right.input : node.right;
  if (scan.kind !== 'scan') return undefined;
  const best = lookupIndex(
    scan,
    node.rightKeys.map((key) => (key.kind === 'column' ? scan.columnIds[key.index] : undefined)),
  );
  if (!best) return undefined;
  const { index, pairs } = best;
  const found = rowsALookup(scan, index, pairs.length);
  const costEach = ROWS_READ_A_LOOKUP + found - 1;
  const all = estimate(node.left);
  const read = rowsWanted === undefined ? all : Math.min(all, (rowsWanted * all) / Math.max(1, Math.min(all, estimate(node))));
  const isCheaper = read * costEach <= plannedRows(scan);
  const isCheaperNow = scan.rowCount !== undefined && countedEstimate(node.left) * costEach < scan.rowCount;
  if (!isCheaper && !isCheaperNow) return undefined;
  const conditions = node.right.kind === 'filter' ? conjunctsOf(node.right.predicate) : [];
  const leftWidth = node.left.columns.length;
  const shift = (expr: TypedExpr): TypedExpr => moveColumns(expr, (column) => column + leftWidth);
  const rest: TypedExpr[] = [...conditions.map(shift), ...(node.on ? conjunctsOf(node.on) : [])];
  node.leftKeys.forEach((left, i) => {
    const right = node.rightKeys[i];
    if (right && !pairs.includes(i)) rest.push({ kind: 'comparison', type: Type.Bool, op: '=', left, right: shift(right) });
  });
  return {
    kind: 'lookupJoin',
    type: node.type,
    input: node.left,
    scan: { ...scan, index },
    keys: pairs.map((pair) => node.leftKeys[pair] as TypedExpr),
    on: conjunction(rest),
    columns: node.columns,
  };
}
