/**
 * The text forms of arrays and rows: `{1,NULL,"a b"}` and `(1,,"a b")`. Elements are texts already;
 * null stands for NULL.
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

/** Quotes an element where it is empty, says NULL, or holds a brace, comma, quote, backslash or blank. */
export function formatArray(items: readonly (string | null)[]): string {
  const texts = items.map((item) => {
    if (item === null) return 'NULL';
    return item === '' || /[{},"\\\s]/.test(item) || /^null$/i.test(item) ? `"${item.replace(/["\\]/g, '\\$&')}"` : item;
  });
  return `{${texts.join(',')}}`;
}

/** NULL is nothing at all between commas. */
export function formatTuple(items: readonly (string | null)[]): string {
  const texts = items.map((item) => {
    if (item === null) return '';
    return item === '' || /[(),"\\\s]/.test(item) ? `"${item.replace(/["\\]/g, '$&$&')}"` : item;
  });
  return `(${texts.join(',')})`;
}

function malformed(text: string, typeName: string, reason: string): never {
  throw new StatementError(SqlState.InvalidTextRepresentation, `could not parse "${text}" as type ${typeName}: ${reason}`);
}

/** Reads an array of one dimension. 22P02 with the reason. */
export function parseArray(text: string, typeName: string): (string | null)[] {
  let at = 0;
  const blanks = () => {
    while (/\s/.test(text[at] ?? '')) at++;
  };
  blanks();
  if (text[at] !== '{') malformed(text, typeName, 'array must be enclosed in { and }');
  at++;
  const items: (string | null)[] = [];
  blanks();
  if (text[at] === '}') {
    at++;
  } else {
    for (;;) {
      blanks();
      items.push(element());
      blanks();
      const next = text[at++];
      if (next === '}') break;
      if (next !== ',') malformed(text, typeName, next === undefined ? 'array must be enclosed in { and }' : 'malformed array');
    }
  }
  blanks();
  if (at < text.length) malformed(text, typeName, 'extra text after closing right brace');
  return items;

  function element(): string | null {
    let value = '';
    if (text[at] === '"') {
      for (at++; text[at] !== '"'; at++) {
        if (text[at] === '\\') at++;
        if (at >= text.length) malformed(text, typeName, 'unterminated quoted element');
        value += text[at];
      }
      at++;
      return value;
    }
    if (text[at] === '{') malformed(text, typeName, 'nested arrays not supported');
    // Trailing blanks of a bare element do not count, escaped ones do.
    let kept = 0;
    for (; at < text.length && text[at] !== ',' && text[at] !== '}'; at++) {
      if (text[at] === '"' || text[at] === '{') malformed(text, typeName, 'malformed array');
      const isEscaped = text[at] === '\\';
      if (isEscaped) at++;
      value += text[at] ?? '';
      if (isEscaped || !/\s/.test(text[at] ?? '')) kept = value.length;
    }
    if (kept === 0) malformed(text, typeName, 'malformed array');
    value = value.slice(0, kept);
    return /^null$/i.test(value) ? null : value;
  }
}

/** Reads a row of that many fields. 22P02 with the reason. */
export function parseTuple(text: string, fieldCount: number): (string | null)[] {
  const body = text.trim();
  if (!body.startsWith('(') || !body.endsWith(')')) malformed(text, 'tuple', 'record must be enclosed in ( and )');
  const items: (string | null)[] = [];
  let value: string | null = null;
  let isQuoted = false;
  for (let at = 1; at < body.length - 1; at++) {
    const char = body[at] as string;
    if (char === '\\') {
      at++;
      value = (value ?? '') + (body[at] ?? '');
    } else if (char === '"') {
      if (isQuoted && body[at + 1] === '"') {
        at++;
        value = `${value ?? ''}"`;
      } else {
        isQuoted = !isQuoted;
        value ??= '';
      }
    } else if (char === ',' && !isQuoted) {
      items.push(value);
      value = null;
    } else {
      value = (value ?? '') + char;
    }
  }
  if (isQuoted) malformed(text, 'tuple', 'unterminated quoted field');
  if (fieldCount > 0) items.push(value);
  if (items.length !== fieldCount) malformed(text, 'tuple', `malformed record literal: ${fieldCount} fields expected`);
  return items;
}
