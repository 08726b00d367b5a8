/**
 * Version: one value of one key from a timestamp on. A key's versions form a chain, newest first.
 *
 * Versions are immutable: a chain grows by a new head that points at the old one, and shrinks by
 * building a new chain, so forks and running exports share them freely. The class keeps the three
 * fields in one shape; 64 bytes a version, timestamp box included.
 */
import type { Bytes } from '../base/bytes.ts';
import type { Timestamp } from '../base/timestamp.ts';

export class Version {
  readonly ts: Timestamp;
  /** null: a tombstone, the key is deleted from `ts` on. */
  readonly value: Bytes | null;
  /** The version it replaced, with a smaller timestamp. */
  readonly older: Version | undefined;

  constructor(ts: Timestamp, value: Bytes | null, older: Version | undefined) {
    this.ts = ts;
    this.value = value;
    this.older = older;
  }
}

/** The newest version of a chain at or below `ts`, a tombstone included; undefined when there is none. */
export function versionAt(head: Version | undefined, ts: Timestamp): Version | undefined {
  let version = head;
  while (version !== undefined && version.ts > ts) version = version.older;
  return version;
}

/** Logical bytes of a version: its key and its value. A tombstone counts its key. */
export function versionBytes(key: Bytes, value: Bytes | null): number {
  return value === null ? key.length : key.length + value.length;
}
