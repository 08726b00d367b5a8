/**
 * COPY data to fields: a client's bytes, cut into rows wherever its pieces end.
 *
 *   text     a line a row; \N, \t, \n, \\, \101, \x41; the line \. ends the data
 *   csv      fields may be quoted, and then hold delimiters, quotes and line ends
 *   binary   a header, then rows of counted fields, then a trailer
 *
 * Fields are bytes: what they mean is the columns' types. The bytes of an unfinished row are kept
 * until the rest has come; 54000 beyond what one row may be.
 *
 * Source: PostgreSQL documentation, COPY, "File Formats".
 */
import type { Bytes } from '../../../base/bytes.ts';
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { CopyOptions } from './options.ts';

export interface CopyRow {
  readonly fields: readonly (Bytes | null)[];
  /** Of the data, from 1; a row's number in binary data. */
  readonly line: number;
}

export interface CopyDecoder {
  /** The rows that are whole with these bytes. Throws 22P04, which names the line. */
  push(data: Bytes): CopyRow[];
  /** What the end of the data completes. */
  finish(): CopyRow[];
}

/** An unfinished row may be as large as a message. */
export const ROW_BYTES_MAX = 64 * 1024 * 1024;

export function badCopyData(message: string, line: number): StatementError {
  return new StatementError(SqlState.BadCopyFileFormat, message, { detail: `line ${line} of the data` });
}

export function copyDecoder(options: CopyOptions): CopyDecoder {
  if (options.format === 'binary') return new BinaryDecoder();
  return new LineDecoder(options.format === 'csv' ? new CsvRows(options) : new TextRows(options));
}

// ---- lines ------------------------------------------------------------------------------------

/** Finds where a row that starts at `from` ends, and takes it apart. */
interface RowCutter {
  /** The position of the row's line end; -1 when it has not come. */
  endOf(data: string, from: number): number;
  /** `undefined` for the mark that ends the data. */
  fieldsOf(row: string, line: number): (Bytes | null)[] | undefined;
}

class LineDecoder implements CopyDecoder {
  readonly #cutter: RowCutter;
  #rest = '';
  #line = 1;
  #isOver = false;

  constructor(cutter: RowCutter) {
    this.#cutter = cutter;
  }

  push(data: Bytes): CopyRow[] {
    if (this.#isOver) return [];
    const all = this.#rest === '' ? data : this.#rest + data;
    const rows: CopyRow[] = [];
    let from = 0;
    for (let end = this.#cutter.endOf(all, from); end >= 0 && !this.#isOver; end = this.#cutter.endOf(all, from)) {
      this.#take(all.slice(from, all[end - 1] === '\r' && end > from ? end - 1 : end), rows);
      from = end + 1;
    }
    this.#rest = all.slice(from);
    if (this.#rest.length > ROW_BYTES_MAX) throw new StatementError(SqlState.ProgramLimitExceeded, 'a row of COPY data is too large');
    return rows;
  }

  finish(): CopyRow[] {
    const rows: CopyRow[] = [];
    if (!this.#isOver && this.#rest !== '') this.#take(this.#rest.replace(/\r$/, ''), rows);
    this.#rest = '';
    return rows;
  }

  #take(row: string, rows: CopyRow[]): void {
    const fields = this.#cutter.fieldsOf(row, this.#line);
    if (fields) rows.push({ fields, line: this.#line });
    else this.#isOver = true;
    this.#line++;
    for (let at = row.indexOf('\n'); at >= 0; at = row.indexOf('\n', at + 1)) this.#line++;
  }
}

// ---- text -------------------------------------------------------------------------------------

const TEXT_ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

class TextRows implements RowCutter {
  readonly #options: CopyOptions;

  constructor(options: CopyOptions) {
    this.#options = options;
  }

  /** A line end after a backslash is data. */
  endOf(data: string, from: number): number {
    for (let end = data.indexOf('\n', from); end >= 0; end = data.indexOf('\n', end + 1)) {
      let backslashes = 0;
      while (end - 1 - backslashes >= from && data[end - 1 - backslashes] === '\\') backslashes++;
      if (backslashes % 2 === 0) return end;
    }
    return -1;
  }

  fieldsOf(row: string): (Bytes | null)[] | undefined {
    if (row === '\\.') return undefined;
    const { delimiter, nullText } = this.#options;
    const parts = row.includes('\\') ? splitEscaped(row, delimiter) : row.split(delimiter);
    return parts.map((part) => (part === nullText ? null : (unescaped(part) as Bytes)));
  }
}

function splitEscaped(row: string, delimiter: string): string[] {
  const parts: string[] = [];
  let from = 0;
  for (let at = 0; at < row.length; at++) {
    if (row[at] === '\\') at++;
    else if (row[at] === delimiter) {
      parts.push(row.slice(from, at));
      from = at + 1;
    }
  }
  parts.push(row.slice(from));
  return parts;
}

function unescaped(field: string): string {
  if (!field.includes('\\')) return field;
  return field.replace(/\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|[\s\S])/g, (_, code: string) => {
    if (/^x./.test(code)) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
    if (/^[0-7]/.test(code)) return String.fromCharCode(Number.parseInt(code, 8) & 0xff);
    return TEXT_ESCAPES[code] ?? code;
  });
}

// ---- CSV --------------------------------------------------------------------------------------

class CsvRows implements RowCutter {
  readonly #options: CopyOptions;

  constructor(options: CopyOptions) {
    this.#options = options;
  }

  /** Line ends between quotes belong to a field. */
  endOf(data: string, from: number): number {
    const { quote, escape: escaper } = this.#options;
    let at = from;
    for (;;) {
      const end = data.indexOf('\n', at);
      if (end < 0) return -1;
      const open = data.slice(at, end).indexOf(quote);
      if (open < 0) return end;
      const close = closingQuote(data, at + open + 1, quote, escaper);
      if (close < 0) return -1;
      at = close + 1;
    }
  }

  fieldsOf(row: string, line: number): (Bytes | null)[] | undefined {
    if (row === '\\.') return undefined;
    const { delimiter, nullText, quote, escape: escaper } = this.#options;
    if (!row.includes(quote)) return row.split(delimiter).map((part) => (part === nullText ? null : (part as Bytes)));
    const fields: (Bytes | null)[] = [];
    let field = '';
    let isQuoted = false;
    for (let at = 0; ; ) {
      const char = row[at];
      if (char === undefined || char === delimiter) {
        fields.push(!isQuoted && field === nullText ? null : (field as Bytes));
        if (char === undefined) return fields;
        field = '';
        isQuoted = false;
        at++;
      } else if (char === quote) {
        isQuoted = true;
        const close = closingQuote(row, at + 1, quote, escaper);
        if (close < 0) throw badCopyData('unterminated CSV quoted field', line);
        field += withoutEscapes(row.slice(at + 1, close), quote, escaper);
        at = close + 1;
      } else {
        field += char;
        at++;
      }
    }
  }
}

/** The quote that ends a quoted part starting at `from`: one that is not escaped. -1 when there is none. */
function closingQuote(data: string, from: number, quote: string, escaper: string): number {
  for (let at = from; at < data.length; at++) {
    const char = data[at];
    if (char === escaper && (data[at + 1] === quote || (escaper !== quote && data[at + 1] === escaper))) at++;
    else if (char === quote) return at;
  }
  return -1;
}

function withoutEscapes(text: string, quote: string, escaper: string): string {
  if (!text.includes(escaper)) return text;
  let plain = '';
  for (let at = 0; at < text.length; at++) {
    if (text[at] === escaper && (text[at + 1] === quote || text[at + 1] === escaper)) at++;
    plain += text[at];
  }
  return plain;
}

// ---- binary -----------------------------------------------------------------------------------

export const BINARY_SIGNATURE = 'PGCOPY\n\xff\r\n\0';

class BinaryDecoder implements CopyDecoder {
  #rest = '';
  #row = 0;
  #hasHeader = false;
  #isOver = false;

  push(data: Bytes): CopyRow[] {
    if (this.#isOver) return [];
    const all = this.#rest + data;
    let at = 0;
    if (!this.#hasHeader) {
      const start = BINARY_SIGNATURE.length;
      if (all.length < start + 8) {
        this.#rest = all;
        return [];
      }
      if (!all.startsWith(BINARY_SIGNATURE)) throw badCopyData('COPY file signature not recognized', 1);
      if (int32(all, start) !== 0) throw badCopyData('unrecognized critical flags in COPY file header', 1);
      const extension = int32(all, start + 4);
      if (extension < 0) throw badCopyData('invalid COPY file header (missing length)', 1);
      if (all.length < start + 8 + extension) {
        this.#rest = all;
        return [];
      }
      at = start + 8 + extension;
      this.#hasHeader = true;
    }
    const rows: CopyRow[] = [];
    for (;;) {
      const taken = this.#rowAt(all, at);
      if (taken === undefined) break;
      at = taken.end;
      if (!taken.fields) {
        this.#isOver = true;
        break;
      }
      rows.push({ fields: taken.fields, line: this.#row });
    }
    this.#rest = this.#isOver ? '' : all.slice(at);
    if (this.#rest.length > ROW_BYTES_MAX) throw new StatementError(SqlState.ProgramLimitExceeded, 'a row of COPY data is too large');
    return rows;
  }

  /** The row at a position; no fields for the trailer; undefined when it has not come whole. */
  #rowAt(all: string, start: number): { fields: (Bytes | null)[] | undefined; end: number } | undefined {
    if (all.length < start + 2) return undefined;
    const count = (all.charCodeAt(start) << 8) | all.charCodeAt(start + 1);
    if (count === 0xffff) return { fields: undefined, end: start + 2 };
    let at = start + 2;
    const fields: (Bytes | null)[] = [];
    for (let i = 0; i < count; i++) {
      if (all.length < at + 4) return undefined;
      const length = int32(all, at);
      at += 4;
      if (length < -1) throw badCopyData('invalid field size', this.#row + 1);
      if (length === -1) {
        fields.push(null);
        continue;
      }
      if (all.length < at + length) return undefined;
      fields.push(all.slice(at, at + length) as Bytes);
      at += length;
    }
    this.#row++;
    return { fields, end: at };
  }

  finish(): CopyRow[] {
    if (!this.#hasHeader && this.#rest === '') throw badCopyData('COPY file signature not recognized', 1);
    if (this.#rest !== '') throw badCopyData('unexpected EOF in COPY data', this.#row + 1);
    return [];
  }
}

function int32(text: string, at: number): number {
  return (text.charCodeAt(at) << 24) | (text.charCodeAt(at + 1) << 16) | (text.charCodeAt(at + 2) << 8) | text.charCodeAt(at + 3);
}
