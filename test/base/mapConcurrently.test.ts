import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { mapConcurrently } from '../../src/base/mapConcurrently.ts';

const test = suite('mapConcurrently');

test('keeps the order of results and the bound on calls under way', async () => {
  let running = 0;
  let most = 0;
  const turns = [3, 1, 2, 0, 4, 1];
  const results = await mapConcurrently(turns, 2, async (wait) => {
    most = Math.max(most, ++running);
    for (let turn = 0; turn < wait; turn++) await Promise.resolve();
    running--;
    return wait * 10;
  });
  assert.equal(results, [30, 10, 20, 0, 40, 10]);
  assert.is(most, 2);
  assert.equal(await mapConcurrently([], 4, async () => 1), []);
});

test('throws the first failure after what is under way has ended, and starts nothing more', async () => {
  const started: number[] = [];
  let ended = 0;
  try {
    await mapConcurrently([1, 2, 3, 4], 2, async (n) => {
      started.push(n);
      await Promise.resolve();
      if (n === 1) throw new Error('one');
      await Promise.resolve();
      ended++;
    });
    assert.unreachable();
  } catch (error) {
    assert.is((error as Error).message, 'one');
  }
  assert.equal(started, [1, 2]);
  assert.is(ended, 1);
});

test.run();
