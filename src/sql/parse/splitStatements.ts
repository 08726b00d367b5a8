/**
 * Cutting a text into statements without parsing them: for the shell, which must know whether its
 * input is complete, and which sends wrong statements too.
 */
import { isVarveError } from '../../base/errors.ts';
import { scan, UnterminatedError } from './lexer.ts';
import { type SqlToken, T } from './tokens.ts';

export interface SplitStatement {
  /** The statement without its semicolon and the white space and comments around it. */
  readonly sql: string;
  /** False for a last statement that no semicolon ends. */
  readonly terminated: boolean;
  /** Where `sql` starts in the text, and where the next statement may start. */
  readonly start: number;
  readonly end: number;
}

export interface SplitText {
  /** In order; empty statements are left out. */
  readonly statements: readonly SplitStatement[];
  /** A last piece that ends inside a literal or comment, from the start of its statement; else empty. */
  readonly rest: string;
  /** What `rest` is inside of. */
  readonly openAt: 'string' | 'identifier' | 'comment' | 'dollarString' | undefined;
}

/**
 * Cuts a text at its semicolons. Never throws: a malformed literal counts as terminated text, as
 * running it gives the error message. Cost: one lexer pass, two when the text ends in a literal.
 */
export function splitStatements(sql: string): SplitText {
  try {
    return { statements: cut(sql, scan(sql)), rest: '', openAt: undefined };
  } catch (error) {
    const isOpen = error instanceof UnterminatedError;
    if (!isOpen && !isVarveError(error)) throw error;
    // Everything before the place is whole: what has no semicolon there belongs to the last piece.
    const place = isOpen ? error.pos : (error.location?.position ?? 1) - 1;
    const whole = splitStatements(sql.slice(0, place)).statements.filter((statement) => statement.terminated);
    const start = whole.at(-1)?.end ?? 0;
    const rest = sql.slice(start).trimStart();
    if (isOpen) return { statements: whole, rest, openAt: error.what };
    return {
      statements: [...whole, { sql: rest, terminated: true, start: sql.length - rest.length, end: sql.length }],
      rest: '',
      openAt: undefined,
    };
  }
}

function cut(sql: string, tokens: readonly SqlToken[]): SplitStatement[] {
  const statements: SplitStatement[] = [];
  let start = -1;
  let last = 0;
  for (const token of tokens) {
    const ends = token.type === T.Semicolon || token.type === T.EOF;
    if (!ends) {
      if (start < 0) start = token.startOffset;
      last = token.endOffset;
    } else if (start >= 0) {
      statements.push({ sql: sql.slice(start, last), terminated: token.type === T.Semicolon, start, end: token.endOffset });
      start = -1;
    }
  }
  return statements;
}
