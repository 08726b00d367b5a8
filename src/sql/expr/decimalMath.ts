/**
 * Roots, powers and logarithms of decimals, to 20 significant digits, through decimal.js (which
 * works with 30). Errors are CockroachDB's: 2201E-like conditions come as 22023.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { Decimal } from '../../catalog/datum.ts';

/** base ^ exponent. An exact whole power stays exact where it has at most 20 digits. */
export function decimalPower(base: Decimal, exponent: Decimal): Decimal {
  if (base.isNaN || exponent.isNaN) return Decimal.NaN;
  if (exponent.isZero) return Decimal.One;
  if (base.isZero && exponent.sign < 0)
    throw new StatementError(SqlState.InvalidParameterValue, 'zero raised to a negative power is undefined');
  const isWhole = exponent.isFinite && exponent.truncated().equals(exponent);
  if (base.sign < 0 && !isWhole) {
    throw new StatementError(SqlState.InvalidParameterValue, 'a negative number raised to a non-integer power yields a complex result');
  }
  return Decimal.fromDecimalJs(base.toDecimalJs().pow(exponent.toDecimalJs()));
}

export function decimalSqrt(value: Decimal): Decimal {
  if (value.sign < 0) throw new StatementError(SqlState.InvalidParameterValue, 'cannot take square root of a negative number');
  return Decimal.fromDecimalJs(value.toDecimalJs().sqrt());
}

export function decimalCbrt(value: Decimal): Decimal {
  return Decimal.fromDecimalJs(value.toDecimalJs().cbrt());
}

export function decimalExp(value: Decimal): Decimal {
  return Decimal.fromDecimalJs(value.toDecimalJs().exp());
}

/** Throws 22023 for zero and below. */
export function requirePositive(sign: number): void {
  if (sign < 0) throw new StatementError(SqlState.InvalidParameterValue, 'cannot take logarithm of a negative number');
  if (sign === 0) throw new StatementError(SqlState.InvalidParameterValue, 'cannot take logarithm of zero');
}

export function decimalLn(value: Decimal): Decimal {
  if (value.isNaN) return value;
  requirePositive(value.sign);
  return Decimal.fromDecimalJs(value.toDecimalJs().ln());
}

export function decimalLog(value: Decimal, base: Decimal = Decimal.fromInt(10)): Decimal {
  if (value.isNaN) return value;
  requirePositive(value.sign);
  requirePositive(base.sign);
  return Decimal.fromDecimalJs(value.toDecimalJs().log(base.toDecimalJs()));
}
