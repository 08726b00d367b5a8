/**
 * Cursor: the place in the token list that all parsers of one text share.
 *
 * A statement-family parser (base.ts, on Chevrotain) and the expression parser (expressions.ts, in
 * plain code) hand the same cursor to and fro: that is what lets a family's grammar stay small, be
 * analysed alone, and still hold any expression, query or statement of another family.
 *
 *   C1  tokens end with EOF; a semicolon ends the statement like EOF does
 *   C2  `depth` counts open nested constructs, so that deep input gives 54001 and no stack overflow
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { Expr, IndexName, Name, ObjectName, OrderItem, SelectStatement, Statement, TablePattern } from '../ast.ts';
import { syntaxError, syntaxErrorSaying, tooDeep, unimplemented } from '../errors.ts';
import { nameClass, type SqlToken, T, type TokenType } from '../tokens.ts';

/**
 * How deep constructs may nest; a parenthesis counts for two, a subquery for three. Subqueries, the
 * worst for the stack, overflow Node's default one at about 1,000.
 */
export const NESTING_MAX = 400;
/** How many operators may follow each other at one level: such a chain is as deep a tree. */
export const CHAIN_MAX = 1000;

/** How many ANDs or ORs may: beyond CHAIN_MAX they become a tree of halves. */
export const LOGIC_CHAIN_MAX = 10_000;

/** What plain code needs from the statement grammars. */
export interface NestedParsers {
  /** Parses a query that starts at the cursor; `left` is a first operand that has been read already. */
  query(left?: SelectStatement): SelectStatement;
  /** Parses any statement that starts at the cursor. */
  statement(): Statement;
  /** Parses an ORDER BY list that starts at its first expression. */
  orderItems(): OrderItem[];
  /** Parses an expression whose operators bind at least as strongly as `min`. */
  expression(min: number): Expr;
}

export class Cursor {
  source = '';
  tokens: SqlToken[] = [];
  /** Index of the next token. */
  index = 0;
  depth = 0;
  /** Highest placeholder index seen since the statement began. */
  placeholderMax = 0;
  /** First words of the statement, for the hint of a syntax error. */
  help: string | undefined;
  /** INT is INT4 in this text, as the session's default_int_size says. */
  hasShortInts = false;
  nested: NestedParsers;

  constructor(nested: NestedParsers) {
    this.nested = nested;
  }

  reset(source: string, tokens: SqlToken[], hasShortInts = false): void {
    this.source = source;
    this.hasShortInts = hasShortInts;
    this.tokens = tokens;
    this.index = 0;
    this.depth = 0;
    this.placeholderMax = 0;
    this.help = undefined;
  }

  get token(): SqlToken {
    return this.tokens[this.index] as SqlToken;
  }

  /** The token `ahead` places after the next one; EOF beyond the end. */
  peek(ahead: number): SqlToken {
    return this.tokens[this.index + ahead] ?? (this.tokens[this.tokens.length - 1] as SqlToken);
  }

  get pos(): number {
    return this.token.startOffset;
  }

  next(): SqlToken {
    return this.tokens[this.index++] as SqlToken;
  }

  at(type: TokenType): boolean {
    return this.token.type === type;
  }

  atAt(ahead: number, type: TokenType): boolean {
    return this.peek(ahead).type === type;
  }

  get atEnd(): boolean {
    return this.at(T.EOF) || this.at(T.Semicolon);
  }

  accept(type: TokenType): boolean {
    if (this.token.type !== type) return false;
    this.index++;
    return true;
  }

  expect(type: TokenType): SqlToken {
    const token = this.token;
    if (token.type !== type) throw this.error();
    this.index++;
    return token;
  }

  // ---- errors -----------------------------------------------------------------------------------

  /** The text of a token as the user wrote it; EOF at the end of the statement. */
  near(token: SqlToken): string {
    if (token.type === T.EOF || token.type === T.Semicolon) return 'EOF';
    return token.type === T.String ? token.image : this.source.slice(token.startOffset, token.endOffset).toLowerCase();
  }

  get hint(): string | undefined {
    return this.help === undefined ? undefined : `try \\h ${this.help}`;
  }

  /** 42601 at the token, the next one unless given. */
  error(token: SqlToken = this.token): StatementError {
    return syntaxError(this.source, token.startOffset, this.near(token), this.hint);
  }

  errorSaying(what: string, token: SqlToken = this.token): StatementError {
    return syntaxErrorSaying(this.source, token.startOffset, this.near(token), what, this.hint);
  }

  unimplemented(what: string, token: SqlToken = this.token, hint?: string): StatementError {
    return unimplemented(this.source, token.startOffset, what, hint);
  }

  enter(): void {
    if (++this.depth > NESTING_MAX) throw this.tooDeep();
  }

  leave(): void {
    this.depth--;
  }

  tooDeep(): StatementError {
    return tooDeep(this.source, this.pos, NESTING_MAX);
  }

  chainTooLong(limit = CHAIN_MAX): StatementError {
    return tooDeep(this.source, this.pos, limit);
  }

  /** An expression: see expressions.ts, which this file cannot import. */
  expr(min = 0): Expr {
    return this.nested.expression(min);
  }

  // ---- names ------------------------------------------------------------------------------------

  /** True when the token can be a table's or column's name. */
  atName(token: SqlToken = this.token): boolean {
    const kind = nameClass(token);
    return kind === 'unreserved' || kind === 'columnName';
  }

  private take(): Name {
    const token = this.next();
    return { text: token.image, pos: token.startOffset };
  }

  /** A table's or column's name; `what` names the thing where it is empty. */
  name(what = 'column'): Name {
    const token = this.token;
    if (!this.atName(token)) {
      if (nameClass(token) !== undefined) {
        throw syntaxError(
          this.source,
          token.startOffset,
          this.near(token),
          `"${token.image}" is a reserved word: write it in double quotes to use it as a name`,
        );
      }
      throw this.error(token);
    }
    if (token.image === '') throw new StatementError(SqlState.SyntaxError, `empty ${what} name`);
    return this.take();
  }

  /** A function's or type's name. */
  functionName(): Name {
    const kind = nameClass(this.token);
    if (kind !== 'unreserved' && kind !== 'functionName') throw this.error();
    return this.take();
  }

  /** Any word, reserved or not: after AS, and after a dot. */
  label(): Name {
    if (nameClass(this.token) === undefined) throw this.error();
    return this.take();
  }

  /** Up to three names joined by dots; `lengthMax` bounds them. `"".s.t` is of no database; the last name must not be empty. */
  objectName(lengthMax = 3): ObjectName {
    const first = this.token.image === '' && this.atName() ? this.take() : this.name();
    const parts = [first];
    while (this.at(T.Dot)) {
      if (parts.length === lengthMax) throw this.error();
      this.index++;
      parts.push(this.label());
    }
    if (parts.at(-1)?.text === '') throw new StatementError(SqlState.InvalidName, 'invalid table name: ""');
    return { parts, pos: first.pos };
  }

  /** `t`, `a.b.t`, `*`, `a.*`. */
  tablePattern(): TablePattern {
    const pos = this.pos;
    const parts: Name[] = [];
    for (;;) {
      if (this.accept(T.Star)) return { parts, star: true, pos };
      parts.push(parts.length === 0 ? this.name() : this.label());
      if (!this.at(T.Dot)) return { parts, star: false, pos };
      if (parts.length === 3) throw this.error();
      this.index++;
    }
  }

  /** `t@i`, or `i` alone. */
  indexName(): IndexName {
    const name = this.objectName();
    if (this.accept(T.At)) return { table: name, index: this.label(), qualifier: [], pos: name.pos };
    return { table: undefined, index: name.parts.at(-1) as Name, qualifier: name.parts.slice(0, -1), pos: name.pos };
  }

  /** A user or role: a name, a string, or one of CURRENT_USER and SESSION_USER (their lower-case words). */
  role(): Name {
    if (this.at(T.String) || this.at(T.CURRENT_USER) || this.at(T.SESSION_USER) || this.at(T.CURRENT_ROLE)) return this.take();
    // What an empty name is worth is for the statement to say.
    if (this.atName() && this.token.image === '') return this.take();
    return this.name();
  }

  stringText(): string {
    return this.expect(T.String).image;
  }

  /** An optionally signed integer literal. */
  signedInteger(): bigint {
    const negative = this.accept(T.Minus);
    if (!negative) this.accept(T.Plus);
    const value = BigInt(this.expect(T.Integer).image);
    return negative ? -value : value;
  }

  /** Comma-separated items, at least one. */
  list<Item>(item: () => Item): Item[] {
    const items = [item()];
    while (this.accept(T.Comma)) items.push(item());
    return items;
  }

  nameList(): Name[] {
    return this.list(() => this.name());
  }
}
