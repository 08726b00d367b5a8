/**
 * Column codec: the datums of one type to key parts and tuple columns, and back.
 *
 * Each function returns a closure chosen once per column, so that encoding a row does not look at
 * types. Closures never see NULL: the row codec writes it as a marker in keys and leaves it out of
 * tuples.
 *
 * A key part may lose what does not bear on order: 1.00 and 1.0 are one key, and so are 0 and -0.
 * Such a value (`isLossy`) is kept in the tuple beside the key; CockroachDB calls the column composite.
 * Infinite dates and timestamps are integers beyond every finite one.
 */
import { type Bytes, utf8Decode, utf8Encode } from '../base/bytes.ts';
import type { DecimalParts } from '../base/decimalcode.ts';
import { StatementError } from '../base/errors.ts';
import type { Int } from '../base/int64.ts';
import type { KeyReader, KeyWriter } from '../base/keycode.ts';
import { SqlState } from '../base/sqlState.ts';
import { TupleReader, TupleWriter } from '../base/valuecode.ts';

import { canonicalInt, type Datum, TimeTz } from './datum.ts';
import { Decimal } from './decimal.ts';
import { enumCodec } from './enumType.ts';
import { Interval } from './interval.ts';
import { Json } from './json.ts';
import { type ColumnType, elementOf, familyName } from './type.ts';

export type KeyEncode = (writer: KeyWriter, datum: Datum) => void;
export type KeyDecode = (reader: KeyReader) => Datum;
export type ValueEncode = (writer: TupleWriter, columnId: number, datum: Datum) => void;
export type ValueDecode = (reader: TupleReader) => Datum;

const DATE_INFINITY = 2 ** 40;
const SECONDS_INFINITY = 2 ** 52;
const MICROS_PER_SECOND = 1_000_000;

function encodeDate(days: number): number {
  return days === Number.POSITIVE_INFINITY ? DATE_INFINITY : days === Number.NEGATIVE_INFINITY ? -DATE_INFINITY : days;
}

function decodeDate(days: number): number {
  return days === DATE_INFINITY ? Number.POSITIVE_INFINITY : days === -DATE_INFINITY ? Number.NEGATIVE_INFINITY : days;
}

function secondsOf(micros: number | bigint): number {
  if (typeof micros === 'number') {
    if (Number.isFinite(micros)) return Math.floor(micros / MICROS_PER_SECOND);
    return micros > 0 ? SECONDS_INFINITY : -SECONDS_INFINITY;
  }
  const seconds = micros / 1_000_000n;
  return Number(micros < 0n && seconds * 1_000_000n !== micros ? seconds - 1n : seconds);
}

function nanosOf(micros: number | bigint, seconds: number): number {
  if (typeof micros === 'number') return Number.isFinite(micros) ? (micros - seconds * MICROS_PER_SECOND) * 1000 : 0;
  return Number(micros - BigInt(seconds) * 1_000_000n) * 1000;
}

function microsOf(seconds: number, nanos: number): number | bigint {
  if (seconds === SECONDS_INFINITY) return Number.POSITIVE_INFINITY;
  if (seconds === -SECONDS_INFINITY) return Number.NEGATIVE_INFINITY;
  const micros = seconds * MICROS_PER_SECOND + nanos / 1000;
  if (Number.isSafeInteger(micros)) return micros;
  return canonicalInt(BigInt(seconds) * 1_000_000n + BigInt(nanos / 1000));
}

function decimalOfParts(parts: DecimalParts): Decimal {
  if (parts.form === 'finite') return Decimal.of(parts.coefficient, parts.scale);
  return parts.form === 'nan' ? Decimal.NaN : parts.form === 'infinity' ? Decimal.Infinity : Decimal.NegativeInfinity;
}

function intervalParts(interval: Interval): { months: number; days: number; nanos: Int } {
  const nanos = BigInt(interval.micros) * 1000n;
  return { months: interval.months, days: interval.days, nanos: canonicalInt(nanos) };
}

function intervalOf(parts: { months: number; days: number; nanos: Int }): Interval {
  return new Interval(parts.months, parts.days, canonicalInt(BigInt(parts.nanos) / 1000n));
}

/** True when values of the type can be key parts. */
export function isKeyable(type: ColumnType): boolean {
  switch (type.family) {
    case 'jsonb':
    case 'array':
    case 'tuple':
    case 'void':
    case 'unknown':
      return false;
    default:
      return true;
  }
}

/** True when a column of the type can be stored. */
export function isStorable(type: ColumnType): boolean {
  if (type.family === 'array') return isStorable(elementOf(type));
  return type.family !== 'tuple' && type.family !== 'void' && type.family !== 'unknown';
}

function notKeyable(type: ColumnType): never {
  throw new StatementError(SqlState.FeatureNotSupported, `type ${familyName(type)} is not indexable`);
}

function notStorable(type: ColumnType): never {
  throw new StatementError(SqlState.FeatureNotSupported, `type ${familyName(type)} cannot be stored in a column`);
}

/** Throws 0A000 for a type that has no order in keys. */
export function keyEncoder(type: ColumnType, descending: boolean): KeyEncode {
  switch (type.family) {
    case 'int':
    case 'oid':
    case 'time':
      return (writer, datum) => writer.int(datum as Int, descending);
    case 'bool':
      return (writer, datum) => writer.bool(datum as boolean, descending);
    case 'float':
      return (writer, datum) => writer.float(datum as number, descending);
    case 'decimal':
      return (writer, datum) => writer.decimal(datum as Decimal, descending);
    case 'string':
    case 'bytes':
    case 'uuid':
    case 'inet':
    case 'bit':
      return (writer, datum) => writer.bytes(datum as Bytes, descending);
    case 'enum': {
      const { toPhysical } = enumCodec(type);
      return (writer, datum) => writer.bytes(toPhysical(datum as Bytes), descending);
    }
    case 'date':
      return (writer, datum) => writer.int(encodeDate(datum as number), descending);
    case 'timestamp':
    case 'timestamptz':
      return (writer, datum) => {
        const seconds = secondsOf(datum as number | bigint);
        writer.time(seconds, nanosOf(datum as number | bigint, seconds), descending);
      };
    case 'timetz':
      // By instant, then the offset further east first, which is how TIMETZ compares.
      return (writer, datum) => {
        const { micros, offsetSeconds } = datum as TimeTz;
        writer.int(micros - offsetSeconds * MICROS_PER_SECOND, descending).int(-offsetSeconds, descending);
      };
    case 'interval':
      return (writer, datum) => writer.interval(intervalParts(datum as Interval), descending);
    default:
      return notKeyable(type);
  }
}

/** Reads what keyEncoder wrote; a lossy value comes back in its plainest form. */
export function keyDecoder(type: ColumnType, descending: boolean): KeyDecode {
  switch (type.family) {
    case 'int':
    case 'oid':
    case 'time':
      return descending ? (reader) => reader.int(true) : (reader) => reader.int();
    case 'bool':
      return (reader) => reader.bool(descending);
    case 'float':
      return (reader) => reader.float(descending);
    case 'decimal':
      return (reader) => {
        const decimal = decimalOfParts(reader.decimal(descending));
        return decimal.scale < 0 ? decimal.withScale(0) : decimal;
      };
    case 'string':
    case 'bytes':
    case 'uuid':
    case 'inet':
    case 'bit':
      return (reader) => reader.bytes();
    case 'enum': {
      const { toLabel } = enumCodec(type);
      return (reader) => toLabel(reader.bytes());
    }
    case 'date':
      return (reader) => decodeDate(Number(reader.int(descending)));
    case 'timestamp':
    case 'timestamptz':
      return (reader) => {
        const { seconds, nanos } = reader.time(descending);
        return microsOf(seconds, nanos);
      };
    case 'timetz':
      return (reader) => {
        const instant = Number(reader.int(descending));
        const offsetSeconds = 0 - Number(reader.int(descending));
        return new TimeTz(instant + offsetSeconds * MICROS_PER_SECOND, offsetSeconds);
      };
    case 'interval':
      return (reader) => intervalOf(reader.interval(descending));
    default:
      return notKeyable(type);
  }
}

/** How many key parts a value of the type takes: what a reader that passes over it must skip. */
export function keyPartsOf(type: ColumnType): number {
  return type.family === 'timetz' ? 2 : 1;
}

/** True for types of which some values lose something in a key. */
export function isComposite(type: ColumnType): boolean {
  return type.family === 'decimal' || type.family === 'float';
}

/** True when this value would come back from its key part looking different. */
export function isLossy(type: ColumnType, datum: Datum): boolean {
  if (type.family === 'float') return Object.is(datum, -0);
  if (type.family !== 'decimal') return false;
  const { form, coefficient, scale } = datum as Decimal;
  return form === 'finite' && scale !== 0 && (scale < 0 || coefficient % 10n === 0n);
}

/** Throws 0A000 for a type that no column can have. */
export function valueEncoder(type: ColumnType): ValueEncode {
  switch (type.family) {
    case 'int':
    case 'oid':
    case 'time':
      return (writer, id, datum) => writer.int(id, datum as Int);
    case 'bool':
      return (writer, id, datum) => writer.bool(id, datum as boolean);
    case 'float':
      return (writer, id, datum) => writer.float(id, datum as number);
    case 'decimal':
      return (writer, id, datum) => writer.decimal(id, datum as Decimal);
    case 'string':
    case 'bytes':
    case 'inet':
    case 'bit':
      return (writer, id, datum) => writer.bytes(id, datum as Bytes);
    case 'enum': {
      const { toPhysical } = enumCodec(type);
      return (writer, id, datum) => writer.bytes(id, toPhysical(datum as Bytes));
    }
    case 'uuid':
      return (writer, id, datum) => writer.uuid(id, datum as Bytes);
    case 'date':
      return (writer, id, datum) => writer.int(id, encodeDate(datum as number));
    case 'timestamp':
    case 'timestamptz':
      return (writer, id, datum) => {
        const seconds = secondsOf(datum as number | bigint);
        writer.time(id, seconds, nanosOf(datum as number | bigint, seconds));
      };
    case 'timetz':
      return (writer, id, datum) => writer.time(id, (datum as TimeTz).micros, (datum as TimeTz).offsetSeconds);
    case 'interval':
      return (writer, id, datum) => writer.interval(id, intervalParts(datum as Interval));
    case 'jsonb':
      return (writer, id, datum) => writer.json(id, utf8Encode(String(datum as Json)));
    case 'array': {
      const encodeArray = arrayEncoder(elementOf(type));
      return (writer, id, datum) => writer.array(id, encodeArray(datum as readonly Datum[]));
    }
    default:
      return notStorable(type);
  }
}

export function valueDecoder(type: ColumnType): ValueDecode {
  switch (type.family) {
    case 'int':
    case 'oid':
    case 'time':
      return (reader) => reader.int();
    case 'bool':
      return (reader) => reader.bool();
    case 'float':
      return (reader) => reader.float();
    case 'decimal':
      return (reader) => decimalOfParts(reader.decimal());
    case 'string':
    case 'bytes':
    case 'inet':
    case 'bit':
      return (reader) => reader.bytes();
    case 'enum': {
      const { toLabel } = enumCodec(type);
      return (reader) => toLabel(reader.bytes());
    }
    case 'uuid':
      return (reader) => reader.uuid();
    case 'date':
      return (reader) => decodeDate(Number(reader.int()));
    case 'timestamp':
    case 'timestamptz':
      return (reader) => {
        const { seconds, nanos } = reader.time();
        return microsOf(seconds, nanos);
      };
    case 'timetz':
      return (reader) => {
        const { seconds, nanos } = reader.time();
        return new TimeTz(seconds, nanos);
      };
    case 'interval':
      return (reader) => intervalOf(reader.interval());
    case 'jsonb':
      return (reader) => Json.ofCanonicalText(utf8Decode(reader.json()));
    case 'array': {
      const decodeArray = arrayDecoder(elementOf(type));
      return (reader) => decodeArray(reader.array());
    }
    default:
      return notStorable(type);
  }
}

// An array is a tuple of its own: column 1 is the length, column i + 2 element i; NULLs are left out.
function arrayEncoder(element: ColumnType): (items: readonly Datum[]) => Bytes {
  const encode = valueEncoder(element);
  const writer = new TupleWriter();
  return (items) => {
    writer.reset().int(1, items.length);
    for (let i = 0; i < items.length; i++) {
      const item = items[i] ?? null;
      if (item !== null) encode(writer, i + 2, item);
    }
    return writer.finish();
  };
}

function arrayDecoder(element: ColumnType): (bytes: Bytes) => Datum[] {
  const decode = valueDecoder(element);
  const reader = new TupleReader();
  return (bytes) => {
    reader.reset(bytes);
    reader.next();
    const items: Datum[] = new Array<Datum>(Number(reader.int())).fill(null);
    while (reader.next()) items[reader.columnId - 2] = decode(reader);
    return items;
  };
}
