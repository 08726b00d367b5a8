/**
 * Estimates: how many rows a node gives, from the shape of the plan, the sizes of its tables and their statistics.
 *
 * The sizes of tables are exact. What conditions leave of them is selectivity.ts' answer. A join gives as many pairs as if
 * every value of the side with fewer distinct ones were found on the other: |L| |R| / max(distinct of L, of R), where ROWS_A_KEY
 * rows of the larger table share a value if nothing is known; a group for each combination of its keys' values.
 *
 * For planning a table counts as FEWEST_ROWS rows at least: plans are kept while tables grow, and reading the few rows that
 * an index leads to conflicts with fewer writers than reading all of a small table. People are told the sizes as they are.
 */
import { conjunctsOf } from '../expr/walk.ts';
import { type JoinNode, type LookupJoinNode, inputsOf, type PlanNode, type ScanNode } from './plan.ts';
import {
  ARRAY_ELEMENTS,
  conditionFraction,
  distinctOf,
  distinctOfSet,
  equalFraction,
  originOf,
  rangeFraction,
  type TableRows,
} from './selectivity.ts';

/** Rows of a table whose size nobody asked for. */
export const TABLE_ROWS = 10_000;
export const FEWEST_ROWS = 1000;
/** Rows of a source that nothing is known of: a WITH query, a virtual table. */
const SOURCE_ROWS = 1000;
/** Rows with the same value in a join's column that nothing is known of. */
const ROWS_A_KEY = 10;
const GROUP_FRACTION = 1 / 10;
const SEMI_JOIN_FRACTION = 1 / 2;

/** The size of a table as planning takes it. */
export const plannedRows: TableRows = ({ rowCount }) => Math.max(rowCount ?? TABLE_ROWS, FEWEST_ROWS);
const knownRows: TableRows = ({ rowCount }) => rowCount ?? 0;

class Estimator {
  readonly #tableRows: TableRows;
  readonly #known = new WeakMap<PlanNode, number>();

  constructor(tableRows: TableRows) {
    this.#tableRows = tableRows;
  }

  of(node: PlanNode): number {
    let rows = this.#known.get(node);
    if (rows === undefined) {
      rows = this.#compute(node);
      this.#known.set(node, rows);
    }
    return rows;
  }

  #compute(node: PlanNode): number {
    switch (node.kind) {
      case 'values':
        return node.rows.length;
      case 'scan':
        return this.#scan(node);
      case 'filter': {
        const rows = this.of(node.input);
        let fraction = 1;
        for (const conjunct of conjunctsOf(node.predicate)) fraction *= conditionFraction(conjunct, node.input, this.#tableRows);
        return part(rows, fraction);
      }
      case 'aggregate':
        return node.isScalar
          ? 1
          : this.#groups(
              node.input,
              node.keys.map((key) => (key.kind === 'column' ? key.index : undefined)),
            );
      case 'distinct':
        return this.#groups(node.input, node.on);
      case 'limit': {
        const rows = this.of(node.input);
        return node.limit?.kind === 'const' && typeof node.limit.value === 'number' ? Math.min(node.limit.value, rows) : rows;
      }
      case 'join':
        return this.#join(node);
      case 'lookupJoin':
        return this.#lookupJoin(node);
      case 'apply':
        return this.of(node.left) * Math.max(1, this.of(node.right));
      case 'setOperation': {
        const [left, right] = [this.of(node.left), this.of(node.right)];
        return node.op === 'union' ? left + right : node.op === 'intersect' ? Math.min(left, right) : left;
      }
      default: {
        const [input] = inputsOf(node);
        return input ? this.of(input) : SOURCE_ROWS;
      }
    }
  }

  #scan(scan: ScanNode): number {
    const { constraint, index } = scan;
    const rows = this.#tableRows(scan);
    if (!constraint) return rows;
    const alternatives = constraint.prefix.reduce((count, list) => count * Math.max(1, list.length), 1);
    if (index.unique && constraint.prefix.length === index.columnIds.length) return Math.min(rows, alternatives);
    return rows * constraintFraction(scan, rows);
  }

  /** `columns`: undefined for a key that is computed. */
  #groups(input: PlanNode, columns: readonly (number | undefined)[]): number {
    const rows = this.of(input);
    let groups = 1;
    for (const column of columns) {
      const origin = column === undefined ? undefined : originOf(input, column);
      const distinct = origin && distinctOf(origin, this.#tableRows(origin.scan));
      if (distinct === undefined) return part(rows, GROUP_FRACTION);
      groups *= distinct;
    }
    return Math.min(rows, groups);
  }

  /** Distinct values of a side's keys together, before anything was filtered; undefined when unknown. */
  #keyDistinct(node: PlanNode, keys: JoinNode['leftKeys']): number | undefined {
    let distinct = 1;
    let most = 0;
    for (const key of keys) {
      const origin = key.kind === 'column' ? originOf(node, key.index) : undefined;
      if (!origin) return undefined;
      const rows = this.#tableRows(origin.scan);
      const of = distinctOf(origin, rows);
      if (of === undefined) return undefined;
      distinct *= of;
      most = Math.max(most, rows);
    }
    return Math.min(distinct, Math.max(1, most));
  }

  /** The size of the largest table that a join's keys come from. */
  #widest({ left, right, leftKeys, rightKeys }: JoinNode): number {
    let rows = 1;
    for (const [node, keys] of [
      [left, leftKeys],
      [right, rightKeys],
    ] as const) {
      for (const key of keys) {
        const origin = key.kind === 'column' ? originOf(node, key.index) : undefined;
        rows = Math.max(rows, origin ? this.#tableRows(origin.scan) : this.of(node));
      }
    }
    return rows;
  }

  #join(node: JoinNode): number {
    const [left, right] = [this.of(node.left), this.of(node.right)];
    const [leftDistinct, rightDistinct] = [this.#keyDistinct(node.left, node.leftKeys), this.#keyDistinct(node.right, node.rightKeys)];
    if (node.type === 'semi' || node.type === 'anti') {
      const isKnown = leftDistinct !== undefined && rightDistinct !== undefined && node.leftKeys.length > 0;
      const found = isKnown ? Math.min(1, Math.min(rightDistinct, right) / leftDistinct) : SEMI_JOIN_FRACTION;
      return part(left, node.type === 'semi' ? found : isKnown ? 1 - found : SEMI_JOIN_FRACTION);
    }
    let rows: number;
    if (node.leftKeys.length === 0) rows = node.on && node.left.columns.length > 0 ? Math.max(left, right) : left * right;
    else {
      const known = Math.max(leftDistinct ?? 0, rightDistinct ?? 0);
      rows = (left * right) / (known || Math.max(1, this.#widest(node) / ROWS_A_KEY));
    }
    if (node.on && node.leftKeys.length > 0) {
      for (const conjunct of conjunctsOf(node.on)) rows *= conditionFraction(conjunct, node, this.#tableRows);
    }
    if (node.type === 'left' || node.type === 'full') rows = Math.max(rows, left);
    if (node.type === 'right' || node.type === 'full') rows = Math.max(rows, right);
    return Math.max(rows, Math.min(1, left, right));
  }

  #lookupJoin({ input, scan, keys, type }: LookupJoinNode): number {
    const left = this.of(input);
    const { index } = scan;
    const rows = this.#tableRows(scan);
    const distinct =
      index.unique && keys.length === index.columnIds.length ? rows : distinctOfSet(scan, index.columnIds.slice(0, keys.length), rows);
    const known = Math.max(distinct ?? 0, this.#keyDistinct(input, keys) ?? 0);
    const found = known === 0 ? Math.min(rows, ROWS_A_KEY) : rows / known;
    return type === 'left' ? Math.max(left, left * found) : left * found;
  }
}

/** A fraction of the rows; one at least, if there is any. */
function part(rows: number, fraction: number): number {
  return Math.min(rows, Math.max(1, rows * fraction));
}

/** The rows of a table that a scan's constraint leaves. */
export function constraintFraction(scan: ScanNode, rows: number): number {
  const { constraint, index } = scan;
  if (!constraint) return 1;
  const keyIds = [...index.columnIds, ...index.keySuffixColumnIds];
  const prefixIds = keyIds.slice(0, constraint.prefix.length);
  let fraction = 1;
  for (const [i, alternatives] of constraint.prefix.entries()) {
    fraction *= equalFraction({ scan, columnId: prefixIds[i] as number }, alternatives, rows);
  }
  // Columns that go together, as a city and its postal code, leave more than each by itself tells.
  const together = prefixIds.length > 1 ? distinctOfSet(scan, prefixIds, rows) : undefined;
  if (together !== undefined) fraction = Math.max(fraction, Math.min(1, countOf(constraint.prefix) / together));
  const next = keyIds[constraint.prefix.length];
  if (next === undefined) return fraction;
  const ranges = (constraint.ranges ?? [constraint]).filter(({ low, high }) => low || high);
  if (ranges.length === 0) return fraction;
  return (
    fraction *
    Math.min(
      1,
      ranges.reduce((sum, range) => sum + rangeFraction({ scan, columnId: next }, range, rows), 0),
    )
  );
}

/** How many keys a prefix stands for. */
function countOf(prefix: NonNullable<ScanNode['constraint']>['prefix']): number {
  return prefix.reduce(
    (count, alternatives) => count * alternatives.reduce((sum, { kind }) => sum + (kind === 'elements' ? ARRAY_ELEMENTS : 1), 0),
    1,
  );
}

const planned = new Estimator(plannedRows);
const known = new Estimator(knownRows);
const counted = new Estimator(({ rowCount }) => rowCount ?? TABLE_ROWS);

/** For choosing plans. Cost: a walk; a node is estimated once. */
export function estimate(node: PlanNode): number {
  return planned.of(node);
}

/** The same with every table as small as it is: for choosing what is right even if it grows several times over. */
export function countedEstimate(node: PlanNode): number {
  return counted.of(node);
}

/** For people: a whole number, of tables as large as they were when the plan was made; undefined where something has no known size. */
export function knownEstimate(node: PlanNode): number | undefined {
  if (!hasKnownSizes(node)) return undefined;
  const rows = known.of(node);
  const largest = node.kind === 'scan' ? Math.min(rows, node.rowCount ?? rows) : rows;
  return Math.ceil(largest);
}

function hasKnownSizes(node: PlanNode): boolean {
  if (node.kind === 'scan') return node.rowCount !== undefined && node.limit === undefined;
  if (node.kind === 'values') return true;
  const inputs = inputsOf(node);
  return inputs.length > 0 && inputs.every(hasKnownSizes);
}
