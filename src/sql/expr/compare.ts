/**
 * Comparisons: which types compare, and how, as three-valued logic.
 *
 * Types of one family compare by that family's order (catalog/datum.ts). Across families only the
 * numbers compare directly; dates and timestamps of different kinds are cast to the wider kind by
 * analysis first. Tuples and arrays compare part by part; a tuple with a NULL part may make the
 * result NULL, an array's or JSON value's inner NULL is a value like others.
 */
import { assert } from '../../base/assert.ts';
import { type Compare, compareDatums, compareNullable, type Datum, Decimal } from '../../catalog/datum.ts';
import type { ColumnType, TypeFamily } from '../../catalog/type.ts';
import type { ComparisonOp } from './typedExpr.ts';

const NUMERIC: ReadonlySet<TypeFamily> = new Set(['int', 'float', 'decimal', 'oid']);
/** Families whose canonical datums are equal exactly when `===`, and ordered by `<`. */
const PRIMITIVE: ReadonlySet<TypeFamily> = new Set([
  'bool',
  'int',
  'oid',
  'string',
  'bytes',
  'uuid',
  'inet',
  'bit',
  'date',
  'time',
  'timestamp',
  'timestamptz',
]);

export function isNumeric(type: ColumnType): boolean {
  return NUMERIC.has(type.family);
}

/** True when values of the two types can be compared as they are. NULL's type compares with all. */
export function areComparable(a: ColumnType, b: ColumnType): boolean {
  if (a.family === 'unknown' || b.family === 'unknown') return true;
  if (NUMERIC.has(a.family) && NUMERIC.has(b.family)) return true;
  if (a.family !== b.family || a.family === 'void') return false;
  if (a.family === 'enum') return a.typeId === b.typeId;
  if (a.element && b.element) return areComparable(a.element, b.element);
  if (a.fields && b.fields) {
    return a.fields.length === b.fields.length && a.fields.every((field, i) => areComparable(field, b.fields?.[i] as ColumnType));
  }
  return true;
}

/** The order between a value of `a` and one of `b`; neither may be null. The two are comparable. */
export function compareAcross(a: ColumnType, b: ColumnType): Compare {
  if (a.family === 'unknown' || b.family === 'unknown') return () => 0;
  if (a.element && b.element) {
    const part = compareNullable(compareAcross(a.element, b.element));
    return (x, y) => compareParts(x as readonly Datum[], y as readonly Datum[], () => part);
  }
  if (a.fields && b.fields) {
    const parts = a.fields.map((field, i) => compareNullable(compareAcross(field, b.fields?.[i] as ColumnType)));
    return (x, y) => compareParts(x as readonly Datum[], y as readonly Datum[], (i) => parts[i] as Compare);
  }
  if (a.family === b.family) return compareDatums(a);
  assert(areComparable(a, b), `${a.family} is compared with ${b.family}`);
  if (a.family === 'decimal' || b.family === 'decimal') return (x, y) => toDecimal(x).compare(toDecimal(y));
  return (x, y) => {
    const left = x as number | bigint;
    const right = y as number | bigint;
    if (left < right) return -1;
    if (left > right) return 1;
    // biome-ignore lint/suspicious/noDoubleEquals: a bigint equals the float of its value only under ==
    if (left == right) return 0;
    return Number.isNaN(left) ? (Number.isNaN(right) ? 0 : -1) : 1;
  };
}

function toDecimal(value: Datum): Decimal {
  if (value instanceof Decimal) return value;
  if (typeof value === 'bigint' || Number.isSafeInteger(value)) return Decimal.fromInt(value as number | bigint);
  return Decimal.fromFloat(value as number);
}

function compareParts(a: readonly Datum[], b: readonly Datum[], compareAt: (i: number) => Compare): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const byPart = compareAt(i)(a[i] as Datum, b[i] as Datum);
    if (byPart !== 0) return byPart;
  }
  return a.length - b.length;
}

/** true, false, or null for unknown. */
export type Test = (a: Datum, b: Datum) => boolean | null;

/** The test `a op b` under three-valued logic: NULL when an operand is. */
export function comparisonTest(op: ComparisonOp, a: ColumnType, b: ColumnType): Test {
  if (a.fields && b.fields) return tupleTest(op, a.fields, b.fields);
  if (a.family === b.family && PRIMITIVE.has(a.family)) return PRIMITIVE_TESTS[op];
  const compare = compareAcross(a, b);
  const accept = ACCEPT[op];
  return (x, y) => (x === null || y === null ? null : accept(compare(x, y)));
}

type Ordered = number;
const PRIMITIVE_TESTS: Record<ComparisonOp, Test> = {
  '=': (a, b) => (a === null || b === null ? null : a === b),
  '<>': (a, b) => (a === null || b === null ? null : a !== b),
  '<': (a, b) => (a === null || b === null ? null : (a as Ordered) < (b as Ordered)),
  '<=': (a, b) => (a === null || b === null ? null : (a as Ordered) <= (b as Ordered)),
  '>': (a, b) => (a === null || b === null ? null : (a as Ordered) > (b as Ordered)),
  '>=': (a, b) => (a === null || b === null ? null : (a as Ordered) >= (b as Ordered)),
};

const ACCEPT: Record<ComparisonOp, (order: number) => boolean> = {
  '=': (order) => order === 0,
  '<>': (order) => order !== 0,
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
};

/**
 * Row comparison: equality is false as soon as one pair differs, else NULL when a part is NULL; an
 * order is decided by the first pair that differs, and is NULL when a NULL comes before that.
 */
function tupleTest(op: ComparisonOp, a: readonly ColumnType[], b: readonly ColumnType[]): Test {
  const equals = a.map((type, i) => comparisonTest('=', type, b[i] as ColumnType));
  const equal: Test = (x, y) => {
    if (x === null || y === null) return null;
    let result: boolean | null = true;
    for (const [i, test] of equals.entries()) {
      const part = test((x as readonly Datum[])[i] as Datum, (y as readonly Datum[])[i] as Datum);
      if (part === false) return false;
      if (part === null) result = null;
    }
    return result;
  };
  if (op === '=') return equal;
  if (op === '<>') {
    return (x, y) => {
      const same = equal(x, y);
      return same === null ? null : !same;
    };
  }
  const strict = op === '<' || op === '<=' ? '<' : '>';
  const orders = a.map((type, i) => comparisonTest(strict, type, b[i] as ColumnType));
  const whenEqual = op === '<=' || op === '>=';
  return (x, y) => {
    if (x === null || y === null) return null;
    for (const [i, test] of equals.entries()) {
      const left = (x as readonly Datum[])[i] as Datum;
      const right = (y as readonly Datum[])[i] as Datum;
      const same = test(left, right);
      if (same === null) return null;
      if (!same) return (orders[i] as Test)(left, right);
    }
    return whenEqual;
  };
}

/** IS NOT DISTINCT FROM: NULLs are equal, the result is never NULL. */
export function sameTest(a: ColumnType, b: ColumnType): (a: Datum, b: Datum) => boolean {
  const compare = compareNullable(compareAcross(a, b));
  return (x, y) => compare(x, y) === 0;
}
