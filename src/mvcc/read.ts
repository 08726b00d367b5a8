/**
 * Reads as of a timestamp, in batches; and what has changed since one.
 */
import type { Bytes } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';
import { nextKey } from '../base/span.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { Change } from './changeLog.ts';
import type { StoreState } from './storeState.ts';
import type { Version } from './version.ts';
import { versionBytes } from './version.ts';
import type { VersionBatch } from './versionBatch.ts';

export interface ScanOptions {
  /** At most this many rows. */
  readonly limit?: number;
  /** Stops after the row that reaches this many logical bytes, so at least one row comes. */
  readonly maxBytes?: number;
  /** From the last key to the first. */
  readonly reverse?: boolean;
  /** Delivers deleted keys too, with a null value. */
  readonly tombstones?: boolean;
}

/**
 * Appends the newest version at or below `ts` of each key in the span to `out`, in key order.
 * Returns undefined when the span is done, else where to go on: for a forward scan the rest is
 * [result, span.endKey), for a reverse one [span.key, result); what was read is the other part.
 */
export function scan(state: StoreState, span: Span, ts: Timestamp, options: ScanOptions, out: VersionBatch): Bytes | undefined {
  const { limit = Number.POSITIVE_INFINITY, maxBytes = Number.POSITIVE_INFINITY, tombstones = false } = options;
  const { keys, values, timestamps } = out;
  if (limit <= 0) return options.reverse ? span.endKey : span.key;
  let bytes = 0;
  let left = limit;
  let lastKey: Bytes | undefined;
  // One body for both directions: `step` leads from the first entry to the one beyond the last.
  const visit = (leafKeys: readonly Bytes[], heads: readonly Version[], first: number, beyond: number, step: 1 | -1): boolean => {
    for (let i = first; i !== beyond; i += step) {
      let version: Version | undefined = heads[i] as Version;
      while (version !== undefined && version.ts > ts) version = version.older;
      if (version === undefined) continue;
      const { value } = version;
      if (value === null && !tombstones) continue;
      const key = leafKeys[i] as Bytes;
      keys.push(key);
      values.push(value);
      timestamps.push(version.ts);
      bytes += versionBytes(key, value);
      if (--left === 0 || bytes >= maxBytes) {
        lastKey = key;
        return true;
      }
    }
    return false;
  };
  if (options.reverse) {
    state.tree.walkLeavesReverse(span, (leafKeys, heads, from, to) => visit(leafKeys, heads, to - 1, from - 1, -1));
  } else {
    state.tree.walkLeaves(span, (leafKeys, heads, from, to) => visit(leafKeys, heads, from, to, 1));
  }
  out.bytes += bytes;
  if (lastKey === undefined || options.reverse) return lastKey;
  return nextKey(lastKey);
}

/** Looking at one log entry costs about this fraction of stepping to the next key of the tree. */
const LOG_STEP_COST = 0.25;

/**
 * The first change found in the span after `after`: a version, or the arrival of an ingest or
 * clear that touches the span. Exact for `after` at or above the log's floor; below it a tombstone
 * that has been collected goes unnoticed, and the caller must have refused such a read anyway.
 * Cost: the smaller of what changed since and the keys in the span, within a factor of two.
 */
export function changedSince(state: StoreState, span: Span, after: Timestamp): Change | undefined {
  if (state.log.last <= after) return undefined;
  const event = state.log.eventSince(span, after);
  if (event) return { key: event.span.key > span.key ? event.span.key : span.key, ts: event.at };
  let found: Change | undefined;
  const logged = after >= state.log.floor ? state.log.countBetween(after, state.log.last) : Number.POSITIVE_INFINITY;
  let steps = Math.ceil(logged * LOG_STEP_COST);
  let treeDone = true;
  state.tree.walk(span, (key, head) => {
    if (head.ts > after) {
      found = { key, ts: head.ts };
      return true;
    }
    treeDone = --steps > 0;
    return !treeDone;
  });
  if (found || treeDone) return found;
  state.log.walk(span, after, state.log.last, (key, version) => {
    found = { key, ts: version.ts };
    return true;
  });
  return found;
}

/**
 * The keys of the span that have changed after `after`, some perhaps twice; undefined when the log
 * cannot tell, because it is silent about that time, or more than `entriesMax` entries would have to
 * be looked at. Cost: the changes since, of all of the store.
 */
export function changedKeys({ log }: StoreState, span: Span, after: Timestamp, entriesMax: number): Bytes[] | undefined {
  if (log.last <= after) return [];
  if (after < log.floor || log.eventSince(span, after) || log.countBetween(after, log.last) > entriesMax) return undefined;
  const keys: Bytes[] = [];
  log.walk(span, after, log.last, (key) => {
    keys.push(key);
    return false;
  });
  return keys;
}

/** The same as changedSince for one key: its newest timestamp when that is above `after`. */
export function keyChangedSince(state: StoreState, key: Bytes, after: Timestamp): Timestamp | undefined {
  if (state.log.last <= after) return undefined;
  if (state.log.events.length > 0) {
    const event = state.log.eventSince({ key, endKey: nextKey(key) }, after);
    if (event) return event.at;
  }
  const head = state.tree.get(key);
  return head !== undefined && head.ts > after ? head.ts : undefined;
}
