/**
 * Sorting many keys. Comparing two strings costs a call and two cache misses, so what is sorted is
 * one 64-bit integer a key: five bytes after the keys' common prefix, then the key's index; the
 * engine sorts those natively. Strings decide only between keys whose five bytes are equal. Keys of
 * one index differ in few bytes, so that is rare: 10,000 keys take about a third of the time.
 */
import type { Bytes } from '../base/bytes.ts';

/** Bits of the index, beside 40 bits of key. */
const INDEX_BITS = 24;

/** The indexes of `keys` in key order; `compareEqual` orders the indexes of equal keys. */
export function sortByKey(keys: readonly Bytes[], compareEqual: (a: number, b: number) => number): Uint32Array {
  const count = keys.length;
  const order = new Uint32Array(count);
  const compare = (a: number, b: number): number => {
    const keyA = keys[a] as Bytes;
    const keyB = keys[b] as Bytes;
    return keyA === keyB ? compareEqual(a, b) : keyA < keyB ? -1 : 1;
  };
  if (count >= 2 ** INDEX_BITS) {
    for (let i = 0; i < count; i++) order[i] = i;
    return order.sort(compare);
  }

  const prefix = commonPrefixLength(keys);
  const packed = new BigUint64Array(count);
  const halves = new Uint32Array(packed.buffer);
  for (let i = 0; i < count; i++) {
    const key = keys[i] as Bytes;
    halves[2 * i + HIGH] =
      (byteAt(key, prefix) << 24) | (byteAt(key, prefix + 1) << 16) | (byteAt(key, prefix + 2) << 8) | byteAt(key, prefix + 3);
    halves[2 * i + LOW] = (byteAt(key, prefix + 4) << INDEX_BITS) | i;
  }
  packed.sort();
  for (let i = 0; i < count; i++) order[i] = (halves[2 * i + LOW] as number) & (2 ** INDEX_BITS - 1);

  for (let start = 0; start < count; ) {
    let end = start + 1;
    while (end < count && samePacked(halves, start, end)) end++;
    if (end - start > 1) order.subarray(start, end).sort(compare);
    start = end;
  }
  return order;
}

/** Where the halves of a 64-bit integer lie on this machine. */
const LOW = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 0 : 1;
const HIGH = 1 - LOW;

function samePacked(halves: Uint32Array, a: number, b: number): boolean {
  return (
    halves[2 * a + HIGH] === halves[2 * b + HIGH] &&
    (halves[2 * a + LOW] as number) >>> INDEX_BITS === (halves[2 * b + LOW] as number) >>> INDEX_BITS
  );
}

/** The end of a key counts as a zero byte: a tie that the strings decide. */
function byteAt(key: Bytes, index: number): number {
  return index < key.length ? key.charCodeAt(index) : 0;
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
