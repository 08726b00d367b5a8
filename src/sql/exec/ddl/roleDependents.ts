/**
 * What depends on a role: the objects it owns, and those on which something is granted to it.
 */
import { isAttachedId } from '../../../catalog/attached.ts';
import type { DefaultPrivileges, Descriptor } from '../../../catalog/descriptor.ts';
import { pathGrants, pathWords } from '../../../catalog/globalPrivileges.ts';
import { quoteName, quoteNames } from '../../../catalog/names.ts';
import { objectKind } from '../../../catalog/privileges.ts';
import type { SchemaChange } from './common.ts';

export interface Dependents {
  /** Names of objects with grants to any of the roles. */
  readonly granted: readonly string[];
  /** `owner of table d.public.t`, by owner. */
  readonly owned: ReadonlyMap<string, readonly string[]>;
  /** Names of attached backups, by owner. */
  readonly attached: ReadonlyMap<string, readonly string[]>;
}

const ORDER: readonly Descriptor['kind'][] = ['database', 'table', 'schema', 'type', 'function'];

/** Every object that is there, databases first, then relations, schemas, types and functions, by id. */
export function liveObjects(change: SchemaChange): Descriptor[] {
  const order = (one: Descriptor): number => ORDER.indexOf(one.kind);
  return [...change.snapshot.all()].filter((one) => one.state !== 'DROP').sort((a, b) => order(a) - order(b) || a.id - b.id);
}

/** Its name with database and schema. */
export function objectName(change: SchemaChange, descriptor: Descriptor): string {
  if (descriptor.kind !== 'database' && descriptor.kind !== 'schema') return quoteNames(change.snapshot.fullName(descriptor));
  if (descriptor.kind === 'database') return quoteName(descriptor.name);
  const database = change.snapshot.databaseById(descriptor.parentId)?.name;
  return quoteNames(database === undefined ? [descriptor.name] : [database, descriptor.name]);
}

function defaultLines({ role, on, grants }: DefaultPrivileges, names: ReadonlySet<string>): [string, string][] {
  const lines: [string, string][] = [];
  if (role !== undefined && names.has(role))
    lines.push([role, `owner of default privileges on new ${shown(on)} belonging to role ${role}`]);
  for (const { grantee } of grants) {
    if (!names.has(grantee)) continue;
    lines.push([
      grantee,
      `privileges for default privileges on new ${shown(on)} ${role === undefined ? 'for all roles' : `belonging to role ${role}`}`,
    ]);
  }
  return lines;
}

const shown = (on: DefaultPrivileges['on']): string => (on === 'tables' ? 'relations' : on);

export async function dependents(change: SchemaChange, names: ReadonlySet<string>): Promise<Dependents> {
  const granted: string[] = [];
  const owned = new Map<string, string[]>();
  const attached = new Map<string, string[]>();
  const own = (name: string, line: string): void => void owned.set(name, [...(owned.get(name) ?? []), line]);
  for (const descriptor of liveObjects(change)) {
    const name = objectName(change, descriptor);
    const { owner, grants } = descriptor.privileges;
    if (isAttachedId(descriptor.id)) {
      // All in it is whose it is, and goes with it.
      if (descriptor.kind === 'database' && names.has(owner)) attached.set(owner, [...(attached.get(owner) ?? []), name]);
      continue;
    }
    if (names.has(owner)) own(owner, `owner of ${objectKind(descriptor)} ${name}`);
    if (grants.some((grant) => names.has(grant.grantee))) granted.push(name);
    if (descriptor.kind === 'database' && descriptor.publicSchema?.grants.some((grant) => names.has(grant.grantee)))
      granted.push(`${name}.public`);
    if (descriptor.kind !== 'database' && descriptor.kind !== 'schema') continue;
    for (const entry of descriptor.defaultPrivileges ?? []) for (const [role, line] of defaultLines(entry, names)) own(role, line);
  }
  for (const { grantee, path } of await pathGrants(change.txn)) {
    if (!names.has(grantee)) continue;
    granted.push(pathWords(path));
  }
  return { granted, owned, attached };
}
