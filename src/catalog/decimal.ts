/**
 * Decimal: exact decimal numbers that remember their scale, so 1.00 prints as 1.00.
 *
 * A finite decimal is coefficient * 10^-scale. Addition, subtraction and multiplication are exact;
 * division and everything transcendental round half up to DIVISION_PRECISION significant digits, as
 * CockroachDB's decimal context does. NaN and the infinities are values.
 *
 *   order      NaN < -Infinity < finite < Infinity; NaN equals itself
 *   equality   by value: 1.0 equals 1.00, though they print differently
 *   printing   scientific notation when the exponent is positive or the number is tiny (1E+10, 1E-7)
 *
 * decimal.js is used for roots, logarithms and powers only: it drops trailing zeros, which a
 * DECIMAL(10,2) must keep. Source of the printed form: General Decimal Arithmetic, to-scientific-string.
 */
import { Decimal as DecimalJs } from 'decimal.js';

import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

/** Significant digits of a quotient, root, logarithm or power. */
export const DIVISION_PRECISION = 20;
/** Greatest exponent, up or down, of a number worth computing: beyond it, 22003. */
export const EXPONENT_MAX = 2000;

type Form = 'finite' | 'nan' | 'infinity' | '-infinity';

const DECIMAL_TEXT = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,9}))?$/;

const powersOfTen: bigint[] = [1n];

/** 10^n for n >= 0; small ones are cached. */
export function powerOfTen(n: number): bigint {
  const cached = powersOfTen[n];
  if (cached !== undefined) return cached;
  if (n > 1000) return 10n ** BigInt(n);
  for (let i = powersOfTen.length; i <= n; i++) powersOfTen.push((powersOfTen[i - 1] ?? 1n) * 10n);
  return powersOfTen[n] ?? 1n;
}

const Wide = DecimalJs.clone({ precision: DIVISION_PRECISION + 10, toExpNeg: -1e9, toExpPos: 1e9 });

export class Decimal {
  readonly form: Form;
  /** 0n unless finite. */
  readonly coefficient: bigint;
  /** Digits after the point; negative when the number ends in that many unwritten zeros (1E+10 is 1 with scale -10). */
  readonly scale: number;

  private constructor(form: Form, coefficient: bigint, scale: number) {
    this.form = form;
    this.coefficient = coefficient;
    this.scale = scale;
  }

  static readonly NaN: Decimal = new Decimal('nan', 0n, 0);
  static readonly Infinity: Decimal = new Decimal('infinity', 0n, 0);
  static readonly NegativeInfinity: Decimal = new Decimal('-infinity', 0n, 0);
  static readonly Zero: Decimal = new Decimal('finite', 0n, 0);
  static readonly One: Decimal = new Decimal('finite', 1n, 0);

  /** coefficient * 10^-scale. */
  static of(coefficient: bigint, scale: number): Decimal {
    return new Decimal('finite', coefficient, scale);
  }

  static fromInt(value: number | bigint): Decimal {
    return new Decimal('finite', BigInt(value), 0);
  }

  /** The shortest decimal that reads back as this double. */
  static fromFloat(value: number): Decimal {
    if (Number.isNaN(value)) return Decimal.NaN;
    if (value === Number.POSITIVE_INFINITY) return Decimal.Infinity;
    if (value === Number.NEGATIVE_INFINITY) return Decimal.NegativeInfinity;
    const parsed = Decimal.parse(String(value)) ?? Decimal.NaN;
    return parsed.scale < 0 ? parsed.withScale(0) : parsed;
  }

  /**
   * Reads `12.30`, `1e-7`, `NaN`, `Infinity`, `-inf`, with blanks around; undefined when it is no number.
   * Keeps the scale as written. Throws 22003 beyond EXPONENT_MAX; what is nearer to zero than that is zero.
   */
  static parse(text: string): Decimal | undefined {
    const trimmed = text.trim();
    const match = DECIMAL_TEXT.exec(trimmed);
    if (!match) {
      const special = /^([+-]?)(nan|inf|infinity)$/i.exec(trimmed);
      if (!special) return undefined;
      if (special[2]?.toLowerCase() === 'nan') return Decimal.NaN;
      return special[1] === '-' ? Decimal.NegativeInfinity : Decimal.Infinity;
    }
    const [, sign, whole = '', fraction = '', exponent] = match;
    if (whole === '' && fraction === '') return undefined;
    const scale = fraction.length - (exponent === undefined ? 0 : Number(exponent));
    const coefficient = BigInt(whole + fraction);
    const parsed = new Decimal('finite', sign === '-' ? -coefficient : coefficient, scale);
    // An exponent in the text can name a number that no arithmetic should ever write out.
    return exponent === undefined && trimmed.length <= EXPONENT_MAX ? parsed : parsed.checked();
  }

  get isNaN(): boolean {
    return this.form === 'nan';
  }

  get isFinite(): boolean {
    return this.form === 'finite';
  }

  get isZero(): boolean {
    return this.form === 'finite' && this.coefficient === 0n;
  }

  /** -1, 0 or 1; NaN is 0. */
  get sign(): number {
    if (this.form === 'finite') return this.coefficient < 0n ? -1 : this.coefficient > 0n ? 1 : 0;
    return this.form === 'infinity' ? 1 : this.form === '-infinity' ? -1 : 0;
  }

  /** Decimal digits of the coefficient; 1 for zero. */
  get digits(): number {
    return digitCount(this.coefficient);
  }

  compare(other: Decimal): number {
    if (this.form !== 'finite' || other.form !== 'finite') return rank(this) - rank(other);
    if (this.scale === other.scale) return order(this.coefficient, other.coefficient);
    const sign = this.sign - other.sign;
    if (sign !== 0) return sign < 0 ? -1 : 1;
    if (this.coefficient === 0n) return 0;
    // Equal signs: far-apart magnitudes are decided without building a long number.
    const magnitude = this.digits - this.scale - (other.digits - other.scale);
    if (magnitude !== 0) return magnitude < 0 === this.coefficient > 0n ? -1 : 1;
    const scale = this.scale > other.scale ? this.scale : other.scale;
    return order(this.coefficientAt(scale), other.coefficientAt(scale));
  }

  equals(other: Decimal): boolean {
    return this.compare(other) === 0;
  }

  plus(other: Decimal): Decimal {
    if (this.form !== 'finite' || other.form !== 'finite') {
      if (this.isNaN || other.isNaN) return Decimal.NaN;
      if (this.isFinite) return other;
      return other.isFinite || other.form === this.form ? this : Decimal.NaN;
    }
    const scale = this.scale > other.scale ? this.scale : other.scale;
    return new Decimal('finite', this.coefficientAt(scale) + other.coefficientAt(scale), scale);
  }

  minus(other: Decimal): Decimal {
    return this.plus(other.negated());
  }

  times(other: Decimal): Decimal {
    if (this.form !== 'finite' || other.form !== 'finite') {
      const sign = this.sign * other.sign;
      return this.isNaN || other.isNaN || sign === 0 ? Decimal.NaN : signedInfinity(sign);
    }
    return new Decimal('finite', this.coefficient * other.coefficient, this.scale + other.scale).checked();
  }

  /**
   * The quotient to DIVISION_PRECISION significant digits, half up; an exact one keeps no needless
   * zeros beyond the operands' own scale. Throws 22012 when `other` is zero.
   */
  dividedBy(other: Decimal): Decimal {
    if (this.isNaN || other.isNaN) return Decimal.NaN;
    if (other.isZero) throw new StatementError(SqlState.DivisionByZero, 'division by zero');
    if (!this.isFinite) return other.isFinite ? signedInfinity(this.sign * other.sign) : Decimal.NaN;
    if (!other.isFinite) return Decimal.Zero;
    const ideal = this.scale - other.scale;
    if (this.coefficient === 0n) return new Decimal('finite', 0n, ideal);
    // Enough zeros that the quotient has at least PRECISION + 1 digits before rounding.
    const shift = Math.max(0, DIVISION_PRECISION + 1 + other.digits - this.digits);
    const dividend = this.coefficient * powerOfTen(shift);
    const quotient = dividend / other.coefficient;
    if (quotient * other.coefficient === dividend) {
      return new Decimal('finite', quotient, ideal + shift).rounded(DIVISION_PRECISION).reducedTo(ideal).checked();
    }
    // A digit that only says "more follows" keeps half-up honest.
    const sticky = quotient * 10n + (this.sign * other.sign < 0 ? -1n : 1n);
    return new Decimal('finite', sticky, ideal + shift + 1).rounded(DIVISION_PRECISION).checked();
  }

  /** The quotient's whole part, towards zero. Throws 22012. */
  dividedToInteger(other: Decimal): Decimal {
    if (this.isNaN || other.isNaN) return Decimal.NaN;
    if (other.isZero) throw new StatementError(SqlState.DivisionByZero, 'division by zero');
    if (!this.isFinite) return other.isFinite ? signedInfinity(this.sign * other.sign) : Decimal.NaN;
    if (!other.isFinite) return Decimal.Zero;
    const scale = Math.max(this.scale, other.scale);
    return new Decimal('finite', this.coefficientAt(scale) / other.coefficientAt(scale), 0);
  }

  /** The rest of dividedToInteger, with this number's sign. Throws 22012 when `other` is zero. */
  remainder(other: Decimal): Decimal {
    if (this.isNaN || other.isNaN || !this.isFinite) return Decimal.NaN;
    if (other.isZero) throw new StatementError(SqlState.DivisionByZero, 'division by zero');
    if (!other.isFinite) return this;
    const scale = Math.max(this.scale, other.scale);
    return new Decimal('finite', this.coefficientAt(scale) % other.coefficientAt(scale), scale);
  }

  negated(): Decimal {
    if (this.form === 'finite') return new Decimal('finite', -this.coefficient, this.scale);
    return this.isNaN ? this : signedInfinity(-this.sign);
  }

  abs(): Decimal {
    return this.sign < 0 ? this.negated() : this;
  }

  /** Exactly `scale` digits after the point (which may be negative), half away from zero. */
  withScale(scale: number): Decimal {
    if (this.form !== 'finite' || scale === this.scale) return this;
    if (scale > this.scale) return new Decimal('finite', this.coefficientAt(scale), scale);
    return new Decimal('finite', divideHalfUp(this.coefficient, powerOfTen(this.scale - scale)), scale);
  }

  /** At most `precision` significant digits, half away from zero. */
  rounded(precision: number): Decimal {
    if (this.form !== 'finite') return this;
    const excess = this.digits - precision;
    if (excess <= 0) return this;
    const cut = this.withScale(this.scale - excess);
    return cut.digits > precision ? cut.withScale(cut.scale - 1) : cut;
  }

  truncated(scale = 0): Decimal {
    if (this.form !== 'finite' || scale >= this.scale) return this;
    return new Decimal('finite', this.coefficient / powerOfTen(this.scale - scale), scale);
  }

  floor(): Decimal {
    const whole = this.truncated();
    return this.sign < 0 && whole.compare(this) !== 0 ? whole.minus(Decimal.One) : whole;
  }

  ceil(): Decimal {
    const whole = this.truncated();
    return this.sign > 0 && whole.compare(this) !== 0 ? whole.plus(Decimal.One) : whole;
  }

  /** Drops trailing zeros of the coefficient, so that equal numbers look equal: what keys and hashes use. */
  reduced(): Decimal {
    if (this.form !== 'finite') return this;
    if (this.coefficient === 0n) return Decimal.Zero;
    return this.reducedTo(Number.NEGATIVE_INFINITY);
  }

  private reducedTo(scaleMin: number): Decimal {
    let { coefficient, scale } = this;
    while (scale > scaleMin && coefficient !== 0n && coefficient % 10n === 0n) {
      coefficient /= 10n;
      scale--;
    }
    return scale === this.scale ? this : new Decimal('finite', coefficient, scale);
  }

  /** Throws 22003 beyond EXPONENT_MAX. */
  private checked(): Decimal {
    const exponent = this.digits - this.scale - 1;
    if (exponent > EXPONENT_MAX) throw new StatementError(SqlState.NumericValueOutOfRange, 'decimal out of range');
    if (exponent < -EXPONENT_MAX) return Decimal.Zero;
    return this;
  }

  private coefficientAt(scale: number): bigint {
    return scale === this.scale ? this.coefficient : this.coefficient * powerOfTen(scale - this.scale);
  }

  toNumber(): number {
    switch (this.form) {
      case 'nan':
        return Number.NaN;
      case 'infinity':
        return Number.POSITIVE_INFINITY;
      case '-infinity':
        return Number.NEGATIVE_INFINITY;
      default:
        return Number(`${this.coefficient}e${-this.scale}`);
    }
  }

  /** The nearest integer, half away from zero; undefined unless finite. */
  toBigInt(): bigint | undefined {
    return this.form === 'finite' ? this.withScale(0).coefficient : undefined;
  }

  /** For roots, logarithms and powers; fromDecimalJs brings the result back. */
  toDecimalJs(): DecimalJs {
    return new Wide(this.toString());
  }

  /** A decimal.js result, rounded to DIVISION_PRECISION significant digits. Throws 22003 beyond EXPONENT_MAX, before it writes any out. */
  static fromDecimalJs(value: DecimalJs): Decimal {
    if (value.isFinite() && !value.isZero() && Math.abs(value.e) > EXPONENT_MAX) {
      return new Decimal('finite', 1n, -value.e).checked();
    }
    const parsed = Decimal.parse(value.toFixed()) ?? Decimal.parse(value.toString()) ?? Decimal.NaN;
    return parsed.rounded(DIVISION_PRECISION);
  }

  /** `12.30`, `1E+10`, `1E-7`, `NaN`, `Infinity`, `-Infinity`. */
  toString(): string {
    if (this.form !== 'finite') return this.form === 'nan' ? 'NaN' : this.form === 'infinity' ? 'Infinity' : '-Infinity';
    const isNegative = this.coefficient < 0n;
    const digits = String(isNegative ? -this.coefficient : this.coefficient);
    const sign = isNegative ? '-' : '';
    const exponent = digits.length - this.scale - 1;
    if (this.scale < 0 || exponent < -6) {
      const mantissa = digits.length > 1 ? `${digits[0]}.${digits.slice(1)}` : digits;
      return `${sign}${mantissa}E${exponent < 0 ? '-' : '+'}${Math.abs(exponent)}`;
    }
    return sign + placePoint(digits, this.scale);
  }

  /** Without an exponent, however long. */
  toFixed(): string {
    if (this.form !== 'finite') return this.toString();
    const plain = this.scale < 0 ? this.withScale(0) : this;
    const isNegative = plain.coefficient < 0n;
    return (isNegative ? '-' : '') + placePoint(String(isNegative ? -plain.coefficient : plain.coefficient), plain.scale);
  }
}

function placePoint(digits: string, scale: number): string {
  if (scale === 0) return digits;
  const padded = digits.padStart(scale + 1, '0');
  return `${padded.slice(0, padded.length - scale)}.${padded.slice(padded.length - scale)}`;
}

function rank(d: Decimal): number {
  return d.form === 'nan' ? 0 : d.form === '-infinity' ? 1 : d.form === 'finite' ? 2 : 3;
}

function order(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function signedInfinity(sign: number): Decimal {
  return sign < 0 ? Decimal.NegativeInfinity : Decimal.Infinity;
}

function digitCount(coefficient: bigint): number {
  const text = String(coefficient);
  return coefficient < 0n ? text.length - 1 : text.length;
}

function divideHalfUp(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor;
  const rest = value - quotient * divisor;
  const twice = rest < 0n ? -rest * 2n : rest * 2n;
  if (twice < divisor) return quotient;
  return value < 0n ? quotient - 1n : quotient + 1n;
}
