/**
 * Names, strings and types as SQL text. A name is quoted when it is not plain lower-case or when the
 * bare word would mean something else at its place, as CockroachDB prints names.
 */
import type { IndexName, Name, ObjectName, Option, TablePattern, TypeName, ZoneTarget } from '../ast.ts';
import { columnNameKeywords, functionNameKeywords, reservedKeywords } from '../keywords.ts';

const lower = (words: readonly string[]): string[] => words.map((word) => word.toLowerCase());
const notAName = new Set([...lower(reservedKeywords), ...lower(functionNameKeywords)]);
const notAFunction = new Set([...lower(reservedKeywords), ...lower(columnNameKeywords)]);
const PLAIN = /^[a-z_][a-z0-9_]*$/;

const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;

/** A table's, column's or role's name. */
export function quoteName(text: string): string {
  return PLAIN.test(text) && !notAName.has(text) ? text : quoted(text);
}

/** A function's name where it stands alone before its parenthesis. */
export function quoteFunctionName(text: string): string {
  return PLAIN.test(text) && !notAFunction.has(text) ? text : quoted(text);
}

const specialChar: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\b': '\\b', '\f': '\\f', '\\': '\\\\', "'": "\\'" };

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROL = /[\x00-\x1f\x7f]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above
const TO_ESCAPE = /[\x00-\x1f\x7f\\']/g;

/** A string literal: plain, or `e'..'` when it holds control characters. */
export function quoteString(text: string): string {
  if (!CONTROL.test(text)) return `'${text.replaceAll("'", "''")}'`;
  const escaped = text.replace(TO_ESCAPE, (char) => specialChar[char] ?? `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return `e'${escaped}'`;
}

export const printName = (name: Name): string => quoteName(name.text);
export const printNames = (names: readonly Name[]): string => names.map(printName).join(', ');
export const printObjectName = (name: ObjectName): string => name.parts.map(printName).join('.');
export const printObjectNames = (names: readonly ObjectName[]): string => names.map(printObjectName).join(', ');
export const printTablePattern = (pattern: TablePattern): string =>
  [...pattern.parts.map(printName), ...(pattern.star ? ['*'] : [])].join('.');

export function printIndexName(name: IndexName): string {
  if (name.table !== undefined) return `${printObjectName(name.table)}@${printName(name.index)}`;
  return [...name.qualifier, name.index].map(printName).join('.');
}

const builtInTypes = new Set(
  (
    'int int2 int4 int8 int64 integer smallint bigint serial serial2 serial4 serial8 bigserial smallserial float float4 float8 real ' +
    'decimal numeric dec bool boolean string text varchar char bytes bytea blob date time timetz timestamp timestamptz interval uuid ' +
    'json jsonb inet bit varbit oid name regclass regtype regproc regnamespace regrole'
  ).split(' '),
);

/** A type: built-in names in upper case. */
export function printType(type: TypeName): string {
  const only = type.name.parts.length === 1 ? type.name.parts[0]?.text : undefined;
  let text = only !== undefined && builtInTypes.has(only) ? only.toUpperCase() : printObjectName(type.name);
  if (type.args.length > 0) text += `(${type.args.join(',')})`;
  if (type.intervalFields !== undefined) text += ` ${type.intervalFields}`;
  if (type.isArray) text += '[]';
  return text;
}

/** An option's or setting's dotted name. */
export function printDotted(text: string): string {
  return text
    .split('.')
    .map((part) => (PLAIN.test(part) ? part : quoted(part)))
    .join('.');
}

/** `name = value` or `name`, the value printed by `value`. */
export function printOption(option: Option, value: (option: Option) => string): string {
  return option.value === undefined ? printDotted(option.name) : `${printDotted(option.name)} = ${value(option)}`;
}

/** A role: CURRENT_USER and its like stay bare words. */
export function printRole(name: Name): string {
  return /^(current_user|session_user|current_role)$/.test(name.text) ? name.text.toUpperCase() : printName(name);
}

export function printZoneTarget(target: ZoneTarget): string {
  switch (target.type) {
    case 'range':
      return `RANGE ${printName(target.name)}`;
    case 'database':
      return `DATABASE ${printName(target.name)}`;
    case 'table':
      return `TABLE ${printObjectName(target.name)}`;
    case 'index':
      return `INDEX ${printIndexName(target.index)}`;
    case 'partition':
      return `PARTITION ${printName(target.partition)} OF ${target.index === undefined ? `TABLE ${target.table === undefined ? '' : printObjectName(target.table)}` : `INDEX ${printIndexName(target.index)}`}`;
  }
}
