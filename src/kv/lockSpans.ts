/**
 * LockSpans: spans that one owner holds whole, in place of very many key locks of its own.
 *
 *   LS1  spans are disjoint, sorted, each within one index, and always exclusive
 *   LS2  when a span is made, nobody else holds a key in it, so it takes nothing from anybody
 *
 * A transaction that writes a million rows thus holds a few spans between the keys of others. What
 * it pays is that it also holds the keys between its own, which others then wait for.
 *
 * Lives elsewhere: keys held one by one, and all waiting (lockTable.ts).
 */
import type { Bytes } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';
import { nextKey } from '../base/span.ts';
import { sameIndex } from './indexOfKey.ts';
import type { LockOwner } from './lockOwner.ts';

export interface LockedSpan extends Span {
  readonly owner: LockOwner;
}

export class LockSpans {
  #spans: LockedSpan[] = [];

  get size(): number {
    return this.#spans.length;
  }

  /** Who holds the span that the key lies in. Cost: logarithmic. */
  ownerOf(key: Bytes): LockOwner | undefined {
    let low = 0;
    let high = this.#spans.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#spans[middle] as LockedSpan).endKey <= key) low = middle + 1;
      else high = middle;
    }
    const span = this.#spans[low];
    return span !== undefined && span.key <= key ? span.owner : undefined;
  }

  /**
   * Puts an owner's keys and earlier spans together, as far as no key of `foreign` lies between, and
   * gives the keys that stay alone. `keys` and `foreign` are sorted.
   */
  join(owner: LockOwner, keys: readonly Bytes[], foreign: readonly Bytes[]): Bytes[] {
    const others = this.#spans.filter((span) => span.owner !== owner);
    const walls = mergeSorted(
      foreign,
      others.map((span) => span.key),
    );
    const parts: Span[] = [
      ...keys.map((key) => ({ key, endKey: nextKey(key) })),
      ...this.#spans.filter((span) => span.owner === owner),
    ].sort((a, b) => (a.key < b.key ? -1 : 1));
    const alone: Bytes[] = [];
    const joined: LockedSpan[] = [];
    let wall = 0;
    for (let i = 0; i < parts.length; ) {
      const first = parts[i] as Span;
      let { endKey } = first;
      while (wall < walls.length && (walls[wall] as Bytes) < first.key) wall++;
      let next = i + 1;
      for (; next < parts.length; next++) {
        const part = parts[next] as Span;
        if ((wall < walls.length && (walls[wall] as Bytes) < part.key) || !sameIndex(part.key, first.key)) break;
        if (part.endKey > endKey) endKey = part.endKey;
      }
      if (next === i + 1 && endKey === nextKey(first.key)) alone.push(first.key);
      else joined.push({ key: first.key, endKey, owner });
      i = next;
    }
    this.#spans = [...others, ...joined].sort((a, b) => (a.key < b.key ? -1 : 1));
    return alone;
  }

  /** Frees the owner's spans. */
  release(owner: LockOwner): void {
    this.#spans = this.#spans.filter((span) => span.owner !== owner);
  }

  list(): readonly LockedSpan[] {
    return this.#spans;
  }
}

function mergeSorted(a: readonly Bytes[], b: readonly Bytes[]): Bytes[] {
  return b.length === 0 ? [...a] : [...a, ...b].sort();
}
