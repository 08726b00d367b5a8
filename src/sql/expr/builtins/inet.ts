/** Functions on INET: the parts of an address, and its network. */
import { type Bytes as ByteString, utf8Encode } from '../../../base/bytes.ts';
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { formatInet } from '../../../catalog/inet.ts';
import { Type } from '../../../catalog/type.ts';
import { Bool, Int8, pure, Text } from '../define.ts';
import { type Address, addressOf, containsOrEquals, inetOf, networkMask } from '../inetMath.ts';
import type { Int } from '../intArithmetic.ts';
import type { Overload } from '../overload.ts';

const { Inet } = Type;

/** Another address of the same family. */
function derived(name: string, derive: (address: Address) => Address): Overload {
  return pure<[ByteString]>(name, [Inet], Inet, (inet) => inetOf(derive(addressOf(inet))));
}

const allOnes = (bits: number): bigint => (1n << BigInt(bits)) - 1n;
const withoutPrefix = (inet: ByteString): string => formatInet(inetOf({ ...addressOf(inet), prefix: addressOf(inet).bits }));

export const inetFunctions: readonly Overload[] = [
  pure<[ByteString]>('abbrev', [Inet], Text, (inet) => utf8Encode(formatInet(inet))),
  pure<[ByteString]>('host', [Inet], Text, (inet) => utf8Encode(withoutPrefix(inet))),
  pure<[ByteString]>('text', [Inet], Text, (inet) => utf8Encode(`${withoutPrefix(inet)}/${addressOf(inet).prefix}`)),
  pure<[ByteString]>('family', [Inet], Int8, (inet) => (addressOf(inet).bits === 32 ? 4 : 6)),
  pure<[ByteString]>('masklen', [Inet], Int8, (inet) => addressOf(inet).prefix),
  derived('broadcast', (address) => ({
    ...address,
    value: address.value | (allOnes(address.bits) ^ networkMask(address.bits, address.prefix)),
  })),
  derived('netmask', ({ bits, prefix }) => ({ bits, prefix: bits, value: networkMask(bits, prefix) })),
  derived('hostmask', ({ bits, prefix }) => ({ bits, prefix: bits, value: allOnes(bits) ^ networkMask(bits, prefix) })),
  derived('network', (address) => ({ ...address, value: address.value & networkMask(address.bits, address.prefix) })),
  pure<[ByteString, Int]>('set_masklen', [Inet, Int8], Inet, (inet, length) => {
    const address = addressOf(inet);
    const prefix = Number(length);
    if (prefix < 0 || prefix > address.bits) throw new StatementError(SqlState.InvalidParameterValue, `invalid mask length: ${prefix}`);
    return inetOf({ ...address, prefix });
  }),
  pure<[ByteString, ByteString]>('inet_same_family', [Inet, Inet], Bool, (a, b) => addressOf(a).bits === addressOf(b).bits),
  pure<[ByteString, ByteString]>('inet_contains_or_equals', [Inet, Inet], Bool, (a, b) => containsOrEquals(addressOf(a), addressOf(b))),
  pure<[ByteString, ByteString]>('inet_contained_by_or_equals', [Inet, Inet], Bool, (a, b) => containsOrEquals(addressOf(b), addressOf(a))),
];
