/**
 * `npm run sim -- --seed N --steps M`, `--seeds A..B`, or neither: seeds from 1 on until stopped.
 *
 *   --trace          prints what happens, as it happens
 *   --skip 1-20,25   leaves steps out: how a shortened trace is replayed
 *   --shorten N      at most N runs to shorten a failing trace; default 120, 0 for none
 *   --fault a101963  puts a known bug back, which some seed must find (docs/advisories.md)
 *   --summary FILE   keeps in a JSON file how often each operation and fault ran, and goes on where that stopped
 *   --keep-going     goes on after a seed that fails, and notes it in the summary
 *
 * Exits with 1 after the first seed that fails, or at the end when one did.
 */
import { parseArgs } from 'node:util';

import { TEST_FAULTS, type TestFault } from '../../src/base/testFaults.ts';
import { shorten } from './shorten.ts';
import { type RunResult, simulate } from './simulation.ts';
import { formatSteps, parseSteps } from './stepSet.ts';
import { Summary } from './summary.ts';

const STEPS_DEFAULT = 400;
const TRACE_LINES_SHOWN = 60;

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    steps: { type: 'string', default: String(STEPS_DEFAULT) },
    skip: { type: 'string', default: '' },
    shorten: { type: 'string', default: '120' },
    summary: { type: 'string' },
    'keep-going': { type: 'boolean', default: false },
    fault: { type: 'string' },
    trace: { type: 'boolean', default: false },
  },
});

// What nobody awaits must not fail unseen, nor without telling the seed.
let running = '';
process.on('unhandledRejection', (error) => {
  console.log(`\nseed ${running} FAILED: an error that nobody awaits\n${error instanceof Error ? error.stack : String(error)}`);
  console.log(`replay: npm run sim -- --seed ${running} --steps ${values.steps} --trace --shorten 0`);
  process.exit(1);
});

const steps = positive('steps', values.steps);
const skip = parseSteps(values.skip);
const fault = faultNamed(values.fault);
const summary = Summary.open(values.summary, steps - skip.size);

for (const seed of seeds()) {
  if (summary.has(seed)) continue;
  running = String(seed);
  const result = await simulate({ seed: String(seed), steps, skip, fault, ...(values.trace && { tracing: (line) => console.log(line) }) });
  if (result.failure) {
    summary.addFailure(seed, result.failure);
    await report(String(seed), result);
    process.exitCode = 1;
    if (values['keep-going']) continue;
    break;
  }
  summary.add(seed, result.counts);
  console.log(`seed ${seed}: ok, ${steps} steps, trace ${result.digest.slice(0, 16)}`);
}
summary.print();

function* seeds(): Generator<number> {
  if (values.seed !== undefined) {
    yield positive('seed', values.seed);
  } else if (values.seeds !== undefined) {
    const match = /^(\d+)\.\.(\d+)$/.exec(values.seeds);
    if (!match) throw new Error(`--seeds ${values.seeds}: write it as 1..200`);
    for (let seed = Number(match[1]); seed <= Number(match[2]); seed++) yield seed;
  } else {
    for (let seed = 1; ; seed++) yield seed;
  }
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name} ${text}: a whole number is needed`);
  return value;
}

async function report(seed: string, result: RunResult): Promise<void> {
  const { failure } = result;
  if (!failure) return;
  console.log(`\nseed ${seed} FAILED at step ${failure.step}: ${failure.invariant}\n  ${failure.message}\n`);
  if (failure.stack) console.log(`${failure.stack}\n`);
  const runsMax = positive('shorten', values.shorten);
  const shortest = runsMax === 0 ? { skip, result, runs: 0 } : await shorten({ seed, steps, skip, fault, result, runsMax });
  const kept = steps - shortest.skip.size;
  console.log(`shortened to ${kept} of ${steps} steps in ${shortest.runs} runs; the end of its trace:`);
  for (const line of shortest.result.trace.slice(-TRACE_LINES_SHOWN)) console.log(`  ${line}`);
  const shown = shortest.result.failure;
  console.log(`\n  ${shown?.invariant}: ${shown?.message}\n`);
  const skipped = shortest.skip.size > 0 ? ` --skip ${formatSteps(shortest.skip)}` : '';
  const put = fault === undefined ? '' : ` --fault ${fault}`;
  console.log(`replay: npm run sim -- --seed ${seed} --steps ${steps} --trace --shorten 0${skipped}${put}`);
}

function faultNamed(name: string | undefined): TestFault | undefined {
  if (name === undefined) return undefined;
  const found = TEST_FAULTS.find((one) => one === name);
  if (found === undefined) throw new Error(`--fault ${name}: there are ${TEST_FAULTS.join(', ')}`);
  return found;
}
