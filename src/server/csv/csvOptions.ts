/**
 * The options of EXPORT INTO CSV and IMPORT INTO ... CSV.
 *
 * Source: CockroachDB documentation, pages "EXPORT" and "IMPORT INTO".
 */
import { type Bytes, utf8Decode } from '../../base/bytes.ts';
import { parseByteSize } from '../../base/byteSize.ts';
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { looksOn, readOptions, readSwitch } from '../../backup/statementValues.ts';
import type { StatementContext } from '../../sql/exec/statement.ts';
import type { Option } from '../../sql/parse/ast.ts';

export type Compression = 'none' | 'gzip' | 'auto';

export interface ExportOptions {
  readonly delimiter: string;
  /** Undefined: NULL is refused. */
  readonly nullText: string | undefined;
  readonly chunkRows: number;
  readonly chunkBytes: number;
  readonly isCompressed: boolean;
}

/** What an import's details keep. */
export interface ImportOptions {
  readonly delimiter: string;
  readonly nullText?: string;
  readonly allowQuotedNull: boolean;
  readonly comment?: string;
  readonly skip: number;
  readonly strictQuotes: boolean;
  readonly rowLimit?: number;
  readonly decompress: Compression;
}

const CHUNK_ROWS = 100_000;
const CHUNK_BYTES = 32 << 20;

export async function exportOptions(context: StatementContext, given: readonly Option[]): Promise<ExportOptions> {
  const options = readOptions('EXPORT', given, ['delimiter', 'nullas', 'chunk_rows', 'chunk_size', 'compression']);
  const values = new Values(context, options);
  const size = await values.text('chunk_size');
  const chunkBytes = size === undefined ? CHUNK_BYTES : parseByteSize(size);
  if (chunkBytes === undefined || chunkBytes < 1) throw wrong(`invalid value "${size}" for option chunk_size`, options.get('chunk_size'));
  const compression = await values.oneOf('compression', ['none', 'gzip']);
  return {
    delimiter: (await values.character('delimiter')) ?? ',',
    nullText: await values.text('nullas'),
    chunkRows: (await values.count('chunk_rows', 1)) ?? CHUNK_ROWS,
    chunkBytes,
    isCompressed: compression === 'gzip',
  };
}

const IMPORT_OPTIONS = [
  'delimiter',
  'nullif',
  'nullas',
  'allow_quoted_null',
  'comment',
  'skip',
  'strict_quotes',
  'row_limit',
  'decompress',
  'detached',
];

export async function importOptions(context: StatementContext, given: readonly Option[]): Promise<ImportOptions & { detached: boolean }> {
  const options = readOptions('IMPORT', given, IMPORT_OPTIONS);
  const values = new Values(context, options);
  if (options.has('nullif') && options.has('nullas'))
    throw wrong('options nullif and nullas are the same: give one', options.get('nullas'));
  const nullText = (await values.text('nullif')) ?? (await values.text('nullas'));
  const comment = await values.character('comment');
  const rowLimit = await values.count('row_limit', 1);
  return {
    delimiter: (await values.character('delimiter')) ?? ',',
    ...(nullText !== undefined && { nullText }),
    allowQuotedNull: await readSwitch(context, options.get('allow_quoted_null')),
    ...(comment !== undefined && { comment }),
    skip: (await values.count('skip', 0)) ?? 0,
    strictQuotes: await readSwitch(context, options.get('strict_quotes')),
    ...(rowLimit !== undefined && { rowLimit }),
    decompress: (await values.oneOf('decompress', ['none', 'gzip', 'auto'])) ?? 'auto',
    detached: await readSwitch(context, options.get('detached')),
  };
}

export const isDetached = (options: readonly Option[]): boolean => looksOn(options, 'detached');

const wrong = (message: string, option: Option | undefined): StatementError =>
  new StatementError(SqlState.InvalidParameterValue, message, option ? { location: { position: option.pos + 1 } } : {});

class Values {
  readonly #context: StatementContext;
  readonly #options: ReadonlyMap<string, Option>;

  constructor(context: StatementContext, options: ReadonlyMap<string, Option>) {
    this.#context = context;
    this.#options = options;
  }

  async text(name: string): Promise<string | undefined> {
    const option = this.#options.get(name);
    if (!option) return undefined;
    // A bare word stands for itself: `compression = gzip`.
    if (option.value?.kind === 'column' && option.value.parts.length === 1) return option.value.parts[0]?.text;
    const given = option.value && (await this.#context.evalDatum(option.value));
    const isText = given?.type.family === 'string';
    if (given?.value === undefined || given.value === null || (!isText && given.type.family !== 'int')) {
      throw wrong(`option ${name} needs a value: a string, or a whole number`, option);
    }
    return isText ? utf8Decode(given.value as Bytes) : String(given.value);
  }

  /** One character of one byte; `\t` in letters stands for a tab. */
  async character(name: string): Promise<string | undefined> {
    const text = await this.text(name);
    if (text === undefined) return undefined;
    const char = text === '\\t' ? '\t' : text;
    if (char.length !== 1 || char.charCodeAt(0) > 0x7f || /["\r\n]/.test(char)) {
      throw wrong(`invalid ${name} value "${text}": want one character of ASCII, no quote and no line end`, this.#options.get(name));
    }
    return char;
  }

  async count(name: string, least: number): Promise<number | undefined> {
    const text = await this.text(name);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || !Number.isSafeInteger(value)) {
      throw wrong(`invalid ${name} value "${text}": want a whole number from ${least}`, this.#options.get(name));
    }
    return value;
  }

  async oneOf<const T extends string>(name: string, allowed: readonly T[]): Promise<T | undefined> {
    const text = await this.text(name);
    const value = allowed.find((one) => one === text?.toLowerCase());
    if (text !== undefined && value === undefined)
      throw wrong(`invalid ${name} value "${text}": want ${allowed.join(', ')}`, this.#options.get(name));
    return value;
  }
}
