/**
 * Expressions as SQL text, with the parentheses that precedence asks for and no others.
 *
 * Round trip: parsing what is printed gives an equal tree, positions aside.
 */
import type { BinaryExpr, CallExpr, Expr, FrameBound, Option, OrderItem, SelectStatement, TypedLiteral, WindowSpec } from '../ast.ts';
import { toHex } from '../../../base/bytes.ts';
import { CHAIN_MAX } from '../grammar/cursor.ts';
import { binaryPower, Power } from '../grammar/expressions.ts';
import { printName, printObjectName, printOption, printType, quoteFunctionName, quoteName, quoteString } from './names.ts';
import { nestedPrinters } from './nested.ts';
import type { PrintOptions } from './options.ts';

/** Tighter than any operator: what needs no parentheses anywhere. */
const PRIMARY = 20;

function powerOf(expr: Expr): number {
  switch (expr.kind) {
    case 'binary':
      return binaryPower[expr.op];
    case 'unary':
      return expr.op === 'not' ? Power.not : Power.unary;
    case 'like':
    case 'between':
    case 'inList':
    case 'inSubquery':
      return Power.like;
    case 'quantified':
      return expr.op in binaryPower ? binaryPower[expr.op as keyof typeof binaryPower] : Power.like;
    case 'isNull':
    case 'isTruth':
    case 'isDistinct':
    case 'isOfType':
      return Power.is;
    case 'cast':
    case 'annotate':
    case 'subscript':
      return Power.postfix;
    case 'collate':
      return Power.collate;
    default:
      return PRIMARY;
  }
}

/** `min`: the least binding power that needs no parentheses here. */
export function printExpr(expr: Expr, options: PrintOptions = {}, min = 0): string {
  const replaced = options.replace?.(expr);
  if (replaced !== undefined) return replaced;
  const text = printBare(expr, options);
  return powerOf(expr) < min ? `(${text})` : text;
}

export function printExprs(exprs: readonly Expr[], options: PrintOptions): string {
  return exprs.map((expr) => printExpr(expr, options)).join(', ');
}

const negation = (negated: boolean): string => (negated ? 'NOT ' : '');
const likeWords = { like: 'LIKE', ilike: 'ILIKE', similarTo: 'SIMILAR TO' } as const;
const quantifiedWords: Record<string, string> = { like: 'LIKE', notLike: 'NOT LIKE', ilike: 'ILIKE', notIlike: 'NOT ILIKE' };

/** B'101' has a spelling of its own. */
function isBitString({ type, value }: TypedLiteral): boolean {
  return type.name.parts.length === 1 && type.name.parts[0]?.text === 'varbit' && type.args.length === 0 && /^[01]*$/.test(value);
}

function printBare(expr: Expr, o: PrintOptions): string {
  const p = (operand: Expr, min = 0): string => printExpr(operand, o, min);
  const query = (select: SelectStatement): string => `(${nestedPrinters.select(select, o)})`;
  switch (expr.kind) {
    case 'number':
      return expr.text;
    case 'string':
      return quoteString(expr.value);
    case 'bytes':
      return `x'${toHex(expr.value)}'`;
    case 'null':
      return 'NULL';
    case 'boolean':
      return expr.value ? 'true' : 'false';
    case 'default':
      return 'DEFAULT';
    case 'typedLiteral': {
      if (isBitString(expr)) return `B${quoteString(expr.value)}`;
      const fields = expr.type.intervalFields;
      const type = printType(fields === undefined ? expr.type : { ...expr.type, intervalFields: undefined });
      return `${type} ${quoteString(expr.value)}${fields === undefined ? '' : ` ${fields}`}`;
    }
    case 'column':
      return expr.ordinal === undefined ? expr.parts.map(printName).join('.') : `@${expr.ordinal}`;
    case 'star':
      return expr.qualifier === undefined ? '*' : `${printObjectName(expr.qualifier)}.*`;
    case 'placeholder':
      return `$${expr.index}`;
    case 'unary': {
      if (expr.op === 'not') return `NOT ${p(expr.operand, Power.not)}`;
      const operand = p(expr.operand, Power.unary);
      // Two minus signs in a row would begin a comment.
      return operand.startsWith(expr.op) ? `${expr.op} ${operand}` : `${expr.op}${operand}`;
    }
    case 'binary':
      return printBinary(expr, o);
    case 'like': {
      const escapeClause = expr.escape === undefined ? '' : ` ESCAPE ${p(expr.escape, Power.like + 1)}`;
      return `${p(expr.operand, Power.like + 1)} ${negation(expr.negated)}${likeWords[expr.op]} ${p(expr.pattern, Power.like + 1)}${escapeClause}`;
    }
    case 'isNull':
      return `${p(expr.operand, Power.is)} IS ${negation(expr.negated)}NULL`;
    case 'isTruth':
      return `${p(expr.operand, Power.is)} IS ${negation(expr.negated)}${expr.value ? 'TRUE' : 'FALSE'}`;
    case 'isDistinct':
      return `${p(expr.left, Power.is)} IS ${negation(expr.negated)}DISTINCT FROM ${p(expr.right, Power.is + 1)}`;
    case 'isOfType':
      return `${p(expr.operand, Power.is)} IS ${negation(expr.negated)}OF (${expr.types.map(printType).join(', ')})`;
    case 'between': {
      const symmetric = expr.symmetric ? 'SYMMETRIC ' : '';
      const min = Power.like + 1;
      return `${p(expr.operand, min)} ${negation(expr.negated)}BETWEEN ${symmetric}${p(expr.low, min)} AND ${p(expr.high, min)}`;
    }
    case 'inList':
      return `${p(expr.operand, Power.like + 1)} ${negation(expr.negated)}IN (${printExprs(expr.list, o)})`;
    case 'inSubquery':
      return `${p(expr.operand, Power.like + 1)} ${negation(expr.negated)}IN ${query(expr.query)}`;
    case 'quantified': {
      const op = quantifiedWords[expr.op] ?? expr.op;
      return `${p(expr.left, powerOf(expr) + 1)} ${op} ${expr.quantifier.toUpperCase()} (${p(expr.right)})`;
    }
    case 'cast':
      return `${p(expr.operand, Power.postfix)}::${printType(expr.type)}`;
    case 'annotate':
      return `${p(expr.operand, Power.postfix)}:::${printType(expr.type)}`;
    case 'collate':
      return `${p(expr.operand, Power.collate)} COLLATE ${quoteName(expr.locale)}`;
    case 'field':
      return `(${p(expr.operand)}).${expr.field === undefined ? '*' : printName(expr.field)}`;
    case 'subscript': {
      // After a cast a bracket would belong to the type.
      const operand = p(expr.operand, expr.operand.kind === 'subscript' ? Power.postfix : PRIMARY);
      const low = expr.low === undefined ? '' : p(expr.low);
      if (!expr.isSlice) return `${operand}[${low}]`;
      return `${operand}[${low}:${expr.high === undefined ? '' : p(expr.high)}]`;
    }
    case 'case': {
      const operand = expr.operand === undefined ? '' : ` ${p(expr.operand)}`;
      const whens = expr.whens.map(({ when, then }) => ` WHEN ${p(when)} THEN ${p(then)}`).join('');
      return `CASE${operand}${whens}${expr.otherwise === undefined ? '' : ` ELSE ${p(expr.otherwise)}`} END`;
    }
    case 'coalesce':
      return `${expr.isIfNull ? 'IFNULL' : 'COALESCE'}(${printExprs(expr.args, o)})`;
    case 'nullIf':
      return `NULLIF(${p(expr.left)}, ${p(expr.right)})`;
    case 'if':
      return `IF(${p(expr.condition)}, ${p(expr.then)}, ${p(expr.otherwise)})`;
    case 'call':
      return printCall(expr, o);
    case 'array':
      return `ARRAY[${printExprs(expr.elements, o)}]`;
    case 'arraySubquery':
      return `ARRAY${query(expr.query)}`;
    case 'tuple': {
      const body = `(${printExprs(expr.elements, o)}${expr.elements.length === 1 ? ',' : ''})`;
      return expr.labels.length === 0 ? body : `(${body} AS ${expr.labels.map(printName).join(', ')})`;
    }
    case 'exists':
      return `EXISTS ${query(expr.query)}`;
    case 'subquery':
      return query(expr.query);
  }
}

/** A chain of operators of one power, however long: its left spine is walked, not recursed into. */
/** The terms of a chain of ANDs or ORs, in order, however the parser has made a tree of it. */
function termsOf(expr: BinaryExpr): Expr[] {
  const terms: Expr[] = [];
  const rest: Expr[] = [expr];
  for (let next = rest.pop(); next; next = rest.pop()) {
    if (next.kind === 'binary' && next.op === expr.op) rest.push(next.right, next.left);
    else terms.push(next);
  }
  return terms;
}

function printBinary(expr: BinaryExpr, o: PrintOptions): string {
  const power = binaryPower[expr.op];
  const terms = expr.op === 'and' || expr.op === 'or' ? termsOf(expr) : [];
  if (terms.length > CHAIN_MAX) return terms.map((term) => printExpr(term, o, power + 1)).join(` ${expr.op.toUpperCase()} `);
  const associates = power !== Power.comparison && power !== Power.like;
  const parts: string[] = [];
  let left: Expr = expr;
  do {
    parts.push(` ${left.op === '<>' ? '!=' : left.op.toUpperCase()} ${printExpr(left.right, o, power + 1)}`);
    left = left.left;
  } while (associates && left.kind === 'binary' && binaryPower[left.op] === power && o.replace?.(left) === undefined);
  return printExpr(left, o, associates ? power : power + 1) + parts.reverse().join('');
}

/** Names that are called though the word is reserved, or begins no other call. */
const calledBare = new Set(
  'current_timestamp current_date current_time localtimestamp localtime char extract_duration greatest grouping iferror iserror least treat substring overlay'.split(
    ' ',
  ),
);
const calledEmpty = new Set(['current_user', 'session_user', 'current_schema']);

function printCall(call: CallExpr, o: PrintOptions): string {
  const only = call.name.parts.length === 1 ? call.name.parts[0]?.text : undefined;
  const plain = !call.star && !call.distinct && call.orderBy.length === 0 && call.filter === undefined && call.over === undefined;
  if (plain && only === 'extract' && call.args.length === 2 && call.args[0]?.kind === 'string') {
    return `extract(${quoteString(call.args[0].value)} FROM ${printExpr(call.args[1] as Expr, o)})`;
  }
  const special =
    plain && only !== undefined && (calledEmpty.has(only) ? call.args.length === 0 : calledBare.has(only) && call.args.length > 0);
  const dateTime =
    plain && only !== undefined && call.args.length === 0 && /^(current_(timestamp|date|time)|localtime(stamp)?)$/.test(only);
  const name = only === undefined ? printObjectName(call.name) : special || dateTime ? only : quoteFunctionName(only);
  const args = call.star
    ? '*'
    : `${call.distinct ? 'DISTINCT ' : ''}${printExprs(call.args, o)}${call.orderBy.length > 0 && !call.withinGroup ? ` ${printOrderBy(call.orderBy, o)}` : ''}`;
  const group = call.withinGroup ? ` WITHIN GROUP (${printOrderBy(call.orderBy, o)})` : '';
  const filter = call.filter === undefined ? '' : ` FILTER (WHERE ${printExpr(call.filter, o)})`;
  return `${name}(${args})${group}${filter}${call.over === undefined ? '' : ` OVER ${printWindow(call.over, o)}`}`;
}

/** `ORDER BY a, b DESC NULLS LAST`. */
export function printOrderBy(items: readonly OrderItem[], o: PrintOptions): string {
  return `ORDER BY ${items.map((item) => printExpr(item.expr, o) + direction(item.descending, item.nulls)).join(', ')}`;
}

export function direction(descending: boolean, nulls: 'first' | 'last' | undefined): string {
  return `${descending ? ' DESC' : ''}${nulls === undefined ? '' : ` NULLS ${nulls.toUpperCase()}`}`;
}

const frameWords = {
  unboundedPreceding: 'UNBOUNDED PRECEDING',
  preceding: 'PRECEDING',
  currentRow: 'CURRENT ROW',
  following: 'FOLLOWING',
  unboundedFollowing: 'UNBOUNDED FOLLOWING',
} as const;
const excludeWords = { currentRow: 'CURRENT ROW', group: 'GROUP', ties: 'TIES' } as const;

export function printWindow(window: WindowSpec, o: PrintOptions): string {
  if (window.isReference && window.base !== undefined) return printName(window.base);
  const bound = (b: FrameBound): string =>
    b.offset === undefined ? frameWords[b.type] : `${printExpr(b.offset, o)} ${frameWords[b.type]}`;
  const parts: string[] = [];
  if (window.base !== undefined) parts.push(printName(window.base));
  if (window.partitionBy.length > 0) parts.push(`PARTITION BY ${printExprs(window.partitionBy, o)}`);
  if (window.orderBy.length > 0) parts.push(printOrderBy(window.orderBy, o));
  if (window.frame !== undefined) {
    const { mode, start, end, exclude } = window.frame;
    const extent = end === undefined ? bound(start) : `BETWEEN ${bound(start)} AND ${bound(end)}`;
    parts.push(`${mode.toUpperCase()} ${extent}${exclude === undefined ? '' : ` EXCLUDE ${excludeWords[exclude]}`}`);
  }
  return `(${parts.join(' ')})`;
}

/** `a = 1, b`: storage parameters and options whose values are shown as they are. */
export function printOptionList(options: readonly Option[], o: PrintOptions): string {
  return options.map((option) => printOption(option, ({ value }) => (value === undefined ? '' : printExpr(value, o)))).join(', ');
}
