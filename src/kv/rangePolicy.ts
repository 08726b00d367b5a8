/**
 * RangePolicy: what the layers above decide about an index's ranges: how large they may grow, where
 * a row starts, and which nodes should hold their leases.
 *
 * kv asks at each use and keeps no copy; the catalog implements it from its zones. What changes
 * shows at the next look: when nodes come and go, and when the range queue runs.
 */
import type { Bytes } from '../base/bytes.ts';
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Locality } from './locality.ts';

/** Bytes of versions at which a range is cut, and below which it is joined with a neighbour. */
export interface RangeSizes {
  readonly minBytes: number;
  readonly maxBytes: number;
}

/** `+region=eu` wants a tier, `-region=eu` excludes it. */
export interface LeaseConstraint {
  readonly isProhibited: boolean;
  readonly key: string;
  readonly value: string;
}

/** Constraints that must hold together. */
export type LeasePreference = readonly LeaseConstraint[];

export interface RangePolicy {
  sizesOf(tableId: number, indexId: number): RangeSizes;
  /** Best first; the first that some live node meets decides. Empty: any node. `key`: where the range starts. */
  leasePreferencesOf(tableId: number, indexId: number, key: Bytes): readonly LeasePreference[];
  /** Keys at which a range of the index always starts, in order: parts of it have preferences of their own. */
  boundsOf(tableId: number, indexId: number): readonly Bytes[];
  /** The key at or below `key` at which its row starts: a range never begins inside a row. */
  rowStart(key: Bytes): Bytes;
}

/** What holds before a catalog plugs itself in. */
export const DEFAULT_RANGE_POLICY: RangePolicy = Object.freeze({
  sizesOf: () => ({ minBytes: 128 << 20, maxBytes: 512 << 20 }),
  leasePreferencesOf: () => [],
  boundsOf: () => [],
  rowStart: (key: Bytes) => key,
});

/** Reads `[[+region=eu, -zone=b], [+region=us]]`; `[]` is none. Throws 22023. */
export function parseLeasePreferences(text: string): LeasePreference[] {
  const refuse = (): never => {
    throw new StatementError(SqlState.InvalidParameterValue, `could not parse lease preferences "${text}"`, {
      hint: 'write a list of lists, the best first: [[+region=eu, +zone=b], [+region=us]]',
    });
  };
  const outer = /^\s*\[(.*)\]\s*$/s.exec(text)?.[1] ?? refuse();
  if (outer.trim() === '') return [];
  if (!/^\s*\[[^[\]]*\](\s*,\s*\[[^[\]]*\])*\s*$/s.test(outer)) refuse();
  return [...outer.matchAll(/\[([^[\]]*)\]/g)].map(([, inner = '']) =>
    inner.split(',').map((part): LeaseConstraint => {
      const [, sign, key, value] = /^\s*["']?([+-])([^=\s"']+)=([^=\s"']+)["']?\s*$/.exec(part) ?? refuse();
      return { isProhibited: sign === '-', key: key ?? '', value: value ?? '' };
    }),
  );
}

export function meetsPreference(locality: Locality, preference: LeasePreference): boolean {
  return preference.every(({ isProhibited, key, value }) => {
    const has = locality.tiers.some((tier) => tier.key === key && tier.value === value);
    return has !== isProhibited;
  });
}

/** Those of the nodes that meet the first preference that any of them meets; all of them when none does. */
export function preferredNodes<N extends { readonly locality: Locality }>(
  nodes: readonly N[],
  preferences: readonly LeasePreference[],
): readonly N[] {
  for (const preference of preferences) {
    const found = nodes.filter((node) => meetsPreference(node.locality, preference));
    if (found.length > 0) return found;
  }
  return nodes;
}
