/** The logic-script runner itself: what it reads, what it refuses, and that wrong rows fail. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { type LogicOutcome, LogicRun, sortedRows } from './logicRun.ts';
import { parseLogicScript } from './logicScript.ts';

const test = suite('logic scripts');
const parse = (text: string) => parseLogicScript(text, 'f');

test('a script is read into its directives', () => {
  const [first, second, third, fourth] = parse(
    [
      '# a comment',
      'subtest one',
      'statement error pgcode 42601 at or near',
      'SELEKT',
      '',
      'query IT partialsort(2,1),colnames,retry here',
      'SELECT 1,',
      "  'x'",
      '----',
      'a b',
      '1 x',
      '',
      'onlyif wire',
      'let $v',
      'SELECT 1',
      '',
      'subtest end',
      'user bob',
    ].join('\n'),
  );
  assert.equal(first?.type === 'statement' && [first.subtest, first.error, first.line], [
    'one',
    { code: '42601', pattern: 'at or near' },
    3,
  ]);
  assert.ok(second?.type === 'query');
  assert.equal(second.sort, { partial: [1, 0] });
  assert.equal([second.colnames, second.retry, second.label, second.sql], [true, true, 'here', "SELECT 1,\n  'x'"]);
  assert.equal(
    [second.expected, second.expectedAt],
    [
      ['a b', '1 x'],
      [9, 11],
    ],
  );
  assert.equal(third?.onlyIf, ['wire']);
  assert.equal([fourth?.subtest, fourth?.onlyIf], [undefined, []]);
});

test('a malformed script is refused at its line', () => {
  for (const [text, problem] of [
    ['sleep 1s', 'f:1: scripts never sleep'],
    ['\nfrobnicate', 'f:2: unknown directive'],
    ['statement maybe\nSELECT 1', 'unknown kind of statement'],
    ['statement error\nSELECT 1', 'needs a code or a pattern'],
    ['statement ok\n', 'no SQL'],
    ['query X\nSELECT 1', 'unknown types'],
    ['query I sorted\nSELECT 1', 'unknown option'],
    ['onlyif mysql\nstatement ok\nSELECT 1', 'unknown condition'],
    ['let v\nSELECT 1', 'a variable is written'],
    ['# nothing', 'no directive'],
    ['statement ok\nSELECT 1\n\nskipif wire', 'a condition without a directive'],
  ] as const) {
    assert.throws(
      () => parse(text),
      (error: Error) => error.message.includes(problem),
      text,
    );
  }
});

test('rows are sorted as asked', () => {
  const rows = [
    ['2', 'b'],
    ['1', 'c'],
    ['2', 'a'],
  ];
  assert.equal(sortedRows(rows, 'nosort'), ['2 b', '1 c', '2 a']);
  assert.equal(sortedRows(rows, 'rowsort'), ['1 c', '2 a', '2 b']);
  assert.equal(sortedRows(rows, 'valuesort'), ['1', '2', '2', 'a', 'b', 'c']);
  // Only neighbours that agree in the column change places.
  assert.equal(sortedRows([['1', 'b'], ['1', 'a'], ['0', 'z']], { partial: [0] }), ['1 a', '1 b', '0 z']); // biome-ignore format: rows
});

const OUTCOME: LogicOutcome = { columns: [], rows: [], rowCount: undefined, notices: [], error: undefined };

/** Runs a script against answers given in turn; the message of what failed, or "ok". */
async function verdict(script: string, ...outcomes: Partial<LogicOutcome>[]): Promise<string> {
  const run = new LogicRun('f', {
    place: 'library',
    run: async () => ({ ...OUTCOME, ...(outcomes.length > 1 ? outcomes.shift() : outcomes[0]) }),
    close: async () => {},
  });
  try {
    for (const directive of parse(script)) await run.run(directive);
  } catch (error) {
    return (error as Error).message;
  }
  return 'ok';
}

test('what is not as written fails', async () => {
  const one = { columns: [{ name: 'n', oid: 20 }], rows: [['1']] };
  const error = { code: '42601', message: 'syntax error', hint: 'think' };
  const cases: [string, Partial<LogicOutcome>, string][] = [
    ['statement ok\nS', {}, 'ok'],
    ['statement ok\nS', { error }, '42601'],
    ['statement error pgcode 42601\nS', { error }, 'ok'],
    ['statement error syntax.*HINT: think\nS', { error }, 'ok'],
    ['statement error pgcode 42P01\nS', { error }, '42601'],
    ['statement error other\nS', { error }, 'syntax error'],
    ['statement error x\nS', {}, 'expected an error'],
    ['statement error x\nS', { error: { code: 'XX000', message: 'x' } }, 'XX000'],
    ['statement count 2\nS', { rowCount: 2 }, 'ok'],
    ['statement count 2\nS', { rowCount: 1 }, 'rows affected'],
    ['statement notice NOTICE: hm\nS', { notices: ['NOTICE: hm'] }, 'ok'],
    ['statement notice NOTICE: hm\nS', {}, 'notices'],
    ['query I\nS\n----\n1', one, 'ok'],
    ['query I\nS\n----\n2', one, 'rows'],
    ['query I\nS\n----', one, 'rows'],
    ['query T\nS\n----\n1', one, 'types of n'],
    ['query II\nS\n----\n1', one, 'types of n'],
    ['query I colnames\nS\n----\nn\n1', one, 'ok'],
    ['query I colnames\nS\n----\nm\n1', one, 'rows'],
    ['query I\nS\n----\n1 values hashing to c4ca4238a0b923820dcc509a6f75849b', one, 'ok'],
    ['query I\nS\n----\n1 values hashing to 00000000000000000000000000000000', one, 'f:1'],
    ['query T noticetrace\nS\n----\nNOTICE: hm', { notices: ['NOTICE: hm'] }, 'ok'],
    ['let $v\nS\n\nstatement ok\nS $v', one, 'ok'],
    ['let $v\nS', {}, 'not one value'],
    ['skipif library\nstatement ok\nS', { error }, 'ok'],
    ['onlyif library\nstatement ok\nS', { error }, '42601'],
  ];
  for (const [script, outcome, expected] of cases) {
    const found = await verdict(script, outcome);
    assert.ok(expected === 'ok' ? found === 'ok' : found.includes(expected), `${script}: ${found}`);
  }
});

test('labels hold rows together, and retry waits for the right ones', async () => {
  const rows = (value: string) => ({ columns: [{ name: 'n', oid: 20 }], rows: [[value]] });
  const twice = 'query I nosort same\nS\n\nquery I nosort same\nS';
  assert.is(await verdict(twice, rows('1')), 'ok');
  assert.match(await verdict(twice, rows('1'), rows('2')), /label same/);
  assert.is(await verdict('query I retry\nS\n----\n3', rows('1'), rows('2'), rows('3')), 'ok');
  assert.match(await verdict('query I retry\nS\n----\n3', rows('1')), /rows/);
});

test.run();
