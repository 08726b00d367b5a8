/**
 * Retention plan: what of a collection goes and what stays, and why. Pure.
 *
 *   P1  what any rule keeps is kept, and with it everything that restoring it needs: a chain is kept up to its newest layer
 *   P2  the newest chain is kept whatever the rules say: a collection that had a backup has one
 *   P3  of a chain that goes the newest layers go first and the full last, so what an interruption leaves is a chain, only
 *       shorter; and of each layer its index and its manifest go first, so what is left then is garbage that nobody lists
 *   P4  garbage goes with the next EXPIRE, whatever the rules say
 */
import type { Timestamp } from '../../base/timestamp.ts';
import { formatUtc } from '../../base/timestamp.ts';

import type { ContentChain, ContentLayer } from './collectionContent.ts';
import type { DoomedChain, DoomedLayer } from './retentionDetails.ts';

export type Rule =
  /** Chains that can bring back any time after `since`. `text`: as the statement has it. */
  { readonly unit: 'age'; readonly since: Timestamp; readonly text: string } | { readonly unit: 'fulls'; readonly count: number };

/** A row of what is planned. */
export interface Verdict {
  /** A chain's full, or a directory of garbage. */
  readonly path: string;
  /** Newest layer's. */
  readonly endTime: Timestamp;
  /** Completed layers. */
  readonly layers: number;
  readonly keeps: boolean;
  readonly reason: string;
}

export interface RetentionPlan {
  readonly verdicts: readonly Verdict[];
  readonly chains: readonly DoomedChain[];
  readonly garbage: readonly DoomedLayer[];
}

/** Applies rules to what there is, newest chain first. `useOf` says who uses a chain. */
export function planExpiry(
  content: readonly ContentChain[],
  rules: readonly Rule[],
  useOf: (full: string) => string | undefined,
): RetentionPlan {
  const verdicts: Verdict[] = [];
  const chains: DoomedChain[] = [];
  let place = 0;
  for (const chain of content) {
    if (chain.layers.length === 0) continue;
    const kept = whyKept(chain, place++, rules) ?? whyStuck(chain, useOf(chain.full));
    verdicts.push(verdictOf(chain, kept !== undefined, kept ?? whyExpired(rules)));
    if (kept === undefined) chains.push(wholeChain(chain));
  }
  const garbage = content.flatMap((chain) => (chains.some(({ full }) => full === chain.full) ? [] : [...chain.garbage].reverse()));
  for (const { directory, endTime } of garbage) {
    verdicts.push({ path: directory, endTime, layers: 0, keeps: false, reason: 'not a completed layer: left by a job that ended early' });
  }
  return { verdicts, chains, garbage: garbage.map(doomed) };
}

function whyKept({ newestEnd }: ContentChain, place: number, rules: readonly Rule[]): string | undefined {
  for (const rule of rules) {
    if (rule.unit === 'age' && newestEnd >= rule.since) return `it ends within the last ${rule.text}`;
    if (rule.unit === 'fulls' && place < rule.count)
      return rule.count === 1 ? 'it is the newest full' : `it is one of the newest ${rule.count} fulls`;
  }
  return place === 0 ? 'it is the newest backup' : undefined;
}

/** Why a chain that may go cannot go now. */
export function whyStuck({ lost }: ContentChain, use: string | undefined): string | undefined {
  if (use !== undefined) return `it is in use by ${use}`;
  const [first] = lost;
  return first && `its layer "${first.directory}" lies elsewhere: name the incremental_location`;
}

function whyExpired(rules: readonly Rule[]): string {
  const parts = rules.map((rule) =>
    rule.unit === 'age'
      ? `it ends before ${formatUtc(rule.since)}`
      : rule.count === 1
        ? 'a full is newer'
        : `${rule.count} fulls are newer`,
  );
  return parts.join(', and ');
}

function verdictOf({ full, layers, newestEnd }: ContentChain, keeps: boolean, reason: string): Verdict {
  return { path: full, endTime: newestEnd, layers: layers.filter(({ kind }) => kind !== 'compacted').length, keeps, reason };
}

/** The deletion of a whole chain, its garbage included. */
export function wholeChain({ full, layers, garbage }: ContentChain): DoomedChain {
  const others = [...layers, ...garbage].filter(({ directory }) => directory !== full);
  const first = layers.filter(({ directory }) => directory === full);
  return { full, layers: [...inOrder(others), ...first].map(doomed), known: layers.map(({ directory }) => directory) };
}

/**
 * The deletion of an incremental layer, and of all that continues it or is made of it; undefined when a layer's start cannot be told without
 * its manifest, which is not indexed.
 */
export function chainFrom(chain: ContentChain, layer: ContentLayer): { readonly doomed: DoomedChain; readonly kept: number } | undefined {
  const gone = new Set<ContentLayer>([layer]);
  const endsAt = (time: Timestamp) => time - (time % 10_000);
  // By end, so what a layer continues has been seen before it.
  for (const one of chain.layers) {
    if (one.endTime < layer.endTime || one === layer || one.kind === 'full') continue;
    const { startTime } = one;
    if (startTime === undefined) return undefined;
    const continues = [...gone].some(({ endTime, kind }) => kind !== 'compacted' && endsAt(endTime) === endsAt(startTime));
    const spans =
      one.kind === 'compacted' &&
      [...gone].some(({ startTime: from, endTime }) => from !== undefined && from >= startTime && endsAt(endTime) <= endsAt(one.endTime));
    if (continues || spans) gone.add(one);
  }
  if (layer.startTime === undefined) return undefined;
  const layers = inOrder(chain.layers.filter((one) => gone.has(one))).map(doomed);
  const known = chain.layers.map(({ directory }) => directory);
  return { doomed: { full: chain.full, layers, known }, kept: chain.layers.length - layers.length };
}

/** Compacted ones first, for they need the others; then the newest. */
function inOrder(layers: readonly ContentLayer[]): ContentLayer[] {
  const newestFirst = [...layers].reverse();
  return [...newestFirst.filter(({ kind }) => kind === 'compacted'), ...newestFirst.filter(({ kind }) => kind !== 'compacted')];
}

function doomed({ directory, indexNames }: ContentLayer): DoomedLayer {
  return { directory, indexNames };
}
