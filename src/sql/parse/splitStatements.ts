/**
 * Cutting a text into statements without parsing them: for the shell, which must know whether its
 * input is complete, and which sends wrong statements too.
 */
import { isVarveError } from '../../base/errors.ts';
import { scan, UnterminatedError } from './lexer.ts';
import { T } from './tokens.ts';

/** What a text holds, for the shell: whole statements, and what is left over. */
export interface SplitText {
  /** Statements that a semicolon ends; text without it. */
  readonly statements: readonly { readonly sql: string; readonly start: number; readonly end: number }[];
  /** What follows the last semicolon, white space and comments aside. Empty: the input is complete. */
  readonly rest: string;
  /** Why the rest cannot be run yet: it is inside a literal or comment. */
  readonly openAt: 'string' | 'identifier' | 'comment' | 'dollarString' | undefined;
}

/**
 * Cuts a text at its semicolons without parsing it: any statement passes, a wrong one too. Never
 * throws on user input, malformed literals count as the end of the text.
 */
export function splitStatements(sql: string): SplitText {
  let openAt: SplitText['openAt'];
  let tokens: ReturnType<typeof scan>;
  try {
    tokens = scan(sql);
  } catch (error) {
    if (error instanceof UnterminatedError) {
      // Everything before the open literal is whole: cut there, and leave the rest.
      openAt = error.what;
      const head = splitStatements(sql.slice(0, error.pos));
      return { statements: head.statements, rest: sql.slice(head.statements.at(-1)?.end ?? 0).trimStart(), openAt };
    }
    if (!isVarveError(error)) throw error;
    const position = (error.location?.position ?? 1) - 1;
    const head = splitStatements(sql.slice(0, position));
    return { statements: head.statements, rest: sql.slice(head.statements.at(-1)?.end ?? 0).trimStart(), openAt: undefined };
  }
  const statements: { sql: string; start: number; end: number }[] = [];
  let start = -1;
  let last = 0;
  for (const token of tokens) {
    if (token.type === T.Semicolon) {
      if (start >= 0) statements.push({ sql: sql.slice(start, last), start, end: token.endOffset });
      start = -1;
    } else if (token.type !== T.EOF) {
      if (start < 0) start = token.startOffset;
      last = token.endOffset;
    }
  }
  return { statements, rest: start < 0 ? '' : sql.slice(start, last), openAt };
}
