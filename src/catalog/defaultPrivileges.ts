/**
 * Default privileges: what ALTER DEFAULT PRIVILEGES leaves in a database's or schema's descriptor, and
 * what a new object gets from it.
 *
 * An entry is about one creating role (or all), and one kind of object. A new object gets the entries
 * of its creator and those for all roles, of its database and of its schema together.
 */
import type { DefaultPrivileges, DefaultPrivilegesOn, Grant, Privilege, Privileges } from './descriptor.ts';
import { grantsWith, grantsWithout, type ObjectKind, PUBLIC_ROLE, privilegesOf, type RevokeOptions, withGrant } from './privileges.ts';

/** The kind of object that a word of ALTER DEFAULT PRIVILEGES means. */
export const DEFAULT_KINDS: Readonly<Record<DefaultPrivilegesOn, ObjectKind>> = {
  schemas: 'schema',
  sequences: 'sequence',
  tables: 'table',
  types: 'type',
};

type Entries = readonly DefaultPrivileges[] | undefined;

/** Which entry is meant. */
interface Place {
  readonly role: string | undefined;
  readonly on: DefaultPrivilegesOn;
  readonly inPublic: boolean;
}

const isAt = (entry: DefaultPrivileges, { role, on, inPublic }: Place): boolean =>
  entry.role === role && entry.on === on && (entry.inPublic === true) === inPublic;

function replaced(entries: Entries, place: Place, grants: readonly Grant[], withoutPublicUsage: boolean): DefaultPrivileges[] {
  const others = (entries ?? []).filter((entry) => !isAt(entry, place));
  if (grants.length === 0 && !withoutPublicUsage) return others;
  const { role, on, inPublic } = place;
  const entry: DefaultPrivileges = {
    ...(role !== undefined && { role }),
    on,
    grants,
    ...(inPublic && { inPublic }),
    ...(withoutPublicUsage && { withoutPublicUsage }),
  };
  const key = (one: DefaultPrivileges): string => `${one.role ?? ''} ${one.on} ${one.inPublic === true}`;
  return [...others, entry].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** With privileges granted to a grantee on new objects. */
export function withDefaultGrant(
  entries: Entries,
  place: Place,
  grantee: string,
  privileges: readonly Privilege[],
  options: { grantOption?: boolean } = {},
): DefaultPrivileges[] {
  const before = entries?.find((entry) => isAt(entry, place));
  if (place.on === 'types' && grantee === PUBLIC_ROLE) {
    // Everybody may use new types anyway: granting it again takes its revocation back.
    return replaced(entries, place, before?.grants ?? [], false);
  }
  const grants = grantsWith(before?.grants ?? [], grantee, privileges, options);
  return replaced(entries, place, grants, before?.withoutPublicUsage === true);
}

/** Without them. */
export function withoutDefaultGrant(
  entries: Entries,
  place: Place,
  grantee: string,
  privileges: readonly Privilege[],
  options: RevokeOptions = {},
): DefaultPrivileges[] {
  const before = entries?.find((entry) => isAt(entry, place));
  const grants = grantsWithout(before?.grants ?? [], grantee, privileges, privilegesOf(DEFAULT_KINDS[place.on]), options);
  const isPublicUsage = place.on === 'types' && grantee === PUBLIC_ROLE && !options.grantOptionOnly;
  return replaced(entries, place, grants, isPublicUsage || before?.withoutPublicUsage === true);
}

/** Every entry that names the role, as creator or grantee, is gone. */
export function withoutRole(entries: Entries, role: string): DefaultPrivileges[] {
  let left: DefaultPrivileges[] = (entries ?? []).filter((entry) => entry.role !== role);
  for (const { role: creator, on, inPublic = false } of left) {
    left = withoutDefaultGrant(left, { role: creator, on, inPublic }, role, ['ALL']);
  }
  return left;
}

/** Where a new object is made: the entries of its database and of its schema. */
export interface DefaultSources {
  readonly database: Entries;
  /** Undefined for schema public. */
  readonly schema?: { readonly defaultPrivileges?: readonly DefaultPrivileges[] } | undefined;
}

/** A new object's privileges with what the entries of its database and schema add for its creator. */
export function withDefaults(privileges: Privileges, kind: ObjectKind, { database, schema }: DefaultSources): Privileges {
  let result = privileges;
  const ofDatabase = (database ?? []).filter((entry) => !entry.inPublic || !schema);
  for (const entry of [...ofDatabase, ...(schema?.defaultPrivileges ?? [])]) {
    if (DEFAULT_KINDS[entry.on] !== kind || (entry.role !== undefined && entry.role !== privileges.owner)) continue;
    for (const { grantee, privileges: granted, grantOption = [] } of entry.grants) {
      result = withGrant(result, grantee, granted);
      result = withGrant(result, grantee, grantOption, { grantOption: true });
    }
    if (entry.withoutPublicUsage) {
      result = { ...result, grants: grantsWithout(result.grants, PUBLIC_ROLE, ['USAGE'], privilegesOf(kind)) };
    }
  }
  return result;
}
