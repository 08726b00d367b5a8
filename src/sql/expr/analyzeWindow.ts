/**
 * Typing of window functions: f(...) [FILTER] OVER (...).
 *
 * A window has a name in the WINDOW clause, or is written in place, alone or upon a named one: which
 * may lend its PARTITION BY, and its ORDER BY when the other has none. A RANGE with an offset becomes
 * the sort key moved by that offset, so running it needs no arithmetic of its own.
 *
 * Source of the rules and messages: PostgreSQL's, and CockroachDB's where they differ.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { type ColumnType, familyName, Type } from '../../catalog/type.ts';
import type * as ast from '../parse/ast.ts';
import type { Analysis } from './analysis.ts';
import { castTo } from './analysis.ts';
import { analyzeBinary } from './analyzeOperator.ts';
import { areComparable } from './compare.ts';
import { ambiguousCall, mustBeBool, notSupported, unknownSignature } from './errors.ts';
import type { AggregateOverload, WindowOverload } from './overload.ts';
import type { FunctionDefinition } from './registry.ts';
import { resolveOverload } from './resolve.ts';
import type { AnalyzeContext } from './scope.ts';
import type { TypedExpr, TypedFrame, TypedFrameBound, TypedSortKey } from './typedExpr.ts';
import { visitExpr } from './walk.ts';

type Windows = ReadonlyMap<string, ast.WindowSpec>;
interface Place {
  readonly location: { readonly position: number };
}

const at = (pos: number): Place => ({ location: { position: pos + 1 } });

/** `analysisOf` types under another context: what a window function reads holds no window functions. */
export function analyzeWindow(
  analysis: Analysis,
  node: ast.CallExpr,
  definition: FunctionDefinition,
  analysisOf: (ctx: AnalyzeContext) => Analysis,
): TypedExpr {
  const { ctx } = analysis;
  const { name } = definition;
  if (!node.over) throw new StatementError(SqlState.WrongObjectType, `window function ${name}() requires an OVER clause`, at(node.pos));
  if (definition.kind !== 'window' && definition.kind !== 'aggregate') {
    throw new StatementError(
      SqlState.WrongObjectType,
      `OVER specified, but ${name}() is neither a window function nor an aggregate function`,
      at(node.pos),
    );
  }
  if (!ctx.windows) {
    const message =
      ctx.clause === INSIDE_WINDOW ? 'window function calls cannot be nested' : `window functions are not allowed in ${ctx.clause}`;
    throw new StatementError(SqlState.WindowingError, message, at(node.pos));
  }
  if (node.distinct) throw notSupported('DISTINCT is not implemented for window functions', node.pos);
  if (node.withinGroup) throw notSupported(`OVER is not supported for ordered-set aggregate ${name}`, node.pos);
  if (node.orderBy.length > 0) throw notSupported('aggregate ORDER BY is not implemented for window functions', node.pos);
  if (node.filter && definition.kind === 'window') {
    throw new StatementError(SqlState.WrongObjectType, `FILTER specified but ${name}() is not an aggregate function`, at(node.pos));
  }
  if (node.star && name !== 'count') throw unknownSignature(name, [], node.pos);
  if (!node.star && node.args.length === 0 && name === 'count') throw unknownSignature(name, [], node.pos);

  const inner = analysisOf({ ...ctx, windows: undefined, allowGenerators: false, clause: INSIDE_WINDOW });
  const { overload, args } = overloadOf(inner, node, definition);
  const filter = node.filter && inner.type(node.filter, Type.Bool);
  if (filter && filter.type.family !== 'bool' && filter.type.family !== 'unknown') {
    throw mustBeBool('FILTER', filter.type, node.filter?.pos ?? node.pos);
  }
  const spec = resolveSpec(node.over, ctx.windows);
  const orderBy = spec.orderBy.map(
    (item): TypedSortKey => ({
      expr: inner.type(item.expr),
      descending: item.descending,
      nullsFirst: item.nulls === undefined ? !item.descending : item.nulls === 'first',
    }),
  );
  const types = args.map((arg) => arg.type);
  return {
    kind: 'window',
    type: typeof overload.returns === 'function' ? overload.returns(types) : overload.returns,
    overload,
    args,
    filter,
    partitionBy: spec.partitionBy.map((expr) => inner.type(expr)),
    orderBy,
    frame: spec.frame ? frameOf(inner, spec.frame, spec.orderBy, orderBy, spec.pos) : USUAL_FRAME,
  };
}

const INSIDE_WINDOW = 'a window definition';

const USUAL_FRAME: TypedFrame = {
  mode: 'range',
  start: { type: 'unboundedPreceding', offset: undefined, limit: undefined },
  end: { type: 'currentRow', offset: undefined, limit: undefined },
  exclude: undefined,
};

function overloadOf(
  inner: Analysis,
  node: ast.CallExpr,
  definition: FunctionDefinition & { kind: 'window' | 'aggregate' },
): { overload: AggregateOverload | WindowOverload; args: readonly TypedExpr[] } {
  const { name } = definition;
  const overloads: readonly (AggregateOverload | WindowOverload)[] = definition.overloads;
  const found = resolveOverload(overloads, node.args, inner.untyped, inner.type, undefined);
  if (found.kind === 'found') return { overload: found.overload, args: found.args };
  const types = found.args.map((arg) => arg.type);
  const any = types.every((type) => type.family === 'unknown') && overloads.find((one) => one.params.length === node.args.length);
  if (any) return { overload: any, args: found.args };
  throw found.kind === 'ambiguous' ? ambiguousCall(name, types, node.pos) : unknownSignature(name, types, node.pos);
}

/** The window with what it takes from the named ones. Throws 42704, 42P20. */
function resolveSpec(spec: ast.WindowSpec, windows: Windows, seen: readonly string[] = []): ast.WindowSpec {
  if (!spec.base) return spec;
  const name = spec.base.text;
  const named = windows.get(name);
  if (!named || seen.includes(name))
    throw new StatementError(SqlState.UndefinedObject, `window "${name}" does not exist`, at(spec.base.pos));
  const base = resolveSpec(named, windows, [...seen, name]);
  if (spec.isReference) return base;
  const refuse = (message: string): StatementError => new StatementError(SqlState.WindowingError, message, at(spec.pos));
  if (spec.partitionBy.length > 0) throw refuse(`cannot override PARTITION BY clause of window "${name}"`);
  if (spec.orderBy.length > 0 && base.orderBy.length > 0) throw refuse(`cannot override ORDER BY clause of window "${name}"`);
  if (base.frame) throw refuse(`cannot copy window "${name}" because it has a frame clause`);
  return { ...spec, base: undefined, partitionBy: base.partitionBy, orderBy: spec.orderBy.length > 0 ? spec.orderBy : base.orderBy };
}

/** Checks a WINDOW clause's names: each once. Throws 42P20. */
export function windowNames(windows: readonly { readonly name: ast.Name; readonly spec: ast.WindowSpec }[]): Windows {
  const names = new Map<string, ast.WindowSpec>();
  for (const { name, spec } of windows) {
    if (names.has(name.text)) throw new StatementError(SqlState.WindowingError, `window "${name.text}" is already defined`, at(name.pos));
    names.set(name.text, spec);
  }
  return names;
}

/** Where each bound lies among the others: a frame may not start behind its end. */
const PLACE: Record<ast.FrameBound['type'], number> = {
  unboundedPreceding: 0,
  preceding: 1,
  currentRow: 2,
  following: 3,
  unboundedFollowing: 4,
};

function frameOf(
  inner: Analysis,
  frame: ast.WindowFrame,
  orderItems: readonly ast.OrderItem[],
  orderBy: readonly TypedSortKey[],
  pos: number,
): TypedFrame {
  const end: ast.FrameBound = frame.end ?? { type: 'currentRow', offset: undefined };
  const { start } = frame;
  const refuse = (message: string): StatementError => new StatementError(SqlState.WindowingError, message, at(pos));
  if (start.type === 'unboundedFollowing') throw refuse('frame start cannot be UNBOUNDED FOLLOWING');
  if (end.type === 'unboundedPreceding') throw refuse('frame end cannot be UNBOUNDED PRECEDING');
  if (PLACE[start.type] > PLACE[end.type]) {
    const from = start.type === 'currentRow' ? 'current' : 'following';
    throw refuse(`frame starting from ${from} row cannot ${end.type === 'currentRow' ? 'end with current row' : 'have preceding rows'}`);
  }
  const { mode } = frame;
  if (mode === 'groups' && orderBy.length === 0) throw refuse('GROUPS mode requires an ORDER BY clause');
  const hasOffsets = start.offset !== undefined || end.offset !== undefined;
  if (mode === 'range' && hasOffsets && orderBy.length !== 1) {
    throw refuse('RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column');
  }
  const [item] = orderItems;
  const [key] = orderBy;
  const bound = (from: ast.FrameBound): TypedFrameBound => {
    if (!from.offset) return { type: from.type, offset: undefined, limit: undefined };
    if (mode !== 'range' || !item || !key) return { type: from.type, offset: countOf(inner, from.offset, mode), limit: undefined };
    return { type: from.type, ...rangeBound(inner, from.type, from.offset, item, key) };
  };
  return { mode, start: bound(start), end: bound(end), exclude: frame.exclude };
}

function countOf(inner: Analysis, node: ast.Expr, mode: string): TypedExpr {
  const expr = inner.type(node, Type.Int8);
  refuseVariables(expr, mode, node.pos);
  if (expr.type.family === 'int') return expr;
  if (expr.type.family === 'unknown') return castTo(expr, Type.Int8);
  throw new StatementError(
    SqlState.DatatypeMismatch,
    `argument of ${mode.toUpperCase()} must be type int, not type ${familyName(expr.type)}`,
    at(node.pos),
  );
}

function refuseVariables(expr: TypedExpr, mode: string, pos: number): void {
  visitExpr(expr, (part) => {
    if (part.kind === 'column') {
      throw new StatementError(SqlState.InvalidColumnReference, `argument of ${mode.toUpperCase()} must not contain variables`, at(pos));
    }
  });
}

function rangeBound(
  inner: Analysis,
  type: ast.FrameBound['type'],
  node: ast.Expr,
  item: ast.OrderItem,
  key: TypedSortKey,
): { offset: TypedExpr; limit: TypedExpr } {
  const offset = inner.type(node, offsetType(key.expr.type));
  refuseVariables(offset, 'range', node.pos);
  const isBack = (type === 'preceding') !== key.descending;
  const known: Analysis = {
    ...inner,
    type: (part, desired) => (part === item.expr ? key.expr : part === node ? offset : inner.type(part, desired)),
    untyped: (part) => (part === item.expr || part === node ? undefined : inner.untyped(part)),
  };
  const limit = analyzeBinary(known, { kind: 'binary', op: isBack ? '-' : '+', left: item.expr, right: node, pos: node.pos }, undefined);
  const movesDate = key.expr.type.family === 'date' && limit.type.family === 'timestamp';
  if (!(movesDate || areComparable(limit.type, key.expr.type)) || !offsetType(key.expr.type)) {
    throw new StatementError(
      SqlState.DatatypeMismatch,
      `RANGE with offset PRECEDING/FOLLOWING is not supported for column type ${familyName(key.expr.type)} and offset type ${familyName(offset.type)}`,
      at(node.pos),
    );
  }
  return { offset, limit };
}

function offsetType(key: ColumnType): ColumnType | undefined {
  switch (key.family) {
    case 'int':
    case 'float':
    case 'decimal':
      return key;
    case 'date':
    case 'time':
    case 'timetz':
    case 'timestamp':
    case 'timestamptz':
    case 'interval':
      return Type.Interval;
    default:
      return undefined;
  }
}
