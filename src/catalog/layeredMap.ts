/**
 * LayeredMap: an immutable map that is changed by a few entries at a time, at a cost of about its square
 * root: what differs from a large shared map stands in a small one, until that has grown.
 *
 * Entries come in the order in which their keys first came.
 */

/** Changes that stand beside the shared map before both become one. */
const CHANGES_MAX = 128;

export class LayeredMap<K, V> {
  readonly #base: ReadonlyMap<K, V>;
  /** Undefined for a key of the base that is gone. */
  readonly #changes: ReadonlyMap<K, V | undefined>;

  private constructor(base: ReadonlyMap<K, V>, changes: ReadonlyMap<K, V | undefined>) {
    this.#base = base;
    this.#changes = changes;
  }

  static empty<K, V>(): LayeredMap<K, V> {
    return new LayeredMap<K, V>(new Map(), new Map());
  }

  get(key: K): V | undefined {
    return this.#changes.has(key) ? this.#changes.get(key) : this.#base.get(key);
  }

  /** This map with entries set, or removed where the value is undefined; a later change of a key wins. */
  with(entries: Iterable<readonly [K, V | undefined]>): LayeredMap<K, V> {
    const changes = new Map(this.#changes);
    for (const [key, value] of entries) {
      if (value === undefined && !this.#base.has(key)) changes.delete(key);
      else changes.set(key, value);
    }
    if (changes.size <= CHANGES_MAX) return new LayeredMap(this.#base, changes);
    const base = new Map(this.#base);
    for (const [key, value] of changes) {
      if (value === undefined) base.delete(key);
      else base.set(key, value);
    }
    return new LayeredMap<K, V>(base, new Map());
  }

  *entries(): Generator<[K, V]> {
    for (const [key, value] of this.#base) {
      if (!this.#changes.has(key)) yield [key, value];
      else {
        const changed = this.#changes.get(key);
        if (changed !== undefined) yield [key, changed];
      }
    }
    for (const [key, value] of this.#changes) if (value !== undefined && !this.#base.has(key)) yield [key, value];
  }
}
