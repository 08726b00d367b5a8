/**
 * Names: parts of a qualified name, and their quoted printing.
 */

/** A dotted name as written, unquoted: [table], [schema, table], [database, table] or [database, schema, table]. */
export type NameParts = readonly string[];

const PLAIN_NAME = /^[a-z_][a-z0-9_$]*$/;

// Words that the grammar reserves: printed bare they would not read back as names.
const RESERVED: ReadonlySet<string> = new Set(
  (
    'all analyse analyze and any array as asc asymmetric authorization both case cast check collate collation column concurrently constraint create ' +
    'cross current_catalog current_date current_role current_schema current_time current_timestamp current_user default deferrable ' +
    'desc distinct do else end except false family fetch for foreign from full grant group having ilike in index initially inner ' +
    'intersect into is isnull isolation join lateral leading left like limit localtime localtimestamp natural none not nothing notnull null ' +
    'offset on only or order outer overlaps placing primary references returning right select session_user similar some symmetric ' +
    'table then to trailing true union unique user using variadic view virtual when where window with work'
  ).split(' '),
);

/** The name as SQL: bare when it reads back unchanged, else in double quotes. */
export function quoteName(name: string): string {
  if (PLAIN_NAME.test(name) && !RESERVED.has(name)) return name;
  return `"${name.replaceAll('"', '""')}"`;
}

/** `db.public."My Table"`. */
export function quoteNames(parts: NameParts): string {
  return parts.map(quoteName).join('.');
}

/** A single-quoted SQL literal: `'it''s'`, or `e'…'` when it holds control characters or a backslash. */
export function quoteLiteral(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly the characters that need an escape
  if (!/[\x00-\x1f\x7f\\]/.test(text)) return `'${text.replaceAll("'", "''")}'`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: as above
  const escaped = text.replace(/[\x00-\x1f\x7f\\']/g, (char) => ESCAPES[char] ?? `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return `e'${escaped}'`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\n': '\\n',
  '\t': '\\t',
  '\r': '\\r',
  '\b': '\\b',
  '\f': '\\f',
  '\\': '\\\\',
  "'": "\\'",
};
