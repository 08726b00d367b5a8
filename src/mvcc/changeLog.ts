/**
 * ChangeLog: which keys changed when, in commit order.
 *
 *   L1  entries are in timestamp order; those of one commit share its timestamp
 *   L2  every version above `floor` has its entry, or lies in the span and time range of an ingest
 *       event; every entry above `floor` has its version in the store
 *   L3  a chunk that another log may share is sealed: it never changes again
 *   L4  an entry made since the last fork holds the very Version that the chain holds
 *
 * It makes an incremental export, a validation and a garbage collection cost what changed instead
 * of what exists. An entry is a key and its new version, which carries the timestamp: so an export
 * needs no look-up in the tree, and most of a collection none either. Entries lie in chunks; a query
 * finds its first chunk by binary search and skips chunks whose keys all lie outside the span.
 *
 * What is no plain commit leaves one span event: an ingest (versions whose timestamps may be older
 * than their arrival) or a clear. Ingested history, versions that supersede others of the same run
 * and tombstones, is kept aside in timestamp order, only for garbage collection.
 *
 * sweep() drops what garbage collection has dealt with and raises `floor`: about times below it the
 * log is silent, and a caller walks the tree instead.
 */
import type { Bytes } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';
import { intersectSpans, spanContains, spansOverlap, subtractSpans } from '../base/span.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { MIN_TIMESTAMP } from '../base/timestamp.ts';
import type { Version } from './version.ts';

/** Entries of a full chunk: 64 KiB, long enough for a search over chunks to be cheap. */
const CHUNK_ENTRIES_MAX = 4096;

export interface SpanEvent {
  readonly kind: 'ingest' | 'clear';
  readonly span: Span;
  /** When it became part of the store. */
  readonly at: Timestamp;
  /** Bounds, inclusive, of the timestamps ingested; both equal `at` for a clear. */
  readonly minTs: Timestamp;
  readonly maxTs: Timestamp;
}

export interface Change {
  readonly key: Bytes;
  readonly ts: Timestamp;
}

/** Called for an entry; true stops a walk. */
type EntryVisitor = (key: Bytes, version: Version) => boolean;

class Chunk {
  readonly keys: Bytes[] = [];
  readonly versions: Version[] = [];
  #bounds: { min: Bytes; max: Bytes; count: number } | undefined;

  get count(): number {
    return this.keys.length;
  }

  append(key: Bytes, version: Version): void {
    this.keys.push(key);
    this.versions.push(version);
  }

  ts(index: number): Timestamp {
    return (this.versions[index] as Version).ts;
  }

  /** Index of the first entry above `ts`. */
  firstAbove(ts: Timestamp): number {
    let low = 0;
    let high = this.keys.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.ts(middle) <= ts) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** True when every key lies outside the span. The bounds are worked out at the first question. */
  misses(span: Span): boolean {
    if (this.keys.length === 0) return true;
    if (this.#bounds?.count !== this.keys.length) {
      let min = this.keys[0] as Bytes;
      let max = min;
      for (const key of this.keys) {
        if (key < min) min = key;
        else if (key > max) max = key;
      }
      this.#bounds = { min, max, count: this.keys.length };
    }
    return this.#bounds.max < span.key || this.#bounds.min >= span.endKey;
  }
}

export class ChangeLog {
  #chunks: Chunk[] = [];
  /** The last chunk while it may grow. */
  #open: Chunk | undefined;
  /** Sorted by `at`. */
  #events: readonly SpanEvent[] = [];
  /** Ingested history, each chunk in timestamp order. */
  #histories: readonly Chunk[] = [];
  #chunksShared = false;
  #floor: Timestamp = MIN_TIMESTAMP;
  #last: Timestamp = MIN_TIMESTAMP;
  #held = 0;

  /** At and below this the log may be silent. */
  get floor(): Timestamp {
    return this.#floor;
  }

  /** The greatest timestamp of any entry or event, ever. */
  get last(): Timestamp {
    return this.#last;
  }

  get events(): readonly SpanEvent[] {
    return this.#events;
  }

  /** Entries held, history not counted. */
  get length(): number {
    let count = 0;
    for (const chunk of this.#chunks) count += chunk.count;
    return count;
  }

  /** Entries held, history counted. O(1). */
  get held(): number {
    return this.#held;
  }

  /** The version is at or above `last`: the store has checked it. */
  append(key: Bytes, version: Version): void {
    let chunk = this.#open;
    if (chunk === undefined || chunk.count === CHUNK_ENTRIES_MAX) {
      chunk = new Chunk();
      this.#ownChunks().push(chunk);
      this.#open = chunk;
    }
    chunk.append(key, version);
    this.#held++;
    this.#last = version.ts;
  }

  /**
   * `history`: the run's superseding versions and tombstones, in timestamp order. Runs that follow
   * each other in key order with no commit in between, as a bulk load delivers them, share one event.
   */
  addIngest(event: SpanEvent, history: readonly { readonly key: Bytes; readonly version: Version }[]): void {
    const before = this.#events.at(-1);
    if (before?.kind === 'ingest' && before.at === this.#last && before.span.endKey <= event.span.key && before.at <= event.at) {
      const joined: SpanEvent = {
        kind: 'ingest',
        span: { key: before.span.key, endKey: event.span.endKey },
        at: event.at,
        minTs: before.minTs < event.minTs ? before.minTs : event.minTs,
        maxTs: before.maxTs > event.maxTs ? before.maxTs : event.maxTs,
      };
      this.#events = [...this.#events.slice(0, -1), joined];
    } else {
      this.#events = [...this.#events, event];
    }
    if (history.length > 0) {
      const chunk = new Chunk();
      for (const { key, version } of history) chunk.append(key, version);
      this.#histories = [...this.#histories, chunk];
      this.#held += history.length;
    }
    if (event.at > this.#last) this.#last = event.at;
  }

  /** Entries of the cleared keys go at once. */
  addClear(event: SpanEvent): void {
    this.#drop(event.span, event.at, Number.POSITIVE_INFINITY, undefined);
    this.#events = [...this.#events, event];
    if (event.at > this.#last) this.#last = event.at;
  }

  /** How many entries lie in (after, upTo], whatever their keys. Cost: the chunks in between. */
  countBetween(after: Timestamp, upTo: Timestamp): number {
    let count = 0;
    for (let i = this.#firstChunkAbove(after); i < this.#chunks.length; i++) {
      const chunk = this.#chunks[i] as Chunk;
      if (chunk.ts(0) > upTo) break;
      count += chunk.firstAbove(upTo) - chunk.firstAbove(after);
    }
    return count;
  }

  /** Visits the entries in (after, upTo] whose key lies in the span, oldest first, until `visit` returns true. */
  walk(span: Span, after: Timestamp, upTo: Timestamp, visit: EntryVisitor): void {
    for (let i = this.#firstChunkAbove(after); i < this.#chunks.length; i++) {
      const chunk = this.#chunks[i] as Chunk;
      if (chunk.ts(0) > upTo) return;
      if (chunk.misses(span)) continue;
      const end = chunk.firstAbove(upTo);
      for (let j = chunk.firstAbove(after); j < end; j++) {
        const key = chunk.keys[j] as Bytes;
        if (key >= span.key && key < span.endKey && visit(key, chunk.versions[j] as Version)) return;
      }
    }
  }

  /** The latest event that touches the span, if it came after `after`. Cost: the events since. */
  eventSince(span: Span, after: Timestamp): SpanEvent | undefined {
    for (let i = this.#events.length - 1; i >= 0; i--) {
      const event = this.#events[i] as SpanEvent;
      if (event.at <= after) return undefined;
      if (spansOverlap(event.span, span)) return event;
    }
    return undefined;
  }

  /** The parts of the span in which versions in (after, upTo] may have been ingested. */
  ingestedSpans(span: Span, after: Timestamp, upTo: Timestamp): Span[] {
    const parts: Span[] = [];
    for (const event of this.#events) {
      if (event.kind !== 'ingest' || event.maxTs <= after || event.minTs > upTo) continue;
      const part = intersectSpans(event.span, span);
      if (part) parts.push(part);
    }
    return parts;
  }

  /**
   * Drops the entries at or below `upTo` whose key lies in the span, ingested history first, at most
   * `entriesMax` of them, and hands each to `visit` once; true when none is left. Raises `floor`.
   */
  sweep(span: Span, upTo: Timestamp, entriesMax: number, visit: (key: Bytes, version: Version, isHistory: boolean) => void): boolean {
    if (upTo > this.#floor) this.#floor = upTo;
    if (!this.#drop(span, upTo, entriesMax, visit)) return false;
    if (this.#events.some((event) => event.at <= upTo && spansOverlap(event.span, span))) {
      this.#events = this.#events.flatMap((event) =>
        event.at > upTo ? [event] : subtractSpans([event.span], [span]).map((rest) => ({ ...event, span: rest })),
      );
    }
    return true;
  }

  /** Drops entries; true when none that qualifies is left. */
  #drop(
    span: Span,
    upTo: Timestamp,
    entriesMax: number,
    visit: ((key: Bytes, version: Version, isHistory: boolean) => void) | undefined,
  ): boolean {
    let left = entriesMax;
    if (this.#histories.length > 0) {
      const result = sweepChunks(this.#histories, span, upTo, left, (key, version) => visit?.(key, version, true), false);
      this.#histories = result.chunks;
      this.#held -= result.dropped;
      left -= result.dropped;
    }
    if (left > 0 && this.#chunks.length > 0) {
      const result = sweepChunks(this.#chunks, span, upTo, left, (key, version) => visit?.(key, version, false), true);
      if (result.dropped > 0) {
        this.#chunks = result.chunks;
        this.#held -= result.dropped;
        this.#chunksShared = false;
        if (this.#open !== this.#chunks.at(-1)) this.#open = undefined;
      }
      left -= result.dropped;
    }
    return left > 0;
  }

  /** A log with the same content; either may go on without the other seeing it. O(1). */
  fork(): ChangeLog {
    const copy = new ChangeLog();
    this.#open = undefined;
    this.#chunksShared = true;
    copy.#chunks = this.#chunks;
    copy.#chunksShared = true;
    copy.#events = this.#events;
    copy.#histories = this.#histories;
    copy.#floor = this.#floor;
    copy.#last = this.#last;
    copy.#held = this.#held;
    return copy;
  }

  /** Lists what breaks L1. */
  check(): string[] {
    const broken: string[] = [];
    let last = MIN_TIMESTAMP;
    for (const chunk of this.#chunks) {
      if (chunk.count === 0) broken.push('change log: empty chunk');
      for (let i = 0; i < chunk.count; i++) {
        if (chunk.ts(i) < last) broken.push(`change log: @${chunk.ts(i)} after @${last}`);
        last = chunk.ts(i);
      }
    }
    if (last > this.#last) broken.push(`change log: entry @${last} above the last logged @${this.#last}`);
    const counted = this.length + this.#histories.reduce((sum, chunk) => sum + chunk.count, 0);
    if (counted !== this.#held) broken.push(`change log: ${this.#held} entries held, counted ${counted}`);
    return broken;
  }

  #ownChunks(): Chunk[] {
    if (this.#chunksShared) {
      this.#chunks = this.#chunks.slice();
      this.#chunksShared = false;
    }
    return this.#chunks;
  }

  /** Index of the first chunk that has an entry above `ts`. */
  #firstChunkAbove(ts: Timestamp): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const chunk = this.#chunks[middle] as Chunk;
      if (chunk.ts(chunk.count - 1) <= ts) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The chunks without the visited entries. `ordered`: no chunk after one that starts above `upTo` needs a look. */
function sweepChunks(
  chunks: readonly Chunk[],
  span: Span,
  upTo: Timestamp,
  entriesMax: number,
  visit: (key: Bytes, version: Version) => void,
  ordered: boolean,
): { chunks: Chunk[]; dropped: number } {
  const kept: Chunk[] = [];
  let dropped = 0;
  for (let i = 0; i < chunks.length; i++) {
    const chunk = chunks[i] as Chunk;
    const end = chunk.firstAbove(upTo);
    if (dropped === entriesMax || (ordered && end === 0)) {
      for (let j = i; j < chunks.length; j++) kept.push(chunks[j] as Chunk);
      break;
    }
    if (end === 0 || chunk.misses(span)) {
      kept.push(chunk);
      continue;
    }
    const keptIndexes: number[] = [];
    for (let j = 0; j < chunk.count; j++) {
      const key = chunk.keys[j] as Bytes;
      if (j < end && dropped < entriesMax && spanContains(span, key)) {
        visit(key, chunk.versions[j] as Version);
        dropped++;
      } else {
        keptIndexes.push(j);
      }
    }
    if (keptIndexes.length === chunk.count) kept.push(chunk);
    else if (keptIndexes.length > 0) kept.push(pickEntries(chunk, keptIndexes));
  }
  return { chunks: kept, dropped };
}

function pickEntries(chunk: Chunk, indexes: readonly number[]): Chunk {
  const picked = new Chunk();
  for (const index of indexes) picked.append(chunk.keys[index] as Bytes, chunk.versions[index] as Version);
  return picked;
}
