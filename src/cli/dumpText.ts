/**
 * Rows of a COPY stream as INSERT statements, in the form that `cockroach dump` gave them.
 *
 * Numbers and truth values stand bare, everything else is a string that the column's type reads. A
 * string with a quote, a backslash, a control character or anything beyond ASCII is written e'...'
 * with escapes, so that a dump is plain ASCII whatever it holds.
 */

/** Rows in one INSERT. */
export const ROWS_PER_INSERT = 100;

const NUMBER = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/;
const BARE_FAMILIES: ReadonlySet<string> = new Set(['int', 'float', 'decimal', 'oid']);

/** One field of COPY's text format as a SQL literal. `family`: of the column's type. */
export function literalOf(field: string, family: string): string {
  if (field === '\\N') return 'NULL';
  if (family === 'bool') return field === 't' ? 'true' : 'false';
  if (BARE_FAMILIES.has(family) && NUMBER.test(field)) return field;
  return stringLiteral(field.includes('\\') ? unescapeCopy(field) : field);
}

const COPY_ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

function unescapeCopy(field: string): string {
  return field.replace(/\\(.)/gs, (_, char: string) => COPY_ESCAPES[char] ?? char);
}

const PLAIN = /^[\x20-\x26\x28-\x5b\x5d-\x7e]*$/;
const STRING_ESCAPES: Readonly<Record<string, string>> = {
  "'": "\\'",
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

/** `'abc'`, `e'It\'s'`, `e'B\u00E4r'`. */
export function stringLiteral(text: string): string {
  if (PLAIN.test(text)) return `'${text}'`;
  const escaped = text.replace(
    /[^\x20-\x26\x28-\x5b\x5d-\x7e]/gu,
    (char) => STRING_ESCAPES[char] ?? unicodeEscape(char.codePointAt(0) ?? 0),
  );
  return `e'${escaped}'`;
}

function unicodeEscape(code: number): string {
  const hex = code.toString(16).toUpperCase();
  return code > 0xffff ? `\\U${hex.padStart(8, '0')}` : `\\u${hex.padStart(4, '0')}`;
}

export interface RowColumns {
  /** Of the table, quoted. */
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly family: string }[];
}

/** Turns lines of COPY's text format into INSERT statements, ROWS_PER_INSERT rows each. */
export class InsertWriter {
  readonly #head: string;
  readonly #families: readonly string[];
  readonly #out: (text: string) => void;
  #rows: string[] = [];

  constructor({ name, columns }: RowColumns, out: (text: string) => void) {
    this.#head =
      columns.length === 0
        ? `INSERT INTO ${name} DEFAULT VALUES`
        : `INSERT INTO ${name} (${columns.map((column) => column.name).join(', ')}) VALUES`;
    this.#families = columns.map((column) => column.family);
    this.#out = out;
  }

  line(line: string): void {
    // A table without columns has rows all the same.
    if (this.#families.length === 0) {
      this.#out(`\n${this.#head};\n`);
      return;
    }
    const values = line.split('\t').map((field, i) => literalOf(field, this.#families[i] ?? ''));
    this.#rows.push(`\t(${values.join(', ')})`);
    if (this.#rows.length === ROWS_PER_INSERT) this.finish();
  }

  finish(): void {
    if (this.#rows.length === 0) return;
    this.#out(`\n${this.#head}\n${this.#rows.join(',\n')};\n`);
    this.#rows = [];
  }
}
