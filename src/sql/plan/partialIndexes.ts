/**
 * Partial indexes: one may serve a scan only when the filter above it implies the index's predicate.
 *
 * Each term of the predicate has to follow from a term of the filter: by being the same, by a
 * comparison with a constant that is as narrow or narrower, or because whatever compares a column
 * is true only where it is not NULL. Anything cleverer is not tried: the index is then not used.
 */
import type { Datum } from '../../catalog/datum.ts';
import { compareDatums } from '../../catalog/datum.ts';
import { allIndexes, type TableDescriptor } from '../../catalog/descriptor.ts';
import { typesEquivalent } from '../../catalog/type.ts';
import type { ComparisonOp, TypedExpr } from '../expr/typedExpr.ts';
import { conjunctsOf, sameExpr } from '../expr/walk.ts';
import type { Expr } from '../parse/ast.ts';
import { parseExpression } from '../parse/parse.ts';
import { mapPlan, type PartialIndex, type PlanNode } from './plan.ts';
import { Frame, type ScopeColumn, SelectScope } from './scope.ts';

/** What analyses a condition or key in a table's own scope. */
interface Analyzer {
  analyzeBool(expr: Expr, scope: SelectScope, options: { readonly clause: string; readonly commonTables: undefined }): TypedExpr;
}

/** The partial indexes of a table over a scan of it; undefined when it has none. */
export function partialIndexesOf(
  ctx: Analyzer,
  table: TableDescriptor,
  columns: readonly ScopeColumn[],
): readonly PartialIndex[] | undefined {
  const partial = allIndexes(table).filter((index) => index.predicate !== undefined);
  if (partial.length === 0) return undefined;
  // By the table's own names, whatever an alias calls them.
  const own = columns.map((column) => ({ ...column, name: table.columns[column.index]?.name ?? column.name, isMerged: false }));
  const scope = new SelectScope(own, new Frame(undefined));
  return partial.map((index) => ({
    indexId: index.id,
    predicate: ctx.analyzeBool(parseExpression(index.predicate ?? 'true'), scope, { clause: 'WHERE', commonTables: undefined }),
  }));
}

/** Notes at every scan below a filter which of its partial indexes that filter allows. */
export function matchPartialIndexes(node: PlanNode): PlanNode {
  return mapPlan(node, (at) => {
    if (at.kind !== 'filter' || at.input.kind !== 'scan' || !at.input.partialIndexes) return at;
    const given = conjunctsOf(at.predicate);
    const usable = at.input.partialIndexes.filter(({ predicate }) =>
      conjunctsOf(predicate).every((wanted) => given.some((term) => implies(term, wanted))),
    );
    return usable.length === 0 ? at : { ...at, input: { ...at.input, usableIndexIds: usable.map(({ indexId }) => indexId) } };
  });
}

function implies(given: TypedExpr, wanted: TypedExpr): boolean {
  if (sameExpr(given, wanted)) return true;
  if (wanted.kind === 'isNull' && wanted.negated) {
    const column = wanted.operand;
    if (given.kind === 'comparison') return sameExpr(given.left, column) || sameExpr(given.right, column);
    return given.kind === 'in' && sameExpr(given.operand, column);
  }
  if (wanted.kind === 'or') return implies(given, wanted.left) || implies(given, wanted.right);
  if (given.kind === 'in' && !given.negated) {
    const { operand, list } = given;
    return list.every((value) => implies({ kind: 'comparison', type: wanted.type, op: '=', left: operand, right: value }, wanted));
  }
  if (wanted.kind === 'in' && !wanted.negated && given.kind === 'comparison' && given.op === '=') {
    return sameExpr(given.left, wanted.operand) && wanted.list.some((value) => sameExpr(given.right, value));
  }
  const [a, b] = [boundOf(given), boundOf(wanted)];
  if (!a || !b || !sameExpr(a.column, b.column) || !typesEquivalent(a.column.type, b.column.type)) return false;
  return isWithin(a, b, compareDatums(a.column.type)(a.value, b.value));
}

interface Bound {
  readonly column: TypedExpr;
  readonly op: ComparisonOp;
  readonly value: NonNullable<Datum>;
}

/** `column op constant`, both of one type. */
function boundOf(expr: TypedExpr): Bound | undefined {
  if (expr.kind !== 'comparison' || expr.left.kind !== 'column' || expr.right.kind !== 'const') return undefined;
  const { left, op, right } = expr;
  if (right.value === null || !typesEquivalent(left.type, right.type)) return undefined;
  return { column: left, op, value: right.value };
}

/** Is what `a` allows allowed by `b`? `order`: how a's value compares to b's. */
function isWithin(a: Bound, b: Bound, order: number): boolean {
  switch (b.op) {
    case '=':
      return a.op === '=' && order === 0;
    case '<>':
      if (a.op === '=') return order !== 0;
      return (
        ((a.op === '<' || a.op === '<=') && (order < 0 || (order === 0 && a.op === '<'))) ||
        ((a.op === '>' || a.op === '>=') && (order > 0 || (order === 0 && a.op === '>')))
      );
    case '<':
      return ((a.op === '=' || a.op === '<=') && order < 0) || (a.op === '<' && order <= 0);
    case '<=':
      return (a.op === '=' || a.op === '<=' || a.op === '<') && order <= 0;
    case '>':
      return ((a.op === '=' || a.op === '>=') && order > 0) || (a.op === '>' && order >= 0);
    case '>=':
      return (a.op === '=' || a.op === '>=' || a.op === '>') && order >= 0;
  }
}
