/**
 * ReadSet: what a transaction has read, each part with the timestamp it was read at.
 *
 *   RS1  a span is what was really looked at: a scan that a limit stopped ends at its last row
 *   RS2  firstChange() finds a change if any part changed after its timestamp; collapsing may only
 *        make it find more (a false conflict), never less
 *
 * Between mark() and undo() lies one statement: its reads can be dropped, as if it had not run.
 *
 * Many points collapse into spans of neighbouring keys within one index, many spans into fewer, so
 * the set's size is bounded. Validation asks each store for changes since; a store that nothing was
 * written to answers at once, and points are first asked about by their hull through the change log.
 * What then is left costs the smaller of the points and the changes since.
 */
import type { Bytes } from '../base/bytes.ts';
import type { Executor } from '../base/executor.ts';
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
/** Points asked about between two looks at the clock. */
const SLICE_POINTS = 256;

export class ReadSet {
  #groups: ReadGroup[] = [];
  /** The groups before this index were there at the last mark(). */
  #marked = 0;

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
    collapsePoints(group);
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

  /** A statement begins: what is read from here on can be dropped by undo(). */
  mark(): void {
    if (this.#marked < this.#groups.length && this.#marked > 0) {
      const added = this.#groups.splice(this.#marked);
      for (const group of added) {
        const same = this.#groups.find((earlier) => earlier.ts === group.ts);
        if (same === undefined) this.#groups.push(group);
        else absorb(same, group);
      }
    }
    this.#marked = this.#groups.length;
  }

  /** Drops what was read since mark(). */
  undo(): void {
    this.#groups.length = Math.min(this.#marked, this.#groups.length);
  }

  /** The oldest timestamp of any read; undefined when there is none. */
  oldest(): Timestamp | undefined {
    let oldest: Timestamp | undefined;
    for (const group of this.#groups) if (oldest === undefined || group.ts < oldest) oldest = group.ts;
    return oldest;
  }

  /** The stores that were read, each with its oldest read. */
  stores(keyspace: Keyspace): ReadonlyMap<IndexStore, Timestamp> {
    const oldest = new Map<IndexStore, Timestamp>();
    const note = (entry: IndexStore, ts: Timestamp) => {
      const known = oldest.get(entry);
      if (known === undefined || ts < known) oldest.set(entry, ts);
    };
    for (const { points, spans, ts } of this.#groups) {
      for (const point of points) {
        const entry = keyspace.find(point);
        if (entry !== undefined) note(entry, ts);
      }
      for (const span of spans) for (const entry of keyspace.overlapping(span)) note(entry, ts);
    }
    return oldest;
  }

  /** A change to what was read (with `onlyMarked` before the last mark()), after it was read; undefined when everything still holds. */
  firstChange(keyspace: Keyspace, onlyMarked = false): ReadConflict | undefined {
    for (const group of onlyMarked ? this.#groups.slice(0, this.#marked) : this.#groups) {
      for (const span of group.spans) {
        const conflict = spanConflict(keyspace, span, group.ts);
        if (conflict !== undefined) return conflict;
      }
      const conflict = pointConflict(keyspace, group);
      if (conflict !== undefined) return conflict;
    }
    return undefined;
  }

  /**
   * The same for all of it, a slice at a time: changes that come meanwhile may be found or not.
   * Nothing may be added until it resolves.
   */
  async firstChangeInSlices(keyspace: Keyspace, executor: Executor): Promise<ReadConflict | undefined> {
    for (const { points, spans, ts } of this.#groups) {
      for (const span of spans) {
        if (executor.shouldYield()) await executor.yield();
        const conflict = spanConflict(keyspace, span, ts);
        if (conflict !== undefined) return conflict;
      }
      let count = 0;
      for (const point of points) {
        if (++count % SLICE_POINTS === 0 && executor.shouldYield()) await executor.yield();
        const changedAt = keyspace.find(point)?.store.keyChangedSince(point, ts);
        if (changedAt !== undefined) return { key: point, changedAt, readAt: ts };
      }
    }
    return undefined;
  }

  /** After a validation: everything read so far holds at `ts` too. */
  rebase(ts: Timestamp): void {
    const marked = asOne(this.#groups.slice(0, this.#marked), ts);
    const added = asOne(this.#groups.slice(this.#marked), ts);
    this.#groups = [...marked, ...added];
    this.#marked = marked.length;
  }

  clear(): void {
    this.#groups = [];
    this.#marked = 0;
  }

  #groupAt(ts: Timestamp): ReadGroup {
    for (let i = this.#groups.length - 1; i >= this.#marked; i--) {
      const group = this.#groups[i] as ReadGroup;
      if (group.ts === ts) return group;
    }
    const group: ReadGroup = { ts, points: new Set(), spans: [] };
    this.#groups.push(group);
    return group;
  }
}

/** Groups that all hold at `ts`, as one. */
function asOne(groups: readonly ReadGroup[], ts: Timestamp): ReadGroup[] {
  const [first, ...others] = groups;
  if (first === undefined) return [];
  for (const group of others) absorb(first, group);
  first.ts = ts;
  return [first];
}

function absorb(into: ReadGroup, from: ReadGroup): void {
  if (from.points.size > into.points.size) [into.points, from.points] = [from.points, into.points];
  for (const point of from.points) into.points.add(point);
  for (const span of from.spans) into.spans.push(span);
  collapsePoints(into);
  if (into.spans.length > SPANS_MAX) into.spans = collapse(into.spans);
}

function collapsePoints(group: ReadGroup): void {
  if (group.points.size <= POINTS_MAX) return;
  group.spans = collapse([...group.spans, ...[...group.points].map((point) => ({ key: point, endKey: nextKey(point) }))]);
  group.points = new Set();
}

function spanConflict(keyspace: Keyspace, span: Span, ts: Timestamp): ReadConflict | undefined {
  for (const { store, span: whole } of keyspace.overlapping(span)) {
    if (store.lastTimestamp <= ts) continue;
    const part = intersectSpans(span, whole);
    const change = part && store.changedSince(part, ts);
    if (change) return { key: change.key, changedAt: change.ts, readAt: ts };
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
      const hull = { key: min, endKey: nextKey(max) };
      if (store.changedSince(hull, ts) === undefined) continue;
      const changed = store.changedKeys(hull, ts, keys.length);
      if (changed !== undefined) {
        const conflict = firstChanged(
          keyspace,
          changed.filter((key) => points.has(key)),
          ts,
        );
        if (conflict !== undefined) return conflict;
        continue;
      }
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
