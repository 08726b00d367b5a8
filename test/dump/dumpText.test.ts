/** Literals of a dump, and names that read back as names. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { quoteName } from '../../src/catalog/names.ts';
import { InsertWriter, literalOf, ROWS_PER_INSERT } from '../../src/cli/dumpText.ts';
import { functionNameKeywords, reservedKeywords } from '../../src/sql/parse/keywords.ts';

const test = suite('dump text');

test('a field of COPY becomes a literal of its column', () => {
  assert.is(literalOf('\\N', 'string'), 'NULL');
  assert.is(literalOf('-12', 'int'), '-12');
  assert.is(literalOf('1e+20', 'float'), '1e+20');
  assert.is(literalOf('NaN', 'float'), "'NaN'");
  assert.is(literalOf('-Infinity', 'decimal'), "'-Infinity'");
  assert.is(literalOf('t', 'bool'), 'true');
  assert.is(literalOf('12', 'string'), "'12'");
  assert.is(literalOf("It's", 'string'), "e'It\\'s'");
  assert.is(literalOf('Bär', 'string'), "e'B\\u00E4r'");
  assert.is(literalOf('😀', 'string'), "e'\\U0001F600'");
  assert.is(literalOf('a\\tb\\\\c\\n', 'string'), "e'a\\tb\\\\c\\n'");
  assert.is(literalOf('\\\\x00', 'bytes'), "e'\\\\x00'");
  assert.is(literalOf('', 'string'), "''");
});

test('rows go out a hundred to an INSERT', () => {
  const texts: string[] = [];
  const writer = new InsertWriter({ name: 't', columns: [{ name: 'a', family: 'int' }] }, (text) => texts.push(text));
  for (let i = 0; i < ROWS_PER_INSERT + 1; i++) writer.line(String(i));
  writer.finish();
  assert.is(texts.length, 2);
  assert.is(texts[1], '\nINSERT INTO t (a) VALUES\n\t(100);\n');
});

test('every word that the grammar keeps for itself is quoted as a name', () => {
  const bare = [...reservedKeywords, ...functionNameKeywords].map((word) => word.toLowerCase()).filter((word) => quoteName(word) === word);
  assert.equal(bare, []);
});

test.run();
