/**
 * Datums on the wire: result columns described, rows encoded, parameters decoded.
 *
 * A STRING datum is UTF-8 already, so its text form is the datum itself; everything else goes
 * through the catalog's text and binary forms. Encoders are chosen once a result, not once a row.
 */
import { type Bytes, utf8Decode, utf8Encode } from '../../base/bytes.ts';
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Datum } from '../../catalog/datum.ts';
import { binaryDecoder, binaryEncoder } from '../../catalog/datumBinary.ts';
import { formatter, parseDatum, type TextContext } from '../../catalog/datumText.ts';
import { type ColumnType, typlenOf, typmodOf } from '../../catalog/type.ts';
import type { ResultColumn } from '../../sql/exec/statement.ts';
import { type FieldDescription, MessageWriter } from './backendMessages.ts';
import type { WireFormat } from './frontendMessages.ts';

/** One format stands for all columns; none means text. */
export function formatAt(formats: readonly WireFormat[], index: number): WireFormat {
  return (formats.length === 1 ? formats[0] : formats[index]) ?? 'text';
}

/** Columns of a result: clients read their count as a signed 16-bit number. */
export const COLUMNS_MAX = 32_767;

/** 54011 for more columns than the protocol can count. */
export function describeColumns(columns: readonly ResultColumn[], formats: readonly WireFormat[]): FieldDescription[] {
  if (columns.length > COLUMNS_MAX) {
    throw new StatementError(SqlState.TooManyColumns, `a result of ${columns.length} columns cannot be sent: at most ${COLUMNS_MAX}`);
  }
  return columns.map((column, index) => ({
    name: column.name,
    tableOid: column.tableId ?? 0,
    columnId: column.columnId ?? 0,
    typeOid: column.type.oid,
    typeSize: typlenOf(column.type),
    typeModifier: typmodOf(column.type),
    format: formatAt(formats, index),
  }));
}

const textDescriptions = new WeakMap<readonly ResultColumn[], Buffer>();

/** The RowDescription message of a result; one in text is made once for its columns. 54011 as describeColumns. */
export function rowDescriptionOf(columns: readonly ResultColumn[], formats: readonly WireFormat[]): Buffer {
  const known = formats.length === 0 ? textDescriptions.get(columns) : undefined;
  if (known) return known;
  const writer = new MessageWriter();
  writer.rowDescription(describeColumns(columns, formats));
  const made = Buffer.from(writer.take());
  if (formats.length === 0) textDescriptions.set(columns, made);
  return made;
}

type Encode = (datum: Datum) => Bytes;

function encoderOf(type: ColumnType, format: WireFormat, context: TextContext): Encode {
  if (format === 'binary') return binaryEncoder(type);
  if (type.family === 'string') return (datum) => datum as Bytes;
  const format_ = formatter(type);
  return (datum) => utf8Encode(format_(datum, context));
}

/** From a row to its wire values; the array it returns is reused by the next call. */
export type RowEncoder = (row: readonly Datum[]) => readonly (Bytes | null)[];

export function rowEncoder(columns: readonly ResultColumn[], formats: readonly WireFormat[], context: TextContext): RowEncoder {
  const encoders = columns.map((column, index) => encoderOf(column.type, formatAt(formats, index), context));
  const values: (Bytes | null)[] = new Array(columns.length).fill(null);
  return (row) => {
    for (let index = 0; index < encoders.length; index++) {
      const datum = row[index];
      values[index] = datum === null || datum === undefined ? null : (encoders[index] as Encode)(datum);
    }
    return values;
  };
}

/** A parameter's bytes as a datum. 22P02 or 22P03 when they are not a value of the type, 22021 for bad UTF-8. */
export function decodeParameter(type: ColumnType, format: WireFormat, bytes: Bytes, context: TextContext): Datum {
  if (format === 'binary') return binaryDecoder(type)(bytes);
  if (type.family === 'string') return utf8Encode(utf8Decode(bytes));
  return parseDatum(type, utf8Decode(bytes), context);
}
