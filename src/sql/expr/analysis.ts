/**
 * Analysis: what the parts of the analyser share while they work on one expression.
 */
import { isVarveError, StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { type ColumnType, familyName, Type, typesEquivalent } from '../../catalog/type.ts';
import { requireType, resolveTypeName } from '../../catalog/typeName.ts';
import type { Expr, TypeName } from '../parse/ast.ts';
import { areComparable, isNumeric } from './compare.ts';
import { undeterminedPlaceholder } from './placeholders.ts';
import type { Typer, Untyped } from './resolve.ts';
import type { AnalyzeContext } from './scope.ts';
import type { TypedExpr } from './typedExpr.ts';

export interface Analysis {
  readonly ctx: AnalyzeContext;
  /** Types a subexpression. */
  readonly type: Typer;
  readonly untyped: (ast: Expr) => Untyped;
}

export const NULL: TypedExpr = { kind: 'const', type: Type.Unknown, value: null };

/** True for the collations that ask for what strings do anyway, comparing by their bytes: there are no others. */
export function isByteOrder(locale: string): boolean {
  return /^(?:pg_catalog\.)?(?:default|c|posix)$/i.test(locale);
}

/** A type name to a type. Throws 42704 when there is none, 0A000 for a collated string. */
export function resolveType(name: TypeName, ctx: AnalyzeContext): ColumnType {
  if (name.collation !== undefined && !isByteOrder(name.collation)) {
    throw new StatementError(SqlState.FeatureNotSupported, `COLLATE ${name.collation} is not supported`, {
      location: { position: name.pos + 1 },
      hint: 'strings compare by their UTF-8 bytes',
    });
  }
  const parts = { name: name.name.parts.map((part) => part.text).join('.'), args: name.args, arrayDimensions: name.isArray ? 1 : 0 };
  const isBuiltin = resolveTypeName(parts) !== undefined;
  const userType = isBuiltin ? undefined : ctx.resolveType?.(name);
  return userType ?? requireType(parts);
}

/** A cast that is there only when the type differs. */
export function castTo(expr: TypedExpr, type: ColumnType): TypedExpr {
  if (typesEquivalent(expr.type, type)) return expr;
  if (expr.kind === 'const' && expr.value === null) return { ...expr, type };
  return { kind: 'cast', type, operand: expr, context: 'explicit' };
}

const TEMPORAL_RANK: Partial<Record<ColumnType['family'], number>> = { date: 0, timestamp: 1, timestamptz: 2 };
const TEMPORAL_TYPES = [Type.Date, Type.Timestamp, Type.TimestampTz] as const;

/** Brings two operands to types that compare: dates and timestamps to the wider kind. Undefined when nothing does. */
export function alignForComparison(left: TypedExpr, right: TypedExpr): [TypedExpr, TypedExpr] | undefined {
  if (areComparable(left.type, right.type)) return [left, right];
  const a = TEMPORAL_RANK[left.type.family];
  const b = TEMPORAL_RANK[right.type.family];
  if (a !== undefined && b !== undefined) {
    const wider = TEMPORAL_TYPES[Math.max(a, b)] as ColumnType;
    return [castTo(left, wider), castTo(right, wider)];
  }
  if (left.kind === 'tuple' && right.kind === 'tuple' && left.elements.length === right.elements.length) {
    const pairs = left.elements.map((element, i) => alignForComparison(element, right.elements[i] as TypedExpr));
    if (pairs.every((pair) => pair !== undefined)) {
      return [
        tupleLike(
          left,
          pairs.map(([x]) => x),
        ),
        tupleLike(
          right,
          pairs.map(([, y]) => y),
        ),
      ];
    }
  }
  return undefined;
}

function tupleLike(tuple: TypedExpr & { kind: 'tuple' }, elements: TypedExpr[]): TypedExpr {
  return { ...tuple, elements, type: { ...tuple.type, fields: elements.map((element) => element.type) } };
}

/**
 * Types expressions that must share one type: CASE results, COALESCE, IN lists, arrays, VALUES columns.
 * Typed ones decide, constants and placeholders follow; numbers of different kinds meet at the wider
 * one. `what` names the construct in the error (42804). All of unknown type: `desired`, else unknown.
 */
export function typeAlike(
  analysis: Analysis,
  asts: readonly Expr[],
  desired: ColumnType | undefined,
  what: string,
): { exprs: TypedExpr[]; type: ColumnType } {
  const untyped = asts.map(analysis.untyped);
  const exprs: (TypedExpr | undefined)[] = asts.map((ast, i) => (untyped[i] === undefined ? analysis.type(ast, desired) : undefined));
  let common: ColumnType | undefined;
  for (const [i, expr] of exprs.entries()) {
    if (expr && expr.type.family !== 'unknown') common = widerType(common, expr.type, asts[i] as Expr, what);
  }
  const wish = common ?? desired;
  for (const kind of ['number', 'string', 'null'] as const) {
    for (const [i, ast] of asts.entries()) {
      if (untyped[i] !== kind) continue;
      const expr = common && kind === 'string' ? literalAs(analysis, ast, common, what) : analysis.type(ast, common ?? wish);
      exprs[i] = expr;
      if (expr.type.family !== 'unknown') common = widerType(common, expr.type, ast, what);
    }
  }
  for (const [i, ast] of asts.entries()) {
    if (untyped[i] !== 'placeholder') continue;
    const type = common ?? wish ?? analysis.ctx.placeholders.fallback;
    if (!type && ast.kind === 'placeholder') throw undeterminedPlaceholder(ast.index - 1);
    exprs[i] = analysis.type(ast, type);
    common = widerType(common, (exprs[i] as TypedExpr).type, ast, what);
  }
  const type = common ?? desired ?? Type.Unknown;
  return { exprs: exprs.map((expr) => castTo(expr as TypedExpr, type)), type };
}

/** The string constants of COALESCE and IFNULL that are no value of its type say which construct wanted them. */
function literalAs(analysis: Analysis, ast: Expr, type: ColumnType, what: string): TypedExpr {
  try {
    return analysis.type(ast, type);
  } catch (error) {
    if (!isVarveError(error) || (what !== 'COALESCE' && what !== 'IFNULL')) throw error;
    throw new StatementError(error.code, `incompatible ${what} expressions: ${error.message}`, { location: { position: ast.pos + 1 } });
  }
}

const NUMBER_RANK: Partial<Record<ColumnType['family'], number>> = { int: 0, decimal: 1, float: 2 };

function widerType(common: ColumnType | undefined, type: ColumnType, ast: Expr, what: string): ColumnType {
  if (!common || typesEquivalent(common, type)) return common ?? type;
  if (isNumeric(common) && isNumeric(type)) {
    const a = NUMBER_RANK[common.family];
    const b = NUMBER_RANK[type.family];
    if (a !== undefined && b !== undefined) return a >= b ? common : type;
  }
  const a = TEMPORAL_RANK[common.family];
  const b = TEMPORAL_RANK[type.family];
  if (a !== undefined && b !== undefined) return a >= b ? common : type;
  if (common.element && type.element) {
    if (type.element.family === 'unknown') return common;
    if (common.element.family === 'unknown') return type;
  }
  if (common.fields && type.fields && areComparable(common, type)) return common;
  throw new StatementError(
    SqlState.DatatypeMismatch,
    `incompatible ${what} expressions: expected an expression of type ${familyName(common)}, found type ${familyName(type)}`,
    { location: { position: ast.pos + 1 } },
  );
}
