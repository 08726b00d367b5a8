/**
 * 64-bit integers as two 32-bit halves, and the rule for INT values: a `number` while it is a safe
 * integer, a `bigint` beyond. Both forms of one value never exist side by side.
 */
import { assert } from './assert.ts';

/** An INT8: a number when safe, else a bigint. */
export type Int = number | bigint;

export const INT64_MIN = -(2n ** 63n);
export const INT64_MAX = 2n ** 63n - 1n;

/** The canonical form of a bigint: a number when it is safe. */
export function canonicalInt(value: bigint): Int {
  return value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value;
}

/** The upper 32 bits, signed. */
export function highHalf(value: Int): number {
  if (typeof value === 'number') {
    assert(Number.isSafeInteger(value), `not an integer: ${value}`);
    return Math.floor(value / 2 ** 32) | 0;
  }
  assert(value >= INT64_MIN && value <= INT64_MAX, `not a 64-bit integer: ${value}`);
  return Number(value >> 32n);
}

/** The lower 32 bits, unsigned. */
export function lowHalf(value: Int): number {
  return typeof value === 'number' ? value >>> 0 : Number(value & 0xffffffffn);
}

/** The integer of two halves, `high` signed and `low` unsigned. */
export function fromHalves(high: number, low: number): Int {
  const value = high * 2 ** 32 + low;
  return Number.isSafeInteger(value) ? value : (BigInt(high) << 32n) | BigInt(low);
}
