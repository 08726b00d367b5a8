/**
 * Overload resolution: which meaning of a function or operator the arguments choose.
 *
 * The rules are CockroachDB's, in this order:
 *   1  arguments that have a type of their own are typed; overloads that do not take them drop out
 *   2  of several left, those that give the desired result type are preferred
 *   3  untyped constants follow the typed arguments, when those agree on one type
 *   4  constants take their natural type (int, decimal, string), else the one they can become
 *   5  placeholders follow the typed arguments, or the only overload left
 * NULL fits every parameter. Nothing is cast: f(int) is not found for a f(float), but f(1) is.
 */
import { arrayOf, type ColumnType, typesEquivalent } from '../../catalog/type.ts';
import type { Expr } from '../parse/ast.ts';
import { isVarveError } from '../../base/errors.ts';
import type { Param } from './overload.ts';
import type { TypedExpr } from './typedExpr.ts';

/** Analyses one argument; `desired` is a wish that untyped constants and placeholders follow. */
export type Typer = (ast: Expr, desired?: ColumnType) => TypedExpr;

/** What an argument is before it is typed: undefined when it has a type of its own. */
export type Untyped = 'number' | 'string' | 'null' | 'placeholder' | undefined;

/** The part of scalar, aggregate and generator overloads that resolution looks at. */
export interface Candidate {
  readonly params: readonly Param[];
  readonly variadic?: Param;
  readonly preferred?: boolean;
  readonly returns?: ColumnType | ((args: readonly ColumnType[]) => ColumnType);
}

export type Resolution<C> =
  | { readonly kind: 'found'; readonly overload: C; readonly args: TypedExpr[] }
  /** `args` with their natural types, for the message. */
  | { readonly kind: 'none' | 'ambiguous'; readonly args: TypedExpr[] };

export function resolveOverload<C extends Candidate>(
  overloads: readonly C[],
  args: readonly Expr[],
  untypedOf: (ast: Expr) => Untyped,
  typer: Typer,
  desired: ColumnType | undefined,
): Resolution<C> {
  const untyped = args.map(untypedOf);
  const reachable = overloads.filter((overload) => arityFits(overload, args.length));
  const typed = args.map((ast, i) => (untyped[i] === undefined ? typer(ast, soleParamType(reachable, i)) : undefined));
  const takesTyped = (overload: C) =>
    typed.every((arg, i) => arg === undefined || fits(overload, i, arg.type)) && wildcardsAgree(overload, typed);
  const agreed = agreedType(typed);
  const neighbours = agreed ?? agreedType(args.map((ast, i) => (isLiteral(untyped[i]) ? typer(ast) : undefined)));

  /** True when each argument of these kinds passes the test. */
  const each = (kinds: readonly Untyped[], test: (ast: Expr, i: number) => boolean) =>
    args.every((ast, i) => !kinds.includes(untyped[i]) || test(ast, i));
  const isPossible = (overload: C) => each(LITERALS, (ast, i) => canFill(overload, i, ast, typer, elementOf(overload, typed)));
  // A wish does not reach what the constants cannot be: 1.5 * 2 is a decimal where an integer is wanted, too.
  const returnsDesired = (overload: C) =>
    desired !== undefined && typeof overload.returns === 'object' && typesEquivalent(overload.returns, desired) && isPossible(overload);
  const takesDesired = (overload: C) =>
    desired !== undefined &&
    typed.every((arg) => arg === undefined) &&
    overload.params.every((param) => typeof param === 'object' && typesEquivalent(param, desired)) &&
    isPossible(overload);
  const followsTyped = (overload: C) =>
    agreed !== undefined && each(LITERALS, (ast, i) => fits(overload, i, agreed) && canBecome(ast, agreed, typer));
  const isNatural = (overload: C) => each(LITERALS, (ast, i) => fits(overload, i, typer(ast).type));
  const followsNeighbours = (overload: C) =>
    neighbours !== undefined && each(['placeholder', 'null'], (_, i) => fits(overload, i, neighbours));

  let left = narrowed(reachable.filter(takesTyped), [returnsDesired, takesDesired, followsTyped, isNatural]);
  const [only] = reachable;
  const isOnly = reachable.length === 1 && only !== undefined && takesTyped(only);
  // A single overload tells its constants what to be, and the literal's own error says best why it cannot.
  if (!isOnly) left = left.filter(isPossible);
  left = narrowed(left, [followsNeighbours, (overload) => overload.preferred === true]);
  // Of NULLs alone every overload makes NULL.
  if (untyped.every((kind) => kind === 'null')) left = left.slice(0, 1);

  const [overload] = left;
  if (overload === undefined || left.length > 1) {
    return { kind: overload === undefined ? 'none' : 'ambiguous', args: args.map((ast, i) => typed[i] ?? typer(ast)) };
  }
  const element = elementOf(overload, typed);
  const wish = (i: number) => concrete(overload, i, element) ?? (untyped[i] === 'placeholder' ? neighbours : undefined);
  const complete = args.map((ast, i) => typed[i] ?? typer(ast, wish(i)));
  const isSound = complete.every((arg, i) => fits(overload, i, arg.type)) && wildcardsAgree(overload, complete);
  return isSound ? { kind: 'found', overload, args: complete } : { kind: 'none', args: complete };
}

const LITERALS: readonly Untyped[] = ['number', 'string'];

function isLiteral(kind: Untyped): boolean {
  return LITERALS.includes(kind);
}

/** Applies preferences in order while there is a choice: each keeps what it accepts, unless that is nothing. */
function narrowed<C>(candidates: readonly C[], preferences: readonly ((candidate: C) => boolean)[]): C[] {
  let left = [...candidates];
  for (const accepts of preferences) {
    if (left.length <= 1) break;
    const kept = left.filter(accepts);
    if (kept.length > 0) left = kept;
  }
  return left;
}

function arityFits(overload: Candidate, count: number): boolean {
  return overload.variadic === undefined ? count === overload.params.length : count >= overload.params.length;
}

function paramAt(overload: Candidate, index: number): Param | undefined {
  return overload.params[index] ?? overload.variadic;
}

/** The one concrete type all candidates want at a place: a hint for arrays and nested calls. */
function soleParamType(overloads: readonly Candidate[], index: number): ColumnType | undefined {
  let sole: ColumnType | undefined;
  for (const overload of overloads) {
    const param = paramAt(overload, index);
    if (typeof param !== 'object') return undefined;
    if (sole && !typesEquivalent(sole, param)) return undefined;
    sole = param;
  }
  return sole;
}

function fits(overload: Candidate, index: number, type: ColumnType): boolean {
  const param = paramAt(overload, index);
  if (param === undefined) return false;
  if (type.family === 'unknown') return true;
  if (param === 'any') return true;
  // Arrays do not nest: beside an anyarray, an element is no array.
  if (param === 'anyelement') return type.family !== 'array' || !overload.params.includes('anyarray');
  if (param === 'anyarray') return type.family === 'array';
  if (param === 'anytuple') return type.family === 'tuple';
  return typesEquivalent(param, type) || (param.family === 'array' && type.family === 'array' && type.element?.family === 'unknown');
}

/** anyelement and anyarray stand for one type each time they occur in a call. */
function wildcardsAgree(overload: Candidate, args: readonly (TypedExpr | undefined)[]): boolean {
  let element: ColumnType | undefined;
  for (const [i, arg] of args.entries()) {
    const found = arg && wildcardType(paramAt(overload, i), arg.type);
    if (!found || found.family === 'unknown') continue;
    if (element && !typesEquivalent(element, found)) return false;
    element = found;
  }
  return true;
}

function elementOf(overload: Candidate, args: readonly (TypedExpr | undefined)[]): ColumnType | undefined {
  for (const [i, arg] of args.entries()) {
    const found = arg && wildcardType(paramAt(overload, i), arg.type);
    if (found && found.family !== 'unknown') return found;
  }
  return undefined;
}

function wildcardType(param: Param | undefined, type: ColumnType): ColumnType | undefined {
  if (param === 'anyelement') return type;
  if (param === 'anyarray') return type.element;
  return undefined;
}

function concrete(overload: Candidate, index: number, element: ColumnType | undefined): ColumnType | undefined {
  const param = paramAt(overload, index);
  if (typeof param === 'object') return param;
  if (param === 'anyarray' && element) return arrayOf(element);
  return param === 'anyelement' ? element : undefined;
}

function agreedType(typed: readonly (TypedExpr | undefined)[]): ColumnType | undefined {
  let agreed: ColumnType | undefined;
  for (const arg of typed) {
    if (!arg || arg.type.family === 'unknown') continue;
    if (agreed && !typesEquivalent(agreed, arg.type)) return undefined;
    agreed = arg.type;
  }
  return agreed;
}

/** `element` is what anyelement stands for, where typed arguments say it: beside an int[], '{1}' is an array. */
function canFill(overload: Candidate, index: number, ast: Expr, typer: Typer, element: ColumnType | undefined): boolean {
  const param = paramAt(overload, index);
  if (param === undefined) return false;
  if (param === 'anyarray' && element) return canBecome(ast, arrayOf(element), typer);
  return typeof param === 'string'
    ? param === 'any' || param === 'anyelement' || fits(overload, index, typer(ast).type)
    : canBecome(ast, param, typer);
}

/** True when an untyped constant is a value of the type. */
export function canBecome(ast: Expr, type: ColumnType, typer: Typer): boolean {
  try {
    return typesEquivalent(typer(ast, type).type, type);
  } catch (error) {
    if (isVarveError(error)) return false;
    throw error;
  }
}
