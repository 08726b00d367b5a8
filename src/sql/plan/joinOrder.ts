/**
 * Join order: a chain of inner joins is put in an order that makes no cross product where none is
 * asked for.
 *
 * The order that the user wrote is kept as far as possible: it starts with the first table, and the
 * next is always the first one of those left that an equality ties to what is joined already. So
 * `FROM a, b, c WHERE a.x = c.x AND c.y = b.y` joins a with c, then b. An order in which every table
 * is tied to those before it stays as it is. Outer joins are not moved, and neither are chains
 * with volatile conditions.
 */
import type { TypedExpr } from '../expr/typedExpr.ts';
import { traits } from '../expr/traits.ts';
import { conjunctsOf } from '../expr/walk.ts';
import { conjunction } from './filterPushdown.ts';
import { moveColumns } from './moveExpr.ts';
import { inputsOf, type JoinNode, type PlanNode, withInputs } from './plan.ts';

/** A table of the chain: where its columns lie in the chain's row. */
interface Leaf {
  readonly node: PlanNode;
  readonly start: number;
  readonly end: number;
}

/** A condition over the chain's row, and the leaves that it reads. */
interface Link {
  readonly expr: TypedExpr;
  readonly leaves: ReadonlySet<number>;
  readonly isEquality: boolean;
}

export function orderJoins(node: PlanNode): PlanNode {
  if (isInner(node)) {
    const leaves: Leaf[] = [];
    const conditions: TypedExpr[] = [];
    collect(node, 0, leaves, conditions);
    const ordered = leaves.length > 2 ? reordered(node, leaves, conditions) : undefined;
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
  const links = conditions.map((expr): Link => {
    const read = new Set([...traits(expr).columns].map((column) => leaves.findIndex(({ start, end }) => column >= start && column < end)));
    return { expr, leaves: read, isEquality: expr.kind === 'comparison' && expr.op === '=' && read.size > 1 };
  });
  const order = greedyOrder(leaves.length, links);
  if (order.every((leaf, place) => leaf === place)) return undefined;
  return inOrder(node, order, leaves, links);
}

/** The leaves in the order to join them. */
function greedyOrder(count: number, links: readonly Link[]): number[] {
  const order = [0];
  const joined = new Set(order);
  while (order.length < count) {
    const rest = Array.from({ length: count }, (_, leaf) => leaf).filter((leaf) => !joined.has(leaf));
    const isTied = (leaf: number): boolean =>
      links.some(
        ({ isEquality, leaves }) => isEquality && leaves.has(leaf) && [...leaves].every((other) => other === leaf || joined.has(other)),
      );
    const next = rest.find(isTied) ?? rest[0];
    if (next === undefined) break;
    order.push(next);
    joined.add(next);
  }
  return order;
}

/** Joins the leaves in that order, each condition as soon as its columns are there, and puts the columns back in theirs. */
function inOrder(chain: JoinNode, order: readonly number[], leaves: readonly Leaf[], links: readonly Link[]): PlanNode {
  /** Where each column of the chain's row is now. */
  const places = new Map<number, number>();
  const joined = new Set<number>();
  const done = new Set<Link>();
  let current: PlanNode | undefined;
  for (const at of order) {
    const leaf = leaves[at];
    if (!leaf) continue;
    const input = orderJoins(leaf.node);
    const width = current?.columns.length ?? 0;
    for (let column = leaf.start; column < leaf.end; column++) places.set(column, width + column - leaf.start);
    joined.add(at);
    if (!current) {
      current = input;
      continue;
    }
    const ready = links.filter((link) => !done.has(link) && [...link.leaves].every((other) => joined.has(other)));
    for (const link of ready) done.add(link);
    const on = conjunction(ready.map((link) => moveColumns(link.expr, (column) => places.get(column) ?? column)));
    const columns: PlanNode['columns'] = [...current.columns, ...input.columns];
    current = { kind: 'join', type: 'inner', left: current, right: input, leftKeys: [], rightKeys: [], on, columns };
  }
  const exprs = chain.columns.map(
    ({ name, type }, column): TypedExpr => ({ kind: 'column', type, index: places.get(column) ?? column, name }),
  );
  return { kind: 'project', input: current ?? chain, exprs, columns: chain.columns };
}
