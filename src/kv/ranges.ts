/**
 * Ranges: who serves which part of the keyspace. Metadata over stores, never data.
 *
 *   R1  ranges are sorted by start key and disjoint
 *   R2  the ranges of one index tile its prefix span exactly: none spans two indexes
 *   R3  a range's lease names a node and that node's liveness epoch; it is valid while the node lives in that epoch
 *   R4  when leases are reassigned, each ends with a live node that the index's lease preferences ask for, if one lives
 *
 * A store starts as one range. Split, merge and lease moves change these records only, so whoever
 * walks data in pieces asks again at each piece and cuts at today's bounds. The GC threshold is
 * kept by table and index (gc/), so no split or merge can disturb it.
 */
import { assert } from '../base/assert.ts';
import type { Bytes } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';
import { intersectSpans } from '../base/span.ts';

export interface Lease {
  readonly nodeId: number;
  readonly epoch: number;
}

/** One range as it is now. */
export interface RangeInfo {
  readonly rangeId: number;
  /** rangesOf clips it to the span asked for. */
  readonly span: Span;
  readonly tableId: number;
  readonly indexId: number;
  /** Node id of the leaseholder; 0 when no node has lived since the range was made. */
  readonly leaseholder: number;
  readonly leaseEpoch: number;
  /** Logical bytes of live rows; an even share of its index's when that has several ranges. */
  readonly sizeBytes: number;
  /** Until when the cut at its start must stay: a split by statement. Infinity: until UNSPLIT. Undefined: it may be merged away. */
  readonly splitUntil: number | undefined;
}

interface Range {
  readonly rangeId: number;
  span: Span;
  readonly tableId: number;
  readonly indexId: number;
  lease: Lease;
  splitUntil: number | undefined;
}

const NO_LEASE: Lease = Object.freeze({ nodeId: 0, epoch: 0 });

/** Called after a lease has moved. */
export type LeaseListener = (rangeId: number, from: number, to: number) => void;

export class Ranges {
  #ranges: Range[] = [];
  #rangeIdLast = 0;
  #nextHolder = 0;
  readonly #liveNodes: () => readonly Lease[];
  readonly #liveBytesOf: (tableId: number, indexId: number) => number;
  onLeaseMoved: LeaseListener = () => {};
  /** Which of the live nodes should hold the lease of an index's range that starts at a key; never none of some. */
  preferredOf: (tableId: number, indexId: number, key: Bytes, live: readonly Lease[]) => readonly Lease[] = (
    _tableId,
    _indexId,
    _key,
    live,
  ) => live;

  /** `liveNodes`: the nodes that may hold a lease, in id order, with their epochs. */
  constructor(liveNodes: () => readonly Lease[], liveBytesOf: (tableId: number, indexId: number) => number) {
    this.#liveNodes = liveNodes;
    this.#liveBytesOf = liveBytesOf;
  }

  get length(): number {
    return this.#ranges.length;
  }

  /** The first range of a new index; its lease goes round the live nodes. Returns its id. */
  create(span: Span, tableId: number, indexId: number): number {
    const at = this.#firstEndingAfter(span.key);
    const next = this.#ranges[at];
    assert(next === undefined || next.span.key >= span.endKey, `range of /Table/${tableId}/${indexId} overlaps r${next?.rangeId}`);
    const lease = this.#nextLease(tableId, indexId, span.key);
    const range: Range = { rangeId: ++this.#rangeIdLast, span, tableId, indexId, lease, splitUntil: undefined };
    this.#ranges.splice(at, 0, range);
    return range.rangeId;
  }

  /** Removes an index's ranges, with the store they lay over. */
  drop(span: Span): void {
    const from = this.#firstEndingAfter(span.key);
    let to = from;
    while (to < this.#ranges.length && (this.#ranges[to] as Range).span.key < span.endKey) to++;
    this.#ranges.splice(from, to - from);
  }

  /** The range that holds `key`. */
  lookup(key: Bytes): RangeInfo | undefined {
    const range = this.#at(key);
    return range && this.#info(range, range.span);
  }

  byId(rangeId: number): RangeInfo | undefined {
    const range = this.#ranges.find((candidate) => candidate.rangeId === rangeId);
    return range && this.#info(range, range.span);
  }

  /** Ranges that overlap the span, in key order, clipped to it. */
  overlapping(span: Span): RangeInfo[] {
    const found: RangeInfo[] = [];
    for (let i = this.#firstEndingAfter(span.key); i < this.#ranges.length; i++) {
      const range = this.#ranges[i] as Range;
      const part = intersectSpans(range.span, span);
      if (part === undefined) break;
      found.push(this.#info(range, part));
    }
    return found;
  }

  /**
   * Cuts the range that holds `key` so that a range starts at it; both keep the lease. Returns the
   * id of the range that starts at `key`, which is an old one when the cut was there; undefined
   * when no range holds the key. `until`: the range queue leaves the cut alone before that time.
   */
  split(key: Bytes, until = Number.POSITIVE_INFINITY): number | undefined {
    return this.#cut(key, until);
  }

  /** As split, for a cut that size alone asks for: it may be merged away again. */
  splitBySize(key: Bytes): number | undefined {
    return this.#cut(key, undefined);
  }

  #cut(key: Bytes, until: number | undefined): number | undefined {
    const left = this.#at(key);
    if (left === undefined) return undefined;
    if (left.span.key === key) {
      if (until !== undefined) left.splitUntil = until;
      return left.rangeId;
    }
    const right: Range = { ...left, rangeId: ++this.#rangeIdLast, span: { key, endKey: left.span.endKey }, splitUntil: until };
    left.span = { key: left.span.key, endKey: key };
    this.#ranges.splice(this.#ranges.indexOf(left) + 1, 0, right);
    return right.rangeId;
  }

  /** Lets the range queue merge the cut at `key` away. False when there is none that was to stay. */
  unsplit(key: Bytes): boolean {
    const range = this.#at(key);
    if (range === undefined || range.span.key !== key || range.splitUntil === undefined) return false;
    range.splitUntil = undefined;
    return true;
  }

  /** Joins the range that holds `key` with its right neighbour of the same index; false when it has none. */
  merge(key: Bytes): boolean {
    const left = this.#at(key);
    if (left === undefined) return false;
    const index = this.#ranges.indexOf(left);
    const right = this.#ranges[index + 1];
    if (right === undefined || right.tableId !== left.tableId || right.indexId !== left.indexId) return false;
    left.span = { key: left.span.key, endKey: right.span.endKey };
    this.#ranges.splice(index + 1, 1);
    return true;
  }

  /** Gives a range's lease to a live node. False when the range or a live node of that id does not exist. */
  transferLease(rangeId: number, nodeId: number): boolean {
    const range = this.#ranges.find((candidate) => candidate.rangeId === rangeId);
    const lease = this.#liveNodes().find((candidate) => candidate.nodeId === nodeId);
    if (range === undefined || lease === undefined) return false;
    this.#move(range, lease);
    return true;
  }

  /** Gives every lease whose holder does not live in its present epoch, or is not preferred, to the preferred nodes in turn. */
  reassignLeases(): void {
    const live = this.#liveNodes();
    if (live.length === 0) return;
    for (const range of this.#ranges) {
      const preferred = this.preferredOf(range.tableId, range.indexId, range.span.key, live);
      const holder = preferred.find((lease) => lease.nodeId === range.lease.nodeId);
      if (holder === undefined) this.#move(range, this.#nextOf(preferred));
      else if (holder.epoch !== range.lease.epoch) range.lease = holder;
    }
  }

  /** Lists what breaks R1 and R2. */
  check(): string[] {
    const broken: string[] = [];
    for (const [i, range] of this.#ranges.entries()) {
      const next = this.#ranges[i + 1];
      if (range.span.key >= range.span.endKey) broken.push(`r${range.rangeId}: empty`);
      if (next === undefined) continue;
      if (next.span.key < range.span.endKey) broken.push(`r${range.rangeId} overlaps r${next.rangeId}`);
      const sameIndex = next.tableId === range.tableId && next.indexId === range.indexId;
      if (sameIndex && next.span.key !== range.span.endKey) broken.push(`gap between r${range.rangeId} and r${next.rangeId}`);
    }
    return broken;
  }

  /** Takes over the bounds, ids and holders of another cluster's ranges; a fork starts so. */
  copyFrom(other: Ranges): void {
    this.#ranges = other.#ranges.map((range) => ({ ...range }));
    this.#rangeIdLast = other.#rangeIdLast;
    this.#nextHolder = other.#nextHolder;
  }

  #move(range: Range, lease: Lease): void {
    const from = range.lease.nodeId;
    range.lease = lease;
    if (from !== lease.nodeId) this.onLeaseMoved(range.rangeId, from, lease.nodeId);
  }

  #nextLease(tableId: number, indexId: number, key: Bytes): Lease {
    const live = this.#liveNodes();
    return live.length === 0 ? NO_LEASE : this.#nextOf(this.preferredOf(tableId, indexId, key, live));
  }

  #nextOf(leases: readonly Lease[]): Lease {
    return leases[this.#nextHolder++ % leases.length] as Lease;
  }

  #at(key: Bytes): Range | undefined {
    const range = this.#ranges[this.#firstEndingAfter(key)];
    return range !== undefined && range.span.key <= key ? range : undefined;
  }

  #firstEndingAfter(key: Bytes): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ranges[middle] as Range).span.endKey <= key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #info(range: Range, span: Span): RangeInfo {
    const shares = this.#ranges.reduce((count, other) => count + (sameIndexAs(range, other) ? 1 : 0), 0);
    return {
      rangeId: range.rangeId,
      span,
      tableId: range.tableId,
      indexId: range.indexId,
      leaseholder: range.lease.nodeId,
      leaseEpoch: range.lease.epoch,
      splitUntil: range.splitUntil,
      sizeBytes: Math.ceil(this.#liveBytesOf(range.tableId, range.indexId) / shares),
    };
  }
}

function sameIndexAs(a: Range, b: Range): boolean {
  return a.tableId === b.tableId && a.indexId === b.indexId;
}
