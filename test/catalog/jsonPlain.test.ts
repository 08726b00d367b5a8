/** JSON as plain data: the short way through JSON.parse gives what the exact parser gives. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { Json, jsonFromPlain, jsonToPlain, parseJson } from '../../src/catalog/json.ts';

const test = suite('plain JSON');

/** Both ways from the canonical text of a value. */
function bothWays(text: string): { short: unknown; exact: unknown } {
  const canonical = new Json(parseJson(text)).toString();
  return { short: Json.ofCanonicalText(canonical).toPlain(), exact: jsonToPlain(parseJson(canonical)) };
}

test('any plain value comes back the same either way, the order of keys included', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
      const text = new Json(jsonFromPlain(value)).toString();
      const { short, exact } = bothWays(text.includes('\\u0000') ? 'null' : text);
      assert.equal(short, exact);
      assert.is(JSON.stringify(short), JSON.stringify(exact));
    }),
    { numRuns: 500 },
  );
});

test('numbers that a double holds, and those that none does', () => {
  const digits = (max: number) => fc.stringMatching(new RegExp(`^(0|[1-9][0-9]{0,${max}})$`));
  const number = fc
    .tuple(fc.constantFrom('', '-'), digits(24), fc.option(digits(20)), fc.option(fc.integer({ min: -400, max: 400 })))
    .map(
      ([sign, whole, fraction, exponent]) =>
        `${sign}${whole}${fraction === null ? '' : `.${fraction}`}${exponent === null ? '' : `e${exponent}`}`,
    );
  fc.assert(
    fc.property(number, fc.constantFrom('#', '[#]', '{"a": #}', '[0, #, {"b": [#]}]'), (text, frame) => {
      const { short, exact } = bothWays(frame.replaceAll('#', text));
      assert.equal(short, exact, text);
    }),
    { numRuns: 2000 },
  );
});

test('special cases', () => {
  for (const text of [
    '-0',
    '1.10',
    '9007199254740993',
    '1795000000000001',
    '9999999999999999',
    '1e309',
    '5e-324',
    '123456789012345678901234567890',
  ]) {
    const { short, exact } = bothWays(`{"n": ${text}}`);
    assert.equal(short, exact, text);
  }
  const { short } = bothWays('{"__proto__": 1, "10": 2, "9": 3}');
  assert.equal(Object.keys(short as object), ['9', '10', '__proto__']);
});

test.run();
