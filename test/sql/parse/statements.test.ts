/** The parser's door: several statements in one text, positions, placeholders, and scripts as tools write them. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { isVarveError } from '../../../src/base/errors.ts';
import type { Expr, InsertStatement, SelectStatement } from '../../../src/sql/parse/ast.ts';
import { parseExpression, parseQuery, parseStatements, parseType } from '../../../src/sql/parse/parse.ts';
import { printExpr, printSelect, printStatement, printType } from '../../../src/sql/parse/printer.ts';

const test = suite('sql statements');

test('each statement has its own text, start and placeholder count', () => {
  const sql = ' ;; SELECT $2, $1 ; -- note\n/* x */ COMMIT;\n;';
  assert.equal(
    parseStatements(sql).map(({ ast, sql: text, start, placeholderCount }) => [ast.kind, text, start, placeholderCount]),
    [
      ['select', 'SELECT $2, $1', 4, 2],
      ['commit', 'COMMIT', 36, 0],
    ],
  );
  assert.equal(parseStatements(' -- nothing\n ; '), []);
});

test('positions count from the start of the whole text', () => {
  const sql = 'SELECT 1;\nSELECT a +\n nope(b) FROM t';
  const select = parseStatements(sql)[1]?.ast as SelectStatement;
  assert.is(select.body.kind, 'selectCore');
  if (select.body.kind !== 'selectCore') return;
  const sum = select.body.targets[0]?.expr as Expr & { kind: 'binary' };
  assert.is(sql.slice(sum.left.pos).startsWith('a +'), true);
  assert.is(sql[sum.pos], '+');
  assert.is(sql.slice(sum.right.pos).startsWith('nope(b)'), true);
});

test('an error in any statement refuses the whole text, with its place in it', () => {
  const sql = 'SELECT 1;\nSELECT 2 FROM;\nSELECT 3';
  try {
    parseStatements(sql);
    assert.unreachable();
  } catch (error) {
    if (!isVarveError(error)) throw error;
    assert.is(error.code, '42601');
    assert.is(error.message, 'at or near "EOF": syntax error');
    assert.is(error.location?.position, sql.indexOf(';\nSELECT 3') + 1);
  }
});

test('a chain of ANDs or ORs may be longer than an expression may be deep', () => {
  const chain = (count: number, op: string): string => Array.from({ length: count }, (_, i) => `a = ${i}`).join(` ${op} `);
  for (const text of [chain(5000, 'OR'), `${chain(3000, 'AND')} OR b`]) {
    const expr = parseExpression(text);
    assert.is(printExpr(expr), text);
    assert.is(printExpr(parseExpression(printExpr(expr))), text);
  }
  assert.throws(() => parseExpression(chain(20_000, 'OR')), /nested more than 10000 levels deep/);
});

test('the parser is whole again after an error', () => {
  assert.throws(() => parseStatements(`SELECT ${'('.repeat(300)}`));
  assert.throws(() => parseStatements('SELECT ((1'));
  assert.is(parseStatements('SELECT ((1))').length, 1);
});

test('expressions, queries and types stand alone, and nothing may follow them', () => {
  assert.is(printExpr(parseExpression(`nextval('s'::regclass)  `)), "nextval('s'::REGCLASS)");
  assert.is(printSelect(parseQuery('table t'), {}), 'SELECT * FROM t');
  assert.equal(
    [
      'character varying(20)',
      'double precision',
      'timestamp(3) with time zone',
      'int[]',
      'numeric(10, 2)',
      'sch.my_type',
      'time without time zone',
    ].map((text) => printType(parseType(text))),
    ['VARCHAR(20)', 'FLOAT8', 'TIMESTAMPTZ(3)', 'INT[]', 'NUMERIC(10,2)', 'sch.my_type', 'TIME'],
  );
  assert.throws(() => parseExpression('1; 2'), /at or near "EOF"/);
  assert.throws(() => parseExpression('1 2'), /at or near "2"/);
  assert.throws(() => parseType('int int'), /at or near "int"/);
});

test('a script as dump tools write it', () => {
  const script = `
    SET statement_timeout = 0; SET client_encoding = 'UTF8'; SET standard_conforming_strings = on;
    SELECT pg_catalog.set_config('search_path', '', false);
    CREATE TABLE "Album" ("AlbumId" INT NOT NULL, "Title" VARCHAR(160) NOT NULL, price NUMERIC(10,2) DEFAULT 0.99 NOT NULL,
      born TIMESTAMP(3) WITHOUT TIME ZONE, CONSTRAINT "PK_Album" PRIMARY KEY  ("AlbumId"));
    ALTER TABLE ONLY public."Album" ADD CONSTRAINT fk FOREIGN KEY ("ArtistId") REFERENCES "Artist" ("ArtistId") ON DELETE NO ACTION ON UPDATE NO ACTION;
    CREATE INDEX "IFK" ON "Album" ("ArtistId");
    ALTER TABLE public.t ALTER COLUMN id SET DEFAULT nextval('public.t_id_seq'::regclass);
    ALTER SEQUENCE public.t_id_seq OWNED BY public.t.id;
    INSERT INTO "Album" VALUES (1, N'For Those About To Rock', -1, '2009/1/1'), (2, E'Balls\\nto', NULL, DEFAULT);
    COMMENT ON TABLE "Album" IS $$it's$$;`;
  assert.equal(
    parseStatements(script).map(({ ast }) => ast.kind),
    [
      'setVariable',
      'setVariable',
      'setVariable',
      'select',
      'createTable',
      'alterTable',
      'createIndex',
      'alterTable',
      'alterSequence',
      'insert',
      'commentOn',
    ],
  );
});

test('a bulk insert keeps every row and value', () => {
  const rows = Array.from({ length: 5000 }, (_, i) => `(${i}, 'name ''${i}''', -${i}.5, NULL, a + ${i}, now())`);
  const insert = parseStatements(`INSERT INTO t VALUES ${rows.join(',\n')}`)[0]?.ast as InsertStatement;
  const body = insert.source?.body;
  assert.is(body?.kind, 'values');
  if (body?.kind !== 'values') return;
  assert.is(body.rows.length, 5000);
  assert.equal(
    body.rows[4321]?.map((value) => printExpr(value)),
    ['4321', "'name ''4321'''", '-4321.5', 'NULL', 'a + 4321', 'now()'],
  );
});

test('storage URIs are redacted, passphrases starred, placeholders filled', () => {
  const ast = parseStatements(
    "BACKUP DATABASE d INTO 's3://b?AWS_SECRET_ACCESS_KEY=x' WITH encryption_passphrase = 'pw', kms = ('aws:///k?AWS_SESSION_TOKEN=1'), incremental_location = $1",
  )[0]?.ast;
  assert.ok(ast);
  const printed = printStatement(ast, {
    replace: (expr) => (expr.kind === 'placeholder' ? "'inc'" : undefined),
  });
  assert.is(
    printed,
    "BACKUP DATABASE d INTO 's3://b?AWS_SECRET_ACCESS_KEY=redacted' WITH encryption_passphrase = '*****', kms = 'aws:///k?AWS_SESSION_TOKEN=redacted', incremental_location = 'inc'",
  );
  const user = parseStatements("CREATE USER u WITH PASSWORD 'pw'")[0]?.ast;
  assert.ok(user);
  assert.is(printStatement(user), "CREATE USER u WITH PASSWORD '*****'");
});

test.run();
