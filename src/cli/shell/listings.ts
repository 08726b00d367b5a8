/**
 * `\d` and friends: what each stands for in SQL, and what its argument means.
 *
 * A listing is the text of one or more statements; the shell runs them and prints the results. The
 * argument of a listing is a pattern: `*` and `?` as in psql, `%` and `_` as in LIKE; with a dot
 * the part before it is the schema. `+` and `S` are accepted: S adds system schemas.
 *
 * Source of the names: CockroachDB documentation, page "cockroach sql", section "Commands".
 */
import { quoteLiteral, quoteName } from '../../catalog/names.ts';

/** The listings in the order of the help, with their text there. */
export const LISTINGS: readonly (readonly [command: string, help: string])[] = Object.freeze([
  ['\\l', 'databases'],
  ['\\dn', 'schemas'],
  ['\\d', 'tables, views and sequences'],
  ['\\d NAME', 'columns, indexes and constraints of a table'],
  ['\\dt', 'tables'],
  ['\\dv', 'views'],
  ['\\dm', 'materialized views'],
  ['\\ds', 'sequences'],
  ['\\di', 'indexes'],
  ['\\df', 'functions'],
  ['\\dT', 'types'],
  ['\\du', 'users and roles'],
  ['\\dg', 'the same'],
]);

const RELATION_KINDS: Readonly<Record<string, readonly string[]>> = Object.freeze({
  '': ['r', 'v', 'm', 'S', 'p'],
  t: ['r', 'p'],
  v: ['v'],
  m: ['m'],
  s: ['S'],
  i: ['i', 'I'],
});

/** A psql pattern as a LIKE pattern. */
function likePattern(pattern: string): string {
  return pattern.replaceAll('*', '%').replaceAll('?', '_');
}

/** `schema.name` or `name`, as conditions on two columns; system schemas are left out unless asked for. */
function conditions(pattern: string, schemaColumn: string, nameColumn: string, withSystem: boolean): string {
  const dot = pattern.indexOf('.');
  const tests: string[] = [];
  if (dot >= 0) tests.push(`${schemaColumn} LIKE ${quoteLiteral(likePattern(pattern.slice(0, dot)))}`);
  else if (!withSystem) {
    tests.push(`${schemaColumn} NOT IN ('pg_catalog', 'information_schema', 'crdb_internal', 'pg_extension', 'varve_internal')`);
  }
  const name = dot >= 0 ? pattern.slice(dot + 1) : pattern;
  if (name !== '') tests.push(`${nameColumn} LIKE ${quoteLiteral(likePattern(name))}`);
  return tests.length > 0 ? ` AND ${tests.join(' AND ')}` : '';
}

function relations(kind: string, pattern: string, withSystem: boolean): string {
  const kinds = (RELATION_KINDS[kind] ?? []).map(quoteLiteral).join(', ');
  const isIndex = kind === 'i';
  return `SELECT n.nspname AS "schema", c.relname AS "name",
    CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
      WHEN 'S' THEN 'sequence' ELSE 'index' END AS "type",
    pg_catalog.pg_get_userbyid(c.relowner) AS "owner"${isIndex ? ', t.relname AS "table"' : ''}
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    ${isIndex ? 'JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid' : ''}
    WHERE c.relkind IN (${kinds})${conditions(pattern, 'n.nspname', 'c.relname', withSystem)} ORDER BY 1, 2`;
}

/** `a."B c"` stays as the user wrote it; a name that needs quotes and has none gets them. */
function tableName(text: string): string {
  if (text.includes('"')) return text;
  return text
    .split('.')
    .map((part) => quoteName(part.toLowerCase()))
    .join('.');
}

/** The statements of a listing; undefined when the command is none. */
export function listingStatements(command: string, argument: string): readonly string[] | undefined {
  const match = /^\\(l|d)([A-Za-z]*)(\+?)$/.exec(command);
  if (!match) return undefined;
  const withSystem = match[2]?.includes('S') ?? false;
  const kind = (match[2] ?? '').replace('S', '');
  if (match[1] === 'l') return kind === '' ? ['SHOW DATABASES'] : undefined;
  switch (kind) {
    case '':
      if (argument === '') return [relations('', '', withSystem)];
      if (/[*?%]/.test(argument)) return [relations('', argument, withSystem)];
      return [
        `SHOW COLUMNS FROM ${tableName(argument)}`,
        `SELECT index_name, NOT non_unique AS is_unique, string_agg(column_name || CASE direction WHEN 'DESC' THEN ' DESC' ELSE '' END, ', ' ORDER BY seq_in_index) AS columns
         FROM [SHOW INDEXES FROM ${tableName(argument)}] WHERE NOT implicit AND NOT storing GROUP BY index_name, non_unique ORDER BY index_name`,
        `SELECT constraint_name, constraint_type, details FROM [SHOW CONSTRAINTS FROM ${tableName(argument)}] ORDER BY constraint_name`,
      ];
    case 't':
    case 'v':
    case 'm':
    case 's':
    case 'i':
      return [relations(kind, argument, withSystem)];
    case 'n':
      return [
        `SELECT n.nspname AS "schema", pg_catalog.pg_get_userbyid(n.nspowner) AS "owner" FROM pg_catalog.pg_namespace AS n
         WHERE true${conditions(argument, 'n.nspname', 'n.nspname', withSystem)} ORDER BY 1`,
      ];
    case 'f':
      return [
        `SELECT DISTINCT n.nspname AS "schema", p.proname AS "name", p.prorettype::regtype::STRING AS "result"
         FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
         WHERE true${conditions(argument, 'n.nspname', 'p.proname', withSystem || argument !== '')} ORDER BY 1, 2, 3`,
      ];
    case 'T':
      return [
        `SELECT n.nspname AS "schema", t.typname AS "name" FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
         WHERE true${conditions(argument, 'n.nspname', 't.typname', withSystem)} ORDER BY 1, 2`,
      ];
    case 'u':
    case 'g':
      return [argument === '' ? 'SHOW USERS' : `SELECT * FROM [SHOW USERS] WHERE username LIKE ${quoteLiteral(likePattern(argument))}`];
    default:
      return undefined;
  }
}
