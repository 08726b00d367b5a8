/**
 * Statements nobody wrote: walks of the grammar, damaged statements of the golden scripts, deep and
 * wide ones, and calls of every function with values of every type.
 *
 * All of it comes from a seeded Random, so a number names a statement for good.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Random } from '../../src/base/random.ts';
import { sqlTypeName } from '../../src/catalog/type.ts';
import type { Param } from '../../src/sql/expr/overload.ts';
import type { FunctionDefinition, FunctionRegistry } from '../../src/sql/expr/registry.ts';
import { grammarModels } from '../../src/sql/parse/grammar/model.ts';
import { splitStatements } from '../../src/sql/parse/parse.ts';
import { punctuation } from '../../src/sql/parse/tokens.ts';

type Pick = <T>(items: readonly T[]) => T;
const picker =
  (random: Random): Pick =>
  <T>(items: readonly T[]) =>
    items[random.int(items.length)] as T;

// ---- values and expressions -------------------------------------------------------------------------

/** Constants of every type, at their edges. */
export const CONSTANTS: readonly string[] = [
  'NULL', '0', '1', '-1', '2', '7', '1000', '2147483647', '2147483648', '9223372036854775807', '-9223372036854775808', '1e300', '-0.0',
  '1.5', '0.1::DECIMAL', "'NaN'::DECIMAL", "'Infinity'::DECIMAL", '1e1000', '0.000000000000000000000000001', '1.5::FLOAT', "'NaN'::FLOAT", "'-inf'::FLOAT",
  '1::INT2', '1::INT4', "''", "'a'", "'abc'::STRING", "'it''s'", "'\u{1F600}é'", "repeat('x', 2000)", "'%_\\'", "'(a|b)*c'", "'2026-01-31'", "'{1,2}'", "'[1,2]'",
  "b'\\x00\\xff'", "''::BYTES", 'true', 'false', "DATE '2026-02-28'", "DATE 'infinity'", "DATE '0001-01-01 BC'", "TIME '23:59:59.999999'",
  "TIMETZ '24:00:00-14'", "TIMESTAMP '2026-03-29 02:30:00'", "TIMESTAMPTZ '2026-03-29 02:30:00+02'", "'infinity'::TIMESTAMP", "INTERVAL '1 mon -3 days 04:05:06'",
  "INTERVAL '178000000 years'", "'11111111-2222-3333-4444-555555555555'::UUID", "'{\"a\": [1, null, {\"b\": \"c\"}]}'::JSONB", "'null'::JSONB", "'[]'::JSONB",
  'ARRAY[1, 2, NULL]', 'ARRAY[]::STRING[]', "ARRAY['a', '']", "'10.0.0.1/8'::INET", "'::1'::INET", "B'1010'", "''::VARBIT", '26::OID', "'pg_class'::REGCLASS",
  "(1, 'a')", '(NULL, NULL)', "'public'::NAME", "'UTC'", "'epoch'", "'YYYY-MM-DD HH24:MI:SS.US TZ'", "'low'::level",
]; // biome-ignore format: one list

const TYPES = [
  'INT', 'INT2', 'INT4', 'FLOAT', 'FLOAT4', 'DECIMAL', 'DECIMAL(5, 2)', 'STRING', 'VARCHAR(3)', 'CHAR', 'BYTES', 'BOOL', 'DATE', 'TIME', 'TIMETZ', 'TIMESTAMP(3)',
  'TIMESTAMPTZ', 'INTERVAL', 'UUID', 'JSONB', 'INET', 'BIT(4)', 'VARBIT', 'OID', 'REGCLASS', 'REGTYPE', 'NAME', 'INT[]', 'STRING[]', 'level', '"char"',
]; // biome-ignore format: one list

const BINARY = [
  '+', '-', '*', '/', '//', '%', '^', '||', '&', '|', '#', '<<', '>>', '=', '<', '<=', '<>', 'AND', 'OR', 'IS DISTINCT FROM', 'LIKE', 'ILIKE', 'SIMILAR TO', '~', '!~*',
  '->', '->>', '#>', '@>', '<@', '&&', '?', 'IN', 'NOT IN',
]; // biome-ignore format: one list

/** An expression over constants and the columns of table t; mostly of types that do not fit. */
export function randomExpression(random: Random, functions: readonly FunctionDefinition[], depth = 3): string {
  const pick = picker(random);
  const inner = (): string => randomExpression(random, functions, depth - 1);
  if (depth <= 0 || random.int(5) === 0) return random.int(4) === 0 ? pick(['a', 'b', 'c', 'd', 't.a', '$1']) : pick(CONSTANTS);
  switch (random.int(12)) {
    case 0:
    case 1:
      return `(${inner()} ${pick(BINARY)} ${inner()})`;
    case 2:
      return `(${inner()})::${pick(TYPES)}`;
    case 3:
      return `CASE WHEN ${inner()} THEN ${inner()} ELSE ${inner()} END`;
    case 4:
      return `${pick(['-', '~', 'NOT ', '+'])}(${inner()})`;
    case 5:
      return `(${inner()}) ${pick(['IS NULL', 'IS NOT TRUE', 'BETWEEN 1 AND 2', "COLLATE 'de'", '[1]', '[1:2]', "AT TIME ZONE 'Europe/Oslo'"])}`;
    case 6:
      return `${inner()} ${pick(['=', '<', '~'])} ${pick(['ANY', 'ALL'])} (${inner()})`;
    case 7:
      return pick([
        `ARRAY[${inner()}, ${inner()}]`,
        `(${inner()}, ${inner()})`,
        `COALESCE(${inner()}, ${inner()})`,
        `IF(${inner()}, ${inner()}, ${inner()})`,
      ]);
    case 8:
      return pick([
        `(SELECT ${inner()})`,
        `EXISTS (SELECT ${inner()} FROM t)`,
        `ARRAY(SELECT ${inner()} FROM t)`,
        `(SELECT max(a) FROM t AS i WHERE i.a < t.a)`,
      ]);
    default: {
      const args = Array.from({ length: random.int(4) }, inner).join(', ');
      const call = `${pick(functions).name}(${args})`;
      const tails = [
        '',
        '',
        '',
        '',
        ` OVER (ORDER BY a)`,
        ` FILTER (WHERE ${pick(['true', 'a > 1'])})`,
        ' OVER (PARTITION BY b ROWS 1 PRECEDING)',
      ];
      return call + pick(tails);
    }
  }
}

/** Functions that wait for somebody or something else, or end sessions, or move time. */
const NOT_CALLED = /^(pg_sleep|pg_terminate_backend|pg_cancel_backend|varve_internal\.|pg_advisory|crdb_internal\.force_)/;

export function callableFunctions(registry: FunctionRegistry): FunctionDefinition[] {
  return registry.all().filter(({ name }) => !NOT_CALLED.test(name));
}

const BY_FAMILY: Readonly<Record<string, readonly string[]>> = {
  int: ['0', '1', '-1', '3', '64', '1000', '100000', '9223372036854775807', '-9223372036854775808', 'NULL::INT'],
  float: ['0.0::FLOAT', '1.5::FLOAT', "'NaN'::FLOAT", "'-inf'::FLOAT", '1e308::FLOAT', '-1e-320::FLOAT', 'NULL::FLOAT'],
  decimal: ['0::DECIMAL', '-1.5::DECIMAL', '123456789012345678901234567890.5', "'NaN'::DECIMAL", "'-Infinity'::DECIMAL", '1e1000::DECIMAL', '1e-1000::DECIMAL'],
  string: [
    "''", "'a'", "'abc'", "'\u{1F600}é'", "'%s %I'", "'(a|b)*c'", "'2026-01-31 12:00:00'", "'UTC'", "'Europe/Oslo'", "'YYYY-MM-DD'", "'hex'", "'base64'", "'day'", "'t'", "'a,b'",
    "repeat('ab', 1000)", "'{\"a\":1}'", "'[1]'", "'root'", "'SELECT'", "'\\x41'", "'zz'", "'1'", 'NULL::STRING', "'$.a[*]'", "'i'", "'['",
  ],
  bytes: ["''::BYTES", "b'\\x00\\xff'", "b'abc'", 'NULL::BYTES'],
  bool: ['true', 'false', 'NULL::BOOL'],
  date: ["DATE '2026-02-28'", "DATE 'infinity'", "DATE '0001-01-01 BC'", "DATE '5874897-12-31'"],
  time: ["TIME '00:00:00'", "TIME '23:59:59.999999'", "TIME '24:00'"],
  timetz: ["TIMETZ '24:00:00-14'", "TIMETZ '10:00+02'"],
  timestamp: ["TIMESTAMP '2026-03-29 02:30:00'", "TIMESTAMP 'infinity'", "TIMESTAMP '0001-01-01 BC'", "TIMESTAMP '294276-12-31 23:59:59.999999'"],
  timestamptz: ["TIMESTAMPTZ '2026-03-29 02:30:00+02'", 'now()', "TIMESTAMPTZ '-infinity'", "TIMESTAMPTZ '294276-12-31 23:59:59.999999+00'"],
  interval: ["INTERVAL '1 mon -3 days 04:05:06'", "INTERVAL '0'", "INTERVAL '178000000 years'", "INTERVAL '-1 us'"],
  uuid: ["'11111111-2222-3333-4444-555555555555'::UUID"],
  json: ["'{\"a\": [1, null, {\"b\": \"c\"}]}'::JSONB", "'null'::JSONB", "'[]'::JSONB", "'\"x\"'::JSONB", "'1e400'::JSONB", 'NULL::JSONB'],
  array: ['ARRAY[1, 2, NULL]', 'ARRAY[]::STRING[]', "ARRAY['a', '']", 'ARRAY[]::INT[]', "ARRAY['a', 'b', 'c']", "ARRAY[1.5]", 'NULL::INT[]'],
  tuple: ["(1, 'a')", '(NULL, NULL)', '()'],
  inet: ["'10.0.0.1/8'::INET", "'::1'::INET", "'255.255.255.255'::INET"],
  bit: ["B'1010'", "''::VARBIT", "B'1'"],
  oid: ['26::OID', "'pg_class'::REGCLASS", '0::OID', '4294967295::OID'],
  enum: ["'low'::level"],
}; // biome-ignore format: lists

/** A call of a function whose arguments mostly are of the types that it takes. */
export function randomCall(random: Random, functions: readonly FunctionDefinition[]): string {
  const pick = picker(random);
  const definition = pick(functions);
  const overload = pick<FunctionDefinition['overloads'][number]>(definition.overloads);
  const argument = (param: Param): string => {
    if (typeof param === 'string' || random.int(8) === 0) return pick(param === 'anyarray' ? (BY_FAMILY['array'] ?? CONSTANTS) : CONSTANTS);
    const known = pick(BY_FAMILY[param.family] ?? CONSTANTS);
    return param.family === 'array' && random.int(2) === 0 ? `ARRAY[]::${sqlTypeName(param)}` : known;
  };
  const args = overload.params.map(argument);
  const { variadic } = overload as { variadic?: Param };
  if (variadic !== undefined) for (let count = random.int(4); count > 0; count--) args.push(argument(variadic));
  if (random.int(10) === 0) args.push(pick(CONSTANTS));
  const call = `${definition.name}(${args.join(', ')})`;
  if (definition.kind === 'generator') return pick([`SELECT * FROM ${call} LIMIT 1000`, `SELECT ${call} LIMIT 1000`]);
  if (definition.kind === 'window') return `SELECT ${call} OVER (ORDER BY a) FROM t`;
  if (definition.kind === 'aggregate')
    return pick([
      `SELECT ${call} FROM t`,
      `SELECT ${call} OVER (ORDER BY a ROWS 1 PRECEDING) FROM t`,
      `SELECT b, ${call} FROM t GROUP BY b`,
    ]);
  return pick([`SELECT ${call}`, `SELECT ${call} FROM t`, `SELECT a FROM t WHERE ${call} IS NOT NULL`]);
}

// ---- the grammar ------------------------------------------------------------------------------------

interface Production {
  readonly type: string;
  readonly name?: string;
  readonly definition?: readonly Production[];
  readonly separator?: Production;
}

const HOLES: Readonly<Record<string, readonly string[]>> = {
  Query: ['SELECT 1', 'SELECT * FROM t', 'VALUES (1, 2)', 'SELECT a FROM t WHERE a > 1 ORDER BY b LIMIT 1', 'TABLE t'],
  Statement: ['SELECT 1', 'INSERT INTO t VALUES (1)', 'SHOW TABLES', 'DELETE FROM t WHERE a = 5'],
  Name: ['t', 'a', 'b', 'u', 'v', 'x1', '"Q q"', 'level', 's', 'public', 'defaultdb', 'root', 'testuser'],
  ObjectName: ['t', 'u', 'v', 's', 'nothing', 'public.t', 'defaultdb.public.u', 'level', 'pg_class', 'system.users', 'w'],
  TablePattern: ['t', '*', 'public.*', 'defaultdb.*', 'u'],
  IndexName: ['t@t_pkey', 'u@ub', 'ub', 't@nope'],
  TypeName: TYPES,
  RoleName: ['root', 'testuser', 'public', 'admin', 'nobody'],
  OptionName: ['detached', 'timezone', 'statement_timeout', 'ttl', 'fillfactor', 'sql.defaults.results_buffer.size', 'application_name'],
  AnyLabel: ['a', 'select', 'x'],
  SignedInteger: ['1', '-1', '0', '9223372036854775807'],
  Identifier: ['t', 'a', 'foo'],
  QuotedIdentifier: ['"A"'],
  Integer: ['0', '1', '99999999999999999999'],
  Decimal: ['1.5'],
  String: ["'x'", "''", "'1 day'", "'nodelocal://1/fuzz'", "'-1s'"],
  Bytes: ["b'x'"],
  BitString: ["B'01'"],
  Placeholder: ['$1'],
  Refused: [''],
};

/** The grammar as a source of statements: every rule of every family, walked at random. */
export class GrammarWalk {
  readonly #families = grammarModels().map(({ family, productions }) => {
    const rules = new Map<string, Production>();
    for (const rule of productions as readonly Production[]) if (rule.name !== undefined) rules.set(rule.name, rule);
    return { family, rules, last: (productions as readonly Production[]).at(-1) };
  });

  /** A statement of a random family that is right, as far as the grammar knows. */
  statement(random: Random, functions: readonly FunctionDefinition[]): string {
    const pick = picker(random);
    const { rules, family, last } = pick(this.#families);
    const start = rules.get('statement') ?? rules.get(family) ?? last;
    const words: string[] = [];
    let budget = 60;
    const terminal = (name: string): void => {
      if (name === 'Expression') words.push(randomExpression(random, functions, 2));
      else if (HOLES[name]) words.push(pick(HOLES[name] as readonly string[]));
      else words.push((punctuation as Readonly<Record<string, string>>)[name] ?? name);
    };
    const walk = (node: Production): void => {
      const parts = node.definition ?? [];
      const all = (): void => {
        for (const part of parts) walk(part);
      };
      budget--;
      switch (node.type) {
        case 'Terminal':
          terminal(node.name ?? '');
          return;
        case 'NonTerminal': {
          const rule = rules.get(node.name ?? '');
          if (rule && budget > -400) walk(rule);
          return;
        }
        case 'Alternation':
          walk(pick(budget > 0 ? parts : parts.slice(0, 1)));
          return;
        case 'Option':
          if (budget > 0 && random.int(3) === 0) all();
          return;
        case 'Repetition':
          for (let i = random.int(3); i > 0 && budget > 0; i--) all();
          return;
        case 'RepetitionMandatoryWithSeparator':
          all();
          for (let i = random.int(3); i > 0 && budget > 0; i--) {
            if (node.separator) walk(node.separator);
            all();
          }
          return;
        default:
          all();
      }
    };
    if (start) walk(start);
    return words.join(' ');
  }
}

// ---- damaged statements -----------------------------------------------------------------------------

/** The statements of the golden scripts, each folder's in order. */
export function goldenStatements(folders: readonly string[]): string[] {
  const root = fileURLToPath(new URL('../golden/', import.meta.url));
  const statements: string[] = [];
  for (const folder of folders) {
    const files = readdirSync(join(root, folder), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    for (const entry of files.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const blocks = readFileSync(join(entry.parentPath, entry.name), 'utf8').matchAll(
        /^(?:exec|query|parse|eval|statement)\b[^\n]*\n([\s\S]*?)^----$/gm,
      );
      for (const [, sql = ''] of blocks) for (const statement of splitStatements(sql).statements) statements.push(statement.sql);
    }
  }
  return statements;
}

const WORDS = /'(?:[^']|'')*'|"[^"]*"|\w+|\s+|[^\w\s]/g;

/** A statement with words lost, repeated, swapped, or taken from another. */
export function damaged(random: Random, corpus: readonly string[]): string {
  const pick = picker(random);
  const words = pick(corpus).match(WORDS) ?? [];
  const donor = pick(corpus).match(WORDS) ?? [''];
  for (let count = 1 + random.int(3); count > 0; count--) {
    const at = random.int(words.length + 1);
    switch (random.int(7)) {
      case 0:
        words.splice(at, 1 + random.int(3));
        break;
      case 1:
        words.splice(at, 0, ...words.slice(at, at + 1 + random.int(4)));
        break;
      case 2: {
        const other = random.int(words.length + 1);
        [words[at], words[other]] = [words[other] ?? ' ', words[at] ?? ' '];
        break;
      }
      case 3:
        words.splice(at, 1, pick(CONSTANTS));
        break;
      case 4:
        words.splice(at, 1, pick(donor));
        break;
      case 5: {
        const from = random.int(donor.length);
        words.splice(at, random.int(4), ' ', ...donor.slice(from, from + 1 + random.int(8)), ' ');
        break;
      }
      default:
        words.splice(at, 1, ` (${words[at] ?? '1'}) `);
    }
  }
  return words.join('');
}

// ---- deep and wide ----------------------------------------------------------------------------------

/** Statements that nest, chain or list `size` times. */
export function oversized(size: number): string[] {
  const repeat = (text: string): string => text.repeat(size);
  const list = (item: (i: number) => string, separator = ', '): string => Array.from({ length: size }, (_, i) => item(i)).join(separator);
  // The work of a join grows with its tables and the rows that it makes of them.
  const tables = (item: (i: number) => string): string[] => Array.from({ length: Math.min(size, 40) }, (_, i) => item(i));
  return [
    `SELECT ${repeat('(')}1${repeat(')')}`,
    `SELECT ${repeat('-')}1`,
    `SELECT ${repeat('- ')}1`,
    `SELECT ${repeat('NOT ')}true`,
    `SELECT ${list(() => '1', ' + ')}`,
    `SELECT ${list(() => 'true', ' AND ')}`,
    `SELECT ${list((i) => `a = ${i}`, ' OR ')} FROM t`,
    `SELECT a FROM t WHERE ${list((i) => `(a = ${i} AND b = '${i}')`, ' OR ')}`,
    `SELECT a FROM t WHERE ${list((i) => `(a = ${i} OR c = ${i})`, ' AND ')}`,
    `SELECT a FROM t WHERE a IN (${list(String)})`,
    `SELECT a FROM t WHERE (a, b) IN (${list((i) => `(${i}, '${i}')`)})`,
    `SELECT ${list(String)}`,
    `SELECT ${list(() => "'x'", ' || ')}`,
    `SELECT 1${repeat('::INT')}`,
    `SELECT ARRAY[${list(String)}]`,
    `SELECT ${repeat('ARRAY[')}1${repeat(']')}`,
    `SELECT ${repeat('abs(')}1${repeat(')')}`,
    `SELECT ${repeat('(SELECT ')}1${repeat(')')}`,
    `SELECT * FROM ${repeat('(SELECT * FROM ')}t${repeat(') AS x')}`,
    `SELECT ${repeat('CASE WHEN true THEN ')}1${repeat(' END')}`,
    `SELECT ${repeat('IF(true, 1, ')}1${repeat(')')}`,
    `SELECT ${repeat('COALESCE(NULL, ')}1${repeat(')')}`,
    `SELECT ${repeat('(1 + ')}1${repeat(')')}`,
    `SELECT ${repeat('(NULL + ')}NULL${repeat(')')}`,
    `SELECT ${repeat('greatest(1, ')}1${repeat(')')}`,
    `SELECT ${repeat('(1, ')}1${repeat(')')} = ${repeat('(1, ')}1${repeat(')')}`,
    `SELECT ${repeat('1 IN (')}1${repeat(')')}`,
    `SELECT ${repeat('~')} 1`,
    `SELECT ${repeat('- ')}'1'`,
    `SELECT ${repeat('- ')}NULL`,
    `SELECT ${repeat('(1 = ')}1${repeat(')')}`,
    `SELECT ${repeat('(1 BETWEEN 0 AND ')}1${repeat(')')}`,
    `SELECT ${repeat('NULLIF(1, ')}1${repeat(')')}`,
    `SELECT ${repeat('CASE 1 WHEN ')}1${repeat(' THEN 1 END')}`,
    `SELECT ${repeat('concat(')}'x'${repeat(')')}`,
    `SELECT ${repeat('(a + ')}1${repeat(')')} FROM t GROUP BY ${repeat('(a + ')}1${repeat(')')}`,
    `SELECT ${repeat('to_json(')}1${repeat(')')}`,
    `SELECT * FROM t WHERE ${repeat('a IN (SELECT a FROM t WHERE ')}true${repeat(')')}`,
    `SELECT * FROM t WHERE ${repeat('EXISTS (SELECT 1 FROM u WHERE t.a = u.a AND ')}true${repeat(')')}`,
    `SELECT CASE ${list((i) => `WHEN a = ${i} THEN ${i}`, ' ')} END FROM t`,
    `SELECT COALESCE(${list(() => 'NULL')})`,
    `SELECT * FROM ${tables((i) => `t AS t${i}`).join(', ')} LIMIT 1`,
    `SELECT * FROM t AS t0 ${tables((i) => `JOIN t AS x${i} ON t0.a = x${i}.a`).join(' ')} LIMIT 1`,
    `${list(() => 'SELECT 1', ' UNION ')}`,
    `${list(() => 'SELECT 1', ' INTERSECT ALL ')}`,
    `VALUES ${list((i) => `(${i})`)}`,
    `INSERT INTO w VALUES ${list((i) => `(${i})`)} ON CONFLICT DO NOTHING`,
    `WITH ${list((i) => `w${i} AS (SELECT ${i === 0 ? '1 AS x' : `x FROM w${i - 1}`})`)} SELECT * FROM w${size - 1}`,
    `WITH ${list((i) => `w${i} AS (SELECT ${i === 0 ? '1 AS x' : `a.x FROM w${i - 1} AS a, w${i - 1} AS b`})`)} SELECT * FROM w${size - 1}`,
    `SELECT ${list((i) => `sum(a + ${i})`)} FROM t`,
    `SELECT ${list((i) => `sum(a) OVER (ORDER BY a + ${i})`)} FROM t`,
    `SELECT a FROM t ORDER BY ${list((i) => `a + ${i}`)}`,
    `SELECT count(*) FROM t GROUP BY ${list((i) => `a + ${i}`)}`,
    `SELECT '${repeat('[')}${repeat(']')}'::JSONB`,
    `SELECT '${repeat('{"a":')}1${repeat('}')}'::JSONB`,
    `SELECT '${repeat('{')}${repeat('}')}'::INT[]`,
    `SELECT '${repeat('(')}${repeat(')')}' ~ '${repeat('(')}${repeat(')')}'`,
    `SELECT '${repeat('a')}' ~ '${repeat('a?')}${repeat('a')}'`,
    `SELECT '${repeat('a')}' ~ '(a|aa)*b'`,
    `SELECT '${repeat('a')}' LIKE '${repeat('%a')}%b'`,
    `SELECT '${repeat('a')}' SIMILAR TO '${repeat('(a')}${repeat(')*')}'`,
    `SELECT ${'1'.repeat(size)}::DECIMAL * ${'1'.repeat(size)}::DECIMAL`,
    `SELECT ${'9'.repeat(size)}`,
    `SELECT 1e${'9'.repeat(Math.min(size, 30))}`,
    `SELECT power(10::DECIMAL, ${size})`,
    `SELECT "${repeat('n')}"`,
    `SELECT 1 AS "${repeat('n')}"`,
    `SELECT ${repeat('a.')}b`,
    `SELECT /*${repeat('/*')}${repeat('*/')}*/ 1`,
    `${repeat(';')}SELECT 1`,
    `${list(() => 'SELECT 1', ';')}`,
    `EXPLAIN ${repeat('EXPLAIN ')}SELECT 1`,
    `CREATE TABLE wide${size} (${list((i) => `c${i} INT`)})`,
    `CREATE TABLE idx${size} (a INT, ${list((i) => `INDEX i${i} (a)`)})`,
    `CREATE TABLE chk${size} (a INT ${list((i) => `CHECK (a > ${-i})`, ' ')})`,
    `CREATE TYPE e${size} AS ENUM (${list((i) => `'l${i}'`)})`,
    `SELECT ${list((i) => `$${i + 1}::INT`)}`,
    `SELECT interval '${repeat('1 day ')}'`,
    `SELECT to_char(now(), '${repeat('YYYY')}')`,
    `SELECT format('${repeat('%s')}', 1)`,
    `PREPARE p${size} AS SELECT ${list((i) => `$${i + 1}::INT`, ' + ')}`,
    `UPDATE t SET ${list(() => 'a = 1')}`,
    `UPDATE t SET c = ${list(() => '1', ' + ')} WHERE a = 1`,
    `GRANT SELECT ON ${list(() => 't')} TO testuser`,
    `SET search_path = ${list((i) => `s${i}`)}`,
  ];
}
