/** Representations of enum labels: there is always one between two others, and bytes order as labels do. */
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { utf8Encode } from '../../src/base/bytes.ts';
import { KeyWriter } from '../../src/base/keycode.ts';
import { keyEncoder } from '../../src/catalog/columnCodec.ts';
import { compareDatums } from '../../src/catalog/datum.ts';
import { firstRepresentations, representationBetween } from '../../src/catalog/enumType.ts';
import { enumOf } from '../../src/catalog/type.ts';

const test = suite('enum types');

test('the first representations ascend, for any number of labels', () => {
  for (const count of [0, 1, 2, 3, 7, 255, 256, 1000, 70_000]) {
    const made = firstRepresentations(count);
    assert.is(made.length, count);
    for (const [i, one] of made.entries()) {
      assert.ok(!one.endsWith('00') && one.length > 0);
      if (i > 0) assert.ok((made[i - 1] as string) < one);
    }
  }
  assert.equal(firstRepresentations(3), ['40', '80', 'c0']);
});

test('wherever labels are added, keys order as the labels do', () => {
  const additions = fc.array(fc.nat(), { minLength: 1, maxLength: 120 });
  fc.assert(
    fc.property(fc.nat(5), additions, (count, places) => {
      let physical = firstRepresentations(count);
      for (const place of places) {
        const at = place % (physical.length + 1);
        physical = [...physical.slice(0, at), representationBetween(physical[at - 1], physical[at]), ...physical.slice(at)];
      }
      const members = physical.map((_, i) => `label ${i}`);
      const type = enumOf({ typeId: 60, name: 't', schema: 'public', members, physical });
      const encode = keyEncoder(type, false);
      const keys = members.map((member) => {
        const writer = new KeyWriter();
        encode(writer, utf8Encode(member));
        return writer.finish();
      });
      const compare = compareDatums(type);
      for (let i = 1; i < keys.length; i++) {
        assert.ok((keys[i - 1] as string) < (keys[i] as string));
        assert.ok(compare(utf8Encode(`label ${i - 1}`), utf8Encode(`label ${i}`)) < 0);
      }
    }),
    { numRuns: 60 },
  );
});

test('adding at one end again and again stays short enough', () => {
  let last = firstRepresentations(1)[0];
  for (let i = 0; i < 200; i++) last = representationBetween(last, undefined);
  assert.ok((last as string).length <= 2 * 40);
});

test.run();
