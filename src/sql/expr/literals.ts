/**
 * Untyped constants: what 1, 'x' and NULL become.
 *
 * A number without a point can be an int, decimal, float or oid; one with a point a decimal or float,
 * or an int when it is whole; a string can be anything whose text form it is. Each follows the
 * desired type when it can and else has its natural type: int (decimal when larger than INT8),
 * decimal, string. A string that cannot be the desired type is an error, as in CockroachDB.
 */
import { utf8Encode } from '../../base/bytes.ts';
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { Decimal, INT8_MAX, INT8_MIN, canonicalInt } from '../../catalog/datum.ts';
import { type ColumnType, Type, typeOfOid } from '../../catalog/type.ts';
import type { Expr, NumberLiteral } from '../parse/ast.ts';
import { isRelativeTime, needsSession, parseConstant } from './castFunction.ts';
import type { PlaceholderTypes } from './scope.ts';
import type { Untyped } from './resolve.ts';
import type { TypedConst, TypedExpr } from './typedExpr.ts';

/** What an expression is before it is typed; undefined when it has a type of its own. */
export function untypedKind(ast: Expr, placeholders: PlaceholderTypes): Untyped {
  switch (ast.kind) {
    case 'number':
    case 'string':
    case 'null':
      return ast.kind;
    case 'placeholder':
      return placeholders.typeOf(ast.index - 1) ? undefined : 'placeholder';
    case 'unary':
      return (ast.op === '-' || ast.op === '+') && untypedKind(ast.operand, placeholders) === 'number' ? 'number' : undefined;
    default:
      return undefined;
  }
}

/** The type without width, precision or scale: what an expression of it has. Enums, arrays of them and tuples keep what they are. */
export function plainType(type: ColumnType): ColumnType {
  switch (type.family) {
    case 'int':
      return Type.Int8;
    case 'float':
      return Type.Float8;
    case 'decimal':
      return Type.Decimal;
    case 'string':
      return type.variant === 'NAME' ? Type.Name : Type.String;
    case 'bit':
      return Type.VarBit;
    case 'time':
    case 'timetz':
    case 'timestamp':
    case 'timestamptz':
    case 'interval':
      return typeOfOid(type.oid) ?? type;
    default:
      return type;
  }
}

/** The type that a placeholder gets where a value of `type` is wanted: without width and precision, but INT4 is INT4 to a client. */
export function parameterType(type: ColumnType): ColumnType {
  return type.family === 'int' || type.family === 'float' || type.family === 'string' ? (typeOfOid(type.oid) ?? type) : plainType(type);
}

/** So many digits are always a safe integer. */
const SAFE_DIGITS = 15;
/** Families that a whole number is made a constant of. */
const NOT_INT: ReadonlySet<string> = new Set(['float', 'decimal', 'oid']);

/** A numeric literal, `negative` when a minus stands before it. */
export function numberConstant(ast: NumberLiteral, negative: boolean, desired: ColumnType | undefined): TypedConst {
  // Most numbers are short whole ones, and a bulk INSERT holds thousands of them.
  if (ast.isInteger && ast.text.length <= SAFE_DIGITS && !NOT_INT.has(desired?.family ?? '')) {
    const value = Number(ast.text);
    if (Number.isSafeInteger(value)) return { kind: 'const', type: Type.Int8, value: negative && value !== 0 ? -value : value };
  }
  const value = parseNumber(ast.text);
  const decimal = negative ? value.negated() : value;
  const whole = decimal.isFinite && decimal.truncated().equals(decimal) ? decimal.toBigInt() : undefined;
  const fitsInt = whole !== undefined && whole >= INT8_MIN && whole <= INT8_MAX;
  switch (desired?.family) {
    case 'float':
      return { kind: 'const', type: Type.Float8, value: floatOf(decimal) };
    case 'decimal':
      return { kind: 'const', type: Type.Decimal, value: decimal };
    case 'oid':
      if (fitsInt && whole >= 0n && whole <= 0xffffffffn) return { kind: 'const', type: desired, value: Number(whole) };
      break;
    case 'int':
      if (fitsInt) return { kind: 'const', type: Type.Int8, value: canonicalInt(whole) };
      if (whole !== undefined) throw new StatementError(SqlState.NumericValueOutOfRange, 'numeric constant out of int64 range');
      break;
    default:
  }
  if (ast.isInteger && fitsInt) return { kind: 'const', type: Type.Int8, value: canonicalInt(whole) };
  return { kind: 'const', type: Type.Decimal, value: decimal };
}

function floatOf(decimal: Decimal): number {
  const value = decimal.toNumber();
  if (Number.isFinite(value)) return value;
  throw new StatementError(SqlState.NumericValueOutOfRange, 'numeric constant out of float64 range');
}

function parseNumber(text: string): Decimal {
  if (/^0[xX]/.test(text)) return Decimal.fromInt(BigInt(text));
  const decimal = Decimal.parse(text);
  if (!decimal) throw new StatementError(SqlState.SyntaxError, `could not make constant of literal "${text}"`);
  return decimal;
}

/**
 * A string literal. Throws 22P02 (or what the type's parser throws) when the desired type cannot read
 * it. Where reading needs the session (a time zone, a name) the result is a cast for run time.
 */
export function stringConstant(text: string, desired: ColumnType | undefined): TypedExpr {
  const asText: TypedConst = { kind: 'const', type: Type.String, value: utf8Encode(text) };
  if (!desired || desired.family === 'string' || desired.family === 'unknown' || desired.family === 'tuple' || desired.family === 'void')
    return asText;
  const type = plainType(desired);
  if (needsSession(type, text)) {
    // Its value waits for the session; whether it is one of the type shows now.
    if (type.family !== 'oid' && !isRelativeTime(text)) parseConstant(type, text);
    return { kind: 'cast', type, operand: asText, context: 'explicit' };
  }
  return { kind: 'const', type, value: parseConstant(type, text) };
}
