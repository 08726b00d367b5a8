/**
 * Routed storage: one storage whose names lie in several places. A route says where the names below a
 * prefix are; the longest prefix wins.
 *
 *   names                        prefix              lies in
 *   2026/11/20-120000.00/...     (none)              the collection's storage
 *   incrementals/2026/11/...     incrementals/       another storage, as 2026/11/...
 *
 *   T1  every name has exactly one place; what lies where a longer route has its names is not seen
 *   T2  listings are those of one storage: complete, sorted, without duplicates (S5 of the port)
 */
import { assert } from '../base/assert.ts';
import type { ExternalStorage, ListOptions, ReadOptions, WriteOptions, WriteResult, WriteSource } from '../storage/externalStorage.ts';
import { compareNames } from '../storage/names.ts';

export interface Route {
  /** Of names; empty, or with a slash at the end. */
  readonly prefix: string;
  readonly storage: ExternalStorage;
  /** What stands in the storage where the names have the prefix; empty, or with a slash at the end. */
  readonly at: string;
}

export class RoutedStorage implements ExternalStorage {
  readonly uri: ExternalStorage['uri'];
  readonly capabilities: ExternalStorage['capabilities'];
  /** Longest prefix first. */
  readonly #routes: readonly Route[];

  /** `main`: the storage to name where one is named. It closes nothing: the storages are the caller's. */
  constructor(main: ExternalStorage, routes: readonly Route[]) {
    this.uri = main.uri;
    this.#routes = [...routes].sort((a, b) => b.prefix.length - a.prefix.length);
    const all = routes.map(({ storage }) => storage.capabilities);
    this.capabilities = {
      list: all.every(({ list }) => list),
      delete: all.every((one) => one.delete),
      conditionalCreate: all.every(({ conditionalCreate }) => conditionalCreate),
    };
  }

  async write(name: string, source: WriteSource, options?: WriteOptions): Promise<WriteResult> {
    const { storage, inner } = this.#place(name);
    return await storage.write(inner, source, options);
  }

  async read(name: string, options?: ReadOptions): Promise<Uint8Array> {
    const { storage, inner } = this.#place(name);
    return await storage.read(inner, options);
  }

  readStream(name: string, options?: ReadOptions): AsyncIterable<Uint8Array> {
    const { storage, inner } = this.#place(name);
    return storage.readStream(inner, options);
  }

  async size(name: string): Promise<number> {
    const { storage, inner } = this.#place(name);
    return await storage.size(inner);
  }

  async delete(name: string): Promise<void> {
    const { storage, inner } = this.#place(name);
    await storage.delete(inner);
  }

  async list(prefix: string, options?: ListOptions): Promise<string[]> {
    const found = new Set<string>();
    for (const route of this.#routes) {
      const { storage, at } = route;
      if (prefix.startsWith(route.prefix)) {
        const names = await storage.list(at + prefix.slice(route.prefix.length), options);
        for (const inner of names) {
          const name = route.prefix + inner.slice(at.length);
          if (this.#routeOf(name) === route) found.add(name);
        }
        // Shorter prefixes have nothing that this one does not hide.
        break;
      }
      if (!route.prefix.startsWith(prefix)) continue;
      if (options?.delimiter !== undefined) {
        const folded = route.prefix.slice(0, route.prefix.indexOf('/', prefix.length) + 1);
        if (!found.has(folded) && (await storage.list(at, options)).length > 0) found.add(folded);
      } else {
        for (const inner of await storage.list(at, options)) {
          const name = route.prefix + inner.slice(at.length);
          if (this.#routeOf(name) === route) found.add(name);
        }
      }
    }
    return [...found].sort(compareNames);
  }

  async close(): Promise<void> {}

  #routeOf(name: string): Route | undefined {
    return this.#routes.find(({ prefix }) => name.startsWith(prefix));
  }

  #place(name: string): { readonly storage: ExternalStorage; readonly inner: string } {
    const route = this.#routeOf(name);
    assert(route !== undefined, `no place for "${name}"`);
    return { storage: route.storage, inner: route.at + name.slice(route.prefix.length) };
  }
}
