/**
 * Inverted indexes find what a scan finds: for random documents and parts of them, after random changes,
 * and by the keys alone.
 */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { Json } from '../../src/catalog/datum.ts';
import { containmentKeys, invertedKeysOf } from '../../src/catalog/invertedKeys.ts';
import { jsonFromPlain } from '../../src/catalog/json.ts';
import { Type } from '../../src/catalog/type.ts';
import { open } from '../../src/index.ts';

const test = suite('inverted indexes');

type Plain = null | boolean | number | string | Plain[] | { [key: string]: Plain };

const { document } = fc.letrec<{ document: Plain }>((tie) => ({
  document: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constantFrom<Plain>(null, true, false, 0, 1, 1.5, -2, '', 'a', '1', 'a\u0000b', '\u0002'),
    fc.array(tie('document'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', '', 'a\u0000'), tie('document'), { maxKeys: 3, noNullPrototype: true }),
  ),
}));

/** What PostgreSQL's manual says of @>, written out anew. */
function contains(whole: Plain, part: Plain, isTop = true): boolean {
  if (Array.isArray(part)) return Array.isArray(whole) && part.every((one) => whole.some((other) => contains(other, one, false)));
  if (part !== null && typeof part === 'object') {
    if (whole === null || typeof whole !== 'object' || Array.isArray(whole)) return false;
    return Object.entries(part).every(([key, value]) => Object.hasOwn(whole, key) && contains(whole[key] as Plain, value, false));
  }
  if (isTop && Array.isArray(whole)) return whole.some((one) => one === part);
  return whole === part;
}

test('every container has exactly one of the keys that are looked up', () => {
  fc.assert(
    fc.property(document, document, (whole, part) => {
      const keys = invertedKeysOf(Type.Jsonb, new Json(jsonFromPlain(whole)));
      assert.is(new Set(keys).size, keys.length);
      const wanted = containmentKeys(Type.Jsonb, new Json(jsonFromPlain(part)));
      const found = wanted.filter((key) => keys.includes(key)).length;
      if (contains(whole, part)) assert.is(found, 1);
      else assert.ok(found <= 1);
    }),
    { numRuns: 2000, seed: 7 },
  );
});

test('an index gives what a scan gives, after changes too', async () => {
  const db = await open({ seed: 'inverted' });
  await db.query('CREATE TABLE d (id INT PRIMARY KEY, doc JSONB, INVERTED INDEX by_doc (doc))');
  const plain = fc.sample(document, { numRuns: 120, seed: 3 }).filter((one) => !JSON.stringify(one).includes('\\u0000'));
  for (const [i, one] of plain.entries()) await db.query('INSERT INTO d VALUES ($1, $2)', [i, JSON.stringify(one)]);
  for (let i = 0; i < plain.length; i += 3) {
    await db.query('UPDATE d SET doc = $2 WHERE id = $1', [i, JSON.stringify(plain[(i * 7 + 1) % plain.length] as Plain)]);
    await db.query('DELETE FROM d WHERE id = $1', [i + 1]);
  }
  for (const part of plain.slice(0, 60)) {
    const text = JSON.stringify(part);
    const ids = async (source: string, condition: string, values: string[]): Promise<unknown[]> =>
      (await db.query(`SELECT id FROM ${source} WHERE ${condition} ORDER BY id`, values)).rows.map((row) => Object.values(row)[0]);
    const scanned = await ids('d@d_pkey', 'doc @> $1', [text]);
    assert.equal(await ids('d@by_doc', 'doc @> $1', [text]), scanned, text);
    assert.equal(await ids('d', `doc @> '${text.replaceAll("'", "''")}'`, []), scanned, text);
  }
  await db.close();
});

test.run();
