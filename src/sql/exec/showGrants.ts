/**
 * SHOW GRANTS: who holds which privilege on databases, schemas, relations and types, sorted by every column.
 *
 * The columns are those of the kind of object that is asked for. Whether a holder may grant on is in
 * information_schema (`is_grantable`). With `varve.sql.compatibility` = crdb_25 it is here, too, as is an owner's ALL, and
 * without a target the objects are told with their kinds.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Datum } from '../../catalog/datum.ts';
import type { FunctionDescriptor, TableDescriptor, TypeDescriptor } from '../../catalog/descriptor.ts';
import { connectionPath, pathGrants } from '../../catalog/globalPrivileges.ts';
import { NODE_USER, objectKind, PUBLIC_ROLE, schemaGrants, typePrivileges } from '../../catalog/privileges.ts';
import { isNewerForm } from '../../catalog/newerForm.ts';
import type { ClusterSettings } from '../../catalog/settings.ts';
import { pgTypname, Type } from '../../catalog/type.ts';
import { requireUser } from '../../catalog/users.ts';
import { resolveTypeName } from '../../catalog/typeName.ts';
import type { ResolvedSchema } from '../../catalog/catalog.ts';
import type { GrantTarget, Show } from '../parse/ast.ts';
import { partsOf, type SchemaChange } from './ddl/common.ts';
import { functionNamed } from './ddl/functionNames.ts';
import { allInSchemas, functionsInSchemas, schemaNamed, tablesUnder } from './ddl/grantTargets.ts';
import { roleText } from './ddl/roleNames.ts';
import { functionOid, functionSignature } from './functionText.ts';
import type { ResultColumn } from './statement.ts';
import { VIRTUAL_GRANTS, virtualNamed } from './showVirtual.ts';
import { text } from './virtual/support.ts';

interface HeldGrant {
  readonly grantee: string;
  readonly privileges: readonly string[];
  readonly grantOption?: readonly string[];
}

/** Who holds what on an object; `owner` where it has one, `kind` as SHOW GRANTS names it. */
interface Held {
  readonly grants: readonly HeldGrant[];
  readonly owner?: string;
  readonly kind: string;
}

/** Where an object stands: database, schema, name; only as far down as its kind goes. */
type Place = readonly (string | undefined)[];

/** Columns that name the object, by what is asked for. */
const OBJECT_COLUMNS = {
  all: ['database_name', 'schema_name', 'relation_name'],
  database: ['database_name'],
  schema: ['database_name', 'schema_name'],
  table: ['database_name', 'schema_name', 'table_name'],
  type: ['database_name', 'schema_name', 'type_name'],
  function: ['database_name', 'schema_name', 'routine_id', 'routine_signature'],
  externalConnection: ['connection_name'],
} as const;

function objectColumns(target: GrantTarget | undefined): readonly string[] {
  if (!target) return OBJECT_COLUMNS.all;
  switch (target.type) {
    case 'database':
    case 'schema':
    case 'type':
    case 'function':
    case 'externalConnection':
      return OBJECT_COLUMNS[target.type];
    case 'table':
    case 'sequence':
      return OBJECT_COLUMNS.table;
    case 'allIn':
      return target.objects === 'functions' ? OBJECT_COLUMNS.function : OBJECT_COLUMNS.table;
    case 'system':
      throw new StatementError(SqlState.FeatureNotSupported, 'SHOW GRANTS ON SYSTEM is not supported', { hint: 'use SHOW SYSTEM GRANTS' });
  }
}

export function grantColumns(target: GrantTarget | undefined, settings: ClusterSettings): ResultColumn[] {
  const isNewer = isNewerForm(settings);
  const place = isNewer && !target ? ['database_name', 'schema_name', 'object_name', 'object_type'] : objectColumns(target);
  const columns = [...place, 'grantee', 'privilege_type'].map((name): ResultColumn => ({ name, type: Type.String }));
  return isNewer ? [...columns, { name: 'is_grantable', type: Type.Bool }] : columns;
}

export async function showGrants(change: SchemaChange, stmt: Extract<Show, { what: 'grants' }>): Promise<Datum[][]> {
  const wanted = new Set(stmt.grantees.map((grantee) => roleText(change.context, grantee)));
  for (const name of wanted) if (name !== PUBLIC_ROLE) await requireUser(change.context.reader, name);
  const depth = objectColumns(stmt.target).length;
  const isNewer = isNewerForm(change.context.engine.settings);
  const rows: { readonly words: (string | undefined)[]; readonly isGrantable: boolean }[] = [];
  for await (const [place, held] of granted(change, stmt.target)) {
    for (const { grantee, privileges, grantOption = [] } of isNewer ? withOwner(held) : held.grants) {
      if (wanted.size > 0 && !wanted.has(grantee)) continue;
      const where = Array.from({ length: depth }, (_, i) => place[i]);
      if (isNewer && !stmt.target) where.push(held.kind);
      for (const privilege of privileges) {
        const isGrantable = grantOption.includes(privilege) || grantOption.includes('ALL');
        rows.push({ words: [...where, grantee, privilege], isGrantable });
      }
    }
  }
  rows.sort((a, b) => compareRows(a.words, b.words));
  return rows.map(({ words, isGrantable }) => {
    const cells = words.map((cell) => (cell === undefined ? null : text(cell)));
    return isNewer ? [...cells, isGrantable] : cells;
  });
}

/** With what the owner holds without a grant: everything. */
function withOwner({ grants, owner }: Held): readonly HeldGrant[] {
  if (owner === undefined || owner === NODE_USER) return grants;
  return [...grants.filter(({ grantee }) => grantee !== owner), { grantee: owner, privileges: ['ALL'], grantOption: ['ALL'] }];
}

/** By every column in turn, nothing before something. */
function compareRows(a: readonly (string | undefined)[], b: readonly (string | undefined)[]): number {
  for (const [i, cell] of a.entries()) {
    const [left, right] = [cell ?? '', b[i] ?? ''];
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}

async function* granted(change: SchemaChange, target: GrantTarget | undefined): AsyncGenerator<[Place, Held]> {
  const { snapshot, context } = change;
  const own = (object: TableDescriptor | TypeDescriptor): [Place, Held] => [
    snapshot.fullName(object),
    { ...object.privileges, kind: objectKind(object) },
  ];
  switch (target?.type) {
    case undefined: {
      const databases = context.names.currentDatabase === '' ? snapshot.allDatabases() : [change.database(context.names.currentDatabase)];
      for (const database of databases) {
        yield [[database.name], { ...database.privileges, kind: 'database' }];
        for (const schema of snapshot.schemasOf(database)) yield ofSchema(schema);
        for (const table of snapshot.tablesOf(database.id)) yield own(table);
        for (const type of snapshot.typesOf(database.id)) yield own(type);
      }
      return;
    }
    case 'database':
      for (const name of target.names) {
        const database = snapshot.database(name.parts.at(-1)?.text ?? '');
        if (!database) throw new StatementError(SqlState.InvalidCatalogName, 'target database or schema does not exist');
        yield [[database.name], { ...database.privileges, kind: 'database' }];
      }
      return;
    case 'schema':
      for (const name of target.names) yield ofSchema(schemaNamed(change, name));
      return;
    case 'sequence':
      for (const name of target.names) {
        const relation = change.relation(name, 'sequence');
        if (relation) yield own(relation.descriptor);
      }
      return;
    case 'table':
      for (const { parts, star, pos } of target.patterns) {
        if (star) {
          for (const table of tablesUnder(change, { parts, pos })) yield own(table);
          continue;
        }
        const virtual = await virtualNamed(context, { parts, pos });
        if (virtual) {
          yield [[virtual.database, virtual.table.schema, virtual.table.name], { grants: VIRTUAL_GRANTS, kind: 'table' }];
          continue;
        }
        const relation = change.relation({ parts, pos }, 'any');
        if (relation) yield own(relation.descriptor);
      }
      return;
    case 'allIn':
      if (target.objects === 'functions') for (const one of functionsInSchemas(change, target)) yield ofFunction(change, one);
      else for (const table of allInSchemas(change, target)) yield own(table);
      return;
    case 'function':
      for (const name of target.functions) {
        const one = functionNamed(change, name);
        if (one) yield ofFunction(change, one);
      }
      return;
    case 'type':
      for (const name of target.names) {
        const parts = partsOf(name);
        const builtin = parts.length === 1 || parts[0] === 'pg_catalog' ? resolveTypeName({ name: parts.at(-1) ?? '' })?.type : undefined;
        const found = builtin ? undefined : snapshot.resolveType(parts, context.names)?.descriptor;
        if (builtin)
          yield [[context.names.currentDatabase, 'pg_catalog', pgTypname(builtin)], { grants: BUILTIN_TYPE_GRANTS, kind: 'type' }];
        else if (found) yield own(found);
        else throw new StatementError(SqlState.UndefinedObject, `type "${parts.join('.')}" does not exist`);
      }
      return;
    case 'externalConnection':
      for (const { text: name } of target.names)
        yield [[name], { grants: await pathGrants(context.reader, connectionPath(name)), kind: 'external_connection' }];
      return;
    case 'system':
      objectColumns(target);
  }
}

function ofFunction({ snapshot }: SchemaChange, one: FunctionDescriptor): [Place, Held] {
  const [database, schema] = snapshot.fullName(one);
  return [[database, schema, String(functionOid(one)), functionSignature(one)], { ...one.privileges, kind: 'function' }];
}

/** Built-in types are everybody's. */
const BUILTIN_TYPE_GRANTS: readonly HeldGrant[] = typePrivileges('node').grants;

/** What the public schema grants is what its database does, where it has no privileges of its own. */
function ofSchema({ descriptor, database, name }: ResolvedSchema): [Place, Held] {
  const privileges = descriptor?.privileges ?? database.publicSchema ?? schemaGrants(database.privileges);
  return [[database.name, name], { ...privileges, kind: 'schema' }];
}
