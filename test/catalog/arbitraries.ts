/** Random datums of every type, for property tests. */
import fc from 'fast-check';

import { asBytes, type Bytes, utf8Encode } from '../../src/base/bytes.ts';
import { canonicalInt, type Datum, Decimal, Interval, Json, TimeTz } from '../../src/catalog/datum.ts';
import { jsonFromPlain } from '../../src/catalog/json.ts';
import { arrayOf, type ColumnType, decimalOf, elementOf, enumOf, stringOf, Type } from '../../src/catalog/type.ts';

/** One type of every storable family, with and without bounds. */
export const STORABLE_TYPES: readonly ColumnType[] = [
  Type.Bool,
  Type.Int2,
  Type.Int4,
  Type.Int8,
  Type.Float4,
  Type.Float8,
  Type.Decimal,
  decimalOf(10, 2),
  Type.String,
  stringOf(Type.VarChar, 20),
  Type.Bytes,
  Type.Uuid,
  Type.Date,
  Type.Time,
  Type.TimeTz,
  Type.Timestamp,
  Type.TimestampTz,
  Type.Interval,
  Type.Inet,
  Type.VarBit,
  Type.Oid,
  Type.Jsonb,
  enumOf({ typeId: 60, name: 'mood', schema: 'public', members: ['sad', 'ok', 'glücklich'], physical: ['40', '80', 'c0'] }),
  arrayOf(Type.Int8),
  arrayOf(Type.String),
  arrayOf(Type.Decimal),
  arrayOf(Type.TimestampTz),
];

const text = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((s) => s.isWellFormed() && !s.includes('\0'));
const bytes = (max: number): fc.Arbitrary<Bytes> =>
  fc.uint8Array({ maxLength: max }).map((array) => asBytes(String.fromCharCode(...array)));

const decimal: fc.Arbitrary<Decimal> = fc.oneof(
  fc.tuple(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), fc.integer({ min: -5, max: 30 })).map(([c, s]) => Decimal.of(c, s)),
  fc.tuple(fc.integer({ min: -200, max: 200 }), fc.integer({ min: 0, max: 3 })).map(([c, s]) => Decimal.of(BigInt(c), s)),
  fc.constantFrom(Decimal.NaN, Decimal.Infinity, Decimal.NegativeInfinity, Decimal.Zero, Decimal.of(0n, 2)),
);

const float = fc.oneof(fc.double(), fc.constantFrom(0, -0, 1, -1, Number.NaN, Infinity, -Infinity, 1e15, 1e-5, 5e-324));
const micros = fc.oneof(
  fc.bigInt({ min: -210_863_520_000_000_000n, max: 9_224_318_015_999_999_999n }).map(canonicalInt),
  fc.integer({ min: -2_000_000, max: 2_000_000 }),
  fc.constantFrom(Infinity, -Infinity, 0, -1),
);

/** Datums that are not null. */
export function arbitraryDatum(type: ColumnType): fc.Arbitrary<Datum> {
  switch (type.family) {
    case 'bool':
      return fc.boolean();
    case 'int': {
      const bound = 2n ** BigInt((type.width ?? 64) - 1);
      return fc.oneof(fc.bigInt({ min: -bound, max: bound - 1n }).map(canonicalInt), fc.integer({ min: -300, max: 300 }));
    }
    case 'float':
      return type.width === 32 ? float.map(Math.fround) : float;
    case 'decimal':
      if (type.precision === undefined) return decimal;
      return fc.bigInt({ min: -(10n ** 10n) + 1n, max: 10n ** 10n - 1n }).map((c) => Decimal.of(c, type.scale ?? 0));
    case 'string':
      return text.map(utf8Encode);
    case 'bytes':
      return bytes(12);
    case 'uuid':
      return fc.uint8Array({ minLength: 16, maxLength: 16 }).map((array) => asBytes(String.fromCharCode(...array)));
    case 'date':
      return fc.oneof(
        fc.integer({ min: -2_440_587, max: 2_145_042_540 }),
        fc.integer({ min: -400, max: 400 }),
        fc.constantFrom(Infinity, -Infinity),
      );
    case 'time':
      return fc.integer({ min: 0, max: 86_400_000_000 });
    case 'timetz':
      return fc
        .tuple(fc.integer({ min: 0, max: 86_400_000_000 }), fc.integer({ min: -57_599, max: 57_599 }))
        .map(([time, offset]) => new TimeTz(time, offset));
    case 'timestamp':
    case 'timestamptz':
      return micros;
    case 'interval':
      return fc
        .tuple(fc.integer({ min: -1200, max: 1200 }), fc.integer({ min: -9999, max: 9999 }), fc.maxSafeInteger())
        .map(([months, days, us]) => new Interval(months, days, Math.trunc(us / 10)));
    case 'inet':
      return fc
        .tuple(fc.boolean(), fc.nat(32), fc.uint8Array({ minLength: 16, maxLength: 16 }))
        .map(([is4, prefix, address]) => asBytes(String.fromCharCode(is4 ? 4 : 6, prefix, ...address.slice(0, is4 ? 4 : 16))));
    case 'bit':
      return fc.array(fc.constantFrom('0', '1'), { maxLength: 20 }).map((bits) => asBytes(bits.join('')));
    case 'oid':
      return fc.nat(2 ** 32 - 1);
    case 'enum':
      return fc.constantFrom(...(type.members ?? [])).map(utf8Encode);
    case 'jsonb':
      return fc.jsonValue().map((value) => new Json(jsonFromPlain(value)));
    case 'array':
      return fc.array(fc.option(arbitraryDatum(elementOf(type)), { nil: null, freq: 5 }), { maxLength: 5 });
    default:
      throw new Error(`no datums of ${type.family}`);
  }
}

/** Looks the same: equal by value and by scale, sign of zero included. */
export function looksEqual(type: ColumnType, a: Datum, b: Datum): boolean {
  if (a === null || b === null) return a === b;
  if (type.family === 'array') {
    const [x, y] = [a as readonly Datum[], b as readonly Datum[]];
    return x.length === y.length && x.every((item, i) => looksEqual(elementOf(type), item, y[i] ?? null));
  }
  if (a instanceof Interval && b instanceof Interval) {
    return a.months === b.months && a.days === b.days && a.micros === b.micros;
  }
  if (a instanceof TimeTz && b instanceof TimeTz) return a.micros === b.micros && a.offsetSeconds === b.offsetSeconds;
  if (a instanceof Decimal || a instanceof Json) return String(a) === String(b);
  return Object.is(a, b);
}
