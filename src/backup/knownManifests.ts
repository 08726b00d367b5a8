/**
 * Known manifests: what bytes decode to, remembered by their digest. Restores, listings and plans of incremental backups read
 * manifests of a chain (plans not all of them: chainMemory.ts) and check their digests; what was decoded before need not be decoded again.
 *
 * Equal bytes decode equally, so nothing here can be wrong, whoever reads. One for each database all the same: how many turns
 * a read takes depends on it, and a simulation must not depend on what ran before it in its process. Encrypted manifests are not kept: who has no key
 * must not find them. Bounded by count, and by the size of what was decoded.
 */
/** A longer chain would find none of its own. */
const COUNT_MAX = 2048;
const STORED_BYTES_MAX = 4 * 1024 * 1024;

interface Known<M> {
  readonly manifest: M;
  readonly storedBytes: number;
}

export class KnownManifests<M> {
  /** By digest; the one used last stands last. */
  readonly #known = new Map<string, Known<M>>();
  #storedBytes = 0;

  get(digest: string): M | undefined {
    const known = this.#known.get(digest);
    if (known === undefined) return undefined;
    this.#known.delete(digest);
    this.#known.set(digest, known);
    return known.manifest;
  }

  add(digest: string, manifest: M, storedBytes: number): void {
    if (this.#known.has(digest)) return;
    this.#known.set(digest, { manifest, storedBytes });
    this.#storedBytes += storedBytes;
    for (const [oldest, { storedBytes: bytes }] of this.#known) {
      if (this.#known.size <= COUNT_MAX && this.#storedBytes <= STORED_BYTES_MAX) break;
      this.#known.delete(oldest);
      this.#storedBytes -= bytes;
    }
  }
}
