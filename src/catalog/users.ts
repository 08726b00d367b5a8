/**
 * Users and roles: rows of system.users, role_members and role_options. A role is a user that
 * cannot log in; membership passes privileges on, at any depth. root and admin cannot be removed,
 * and root is a member of admin.
 *
 * Lives elsewhere: options (roleOptions.ts), default settings (roleSettings.ts), password verifiers (scram.ts).
 */
import { utf8Encode } from '../base/bytes.ts';
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { KvReader, Txn } from '../kv/kv.ts';

import { ADMIN_ROLE, NODE_USER, PUBLIC_ROLE, ROOT_USER } from './privileges.ts';
import { systemTable } from './systemRows.ts';

export { setRoleOption } from './roleOptions.ts';

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
/** The stored form: lower case. Throws 42602 for what is no user name, 42939 for the server's own. */
export function normalizeUserName(name: string): string {
  const normal = name.normalize('NFC').toLowerCase();
  if (normal === '') throw new StatementError(SqlState.InvalidName, '"": username is empty');
  if (normal === NODE_USER) throw new StatementError(SqlState.ReservedName, `username "${normal}" reserved`);
  if (!USER_NAME.test(normal) || normal.length > NAME_LENGTH_MAX) {
    const what = normal.length > NAME_LENGTH_MAX ? 'username is too long' : 'username is invalid';
    throw new StatementError(SqlState.InvalidName, `"${normal}": ${what}`, {
      hint: 'usernames are case insensitive, must start with a letter, digit or underscore, may contain letters, digits, dashes, periods, or underscores, and must not exceed 63 characters',
    });
  }
  return normal;
}

export async function userExists(reader: KvReader, name: string): Promise<boolean> {
  return name === NODE_USER || (await systemTable('users').get(reader, name)) !== undefined;
}

export function unknownUser(name: string): StatementError {
  return new StatementError(SqlState.UndefinedObject, `role/user "${name}" does not exist`);
}

/** Throws 42704. */
export async function requireUser(reader: KvReader, name: string): Promise<void> {
  if (!(await userExists(reader, name))) throw unknownUser(name);
}

/** `name` is normalized already. Throws 42710 when it exists already, 42939 for a reserved name. */
export async function createUser(txn: Txn, name: string, options: { isRole?: boolean } = {}): Promise<void> {
  if (name === PUBLIC_ROLE || name === 'none' || name.startsWith('pg_') || name.startsWith('crdb_internal_')) {
    throw new StatementError(SqlState.ReservedName, `role name "${name}" is reserved`);
  }
  const isRole = options.isRole ?? false;
  if (await userExists(txn, name)) {
    throw new StatementError(SqlState.DuplicateObject, `a ${isRole ? 'role' : 'user'} named ${name} already exists`);
  }
  await systemTable('users').upsert(txn, { username: name, hashedPassword: null, isRole });
}

/** Removes the user with its memberships, options and settings. Whether it still owns anything is for the caller to check. False when there is none. */
export async function dropUser(txn: Txn, name: string): Promise<boolean> {
  if (!(await systemTable('users').delete(txn, name))) return false;
  for (const row of await systemTable('role_members').scan(txn)) {
    if (row['role'] === name || row['member'] === name) await systemTable('role_members').delete(txn, row['role'], row['member']);
  }
  for (const row of await systemTable('role_options').scan(txn, name)) await systemTable('role_options').delete(txn, name, row['option']);
  for (const row of await systemTable('database_role_settings').scan(txn)) {
    if (row['role_name'] === name) await systemTable('database_role_settings').delete(txn, row['database_id'], name);
  }
  return true;
}

/** The stored password verifier (scram.ts), or undefined without a password. */
export async function passwordVerifier(reader: KvReader, name: string): Promise<string | undefined> {
  const stored = (await systemTable('users').get(reader, name))?.['hashedPassword'];
  return typeof stored === 'string' ? stored : undefined;
}

export async function setPasswordVerifier(txn: Txn, name: string, verifier: string | undefined): Promise<void> {
  await systemTable('users').update(txn, [name], { hashedPassword: verifier === undefined ? null : utf8Encode(verifier) });
}

/** Makes `member` a member of `role`; both exist. 0LP01 when it would make a cycle. */
export async function grantRole(txn: Txn, role: string, member: string, options: { withAdmin?: boolean } = {}): Promise<void> {
  if (role === member) throw new StatementError(SqlState.InvalidGrantOperation, `${member} cannot be a member of itself`);
  if ((await rolesOf(txn, role)).has(member)) {
    throw new StatementError(SqlState.InvalidGrantOperation, `making ${member} a member of ${role} would create a cycle`);
  }
  const existing = await systemTable('role_members').get(txn, role, member);
  const isAdmin = options.withAdmin === true || existing?.['isAdmin'] === true;
  await systemTable('role_members').upsert(txn, { role, member, isAdmin });
}

/** No effect when it is none. root stays in admin: 42501. */
export async function revokeRole(txn: Txn, role: string, member: string, options: { adminOptionOnly?: boolean } = {}): Promise<void> {
  if (role === ADMIN_ROLE && member === ROOT_USER) {
    throw new StatementError(
      SqlState.ObjectInUse,
      `role/user ${ROOT_USER} cannot be removed from role ${ADMIN_ROLE} or lose the ADMIN OPTION`,
    );
  }
  if (options.adminOptionOnly) await systemTable('role_members').update(txn, [role, member], { isAdmin: false });
  else await systemTable('role_members').delete(txn, role, member);
}

/** The roles of which a user may make others members: those it is in WITH ADMIN OPTION, and what these are in by the same. */
export async function administeredRoles(reader: KvReader, user: string): Promise<ReadonlyMap<string, boolean>> {
  const members = await systemTable('role_members').scan(reader);
  const found = new Map<string, boolean>();
  const visit = (name: string): void => {
    for (const row of members) {
      if (row['member'] !== name) continue;
      const role = String(row['role']);
      const isNew = !found.has(role);
      if (row['isAdmin'] === true || isNew) found.set(role, row['isAdmin'] === true || found.get(role) === true);
      if (isNew) visit(role);
    }
  };
  visit(user);
  return found;
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
