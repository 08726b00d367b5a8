/**
 * Estimates: how many rows a node gives, from the shape of the plan and the size of its tables.
 *
 * The sizes of tables are exact; what a condition leaves of them is a guess that is the same for all
 * data: an equality on a column a twentieth, a bound or any other condition a third, a group a
 * tenth. So a plan does not change because values do.
 */
import { inputsOf, type PlanNode, type ScanNode } from './plan.ts';

/** Rows of a table whose size nobody asked for. */
export const TABLE_ROWS = 10_000;

/** `tableRows`: the size of a scan's table. */
export function estimate(node: PlanNode, tableRows: (scan: ScanNode) => number = () => TABLE_ROWS): number {
  const of = (input: PlanNode): number => estimate(input, tableRows);
  switch (node.kind) {
    case 'values':
      return node.rows.length;
    case 'scan': {
      const { constraint, index } = node;
      if (!constraint) return tableRows(node);
      const alternatives = constraint.prefix.reduce((count, list) => count * Math.max(1, list.length), 1);
      if (index.unique && constraint.prefix.length === index.columnIds.length) return alternatives;
      const ranged = constraint.ranges
        ? Math.min(1, constraint.ranges.length / 9)
        : (constraint.low ? 1 / 3 : 1) * (constraint.high ? 1 / 3 : 1);
      return (tableRows(node) / 20 ** constraint.prefix.length) * ranged * alternatives;
    }
    case 'filter':
      return part(of(node.input), node.predicate.kind === 'isNull' && node.predicate.negated ? 0.9 : 1 / 3);
    case 'aggregate':
      return node.isScalar ? 1 : part(of(node.input), 1 / 10);
    case 'limit':
      return node.limit?.kind === 'const' && typeof node.limit.value === 'number'
        ? Math.min(node.limit.value, of(node.input))
        : of(node.input);
    case 'join':
      if (node.type === 'semi' || node.type === 'anti') return part(of(node.left), 1 / 2);
      return node.leftKeys.length === 0 && !node.on ? of(node.left) * of(node.right) : Math.max(of(node.left), of(node.right));
    case 'setOperation':
      return of(node.left) + of(node.right);
    default: {
      const [input] = inputsOf(node);
      return input ? of(input) : TABLE_ROWS / 10;
    }
  }
}

/** A fraction of the rows; one at least, if there is any. */
function part(rows: number, fraction: number): number {
  return Math.min(rows, Math.max(1, rows * fraction));
}

/** The same for people: a whole number, of tables as large as they were when the plan was made; undefined where something has no known size. */
export function knownEstimate(node: PlanNode): number | undefined {
  if (!hasKnownSizes(node)) return undefined;
  const rows = estimate(node, (scan) => scan.rowCount ?? 0);
  const largest = node.kind === 'scan' ? Math.min(rows, node.rowCount ?? rows) : rows;
  return Math.ceil(largest);
}

function hasKnownSizes(node: PlanNode): boolean {
  if (node.kind === 'scan') return node.rowCount !== undefined && node.limit === undefined;
  if (node.kind === 'values') return true;
  const inputs = inputsOf(node);
  return inputs.length > 0 && inputs.every(hasKnownSizes);
}
