/**
 * Users and roles: rows of system.users, role_members and role_options. A role is a user that
 * cannot log in; membership passes privileges on, at any depth. root and admin cannot be removed,
 * and root is a member of admin. Passwords come with authentication.
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { KvReader, Txn } from '../kv/kv.ts';

import { ADMIN_ROLE, NODE_USER, PUBLIC_ROLE, ROOT_USER } from './privileges.ts';
import { systemTable } from './systemRows.ts';

export interface UserInfo {
  readonly username: string;
  readonly isRole: boolean;
  /** `CREATEDB`, `NOLOGIN`, `VALID UNTIL=…`: sorted. */
  readonly options: readonly string[];
  /** Roles it is a direct member of, sorted. */
  readonly memberOf: readonly string[];
}

const USER_NAME = /^[\p{Ll}0-9_][---\p{Ll}0-9_.]*$/u;
const NAME_LENGTH_MAX = 63;

/** The stored form: lower case. Throws 42602 for what is no user name, 42939 for a reserved one. */
export function normalizeUserName(name: string): string {
  const normal = name.normalize('NFC').toLowerCase();
  if (!USER_NAME.test(normal) || normal.length > NAME_LENGTH_MAX) {
    throw new StatementError(SqlState.InvalidName, `username "${name}" is invalid`, {
      hint: 'usernames are case insensitive, must start with a letter, digit or underscore, may contain letters, digits, dashes, periods, or underscores, and must not exceed 63 characters',
    });
  }
  if (normal === PUBLIC_ROLE || normal === NODE_USER || normal === 'none') {
    throw new StatementError(SqlState.ReservedName, `role name "${normal}" is reserved`);
  }
  return normal;
}

export async function userExists(reader: KvReader, name: string): Promise<boolean> {
  return name === NODE_USER || (await systemTable('users').get(reader, name)) !== undefined;
}

/** Throws 42704. */
export async function requireUser(reader: KvReader, name: string): Promise<void> {
  if (!(await userExists(reader, name))) throw new StatementError(SqlState.UndefinedObject, `role/user "${name}" does not exist`);
}

/** Throws 42710 when it exists already. */
export async function createUser(txn: Txn, name: string, options: { isRole?: boolean; options?: readonly string[] } = {}): Promise<void> {
  const username = normalizeUserName(name);
  const isRole = options.isRole ?? false;
  if (await userExists(txn, username)) {
    throw new StatementError(SqlState.DuplicateObject, `a ${isRole ? 'role' : 'user'} named ${username} already exists`);
  }
  await systemTable('users').upsert(txn, { username, hashedPassword: null, isRole });
  if (isRole && !options.options?.includes('LOGIN')) await setRoleOption(txn, username, 'NOLOGIN');
  for (const option of options.options ?? []) await setRoleOption(txn, username, option);
}

/** Removes the user with its memberships and options. Whether it still owns anything is for the caller to check. 42704, 42501. */
export async function dropUser(txn: Txn, name: string): Promise<void> {
  if (name === ROOT_USER || name === ADMIN_ROLE) {
    throw new StatementError(SqlState.InsufficientPrivilege, `cannot drop special role "${name}"`);
  }
  if (!(await systemTable('users').delete(txn, name))) {
    throw new StatementError(SqlState.UndefinedObject, `role/user "${name}" does not exist`);
  }
  for (const row of await systemTable('role_members').scan(txn)) {
    if (row['role'] === name || row['member'] === name) await systemTable('role_members').delete(txn, row['role'], row['member']);
  }
  for (const row of await systemTable('role_options').scan(txn, name)) {
    await systemTable('role_options').delete(txn, name, row['option']);
  }
}

/** Sets an option, with its value when it has one; `NOx` and `x` replace each other. */
export async function setRoleOption(txn: Txn, username: string, option: string, value?: string): Promise<void> {
  const opposite = option.startsWith('NO') ? option.slice(2) : `NO${option}`;
  await systemTable('role_options').delete(txn, username, opposite);
  await systemTable('role_options').upsert(txn, { username, option, value: value ?? null });
}

/** Makes `member` a member of `role`. 42704 when one does not exist, 42P17 when it would make a cycle. */
export async function grantRole(txn: Txn, role: string, member: string, options: { withAdmin?: boolean } = {}): Promise<void> {
  await requireUser(txn, role);
  await requireUser(txn, member);
  if (role === member || (await rolesOf(txn, role)).has(member)) {
    throw new StatementError(SqlState.InvalidObjectDefinition, `making ${member} a member of ${role} would create a cycle`);
  }
  const existing = await systemTable('role_members').get(txn, role, member);
  const isAdmin = options.withAdmin === true || existing?.['isAdmin'] === true;
  await systemTable('role_members').upsert(txn, { role, member, isAdmin });
}

/** No effect when it is none. root stays in admin: 42501. */
export async function revokeRole(txn: Txn, role: string, member: string): Promise<void> {
  if (role === ADMIN_ROLE && member === ROOT_USER) {
    throw new StatementError(SqlState.InsufficientPrivilege, `role/user "${ROOT_USER}" cannot be removed from role "${ADMIN_ROLE}"`);
  }
  await systemTable('role_members').delete(txn, role, member);
}

/** Every name a user goes by: itself first, and the roles it is in, directly or not. What checkPrivilege takes. */
export async function rolesOf(reader: KvReader, user: string): Promise<ReadonlySet<string>> {
  const roles = new Set([user]);
  if (user === NODE_USER) return roles;
  const members = await systemTable('role_members').scan(reader);
  // A set visits what is added while it is iterated.
  for (const name of roles) {
    for (const row of members) if (row['member'] === name) roles.add(String(row['role']));
  }
  return roles;
}

/** Every user and role, by name. */
export async function listUsers(reader: KvReader): Promise<UserInfo[]> {
  const members = await systemTable('role_members').scan(reader);
  const options = await systemTable('role_options').scan(reader);
  return (await systemTable('users').scan(reader)).map((row) => {
    const username = String(row['username']);
    return {
      username,
      isRole: row['isRole'] === true,
      options: options
        .filter((option) => option['username'] === username)
        .map((option) => (option['value'] === null ? String(option['option']) : `${option['option']}=${option['value']}`)),
      memberOf: members.filter((member) => member['member'] === username).map((member) => String(member['role'])),
    };
  });
}
