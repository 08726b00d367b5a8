/**
 * StoreStats: exact counts of what a store or span holds. A version's bytes are its key's and its
 * value's (version.ts); what the heap spends beyond that, footprint.ts knows.
 */
import type { Bytes } from '../base/bytes.ts';
import type { Version } from './version.ts';
import { versionBytes } from './version.ts';

export interface StoreStats {
  /** Keys whose newest version is a value. */
  liveKeys: number;
  /** Keys with any version. */
  totalKeys: number;
  /** Versions, tombstones included. */
  versions: number;
  tombstones: number;
  /** Bytes of the newest versions of live keys. */
  liveBytes: number;
  /** Bytes of all versions. `garbageBytes` is the difference to live. */
  totalBytes: number;
  /** Bytes really held: all values, and each key once, which its versions share. */
  heldBytes: number;
}

export function emptyStats(): StoreStats {
  return { liveKeys: 0, totalKeys: 0, versions: 0, tombstones: 0, liveBytes: 0, totalBytes: 0, heldBytes: 0 };
}

/** Bytes that only history holds: superseded versions and tombstones. */
export function garbageBytes(stats: StoreStats): number {
  return stats.totalBytes - stats.liveBytes;
}

/** Adds (`sign` 1) or takes away (-1) what one key with this chain contributes. Cost: the chain's length. */
export function countChain(stats: StoreStats, key: Bytes, head: Version | undefined, sign: 1 | -1): void {
  if (head === undefined) return;
  stats.totalKeys += sign;
  stats.heldBytes += sign * key.length;
  if (head.value !== null) {
    stats.liveKeys += sign;
    stats.liveBytes += sign * versionBytes(key, head.value);
  }
  for (let version: Version | undefined = head; version !== undefined; version = version.older) {
    stats.versions += sign;
    if (version.value === null) stats.tombstones += sign;
    else stats.heldBytes += sign * version.value.length;
    stats.totalBytes += sign * versionBytes(key, version.value);
  }
}

/** Adds `more` to `stats`. */
export function addStats(stats: StoreStats, more: StoreStats): void {
  stats.liveKeys += more.liveKeys;
  stats.totalKeys += more.totalKeys;
  stats.versions += more.versions;
  stats.tombstones += more.tombstones;
  stats.liveBytes += more.liveBytes;
  stats.totalBytes += more.totalBytes;
  stats.heldBytes += more.heldBytes;
}
