/**
 * Regular expressions given by users: matched by re2js, in time linear in the text, so no pattern
 * can stall the process. The library is loaded at the first use. Compiled patterns are kept, up to a
 * number of them.
 */
import { createRequire } from 'node:module';
import type { RE2JS } from 're2js';

import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';

const require = createRequire(import.meta.url);
let library: typeof import('re2js') | undefined;

export type Regex = RE2JS;

const CACHE_MAX = 128;
const compiled = new Map<string, Regex>();

/** `flags` as in RE2: i ignores case, s lets . match a newline, m anchors at lines. Throws 2201B-like 22023 for a bad pattern. */
export function compileRegex(pattern: string, flags = ''): Regex {
  const key = `${flags}/${pattern}`;
  const known = compiled.get(key);
  if (known) return known;
  library ??= require('re2js') as typeof import('re2js');
  let regex: Regex;
  try {
    regex = library.RE2JS.compile(flags === '' ? pattern : `(?${flags})${pattern}`);
  } catch (error) {
    throw new StatementError(
      SqlState.InvalidParameterValue,
      `invalid regular expression: ${error instanceof Error ? error.message : String(error)}`,
      {
        hint: 'the syntax is that of RE2: no look-around and no back-references',
      },
    );
  }
  if (compiled.size >= CACHE_MAX) compiled.delete(compiled.keys().next().value as string);
  compiled.set(key, regex);
  return regex;
}

/** True when the pattern matches somewhere in the text. */
export function regexFinds(regex: Regex, text: string): boolean {
  return regex.matcher(text).find();
}

/**
 * A SIMILAR TO pattern as an anchored regular expression: % and _ are wildcards, | * + ? {} () and []
 * keep their meaning, all else stands for itself. Throws 22025 when it ends in its escape character.
 */
export function similarToRegex(pattern: string, escapeChar = '\\'): string {
  let out = '';
  let isClass = false;
  const chars = [...pattern];
  for (let i = 0; i < chars.length; i++) {
    const char = chars[i] as string;
    if (char === escapeChar) {
      const next = chars[++i];
      if (next === undefined)
        throw new StatementError(SqlState.InvalidEscapeSequence, 'SIMILAR TO pattern must not end with escape character');
      out += quoteRegex(next);
    } else if (isClass) {
      if (char === ']') isClass = false;
      out += char === '\\' ? '\\\\' : char;
    } else if (char === '[') {
      isClass = true;
      out += char;
    } else if (char === '%') {
      out += '.*';
    } else if (char === '_') {
      out += '.';
    } else if ('|*+?{}()'.includes(char)) {
      out += char;
    } else {
      out += quoteRegex(char);
    }
  }
  return `^(?:${out})$`;
}

/** The text as a pattern that matches just it. */
export function quoteRegex(text: string): string {
  return text.replace(/[\\^$.|?*+()[\]{}]/g, '\\$&');
}
