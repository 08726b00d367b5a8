/**
 * SET ROLE: which roles a session may act as. The variable `role` holds the choice, so that it goes
 * back with the transaction and with RESET like any setting; ClientState.user follows it.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { isAdmin, NODE_USER, ROOT_USER } from '../../catalog/privileges.ts';
import { rolesOf, userExists } from '../../catalog/users.ts';
import type { StatementContext } from './statement.ts';

/**
 * The role asked for, or `none` for who connected. Admins may act as anybody but root, others as the
 * roles they are in: 42501. 22023 for a role that does not exist.
 */
export async function permittedRole(context: StatementContext, asked: string): Promise<string> {
  const role = asked.toLowerCase();
  const { sessionUser } = context.session;
  if (role === 'none' || role === sessionUser) return 'none';
  if (!(await userExists(context.reader, role))) {
    throw new StatementError(SqlState.InvalidParameterValue, `role ${role} does not exist`);
  }
  const names = await rolesOf(context.reader, sessionUser);
  if (!names.has(role) && (!isAdmin(names) || role === ROOT_USER || role === NODE_USER)) {
    throw new StatementError(SqlState.InsufficientPrivilege, `permission denied to set role "${role}"`);
  }
  return role;
}
