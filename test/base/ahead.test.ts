/** One step ahead: order, errors where they belong, and nothing left open. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { Ahead } from '../../src/base/ahead.ts';

const test = suite('ahead');

function source(log: string[], count: number, failsAt = -1) {
  return (async function* () {
    try {
      for (let i = 0; i < count; i++) {
        log.push(`make ${i}`);
        if (i === failsAt) throw new Error(`no ${i}`);
        yield i;
      }
    } finally {
      log.push('closed');
    }
  })();
}

test('the next one is made while the last one is used', async () => {
  const log: string[] = [];
  const ahead = new Ahead(source(log, 3));
  for (let i = await ahead.next(); i !== undefined; i = await ahead.next()) log.push(`use ${i}`);
  assert.is(await ahead.next(), undefined);
  assert.equal(log, ['make 0', 'make 1', 'use 0', 'make 2', 'use 1', 'closed', 'use 2']);
});

test('an error comes when its turn comes', async () => {
  const ahead = new Ahead(source([], 3, 1));
  assert.is(await ahead.next(), 0);
  const error = await ahead.next().catch((thrown: Error) => thrown.message);
  assert.is(error, 'no 1');
});

test('closed early, the source ends and nothing goes on', async () => {
  const log: string[] = [];
  const ahead = new Ahead(source(log, 9));
  await ahead.next();
  await ahead.close();
  assert.equal(log, ['make 0', 'make 1', 'closed']);
  const failing = new Ahead(source([], 3, 0));
  await failing.close();
});

test.run();
