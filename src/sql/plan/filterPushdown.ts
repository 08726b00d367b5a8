/**
 * Filter pushdown: a condition is tested as early as the columns it reads exist.
 *
 * Conditions travel as lists of conjuncts. Each operator says what may pass below it; what may not
 * stays above as a filter. Volatile conditions never move. Below an outer join's preserved side, and
 * only there, a WHERE condition passes; of its ON conditions, only those of the other side do. A WHERE
 * condition that NULLs never meet makes an outer join an inner one.
 */
import { Type } from '../../catalog/type.ts';
import type { TypedExpr } from '../expr/typedExpr.ts';
import { traits } from '../expr/traits.ts';
import { conjunctsOf } from '../expr/walk.ts';
import { inlineColumns, moveColumns } from './moveExpr.ts';
import { type JoinNode, type PlanNode, inputsOf, withInputs } from './plan.ts';

export function pushFilters(node: PlanNode): PlanNode {
  return push(node, []);
}

/** The conjunction of a list; undefined for an empty one. */
export function conjunction(conjuncts: readonly TypedExpr[]): TypedExpr | undefined {
  let all: TypedExpr | undefined;
  for (const conjunct of conjuncts) all = all ? { kind: 'and', type: Type.Bool, left: all, right: conjunct } : conjunct;
  return all;
}

/** The node under a filter of the conjuncts, those that must wait last. */
export function filterOf(input: PlanNode, conjuncts: readonly TypedExpr[]): PlanNode {
  const ordered = [...conjuncts.filter((expr) => !traits(expr).isAsync), ...conjuncts.filter((expr) => traits(expr).isAsync)];
  const predicate = conjunction(ordered);
  return predicate ? { kind: 'filter', input, predicate, columns: input.columns } : input;
}

function isMovable(expr: TypedExpr): boolean {
  return traits(expr).volatility !== 'volatile';
}

function readsOnly(expr: TypedExpr, low: number, high: number): boolean {
  for (const column of traits(expr).columns) if (column < low || column >= high) return false;
  return true;
}

/** Plans `node` under the conjuncts, which are over its columns. */
function push(node: PlanNode, conjuncts: readonly TypedExpr[]): PlanNode {
  switch (node.kind) {
    case 'filter': {
      const own = conjunctsOf(node.predicate);
      if (own.some((expr) => !isMovable(expr))) return filterOf(push(node.input, []), [...own, ...conjuncts]);
      return push(node.input, [...own, ...conjuncts]);
    }
    case 'project': {
      const below: TypedExpr[] = [];
      const above: TypedExpr[] = [];
      for (const expr of conjuncts) {
        const isPlain = isMovable(expr) && [...traits(expr).columns].every((column) => isMovable(node.exprs[column] ?? expr));
        const inlined = isPlain ? inlineColumns(expr, node.exprs) : undefined;
        if (inlined) below.push(inlined);
        else above.push(expr);
      }
      return filterOf({ ...node, input: push(node.input, below) }, above);
    }
    case 'join':
      return pushIntoJoin(node, conjuncts);
    case 'apply': {
      const width = node.left.columns.length;
      const [left, above] = split(conjuncts, (expr) => isMovable(expr) && readsOnly(expr, 0, width));
      return filterOf({ ...node, left: push(node.left, left), right: push(node.right, []) }, above);
    }
    case 'aggregate': {
      const keys = node.keys.length;
      const below: TypedExpr[] = [];
      const above: TypedExpr[] = [];
      for (const expr of conjuncts) {
        const isOfKeys = !node.isScalar && traits(expr).columns.size > 0 && isMovable(expr) && readsOnly(expr, 0, keys);
        const inlined = isOfKeys ? inlineColumns(expr, node.keys) : undefined;
        if (inlined) below.push(inlined);
        else above.push(expr);
      }
      return filterOf({ ...node, input: push(node.input, below) }, above);
    }
    case 'window': {
      // Whole partitions may go, single rows may not.
      const isPartition = (column: number) =>
        node.windows.every((window) => window.partitionBy.some((expr) => expr.kind === 'column' && expr.index === column));
      const [below, above] = split(conjuncts, (expr) => isMovable(expr) && [...traits(expr).columns].every(isPartition));
      return filterOf({ ...node, input: push(node.input, below) }, above);
    }
    case 'sort':
      if (node.top) return keepAbove(node, conjuncts);
      {
        const [below, above] = split(conjuncts, isMovable);
        return filterOf({ ...node, input: push(node.input, below) }, above);
      }
    case 'distinct': {
      const on = new Set(node.on);
      const [below, above] = split(conjuncts, (expr) => isMovable(expr) && [...traits(expr).columns].every((column) => on.has(column)));
      return filterOf({ ...node, input: push(node.input, below) }, above);
    }
    case 'setOperation': {
      const [below, above] = split(conjuncts, isMovable);
      return filterOf({ ...node, left: push(node.left, below), right: push(node.right, below) }, above);
    }
    case 'projectSet': {
      const width = node.input.columns.length;
      const [below, above] = split(conjuncts, (expr) => isMovable(expr) && readsOnly(expr, 0, width));
      return filterOf({ ...node, input: push(node.input, below) }, above);
    }
    default:
      return keepAbove(node, conjuncts);
  }
}

function keepAbove(node: PlanNode, conjuncts: readonly TypedExpr[]): PlanNode {
  const inputs = inputsOf(node);
  return filterOf(
    inputs.length === 0
      ? node
      : withInputs(
          node,
          inputs.map((input) => push(input, [])),
        ),
    conjuncts,
  );
}

function split(conjuncts: readonly TypedExpr[], test: (expr: TypedExpr) => boolean): [TypedExpr[], TypedExpr[]] {
  const yes: TypedExpr[] = [];
  const no: TypedExpr[] = [];
  for (const expr of conjuncts) (test(expr) ? yes : no).push(expr);
  return [yes, no];
}

/** An outer join whose padded rows no condition above lets through is as good as one that does not pad. */
function withoutPadding(node: JoinNode, conjuncts: readonly TypedExpr[]): JoinNode {
  const { type } = node;
  if (type !== 'left' && type !== 'right' && type !== 'full') return node;
  const width = node.left.columns.length;
  const drops = (isPadded: (column: number) => boolean): boolean =>
    conjuncts.some((expr) => isMovable(expr) && rejectsNulls(expr, isPadded));
  const keepsLeft = type !== 'right' && !drops((column) => column >= width);
  const keepsRight = type !== 'left' && !drops((column) => column < width);
  return { ...node, type: keepsLeft ? (keepsRight ? 'full' : 'left') : keepsRight ? 'right' : 'inner' };
}

/** Is it never true when these columns are all NULL? Only what is plainly so counts. */
function rejectsNulls(expr: TypedExpr, isNull: (column: number) => boolean): boolean {
  const isColumn = (part: TypedExpr): boolean => part.kind === 'column' && isNull(part.index);
  switch (expr.kind) {
    case 'comparison':
      return isColumn(expr.left) || isColumn(expr.right);
    case 'in':
    case 'isNull':
      return isColumn(expr.operand) && (expr.kind === 'in' || expr.negated);
    case 'anyAll':
      return expr.quantifier === 'any' && isColumn(expr.left);
    case 'column':
      return isNull(expr.index);
    case 'isTruth':
      return !expr.negated && isColumn(expr.operand);
    case 'and':
      return rejectsNulls(expr.left, isNull) || rejectsNulls(expr.right, isNull);
    case 'or':
      return rejectsNulls(expr.left, isNull) && rejectsNulls(expr.right, isNull);
    default:
      return false;
  }
}

function pushIntoJoin(join: JoinNode, conjuncts: readonly TypedExpr[]): PlanNode {
  const node = withoutPadding(join, conjuncts);
  const leftWidth = node.left.columns.length;
  const width = leftWidth + node.right.columns.length;
  const isLeft = (expr: TypedExpr) => readsOnly(expr, 0, leftWidth) && traits(expr).columns.size > 0;
  const isRight = (expr: TypedExpr) => readsOnly(expr, leftWidth, width) && traits(expr).columns.size > 0;
  const toRight = (expr: TypedExpr) => moveColumns(expr, (index) => index - leftWidth);
  const left: TypedExpr[] = [];
  const right: TypedExpr[] = [];
  const on: TypedExpr[] = [];
  const above: TypedExpr[] = [];
  const isInner = node.type === 'inner';
  const keepsLeft = isInner || node.type === 'left' || node.type === 'semi' || node.type === 'anti';
  const keepsRight = isInner || node.type === 'right';
  for (const expr of conjuncts) {
    if (!isMovable(expr)) above.push(expr);
    else if (keepsLeft && isLeft(expr)) left.push(expr);
    else if (keepsRight && isRight(expr)) right.push(toRight(expr));
    else if (isInner) on.push(expr);
    else above.push(expr);
  }
  for (const expr of node.on ? conjunctsOf(node.on) : []) {
    // A preserved row stays whatever ON says of it, so only the other side's conditions move.
    if (!isMovable(expr)) on.push(expr);
    else if (isLeft(expr) && (isInner || node.type === 'right' || node.type === 'semi')) left.push(expr);
    else if (isRight(expr) && (isInner || node.type === 'left' || node.type === 'semi' || node.type === 'anti')) right.push(toRight(expr));
    else on.push(expr);
  }
  return filterOf({ ...node, left: push(node.left, left), right: push(node.right, right), on: conjunction(on) }, above);
}
