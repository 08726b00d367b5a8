/**
 * `node scripts/sim/hunt.ts [FAULT...]`: puts known bugs back, each of those named or all eight, looks for the first seed
 * that notices each, and keeps it in test/sim/faults.json, which test/sim/faults.test.ts runs. For use after a change of
 * what the simulator does: that makes other traces of the same seeds. A seed that is there already, and still does, stays.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

import { TEST_FAULTS, type TestFault } from '../../src/base/testFaults.ts';
import { simulate } from './simulation.ts';

/** What finds a fault: with so many steps, the last of which breaks the invariant unless the run's end does. */
export interface Finder {
  readonly seed: number;
  readonly steps: number;
  readonly invariant: string;
}

/** By fault. */
export type Finders = { [fault in TestFault]?: Finder };

export const SEEDS_MAX = 200;
export const STEPS = 400;

const FILE = new URL('../../test/sim/faults.json', import.meta.url);

/** Runs a seed with the bug and, when an invariant breaks, without it; undefined unless only the first run fails. */
export async function noticed(fault: TestFault, seed: number, steps: number): Promise<Finder | undefined> {
  const { failure } = await simulate({ seed: String(seed), steps, fault });
  if (failure === undefined) return undefined;
  // What comes after the failure only costs time.
  const needed = Math.min(steps, failure.step);
  const { failure: ownFailure } = await simulate({ seed: String(seed), steps: needed });
  return ownFailure === undefined ? { seed, steps: needed, invariant: failure.invariant } : undefined;
}

/** The first of the seeds 1 to SEEDS_MAX that notices a fault. */
export async function hunt(fault: TestFault): Promise<Finder | undefined> {
  for (let seed = 1; seed <= SEEDS_MAX; seed++) {
    const finder = await noticed(fault, seed, STEPS);
    if (finder !== undefined) return finder;
  }
  return undefined;
}

export function readFinders(): Finders {
  return existsSync(FILE) ? (JSON.parse(readFileSync(FILE, 'utf8')) as Finders) : {};
}

if (import.meta.main) {
  const named = process.argv.slice(2);
  const unknown = named.find((name) => !TEST_FAULTS.some((fault) => fault === name));
  if (unknown !== undefined) throw new Error(`${unknown}: there are ${TEST_FAULTS.join(', ')}`);
  const found = readFinders();
  for (const fault of TEST_FAULTS) {
    if (named.length > 0 && !named.includes(fault)) continue;
    const known = found[fault];
    const finder = (known && (await noticed(fault, known.seed, known.steps))) ?? (await hunt(fault));
    if (finder === undefined) delete found[fault];
    else found[fault] = finder;
    console.log(`${fault}: ${finder ? JSON.stringify(finder) : `not in ${SEEDS_MAX} seeds`}`);
    writeFileSync(FILE, `${JSON.stringify(found, undefined, 2)}\n`);
  }
}
