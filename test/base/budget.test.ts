/** Counting against one number. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { Budget } from '../../src/base/budget.ts';
import { formatByteSize, parseByteSize } from '../../src/base/byteSize.ts';

const budget = suite('base: budget');

budget('uses the gauge and every holding, each once', () => {
  let data = 600;
  const memory = new Budget(1000, () => data);
  const first = memory.hold('sorts');
  const second = memory.hold('sorts');
  first.resize(100);
  second.resize(50);
  second.resize(120);
  assert.is(memory.usedBytes, 820);
  assert.is(memory.buffered('sorts'), 220);
  assert.is(memory.buffered('results'), 0);
  assert.not.ok(memory.isAboveSoft);
  data = 640;
  assert.ok(memory.isAboveSoft);
  assert.ok(memory.fits(140));
  assert.not.ok(memory.fits(141));
  assert.not.ok(memory.isExceeded);
  data = 800;
  assert.ok(memory.isExceeded);
  first.release();
  first.release();
  second.release();
  assert.is(memory.usedBytes, 800);
});

budget('no limit is never reached', () => {
  const memory = new Budget(Number.POSITIVE_INFINITY, () => Number.MAX_SAFE_INTEGER);
  assert.ok(memory.fits(Number.MAX_SAFE_INTEGER));
  assert.not.ok(memory.isAboveSoft);
});

budget('sizes are read and written', () => {
  for (const [text, bytes] of [
    ['512MB', 512e6],
    ['2GiB', 2 ** 31],
    ['1.5 k', 1536],
    ['1000', 1000],
  ] as const) {
    assert.is(parseByteSize(text), bytes);
  }
  for (const text of ['', 'much', '-1', '1 XB', '1e9']) assert.is(parseByteSize(text), undefined, text);
  assert.is(formatByteSize(2 ** 31), '2 GiB');
  assert.is(formatByteSize(1023), '1023 B');
});

budget.run();
