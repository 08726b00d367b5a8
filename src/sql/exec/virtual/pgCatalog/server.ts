/**
 * pg_catalog: databases, users, settings and sessions: what belongs to the whole cluster.
 */
import { letGo } from '../../../../base/errors.ts';
import { parseTimestampTz } from '../../../../catalog/datetimeText.ts';
import { parseInet } from '../../../../catalog/inet.ts';
import type { DatabaseDescriptor } from '../../../../catalog/descriptor.ts';
import { systemTable } from '../../../../catalog/systemRows.ts';
import { arrayOf, Type } from '../../../../catalog/type.ts';
import { allRoleDefaults } from '../../../../catalog/roleSettings.ts';
import { listUsers, type UserInfo } from '../../../../catalog/users.ts';
import { isAdmin } from '../../../../catalog/privileges.ts';
import type { Bytes } from '../../../../base/bytes.ts';
import { userOid } from '../../oids.ts';
import { type SessionVarSpec, sessionVarSpecs } from '../../sessionVars.ts';
import type { CatalogView } from '../catalogView.ts';
import { hidden, inSchema } from '../defineTable.ts';
import { aclOf, pgDefaultAcl } from './acl.ts';
import { DEFAULT_TABLESPACE, UTF8_ENCODING } from './constants.ts';

const table = inSchema('pg_catalog');
const TextArray = arrayOf(Type.String);

const pgDatabase = table(
  'pg_database',
  {
    oid: Type.Oid,
    datname: Type.Name,
    datdba: Type.Oid,
    encoding: Type.Int4,
    datcollate: Type.Name,
    datctype: Type.Name,
    datistemplate: Type.Bool,
    datallowconn: Type.Bool,
    datconnlimit: Type.Int4,
    datlastsysoid: Type.Oid,
    datfrozenxid: Type.Int8,
    datminmxid: Type.Int8,
    dattablespace: Type.Oid,
    datacl: TextArray,
  },
  (view) =>
    view.snapshot.allDatabases().map((database: DatabaseDescriptor) => ({
      oid: database.id,
      datname: database.name,
      datdba: userOid(database.privileges.owner),
      encoding: UTF8_ENCODING,
      datcollate: 'C.UTF-8',
      datctype: 'C.UTF-8',
      datistemplate: false,
      datallowconn: true,
      datconnlimit: -1,
      datlastsysoid: 0,
      dattablespace: DEFAULT_TABLESPACE,
      datacl: aclOf(database.privileges, 'database'),
    })),
);

const pgTablespace = table(
  'pg_tablespace',
  { oid: Type.Oid, spcname: Type.Name, spcowner: Type.Oid, spcacl: TextArray, spcoptions: TextArray },
  () => [{ oid: DEFAULT_TABLESPACE, spcname: 'pg_default' }],
);

const pgDbRoleSetting = table('pg_db_role_setting', { setdatabase: Type.Oid, setrole: Type.Oid, setconfig: TextArray }, async (view) => {
  const rows = await allRoleDefaults(view.context.reader);
  return rows.map(({ databaseId, role, settings }) => ({
    setdatabase: databaseId,
    setrole: role === '' ? 0 : userOid(role),
    setconfig: settings,
  }));
});

// ---- roles --------------------------------------------------------------------------------------

const ROLE_COLUMNS = {
  oid: Type.Oid,
  rolname: Type.Name,
  rolsuper: Type.Bool,
  rolinherit: Type.Bool,
  rolcreaterole: Type.Bool,
  rolcreatedb: Type.Bool,
  rolcatupdate: hidden(Type.Bool),
  rolcanlogin: Type.Bool,
  rolreplication: Type.Bool,
  rolbypassrls: Type.Bool,
  rolconnlimit: Type.Int4,
  rolpassword: Type.String,
  rolvaliduntil: Type.TimestampTz,
} as const;

/** VALID UNTIL, as ALTER ROLE keeps it; undefined without, or when it is no time. */
function validUntil(user: UserInfo): number | bigint | undefined {
  const option = user.options.find((one) => one.startsWith('VALID UNTIL='));
  try {
    return option === undefined ? undefined : parseTimestampTz(option.slice('VALID UNTIL='.length), { nowMicros: 0 });
  } catch (error) {
    return letGo(error);
  }
}

function roleRow(user: UserInfo) {
  const rolsuper = isAdmin(user.username) || user.memberOf.some(isAdmin);
  return {
    oid: userOid(user.username),
    rolname: user.username,
    rolsuper,
    rolinherit: true,
    rolcreaterole: rolsuper || user.options.includes('CREATEROLE'),
    rolcreatedb: rolsuper || user.options.includes('CREATEDB'),
    rolcatupdate: false,
    rolcanlogin: !user.options.includes('NOLOGIN'),
    rolreplication: false,
    rolbypassrls: false,
    rolconnlimit: -1,
    rolpassword: '********',
    rolvaliduntil: validUntil(user),
  };
}

const users = (view: CatalogView) => listUsers(view.context.reader);

const pgRoles = table('pg_roles', { ...ROLE_COLUMNS, rolconfig: TextArray }, async (view) => (await users(view)).map(roleRow));
const pgAuthid = table('pg_authid', ROLE_COLUMNS, async (view) => (await users(view)).map(roleRow));

const pgUser = table(
  'pg_user',
  {
    usename: Type.Name,
    usesysid: Type.Oid,
    usecreatedb: Type.Bool,
    usesuper: Type.Bool,
    userepl: Type.Bool,
    usebypassrls: Type.Bool,
    passwd: Type.String,
    valuntil: Type.TimestampTz,
    useconfig: TextArray,
  },
  async (view) =>
    (await users(view))
      .filter((user) => !user.isRole)
      .map(roleRow)
      .filter((role) => role.rolcanlogin)
      .map((role) => ({
        usename: role.rolname,
        usesysid: role.oid,
        usecreatedb: role.rolcreatedb,
        usesuper: role.rolsuper,
        userepl: false,
        usebypassrls: false,
        passwd: role.rolpassword,
        valuntil: role.rolvaliduntil,
      })),
);

const pgAuthMembers = table(
  'pg_auth_members',
  { roleid: Type.Oid, member: Type.Oid, grantor: Type.Oid, admin_option: Type.Bool },
  async (view) => {
    const rows = await systemTable('role_members').scan(view.context.reader);
    return rows.map((row) => ({
      roleid: userOid(String(row['role'])),
      member: userOid(String(row['member'])),
      admin_option: row['isAdmin'] === true,
    }));
  },
);

// ---- settings -----------------------------------------------------------------------------------

/** pg_settings.vartype, from the default's look: variables are texts here. */
function vartypeOf(spec: SessionVarSpec): string {
  if (spec.default === 'on' || spec.default === 'off') return 'bool';
  return /^-?\d+$/.test(spec.default) ? 'integer' : 'string';
}

const pgSettings = table(
  'pg_settings',
  {
    name: Type.String,
    setting: Type.String,
    unit: Type.String,
    category: Type.String,
    short_desc: Type.String,
    extra_desc: Type.String,
    context: Type.String,
    vartype: Type.String,
    source: Type.String,
    min_val: Type.String,
    max_val: Type.String,
    enumvals: TextArray,
    boot_val: Type.String,
    reset_val: Type.String,
    sourcefile: Type.String,
    sourceline: Type.Int4,
    pending_restart: Type.Bool,
  },
  function* (view) {
    const { session } = view.context;
    for (const spec of sessionVarSpecs.values()) {
      if (spec.hidden) continue;
      const setting = session.showVariable(spec.name);
      yield {
        name: spec.name,
        setting,
        category: 'session',
        short_desc: '',
        context: spec.normalize ? 'user' : 'internal',
        vartype: vartypeOf(spec),
        source: setting === spec.default ? 'default' : 'session',
        boot_val: spec.default,
        reset_val: spec.default,
        pending_restart: false,
      };
    }
  },
);

// ---- sessions -----------------------------------------------------------------------------------

/** Sessions of others are for admins. */
export function visibleSessions(view: CatalogView) {
  const { engine, user } = view.context;
  return engine.sessions().filter((session) => isAdmin(view.roles) || session.user === user);
}

/** `127.0.0.1:5432` or `[::1]:5432` in two. */
export function splitAddress(address: string | undefined): { inet: Bytes | undefined; port: number | undefined } {
  const match = /^\[?([0-9a-fA-F.:]+?)\]?(?::(\d+))?$/.exec(address ?? '');
  if (!match?.[1]) return { inet: undefined, port: undefined };
  return { inet: parseInet(match[1]), port: match[2] === undefined ? undefined : Number(match[2]) };
}

const pgStatActivity = table(
  'pg_stat_activity',
  {
    datid: Type.Oid,
    datname: Type.Name,
    pid: Type.Int8,
    leader_pid: hidden(Type.Int8),
    usesysid: Type.Oid,
    usename: Type.Name,
    application_name: Type.String,
    client_addr: Type.Inet,
    client_hostname: Type.String,
    client_port: Type.Int8,
    backend_start: Type.TimestampTz,
    xact_start: Type.TimestampTz,
    query_start: Type.TimestampTz,
    state_change: Type.TimestampTz,
    wait_event_type: Type.String,
    wait_event: Type.String,
    state: Type.String,
    backend_xid: Type.Int8,
    backend_xmin: Type.Int8,
    query: Type.String,
    backend_type: hidden(Type.String),
  },
  function* (view) {
    for (const session of visibleSessions(view)) {
      const { inet, port } = splitAddress(session.clientAddress);
      const idle =
        session.transactionStatus === 'T'
          ? 'idle in transaction'
          : session.transactionStatus === 'E'
            ? 'idle in transaction (aborted)'
            : 'idle';
      yield {
        datid: view.snapshot.database(session.database)?.id,
        datname: session.database,
        pid: session.backendPid,
        usesysid: userOid(session.user),
        usename: session.user,
        application_name: session.vars.get('application_name'),
        client_addr: inet,
        client_port: port,
        backend_start: session.startedAt,
        xact_start: session.transaction?.startTimestamp,
        state: session.activeQuery === '' ? idle : 'active',
        query: session.activeQuery,
        backend_type: 'client backend',
      };
    }
  },
);

const pgPreparedStatements = table(
  'pg_prepared_statements',
  {
    name: Type.String,
    statement: Type.String,
    prepare_time: Type.TimestampTz,
    parameter_types: arrayOf(Type.RegType),
    from_sql: Type.Bool,
  },
  (view) =>
    view.context.session
      .preparedStatements()
      .filter((prepared) => prepared.name !== '')
      .map((prepared) => ({
        name: prepared.name,
        statement: prepared.sql,
        parameter_types: prepared.parameterTypes.map((type) => type.oid),
      })),
);

const pgCursors = table(
  'pg_cursors',
  {
    name: Type.String,
    statement: Type.String,
    is_holdable: Type.Bool,
    is_binary: Type.Bool,
    is_scrollable: Type.Bool,
    creation_time: Type.TimestampTz,
  },
  (view) =>
    view.context.session.cursors.all().map((cursor) => ({
      name: cursor.name,
      statement: cursor.statement,
      is_holdable: cursor.isHeld,
      is_binary: false,
      is_scrollable: cursor.isScrollable,
      creation_time: cursor.declaredAt,
    })),
);

const pgExtension = table(
  'pg_extension',
  {
    oid: Type.Oid,
    extname: Type.Name,
    extowner: Type.Oid,
    extnamespace: Type.Oid,
    extrelocatable: Type.Bool,
    extversion: Type.String,
    extconfig: arrayOf(Type.Oid),
    extcondition: TextArray,
  },
  () => [],
);

export const serverTables = [
  pgAuthMembers,
  pgAuthid,
  pgDatabase,
  pgDbRoleSetting,
  pgExtension,
  pgPreparedStatements,
  pgCursors,
  pgDefaultAcl,
  pgRoles,
  pgSettings,
  pgStatActivity,
  pgTablespace,
  pgUser,
];
