/**
 * Bytes: a byte string held as a JavaScript string in which each char is one byte (0x00-0xff).
 *
 * V8 stores such a string in one byte a char, hashes and compares it natively, and `<` on two of
 * them is memcmp order. Inside the engine every key and every encoded value is `Bytes`; text is
 * converted at the edges, here and nowhere else. STRING values are the UTF-8 bytes of their text.
 *
 * Invariants
 *   B1  every char code is at most 0xff
 *   B2  `Bytes` never mixes with `string`: the brand keeps text from being used as bytes unseen
 */
import { VarveError } from './errors.ts';
import { SqlState } from './sqlState.ts';

declare const bytesBrand: unique symbol;

/** A byte string: one char a byte. Compare with `<`, `===`; slice, concat and index as any string. */
export type Bytes = string & { readonly [bytesBrand]: true };

/** The empty byte string, which sorts before every other. */
export const EMPTY_BYTES = '' as Bytes;

/** Marks a latin1 string as Bytes. The caller vouches for B1 (a literal such as '\x88', a slice of Bytes). */
export function asBytes(latin1: string): Bytes {
  return latin1 as Bytes;
}

// Matches a char outside ASCII. All-ASCII text is its own UTF-8, so it needs no conversion: this
// is the one place that knows.
// biome-ignore lint/suspicious/noControlCharactersInRegex: the ASCII range is exactly what is meant
const NON_ASCII = /[^\x00-\x7f]/;

/**
 * Text to its UTF-8 bytes. Throws 22021 on an unpaired surrogate, which has no UTF-8 form.
 * Cost: one regular-expression scan for ASCII text, one Buffer round trip otherwise.
 */
export function utf8Encode(text: string): Bytes {
  if (!NON_ASCII.test(text)) return text as Bytes;
  if (!text.isWellFormed()) {
    throw new VarveError(SqlState.CharacterNotInRepertoire, 'invalid byte sequence for encoding "UTF8": unpaired surrogate');
  }
  return Buffer.from(text, 'utf8').latin1Slice() as Bytes;
}

const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** UTF-8 bytes to text. Throws 22021 when the bytes are not valid UTF-8. */
export function utf8Decode(bytes: Bytes): string {
  if (!NON_ASCII.test(bytes)) return bytes;
  try {
    return strictDecoder.decode(Buffer.from(bytes, 'latin1'));
  } catch {
    throw new VarveError(SqlState.CharacterNotInRepertoire, 'invalid byte sequence for encoding "UTF8"');
  }
}

/** A Buffer or Uint8Array to Bytes; copies, and the result is a flat string. */
export function fromBuffer(buffer: Uint8Array): Bytes {
  return Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength).latin1Slice() as Bytes;
}

/** Bytes to a new Buffer. */
export function toBuffer(bytes: Bytes): Buffer {
  return Buffer.from(bytes, 'latin1');
}

/** Lower-case hexadecimal, without a prefix. */
export function toHex(bytes: Bytes): string {
  return Buffer.from(bytes, 'latin1').toString('hex');
}
