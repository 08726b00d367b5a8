/**
 * Datums in PostgreSQL's binary formats, as drivers send parameters and ask for results.
 *
 *   int2, int4, int8, float4, float8, oid    big-endian        bool   one byte
 *   text, bytea, enum                        the bytes         uuid   16 bytes
 *   date         int4 days since 2000-01-01       timestamp, -tz  int8 microseconds since 2000-01-01
 *   time         int8 microseconds                timetz          time, then int4 seconds west of UTC
 *   interval     int8 microseconds, int4 days, int4 months
 *   numeric      int2 digit count, weight, sign, scale; then base-10000 digits
 *   jsonb        a 1, then the text               bit             int4 length, then the bits
 *   inet         family, prefix length, 0, address length, address
 *   array        int4 dimensions, has-null, element OID, length, lower bound; then int4 size and data, each
 *   record       int4 fields; then OID, int4 size and data, each
 *
 * Reading throws 22P03 when the bytes do not fit the type. Source: PostgreSQL's *send and *recv functions.
 */
import { asBytes, type Bytes, utf8Decode, utf8Encode } from '../base/bytes.ts';
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

import { DATE_DAY_END, isInfinite, TIMESTAMP_DAY_END, TIMESTAMP_DAY_MIN } from './datetime.ts';
import { canonicalInt, type Datum, TimeTz } from './datum.ts';
import { Decimal, powerOfTen } from './decimal.ts';
import { Interval, MICROS_PER_DAY } from './interval.ts';
import { Json, parseJson } from './json.ts';
import { type ColumnType, elementOf, familyName } from './type.ts';

export type BinaryEncode = (datum: Datum) => Bytes;
export type BinaryDecode = (bytes: Bytes) => Datum;

/** Days from 1970-01-01 to 2000-01-01. */
const EPOCH_DAYS = 10_957;
const EPOCH_MICROS = BigInt(EPOCH_DAYS) * 86_400_000_000n;
const TIMESTAMP_MIN = BigInt(TIMESTAMP_DAY_MIN) * BigInt(MICROS_PER_DAY);
const TIMESTAMP_END = BigInt(TIMESTAMP_DAY_END) * BigInt(MICROS_PER_DAY);
/** As the text form has it. */
const ZONE_SECONDS_MAX = 18 * 3600;
const INT4_MAX = 2 ** 31 - 1;
const INT8_MAX = 2n ** 63n - 1n;

const scratch = Buffer.alloc(16);

function int2(value: number): Bytes {
  scratch.writeInt16BE(value);
  return asBytes(scratch.latin1Slice(0, 2));
}

function int4(value: number): Bytes {
  scratch.writeInt32BE(value);
  return asBytes(scratch.latin1Slice(0, 4));
}

function int8(value: number | bigint): Bytes {
  scratch.writeBigInt64BE(BigInt(value));
  return asBytes(scratch.latin1Slice(0, 8));
}

function join(...parts: readonly string[]): Bytes {
  return asBytes(parts.join(''));
}

function timestampMicros(value: number | bigint): bigint {
  if (isInfinite(value)) return value > 0 ? INT8_MAX : -INT8_MAX - 1n;
  return BigInt(value) - EPOCH_MICROS;
}

/** The encoder of a type; called with datums that are not null. */
export function binaryEncoder(type: ColumnType): BinaryEncode {
  switch (type.family) {
    case 'bool':
      return (d) => asBytes(d ? '\x01' : '\x00');
    case 'int':
      if (type.width === 16) return (d) => int2(d as number);
      return type.width === 32 ? (d) => int4(d as number) : (d) => int8(d as number | bigint);
    case 'oid':
      return (d) => int4((d as number) | 0);
    case 'float':
      return (d) => {
        if (type.width === 32) scratch.writeFloatBE(d as number);
        else scratch.writeDoubleBE(d as number);
        return asBytes(scratch.latin1Slice(0, type.width === 32 ? 4 : 8));
      };
    case 'decimal':
      return (d) => encodeNumeric(d as Decimal);
    case 'string':
    case 'bytes':
    case 'enum':
    case 'uuid':
      return (d) => d as Bytes;
    case 'date':
      return (d) => int4(isInfinite(d as number) ? ((d as number) > 0 ? INT4_MAX : -INT4_MAX - 1) : (d as number) - EPOCH_DAYS);
    case 'timestamp':
    case 'timestamptz':
      return (d) => int8(timestampMicros(d as number | bigint));
    case 'time':
      return (d) => int8(d as number);
    case 'timetz':
      return (d) => join(int8((d as TimeTz).micros), int4(-(d as TimeTz).offsetSeconds));
    case 'interval':
      return (d) => join(int8((d as Interval).micros), int4((d as Interval).days), int4((d as Interval).months));
    case 'jsonb':
      return (d) => join('\x01', utf8Encode(String(d)));
    case 'inet':
      return (d) => encodeInet(d as Bytes);
    case 'bit':
      return (d) => encodeBits(d as Bytes);
    case 'array': {
      const element = elementOf(type);
      const encode = binaryEncoder(element);
      return (d) => encodeArray(d as readonly Datum[], element.oid, encode);
    }
    case 'tuple': {
      const encodes = (type.fields ?? []).map(binaryEncoder);
      return (d) => {
        const items = d as readonly Datum[];
        const parts = items.map((item, i) => int4((type.fields?.[i]?.oid ?? 705) | 0) + sized(item, encodes[i] as BinaryEncode));
        return join(int4(items.length), ...parts);
      };
    }
    case 'unknown':
    case 'void':
      return () => asBytes('');
  }
}

function sized(item: Datum, encode: BinaryEncode): Bytes {
  if (item === null) return int4(-1);
  const bytes = encode(item);
  return join(int4(bytes.length), bytes);
}

function encodeArray(items: readonly Datum[], elementOid: number, encode: BinaryEncode): Bytes {
  const hasNull = items.includes(null) ? 1 : 0;
  if (items.length === 0) return join(int4(0), int4(0), int4(elementOid | 0));
  return join(int4(1), int4(hasNull), int4(elementOid | 0), int4(items.length), int4(1), ...items.map((item) => sized(item, encode)));
}

function encodeInet(inet: Bytes): Bytes {
  const isV4 = inet.charCodeAt(0) === 4;
  return join(String.fromCharCode(isV4 ? 2 : 3), inet.slice(1, 2), '\x00', String.fromCharCode(isV4 ? 4 : 16), inet.slice(2));
}

function encodeBits(bits: Bytes): Bytes {
  let bytes = '';
  for (let i = 0; i < bits.length; i += 8) bytes += String.fromCharCode(Number.parseInt(bits.slice(i, i + 8).padEnd(8, '0'), 2));
  return join(int4(bits.length), bytes);
}

const NUMERIC_NEGATIVE = 0x4000;
const NUMERIC_NAN = 0xc000;
const NUMERIC_INFINITY = 0xd000;
const NUMERIC_NEGATIVE_INFINITY = 0xf000;
const GROUP_DIGITS = 4;

function numericHeader(digitCount: number, weight: number, sign: number, scale: number): Bytes {
  scratch.writeInt16BE(digitCount, 0);
  scratch.writeInt16BE(weight, 2);
  scratch.writeUInt16BE(sign, 4);
  scratch.writeUInt16BE(scale, 6);
  return asBytes(scratch.latin1Slice(0, 8));
}

function encodeNumeric(value: Decimal): Bytes {
  if (value.isNaN) return numericHeader(0, 0, NUMERIC_NAN, 0);
  if (!value.isFinite) return numericHeader(0, 0, value.sign > 0 ? NUMERIC_INFINITY : NUMERIC_NEGATIVE_INFINITY, 0);
  const { coefficient, scale } = value.scale < 0 ? value.withScale(0) : value;
  const digits = String(coefficient < 0n ? -coefficient : coefficient).padStart(scale + 1, '0');
  // Groups of four to both sides of the point.
  const whole = digits.slice(0, digits.length - scale);
  const fraction = digits.slice(digits.length - scale);
  const paddedWhole = whole.padStart(Math.ceil(whole.length / GROUP_DIGITS) * GROUP_DIGITS, '0');
  const padded = paddedWhole + fraction.padEnd(Math.ceil(fraction.length / GROUP_DIGITS) * GROUP_DIGITS, '0');
  const groups: number[] = [];
  for (let i = 0; i < padded.length; i += GROUP_DIGITS) groups.push(Number(padded.slice(i, i + GROUP_DIGITS)));
  let weight = paddedWhole.length / GROUP_DIGITS - 1;
  while (groups.length > 0 && groups[0] === 0) {
    groups.shift();
    weight--;
  }
  while (groups.length > 0 && groups.at(-1) === 0) groups.pop();
  if (groups.length === 0) weight = 0;
  return join(numericHeader(groups.length, weight, coefficient < 0n ? NUMERIC_NEGATIVE : 0, scale), ...groups.map(int2));
}

function outOfRange(what: string): StatementError {
  return new StatementError(SqlState.DatetimeFieldOverflow, `${what} out of range`);
}

/** Microseconds since midnight; 24:00 is the last. 22008. */
function timeOfDay(micros: bigint): number {
  if (micros < 0n || micros > BigInt(MICROS_PER_DAY)) throw outOfRange('time');
  return Number(micros);
}

/** Reads what a client sent. Also for JSON's binary form, which has no version byte. */
export function binaryDecoder(type: ColumnType): BinaryDecode {
  const decode = rawDecoder(type);
  return (bytes) => {
    const reader = new Reader(bytes, type);
    const datum = decode(reader);
    reader.end();
    return datum;
  };
}

class Reader {
  readonly #buffer: Buffer;
  readonly #type: ColumnType;
  #at = 0;

  constructor(bytes: Bytes, type: ColumnType) {
    this.#buffer = Buffer.from(bytes, 'latin1');
    this.#type = type;
  }

  fail(): never {
    throw new StatementError(SqlState.InvalidBinaryRepresentation, `incorrect binary data format for type ${familyName(this.#type)}`, {
      detail: `${this.#buffer.length} bytes, trouble at byte ${this.#at}`,
    });
  }

  take(count: number): number {
    const at = this.#at;
    if (count < 0 || at + count > this.#buffer.length) this.fail();
    this.#at += count;
    return at;
  }

  get left(): number {
    return this.#buffer.length - this.#at;
  }

  uint1 = (): number => this.#buffer.readUInt8(this.take(1));
  int2 = (): number => this.#buffer.readInt16BE(this.take(2));
  uint2 = (): number => this.#buffer.readUInt16BE(this.take(2));
  int4 = (): number => this.#buffer.readInt32BE(this.take(4));
  int8 = (): bigint => this.#buffer.readBigInt64BE(this.take(8));
  float4 = (): number => this.#buffer.readFloatBE(this.take(4));
  float8 = (): number => this.#buffer.readDoubleBE(this.take(8));

  bytes(count: number): Bytes {
    const at = this.take(count);
    return asBytes(this.#buffer.latin1Slice(at, at + count));
  }

  end(): void {
    if (this.left > 0) this.fail();
  }
}

type RawDecode = (reader: Reader) => Datum;

function rawDecoder(type: ColumnType): RawDecode {
  switch (type.family) {
    case 'bool':
      return (r) => r.uint1() !== 0;
    case 'int':
      if (type.width === 16) return (r) => r.int2();
      return type.width === 32 ? (r) => r.int4() : (r) => canonicalInt(r.int8());
    case 'oid':
      return (r) => r.int4() >>> 0;
    case 'float':
      return type.width === 32 ? (r) => r.float4() : (r) => r.float8();
    case 'decimal':
      return decodeNumeric;
    case 'string':
      return (r) => {
        const bytes = r.bytes(r.left);
        // Decoding checks that it is UTF-8.
        utf8Decode(bytes);
        return bytes;
      };
    case 'bytes':
      return (r) => r.bytes(r.left);
    case 'enum':
      return (r) => {
        const bytes = r.bytes(r.left);
        return type.members?.includes(utf8Decode(bytes)) ? bytes : r.fail();
      };
    case 'uuid':
      return (r) => r.bytes(16);
    case 'date':
      return (r) => {
        const days = r.int4();
        if (days === INT4_MAX) return Number.POSITIVE_INFINITY;
        if (days === -INT4_MAX - 1) return Number.NEGATIVE_INFINITY;
        if (days + EPOCH_DAYS < TIMESTAMP_DAY_MIN || days + EPOCH_DAYS >= DATE_DAY_END) throw outOfRange('date');
        return days + EPOCH_DAYS;
      };
    case 'timestamp':
    case 'timestamptz':
      return (r) => {
        const micros = r.int8();
        if (micros === INT8_MAX) return Number.POSITIVE_INFINITY;
        if (micros === -INT8_MAX - 1n) return Number.NEGATIVE_INFINITY;
        const since1970 = micros + EPOCH_MICROS;
        if (since1970 < TIMESTAMP_MIN || since1970 >= TIMESTAMP_END) throw outOfRange('timestamp');
        return canonicalInt(since1970);
      };
    case 'time':
      return (r) => timeOfDay(r.int8());
    case 'timetz':
      return (r) => {
        const micros = timeOfDay(r.int8());
        const offsetSeconds = 0 - r.int4();
        if (Math.abs(offsetSeconds) > ZONE_SECONDS_MAX) throw outOfRange('time zone displacement');
        return new TimeTz(micros, offsetSeconds);
      };
    case 'interval':
      return (r) => {
        const micros = r.int8();
        const days = r.int4();
        return new Interval(r.int4(), days, micros);
      };
    case 'jsonb':
      return (r) => {
        const text = utf8Decode(r.bytes(r.left));
        return new Json(parseJson(text.startsWith('\x01') ? text.slice(1) : text));
      };
    case 'inet':
      return (r) => {
        const family = r.uint1();
        const prefix = r.uint1();
        r.uint1();
        const length = r.uint1();
        if (length !== (family === 2 ? 4 : 16) || prefix > length * 8) r.fail();
        return join(String.fromCharCode(family === 2 ? 4 : 6, prefix), r.bytes(length));
      };
    case 'bit':
      return (r) => {
        const length = r.int4();
        const bytes = r.bytes(Math.ceil(length / 8));
        const bits = [...bytes].map((char) => char.charCodeAt(0).toString(2).padStart(8, '0')).join('');
        return asBytes(bits.slice(0, length));
      };
    case 'array':
      return arrayDecoder(rawDecoder(elementOf(type)), elementOf(type));
    case 'tuple': {
      const fields = type.fields ?? [];
      const decodes = fields.map(rawDecoder);
      return (r) => {
        if (r.int4() !== fields.length) r.fail();
        return fields.map((field, i) => {
          r.int4();
          return decodeSized(r, decodes[i] as RawDecode, field);
        });
      };
    }
    case 'unknown':
    case 'void':
      return (r) => r.bytes(r.left);
  }
}

function decodeSized(r: Reader, decode: RawDecode, type: ColumnType): Datum {
  const size = r.int4();
  if (size === -1) return null;
  const inner = new Reader(r.bytes(size), type);
  const datum = decode(inner);
  inner.end();
  return datum;
}

function arrayDecoder(decode: RawDecode, element: ColumnType): RawDecode {
  return (r) => {
    const dimensions = r.int4();
    r.int4();
    r.int4();
    if (dimensions === 0) return [];
    if (dimensions !== 1) {
      throw new StatementError(SqlState.FeatureNotSupported, 'nested arrays are not supported', { detail: `${dimensions} dimensions` });
    }
    const length = r.int4();
    r.int4();
    // Each element takes at least its four-byte size, so a false length fails before it allocates.
    if (length < 0 || length * 4 > r.left) r.fail();
    return Array.from({ length }, () => decodeSized(r, decode, element));
  };
}

function decodeNumeric(r: Reader): Decimal {
  const count = r.int2();
  const weight = r.int2();
  const sign = r.uint2();
  const scale = r.uint2();
  if (sign === NUMERIC_NAN) return Decimal.NaN;
  if (sign === NUMERIC_INFINITY) return Decimal.Infinity;
  if (sign === NUMERIC_NEGATIVE_INFINITY) return Decimal.NegativeInfinity;
  if (count < 0 || (sign !== 0 && sign !== NUMERIC_NEGATIVE)) r.fail();
  let coefficient = 0n;
  for (let i = 0; i < count; i++) {
    const group = r.int2();
    if (group < 0 || group > 9999) r.fail();
    coefficient = coefficient * 10_000n + BigInt(group);
  }
  // The groups stand for coefficient * 10000^(weight - count + 1).
  const exponent = (weight - count + 1) * GROUP_DIGITS;
  const signed = sign === NUMERIC_NEGATIVE ? -coefficient : coefficient;
  const exact = exponent >= 0 ? Decimal.of(signed * powerOfTen(exponent), 0) : Decimal.of(signed, -exponent);
  return exact.withScale(scale);
}
