/**
 * Valuecode: the non-key columns of a row as bytes.
 *
 *   value   = kind, columns...            kind: 0x0a a tuple; 0x03 bytes, the value of an index entry
 *   column  = tag, data
 *   tag     = uvarint of (column id - previous column id) * 16 + type; types from 15 on put 15 there
 *             and follow as a uvarint of their own
 *   data    int: zigzag varint, least significant group first    float: 8 bytes, big-endian
 *           bytes, decimal, json, array: length as uvarint, then the bytes    uuid: 16 bytes
 *           time: varints of seconds and nanoseconds    interval: varints of months, days, nanoseconds
 *           true, false: nothing
 *
 * A NULL column is left out, so adding a column rewrites no row. Uvarints here have seven bits a
 * byte, most significant group first. CockroachDB puts a four-byte checksum before the kind; ours
 * is left out, because blocks and files carry checksums and memory has none to lose.
 * Source of the format: CockroachDB docs/tech-notes/encoding.md and pkg/util/encoding.
 */
import { assert } from './assert.ts';
import { ByteReader, ByteWriter } from './byteBuffer.ts';
import type { Bytes } from './bytes.ts';
import type { DecimalParts } from './decimalcode.ts';
import { readValueDecimal, writeValueDecimal } from './decimalcode.ts';
import type { Int } from './int64.ts';
import { canonicalInt } from './int64.ts';
import type { Interval, Time } from './keycode.ts';

/** The first byte of a value. */
export const ValueKind = Object.freeze({ Bytes: 0x03, Tuple: 0x0a });

/** The type in a column's tag. */
export const ValueType = Object.freeze({
  Null: 1,
  NotNull: 2,
  Int: 3,
  Float: 4,
  Decimal: 5,
  Bytes: 6,
  BytesDescending: 7,
  Time: 8,
  Interval: 9,
  True: 10,
  False: 11,
  Uuid: 12,
  Array: 13,
  IpAddress: 14,
  Json: 15,
  Tuple: 16,
});

/** Types from this on do not fit into the tag's four bits. */
const LONG_TYPE = 15;
const UUID_BYTES = 16;

/** Builds one value at a time; columns come in the order of their ids, NULLs are not written. */
export class TupleWriter {
  readonly #out = new ByteWriter();
  readonly #inner = new ByteWriter();
  #lastColumnId = 0;

  /** Starts a value: a row's tuple, or with ValueKind.Bytes an index entry, whose first bytes may be `prefix`. */
  reset(kind: number = ValueKind.Tuple, prefix?: Bytes): this {
    this.#out.reset().byte(kind);
    if (prefix !== undefined) this.#out.raw(prefix);
    this.#lastColumnId = 0;
    return this;
  }

  finish(): Bytes {
    return this.#out.finish();
  }

  int(columnId: number, value: Int): this {
    this.#tag(columnId, ValueType.Int);
    writeZigzag(this.#out, value);
    return this;
  }

  float(columnId: number, value: number): this {
    this.#tag(columnId, ValueType.Float);
    this.#out.float64(value);
    return this;
  }

  /** Keeps the scale: 1.50 stays 1.50. */
  decimal(columnId: number, value: DecimalParts): this {
    this.#inner.reset();
    writeValueDecimal(this.#inner, value);
    return this.#blob(columnId, ValueType.Decimal, this.#inner.finish());
  }

  /** BYTES, and STRING as its UTF-8 bytes. */
  bytes(columnId: number, value: Bytes): this {
    return this.#blob(columnId, ValueType.Bytes, value);
  }

  bool(columnId: number, value: boolean): this {
    this.#tag(columnId, value ? ValueType.True : ValueType.False);
    return this;
  }

  time(columnId: number, seconds: number, nanos: number): this {
    this.#tag(columnId, ValueType.Time);
    writeZigzag(this.#out, seconds);
    writeZigzag(this.#out, nanos);
    return this;
  }

  interval(columnId: number, value: Interval): this {
    this.#tag(columnId, ValueType.Interval);
    writeZigzag(this.#out, value.months);
    writeZigzag(this.#out, value.days);
    writeZigzag(this.#out, value.nanos);
    return this;
  }

  /** The 16 bytes of a UUID. */
  uuid(columnId: number, value: Bytes): this {
    assert(value.length === UUID_BYTES, `uuid of ${value.length} bytes`);
    this.#tag(columnId, ValueType.Uuid);
    this.#out.raw(value);
    return this;
  }

  /** Encoded JSON; what the bytes are is the caller's business. */
  json(columnId: number, value: Bytes): this {
    return this.#blob(columnId, ValueType.Json, value);
  }

  /** An encoded array. */
  array(columnId: number, value: Bytes): this {
    return this.#blob(columnId, ValueType.Array, value);
  }

  #tag(columnId: number, type: number): void {
    assert(columnId > this.#lastColumnId, `column ${columnId} after column ${this.#lastColumnId}`);
    const delta = columnId - this.#lastColumnId;
    this.#lastColumnId = columnId;
    if (type < LONG_TYPE) {
      writeGroups(this.#out, delta * 16 + type);
    } else {
      writeGroups(this.#out, delta * 16 + LONG_TYPE);
      writeGroups(this.#out, type);
    }
  }

  #blob(columnId: number, type: number, value: Bytes): this {
    this.#tag(columnId, type);
    writeGroups(this.#out, value.length);
    this.#out.raw(value);
    return this;
  }
}

/**
 * Reads a value column by column: next() moves to the next column and says whether there is one;
 * then take the data by its type, or move on, which skips it. Throws XX001 on bad bytes.
 */
export class TupleReader {
  readonly #in = new ByteReader();
  /** First byte of the present column's data, and the byte after it. */
  #dataStart = 0;
  #dataEnd = 0;
  kind = 0;
  columnId = 0;
  /** A ValueType. */
  type = 0;

  constructor(value?: Bytes, position?: number) {
    if (value !== undefined) this.reset(value, position);
  }

  /** Begins at the value's first byte; with `position`, at the columns from there on, the kind not looked at. */
  reset(value: Bytes, position?: number): this {
    this.#in.reset(value, position ?? 0);
    this.columnId = 0;
    if (position === undefined) this.kind = this.#in.byte();
    this.#dataStart = this.#in.position;
    this.#dataEnd = this.#in.position;
    return this;
  }

  /** Moves to the next column; false at the end. */
  next(): boolean {
    const input = this.#in;
    input.position = this.#dataEnd;
    if (input.done) return false;
    const tag = readGroups(input);
    this.columnId += Math.floor(tag / 16);
    this.type = tag % 16;
    if (this.type === LONG_TYPE) this.type = readGroups(input);
    this.#findData();
    return true;
  }

  /** Moves to the column with this id if it is there and not passed yet. */
  seek(columnId: number): boolean {
    while (this.columnId < columnId) if (!this.next()) return false;
    return this.columnId === columnId;
  }

  int(): Int {
    return readZigzag(this.#data(ValueType.Int));
  }

  float(): number {
    return this.#data(ValueType.Float).float64();
  }

  decimal(): DecimalParts {
    return readValueDecimal(this.#data(ValueType.Decimal), this.#dataEnd);
  }

  bytes(): Bytes {
    return this.#blob(ValueType.Bytes);
  }

  bool(): boolean {
    if (this.type !== ValueType.True && this.type !== ValueType.False) throw this.#wrongType('bool');
    return this.type === ValueType.True;
  }

  time(): Time {
    const input = this.#data(ValueType.Time);
    return { seconds: Number(readZigzag(input)), nanos: Number(readZigzag(input)) };
  }

  interval(): Interval {
    const input = this.#data(ValueType.Interval);
    return { months: Number(readZigzag(input)), days: Number(readZigzag(input)), nanos: readZigzag(input) };
  }

  uuid(): Bytes {
    return this.#blob(ValueType.Uuid);
  }

  json(): Bytes {
    return this.#blob(ValueType.Json);
  }

  array(): Bytes {
    return this.#blob(ValueType.Array);
  }

  #data(type: number): ByteReader {
    if (this.type !== type) throw this.#wrongType(`type ${type}`);
    this.#in.position = this.#dataStart;
    return this.#in;
  }

  #blob(type: number): Bytes {
    return this.#data(type).raw(this.#dataEnd - this.#dataStart);
  }

  #wrongType(wanted: string): Error {
    return this.#in.corrupt(`column ${this.columnId} has type ${this.type}, not ${wanted}`);
  }

  /** Sets the bounds of the present column's data. */
  #findData(): void {
    const input = this.#in;
    let length = 0;
    switch (this.type) {
      case ValueType.Null:
      case ValueType.NotNull:
      case ValueType.True:
      case ValueType.False:
        break;
      case ValueType.Int:
        length = zigzagLength(input, 1);
        break;
      case ValueType.Time:
        length = zigzagLength(input, 2);
        break;
      case ValueType.Interval:
        length = zigzagLength(input, 3);
        break;
      case ValueType.Float:
        length = 8;
        break;
      case ValueType.Uuid:
        length = UUID_BYTES;
        break;
      case ValueType.Decimal:
      case ValueType.Bytes:
      case ValueType.Json:
      case ValueType.Array:
        length = readGroups(input);
        break;
      default:
        throw input.corrupt(`value type ${this.type}`);
    }
    this.#dataStart = input.position;
    this.#dataEnd = input.position + length;
    if (this.#dataEnd > input.bytes.length) throw input.corrupt(`column ${this.columnId} cut short`);
  }
}

/** A safe unsigned integer, seven bits a byte, most significant group first, the high bit on all but the last. */
function writeGroups(out: ByteWriter, value: number): void {
  if (value < 0x80) {
    out.byte(value);
    return;
  }
  let divisor = 0x80;
  while (divisor * 0x80 <= value) divisor *= 0x80;
  for (; divisor >= 0x80; divisor /= 0x80) out.byte(0x80 | (Math.floor(value / divisor) % 0x80));
  out.byte(value % 0x80);
}

function readGroups(input: ByteReader): number {
  let value = 0;
  for (;;) {
    const byte = input.byte();
    value += byte & 0x7f;
    if (byte < 0x80) break;
    value *= 0x80;
  }
  if (!Number.isSafeInteger(value)) throw input.corrupt('length out of range');
  return value;
}

/** A signed 64-bit integer: zigzag (0, -1, 1, -2, ...), seven bits a byte, least significant group first. */
function writeZigzag(out: ByteWriter, value: Int): void {
  if (typeof value === 'number' && Math.abs(value) < 2 ** 52) {
    let rest = value >= 0 ? value * 2 : -value * 2 - 1;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) out.byte(0x80 | (rest % 0x80));
    out.byte(rest);
    return;
  }
  const big = BigInt(value);
  let rest = BigInt.asUintN(64, (big << 1n) ^ (big >> 63n));
  for (; rest >= 0x80n; rest >>= 7n) out.byte(0x80 | Number(rest & 0x7fn));
  out.byte(Number(rest));
}

function readZigzag(input: ByteReader): Int {
  const start = input.position;
  let rest = 0;
  let scale = 1;
  for (let count = 0; count < 7; count++) {
    const byte = input.byte();
    rest += (byte & 0x7f) * scale;
    if (byte < 0x80) return rest % 2 === 0 ? rest / 2 : -(rest + 1) / 2;
    scale *= 0x80;
  }
  input.position = start;
  let big = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = input.byte();
    big |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return canonicalInt((big >> 1n) ^ -(big & 1n));
  }
  throw input.corrupt('integer longer than ten bytes');
}

/** Bytes that the next `count` zigzag integers take. */
function zigzagLength(input: ByteReader, count: number): number {
  let length = 0;
  for (let ends = 0; ends < count; length++) {
    const at = input.position + length;
    if (at >= input.bytes.length) throw input.corrupt('integer cut short');
    if (input.bytes.charCodeAt(at) < 0x80) ends++;
  }
  return length;
}
