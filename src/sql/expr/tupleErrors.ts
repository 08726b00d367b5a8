/**
 * What is wrong with a comparison of tuples, told element by element, as CockroachDB does. Looked for only
 * once a comparison has failed.
 */
import { isVarveError, StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { familyName } from '../../catalog/type.ts';
import type * as ast from '../parse/ast.ts';
import { printExpr } from '../parse/printer.ts';
import type { Analysis } from './analysis.ts';
import { unsupportedComparison } from './errors.ts';

const at = (pos: number) => ({ location: { position: pos + 1 } });

const wrongLength = (tuple: ast.TupleExpr, length: number): string => `expected tuple ${printExpr(tuple)} to have a length of ${length}`;

/** 42804 for two tuples of different lengths, or with elements that do not compare; `compare` types one pair. */
export function tupleMismatch(
  analysis: Analysis,
  op: string,
  left: ast.TupleExpr,
  right: ast.TupleExpr,
  compare: (left: ast.Expr, right: ast.Expr) => unknown,
): StatementError | undefined {
  if (left.elements.length !== right.elements.length) {
    return new StatementError(SqlState.DatatypeMismatch, wrongLength(right, left.elements.length), at(right.pos));
  }
  for (const [i, element] of left.elements.entries()) {
    const other = right.elements[i] as ast.Expr;
    try {
      compare(element, other);
    } catch (error) {
      if (!isVarveError(error)) throw error;
      // A constant that is no value of the other's type is of its own.
      const isConstant = error.code === SqlState.InvalidTextRepresentation;
      const reason = isConstant ? unsupportedComparison(op, analysis.type(element).type, analysis.type(other).type, other.pos) : error;
      const tuples = `${printExpr(left)}, ${printExpr(right)}`;
      return new StatementError(
        SqlState.DatatypeMismatch,
        `tuples ${tuples} are not comparable at index ${i + 1}: ${reason.message}`,
        at(left.pos),
      );
    }
  }
  return undefined;
}

/** 22023 for a tuple IN a list with what is no tuple of its length. */
export function checkTupleList(analysis: Analysis, node: ast.InListExpr, length: number): void {
  for (const item of node.list) {
    if (item.kind === 'tuple' ? item.elements.length === length : analysis.untyped(item) === 'null') continue;
    if (item.kind === 'tuple') throw unsupportedIn(node, wrongLength(item, length));
    const { type } = analysis.type(item);
    if (type.family === 'tuple') continue;
    throw unsupportedIn(node, `expected ${printExpr(item)} to be of type tuple, found type ${familyName(type)}`);
  }
}

/** `unsupported comparison operator: (1, 2) IN (3): ...`. */
export function unsupportedIn(node: ast.InListExpr, reason: string): StatementError {
  const shown = `${printExpr(node.operand)} IN (${node.list.map((item) => printExpr(item)).join(', ')})`;
  return new StatementError(SqlState.InvalidParameterValue, `unsupported comparison operator: ${shown}: ${reason}`, at(node.pos));
}
