/**
 * Shorten: drops steps from a failing run as long as the same invariant still breaks.
 *
 * Greedy: first what comes after the failure, then ever smaller stretches, from the end to the front.
 * Every step throws dice of its own, so what is left does the same things as before as far as it can.
 */
import type { TestFault } from '../../src/base/testFaults.ts';
import { type RunResult, simulate } from './simulation.ts';

export interface Failing {
  readonly seed: string;
  readonly steps: number;
  readonly skip: ReadonlySet<number>;
  readonly fault?: TestFault | undefined;
  readonly result: RunResult;
  /** How many runs may be tried. */
  readonly runsMax: number;
}

export interface Shortened {
  readonly skip: ReadonlySet<number>;
  readonly result: RunResult;
  readonly runs: number;
}

export async function shorten({ seed, steps, skip, fault, result, runsMax }: Failing): Promise<Shortened> {
  let best = { skip, result };
  let runs = 0;
  const attempt = async (dropped: readonly number[]): Promise<boolean> => {
    if (runs >= runsMax || dropped.length === 0) return false;
    runs++;
    const tried = new Set([...best.skip, ...dropped]);
    const outcome = await simulate({ seed, steps, skip: tried, fault });
    if (outcome.failure?.invariant !== result.failure?.invariant) return false;
    best = { skip: tried, result: outcome };
    return true;
  };
  const kept = () => Array.from({ length: steps }, (_, i) => i + 1).filter((step) => !best.skip.has(step));

  const failedAt = result.failure?.step ?? steps;
  await attempt(kept().filter((step) => step > failedAt));
  for (let size = Math.ceil(kept().length / 2); size >= 1 && runs < runsMax; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let end = kept().length; end > 0 && runs < runsMax; end -= size) {
      const list = kept();
      await attempt(list.slice(Math.max(0, end - size), end));
    }
  }
  return { ...best, runs };
}
