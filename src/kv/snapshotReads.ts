/**
 * Snapshot reads: get and scan as of a timestamp, across stores, with K3's threshold check.
 *
 * A long scan lets others run between slices; versions do not change under it, but GC may move a
 * threshold, so the check is made again after each pause.
 */
import type { Bytes } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';
import { intersectSpans } from '../base/span.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { VersionBatch } from '../mvcc/versionBatch.ts';
import type { KvCore } from './core.ts';
import { prefixOfKey } from './indexOfKey.ts';
import type { IndexStore } from './keyspace.ts';

export interface SnapshotScanOptions {
  readonly limit?: number;
  readonly maxBytes?: number;
  readonly reverse?: boolean;
  /** Leaves out the threshold check. */
  readonly unchecked?: boolean;
}

export interface SnapshotScan {
  /** Live rows: no value is null. */
  readonly rows: VersionBatch;
  readonly resume: Bytes | undefined;
}

/** Rows between two looks at the clock. */
const SLICE_ROWS = 2_048;

/** Values in the order of `keys`. Throws 72000 for an index whose threshold is at or above `ts`. */
export function getSnapshot(core: KvCore, keys: readonly Bytes[], ts: Timestamp, unchecked = false): (Bytes | undefined)[] {
  const { keyspace } = core;
  const values: (Bytes | undefined)[] = new Array(keys.length);
  let checked: IndexStore | undefined;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as Bytes;
    const entry = keyspace.find(key);
    if (!unchecked && entry === undefined) {
      const prefix = prefixOfKey(key);
      if (prefix !== undefined) core.gc.thresholds.check(prefix.tableId, ts, prefix.indexId);
    } else if (!unchecked && entry !== undefined && entry !== checked) {
      core.gc.thresholds.check(entry.tableId, ts, entry.indexId);
      checked = entry;
    }
    values[i] = entry?.store.get(key, ts)?.value ?? undefined;
  }
  return values;
}

/** Throws 72000 when an index that the span touches has its threshold at or above `ts`. */
export function checkReadable(core: KvCore, span: Span, ts: Timestamp): void {
  const { thresholds } = core.gc;
  // With data or without; where the span begins with a whole table, each of its indexes.
  const first = prefixOfKey(span.key);
  if (first !== undefined) thresholds.check(first.tableId, ts, first.indexId);
  for (const { tableId, indexId } of core.keyspace.overlapping(span)) {
    if (tableId !== first?.tableId || indexId !== first.indexId) thresholds.check(tableId, ts, indexId);
  }
}

/**
 * Live rows of a span at `ts`. Stops at `limit` rows, or after the row that reaches `maxBytes`;
 * `resume` then bounds the rest, as in Kv's ScanResult.
 */
export async function scanSnapshot(core: KvCore, span: Span, ts: Timestamp, options: SnapshotScanOptions): Promise<SnapshotScan> {
  const { limit = Number.POSITIVE_INFINITY, maxBytes = Number.POSITIVE_INFINITY, reverse = false, unchecked = false } = options;
  const rows = new VersionBatch();
  let rest = span;
  if (!unchecked) checkReadable(core, rest, ts);
  while (rest.key < rest.endKey) {
    if (rows.length >= limit || rows.bytes >= maxBytes) return { rows, resume: reverse ? rest.endKey : rest.key };
    const entry = core.keyspace.firstIn(rest, reverse);
    const part = entry && intersectSpans(rest, entry.span);
    if (entry === undefined || part === undefined) break;
    const sliceOptions = { limit: Math.min(limit - rows.length, SLICE_ROWS), maxBytes: maxBytes - rows.bytes, reverse };
    const reached = entry.store.scan(part, ts, sliceOptions, rows);
    if (reverse) rest = { key: rest.key, endKey: reached ?? part.key };
    else rest = { key: reached ?? part.endKey, endKey: rest.endKey };
    if (reached !== undefined && rows.length < limit && rows.bytes < maxBytes && core.executor.shouldYield()) {
      await core.executor.yield();
      if (!unchecked) checkReadable(core, rest, ts);
    }
  }
  return { rows, resume: undefined };
}
