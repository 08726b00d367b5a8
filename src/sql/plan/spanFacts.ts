/**
 * What a condition says about single columns, in a form that an index can serve.
 *
 *   a = 1, a IN (1, 2), a = ANY ($1), a IS NULL, a       values that the column equals
 *   a > 1, a <= 5, a LIKE 'abc%'                         a range of it
 *   a < 1 OR a BETWEEN 3 AND 5 OR a = 9                  several of them
 *   (a, b) > (1, 2), (a, b) IN ((1, 2), (3, 4))          something of a, and of b where they are equal
 *
 * A fact that is exact says all that its condition does, and the condition need not be tested on the
 * rows that it selects; the others only leave out rows that cannot meet it.
 */
import { type Bytes, utf8Decode, utf8Encode } from '../../base/bytes.ts';
import { type ColumnType, typesEquivalent } from '../../catalog/type.ts';
import type { ComparisonOp, TypedExpr, TypedTuple } from '../expr/typedExpr.ts';
import { traits } from '../expr/traits.ts';
import { conjunctsOf } from '../expr/walk.ts';
import type { KeyAlternative, KeyBound, KeyRange, ScanNode } from './plan.ts';

export interface Fact {
  readonly columnId: number;
  readonly conjunct: TypedExpr;
  readonly isExact: boolean;
  readonly says: { readonly equals: readonly KeyAlternative[] } | { readonly ranges: readonly KeyRange[] };
}

/** The facts of a condition over a scan's columns. */
export function factsOf(expr: TypedExpr, scan: ScanNode): Fact[] {
  const fact = (operand: TypedExpr, says: Fact['says'], isExact = true): Fact[] => {
    const columnId = operand.kind === 'column' ? scan.columnIds[operand.index] : undefined;
    return columnId === undefined ? [] : [{ columnId, conjunct: expr, isExact, says }];
  };
  const equals = (operand: TypedExpr, value: TypedExpr): Fact[] => fact(operand, { equals: [{ kind: 'value', value }] });
  const truth = (operand: TypedExpr, value: boolean): Fact[] =>
    operand.kind === 'column' && operand.type.family === 'bool' ? equals(operand, { kind: 'const', type: operand.type, value }) : [];
  switch (expr.kind) {
    case 'comparison': {
      const [left, right] = [tupleElements(expr.left), tupleElements(expr.right)];
      if (left && right) return tupleFacts(expr.op, left, right, expr, scan);
      const isColumnLeft = expr.left.kind === 'column';
      const [column, value] = isColumnLeft ? [expr.left, expr.right] : [expr.right, expr.left];
      if (column.kind !== 'column' || !isKeyValue(value, column.type)) return [];
      const says = comparisonSays(isColumnLeft ? expr.op : mirrored(expr.op), value);
      return says ? fact(column, says) : [];
    }
    case 'in': {
      if (expr.negated) return [];
      if (expr.operand.kind === 'tuple') return tupleListFacts(expr.operand, expr.list, expr, scan);
      if (!expr.list.every((value) => isKeyValue(value, expr.operand.type))) return [];
      return fact(expr.operand, { equals: expr.list.map((value) => ({ kind: 'value', value })) });
    }
    case 'anyAll': {
      if (expr.quantifier !== 'any' || expr.op !== '=') return [];
      const { right } = expr;
      const element = right.type.element;
      if (!element || !typesEquivalent(element, expr.left.type) || !isRowIndependent(right)) return [];
      return fact(expr.left, { equals: [{ kind: 'elements', array: right }] });
    }
    case 'distinct': {
      // IS NOT DISTINCT FROM a constant: NULL is a value like others.
      if (!expr.negated || expr.right.kind !== 'const' || expr.left.kind !== 'column') return [];
      if (expr.right.value === null) return fact(expr.left, { equals: [{ kind: 'null' }] });
      return isKeyValue(expr.right, expr.left.type) ? equals(expr.left, expr.right) : [];
    }
    case 'isNull':
      return expr.negated ? [] : fact(expr.operand, { equals: [{ kind: 'null' }] });
    case 'column':
      return truth(expr, true);
    case 'not':
      return truth(expr.operand, false);
    case 'isTruth':
      return expr.negated ? [] : truth(expr.operand, expr.value);
    case 'call':
      return expr.operator === 'LIKE' ? likeFacts(expr.args, fact) : [];
    case 'or':
      return disjunctionFacts(expr, scan);
    default:
      return [];
  }
}

function comparisonSays(op: ComparisonOp, value: TypedExpr): Fact['says'] | undefined {
  const range = (low: KeyBound | undefined, high: KeyBound | undefined): Fact['says'] => ({ ranges: [{ low, high }] });
  switch (op) {
    case '=':
      return { equals: [{ kind: 'value', value }] };
    case '<':
      return range(undefined, { value, inclusive: false });
    case '<=':
      return range(undefined, { value, inclusive: true });
    case '>':
      return range({ value, inclusive: false }, undefined);
    case '>=':
      return range({ value, inclusive: true }, undefined);
    default:
      return undefined;
  }
}

function isRowIndependent(expr: TypedExpr): boolean {
  const { isRowIndependent: independent, isAsync } = traits(expr);
  return independent && !isAsync;
}

/** A value that can be put into a key of the column's type as it is. */
function isKeyValue(value: TypedExpr, type: ColumnType): boolean {
  return isRowIndependent(value) && (typesEquivalent(value.type, type) || (value.kind === 'const' && value.value === null));
}

function mirrored(op: ComparisonOp): ComparisonOp {
  const mirror: Readonly<Record<ComparisonOp, ComparisonOp>> = { '=': '=', '<>': '<>', '<': '>', '<=': '>=', '>': '<', '>=': '<=' };
  return mirror[op];
}

// ---- tuples -----------------------------------------------------------------------------------

/** `(a, b) > (x, y)` holds only where a >= x; of equal tuples every element is equal. */
function tupleFacts(
  op: ComparisonOp,
  left: readonly TypedExpr[],
  right: readonly TypedExpr[],
  conjunct: TypedExpr,
  scan: ScanNode,
): Fact[] {
  const isEqual = op === '=';
  const facts: Fact[] = [];
  for (const [i, a] of left.entries()) {
    const b = right[i];
    if (!b || (i > 0 && !isEqual)) break;
    const isColumnLeft = a.kind === 'column';
    const [column, value] = isColumnLeft ? [a, b] : [b, a];
    if (column.kind !== 'column' || !isKeyValue(value, column.type)) continue;
    const columnId = scan.columnIds[column.index];
    const own = isColumnLeft ? op : mirrored(op);
    const says = comparisonSays(own === '<' ? '<=' : own === '>' ? '>=' : own, value);
    if (columnId !== undefined && says) facts.push({ columnId, conjunct, isExact: false, says });
  }
  return facts;
}

/** Each element is one of the values at its place; the rows that mix them are left for the condition. */
function tupleListFacts(operand: TypedTuple, list: readonly TypedExpr[], conjunct: TypedExpr, scan: ScanNode): Fact[] {
  const rows = list.map((item) => tupleElements(item));
  return operand.elements.flatMap((column, i): Fact[] => {
    const columnId = column.kind === 'column' ? scan.columnIds[column.index] : undefined;
    const values = rows.map((row) => row?.[i]);
    if (columnId === undefined || !values.every((value) => value !== undefined && isKeyValue(value, column.type))) return [];
    return [
      { columnId, conjunct, isExact: false, says: { equals: values.map((value) => ({ kind: 'value', value: value as TypedExpr })) } },
    ];
  });
}

/** The elements of a tuple, also of one that has been folded to a constant. */
function tupleElements(expr: TypedExpr): readonly TypedExpr[] | undefined {
  if (expr.kind === 'tuple') return expr.elements;
  if (expr.kind !== 'const' || !Array.isArray(expr.value)) return undefined;
  const types = expr.type.fields;
  return types && expr.value.map((value, i): TypedExpr => ({ kind: 'const', type: types[i] ?? expr.type, value }));
}

// ---- LIKE -------------------------------------------------------------------------------------

/** `LIKE 'abc%'` is the range ['abc', 'abd'). */
function likeFacts(args: readonly TypedExpr[], fact: (operand: TypedExpr, says: Fact['says'], isExact: boolean) => Fact[]): Fact[] {
  const [operand, pattern] = args;
  if (operand?.kind !== 'column' || pattern?.kind !== 'const' || pattern.value === null) return [];
  if (operand.type.family !== 'string' || pattern.type.family !== 'string' || !typesEquivalent(operand.type, pattern.type)) return [];
  const { prefix, rest } = likePrefix(utf8Decode(pattern.value as Bytes));
  if (prefix === '') return [];
  const bound = (text: string): TypedExpr => ({ kind: 'const', type: operand.type, value: utf8Encode(text) });
  const after = nextText(prefix);
  const ranges: KeyRange = {
    low: { value: bound(prefix), inclusive: true },
    high: after === undefined ? undefined : { value: bound(after), inclusive: false },
  };
  return fact(operand, { ranges: [ranges] }, rest === '%' && after !== undefined);
}

/** What a pattern begins with, and its rest from the first wildcard on. */
function likePrefix(pattern: string): { prefix: string; rest: string } {
  let prefix = '';
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern.charAt(i);
    if (char === '%' || char === '_') return { prefix, rest: pattern.slice(i) };
    // An escape stands for the character after it; a last one is an error that the condition reports.
    if (char === '\\') {
      if (i + 1 >= pattern.length) return { prefix: '', rest: pattern };
      i++;
    }
    prefix += pattern.charAt(i);
  }
  return { prefix, rest: '' };
}

const LAST_CODE_POINT = 0x10ffff;

/** The least text above every text with that prefix, in the order of code points, which is that of UTF-8; undefined when there is none. */
function nextText(prefix: string): string | undefined {
  const points = [...prefix].map((char) => char.codePointAt(0) ?? 0);
  while (points.at(-1) === LAST_CODE_POINT) points.pop();
  const last = points.pop();
  if (last === undefined) return undefined;
  // There are no characters between D800 and DFFF.
  points.push(last === 0xd7ff ? 0xe000 : last + 1);
  return String.fromCodePoint(...points);
}

// ---- OR ---------------------------------------------------------------------------------------

function disjunctsOf(expr: TypedExpr): TypedExpr[] {
  return expr.kind === 'or' ? [...disjunctsOf(expr.left), ...disjunctsOf(expr.right)] : [expr];
}

/** A column of which each branch says something: one of these things holds. */
function disjunctionFacts(expr: TypedExpr, scan: ScanNode): Fact[] {
  const branches = disjunctsOf(expr).map((branch) => {
    const parts = conjunctsOf(branch);
    return { parts: parts.length, facts: parts.flatMap((part) => factsOf(part, scan)) };
  });
  const columnIds = new Set(branches[0]?.facts.map((fact) => fact.columnId));
  const facts: Fact[] = [];
  for (const columnId of columnIds) {
    const chosen = branches.map(({ facts: of, parts }) => {
      const merged = mergedFacts(of.filter((fact) => fact.columnId === columnId));
      return merged && { says: merged.says, isExact: merged.isExact && merged.count === parts };
    });
    if (!chosen.every((each) => each !== undefined)) continue;
    const says = unionOf(chosen.map((each) => each.says));
    if (says) facts.push({ columnId, conjunct: expr, isExact: chosen.every((each) => each.isExact), says });
  }
  return facts;
}

/** What facts of one column say together, as far as one value list or one range can: and of how many of them that is all. */
function mergedFacts(facts: readonly Fact[]): { says: Fact['says']; isExact: boolean; count: number } | undefined {
  const first = facts.find((fact) => 'equals' in fact.says) ?? facts[0];
  if (!first || 'equals' in first.says || first.says.ranges.length > 1)
    return first && { says: first.says, isExact: first.isExact, count: 1 };
  let range: KeyRange = { low: undefined, high: undefined };
  let isExact = true;
  let count = 0;
  for (const { says, isExact: isWhole } of facts) {
    const [own, ...others] = 'ranges' in says ? says.ranges : [];
    if (!own || others.length > 0 || (own.low && range.low) || (own.high && range.high)) continue;
    range = { low: range.low ?? own.low, high: range.high ?? own.high };
    isExact &&= isWhole;
    count++;
  }
  return { says: { ranges: [range] }, isExact, count };
}

/** One of several: values if all are, else ranges; undefined where a value cannot be written as a range. */
function unionOf(parts: readonly Fact['says'][]): Fact['says'] | undefined {
  const equals = parts.flatMap((part) => ('equals' in part ? [part.equals] : []));
  if (equals.length === parts.length) return { equals: equals.flat() };
  const ranges: KeyRange[] = [];
  for (const part of parts) {
    if ('ranges' in part) ranges.push(...part.ranges);
    else {
      for (const alternative of part.equals) {
        if (alternative.kind !== 'value') return undefined;
        const bound: KeyBound = { value: alternative.value, inclusive: true };
        ranges.push({ low: bound, high: bound });
      }
    }
  }
  return { ranges };
}
