/**
 * Who owns what: ALTER ... OWNER TO, REASSIGN OWNED BY, DROP OWNED BY.
 *
 * The owner of an object may do everything to it. REASSIGN and DROP OWNED look at the current database
 * only, as PostgreSQL's do; a database itself is reassigned, but never dropped by them.
 */
import { checkNotAttached } from '../../../catalog/attached.ts';
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { type Descriptor, PUBLIC_SCHEMA_ID, type SchemaDescriptor, updated } from '../../../catalog/descriptor.ts';
import { withoutRole } from '../../../catalog/defaultPrivileges.ts';
import { pathGrants } from '../../../catalog/globalPrivileges.ts';
import {
  checkPrivilege,
  isAdmin,
  isAlwaysAllowed,
  isOwner,
  NODE_USER,
  PUBLIC_ROLE,
  privilegesOf,
  withoutGrant,
} from '../../../catalog/privileges.ts';
import { requireUser, rolesOf, userExists } from '../../../catalog/users.ts';
import type { DropOwned, Name, ReassignOwned } from '../../parse/ast.ts';
import type { SchemaChange } from './common.ts';
import { dropSchemaOf, dropTogether } from './drop.ts';
import { liveObjects } from './roleDependents.ts';
import { requireRoleOption, roleText } from './roleNames.ts';

/**
 * 42501 unless the user owns the object, is a member of the new owner, and the new owner could have
 * made it where it is. Admins may do anything.
 */
export async function setOwner(change: SchemaChange, descriptor: Descriptor, name: Name): Promise<void> {
  const owner = roleText(change.context, name);
  await requireUser(change.txn, owner);
  requireOwner(change, descriptor);
  if (!isAdmin(change.roles)) {
    if (!change.roles.has(owner)) throw new StatementError(SqlState.InsufficientPrivilege, `must be member of role "${owner}"`);
    if (descriptor.kind === 'database') await requireRoleOption(change, 'CREATEDB');
  }
  await requirePlace(change, descriptor, owner);
  await change.write(ofOwner(descriptor, owner));
}

/** A database's schema public goes with it. */
function ofOwner(descriptor: Descriptor, owner: string): Descriptor {
  const next = updated(descriptor, { privileges: { ...descriptor.privileges, owner } });
  return next.kind === 'database' && next.publicSchema ? { ...next, publicSchema: { ...next.publicSchema, owner } } : next;
}

/** 42501 unless the user owns the object, or is in what does. */
export function requireOwner(change: SchemaChange, descriptor: Descriptor): void {
  if (isOwner(change.roles, descriptor.privileges)) return;
  // Views and sequences are tables here, in CockroachDB's words too.
  throw new StatementError(SqlState.InsufficientPrivilege, `must be owner of ${descriptor.kind} ${descriptor.name}`);
}

/** Whoever owns it could have made it there: CREATE on its schema, or on its database. */
async function requirePlace(change: SchemaChange, descriptor: Descriptor, owner: string): Promise<void> {
  if (descriptor.kind === 'database') return;
  const schema =
    descriptor.kind === 'schema' || descriptor.schemaId === PUBLIC_SCHEMA_ID ? undefined : change.snapshot.byId(descriptor.schemaId);
  const parent = schema ?? change.snapshot.databaseById(descriptor.parentId);
  if (parent) checkPrivilege(await rolesOf(change.txn, owner), parent, 'CREATE');
}

/** The roles whose things are meant. 42704; 42501 for those the user is not a member of; 2BP01 for the system's. */
async function ownersOf(change: SchemaChange, names: readonly Name[], verb: 'reassign' | 'drop'): Promise<ReadonlySet<string>> {
  const owners = new Set<string>();
  for (const name of names) {
    const owner = roleText(change.context, name);
    if (!(await userExists(change.txn, owner))) throw new StatementError(SqlState.UndefinedObject, `role/user "${owner}" does not exist`);
    if (isAlwaysAllowed(owner) || owner === NODE_USER || owner === PUBLIC_ROLE) {
      throw new StatementError(
        SqlState.DependentObjectsStillExist,
        `cannot ${verb} objects owned by role "${owner}" because they are required by the database system`,
      );
    }
    if (!isAdmin(change.roles) && !change.roles.has(owner)) {
      throw new StatementError(SqlState.InsufficientPrivilege, `permission denied to ${verb} objects`);
    }
    owners.add(owner);
  }
  return owners;
}

/** What is in the current database, and that itself. */
function inDatabase(change: SchemaChange): Descriptor[] {
  const database = change.database(change.context.names.currentDatabase);
  checkNotAttached(database.id);
  return liveObjects(change).filter((one) => one.id === database.id || one.parentId === database.id);
}

export async function reassignOwned(change: SchemaChange, stmt: ReassignOwned): Promise<void> {
  const owners = await ownersOf(change, stmt.owners, 'reassign');
  const owner = roleText(change.context, stmt.newOwner);
  await requireUser(change.txn, owner);
  if (!isAdmin(change.roles) && !change.roles.has(owner)) {
    throw new StatementError(SqlState.InsufficientPrivilege, 'permission denied to reassign objects');
  }
  const owned = inDatabase(change).filter((one) => owners.has(one.privileges.owner));
  for (const one of owned) await requirePlace(change, one, owner);
  if (owned.length > 0) await change.write(...owned.map((one) => ofOwner(one, owner)));
}

/** Drops what the roles own, and revokes what is granted to them, default privileges too. */
export async function dropOwned(change: SchemaChange, stmt: DropOwned): Promise<void> {
  const owners = await ownersOf(change, stmt.owners, 'drop');
  const onPaths = (await pathGrants(change.txn)).find((grant) => owners.has(grant.grantee));
  if (onPaths) {
    throw new StatementError(
      SqlState.FeatureNotSupported,
      `cannot DROP OWNED BY a role with system privileges: ${onPaths.grantee} has some`,
      {
        hint: `SHOW SYSTEM GRANTS FOR ${onPaths.grantee} lists them; REVOKE SYSTEM ALL FROM ${onPaths.grantee}`,
      },
    );
  }
  const owned = inDatabase(change).filter((one) => owners.has(one.privileges.owner));
  const tables = owned.flatMap((one) => (one.kind === 'table' ? [one] : []));
  const types = owned.flatMap((one) => (one.kind === 'type' ? [one] : []));
  const functions = owned.flatMap((one) => (one.kind === 'function' ? [one] : []));
  await dropTogether(change, tables, types, functions, stmt.behavior);
  for (const schema of owned.filter((one): one is SchemaDescriptor => one.kind === 'schema'))
    await dropSchemaOf(change, schema, stmt.behavior);
  for (const object of inDatabase(change)) {
    const without = withoutRoles(object, owners);
    if (without !== object) await change.write(without);
  }
}

function withoutRoles(object: Descriptor, roles: ReadonlySet<string>): Descriptor {
  let result = object;
  for (const role of roles) {
    if (result.privileges.grants.some((grant) => grant.grantee === role)) {
      result = updated(result, { privileges: withoutGrant(result.privileges, role, ['ALL'], privilegesOf(result)) });
    }
    if (result.kind === 'database' && result.publicSchema?.grants.some((grant) => grant.grantee === role)) {
      result = updated(result, { publicSchema: withoutGrant(result.publicSchema, role, ['ALL'], privilegesOf('schema')) });
    }
    if ((result.kind === 'database' || result.kind === 'schema') && result.defaultPrivileges) {
      const left = withoutRole(result.defaultPrivileges, role);
      if (JSON.stringify(left) !== JSON.stringify(result.defaultPrivileges)) result = updated(result, { defaultPrivileges: left });
    }
  }
  return result;
}
