/**
 * analyzeExpr: names, types and overloads of a syntax tree settled, constants folded.
 *
 * Typing runs from the leaves up, with a wish (`desired`) that runs down: untyped constants, NULL and
 * placeholders follow it, everything else ignores it. The result's type may differ from the wish; who
 * needs a certain type checks (`analyzeBool`) or casts (`coerceTo`).
 *
 * Lives elsewhere: constants (literals.ts), overloads (resolve.ts), operators (analyzeOperator.ts),
 * calls (analyzeCall.ts), expressions that share a type (analysis.ts).
 */
import { unreachable } from '../../base/assert.ts';
import { StatementError, withFields } from '../../base/errors.ts';
import { isVarveError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { arrayOf, type ColumnType, familyName, sqlTypeName, Type, typesEqual, typesEquivalent } from '../../catalog/type.ts';
import type * as ast from '../parse/ast.ts';
import { type Analysis, castTo, isByteOrder, NULL, resolveType, typeAlike } from './analysis.ts';
import { analyzeCall } from './analyzeCall.ts';
import { arraySlice } from './builtins/array.ts';
import {
  analyzeBetween,
  analyzeBinary,
  analyzeComparison,
  analyzeDistinct,
  analyzeInList,
  analyzeInSubquery,
  analyzeLike,
  analyzeQuantified,
  analyzeUnary,
  call,
  comparison,
  isComparison,
  negate,
  planSubquery,
  tupleOfExprs,
  typePair,
} from './analyzeOperator.ts';
import { canCast } from './castFunction.ts';
import { invalidCast, mustBeBool, notSupported, tooComplex } from './errors.ts';
import { foldConstants } from './fold.ts';
import { numberConstant, parameterType, plainType, stringConstant, untypedKind } from './literals.ts';
import { conflictingAnnotation, undeterminedPlaceholder } from './placeholders.ts';
import { tooLargeValue } from './resultSize.ts';
import type { AnalyzeContext, ResolvedColumn } from './scope.ts';
import type { TypedExpr } from './typedExpr.ts';

/**
 * The typed form of an expression. Throws the errors of names (42703, 42702, 42P01, 42883), of types
 * (22023, 42804, 42846, 22P02), 42P18 for a placeholder nothing types, 54001 for an expression nested too
 * deep, 0A000 for what is not supported.
 */
export function analyzeExpr(node: ast.Expr, ctx: AnalyzeContext, desired?: ColumnType): TypedExpr {
  try {
    return foldConstants(analysisOf(ctx).type(node, desired));
  } catch (thrown) {
    const error = tooLargeValue(thrown);
    // The engine's own stack is the limit: nothing has been changed yet, so running out of it does no harm.
    if (error instanceof RangeError) throw tooComplex(node.pos);
    throw error;
  }
}

/** As analyzeExpr for a plain number, or a string where one is wanted: what a bulk INSERT is full of. Undefined for everything else. */
export function analyzeLiteral(node: ast.Expr, desired: ColumnType | undefined): TypedExpr | undefined {
  if (node.kind === 'number') return numberConstant(node, false, desired);
  if (node.kind === 'string' && desired?.family === 'string') return located(node.pos, () => stringConstant(node.value, desired));
  return undefined;
}

/** As analyzeExpr, for a condition. 42804 `argument of WHERE must be type bool, not type int`. */
export function analyzeBool(node: ast.Expr, ctx: AnalyzeContext): TypedExpr {
  const expr = analyzeExpr(node, ctx, Type.Bool);
  if (expr.type.family === 'bool') return expr;
  if (expr.type.family === 'unknown') return castTo(expr, Type.Bool);
  throw mustBeBool(ctx.clause, expr.type, node.pos);
}

/** Expressions that must share a type (the rows of VALUES, column by column). Constants are folded. */
export function analyzeAlike(nodes: readonly ast.Expr[], ctx: AnalyzeContext, desired: ColumnType | undefined, what: string): TypedExpr[] {
  return typeAlike(analysisOf(ctx), nodes, desired, what).exprs.map(foldConstants);
}

/**
 * The value as it goes into a column: checked and converted to the column's width, precision and type.
 * Throws 42804 `value type int doesn't match type string of column "c"` when no assignment cast exists.
 */
export function coerceTo(expr: TypedExpr, type: ColumnType, columnName: string): TypedExpr {
  if (typesEqual(expr.type, type) || (expr.kind === 'const' && expr.value === null))
    return typesEqual(expr.type, type) ? expr : castTo(expr, type);
  if (!canCast(expr.type, type, 'assignment')) {
    throw new StatementError(
      SqlState.DatatypeMismatch,
      `value type ${familyName(expr.type)} doesn't match type ${familyName(type)} of column "${columnName}"`,
      { column: columnName, hint: `you will need to rewrite or cast the expression: CAST(... AS ${sqlTypeName(type)})` },
    );
  }
  return foldConstants({ kind: 'cast', type, operand: expr, context: 'assignment' });
}

function analysisOf(ctx: AnalyzeContext): Analysis {
  const analysis: Analysis = {
    ctx,
    type: (node, desired) => analyze(analysis, node, desired),
    untyped: (node) => untypedKind(node, ctx.placeholders),
  };
  return analysis;
}

function analyze(analysis: Analysis, node: ast.Expr, desired: ColumnType | undefined): TypedExpr {
  const { ctx } = analysis;
  switch (node.kind) {
    case 'number':
      return numberConstant(node, false, desired);
    case 'string':
      return located(node.pos, () => stringConstant(node.value, desired));
    case 'bytes':
      return bytesLiteral(node, desired);
    case 'null':
      return desired ? castTo(NULL, desired) : NULL;
    case 'boolean':
      return { kind: 'const', type: Type.Bool, value: node.value };
    case 'default':
      throw new StatementError(
        SqlState.SyntaxError,
        'DEFAULT can only appear in a VALUES list within INSERT or on the right side of a SET',
        {
          location: { position: node.pos + 1 },
        },
      );
    case 'typedLiteral':
      return typedLiteral(node, ctx);
    case 'column':
      return column(node, ctx);
    case 'star': {
      const table = node.qualifier?.parts.at(-1);
      const row = table && ctx.scope?.resolveRow?.(table);
      if (row) return rowTuple(row);
      throw new StatementError(SqlState.SyntaxError, `cannot use "${node.qualifier ? 'table.*' : '*'}" in this context`, {
        location: { position: node.pos + 1 },
      });
    }
    case 'placeholder':
      return placeholder(node, ctx, desired);
    case 'unary':
      return unary(analysis, node, desired);
    case 'binary':
      return binary(analysis, node, desired);
    case 'like':
      return analyzeLike(analysis, node);
    case 'isNull': {
      const operand =
        analysis.untyped(node.operand) === 'placeholder' ? analysis.type(node.operand, Type.String) : analysis.type(node.operand);
      return { kind: 'isNull', type: Type.Bool, negated: node.negated, operand };
    }
    case 'isTruth':
      return {
        kind: 'isTruth',
        type: Type.Bool,
        negated: node.negated,
        value: node.value,
        operand: boolOperand(analysis, node.operand, `IS ${node.value ? 'TRUE' : 'FALSE'}`),
      };
    case 'isDistinct':
      return analyzeDistinct(analysis, node);
    case 'isOfType': {
      const { type } = analysis.type(node.operand);
      const isOf = node.types.some((name) => typesEquivalent(resolveType(name, ctx), type));
      return { kind: 'const', type: Type.Bool, value: isOf !== node.negated };
    }
    case 'between':
      return analyzeBetween(analysis, node);
    case 'inList':
      return analyzeInList(analysis, node);
    case 'inSubquery':
      return analyzeInSubquery(analysis, node);
    case 'quantified':
      return analyzeQuantified(analysis, node);
    case 'cast':
      return cast(analysis, node);
    case 'annotate': {
      const type = resolveType(node.type, ctx);
      const expr = analysis.type(node.operand, type);
      if (!typesEquivalent(expr.type, type) && expr.type.family !== 'unknown') {
        if (node.operand.kind === 'placeholder') throw conflictingAnnotation(node.operand.index, ctx.placeholders, type);
        throw new StatementError(
          SqlState.DatatypeMismatch,
          `incompatible type annotation: expected ${familyName(type)}, found type ${familyName(expr.type)}`,
          {
            location: { position: node.pos + 1 },
          },
        );
      }
      return castTo(expr, type);
    }
    case 'collate':
      return collate(analysis, node, desired);
    case 'field':
      return field(analysis, node);
    case 'subscript':
      return subscript(analysis, node);
    case 'case':
      return caseExpr(analysis, node, desired);
    case 'coalesce': {
      const { exprs, type } = typeAlike(analysis, node.args, desired, node.isIfNull ? 'IFNULL' : 'COALESCE');
      return { kind: 'coalesce', type, args: exprs };
    }
    case 'nullIf':
      return nullIf(analysis, node);
    case 'if': {
      const when = boolOperand(analysis, node.condition, 'IF');
      const { exprs, type } = typeAlike(analysis, [node.then, node.otherwise], desired, 'IF');
      return { kind: 'case', type, operand: undefined, branches: [{ when, then: exprs[0] as TypedExpr }], otherwise: exprs[1] };
    }
    case 'call':
      return analyzeCall(analysis, node, desired, analysisOf);
    case 'array':
      return array(analysis, node, desired);
    case 'arraySubquery':
      return planSubquery(analysis, node.query, 'array', node.pos);
    case 'tuple': {
      const elements = node.elements.map((element, i) => analysis.type(element, desired?.fields?.[i]));
      return tupleOfExprs(
        elements,
        node.labels.map((label) => label.text),
      );
    }
    case 'exists':
      return planSubquery(analysis, node.query, 'exists', node.pos);
    case 'subquery': {
      const subquery = planSubquery(analysis, node.query, 'scalar', node.pos, desired?.fields ?? (desired && [desired]));
      const width = subquery.kind === 'subquery' ? subquery.plan.columns.length : 1;
      if (width !== 1 && desired?.family !== 'tuple') {
        throw new StatementError(SqlState.SyntaxError, `subquery must return only one column, found ${width}`, {
          location: { position: node.pos + 1 },
        });
      }
      return subquery;
    }
    default:
      return unreachable(node, 'expression');
  }
}

/** Says where in the statement an error of this literal lies. */
function located<T>(pos: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw isVarveError(error) ? withFields(error, { location: { position: pos + 1 } }) : error;
  }
}

function column(node: ast.ColumnRef, ctx: AnalyzeContext): TypedExpr {
  const name = node.parts.map((part) => part.text).join('.');
  if (node.ordinal !== undefined) return ordinalColumn(node, node.ordinal, ctx);
  if (!ctx.scope) {
    const isStored = ctx.clause === 'DEFAULT' || ctx.clause === 'ON UPDATE';
    const message = isStored ? `variable sub-expressions are not allowed in ${ctx.clause}` : `column "${name}" does not exist`;
    throw new StatementError(isStored ? SqlState.SyntaxError : SqlState.UndefinedColumn, message, {
      detail: `columns cannot be used in ${ctx.clause}`,
      location: { position: node.pos + 1 },
    });
  }
  try {
    return columnOf(ctx.scope.resolveColumn(node.parts, node));
  } catch (error) {
    const [only] = node.parts;
    const isMissing = isVarveError(error) && error.code === SqlState.UndefinedColumn && node.parts.length === 1 && only;
    const row = isMissing ? ctx.scope.resolveRow?.(only) : undefined;
    if (!row) throw isVarveError(error) ? withFields(error, { location: { position: node.pos + 1 } }) : error;
    const presence = only && ctx.scope.presenceOf?.(only);
    const tuple = rowTuple(row);
    return presence && tuple.kind === 'tuple' ? { ...tuple, presence: presence.map(columnOf) } : tuple;
  }
}

function ordinalColumn(node: ast.ColumnRef, ordinal: number, { scope, clause }: AnalyzeContext): TypedExpr {
  const found = scope?.resolveOrdinal?.(ordinal);
  if (found) return columnOf(found);
  const isNowhere = !scope || clause === 'VALUES';
  throw new StatementError(
    isNowhere ? SqlState.InvalidColumnReference : SqlState.UndefinedColumn,
    isNowhere ? `column reference @${ordinal} not allowed in this context` : `invalid column ordinal: @${ordinal}`,
    { location: { position: node.pos + 1 } },
  );
}

/** A table's row as a tuple with its columns' names. */
function rowTuple(row: readonly ResolvedColumn[]): TypedExpr {
  return tupleOfExprs(
    row.map(columnOf),
    row.map((part) => part.name),
  );
}

/** Bytes as written, where they are wanted as another type that is made of bytes: a UUID's sixteen. */
function bytesLiteral(node: ast.BytesLiteral, desired: ColumnType | undefined): TypedExpr {
  const bytes: TypedExpr = { kind: 'const', type: Type.Bytes, value: node.value };
  return desired?.family === 'uuid' ? { kind: 'cast', type: Type.Uuid, operand: bytes, context: 'explicit' } : bytes;
}

function columnOf({ index, type, name, depth }: ResolvedColumn): TypedExpr {
  return depth === 0 ? { kind: 'column', type, index, name } : { kind: 'outer', type, depth, index, name };
}

function placeholder(node: ast.Placeholder, ctx: AnalyzeContext, desired: ColumnType | undefined): TypedExpr {
  const index = node.index - 1;
  const known = ctx.placeholders.typeOf(index);
  if (!known) {
    const wanted = desired && desired.family !== 'unknown' ? desired : ctx.placeholders.fallback;
    if (!wanted) throw undeterminedPlaceholder(index);
    ctx.placeholders.settle(index, parameterType(wanted));
  }
  return { kind: 'placeholder', type: ctx.placeholders.typeOf(index) ?? Type.String, index };
}

function typedLiteral(node: ast.TypedLiteral, ctx: AnalyzeContext): TypedExpr {
  const type = resolveType(node.type, ctx);
  // INTERVAL '5' DAY: a bare number counts in the last field named.
  const unit = node.type.intervalFields?.split(' ').at(-1);
  const text = unit && /^\s*[+-]?[\d.]+\s*$/.test(node.value) ? `${node.value} ${unit.toLowerCase()}` : node.value;
  return located(node.pos, () => widthCast(stringConstant(text, type), type));
}

/** A cast to the very type, where the family alone is not enough: VARCHAR(3), INT2, DECIMAL(4,2). */
function widthCast(expr: TypedExpr, type: ColumnType): TypedExpr {
  return typesEqual(expr.type, type) ? expr : { kind: 'cast', type, operand: expr, context: 'explicit' };
}

function cast(analysis: Analysis, node: ast.CastExpr): TypedExpr {
  const type = resolveType(node.type, analysis.ctx);
  switch (analysis.untyped(node.operand)) {
    case 'null':
      return { kind: 'const', type, value: null };
    case 'placeholder':
      return widthCast(analysis.type(node.operand, type), type);
    case 'number': {
      // Read as the target's family where that loses nothing: 0.1::FLOAT, 1::DECIMAL; 1.5::INT rounds a decimal.
      const natural = analysis.type(node.operand);
      const isExact = type.family === 'decimal' || type.family === 'float' || natural.type.family === type.family;
      const operand = isExact ? analysis.type(node.operand, type) : natural;
      return checkedCast(operand, type, node.pos);
    }
    case 'string':
      return located(node.operand.pos, () => {
        const operand = analysis.type(node.operand, type);
        // A literal that is read at run time is read and bounded by one cast.
        return operand.kind === 'cast' ? { ...operand, type } : checkedCast(operand, type, node.pos);
      });
    default: {
      const operand =
        node.operand.kind === 'array' || node.operand.kind === 'tuple' ? analysis.type(node.operand, type) : analysis.type(node.operand);
      return checkedCast(operand, type, node.pos);
    }
  }
}

function checkedCast(operand: TypedExpr, type: ColumnType, pos: number): TypedExpr {
  if (typesEqual(operand.type, type)) return operand;
  if (operand.kind === 'const' && operand.value === null) return { ...operand, type };
  if (!canCast(operand.type, type, 'explicit')) throw invalidCast(operand.type, type, pos);
  return { kind: 'cast', type, operand, context: 'explicit' };
}

function boolOperand(analysis: Analysis, node: ast.Expr, what: string): TypedExpr {
  const expr = analysis.type(node, Type.Bool);
  if (expr.type.family === 'bool') return expr;
  if (expr.type.family === 'unknown') return castTo(expr, Type.Bool);
  throw mustBeBool(what, expr.type, node.pos);
}

function unary(analysis: Analysis, node: ast.UnaryExpr, desired: ColumnType | undefined): TypedExpr {
  if (node.op === 'not') return negate(boolOperand(analysis, node.operand, 'NOT'));
  const constant = signedNumber(node, desired);
  if (constant) return constant;
  if (node.op === '+') {
    const operand = analysis.type(node.operand, desired);
    if (['int', 'float', 'decimal', 'interval', 'unknown'].includes(operand.type.family)) return operand;
  }
  return analyzeUnary(analysis, node, desired);
}

/** A numeric literal behind any number of signs; typed sign by sign it would be tried as every type at every one of them. */
function signedNumber(node: ast.UnaryExpr, desired: ColumnType | undefined): TypedExpr | undefined {
  let isNegative = false;
  let operand: ast.Expr = node;
  while (operand.kind === 'unary' && (operand.op === '-' || operand.op === '+')) {
    if (operand.op === '-') isNegative = !isNegative;
    operand = operand.operand;
  }
  return operand !== node && operand.kind === 'number' ? numberConstant(operand, isNegative, desired) : undefined;
}

function binary(analysis: Analysis, node: ast.BinaryExpr, desired: ColumnType | undefined): TypedExpr {
  const { op } = node;
  if (op === 'and' || op === 'or') return logic(analysis, node, op);
  if (isComparison(op)) return analyzeComparison(analysis, op, node.left, node.right, node.pos);
  return operatorChain(analysis, node, desired);
}

/** a + b + c + ... from the left: a long chain is typed step by step, not by recursion into its left side. */
function operatorChain(analysis: Analysis, node: ast.BinaryExpr, desired: ColumnType | undefined): TypedExpr {
  const chain = [node];
  for (let left = node.left; left.kind === 'binary' && isOverloaded(left.op); left = left.left) chain.push(left);
  let known: { node: ast.Expr; expr: TypedExpr } | undefined;
  const stepwise: Analysis = {
    ...analysis,
    type: (part, wish) => (part === known?.node ? known.expr : analysis.type(part, wish)),
  };
  for (const step of chain.reverse()) known = { node: step, expr: analyzeBinary(stepwise, step, step === node ? desired : undefined) };
  return (known as { expr: TypedExpr }).expr;
}

function isOverloaded(op: ast.BinaryOp): boolean {
  return op !== 'and' && op !== 'or' && !isComparison(op);
}

/**
 * AND and OR chains become balanced trees: the same terms in the same order, so the same meaning, but
 * thousands of them (a list of ids spelled out with OR) cost no deep recursion later.
 */
function logic(analysis: Analysis, node: ast.BinaryExpr, op: 'and' | 'or'): TypedExpr {
  const terms: ast.Expr[] = [];
  let rest: ast.Expr = node;
  while (rest.kind === 'binary' && rest.op === op) {
    terms.push(rest.right);
    rest = rest.left;
  }
  terms.push(rest);
  const typed = terms.reverse().map((term) => boolOperand(analysis, term, op.toUpperCase()));
  const join = (from: number, to: number): TypedExpr => {
    if (to - from === 1) return typed[from] as TypedExpr;
    const middle = (from + to + 1) >> 1;
    return { kind: op, type: Type.Bool, left: join(from, middle), right: join(middle, to) };
  };
  return join(0, typed.length);
}

function caseExpr(analysis: Analysis, node: ast.CaseExpr, desired: ColumnType | undefined): TypedExpr {
  const { exprs, type } = typeAlike(
    analysis,
    [...node.whens.map((branch) => branch.then), ...(node.otherwise ? [node.otherwise] : [])],
    desired,
    'CASE',
  );
  const otherwise = node.otherwise && exprs.at(-1);
  if (!node.operand) {
    const branches = node.whens.map(({ when }, i) => ({ when: boolOperand(analysis, when, 'CASE WHEN'), then: exprs[i] as TypedExpr }));
    return { kind: 'case', type, operand: undefined, branches, otherwise };
  }
  const { exprs: compared } = typeAlike(analysis, [node.operand, ...node.whens.map((branch) => branch.when)], undefined, 'CASE WHEN');
  const [operand, ...whens] = compared as [TypedExpr, ...TypedExpr[]];
  for (const [i, when] of whens.entries()) comparison('=', operand, when, node.whens[i]?.when.pos ?? node.pos);
  return { kind: 'case', type, operand, branches: whens.map((when, i) => ({ when, then: exprs[i] as TypedExpr })), otherwise };
}

function nullIf(analysis: Analysis, node: ast.NullIfExpr): TypedExpr {
  const [left, right] = typePair(analysis, node.left, node.right);
  const equal = comparison('=', left, right, node.pos);
  if (equal.kind !== 'comparison') return equal;
  return { kind: 'nullIf', type: equal.left.type, left: equal.left, right: equal.right };
}

function array(analysis: Analysis, node: ast.ArrayExpr, desired: ColumnType | undefined): TypedExpr {
  const wish = desired?.family === 'array' ? desired.element : undefined;
  if (node.elements.length === 0) {
    if (!wish) {
      throw new StatementError(SqlState.IndeterminateDatatype, 'cannot determine type of empty array', {
        hint: 'consider casting to the desired type, for example ARRAY[]::INT[]',
        location: { position: node.pos + 1 },
      });
    }
    return { kind: 'array', type: arrayOf(plainType(wish)), elements: [] };
  }
  const { exprs, type } = typeAlike(analysis, node.elements, wish, 'ARRAY');
  if (type.family === 'array') throw notSupported('nested arrays are not supported', node.pos);
  return { kind: 'array', type: arrayOf(type.family === 'unknown' ? Type.String : plainType(type)), elements: exprs };
}

function subscript(analysis: Analysis, node: ast.SubscriptExpr): TypedExpr {
  const operand = analysis.type(node.operand);
  if (operand.type.family === 'unknown') return NULL;
  const { element } = operand.type;
  if (!element) {
    throw new StatementError(SqlState.DatatypeMismatch, `cannot subscript type ${familyName(operand.type)} because it is not an array`, {
      location: { position: node.pos + 1 },
    });
  }
  const subscriptOf = (part: ast.Expr): TypedExpr => {
    const index = analysis.type(part, Type.Int8);
    if (index.type.family === 'int') return index;
    if (index.type.family === 'unknown') return castTo(index, Type.Int8);
    throw new StatementError(SqlState.DatatypeMismatch, `incompatible ARRAY subscript type: ${familyName(index.type)}`, {
      location: { position: part.pos + 1 },
    });
  };
  if (!node.isSlice && node.low) return { kind: 'subscript', type: element, operand, index: subscriptOf(node.low) };
  const bound = (part: ast.Expr | undefined, otherwise: number): TypedExpr =>
    part ? subscriptOf(part) : { kind: 'const', type: Type.Int8, value: otherwise };
  return call(arraySlice, [operand, bound(node.low, 1), bound(node.high, Number.MAX_SAFE_INTEGER)]);
}

function collate(analysis: Analysis, node: ast.CollateExpr, desired: ColumnType | undefined): TypedExpr {
  if (!isByteOrder(node.locale)) throw notSupported(`COLLATE ${node.locale} is not supported`, node.pos);
  const operand = analysis.type(node.operand, desired ?? Type.String);
  if (operand.type.family === 'string' || operand.type.family === 'unknown') return operand;
  throw new StatementError(SqlState.DatatypeMismatch, `incompatible type for COLLATE: ${familyName(operand.type)}`, {
    location: { position: node.pos + 1 },
  });
}

function field(analysis: Analysis, node: ast.FieldExpr): TypedExpr {
  if (!node.field) throw notSupported('expanding a tuple with .* is not supported here', node.pos);
  const operand = analysis.type(node.operand);
  const name = node.field.text;
  const index = operand.type.labels?.indexOf(name) ?? -1;
  const type = operand.type.fields?.[index];
  if (!type) {
    const message =
      operand.type.family === 'tuple'
        ? `could not identify column "${name}" in ${familyName(operand.type)}`
        : `type ${familyName(operand.type)} is not composite`;
    throw new StatementError(SqlState.DatatypeMismatch, message, { location: { position: node.field.pos + 1 } });
  }
  return { kind: 'field', type, operand, index, name };
}
