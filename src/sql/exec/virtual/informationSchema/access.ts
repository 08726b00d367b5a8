/**
 * information_schema: schemas, roles and privileges.
 */
import type { Privilege, Privileges } from '../../../../catalog/descriptor.ts';
import {
  ADMIN_ROLE,
  NODE_USER,
  PUBLIC_ROLE,
  privilegesOf,
  typePrivileges as newTypePrivileges,
  schemaGrants,
} from '../../../../catalog/privileges.ts';
import { builtinTypes, type ColumnType, familyName, pgTypname, Type } from '../../../../catalog/type.ts';
import { administeredRoles, rolesOf } from '../../../../catalog/users.ts';
import { schemaOwner } from '../catalogView.ts';
import { hidden, inSchema, required, yesNo } from '../defineTable.ts';
import { catalogOf, tableNames } from './relations.ts';

const table = inSchema('information_schema');

const schemata = table(
  'schemata',
  {
    catalog_name: required(Type.String),
    schema_name: required(Type.String),
    schema_owner: hidden(Type.String),
    default_character_set_catalog: hidden(Type.String),
    default_character_set_schema: hidden(Type.String),
    default_character_set_name: Type.String,
    sql_path: Type.String,
    crdb_is_user_defined: Type.String,
  },
  function* (view) {
    for (const database of view.databases) {
      for (const schema_name of view.virtualSchemas) {
        yield { catalog_name: database.name, schema_name, schema_owner: NODE_USER, crdb_is_user_defined: 'NO' };
      }
    }
    for (const schema of view.schemas()) {
      yield {
        catalog_name: schema.database.name,
        schema_name: schema.name,
        schema_owner: schemaOwner(schema),
        crdb_is_user_defined: yesNo(schema.descriptor !== undefined && !schema.descriptor.temporary),
      };
    }
  },
);

/** A row for each privilege that is granted; `all` spells ALL out where the standard wants single ones. */
function* grantsOf(privileges: Privileges, all: readonly Privilege[] | undefined) {
  const spell = (held: readonly Privilege[]) => (held.includes('ALL') && all ? all : held);
  for (const grant of privileges.grants) {
    const grantable = spell(grant.grantOption ?? []);
    for (const privilege of spell(grant.privileges)) {
      const isGrantable = grantable.includes(privilege) || grantable.includes('ALL');
      yield { grantee: grant.grantee, privilege_type: privilege as string, is_grantable: yesNo(isGrantable) };
    }
  }
}

const TABLE_GRANT_COLUMNS = {
  grantor: Type.String,
  grantee: Type.String,
  table_catalog: Type.String,
  table_schema: Type.String,
  table_name: Type.String,
  privilege_type: Type.String,
  is_grantable: Type.String,
  with_hierarchy: Type.String,
} as const;

const tablePrivileges = table('table_privileges', TABLE_GRANT_COLUMNS, function* (view) {
  for (const relation of view.relations()) {
    for (const grant of grantsOf(relation.table.privileges, undefined)) {
      yield { ...tableNames(relation), ...grant, with_hierarchy: yesNo(grant.privilege_type === 'SELECT') };
    }
  }
  for (const virtual of view.virtualTables) {
    yield {
      grantee: PUBLIC_ROLE,
      table_catalog: catalogOf(view),
      table_schema: virtual.schema,
      table_name: virtual.name,
      privilege_type: 'SELECT',
      is_grantable: 'NO',
      with_hierarchy: 'YES',
    };
  }
});

const roleTableGrants = table('role_table_grants', TABLE_GRANT_COLUMNS, function* (view) {
  for (const relation of view.relations()) {
    for (const grant of grantsOf(relation.table.privileges, undefined)) {
      yield { ...tableNames(relation), ...grant, with_hierarchy: yesNo(grant.privilege_type === 'SELECT') };
    }
  }
});

const columnPrivileges = table(
  'column_privileges',
  {
    grantor: Type.String,
    grantee: required(Type.String),
    table_catalog: required(Type.String),
    table_schema: required(Type.String),
    table_name: required(Type.String),
    column_name: required(Type.String),
    privilege_type: required(Type.String),
    is_grantable: Type.String,
  },
  function* (view) {
    for (const relation of view.relations()) {
      for (const grant of grantsOf(relation.table.privileges, privilegesOf(relation.table))) {
        if (!['SELECT', 'INSERT', 'UPDATE'].includes(grant.privilege_type)) continue;
        for (const column of relation.table.columns) {
          if (column.state === 'public' && !column.isIndexExpression) yield { ...tableNames(relation), ...grant, column_name: column.name };
        }
      }
    }
  },
);

const SCHEMA_GRANT_COLUMNS = {
  grantee: Type.String,
  table_catalog: Type.String,
  table_schema: Type.String,
  privilege_type: Type.String,
  is_grantable: Type.String,
} as const;

const schemaPrivileges = table('schema_privileges', SCHEMA_GRANT_COLUMNS, function* (view) {
  for (const database of view.databases) {
    // What has no descriptor of its own grants what its database does.
    const inherited = schemaGrants(database.privileges);
    const schemas = new Map<string, Privileges>(view.virtualSchemas.map((name) => [name, inherited]));
    for (const { name, descriptor } of view.snapshot.schemasOf(database))
      schemas.set(name, descriptor?.privileges ?? database.publicSchema ?? inherited);
    for (const [table_schema, privileges] of [...schemas].sort()) {
      for (const grant of grantsOf(privileges, undefined)) yield { table_catalog: database.name, table_schema, ...grant };
    }
  }
});

/** Built-in types are everybody's. */
const BUILTIN_TYPE = newTypePrivileges(NODE_USER);

const rootFirst = (a: { grantee: string }, b: { grantee: string }): number => Number(b.grantee === 'root') - Number(a.grantee === 'root');

/** How error messages name a type; the narrow ones as PostgreSQL does. */
const typeWord = (type: ColumnType): string => (type.width === 64 || type.width === undefined ? familyName(type) : pgTypname(type));

const typePrivileges = table(
  'type_privileges',
  {
    grantee: Type.String,
    type_catalog: Type.String,
    type_schema: Type.String,
    type_name: Type.String,
    privilege_type: Type.String,
    is_grantable: hidden(Type.String),
  },
  function* (view) {
    const builtin = { type_catalog: catalogOf(view), type_schema: 'pg_catalog' };
    for (const type of builtinTypes()) {
      for (const grant of [...grantsOf(BUILTIN_TYPE, undefined)].sort(rootFirst)) yield { ...builtin, type_name: typeWord(type), ...grant };
    }
    for (const type of view.types()) {
      const [type_catalog, type_schema, type_name] = view.snapshot.fullName(type);
      for (const grant of grantsOf(type.privileges, undefined)) yield { type_catalog, type_schema, type_name, ...grant };
    }
  },
);

const enabledRoles = table('enabled_roles', { role_name: Type.String }, async (view) => {
  const roles = await rolesOf(view.context.reader, view.context.user);
  return [...roles].sort().map((role_name) => ({ role_name }));
});

const applicableRoles = table(
  'applicable_roles',
  { grantee: Type.String, role_name: Type.String, is_grantable: Type.String },
  async (view) => {
    const { reader, user } = view.context;
    return [...(await administeredRoles(reader, user))]
      .sort()
      .map(([role_name, isAdmin]) => ({ grantee: user, role_name, is_grantable: yesNo(isAdmin) }));
  },
);

const administrableRoles = table(
  'administrable_role_authorizations',
  { grantee: Type.String, role_name: Type.String, is_grantable: Type.String },
  async (view) => {
    const { reader, user } = view.context;
    return [...(await administeredRoles(reader, user))]
      .filter(([, isAdmin]) => isAdmin)
      .sort()
      .map(([role_name]) => ({ grantee: user, role_name, is_grantable: 'YES' }));
  },
);

const characterSets = table(
  'character_sets',
  {
    character_set_catalog: Type.String,
    character_set_schema: Type.String,
    character_set_name: Type.String,
    character_repertoire: Type.String,
    form_of_use: Type.String,
    default_collate_catalog: Type.String,
    default_collate_schema: Type.String,
    default_collate_name: Type.String,
  },
  (view) =>
    view.snapshot.allDatabases().map((database) => ({
      character_set_name: 'UTF8',
      character_repertoire: 'UCS',
      form_of_use: 'UTF8',
      default_collate_catalog: database.name,
    })),
);

const catalogName = table('information_schema_catalog_name', { catalog_name: Type.String }, (view) => [{ catalog_name: catalogOf(view) }]);

const sessionVariables = table('session_variables', { variable: Type.String, value: Type.String }, (view) =>
  view.context.session.vars.entries().map(([variable]) => ({ variable, value: view.context.session.showVariable(variable) })),
);

/** What users may do at large: nothing but own and administer is granted so here. */
const userPrivileges = table(
  'user_privileges',
  {
    grantee: required(Type.String),
    table_catalog: required(Type.String),
    privilege_type: required(Type.String),
    is_grantable: Type.String,
  },
  function* (view) {
    for (const grantee of [ADMIN_ROLE, 'root']) {
      for (const privilege_type of USER_PRIVILEGES) yield { grantee, table_catalog: catalogOf(view), privilege_type };
    }
  },
);
const USER_PRIVILEGES = ['ALL', 'CREATE', 'DELETE', 'DROP', 'GRANT', 'INSERT', 'SELECT', 'UPDATE', 'ZONECONFIG'] as const;

export const accessTables = [
  administrableRoles,
  applicableRoles,
  catalogName,
  characterSets,
  columnPrivileges,
  enabledRoles,
  roleTableGrants,
  schemaPrivileges,
  schemata,
  sessionVariables,
  tablePrivileges,
  typePrivileges,
  userPrivileges,
];
