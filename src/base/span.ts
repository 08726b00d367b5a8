/**
 * Span: a half-open interval of keys, [key, endKey), and the arithmetic on lists of them.
 * A list of spans is sorted by `key` and disjoint unless a function says otherwise.
 */
import type { Bytes } from './bytes.ts';

/** [key, endKey): `key` inclusive, `endKey` exclusive, key < endKey. */
export interface Span {
  readonly key: Bytes;
  readonly endKey: Bytes;
}

/** Sorts after every key of the keyspace. */
export const MAX_KEY = '\xff\xff' as Bytes;
export const EVERYTHING: Span = Object.freeze({ key: '' as Bytes, endKey: MAX_KEY });

/** The first key after every key that starts with `prefix`; `prefix` is not all 0xff. */
export function prefixEnd(prefix: Bytes): Bytes {
  let end = prefix.length;
  while (end > 0 && prefix.charCodeAt(end - 1) === 0xff) end--;
  if (end === 0) return MAX_KEY;
  return (prefix.slice(0, end - 1) + String.fromCharCode(prefix.charCodeAt(end - 1) + 1)) as Bytes;
}

/** Every key that starts with `prefix`. */
export function prefixSpan(prefix: Bytes): Span {
  return { key: prefix, endKey: prefixEnd(prefix) };
}

/** The smallest key greater than `key`: makes a point a span, and a reached key a resume point. */
export function nextKey(key: Bytes): Bytes {
  return `${key}\x00` as Bytes;
}

export function pointSpan(key: Bytes): Span {
  return { key, endKey: nextKey(key) };
}

export function spanContains(span: Span, key: Bytes): boolean {
  return span.key <= key && key < span.endKey;
}

export function spansOverlap(a: Span, b: Span): boolean {
  return a.key < b.endKey && b.key < a.endKey;
}

/** The common part, or undefined when there is none. */
export function intersectSpans(a: Span, b: Span): Span | undefined {
  const key = a.key > b.key ? a.key : b.key;
  const endKey = a.endKey < b.endKey ? a.endKey : b.endKey;
  return key < endKey ? { key, endKey } : undefined;
}

/** Sorts, and merges what overlaps or touches. Takes any list. */
export function mergeSpans(spans: readonly Span[]): Span[] {
  const sorted = [...spans].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  const merged: Span[] = [];
  for (const span of sorted) {
    const last = merged.at(-1);
    if (last && span.key <= last.endKey) {
      if (span.endKey > last.endKey) merged[merged.length - 1] = { key: last.key, endKey: span.endKey };
    } else {
      merged.push(span);
    }
  }
  return merged;
}

/** What of `spans` no span of `removed` covers. Both lists sorted and disjoint. */
export function subtractSpans(spans: readonly Span[], removed: readonly Span[]): Span[] {
  const rest: Span[] = [];
  for (const span of spans) {
    let key = span.key;
    for (const hole of removed) {
      if (hole.endKey <= key || hole.key >= span.endKey) continue;
      if (hole.key > key) rest.push({ key, endKey: hole.key });
      key = hole.endKey;
      if (key >= span.endKey) break;
    }
    if (key < span.endKey) rest.push({ key, endKey: span.endKey });
  }
  return rest;
}
