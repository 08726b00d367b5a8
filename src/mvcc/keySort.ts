/**
 * Sorting many keys. Comparing two strings costs a call and two cache misses, so the six bytes after
 * the keys' common prefix are packed into a number each, and those are compared; the strings decide
 * only between equal numbers. Keys of one index differ in few bytes, so mostly the number is enough.
 */
import type { Bytes } from '../base/bytes.ts';

/** Bytes in a packed number: 257^6 is below 2^53. */
const PACKED_BYTES = 6;
/** Each byte counts as 1 to 256, and the end of the key as 0, so that a prefix comes first. */
const BASE = 257;

/** The indexes of `keys` in key order; `compareEqual` orders the indexes of equal keys. */
export function sortByKey(keys: readonly Bytes[], compareEqual: (a: number, b: number) => number): Uint32Array {
  const order = Uint32Array.from(keys, (_, i) => i);
  const prefix = commonPrefixLength(keys);
  const packed = Float64Array.from(keys, (key) => pack(key, prefix));
  return order.sort((a, b) => {
    const difference = (packed[a] as number) - (packed[b] as number);
    if (difference !== 0) return difference;
    const keyA = keys[a] as Bytes;
    const keyB = keys[b] as Bytes;
    return keyA === keyB ? compareEqual(a, b) : keyA < keyB ? -1 : 1;
  });
}

function commonPrefixLength(keys: readonly Bytes[]): number {
  const first = keys[0] ?? '';
  let length = first.length;
  for (const key of keys) {
    let i = 0;
    while (i < length && key.charCodeAt(i) === first.charCodeAt(i)) i++;
    length = i;
  }
  return length;
}

function pack(key: Bytes, from: number): number {
  let packed = 0;
  for (let i = from; i < from + PACKED_BYTES; i++) packed = packed * BASE + (i < key.length ? key.charCodeAt(i) + 1 : 0);
  return packed;
}
