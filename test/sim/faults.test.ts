/**
 * The simulator notices known bugs: each that is put back (docs/advisories.md) breaks an invariant in the seed that
 * is kept for it, and the same seed passes without it. A change of what the simulator does makes other traces of the
 * same seeds: `node scripts/sim/hunt.ts` looks for new ones.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { noticed, readFinders } from '../../scripts/sim/hunt.ts';
import { TEST_FAULTS } from '../../src/base/testFaults.ts';

const test = suite('simulation of known bugs');
const finders = readFinders();

for (const fault of TEST_FAULTS) {
  const finder = finders[fault];
  if (finder === undefined) continue;
  const { seed, steps, invariant } = finder;
  test(`seed ${seed} notices ${fault}`, async () => {
    assert.is(await noticed(fault, seed, steps), invariant, 'run node scripts/sim/hunt.ts, and look at what it finds');
  });
}

test.run();
