/**
 * Selectivity: which part of a table's rows a condition leaves, by statistics where there are any, else by guesses.
 *
 *   what is asked                    with statistics                      without
 *   column = constant                the histogram's answer               a twentieth
 *   column = $1                      one of the distinct values           a twentieth; one row if it is a unique key
 *   column < constant                the histogram's answer               a third
 *   column IS NULL                   the part that was NULL               a twentieth
 *   anything else                    a third                              a third
 *
 * Statistics were taken some time ago. How many rows there are is known exactly now; that the values among them are spread
 * as they were is assumed, and that a column with many distinct values has more of them in a larger table.
 * Conditions count as independent of each other, but for sets of columns that have a statistic of their own.
 */
import type { Datum } from '../../catalog/datum.ts';
import { allIndexes, type TableDescriptor } from '../../catalog/descriptor.ts';
import { type Histogram, type HistogramBound, histogramRows, rowsBetween, rowsEqualTo } from '../../catalog/histogram.ts';
import { histogramOf, type Statistic } from '../../catalog/tableStatistics.ts';
import { Type, typesEquivalent } from '../../catalog/type.ts';
import { traits } from '../expr/traits.ts';
import type { ComparisonOp, TypedExpr } from '../expr/typedExpr.ts';
import type { KeyAlternative, KeyBound, KeyRange, PlanNode, ScanNode } from './plan.ts';

/** What a condition leaves of the rows when nothing is known. */
export const EQUALITY_FRACTION = 1 / 20;
export const OTHER_FRACTION = 1 / 3;
const NOT_NULL_FRACTION = 0.9;
/** Elements an array has, about, whose values come with the run. */
export const ARRAY_ELEMENTS = 10;
/** A statistic with more distinct values than this part of its rows has more of them in a larger table. */
const GROWING_DISTINCT_FRACTION = 0.1;

/** A column of a table that a scan reads. */
export interface Origin {
  readonly scan: ScanNode;
  readonly columnId: number;
}

/** How many rows the table of a scan has. */
export type TableRows = (scan: ScanNode) => number;

/** The table column that a node's column is, unchanged; undefined for what is computed. */
export function originOf(node: PlanNode, column: number): Origin | undefined {
  switch (node.kind) {
    case 'scan': {
      const columnId = node.columnIds[column];
      return columnId === undefined ? undefined : { scan: node, columnId };
    }
    case 'filter':
    case 'sort':
    case 'limit':
    case 'distinct':
    case 'lockRows':
      return originOf(node.input, column);
    case 'window':
    case 'ordinality':
      return column < node.input.columns.length ? originOf(node.input, column) : undefined;
    case 'project': {
      const expr = node.exprs[column];
      return expr?.kind === 'column' ? originOf(node.input, expr.index) : undefined;
    }
    case 'aggregate': {
      const key = node.keys[column];
      return key?.kind === 'column' ? originOf(node.input, key.index) : undefined;
    }
    case 'join': {
      const width = node.left.columns.length;
      return column < width ? originOf(node.left, column) : originOf(node.right, column - width);
    }
    case 'lookupJoin': {
      const width = node.input.columns.length;
      return column < width ? originOf(node.input, column) : originOf(node.scan, column - width);
    }
    default:
      return undefined;
  }
}

// ---- columns ----------------------------------------------------------------------------------

function statisticOf({ scan, columnId }: Origin): Statistic | undefined {
  return scan.statistics?.bySet.get(String(columnId));
}

function isUniqueAlone(table: TableDescriptor, columnId: number): boolean {
  return allIndexes(table).some(
    (index) => index.unique && index.predicate === undefined && index.columnIds.length === 1 && index.columnIds[0] === columnId,
  );
}

/** Distinct values of a column, NULL left out, in a table of so many rows; undefined when nothing tells. At least 1. */
export function distinctOf(origin: Origin, rows: number): number | undefined {
  if (isUniqueAlone(origin.scan.table, origin.columnId)) return Math.max(1, rows);
  const statistic = statisticOf(origin);
  return statistic && distinctNow(statistic, rows);
}

/** The same for columns together: by a statistic of just this set. */
export function distinctOfSet(scan: ScanNode, columnIds: readonly number[], rows: number): number | undefined {
  const set = [...new Set(columnIds)].sort((a, b) => a - b);
  if (set.length === 1) return distinctOf({ scan, columnId: set[0] as number }, rows);
  const statistic = scan.statistics?.bySet.get(set.join());
  return statistic && distinctNow(statistic, rows);
}

function distinctNow({ distinctCount, nullCount, rowCount }: Statistic, rows: number): number {
  const distinct = Math.max(1, distinctCount - (nullCount > 0 ? 1 : 0));
  const isGrowing = rowCount > 0 && distinct > rowCount * GROWING_DISTINCT_FRACTION;
  return Math.max(1, Math.min(rows, isGrowing ? (distinct * rows) / rowCount : distinct));
}

function nullFraction(statistic: Statistic): number {
  return statistic.rowCount === 0 ? 0 : Math.min(1, statistic.nullCount / statistic.rowCount);
}

interface Spread {
  readonly histogram: Histogram;
  readonly rows: number;
}

function spreadOf(origin: Origin, statistic: Statistic): Spread | undefined {
  const histogram = histogramOf(statistic, origin.scan.table);
  if (!histogram) return undefined;
  const rows = histogramRows(histogram);
  return rows === 0 ? undefined : { histogram, rows };
}

function constantOf(expr: TypedExpr, { histogram }: Spread): NonNullable<Datum> | undefined {
  return expr.kind === 'const' && expr.value !== null && typesEquivalent(expr.type, histogram.type) ? expr.value : undefined;
}

/** The rows whose column equals one of the alternatives. */
export function equalFraction(origin: Origin, alternatives: readonly KeyAlternative[], rows: number): number {
  const statistic = statisticOf(origin);
  const distinct = distinctOf(origin, rows);
  const some = statistic ? 1 - nullFraction(statistic) : 1;
  const average = distinct === undefined ? EQUALITY_FRACTION : some / distinct;
  const spread = statistic && spreadOf(origin, statistic);
  let fraction = 0;
  for (const alternative of alternatives) {
    if (alternative.kind === 'null') fraction += statistic ? nullFraction(statistic) : EQUALITY_FRACTION;
    else if (alternative.kind === 'elements') fraction += average * ARRAY_ELEMENTS;
    else {
      const value = spread && constantOf(alternative.value, spread);
      fraction += value === undefined || !spread ? average : (rowsEqualTo(spread.histogram, value) / spread.rows) * some;
    }
  }
  // What was not there when it was counted may be by now.
  return Math.min(1, Math.max(fraction, 0.5 / Math.max(1, rows)));
}

/** The rows whose column lies in a range. */
export function rangeFraction(origin: Origin, { low, high }: KeyRange, rows: number): number {
  const statistic = statisticOf(origin);
  const spread = statistic && spreadOf(origin, statistic);
  const guess = (low ? OTHER_FRACTION : 1) * (high ? OTHER_FRACTION : 1);
  if (!statistic || !spread) return guess;
  const bound = (of: KeyBound | undefined): HistogramBound | undefined | 'unknown' => {
    if (!of) return undefined;
    const value = constantOf(of.value, spread);
    return value === undefined ? 'unknown' : { value, inclusive: of.inclusive };
  };
  const [from, to] = [bound(low), bound(high)];
  // A bound that comes with the run is guessed beside one that is known.
  const unknown = (from === 'unknown' ? OTHER_FRACTION : 1) * (to === 'unknown' ? OTHER_FRACTION : 1);
  const between = rowsBetween(spread.histogram, from === 'unknown' ? undefined : from, to === 'unknown' ? undefined : to);
  return Math.min(1, Math.max((between / spread.rows) * (1 - nullFraction(statistic)) * unknown, 0.5 / Math.max(1, rows)));
}

// ---- conditions -------------------------------------------------------------------------------

/** The rows of `node` for which a condition over them holds. */
export function conditionFraction(expr: TypedExpr, node: PlanNode, tableRows: TableRows): number {
  const of = (part: TypedExpr): number => conditionFraction(part, node, tableRows);
  const originOfExpr = (part: TypedExpr): Origin | undefined => (part.kind === 'column' ? originOf(node, part.index) : undefined);
  const equals = (operand: TypedExpr, alternatives: readonly KeyAlternative[]): number => {
    const origin = originOfExpr(operand);
    if (origin) return equalFraction(origin, alternatives, tableRows(origin.scan));
    const count = alternatives.reduce((sum, { kind }) => sum + (kind === 'elements' ? ARRAY_ELEMENTS : 1), 0);
    return Math.min(1, EQUALITY_FRACTION * count);
  };
  const isTrue = (operand: TypedExpr, value: boolean): number =>
    operand.kind === 'column' && statisticsKnow(operand, node)
      ? equals(operand, [{ kind: 'value', value: { kind: 'const', type: Type.Bool, value } }])
      : OTHER_FRACTION;
  switch (expr.kind) {
    case 'const':
      return expr.value === true ? 1 : 0;
    case 'and':
      return of(expr.left) * of(expr.right);
    case 'or': {
      const [left, right] = [of(expr.left), of(expr.right)];
      return left + right - left * right;
    }
    case 'not':
      return expr.operand.kind === 'column' ? isTrue(expr.operand, false) : Math.max(0, 1 - of(expr.operand));
    case 'column':
      return isTrue(expr, true);
    case 'isTruth':
      return expr.negated ? OTHER_FRACTION : isTrue(expr.operand, expr.value);
    case 'isNull': {
      const origin = originOfExpr(expr.operand);
      if (!origin || !statisticOf(origin)) return expr.negated ? NOT_NULL_FRACTION : EQUALITY_FRACTION;
      const fraction = equals(expr.operand, [{ kind: 'null' }]);
      return expr.negated ? 1 - fraction : fraction;
    }
    case 'in': {
      const fraction = equals(
        expr.operand,
        expr.list.map((value) => ({ kind: 'value', value })),
      );
      return expr.negated ? Math.max(0, 1 - fraction) : fraction;
    }
    case 'anyAll':
      return expr.quantifier === 'any' && expr.op === '=' ? equals(expr.left, [{ kind: 'elements', array: expr.right }]) : OTHER_FRACTION;
    case 'comparison':
      return comparisonFraction(expr.op, expr.left, expr.right, node, tableRows, equals);
    default:
      return OTHER_FRACTION;
  }
}

function statisticsKnow(column: TypedExpr, node: PlanNode): boolean {
  const origin = column.kind === 'column' ? originOf(node, column.index) : undefined;
  return origin !== undefined && statisticOf(origin) !== undefined;
}

const MIRRORED: Readonly<Record<ComparisonOp, ComparisonOp>> = { '=': '=', '<>': '<>', '<': '>', '<=': '>=', '>': '<', '>=': '<=' };

function comparisonFraction(
  op: ComparisonOp,
  left: TypedExpr,
  right: TypedExpr,
  node: PlanNode,
  tableRows: TableRows,
  equals: (operand: TypedExpr, alternatives: readonly KeyAlternative[]) => number,
): number {
  if (traits(left).columns.size === 0 && traits(right).columns.size > 0) {
    return comparisonFraction(MIRRORED[op], right, left, node, tableRows, equals);
  }
  const origin = left.kind === 'column' ? originOf(node, left.index) : undefined;
  if (traits(right).columns.size > 0) {
    if (op !== '=' && op !== '<>') return OTHER_FRACTION;
    const other = right.kind === 'column' ? originOf(node, right.index) : undefined;
    const distinct = Math.max(
      (origin && distinctOf(origin, tableRows(origin.scan))) ?? 0,
      (other && distinctOf(other, tableRows(other.scan))) ?? 0,
    );
    const fraction = distinct === 0 ? EQUALITY_FRACTION : 1 / distinct;
    return op === '=' ? fraction : 1 - fraction;
  }
  if (op === '=') return equals(left, [{ kind: 'value', value: right }]);
  if (op === '<>') return Math.max(0, 1 - equals(left, [{ kind: 'value', value: right }]));
  if (!origin) return OTHER_FRACTION;
  const bound: KeyBound = { value: right, inclusive: op === '<=' || op === '>=' };
  const range: KeyRange = op === '<' || op === '<=' ? { low: undefined, high: bound } : { low: bound, high: undefined };
  return rangeFraction(origin, range, tableRows(origin.scan));
}
