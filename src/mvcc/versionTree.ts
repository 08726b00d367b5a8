/**
 * VersionTree: the ordered map from key to the newest version of its chain. A B+ tree.
 *
 *   T1  keys ascend within a leaf, and from each leaf to the next
 *   T2  separators[i] is above every key of children[i], and at or below every key of children[i + 1]
 *   T3  all leaves have one depth; none is empty, except a root
 *   T4  a node is changed in place only by the tree whose epoch it carries
 *
 * Copy on write by epochs: clone() shares every node and gives both trees a fresh epoch, so either
 * copies a node on the way down to its first change there, and owns it from then on.
 *
 * A node splits when it is full, in halves, but at the right edge of the tree it stays full and the
 * new key starts the next leaf: rows often come in key order. A node is dropped when it is empty
 * and never merged before: under mixed work that wastes little space and much less work
 * (Johnson and Shasha, "B-trees with inserts and deletes: why free-at-empty is better than
 * merge-at-half", 1993).
 *
 * Why not sorted-btree, which the bench compares it with: putting a version on top of another takes
 * it two descents, each probe up to two comparisons, and a scan a callback for each key. On it a
 * store's update took 2.3 times a bare set and its scans 2.1 to 3.3 times a bare walk.
 *
 * Keys must be flat strings, as KeyWriter makes them; a rope compares by a slow call each time.
 */
import { assert } from '../base/assert.ts';
import type { Bytes } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { Version } from './version.ts';

/** Entries of a leaf, and children of an inner node, at most. */
const NODE_MAX = 64;

/** Visits entries [from, to) of one leaf's arrays; true stops the walk. The arrays are not the visitor's to keep or change. */
export type LeafVisitor = (keys: readonly Bytes[], heads: readonly Version[], from: number, to: number) => boolean;

let lastEpoch = 0;

class Leaf {
  readonly epoch: number;
  keys: Bytes[];
  heads: Version[];

  constructor(epoch: number, keys: Bytes[], heads: Version[]) {
    this.epoch = epoch;
    this.keys = keys;
    this.heads = heads;
  }
}

class Inner {
  readonly epoch: number;
  separators: Bytes[];
  children: Node[];

  constructor(epoch: number, separators: Bytes[], children: Node[]) {
    this.epoch = epoch;
    this.separators = separators;
    this.children = children;
  }
}

type Node = Leaf | Inner;

export class VersionTree {
  #epoch: number = ++lastEpoch;
  #root: Node = new Leaf(this.#epoch, [], []);
  #size = 0;
  /** After a push: the tree's own string for the key, kept once however many strings name it. */
  placedKey: Bytes = '' as Bytes;
  /** After a split: what separates the two nodes. */
  #separator: Bytes = '' as Bytes;
  #pushed: Version | undefined;

  get size(): number {
    return this.#size;
  }

  get(key: Bytes): Version | undefined {
    let node = this.#root;
    while (node instanceof Inner) node = node.children[childIndex(node.separators, key)] as Node;
    const index = lowerBound(node.keys, key);
    return index < node.keys.length && node.keys[index] === key ? node.heads[index] : undefined;
  }

  /** Puts a new version on top of the key's chain and returns it; its `older` is what was there, and older it must be. One descent. */
  push(key: Bytes, ts: Timestamp, value: Bytes | null): Version {
    this.#insert(key, ts, value, undefined);
    return this.#pushed as Version;
  }

  /** Sets the key's chain, whatever it was. */
  set(key: Bytes, head: Version): void {
    this.#insert(key, head.ts, head.value, head);
  }

  #insert(key: Bytes, ts: Timestamp, value: Bytes | null, head: Version | undefined): void {
    this.#root = this.#own(this.#root);
    const sibling = this.#insertInto(this.#root, key, ts, value, head, true);
    if (sibling !== undefined) this.#root = new Inner(this.#epoch, [this.#separator], [this.#root, sibling]);
  }

  /** Inserts below an owned node; the new right sibling when the node had to split. `rightmost`: no node lies to its right. */
  #insertInto(node: Node, key: Bytes, ts: Timestamp, value: Bytes | null, head: Version | undefined, rightmost: boolean): Node | undefined {
    if (node instanceof Leaf) return this.#insertIntoLeaf(node, key, ts, value, head, rightmost);
    const index = childIndex(node.separators, key);
    let child = node.children[index] as Node;
    if (child.epoch !== this.#epoch) {
      child = this.#own(child);
      node.children[index] = child;
    }
    const sibling = this.#insertInto(child, key, ts, value, head, rightmost && index === node.separators.length);
    if (sibling === undefined) return undefined;
    node.separators.splice(index, 0, this.#separator);
    node.children.splice(index + 1, 0, sibling);
    if (node.children.length <= NODE_MAX) return undefined;
    const half = rightmost && index + 2 === node.children.length ? NODE_MAX : node.children.length >> 1;
    const right = new Inner(this.#epoch, node.separators.slice(half), node.children.slice(half));
    this.#separator = node.separators[half - 1] as Bytes;
    node.separators = node.separators.slice(0, half - 1);
    node.children = node.children.slice(0, half);
    return right;
  }

  #insertIntoLeaf(
    leaf: Leaf,
    key: Bytes,
    ts: Timestamp,
    value: Bytes | null,
    head: Version | undefined,
    rightmost: boolean,
  ): Leaf | undefined {
    const { keys, heads } = leaf;
    const index = lowerBound(keys, key);
    if (index < keys.length && keys[index] === key) {
      this.placedKey = keys[index] as Bytes;
      const old = heads[index] as Version;
      // Asked first: the message would cost more than the write.
      if (head === undefined && old.ts >= ts) assert(false, `write at @${ts} over a version at @${old.ts}`);
      this.#pushed = head ?? new Version(ts, value, old);
      heads[index] = this.#pushed;
      return undefined;
    }
    this.#size++;
    this.placedKey = key;
    const version = head ?? new Version(ts, value, undefined);
    this.#pushed = version;
    if (keys.length < NODE_MAX) {
      insertAt(keys, index, key);
      insertAt(heads, index, version);
      return undefined;
    }
    if (rightmost && index === NODE_MAX) {
      // The full leaf gives back the room that its arrays kept for growing.
      leaf.keys = keys.slice();
      leaf.heads = heads.slice();
      this.#separator = key;
      return new Leaf(this.#epoch, [key], [version]);
    }
    const half = NODE_MAX >> 1;
    const right = new Leaf(this.#epoch, keys.slice(half), heads.slice(half));
    leaf.keys = keys.slice(0, half);
    leaf.heads = heads.slice(0, half);
    const target = index <= half ? leaf : right;
    const targetIndex = index <= half ? index : index - half;
    insertAt(target.keys, targetIndex, key);
    insertAt(target.heads, targetIndex, version);
    this.#separator = right.keys[0] as Bytes;
    return right;
  }

  /** The greatest key. */
  get lastKey(): Bytes | undefined {
    let node = this.#root;
    while (node instanceof Inner) node = node.children[node.children.length - 1] as Node;
    return node.keys[node.keys.length - 1];
  }

  /** Adds keys, ascending, that all lie above lastKey, with their chains: whole leaves at a time. Cost: one descent, and the keys. */
  append(keys: readonly Bytes[], heads: readonly Version[]): void {
    this.#root = this.#own(this.#root);
    /** The inner nodes at the right edge, from the root down. */
    const edge: Inner[] = [];
    let node = this.#root;
    while (node instanceof Inner) {
      const last = node.children.length - 1;
      const child: Node = this.#own(node.children[last] as Node);
      node.children[last] = child;
      edge.push(node);
      node = child;
    }
    let at = Math.min(NODE_MAX - node.keys.length, keys.length);
    if (at > 0) {
      node.keys = node.keys.concat(keys.slice(0, at));
      node.heads = node.heads.concat(heads.slice(0, at));
    }
    for (; at < keys.length; at += NODE_MAX) {
      const leaf = new Leaf(this.#epoch, keys.slice(at, at + NODE_MAX), heads.slice(at, at + NODE_MAX));
      this.#addLast(edge, leaf, keys[at] as Bytes);
    }
    this.#size += keys.length;
  }

  /** Puts a node to the right of all others of its depth; `edge` stays the right edge. */
  #addLast(edge: Inner[], node: Node, separator: Bytes): void {
    let added = node;
    for (let depth = edge.length - 1; depth >= 0; depth--) {
      const parent = edge[depth] as Inner;
      if (parent.children.length < NODE_MAX) {
        parent.separators.push(separator);
        parent.children.push(added);
        return;
      }
      // At the right edge nodes stay full, as they do under single inserts.
      const sibling = new Inner(this.#epoch, [], [added]);
      edge[depth] = sibling;
      added = sibling;
    }
    const root = new Inner(this.#epoch, [separator], [this.#root, added]);
    edge.unshift(root);
    this.#root = root;
  }

  delete(key: Bytes): void {
    if (this.get(key) === undefined) return;
    this.#root = this.#deleteFrom(this.#own(this.#root), key) ?? new Leaf(this.#epoch, [], []);
    this.#size--;
    this.#shortenRoot();
  }

  /** Deletes below an owned node a key that is there; undefined when nothing is left of the node. */
  #deleteFrom(node: Node, key: Bytes): Node | undefined {
    if (node instanceof Leaf) {
      const index = lowerBound(node.keys, key);
      node.keys.splice(index, 1);
      node.heads.splice(index, 1);
      return node.keys.length > 0 ? node : undefined;
    }
    const index = childIndex(node.separators, key);
    const rest = this.#deleteFrom(this.#own(node.children[index] as Node), key);
    if (rest !== undefined) {
      node.children[index] = rest;
    } else {
      node.children.splice(index, 1);
      node.separators.splice(Math.max(0, index - 1), 1);
    }
    return node.children.length > 0 ? node : undefined;
  }

  /** Removes every key of the span; `count` says how many there are. Cost: the nodes at the two edges. */
  deleteSpan(span: Span, count: number): void {
    if (count === 0) return;
    this.#root = this.#without(this.#root, span) ?? new Leaf(this.#epoch, [], []);
    this.#size -= count;
    this.#shortenRoot();
  }

  /** A node of this epoch without the span's keys; undefined when nothing is left. */
  #without(node: Node, span: Span): Node | undefined {
    if (node instanceof Leaf) {
      const from = lowerBound(node.keys, span.key);
      const to = lowerBound(node.keys, span.endKey);
      const keys = [...node.keys.slice(0, from), ...node.keys.slice(to)];
      const heads = [...node.heads.slice(0, from), ...node.heads.slice(to)];
      return keys.length > 0 ? new Leaf(this.#epoch, keys, heads) : undefined;
    }
    const from = childIndex(node.separators, span.key);
    const to = childIndex(node.separators, span.endKey);
    const children: Node[] = [];
    const separators: Bytes[] = [];
    node.children.forEach((child, i) => {
      const rest = i < from || i > to ? child : i === from || i === to ? this.#without(child, span) : undefined;
      if (rest === undefined) return;
      if (children.length > 0) separators.push(node.separators[i - 1] as Bytes);
      children.push(rest);
    });
    return children.length > 0 ? new Inner(this.#epoch, separators, children) : undefined;
  }

  #shortenRoot(): void {
    while (this.#root instanceof Inner && this.#root.children.length === 1) this.#root = this.#root.children[0] as Node;
  }

  /** Visits the span's keys in order, a leaf's worth at a time. The tree must not change meanwhile. */
  walkLeaves(span: Span, visit: LeafVisitor): void {
    if (span.key < span.endKey) walkNode(this.#root, span, visit);
  }

  /** The same from the last leaf to the first; within a leaf the visitor goes backwards itself. */
  walkLeavesReverse(span: Span, visit: LeafVisitor): void {
    if (span.key < span.endKey) walkNodeReverse(this.#root, span, visit);
  }

  /** Visits the span's keys one by one, in order, until `visit` returns true. */
  walk(span: Span, visit: (key: Bytes, head: Version) => boolean): void {
    this.walkLeaves(span, (keys, heads, from, to) => {
      for (let i = from; i < to; i++) if (visit(keys[i] as Bytes, heads[i] as Version)) return true;
      return false;
    });
  }

  /** A tree with the same content; either may change without the other seeing it. O(1). */
  clone(): VersionTree {
    const copy = new VersionTree();
    copy.#root = this.#root;
    copy.#size = this.#size;
    this.#epoch = ++lastEpoch;
    return copy;
  }

  /** Lists what breaks T1 to T3 and the size. Cost: all nodes. */
  check(): string[] {
    const broken: string[] = [];
    let size = 0;
    let leafDepth: number | undefined;
    const visit = (node: Node, depth: number, low: Bytes | undefined, high: Bytes | undefined): void => {
      const keys = node instanceof Leaf ? node.keys : node.separators;
      keys.forEach((key, i) => {
        if (i > 0 && (keys[i - 1] as Bytes) >= key) broken.push('tree: keys out of order');
        if ((low !== undefined && key < low) || (high !== undefined && key >= high)) broken.push('tree: key outside its separators');
      });
      if (node instanceof Inner) {
        if (node.children.length !== keys.length + 1) broken.push(`tree: ${keys.length} separators, ${node.children.length} children`);
        if (node.children.length > NODE_MAX) broken.push(`tree: ${node.children.length} children`);
        node.children.forEach((child, i) => {
          visit(child, depth + 1, i > 0 ? keys[i - 1] : low, i < keys.length ? keys[i] : high);
        });
        return;
      }
      size += keys.length;
      if (keys.length !== node.heads.length) broken.push(`tree: ${keys.length} keys, ${node.heads.length} chains`);
      if (keys.length > NODE_MAX || (keys.length === 0 && depth > 0)) broken.push(`tree: leaf of ${keys.length}`);
      if (leafDepth !== undefined && leafDepth !== depth) broken.push(`tree: leaves at depth ${leafDepth} and ${depth}`);
      leafDepth = depth;
    };
    visit(this.#root, 0, undefined, undefined);
    if (size !== this.#size) broken.push(`tree: size is ${this.#size}, counted ${size}`);
    return broken;
  }

  #own(node: Node): Node {
    if (node.epoch === this.#epoch) return node;
    if (node instanceof Leaf) return new Leaf(this.#epoch, node.keys.slice(), node.heads.slice());
    return new Inner(this.#epoch, node.separators.slice(), node.children.slice());
  }
}

/** Index of the first key at or above `key`. */
function lowerBound(keys: readonly Bytes[], key: Bytes): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as Bytes) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index of the child that holds `key`: the number of separators at or below it. */
function childIndex(separators: readonly Bytes[], key: Bytes): number {
  let low = 0;
  let high = separators.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (key < (separators[middle] as Bytes)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function insertAt<T>(array: T[], index: number, item: T): void {
  if (index === array.length) array.push(item);
  else array.splice(index, 0, item);
}

function walkNode(node: Node, span: Span, visit: LeafVisitor): boolean {
  if (node instanceof Leaf) {
    const { keys } = node;
    const count = keys.length;
    if (count === 0) return false;
    const from = (keys[0] as Bytes) >= span.key ? 0 : lowerBound(keys, span.key);
    const to = (keys[count - 1] as Bytes) < span.endKey ? count : lowerBound(keys, span.endKey);
    return from < to && visit(keys, node.heads, from, to);
  }
  const last = childIndex(node.separators, span.endKey);
  for (let i = childIndex(node.separators, span.key); i <= last; i++) {
    if (walkNode(node.children[i] as Node, span, visit)) return true;
  }
  return false;
}

function walkNodeReverse(node: Node, span: Span, visit: LeafVisitor): boolean {
  if (node instanceof Leaf) {
    const from = lowerBound(node.keys, span.key);
    const to = lowerBound(node.keys, span.endKey);
    return from < to && visit(node.keys, node.heads, from, to);
  }
  const first = childIndex(node.separators, span.key);
  for (let i = childIndex(node.separators, span.endKey); i >= first; i--) {
    if (walkNodeReverse(node.children[i] as Node, span, visit)) return true;
  }
  return false;
}
