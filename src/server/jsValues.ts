/**
 * Datums as the values a JavaScript program expects, and back as parameters.
 *
 *   INT          number, or bigint beyond 2^53        FLOAT        number
 *   DECIMAL      string, exact                         BOOL         boolean
 *   STRING       string                                BYTES        Buffer
 *   TIMESTAMP(TZ) Date (milliseconds), or +-Infinity   JSONB        parsed
 *   arrays       arrays                                the rest     string, as SQL prints it
 */
import { type Bytes, fromBuffer, toBuffer, utf8Decode, utf8Encode } from '../base/bytes.ts';
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { requireTimeZone } from '../catalog/datetime.ts';
import type { Datum } from '../catalog/datum.ts';
import { formatDatum, parseDatum } from '../catalog/datumText.ts';
import { type ColumnType, elementOf, Type } from '../catalog/type.ts';

const INT8_OID = Type.Int8.oid;

/** A value of a row, or a parameter. */
// biome-ignore lint/suspicious/noExplicitAny: rows are typed by the caller's SQL, which TypeScript cannot see
export type JsValue = any;

export function datumToJs(type: ColumnType, datum: Datum, timeZone: string): JsValue {
  if (datum === null) return null;
  switch (type.family) {
    case 'bool':
    case 'float':
    case 'int':
    case 'oid':
      return datum;
    case 'string':
      return utf8Decode(datum as Bytes);
    case 'bytes':
      return toBuffer(datum as Bytes);
    case 'timestamp':
    case 'timestamptz':
      // An infinity is a number, as the pg package has it: there is no such Date.
      return Number.isFinite(Number(datum)) ? new Date(Math.floor(Number(datum) / 1000)) : Number(datum);
    case 'jsonb':
      return JSON.parse(formatDatum(type, datum));
    case 'array':
      return (datum as readonly Datum[]).map((element) => datumToJs(elementOf(type), element, timeZone));
    default:
      return formatDatum(type, datum, { timeZone: requireTimeZone(timeZone) });
  }
}

/** A JavaScript value as a datum of a parameter's type. 22023 for what has no such form, 22P02 for text that is not one. */
export function jsToDatum(type: ColumnType, value: JsValue): Datum {
  if (value === null || value === undefined) return null;
  if (type.family === 'array' && Array.isArray(value)) return value.map((element) => jsToDatum(elementOf(type), element));
  if (type.family === 'jsonb') return parseDatum(type, typeof value === 'string' ? value : jsonText(value));
  if (value instanceof Date) return dateToDatum(type, value);
  if (value instanceof Uint8Array) {
    if (type.family === 'bytes') return fromBuffer(value);
    throw new StatementError(SqlState.InvalidParameterValue, `a Buffer is no value of type ${type.family}`);
  }
  switch (typeof value) {
    case 'string':
      return type.family === 'string' ? utf8Encode(value) : parseDatum(type, value);
    case 'number':
      if (type.oid === INT8_OID && Number.isSafeInteger(value) && !Object.is(value, -0)) return value;
      if (Object.is(value, -0) && type.family === 'float') return value;
      return type.family === 'string' ? utf8Encode(String(value)) : parseDatum(type, String(value));
    case 'bigint':
    case 'boolean':
      return type.family === 'string' ? utf8Encode(String(value)) : parseDatum(type, String(value));
    default:
      throw new StatementError(SqlState.InvalidParameterValue, `a JavaScript ${typeof value} is no SQL value`, {
        hint: 'pass a string, number, bigint, boolean, Date, Buffer, array, or null',
      });
  }
}

/** A value as JSON text. 22023 for what JSON cannot hold: functions, cycles, bigints. */
function jsonText(value: JsValue): string {
  let text: string | undefined;
  let reason = `a JavaScript ${typeof value} is no JSON`;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    reason = (error as Error).message.split('\n')[0] as string;
  }
  if (text === undefined) throw new StatementError(SqlState.InvalidParameterValue, `a parameter cannot be made JSON: ${reason}`);
  return text;
}

function dateToDatum(type: ColumnType, date: Date): Datum {
  const millis = date.getTime();
  if (Number.isNaN(millis)) throw new StatementError(SqlState.InvalidParameterValue, 'an invalid Date is no SQL value');
  if (type.family === 'string') return utf8Encode(date.toISOString());
  return parseDatum(type, sqlDate(date));
}

/** As toISOString(), but with years outside 1 to 9999 as SQL writes them: `12000-...`, `0044-... BC`. */
function sqlDate(date: Date): string {
  const text = date.toISOString();
  const long = /^([+-])(\d{6})(.*)$/.exec(text);
  if (!long && !text.startsWith('0000')) return text;
  const year = long ? Number(`${long[1]}${long[2]}`) : 0;
  const rest = long ? (long[3] as string) : text.slice(4);
  return year > 0 ? `${year}${rest}` : `${String(1 - year).padStart(4, '0')}${rest} BC`;
}
