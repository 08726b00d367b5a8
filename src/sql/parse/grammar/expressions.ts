/**
 * Expressions: precedence climbing over the shared cursor, in plain code.
 *
 * Each operator has a binding power; `parseExpr(c, min)` reads an operand and then operators as long
 * as they bind at least as strongly as `min`. The table is CockroachDB's (and so PostgreSQL's),
 * weakest first:
 *
 *    1 OR   2 AND   3 NOT   4 IS, ISNULL   5 < > = <= >= <>   6 LIKE IN BETWEEN ~   7 @> <@ ? && and so on
 *    8 || -> ->> #> #>> #-   9 |   10 #   11 &   12 << >>   13 + -   14 * / // %   15 ^   16 AT TIME ZONE
 *   17 COLLATE   18 unary - + ~   19 [ ] . :: :::
 *
 * Levels 5 and 6 do not associate: `a < b < c` is an error. Lives elsewhere: operands (primary.ts),
 * types (types.ts). Source of the method: V. Pratt, "Top down operator precedence", 1973.
 */
import type { BinaryOp, Expr, QuantifiedExpr } from '../ast.ts';
import { T } from '../tokens.ts';
import { CHAIN_MAX, type Cursor, LOGIC_CHAIN_MAX } from './cursor.ts';
import { builtin, parseParenthesized, parsePrimary } from './primary.ts';
import { parseTypeName } from './types.ts';

/** Binding powers; shared with the printer, which puts parentheses by them. */
export const Power = Object.freeze({
  or: 1,
  and: 2,
  not: 3,
  is: 4,
  comparison: 5,
  like: 6,
  contains: 7,
  concat: 8,
  bitOr: 9,
  bitXor: 10,
  bitAnd: 11,
  shift: 12,
  sum: 13,
  product: 14,
  power: 15,
  atTimeZone: 16,
  collate: 17,
  unary: 18,
  postfix: 19,
});

const ops: [string, BinaryOp, number][] = [
  ['OR', 'or', Power.or],
  ['AND', 'and', Power.and],
  ['Equal', '=', Power.comparison],
  ['NotEqual', '<>', Power.comparison],
  ['Less', '<', Power.comparison],
  ['LessEqual', '<=', Power.comparison],
  ['Greater', '>', Power.comparison],
  ['GreaterEqual', '>=', Power.comparison],
  ['Tilde', '~', Power.like],
  ['NotTilde', '!~', Power.like],
  ['TildeStar', '~*', Power.like],
  ['NotTildeStar', '!~*', Power.like],
  ['Contains', '@>', Power.contains],
  ['ContainedBy', '<@', Power.contains],
  ['Question', '?', Power.contains],
  ['QuestionPipe', '?|', Power.contains],
  ['QuestionAmp', '?&', Power.contains],
  ['AmpAmp', '&&', Power.contains],
  ['Concat', '||', Power.concat],
  ['Arrow', '->', Power.concat],
  ['ArrowText', '->>', Power.concat],
  ['HashArrow', '#>', Power.concat],
  ['HashArrowText', '#>>', Power.concat],
  ['HashMinus', '#-', Power.concat],
  ['Pipe', '|', Power.bitOr],
  ['Hash', '#', Power.bitXor],
  ['Amp', '&', Power.bitAnd],
  ['ShiftLeft', '<<', Power.shift],
  ['ShiftRight', '>>', Power.shift],
  ['Plus', '+', Power.sum],
  ['Minus', '-', Power.sum],
  ['Star', '*', Power.product],
  ['Slash', '/', Power.product],
  ['FloorDiv', '//', Power.product],
  ['Percent', '%', Power.product],
  ['Caret', '^', Power.power],
];
/** Power of each binary operator: for the printer. */
export const binaryPower = Object.fromEntries(ops.map(([, op, power]) => [op, power])) as Record<BinaryOp, number>;

/** By token type: the power of the infix or postfix operator it begins, and 0 for what begins none. */
const infixPower: number[] = [];
const binaryOps: (BinaryOp | undefined)[] = [];
const typesByName = T as Record<string, (typeof T)['OR']>;
for (const [name, op, power] of ops) {
  infixPower[typesByName[name]!.index] = power;
  binaryOps[typesByName[name]!.index] = op;
}
const special: [string, number][] = [
  ['IS', Power.is],
  ['ISNULL', Power.is],
  ['NOTNULL', Power.is],
  ['LIKE', Power.like],
  ['ILIKE', Power.like],
  ['SIMILAR', Power.like],
  ['IN', Power.like],
  ['BETWEEN', Power.like],
  ['NOT', Power.like],
  ['LikeOp', Power.like],
  ['ILikeOp', Power.like],
  ['NotLikeOp', Power.like],
  ['NotILikeOp', Power.like],
  ['OPERATOR', Power.concat],
  ['AT', Power.atTimeZone],
  ['COLLATE', Power.collate],
  ['LBracket', Power.postfix],
  ['DoubleColon', Power.postfix],
  ['TripleColon', Power.postfix],
];
for (const [name, power] of special) infixPower[typesByName[name]!.index] = power;

/** An expression whose operators bind at least as strongly as `min`. */
export function parseExpr(c: Cursor, min = 0): Expr {
  c.enter();
  let left = parsePrefix(c, min);
  let limit: number = Power.postfix;
  let chain = 0;
  for (;;) {
    const token = c.token;
    const power = infixPower[token.type.index];
    if (power === undefined || power < min || power > limit) break;
    if (++chain > CHAIN_MAX) throw c.chainTooLong();
    const op = binaryOps[token.type.index];
    if (op === 'and' || op === 'or') left = parseLogic(c, left, op, power);
    else if (op !== undefined) {
      c.index++;
      const quantified = power === Power.comparison || power === Power.like ? tryQuantified(c, left, op, token.startOffset) : undefined;
      left = quantified ?? { kind: 'binary', op, left, right: parseExpr(c, power + 1), pos: token.startOffset };
    } else {
      const next = parseSpecial(c, left, power);
      if (next === undefined) break;
      left = next;
    }
    // What may follow: after a non-associating operator only looser ones, after IS none that is tighter.
    limit = power === Power.comparison || power === Power.like ? power - 1 : power === Power.is ? power : Power.postfix;
  }
  c.leave();
  return left;
}

/** `first AND second AND ...`, or ORs, as a tree that leans to the left, or of halves where that would be too deep. */
function parseLogic(c: Cursor, first: Expr, op: 'and' | 'or', power: number): Expr {
  const { type } = c.token;
  const terms = [first];
  const at: number[] = [];
  while (c.token.type === type) {
    if (terms.length > LOGIC_CHAIN_MAX) throw c.chainTooLong(LOGIC_CHAIN_MAX);
    at.push(c.token.startOffset);
    c.index++;
    terms.push(parseExpr(c, power + 1));
  }
  const join = (from: number, to: number): Expr => {
    if (to - from === 1) return terms[from] as Expr;
    const middle = terms.length <= CHAIN_MAX ? to - 1 : (from + to) >> 1;
    return { kind: 'binary', op, left: join(from, middle), right: join(middle, to), pos: at[middle - 1] as number };
  };
  return join(0, terms.length);
}

function parsePrefix(c: Cursor, min: number): Expr {
  const token = c.token;
  const pos = token.startOffset;
  switch (token.type) {
    case T.NOT: {
      if (min > Power.not) throw c.error();
      c.index++;
      return { kind: 'unary', op: 'not', operand: parseExpr(c, Power.not), pos };
    }
    case T.Minus:
      c.index++;
      return { kind: 'unary', op: '-', operand: parseExpr(c, Power.unary), pos };
    case T.Plus:
      c.index++;
      return { kind: 'unary', op: '+', operand: parseExpr(c, Power.unary), pos };
    case T.Tilde:
      c.index++;
      return { kind: 'unary', op: '~', operand: parseExpr(c, Power.unary), pos };
    case T.SquareRoot:
    case T.CubeRoot:
      c.index++;
      return builtin(token.type === T.CubeRoot ? 'cbrt' : 'sqrt', [parseExpr(c, Power.unary)], pos);
    default:
      return parsePrimary(c);
  }
}

/** Operators that are no plain pair of operands. Undefined: the token belongs to what follows the expression. */
function parseSpecial(c: Cursor, left: Expr, power: number): Expr | undefined {
  const token = c.token;
  const pos = token.startOffset;
  switch (token.type) {
    case T.DoubleColon:
      c.index++;
      return { kind: 'cast', operand: left, type: parseTypeName(c), pos };
    case T.TripleColon:
      c.index++;
      return { kind: 'annotate', operand: left, type: parseTypeName(c), pos };
    case T.LBracket:
      return parseSubscript(c, left);
    case T.COLLATE:
      c.index++;
      return { kind: 'collate', operand: left, locale: parseCollation(c), pos };
    case T.AT: {
      if (!c.atAt(1, T.TIME)) return undefined;
      c.index += 2;
      c.expect(T.ZONE);
      return builtin('timezone', [parseExpr(c, power + 1), left], pos);
    }
    case T.IS:
      c.index++;
      return parseIs(c, left, pos);
    case T.ISNULL:
    case T.NOTNULL:
      c.index++;
      return { kind: 'isNull', negated: token.type === T.NOTNULL, operand: left, pos };
    case T.OPERATOR:
      return parseQualifiedOperator(c, left);
    case T.NOT: {
      const after = c.peek(1).type;
      if (after !== T.LIKE && after !== T.ILIKE && after !== T.SIMILAR && after !== T.IN && after !== T.BETWEEN) return undefined;
      c.index++;
      return parseLikeFamily(c, left, true, pos);
    }
    default:
      return parseLikeFamily(c, left, false, pos);
  }
}

/** `a OPERATOR(pg_catalog.~) b`, as psql writes it: the operator itself, whatever the schema. */
function parseQualifiedOperator(c: Cursor, left: Expr): Expr {
  c.expect(T.OPERATOR);
  c.expect(T.LParen);
  while (c.atName()) {
    c.index++;
    c.expect(T.Dot);
  }
  const { type, startOffset: pos } = c.token;
  const op = binaryOps[type.index];
  if (op === undefined || op === 'and' || op === 'or') throw c.error();
  c.index++;
  c.expect(T.RParen);
  return tryQuantified(c, left, op, pos) ?? { kind: 'binary', op, left, right: parseExpr(c, Power.concat + 1), pos };
}

function parseLikeFamily(c: Cursor, operand: Expr, negated: boolean, pos: number): Expr {
  const type = c.next().type;
  switch (type) {
    case T.IN: {
      c.expect(T.LParen);
      const inner = parseParenthesized(c);
      if (inner.query !== undefined) return { kind: 'inSubquery', negated, operand, query: inner.query, pos };
      return { kind: 'inList', negated, operand, list: inner.items, pos };
    }
    case T.BETWEEN: {
      const symmetric = c.accept(T.SYMMETRIC);
      if (!symmetric) c.accept(T.ASYMMETRIC);
      const low = parseExpr(c, Power.like + 1);
      c.expect(T.AND);
      return { kind: 'between', negated, symmetric, operand, low, high: parseExpr(c, Power.like + 1), pos };
    }
    case T.SIMILAR:
      c.expect(T.TO);
      return finishLike(c, operand, 'similarTo', negated, pos);
    default: {
      if (type === T.NotLikeOp || type === T.NotILikeOp) negated = true;
      const ignoreCase = type === T.ILIKE || type === T.ILikeOp || type === T.NotILikeOp;
      const op = negated ? (ignoreCase ? 'notIlike' : 'notLike') : ignoreCase ? 'ilike' : 'like';
      return tryQuantified(c, operand, op, pos) ?? finishLike(c, operand, ignoreCase ? 'ilike' : 'like', negated, pos);
    }
  }
}

function finishLike(c: Cursor, operand: Expr, op: 'like' | 'ilike' | 'similarTo', negated: boolean, pos: number): Expr {
  const pattern = parseExpr(c, Power.like + 1);
  return { kind: 'like', op, negated, operand, pattern, escape: c.accept(T.ESCAPE) ? parseExpr(c, Power.like + 1) : undefined, pos };
}

/** ANY, SOME or ALL with its right side, when one stands here; only an array may do without parentheses. */
function tryQuantified(c: Cursor, left: Expr, op: QuantifiedExpr['op'], pos: number): Expr | undefined {
  if (!c.at(T.ANY) && !c.at(T.SOME) && !c.at(T.ALL)) return undefined;
  const quantifier = c.next().type === T.ALL ? 'all' : 'any';
  if (!c.at(T.LParen)) return { kind: 'quantified', op, quantifier, left, right: parseExpr(c, Power.like + 1), pos };
  const open = c.next().startOffset;
  const inner = parseParenthesized(c);
  let right: Expr;
  if (inner.query !== undefined) right = { kind: 'subquery', query: inner.query, pos: open };
  else if (inner.items.length === 1 && !inner.trailingComma) right = inner.items[0] as Expr;
  else right = { kind: 'tuple', elements: inner.items, labels: [], pos: open };
  return { kind: 'quantified', op, quantifier, left, right, pos };
}

function parseIs(c: Cursor, operand: Expr, pos: number): Expr {
  const negated = c.accept(T.NOT);
  const token = c.token;
  switch (token.type) {
    case T.NULL:
    case T.UNKNOWN:
      c.index++;
      return { kind: 'isNull', negated, operand, pos };
    case T.TRUE:
    case T.FALSE:
      c.index++;
      return { kind: 'isTruth', negated, value: token.type === T.TRUE, operand, pos };
    case T.NAN: {
      c.index++;
      const type = { kind: 'typeName', name: { parts: [{ text: 'float8', pos }], pos }, args: [], isArray: false, pos } as const;
      const nan: Expr = { kind: 'cast', operand: { kind: 'string', value: 'NaN', pos }, type, pos };
      return { kind: 'binary', op: negated ? '<>' : '=', left: operand, right: nan, pos };
    }
    case T.DISTINCT:
      c.index++;
      c.expect(T.FROM);
      return { kind: 'isDistinct', negated, left: operand, right: parseExpr(c, Power.is + 1), pos };
    case T.OF: {
      c.index++;
      c.expect(T.LParen);
      const types = c.list(() => parseTypeName(c));
      c.expect(T.RParen);
      return { kind: 'isOfType', negated, operand, types, pos };
    }
    default:
      throw c.error();
  }
}

function parseSubscript(c: Cursor, operand: Expr): Expr {
  const pos = c.expect(T.LBracket).startOffset;
  const low = c.at(T.Colon) ? undefined : parseExpr(c);
  if (!c.accept(T.Colon)) {
    c.expect(T.RBracket);
    return { kind: 'subscript', operand, isSlice: false, low, high: undefined, pos };
  }
  const high = c.at(T.RBracket) ? undefined : parseExpr(c);
  c.expect(T.RBracket);
  return { kind: 'subscript', operand, isSlice: true, low, high, pos };
}

/** A collation's name: identifier or string, `-` written as `_` in the unquoted form is kept as is. */
export function parseCollation(c: Cursor): string {
  if (c.at(T.String)) return c.next().image;
  let name = c.name();
  while (c.accept(T.Dot)) name = c.label();
  return name.text;
}
