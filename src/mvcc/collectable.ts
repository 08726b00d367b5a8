/**
 * Collectable: what GC would remove at a threshold, counted without removing anything. The same rule
 * as collect.ts, by a walk of every chain: for explanations, not for GC's own use.
 */
import type { Timestamp } from '../base/timestamp.ts';
import type { StoreState } from './storeState.ts';
import type { Version } from './version.ts';
import { versionBytes } from './version.ts';

/** Bytes that `collect` would remove of the whole store at this threshold. Cost: every version. */
export function collectableBytes({ tree, span }: StoreState, threshold: Timestamp): number {
  let bytes = 0;
  tree.walk(span, (key, head) => {
    let version: Version | undefined = head;
    while (version !== undefined && version.ts > threshold) version = version.older;
    // The value that stands at the threshold stays; a tombstone there goes with what is below it.
    if (version?.value !== null) version = version?.older;
    for (; version !== undefined; version = version.older) bytes += versionBytes(key, version.value);
    return false;
  });
  return bytes;
}
