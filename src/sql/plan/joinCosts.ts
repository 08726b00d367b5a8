/**
 * What joins of a chain's leaves cost, and how many rows they give: what joinOrder.ts compares.
 *
 * The unit is the reading of one row in a scan. Rows of a set of leaves do not depend on the order they are joined in: the
 * product of the leaves' rows and of what each condition among them leaves. Equalities between the same two leaves count together.
 */
import type { TypedExpr } from '../expr/typedExpr.ts';
import { estimate, plannedRows } from './estimate.ts';
import { readCost } from './indexLookup.ts';
import { lookupIndex, ROWS_READ_A_LOOKUP, rowsALookup } from './lookupJoin.ts';
import type { JoinNode, PlanNode, ScanNode } from './plan.ts';
import { conditionFraction, distinctOf, distinctOfSet, EQUALITY_FRACTION, originOf } from './selectivity.ts';

/** A condition over the chain's row, and the leaves that it reads. */
export interface Link {
  readonly expr: TypedExpr;
  readonly leaves: ReadonlySet<number>;
  readonly isEquality: boolean;
  /** An equality of one leaf's values and another's: theirs, left side first. */
  readonly pair: readonly [number, number] | undefined;
}

/** A part of the join: what it gives, and what it has cost so far. */
export interface JoinSide {
  /** Leaves in it, as bits; 0 where it is added to one by one. */
  readonly set: number;
  /** The only leaf, or undefined. */
  readonly leaf: number | undefined;
  readonly rows: number;
  readonly cost: number;
}

interface LeafPlace {
  readonly node: PlanNode;
  readonly start: number;
}

/** Equalities between two leaves, taken together. */
interface Tie {
  readonly low: number;
  readonly high: number;
  readonly links: Link[];
}

interface CountedTie extends Tie {
  readonly fraction: number;
}

const KEEP_COST = 1.5;
const PROBE_COST = 1;
const GIVE_COST = 0.2;
const PAIR_COST = 0.3;
const ROWS_A_KEY = 10;

export class JoinCosts {
  readonly #places: readonly LeafPlace[];
  readonly #leaves: readonly JoinSide[];
  readonly #ties: readonly CountedTie[];
  readonly #tiesOf: readonly (readonly number[])[];
  /** Other conditions, and what they leave. */
  readonly #others: readonly { readonly link: Link; readonly set: number; readonly fraction: number }[];
  readonly #neighbours: readonly number[];
  readonly #rows = new Map<number, number>();

  constructor(chain: JoinNode, places: readonly LeafPlace[], links: readonly Link[]) {
    this.#places = places;
    this.#leaves = places.map(({ node }, leaf) => ({ set: 1 << leaf, leaf, rows: Math.max(estimate(node), 0.1), cost: readCost(node) }));
    const ties = new Map<string, Tie>();
    const others: Link[] = [];
    for (const link of links) {
      if (!link.pair) {
        others.push(link);
        continue;
      }
      const [low, high] = [Math.min(...link.pair), Math.max(...link.pair)];
      const key = `${low}/${high}`;
      const tie = ties.get(key) ?? { low, high, links: [] };
      tie.links.push(link);
      ties.set(key, tie);
    }
    this.#ties = [...ties.values()].map((tie) => ({ ...tie, fraction: this.#tieFraction(tie) }));
    const tiesOf: number[][] = places.map(() => []);
    const neighbours: number[] = places.map(() => 0);
    for (const [i, { low, high }] of this.#ties.entries()) {
      tiesOf[low]?.push(i);
      tiesOf[high]?.push(i);
      neighbours[low] = (neighbours[low] ?? 0) | (1 << high);
      neighbours[high] = (neighbours[high] ?? 0) | (1 << low);
    }
    this.#tiesOf = tiesOf;
    this.#neighbours = neighbours;
    this.#others = others.map((link) => ({
      link,
      set: [...link.leaves].reduce((set, leaf) => set | (1 << leaf), 0),
      fraction: link.isEquality ? EQUALITY_FRACTION : conditionFraction(link.expr, chain, plannedRows),
    }));
  }

  leaf(leaf: number): JoinSide {
    return this.#leaves[leaf] as JoinSide;
  }

  /** Does an equality tie one of the left leaves with one of the right? For up to 30 leaves. */
  isTied(left: number, right: number): boolean {
    for (let leaf = 0; left >> leaf !== 0; leaf++) if ((left >> leaf) & 1 && (this.#neighbours[leaf] ?? 0) & right) return true;
    return false;
  }

  isTiedTo(leaf: number, joined: ReadonlySet<number>): boolean {
    return (this.#tiesOf[leaf] ?? []).some((tie) => joined.has(this.#across(tie, leaf)));
  }

  #across(tie: number, leaf: number): number {
    const { low, high } = this.#ties[tie] as Tie;
    return low === leaf ? high : low;
  }

  /** Joins two sides, the right one kept or looked up. For up to 30 leaves. */
  join(left: JoinSide, right: JoinSide): JoinSide {
    const set = left.set | right.set;
    const ties = this.#ties.filter(
      ({ low, high }) => ((left.set >> low) & 1 && (right.set >> high) & 1) || ((left.set >> high) & 1 && (right.set >> low) & 1),
    );
    return this.#joined(left, right, this.#rowsOf(set), ties, set);
  }

  /** The same for any number of leaves, one added at a time. */
  add(current: JoinSide, joined: ReadonlySet<number>, leaf: number): JoinSide {
    const right = this.leaf(leaf);
    const ties = (this.#tiesOf[leaf] ?? [])
      .filter((tie) => joined.has(this.#across(tie, leaf)))
      .map((tie) => this.#ties[tie] as CountedTie);
    let rows = current.rows * right.rows;
    for (const { fraction } of ties) rows *= fraction;
    for (const { link, fraction } of this.#others) {
      if (link.leaves.has(leaf) && [...link.leaves].every((other) => other === leaf || joined.has(other))) rows *= fraction;
    }
    return this.#joined(current, right, Math.max(rows, 0.1), ties, 0);
  }

  #joined(left: JoinSide, right: JoinSide, rows: number, ties: readonly Tie[], set: number): JoinSide {
    let method: number;
    if (ties.length === 0) method = right.cost + left.rows * right.rows * PAIR_COST;
    else {
      method = right.cost + right.rows * KEEP_COST + left.rows * PROBE_COST;
      const lookup = right.leaf === undefined ? undefined : this.#lookupCost(left.rows, right.leaf, ties);
      if (lookup !== undefined) method = Math.min(method, lookup);
    }
    return { set, leaf: undefined, rows, cost: left.cost + method + rows * GIVE_COST };
  }

  #lookupCost(leftRows: number, leaf: number, ties: readonly Tie[]): number | undefined {
    const { node, start } = this.#places[leaf] as LeafPlace;
    const scan = node.kind === 'filter' ? node.input : node;
    if (scan.kind !== 'scan') return undefined;
    const keyIds = ties.flatMap(({ links }) => links.map((link) => columnOf(sideOf(link, leaf), scan, start)));
    const found = lookupIndex(scan, keyIds);
    if (!found) return undefined;
    const cost = leftRows * (ROWS_READ_A_LOOKUP + rowsALookup(scan, found.index, found.pairs.length) - 1);
    // As lookupJoin() decides.
    return cost <= plannedRows(scan) ? cost : undefined;
  }

  #rowsOf(set: number): number {
    const known = this.#rows.get(set);
    if (known !== undefined) return known;
    let rows = 1;
    for (const [leaf, side] of this.#leaves.entries()) if ((set >> leaf) & 1) rows *= side.rows;
    for (const { low, high, fraction } of this.#ties) if ((set >> low) & 1 && (set >> high) & 1) rows *= fraction;
    for (const { set: read, fraction } of this.#others) if (read !== 0 && (read & set) === read) rows *= fraction;
    const some = Math.max(rows, 0.1);
    this.#rows.set(set, some);
    return some;
  }

  /** What the equalities between two leaves leave of their pairs. */
  #tieFraction({ low, high, links }: Tie): number {
    const sides = [low, high].map((leaf) => this.#keyDistinct(leaf, links));
    const known = Math.max(...sides.map(({ distinct }) => distinct ?? 0));
    if (known > 0) return 1 / known;
    return 1 / Math.max(1, Math.max(...sides.map(({ rows }) => rows)) / ROWS_A_KEY);
  }

  #keyDistinct(leaf: number, links: readonly Link[]): { readonly distinct: number | undefined; readonly rows: number } {
    const { start } = this.#places[leaf] as LeafPlace;
    const { node } = this.#places[leaf] as LeafPlace;
    let distinct: number | undefined = 1;
    let rows = this.leaf(leaf).rows;
    const ids: number[] = [];
    let scan: ScanNode | undefined;
    for (const link of links) {
      const expr = sideOf(link, leaf);
      const origin = expr?.kind === 'column' ? originOf(node, expr.index - start) : undefined;
      if (!origin) return { distinct: undefined, rows };
      const tableRows = plannedRows(origin.scan);
      rows = Math.max(rows, tableRows);
      const one = distinctOf(origin, tableRows);
      distinct = one === undefined || distinct === undefined ? undefined : distinct * one;
      ids.push(origin.columnId);
      scan = scan === undefined || scan === origin.scan ? origin.scan : undefined;
    }
    // Several columns of one table: a statistic of them together knows better than their product.
    const together = scan && ids.length > 1 ? distinctOfSet(scan, ids, plannedRows(scan)) : undefined;
    return { distinct: together ?? (distinct === undefined ? undefined : Math.min(distinct, rows)), rows };
  }
}

/** The side of an equality that is of a leaf. */
function sideOf({ expr, pair }: Link, leaf: number): TypedExpr | undefined {
  if (expr.kind !== 'comparison' || !pair) return undefined;
  return pair[0] === leaf ? expr.left : expr.right;
}

function columnOf(expr: TypedExpr | undefined, scan: ScanNode, start: number): number | undefined {
  return expr?.kind === 'column' ? scan.columnIds[expr.index - start] : undefined;
}
