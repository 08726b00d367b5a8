/** Positions in the SELECT list, as GROUP BY 1 and ORDER BY 2 name columns. */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Expr } from '../parse/ast.ts';

/** The 1-based position that a constant means; undefined for what is no constant. 42P10 outside of [1, count], 42601 for one that is no whole number. */
export function ordinalOf(expr: Expr, count: number, clause: string): number | undefined {
  const isNegative = expr.kind === 'unary' && expr.op === '-' && expr.operand.kind === 'number';
  if (isNegative)
    throw new StatementError(SqlState.InvalidColumnReference, `${clause} position -${numberText(expr.operand)} is not in select list`);
  if (expr.kind !== 'number') {
    if (expr.kind === 'string' || expr.kind === 'boolean') {
      throw new StatementError(
        SqlState.SyntaxError,
        `non-integer constant in ${clause}: ${expr.kind === 'string' ? `'${expr.value}'` : expr.value}`,
      );
    }
    return undefined;
  }
  if (!expr.isInteger) throw new StatementError(SqlState.SyntaxError, `non-integer constant in ${clause}: ${expr.text}`);
  const ordinal = Number(expr.text);
  if (ordinal < 1 || ordinal > count) {
    throw new StatementError(SqlState.InvalidColumnReference, `${clause} position ${expr.text} is not in select list`);
  }
  return ordinal;
}

const numberText = (expr: Expr): string => (expr.kind === 'number' ? expr.text : '');
