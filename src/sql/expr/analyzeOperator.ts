/**
 * Typing of operators: comparisons, arithmetic and the other binary ones, ANY and ALL, LIKE.
 */
import { assert } from '../../base/assert.ts';
import { isVarveError, StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { arrayOf, type ColumnType, familyName, Type, tupleOf } from '../../catalog/type.ts';
import type * as ast from '../parse/ast.ts';
import { printExpr } from '../parse/printer.ts';
import { alignForComparison, type Analysis, NULL, typeAlike } from './analysis.ts';
import { ambiguousBinary, notSupported, unsupportedBinary, unsupportedComparison, unsupportedUnary } from './errors.ts';
import { binaryOverloads, unaryOverloads } from './operators/index.ts';
import type { Overload } from './overload.ts';
import { undeterminedPlaceholder } from './placeholders.ts';
import { resolveOverload } from './resolve.ts';
import { checkTupleList, tupleMismatch, unsupportedIn } from './tupleErrors.ts';
import type { ComparisonOp, TypedExpr } from './typedExpr.ts';

const COMPARISONS: ReadonlySet<string> = new Set(['=', '<>', '<', '<=', '>', '>=']);

export function isComparison(op: string): op is ComparisonOp {
  return COMPARISONS.has(op);
}

/** Types two operands that are to be compared: an untyped one follows the other. */
export function typePair(analysis: Analysis, left: ast.Expr, right: ast.Expr): [TypedExpr, TypedExpr] {
  if (left.kind === 'tuple' && right.kind === 'tuple' && left.elements.length === right.elements.length) {
    const pairs = left.elements.map((element, i) => typePair(analysis, element, right.elements[i] as ast.Expr));
    return [tupleOfExprs(pairs.map(([a]) => a)), tupleOfExprs(pairs.map(([, b]) => b))];
  }
  const leftKind = analysis.untyped(left);
  const rightKind = analysis.untyped(right);
  const { fallback } = analysis.ctx.placeholders;
  if (leftKind === undefined) {
    const typed = analysis.type(left);
    return [typed, analysis.type(right, typed.type)];
  }
  if (rightKind === undefined) {
    const typed = analysis.type(right);
    return [analysis.type(left, typed.type), typed];
  }
  if (left.kind === 'placeholder') {
    if ((right.kind === 'placeholder' || rightKind === 'null') && !fallback) throw undeterminedPlaceholder(left.index - 1);
    const typed = analysis.type(right);
    return [analysis.type(left, typed.type), typed];
  }
  const typed = analysis.type(left);
  if (rightKind === 'placeholder' && leftKind === 'null' && !fallback) throw undeterminedPlaceholder((right as ast.Placeholder).index - 1);
  // '1' = 1 compares integers, 1 = 1.5 decimals: the string follows the number.
  if (leftKind === 'string' && rightKind === 'number') {
    const number = analysis.type(right);
    return [analysis.type(left, number.type), number];
  }
  return [typed, analysis.type(right, typed.type)];
}

export function tupleOfExprs(elements: readonly TypedExpr[], labels: readonly string[] = []): TypedExpr {
  const fields = elements.map((element) => element.type);
  return { kind: 'tuple', type: labels.length > 0 ? tupleOf(fields, labels) : tupleOf(fields), elements, labels };
}

export function analyzeComparison(analysis: Analysis, op: ComparisonOp, left: ast.Expr, right: ast.Expr, pos: number): TypedExpr {
  if (left.kind !== 'tuple' || right.kind !== 'tuple') return comparison(op, ...typePair(analysis, left, right), pos);
  try {
    return comparison(op, ...typePair(analysis, left, right), pos);
  } catch (error) {
    const compare = (a: ast.Expr, b: ast.Expr) => analyzeComparison(analysis, op, a, b, pos);
    throw (isVarveError(error) ? tupleMismatch(analysis, op, left, right, compare) : undefined) ?? error;
  }
}

/** left op right for typed operands. Throws 22023 when they do not compare. */
export function comparison(op: ComparisonOp, left: TypedExpr, right: TypedExpr, pos: number): TypedExpr {
  const aligned = alignForComparison(left, right);
  if (!aligned) throw unsupportedComparison(op, left.type, right.type, pos);
  return { kind: 'comparison', type: Type.Bool, op, left: aligned[0], right: aligned[1] };
}

/** IS [NOT] DISTINCT FROM. */
export function analyzeDistinct(analysis: Analysis, node: ast.IsDistinctExpr): TypedExpr {
  const [left, right] = typePair(analysis, node.left, node.right);
  const aligned = alignForComparison(left, right);
  if (!aligned) throw unsupportedComparison(node.negated ? 'IS NOT DISTINCT FROM' : 'IS DISTINCT FROM', left.type, right.type, node.pos);
  return { kind: 'distinct', type: Type.Bool, negated: node.negated, left: aligned[0], right: aligned[1] };
}

/** BETWEEN as two comparisons. */
export function analyzeBetween(analysis: Analysis, node: ast.BetweenExpr): TypedExpr {
  const { operand, low, high, pos } = node;
  const within = (from: ast.Expr, to: ast.Expr): TypedExpr => ({
    kind: 'and',
    type: Type.Bool,
    left: analyzeComparison(analysis, '>=', operand, from, pos),
    right: analyzeComparison(analysis, '<=', operand, to, pos),
  });
  const inside: TypedExpr = node.symmetric
    ? { kind: 'or', type: Type.Bool, left: within(low, high), right: within(high, low) }
    : within(low, high);
  return node.negated ? negate(inside) : inside;
}

export function negate(operand: TypedExpr): TypedExpr {
  return { kind: 'not', type: Type.Bool, operand };
}

/** Operators that are overloads: arithmetic, bits, ||, JSON, arrays, regular expressions. */
export function analyzeBinary(analysis: Analysis, node: ast.BinaryExpr, desired: ColumnType | undefined): TypedExpr {
  const { op } = node;
  if (op === '!~' || op === '!~*')
    return negate(callBinary(analysis, op === '!~' ? '~' : '~*', node.left, node.right, Type.Bool, node.pos));
  return callBinary(analysis, op, node.left, node.right, desired, node.pos);
}

function callBinary(
  analysis: Analysis,
  op: string,
  left: ast.Expr,
  right: ast.Expr,
  desired: ColumnType | undefined,
  pos: number,
): TypedExpr {
  const overloads = binaryOverloads(op);
  assert(overloads.length > 0, `operator ${op} has no overloads`);
  const found = resolveOverload(overloads, [left, right], analysis.untyped, analysis.type, desired);
  const [a, b] = found.args as [TypedExpr, TypedExpr];
  if (found.kind === 'found') return call(found.overload, found.args, op);
  // NULL on either side of an operator that exists for the other side is NULL.
  if (a.type.family === 'unknown' && b.type.family === 'unknown') return NULL;
  if (found.kind === 'ambiguous') {
    const isNull = a.type.family === 'unknown' || b.type.family === 'unknown';
    if (isNull) return NULL;
    throw ambiguousBinary(op, a.type, b.type, pos);
  }
  throw unsupportedBinary(op, a.type, b.type, pos);
}

export function call(overload: Overload, args: readonly TypedExpr[], operator?: string): TypedExpr {
  const { returns } = overload;
  const type = typeof returns === 'function' ? returns(args.map((arg) => arg.type)) : returns;
  return { kind: 'call', type, overload, args, ...(operator !== undefined && { operator }) };
}

export function analyzeUnary(analysis: Analysis, node: ast.UnaryExpr, desired: ColumnType | undefined): TypedExpr {
  const found = resolveOverload(unaryOverloads(node.op), [node.operand], analysis.untyped, analysis.type, desired);
  if (found.kind === 'found') return call(found.overload, found.args, node.op);
  const operand = found.args[0] as TypedExpr;
  if (operand.type.family === 'unknown') return NULL;
  throw unsupportedUnary(node.op, operand.type, node.pos);
}

const LIKE_NAMES = { like: 'LIKE', ilike: 'ILIKE', similarTo: 'SIMILAR TO' } as const;

export function analyzeLike(analysis: Analysis, node: ast.LikeExpr): TypedExpr {
  const name = LIKE_NAMES[node.op];
  const operand = analysis.type(node.operand, Type.String);
  const pattern = analysis.type(node.pattern, Type.String);
  const escapeChar = node.escape && analysis.type(node.escape, Type.String);
  for (const arg of [operand, pattern]) {
    if (arg.type.family !== 'string' && arg.type.family !== 'unknown')
      throw unsupportedComparison(name, operand.type, pattern.type, node.pos);
  }
  const overload = binaryOverloads(escapeChar ? `${name} ESCAPE` : name)[0];
  assert(overload, `no overload for ${name}`);
  const result = call(overload, escapeChar ? [operand, pattern, escapeChar] : [operand, pattern], name);
  return node.negated ? negate(result) : result;
}

const QUANTIFIED_LIKE: Record<string, string> = { like: 'LIKE', notLike: 'LIKE', ilike: 'ILIKE', notIlike: 'ILIKE' };

/** left op ANY|ALL (array, tuple or subquery). */
export function analyzeQuantified(analysis: Analysis, node: ast.QuantifiedExpr): TypedExpr {
  const operatorText = `${QUANTIFIED_LIKE[node.op] ?? node.op} ${node.quantifier.toUpperCase()}`;
  const [left, right] = quantifiedOperands(analysis, node);
  if (right.type.family === 'unknown') return { ...NULL, type: Type.Bool } as TypedExpr;
  const element = right.type.element;
  if (!element) throw unsupportedComparison(operatorText, left.type, right.type, node.pos);
  if (isComparison(node.op)) {
    const aligned = alignForComparison(left, stand(element));
    if (!aligned) throw unsupportedQuantified(node, operatorText, left.type, element);
    const [, alignedRight] = aligned;
    const cast: TypedExpr =
      alignedRight.type === element ? right : { kind: 'cast', type: arrayOf(alignedRight.type), operand: right, context: 'explicit' };
    return { kind: 'anyAll', type: Type.Bool, quantifier: node.quantifier, op: node.op, left: aligned[0], right: cast };
  }
  const isNegated = node.op === 'notLike' || node.op === 'notIlike' || node.op === '!~' || node.op === '!~*';
  const op = QUANTIFIED_LIKE[node.op] ?? node.op.replace('!', '');
  const overload = binaryOverloads(op).find(
    ({ params, returns }) => params.length === 2 && typeFits(params[0], left.type) && typeFits(params[1], element) && returns === Type.Bool,
  );
  if (!overload) throw unsupportedComparison(operatorText, left.type, right.type, node.pos);
  // NOT LIKE ANY is NOT (LIKE ALL), and the other way round.
  const quantifier = isNegated ? (node.quantifier === 'any' ? 'all' : 'any') : node.quantifier;
  const result: TypedExpr = { kind: 'anyAll', type: Type.Bool, quantifier, op: overload, left, right };
  return isNegated ? negate(result) : result;
}

/** Constants are shown as they are, anything else by its type; a subquery is a set of tuples. */
function unsupportedQuantified(node: ast.QuantifiedExpr, op: string, left: ColumnType, element: ColumnType): StatementError {
  if (node.right.kind === 'array' && node.left.kind === 'number') {
    return new StatementError(
      SqlState.InvalidParameterValue,
      `unsupported comparison operator: ${printExpr(node.left)} ${op} ${printExpr(node.right)}`,
      { location: { position: node.pos + 1 } },
    );
  }
  return unsupportedComparison(op, left, node.right.kind === 'subquery' ? tupleOf([element]) : arrayOf(element), node.pos);
}

function quantifiedOperands(analysis: Analysis, node: ast.QuantifiedExpr): [TypedExpr, TypedExpr] {
  if (node.right.kind === 'subquery') {
    const subquery = planSubquery(analysis, node.right.query, 'array', node.pos);
    return [analysis.type(node.left, subquery.type.element), subquery];
  }
  if (node.right.kind === 'tuple') {
    const { exprs, type } = typeAlike(analysis, [node.left, ...node.right.elements], undefined, node.quantifier.toUpperCase());
    const [left, ...elements] = exprs as [TypedExpr, ...TypedExpr[]];
    return [left, { kind: 'array', type: arrayOf(type), elements }];
  }
  const isAllNull = node.right.kind === 'array' && node.right.elements.every((element) => element.kind === 'null');
  const rightIsUntyped = isAllNull || analysis.untyped(node.right) !== undefined;
  if (analysis.untyped(node.left) === undefined || rightIsUntyped) {
    const left = analysis.type(node.left);
    const isElement = left.type.family !== 'array' && left.type.family !== 'unknown';
    return [left, analysis.type(node.right, isElement ? arrayOf(left.type) : undefined)];
  }
  const right = analysis.type(node.right);
  return [analysis.type(node.left, right.type.element), right];
}

// Types of elements are aligned on a column that stands for any of them.
function stand(type: ColumnType): TypedExpr {
  return { kind: 'column', type, index: 0, name: '' };
}

function typeFits(param: unknown, type: ColumnType): boolean {
  return typeof param === 'object' && param !== null && ((param as ColumnType).family === type.family || type.family === 'unknown');
}

export function planSubquery(
  analysis: Analysis,
  query: ast.SelectStatement,
  form: 'scalar' | 'exists' | 'array',
  pos: number,
  desired?: readonly ColumnType[],
): TypedExpr {
  const { subqueries, clause } = analysis.ctx;
  if (!subqueries) throw notSupported(`variable sub-expressions are not allowed in ${clause}`, pos);
  const { plan, slot } = subqueries.planSubquery(query, form, desired);
  const columns = plan.columns.map((column) => column.type);
  const row =
    columns.length === 1
      ? (columns[0] as ColumnType)
      : tupleOf(
          columns,
          plan.columns.map((column) => column.name),
        );
  if (form === 'exists') return { kind: 'subquery', type: Type.Bool, plan, slot };
  if (form === 'scalar') return { kind: 'subquery', type: row, plan, slot };
  if (row.family === 'array') {
    throw notSupported(`a subquery of type ${familyName(row)} cannot be collected into an array`, pos);
  }
  return { kind: 'subquery', type: arrayOf(row), plan, slot };
}

/** operand [NOT] IN (SELECT ...). */
export function analyzeInSubquery(analysis: Analysis, node: ast.InSubqueryExpr): TypedExpr {
  const subquery = planSubquery(analysis, node.query, 'array', node.pos);
  const element = subquery.type.element as ColumnType;
  const mismatch = (type: ColumnType) => unsupportedComparison('IN', type, tupleOf([element]), node.pos);
  const { operand } = node;
  const width = operand.kind === 'tuple' ? operand.elements.length : 1;
  const isOther = operand.kind === 'tuple' || operand.kind === 'null' ? width !== (element.fields?.length ?? 1) : false;
  if (isOther) throw mismatch(analysis.type(operand).type);
  const left = operandLike(analysis, operand, element, mismatch);
  if ((left.type.fields?.length ?? 1) !== (element.fields?.length ?? 1)) throw mismatch(left.type);
  const aligned = alignForComparison(left, stand(element));
  if (!aligned || aligned[1].type !== element) throw unsupportedComparison('IN', left.type, tupleOf([element]), node.pos);
  const found: TypedExpr = { kind: 'anyAll', type: Type.Bool, quantifier: 'any', op: '=', left: aligned[0], right: subquery };
  return node.negated ? negate(found) : found;
}

/** The operand as a value of the type; constants that are none have their own types in the error. */
function operandLike(analysis: Analysis, node: ast.Expr, type: ColumnType, mismatch: (own: ColumnType) => StatementError): TypedExpr {
  try {
    return analysis.type(node, type);
  } catch (error) {
    if (isVarveError(error) && error.code === SqlState.InvalidTextRepresentation) throw mismatch(analysis.type(node).type);
    throw error;
  }
}

function pairInList(analysis: Analysis, node: ast.InListExpr, item: ast.Expr): [TypedExpr, TypedExpr] {
  try {
    return typePair(analysis, node.operand, item);
  } catch (error) {
    if (isVarveError(error) && error.code === SqlState.InvalidTextRepresentation) throw unsupportedIn(node, error.message);
    throw error;
  }
}

/** operand [NOT] IN (list). */
export function analyzeInList(analysis: Analysis, node: ast.InListExpr): TypedExpr {
  if (node.operand.kind === 'tuple') {
    checkTupleList(analysis, node, node.operand.elements.length);
    const pairs = node.list.map((item) => pairInList(analysis, node, item));
    const operand = pairs[0]?.[0] ?? analysis.type(node.operand);
    const list = pairs.map(([left, right]) => {
      const aligned = alignForComparison(left, right);
      if (!aligned) throw unsupportedComparison('IN', left.type, right.type, node.pos);
      return aligned[1];
    });
    return { kind: 'in', type: Type.Bool, negated: node.negated, operand, list };
  }
  if (node.list.length === 0) return { kind: 'in', type: Type.Bool, negated: node.negated, operand: analysis.type(node.operand), list: [] };
  // As a chain of comparisons each item meets the operand alone; a typed operand decides for the constants.
  if (analysis.untyped(node.operand) === undefined) {
    const operand = analysis.type(node.operand);
    const items = node.list.map((item) => analysis.type(item, operand.type));
    const pairs = items.map((item) => alignForComparison(operand, item));
    const mismatch = pairs.indexOf(undefined);
    if (mismatch >= 0) throw unsupportedComparison('IN', operand.type, tupleOf(items.map((item) => item.type)), node.pos);
    if (pairs.every((pair) => pair?.[0] === operand)) {
      return {
        kind: 'in',
        type: Type.Bool,
        negated: node.negated,
        operand,
        list: pairs.map((pair) => (pair as [TypedExpr, TypedExpr])[1]),
      };
    }
  }
  const { exprs } = typeAlike(analysis, [node.operand, ...node.list], undefined, 'IN');
  const [operand, ...list] = exprs as [TypedExpr, ...TypedExpr[]];
  return { kind: 'in', type: Type.Bool, negated: node.negated, operand, list };
}
