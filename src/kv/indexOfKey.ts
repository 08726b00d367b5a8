/**
 * Which table and index a key belongs to: its first two parts.
 */
import type { Bytes } from '../base/bytes.ts';
import { KeyReader } from '../base/keycode.ts';

export interface IndexOfKey {
  readonly tableId: number;
  readonly indexId: number;
  /** Bytes of the prefix. */
  readonly length: number;
}

const reader = new KeyReader();

/** Throws XX001 when the key does not start with two unsigned integers. */
export function indexOfKey(key: Bytes): IndexOfKey {
  reader.reset(key);
  const tableId = reader.id();
  const indexId = reader.id();
  return { tableId, indexId, length: reader.position };
}

/** The table of a key and, where it goes on, the index; undefined when it has neither (the whole keyspace). */
export function prefixOfKey(key: Bytes): { readonly tableId: number; readonly indexId: number | undefined } | undefined {
  reader.reset(key);
  if (reader.peekType() !== 'int') return undefined;
  const tableId = reader.id();
  return { tableId, indexId: !reader.done && reader.peekType() === 'int' ? reader.id() : undefined };
}

/** The table of a key, or of the start of a span; undefined when it has none (the whole keyspace). */
export function tableOfKey(key: Bytes): number | undefined {
  reader.reset(key);
  return reader.peekType() === 'int' ? reader.id() : undefined;
}

export function sameIndex(a: Bytes, b: Bytes): boolean {
  return a.startsWith(b.slice(0, indexOfKey(b).length));
}
