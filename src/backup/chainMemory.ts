/**
 * Chain memory: what planning knows of the chains that it has continued, so that the next incremental costs what has come
 * since, not the length of its chain.
 *
 *   G1  a layer is remembered as it was read, with its digest. The full, the newest layer and those that are new are read each
 *       time, with the keys of whoever asks; since a layer names its parent by digest, the path that they prove is the one
 *       that was read, or XX001
 *   G2  of the others a few are read again each time, those first whose turn was longest ago: damage to a long chain
 *       shows within a few backups, to a short one at once. What is not listed any more is not remembered
 *   G3  in memory only, of one database: a fork, or the next process, reads everything again
 */
import { type CoveredSpan, proveCoverage } from './coverage.ts';
import type { Layer } from './manifest.ts';

/** Layers that have their turn with each plan. */
export const TURNS = 8;
const CHAINS_MAX = 64;
/** Of all chains: layers, their files and descriptors. */
const WEIGHT_MAX = 50_000;

export class ChainMemory {
  /** The chain continued last stands last. */
  readonly #chains = new Map<string, RememberedChain>();

  /** `key`: of the place and the full. */
  of(key: string): RememberedChain {
    const chain = this.#chains.get(key) ?? new RememberedChain();
    this.#chains.delete(key);
    this.#chains.set(key, chain);
    this.#forget();
    return chain;
  }

  #forget(): void {
    let weight = 0;
    for (const chain of this.#chains.values()) weight += chain.weight;
    for (const [key, chain] of this.#chains) {
      if (this.#chains.size <= CHAINS_MAX && weight <= WEIGHT_MAX) return;
      this.#chains.delete(key);
      weight -= chain.weight;
    }
  }
}

export class RememberedChain {
  /** By directory; the one read last stands last. */
  #layers = new Map<string, Layer>();
  #weight = 0;
  /** What the path to a layer covers, by that layer's digest, which stands for all of the path. */
  #proved: { readonly digest: string; readonly covered: readonly CoveredSpan[] } | undefined;

  get weight(): number {
    return this.#weight;
  }

  /** Of the directories of a listing, oldest first, those that need not be read this time, with their layers. */
  unread(directories: readonly string[]): ReadonlyMap<string, Layer> {
    const newest = directories.at(-1);
    const listed = new Set(directories);
    const known = [...this.#layers].filter(([directory]) => listed.has(directory) && directory !== newest);
    return new Map(known.slice(TURNS));
  }

  /** The chain as it is now; those of `unread` were not read. */
  keep(layers: readonly Layer[], unread: ReadonlyMap<string, Layer>): void {
    this.#layers = new Map(unread);
    this.#weight = 0;
    for (const { directory, manifest, manifestSha256 } of layers) {
      // No keys are kept: whoever needs one has it from the layers that are read.
      if (!unread.has(directory)) this.#layers.set(directory, { directory, manifest, manifestSha256 });
      this.#weight += 1 + manifest.files.length + manifest.descriptors.length;
    }
  }

  /** As proveCoverage(), of what the path has beyond the one that was proved last. */
  prove(path: readonly Layer[], intro: string): readonly CoveredSpan[] {
    const proved = this.#proved;
    const from = path.findLastIndex(({ manifestSha256 }) => manifestSha256 === proved?.digest) + 1;
    const covered = proveCoverage(path.slice(from), intro, from > 0 ? proved?.covered : []);
    const digest = path.at(-1)?.manifestSha256;
    if (digest !== undefined) this.#proved = { digest, covered };
    return covered;
  }
}
