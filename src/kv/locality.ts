/**
 * Locality: where a node is, as ordered tiers from the widest to the narrowest: `region=eu,zone=b`.
 * Storage destinations and leases match on it.
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

export interface LocalityTier {
  readonly key: string;
  readonly value: string;
}

/** Tiers, widest first, keys distinct. Empty: nowhere in particular. */
export interface Locality {
  readonly tiers: readonly LocalityTier[];
}

export const NO_LOCALITY: Locality = Object.freeze({ tiers: Object.freeze([]) });

/** Reads `key=value,key=value`; empty text is no locality. Throws 22023. */
export function parseLocality(text: string): Locality {
  if (text.trim() === '') return NO_LOCALITY;
  const tiers: LocalityTier[] = [];
  for (const part of text.split(',')) {
    const match = /^\s*([^=\s]+)\s*=\s*([^=\s]+)\s*$/.exec(part);
    if (!match?.[1] || !match[2]) {
      throw new StatementError(SqlState.InvalidParameterValue, `invalid locality tier "${part}" in "${text}"`, {
        hint: 'write tiers as key=value, widest first: region=eu,zone=b',
      });
    }
    const [, key, value] = match;
    if (tiers.some((tier) => tier.key === key)) {
      throw new StatementError(SqlState.InvalidParameterValue, `duplicate locality tier "${key}" in "${text}"`);
    }
    tiers.push({ key, value });
  }
  return { tiers };
}

export function formatLocality(locality: Locality): string {
  return locality.tiers.map((tier) => `${tier.key}=${tier.value}`).join(',');
}

/** True when every tier of `wanted` is among the node's. */
export function matchesLocality(locality: Locality, wanted: Locality): boolean {
  return wanted.tiers.every(({ key, value }) => locality.tiers.some((tier) => tier.key === key && tier.value === value));
}

/**
 * The node's tiers, narrowest first: the order in which a destination is looked for, so that the
 * most specific match wins.
 */
export function tiersByPrecision(locality: Locality): LocalityTier[] {
  return [...locality.tiers].reverse();
}
