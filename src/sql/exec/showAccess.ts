/**
 * SHOW USERS and ROLES, SHOW GRANTS ON ROLE, SHOW SYSTEM GRANTS, SHOW DEFAULT PRIVILEGES.
 *
 * Who may not read the system tables with users and members is not shown them either, as in CockroachDB.
 *
 * Lives elsewhere: SHOW GRANTS on objects (showGrants.ts).
 */
import type { Datum } from '../../catalog/datum.ts';
import { GLOBAL_PATH, pathGrants } from '../../catalog/globalPrivileges.ts';
import { checkPrivilege } from '../../catalog/privileges.ts';
import { systemTable } from '../../catalog/systemRows.ts';
import { systemTables } from '../../catalog/systemTables.ts';
import { arrayOf, type ColumnType, Type } from '../../catalog/type.ts';
import { listUsers } from '../../catalog/users.ts';
import type { Show } from '../parse/ast.ts';
import type { RunContext } from './context.ts';
import { SchemaChange } from './ddl/common.ts';
import { defaultPrivilegeRows } from './ddl/defaultPrivileges.ts';
import { roleText } from './ddl/roleNames.ts';
import { text, textOrNull } from './virtual/support.ts';

type ShownAccess = Extract<Show, { what: 'users' | 'roles' | 'grantsOnRole' | 'systemGrants' | 'defaultPrivileges' }>;

const USER_COLUMNS = { username: Type.String, options: Type.String, member_of: arrayOf(Type.String) };

export const ACCESS_COLUMNS: Readonly<Record<ShownAccess['what'], Readonly<Record<string, ColumnType>>>> = {
  users: USER_COLUMNS,
  roles: USER_COLUMNS,
  grantsOnRole: { role_name: Type.String, member: Type.String, is_admin: Type.Bool },
  systemGrants: { grantee: Type.String, privilege_type: Type.String, is_grantable: Type.Bool },
  defaultPrivileges: {
    role: Type.String,
    for_all_roles: Type.Bool,
    object_type: Type.String,
    grantee: Type.String,
    privilege_type: Type.String,
    is_grantable: Type.Bool,
  },
};

export async function showAccess(context: RunContext, stmt: ShownAccess): Promise<Datum[][]> {
  switch (stmt.what) {
    case 'users':
    case 'roles':
      checkPrivilege(await context.roles(), systemTables.users.desc, 'SELECT');
      return (await listUsers(context.reader)).map((user) => [text(user.username), text(user.options.join(', ')), user.memberOf.map(text)]);
    case 'grantsOnRole': {
      checkPrivilege(await context.roles(), systemTables.role_members.desc, 'SELECT');
      const roles = new Set(stmt.roles.map((name) => roleText(context, name)));
      const members = new Set(stmt.members.map((name) => roleText(context, name)));
      return (await systemTable('role_members').scan(context.reader))
        .map((row) => ({ role: String(row['role']), member: String(row['member']), isAdmin: row['isAdmin'] === true }))
        .filter(({ role, member }) => (roles.size === 0 || roles.has(role)) && (members.size === 0 || members.has(member)))
        .map(({ role, member, isAdmin }): Datum[] => [text(role), text(member), isAdmin]);
    }
    case 'systemGrants': {
      const wanted = new Set(stmt.grantees.map((name) => roleText(context, name)));
      return (await pathGrants(context.reader, GLOBAL_PATH)).flatMap(({ grantee, privileges, grantOption }) =>
        wanted.size === 0 || wanted.has(grantee)
          ? privileges.map((privilege): Datum[] => [
              text(grantee),
              text(privilege),
              grantOption.includes(privilege) || grantOption.includes('ALL'),
            ])
          : [],
      );
    }
    case 'defaultPrivileges':
      return (await defaultPrivilegeRows(await SchemaChange.begin(context), stmt)).map((row): Datum[] => [
        textOrNull(row.role),
        row.role === undefined,
        text(row.on),
        text(row.grantee),
        text(row.privilege),
        row.isGrantable,
      ]);
  }
}
