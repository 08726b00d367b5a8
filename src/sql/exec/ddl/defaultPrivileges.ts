/**
 * ALTER DEFAULT PRIVILEGES and SHOW DEFAULT PRIVILEGES.
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { DEFAULT_KINDS, withDefaultGrant, withoutDefaultGrant } from '../../../catalog/defaultPrivileges.ts';
import { type DatabaseDescriptor, type DefaultPrivilegesOn, type SchemaDescriptor, updated } from '../../../catalog/descriptor.ts';
import { isAdmin, PUBLIC_ROLE, requirePrivileges } from '../../../catalog/privileges.ts';
import { userExists } from '../../../catalog/users.ts';
import type { AlterDefaultPrivileges, Name, ObjectName } from '../../parse/ast.ts';
import type { SchemaChange } from './common.ts';
import { schemaNamed } from './grantTargets.ts';
import { grantees, roleText } from './roleNames.ts';

/** The roles whose new objects are meant: [undefined] for all. 42704, 42501. */
async function creators(change: SchemaChange, roles: readonly Name[] | undefined): Promise<(string | undefined)[]> {
  if (!roles) {
    change.requireAdmin('ALTER DEFAULT PRIVILEGES FOR ALL ROLES');
    return [undefined];
  }
  if (roles.length === 0) return [change.context.user];
  const found: string[] = [];
  for (const name of roles) {
    const role = roleText(change.context, name);
    if (!(await userExists(change.txn, role))) throw new StatementError(SqlState.UndefinedObject, `user or role ${role} does not exist`);
    if (!isAdmin(change.roles) && !change.roles.has(role)) {
      throw new StatementError(SqlState.InsufficientPrivilege, `must be a member of ${role}`);
    }
    found.push(role);
  }
  return found;
}

export async function alterDefaultPrivileges(change: SchemaChange, stmt: AlterDefaultPrivileges): Promise<void> {
  const privileges = requirePrivileges(stmt.privileges, DEFAULT_KINDS[stmt.on]);
  const roles = await creators(change, stmt.roles);
  const names = await grantees(change, stmt.grantees);
  if (stmt.on === 'schemas' && stmt.schemas.length > 0) {
    throw new StatementError(SqlState.InvalidGrantOperation, 'cannot use IN SCHEMA clause when using GRANT/REVOKE ON SCHEMAS');
  }
  for (const { holder, inPublic } of places(change, stmt.schemas)) {
    let entries = holder.defaultPrivileges ?? [];
    for (const role of roles) {
      for (const name of names) {
        const options = { grantOption: stmt.grantOption, grantOptionOnly: stmt.grantOption };
        const edit = stmt.command === 'grant' ? withDefaultGrant : withoutDefaultGrant;
        entries = edit(entries, { role, on: stmt.on, inPublic }, name, privileges, options);
      }
    }
    await change.write(updated(holder, { defaultPrivileges: entries }));
  }
}

interface Place {
  readonly holder: DatabaseDescriptor | SchemaDescriptor;
  readonly inPublic: boolean;
}

/** Where the entries are kept: in the current database, or in schemas; those of schema public in its database. */
function places(change: SchemaChange, schemas: readonly ObjectName[]): Place[] {
  if (schemas.length === 0) return [{ holder: change.database(change.context.names.currentDatabase), inPublic: false }];
  return schemas.map((name) => {
    const { descriptor, database } = schemaNamed(change, name);
    return { holder: descriptor ?? change.database(database.name), inPublic: !descriptor };
  });
}

/** A row of SHOW DEFAULT PRIVILEGES. */
export interface DefaultPrivilegeRow {
  readonly role: string | undefined;
  readonly on: DefaultPrivilegesOn;
  readonly grantee: string;
  readonly privilege: string;
  readonly isGrantable: boolean;
}

/** What new objects of the roles start with, the owner's ALL and everybody's use of types included. */
export async function defaultPrivilegeRows(
  change: SchemaChange,
  shown: { readonly roles: readonly Name[] | undefined; readonly schema: ObjectName | undefined },
): Promise<DefaultPrivilegeRow[]> {
  const { context, snapshot } = change;
  const schema = shown.schema && schemaNamed(change, shown.schema);
  const holder = schema ? (schema.descriptor ?? schema.database) : snapshot.database(context.names.currentDatabase);
  const inPublic = schema !== undefined && !schema.descriptor;
  const entries = (holder?.defaultPrivileges ?? []).filter((entry) => (entry.inPublic === true) === inPublic);
  const roles = shown.roles?.map((name) => roleText(context, name));
  const asked: (string | undefined)[] = !roles ? [undefined] : roles.length === 0 ? [context.user] : roles;
  const rows: DefaultPrivilegeRow[] = [];
  for (const role of asked) {
    for (const on of ['schemas', 'sequences', 'tables', 'types'] as const) {
      const entry = entries.find((one) => one.role === role && one.on === on);
      const add = (grantee: string, privilege: string, isGrantable: boolean): void => {
        rows.push({ role, on, grantee, privilege, isGrantable });
      };
      for (const { grantee, privileges, grantOption = [] } of entry?.grants ?? []) {
        for (const privilege of privileges) add(grantee, privilege, grantOption.includes(privilege) || grantOption.includes('ALL'));
      }
      if (shown.schema) continue;
      if (role !== undefined) add(role, 'ALL', true);
      if (on === 'types' && !entry?.withoutPublicUsage) add(PUBLIC_ROLE, 'USAGE', false);
    }
  }
  const key = (row: DefaultPrivilegeRow): string => [row.role ?? '', row.on, row.grantee, row.privilege].join('\0');
  return rows.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}
