/**
 * Privileges: who may do what to an object, as its descriptor says.
 *
 * root and admin (and its members) may do everything, an owner everything to what it owns, ALL
 * stands for every privilege, and `public` for every user. Roles are resolved by the caller, who
 * passes all names a user goes by (users.ts).
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

import { type Descriptor, describeKind, type Grant, type Privilege, type Privileges } from './descriptor.ts';

export const ROOT_USER = 'root';
export const ADMIN_ROLE = 'admin';
export const NODE_USER = 'node';
export const PUBLIC_ROLE = 'public';

/** What a new object starts with: its owner, and ALL for admin and root. */
export function ownerPrivileges(owner: string): Privileges {
  const grants: Grant[] = [ADMIN_ROLE, ROOT_USER].map((grantee) => ({ grantee, privileges: ['ALL'], grantOption: ['ALL'] }));
  return { owner, grants };
}

/** What a new type starts with: everyone may use it. */
export function typePrivileges(owner: string): Privileges {
  return withGrant(ownerPrivileges(owner), PUBLIC_ROLE, ['USAGE']);
}

/** `user` alone, or every name it goes by: itself and the roles it is a member of, directly or not. */
export type Grantees = string | ReadonlySet<string>;

function names(user: Grantees): ReadonlySet<string> {
  return typeof user === 'string' ? new Set([user]) : user;
}

export function isAdmin(user: Grantees): boolean {
  const set = names(user);
  return set.has(ROOT_USER) || set.has(ADMIN_ROLE) || set.has(NODE_USER);
}

export function hasPrivilege(user: Grantees, privileges: Privileges, privilege: Privilege): boolean {
  const set = names(user);
  if (isAdmin(set) || set.has(privileges.owner)) return true;
  return privileges.grants.some((grant) => {
    const applies = set.has(grant.grantee) || grant.grantee === PUBLIC_ROLE;
    return applies && (grant.privileges.includes(privilege) || grant.privileges.includes('ALL'));
  });
}

/** Throws 42501 unless the user has the privilege. */
export function checkPrivilege(user: Grantees, desc: Descriptor, privilege: Privilege): void {
  if (hasPrivilege(user, desc.privileges, privilege)) return;
  const shown = typeof user === 'string' ? user : ([...user][0] ?? '');
  throw new StatementError(
    SqlState.InsufficientPrivilege,
    `user ${shown} does not have ${privilege} privilege on ${desc.kind === 'table' ? 'relation' : describeKind(desc)} ${desc.name}`,
  );
}

/** With these privileges granted to a grantee; ALL swallows the others. */
export function withGrant(
  privileges: Privileges,
  grantee: string,
  granted: readonly Privilege[],
  options: { grantOption?: boolean } = {},
): Privileges {
  const before = privileges.grants.find((grant) => grant.grantee === grantee);
  const merged = mergePrivileges([...(before?.privileges ?? []), ...granted]);
  const grantOption = mergePrivileges([...(before?.grantOption ?? []), ...(options.grantOption ? granted : [])]);
  return replaceGrant(privileges, { grantee, privileges: merged, ...(grantOption.length > 0 && { grantOption }) });
}

/** Without them. Revoking one of ALL leaves the rest of `allOf`, the privileges the object's kind knows. */
export function withoutGrant(
  privileges: Privileges,
  grantee: string,
  revoked: readonly Privilege[],
  allOf: readonly Privilege[],
): Privileges {
  const before = privileges.grants.find((grant) => grant.grantee === grantee);
  if (!before) return privileges;
  const subtract = (held: readonly Privilege[]): Privilege[] => {
    if (revoked.includes('ALL')) return [];
    const expanded = held.includes('ALL') ? allOf : held;
    return mergePrivileges(expanded.filter((privilege) => !revoked.includes(privilege)));
  };
  const grantOption = subtract(before.grantOption ?? []);
  return replaceGrant(privileges, { grantee, privileges: subtract(before.privileges), ...(grantOption.length > 0 && { grantOption }) });
}

function mergePrivileges(list: readonly Privilege[]): Privilege[] {
  return list.includes('ALL') ? ['ALL'] : [...new Set(list)].sort();
}

function replaceGrant(privileges: Privileges, grant: Grant): Privileges {
  const others = privileges.grants.filter((other) => other.grantee !== grant.grantee);
  const grants = grant.privileges.length === 0 ? others : [...others, grant];
  return { ...privileges, grants: grants.sort((a, b) => (a.grantee < b.grantee ? -1 : 1)) };
}

/** The privileges ALL stands for, by kind of object. */
export function privilegesOf(desc: Descriptor): readonly Privilege[] {
  switch (desc.kind) {
    case 'database':
      return ['BACKUP', 'CONNECT', 'CREATE', 'DROP', 'RESTORE', 'ZONECONFIG'];
    case 'schema':
      return ['CREATE', 'USAGE'];
    case 'type':
      return ['USAGE'];
    case 'table':
      if (desc.sequence) return ['CREATE', 'DELETE', 'DROP', 'INSERT', 'SELECT', 'UPDATE', 'USAGE', 'ZONECONFIG'];
      return ['BACKUP', 'CHANGEFEED', 'CREATE', 'DELETE', 'DROP', 'INSERT', 'SELECT', 'TRIGGER', 'UPDATE', 'ZONECONFIG'];
  }
}
