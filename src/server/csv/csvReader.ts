/**
 * CSV records from a file that comes in pieces.
 *
 * A field in double quotes holds delimiters, line ends and, doubled, quotes. A quote anywhere else
 * stands for itself, unless quotes are strict. A record that begins with the comment character is
 * passed over; so is an empty line.
 *
 * Source: RFC 4180; CockroachDB documentation, page "IMPORT INTO" (options).
 */
import type { Bytes } from '../../base/bytes.ts';
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';

export interface CsvFormat {
  /** One character. */
  readonly delimiter: string;
  readonly comment: string | undefined;
  readonly strictQuotes: boolean;
  /** What stands for NULL; undefined: nothing does. */
  readonly nullText: string | undefined;
  /** Whether it does in quotes, too. */
  readonly allowQuotedNull: boolean;
}

export interface CsvRecord {
  readonly fields: readonly (Bytes | null)[];
  /** Of the file, from 1: where it begins. */
  readonly line: number;
}

/** A record may be as large as a message. */
const RECORD_BYTES_MAX = 64 * 1024 * 1024;

type State = 'start' | 'comment' | 'fieldStart' | 'bare' | 'quoted' | 'afterQuote';

export class CsvReader {
  readonly #format: CsvFormat;
  #state: State = 'start';
  #fields: (Bytes | null)[] = [];
  #field = '';
  #isQuoted = false;
  #bytes = 0;
  #line = 1;
  #startLine = 1;

  constructor(format: CsvFormat) {
    this.#format = format;
  }

  /** The records that are whole with these bytes. 22P04 for quotes where they cannot be, 54000 for a record without end. */
  push(data: Bytes): CsvRecord[] {
    const records: CsvRecord[] = [];
    for (const char of data) {
      this.#take(char, records);
      if (char === '\n') this.#line++;
      if (++this.#bytes > RECORD_BYTES_MAX) throw new StatementError(SqlState.ProgramLimitExceeded, 'a row of the CSV file is too large');
    }
    return records;
  }

  /** What the end of the file completes. */
  finish(): CsvRecord[] {
    const records: CsvRecord[] = [];
    if (this.#state === 'quoted') throw this.#bad('a quoted field does not end');
    if (this.#state !== 'start' && this.#state !== 'comment') this.#endRecord(records);
    return records;
  }

  #take(char: string, records: CsvRecord[]): void {
    const { delimiter, comment, strictQuotes } = this.#format;
    switch (this.#state) {
      case 'comment':
        if (char === '\n') this.#begin();
        return;
      case 'quoted':
        if (char === '"') this.#state = 'afterQuote';
        else this.#field += char;
        return;
      case 'start':
        this.#startLine = this.#line;
        if (char === '\r') return;
        if (char === '\n') {
          this.#begin();
          return;
        }
        if (char === comment) {
          this.#state = 'comment';
          return;
        }
        this.#state = 'fieldStart';
        break;
      case 'afterQuote':
        if (char === '"') {
          this.#field += '"';
          this.#state = 'quoted';
          return;
        }
        if (char !== delimiter && char !== '\n' && char !== '\r') {
          if (strictQuotes) throw this.#bad('a quoted field goes on after its quote');
          this.#field += `"${char}`;
          this.#state = 'quoted';
          return;
        }
        break;
      default:
        break;
    }
    if (char === delimiter) {
      this.#endField();
      return;
    }
    if (char === '\n') {
      this.#endRecord(records);
      return;
    }
    if (char === '"' && this.#state === 'fieldStart') {
      this.#isQuoted = true;
      this.#state = 'quoted';
      return;
    }
    if (char === '"' && strictQuotes) throw this.#bad('a quote stands in a field without quotes');
    if (char === '\r' && this.#state === 'afterQuote') return;
    this.#field += char;
    if (this.#state === 'fieldStart') this.#state = 'bare';
  }

  #begin(): void {
    this.#state = 'start';
    this.#fields = [];
    this.#bytes = 0;
  }

  #endField(): void {
    const { nullText, allowQuotedNull } = this.#format;
    const isNull = this.#field === nullText && (!this.#isQuoted || allowQuotedNull);
    this.#fields.push(isNull ? null : (this.#field as Bytes));
    this.#field = '';
    this.#isQuoted = false;
    this.#state = 'fieldStart';
  }

  #endRecord(records: CsvRecord[]): void {
    // The carriage return of a line end is no part of the last field.
    if (!this.#isQuoted && this.#field.endsWith('\r')) this.#field = this.#field.slice(0, -1);
    this.#endField();
    records.push({ fields: this.#fields, line: this.#startLine });
    this.#begin();
  }

  #bad(what: string): StatementError {
    return new StatementError(SqlState.BadCopyFileFormat, `parse error in CSV: ${what}`, {
      detail: `the row begins on line ${this.#startLine}`,
    });
  }
}
