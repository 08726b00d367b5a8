/** docs/sql.md and its drawings are what the grammar, the registries and the limits say today. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { firstWords } from '../../src/sql/parse/parse.ts';
import { sqlPage } from '../../scripts/docs/sqlPage.ts';

const test = suite('docs/sql.md');
const docs = fileURLToPath(new URL('../../docs/', import.meta.url));

test('the page is in step: else run `npm run docs`', async () => {
  const { text, diagrams } = await sqlPage();
  assert.ok(text === readFileSync(`${docs}sql.md`, 'utf8'), 'docs/sql.md is not what the code says: run `npm run docs`');
  assert.equal(readdirSync(`${docs}sql`).sort(), diagrams.map(({ file }) => file).sort());
  const stale = diagrams.filter(({ file, svg }) => readFileSync(`${docs}sql/${file}`, 'utf8') !== svg).map(({ file }) => file);
  assert.equal(stale, [], 'run `npm run docs`');
});

test('every word a statement can begin with has a drawing', async () => {
  const { diagrams } = await sqlPage();
  // What else begins a query is in the drawing of SELECT.
  const drawn = new Set([...diagrams.map(({ name }) => name.split(' ')[0]), 'TABLE', 'VALUES', 'WITH']);
  assert.equal(
    firstWords.filter((word) => !drawn.has(word)),
    [],
  );
});

test.run();
