/**
 * Operands of expressions: literals, names, calls, parentheses, and the forms with keywords of
 * their own. Plain code on the cursor.
 *
 * Calls with special syntax come out as plain calls (see CallExpr in ast.ts).
 */
import { asBytes } from '../../../base/bytes.ts';
import type { CallExpr, Expr, Name, OrderItem, SelectStatement, TypeName } from '../ast.ts';
import { nameClass, T } from '../tokens.ts';
import type { Cursor } from './cursor.ts';
import { parseIntervalFields, parseTypeName } from './types.ts';
import { parseOver } from './windows.ts';

/** Parameters of a statement: what the protocol can count. */
export const PARAMETERS_MAX = 65_535;

/** A call of a built-in function that has its own syntax. */
export function builtin(name: string, args: Expr[], pos: number): CallExpr {
  const objectName = { parts: [{ text: name, pos }], pos };
  return { kind: 'call', name: objectName, args, distinct: false, star: false, orderBy: [], filter: undefined, over: undefined, pos };
}

export function parsePrimary(c: Cursor): Expr {
  const token = c.token;
  const pos = token.startOffset;
  switch (token.type) {
    case T.Integer:
      c.index++;
      return { kind: 'number', text: token.image, isInteger: true, pos };
    case T.Decimal:
      c.index++;
      return { kind: 'number', text: token.image, isInteger: false, pos };
    case T.String:
      c.index++;
      return { kind: 'string', value: token.image, pos };
    case T.Bytes:
      c.index++;
      return { kind: 'bytes', value: asBytes(token.image), pos };
    case T.At: {
      c.index++;
      const { image } = c.token;
      c.expect(T.Integer);
      return { kind: 'column', parts: [{ text: `@${image}`, pos }], ordinal: Number(image), pos };
    }
    case T.Bits:
      c.index++;
      return { kind: 'typedLiteral', type: bitsType(pos), value: token.image, pos };
    case T.NULL:
      c.index++;
      return { kind: 'null', pos };
    case T.TRUE:
    case T.FALSE:
      c.index++;
      return { kind: 'boolean', value: token.type === T.TRUE, pos };
    case T.DEFAULT:
      c.index++;
      return { kind: 'default', pos };
    case T.Placeholder:
      return parsePlaceholder(c);
    case T.LParen:
      return parseFieldAccess(c, parseParenthesizedExpr(c));
    case T.CASE:
      return parseCase(c);
    case T.CAST: {
      c.index++;
      c.expect(T.LParen);
      const operand = c.expr();
      c.expect(T.AS);
      const type = parseTypeName(c);
      c.expect(T.RParen);
      return { kind: 'cast', operand, type, pos };
    }
    case T.ARRAY:
      return parseArray(c);
    case T.CURRENT_TIMESTAMP:
    case T.CURRENT_DATE:
    case T.CURRENT_TIME:
    case T.LOCALTIMESTAMP:
    case T.LOCALTIME:
      c.index++;
      return builtin(token.image, c.at(T.LParen) ? parseArgs(c) : [], pos);
    case T.CURRENT_USER:
    case T.CURRENT_ROLE:
    case T.SESSION_USER:
    case T.USER:
    case T.CURRENT_CATALOG:
    case T.CURRENT_SCHEMA: {
      c.index++;
      if (c.at(T.LParen)) parseEmptyArgs(c);
      return builtin(keywordFunctions[token.image] ?? token.image, [], pos);
    }
    default:
      return parseWord(c);
  }
}

const keywordFunctions: Record<string, string> = {
  user: 'current_user',
  current_role: 'current_user',
  current_catalog: 'current_database',
};

function parsePlaceholder(c: Cursor): Expr {
  const token = c.next();
  const index = Number(token.image);
  if (index < 1 || index > PARAMETERS_MAX) throw c.errorSaying(`placeholder index must be between 1 and ${PARAMETERS_MAX}`, token);
  if (index > c.placeholderMax) c.placeholderMax = index;
  return { kind: 'placeholder', index, pos: token.startOffset };
}

/** Everything that begins with a word that is no keyword of its own everywhere. */
function parseWord(c: Cursor): Expr {
  const token = c.token;
  const pos = token.startOffset;
  const kind = nameClass(token);
  if (kind === undefined || kind === 'reserved') throw c.error();
  const next = c.peek(1).type;
  if (next === T.String && kind !== 'functionName') return parseTypedLiteral(c);
  if (next === T.LParen) {
    const special = parseSpecialCall(c);
    if (special !== undefined) return special;
  }
  if (token.type === T.ROW && next === T.LParen) {
    c.index += 2;
    const inner = parseParenthesized(c);
    if (inner.query !== undefined) throw c.error(token);
    return { kind: 'tuple', elements: inner.items, labels: inner.labels, pos };
  }
  if (beginsLongType(c)) return parseTypedLiteral(c);
  if (kind === 'columnName' && next === T.LParen && !callableColumnNames.has(token.image)) throw c.error(c.peek(1));
  return parseNameOrCall(c, kind === 'functionName');
}

/** Column-name keywords that are called like any function. */
const callableColumnNames = new Set(['char', 'extract_duration', 'greatest', 'grouping', 'iferror', 'iserror', 'least', 'treat']);

/** TIMESTAMP WITH TIME ZONE '..', TIMESTAMP(3) '..', DOUBLE PRECISION '..', DECIMAL(5,2) '..', VARCHAR(3) '..'. */
function beginsLongType(c: Cursor): boolean {
  const type = c.token.type;
  const next = c.peek(1).type;
  if (type === T.TIME || type === T.TIMESTAMP) {
    if ((next === T.WITH || next === T.WITHOUT) && c.atAt(2, T.TIME)) return true;
  }
  if (type === T.DOUBLE) return next === T.PRECISION && c.atAt(2, T.String);
  if (type === T.CHARACTER || type === T.CHAR || type === T.BIT) {
    if (next === T.VARYING) return true;
  }
  if (next !== T.LParen || nameClass(c.token) !== 'columnName' || !c.atAt(2, T.Integer)) return false;
  const close = c.atAt(3, T.Comma) ? 5 : 3;
  return c.atAt(close, T.RParen) && (c.atAt(close + 1, T.String) || c.atAt(close + 1, T.WITH) || c.atAt(close + 1, T.WITHOUT));
}

function bitsType(pos: number): TypeName {
  return { kind: 'typeName', name: { parts: [{ text: 'varbit', pos }], pos }, args: [], isArray: false, pos };
}

function parseTypedLiteral(c: Cursor): Expr {
  const pos = c.pos;
  let type: TypeName = parseTypeName(c);
  const value = c.stringText();
  if (type.name.parts.length === 1 && type.name.parts[0]?.text === 'interval' && type.intervalFields === undefined) {
    const intervalFields = parseIntervalFields(c);
    if (intervalFields !== undefined) type = { ...type, intervalFields };
  }
  return { kind: 'typedLiteral', type, value, pos };
}

/** Calls with syntax of their own; undefined when the word before `(` is not one of them. */
function parseSpecialCall(c: Cursor): Expr | undefined {
  const pos = c.pos;
  switch (c.token.type) {
    case T.COALESCE:
    case T.IFNULL: {
      const isIfNull = c.next().type === T.IFNULL;
      const args = parseArgs(c);
      if (args.length === 0 || (isIfNull && args.length !== 2)) throw c.error(c.peek(-1));
      return { kind: 'coalesce', ...(isIfNull && { isIfNull }), args, pos };
    }
    case T.NULLIF: {
      c.index++;
      const [left, right, third] = parseArgs(c);
      if (left === undefined || right === undefined || third !== undefined) throw c.error(c.peek(-1));
      return { kind: 'nullIf', left, right, pos };
    }
    case T.IF: {
      c.index++;
      const [condition, then, otherwise, fourth] = parseArgs(c);
      if (condition === undefined || then === undefined || otherwise === undefined || fourth !== undefined) throw c.error(c.peek(-1));
      return { kind: 'if', condition, then, otherwise, pos };
    }
    case T.EXISTS: {
      c.index++;
      const open = c.expect(T.LParen);
      const inner = parseParenthesized(c);
      if (inner.query === undefined) throw c.error(open);
      return { kind: 'exists', query: inner.query, pos };
    }
    case T.EXTRACT: {
      c.index += 2;
      const field: Expr = { kind: 'string', value: c.at(T.String) ? c.next().image : c.label().text, pos: c.peek(-1).startOffset };
      c.expect(T.FROM);
      return finishCall(c, 'extract', [field, c.expr()], pos);
    }
    case T.SUBSTRING:
      return parseSubstring(c);
    case T.POSITION: {
      c.index += 2;
      const needle = c.expr(7);
      c.expect(T.IN);
      return finishCall(c, 'strpos', [c.expr(7), needle], pos);
    }
    case T.TRIM: {
      c.index += 2;
      const side = c.at(T.LEADING) || c.at(T.TRAILING) || c.at(T.BOTH) ? c.next().type : T.BOTH;
      const name = side === T.LEADING ? 'ltrim' : side === T.TRAILING ? 'rtrim' : 'btrim';
      if (c.accept(T.FROM)) return finishCall(c, name, [c.expr()], pos);
      const first = c.expr();
      if (c.accept(T.FROM)) return finishCall(c, name, [c.expr(), first], pos);
      return finishCall(c, name, c.accept(T.Comma) ? [first, ...c.list(() => c.expr())] : [first], pos);
    }
    case T.OVERLAY: {
      c.index += 2;
      const args = [c.expr()];
      if (c.accept(T.Comma)) return finishCall(c, 'overlay', [...args, ...c.list(() => c.expr())], pos);
      c.expect(T.PLACING);
      args.push(c.expr());
      c.expect(T.FROM);
      args.push(c.expr());
      if (c.accept(T.FOR)) args.push(c.expr());
      return finishCall(c, 'overlay', args, pos);
    }
    case T.ANNOTATE_TYPE: {
      c.index += 2;
      const operand = c.expr();
      c.expect(T.Comma);
      const type = parseTypeName(c);
      c.expect(T.RParen);
      return { kind: 'annotate', operand, type, pos };
    }
    default:
      return undefined;
  }
}

function finishCall(c: Cursor, name: string, args: Expr[], pos: number): Expr {
  c.expect(T.RParen);
  return builtin(name, args, pos);
}

function parseSubstring(c: Cursor): Expr {
  const pos = c.pos;
  c.index += 2;
  const text = c.expr();
  if (c.accept(T.Comma)) return finishCall(c, 'substring', [text, ...c.list(() => c.expr())], pos);
  let from: Expr | undefined;
  let length: Expr | undefined;
  for (;;) {
    if (from === undefined && c.accept(T.FROM)) from = c.expr();
    else if (length === undefined && c.accept(T.FOR)) length = c.expr();
    else break;
  }
  if (from === undefined && length === undefined) throw c.error();
  from ??= { kind: 'number', text: '1', isInteger: true, pos };
  return finishCall(c, 'substring', length === undefined ? [text, from] : [text, from, length], pos);
}

function parseEmptyArgs(c: Cursor): void {
  c.expect(T.LParen);
  c.expect(T.RParen);
}

/** `(a, b)` or `()` after a function's name. */
function parseArgs(c: Cursor): Expr[] {
  c.expect(T.LParen);
  if (c.accept(T.RParen)) return [];
  const args = c.list(() => c.expr());
  c.expect(T.RParen);
  return args;
}

/** A column reference, `t.*`, or a call. */
function parseNameOrCall(c: Cursor, mustCall: boolean): Expr {
  const first = c.next();
  const pos = first.startOffset;
  const parts: Name[] = [{ text: first.image, pos }];
  while (c.at(T.Dot)) {
    c.index++;
    if (c.accept(T.Star)) return { kind: 'star', qualifier: { parts, pos }, pos };
    if (parts.length === 4) throw c.error();
    parts.push(c.label());
  }
  if (c.at(T.LParen)) return parseCall(c, parts, pos);
  if (mustCall) throw c.error(parts.length === 1 ? first : undefined);
  return { kind: 'column', parts, pos };
}

/** Arguments and clauses of a call whose name has been read. */
function parseCall(c: Cursor, parts: Name[], pos: number): CallExpr {
  c.expect(T.LParen);
  let args: Expr[] = [];
  let star = false;
  let distinct = false;
  let orderBy: OrderItem[] = [];
  if (c.accept(T.Star)) {
    star = true;
  } else if (!c.at(T.RParen)) {
    if (c.at(T.VARIADIC)) throw c.unimplemented('VARIADIC arguments');
    distinct = c.accept(T.DISTINCT);
    if (!distinct) c.accept(T.ALL);
    args = c.list(() => c.expr());
    if (c.at(T.ORDER)) {
      c.index++;
      c.expect(T.BY);
      orderBy = c.nested.orderItems();
    }
  }
  c.expect(T.RParen);
  let withinGroup = false;
  if (orderBy.length === 0 && c.accept(T.WITHIN)) {
    c.expect(T.GROUP);
    c.expect(T.LParen);
    c.expect(T.ORDER);
    c.expect(T.BY);
    orderBy = c.nested.orderItems();
    c.expect(T.RParen);
    withinGroup = true;
  }
  let filter: Expr | undefined;
  if (c.at(T.FILTER) && c.atAt(1, T.LParen)) {
    c.index += 2;
    c.expect(T.WHERE);
    filter = c.expr();
    c.expect(T.RParen);
  }
  const over = c.accept(T.OVER) ? parseOver(c) : undefined;
  return { kind: 'call', name: { parts, pos }, args, distinct, star, orderBy, ...(withinGroup && { withinGroup }), filter, over, pos };
}

function parseCase(c: Cursor): Expr {
  const pos = c.expect(T.CASE).startOffset;
  const operand = c.at(T.WHEN) ? undefined : c.expr();
  const whens: { when: Expr; then: Expr }[] = [];
  do {
    c.expect(T.WHEN);
    const when = c.expr();
    c.expect(T.THEN);
    whens.push({ when, then: c.expr() });
  } while (c.at(T.WHEN));
  const otherwise = c.accept(T.ELSE) ? c.expr() : undefined;
  c.expect(T.END);
  return { kind: 'case', operand, whens, otherwise, pos };
}

function parseArray(c: Cursor): Expr {
  const pos = c.expect(T.ARRAY).startOffset;
  if (c.accept(T.LParen)) {
    const open = c.peek(-1);
    const inner = parseParenthesized(c);
    if (inner.query === undefined) throw c.error(open);
    return { kind: 'arraySubquery', query: inner.query, pos };
  }
  return parseArrayElements(c, pos);
}

function parseArrayElements(c: Cursor, pos: number): Expr {
  c.enter();
  c.expect(T.LBracket);
  const element = (): Expr => (c.at(T.LBracket) ? parseArrayElements(c, c.pos) : c.expr());
  const elements = c.at(T.RBracket) ? [] : c.list(element);
  c.expect(T.RBracket);
  c.leave();
  return { kind: 'array', elements, pos };
}

// ---- parentheses ------------------------------------------------------------------------------

/** What stands between parentheses: a query, or a list of expressions. */
export interface Parenthesized {
  readonly query: SelectStatement | undefined;
  readonly items: Expr[];
  /** `(a,)` is a tuple of one. */
  readonly trailingComma: boolean;
  readonly labels: Name[];
}

/** True when a query starts here, not counting opening parentheses. */
export function atQuery(c: Cursor): boolean {
  return c.at(T.SELECT) || c.at(T.WITH) || c.at(T.TABLE) || (c.at(T.VALUES) && c.atAt(1, T.LParen));
}

/** After a query in parentheses: what makes it the first part of a larger query. */
function continuesQuery(c: Cursor): boolean {
  switch (c.token.type) {
    case T.UNION:
    case T.INTERSECT:
    case T.EXCEPT:
    case T.ORDER:
    case T.LIMIT:
    case T.OFFSET:
    case T.FETCH:
    case T.FOR:
      return true;
    default:
      return false;
  }
}

/** The inside of parentheses whose `(` has been read, up to and with the `)`. */
export function parseParenthesized(c: Cursor): Parenthesized {
  c.enter();
  const result = parseInside(c);
  c.expect(T.RParen);
  c.leave();
  return result;
}

function parseInside(c: Cursor): Parenthesized {
  const ofQuery = (query: SelectStatement): Parenthesized => ({ query, items: [], trailingComma: false, labels: [] });
  if (atQuery(c)) return ofQuery(c.nested.query());
  if (c.at(T.RParen)) return { query: undefined, items: [], trailingComma: false, labels: [] };
  const first = c.expr();
  // `((SELECT ...) UNION ...)`: the expression read so far is the query's first operand.
  if (first.kind === 'subquery') {
    if (continuesQuery(c)) return ofQuery(c.nested.query(first.query));
    if (c.at(T.RParen)) return ofQuery(first.query);
  }
  const items = [first];
  let trailingComma = false;
  while (c.accept(T.Comma)) {
    if (c.at(T.RParen)) {
      trailingComma = true;
      break;
    }
    items.push(c.expr());
  }
  const labels = c.accept(T.AS) ? c.list(() => c.label()) : [];
  return { query: undefined, items, trailingComma, labels };
}

function parseParenthesizedExpr(c: Cursor): Expr {
  const pos = c.expect(T.LParen).startOffset;
  const inner = parseParenthesized(c);
  if (inner.query !== undefined) return { kind: 'subquery', query: inner.query, pos };
  const only = inner.items[0];
  if (only === undefined || inner.items.length > 1 || inner.trailingComma) {
    return { kind: 'tuple', elements: inner.items, labels: inner.labels, pos };
  }
  if (inner.labels.length === 0) return only;
  return only.kind === 'tuple' ? { ...only, labels: inner.labels } : { kind: 'tuple', elements: [only], labels: inner.labels, pos };
}

/** `(e).f`, `(e).*`. */
function parseFieldAccess(c: Cursor, operand: Expr): Expr {
  while (c.at(T.Dot)) {
    const pos = c.next().startOffset;
    if (c.accept(T.Star)) return { kind: 'field', operand, field: undefined, pos };
    operand = { kind: 'field', operand, field: c.label(), pos };
  }
  return operand;
}
