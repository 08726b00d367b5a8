/**
 * INT8 arithmetic on canonical ints: a number while safe, else a bigint.
 *
 * The fast path is one float operation and one check: a sum, difference or product of safe integers
 * that is itself safe is exact. Everything else goes through bigint and back. Each throws 22003
 * `integer out of range` beyond 64 bits.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { intOf } from '../../catalog/datum.ts';

export type Int = number | bigint;

export function divisionByZero(): StatementError {
  return new StatementError(SqlState.DivisionByZero, 'division by zero');
}

export function addInt(a: Int, b: Int): Int {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return intOf(BigInt(a) + BigInt(b));
}

export function subInt(a: Int, b: Int): Int {
  if (typeof a === 'number' && typeof b === 'number') {
    const difference = a - b;
    if (Number.isSafeInteger(difference)) return difference;
  }
  return intOf(BigInt(a) - BigInt(b));
}

export function mulInt(a: Int, b: Int): Int {
  if (typeof a === 'number' && typeof b === 'number') {
    const product = a * b;
    // -0 is no integer datum: 0 * -1 is 0.
    if (Number.isSafeInteger(product)) return product === 0 ? 0 : product;
  }
  return intOf(BigInt(a) * BigInt(b));
}

/** Towards zero. 22012. */
export function divInt(a: Int, b: Int): Int {
  if (Number(b) === 0) throw divisionByZero();
  if (typeof a === 'number' && typeof b === 'number') {
    // a / b may round up to the next whole number when a is large: the remainder is exact.
    const quotient = (a - (a % b)) / b;
    return quotient === 0 ? 0 : quotient;
  }
  return intOf(BigInt(a) / BigInt(b));
}

/** The rest of divInt, with the sign of `a`. 22012. */
export function modInt(a: Int, b: Int): Int {
  if (Number(b) === 0) throw divisionByZero();
  if (typeof a === 'number' && typeof b === 'number') {
    const rest = a % b;
    return rest === 0 ? 0 : rest;
  }
  return intOf(BigInt(a) % BigInt(b));
}

/** A negative exponent gives the whole part of the fraction: 0 for all but 1 and -1. */
export function powInt(base: Int, exponent: Int): Int {
  const b = BigInt(base);
  const e = BigInt(exponent);
  if (b === 1n || b === -1n) return b === 1n || e % 2n === 0n ? 1 : -1;
  if (e < 0n) {
    if (b === 0n) throw divisionByZero();
    return 0;
  }
  if (b === 0n) return e === 0n ? 1 : 0;
  if (e > 63n) throw new StatementError(SqlState.NumericValueOutOfRange, 'integer out of range');
  return intOf(b ** e);
}

export function negInt(a: Int): Int {
  if (typeof a === 'number') return a === 0 ? 0 : -a;
  return intOf(-a);
}

export function absInt(a: Int): Int {
  return a < 0 ? negInt(a) : a;
}

/** A bitwise operation on 64-bit two's complement. */
export function bitwise(op: (a: bigint, b: bigint) => bigint): (a: Int, b: Int) => Int {
  return (a, b) => intOf(op(BigInt(a), BigInt(b)));
}

/** Shifts keep 64 bits. 22023 for a shift outside 0 to 63. */
export function shiftInt(a: Int, b: Int, direction: 'left' | 'right'): Int {
  if (b < 0 || b >= 64) throw new StatementError(SqlState.InvalidParameterValue, `shift argument out of range: ${b}`);
  const value = BigInt(a);
  return intOf(direction === 'left' ? BigInt.asIntN(64, value << BigInt(b)) : value >> BigInt(b));
}
