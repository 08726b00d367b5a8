/**
 * Keycode: SQL values as key bytes whose order is the values' order.
 *
 *   K1  for values of one type, encode(a) < encode(b) exactly when a < b; descending, when a > b
 *   K2  no encoding is a proper prefix of another of its type, so concatenation keeps the order
 *   K3  NULL sorts before every value ascending, after every value descending
 *
 * A row's key is /table/index/columns.../family. Values are told apart by their first byte:
 *
 *   0x00 NULL   0x01 not NULL   0x02-0x06 float   0x12 bytes   0x13 bytes descending   0x14 time
 *   0x15-0x17 interval   0x18-0x36 decimal   0x80-0xfd integer   0xfe not NULL desc.   0xff NULL desc.
 *
 * BOOL is the integer 0 or 1, DATE its day number, UUID its 16 bytes, STRING its UTF-8 bytes.
 * Source of the format: CockroachDB docs/tech-notes/encoding.md and pkg/util/encoding. Known
 * answers from the tech note are in the tests. Printing keys: prettyKey.ts; values: valuecode.ts.
 */
import { ByteReader, ByteWriter } from './byteBuffer.ts';
import type { Bytes } from './bytes.ts';
import type { DecimalParts } from './decimalcode.ts';
import { DECIMAL_FIRST, DECIMAL_LAST, readKeyDecimal, writeKeyDecimal } from './decimalcode.ts';
import { VarveError } from './errors.ts';
import type { Int } from './int64.ts';
import { INT64_MAX, INT64_MIN } from './int64.ts';
import { SqlState } from './sqlState.ts';
import { INT_FIRST, INT_LAST, readVarint, writeVarint } from './varint.ts';

const NULL = 0x00;
const NOT_NULL = 0x01;
const FLOAT_NAN = 0x02;
const FLOAT_NEGATIVE = 0x03;
const FLOAT_ZERO = 0x04;
const FLOAT_POSITIVE = 0x05;
const FLOAT_NAN_DESCENDING = 0x06;
const BYTES = 0x12;
const BYTES_DESCENDING = 0x13;
const TIME = 0x14;
const INTERVAL = 0x16;
const NOT_NULL_DESCENDING = 0xfe;
const NULL_DESCENDING = 0xff;

// Inside bytes 0x00 becomes 0x00 0xff, and 0x00 0x01 ends them: so a prefix sorts first.
const ESCAPE = 0x00;
const ESCAPED_END = 0x01;
const ESCAPED_ZERO = 0xff;

const NANOS_PER_DAY = 86_400_000_000_000n;
const NANOS_PER_MONTH = 30n * NANOS_PER_DAY;

/** A moment as seconds since the epoch and nanoseconds within the second, 0 to 999999999. */
export interface Time {
  readonly seconds: number;
  readonly nanos: number;
}

/** An INTERVAL: months and days stay apart from the rest, nanoseconds may exceed a day. */
export interface Interval {
  readonly months: number;
  readonly days: number;
  readonly nanos: Int;
}

export type KeyType = 'null' | 'notNull' | 'int' | 'float' | 'decimal' | 'bytes' | 'bytesDescending' | 'time' | 'interval' | 'unknown';

/** Builds one key at a time: `writer.reset().tableIndex(52, 1).int(7).family(0).finish()`. */
export class KeyWriter {
  readonly #out = new ByteWriter();

  /** Starts a new key, with these bytes when given. */
  reset(prefix?: Bytes): this {
    this.#out.reset();
    if (prefix !== undefined) this.#out.raw(prefix);
    return this;
  }

  /** The key, as a flat string. */
  finish(): Bytes {
    return this.#out.finish();
  }

  get length(): number {
    return this.#out.length;
  }

  /** Encoded bytes as they are. */
  raw(bytes: Bytes): this {
    this.#out.raw(bytes);
    return this;
  }

  tableIndex(tableId: number, indexId: number): this {
    writeVarint(this.#out, tableId);
    writeVarint(this.#out, indexId);
    return this;
  }

  /** A column family id; above 0 its own length follows, as CockroachDB has it. */
  family(familyId: number): this {
    const start = this.#out.length;
    writeVarint(this.#out, familyId);
    if (familyId !== 0) writeVarint(this.#out, this.#out.length - start);
    return this;
  }

  null(descending = false): this {
    this.#out.byte(descending ? NULL_DESCENDING : NULL);
    return this;
  }

  /** The bound between NULL and the values; in span bounds only. */
  notNull(descending = false): this {
    this.#out.byte(descending ? NOT_NULL_DESCENDING : NOT_NULL);
    return this;
  }

  int(value: Int, descending = false): this {
    writeVarint(this.#out, value, descending);
    return this;
  }

  bool(value: boolean, descending = false): this {
    writeVarint(this.#out, value ? 1 : 0, descending);
    return this;
  }

  /** NaN sorts first and equals itself; -0 equals 0. */
  float(value: number, descending = false): this {
    const out = this.#out;
    if (Number.isNaN(value)) {
      out.byte(descending ? FLOAT_NAN_DESCENDING : FLOAT_NAN);
    } else if (value === 0) {
      out.byte(FLOAT_ZERO);
    } else {
      const directed = descending ? -value : value;
      out.byte(directed < 0 ? FLOAT_NEGATIVE : FLOAT_POSITIVE);
      out.float64(directed, directed < 0);
    }
    return this;
  }

  decimal(value: DecimalParts, descending = false): this {
    writeKeyDecimal(this.#out, value, descending);
    return this;
  }

  /** BYTES, STRING (its UTF-8 bytes), UUID (its 16 bytes). */
  bytes(value: Bytes, descending = false): this {
    const out = this.#out;
    out.byte(descending ? BYTES_DESCENDING : BYTES);
    const start = out.length;
    let from = 0;
    for (let zero = value.indexOf('\x00'); zero >= 0; zero = value.indexOf('\x00', from)) {
      out.raw(value.slice(from, zero) as Bytes);
      out.byte(ESCAPE);
      out.byte(ESCAPED_ZERO);
      from = zero + 1;
    }
    out.raw(from === 0 ? value : (value.slice(from) as Bytes));
    out.byte(ESCAPE);
    out.byte(ESCAPED_END);
    if (descending) out.invertFrom(start);
    return this;
  }

  time(seconds: number, nanos: number, descending = false): this {
    this.#out.byte(TIME);
    writeVarint(this.#out, seconds, descending);
    writeVarint(this.#out, nanos, descending);
    return this;
  }

  /** Ordered by length, a month being 30 days. Throws 22008 beyond 64 bits of nanoseconds (292 years). */
  interval(value: Interval, descending = false): this {
    const nanos = BigInt(value.nanos) + BigInt(value.days) * NANOS_PER_DAY + BigInt(value.months) * NANOS_PER_MONTH;
    if (nanos < INT64_MIN || nanos > INT64_MAX) {
      throw new VarveError(SqlState.DatetimeFieldOverflow, 'interval out of range for a key', {
        detail: `${value.months} months ${value.days} days ${value.nanos} nanoseconds`,
      });
    }
    this.#out.byte(INTERVAL);
    writeVarint(this.#out, nanos, descending);
    writeVarint(this.#out, value.months, descending);
    writeVarint(this.#out, value.days, descending);
    return this;
  }
}

/** Reads the parts of a key in order. Every method throws XX001 on bytes that no encoder wrote. */
export class KeyReader {
  readonly #in = new ByteReader();

  constructor(key: Bytes = '' as Bytes, position = 0) {
    this.#in.reset(key, position);
  }

  reset(key: Bytes, position = 0): this {
    this.#in.reset(key, position);
    return this;
  }

  get done(): boolean {
    return this.#in.done;
  }

  get position(): number {
    return this.#in.position;
  }

  /** The type of the next part; 'unknown' at the end too. */
  peekType(): KeyType {
    const first = this.#in.peek();
    if (first >= INT_FIRST && first <= INT_LAST) return 'int';
    if (first >= DECIMAL_FIRST && first <= DECIMAL_LAST) return 'decimal';
    if (first >= FLOAT_NAN && first <= FLOAT_NAN_DESCENDING) return 'float';
    switch (first) {
      case NULL:
      case NULL_DESCENDING:
        return 'null';
      case NOT_NULL:
      case NOT_NULL_DESCENDING:
        return 'notNull';
      case BYTES:
        return 'bytes';
      case BYTES_DESCENDING:
        return 'bytesDescending';
      case TIME:
        return 'time';
      case INTERVAL:
        return 'interval';
      default:
        return 'unknown';
    }
  }

  /** Takes a NULL of either direction if one comes next. */
  takeNull(): boolean {
    if (this.peekType() !== 'null') return false;
    this.#in.position++;
    return true;
  }

  int(descending = false): Int {
    return readVarint(this.#in, descending);
  }

  /** A table, index or family id. */
  id(): number {
    return Number(readVarint(this.#in));
  }

  bool(descending = false): boolean {
    return readVarint(this.#in, descending) !== 0;
  }

  float(descending = false): number {
    const marker = this.#in.byte();
    if (marker === FLOAT_NAN || marker === FLOAT_NAN_DESCENDING) return Number.NaN;
    if (marker === FLOAT_ZERO) return 0;
    if (marker !== FLOAT_NEGATIVE && marker !== FLOAT_POSITIVE) throw this.#in.corrupt(`float marker ${marker}`);
    const directed = this.#in.float64(marker === FLOAT_NEGATIVE);
    return descending ? -directed : directed;
  }

  decimal(descending = false): DecimalParts {
    return readKeyDecimal(this.#in, descending);
  }

  /** The direction shows in the bytes, so it need not be told. */
  bytes(): Bytes {
    const input = this.#in;
    const marker = input.byte();
    if (marker !== BYTES && marker !== BYTES_DESCENDING) throw input.corrupt(`bytes marker ${marker}`);
    const flip = marker === BYTES_DESCENDING ? 0xff : 0;
    const escapeChar = String.fromCharCode(ESCAPE ^ flip);
    let value = '';
    for (;;) {
      const at = input.bytes.indexOf(escapeChar, input.position);
      if (at < 0) throw input.corrupt('bytes without an end');
      value += input.raw(at - input.position);
      input.position++;
      const next = input.byte() ^ flip;
      if (next === ESCAPED_END) break;
      if (next !== ESCAPED_ZERO) throw input.corrupt(`escape ${next}`);
      value += escapeChar;
    }
    return (flip === 0 ? value : invert(value)) as Bytes;
  }

  time(descending = false): Time {
    if (this.#in.byte() !== TIME) throw this.#in.corrupt('time marker missing');
    return { seconds: Number(readVarint(this.#in, descending)), nanos: Number(readVarint(this.#in, descending)) };
  }

  interval(descending = false): Interval {
    if (this.#in.byte() !== INTERVAL) throw this.#in.corrupt('interval marker missing');
    const total = BigInt(readVarint(this.#in, descending));
    const months = Number(readVarint(this.#in, descending));
    const days = Number(readVarint(this.#in, descending));
    const nanos = total - BigInt(months) * NANOS_PER_MONTH - BigInt(days) * NANOS_PER_DAY;
    return { months, days, nanos: Number.isSafeInteger(Number(nanos)) ? Number(nanos) : nanos };
  }

  /** Passes over one part of any type. */
  skip(): void {
    switch (this.peekType()) {
      case 'null':
      case 'notNull':
        this.#in.byte();
        return;
      case 'int':
        this.int();
        return;
      case 'float':
        this.float();
        return;
      case 'decimal':
        this.decimal();
        return;
      case 'bytes':
      case 'bytesDescending':
        this.bytes();
        return;
      case 'time':
        this.time();
        return;
      case 'interval':
        this.interval();
        return;
      default:
        throw this.#in.corrupt('unknown key part');
    }
  }
}

function invert(bytes: string): string {
  const buffer = Buffer.from(bytes, 'latin1');
  for (let i = 0; i < buffer.length; i++) buffer[i] = ~(buffer[i] as number);
  return buffer.latin1Slice();
}

const shared = new KeyWriter();

/** The bytes every key of a table starts with. */
export function tablePrefix(tableId: number): Bytes {
  return shared.reset().int(tableId).finish();
}

/** The bytes every key of an index starts with. */
export function indexPrefix(tableId: number, indexId: number): Bytes {
  return shared.reset().tableIndex(tableId, indexId).finish();
}
