/**
 * The simulator notices known bugs: each of the eight (docs/advisories.md), put back, breaks an invariant in some seed
 * that passes without it. The seed kept for it is tried first. A change of what the simulator does, or of how many turns
 * something takes, makes other traces of the same seeds; then all seeds are tried from 1 on, and the one to keep is told.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { hunt, noticed, readFinders, SEEDS_MAX } from '../../scripts/sim/hunt.ts';
import { TEST_FAULTS } from '../../src/base/testFaults.ts';

const test = suite('simulation of known bugs');
const kept = readFinders();

for (const fault of TEST_FAULTS) {
  test(`some seed notices ${fault}`, async () => {
    const known = kept[fault];
    if (known && (await noticed(fault, known.seed, known.steps)) !== undefined) return;
    const finder = await hunt(fault);
    assert.ok(finder !== undefined, `none of ${SEEDS_MAX} seeds notices ${fault}`);
    console.log(`${fault} has another seed now: ${JSON.stringify(finder)}; node scripts/sim/hunt.ts ${fault} keeps it`);
  });
}

test.run();
