/**
 * Privileges: who may do what to an object, as its descriptor says.
 *
 * root and admin (and its members) may do everything to what is not the system's own, an owner
 * everything to what it owns, ALL stands for every privilege of the object's kind, and `public` for
 * every user. Roles are resolved by the caller, who passes all names a user goes by (users.ts).
 *
 *   V1  admin and root keep their privileges on every object: nobody can lock the administrator out
 *   V2  whoever passes a privilege on owns the object, or holds GRANT and the privilege (the model of
 *       CockroachDB up to v21.2), or holds the privilege WITH GRANT OPTION (later versions)
 *
 * Lives elsewhere: privileges of the whole cluster and of external connections (globalPrivileges.ts),
 * of schema public (publicSchema.ts), what new objects start with by ALTER DEFAULT PRIVILEGES (defaultPrivileges.ts).
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

import { type Descriptor, describeKind, type Grant, type Privilege, type Privileges } from './descriptor.ts';

export const ROOT_USER = 'root';
export const ADMIN_ROLE = 'admin';
export const NODE_USER = 'node';
export const PUBLIC_ROLE = 'public';

/** What has privileges of its own in a descriptor. */
export type ObjectKind = 'database' | 'schema' | 'table' | 'sequence' | 'type' | 'function';

/** The privileges ALL stands for, by kind of object, sorted. Those on a database's data are for the tables made in it later. */
const KNOWN: Readonly<Record<ObjectKind, readonly Privilege[]>> = {
  database: ['BACKUP', 'CONNECT', 'CREATE', 'DELETE', 'DROP', 'GRANT', 'INSERT', 'RESTORE', 'SELECT', 'UPDATE', 'ZONECONFIG'],
  schema: ['CREATE', 'GRANT', 'USAGE'],
  table: ['BACKUP', 'CREATE', 'DELETE', 'DROP', 'GRANT', 'INSERT', 'SELECT', 'UPDATE', 'ZONECONFIG'],
  sequence: ['BACKUP', 'CREATE', 'DELETE', 'DROP', 'GRANT', 'INSERT', 'SELECT', 'UPDATE', 'USAGE', 'ZONECONFIG'],
  type: ['GRANT', 'USAGE'],
  function: ['EXECUTE', 'GRANT'],
};

export function objectKind(desc: Descriptor): ObjectKind {
  return desc.kind === 'table' && desc.sequence ? 'sequence' : desc.kind;
}

export function privilegesOf(of: Descriptor | ObjectKind): readonly Privilege[] {
  return KNOWN[typeof of === 'string' ? of : objectKind(of)];
}

/** The privileges that are named, or 0LP01 for one that objects of the kind do not have. */
export function requirePrivileges(names: readonly string[], kind: ObjectKind): readonly Privilege[] {
  for (const name of names) {
    if (name === 'ALL' || (KNOWN[kind] as readonly string[]).includes(name)) continue;
    const isSome = Object.values(KNOWN).some((known) => (known as readonly string[]).includes(name));
    if (!isSome) throw new StatementError(SqlState.SyntaxError, `not a valid privilege: "${name.toLowerCase()}"`);
    throw new StatementError(SqlState.InvalidGrantOperation, `invalid privilege type ${name} for ${kind}`);
  }
  return names as readonly Privilege[];
}

// ---- what an object starts with ----------------------------------------------------------------

/** What a new object starts with: its owner, and ALL for admin and root. */
export function ownerPrivileges(owner: string): Privileges {
  const grants: Grant[] = [ADMIN_ROLE, ROOT_USER].map((grantee) => ({ grantee, privileges: ['ALL'], grantOption: ['ALL'] }));
  return { owner, grants };
}

/** What a new type starts with: everyone may use it. */
export function typePrivileges(owner: string): Privileges {
  return withGrant(ownerPrivileges(owner), PUBLIC_ROLE, ['USAGE']);
}

/** What a new function starts with: everyone may call it. */
export function functionPrivileges(owner: string): Privileges {
  return withGrant(ownerPrivileges(owner), PUBLIC_ROLE, ['EXECUTE']);
}

/** Not passed on from a database: they are about the database. */
const OWN_TO_DATABASE: ReadonlySet<Privilege> = new Set<Privilege>(['BACKUP', 'CONNECT', 'RESTORE']);

/** What a new object of a kind starts with inside `parent`: of its grants those that make sense for the kind. */
export function inheritedPrivileges(parent: Privileges, kind: ObjectKind, owner: string): Privileges {
  let privileges = ownerPrivileges(owner);
  const passesOn = (privilege: Privilege) => privilege === 'ALL' || (KNOWN[kind].includes(privilege) && !OWN_TO_DATABASE.has(privilege));
  for (const { grantee, privileges: granted, grantOption = [] } of parent.grants) {
    if (isAlwaysAllowed(grantee)) continue;
    privileges = withGrant(privileges, grantee, granted.filter(passesOn));
    privileges = withGrant(privileges, grantee, grantOption.filter(passesOn), { grantOption: true });
  }
  return privileges;
}

/** What a schema without a descriptor grants, as its database does: SELECT there is USAGE here. */
export function schemaGrants(database: Privileges): Privileges {
  const translate = (list: readonly Privilege[]): Privilege[] =>
    list.map((one): Privilege => (one === 'SELECT' ? 'USAGE' : one)).filter((one) => one === 'ALL' || KNOWN.schema.includes(one));
  let result: Privileges = { owner: database.owner, grants: [] };
  for (const { grantee, privileges, grantOption = [] } of database.grants) {
    result = withGrant(result, grantee, translate(privileges));
    result = withGrant(result, grantee, translate(grantOption), { grantOption: true });
  }
  return result;
}

/** admin and root: their grants stand on every object (V1). */
export function isAlwaysAllowed(grantee: string): boolean {
  return grantee === ADMIN_ROLE || grantee === ROOT_USER;
}

// ---- checks ------------------------------------------------------------------------------------

/** `user` alone, or every name it goes by: itself first, and the roles it is a member of, directly or not. */
export type Grantees = string | ReadonlySet<string>;

function names(user: Grantees): ReadonlySet<string> {
  return typeof user === 'string' ? new Set([user]) : user;
}

/** The user's own name, of all it goes by. */
export function userOf(user: Grantees): string {
  return typeof user === 'string' ? user : ([...user][0] ?? '');
}

export function isAdmin(user: Grantees): boolean {
  if (typeof user === 'string') return isAlwaysAllowed(user) || user === NODE_USER;
  return user.has(ROOT_USER) || user.has(ADMIN_ROLE) || user.has(NODE_USER);
}

/** What nobody is granted on the system's own objects, and admins may do all the same. */
const ADMIN_ON_SYSTEM: ReadonlySet<Privilege> = new Set<Privilege>(['BACKUP', 'RESTORE', 'SELECT', 'ZONECONFIG']);

export function hasPrivilege(user: Grantees, privileges: Privileges, privilege: Privilege): boolean {
  if (isAdmin(user) && (privileges.owner !== NODE_USER || ADMIN_ON_SYSTEM.has(privilege))) return true;
  const set = names(user);
  if (set.has(privileges.owner)) return true;
  return privileges.grants.some((grant) => {
    const applies = set.has(grant.grantee) || grant.grantee === PUBLIC_ROLE;
    return applies && (grant.privileges.includes(privilege) || grant.privileges.includes('ALL'));
  });
}

/** True for the owner, its members, and admins. */
export function isOwner(user: Grantees, { owner }: Privileges): boolean {
  return isAdmin(user) ? owner !== NODE_USER || names(user).has(NODE_USER) : names(user).has(owner);
}

/** Owns it, or holds any privilege on it. */
export function hasAnyPrivilege(user: Grantees, privileges: Privileges): boolean {
  if (isAdmin(user) || isOwner(user, privileges)) return true;
  const set = names(user);
  return privileges.grants.some((grant) => grant.grantee === PUBLIC_ROLE || set.has(grant.grantee));
}

/** True when the user may pass the privilege on (V2). */
export function mayGrant(user: Grantees, privileges: Privileges, privilege: Privilege): boolean {
  if (isOwner(user, privileges)) return true;
  const set = names(user);
  const hasOption = privileges.grants.some(
    ({ grantee, grantOption = [] }) => set.has(grantee) && (grantOption.includes(privilege) || grantOption.includes('ALL')),
  );
  return hasOption || (hasPrivilege(user, privileges, 'GRANT') && hasPrivilege(user, privileges, privilege));
}

/** The words of messages: `relation`, `database`, `schema`, `type`. */
export function objectWord(desc: Descriptor): string {
  return desc.kind === 'table' ? 'relation' : describeKind(desc);
}

/** Throws 42501 unless the user has the privilege. */
export function checkPrivilege(user: Grantees, desc: Descriptor, privilege: Privilege): void {
  if (hasPrivilege(user, desc.privileges, privilege)) return;
  throw lacks(user, privilege, `${objectWord(desc)} ${desc.name}`);
}

/** Throws 42501 unless the user may pass each privilege on. */
export function checkGrantable(user: Grantees, desc: Descriptor, wanted: readonly Privilege[]): void {
  if (wanted.every((privilege) => mayGrant(user, desc.privileges, privilege))) return;
  checkPrivilege(user, desc, 'GRANT');
  for (const privilege of wanted) checkPrivilege(user, desc, privilege);
}

/** `user u does not have SELECT privilege on relation t`: 42501. */
export function lacks(user: Grantees, privilege: string, object: string): StatementError {
  return new StatementError(SqlState.InsufficientPrivilege, `user ${userOf(user)} does not have ${privilege} privilege on ${object}`);
}

// ---- changes -----------------------------------------------------------------------------------

/** With these privileges granted to a grantee; ALL swallows the others. */
export function withGrant(
  privileges: Privileges,
  grantee: string,
  granted: readonly Privilege[],
  options: { grantOption?: boolean } = {},
): Privileges {
  if (granted.length === 0) return privileges;
  return { ...privileges, grants: grantsWith(privileges.grants, grantee, granted, options) };
}

/** As withGrant, of a list of grants. */
export function grantsWith(
  grants: readonly Grant[],
  grantee: string,
  granted: readonly Privilege[],
  options: { grantOption?: boolean } = {},
): readonly Grant[] {
  const before = grants.find((grant) => grant.grantee === grantee);
  const merged = mergePrivileges([...(before?.privileges ?? []), ...granted]);
  const grantOption = mergePrivileges([...(before?.grantOption ?? []), ...(options.grantOption ? granted : [])]);
  return replaceGrant(grants, { grantee, privileges: merged, ...(grantOption.length > 0 && { grantOption }) });
}

export interface RevokeOptions {
  /** GRANT OPTION FOR: the privileges stay. */
  readonly grantOptionOnly?: boolean;
}

/** Without them. Revoking one of ALL leaves the rest of `allOf`, the privileges the object's kind knows. */
export function withoutGrant(
  privileges: Privileges,
  grantee: string,
  revoked: readonly Privilege[],
  allOf: readonly Privilege[],
  options: RevokeOptions = {},
): Privileges {
  return { ...privileges, grants: grantsWithout(privileges.grants, grantee, revoked, allOf, options) };
}

/** As withoutGrant, of a list of grants. */
export function grantsWithout(
  grants: readonly Grant[],
  grantee: string,
  revoked: readonly Privilege[],
  allOf: readonly Privilege[],
  options: RevokeOptions = {},
): readonly Grant[] {
  const before = grants.find((grant) => grant.grantee === grantee);
  if (!before) return grants;
  const subtract = (held: readonly Privilege[]): Privilege[] => {
    if (revoked.includes('ALL')) return [];
    const expanded = held.includes('ALL') ? allOf : held;
    return mergePrivileges(expanded.filter((privilege) => !revoked.includes(privilege)));
  };
  const grantOption = subtract(before.grantOption ?? []);
  const kept = options.grantOptionOnly ? before.privileges : subtract(before.privileges);
  return replaceGrant(grants, { grantee, privileges: kept, ...(grantOption.length > 0 && { grantOption }) });
}

function mergePrivileges(list: readonly Privilege[]): Privilege[] {
  return list.includes('ALL') ? ['ALL'] : [...new Set(list)].sort();
}

function replaceGrant(grants: readonly Grant[], grant: Grant): readonly Grant[] {
  const others = grants.filter((other) => other.grantee !== grant.grantee);
  const all = grant.privileges.length === 0 ? others : [...others, grant];
  return all.sort((a, b) => (a.grantee < b.grantee ? -1 : 1));
}
