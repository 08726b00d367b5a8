/**
 * The door to the parser: text in, syntax trees out.
 *
 * The path of a text: the lexer cuts it into tokens; a semicolon ends a statement; the first words
 * of each choose its grammar (grammar/families.ts); the rules build the nodes of ast.ts. Parsing is
 * synchronous and keeps nothing but the built parsers, so one instance serves the process.
 *
 * Errors are StatementErrors: 42601 with position, line and caret; 0A000 for syntax that is known and
 * not supported; 54001 for input nested too deep; 54000 for text that is too long.
 */
import type { Expr, SelectStatement, Statement, TypeName } from './ast.ts';
import { Grammar } from './grammar/families.ts';
import type { Cursor } from './grammar/cursor.ts';
import { parseTypeName } from './grammar/types.ts';
import { tokenize } from './lexer.ts';
import { T } from './tokens.ts';

export { type SplitStatement, type SplitText, splitStatements } from './splitStatements.ts';
export { firstWords } from './grammar/families.ts';
export { allKeywords, columnNameKeywords, functionNameKeywords, reservedKeywords, unreservedKeywords } from './keywords.ts';

export interface ParsedStatement {
  readonly ast: Statement;
  /** The statement's own text, without the semicolon, white space and comments around it. */
  readonly sql: string;
  /** Highest placeholder index used; 0 without any. */
  readonly placeholderCount: number;
  /** Where `sql` starts in the text given: `pos` of the nodes counts from the text's start, not from here. */
  readonly start: number;
}

export interface ParseOptions {
  /** INT, INTEGER and SERIAL name types of 4 bytes, as with default_int_size = 4; else of 8. */
  readonly hasShortInts?: boolean;
}

const grammar = new Grammar();

/**
 * All statements of a text, in order; empty ones (`;;`) are left out. Throws StatementError; then no
 * statement is given back, as CockroachDB does.
 */
export function parseStatements(sql: string, { hasShortInts = false }: ParseOptions = {}): ParsedStatement[] {
  const tokens = tokenize(sql);
  const { cursor } = grammar;
  cursor.reset(sql, tokens, hasShortInts);
  const statements: ParsedStatement[] = [];
  try {
    for (;;) {
      while (cursor.accept(T.Semicolon));
      if (cursor.at(T.EOF)) break;
      const start = cursor.pos;
      cursor.placeholderMax = 0;
      const ast = grammar.topLevelStatement();
      if (!cursor.atEnd) throw cursor.error();
      const end = cursor.peek(-1).endOffset;
      statements.push({ ast, sql: sql.slice(start, end), placeholderCount: cursor.placeholderMax, start });
    }
  } catch (error) {
    throw outOfStack(cursor, error);
  } finally {
    // The nodes hold no tokens: a large text must not live on in the shared cursor.
    cursor.reset('', []);
  }
  return statements;
}

/** A caller deep in the stack may leave less of it than NESTING_MAX reckons with: 54001 all the same. */
function outOfStack(cursor: Cursor, error: unknown): unknown {
  return error instanceof RangeError ? cursor.tooDeep() : error;
}

function parseWhole<R>(sql: string, parse: (c: Cursor) => R): R {
  const { cursor } = grammar;
  cursor.reset(sql, tokenize(sql));
  try {
    const result = parse(cursor);
    if (!cursor.at(T.EOF)) throw cursor.error();
    return result;
  } catch (error) {
    throw outOfStack(cursor, error);
  } finally {
    cursor.reset('', []);
  }
}

/** One expression: a DEFAULT or CHECK kept as text in a descriptor, say. Throws StatementError. */
export function parseExpression(sql: string): Expr {
  return parseWhole(sql, () => grammar.expression(0));
}

/** One query: a view's text. Throws StatementError. */
export function parseQuery(sql: string): SelectStatement {
  return parseWhole(sql, () => grammar.query());
}

/** One type name, for `::regtype` and stored types. Throws StatementError. */
export function parseType(sql: string): TypeName {
  return parseWhole(sql, (c) => parseTypeName(c));
}
