/** Functions on numbers. Floats follow IEEE and round half to even where SQL says "round"; decimals round half away from zero. */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { type Datum, Decimal as DecimalValue, intOf } from '../../../catalog/datum.ts';
import { Type } from '../../../catalog/type.ts';
import { compareAcross } from '../compare.ts';
import { alias, Bool, contextual, Decimal, Float8, Int8, pure } from '../define.ts';
import { decimalCbrt, decimalExp, decimalLn, decimalLog, decimalPower, decimalSqrt, requirePositive } from '../decimalMath.ts';
import { absInt, divInt, divisionByZero, type Int, modInt, powInt } from '../intArithmetic.ts';
import type { Overload } from '../overload.ts';

type D = DecimalValue;

const float = (name: string, fn: (a: number) => number): Overload => pure<[number]>(name, [Float8], Float8, fn, { preferred: true });
const decimal = (name: string, fn: (a: D) => D): Overload => pure<[D]>(name, [Decimal], Decimal, fn);

function halfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Rounded to `digits` after the point, through the shortest decimal that reads back as the float. */
function roundFloat(value: number, digits: Int): number {
  if (!Number.isFinite(value)) return value;
  const places = Math.max(-400, Math.min(400, Number(digits)));
  return DecimalValue.fromFloat(value).withScale(places).toNumber();
}

function sqrtFloat(value: number): number {
  if (value < 0) throw new StatementError(SqlState.InvalidParameterValue, 'cannot take square root of a negative number');
  return Math.sqrt(value);
}

function positive(value: number): number {
  requirePositive(Math.sign(value));
  return value;
}

/** The bucket of an equal-width histogram: 0 below, count + 1 above. */
function widthBucket(value: D, low: D, high: D, count: Int): number {
  if (count <= 0) throw new StatementError(SqlState.InvalidParameterValue, 'count must be greater than zero');
  if (low.equals(high)) throw new StatementError(SqlState.InvalidParameterValue, 'lower bound cannot equal upper bound');
  const isUp = low.compare(high) < 0;
  const at = isUp ? value.minus(low) : low.minus(value);
  const width = isUp ? high.minus(low) : low.minus(high);
  if (at.sign < 0) return 0;
  if (at.compare(width) >= 0) return Number(count) + 1;
  return at.times(DecimalValue.fromInt(count)).dividedBy(width).floor().toNumber() + 1;
}

const ceil = [float('ceil', Math.ceil), decimal('ceil', (a) => a.ceil()), pure<[Int]>('ceil', [Int8], Float8, (a) => Number(a))];
const power = [
  pure<[Int, Int]>('power', [Int8, Int8], Int8, powInt),
  pure<[number, number]>('power', [Float8, Float8], Float8, (a, b) => a ** b),
  pure<[D, D]>('power', [Decimal, Decimal], Decimal, decimalPower),
];
/** Greatest common divisor; of zeros zero. */
function gcd(a: bigint, b: bigint): bigint {
  let [x, y] = [a < 0n ? -a : a, b < 0n ? -b : b];
  while (y !== 0n) [x, y] = [y, x % y];
  return x;
}

const asInt = (value: bigint): Int => {
  if (BigInt.asIntN(64, value) !== value) throw new StatementError(SqlState.NumericValueOutOfRange, 'integer out of range');
  return intOf(value);
};

function factorial(n: Int): D {
  if (n < 0) throw new StatementError(SqlState.NumericValueOutOfRange, 'factorial of a negative number is undefined');
  if (n > 1000) throw new StatementError(SqlState.NumericValueOutOfRange, 'value overflows numeric format');
  let product = 1n;
  for (let i = 2n; i <= BigInt(n); i++) product *= i;
  return DecimalValue.fromInt(product);
}

/** Degrees, exact where the result is: multiples of 30 and 45. */
function inDegrees(name: string, fn: (radians: number) => number): Overload {
  return float(name, (degrees) => Number(fn((degrees % 360) / toDegrees).toFixed(15)));
}

/** The bucket of a sorted list of lower bounds that a value falls in. */
const widthBucketOf: Overload = {
  name: 'width_bucket',
  params: ['anyelement', 'anyarray'],
  returns: Int8,
  volatility: 'immutable',
  specialize: ([type]) => {
    const order = compareAcross(type ?? Type.Float8, type ?? Type.Float8);
    return (_, value, bounds) => (bounds as readonly Datum[]).filter((bound) => order(bound, value as Datum) <= 0).length;
  },
};

const toDegrees = 180 / Math.PI;

export const mathFunctions: readonly Overload[] = [
  pure<[Int]>('abs', [Int8], Int8, absInt),
  float('abs', Math.abs),
  decimal('abs', (a) => a.abs()),
  ...ceil,
  ...alias('ceiling', ceil),
  float('floor', Math.floor),
  decimal('floor', (a) => a.floor()),
  pure<[Int]>('floor', [Int8], Float8, (a) => Number(a)),
  float('round', halfEven),
  decimal('round', (a) => a.withScale(0)),
  pure<[number, Int]>('round', [Float8, Int8], Float8, roundFloat),
  pure<[D, Int]>('round', [Decimal, Int8], Decimal, (a, digits) => a.withScale(clampScale(digits)), { preferred: true }),
  float('trunc', Math.trunc),
  decimal('trunc', (a) => a.truncated()),
  pure<[D, Int]>('trunc', [Decimal, Int8], Decimal, (a, digits) => a.truncated(clampScale(digits))),
  pure<[Int]>('sign', [Int8], Int8, (a) => (a > 0 ? 1 : a < 0 ? -1 : 0)),
  float('sign', Math.sign),
  decimal('sign', (a) => DecimalValue.fromInt(a.sign)),
  float('sqrt', sqrtFloat),
  decimal('sqrt', decimalSqrt),
  float('cbrt', Math.cbrt),
  decimal('cbrt', decimalCbrt),
  ...power,
  ...alias('pow', power),
  float('exp', Math.exp),
  decimal('exp', decimalExp),
  float('ln', (a) => Math.log(positive(a))),
  decimal('ln', decimalLn),
  float('log', (a) => Math.log10(positive(a))),
  decimal('log', (a) => decimalLog(a)),
  pure<[number, number]>('log', [Float8, Float8], Float8, (base, a) => Math.log(positive(a)) / Math.log(positive(base))),
  pure<[D, D]>('log', [Decimal, Decimal], Decimal, (base, a) => decimalLog(a, base)),
  pure<[Int, Int]>('mod', [Int8, Int8], Int8, modInt),
  pure<[number, number]>('mod', [Float8, Float8], Float8, (a, b) => a % nonZero(b)),
  pure<[D, D]>('mod', [Decimal, Decimal], Decimal, (a, b) => a.remainder(b)),
  pure<[Int, Int]>('div', [Int8, Int8], Int8, divInt),
  pure<[number, number]>('div', [Float8, Float8], Float8, (a, b) => Math.trunc(a / nonZero(b))),
  pure<[D, D]>('div', [Decimal, Decimal], Decimal, (a, b) => a.dividedToInteger(b)),
  pure('pi', [], Float8, () => Math.PI),
  float('sin', Math.sin),
  float('cos', Math.cos),
  float('tan', Math.tan),
  float('cot', (a) => 1 / Math.tan(a)),
  float('asin', Math.asin),
  float('acos', Math.acos),
  float('atan', Math.atan),
  float('sinh', Math.sinh),
  float('cosh', Math.cosh),
  float('tanh', Math.tanh),
  float('asinh', Math.asinh),
  float('acosh', Math.acosh),
  float('atanh', Math.atanh),
  float('degrees', (a) => a * toDegrees),
  float('radians', (a) => a / toDegrees),
  pure<[number, number]>('atan2', [Float8, Float8], Float8, Math.atan2),
  pure<[number]>('isnan', [Float8], Bool, (a) => Number.isNaN(a)),
  pure<[D]>('isnan', [Decimal], Bool, (a) => a.isNaN),
  pure<[D, D, D, Int]>('width_bucket', [Decimal, Decimal, Decimal, Int8], Int8, widthBucket),
  pure<[Int, Int, Int, Int]>('width_bucket', [Int8, Int8, Int8, Int8], Int8, (a, low, high, count) =>
    widthBucket(DecimalValue.fromInt(a), DecimalValue.fromInt(low), DecimalValue.fromInt(high), count),
  ),
  widthBucketOf,
  pure<[Int, Int]>('gcd', [Int8, Int8], Int8, (a, b) => asInt(gcd(BigInt(a), BigInt(b)))),
  pure<[Int, Int]>('lcm', [Int8, Int8], Int8, (a, b) => {
    const divisor = gcd(BigInt(a), BigInt(b));
    return divisor === 0n ? 0 : asInt(BigInt(absInt(a)) * (BigInt(absInt(b)) / divisor));
  }),
  pure<[Int]>('factorial', [Int8], Decimal, factorial),
  pure<[D]>('scale', [Decimal], Int8, (a) => (a.isFinite ? Math.max(0, a.scale) : null)),
  pure<[D]>('min_scale', [Decimal], Int8, (a) => (a.isFinite ? Math.max(0, a.reduced().scale) : null)),
  decimal('trim_scale', (a) => (a.isFinite ? a.withScale(Math.max(0, a.reduced().scale)) : a)),
  float('log10', (a) => Math.log10(positive(a))),
  decimal('log10', (a) => decimalLog(a)),
  inDegrees('sind', Math.sin),
  inDegrees('cosd', Math.cos),
  inDegrees('tand', Math.tan),
  inDegrees('cotd', (a) => 1 / Math.tan(a)),
  float('asind', (a) => Math.asin(a) * toDegrees),
  float('acosd', (a) => Math.acos(a) * toDegrees),
  float('atand', (a) => Math.atan(a) * toDegrees),
  pure<[number, number]>('atan2d', [Float8, Float8], Float8, (y, x) => Math.atan2(y, x) * toDegrees),
  contextual('random', [], Float8, 'volatile', (ctx) => ctx.random()),
];

function nonZero(b: number): number {
  if (b === 0) throw divisionByZero();
  return b;
}

function clampScale(digits: Int): number {
  return Math.max(-2000, Math.min(2000, Number(digits)));
}
