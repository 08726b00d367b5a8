/**
 * GRANT and REVOKE of privileges: on databases, schemas, relations and types, on the whole cluster, on
 * external connections, on virtual tables.
 *
 * Who may is in catalog/privileges.ts (V1, V2). Every target is checked before any is changed, since
 * the statement is one transaction.
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { type Descriptor, MAX_SYSTEM_ID, type Privileges, updated } from '../../../catalog/descriptor.ts';
import {
  CONNECTION_PRIVILEGES,
  connectionPath,
  GLOBAL_PATH,
  grantOnPath,
  mayGrantOnPath,
  pathWords,
  revokeOnPath,
  SYSTEM_PRIVILEGES,
  VIRTUAL_PRIVILEGES,
  virtualTablePath,
} from '../../../catalog/globalPrivileges.ts';
import {
  checkGrantable,
  isAlwaysAllowed,
  lacks,
  objectKind,
  objectWord,
  PUBLIC_ROLE,
  privilegesOf,
  requirePrivileges,
  withGrant,
  withoutGrant,
} from '../../../catalog/privileges.ts';
import { isPublicSchema } from '../../../catalog/publicSchema.ts';
import type { Grant, ObjectName, Revoke } from '../../parse/ast.ts';
import { resolveVirtual, virtualTableIsFixed } from '../virtual/virtualNames.ts';
import { partsOf, type SchemaChange } from './common.ts';
import { type ObjectTarget, schemaNamed, targetsOf } from './grantTargets.ts';
import { grantees } from './roleNames.ts';

const verb = (stmt: Grant | Revoke): string => stmt.kind.toUpperCase();

export async function changeGrants(change: SchemaChange, stmt: Grant | Revoke): Promise<void> {
  const { target } = stmt;
  if (target.type === 'system') return await changeOnPath(change, stmt, GLOBAL_PATH, 'system', SYSTEM_PRIVILEGES);
  if (target.type === 'externalConnection') {
    for (const { text } of target.names)
      await changeOnPath(change, stmt, connectionPath(text), 'external_connection', CONNECTION_PRIVILEGES);
    return;
  }
  const objects = await changeVirtual(change, stmt, target);
  if (objects !== undefined) await changeObjects(change, stmt, objects);
}

/** What the statement names beside virtual tables, whose grants are done here; undefined for nothing. 0A000 to keep everybody from one, 42809 for a change. */
async function changeVirtual(change: SchemaChange, stmt: Grant | Revoke, target: ObjectTarget): Promise<ObjectTarget | undefined> {
  if (target.type !== 'table') return target;
  const { context, snapshot } = change;
  const paths = target.patterns.map(({ parts, star, pos }) => {
    if (star) return undefined;
    const virtual = resolveVirtual(context.engine.virtualTables, snapshot, partsOf({ parts, pos }), context.names);
    if (virtual && stmt.privileges.some((privilege) => privilege !== 'SELECT' && privilege !== 'ALL'))
      throw virtualTableIsFixed(virtual.table);
    return virtual && virtualTablePath(virtual.table.schema, virtual.table.name);
  });
  for (const path of paths) {
    if (path === undefined) continue;
    if (stmt.kind === 'revoke' && stmt.grantees.some((role) => role.text === PUBLIC_ROLE)) {
      throw new StatementError(SqlState.FeatureNotSupported, 'everybody can read virtual tables', {
        hint: 'what their rows tell depends on who asks',
      });
    }
    await changeOnPath(change, stmt, path, 'virtual_table', VIRTUAL_PRIVILEGES);
  }
  const patterns = target.patterns.filter((_, i) => paths[i] === undefined);
  return patterns.length > 0 ? { ...target, patterns } : undefined;
}

async function changeObjects(change: SchemaChange, stmt: Grant | Revoke, target: ObjectTarget): Promise<void> {
  const names = await grantees(change, stmt.grantees);
  const kind = kindOf(target);
  const privileges = requirePrivileges(stmt.privileges, kind);
  if (target.type === 'schema') refusePublicSchema(change, target.names, privileges);
  const objects = targetsOf(change, target);
  for (const object of objects) {
    requirePrivileges(stmt.privileges, kind === 'table' ? objectKind(object) : kind);
    if (object.id <= MAX_SYSTEM_ID && !isPublicSchema(object))
      throw new StatementError(SqlState.InsufficientPrivilege, `cannot ${verb(stmt)} on system object`);
    checkGrantable(change.roles, object, privileges);
    if (stmt.kind === 'revoke') keepAdmins(names, object);
  }
  const changed = objects.flatMap((object): Descriptor[] => {
    const next = changedPrivileges(stmt, object, names);
    if (!isPublicSchema(object)) return [updated(object, { privileges: next })];
    const database = change.snapshot.databaseById(object.parentId);
    return database ? [updated(database, { publicSchema: next })] : [];
  });
  if (changed.length > 0) await change.write(...changed);
}

function changedPrivileges(stmt: Grant | Revoke, object: Descriptor, names: readonly string[]): Privileges {
  const privileges = requirePrivileges(stmt.privileges, objectKind(object));
  let next = object.privileges;
  for (const name of names) {
    next =
      stmt.kind === 'grant'
        ? withGrant(next, name, privileges, { grantOption: stmt.withGrantOption })
        : withoutGrant(next, name, privileges, privilegesOf(object), { grantOptionOnly: stmt.grantOptionOnly });
  }
  return next;
}

const kindOf = (target: ObjectTarget): 'database' | 'schema' | 'type' | 'sequence' | 'table' | 'function' => {
  if (target.type === 'allIn') return target.objects === 'tables' ? 'table' : target.objects === 'sequences' ? 'sequence' : 'function';
  return target.type;
};

/** V1 of catalog/privileges.ts. 0LP01. */
function keepAdmins(names: readonly string[], object: Descriptor): void {
  const name = names.find(isAlwaysAllowed);
  if (name === undefined) return;
  throw new StatementError(
    SqlState.InvalidGrantOperation,
    `user ${name} must have exactly ALL privileges on ${objectWord(object)} "${object.name}"`,
  );
}

/** Everybody may use schema public; who creates in it is a matter of the database. */
function refusePublicSchema(change: SchemaChange, names: readonly ObjectName[], privileges: readonly string[]): void {
  for (const name of names) {
    const schema = schemaNamed(change, name);
    if (schema.descriptor || schema.database.publicSchema || privileges.every((privilege) => privilege === 'USAGE')) continue;
    throw new StatementError(SqlState.InvalidGrantOperation, `cannot change privileges on schema "${schema.name}"`, {
      hint: `everybody may use it; CREATE in it is granted ON DATABASE ${schema.database.name}`,
    });
  }
}

/** Privileges that are rows of system.privileges. 42601 for one that is unknown there, 42501 for who may not. */
async function changeOnPath(
  change: SchemaChange,
  stmt: Grant | Revoke,
  path: string,
  word: string,
  known: readonly string[],
): Promise<void> {
  const names = await grantees(change, stmt.grantees);
  for (const privilege of stmt.privileges) {
    if (privilege === 'ALL' || known.includes(privilege)) continue;
    throw new StatementError(SqlState.InvalidGrantOperation, `invalid privilege type ${privilege} for ${word}`, {
      hint: `known are ALL, ${known.join(', ')}`,
    });
  }
  for (const privilege of stmt.privileges) {
    if (await mayGrantOnPath(change.txn, change.roles, path, privilege)) continue;
    if (path === GLOBAL_PATH) {
      throw new StatementError(
        SqlState.InsufficientPrivilege,
        `user ${change.context.user} missing WITH GRANT OPTION privilege on ${privilege}`,
      );
    }
    throw lacks(
      change.roles,
      `${privilege} WITH GRANT OPTION`,
      word === 'external_connection' ? `${word} ${path.replace('/externalconn/', '')}` : pathWords(path),
    );
  }
  for (const name of names) {
    if (stmt.kind === 'grant') await grantOnPath(change.txn, name, path, stmt.privileges, { grantOption: stmt.withGrantOption });
    else await revokeOnPath(change.txn, name, path, stmt.privileges, known, { grantOptionOnly: stmt.grantOptionOnly });
  }
}
