/**
 * Privileges on what has no descriptor: the whole cluster (GRANT SYSTEM) and external connections.
 * They are rows of system.privileges, one for each user and path:
 *
 *   /global/                 BACKUP, RESTORE, VIEWJOB, CONTROLJOB, ...
 *   /externalconn/<name>     USAGE, UPDATE, DROP
 *   /vtable/<schema>/<name>  SELECT, which everybody has: such a grant is kept, and decides nothing
 *
 * This is also the door for statements of other layers: `requireSystemPrivilege` and
 * `requireConnectionPrivilege` take a reader and a user, and read what they need. A role option of
 * the same name (CREATE USER u CONTROLJOB) is as good as the system privilege, as in CockroachDB.
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { KvReader, Txn } from '../kv/kv.ts';

import { type Grantees, isAdmin, lacks, PUBLIC_ROLE, userOf } from './privileges.ts';
import { systemTable } from './systemRows.ts';
import { rolesOf } from './users.ts';

/** What GRANT SYSTEM knows, sorted. */
export const SYSTEM_PRIVILEGES = [
  'BACKUP', 'CANCELQUERY', 'CONTROLJOB', 'CREATEDB', 'CREATELOGIN', 'CREATEROLE', 'EXTERNALCONNECTION', 'EXTERNALIOIMPLICITACCESS',
  'MODIFYCLUSTERSETTING', 'MODIFYSQLCLUSTERSETTING', 'NOSQLLOGIN', 'REPAIRCLUSTER', 'RESTORE', 'VIEWACTIVITY', 'VIEWACTIVITYREDACTED',
  'VIEWCLUSTERMETADATA', 'VIEWCLUSTERSETTING', 'VIEWDEBUG', 'VIEWJOB', 'VIEWSYSTEMTABLE',
] as const; // biome-ignore format: one list

export type SystemPrivilege = (typeof SYSTEM_PRIVILEGES)[number];

export const CONNECTION_PRIVILEGES = ['DROP', 'UPDATE', 'USAGE'] as const;
export type ConnectionPrivilege = (typeof CONNECTION_PRIVILEGES)[number];

export const GLOBAL_PATH = '/global/';
const CONNECTION_PREFIX = '/externalconn/';
export const connectionPath = (name: string): string => `${CONNECTION_PREFIX}${name}`;

export const VIRTUAL_PRIVILEGES = ['SELECT'] as const;
const VIRTUAL_PREFIX = '/vtable/';
export const virtualTablePath = (schema: string, name: string): string => `${VIRTUAL_PREFIX}${schema}/${name}`;

/** What a path is of, for messages. */
export function pathWords(path: string): string {
  if (path === GLOBAL_PATH) return 'the system';
  if (path.startsWith(VIRTUAL_PREFIX)) return path.slice(VIRTUAL_PREFIX.length).replace('/', '.');
  return `external connection ${path.slice(CONNECTION_PREFIX.length)}`;
}

export interface PathGrant {
  readonly grantee: string;
  readonly path: string;
  /** Sorted. ALL stands alone. */
  readonly privileges: readonly string[];
  readonly grantOption: readonly string[];
}

/** Every grant, or those of one path; by path and grantee. */
export async function pathGrants(reader: KvReader, path?: string): Promise<PathGrant[]> {
  const rows = await systemTable('privileges').scan(reader);
  return rows
    .map((row) => ({
      grantee: String(row['username']),
      path: String(row['path']),
      privileges: (row['privileges'] as readonly string[]).map(String),
      grantOption: (row['grant_options'] as readonly string[]).map(String),
    }))
    .filter((grant) => path === undefined || grant.path === path)
    .sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : a.grantee < b.grantee ? -1 : 1));
}

const holds = (held: readonly string[], privilege: string): boolean => held.includes(privilege) || held.includes('ALL');

async function allNames(reader: KvReader, user: Grantees): Promise<ReadonlySet<string>> {
  return typeof user === 'string' ? await rolesOf(reader, user) : user;
}

async function hasOnPath(reader: KvReader, names: ReadonlySet<string>, path: string, privilege: string): Promise<boolean> {
  const grants = await pathGrants(reader, path);
  return grants.some((grant) => (names.has(grant.grantee) || grant.grantee === PUBLIC_ROLE) && holds(grant.privileges, privilege));
}

/**
 * True for admins, for whom the privilege (or ALL) is granted to, directly or through a role, and for
 * users that have the role option of that name. `user`: a name, or all names a user goes by.
 */
export async function hasSystemPrivilege(reader: KvReader, user: Grantees, privilege: SystemPrivilege): Promise<boolean> {
  if (isAdmin(user)) return true;
  const names = await allNames(reader, user);
  if (isAdmin(names)) return true;
  if (await systemTable('role_options').get(reader, userOf(names), privilege)) return true;
  return await hasOnPath(reader, names, GLOBAL_PATH, privilege);
}

/** 42501 unless hasSystemPrivilege. */
export async function requireSystemPrivilege(reader: KvReader, user: Grantees, privilege: SystemPrivilege): Promise<void> {
  if (await hasSystemPrivilege(reader, user, privilege)) return;
  throw new StatementError(SqlState.InsufficientPrivilege, `user ${userOf(user)} does not have ${privilege} system privilege`, {
    hint: `an administrator can GRANT SYSTEM ${privilege} TO ${userOf(user)}`,
  });
}

/** For a user with any of the privileges; 42501 names the first. */
export async function requireAnySystemPrivilege(
  reader: KvReader,
  user: Grantees,
  ...privileges: readonly [SystemPrivilege, ...SystemPrivilege[]]
): Promise<void> {
  for (const privilege of privileges) if (await hasSystemPrivilege(reader, user, privilege)) return;
  await requireSystemPrivilege(reader, user, privileges[0]);
}

/** True for admins and for those to whom it is granted; the creator gets ALL when the connection is made. */
export async function hasConnectionPrivilege(
  reader: KvReader,
  user: Grantees,
  connection: string,
  privilege: ConnectionPrivilege,
): Promise<boolean> {
  if (isAdmin(user)) return true;
  const names = await allNames(reader, user);
  return isAdmin(names) || (await hasOnPath(reader, names, connectionPath(connection), privilege));
}

/** 42501 unless hasConnectionPrivilege. */
export async function requireConnectionPrivilege(
  reader: KvReader,
  user: Grantees,
  connection: string,
  privilege: ConnectionPrivilege,
): Promise<void> {
  if (await hasConnectionPrivilege(reader, user, connection, privilege)) return;
  throw lacks(user, privilege, `external_connection ${connection}`);
}

/** True when the user may pass the privilege on: admins, and holders WITH GRANT OPTION. */
export async function mayGrantOnPath(reader: KvReader, names: ReadonlySet<string>, path: string, privilege: string): Promise<boolean> {
  if (isAdmin(names)) return true;
  return (await pathGrants(reader, path)).some((grant) => names.has(grant.grantee) && holds(grant.grantOption, privilege));
}

const merged = (list: readonly string[]): string[] => (list.includes('ALL') ? ['ALL'] : [...new Set(list)].sort());

/** Adds privileges on a path. */
export async function grantOnPath(
  txn: Txn,
  grantee: string,
  path: string,
  privileges: readonly string[],
  options: { grantOption?: boolean } = {},
): Promise<void> {
  const before = await systemTable('privileges').get(txn, grantee, path);
  const held = (column: string) => ((before?.[column] ?? []) as readonly string[]).map(String);
  await systemTable('privileges').upsert(txn, {
    username: grantee,
    path,
    privileges: merged([...held('privileges'), ...privileges]),
    grant_options: merged([...held('grant_options'), ...(options.grantOption ? privileges : [])]),
  });
}

/** Takes privileges on a path away; one of ALL leaves the rest of `allOf`. */
export async function revokeOnPath(
  txn: Txn,
  grantee: string,
  path: string,
  privileges: readonly string[],
  allOf: readonly string[],
  options: { grantOptionOnly?: boolean } = {},
): Promise<void> {
  const before = await systemTable('privileges').get(txn, grantee, path);
  if (!before) return;
  const without = (column: string): string[] => {
    const held = (before[column] as readonly string[]).map(String);
    if (privileges.includes('ALL')) return [];
    return merged((held.includes('ALL') ? allOf : held).filter((one) => !privileges.includes(one)));
  };
  const kept = options.grantOptionOnly ? (before['privileges'] as readonly string[]).map(String) : without('privileges');
  if (kept.length === 0) await systemTable('privileges').delete(txn, grantee, path);
  else await systemTable('privileges').upsert(txn, { username: grantee, path, privileges: kept, grant_options: without('grant_options') });
}

/** Removes every grant of a path: its object is gone. */
export async function dropPath(txn: Txn, path: string): Promise<void> {
  for (const { grantee } of await pathGrants(txn, path)) await systemTable('privileges').delete(txn, grantee, path);
}
