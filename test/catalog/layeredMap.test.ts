/** LayeredMap against a plain Map, through many changes; earlier maps stay as they were. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { LayeredMap } from '../../src/catalog/layeredMap.ts';

const test = suite('LayeredMap');

test('holds what a map holds, whatever came in whichever step', () => {
  const entry = fc.tuple(fc.integer({ min: 0, max: 400 }), fc.option(fc.integer({ min: 1 }), { nil: undefined, freq: 4 }));
  fc.assert(
    fc.property(fc.array(fc.array(entry, { maxLength: 60 }), { maxLength: 20 }), (steps) => {
      let map = LayeredMap.empty<number, number>();
      const plain = new Map<number, number>();
      const earlier: { map: LayeredMap<number, number>; expected: Map<number, number> }[] = [];
      for (const step of steps) {
        earlier.push({ map, expected: new Map(plain) });
        map = map.with(step);
        for (const [key, value] of step) {
          if (value === undefined) plain.delete(key);
          else plain.set(key, value);
        }
      }
      for (const { map: one, expected } of [...earlier, { map, expected: plain }]) {
        const sorted = (entries: Iterable<[number, number]>) => [...entries].sort((a, b) => a[0] - b[0]);
        assert.equal(sorted(one.entries()), sorted(expected));
        for (const key of [0, 7, 200, 400]) assert.is(one.get(key), expected.get(key));
      }
    }),
    { numRuns: 200 },
  );
});

test('gives entries in the order in which their keys first came', () => {
  const keys = Array.from({ length: 500 }, (_, i) => 500 - i);
  let map = LayeredMap.empty<number, string>();
  for (const key of keys) map = map.with([[key, 'a']]);
  for (const key of [250, 1, 499]) map = map.with([[key, 'b']]);
  assert.equal(
    [...map.entries()].map(([key]) => key),
    keys,
  );
  assert.is(map.get(250), 'b');
});

test.run();
