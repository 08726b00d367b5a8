/**
 * Index choice: conditions on a scan become spans of one of its table's indexes.
 *
 * An index serves a scan with equalities on its first columns, then one range. Each candidate gets a
 * cost. Without statistics it comes of crude guesses, so that it does not change with the data: a table has
 * TABLE_ROWS rows, an equality on a non-unique column leaves a twentieth, a bound a third. With them it
 * comes of the table's size and its values. An index that lacks a needed column pays for looking its
 * rows up; one that gives the wanted order saves the sort. Conditions that the spans imply are dropped from the filter.
 *
 * The walk is top down: a sort tells what is below it which order it wants, and goes when it gets
 * it. A join becomes a lookup join where that costs less (lookupJoin.ts).
 */
import type { IndexDescriptor } from '../../catalog/descriptor.ts';
import { allIndexes, columnById } from '../../catalog/descriptor.ts';
import { Type } from '../../catalog/type.ts';
import type { TypedExpr } from '../expr/typedExpr.ts';
import { conjunctsOf } from '../expr/walk.ts';
import { bucketFacts } from './bucketFacts.ts';
import { constraintFraction, estimate, plannedRows, TABLE_ROWS } from './estimate.ts';
import { filterOf } from './filterPushdown.ts';
import { invertedFacts, requireUsable } from './invertedFacts.ts';
import { indexUnion } from './indexUnion.ts';
import { lookupJoin } from './lookupJoin.ts';
import { mergeOrders } from './mergeJoin.ts';
import { regionFacts } from './regionFacts.ts';
import {
  type AggregateNode,
  type IndexConstraint,
  inputsOf,
  type JoinNode,
  type KeyAlternative,
  type KeyBound,
  type KeyRange,
  type PlanNode,
  type ScanNode,
  type SortKey,
  withInputs,
} from './plan.ts';
import { ARRAY_ELEMENTS, conditionFraction, EQUALITY_FRACTION } from './selectivity.ts';
import { type Fact, factsOf } from './spanFacts.ts';
import { indexColumnIds } from './tableShape.ts';

/** The same for one that is done with many others. */
const LOOKUP_COST = 8;
const CLEARLY_LESS = 0.9;

/** What stands above wants of its input. */
interface Wanted {
  readonly order: readonly SortKey[];
  /** Rows that a limit above takes; undefined without one. */
  readonly rows: number | undefined;
}
const NOTHING_WANTED: Wanted = { order: [], rows: undefined };

export function chooseIndexes(node: PlanNode): PlanNode {
  return choose(node, NOTHING_WANTED);
}

function choose(node: PlanNode, wanted: Wanted): PlanNode {
  switch (node.kind) {
    case 'scan':
      return accessPath(node, [], wanted);
    case 'filter':
      if (node.input.kind === 'scan') return accessPath(node.input, conjunctsOf(node.predicate), wanted);
      return { ...node, input: choose(node.input, wanted) };
    case 'limit': {
      const rows = node.limit?.kind === 'const' && typeof node.limit.value === 'number' ? node.limit.value : 100;
      return { ...node, input: choose(node.input, { order: [], rows: node.limit ? rows : undefined }) };
    }
    case 'sort': {
      const input = choose(node.input, { order: node.keys, rows: wanted.rows });
      return gives(input, node.keys) ? input : { ...node, input };
    }
    case 'project': {
      const order = mapOrder(wanted.order, node.exprs);
      return { ...node, input: choose(node.input, order ? { ...wanted, order } : NOTHING_WANTED) };
    }
    case 'distinct':
      return { ...node, input: choose(node.input, { order: wanted.order, rows: undefined }) };
    case 'aggregate':
      return extreme(node) ?? { ...node, input: choose(node.input, NOTHING_WANTED) };
    case 'join': {
      const isOfLeft = wanted.order.every((key) => key.index < node.left.columns.length);
      const keepsOrder = isOfLeft && node.type !== 'right' && node.type !== 'full';
      const left = choose(node.left, keepsOrder ? wanted : NOTHING_WANTED);
      const isInOrder = wanted.order.length === 0 || !keepsOrder || gives(left, wanted.order);
      const rowsWanted = keepsOrder && isInOrder ? wanted.rows : undefined;
      return (
        lookupJoin({ ...node, left }, rowsWanted) ??
        merged(node, wanted, left) ??
        keepingSmaller({ ...node, left, right: choose(node.right, NOTHING_WANTED) }, wanted)
      );
    }
    default: {
      const inputs = inputsOf(node);
      return inputs.length === 0
        ? node
        : withInputs(
            node,
            inputs.map((input) => choose(input, NOTHING_WANTED)),
          );
    }
  }
}

/** A semi or anti join keeps its left side when that is much the smaller, unless a limit may end it early. */
function keepingSmaller(node: JoinNode, wanted: Wanted): JoinNode {
  const isOfLeft = (node.type === 'semi' || node.type === 'anti') && node.leftKeys.length > 0;
  if (!isOfLeft || wanted.rows !== undefined || estimate(node.left) * 2 > estimate(node.right)) return node;
  return { ...node, keepsLeft: true };
}

/** The join of two sides that come in its keys' order, if they do so without reading more than they would otherwise. */
function merged(node: JoinNode, wanted: Wanted, unordered: PlanNode): PlanNode | undefined {
  for (const order of mergeOrders(node)) {
    const left = gives(unordered, order.left) ? unordered : choose(node.left, { order: order.left, rows: undefined });
    if (!gives(left, order.left) || (gives(unordered, wanted.order) && !gives(left, wanted.order))) continue;
    const right = choose(node.right, { order: order.right, rows: undefined });
    if (!gives(right, order.right) || pathCost(right) > pathCost(choose(node.right, NOTHING_WANTED)) * SAME_COST) continue;
    if (left !== unordered && pathCost(left) > pathCost(unordered) * SAME_COST) continue;
    return { ...node, left, right, merge: order.pairs };
  }
  return undefined;
}

/** Covering indexes cost about the same, whichever it is. */
const SAME_COST = 1.1;

/** What reading a path that was chosen costs. */
function pathCost(node: PlanNode): number {
  const scan = node.kind === 'filter' ? node.input : node;
  if (scan.kind !== 'scan') return estimate(node);
  const has = indexColumnIds(scan.table, scan.index);
  const isCovering = scan.index.id === scan.table.primaryIndex.id || scan.columnIds.every((id) => has.has(id));
  return estimate(scan) * (isCovering ? 1 : LOOKUP_COST);
}

/** The only aggregate is the min or max of a column that an index gives in order: its first row that is not NULL is enough. */
function extreme(node: AggregateNode): PlanNode | undefined {
  const [aggregate, ...others] = node.aggregates;
  if (!node.isScalar || !aggregate || others.length > 0 || aggregate.filter) return undefined;
  const { name } = aggregate.overload;
  const [column] = aggregate.args;
  if ((name !== 'min' && name !== 'max') || column?.kind !== 'column') return undefined;
  const descending = name === 'max';
  const order = [{ index: column.index, descending, nullsFirst: !descending }];
  const isThere: TypedExpr = { kind: 'isNull', type: Type.Bool, negated: true, operand: column };
  const conjuncts = node.input.kind === 'filter' ? conjunctsOf(node.input.predicate) : [];
  const source = node.input.kind === 'filter' ? node.input.input : node.input;
  const input = choose(filterOf(source, [...conjuncts, isThere]), { order, rows: 1 });
  if (!gives(input, order)) return undefined;
  return { ...node, input: { kind: 'limit', input, limit: ONE, offset: undefined, columns: input.columns } };
}

const ONE: TypedExpr = Object.freeze({ kind: 'const', type: Type.Int8, value: 1 });

/** The order below a projection; undefined when a key is computed by it. */
function mapOrder(order: readonly SortKey[], exprs: readonly TypedExpr[]): SortKey[] | undefined {
  const mapped: SortKey[] = [];
  for (const key of order) {
    const expr = exprs[key.index];
    if (expr?.kind !== 'column') return undefined;
    mapped.push({ ...key, index: expr.index });
  }
  return mapped;
}

// ---- order ------------------------------------------------------------------------------------

/** Do the node's rows come in that order? */
function gives(node: PlanNode, order: readonly SortKey[]): boolean {
  if (order.length === 0) return true;
  switch (node.kind) {
    case 'scan':
      return scanGives(node, order, node.reverse);
    case 'filter':
    case 'distinct':
    case 'limit':
      return gives(node.input, order);
    case 'project': {
      const mapped = mapOrder(order, node.exprs);
      return mapped !== undefined && gives(node.input, mapped);
    }
    case 'join':
      return (
        node.type !== 'right' &&
        node.type !== 'full' &&
        order.every((key) => key.index < node.left.columns.length) &&
        gives(node.left, order)
      );
    case 'lookupJoin':
      return order.every((key) => key.index < node.input.columns.length) && gives(node.input, order);
    default:
      return false;
  }
}

function scanGives(scan: ScanNode, order: readonly SortKey[], reverse: boolean): boolean {
  const { index, table } = scan;
  const keyIds = [...index.columnIds, ...index.keySuffixColumnIds];
  const fixed = new Set<number>();
  scan.constraint?.prefix.forEach((alternatives, i) => {
    const id = keyIds[i];
    const only = alternatives.length === 1 ? alternatives[0] : undefined;
    if (id !== undefined && only && only.kind !== 'elements') fixed.add(id);
  });
  let next = 0;
  for (const key of order) {
    const id = scan.columnIds[key.index];
    if (id === undefined) return false;
    if (fixed.has(id)) continue;
    while (next < keyIds.length && fixed.has(keyIds[next] ?? -1)) next++;
    if (next >= keyIds.length) return isUniqueKey(index);
    if (keyIds[next] !== id) return false;
    const descending = (index.directions[next] === 'DESC') !== reverse;
    if (descending !== key.descending) return false;
    const column = columnById(table, id);
    if (column?.nullable && key.nullsFirst !== !key.descending) return false;
    next++;
    // A unique key without NULLs is ordered by its own columns alone: what follows cannot matter.
    if (next >= index.columnIds.length && isUniqueKey(index) && index.id === table.primaryIndex.id) return true;
  }
  return true;
}

const isUniqueKey = (index: IndexDescriptor): boolean => index.unique;

// ---- access paths -----------------------------------------------------------------------------

interface Candidate {
  readonly scan: ScanNode;
  readonly rest: readonly TypedExpr[];
  readonly cost: number;
}

/** The cheapest way to read a scan under the conjuncts (over the scan's columns). */
function accessPath(scan: ScanNode, conjuncts: readonly TypedExpr[], wanted: Wanted): PlanNode {
  const best = cheapest(scan, conjuncts, wanted);
  if (!best) return filterOf(scan, conjuncts);
  const union = indexUnion(scan, conjuncts, (branch) => cheapest(scan, branch, NOTHING_WANTED));
  // It gives no order; what an order is worth is in the other's cost.
  if (union && wanted.order.length === 0 && wanted.rows === undefined && union.cost < best.cost * CLEARLY_LESS) return union.node;
  return filterOf(best.scan, best.rest);
}

/** What reading a scan costs, filtered or not, in rows read; of anything else, what it gives. */
export function readCost(node: PlanNode): number {
  const scan = node.kind === 'filter' ? node.input : node;
  if (scan.kind !== 'scan') return estimate(node);
  if (node.kind !== 'filter') return plannedRows(scan);
  const best = cheapest(scan, conjunctsOf(node.predicate), NOTHING_WANTED);
  if (!best) return plannedRows(scan);
  // Without statistics the sizes that costs are in are guesses too.
  return scan.statistics ? best.cost : (best.cost * plannedRows(scan)) / TABLE_ROWS;
}

function cheapest(scan: ScanNode, conjuncts: readonly TypedExpr[], wanted: Wanted): Candidate | undefined {
  const direct = conjuncts.flatMap((expr) => factsOf(expr, scan));
  const facts = [...direct, ...invertedFacts(conjuncts, scan), ...bucketFacts(direct, scan), ...regionFacts(direct, scan)];
  let best: Candidate | undefined;
  for (const index of allIndexes(scan.table)) {
    if (index.state !== 'public') continue;
    if (index.predicate !== undefined && !scan.usableIndexIds?.includes(index.id)) continue;
    if (scan.forcedIndex !== undefined && scan.forcedIndex !== index.name) continue;
    for (const candidate of candidatesOf(scan, index, facts, conjuncts, wanted)) {
      if (!best || candidate.cost < best.cost) best = candidate;
    }
  }
  if (!best && scan.forcedIndex !== undefined) requireUsable(scan.table, scan.forcedIndex);
  return best;
}

function candidatesOf(
  scan: ScanNode,
  index: IndexDescriptor,
  facts: readonly Fact[],
  conjuncts: readonly TypedExpr[],
  wanted: Wanted,
): Candidate[] {
  const isPrimary = index.id === scan.table.primaryIndex.id;
  // A non-unique entry's key goes on with the primary key's columns.
  const keyIds = index.unique ? index.columnIds : [...index.columnIds, ...index.keySuffixColumnIds];
  const used = new Set<TypedExpr>();
  const prefix: (readonly KeyAlternative[])[] = [];
  let rows = TABLE_ROWS;
  let alternatives = 1;
  let position = 0;
  for (; position < keyIds.length; position++) {
    const equal = facts.filter((fact) => fact.columnId === keyIds[position] && 'equals' in fact.says);
    const fewest = equal.reduce<Fact | undefined>((best, fact) => (!best || countOf(fact) < countOf(best) ? fact : best), undefined);
    if (!fewest || !('equals' in fewest.says) || alternatives * countOf(fewest) > 10_000) break;
    prefix.push(fewest.says.equals);
    if (fewest.isExact) used.add(fewest.conjunct);
    alternatives *= countOf(fewest);
    rows = Math.max(1, rows / 20);
  }
  // Only one of a row's inverted keys finds it once.
  if (index.inverted && prefix.length < index.columnIds.length) return [];
  const isPoint =
    index.unique && prefix.length === index.columnIds.length && !prefix.flat().some((alternative) => alternative.kind === 'null');
  if (isPoint) rows = 1;
  rows *= alternatives;
  let low: KeyBound | undefined;
  let high: KeyBound | undefined;
  let ranges: readonly KeyRange[] | undefined;
  if (!isPoint && position < keyIds.length) {
    const ranged = facts.filter((fact) => fact.columnId === keyIds[position] && 'ranges' in fact.says);
    // One exact range after another narrows the span; each bound comes from one condition.
    for (const fact of [...ranged.filter((each) => each.isExact), ...ranged.filter((each) => !each.isExact)]) {
      const [range, ...others] = 'ranges' in fact.says ? fact.says.ranges : [];
      if (!range || others.length > 0 || (range.low && low) || (range.high && high)) continue;
      if (range.low) rows /= 3;
      if (range.high) rows /= 3;
      low ??= range.low;
      high ??= range.high;
      if (fact.isExact) used.add(fact.conjunct);
    }
    const several = low || high ? undefined : ranged.find((fact) => 'ranges' in fact.says && fact.says.ranges.length > 1);
    if (several && 'ranges' in several.says) {
      ranges = several.says.ranges;
      if (several.isExact) used.add(several.conjunct);
      rows = Math.min(rows, (rows / 9) * ranges.length);
    }
  }
  const constraint: IndexConstraint | undefined =
    prefix.length > 0 || low || high || ranges ? { prefix, low, high, ...(ranges && { ranges }) } : undefined;
  if (scan.statistics) {
    const whole = plannedRows(scan);
    rows = isPoint ? Math.min(whole, alternatives) : Math.max(1, whole * constraintFraction({ ...scan, index, constraint }, whole));
  }
  if (index.predicate !== undefined) rows = Math.max(1, rows / 3);
  const has = indexColumnIds(scan.table, index);
  const isCovering = isPrimary || scan.columnIds.every((id) => has.has(id));
  if (
    !constraint &&
    !isPrimary &&
    scan.forcedIndex === undefined &&
    wanted.order.length === 0 &&
    !isCovering &&
    index.predicate === undefined
  )
    return [];
  const rest = conjuncts.filter((expr) => !used.has(expr));
  const candidates: Candidate[] = [];
  for (const reverse of [false, true]) {
    if (reverse && wanted.order.length === 0) continue;
    const path: ScanNode = { ...scan, index, constraint, reverse: scan.reverse !== reverse };
    const isOrdered = wanted.order.length === 0 || gives(path, wanted.order);
    if (reverse && !isOrdered) continue;
    const read = isOrdered && wanted.rows !== undefined ? Math.min(rows, wanted.rows / fractionOf(rest, scan)) : rows;
    const sortCost = isOrdered ? 0 : rows * Math.log2(rows + 2) * 0.2;
    // Entries of a secondary index are smaller, but the primary one is preferred when nothing else decides.
    const cost = read * (isCovering ? 1 : LOOKUP_COST) * (isPrimary ? 1 : 1.01) + sortCost + (reverse ? 0.001 : 0);
    candidates.push({ scan: path, rest, cost });
  }
  return candidates;
}

/** What the conditions that an index does not serve leave of the rows read. */
function fractionOf(rest: readonly TypedExpr[], scan: ScanNode): number {
  if (rest.length === 0) return 1;
  if (!scan.statistics) return EQUALITY_FRACTION;
  const fraction = rest.reduce((all, expr) => all * conditionFraction(expr, scan, plannedRows), 1);
  return Math.max(fraction, 1 / plannedRows(scan));
}

function countOf(fact: Fact): number {
  return ('equals' in fact.says ? fact.says.equals : []).reduce(
    (count, alternative) => count + (alternative.kind === 'elements' ? ARRAY_ELEMENTS : 1),
    0,
  );
}
