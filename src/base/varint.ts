/**
 * Variable-length integers in order, as CockroachDB's keys have them.
 *
 * The first byte says how long the integer is, so longer sorts after shorter:
 *
 *   0x80..0x87   negative, 8..1 bytes of two's complement follow
 *   0x88..0xf5   0 to 109, nothing follows
 *   0xf6..0xfd   1..8 bytes follow
 *
 * A descending signed integer is the ascending form of its complement; a descending unsigned one
 * counts its length down from 0x88 and inverts its bytes.
 * Source of the format: CockroachDB pkg/util/encoding/encoding.go.
 */
import type { ByteReader, ByteWriter } from './byteBuffer.ts';
import type { Int } from './int64.ts';
import { fromHalves, highHalf, lowHalf } from './int64.ts';

export const INT_FIRST = 0x80;
export const INT_LAST = 0xfd;
const INT_ZERO = 0x88;
/** The greatest integer that the first byte holds: 109. */
const INT_SMALL_MAX = INT_LAST - INT_ZERO - 8;

/** Writes a signed 64-bit integer. */
export function writeVarint(out: ByteWriter, value: Int, descending = false): void {
  // Most keys are small and ascending.
  if (typeof value === 'number' && value >= 0 && value <= INT_SMALL_MAX && !descending) {
    out.byte(INT_ZERO + value);
    return;
  }
  let high = highHalf(value);
  let low = lowHalf(value);
  if (descending) {
    high = ~high;
    low = ~low >>> 0;
  }
  if (high >= 0) {
    const count = high === 0 && low <= INT_SMALL_MAX ? 0 : byteCount(high, low);
    out.byte(count === 0 ? INT_ZERO + low : INT_LAST - 8 + count);
    writeLowBytes(out, high, low, count);
  } else {
    // -1 takes one byte and so does -255, but -256 takes two: the magnitude counts.
    const magnitudeLow = -low >>> 0;
    const magnitudeHigh = (magnitudeLow === 0 ? -high : ~high) >>> 0;
    const count = byteCount(magnitudeHigh, magnitudeLow);
    out.byte(INT_ZERO - count);
    writeLowBytes(out, high, low, count);
  }
}

/** Reads a signed integer. */
export function readVarint(input: ByteReader, descending = false): Int {
  const first = input.byte();
  let high = 0;
  let low = 0;
  if (first < INT_FIRST || first > INT_LAST) throw input.corrupt(`integer marker ${first}`);
  if (first >= INT_ZERO && first <= INT_ZERO + INT_SMALL_MAX) {
    low = first - INT_ZERO;
  } else {
    const count = first < INT_ZERO ? INT_ZERO - first : first - INT_ZERO - INT_SMALL_MAX;
    if (first < INT_ZERO) {
      high = -1;
      low = 0xffffffff;
    }
    for (let i = 0; i < count; i++) {
      high = (high << 8) | (low >>> 24);
      low = ((low << 8) | input.byte()) >>> 0;
    }
  }
  return descending ? fromHalves(~high, ~low >>> 0) : fromHalves(high, low);
}

/** Writes an unsigned integer, a safe one: ids, lengths, exponents. */
export function writeUvarint(out: ByteWriter, value: number): void {
  writeVarint(out, value);
}

export function readUvarint(input: ByteReader): Int {
  return readVarint(input);
}

export function writeUvarintDescending(out: ByteWriter, value: number): void {
  const high = highHalf(value);
  const low = lowHalf(value);
  const count = value === 0 ? 0 : byteCount(high, low);
  out.byte(INT_ZERO - count);
  writeLowBytes(out, ~high, ~low, count);
}

export function readUvarintDescending(input: ByteReader): Int {
  const count = INT_ZERO - input.byte();
  if (count < 0 || count > 8) throw input.corrupt(`descending integer of ${count} bytes`);
  let high = 0;
  let low = 0;
  for (let i = 0; i < count; i++) {
    high = (high << 8) | (low >>> 24);
    low = ((low << 8) | (input.byte() ^ 0xff)) >>> 0;
  }
  return fromHalves(high, low);
}

/** Bytes that an unsigned integer of these halves takes, at least one. */
function byteCount(high: number, low: number): number {
  if (high !== 0) return high >>> 0 > 0xffffff ? 8 : high > 0xffff ? 7 : high > 0xff ? 6 : 5;
  return low > 0xffffff ? 4 : low > 0xffff ? 3 : low > 0xff ? 2 : 1;
}

/** The lowest `count` bytes, most significant first. */
function writeLowBytes(out: ByteWriter, high: number, low: number, count: number): void {
  for (let i = count - 1; i >= 4; i--) out.byte((high >>> (8 * (i - 4))) & 0xff);
  for (let i = Math.min(count, 4) - 1; i >= 0; i--) out.byte((low >>> (8 * i)) & 0xff);
}
