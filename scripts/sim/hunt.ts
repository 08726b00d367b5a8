/**
 * `node scripts/sim/hunt.ts [SEEDS [STEPS]]`: puts each known bug back, looks for the first seed that notices it, and
 * keeps it in test/sim/faults.json, which test/sim/faults.test.ts runs. For use after a change of what the simulator does:
 * that makes other traces of the same seeds. A seed that is there already, and still does, stays.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

import { TEST_FAULTS, type TestFault } from '../../src/base/testFaults.ts';
import { simulate } from './simulation.ts';

/** By fault: what finds it. */
export type Finders = { [fault in TestFault]?: { readonly seed: number; readonly steps: number; readonly invariant: string } };

const FILE = new URL('../../test/sim/faults.json', import.meta.url);

/** The invariant that breaks with the bug, and does not without it. */
export async function noticed(fault: TestFault, seed: number, steps: number): Promise<string | undefined> {
  const { failure } = await simulate({ seed: String(seed), steps, fault });
  if (failure === undefined) return undefined;
  const { failure: ownFailure } = await simulate({ seed: String(seed), steps });
  return ownFailure === undefined ? failure.invariant : undefined;
}

export function readFinders(): Finders {
  return existsSync(FILE) ? (JSON.parse(readFileSync(FILE, 'utf8')) as Finders) : {};
}

if (import.meta.main) {
  const seedsMax = Number(process.argv[2] ?? 200);
  const steps = Number(process.argv[3] ?? 400);
  const found = readFinders();
  for (const fault of TEST_FAULTS) {
    const known = found[fault];
    if (known && (await noticed(fault, known.seed, known.steps)) !== undefined) continue;
    delete found[fault];
    for (let seed = 1; seed <= seedsMax && found[fault] === undefined; seed++) {
      const invariant = await noticed(fault, seed, steps);
      if (invariant !== undefined) found[fault] = { seed, steps, invariant };
    }
    console.log(`${fault}: ${found[fault] ? JSON.stringify(found[fault]) : `not in ${seedsMax} seeds`}`);
    writeFileSync(FILE, `${JSON.stringify(found, undefined, 2)}\n`);
  }
}
