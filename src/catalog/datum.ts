/**
 * Datums: the values of columns and expressions while Varve computes with them.
 *
 * A datum's meaning is fixed by its static type (type.ts); it never describes itself.
 *
 *   any family      null
 *   bool            boolean
 *   int             number while a safe integer, else bigint (canonical: see `intOf`)
 *   float           number
 *   decimal         Decimal (decimal.ts)
 *   string, enum    Bytes: UTF-8
 *   bytes           Bytes
 *   uuid            Bytes, 16 of them
 *   date            number: days since 1970-01-01; Infinity and -Infinity stand for themselves
 *   timestamp, -tz  number: microseconds since the epoch while safe, else bigint; +-Infinity
 *   time            number: microseconds since midnight, up to 86,400,000,000
 *   timetz          TimeTz
 *   interval        Interval
 *   jsonb           Json
 *   oid             number
 *   inet            Bytes: family (4 or 6), prefix length, then 4 or 16 address bytes
 *   bit             Bytes of the chars 0 and 1
 *   array, tuple    Datum[]
 *   void            null
 *
 * Lives elsewhere: text forms (datumText.ts), binary forms (datumBinary.ts), casts (cast.ts), encoding (rowCodec.ts).
 */
import { type Bytes, utf8Encode } from '../base/bytes.ts';
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

import { Decimal } from './decimal.ts';
import { Interval } from './interval.ts';
import { compareJson, Json } from './json.ts';
import { type ColumnType, elementOf } from './type.ts';

export type Datum = null | boolean | number | bigint | Bytes | Decimal | Interval | TimeTz | Json | readonly Datum[];

export { Decimal, Interval, Json };

/** A time of day with its own offset: `micros` since local midnight, `offsetSeconds` east of UTC. */
export class TimeTz {
  readonly micros: number;
  readonly offsetSeconds: number;
  constructor(micros: number, offsetSeconds: number) {
    this.micros = micros;
    this.offsetSeconds = offsetSeconds;
  }
}

export const INT8_MIN = -(2n ** 63n);
export const INT8_MAX = 2n ** 63n - 1n;

/** The canonical INT for a bigint: a number when safe. Throws 22003 outside 64 bits. */
export function intOf(value: bigint): number | bigint {
  if (value >= -9007199254740991n && value <= 9007199254740991n) return Number(value);
  if (value < INT8_MIN || value > INT8_MAX) throw new StatementError(SqlState.NumericValueOutOfRange, 'integer out of range');
  return value;
}

/** As intOf, for a bigint known to fit. Cost: one comparison pair. */
export function canonicalInt(value: bigint): number | bigint {
  return value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value;
}

/** Less than zero, zero, or more. Called with two datums of one type, neither of them null. */
export type Compare = (a: Datum, b: Datum) => number;

const compareNumbers: Compare = (a, b) => ((a as number) < (b as number) ? -1 : (a as number) > (b as number) ? 1 : 0);

// NaN sorts before every other float and equals itself; -0 equals 0.
const compareFloats: Compare = (a, b) => {
  const x = a as number;
  const y = b as number;
  if (x < y) return -1;
  if (x > y) return 1;
  if (x === y) return 0;
  return Number.isNaN(x) ? (Number.isNaN(y) ? 0 : -1) : 1;
};

const compareBytes: Compare = (a, b) => ((a as Bytes) < (b as Bytes) ? -1 : (a as Bytes) > (b as Bytes) ? 1 : 0);

/**
 * The order of a type's values, as CockroachDB's: NaN first among numbers, strings by their UTF-8
 * bytes, arrays and tuples element by element (a NULL element first), false before true.
 */
export function compareDatums(type: ColumnType): Compare {
  switch (type.family) {
    // Mixed number and bigint compare by value under `<`, so one closure serves all integers.
    case 'int':
    case 'oid':
    case 'date':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return compareNumbers;
    case 'bool':
      return (a, b) => Number(a) - Number(b);
    case 'float':
      return compareFloats;
    case 'decimal':
      return (a, b) => (a as Decimal).compare(b as Decimal);
    case 'string':
    case 'bytes':
    case 'uuid':
    case 'inet':
    case 'bit':
      return compareBytes;
    case 'enum': {
      const ranks = new Map((type.members ?? []).map((member, i) => [utf8Encode(member), i]));
      return (a, b) => (ranks.get(a as Bytes) ?? -1) - (ranks.get(b as Bytes) ?? -1);
    }
    case 'interval':
      return (a, b) => (a as Interval).compare(b as Interval);
    case 'timetz':
      return (a, b) => {
        const x = a as TimeTz;
        const y = b as TimeTz;
        const byInstant = x.micros - x.offsetSeconds * 1e6 - (y.micros - y.offsetSeconds * 1e6);
        return byInstant !== 0 ? byInstant : y.offsetSeconds - x.offsetSeconds;
      };
    case 'jsonb':
      return (a, b) => compareJson((a as Json).value, (b as Json).value);
    case 'array': {
      const compare = compareNullable(compareDatums(elementOf(type)));
      return (a, b) => compareLists(a as Datum[], b as Datum[], () => compare);
    }
    case 'tuple': {
      const compares = (type.fields ?? []).map((field) => compareNullable(compareDatums(field)));
      return (a, b) => compareLists(a as Datum[], b as Datum[], (i) => compares[i] ?? (() => 0));
    }
    case 'unknown':
    case 'void':
      return () => 0;
  }
}

/** The same order with NULL before everything, and equal to itself: what ORDER BY and keys use. */
export function compareNullable(compare: Compare): Compare {
  return (a, b) => (a === null ? (b === null ? 0 : -1) : b === null ? 1 : compare(a, b));
}

function compareLists(a: readonly Datum[], b: readonly Datum[], compareAt: (i: number) => Compare): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const byElement = compareAt(i)(a[i] ?? null, b[i] ?? null);
    if (byElement !== 0) return byElement;
  }
  return a.length - b.length;
}

/** True when both are null, or equal by the type's order. */
export function datumsEqual(type: ColumnType, a: Datum, b: Datum): boolean {
  return compareNullable(compareDatums(type))(a, b) === 0;
}

/**
 * A string or number that is the same for equal datums and different for others: what hash joins,
 * GROUP BY and DISTINCT key a Map by. Null is `null`.
 */
export function hashKey(type: ColumnType): (datum: Datum) => string | number | bigint | boolean | null {
  switch (type.family) {
    case 'decimal':
      return (d) => (d === null ? null : (d as Decimal).reduced().toString());
    case 'interval':
      return (d) => (d === null ? null : String((d as Interval).sortMicros()));
    case 'timetz':
      return (d) => (d === null ? null : `${(d as TimeTz).micros}/${(d as TimeTz).offsetSeconds}`);
    case 'jsonb':
      return (d) => (d === null ? null : (d as Json).hashText());
    case 'array':
    case 'tuple': {
      const keys = type.element ? [hashKey(type.element)] : (type.fields ?? []).map(hashKey);
      const keyAt = (i: number) => keys[type.element ? 0 : i] ?? (() => null);
      return (d) => {
        if (d === null) return null;
        return (d as Datum[]).map((part, i) => hashPart(keyAt(i)(part))).join('');
      };
    }
    case 'float':
      return (d) => (d === 0 ? 0 : (d as number | null));
    default:
      return (d) => d as string | number | bigint | boolean | null;
  }
}

// Length first, so that joined parts never run into each other.
function hashPart(key: string | number | bigint | boolean | null): string {
  const text = key === null ? 'n' : `v${String(key)}`;
  return `${text.length}:${text}`;
}
