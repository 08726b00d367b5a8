/**
 * The errors of typing, worded as CockroachDB words them, so that its users and their tools
 * recognise them. `pos` is a 0-based offset in the statement.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { type ColumnType, familyName } from '../../catalog/type.ts';

const at = (pos: number) => ({ location: { position: pos + 1 } });

export function unsupportedBinary(op: string, left: ColumnType, right: ColumnType, pos: number): StatementError {
  return new StatementError(
    SqlState.InvalidParameterValue,
    `unsupported binary operator: <${familyName(left)}> ${op} <${familyName(right)}>`,
    at(pos),
  );
}

export function unsupportedUnary(op: string, operand: ColumnType, pos: number): StatementError {
  return new StatementError(SqlState.InvalidParameterValue, `unsupported unary operator: ${op} <${familyName(operand)}>`, at(pos));
}

export function unsupportedComparison(op: string, left: ColumnType, right: ColumnType, pos: number): StatementError {
  return new StatementError(
    SqlState.InvalidParameterValue,
    left.family === 'enum' && right.family === 'enum'
      ? `invalid comparison between different enum types: <${familyName(left)}> ${op} <${familyName(right)}>`
      : `unsupported comparison operator: <${familyName(left)}> ${op} <${familyName(right)}>`,
    at(pos),
  );
}

export function ambiguousBinary(op: string, left: ColumnType, right: ColumnType, pos: number): StatementError {
  return new StatementError(
    SqlState.AmbiguousFunction,
    `ambiguous binary operator: <${familyName(left)}> ${op} <${familyName(right)}>`,
    at(pos),
  );
}

export function unknownSignature(name: string, args: readonly ColumnType[], pos: number): StatementError {
  return new StatementError(SqlState.UndefinedFunction, `unknown signature: ${name}(${args.map(familyName).join(', ')})`, at(pos));
}

export function ambiguousCall(name: string, args: readonly ColumnType[], pos: number): StatementError {
  return new StatementError(SqlState.AmbiguousFunction, `ambiguous call: ${name}(${args.map(familyName).join(', ')})`, {
    ...at(pos),
    hint: 'cast the arguments to the types you mean',
  });
}

export function mustBeBool(what: string, type: ColumnType, pos: number): StatementError {
  return new StatementError(SqlState.DatatypeMismatch, `argument of ${what} must be type bool, not type ${familyName(type)}`, at(pos));
}

export function notSupported(message: string, pos: number): StatementError {
  return new StatementError(SqlState.FeatureNotSupported, message, at(pos));
}

export function invalidCast(from: ColumnType, to: ColumnType, pos: number): StatementError {
  return new StatementError(SqlState.CannotCoerce, `invalid cast: ${familyName(from)} -> ${familyName(to)}`, at(pos));
}

export function tooComplex(pos: number): StatementError {
  return new StatementError(SqlState.StatementTooComplex, 'expression is nested too deeply', {
    ...at(pos),
    hint: 'split the statement, or write long lists with IN or an array',
  });
}
