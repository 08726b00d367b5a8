/**
 * Timestamp: one number, microseconds since the Unix epoch.
 *
 * It is an exact integer until the year 2255, is compared with `<`, and lies in a Float64Array.
 * The hybrid logical clock (hlc.ts) hands them out unique and ordered, so no logical part is needed.
 * SQL shows a timestamp as CockroachDB does: nanoseconds as a decimal with ten logical digits,
 * and reads that form back; finer input is floored to microseconds.
 */
import { assert } from './assert.ts';

declare const timestampBrand: unique symbol;

/** Microseconds since the Unix epoch: an integer in [0, 2^53). */
export type Timestamp = number & { readonly [timestampBrand]: true };

/** Before everything: the start time of a full backup, the threshold of data never collected. */
export const MIN_TIMESTAMP = 0 as Timestamp;
/** After everything that can be written. */
export const MAX_TIMESTAMP = Number.MAX_SAFE_INTEGER as Timestamp;

/** Checks and brands a number of microseconds. */
export function timestamp(micros: number): Timestamp {
  // The text is made only when it is needed: this is called several times a statement.
  if (!Number.isSafeInteger(micros) || micros < 0) assert(false, `timestamp out of range: ${micros}`);
  return micros as Timestamp;
}

/** The timestamp one microsecond earlier; MIN_TIMESTAMP has none. */
export function prevTimestamp(ts: Timestamp): Timestamp {
  return timestamp(ts - 1);
}

/** `1780000000123456000.0000000000`: CockroachDB's decimal form, nanoseconds and logical digits. */
export function formatDecimal(ts: Timestamp): string {
  return `${ts === 0 ? '0' : `${ts}000`}.0000000000`;
}

/** `1780000000.123456000,0`: the form in CockroachDB's error messages, seconds and logical part. */
export function formatForError(ts: Timestamp): string {
  const seconds = Math.floor(ts / 1_000_000);
  return `${seconds}.${String(ts - seconds * 1_000_000).padStart(6, '0')}000,0`;
}

/** `2026-11-20 11:59:59.123456+00:00`, always six fractional digits: exact, sortable, readable. */
export function formatUtc(ts: Timestamp): string {
  const millis = Math.floor(ts / 1000);
  const micros = String(ts - millis * 1000).padStart(3, '0');
  return `${new Date(millis).toISOString().replace('T', ' ').slice(0, -1)}${micros}+00:00`;
}

/**
 * Reads nanoseconds since the epoch, with an optional fraction and exponent (computed decimals have
 * one: `1.78E+18`); undefined when it is not a number. Floors to microseconds.
 */
export function parseDecimal(text: string): Timestamp | undefined {
  const [, whole, fraction = '', exponent = '0'] = /^(\d{1,19})(?:\.(\d*))?(?:E\+?(\d\d?))?$/i.exec(text) ?? [];
  if (whole === undefined) return undefined;
  const shift = Number(exponent);
  const micros = Number(BigInt(whole + fraction.slice(0, shift).padEnd(shift, '0')) / 1000n);
  return Number.isSafeInteger(micros) ? (micros as Timestamp) : undefined;
}
