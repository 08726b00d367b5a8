/**
 * Arithmetic on INET: an address as one number, with its family and prefix length beside it. The
 * datum is family byte, prefix length byte, address bytes (catalog/inet.ts).
 */
import { asBytes, type Bytes } from '../../base/bytes.ts';
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';

export interface Address {
  /** 32 or 128. */
  readonly bits: number;
  readonly prefix: number;
  readonly value: bigint;
}

export function addressOf(inet: Bytes): Address {
  let value = 0n;
  for (let i = 2; i < inet.length; i++) value = (value << 8n) | BigInt(inet.charCodeAt(i));
  return { bits: (inet.length - 2) * 8, prefix: inet.charCodeAt(1), value };
}

/** Throws 22003 beyond the family's addresses. */
export function inetOf({ bits, prefix, value }: Address): Bytes {
  if (value < 0n || value >> BigInt(bits) !== 0n) throw new StatementError(SqlState.NumericValueOutOfRange, 'result out of range');
  let bytes = '';
  for (let shift = bits - 8; shift >= 0; shift -= 8) bytes += String.fromCharCode(Number((value >> BigInt(shift)) & 0xffn));
  return asBytes(String.fromCharCode(bits === 32 ? 4 : 6, prefix) + bytes);
}

/** Ones in the first `prefix` of `bits` places. */
export function networkMask(bits: number, prefix: number): bigint {
  return ((1n << BigInt(prefix)) - 1n) << BigInt(bits - prefix);
}

/** Does the network of `outer` hold all of `inner`'s? Equal networks do. */
export function containsOrEquals(outer: Address, inner: Address): boolean {
  if (outer.bits !== inner.bits || outer.prefix > inner.prefix) return false;
  const mask = networkMask(outer.bits, outer.prefix);
  return (outer.value & mask) === (inner.value & mask);
}
