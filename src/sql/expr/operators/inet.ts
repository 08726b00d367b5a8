/** Operators on INET: containment, bits, and moving an address by a number. */
import type { Bytes } from '../../../base/bytes.ts';
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { intOf } from '../../../catalog/datum.ts';
import { Type } from '../../../catalog/type.ts';
import { Bool, Int8, pure } from '../define.ts';
import { type Address, addressOf, containsOrEquals, inetOf } from '../inetMath.ts';
import type { Int } from '../intArithmetic.ts';
import type { Overload } from '../overload.ts';

const { Inet } = Type;

function test(name: string, holds: (a: Address, b: Address) => boolean): Overload {
  return pure<[Bytes, Bytes]>(name, [Inet, Inet], Bool, (a, b) => holds(addressOf(a), addressOf(b)));
}

function bitwise(name: string, verb: string, fn: (a: bigint, b: bigint) => bigint): Overload {
  return pure<[Bytes, Bytes]>(name, [Inet, Inet], Inet, (a, b) => {
    const [x, y] = [addressOf(a), addressOf(b)];
    if (x.bits !== y.bits) throw new StatementError(SqlState.InvalidParameterValue, `cannot ${verb} inet values of different sizes`);
    return inetOf({ bits: x.bits, prefix: Math.max(x.prefix, y.prefix), value: fn(x.value, y.value) });
  });
}

function moved(inet: Bytes, by: bigint): Bytes {
  const address = addressOf(inet);
  return inetOf({ ...address, value: address.value + by });
}

export const inetOperators: readonly Overload[] = [
  test('<<', (a, b) => b.prefix < a.prefix && containsOrEquals(b, a)),
  test('>>', (a, b) => a.prefix < b.prefix && containsOrEquals(a, b)),
  test('&&', (a, b) => containsOrEquals(a, b) || containsOrEquals(b, a)),
  bitwise('&', 'AND', (a, b) => a & b),
  bitwise('|', 'OR', (a, b) => a | b),
  pure<[Bytes, Int]>('+', [Inet, Int8], Inet, (inet, by) => moved(inet, BigInt(by))),
  pure<[Int, Bytes]>('+', [Int8, Inet], Inet, (by, inet) => moved(inet, BigInt(by))),
  pure<[Bytes, Int]>('-', [Inet, Int8], Inet, (inet, by) => moved(inet, -BigInt(by))),
  pure<[Bytes, Bytes]>('-', [Inet, Inet], Int8, (a, b) => {
    const [x, y] = [addressOf(a), addressOf(b)];
    if (x.bits !== y.bits) {
      throw new StatementError(SqlState.InvalidParameterValue, 'cannot subtract inet addresses with different sizes');
    }
    const distance = x.value - y.value;
    if (BigInt.asIntN(64, distance) !== distance) throw new StatementError(SqlState.NumericValueOutOfRange, 'result out of range');
    return intOf(distance);
  }),
];

export const inetUnaryOperators: readonly Overload[] = [
  pure<[Bytes]>('~', [Inet], Inet, (inet) => {
    const address = addressOf(inet);
    return inetOf({ ...address, value: ((1n << BigInt(address.bits)) - 1n) ^ address.value });
  }),
];
