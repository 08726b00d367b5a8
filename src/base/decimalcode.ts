/**
 * The two encodings of DECIMAL that CockroachDB uses: one in order, for keys, and one compact, for
 * values, which keeps trailing zeros.
 *
 *   in order   marker, exponent of 100 (only when it is below 0 or above 10), base-100 digits as
 *              2d+1, the last as 2d, and 0x00; for negative numbers digits and order are inverted
 *   compact    marker, |exponent| of 0.digits as an ascending uvarint, the coefficient big-endian
 *
 * Markers are shared. Zero, infinities and NaN are a marker alone.
 * Source of the format: CockroachDB pkg/util/encoding/decimal.go, which takes the ordered form from
 * SQLite4's key encoding (sqlite.org/src4/doc/trunk/www/key_encoding.wiki).
 */
import type { ByteReader, ByteWriter } from './byteBuffer.ts';
import { readUvarint, readUvarintDescending, writeUvarint, writeUvarintDescending } from './varint.ts';

const NAN = 0x18;
const NEGATIVE_INFINITY = 0x19;
const NEGATIVE_LARGE = 0x1a;
const NEGATIVE_MEDIUM = 0x25;
const NEGATIVE_SMALL = 0x26;
const ZERO = 0x27;
const POSITIVE_SMALL = 0x28;
const POSITIVE_MEDIUM = 0x29;
const POSITIVE_LARGE = 0x34;
const INFINITY = 0x35;
const NAN_DESCENDING = 0x36;
/** Exponents from 0 to this fit into the marker. */
const MEDIUM_EXPONENT_MAX = 10;

export const DECIMAL_FIRST = NAN;
export const DECIMAL_LAST = NAN_DESCENDING;

/** What the codecs need to know of a decimal: coefficient * 10^-scale when finite, else coefficient and scale 0. */
export interface DecimalParts {
  readonly form: 'finite' | 'nan' | 'infinity' | '-infinity';
  readonly coefficient: bigint;
  /** Digits after the point; negative when the number ends in that many unwritten zeros. */
  readonly scale: number;
}

/** Writes the ordered form. */
export function writeKeyDecimal(out: ByteWriter, value: DecimalParts, descending: boolean): void {
  const marker = markerAlone(value, descending);
  if (marker !== undefined) {
    out.byte(marker);
    return;
  }
  const negative = value.coefficient < 0n !== descending;
  const { digits, exponent } = decimalDigits(value);
  const exponent100 = Math.ceil(exponent / 2);
  let padded = exponent100 * 2 === exponent ? digits : `0${digits}`;
  if (padded.length % 2 === 1) padded += '0';

  if (exponent100 < 0) {
    out.byte(negative ? NEGATIVE_SMALL : POSITIVE_SMALL);
    if (negative) writeUvarint(out, -exponent100);
    else writeUvarintDescending(out, -exponent100);
  } else if (exponent100 <= MEDIUM_EXPONENT_MAX) {
    out.byte(negative ? NEGATIVE_MEDIUM - exponent100 : POSITIVE_MEDIUM + exponent100);
  } else {
    out.byte(negative ? NEGATIVE_LARGE : POSITIVE_LARGE);
    if (negative) writeUvarintDescending(out, exponent100);
    else writeUvarint(out, exponent100);
  }
  const start = out.length;
  for (let i = 0; i < padded.length; i += 2) {
    const pair = (padded.charCodeAt(i) - 48) * 10 + padded.charCodeAt(i + 1) - 48;
    out.byte(2 * pair + (i + 2 < padded.length ? 1 : 0));
  }
  if (negative) out.invertFrom(start);
  out.byte(0);
}

/** The marker of a value that is a marker alone. */
function markerAlone(value: DecimalParts, descending: boolean): number | undefined {
  if (value.form === 'nan') return descending ? NAN_DESCENDING : NAN;
  if (value.form !== 'finite') return (value.form === 'infinity') === descending ? NEGATIVE_INFINITY : INFINITY;
  return value.coefficient === 0n ? ZERO : undefined;
}

/** The digits of the coefficient without trailing zeros, and the power of ten of 0.digits. */
export function decimalDigits(value: DecimalParts): { digits: string; exponent: number } {
  const digits = magnitude(value.coefficient);
  return { digits: digits.replace(/0+$/, ''), exponent: digits.length - value.scale };
}

function magnitude(coefficient: bigint): string {
  return (coefficient < 0n ? -coefficient : coefficient).toString();
}

/** Reads the ordered form. Equal numbers come back equal, without trailing zeros after the point. */
export function readKeyDecimal(input: ByteReader, descending: boolean): DecimalParts {
  const marker = input.byte();
  const special = specialOf(marker, descending);
  if (special !== undefined) return special;
  const negative = marker < ZERO;
  let exponent100: number;
  if (marker === POSITIVE_SMALL) exponent100 = -Number(readUvarintDescending(input));
  else if (marker === NEGATIVE_SMALL) exponent100 = -Number(readUvarint(input));
  else if (marker === POSITIVE_LARGE) exponent100 = Number(readUvarint(input));
  else if (marker === NEGATIVE_LARGE) exponent100 = Number(readUvarintDescending(input));
  else if (marker >= POSITIVE_MEDIUM && marker < POSITIVE_LARGE) exponent100 = marker - POSITIVE_MEDIUM;
  else if (marker > NEGATIVE_LARGE && marker <= NEGATIVE_MEDIUM) exponent100 = NEGATIVE_MEDIUM - marker;
  else throw input.corrupt(`decimal marker ${marker}`);
  let digits = '';
  for (let byte = input.byte(); byte !== 0; byte = input.byte()) {
    const pair = (negative ? byte ^ 0xff : byte) >> 1;
    if (pair > 99) throw input.corrupt(`decimal digit pair ${pair}`);
    digits += pair < 10 ? `0${pair}` : pair;
  }
  // Of the last pair the second digit may be padding.
  if (digits.endsWith('0')) digits = digits.slice(0, -1);
  return decimalOf(negative !== descending, digits, digits.length - exponent100 * 2);
}

function specialOf(marker: number, descending: boolean): DecimalParts | undefined {
  if (marker === NAN || marker === NAN_DESCENDING) return { form: 'nan', coefficient: 0n, scale: 0 };
  if (marker === ZERO) return { form: 'finite', coefficient: 0n, scale: 0 };
  if (marker !== INFINITY && marker !== NEGATIVE_INFINITY) return undefined;
  return { form: (marker === INFINITY) === descending ? '-infinity' : 'infinity', coefficient: 0n, scale: 0 };
}

function decimalOf(negative: boolean, digits: string, scale: number): DecimalParts {
  const coefficient = BigInt(digits);
  return { form: 'finite', coefficient: negative ? -coefficient : coefficient, scale };
}

/** Writes the compact form, which keeps the scale. The form does not know its own length. */
export function writeValueDecimal(out: ByteWriter, value: DecimalParts): void {
  const alone = markerAlone(value, false);
  if (alone !== undefined && (alone !== ZERO || value.scale === 0)) {
    out.byte(alone);
    return;
  }
  const coefficient = magnitude(value.coefficient);
  const point = coefficient.length - value.scale;
  const [large, medium, small] =
    value.coefficient < 0n ? [NEGATIVE_LARGE, NEGATIVE_MEDIUM, NEGATIVE_SMALL] : [POSITIVE_LARGE, POSITIVE_MEDIUM, POSITIVE_SMALL];
  out.byte(point > 0 ? large : point === 0 ? medium : small);
  if (point !== 0) writeUvarint(out, Math.abs(point));
  writeBigEndian(out, coefficient);
}

/** Reads the compact form, which fills `input` from its position to `end`. */
export function readValueDecimal(input: ByteReader, end: number): DecimalParts {
  const marker = input.byte();
  const special = specialOf(marker, false);
  if (special !== undefined) return special;
  let point: number;
  if (marker === POSITIVE_LARGE || marker === NEGATIVE_LARGE) point = Number(readUvarint(input));
  else if (marker === POSITIVE_SMALL || marker === NEGATIVE_SMALL) point = -Number(readUvarint(input));
  else if (marker === POSITIVE_MEDIUM || marker === NEGATIVE_MEDIUM) point = 0;
  else throw input.corrupt(`decimal marker ${marker}`);
  if (input.position > end) throw input.corrupt('decimal longer than its length');
  const coefficient = readBigEndian(input, end);
  return decimalOf(marker < ZERO, coefficient, coefficient.length - point);
}

/** Decimal digits as a big-endian integer without leading zero bytes. */
function writeBigEndian(out: ByteWriter, digits: string): void {
  const value = BigInt(digits);
  if (value === 0n) return;
  const hex = value.toString(16);
  const even = hex.length % 2 === 0 ? hex : `0${hex}`;
  for (let i = 0; i < even.length; i += 2) out.byte(Number.parseInt(even.slice(i, i + 2), 16));
}

function readBigEndian(input: ByteReader, end: number): string {
  if (input.position === end) return '0';
  let hex = '';
  while (input.position < end) hex += input.byte().toString(16).padStart(2, '0');
  return BigInt(`0x${hex}`).toString();
}
