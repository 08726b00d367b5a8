/**
 * VersionTree: the ordered map from key to the newest version of its chain.
 *
 * The one file that knows sorted-btree: a B+ tree with copy-on-write nodes, whose clone() shares
 * everything and costs O(1). Keys are compared as flat one-byte strings, which is memcmp order.
 */
import sortedBtree from 'sorted-btree';

import type { Bytes } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';
import type { Version } from './version.ts';

const BTree = sortedBtree.default;
const STOP = { break: 0 };

/** Equal strings are found without a second walk over their chars; unequal ones differ early or in length. */
export function compareKeys(a: Bytes, b: Bytes): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

export class VersionTree {
  readonly #tree: InstanceType<typeof BTree<Bytes, Version>>;

  constructor(tree: InstanceType<typeof BTree<Bytes, Version>> = new BTree<Bytes, Version>(undefined, compareKeys, 64)) {
    this.#tree = tree;
  }

  get size(): number {
    return this.#tree.size;
  }

  get(key: Bytes): Version | undefined {
    return this.#tree.get(key);
  }

  set(key: Bytes, head: Version): void {
    this.#tree.set(key, head);
  }

  delete(key: Bytes): void {
    this.#tree.delete(key);
  }

  deleteSpan(span: Span): void {
    this.#tree.deleteRange(span.key, span.endKey, false);
  }

  /** The first key at or above `key`. */
  ceiling(key: Bytes): Bytes | undefined {
    return this.#tree.getPairOrNextHigher(key)?.[0];
  }

  /** Visits keys of the span in order until `visit` returns true. The tree must not change meanwhile. */
  walk(span: Span, visit: (key: Bytes, head: Version) => boolean): void {
    if (span.key >= span.endKey) return;
    this.#tree.forRange(span.key, span.endKey, false, (key, head) => (visit(key, head) ? STOP : undefined));
  }

  /** Visits keys of the span from the last to the first until `visit` returns true. */
  walkReverse(span: Span, visit: (key: Bytes, head: Version) => boolean): void {
    if (span.key >= span.endKey || this.#tree.isEmpty) return;
    const pair: [Bytes, Version] = [] as unknown as [Bytes, Version];
    const pairs = this.#tree.entriesReversed(span.endKey, pair, true);
    while (!pairs.next().done) {
      if (pair[0] < span.key || visit(pair[0], pair[1])) return;
    }
  }

  /** A tree with the same content; either may change without the other seeing it. O(1). */
  clone(): VersionTree {
    return new VersionTree(this.#tree.clone());
  }

  /** Throws when the tree's own structure is broken. Cost: all nodes. */
  checkValid(): void {
    this.#tree.checkValid(true);
  }
}
