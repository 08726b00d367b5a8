/**
 * Rows to COPY data: text lines, CSV records, or binary rows. The inverse of decode.ts.
 */
import { type Bytes, utf8Encode } from '../../../base/bytes.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { binaryEncoder } from '../../../catalog/datumBinary.ts';
import { formatter, type TextContext } from '../../../catalog/datumText.ts';
import type { ColumnType } from '../../../catalog/type.ts';
import { BINARY_SIGNATURE } from './decode.ts';
import type { CopyOptions } from './options.ts';

export interface CopyEncoder {
  /** What comes before the rows. */
  readonly head: Bytes;
  row(row: readonly Datum[]): Bytes;
  readonly tail: Bytes;
}

interface Column {
  readonly name: string;
  readonly type: ColumnType;
}

export function copyEncoder(options: CopyOptions, columns: readonly Column[], context: TextContext): CopyEncoder {
  if (options.format === 'binary') return binaryRows(columns);
  const field = options.format === 'csv' ? csvField(options, columns.length === 1) : textField(options);
  const encoders = columns.map(({ type }): ((datum: Datum) => string) => {
    if (type.family === 'string') return (datum) => datum as Bytes;
    const format = formatter(type);
    return (datum) => utf8Encode(format(datum, context));
  });
  const { delimiter, nullText } = options;
  return {
    head: (options.header === false ? '' : `${columns.map(({ name }) => field(utf8Encode(name))).join(delimiter)}\n`) as Bytes,
    row(row) {
      let line = '';
      for (let i = 0; i < encoders.length; i++) {
        const datum = row[i];
        if (i > 0) line += delimiter;
        line += datum === null || datum === undefined ? nullText : field((encoders[i] as (datum: Datum) => string)(datum));
      }
      return `${line}\n` as Bytes;
    },
    tail: '' as Bytes,
  };
}

const TEXT_ESCAPES: Readonly<Record<string, string>> = {
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
};

function textField({ delimiter }: CopyOptions): (text: string) => string {
  const special =
    delimiter === '\t'
      ? /[\b\f\n\r\t\v\\]/g
      : new RegExp(`[\\b\\f\\n\\r\\t\\v\\\\\\u${delimiter.charCodeAt(0).toString(16).padStart(4, '0')}]`, 'g');
  return (text) => text.replace(special, (char) => TEXT_ESCAPES[char] ?? `\\${char}`);
}

function csvField({ delimiter, nullText, quote, escape: escaper }: CopyOptions, isOnly: boolean): (text: string) => string {
  return (text) => {
    const isPlain =
      text !== nullText &&
      !text.includes(delimiter) &&
      !text.includes(quote) &&
      !text.includes('\n') &&
      !text.includes('\r') &&
      // Alone on its line it would end the data.
      !(isOnly && text === '\\.');
    if (isPlain) return text;
    let quoted = quote;
    for (const char of text) quoted += char === quote || char === escaper ? escaper + char : char;
    return quoted + quote;
  };
}

function binaryRows(columns: readonly Column[]): CopyEncoder {
  const encoders = columns.map(({ type }) => binaryEncoder(type));
  return {
    head: `${BINARY_SIGNATURE}${int32(0)}${int32(0)}` as Bytes,
    row(row) {
      let text = String.fromCharCode(encoders.length >> 8, encoders.length & 0xff);
      for (let i = 0; i < encoders.length; i++) {
        const datum = row[i];
        if (datum === null || datum === undefined) text += int32(-1);
        else {
          const bytes = (encoders[i] as (datum: Datum) => Bytes)(datum);
          text += int32(bytes.length) + bytes;
        }
      }
      return text as Bytes;
    },
    tail: '\xff\xff' as Bytes,
  };
}

function int32(value: number): string {
  return String.fromCharCode((value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}
