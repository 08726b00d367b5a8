/**
 * Privileges of schema public.
 *
 * In databases of the older kind (CockroachDB up to 21.2, the default) it has none of its own: everybody
 * may use it, and who creates in it is a matter of the database, whose grants new objects take over. In
 * those of the newer kind (since 22.1; `varve.sql.compatibility` = crdb_25 when they are made) it has an
 * owner and grants like other schemas, by which everybody may create in it, everybody may connect to the
 * database, and new objects take nothing over. The grants lie in the database's descriptor, for the
 * schema has no row of its own.
 */
import { type DatabaseDescriptor, type Descriptor, PUBLIC_SCHEMA_ID, type SchemaDescriptor } from './descriptor.ts';
import { checkPrivilege, type Grantees, ownerPrivileges, PUBLIC_ROLE, withGrant } from './privileges.ts';

/** Where a database's privileges lie. */
export type DatabasePrivileges = Pick<DatabaseDescriptor, 'privileges' | 'publicSchema'>;

/** What a new database of the newer kind starts with. */
export function newDatabasePrivileges(owner: string): DatabasePrivileges {
  return {
    privileges: withGrant(ownerPrivileges(owner), PUBLIC_ROLE, ['CONNECT']),
    publicSchema: withGrant(ownerPrivileges(owner), PUBLIC_ROLE, ['CREATE', 'USAGE']),
  };
}

/** Schema public as if it had a descriptor, in a database of the newer kind; isPublicSchema() tells it. */
export function publicSchemaOf(database: DatabaseDescriptor): SchemaDescriptor | undefined {
  const { publicSchema, id, version, modificationTime } = database;
  if (!publicSchema) return undefined;
  return {
    kind: 'schema',
    id: PUBLIC_SCHEMA_ID,
    name: 'public',
    parentId: id,
    version,
    modificationTime,
    state: 'PUBLIC',
    privileges: publicSchema,
  };
}

export function isPublicSchema(descriptor: Descriptor): boolean {
  return descriptor.id === PUBLIC_SCHEMA_ID && descriptor.kind === 'schema';
}

/** What says who may create in a schema and whose it is: its descriptor, or its database's. */
export function schemaHolder(schema: {
  readonly descriptor: SchemaDescriptor | undefined;
  readonly database: DatabaseDescriptor;
}): SchemaDescriptor | DatabaseDescriptor {
  return schema.descriptor ?? publicSchemaOf(schema.database) ?? schema.database;
}

/** Throws 42501 for what stands in a schema that the user may not use. */
export function checkUsable(
  user: Grantees,
  schema: { readonly descriptor: SchemaDescriptor | undefined; readonly database: DatabaseDescriptor },
): void {
  const own = schema.descriptor ?? publicSchemaOf(schema.database);
  if (own) checkPrivilege(user, own, 'USAGE');
}
