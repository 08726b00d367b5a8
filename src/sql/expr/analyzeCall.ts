/**
 * Typing of function calls: scalar functions, aggregates, set-returning functions.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { type ColumnType, Type, tupleOf } from '../../catalog/type.ts';
import type * as ast from '../parse/ast.ts';
import { type Analysis, typeAlike } from './analysis.ts';
import { call } from './analyzeOperator.ts';
import { analyzeWindow } from './analyzeWindow.ts';
import { extremum } from './builtins/conditional.ts';
import { ambiguousCall, mustBeBool, notSupported, unknownSignature } from './errors.ts';
import { canonicalFunctionName, type FunctionDefinition } from './registry.ts';
import { analyzeUserCall } from './userCall.ts';
import { resolveOverload } from './resolve.ts';
import type { AnalyzeContext } from './scope.ts';
import type { TypedExpr } from './typedExpr.ts';

/** Arguments of one call: more are a table, or an array. */
export const ARGUMENTS_MAX = 1000;

/** `analyzeIn` types under another context: an aggregate's arguments take no aggregates. */
export function analyzeCall(
  analysis: Analysis,
  node: ast.CallExpr,
  desired: ColumnType | undefined,
  analysisOf: (ctx: AnalyzeContext) => Analysis,
): TypedExpr {
  const { functions, userFunctions } = analysis.ctx;
  const found = functions.find(canonicalFunctionName(node.name.parts.map(({ text }) => text).join('.')));
  const users = found ? [] : (userFunctions?.named(node.name) ?? []);
  if (users.length > 0) return analyzeUserCall(analysis, node, users, desired, analysisOf);
  const definition = found ?? functions.resolve(node.name);
  if (node.args.length > ARGUMENTS_MAX) {
    throw new StatementError(SqlState.TooManyArguments, `cannot pass more than ${ARGUMENTS_MAX} arguments to a function`, {
      location: { position: node.pos + 1 },
    });
  }
  if (node.over || definition.kind === 'window') return analyzeWindow(analysis, node, definition, analysisOf);
  switch (definition.kind) {
    case 'scalar':
      refuseAggregateSyntax(node, definition.name);
      if (definition.name === 'greatest' || definition.name === 'least') return analyzeExtremum(analysis, node, definition.name, desired);
      return withMissingRows(analyzeScalar(analysis, node, definition, desired, analysisOf), definition.name);
    case 'aggregate':
      return withMissingRows(analyzeAggregate(analysis, node, definition, analysisOf), definition.name);
    case 'generator':
      refuseAggregateSyntax(node, definition.name);
      return analyzeGenerator(analysis, node, definition);
  }
}

const OF_ROWS: ReadonlySet<string> = new Set(['row_to_json', 'to_json', 'to_jsonb', 'json_agg', 'jsonb_agg']);

/** Of a row that an outer join did not find these functions make NULL, not an object of NULLs. */
function withMissingRows(expr: TypedExpr, name: string): TypedExpr {
  if (!OF_ROWS.has(name) || (expr.kind !== 'call' && expr.kind !== 'aggregate')) return expr;
  const args = expr.args.map((arg): TypedExpr => {
    if (arg.kind !== 'tuple' || !arg.presence) return arg;
    const when = arg.presence
      .map((operand): TypedExpr => ({ kind: 'isNull', type: Type.Bool, negated: true, operand }))
      .reduce((left, right) => ({ kind: 'or', type: Type.Bool, left, right }));
    const { presence: _presence, ...row } = arg;
    return { kind: 'case', type: arg.type, operand: undefined, branches: [{ when, then: row }], otherwise: undefined };
  });
  return { ...expr, args };
}

function refuseAggregateSyntax(node: ast.CallExpr, name: string): void {
  const position = { location: { position: node.pos + 1 } };
  if (node.distinct)
    throw new StatementError(SqlState.WrongObjectType, `DISTINCT specified, but ${name} is not an aggregate function`, position);
  if (node.filter)
    throw new StatementError(SqlState.WrongObjectType, `FILTER specified but ${name}() is not an aggregate function`, position);
  if (node.withinGroup) {
    throw new StatementError(SqlState.WrongObjectType, `WITHIN GROUP specified, but ${name} is not an aggregate function`, position);
  }
  if (node.orderBy.length > 0) {
    throw new StatementError(SqlState.WrongObjectType, `ORDER BY specified, but ${name} is not an aggregate function`, position);
  }
  if (node.star) throw new StatementError(SqlState.SyntaxError, `${name}(*) specified, but ${name} is not an aggregate function`, position);
}

function analyzeScalar(
  analysis: Analysis,
  node: ast.CallExpr,
  definition: FunctionDefinition & { kind: 'scalar' },
  desired: ColumnType | undefined,
  analysisOf: (ctx: AnalyzeContext) => Analysis,
): TypedExpr {
  const found = resolveOverload(definition.overloads, node.args, analysis.untyped, analysis.type, desired);
  if (found.kind === 'found') return call(found.overload, found.args);
  const types = found.args.map((arg) => arg.type);
  // What is built in comes first, where it takes what is given.
  const users = found.kind === 'none' ? (analysis.ctx.userFunctions?.named(node.name) ?? []) : [];
  if (users.length > 0) return analyzeUserCall(analysis, node, users, desired, analysisOf);
  if (found.kind === 'none') throw unknownSignature(definition.name, types, node.pos);
  // Every overload makes NULL of a NULL argument, so which of them is meant does not matter.
  const isNull = found.args.some((arg) => arg.type.family === 'unknown') && definition.overloads.every((overload) => !overload.nullable);
  if (isNull) return { kind: 'const', type: desired ?? Type.Unknown, value: null };
  throw ambiguousCall(definition.name, types, node.pos);
}

function analyzeExtremum(analysis: Analysis, node: ast.CallExpr, name: 'greatest' | 'least', desired: ColumnType | undefined): TypedExpr {
  if (node.args.length === 0) throw unknownSignature(name, [], node.pos);
  const { exprs, type } = typeAlike(analysis, node.args, desired, name.toUpperCase());
  return call(extremum(name, type), exprs);
}

/** What these give depends on what they are given: NULL alone does not say. */
const OF_ONE_TYPE: ReadonlySet<string> = new Set(['array_agg', 'string_agg', 'concat_agg', 'bit_and', 'bit_or', 'xor_agg']);

function analyzeAggregate(
  analysis: Analysis,
  node: ast.CallExpr,
  definition: FunctionDefinition & { kind: 'aggregate' },
  analysisOf: (ctx: AnalyzeContext) => Analysis,
): TypedExpr {
  const { ctx } = analysis;
  if (!ctx.allowAggregates) {
    // Where there are no columns, a column is what is wrong first.
    if (ctx.clause === 'LIMIT' || ctx.clause === 'OFFSET') for (const arg of node.args) analysis.type(arg);
    const isNested = ctx.clause === INSIDE_AGGREGATE;
    const message = isNested
      ? `${definition.name}(): aggregate function calls cannot be nested`
      : `${definition.name}(): aggregate functions are not allowed in ${ctx.clause}`;
    throw new StatementError(SqlState.GroupingError, message, { location: { position: node.pos + 1 } });
  }
  if (node.star && definition.name !== 'count') throw unknownSignature(definition.name, [], node.pos);
  const inner = analysisOf({ ...ctx, allowAggregates: false, allowGenerators: false, windows: undefined, clause: INSIDE_AGGREGATE });
  const isOrderedSet = definition.overloads[0]?.isOrderedSet === true;
  const [sortedBy] = node.orderBy;
  if (isOrderedSet && !(node.withinGroup && node.orderBy.length === 1)) {
    throw new StatementError(
      SqlState.InvalidFunctionDefinition,
      'ordered-set aggregations must have a WITHIN GROUP clause containing one ORDER BY column',
      { location: { position: node.pos + 1 } },
    );
  }
  if (node.withinGroup && !isOrderedSet) {
    throw new StatementError(SqlState.InvalidFunctionDefinition, `${definition.name}() is not an ordered-set aggregate function`, {
      location: { position: node.pos + 1 },
    });
  }
  const args = isOrderedSet && sortedBy ? [...node.args, sortedBy.expr] : node.args;
  const found = resolveOverload(definition.overloads, args, inner.untyped, inner.type, undefined);
  if (!node.star && OF_ONE_TYPE.has(definition.name) && found.args.every((arg) => arg.type.family === 'unknown')) {
    throw ambiguousCall(
      definition.name,
      found.args.map((arg) => arg.type),
      node.pos,
    );
  }
  if (!node.star && node.args.length === 0 && definition.name === 'count') throw unknownSignature('count', [], node.pos);
  const overload =
    found.kind === 'found'
      ? found.overload
      : found.args.every((arg) => arg.type.family === 'unknown')
        ? definition.overloads.find((o) => o.params.length === args.length)
        : undefined;
  if (!overload) {
    const types = found.args.map((arg) => arg.type);
    throw found.kind === 'ambiguous' ? ambiguousCall(definition.name, types, node.pos) : unknownSignature(definition.name, types, node.pos);
  }
  const inFilter = analysisOf({ ...ctx, allowAggregates: false, allowGenerators: false, windows: undefined, clause: 'FILTER' });
  const filter = node.filter && inFilter.type(node.filter, Type.Bool);
  if (filter && filter.type.family !== 'bool' && filter.type.family !== 'unknown')
    throw mustBeBool('FILTER', filter.type, node.filter?.pos ?? node.pos);
  const types = found.args.map((arg) => arg.type);
  return {
    kind: 'aggregate',
    type: typeof overload.returns === 'function' ? overload.returns(types) : overload.returns,
    overload,
    args: found.args,
    distinct: node.distinct,
    filter,
    orderBy: node.orderBy.map((item) => ({
      expr: inner.type(item.expr),
      descending: item.descending,
      nullsFirst: item.nulls === undefined ? !item.descending : item.nulls === 'first',
    })),
  };
}

const INSIDE_AGGREGATE = 'aggregate';

function analyzeGenerator(analysis: Analysis, node: ast.CallExpr, definition: FunctionDefinition & { kind: 'generator' }): TypedExpr {
  const { ctx } = analysis;
  if (!ctx.allowGenerators) throw notSupported(`${definition.name}(): generator functions are not allowed in ${ctx.clause}`, node.pos);
  const found = resolveOverload(definition.overloads, node.args, analysis.untyped, analysis.type, undefined);
  const types = found.args.map((arg) => arg.type);
  if (found.kind !== 'found') throw (found.kind === 'none' ? unknownSignature : ambiguousCall)(definition.name, types, node.pos);
  const columns = found.overload.columns(types);
  const [only] = columns;
  const type =
    columns.length === 1 && only
      ? only.type
      : tupleOf(
          columns.map((column) => column.type),
          columns.map((column) => column.name),
        );
  return { kind: 'generator', type, overload: found.overload, args: found.args, columns };
}
