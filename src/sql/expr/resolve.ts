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
import type { ColumnType } from '../../catalog/type.ts';
import { typesEquivalent } from '../../catalog/type.ts';
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
  const typed: (TypedExpr | undefined)[] = args.map(() => undefined);
  let left = overloads.filter((overload) => arityFits(overload, args.length));

  for (const [i, ast] of args.entries()) {
    if (untyped[i] === undefined) typed[i] = typer(ast, soleParamType(left, i));
  }
  left = left.filter(
    (overload) => typed.every((arg, i) => arg === undefined || fits(overload, i, arg.type)) && wildcardsAgree(overload, typed),
  );
  if (desired && left.length > 1) {
    left = preferred(left, (overload) => typeof overload.returns === 'object' && typesEquivalent(overload.returns, desired));
  }
  if (desired && left.length > 1 && typed.every((arg) => arg === undefined)) {
    left = preferred(left, (overload) => overload.params.every((param) => typeof param === 'object' && typesEquivalent(param, desired)));
  }
  const agreed = agreedType(typed);
  if (agreed && left.length > 1 && untyped.some((kind) => kind === 'number' || kind === 'string')) {
    left = preferred(left, (overload) =>
      args.every((ast, i) => isConstant(untyped[i]) === false || (fits(overload, i, agreed) && canBecome(ast, agreed, typer))),
    );
  }
  if (left.length > 1) {
    left = preferred(left, (overload) =>
      args.every((ast, i) => !isConstant(untyped[i]) || untyped[i] === 'null' || fits(overload, i, typer(ast).type)),
    );
  }
  if (left.length > 1 || untyped.includes('string') || untyped.includes('number')) {
    left = left.filter((overload) =>
      args.every((ast, i) => !isConstant(untyped[i]) || untyped[i] === 'null' || canFill(overload, i, ast, typer)),
    );
    // A single overload tells its constants what to be, and the literal's own error says best why it cannot.
    const only = overloads.filter((overload) => arityFits(overload, args.length));
    if (left.length === 0 && only.length === 1 && typed.every((arg, i) => arg === undefined || fits(only[0] as C, i, arg.type)))
      left = only;
  }
  if (agreed && left.length > 1 && (untyped.includes('placeholder') || untyped.includes('null'))) {
    left = preferred(left, (overload) =>
      args.every((_, i) => untyped[i] === undefined || isConstant(untyped[i], false) || fits(overload, i, agreed)),
    );
  }
  if (left.length > 1) left = preferred(left, (overload) => overload.preferred === true);
  // With nothing but NULLs and constants any of the overloads gives the same: take the first that takes text, else the first.
  if (left.length > 1 && untyped.every((kind) => kind === 'null')) left = left.slice(0, 1);

  const overload = left[0];
  if (overload === undefined || left.length > 1) {
    return { kind: overload === undefined ? 'none' : 'ambiguous', args: args.map((ast, i) => typed[i] ?? typer(ast)) };
  }
  const element = elementOf(overload, typed);
  const complete = args.map(
    (ast, i) => typed[i] ?? typer(ast, concrete(overload, i, element) ?? (untyped[i] === 'placeholder' ? agreed : undefined)),
  );
  const isSound = complete.every((arg, i) => fits(overload, i, arg.type)) && wildcardsAgree(overload, complete);
  return { kind: isSound ? 'found' : 'none', ...(isSound ? { overload } : {}), args: complete } as Resolution<C>;
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
  return param === 'anyelement' ? element : undefined;
}

/** Keeps what `wanted` accepts, unless that is nothing. */
function preferred<C>(candidates: readonly C[], wanted: (candidate: C) => boolean): C[] {
  const kept = candidates.filter(wanted);
  return kept.length > 0 ? kept : [...candidates];
}

function isConstant(kind: Untyped, orNull = true): boolean {
  return kind === 'number' || kind === 'string' || (orNull && kind === 'null');
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

function canFill(overload: Candidate, index: number, ast: Expr, typer: Typer): boolean {
  const param = paramAt(overload, index);
  if (param === undefined) return false;
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
