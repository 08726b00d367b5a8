/**
 * ReadSet: what a transaction has read, each part with the timestamp it was read at.
 *
 *   RS1  a span is what was really looked at: a scan that a limit stopped ends at its last row
 *   RS2  firstChange() finds a change if any part changed after its timestamp; collapsing may only
 *        make it find more (a false conflict), never less
 *
 * Many points collapse into spans of neighbouring keys within one index, many spans into fewer, so
 * the set's size is bounded. Validation asks each store for changes since; a store that nothing was
 * written to answers at once, and points are first asked about by their hull through the change log.
 */
import type { Bytes } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';
import { intersectSpans, mergeSpans, nextKey } from '../base/span.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { sameIndex } from './indexOfKey.ts';
import type { IndexStore, Keyspace } from './keyspace.ts';

/** What stood in the way of validation. */
export interface ReadConflict {
  readonly key: Bytes;
  readonly changedAt: Timestamp;
  readonly readAt: Timestamp;
}

/** Reads at one timestamp. */
interface ReadGroup {
  ts: Timestamp;
  points: Set<Bytes>;
  spans: Span[];
}

const POINTS_MAX = 20_000;
const SPANS_MAX = 2_000;
/** From so many points in a store on, their hull is asked about first. */
const HULL_POINTS_MIN = 16;

export class ReadSet {
  #groups: ReadGroup[] = [];

  get isEmpty(): boolean {
    return this.#groups.length === 0;
  }

  /** Points and spans held: what a validation has to look at. */
  get size(): number {
    let size = 0;
    for (const group of this.#groups) size += group.points.size + group.spans.length;
    return size;
  }

  addPoint(key: Bytes, ts: Timestamp): void {
    const group = this.#groupAt(ts);
    group.points.add(key);
    if (group.points.size > POINTS_MAX) {
      group.spans = collapse([...group.spans, ...[...group.points].map((point) => ({ key: point, endKey: nextKey(point) }))]);
      group.points = new Set();
    }
  }

  addSpan(span: Span, ts: Timestamp): void {
    if (span.key >= span.endKey) return;
    const group = this.#groupAt(ts);
    const last = group.spans.at(-1);
    // A scan in pieces adds span after span: they become one.
    if (last !== undefined && span.key >= last.key && span.key <= last.endKey) {
      if (span.endKey > last.endKey) group.spans[group.spans.length - 1] = { key: last.key, endKey: span.endKey };
      return;
    }
    group.spans.push(span);
    if (group.spans.length > SPANS_MAX) group.spans = collapse(group.spans);
  }

  /** The oldest timestamp of any read; undefined when there is none. */
  oldest(): Timestamp | undefined {
    let oldest: Timestamp | undefined;
    for (const group of this.#groups) if (oldest === undefined || group.ts < oldest) oldest = group.ts;
    return oldest;
  }

  /** The tables with data that were read, each with its oldest read. */
  tables(keyspace: Keyspace): { readonly tableId: number; readonly ts: Timestamp }[] {
    const oldest = new Map<number, Timestamp>();
    const note = (tableId: number, ts: Timestamp) => {
      const known = oldest.get(tableId);
      if (known === undefined || ts < known) oldest.set(tableId, ts);
    };
    for (const { points, spans, ts } of this.#groups) {
      for (const point of points) {
        const entry = keyspace.find(point);
        if (entry !== undefined) note(entry.tableId, ts);
      }
      for (const span of spans) for (const entry of keyspace.overlapping(span)) note(entry.tableId, ts);
    }
    return [...oldest].map(([tableId, ts]) => ({ tableId, ts }));
  }

  /** A change to what was read, after it was read; undefined when everything still holds. */
  firstChange(keyspace: Keyspace): ReadConflict | undefined {
    for (const group of this.#groups) {
      const conflict = spanConflict(keyspace, group) ?? pointConflict(keyspace, group);
      if (conflict !== undefined) return conflict;
    }
    return undefined;
  }

  /** After a validation: everything read so far holds at `ts` too. */
  rebase(ts: Timestamp): void {
    const [first, ...others] = this.#groups;
    if (first === undefined) return;
    first.ts = ts;
    for (const { points, spans } of others) {
      for (const point of points) first.points.add(point);
      first.spans.push(...spans);
    }
    this.#groups = [first];
  }

  clear(): void {
    this.#groups = [];
  }

  #groupAt(ts: Timestamp): ReadGroup {
    const last = this.#groups.at(-1);
    if (last !== undefined && last.ts === ts) return last;
    const found = this.#groups.find((group) => group.ts === ts);
    if (found !== undefined) return found;
    const group: ReadGroup = { ts, points: new Set(), spans: [] };
    this.#groups.push(group);
    return group;
  }
}

function spanConflict(keyspace: Keyspace, { spans, ts }: ReadGroup): ReadConflict | undefined {
  for (const span of spans) {
    for (const { store, span: whole } of keyspace.overlapping(span)) {
      if (store.lastTimestamp <= ts) continue;
      const part = intersectSpans(span, whole);
      const change = part && store.changedSince(part, ts);
      if (change) return { key: change.key, changedAt: change.ts, readAt: ts };
    }
  }
  return undefined;
}

function pointConflict(keyspace: Keyspace, { points, ts }: ReadGroup): ReadConflict | undefined {
  if (points.size < HULL_POINTS_MIN) return firstChanged(keyspace, points, ts);
  const byStore = new Map<IndexStore, Bytes[]>();
  for (const point of points) {
    const entry = keyspace.find(point);
    if (entry === undefined || entry.store.lastTimestamp <= ts) continue;
    const keys = byStore.get(entry);
    if (keys === undefined) byStore.set(entry, [point]);
    else keys.push(point);
  }
  for (const [{ store }, keys] of byStore) {
    if (keys.length >= HULL_POINTS_MIN) {
      let min = keys[0] as Bytes;
      let max = min;
      for (const key of keys) {
        if (key < min) min = key;
        else if (key > max) max = key;
      }
      if (store.changedSince({ key: min, endKey: nextKey(max) }, ts) === undefined) continue;
    }
    const conflict = firstChanged(keyspace, keys, ts);
    if (conflict !== undefined) return conflict;
  }
  return undefined;
}

function firstChanged(keyspace: Keyspace, keys: Iterable<Bytes>, ts: Timestamp): ReadConflict | undefined {
  for (const key of keys) {
    const changedAt = keyspace.find(key)?.store.keyChangedSince(key, ts);
    if (changedAt !== undefined) return { key, changedAt, readAt: ts };
  }
  return undefined;
}

/** Merges what touches; while that leaves too many, joins neighbours of one index pair by pair. */
function collapse(spans: readonly Span[]): Span[] {
  let merged = mergeSpans(spans);
  while (merged.length > SPANS_MAX / 2) {
    const joined: Span[] = [];
    for (let i = 0; i < merged.length; i++) {
      const span = merged[i] as Span;
      const next = merged[i + 1];
      if (next !== undefined && sameIndex(span.key, next.key)) {
        joined.push({ key: span.key, endKey: next.endKey });
        i++;
      } else {
        joined.push(span);
      }
    }
    if (joined.length === merged.length) break;
    merged = joined;
  }
  return merged;
}
