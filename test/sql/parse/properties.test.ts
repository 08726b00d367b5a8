/**
 * Properties of the parser.
 *
 *   Printing: any expression tree prints to text that parses back to the same tree. Trees are made
 *   at random from their nodes, so this also proves that parentheses appear wherever they must.
 *   Refusing: whatever the text, the parser answers with trees or a VarveError, never another error.
 */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { isVarveError } from '../../../src/base/errors.ts';
import type { BinaryOp, Expr, Name, TypeName } from '../../../src/sql/parse/ast.ts';
import { binaryPower } from '../../../src/sql/parse/grammar/expressions.ts';
import { allKeywords, parseExpression, parseStatements, splitStatements } from '../../../src/sql/parse/parse.ts';
import { printExpr } from '../../../src/sql/parse/printer.ts';
import { punctuation } from '../../../src/sql/parse/tokens.ts';
import { stripPositions } from './stripPositions.ts';
import { runs } from '../../support/depth.ts';

const test = suite('sql parser properties');
const pos = 0;

const nameText = fc.oneof(
  fc.constantFrom('a', 'b', 'name', 'select', 'Mixed', 'left', 'if', 'interval', 'x y', '"', 'é', 'values'),
  fc.string({ minLength: 1, maxLength: 4 }),
);
const name: fc.Arbitrary<Name> = nameText.filter((text) => text.isWellFormed()).map((text) => ({ text, pos }));
const typeName: fc.Arbitrary<TypeName> = fc
  .record({
    text: fc.constantFrom('int8', 'string', 'decimal', 'timestamptz', 'varchar', 'my type', 'interval', 'float8', 'char'),
    isArray: fc.boolean(),
  })
  .map(({ text, isArray }) => ({ kind: 'typeName', name: { parts: [{ text, pos }], pos }, args: [], isArray, pos }));

const { expr } = fc.letrec<{ expr: Expr }>((tie) => {
  const e = tie('expr');
  const list = fc.array(e, { maxLength: 3 });
  const some = fc.array(e, { minLength: 1, maxLength: 3 });
  const leaf: fc.Arbitrary<Expr> = fc.oneof(
    fc.nat().map((n): Expr => ({ kind: 'number', text: String(n), isInteger: true, pos })),
    fc.constantFrom('1.5', '.5', '1e10').map((text): Expr => ({ kind: 'number', text, isInteger: false, pos })),
    fc
      .string({ unit: 'binary', maxLength: 6 })
      .filter((s) => s.isWellFormed())
      .map((value): Expr => ({ kind: 'string', value, pos })),
    fc.constantFrom<Expr>(
      { kind: 'null', pos },
      { kind: 'boolean', value: true, pos },
      { kind: 'default', pos },
      { kind: 'placeholder', index: 3, pos },
    ),
    fc.array(name, { minLength: 1, maxLength: 4 }).map((parts): Expr => ({ kind: 'column', parts, pos })),
    fc.string({ maxLength: 5 }).map((value): Expr => ({ kind: 'typedLiteral', type: simpleType('date'), value, pos })),
  );
  const branch: fc.Arbitrary<Expr> = fc.oneof(
    fc.record({
      kind: fc.constant('unary' as const),
      op: fc.constantFrom('-', '+', '~', 'not' as const),
      operand: e,
      pos: fc.constant(pos),
    }) as fc.Arbitrary<Expr>,
    fc.record({
      kind: fc.constant('binary' as const),
      op: fc.constantFrom(...(Object.keys(binaryPower) as BinaryOp[])),
      left: e,
      right: e,
      pos: fc.constant(pos),
    }),
    fc
      .record({
        op: fc.constantFrom('like' as const, 'ilike' as const, 'similarTo' as const),
        negated: fc.boolean(),
        operand: e,
        pattern: e,
        escape: fc.option(e, { nil: undefined }),
      })
      .map((fields): Expr => ({ kind: 'like', ...fields, pos })),
    fc.record({ negated: fc.boolean(), operand: e }).map((fields): Expr => ({ kind: 'isNull', ...fields, pos })),
    fc.record({ negated: fc.boolean(), value: fc.boolean(), operand: e }).map((fields): Expr => ({ kind: 'isTruth', ...fields, pos })),
    fc.record({ negated: fc.boolean(), left: e, right: e }).map((fields): Expr => ({ kind: 'isDistinct', ...fields, pos })),
    fc
      .record({ negated: fc.boolean(), symmetric: fc.boolean(), operand: e, low: e, high: e })
      .map((fields): Expr => ({ kind: 'between', ...fields, pos })),
    fc.record({ negated: fc.boolean(), operand: e, list }).map((fields): Expr => ({ kind: 'inList', ...fields, pos })),
    fc
      .record({
        op: fc.constantFrom('=' as const, '<' as const, '~' as const, 'notLike' as const),
        quantifier: fc.constantFrom('any' as const, 'all' as const),
        left: e,
        right: e,
      })
      .map((fields): Expr => ({ kind: 'quantified', ...fields, pos })),
    fc
      .record({ kind: fc.constantFrom('cast' as const, 'annotate' as const), operand: e, type: typeName })
      .map((fields): Expr => ({ ...fields, pos })),
    fc.record({ operand: e, locale: fc.constantFrom('en', 'de_DE', 'en-US') }).map((fields): Expr => ({ kind: 'collate', ...fields, pos })),
    fc.record({ operand: e, field: fc.option(name, { nil: undefined }) }).map((fields): Expr => ({ kind: 'field', ...fields, pos })),
    fc.record({ operand: e, low: e }).map((fields): Expr => ({ kind: 'subscript', isSlice: false, high: undefined, ...fields, pos })),
    fc
      .record({ operand: e, low: fc.option(e, { nil: undefined }), high: fc.option(e, { nil: undefined }) })
      .map((fields): Expr => ({ kind: 'subscript', isSlice: true, ...fields, pos })),
    fc
      .record({
        operand: fc.option(e, { nil: undefined }),
        whens: fc.array(fc.record({ when: e, then: e }), { minLength: 1, maxLength: 2 }),
        otherwise: fc.option(e, { nil: undefined }),
      })
      .map((fields): Expr => ({ kind: 'case', ...fields, pos })),
    some.map((args): Expr => ({ kind: 'coalesce', args, pos })),
    fc.record({ condition: e, then: e, otherwise: e }).map((fields): Expr => ({ kind: 'if', ...fields, pos })),
    fc
      .record({
        parts: fc.array(name, { minLength: 1, maxLength: 2 }),
        args: some,
        distinct: fc.boolean(),
        filter: fc.option(e, { nil: undefined }),
      })
      .map(
        ({ parts, ...fields }): Expr => ({ kind: 'call', name: { parts, pos }, star: false, orderBy: [], over: undefined, ...fields, pos }),
      ),
    list.map((elements): Expr => ({ kind: 'array', elements, pos })),
    fc
      .record({ elements: list, labels: fc.array(name, { maxLength: 2 }) })
      .map(({ elements, labels }): Expr => ({ kind: 'tuple', elements, labels: elements.length === 0 ? [] : labels, pos })),
  );
  return { expr: fc.oneof({ maxDepth: 4, depthSize: 'small' }, leaf, branch) };
});

function simpleType(text: string): TypeName {
  return { kind: 'typeName', name: { parts: [{ text, pos }], pos }, args: [], isArray: false, pos };
}

test('a printed expression parses to the tree it came from', () => {
  fc.assert(
    fc.property(expr, (tree) => {
      const text = printExpr(tree);
      assert.equal(stripPositions(parseExpression(text)), stripPositions(tree), text);
    }),
    { numRuns: runs(3000) },
  );
});

/** Runs the parser; throws what it must not throw. */
function tryParse(text: string): void {
  splitStatements(text);
  for (const parse of [parseStatements, parseExpression]) {
    try {
      parse(text);
    } catch (error) {
      if (!isVarveError(error)) throw error;
      assert.ok(['42601', '0A000', '54001', '54000'].includes(error.code), `${error.code} ${error.message}`);
      const position = error.location?.position ?? 1;
      assert.ok(position >= 1 && position <= text.length + 1, `position ${position} in a text of ${text.length}`);
    }
  }
}

test('random text gives trees or a syntax error', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 60 }), tryParse), { numRuns: runs(2000) });
});

test('random tokens give trees or a syntax error', () => {
  const word = fc.constantFrom(
    ...allKeywords,
    ...Object.values(punctuation),
    'a',
    't',
    '"Q"',
    "'s'",
    "b'\\x00'",
    '1',
    '2.5',
    '$1',
    '\n',
    '--',
    '/*',
    '*/',
    "'",
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 25 }), (words) => tryParse(words.join(' '))),
    { numRuns: runs(4000) },
  );
});

test('a damaged statement gives trees or a syntax error', () => {
  const statements = [
    "SELECT a, count(*) FROM t JOIN u USING (a) WHERE b = 'x' AND c IN (SELECT 1) GROUP BY a ORDER BY 2 DESC LIMIT 5",
    'CREATE TABLE t (a INT PRIMARY KEY DEFAULT 1, b STRING NOT NULL CHECK (b > 1), INDEX (b DESC), CONSTRAINT f FOREIGN KEY (a) REFERENCES u (x) ON DELETE CASCADE)',
    "INSERT INTO t (a, b) VALUES (1, 'x'), (2, DEFAULT) ON CONFLICT (a) DO UPDATE SET b = excluded.b RETURNING *",
    "BACKUP DATABASE d INTO LATEST IN ('a', 'b') AS OF SYSTEM TIME '-10s' WITH revision_history, kms = ('x', 'y')",
    'ALTER TABLE t ADD COLUMN c INT, DROP COLUMN d CASCADE, ALTER c SET DEFAULT 1, CONFIGURE ZONE USING gc.ttlseconds = 1',
    "RESTORE TABLE a.b FROM '/2020' IN 'x' WITH OPTIONS (into_db = 'y')",
    'SHOW JOBS WHEN COMPLETE (WITH x AS (SHOW JOBS) SELECT job_id FROM x)',
    'GRANT SELECT ON TABLE a, b.* TO bob WITH GRANT OPTION',
  ].map((sql) => sql.split(' '));
  const damage = fc.record({
    words: fc.constantFrom(...statements),
    cut: fc.nat(),
    length: fc.nat({ max: 3 }),
    insert: fc.constantFrom(...allKeywords, '(', ')', ',', '1', "'"),
  });
  fc.assert(
    fc.property(damage, ({ words, cut, length, insert }) => {
      const at = cut % words.length;
      tryParse([...words.slice(0, at), insert, ...words.slice(at + length)].join(' '));
    }),
    { numRuns: runs(4000) },
  );
});

test('deep nesting gives 54001, whatever nests', () => {
  const nests = ['(', 'NOT ', '-(', 'ARRAY[', 'CASE WHEN ', 'f(', '(SELECT ', 'a + (', 'EXISTS (SELECT ', 'a IN ('];
  for (const nest of nests) {
    for (const count of [150, 1000, 100_000]) {
      try {
        parseStatements(`SELECT ${nest.repeat(count)}`);
      } catch (error) {
        if (!isVarveError(error)) throw error;
        if (count > 200) assert.is(error.code, '54001', nest);
        continue;
      }
      assert.unreachable(`${nest} parsed`);
    }
  }
  for (const text of [
    'SELECT * FROM '.concat('('.repeat(5000)),
    'EXPLAIN '.repeat(5000),
    `SELECT 1${' UNION SELECT 1'.repeat(5000)}`,
    `SELECT * FROM a ${'JOIN a '.repeat(5000)}`,
  ]) {
    assert.throws(
      () => parseStatements(text),
      (error: unknown) => isVarveError(error) && error.code === '54001',
    );
  }
});

test.run();
