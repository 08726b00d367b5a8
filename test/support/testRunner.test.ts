/** The test runner: each way in which a file can fail turns the totals. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { findTestFiles, formatTotals, judge, runTestFile, runTestFiles } from './testRunner.ts';

const fixture = (name: string) => fileURLToPath(new URL(`./fixtures/${name}.fixture.ts`, import.meta.url));
const testRoot = fileURLToPath(new URL('..', import.meta.url));
const test = suite('test runner');

test('a good file and a bad one: totals of both, output of the bad one, totals last', async () => {
  let written = '';
  const write = (text: string) => {
    written += text;
  };
  const totals = await runTestFiles([fixture('passing'), fixture('failing')], { write });
  assert.equal(totals, { passed: 4, failed: 1, skipped: 1 });
  assert.match(written, /^ok .*passing.fixture.ts: 2 passed, 0 failed, 1 skipped, /m);
  assert.match(written, /^FAIL .*failing.fixture.ts: 2 passed, 1 failed/m);
  assert.match(written, /one is not two/);
  assert.ok(written.endsWith('\n4 passed, 1 failed, 1 skipped\n'));
});

const bad: [name: string, passed: number, failed: number, problem: string][] = [
  ['brokenHook', 0, 2, ''],
  ['crashing', 1, 1, 'exit code 7'],
  ['stopping', 0, 1, 'exit code 1,no totals'],
  ['empty', 0, 1, 'no tests'],
];
for (const [name, passed, failed, problem] of bad) {
  test(`a file that fails beyond its tests: ${name}`, async () => {
    const result = await runTestFile(fixture(name), {});
    assert.equal([result.passed, result.failed, result.problems.join()], [passed, failed, problem], result.output);
  });
}

test('a file that never ends is killed', async () => {
  const result = await runTestFile(fixture('hanging'), { timeoutMs: 300 });
  assert.is(result.failed, 1);
  assert.is(result.problems[0], 'timed out after 0.3 s');
});

test('an interrupted run kills what is running', async () => {
  const result = await runTestFile(fixture('hanging'), { signal: AbortSignal.abort() });
  assert.is(result.failed, 1);
  assert.is(result.problems[0], 'interrupted');
});

test('judging reads the last totals, coloured or not', () => {
  const totals = (total: number, passed: number, skipped: number) =>
    `\n  Total:     ${total}\u001b[32m\n  Passed:    ${passed}\u001b[39m\n  Skipped:   ${skipped}\n  Duration:  1ms\n\n`;
  assert.equal(judge(totals(9, 8, 0) + totals(3, 3, 2), []), { passed: 3, failed: 0, skipped: 2, problems: [] });
  assert.is(judge(totals(3, 3, 0), ['exit code 1']).failed, 1);
  assert.is(judge(totals(3, 1, 0), ['exit code 1']).failed, 2);
  assert.is(judge('all is well, 5 passed', []).failed, 1);
});

test('files are found by suffix and filter', () => {
  const all = findTestFiles(testRoot);
  assert.ok(all.includes(fileURLToPath(import.meta.url)));
  assert.ok(all.every((file) => file.endsWith('.test.ts')));
  assert.equal(findTestFiles(testRoot, ['test/support/testRunner', 'no-such']), [fileURLToPath(import.meta.url)]);
});

test('run.ts fails when nothing matches, with the totals alone on the last line', () => {
  const run = spawnSync(process.execPath, [`${testRoot}/../bin/run.js`, `${testRoot}/run.ts`, 'no-such-file'], { encoding: 'utf8' });
  assert.is(run.status, 1);
  assert.is(run.stdout, 'no test file matches\n0 passed, 1 failed\n');
});

test('the totals line', () => {
  assert.is(formatTotals({ passed: 3, failed: 0, skipped: 0 }), '3 passed, 0 failed');
  assert.is(formatTotals({ passed: 3, failed: 1, skipped: 2 }), '3 passed, 1 failed, 2 skipped');
});
test.run();
