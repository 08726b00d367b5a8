/**
 * Calls of functions that users wrote: the body in place of the call.
 *
 *   a body that is one expression   typed over the parameters, which become the typed arguments: as
 *                                   fast as the expression written out, and possible where there are
 *                                   no subqueries (CHECK, DEFAULT, computed columns)
 *   any other                       (SELECT body FROM (VALUES (arguments)) AS f (parameters)): a
 *                                   subquery, run for each row where the function is volatile
 *
 * Names in a body are full ones, so what the caller calls things changes nothing. What comes before
 * the last query of a body is read to its end, and forgotten. SETOF is unnest(ARRAY(body)).
 */
import { isVarveError, StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { quoteNames } from '../../catalog/names.ts';
import { type ColumnType, Type } from '../../catalog/type.ts';
import type * as ast from '../parse/ast.ts';
import { type Analysis, castTo } from './analysis.ts';
import { ambiguousCall, notSupported, unknownSignature } from './errors.ts';
import { Placeholders } from './placeholders.ts';
import { resolveOverload } from './resolve.ts';
import type { AnalyzeContext, ResolvedColumn, Scope } from './scope.ts';
import { traits } from './traits.ts';
import type { TypedExpr } from './typedExpr.ts';
import type { UserFunction } from './userFunction.ts';
import { mapExpr, visitExpr } from './walk.ts';

/** Nodes of an expression that calls in calls have grown to: more becomes subqueries. */
const INLINED_MAX = 2000;

/** Throws 42883, 42725, 42501; 0A000 where the body is a query and subqueries may not stand. */
export function analyzeUserCall(
  analysis: Analysis,
  node: ast.CallExpr,
  functions: readonly UserFunction[],
  desired: ColumnType | undefined,
  analysisOf: (ctx: AnalyzeContext) => Analysis,
): TypedExpr {
  refuseClauses(node);
  const candidates = functions.map((meant) => ({ meant, params: meant.params.map(({ type }) => type), returns: meant.returns }));
  const found = resolveOverload(candidates, node.args, analysis.untyped, analysis.type, desired);
  if (found.kind !== 'found') {
    const name = node.name.parts.map(({ text }) => text).join('.');
    const types = found.args.map(({ type }) => type);
    throw (found.kind === 'none' ? unknownSignature : ambiguousCall)(name, types, node.pos);
  }
  const called = found.overload.meant;
  analysis.ctx.userFunctions?.called(node.name, called);
  if (analysis.ctx.userFunctions?.keepsCalls)
    return kept(analysis, analysisOf(bodyContext(analysis.ctx, called)), node, called, found.args);
  if (called.returnsSet) return analyzeSet(analysis, node, called);
  const { expression } = called;
  const whole =
    expression &&
    whereInlined(analysis, () => inlined(analysis, analysisOf(bodyContext(analysis.ctx, called)), called, expression, found.args));
  return whole ?? analyzeBody(analysis, node, called);
}

function refuseClauses(node: ast.CallExpr): void {
  const name = node.name.parts.at(-1)?.text ?? '';
  const is = node.over
    ? 'OVER'
    : node.distinct
      ? 'DISTINCT'
      : node.filter
        ? 'FILTER'
        : node.orderBy.length > 0
          ? 'ORDER BY'
          : node.star
            ? '*'
            : '';
  if (is === '') return;
  throw new StatementError(SqlState.WrongObjectType, `${is} specified, but ${name} is not an aggregate function`, {
    location: { position: node.pos + 1 },
  });
}

/** Undefined where the expression needs to be a query: it calls a function that is one, or is an aggregate of nothing. */
function whereInlined({ ctx }: Analysis, make: () => TypedExpr | undefined): TypedExpr | undefined {
  try {
    return make();
  } catch (error) {
    const isQuery = isVarveError(error) && (error.code === SqlState.FeatureNotSupported || error.code === SqlState.GroupingError);
    if (!isQuery || !ctx.subqueries) throw error;
    return undefined;
  }
}

// ---- a body that is one expression --------------------------------------------------------------

class Parameters implements Scope {
  readonly #of: UserFunction;

  constructor(of: UserFunction) {
    this.#of = of;
  }

  resolveColumn(parts: readonly ast.Name[]): ResolvedColumn {
    const name = parts.at(-1)?.text ?? '';
    const isOwn = parts.length === 1 || (parts.length === 2 && parts[0]?.text === this.#of.name);
    const index = isOwn ? this.#of.params.findIndex((param) => param.name === name) : -1;
    const param = this.#of.params[index];
    if (!param) throw new StatementError(SqlState.UndefinedColumn, `column "${parts.map(({ text }) => text).join('.')}" does not exist`);
    return { index, type: param.type, name, depth: 0 };
  }
}

/** A body's names are its parameters: what it means does not depend on who calls. */
function bodyContext(ctx: AnalyzeContext, called: UserFunction): AnalyzeContext {
  return {
    ...ctx,
    scope: new Parameters(called),
    placeholders: new Placeholders(),
    subqueries: undefined,
    allowAggregates: false,
    allowGenerators: false,
    windows: undefined,
  };
}

/** Undefined where arguments would be worked out more often than they are written. */
function inlined(
  analysis: Analysis,
  inBody: Analysis,
  called: UserFunction,
  expression: ast.Expr,
  given: readonly TypedExpr[],
): TypedExpr | undefined {
  const body = castTo(inBody.type(expression, called.returns), called.returns);
  const args = given.map((arg, i) => castTo(arg, called.params[i]?.type ?? arg.type));
  const uses = args.map(() => 0);
  visitExpr(body, (part) => {
    if (part.kind === 'column') uses[part.index] = (uses[part.index] ?? 0) + 1;
  });
  const isVolatile = args.some((arg, i) => uses[i] !== 1 && traits(arg).volatility === 'volatile');
  const strictTwice = called.isStrict && args.some((arg) => traits(arg).volatility === 'volatile');
  let size = 0;
  const count = (): void => {
    size++;
  };
  visitExpr(body, count);
  for (const arg of args) visitExpr(arg, count);
  if (isVolatile || strictTwice || size > INLINED_MAX) {
    if (analysis.ctx.subqueries) return undefined;
    throw notSupported(
      `a call of ${called.name}() with arguments that may be worked out once only is not supported in ${analysis.ctx.clause}`,
      0,
    );
  }
  const whole = mapExpr(body, (part) => (part.kind === 'column' ? args[part.index] : undefined));
  if (!called.isStrict || args.length === 0) return whole;
  const when = args
    .map((operand): TypedExpr => ({ kind: 'isNull', type: Type.Bool, negated: false, operand }))
    .reduce((left, right) => ({ kind: 'or', type: Type.Bool, left, right }));
  const nothing: TypedExpr = { kind: 'const', type: called.returns, value: null };
  return { kind: 'case', type: called.returns, operand: undefined, branches: [{ when, then: nothing }], otherwise: whole };
}

/** The call as it stands, of a function whose body could be put in its place. */
function kept(analysis: Analysis, inBody: Analysis, node: ast.CallExpr, called: UserFunction, args: TypedExpr[]): TypedExpr {
  if (!called.expression || called.returnsSet) requireSubqueries(analysis, called, node);
  else inlined(analysis, inBody, called, called.expression, args);
  const { returns, volatility } = called;
  const overload = { name: quoteNames([called.schema, called.name]), params: called.params.map(({ type }) => type), returns, volatility };
  return { kind: 'call', type: returns, overload, args };
}

// ---- a body that is queries ---------------------------------------------------------------------

const name = (text: string): ast.Name => ({ text, pos: 0 });

function query(body: ast.QueryBody, more: Partial<ast.SelectStatement> = {}): ast.SelectStatement {
  return { kind: 'select', with: undefined, body, orderBy: [], limit: undefined, offset: undefined, locking: [], pos: 0, ...more };
}

function selectOf(expr: ast.Expr, from: readonly ast.TableSource[]): ast.SelectCore {
  return {
    kind: 'selectCore',
    distinct: 'all',
    targets: [{ expr, alias: undefined, pos: 0 }],
    from,
    asOf: undefined,
    where: undefined,
    groupBy: [],
    having: undefined,
    windows: [],
    pos: 0,
  };
}

/** The row of arguments as a source under the function's name. */
export function parameterSource(called: UserFunction, args: readonly ast.Expr[]): ast.SubquerySource {
  const row = args.map((operand, i): ast.Expr => {
    const type = called.params[i]?.typeName;
    return type ? { kind: 'cast', operand, type, pos: 0 } : operand;
  });
  return {
    kind: 'subquerySource',
    query: query({ kind: 'values', rows: [row], pos: 0 }),
    lateral: false,
    withOrdinality: false,
    alias: { name: name(called.name), columns: called.params.map((param) => name(param.name)) },
    pos: 0,
  };
}

const NULL: ast.Expr = { kind: 'null', pos: 0 };

/** The value over the row of arguments. */
function over(called: UserFunction, node: ast.CallExpr, value: ast.Expr): ast.SelectStatement {
  const from = node.args.length === 0 ? [] : [parameterSource(called, node.args)];
  return query(selectOf(value, from), called.volatility === 'volatile' ? { isPerRow: true } : {});
}

/** CASE with a WHEN for each query before the last (which is read whole, being made an array), and for what STRICT asks. */
function guarded(called: UserFunction, value: ast.Expr, nothing: ast.Expr): ast.Expr {
  const isNull = (operand: ast.Expr): ast.Expr => ({ kind: 'isNull', negated: false, operand, pos: 0 });
  const strict = called.isStrict
    ? called.params.map((param) => isNull({ kind: 'column', parts: [name(called.name), name(param.name)], pos: 0 }))
    : [];
  const before = (isVoid(called) ? called.statements : called.statements.slice(0, -1)).map(
    (statement): ast.Expr => isNull({ kind: 'arraySubquery', query: statement, pos: 0 }),
  );
  const whens = [...strict, ...before].map((when) => ({ when, then: nothing }));
  return whens.length === 0 ? value : { kind: 'case', operand: undefined, whens, otherwise: value, pos: 0 };
}

const isVoid = ({ returns }: UserFunction): boolean => returns.family === 'void';

function lastOf(called: UserFunction): ast.SelectStatement {
  return called.statements.at(-1) ?? query(selectOf(NULL, []));
}

function requireSubqueries({ ctx }: Analysis, called: UserFunction, node: ast.CallExpr): void {
  if (!ctx.subqueries)
    throw notSupported(`functions whose body is more than an expression are not supported in ${ctx.clause}: ${called.name}()`, node.pos);
}

function analyzeBody(analysis: Analysis, node: ast.CallExpr, called: UserFunction): TypedExpr {
  requireSubqueries(analysis, called, node);
  if (isVoid(called))
    return castTo(
      analysis.type({ kind: 'subquery', query: over(called, node, guarded(called, NULL, NULL)), pos: node.pos }),
      called.returns,
    );
  const last = lastOf(called);
  const one: ast.Expr = { kind: 'number', text: '1', isInteger: true, pos: 0 };
  const first = last.limit === undefined && last.offset === undefined ? { ...last, limit: one } : last;
  const source: ast.SubquerySource = {
    kind: 'subquerySource',
    query: first,
    lateral: false,
    withOrdinality: false,
    alias: undefined,
    pos: 0,
  };
  const limited = first === last ? query(selectOf({ kind: 'star', qualifier: undefined, pos: 0 }, [source]), { limit: one }) : first;
  const value: ast.Expr = { kind: 'cast', operand: { kind: 'subquery', query: limited, pos: 0 }, type: called.returnsName, pos: 0 };
  return castTo(
    analysis.type({ kind: 'subquery', query: over(called, node, guarded(called, value, NULL)), pos: node.pos }),
    called.returns,
  );
}

function analyzeSet(analysis: Analysis, node: ast.CallExpr, called: UserFunction): TypedExpr {
  requireSubqueries(analysis, called, node);
  const values: ast.Expr = { kind: 'arraySubquery', query: lastOf(called), pos: 0 };
  const all: ast.Expr = { kind: 'cast', operand: values, type: { ...called.returnsName, isArray: true }, pos: 0 };
  const array: ast.Expr = { kind: 'subquery', query: over(called, node, guarded(called, all, NULL)), pos: 0 };
  const name_: ast.ObjectName = { parts: [name('unnest')], pos: node.pos };
  return analysis.type({
    kind: 'call',
    name: name_,
    args: [array],
    distinct: false,
    star: false,
    orderBy: [],
    filter: undefined,
    over: undefined,
    pos: node.pos,
  });
}
