/**
 * has_table_privilege and its kin, pg_has_role: what may whom, asked in SQL.
 *
 * Each comes with the object as text or oid, and with the user left out, as text or as oid. Several
 * privileges with commas between them mean any of these; WITH GRANT OPTION asks for the right to pass
 * it on. An oid that is nothing gives NULL, a name that is nothing an error, as in PostgreSQL.
 *
 * Lives elsewhere: the answers (exec/privilegeQuestions.ts).
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { type Bytes as ByteString, utf8Decode } from '../../../base/bytes.ts';
import type { Datum } from '../../../catalog/datum.ts';
import type { ColumnType } from '../../../catalog/type.ts';
import { Bool, Int8, Oid, Text } from '../define.ts';
import type { EvalContext, PrivilegeQuestion } from '../evalContext.ts';
import type { Overload } from '../overload.ts';

type Name = string | number;

const nameOf = (datum: Datum | undefined): Name => (typeof datum === 'string' ? utf8Decode(datum as ByteString) : Number(datum));

async function ask(ctx: EvalContext, question: Omit<PrivilegeQuestion, 'privilege'>, privileges: Datum | undefined): Promise<Datum> {
  let answer: Datum = false;
  for (const one of utf8Decode(privileges as ByteString).split(',')) {
    const held = await ctx.hasPrivilege({ ...question, privilege: one.trim() });
    if (held === undefined) return null;
    if (held) answer = true;
  }
  return answer;
}

/** With the user first or left out, and each part as text or oid; text is preferred. */
function overloads(
  name: string,
  parts: readonly (readonly ColumnType[])[],
  run: (ctx: EvalContext, user: Name, args: readonly Datum[]) => Promise<Datum>,
): Overload[] {
  const combinations = parts.reduce<ColumnType[][]>((lists, types) => lists.flatMap((list) => types.map((type) => [...list, type])), [[]]);
  return combinations.flatMap((params): Overload[] => {
    const preferred = params.every((type) => type !== Oid);
    const common = { name, returns: Bool, volatility: 'stable' as const };
    return [
      { ...common, params, preferred, asyncFn: (ctx, ...args) => run(ctx, ctx.session.user, args) },
      { ...common, params: [Text, ...params], preferred, asyncFn: (ctx, user, ...args) => run(ctx, nameOf(user), args) },
      { ...common, params: [Oid, ...params], asyncFn: (ctx, user, ...args) => run(ctx, nameOf(user), args) },
    ];
  });
}

function onObject(name: string, kind: PrivilegeQuestion['kind']): Overload[] {
  return overloads(name, [[Text, Oid], [Text]], (ctx, user, [object, privileges]) =>
    ask(ctx, { user, kind, object: nameOf(object) }, privileges),
  );
}

/** What there is none of: everybody may, as in CockroachDB. 22023 for an unknown privilege. */
function onNothing(name: string, words: readonly string[]): Overload[] {
  return overloads(name, [[Text, Oid], [Text]], async (_ctx, _user, [, privileges]) => {
    for (const one of utf8Decode(privileges as ByteString).split(',')) {
      const word = one
        .trim()
        .toUpperCase()
        .replace(/ WITH GRANT OPTION$/, '');
      if (words.includes(word)) continue;
      throw new StatementError(SqlState.InvalidParameterValue, `unrecognized privilege type: "${one.trim()}"`);
    }
    return true;
  });
}

export const privilegeFunctions: readonly Overload[] = [
  ...onObject('has_table_privilege', 'table'),
  ...onObject('has_any_column_privilege', 'column'),
  ...onObject('has_sequence_privilege', 'sequence'),
  ...onObject('has_schema_privilege', 'schema'),
  ...onObject('has_database_privilege', 'database'),
  ...onObject('has_type_privilege', 'type'),
  ...onObject('has_function_privilege', 'function'),
  ...onNothing('has_foreign_data_wrapper_privilege', ['USAGE']),
  ...onNothing('has_language_privilege', ['USAGE']),
  ...onNothing('has_server_privilege', ['USAGE']),
  ...onNothing('has_tablespace_privilege', ['CREATE']),
  ...overloads('has_column_privilege', [[Text, Oid], [Text, Int8], [Text]], (ctx, user, [object, column, privileges]) =>
    ask(ctx, { user, kind: 'column', object: nameOf(object), column: nameOf(column) }, privileges),
  ),
  ...overloads('pg_has_role', [[Text, Oid], [Text]], (ctx, user, [role, privileges]) =>
    ask(ctx, { user, kind: 'role', object: nameOf(role) }, privileges),
  ),
];
