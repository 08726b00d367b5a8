/**
 * What a new object starts with: ALL for its owner's side (the owner needs no grant), what its
 * database passes on, what its schema says of types, and the default privileges of both.
 */
import type { DatabaseDescriptor, Privileges } from '../../../catalog/descriptor.ts';
import type { ResolvedSchema } from '../../../catalog/catalog.ts';
import { withDefaults } from '../../../catalog/defaultPrivileges.ts';
import { inheritedPrivileges, type ObjectKind, ownerPrivileges, typePrivileges, withGrant } from '../../../catalog/privileges.ts';

export function newPrivileges(kind: Exclude<ObjectKind, 'database' | 'schema'>, owner: string, schema: ResolvedSchema): Privileges {
  const { database, descriptor } = schema;
  const start = kind === 'type' ? typeStart(owner, schema) : passedOn(database, kind, owner);
  return withDefaults(start, kind, { database: database.defaultPrivileges, schema: descriptor });
}

export function newSchemaPrivileges(owner: string, database: DatabaseDescriptor): Privileges {
  return withDefaults(passedOn(database, 'schema', owner), 'schema', { database: database.defaultPrivileges });
}

/** What a database passes on; one of the newer kind does not (catalog/publicSchema.ts). */
function passedOn(database: DatabaseDescriptor, kind: ObjectKind, owner: string): Privileges {
  return database.publicSchema ? ownerPrivileges(owner) : inheritedPrivileges(database.privileges, kind, owner);
}

/** In schema public everybody may use a type; elsewhere those who may use the schema, or everybody in databases of the newer kind. */
function typeStart(owner: string, { descriptor, database }: ResolvedSchema): Privileges {
  if (!descriptor || database.publicSchema) return typePrivileges(owner);
  let privileges = ownerPrivileges(owner);
  for (const grant of descriptor.privileges.grants) {
    if (grant.privileges.includes('USAGE')) privileges = withGrant(privileges, grant.grantee, ['USAGE']);
  }
  return privileges;
}
