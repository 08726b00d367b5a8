/**
 * Names of users and roles in statements: CURRENT_USER and its kin, placeholders, and who must exist.
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { PUBLIC_ROLE } from '../../../catalog/privileges.ts';
import { type SystemPrivilege, hasSystemPrivilege } from '../../../catalog/globalPrivileges.ts';
import { normalizeUserName, userExists } from '../../../catalog/users.ts';
import type { Name, RoleName } from '../../parse/ast.ts';
import type { StatementContext } from '../statement.ts';
import type { SchemaChange } from './common.ts';

/** The user a name stands for, in its stored form. Nothing says that there is one. */
export function roleText(context: StatementContext, name: Name): string {
  switch (name.text) {
    case 'current_user':
    case 'current_role':
      return context.user;
    case 'session_user':
      return context.session.vars.get('session_user');
    default:
      return name.text.normalize('NFC').toLowerCase();
  }
}

/** A name that is created, altered or dropped: 42602 and 42939 for those that no user can have. */
export async function validRole(context: StatementContext, name: RoleName): Promise<string> {
  if (!name.placeholder) return normalizeUserName(roleText(context, name));
  return normalizeUserName((await context.evalString(name.placeholder)) ?? '');
}

/** Those who get or lose privileges; `public` is one of them. 42704. */
export async function grantees(change: SchemaChange, list: readonly Name[]): Promise<string[]> {
  const found: string[] = [];
  for (const name of list) {
    const text = roleText(change.context, name);
    if (text !== PUBLIC_ROLE && !(await userExists(change.txn, text))) {
      throw new StatementError(SqlState.UndefinedObject, `user or role ${text} does not exist`);
    }
    found.push(text);
  }
  return found;
}

/** 42501 for a user without the role option or the system privilege of that name. */
export async function requireRoleOption(change: SchemaChange, option: SystemPrivilege): Promise<void> {
  if (await hasSystemPrivilege(change.txn, change.roles, option)) return;
  throw new StatementError(SqlState.InsufficientPrivilege, `user ${change.context.user} does not have ${option} privilege`);
}
