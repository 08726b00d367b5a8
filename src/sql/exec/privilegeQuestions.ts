/**
 * The answers to has_table_privilege and its kin: who is meant, what is meant, and whether it is held.
 *
 * PostgreSQL's words for privileges that are none here mean the nearest one: TRUNCATE is DELETE,
 * REFERENCES is SELECT, TEMPORARY is CREATE, as in CockroachDB.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Descriptor, Privilege, Privileges } from '../../catalog/descriptor.ts';
import { hasPrivilege, isAdmin, mayGrant, PUBLIC_ROLE } from '../../catalog/privileges.ts';
import { administeredRoles, listUsers, rolesOf } from '../../catalog/users.ts';
import type { CatalogSnapshot } from '../../catalog/catalog.ts';
import type { PrivilegeQuestion } from '../expr/evalContext.ts';
import { splitName } from './catalogLookup.ts';
import { schemaOid, userOid } from './oids.ts';
import type { StatementContext } from './statement.ts';

/** What an answer needs of the statement that asks. */
interface AskingStatement extends Pick<StatementContext, 'engine' | 'reader' | 'names' | 'catalog'> {
  /** The catalog once `catalog()` has given it. */
  snapshotNow(): CatalogSnapshot;
}

const NEAREST: Readonly<Record<string, Privilege>> = {
  TRUNCATE: 'DELETE',
  REFERENCES: 'SELECT',
  TRIGGER: 'CREATE',
  TEMPORARY: 'CREATE',
  TEMP: 'CREATE',
};

const WORDS: Readonly<Record<PrivilegeQuestion['kind'], readonly string[]>> = {
  table: ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER', 'RULE'],
  column: ['SELECT', 'INSERT', 'UPDATE', 'REFERENCES'],
  sequence: ['USAGE', 'SELECT', 'UPDATE'],
  schema: ['CREATE', 'USAGE'],
  database: ['CREATE', 'CONNECT', 'TEMPORARY', 'TEMP'],
  type: ['USAGE'],
  function: ['EXECUTE'],
  role: ['USAGE', 'MEMBER'],
};

/** What is asked about: privileges to look at, what everybody may, or nothing at all. */
type Object = { readonly privileges: Privileges } | { readonly everybody: readonly string[] } | undefined;

/** True, false, or undefined when an oid is nothing. 42704 for an unknown user, 22023 for an unknown privilege, the object's own error for a name. */
export async function answer(context: AskingStatement, question: PrivilegeQuestion): Promise<boolean | undefined> {
  const [, word = '', , option] = /^([A-Z ]*?)( WITH (GRANT|ADMIN) OPTION)?$/.exec(question.privilege.toUpperCase()) ?? [];
  if (!WORDS[question.kind].includes(word)) {
    throw new StatementError(SqlState.InvalidParameterValue, `unrecognized privilege type: "${question.privilege}"`);
  }
  const user = await userNamed(context, question.user);
  if (user === undefined) return undefined;
  const names = user === PUBLIC_ROLE ? new Set([PUBLIC_ROLE]) : await rolesOf(context.reader, user);
  if (question.kind === 'role') return await inRole(context, user, names, question.object, option !== undefined);
  await context.catalog();
  const object = objectOf(context, question);
  if (!object) return undefined;
  if ('everybody' in object) return (object.everybody.includes(word) && option === undefined) || isAdmin(names);
  const privilege = NEAREST[word] ?? (word as Privilege);
  return option === undefined ? hasPrivilege(names, object.privileges, privilege) : mayGrant(names, object.privileges, privilege);
}

async function userNamed(context: AskingStatement, user: string | number): Promise<string | undefined> {
  if (user === PUBLIC_ROLE || user === 0) return PUBLIC_ROLE;
  const users = await listUsers(context.reader);
  const found = users.find(({ username }) => (typeof user === 'number' ? userOid(username) === user : username === user));
  if (!found && typeof user === 'string') throw new StatementError(SqlState.UndefinedObject, `role "${user}" does not exist`);
  return found?.username;
}

async function inRole(
  context: AskingStatement,
  user: string,
  names: ReadonlySet<string>,
  role: string | number,
  withAdmin: boolean,
): Promise<boolean | undefined> {
  const name = await userNamed(context, role);
  if (name === undefined) return undefined;
  if (isAdmin(names)) return true;
  return withAdmin ? (await administeredRoles(context.reader, user)).get(name) === true : names.has(name);
}

function objectOf(context: AskingStatement, { kind, object, column }: PrivilegeQuestion): Object {
  const snapshot = context.snapshotNow();
  const { virtualTables } = context.engine;
  const own = (descriptor: Descriptor | undefined): Object => descriptor && { privileges: descriptor.privileges };
  switch (kind) {
    case 'table':
    case 'column':
    case 'sequence': {
      const virtual =
        typeof object === 'number'
          ? virtualTables.all().find((one) => one.oid === object)
          : virtualTables.get(splitName(object).at(-2) ?? 'pg_catalog', splitName(object).at(-1) ?? '');
      if (virtual) return { everybody: ['SELECT'] };
      const table =
        typeof object === 'number' ? snapshot.tableById(object) : snapshot.requireTable(splitName(object), context.names).descriptor;
      if (kind === 'sequence' && table && !table.sequence) {
        throw new StatementError(SqlState.WrongObjectType, `"${table.name}" is not a sequence`);
      }
      if (table && column !== undefined && !table.columns.some((one) => one.name === column || one.id === column)) {
        if (typeof column === 'number') return undefined;
        throw new StatementError(SqlState.UndefinedColumn, `column "${column}" of relation "${table.name}" does not exist`);
      }
      return own(table);
    }
    case 'database':
      return own(typeof object === 'number' ? snapshot.databaseById(object) : snapshot.requireDatabase(splitName(object).join('.')));
    case 'schema':
      return schemaObject(context, object);
    case 'type': {
      if (typeof object === 'number') return own(snapshot.typeById(object - 100_000)) ?? { everybody: ['USAGE'] };
      return own(snapshot.resolveType(splitName(object), context.names)?.descriptor) ?? { everybody: ['USAGE'] };
    }
    case 'function': {
      // By name, or as `f(int)`: those that are built in are everybody's.
      const named = typeof object === 'number' ? [] : snapshot.resolveFunctions(splitName(object.replace(/\(.*$/s, '')), context.names);
      const found = typeof object === 'number' ? snapshot.functionById(object - 100_000) : named[0];
      return own(found) ?? { everybody: ['EXECUTE'] };
    }
    case 'role':
      return undefined;
  }
}

/** Everybody may use the virtual schemas, and public where it has no privileges of its own: who creates there is a matter of the database. */
function schemaObject(context: AskingStatement, object: string | number): Object {
  const snapshot = context.snapshotNow();
  const { virtualTables } = context.engine;
  if (typeof object === 'string' && virtualTables.hasSchema(splitName(object).at(-1) ?? '')) return { everybody: ['USAGE'] };
  const database = snapshot.database(context.names.currentDatabase);
  if (!database) return undefined;
  const schemas = snapshot.schemasOf(database, { withTemporary: true });
  const found = schemas.find((one) =>
    typeof object === 'number' ? schemaOid(database.id, one.name) === object : one.name === splitName(object).at(-1),
  );
  if (!found) {
    if (typeof object === 'number') return { everybody: ['USAGE'] };
    throw new StatementError(SqlState.InvalidSchemaName, `schema "${object}" does not exist`);
  }
  const own = found.descriptor?.privileges ?? database.publicSchema;
  if (own) return { privileges: own };
  const grants = [...database.privileges.grants, { grantee: PUBLIC_ROLE, privileges: ['USAGE' as const] }];
  return { privileges: { ...database.privileges, grants } };
}
