/**
 * docs/sql.md: what Varve's SQL is, statement by statement, made from the code's own registries: the
 * recorded grammar, the table of types, the functions, and the limits' constants.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { TABLE_COLUMNS_MAX } from '../../src/catalog/descriptor.ts';
import { type ColumnType, sqlTypeName, Type } from '../../src/catalog/type.ts';
import { open } from '../../src/index.ts';
import { LOGIN_BYTES_MAX, STARTUP_MICROS } from '../../src/server/pgwire/connection.ts';
import { MESSAGE_BYTES_MAX } from '../../src/server/pgwire/frontendMessages.ts';
import { COLUMNS_MAX } from '../../src/server/pgwire/wireValues.ts';
import { ROW_BYTES_MAX } from '../../src/sql/exec/copy/decode.ts';
import { PREPARED_STATEMENTS_MAX } from '../../src/sql/exec/preparedStatements.ts';
import { PORTALS_MAX } from '../../src/sql/exec/session.ts';
import { ARGUMENTS_MAX } from '../../src/sql/expr/analyzeCall.ts';
import { RESULT_BYTES_MAX } from '../../src/sql/expr/resultSize.ts';
import type { Param } from '../../src/sql/expr/overload.ts';
import type { FunctionDefinition } from '../../src/sql/expr/registry.ts';
import { LOGIC_CHAIN_MAX, NESTING_MAX } from '../../src/sql/parse/grammar/cursor.ts';
import { PARAMETERS_MAX } from '../../src/sql/parse/grammar/primary.ts';
import { STATEMENT_LENGTH_MAX } from '../../src/sql/parse/lexer.ts';
import { type StatementDiagram, statementDiagrams } from './diagrams.ts';

const MIB = 2 ** 20;

const typeText = (type: ColumnType): string => {
  if (type.family === 'unknown') return 'unknown';
  if (type.family === 'void') return 'void';
  return sqlTypeName(type);
};
const paramText = (param: Param): string => (typeof param === 'string' ? param : typeText(param));

/** `(string, int8, ...any)` for each overload. */
function signatures({ overloads }: FunctionDefinition): string {
  const texts = (overloads as readonly { params: readonly Param[]; variadic?: Param }[]).map(({ params, variadic }) => {
    const parts = params.map(paramText);
    if (variadic !== undefined) parts.push(`...${paramText(variadic)}`);
    return `(${parts.join(', ')})`;
  });
  return [...new Set(texts)].join(' ').replaceAll('|', '\\|');
}

function functionTables(definitions: readonly FunctionDefinition[]): string[] {
  const kinds = {
    scalar: 'Functions of a row',
    aggregate: 'Aggregates',
    window: 'Window functions',
    generator: 'Set-returning functions',
  } as const;
  return Object.entries(kinds).flatMap(([kind, title]) => [
    `### ${title}`,
    '',
    '| name | arguments |',
    '| --- | --- |',
    ...definitions
      .filter((definition) => definition.kind === kind)
      .map((definition) => `| \`${definition.name}\` | ${signatures(definition)} |`),
    '',
  ]);
}

/** What the grammar knows and refuses, read from the rules' own words. */
function refusedWords(): string[] {
  const folder = fileURLToPath(new URL('../../src/sql/parse/grammar/', import.meta.url));
  const found = new Set<string>();
  for (const file of readdirSync(folder)) {
    const text = readFileSync(`${folder}${file}`, 'utf8');
    for (const [, what = ''] of text.matchAll(/\b(?:refuse|unimplemented)\(\s*'([^']+)'/g)) found.add(what);
  }
  return [...found].sort((a, b) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1));
}

const drawing = ({ name, file }: StatementDiagram): string[] => [`### ${name}`, '', `![${name}](sql/${file})`, ''];

const LIMITS: readonly (readonly [what: string, limit: string, code: string])[] = [
  ['one message of a client, and so one statement over the wire', `${MESSAGE_BYTES_MAX / MIB} MiB`, '54000, and the connection ends'],
  ['a message before the login is done', `${LOGIN_BYTES_MAX / 1024} KiB`, '54000, and the connection ends'],
  ['a start-up that is not complete', `${STARTUP_MICROS / 1_000_000} s`, 'the connection ends'],
  ['text of one call in the library', `${STATEMENT_LENGTH_MAX / MIB} Mi characters`, '54000'],
  ['nesting of a statement', `${NESTING_MAX} levels`, '54001'],
  ['parameters of a statement', String(PARAMETERS_MAX), '42601'],
  ['ANDs or ORs in a row', String(LOGIC_CHAIN_MAX), '54001'],
  ['arguments of a call', String(ARGUMENTS_MAX), '54023'],
  ['columns of a table', String(TABLE_COLUMNS_MAX), '54011'],
  ['columns of a result', String(COLUMNS_MAX), '54011'],
  [
    'a column family of a row',
    'cluster setting `sql.guardrails.max_row_size_err`; a warning above `sql.guardrails.max_row_size_log`',
    '54000',
  ],
  ['one value that a function makes', `${RESULT_BYTES_MAX / MIB} MiB`, '54000'],
  ['one row of COPY', `${ROW_BYTES_MAX / MIB} MiB`, '54000'],
  ['prepared statements of a session', String(PREPARED_STATEMENTS_MAX), '54000'],
  ['portals of a session', String(PORTALS_MAX), '54000'],
  ['connected clients', 'cluster setting `server.max_connections_per_gateway`, -1 for no limit; root is always let in', '53300'],
  ['memory', '`--memory`, for the library `memoryBytes`', '53200'],
  [
    'time',
    '`statement_timeout`, `lock_timeout`, `transaction_timeout`, `idle_in_transaction_session_timeout`, `idle_session_timeout`',
    '57014 for a statement, 55P03 for a lock, else the transaction or the session ends',
  ],
];

/** The page's text, and the drawings that it shows. Cost: about a second. */
export async function sqlPage(): Promise<{ readonly text: string; readonly diagrams: readonly StatementDiagram[] }> {
  const diagrams = statementDiagrams();
  const db = await open({ seed: 'docs' });
  const functions = db.database.engine.functions.all();
  await db.close();
  const lines = [
    '# SQL',
    '',
    'What Varve understands. `npm run docs` makes this page from the grammar, the function registry and the limits themselves; a test holds them together. How it compares with CockroachDB and PostgreSQL: [compatibility.md](compatibility.md); where it chose: [choices.md](choices.md).',
    '',
    'In the drawings round green boxes are words as written, yellow ones are parts: `Expression`, `Query` and `Statement` stand for any of them, a part with a drawing of its own is under [Parts](#parts).',
    '',
    '## Statements',
    '',
    `${diagrams
      .filter(({ isRule }) => !isRule)
      .map(({ name }) => `[${name}](#${name.toLowerCase().replaceAll(' ', '-')})`)
      .join(' · ')}`,
    '',
    ...diagrams.filter(({ isRule }) => !isRule).flatMap(drawing),
    '## Parts',
    '',
    ...diagrams.filter(({ isRule }) => isRule).flatMap(drawing),
    '## Types',
    '',
    'Every type has an array type, of one dimension. `CREATE TYPE ... AS ENUM` makes further ones.',
    '',
    '| type | family | OID |',
    '| --- | --- | ---: |',
    ...Object.values(Type).map((type) => `| \`${typeText(type)}\` | ${type.family} | ${type.oid} |`),
    '',
    '## Functions',
    '',
    'Operators, casts and what has a syntax of its own (CASE, COALESCE, EXTRACT) are not listed. `anyelement` is any one type, the same for all of them.',
    '',
    ...functionTables(functions),
    '## Limits',
    '',
    '| what | limit | beyond it |',
    '| --- | --- | --- |',
    ...LIMITS.map((row) => `| ${row.join(' | ')} |`),
    '',
    '## Known and refused',
    '',
    'These are read, and answered with 0A000 and their name, besides what [compatibility.md](compatibility.md) lists:',
    '',
    ...refusedWords().map((what) => `- ${what}`),
    '',
  ];
  return { text: lines.join('\n'), diagrams };
}
