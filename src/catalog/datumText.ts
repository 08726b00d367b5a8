/**
 * Datums as text: PostgreSQL's output form of every type, and reading it back.
 *
 * Errors carry CockroachDB's words: `could not parse "x" as type int: …` with 22P02, dates and
 * intervals 22007, out of range 22003 or 22008. Widths and precisions are not applied here but on
 * assignment (cast.ts).
 */
import { asBytes, type Bytes, fromBuffer, toBuffer, toHex, utf8Decode, utf8Encode } from '../base/bytes.ts';
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

import { formatArray, formatTuple, parseArray, parseTuple } from './arrayText.ts';
import {
  type DateContext,
  formatDate,
  formatTime,
  formatTimestamp,
  formatTimestampTz,
  formatTimeTz,
  parseDate,
  parseTime,
  parseTimestamp,
  parseTimestampTz,
  parseTimeTz,
} from './datetimeText.ts';
import { canonicalInt, type Datum, INT8_MAX, INT8_MIN, TimeTz } from './datum.ts';
import { Decimal } from './decimal.ts';
import { formatFloat, parseFloatText } from './floatText.ts';
import { formatInet, parseInet } from './inet.ts';
import type { Interval } from './interval.ts';
import { formatInterval, type IntervalStyle, parseInterval } from './intervalText.ts';
import { Json, parseJson } from './json.ts';
import { type ColumnType, elementOf, familyName } from './type.ts';

/** What text forms depend on besides the type; the defaults are a new session's in UTC. */
export interface TextContext extends DateContext {
  readonly intervalStyle?: IntervalStyle;
  readonly byteaOutput?: 'hex' | 'escape' | 'base64';
  /** The name behind the oid of a REGCLASS and its kin; without it the number is printed. */
  readonly oidName?: (type: ColumnType, oid: number) => string;
}

const DEFAULTS: TextContext = Object.freeze({});

export type Format = (datum: Datum, context?: TextContext) => string;
export type Parse = (text: string, context?: TextContext) => Datum;

/** The text of a datum that is not null. */
export function formatDatum(type: ColumnType, datum: Datum, context: TextContext = DEFAULTS): string {
  return formatter(type)(datum, context);
}

/** Reads a datum; NULL has no text form. */
export function parseDatum(type: ColumnType, text: string, context: TextContext = DEFAULTS): Datum {
  return parser(type)(text, context);
}

/** formatDatum as a closure, for whole columns. */
export function formatter(type: ColumnType): Format {
  switch (type.family) {
    case 'bool':
      return (datum) => (datum ? 't' : 'f');
    case 'int':
      return String;
    case 'oid':
      return type.variant === undefined ? String : (datum, context) => context?.oidName?.(type, datum as number) ?? String(datum);
    case 'float':
      return (datum) => formatFloat(datum as number, type.width);
    case 'decimal':
    case 'jsonb':
      return String;
    case 'string':
    case 'enum':
      return (datum) => utf8Decode(datum as Bytes);
    case 'bytes':
      return (datum, context = DEFAULTS) => formatBytea(datum as Bytes, context.byteaOutput);
    case 'uuid':
      return (datum) => formatUuid(datum as Bytes);
    case 'date':
      return (datum) => formatDate(datum as number);
    case 'time':
      return (datum) => formatTime(datum as number);
    case 'timetz':
      return (datum) => formatTimeTz((datum as TimeTz).micros, (datum as TimeTz).offsetSeconds);
    case 'timestamp':
      return (datum) => formatTimestamp(datum as number | bigint);
    case 'timestamptz':
      return (datum, context = DEFAULTS) => formatTimestampTz(datum as number | bigint, context.timeZone);
    case 'interval':
      return (datum, context = DEFAULTS) => formatInterval(datum as Interval, context.intervalStyle);
    case 'inet':
      return (datum) => formatInet(datum as Bytes);
    case 'bit':
      return (datum) => datum as Bytes;
    case 'array': {
      const format = formatter(elementOf(type));
      const separator = type.variant ? ' ' : ',';
      return (datum, context) => {
        const texts = (datum as readonly Datum[]).map((item) => (item === null ? null : format(item, context)));
        return type.variant ? texts.join(separator) : formatArray(texts);
      };
    }
    case 'tuple': {
      const formats = (type.fields ?? []).map(formatter);
      return (datum, context) =>
        formatTuple((datum as readonly Datum[]).map((item, i) => (item === null ? null : (formats[i] ?? String)(item, context))));
    }
    case 'unknown':
    case 'void':
      return () => '';
  }
}

/** parseDatum as a closure. */
export function parser(type: ColumnType): Parse {
  switch (type.family) {
    case 'bool':
      return parseBool;
    case 'int':
      return parseInt8;
    case 'oid':
      return parseOid;
    case 'float':
      return (text) => parseFloat8(text, type.width);
    case 'decimal':
      return (text) => Decimal.parse(text) ?? cannotParse(text, 'decimal');
    case 'string':
      return (text) => utf8Encode(text);
    case 'enum':
      return (text) => parseEnum(type, text);
    case 'bytes':
      return parseBytea;
    case 'uuid':
      return parseUuid;
    case 'jsonb':
      return (text) => new Json(parseJson(text));
    case 'date':
      return parseDate;
    case 'time':
      return parseTime;
    case 'timetz':
      return (text, context) => {
        const { micros, offsetSeconds } = parseTimeTz(text, context);
        return new TimeTz(micros, offsetSeconds);
      };
    case 'timestamp':
      return parseTimestamp;
    case 'timestamptz':
      return parseTimestampTz;
    case 'interval':
      return (text) => parseInterval(text);
    case 'inet':
      return parseInet;
    case 'bit':
      return parseBits;
    case 'array': {
      const parse = parser(elementOf(type));
      return (text, context) => parseArray(text, familyName(type)).map((item) => (item === null ? null : parse(item, context)));
    }
    case 'tuple': {
      const parses = (type.fields ?? []).map(parser);
      return (text, context) =>
        parseTuple(text, parses.length).map((item, i) => (item === null ? null : (parses[i]?.(item, context) ?? null)));
    }
    case 'unknown':
    case 'void':
      return (text) => utf8Encode(text);
  }
}

/** 22P02 with CockroachDB's opening words. */
export function cannotParse(text: string, typeName: string, reason?: string): never {
  const suffix = reason === undefined ? '' : `: ${reason}`;
  throw new StatementError(SqlState.InvalidTextRepresentation, `could not parse "${text}" as type ${typeName}${suffix}`);
}

// Any prefix of the word counts, as in PostgreSQL, as long as it is no prefix of another.
const TRUE_WORDS = ['t', 'tr', 'tru', 'true', 'on', 'y', 'ye', 'yes', '1'];
const FALSE_WORDS = ['f', 'fa', 'fal', 'fals', 'false', 'of', 'off', 'n', 'no', '0'];

function parseBool(text: string): boolean {
  const word = text.trim().toLowerCase();
  if (TRUE_WORDS.includes(word)) return true;
  if (FALSE_WORDS.includes(word)) return false;
  return cannotParse(text, 'bool', 'invalid bool value');
}

function parseInt8(text: string): number | bigint {
  const trimmed = text.trim();
  if (!/^[+-]?(?:\d+|0x[0-9a-f]+)$/i.test(trimmed)) {
    return cannotParse(text, 'int', `strconv.ParseInt: parsing "${text}": invalid syntax`);
  }
  const number = Number(trimmed);
  if (Number.isSafeInteger(number)) return number === 0 ? 0 : number;
  const magnitude = BigInt(trimmed.replace(/^[+-]/, ''));
  const value = trimmed.startsWith('-') ? -magnitude : magnitude;
  if (value < INT8_MIN || value > INT8_MAX) {
    throw new StatementError(
      SqlState.NumericValueOutOfRange,
      `could not parse "${text}" as type int: strconv.ParseInt: parsing "${text}": value out of range`,
    );
  }
  return canonicalInt(value);
}

function parseOid(text: string): number {
  const value = Number(text.trim());
  if (text.trim() === '' || !Number.isInteger(value)) return cannotParse(text, 'oid', 'not a number');
  if (value < -(2 ** 31) || value >= 2 ** 32) {
    throw new StatementError(SqlState.NumericValueOutOfRange, `OID out of range: ${value}`);
  }
  return value < 0 ? value + 2 ** 32 : value;
}

function parseFloat8(text: string, width = 64): number {
  const value = parseFloatText(text);
  if (value === undefined) return cannotParse(text, 'float', `strconv.ParseFloat: parsing "${text}": invalid syntax`);
  const fitted = width === 32 ? Math.fround(value) : value;
  if (!Number.isFinite(fitted) && /\d/.test(text)) {
    throw new StatementError(
      SqlState.NumericValueOutOfRange,
      `could not parse "${text}" as type float: strconv.ParseFloat: parsing "${text}": value out of range`,
    );
  }
  return fitted;
}

function parseEnum(type: ColumnType, text: string): Bytes {
  if (!type.members?.includes(text)) {
    throw new StatementError(SqlState.InvalidTextRepresentation, `invalid input value for enum ${type.name}: "${text}"`);
  }
  return utf8Encode(text);
}

function parseBits(text: string): Bytes {
  if (!/^[01]*$/.test(text)) return cannotParse(text, 'bit', `"${text.replace(/[01]/g, '')[0] ?? ''}" is not a valid binary digit`);
  return asBytes(text);
}

/** `8b6e1a30-…`, lower case. */
export function formatUuid(bytes: Bytes): string {
  const hex = toHex(bytes);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** With or without hyphens after any four digits, in braces, or as `urn:uuid:`. */
export function parseUuid(text: string): Bytes {
  let body = text.trim();
  if (body.startsWith('{') && body.endsWith('}')) body = body.slice(1, -1);
  if (body.toLowerCase().startsWith('urn:uuid:')) body = body.slice('urn:uuid:'.length);
  const hex = body.replaceAll('-', '');
  if (hex.length !== 32) return cannotParse(text, 'uuid', `uuid: incorrect UUID length: ${text}`);
  if (!/^[0-9a-f]{32}$/i.test(hex) || !/^(?:[0-9a-f]{4}-?){7}[0-9a-f]{4}$/i.test(body)) {
    return cannotParse(text, 'uuid', `uuid: incorrect UUID format: ${text}`);
  }
  return fromBuffer(Buffer.from(hex, 'hex'));
}

/** `\x6162` by default; escape form: printable ASCII as it is, a backslash doubled, other bytes as three octal digits. */
export function formatBytea(bytes: Bytes, style: TextContext['byteaOutput'] = 'hex'): string {
  if (style === 'hex') return `\\x${toHex(bytes)}`;
  if (style === 'base64') return toBuffer(bytes).toString('base64');
  return bytes.replace(/[^\x20-\x7e]|\\/g, (char) => (char === '\\' ? '\\\\' : `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`));
}

export function parseBytea(text: string): Bytes {
  if (text.startsWith('\\x') || text.startsWith('\\X')) {
    const hex = text.slice(2).replace(/\s+/g, '');
    if (hex.length % 2 !== 0) return cannotParse(text, 'bytes', 'encoding/hex: odd length hex string');
    if (!/^[0-9a-f]*$/i.test(hex)) return cannotParse(text, 'bytes', 'encoding/hex: invalid byte');
    return fromBuffer(Buffer.from(hex, 'hex'));
  }
  const utf8 = utf8Encode(text);
  if (!utf8.includes('\\')) return utf8;
  if (/\\(?![0-3][0-7]{2})/.test(utf8.replaceAll('\\\\', ''))) {
    return cannotParse(text, 'bytes', 'bytea encoded value ends with incomplete or invalid escape');
  }
  return asBytes(
    utf8.replace(/\\(?:\\|([0-3][0-7]{2}))/g, (_, octal) => (octal === undefined ? '\\' : String.fromCharCode(Number.parseInt(octal, 8)))),
  );
}
