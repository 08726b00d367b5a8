/** The lexer's corners: literals, comments, operators, folding, and what ends inside a literal. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { isVarveError } from '../../../src/base/errors.ts';
import { tokenize } from '../../../src/sql/parse/lexer.ts';
import { splitStatements } from '../../../src/sql/parse/splitStatements.ts';

const test = suite('sql lexer');

/** `type:image` of each token, without EOF. */
const tokens = (sql: string): string =>
  tokenize(sql)
    .slice(0, -1)
    .map((token) => `${token.type.name}:${token.image}`)
    .join(' ');

const cases: [sql: string, expected: string][] = [
  ['SELECT select SeLeCt', 'SELECT:select SELECT:select SELECT:select'],
  ['Foo "Foo" "a""b" _x1$', 'Identifier:foo QuotedIdentifier:Foo QuotedIdentifier:a"b Identifier:_x1$'],
  ['ÄB é', 'Identifier:Äb Identifier:é'],
  ["'it''s' N'x' n''", "String:it's String:x String:"],
  ["'a'\n  'b'", 'String:ab'],
  ["'a' 'b'", 'String:a String:b'],
  [String.raw`E'\n\t\\\'\x41\101\u00e9\U0001F600\q'`, "String:\n\t\\'AAé😀q"],
  [String.raw`'\n'`, 'String:\\n'],
  ["$$it's$$ $tag$a$$b$tag$", "String:it's String:a$$b"],
  [String.raw`b'\x00\xffé' x'00fF' X''`, 'Bytes:\x00\xffÃ© Bytes:\x00\xff Bytes:'],
  ['1 1.5 .5 1. 1e10 1.5E-3 0xFf', 'Integer:1 Decimal:1.5 Decimal:.5 Decimal:1. Decimal:1e10 Decimal:1.5E-3 Integer:0xFf'],
  ['$1 $22', 'Placeholder:1 Placeholder:22'],
  ['a--b\n-c', 'Identifier:a Minus:- Identifier:c'],
  ['a /* x /* y */ z */ b', 'Identifier:a Identifier:b'],
  ['a->>b->c', 'Identifier:a ArrowText:->> Identifier:b Arrow:-> Identifier:c'],
  ['a!=b<>c', 'Identifier:a NotEqual:<> Identifier:b NotEqual:<> Identifier:c'],
  ['x::y:::z', 'Identifier:x DoubleColon::: Identifier:y TripleColon:::: Identifier:z'],
  [
    '!~* !~ ~* ~ !~~* @> <@ ?| ?& || //',
    'NotTildeStar:!~* NotTilde:!~ TildeStar:~* Tilde:~ NotILikeOp:!~~* Contains:@> ContainedBy:<@ QuestionPipe:?| QuestionAmp:?& Concat:|| FloorDiv://',
  ],
  ['a\u00a0b\ufeff', 'Identifier:a Identifier:b'],
  ['\\ $ !', 'Unknown:\\ Unknown:$ Unknown:!'],
];
for (const [sql, expected] of cases) {
  test(sql, () => assert.is(tokens(sql), expected));
}

const bad: [sql: string, message: string, position: number][] = [
  ["SELECT 'x", 'lexical error: unterminated string', 8],
  ['SELECT "x', 'lexical error: unterminated quoted identifier', 8],
  ['/* /* */', 'lexical error: unterminated comment', 1],
  ['$a$ x', 'lexical error: unterminated dollar-quoted string', 1],
  ["x'0g'", 'lexical error: invalid hexadecimal bytes literal', 1],
  ['1e+', 'lexical error: invalid floating point literal', 1],
  ['0x', 'lexical error: invalid hexadecimal numeric literal', 1],
  [String.raw`E'\u12'`, 'lexical error: invalid escape sequence', 3],
  [String.raw`E'\ud800'`, 'lexical error: invalid Unicode surrogate pair', 1],
  [String.raw`E'\xff'`, 'lexical error: invalid UTF-8 byte sequence', 3],
];
for (const [sql, message, position] of bad) {
  test(`refuses ${sql}`, () => {
    try {
      tokenize(sql);
    } catch (error) {
      if (!isVarveError(error)) throw error;
      assert.is(error.code, '42601');
      assert.is(error.message, message);
      assert.is(error.location?.position, position);
      return;
    }
    assert.unreachable('no error');
  });
}

test('offsets cover the text as written', () => {
  const sql = `SELECT "A" , 'b''c'`;
  assert.equal(
    tokenize(sql).map((token) => sql.slice(token.startOffset, token.endOffset)),
    ['SELECT', '"A"', ',', "'b''c'", ''],
  );
});

test('statements are cut at semicolons outside literals', () => {
  const { statements, rest } = splitStatements(`SELECT ';'; ; /* ; */ b ; -- c;\n d`);
  assert.equal(
    statements.map(({ sql, terminated }) => [sql, terminated]),
    [
      ["SELECT ';'", true],
      ['b', true],
      ['d', false],
    ],
  );
  assert.is(rest, '');
});

test('an open literal leaves its whole statement as rest', () => {
  assert.equal(splitStatements("a; SELECT 'x; y"), {
    statements: [{ sql: 'a', terminated: true, start: 0, end: 2 }],
    rest: "SELECT 'x; y",
    openAt: 'string',
  });
  assert.is(splitStatements('SELECT $f$ a; b').openAt, 'dollarString');
  assert.is(splitStatements('SELECT 1 /* ; ').rest, 'SELECT 1 /* ; ');
});

test('a malformed literal is handed on to be refused', () => {
  assert.equal(
    splitStatements("a; SELECT x'0g'; b").statements.map(({ sql, terminated }) => [sql, terminated]),
    [
      ['a', true],
      ["SELECT x'0g'; b", true],
    ],
  );
});

test.run();
