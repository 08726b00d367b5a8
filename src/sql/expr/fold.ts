/**
 * Constant folding: what depends on nothing is computed once, during analysis.
 *
 * Only immutable parts fold. An error while folding is kept for run time, where it may never occur
 * (CASE WHEN false THEN 1/0 END), so the part stays as it is.
 */
import { isVarveError } from '../../base/errors.ts';
import type { Datum } from '../../catalog/datum.ts';
import { Type } from '../../catalog/type.ts';
import { compileExpr } from './compile.ts';
import type { EvalContext } from './evalContext.ts';
import { traits } from './traits.ts';
import type { ComparisonOp, TypedConst, TypedExpr } from './typedExpr.ts';
import { childrenOf, withChildren } from './walk.ts';

// Immutable expressions never look at the context: see overload.ts, O2.
const NO_CONTEXT = Object.freeze({}) as unknown as EvalContext;

/** The same expression with constant parts computed. Cost: linear. */
export function foldConstants(expr: TypedExpr): TypedExpr {
  const children = childrenOf(expr);
  let node = expr;
  if (children.length > 0) {
    const folded = children.map(foldConstants);
    if (folded.some((child, i) => child !== children[i])) node = withChildren(expr, folded);
  }
  const simpler = simplify(node);
  if (simpler) return simpler;
  return isFoldable(node) ? evaluated(node) : node;
}

function isFoldable(expr: TypedExpr): boolean {
  switch (expr.kind) {
    case 'const':
    case 'column':
    case 'outer':
    case 'placeholder':
    case 'subquery':
    case 'aggregate':
    case 'generator':
    case 'window':
      return false;
    default:
      return traits(expr).volatility === 'immutable' && childrenOf(expr).every((child) => child.kind === 'const');
  }
}

function evaluated(expr: TypedExpr): TypedExpr {
  try {
    return { kind: 'const', type: expr.type, value: compileExpr(expr)([], NO_CONTEXT) };
  } catch (error) {
    if (isVarveError(error)) return expr;
    throw error;
  }
}

const bool = (value: boolean | null): TypedConst => ({ kind: 'const', type: Type.Bool, value: value as Datum });

const INVERSE: Record<ComparisonOp, ComparisonOp> = { '=': '<>', '<>': '=', '<': '>=', '>=': '<', '>': '<=', '<=': '>' };

/** NOT pushed into what has a negated form of its own: planners then see plain comparisons. */
function negated(operand: TypedExpr): TypedExpr | undefined {
  switch (operand.kind) {
    case 'not':
      return operand.operand;
    case 'comparison':
      return { ...operand, op: INVERSE[operand.op] };
    case 'in':
    case 'distinct':
    case 'isTruth':
      return { ...operand, negated: !operand.negated };
    case 'isNull':
      // A tuple may be neither NULL nor NOT NULL.
      return operand.operand.type.family === 'tuple' ? undefined : { ...operand, negated: !operand.negated };
    default:
      return undefined;
  }
}

const isNull = (expr: TypedExpr): boolean => expr.kind === 'const' && expr.value === null;

/** True when a constant NULL among its operands makes the whole NULL. */
function isNullOfNull(expr: TypedExpr): boolean {
  const isStrict =
    (expr.kind === 'call' && !expr.overload.nullable) ||
    (expr.kind === 'comparison' && expr.left.type.family !== 'tuple' && expr.right.type.family !== 'tuple');
  return isStrict && traits(expr).volatility !== 'volatile' && childrenOf(expr).some(isNull);
}

/** AND, OR, NOT and CASE with a constant part that decides or drops out. */
function simplify(expr: TypedExpr): TypedExpr | undefined {
  if (expr.kind === 'not') return negated(expr.operand);
  if (isNullOfNull(expr)) return { kind: 'const', type: expr.type, value: null };
  if (expr.kind === 'and' || expr.kind === 'or') {
    const decisive = expr.kind === 'or';
    const { left, right } = expr;
    if (left.kind === 'const') {
      if (left.value === decisive) return bool(decisive);
      if (left.value === !decisive) return right;
    }
    // The left side may still throw, or wait: only its result is settled, so it is dropped only when it cannot.
    if (right.kind === 'const' && right.value === !decisive) return left;
    return undefined;
  }
  if (expr.kind === 'case' && !expr.operand) {
    const branches = expr.branches.filter(({ when }) => when.kind !== 'const' || when.value === true);
    const first = branches[0];
    if (first?.when.kind === 'const') return first.then;
    if (branches.length === 0) return expr.otherwise ?? { kind: 'const', type: expr.type, value: null };
    return branches.length < expr.branches.length ? { ...expr, branches } : undefined;
  }
  if (expr.kind === 'coalesce') {
    const args = expr.args.filter((arg) => arg.kind !== 'const' || arg.value !== null);
    const first = args[0];
    if (first === undefined) return { kind: 'const', type: expr.type, value: null };
    if (first.kind === 'const' || args.length === 1) return first;
    return args.length < expr.args.length ? { ...expr, args } : undefined;
  }
  return undefined;
}
