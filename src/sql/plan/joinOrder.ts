/**
 * Join order: a chain of inner joins is put in the order that costs least.
 *
 * What the user wrote is the plan to beat: its tables in their order, but that a table comes only once an equality ties it
 * to those before (so `FROM a, b, c WHERE a.x = c.x AND c.y = b.y` joins a with c, then b). Another order is taken when it
 * costs clearly less. Up to DYNAMIC_MAX tables it is the best there is, found by dynamic programming over sets of tables (Selinger et al.,
 * SIGMOD 1979): of every shape up to BUSHY_MAX, above that each join adds one table; beyond DYNAMIC_MAX the cheapest next
 * table is joined each time, and beyond GREEDY_MAX the order stays as written: hundreds of tables are planned within a second.
 *
 *   J1  no cross product as long as an equality ties a table
 *   J2  the side with fewer rows is the one that a hash join keeps
 *   J3  outer joins are not moved, and neither are chains with volatile conditions
 */
import { typesEquivalent } from '../../catalog/type.ts';
import type { TypedExpr } from '../expr/typedExpr.ts';
import { traits } from '../expr/traits.ts';
import { conjunctsOf } from '../expr/walk.ts';
import { conjunction } from './filterPushdown.ts';
import { type JoinSide, JoinCosts, type Link } from './joinCosts.ts';
import { moveColumns } from './moveExpr.ts';
import { inputsOf, type JoinNode, type PlanNode, withInputs } from './plan.ts';

const BUSHY_MAX = 6;
const DYNAMIC_MAX = 10;
const GREEDY_MAX = 100;
/** Another order than the user's is taken when it costs less than this part of it: estimates are no closer. */
const CLEARLY_LESS = 0.9;

/** A table of the chain: where its columns lie in the chain's row. */
interface Leaf {
  readonly node: PlanNode;
  readonly start: number;
  readonly end: number;
}

/** How leaves are joined: one of them, or two trees, the right one kept in memory or looked up. */
type Tree = number | readonly [left: Tree, right: Tree];

export function orderJoins(node: PlanNode): PlanNode {
  if (isInner(node)) {
    const leaves: Leaf[] = [];
    const conditions: TypedExpr[] = [];
    collect(node, 0, leaves, conditions);
    const ordered = reordered(node, leaves, conditions);
    if (ordered) return ordered;
  }
  const inputs = inputsOf(node);
  return inputs.length === 0 ? node : withInputs(node, inputs.map(orderJoins));
}

function isInner(node: PlanNode): node is JoinNode {
  return node.kind === 'join' && node.type === 'inner' && node.leftKeys.length === 0;
}

function collect(node: PlanNode, start: number, leaves: Leaf[], conditions: TypedExpr[]): void {
  if (!isInner(node)) {
    leaves.push({ node, start, end: start + node.columns.length });
    return;
  }
  collect(node.left, start, leaves, conditions);
  collect(node.right, start + node.left.columns.length, leaves, conditions);
  if (node.on) for (const expr of conjunctsOf(node.on)) conditions.push(start === 0 ? expr : moveColumns(expr, (column) => column + start));
}

function reordered(node: JoinNode, leaves: readonly Leaf[], conditions: readonly TypedExpr[]): PlanNode | undefined {
  if (conditions.some((expr) => traits(expr).volatility === 'volatile')) return undefined;
  const leafOf = new Int32Array(node.columns.length);
  for (const [i, { start, end }] of leaves.entries()) leafOf.fill(i, start, end);
  const leavesOf = (expr: TypedExpr): Set<number> => new Set([...traits(expr).columns].map((column) => leafOf[column] ?? 0));
  const links = conditions.map((expr): Link => {
    const read = leavesOf(expr);
    const isEquality = expr.kind === 'comparison' && expr.op === '=' && typesEquivalent(expr.left.type, expr.right.type) && read.size > 1;
    const [left, right] = isEquality ? [[...leavesOf(expr.left)], [...leavesOf(expr.right)]] : [[], []];
    const isPair = left.length === 1 && right.length === 1 && left[0] !== right[0];
    return { expr, leaves: read, isEquality, pair: isPair ? [left[0] as number, right[0] as number] : undefined };
  });
  const written = tiedOrder(leaves.length, links);
  // A row that is to be written is read by the scan that the statement began with.
  const isFixed = leaves.some(({ node: leaf }) => isForWrite(leaf));
  const tree = isFixed || leaves.length > GREEDY_MAX ? leftDeep(written) : bestTree(node, leaves, links, written);
  if (isAsWritten(tree, leaves.length)) return undefined;
  return inOrder(node, tree, leaves, links);
}

function isForWrite(node: PlanNode): boolean {
  return node.kind === 'scan' ? node.forWrite : inputsOf(node).some(isForWrite);
}

const leftDeep = (order: readonly number[]): Tree => {
  const [first = 0, ...rest] = order;
  return rest.reduce<Tree>((tree, leaf) => [tree, leaf], first);
};

function isAsWritten(tree: Tree, count: number): boolean {
  for (let leaf = count - 1; leaf > 0; leaf--) {
    if (typeof tree === 'number' || tree[1] !== leaf) return false;
    tree = tree[0];
  }
  return tree === 0;
}

/** The leaves as written, but each as soon as it is the first of those left that an equality ties. */
function tiedOrder(count: number, links: readonly Link[]): number[] {
  const order: number[] = [];
  const joined = new Set<number>();
  /** Of each equality how many of its leaves are still to come. */
  const missing = links.map(({ isEquality, leaves }) => (isEquality ? leaves.size : Number.POSITIVE_INFINITY));
  const linksOf: number[][] = Array.from({ length: count }, () => []);
  for (const [i, { leaves }] of links.entries()) for (const leaf of leaves) linksOf[leaf]?.push(i);
  const add = (leaf: number): void => {
    order.push(leaf);
    joined.add(leaf);
    for (const link of linksOf[leaf] ?? []) missing[link] = (missing[link] ?? 0) - 1;
  };
  add(0);
  while (order.length < count) {
    let next: number | undefined;
    for (let leaf = 1; leaf < count; leaf++) {
      if (joined.has(leaf)) continue;
      if (linksOf[leaf]?.some((link) => missing[link] === 1)) {
        next = leaf;
        break;
      }
      next ??= leaf;
    }
    const tied = next;
    if (tied === undefined) break;
    add(tied);
  }
  return order;
}

// ---- the cheapest -----------------------------------------------------------------------------

interface Candidate {
  readonly tree: Tree;
  readonly side: JoinSide;
}

function bestTree(chain: JoinNode, leaves: readonly Leaf[], links: readonly Link[], written: readonly number[]): Tree {
  const costs = new JoinCosts(chain, leaves, links);
  const best = leaves.length <= DYNAMIC_MAX ? dynamic(costs, leaves.length) : greedy(costs, leaves.length);
  return best && best.side.cost < CLEARLY_LESS * writtenCost(costs, written) ? best.tree : leftDeep(written);
}

function writtenCost(costs: JoinCosts, [first = 0, ...rest]: readonly number[]): number {
  const joined = new Set([first]);
  let side = costs.leaf(first);
  for (const leaf of rest) {
    side = costs.add(side, joined, leaf);
    joined.add(leaf);
  }
  return side.cost;
}

/** The best tree of all leaves, by the best of each set of them that equalities tie together; undefined when they do not tie all. */
function dynamic(costs: JoinCosts, count: number): Candidate | undefined {
  const best: (Candidate | undefined)[] = new Array(1 << count);
  for (let leaf = 0; leaf < count; leaf++) best[1 << leaf] = { tree: leaf, side: costs.leaf(leaf) };
  for (let set = 3; set < 1 << count; set++) {
    if ((set & (set - 1)) === 0) continue;
    // Each split into two, once in either direction: the right one is the one kept.
    for (let left = (set - 1) & set; left > 0; left = (left - 1) & set) {
      const right = set ^ left;
      const isSingle = (left & (left - 1)) === 0 || (right & (right - 1)) === 0;
      if (!isSingle && count > BUSHY_MAX) continue;
      const [a, b] = [best[left], best[right]];
      if (!a || !b || !costs.isTied(left, right)) continue;
      const side = costs.join(a.side, b.side);
      const other = best[set];
      if (!other || side.cost < other.side.cost) best[set] = { tree: [a.tree, b.tree], side };
    }
  }
  return best[(1 << count) - 1];
}

/** Begins with the leaf of fewest rows that is tied to another, and adds what costs least each time. */
function greedy(costs: JoinCosts, count: number): Candidate {
  const rest = new Set(Array.from({ length: count }, (_, leaf) => leaf));
  const first = [...rest].reduce((least, leaf) => (costs.leaf(leaf).rows < costs.leaf(least).rows ? leaf : least), 0);
  let current: Candidate = { tree: first, side: costs.leaf(first) };
  rest.delete(first);
  const joined = new Set([first]);
  while (rest.size > 0) {
    let next: { readonly leaf: number; readonly side: JoinSide; readonly isTied: boolean } | undefined;
    for (const leaf of rest) {
      const isTied = costs.isTiedTo(leaf, joined);
      if (next?.isTied && !isTied) continue;
      const side = costs.add(current.side, joined, leaf);
      if (!next || (isTied && !next.isTied) || side.cost < next.side.cost) next = { leaf, side, isTied };
    }
    if (!next) break;
    current = { tree: [current.tree, next.leaf], side: next.side };
    joined.add(next.leaf);
    rest.delete(next.leaf);
  }
  return current;
}

// ---- the plan ---------------------------------------------------------------------------------

interface Placed {
  readonly node: PlanNode;
  /** The leaves in it, in the order of its columns. */
  readonly order: readonly number[];
}

/** Joins the leaves so, each condition as soon as its columns are there, and puts the columns back in their order. */
function inOrder(chain: JoinNode, tree: Tree, leaves: readonly Leaf[], links: readonly Link[]): PlanNode {
  const done = new Set<Link>();
  const place = (of: Tree): Placed => {
    if (typeof of === 'number') return { node: orderJoins((leaves[of] as Leaf).node), order: [of] };
    const [left, right] = [place(of[0]), place(of[1])];
    const order = [...left.order, ...right.order];
    const joined = new Set(order);
    const ready = links.filter((link) => !done.has(link) && [...link.leaves].every((leaf) => joined.has(leaf)));
    for (const link of ready) done.add(link);
    const places = ready.length === 0 ? undefined : placesOf(order, leaves);
    const on = conjunction(ready.map((link) => moveColumns(link.expr, (column) => places?.get(column) ?? column)));
    const columns: PlanNode['columns'] = [...left.node.columns, ...right.node.columns];
    return { node: { kind: 'join', type: 'inner', left: left.node, right: right.node, leftKeys: [], rightKeys: [], on, columns }, order };
  };
  const { node, order } = place(tree);
  const places = placesOf(order, leaves);
  const exprs = chain.columns.map(
    ({ name, type }, column): TypedExpr => ({ kind: 'column', type, index: places.get(column) ?? column, name }),
  );
  return { kind: 'project', input: node, exprs, columns: chain.columns };
}

/** Where each column of the chain's row is when the leaves come in that order. */
function placesOf(order: readonly number[], leaves: readonly Leaf[]): Map<number, number> {
  const places = new Map<number, number>();
  for (const at of order) {
    const leaf = leaves[at] as Leaf;
    for (let column = leaf.start; column < leaf.end; column++) places.set(column, places.size);
  }
  return places;
}
