/**
 * COPY's options, from WITH (FORMAT csv, ...) or the older list of words.
 *
 * Source of names, defaults and messages: PostgreSQL's COPY.
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { Option } from '../../parse/ast.ts';

export type CopyFormat = 'text' | 'csv' | 'binary';

export interface CopyOptions {
  readonly format: CopyFormat;
  /** One single-byte character. */
  readonly delimiter: string;
  /** How NULL is written: `\N`, or nothing in CSV. */
  readonly nullText: string;
  /** The first line names columns; `match` checks them when reading. */
  readonly header: boolean | 'match';
  readonly quote: string;
  readonly escape: string;
}

const refuse = (message: string, code: SqlState = SqlState.FeatureNotSupported): StatementError => new StatementError(code, message);

export function copyOptions(given: readonly Option[]): CopyOptions {
  const values = new Map<string, string | boolean>();
  for (const option of given) {
    const { name } = option;
    if (values.has(name)) throw refuse('conflicting or redundant options', SqlState.SyntaxError);
    values.set(name, optionValue(option));
  }
  const text = (name: string): string | undefined => {
    const value = values.get(name);
    if (typeof value === 'boolean') throw refuse(`option "${name}" requires a value`, SqlState.SyntaxError);
    return value;
  };
  const format = (text('format') ?? 'text').toLowerCase();
  if (format !== 'text' && format !== 'csv' && format !== 'binary') {
    throw refuse(`COPY format "${format}" not recognized`, SqlState.InvalidParameterValue);
  }
  for (const name of values.keys()) {
    if (!KNOWN.has(name))
      throw refuse(
        LATER.has(name) ? `COPY option "${name}" is not supported` : `option "${name}" not recognized`,
        LATER.has(name) ? undefined : SqlState.SyntaxError,
      );
    if (format === 'binary' && ['delimiter', 'null', 'header'].includes(name)) {
      throw refuse(`cannot specify ${name.toUpperCase()} in BINARY mode`, name === 'header' ? undefined : SqlState.SyntaxError);
    }
    if (format !== 'csv' && ['quote', 'escape'].includes(name)) throw refuse(`COPY ${name} available only in CSV mode`);
  }
  const encoding = text('encoding');
  if (encoding !== undefined && !/^utf-?8$/i.test(encoding)) throw refuse(`COPY encoding ${encoding} is not supported`);
  const quote = single(text('quote') ?? '"', 'quote');
  const options: CopyOptions = {
    format,
    delimiter: single(text('delimiter') ?? (format === 'csv' ? ',' : '\t'), 'delimiter'),
    nullText: text('null') ?? (format === 'csv' ? '' : '\\N'),
    header: headerOf(values.get('header')),
    quote,
    escape: single(text('escape') ?? quote, 'escape'),
  };
  check(options);
  return options;
}

const KNOWN: ReadonlySet<string> = new Set(['format', 'delimiter', 'null', 'header', 'quote', 'escape', 'encoding', 'freeze']);
const LATER: ReadonlySet<string> = new Set([
  'force_quote',
  'force_not_null',
  'force_null',
  'default',
  'on_error',
  'log_verbosity',
  'destination',
  'oids',
]);

function optionValue({ value, name }: Option): string | boolean {
  if (value === undefined) return true;
  switch (value.kind) {
    case 'string':
      return name === 'header' || name === 'freeze' ? (BOOLEANS.get(value.value.toLowerCase()) ?? value.value) : value.value;
    case 'boolean':
      return value.value;
    case 'number':
      return BOOLEANS.get(value.text) ?? value.text;
    default:
      throw refuse(`option "${name}" needs a constant`, SqlState.SyntaxError);
  }
}

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['on', true],
  ['1', true],
  ['false', false],
  ['off', false],
  ['0', false],
]);

function headerOf(value: string | boolean | undefined): boolean | 'match' {
  if (value === undefined) return false;
  if (typeof value === 'boolean') return value;
  if (value.toLowerCase() === 'match') return 'match';
  throw refuse('header requires a Boolean value or "match"', SqlState.SyntaxError);
}

function single(text: string, name: string): string {
  if (text.length === 1 && text.charCodeAt(0) < 0x80) return text;
  throw refuse(`COPY ${name} must be a single one-byte character`);
}

function check({ format, delimiter, nullText, quote }: CopyOptions): void {
  if (format === 'binary') return;
  if (/[\r\n]/.test(delimiter)) throw refuse('COPY delimiter cannot be newline or carriage return', SqlState.InvalidParameterValue);
  if (/[\r\n]/.test(nullText)) {
    throw refuse('COPY null representation cannot use newline or carriage return', SqlState.InvalidParameterValue);
  }
  if (format === 'text' && /[\\.a-z0-9]/.test(delimiter))
    throw refuse(`COPY delimiter cannot be "${delimiter}"`, SqlState.InvalidParameterValue);
  if (nullText.includes(delimiter))
    throw refuse('COPY delimiter character must not appear in the NULL specification', SqlState.InvalidParameterValue);
  if (format !== 'csv') return;
  if (delimiter === quote) throw refuse('COPY delimiter and quote must be different', SqlState.InvalidParameterValue);
  if (nullText.includes(quote))
    throw refuse('CSV quote character must not appear in the NULL specification', SqlState.InvalidParameterValue);
}
