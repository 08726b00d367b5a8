/**
 * Version: one value of one key from a timestamp on. A key's versions form a chain, newest first.
 *
 * A version's timestamp and value never change. A chain grows by a new head that points at the old
 * one; where garbage collection shortens it, only `older` of a version that no fork shares is set,
 * and versions that a fork may reach are copied instead (relink). The class keeps the three fields
 * in one shape: 64 bytes a version, timestamp box included.
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

/** Points a version that no fork shares at another tail. */
export function setOlder(version: Version, older: Version | undefined): void {
  (version as { older: Version | undefined }).older = older;
}

/**
 * A chain of these versions, newest first, that goes on with `tail`. Versions above `sharedUpTo`
 * are used as they are and pointed at what follows; the others are copied where that differs.
 */
export function relink(newestFirst: readonly Version[], tail: Version | undefined, sharedUpTo: Timestamp): Version {
  let head = tail;
  for (let i = newestFirst.length - 1; i >= 0; i--) {
    const version = newestFirst[i] as Version;
    if (version.older === head) {
      head = version;
    } else if (version.ts > sharedUpTo) {
      setOlder(version, head);
      head = version;
    } else {
      head = new Version(version.ts, version.value, head);
    }
  }
  return head as Version;
}
