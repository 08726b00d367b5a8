/**
 * Access lists as PostgreSQL writes them: `grantee=letters/grantor`, a star behind what may be passed on.
 *
 * As there, an object on which nothing was granted or revoked has none (NULL): its owner, admin and root hold everything,
 * everybody may use a type. The grantor is the owner, since nobody else is noted. Privileges that PostgreSQL does not know
 * (BACKUP, ZONECONFIG) have no letter; SHOW GRANTS has them all.
 */
import type { DefaultPrivileges, Grant, Privilege, Privileges } from '../../../../catalog/descriptor.ts';
import { isAlwaysAllowed, type ObjectKind, PUBLIC_ROLE } from '../../../../catalog/privileges.ts';
import { DEFAULT_KINDS } from '../../../../catalog/defaultPrivileges.ts';
import { schemaOid, userOid } from '../../oids.ts';
import { inSchema } from '../defineTable.ts';
import { arrayOf, Type } from '../../../../catalog/type.ts';

/** PostgreSQL's letters in its order, with the privilege that each stands for here; those without one are in ALL alone. */
const LETTERS: Readonly<Record<ObjectKind, readonly (readonly [letter: string, privilege: Privilege | undefined])[]>> = {
  table: [
    ['a', 'INSERT'],
    ['r', 'SELECT'],
    ['w', 'UPDATE'],
    ['d', 'DELETE'],
    ['D', 'DROP'],
    ['x', undefined],
    ['t', undefined],
  ],
  function: [['X', 'EXECUTE']],
  sequence: [
    ['r', 'SELECT'],
    ['w', 'UPDATE'],
    ['U', 'USAGE'],
  ],
  schema: [
    ['U', 'USAGE'],
    ['C', 'CREATE'],
  ],
  database: [
    ['C', 'CREATE'],
    ['T', 'CREATE'],
    ['c', 'CONNECT'],
  ],
  type: [['U', 'USAGE']],
};

const holds = (list: readonly Privilege[], privilege: Privilege | undefined): boolean =>
  list.includes('ALL') || (privilege !== undefined && list.includes(privilege));

function entry(grant: Grant, kind: ObjectKind, grantor: string): string | undefined {
  const letters = LETTERS[kind]
    .filter(([, privilege]) => holds(grant.privileges, privilege))
    .map(([letter, privilege]) => letter + (holds(grant.grantOption ?? [], privilege) ? '*' : ''));
  if (letters.length === 0) return undefined;
  const name = (role: string): string => (/^\w+$/.test(role) ? role : `"${role.replaceAll('"', '""')}"`);
  return `${grant.grantee === PUBLIC_ROLE ? '' : name(grant.grantee)}=${letters.join('')}/${name(grantor)}`;
}

/** The access list; undefined where it is the usual one. */
export function aclOf(privileges: Privileges, kind: ObjectKind): readonly string[] | undefined {
  const { owner, grants } = privileges;
  const publicGrant = grants.find(({ grantee }) => grantee === PUBLIC_ROLE);
  const isUsualPublic = kind === 'type' ? publicGrant?.privileges.join() === 'USAGE' : publicGrant === undefined;
  const others = grants.filter(({ grantee }) => grantee !== PUBLIC_ROLE && grantee !== owner);
  const isUsual = isUsualPublic && others.every((grant) => isAlwaysAllowed(grant.grantee));
  if (isUsual || owner === 'node') return undefined;
  const own: Grant = { grantee: owner, privileges: ['ALL'] };
  return [own, ...(publicGrant ? [publicGrant] : []), ...others].flatMap((grant) => entry(grant, kind, owner) ?? []);
}

const OBJECT_TYPES: Readonly<Record<DefaultPrivileges['on'], string>> = { tables: 'r', sequences: 'S', types: 'T', schemas: 'n' };

/** pg_default_acl: a role of 0 stands for all roles. */
export const pgDefaultAcl = inSchema('pg_catalog')(
  'pg_default_acl',
  { oid: Type.Oid, defaclrole: Type.Oid, defaclnamespace: Type.Oid, defaclobjtype: Type.QChar, defaclacl: arrayOf(Type.String) },
  function* (view) {
    const row = (entryOf: DefaultPrivileges, namespace: number, place: number) => {
      const grantor = entryOf.role ?? '';
      const kind = DEFAULT_KINDS[entryOf.on];
      const defaclrole = grantor === '' ? 0 : userOid(grantor);
      const defaclobjtype = OBJECT_TYPES[entryOf.on];
      return {
        // One for each role, place and kind of object.
        oid: (defaclrole ^ (place * 31 + defaclobjtype.charCodeAt(0))) >>> 0,
        defaclrole,
        defaclnamespace: namespace,
        defaclobjtype,
        defaclacl: entryOf.grants.flatMap((grant) => entry(grant, kind, grantor) ?? []),
      };
    };
    for (const database of view.databases) {
      for (const one of database.defaultPrivileges ?? []) {
        yield row(one, one.inPublic ? schemaOid(database.id, 'public') : 0, database.id);
      }
    }
    for (const { descriptor, database, name } of view.schemas()) {
      for (const one of descriptor?.defaultPrivileges ?? []) yield row(one, schemaOid(database.id, name), descriptor?.id ?? 0);
    }
  },
);
