/**
 * Syntax errors as CockroachDB words them: `at or near "x": syntax error`, with the line and a caret
 * under the place as detail. The line is cut to a window, and what looks like a credential in it is
 * masked with as many stars, so the caret stays true and no secret travels in an error.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { decodeName, isSecretParameter } from '../../base/uriText.ts';

/** How much of a long line is shown on each side of the caret, in chars. */
const WINDOW = 120;
/** How much around a place is looked at for what is a secret, in chars. */
const CONTEXT = 2000;

const mask = (secret: string): string => '*'.repeat(secret.length);

/** The text with the values of secret URI parameters, passphrases and passwords starred out, length unchanged. */
export function maskSecrets(text: string): string {
  return text
    .replace(/([?&]([^=&'"\s)?]+)=)([^&'"\s)]*)/g, (whole, head: string, name: string, value: string) =>
      isSecret(decodeName(name), value) ? head + mask(value) : whole,
    )
    .replace(
      /((?:encryption_passphrase|passphrase|password)\s*=?\s*[eEnN]?)('(?:[^']|'')*'?)/gi,
      (_match, head: string, secret: string) => head + mask(secret),
    )
    .replace(/(:\/\/[^/\s:@'?]+:)([^@/\s']+)(?=@)/g, (_match, head: string, secret: string) => head + mask(secret))
    .replace(/(:\/\/)([^/\s:@'?]+)(?=@)/g, (_match, head: string, secret: string) => head + mask(secret))
    .replace(/(:\/\/[^/\s:@'?[]*:)(?!\d*[/?])([^\s'@]+)(?=@)/g, (_match, head: string, secret: string) => head + mask(secret));
}

/** More than uriText.ts takes for a secret: here nobody has to find a mistake in what is left. */
function isSecret(name: string, value: string): boolean {
  return isSecretParameter(name) || /KEY/i.test(name) || (/ENDPOINT|URL/i.test(name) && /@|%40/.test(value));
}

/** A token's text, starred out where what stands before it says that it is a secret. */
function withoutSecret(source: string, pos: number, near: string): string {
  const from = Math.max(0, pos - CONTEXT);
  const to = Math.min(source.length, pos + near.length + 2);
  const text = source.slice(from, to);
  const hasSecret = maskSecrets(text).slice(pos - from) !== text.slice(pos - from);
  return hasSecret ? '*****' : maskSecrets(near);
}

/** `source SQL:`, the line that holds `pos`, and a caret under it. */
export function caretDetail(source: string, pos: number): string {
  const lineStart = source.lastIndexOf('\n', pos - 1) + 1;
  const lineBreak = source.indexOf('\n', pos);
  const lineEnd = lineBreak < 0 ? source.length : lineBreak;
  const from = Math.max(lineStart, pos - WINDOW);
  const to = Math.min(lineEnd, pos + WINDOW);
  // Mask before cutting, within a bounded neighbourhood: a secret cut in half must not escape its pattern.
  const contextStart = Math.max(0, from - CONTEXT);
  const line = maskSecrets(source.slice(contextStart, Math.min(source.length, to + CONTEXT))).slice(from - contextStart, to - contextStart);
  const head = from > lineStart ? '...' : '';
  const shown = `${head}${line.replaceAll('\t', ' ')}${to < lineEnd ? '...' : ''}`;
  return `source SQL:\n${shown.trimEnd()}\n${' '.repeat(head.length + pos - from)}^`;
}

/** 42601 at a place. `near` is the token's text, or EOF. */
export function syntaxError(source: string, pos: number, near: string, hint?: string): StatementError {
  const safe = withoutSecret(source, pos, near);
  const shown = safe.length > 64 ? `${safe.slice(0, 64)}...` : safe;
  return new StatementError(SqlState.SyntaxError, `at or near "${shown}": syntax error`, {
    detail: caretDetail(source, pos),
    hint,
    location: { position: pos + 1 },
  });
}

/** 42601 for a rule beyond the grammar: the text says what is wrong. */
export function syntaxErrorSaying(source: string, pos: number, near: string, what: string, hint?: string): StatementError {
  return new StatementError(SqlState.SyntaxError, `at or near "${withoutSecret(source, pos, near).slice(0, 64)}": syntax error: ${what}`, {
    detail: caretDetail(source, pos),
    hint,
    location: { position: pos + 1 },
  });
}

/** 42601 for text that is no sequence of tokens. */
export function lexicalError(source: string, pos: number, what: string): StatementError {
  return new StatementError(SqlState.SyntaxError, `lexical error: ${what}`, {
    detail: caretDetail(source, pos),
    location: { position: pos + 1 },
  });
}

/** 0A000 for syntax that is known and not supported. */
export function unimplemented(source: string, pos: number, what: string, hint?: string): StatementError {
  return new StatementError(SqlState.FeatureNotSupported, `unimplemented: ${what}`, {
    detail: caretDetail(source, pos),
    hint,
    location: { position: pos + 1 },
  });
}

/** 54001: nested too deeply. */
export function tooDeep(source: string, pos: number, limit: number): StatementError {
  return new StatementError(SqlState.StatementTooComplex, `statement is too complex: nested more than ${limit} levels deep`, {
    detail: caretDetail(source, pos),
    hint: 'break the expression up, or use a list (x IN (...)) instead of a long chain of operators',
    location: { position: pos + 1 },
  });
}

/** 54000: too long. */
export function tooLong(length: number, limit: number): StatementError {
  return new StatementError(SqlState.ProgramLimitExceeded, `statement text of ${length} characters is over the limit of ${limit}`);
}
