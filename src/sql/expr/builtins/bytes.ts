/** Functions that look into bytes and bit strings, digests, and conversions between bytes and text. */
import { createHash, createHmac } from 'node:crypto';
import { crc32 } from 'node:zlib';

import { type Bytes as ByteString, fromBuffer, toBuffer, utf8Decode, utf8Encode } from '../../../base/bytes.ts';
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { Bytes, Int8, pure, Text, VarBit } from '../define.ts';
import type { Int } from '../intArithmetic.ts';
import type { Overload } from '../overload.ts';

const text = (bytes: Datum | undefined): string => utf8Decode(bytes as ByteString);

function checkIndex(what: 'bit' | 'byte', index: Int, size: number): number {
  const at = Number(index);
  if (at >= 0 && at < size) return at;
  throw new StatementError(SqlState.ArraySubscriptError, `${what} index ${index} out of valid range (0..${size - 1})`);
}

function checkBit(value: Int): void {
  if (value !== 0 && value !== 1) throw new StatementError(SqlState.InvalidParameterValue, 'new bit must be 0 or 1');
}

const withByte = (bytes: ByteString, at: number, value: number): ByteString =>
  (bytes.slice(0, at) + String.fromCharCode(value) + bytes.slice(at + 1)) as ByteString;

/** In bytes bit 0 is the lowest of the first byte, as in PostgreSQL. */
const bits: readonly Overload[] = [
  pure<[ByteString, Int]>('get_bit', [VarBit, Int8], Int8, (bit, index) => Number(bit[checkIndex('bit', index, bit.length)])),
  pure<[ByteString, Int]>(
    'get_bit',
    [Bytes, Int8],
    Int8,
    (bytes, index) => {
      const at = checkIndex('bit', index, bytes.length * 8);
      return (bytes.charCodeAt(at >> 3) >> (at & 7)) & 1;
    },
    { preferred: true },
  ),
  pure<[ByteString, Int, Int]>('set_bit', [VarBit, Int8, Int8], VarBit, (bit, index, value) => {
    checkBit(value);
    const at = checkIndex('bit', index, bit.length);
    return (bit.slice(0, at) + String(value) + bit.slice(at + 1)) as ByteString;
  }),
  pure<[ByteString, Int, Int]>(
    'set_bit',
    [Bytes, Int8, Int8],
    Bytes,
    (bytes, index, value) => {
      checkBit(value);
      const at = checkIndex('bit', index, bytes.length * 8);
      const old = bytes.charCodeAt(at >> 3);
      const mask = 1 << (at & 7);
      return withByte(bytes, at >> 3, value === 1 ? old | mask : old & ~mask);
    },
    { preferred: true },
  ),
  pure<[ByteString, Int]>('get_byte', [Bytes, Int8], Int8, (bytes, index) => bytes.charCodeAt(checkIndex('byte', index, bytes.length))),
  pure<[ByteString, Int, Int]>('set_byte', [Bytes, Int8, Int8], Bytes, (bytes, index, value) =>
    withByte(bytes, checkIndex('byte', index, bytes.length), Number(BigInt.asUintN(8, BigInt(value)))),
  ),
  pure<[ByteString]>('bit_count', [VarBit], Int8, (bit) => bit.split('1').length - 1),
  pure<[ByteString]>(
    'bit_count',
    [Bytes],
    Int8,
    (bytes) => {
      let count = 0;
      for (let i = 0; i < bytes.length; i++) for (let byte = bytes.charCodeAt(i); byte > 0; byte >>= 1) count += byte & 1;
      return count;
    },
    { preferred: true },
  ),
];

const LATIN1 = /^(latin1|iso_?8859_?1|iso-8859-1)$/i;
const UTF8 = /^(utf-?8|unicode|sql_ascii)$/i;

function convertTo(source: ByteString, encoding: string): ByteString {
  if (UTF8.test(encoding)) return source;
  if (!LATIN1.test(encoding)) throw new StatementError(SqlState.InvalidParameterValue, `invalid destination encoding name "${encoding}"`);
  const decoded = utf8Decode(source);
  const odd = Array.from(decoded).find((char) => (char.codePointAt(0) as number) > 0xff);
  if (odd === undefined) return decoded as ByteString;
  throw new StatementError(SqlState.UntranslatableCharacter, `character "${odd}" has no equivalent in encoding "LATIN1"`);
}

function convertFrom(source: ByteString, encoding: string): ByteString {
  if (LATIN1.test(encoding)) return utf8Encode(source);
  if (!UTF8.test(encoding)) throw new StatementError(SqlState.InvalidParameterValue, `invalid source encoding name "${encoding}"`);
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(toBuffer(source));
  } catch {
    throw new StatementError(SqlState.CharacterNotInRepertoire, 'invalid byte sequence for encoding "UTF8"');
  }
  return source;
}

const HASHES = ['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512'];

function hashName(name: string): string {
  const lower = name.toLowerCase();
  if (!HASHES.includes(lower)) throw new StatementError(SqlState.InvalidParameterValue, `cannot use "${name}", no such hash algorithm`);
  return lower;
}

/** CRC-32 with the Castagnoli polynomial, bit by bit reversed. */
const CASTAGNOLI = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0x82f63b78 ^ (c >>> 1) : c >>> 1;
  return c >>> 0;
});

function crc32c(bytes: ByteString): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = (CASTAGNOLI[(crc ^ bytes.charCodeAt(i)) & 0xff] as number) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** For text and for bytes. */
const ofBoth = (name: string, fn: (bytes: ByteString) => Datum): Overload[] => [
  pure<[ByteString]>(name, [Text], Int8, fn, { preferred: true }),
  pure<[ByteString]>(name, [Bytes], Int8, fn),
];

export const bytesFunctions: readonly Overload[] = [
  ...bits,
  pure<[ByteString, ByteString]>('convert_to', [Text, Text], Bytes, (source, encoding) => convertTo(source, text(encoding))),
  pure<[ByteString, ByteString]>('convert_from', [Bytes, Text], Text, (source, encoding) => convertFrom(source, text(encoding))),
  ...[Text, Bytes].flatMap((type) => [
    pure<[ByteString, ByteString]>('digest', [type, Text], Bytes, (data, name) =>
      fromBuffer(
        createHash(hashName(text(name)))
          .update(toBuffer(data))
          .digest(),
      ),
    ),
    pure<[ByteString, ByteString, ByteString]>('hmac', [type, type, Text], Bytes, (data, key, name) =>
      fromBuffer(
        createHmac(hashName(text(name)), toBuffer(key))
          .update(toBuffer(data))
          .digest(),
      ),
    ),
  ]),
  ...ofBoth('crc32ieee', (bytes) => crc32(toBuffer(bytes))),
  ...ofBoth('crc32c', crc32c),
];
