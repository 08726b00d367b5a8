/**
 * LockSpans: spans that one owner holds whole, in place of very many key locks of its own.
 *
 *   LS1  an exclusive span overlaps no other span; shared ones may overlap each other; an owner's of
 *        one strength are disjoint, each within one index
 *   LS2  when a span is made, nobody else holds a key in it that excludes it, or waits for one that
 *        its owner does not hold, so it takes nothing from anybody
 *
 * A transaction that writes a million rows thus holds a few spans between the keys of others. What
 * it pays is that it also holds the keys between its own, which others then wait for.
 *
 * Lives elsewhere: keys held one by one, and all waiting (lockTable.ts).
 */
import type { Bytes } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';
import { nextKey } from '../base/span.ts';
import { indexOfKey } from './indexOfKey.ts';
import type { LockStrength } from './kv.ts';
import type { LockOwner } from './lockOwner.ts';

interface OwnedSpan extends Span {
  readonly owner: LockOwner;
}

export interface LockedSpan extends OwnedSpan {
  readonly strength: LockStrength;
}

export class LockSpans {
  /** Sorted. */
  #exclusive: readonly OwnedSpan[] = [];
  /** Each owner's, sorted. */
  readonly #shared = new Map<LockOwner, readonly Span[]>();

  get size(): number {
    let size = this.#exclusive.length;
    for (const spans of this.#shared.values()) size += spans.length;
    return size;
  }

  get isEmpty(): boolean {
    return this.#exclusive.length === 0 && this.#shared.size === 0;
  }

  /** Who holds the exclusive span that the key lies in. Cost: logarithmic. */
  ownerOf(key: Bytes): LockOwner | undefined {
    return spanAt(this.#exclusive, key)?.owner;
  }

  /** Who holds shared spans that the key lies in. Cost: a search for each owner of any. */
  sharersOf(key: Bytes): LockOwner[] {
    const found: LockOwner[] = [];
    for (const [owner, spans] of this.#shared) if (spanAt(spans, key)) found.push(owner);
    return found;
  }

  shares(owner: LockOwner, key: Bytes): boolean {
    const spans = this.#shared.get(owner);
    return spans !== undefined && spanAt(spans, key) !== undefined;
  }

  isSharedByOthers(owner: LockOwner, key: Bytes): boolean {
    for (const [other, spans] of this.#shared) if (other !== owner && spanAt(spans, key)) return true;
    return false;
  }

  /**
   * Puts an owner's keys and earlier spans of that strength together, as far as none of `walls` lies
   * between, and gives the keys that stay alone. `keys` and `walls` are sorted; others' spans are
   * walls of themselves.
   */
  join(owner: LockOwner, strength: LockStrength, keys: readonly Bytes[], walls: readonly Bytes[]): Bytes[] {
    const others = this.#exclusive.filter((span) => span.owner !== owner);
    if (strength === 'shared') {
      const { alone, joined } = putTogether(keys, this.#shared.get(owner) ?? [], withStarts(walls, others));
      if (joined.length > 0) this.#shared.set(owner, joined);
      return alone;
    }
    const shared = [...this.#shared].flatMap(([other, spans]) => (other === owner ? [] : spans));
    const mine = this.#exclusive.filter((span) => span.owner === owner);
    const { alone, joined } = putTogether(keys, mine, withStarts(walls, [...others, ...shared]));
    this.#exclusive = [...others, ...joined.map((span) => ({ ...span, owner }))].sort((a, b) => (a.key < b.key ? -1 : 1));
    return alone;
  }

  /** Frees the owner's spans. */
  release(owner: LockOwner): void {
    if (this.#exclusive.some((span) => span.owner === owner)) this.#exclusive = this.#exclusive.filter((span) => span.owner !== owner);
    this.#shared.delete(owner);
  }

  list(): LockedSpan[] {
    const found: LockedSpan[] = this.#exclusive.map((span) => ({ ...span, strength: 'exclusive' }));
    for (const [owner, spans] of this.#shared) for (const span of spans) found.push({ ...span, owner, strength: 'shared' });
    return found;
  }
}

/** The one of sorted, disjoint spans that the key lies in. */
function spanAt<S extends Span>(spans: readonly S[], key: Bytes): S | undefined {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((spans[middle] as Span).endKey <= key) low = middle + 1;
    else high = middle;
  }
  const span = spans[low];
  return span !== undefined && span.key <= key ? span : undefined;
}

/** Since nobody holds a key in another's span, that a span begins between two keys says that it lies there. */
function withStarts(walls: readonly Bytes[], spans: readonly Span[]): readonly Bytes[] {
  return spans.length === 0 ? walls : [...walls, ...spans.map((span) => span.key)].sort();
}

/** Keys and spans, each sorted, put together where no wall lies between; and the keys that stay alone. */
function putTogether(keys: readonly Bytes[], spans: readonly Span[], walls: readonly Bytes[]): { alone: Bytes[]; joined: Span[] } {
  const alone: Bytes[] = [];
  const joined: Span[] = [];
  let wall = 0;
  for (let k = 0, s = 0; k < keys.length || s < spans.length; ) {
    const first = lesser(keys[k], spans[s]?.key);
    const prefix = first.slice(0, indexOfKey(first).length);
    while (wall < walls.length && (walls[wall] as Bytes) < first) wall++;
    const bound = walls[wall];
    const isNext = (key: Bytes | undefined): key is Bytes =>
      key !== undefined && (bound === undefined || key <= bound) && key.startsWith(prefix);
    const [k0, s0] = [k, s];
    let endKey: Bytes | undefined;
    for (;;) {
      const span = spans[s];
      if (isNext(keys[k]) && !(span !== undefined && span.key <= (keys[k] as Bytes))) k++;
      else if (span !== undefined && isNext(span.key)) {
        if (endKey === undefined || span.endKey > endKey) endKey = span.endKey;
        s++;
      } else break;
    }
    const last = keys[k - 1];
    if (s === s0 && k === k0 + 1) alone.push(first);
    else if (k > k0 && (endKey === undefined || (last as Bytes) >= endKey)) joined.push({ key: first, endKey: nextKey(last as Bytes) });
    else joined.push({ key: first, endKey: endKey as Bytes });
  }
  return { alone, joined };
}

function lesser(a: Bytes | undefined, b: Bytes | undefined): Bytes {
  return b === undefined || (a !== undefined && a < b) ? (a as Bytes) : b;
}
