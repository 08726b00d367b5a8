/**
 * Expiry: what can still be proved of a time. "Nothing has changed since" is read off the versions
 * that are there; at and below a GC threshold a deletion may have been collected and left no trace.
 * So whoever asks since when something stands asks here first.
 */
import type { Bytes } from '../base/bytes.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { KvCore } from './core.ts';
import type { RetryError } from '../base/errors.ts';
import type { IndexStore } from './keyspace.ts';
import type { ReadSet } from './readSet.ts';
import { readSetExpiredError } from './retryErrors.ts';

/** The 40001 for a read set of which a part is too old to be validated; undefined when none is. */
export function expiredReads({ gc, keyspace }: KvCore, reads: ReadSet): RetryError | undefined {
  const oldest = reads.oldest();
  if (oldest === undefined || gc.thresholds.isReadableEverywhere(oldest)) return undefined;
  for (const [{ tableId, indexId }, ts] of reads.stores(keyspace)) {
    if (!gc.thresholds.isReadable(tableId, ts, indexId)) return readSetExpiredError(tableId, ts, gc.thresholds.of(tableId, indexId));
  }
  return undefined;
}

/** The same for keys that are to be asked for changes since `ts`. */
export function expiredKeys({ gc, keyspace }: KvCore, keys: readonly Bytes[], ts: Timestamp): RetryError | undefined {
  if (keys.length === 0 || gc.thresholds.isReadableEverywhere(ts)) return undefined;
  let known: IndexStore | undefined;
  for (const key of keys) {
    const entry = keyspace.find(key);
    // Neighbours are mostly of one index.
    if (entry === known) continue;
    known = entry;
    if (entry === undefined || gc.thresholds.isReadable(entry.tableId, ts, entry.indexId)) continue;
    return readSetExpiredError(entry.tableId, ts, gc.thresholds.of(entry.tableId, entry.indexId));
  }
  return undefined;
}
