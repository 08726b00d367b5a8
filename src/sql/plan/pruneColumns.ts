/**
 * Column pruning: scans hold only what something above them reads.
 *
 * `prune(node, needed)` gives a node whose rows hold at least the needed columns, and where each of
 * them went. When every column is needed the layout stays as it was, which the root and all
 * row changes rely on.
 */
import { assert } from '../../base/assert.ts';
import type { TypedExpr } from '../expr/typedExpr.ts';
import { traits } from '../expr/traits.ts';
import { mapExpr } from '../expr/walk.ts';
import { moveColumns } from './moveExpr.ts';
import { inputsOf, type PlanNode, withInputs } from './plan.ts';

type Needed = ReadonlySet<number>;
type Moved = (index: number) => number;
interface Pruned {
  readonly node: PlanNode;
  readonly moved: Moved;
}

export function pruneColumns(node: PlanNode): PlanNode {
  return pruneAll(node);
}

const unmoved: Moved = (index) => index;

/** Prunes inside, and keeps the node's own columns where they are. */
function pruneAll(node: PlanNode): PlanNode {
  return prune(node, new Set(node.columns.keys())).node;
}

function reads(into: Set<number>, ...exprs: readonly (TypedExpr | undefined)[]): Set<number> {
  for (const expr of exprs) if (expr) for (const column of traits(expr).columns) into.add(column);
  return into;
}

/** The columns at the given positions, and where each went. */
function compact<T>(items: readonly T[], needed: Needed): { kept: T[]; positions: number[]; moved: Moved } {
  const positions = [...needed].filter((position) => position < items.length).sort((a, b) => a - b);
  const places = new Map(positions.map((position, place) => [position, place]));
  const moved = (index: number): number => {
    const place = places.get(index);
    assert(place !== undefined, `column ${index} was pruned but is read`);
    return place;
  };
  return { kept: positions.map((position) => items[position] as T), positions, moved };
}

function prune(node: PlanNode, needed: Needed): Pruned {
  switch (node.kind) {
    case 'scan': {
      if (needed.size === node.columns.length) return { node, moved: unmoved };
      const { kept, positions, moved } = compact(node.columns, needed);
      return { node: { ...node, columns: kept, columnIds: positions.map((position) => node.columnIds[position] as number) }, moved };
    }
    case 'filter': {
      const input = prune(node.input, reads(new Set(needed), node.predicate));
      return {
        node: { ...node, input: input.node, predicate: moveColumns(node.predicate, input.moved), columns: input.node.columns },
        moved: input.moved,
      };
    }
    case 'project': {
      const { kept, moved } = compact(node.exprs, needed);
      const columns = compact(node.columns, needed).kept;
      const input = prune(node.input, reads(new Set(), ...kept));
      return { node: { ...node, input: input.node, exprs: kept.map((expr) => moveColumns(expr, input.moved)), columns }, moved };
    }
    case 'projectSet': {
      const width = node.input.columns.length;
      const below = new Set([...needed].filter((column) => column < width));
      const input = prune(node.input, reads(below, ...node.generators));
      const inputWidth = input.node.columns.length;
      const generators = node.generators.map((generator) => {
        const moved = mapExpr(generator, (part) => (part === generator ? undefined : moveColumns(part, input.moved)));
        return moved.kind === 'generator' ? moved : generator;
      });
      const moved: Moved = (index) => (index < width ? input.moved(index) : index - width + inputWidth);
      return { node: { ...node, input: input.node, generators, columns: [...input.node.columns, ...node.columns.slice(width)] }, moved };
    }
    case 'join': {
      const leftWidth = node.left.columns.length;
      const both = reads(new Set(needed), node.on);
      const left = prune(node.left, reads(new Set([...both].filter((column) => column < leftWidth)), ...node.leftKeys));
      const rightNeeded = new Set([...both].filter((column) => column >= leftWidth).map((column) => column - leftWidth));
      const right = prune(node.right, reads(rightNeeded, ...node.rightKeys));
      const newLeft = left.node.columns.length;
      const moved: Moved = (index) => (index < leftWidth ? left.moved(index) : right.moved(index - leftWidth) + newLeft);
      return {
        node: {
          ...node,
          left: left.node,
          right: right.node,
          leftKeys: node.leftKeys.map((key) => moveColumns(key, left.moved)),
          rightKeys: node.rightKeys.map((key) => moveColumns(key, right.moved)),
          on: node.on && moveColumns(node.on, moved),
          columns: node.type === 'semi' || node.type === 'anti' ? left.node.columns : [...left.node.columns, ...right.node.columns],
        },
        moved,
      };
    }
    case 'apply':
      // The right side reads the left row by position, so that row stays as it is.
      return { node: { ...node, left: pruneAll(node.left), right: pruneAll(node.right) }, moved: unmoved };
    case 'aggregate': {
      const keys = node.keys.length;
      const kept = compact(node.aggregates, new Set([...needed].filter((column) => column >= keys).map((column) => column - keys)));
      const read = new Set<number>();
      for (const expr of [...node.keys, ...kept.kept]) reads(read, expr);
      const input = prune(node.input, read);
      const aggregates = kept.kept.map((aggregate) => ({
        ...aggregate,
        args: aggregate.args.map((arg) => moveColumns(arg, input.moved)),
        filter: aggregate.filter && moveColumns(aggregate.filter, input.moved),
        orderBy: aggregate.orderBy.map((key) => ({ ...key, expr: moveColumns(key.expr, input.moved) })),
      }));
      const moved: Moved = (index) => (index < keys ? index : kept.moved(index - keys) + keys);
      const columns = [
        ...node.columns.slice(0, keys),
        ...kept.positions.map((position) => node.columns[position + keys] as PlanNode['columns'][number]),
      ];
      return {
        node: { ...node, input: input.node, keys: node.keys.map((key) => moveColumns(key, input.moved)), aggregates, columns },
        moved,
      };
    }
    case 'window': {
      const width = node.input.columns.length;
      const kept = compact(node.windows, new Set([...needed].filter((column) => column >= width).map((column) => column - width)));
      const input = prune(node.input, reads(new Set([...needed].filter((column) => column < width)), ...kept.kept));
      const windows = kept.kept.map((window) => moveColumns(window, input.moved)).filter((expr) => expr.kind === 'window');
      const inputWidth = input.node.columns.length;
      const moved: Moved = (index) => (index < width ? input.moved(index) : kept.moved(index - width) + inputWidth);
      const columns = [
        ...input.node.columns,
        ...kept.positions.map((position) => node.columns[position + width] as PlanNode['columns'][number]),
      ];
      return { node: { ...node, input: input.node, windows, columns }, moved };
    }
    case 'sort': {
      const input = prune(node.input, new Set([...needed, ...node.keys.map((key) => key.index)]));
      const keys = node.keys.map((key) => ({ ...key, index: input.moved(key.index) }));
      return { node: { ...node, input: input.node, keys, columns: input.node.columns }, moved: input.moved };
    }
    case 'limit': {
      const input = prune(node.input, needed);
      return { node: { ...node, input: input.node, columns: input.node.columns }, moved: input.moved };
    }
    case 'distinct': {
      const input = prune(node.input, new Set([...needed, ...node.on]));
      return { node: { ...node, input: input.node, on: node.on.map(input.moved), columns: input.node.columns }, moved: input.moved };
    }
    case 'lockRows': {
      const read = new Set(needed);
      for (const target of node.targets) for (const position of target.keyPositions) read.add(position);
      const input = prune(node.input, read);
      const targets = node.targets.map((target) => ({ ...target, keyPositions: target.keyPositions.map(input.moved) }));
      return { node: { ...node, input: input.node, targets, columns: input.node.columns }, moved: input.moved };
    }
    default: {
      const inputs = inputsOf(node);
      return { node: inputs.length === 0 ? node : withInputs(node, inputs.map(pruneAll)), moved: unmoved };
    }
  }
}
