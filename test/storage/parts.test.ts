/** Files in parts: what fits in one goes whole, as many are on their way as allowed, and none is when it fails. */
import { createHash } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { sendParts, writeInParts } from '../../src/storage/parts.ts';

const test = suite('storage parts');

async function* chunks(...sizes: number[]): AsyncGenerator<Uint8Array> {
  for (const [index, size] of sizes.entries()) yield Buffer.alloc(size, index);
}

test('only what does not fit in one part is sent in parts, each full but the last', async () => {
  for (const [sizes, expected] of [
    [[], ['whole 0']],
    [[10], ['whole 10']],
    [[4, 6], ['whole 10']],
    [
      [4, 7],
      ['part 10', 'part 1'],
    ],
    [[35], ['part 10', 'part 10', 'part 10', 'part 5']],
    [
      [3, 3, 3, 3, 8],
      ['part 10', 'part 10'],
    ],
  ] as const) {
    const calls: string[] = [];
    const hash = createHash('sha256');
    const whole = async (content: Uint8Array) => {
      hash.update(content);
      calls.push(`whole ${content.length}`);
    };
    const inParts = async (parts: AsyncIterable<Uint8Array>) => {
      for await (const part of parts) {
        hash.update(part);
        calls.push(`part ${part.length}`);
      }
    };
    const result = await writeInParts(chunks(...sizes), undefined, whole, inParts, 10);
    assert.equal(calls, [...expected]);
    assert.equal(result, { sizeBytes: sizes.reduce((a: number, b: number) => a + b, 0), sha256: hash.digest('hex') });
  }
});

test('as many parts are on their way as allowed, and what they did comes in order', async () => {
  for (const limit of [1, 2, 4]) {
    let [now, most] = [0, 0];
    const done = await sendParts(chunks(...Array<number>(10).fill(1)), limit, async (part, index) => {
      most = Math.max(most, ++now);
      for (let turn = 0; turn < 10 - index; turn++) await Promise.resolve();
      now--;
      return [index, part[0]];
    });
    assert.is(most, limit);
    assert.equal(
      done,
      Array.from({ length: 10 }, (_, index) => [index, index]),
    );
  }
});

test('a part that fails ends it, when nothing is on its way any more', async () => {
  let [now, sent] = [0, 0];
  const error = await sendParts(chunks(...Array<number>(10).fill(1)), 3, async (_part, index) => {
    now++;
    sent++;
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    now--;
    if (index === 1) throw new Error('part 1 is lost');
  }).catch((thrown: Error) => thrown.message);
  assert.is(error, 'part 1 is lost');
  assert.is(now, 0);
  assert.ok(sent < 10, `${sent} parts`);
});

test.run();
