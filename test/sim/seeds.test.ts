/**
 * The whole system under simulation, for some short seeds (SEEDS=n: so many, CI 60): `npm run sim` runs more and longer
 * ones. A seed that fails prints the command that replays it.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { simulate } from '../../scripts/sim/simulation.ts';
import { formatSteps, parseSteps } from '../../scripts/sim/stepSet.ts';

const test = suite('simulation');
// More would outlast a test file's time.
const SEEDS = Math.min(60, Number(process.env['SEEDS'] ?? 15));
const STEPS = 120;

/** What must have happened over all seeds, or the simulation tests less than it says. */
const HAPPENED = [
  'job BACKUP succeeded',
  'job RESTORE succeeded',
  'restore compared',
  'chain compacted',
  'collection expired',
  'job COMPACT BACKUP succeeded',
  'job DELETE BACKUPS succeeded',
  'housekeeping: verify',
  'collection listed',
  'backup shown',
  'index files lost',
  'data verified by a restore',
  'cluster compared',
  'system tables compared',
  'commit',
  'select as of system time',
  'gc run that removed versions',
  'split',
  'node stop',
  'truncate',
  'pause job',
  'protect timestamp',
];

test(`${SEEDS} seeds hold every invariant, and do what they are for`, async () => {
  const counts = new Map<string, number>();
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { failure, counts: own } = await simulate({ seed: String(seed), steps: STEPS });
    const replay = `npm run sim -- --seed ${seed} --steps ${STEPS}`;
    assert.is(failure, undefined, `${replay}: step ${failure?.step}: ${failure?.invariant}: ${failure?.message}`);
    for (const [what, count] of own) counts.set(what, (counts.get(what) ?? 0) + count);
  }
  for (const what of HAPPENED) assert.ok(counts.has(what), `no "${what}" in ${SEEDS} seeds`);
});

test('the same seed gives the same trace', async () => {
  for (const seed of ['1', '2']) {
    const first = await simulate({ seed, steps: 200 });
    const second = await simulate({ seed, steps: 200 });
    const differs = first.trace.findIndex((line, i) => line !== second.trace[i]);
    assert.is(second.digest, first.digest, `seed ${seed}: line ${differs}: ${first.trace[differs]} | ${second.trace[differs]}`);
  }
});

test('leaving steps out leaves the others what they were', async () => {
  const whole = await simulate({ seed: '5', steps: 60 });
  const cut = await simulate({ seed: '5', steps: 60, skip: parseSteps('41-60') });
  const end = cut.trace.indexOf('end');
  assert.ok(end > 40);
  assert.equal(cut.trace.slice(0, end), whole.trace.slice(0, end));
});

test('sets of steps as text', () => {
  assert.is(formatSteps(parseSteps('7,1-3,9-9')), '1-3,7,9');
  assert.is(formatSteps(new Set()), '');
  assert.throws(() => parseSteps('a'), /neither a step nor a range/);
});

test.run();
