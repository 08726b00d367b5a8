/**
 * compileAsync: expressions that hold something to wait for, a correlated subquery or nextval.
 *
 * Only the nodes on the way to such a part are treated here; each part that need not wait is compiled
 * as usual. A node that evaluates all its children (a call, a comparison) is compiled over a row
 * of its children's values: the children are awaited, in order, then the synchronous closure runs.
 * What evaluates children on demand (AND, OR, CASE, COALESCE) has a form of its own, so nothing is
 * asked for that the synchronous form would not ask for.
 */
import { assert } from '../../base/assert.ts';
import type { Datum } from '../../catalog/datum.ts';
import { comparisonTest, type Test } from './compare.ts';
import { compileExpr } from './compile.ts';
import type { EvalContext, Row } from './evalContext.ts';
import { traits } from './traits.ts';
import type { TypedCase, TypedExpr } from './typedExpr.ts';
import { childrenOf, withChildren } from './walk.ts';

/** A promise only when something really had to wait. */
export type CompiledAsync = (row: Row, ctx: EvalContext) => Datum | Promise<Datum>;

/** Compiles any expression; one that need not wait costs nothing extra. */
export function compileAsync(expr: TypedExpr): CompiledAsync {
  if (!traits(expr).isAsync) return compileExpr(expr);
  switch (expr.kind) {
    case 'subquery': {
      const { plan } = expr;
      return (row, ctx) => ctx.runSubquery(plan, row, ctx);
    }
    case 'and':
      return shortCircuit(expr.left, expr.right, false);
    case 'or':
      return shortCircuit(expr.left, expr.right, true);
    case 'coalesce': {
      const args = expr.args.map(compileAsync);
      return async (row, ctx) => {
        for (const arg of args) {
          const value = await arg(row, ctx);
          if (value !== null) return value;
        }
        return null;
      };
    }
    case 'case':
      return compileCase(expr);
    case 'call':
      if (expr.overload.asyncFn) {
        const { asyncFn, nullable } = expr.overload;
        const args = expr.args.map(compileAsync);
        return async (row, ctx) => {
          const values = await inOrder(args, row, ctx);
          return !nullable && values.includes(null) ? null : asyncFn(ctx, ...values);
        };
      }
      return overChildren(expr);
    default:
      return overChildren(expr);
  }
}

/** A filter that may wait. */
export function compileAsyncFilter(expr: TypedExpr): (row: Row, ctx: EvalContext) => boolean | Promise<boolean> {
  const value = compileAsync(expr);
  return (row, ctx) => {
    const result = value(row, ctx);
    return result instanceof Promise ? result.then((settled) => settled === true) : result === true;
  };
}

async function inOrder(parts: readonly CompiledAsync[], row: Row, ctx: EvalContext): Promise<Datum[]> {
  const values: Datum[] = [];
  for (const part of parts) values.push(await part(row, ctx));
  return values;
}

function overChildren(expr: TypedExpr): CompiledAsync {
  const children = childrenOf(expr);
  assert(children.length > 0, `a ${expr.kind} expression waits without a reason`);
  // Constants stay in place, so that what specialises on them still can.
  const overValues = compileExpr(
    withChildren(
      expr,
      children.map((child, index) => (child.kind === 'const' ? child : { kind: 'column', type: child.type, index, name: '' })),
    ),
  );
  const parts = children.map(compileAsync);
  return async (row, ctx) => overValues(await inOrder(parts, row, ctx), ctx);
}

function shortCircuit(leftExpr: TypedExpr, rightExpr: TypedExpr, decisive: boolean): CompiledAsync {
  const left = compileAsync(leftExpr);
  const right = compileAsync(rightExpr);
  return async (row, ctx) => {
    const a = await left(row, ctx);
    if (a === decisive) return decisive;
    const b = await right(row, ctx);
    return b === decisive ? decisive : a === null || b === null ? null : !decisive;
  };
}

function compileCase(expr: TypedCase): CompiledAsync {
  const operand = expr.operand && compileAsync(expr.operand);
  const branches = expr.branches.map(({ when, then }) => ({
    when: compileAsync(when),
    then: compileAsync(then),
    test: expr.operand && comparisonTest('=', expr.operand.type, when.type),
  }));
  const otherwise = expr.otherwise && compileAsync(expr.otherwise);
  return async (row, ctx) => {
    const value = operand && (await operand(row, ctx));
    for (const branch of branches) {
      const when = await branch.when(row, ctx);
      const matches = value === undefined ? when : (branch.test as Test)(value, when);
      if (matches === true) return branch.then(row, ctx);
    }
    return otherwise ? otherwise(row, ctx) : null;
  };
}
