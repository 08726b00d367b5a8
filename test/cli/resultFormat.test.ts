/** The shapes of `--format`: aligned tables, quoting, and what NULL, tabs, newlines and wide characters do to them. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { formatResult, RESULT_FORMATS, type TextResult } from '../../src/cli/resultFormat.ts';

const test = suite('result formats');

const RESULT: TextResult = {
  tag: 'SELECT 3',
  columns: [
    { name: 'id', isNumeric: true },
    { name: 'name', isNumeric: false },
  ],
  rows: [
    ['1', 'a "quoted", one'],
    ['20', null],
    ['300', 'two\nlines'],
  ],
};

const lines = (...texts: string[]) => `${texts.join('\n')}\n`;

test('table aligns numbers right and continues a cell of several lines below itself', () => {
  assert.is(
    formatResult(RESULT, 'table'),
    lines(
      '  id  | name',
      '------+------------------',
      '    1 | a "quoted", one',
      '   20 | NULL',
      '  300 | two',
      '      | lines',
      '(3 rows)',
    ),
  );
});

test('a wide character takes two columns', () => {
  const result: TextResult = {
    tag: '',
    columns: [
      { name: 'a', isNumeric: false },
      { name: 'b', isNumeric: false },
    ],
    rows: [
      ['日本', 'x'],
      ['abcd', 'y'],
    ],
  };
  assert.is(formatResult(result, 'table'), lines('  a    | b', '-------+----', '  日本 | x', '  abcd | y', '(2 rows)'));
});

test('csv and tsv quote only what would not read back', () => {
  assert.is(formatResult(RESULT, 'csv'), lines('id,name', '1,"a ""quoted"", one"', '20,NULL', '300,"two\nlines"'));
  assert.is(formatResult(RESULT, 'tsv'), lines('id\tname', '1\t"a ""quoted"", one"', '20\tNULL', '300\t"two\nlines"'));
});

test('json keeps numbers that it can hold, and text for the others', () => {
  const result: TextResult = { tag: '', columns: [{ name: 'n', isNumeric: true }], rows: [['7'], ['9007199254740993'], ['1.50'], [null]] };
  assert.equal(JSON.parse(formatResult(result, 'json')), [{ n: 7 }, { n: '9007199254740993' }, { n: '1.50' }, { n: null }]);
});

test('records show a line a column', () => {
  assert.is(
    formatResult({ ...RESULT, rows: RESULT.rows.slice(0, 2) }, 'records'),
    lines('-[ RECORD 1 ]', 'id   | 1', 'name | a "quoted", one', '-[ RECORD 2 ]', 'id   | 20', 'name | NULL', '(2 rows)'),
  );
});

test('raw gives lengths in bytes', () => {
  const result: TextResult = { tag: '', columns: [{ name: 'a', isNumeric: false }], rows: [['é']] };
  assert.is(formatResult(result, 'raw'), lines('# 1 column', '# row 1', '## 2', 'é', '# 1 row'));
});

test('html and sql escape what would break them', () => {
  const result: TextResult = { tag: '', columns: [{ name: 'A b', isNumeric: false }], rows: [["<it's>"]] };
  assert.match(formatResult(result, 'html'), "<td>&lt;it's&gt;</td>");
  assert.match(formatResult(result, 'sql'), `INSERT INTO results VALUES ('<it''s>');`);
  assert.match(formatResult(result, 'sql'), '"A b" STRING');
});

test('a statement without rows shows its tag in every format', () => {
  for (const format of RESULT_FORMATS) {
    assert.is(formatResult({ tag: 'CREATE TABLE', rows: [] }, format), 'CREATE TABLE\n');
    assert.is(formatResult({ tag: 'INSERT 0 2', rows: [] }, format), 'INSERT 2\n');
  }
});

test('a result of no rows keeps its head', () => {
  assert.is(formatResult({ ...RESULT, rows: [] }, 'table'), lines('  id | name', '-----+-------', '(0 rows)'));
});

test.run();
