/**
 * Casts: from any type to any other, by how freely they may be applied.
 *
 *   implicit    anywhere, without being asked for: INT to FLOAT or DECIMAL, DATE to TIMESTAMP
 *   assignment  when a value goes into a column: also FLOAT to INT, anything to STRING
 *   explicit    when the user writes it: also STRING to anything, INT to BOOL, truncating
 *
 * A cast is found once and applied to many datums; NULL is the caller's. After converting, the value
 * is fitted to the type's bounds: a string too long is cut when asked explicitly and refused (22001)
 * on assignment, numbers out of range are refused (22003), decimals and times are rounded.
 */
import { asBytes, type Bytes, utf8Decode, utf8Encode } from '../base/bytes.ts';
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

import { fromLocal, isInfinite, joinMicros, splitMicros, toLocal, UTC } from './datetime.ts';
import { canonicalInt, type Datum, intOf, TimeTz } from './datum.ts';
import { formatBytea, formatter, parser, type TextContext } from './datumText.ts';
import { Decimal } from './decimal.ts';
import { enumCodec } from './enumType.ts';
import { formatFloat } from './floatText.ts';
import { Interval, MICROS_PER_DAY, MICROS_PER_SECOND } from './interval.ts';
import { formatJson, type Json, type JsonValue } from './json.ts';
import { type ColumnType, elementOf, familyName, sqlTypeName, type TypeFamily, typesEqual } from './type.ts';

export type CastContext = 'implicit' | 'assignment' | 'explicit';
/** Takes and gives datums that are not null. */
export type Cast = (datum: Datum, context: TextContext) => Datum;

const RANK: Readonly<Record<CastContext, number>> = { implicit: 0, assignment: 1, explicit: 2 };

interface Conversion {
  readonly context: CastContext;
  readonly convert: (from: ColumnType, to: ColumnType) => Cast;
}

/** The cast, or undefined when there is none that may be applied in this context. */
export function findCast(from: ColumnType, to: ColumnType, context: CastContext): Cast | undefined {
  if (typesEqual(from, to)) return (datum) => datum;
  const convert = findConversion(from, to, context);
  if (!convert) return undefined;
  const fit = fitter(to, context);
  if (!fit) return convert;
  return (datum, env) => {
    const converted = convert(datum, env);
    return converted === null ? null : fit(converted);
  };
}

/** As findCast; throws 42846 for an explicit cast that does not exist, 42804 for another. */
export function requireCast(from: ColumnType, to: ColumnType, context: CastContext): Cast {
  const cast = findCast(from, to, context);
  if (cast) return cast;
  if (context === 'explicit') {
    throw new StatementError(SqlState.CannotCoerce, `invalid cast: ${familyName(from)} -> ${familyName(to)}`);
  }
  throw new StatementError(SqlState.DatatypeMismatch, `value type ${familyName(from)} doesn't match type ${familyName(to)}`, {
    hint: 'you will need to rewrite or cast the expression',
  });
}

/** Whether findCast would find one. */
export function canCast(from: ColumnType, to: ColumnType, context: CastContext): boolean {
  return typesEqual(from, to) || findConversion(from, to, context) !== undefined;
}

const identity: Cast = (datum) => datum;

function findConversion(from: ColumnType, to: ColumnType, context: CastContext): Cast | undefined {
  if (from.family === 'unknown') return identity;
  if (from.family === 'array' && to.family === 'array') return arrayConversion(from, to, context);
  if (from.family === 'tuple' && to.family === 'tuple') return tupleConversion(from, to, context);
  if (from.family === to.family) {
    if (from.family === 'enum' && from.typeId !== to.typeId) return undefined;
    // Widening is implicit, narrowing an assignment; the fitter checks the value.
    const narrows = (from.family === 'int' || from.family === 'float') && (from.width ?? 64) > (to.width ?? 64);
    return narrows && context === 'implicit' ? undefined : identity;
  }
  if (to.family === 'string') return toStringConversion(from, context);
  const conversion = CONVERSIONS.get(`${from.family}>${to.family}`);
  if (conversion) return RANK[context] >= RANK[conversion.context] ? conversion.convert(from, to) : undefined;
  if (from.family === 'string' && context === 'explicit' && to.family !== 'void' && to.family !== 'unknown') {
    const parse = parser(to);
    return (datum, env) => parse(utf8Decode(datum as Bytes), env);
  }
  return undefined;
}

function arrayConversion(from: ColumnType, to: ColumnType, context: CastContext): Cast | undefined {
  const cast = findCast(elementOf(from), elementOf(to), context);
  return cast && ((datum, env) => (datum as readonly Datum[]).map((item) => (item === null ? null : cast(item, env))));
}

function tupleConversion(from: ColumnType, to: ColumnType, context: CastContext): Cast | undefined {
  const target = to.fields ?? [];
  if (target.length === 0) return identity;
  if (target.length !== from.fields?.length) return undefined;
  const casts = from.fields.map((field, i) => findCast(field, target[i] ?? field, context));
  if (casts.includes(undefined)) return undefined;
  return (datum, env) => (datum as readonly Datum[]).map((item, i) => (item === null ? null : (casts[i] as Cast)(item, env)));
}

// Every type has a text form; going there unasked is for columns only.
function toStringConversion(from: ColumnType, context: CastContext): Cast | undefined {
  if (from.family === 'enum') return context === 'implicit' ? undefined : identity;
  if (context === 'implicit' || from.family === 'void') return undefined;
  if (from.family === 'bool') return (datum) => asBytes(datum ? 'true' : 'false');
  if (from.family === 'bytes') return (datum, env) => utf8Encode(formatBytea(datum as Bytes, env.byteaOutput));
  const format = formatter(from);
  return (datum, env) => utf8Encode(format(datum, env));
}

const outOfRange = (): never => {
  throw new StatementError(SqlState.NumericValueOutOfRange, 'integer out of range');
};

function floatToInt(value: number): number | bigint {
  if (!Number.isFinite(value)) return outOfRange();
  const floor = Math.floor(value);
  const fraction = value - floor;
  // Half to even, as PostgreSQL rounds floats.
  const rounded = fraction > 0.5 || (fraction === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
  if (Number.isSafeInteger(rounded)) return rounded === 0 ? 0 : rounded;
  return intOf(BigInt(rounded));
}

function decimalToInt(value: Decimal): number | bigint {
  if (value.isFinite && value.digits - value.scale > 19) return outOfRange();
  const rounded = value.toBigInt();
  return rounded === undefined ? outOfRange() : intOf(rounded);
}

/** Microseconds as whole seconds, rounded down, and as fractional ones. */
const secondsOf = (micros: number | bigint): Decimal => Decimal.of(BigInt(micros), 6);

function jsonScalar(datum: Datum, to: string): JsonValue {
  const { value } = datum as Json;
  const isScalar = value === null || typeof value !== 'object' || value instanceof Decimal;
  if (isScalar && typeof value !== 'string') return value;
  const kind = typeof value === 'string' ? 'string' : Array.isArray(value) ? 'array' : 'object';
  throw new StatementError(SqlState.InvalidParameterValue, `cannot cast jsonb ${kind} to type ${to}`);
}

function jsonNumber(datum: Datum, to: string): Decimal | null {
  const value = jsonScalar(datum, to);
  if (value === null) return null;
  if (typeof value === 'boolean') throw new StatementError(SqlState.InvalidParameterValue, `cannot cast jsonb boolean to type ${to}`);
  return value instanceof Decimal ? value : Decimal.fromFloat(value as number);
}

const micros = (datum: Datum): number | bigint => datum as number | bigint;

function dateOfTimestamp(value: number | bigint): number {
  return isInfinite(value) ? value : splitMicros(value).days;
}

function timeOfTimestamp(value: number | bigint): number | null {
  return isInfinite(value) ? null : splitMicros(value).micros;
}

function timestampOfDate(days: number): number | bigint {
  return isInfinite(days) ? days : joinMicros(days, 0);
}

function timeOfInterval(interval: Interval): number {
  return splitMicros(interval.micros).micros;
}

const CONVERSIONS: ReadonlyMap<string, Conversion> = new Map(
  (
    [
      ['int>float', 'implicit', () => (d) => Number(d)],
      ['int>decimal', 'implicit', () => (d) => Decimal.fromInt(d as number | bigint)],
      ['int>bool', 'explicit', () => (d) => d !== 0],
      ['int>oid', 'implicit', () => (d) => toOid(d as number | bigint)],
      ['int>date', 'explicit', () => (d) => Number(d)],
      ['int>timestamp', 'explicit', () => (d) => canonicalInt(BigInt(d as number | bigint) * 1_000_000n)],
      ['int>timestamptz', 'explicit', () => (d) => canonicalInt(BigInt(d as number | bigint) * 1_000_000n)],
      ['int>interval', 'explicit', () => (d) => new Interval(0, 0, BigInt(d as number | bigint) * 1_000_000n)],
      ['int>bit', 'explicit', (_, to) => (d) => intToBits(BigInt(d as number | bigint), to)],
      ['float>int', 'assignment', () => (d) => floatToInt(d as number)],
      ['float>decimal', 'assignment', (from) => (d) => Decimal.parse(formatFloat(d as number, from.width)) ?? Decimal.NaN],
      ['float>bool', 'explicit', () => (d) => d !== 0],
      ['float>interval', 'explicit', () => (d) => new Interval(0, 0, Math.round((d as number) * MICROS_PER_SECOND))],
      ['decimal>int', 'assignment', () => (d) => decimalToInt(d as Decimal)],
      ['decimal>float', 'implicit', () => (d) => (d as Decimal).toNumber()],
      ['decimal>bool', 'explicit', () => (d) => !(d as Decimal).isZero],
      ['decimal>interval', 'explicit', () => (d) => new Interval(0, 0, (d as Decimal).withScale(6).coefficient)],
      ['bool>int', 'explicit', () => (d) => Number(d)],
      ['bool>float', 'explicit', () => (d) => Number(d)],
      ['bool>decimal', 'explicit', () => (d) => Decimal.fromInt(Number(d))],
      ['oid>int', 'assignment', () => (d) => d],
      ['bytes>enum', 'explicit', (_, to) => (d) => enumCodec(to).read(d as Bytes)],
      ['enum>bytes', 'explicit', (from) => (d) => enumCodec(from).toPhysical(d as Bytes)],
      ['bytes>uuid', 'explicit', () => (d) => bytesToUuid(d as Bytes)],
      ['uuid>bytes', 'explicit', () => (d) => d],
      ['date>timestamp', 'implicit', () => (d) => timestampOfDate(d as number)],
      ['date>timestamptz', 'implicit', () => (d, env) => fromLocal(timestampOfDate(d as number), env.timeZone ?? UTC)],
      ['date>int', 'explicit', () => (d) => (isInfinite(d as number) ? outOfRange() : d)],
      ['timestamp>timestamptz', 'implicit', () => (d, env) => fromLocal(micros(d), env.timeZone ?? UTC)],
      ['timestamp>date', 'assignment', () => (d) => dateOfTimestamp(micros(d))],
      ['timestamp>time', 'assignment', () => (d) => timeOfTimestamp(micros(d))],
      ['timestamptz>timestamp', 'assignment', () => (d, env) => toLocal(micros(d), env.timeZone ?? UTC)],
      ['timestamptz>date', 'assignment', () => (d, env) => dateOfTimestamp(toLocal(micros(d), env.timeZone ?? UTC))],
      ['timestamptz>time', 'assignment', () => (d, env) => timeOfTimestamp(toLocal(micros(d), env.timeZone ?? UTC))],
      ['timestamptz>timetz', 'assignment', () => (d, env) => timeTzOf(micros(d), env)],
      ...(['timestamp', 'timestamptz'] as const).flatMap((from) => [
        [
          `${from}>int`,
          'explicit',
          () => (d: Datum) => (isInfinite(micros(d)) ? outOfRange() : decimalToInt(secondsOf(micros(d)).floor())),
        ],
        [`${from}>float`, 'explicit', () => (d: Datum) => Number(d) / MICROS_PER_SECOND],
        [`${from}>decimal`, 'explicit', () => (d: Datum) => secondsOf(micros(d))],
      ]),
      ['time>interval', 'implicit', () => (d) => new Interval(0, 0, d as number)],
      [
        'time>timetz',
        'implicit',
        () => (d, env) => new TimeTz(d as number, (env.timeZone ?? UTC).offsetAt((env.nowMicros ?? 0) / MICROS_PER_SECOND)),
      ],
      ['timetz>time', 'assignment', () => (d) => (d as TimeTz).micros],
      ['interval>time', 'assignment', () => (d) => timeOfInterval(d as Interval)],
      ['interval>int', 'explicit', () => (d) => decimalToInt(Decimal.of((d as Interval).sortMicros(), 6).truncated())],
      ['interval>float', 'explicit', () => (d) => Number((d as Interval).sortMicros()) / MICROS_PER_SECOND],
      ['interval>decimal', 'explicit', () => (d) => Decimal.of((d as Interval).sortMicros(), 6)],
      ['jsonb>bool', 'explicit', () => jsonToBool],
      ['jsonb>int', 'explicit', () => (d) => nullable(jsonNumber(d, 'int'), decimalToInt)],
      ['jsonb>float', 'explicit', () => (d) => nullable(jsonNumber(d, 'float'), (n) => n.toNumber())],
      ['jsonb>decimal', 'explicit', () => (d) => jsonNumber(d, 'decimal')],
      ['bit>int', 'explicit', () => (d) => bitsToInt(d as Bytes)],
    ] as [string, CastContext, Conversion['convert']][]
  ).map(([key, context, convert]) => [key, { context, convert }]),
);

function nullable<T>(value: T | null, convert: (value: T) => Datum): Datum {
  return value === null ? null : convert(value);
}

function jsonToBool(datum: Datum): Datum {
  const value = jsonScalar(datum, 'bool');
  if (value === null || typeof value === 'boolean') return value;
  throw new StatementError(SqlState.InvalidParameterValue, `cannot cast jsonb number to type bool`, { detail: formatJson(value) });
}

function toOid(value: number | bigint): number {
  const oid = Number(value);
  if (oid < -(2 ** 31) || oid >= 2 ** 32) throw new StatementError(SqlState.NumericValueOutOfRange, `OID out of range: ${value}`);
  return oid < 0 ? oid + 2 ** 32 : oid;
}

function bytesToUuid(bytes: Bytes): Bytes {
  if (bytes.length !== 16) {
    throw new StatementError(SqlState.InvalidTextRepresentation, `uuid: UUID must be exactly 16 bytes long, got ${bytes.length} bytes`);
  }
  return bytes;
}

function timeTzOf(value: number | bigint, env: TextContext): Datum {
  const zone = env.timeZone ?? UTC;
  const time = timeOfTimestamp(toLocal(value, zone));
  return time === null ? null : new TimeTz(time, zone.offsetAt(Math.floor(Number(value) / MICROS_PER_SECOND)));
}

function intToBits(value: bigint, to: ColumnType): Bytes {
  const width = to.width ?? (value < 0n ? undefined : Math.max(1, value.toString(2).length));
  if (width === undefined) {
    throw new StatementError(SqlState.NumericValueOutOfRange, 'cannot cast negative integer to bit varying with unbounded width');
  }
  return asBytes(BigInt.asUintN(width, value).toString(2).padStart(width, '0'));
}

function bitsToInt(bits: Bytes): number | bigint {
  if (bits.length > 64) return outOfRange();
  return canonicalInt(bits === '' ? 0n : BigInt.asIntN(64, BigInt(`0b${bits}`)));
}

const INT_BOUNDS: Readonly<Record<number, number>> = { 16: 2 ** 15, 32: 2 ** 31 };

/**
 * Brings a datum of the right family within the bounds of a type, or refuses it; undefined for
 * types without bounds. On assignment an over-long string is 22001, explicitly it is cut.
 */
export function fitter(type: ColumnType, context: CastContext): ((datum: Datum) => Datum) | undefined {
  switch (type.family) {
    case 'int': {
      const bound = INT_BOUNDS[type.width ?? 64];
      if (bound === undefined) return undefined;
      return (datum) => {
        if (typeof datum === 'bigint' || (datum as number) >= bound || (datum as number) < -bound) {
          throw new StatementError(SqlState.NumericValueOutOfRange, `integer out of range for type ${sqlTypeName(type).toLowerCase()}`);
        }
        return datum;
      };
    }
    case 'float':
      return type.width === 32 ? (datum) => Math.fround(datum as number) : undefined;
    case 'decimal':
      return decimalFitter(type);
    case 'string':
      return stringFitter(type, context);
    case 'bit':
      return bitFitter(type, context);
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return type.precision === undefined || type.precision >= 6
        ? undefined
        : (datum) => roundMicros(datum as number | bigint, type.precision ?? 6);
    case 'timetz':
      if (type.precision === undefined || type.precision >= 6) return undefined;
      return (datum) => new TimeTz(Number(roundMicros((datum as TimeTz).micros, type.precision ?? 6)), (datum as TimeTz).offsetSeconds);
    case 'interval':
      if (type.precision === undefined || type.precision >= 6) return undefined;
      return (datum) => {
        const interval = datum as Interval;
        return new Interval(interval.months, interval.days, roundMicros(interval.micros, type.precision ?? 6));
      };
    case 'array': {
      const fit = fitter(elementOf(type), context);
      return fit && ((datum) => (datum as readonly Datum[]).map((item) => (item === null ? null : fit(item))));
    }
    default:
      return undefined;
  }
}

function decimalFitter(type: ColumnType): ((datum: Datum) => Datum) | undefined {
  const { precision, scale = 0 } = type;
  if (precision === undefined) return undefined;
  return (datum) => {
    const value = datum as Decimal;
    if (!value.isFinite && value.isNaN) return value;
    const rounded = value.withScale(scale);
    if (!value.isFinite || (rounded.digits > precision && !rounded.isZero)) {
      throw new StatementError(
        SqlState.NumericValueOutOfRange,
        `type ${sqlTypeName(type)}: value with precision ${precision}, scale ${scale} must round to an absolute value less than 10^${precision - scale}`,
        { detail: `the value is ${value}` },
      );
    }
    return rounded;
  };
}

// All-ASCII text has as many characters as bytes; other text is counted in code points.
function characterCount(bytes: Bytes): number {
  let count = 0;
  for (let i = 0; i < bytes.length; i++) if ((bytes.charCodeAt(i) & 0xc0) !== 0x80) count++;
  return count;
}

function cutTo(bytes: Bytes, characters: number): Bytes {
  let count = 0;
  for (let i = 0; i < bytes.length; i++) {
    if ((bytes.charCodeAt(i) & 0xc0) !== 0x80 && ++count > characters) return bytes.slice(0, i) as Bytes;
  }
  return bytes;
}

function stringFitter(type: ColumnType, context: CastContext): ((datum: Datum) => Datum) | undefined {
  const { width, variant } = type;
  const trims = variant === 'CHAR';
  if (variant === '"char"') return (datum) => cutTo(datum as Bytes, 1);
  if (width === undefined) return trims ? (datum) => asBytes((datum as Bytes).replace(/ +$/, '')) : undefined;
  return (datum) => {
    let bytes = datum as Bytes;
    if (bytes.length > width && characterCount(bytes) > width) {
      const cut = cutTo(bytes, width);
      // Blanks beyond the width are dropped without complaint, as the SQL standard has it.
      if (context !== 'explicit' && /[^ ]/.test(bytes.slice(cut.length))) {
        throw new StatementError(SqlState.StringDataRightTruncation, `value too long for type ${sqlTypeName(type)}`);
      }
      bytes = cut;
    }
    return trims ? asBytes(bytes.replace(/ +$/, '')) : bytes;
  };
}

function bitFitter(type: ColumnType, context: CastContext): ((datum: Datum) => Datum) | undefined {
  const { width, variant } = type;
  if (width === undefined) return undefined;
  return (datum) => {
    const bits = datum as Bytes;
    if (context === 'explicit') return asBytes(variant ? bits.slice(0, width) : bits.slice(0, width).padEnd(width, '0'));
    if (variant ? bits.length > width : bits.length !== width) {
      const words = variant
        ? `bit string length ${bits.length} too large for type`
        : `bit string length ${bits.length} does not match type`;
      throw new StatementError(SqlState.StringDataRightTruncation, `${words} ${sqlTypeName(type)}`);
    }
    return bits;
  };
}

/** To that many fractional digits of a second, half away from zero. */
export function roundMicros(value: number | bigint, precision: number): number | bigint {
  if (isInfinite(value)) return value;
  const unit = 10 ** (6 - precision);
  const { days, micros: rest } = splitMicros(value);
  const rounded = Math.round(rest / unit) * unit;
  const total = days * MICROS_PER_DAY + rounded;
  return Number.isSafeInteger(total) ? total : canonicalInt(BigInt(days) * BigInt(MICROS_PER_DAY) + BigInt(rounded));
}

/** The families whose values compare with each other after an implicit cast, widest last. */
export const NUMERIC_FAMILIES: readonly TypeFamily[] = ['int', 'decimal', 'float'];
