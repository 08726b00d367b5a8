/**
 * System tables: the shapes of the tables in the `system` database, with the ids, names and columns
 * of CockroachDB v21.1, and what becomes of each in a cluster backup.
 *
 * Two deviations: columns that hold encoded messages there are JSONB here, so that a SELECT shows
 * them (jobs, scheduled_jobs, table_statistics, zones, protected_ts_records, external_connections), and descriptors are JSON text
 * in BYTES.
 *
 * Lives elsewhere: reading and writing their rows (systemRows.ts), their first contents (bootstrap.ts).
 */
import { MIN_TIMESTAMP } from '../base/timestamp.ts';

import type { ColumnDescriptor, DatabaseDescriptor, IndexDescriptor, Privilege, Privileges, TableDescriptor } from './descriptor.ts';
import { PRIMARY_INDEX_ID, PUBLIC_SCHEMA_ID, SYSTEM_DATABASE_ID } from './descriptor.ts';
import { deepFreeze } from './descriptorCodec.ts';
import { arrayOf, type ColumnType, decimalOf, Type } from './type.ts';

/** What a cluster backup and restore do with a system table. */
export interface SystemTableInfo {
  readonly desc: TableDescriptor;
  /** True when a cluster backup holds its rows. */
  readonly inClusterBackup: boolean;
  /** True for tables whose rows speak of other objects by id: restore rewrites them. */
  readonly holdsDescriptorIds: boolean;
}

interface Options {
  readonly key: readonly string[];
  readonly indexes?: readonly { readonly name: string; readonly columns: readonly string[]; readonly storing?: readonly string[] }[];
  readonly inClusterBackup?: boolean;
  readonly holdsDescriptorIds?: boolean;
  readonly privileges?: readonly Privilege[];
}

type Columns = Readonly<Record<string, ColumnType | { readonly type: ColumnType; readonly nullable?: boolean; readonly default?: string }>>;

const READ_WRITE: readonly Privilege[] = ['DELETE', 'INSERT', 'SELECT', 'UPDATE'];
const READ: readonly Privilege[] = ['SELECT'];

const optional = (type: ColumnType) => ({ type, nullable: true });

/** What admin and root hold on the system's own objects, GRANT besides; nobody else gets any. */
function systemPrivileges(listed: readonly Privilege[]): Privileges {
  const privileges: readonly Privilege[] = [...listed, 'GRANT' as const].sort();
  return {
    owner: 'node',
    grants: [
      { grantee: 'admin', privileges, grantOption: privileges },
      { grantee: 'root', privileges, grantOption: privileges },
    ],
  };
}

function define(id: number, name: string, columns: Columns, options: Options): SystemTableInfo {
  const described: ColumnDescriptor[] = Object.entries(columns).map(([columnName, spec], i) => {
    const { type, nullable = false, default: defaultExpr } = 'family' in spec ? { type: spec } : spec;
    return { id: i + 1, name: columnName, type, nullable, state: 'public', ...(defaultExpr !== undefined && { defaultExpr }) };
  });
  const idOf = (columnName: string): number => described.find((column) => column.name === columnName)?.id ?? 0;
  const keyIds = options.key.map(idOf);
  const index = (indexId: number, indexName: string, names: readonly string[], storing: readonly string[] = []): IndexDescriptor => ({
    id: indexId,
    name: indexName,
    unique: indexId === PRIMARY_INDEX_ID,
    columnIds: names.map(idOf),
    directions: names.map(() => 'ASC'),
    storeColumnIds: storing.map(idOf),
    keySuffixColumnIds: indexId === PRIMARY_INDEX_ID ? [] : keyIds.filter((keyId) => !names.map(idOf).includes(keyId)),
    state: 'public',
  });
  const desc: TableDescriptor = {
    kind: 'table',
    id,
    name,
    parentId: SYSTEM_DATABASE_ID,
    schemaId: PUBLIC_SCHEMA_ID,
    version: 1,
    modificationTime: MIN_TIMESTAMP,
    state: 'PUBLIC',
    privileges: systemPrivileges(options.privileges ?? READ_WRITE),
    columns: described,
    nextColumnId: described.length + 1,
    families: [{ id: 0, name: 'primary', columnIds: described.map((column) => column.id) }],
    nextFamilyId: 1,
    primaryIndex: index(PRIMARY_INDEX_ID, 'primary', options.key),
    indexes: (options.indexes ?? []).map((spec, i) => index(PRIMARY_INDEX_ID + 1 + i, spec.name, spec.columns, spec.storing)),
    nextIndexId: PRIMARY_INDEX_ID + 1 + (options.indexes?.length ?? 0),
    checks: [],
    foreignKeys: [],
    referencedByIds: [],
    dependedOnByIds: [],
    nextConstraintId: 1,
    createTime: MIN_TIMESTAMP,
  };
  return deepFreeze({ desc, inClusterBackup: options.inClusterBackup ?? false, holdsDescriptorIds: options.holdsDescriptorIds ?? false });
}

const now = 'now():::TIMESTAMP';

/** Every system table by name. */
export const systemTables = Object.freeze({
  descriptor: define(3, 'descriptor', { id: Type.Int8, descriptor: optional(Type.Bytes) }, { key: ['id'], privileges: READ }),
  users: define(
    4,
    'users',
    { username: Type.String, hashedPassword: optional(Type.Bytes), isRole: { type: Type.Bool, default: 'false' } },
    { key: ['username'], inClusterBackup: true },
  ),
  zones: define(
    5,
    'zones',
    { id: Type.Int8, config: optional(Type.Jsonb) },
    { key: ['id'], inClusterBackup: true, holdsDescriptorIds: true },
  ),
  settings: define(
    6,
    'settings',
    {
      name: Type.String,
      value: Type.String,
      lastUpdated: { type: Type.Timestamp, default: now },
      valueType: optional(Type.String),
    },
    { key: ['name'], inClusterBackup: true },
  ),
  lease: define(
    11,
    'lease',
    { descID: Type.Int8, version: Type.Int8, nodeID: Type.Int8, expiration: Type.Timestamp },
    { key: ['descID', 'version', 'expiration', 'nodeID'] },
  ),
  eventlog: define(
    12,
    'eventlog',
    {
      timestamp: Type.Timestamp,
      eventType: Type.String,
      targetID: Type.Int8,
      reportingID: Type.Int8,
      info: optional(Type.String),
      uniqueID: { type: Type.Bytes, default: 'uuid_v4()' },
    },
    { key: ['timestamp', 'uniqueID'] },
  ),
  ui: define(
    14,
    'ui',
    { key: Type.String, value: optional(Type.Bytes), lastUpdated: Type.Timestamp },
    { key: ['key'], inClusterBackup: true },
  ),
  jobs: define(
    15,
    'jobs',
    {
      id: { type: Type.Int8, default: 'unique_rowid()' },
      status: Type.String,
      created: { type: Type.Timestamp, default: now },
      payload: Type.Jsonb,
      progress: optional(Type.Jsonb),
      created_by_type: optional(Type.String),
      created_by_id: optional(Type.Int8),
      claim_session_id: optional(Type.Bytes),
      claim_instance_id: optional(Type.Int8),
      num_runs: optional(Type.Int8),
      last_run: optional(Type.Timestamp),
    },
    {
      key: ['id'],
      indexes: [
        { name: 'jobs_status_created_idx', columns: ['status', 'created'] },
        { name: 'jobs_created_by_type_created_by_id_idx', columns: ['created_by_type', 'created_by_id'], storing: ['status'] },
      ],
    },
  ),
  table_statistics: define(
    20,
    'table_statistics',
    {
      tableID: Type.Int8,
      statisticID: { type: Type.Int8, default: 'unique_rowid()' },
      name: optional(Type.String),
      columnIDs: arrayOf(Type.Int8),
      createdAt: { type: Type.Timestamp, default: now },
      rowCount: Type.Int8,
      distinctCount: Type.Int8,
      nullCount: Type.Int8,
      histogram: optional(Type.Jsonb),
      avgSize: { type: Type.Int8, default: '0:::INT8' },
    },
    { key: ['tableID', 'statisticID'] },
  ),
  locations: define(
    21,
    'locations',
    { localityKey: Type.String, localityValue: Type.String, latitude: decimalOf(18, 15), longitude: decimalOf(18, 15) },
    { key: ['localityKey', 'localityValue'], inClusterBackup: true },
  ),
  role_members: define(
    23,
    'role_members',
    { role: Type.String, member: Type.String, isAdmin: Type.Bool },
    {
      key: ['role', 'member'],
      indexes: [
        { name: 'role_members_role_idx', columns: ['role'] },
        { name: 'role_members_member_idx', columns: ['member'] },
      ],
      inClusterBackup: true,
    },
  ),
  comments: define(
    24,
    'comments',
    { type: Type.Int8, object_id: Type.Int8, sub_id: Type.Int8, comment: Type.String },
    { key: ['type', 'object_id', 'sub_id'], inClusterBackup: true, holdsDescriptorIds: true },
  ),
  namespace: define(
    30,
    'namespace',
    { parentID: Type.Int8, parentSchemaID: Type.Int8, name: Type.String, id: optional(Type.Int8) },
    { key: ['parentID', 'parentSchemaID', 'name'], privileges: READ },
  ),
  protected_ts_meta: define(
    31,
    'protected_ts_meta',
    {
      singleton: { type: Type.Bool, default: 'true' },
      version: Type.Int8,
      num_records: Type.Int8,
      num_spans: Type.Int8,
      total_bytes: Type.Int8,
    },
    { key: ['singleton'], privileges: READ },
  ),
  protected_ts_records: define(
    32,
    'protected_ts_records',
    {
      id: Type.Uuid,
      ts: Type.Decimal,
      meta_type: Type.String,
      meta: optional(Type.Bytes),
      num_spans: Type.Int8,
      spans: Type.Bytes,
      verified: { type: Type.Bool, default: 'false' },
      target: optional(Type.Jsonb),
    },
    { key: ['id'], privileges: READ },
  ),
  role_options: define(
    33,
    'role_options',
    { username: Type.String, option: Type.String, value: optional(Type.String) },
    { key: ['username', 'option'], inClusterBackup: true },
  ),
  scheduled_jobs: define(
    37,
    'scheduled_jobs',
    {
      schedule_id: { type: Type.Int8, default: 'unique_rowid()' },
      schedule_name: Type.String,
      created: { type: Type.TimestampTz, default: 'now():::TIMESTAMPTZ' },
      owner: Type.String,
      next_run: optional(Type.TimestampTz),
      schedule_state: optional(Type.Jsonb),
      schedule_expr: optional(Type.String),
      schedule_details: optional(Type.Jsonb),
      executor_type: Type.String,
      execution_args: Type.Jsonb,
    },
    { key: ['schedule_id'], indexes: [{ name: 'next_run_idx', columns: ['next_run'] }], inClusterBackup: true },
  ),
  sqlliveness: define(39, 'sqlliveness', { session_id: Type.Bytes, expiration: Type.Decimal }, { key: ['session_id'] }),
  database_role_settings: define(
    44,
    'database_role_settings',
    { database_id: Type.Int8, role_name: Type.String, settings: arrayOf(Type.String) },
    { key: ['database_id', 'role_name'], inClusterBackup: true, holdsDescriptorIds: true },
  ),
  external_connections: define(
    48,
    'external_connections',
    {
      connection_name: Type.String,
      created: { type: Type.Timestamp, default: now },
      updated: { type: Type.Timestamp, default: now },
      connection_type: Type.String,
      connection_details: Type.Jsonb,
      owner: Type.String,
    },
    // Its rows hold what opens other people's storage; statements of their own write them.
    { key: ['connection_name'], inClusterBackup: true, privileges: READ },
  ),
  privileges: define(
    49,
    'privileges',
    { username: Type.String, path: Type.String, privileges: arrayOf(Type.String), grant_options: arrayOf(Type.String) },
    { key: ['username', 'path'], inClusterBackup: true, privileges: READ },
  ),
});

export type SystemTableName = keyof typeof systemTables;

/** The system table of that id. */
export function systemTableById(id: number): SystemTableInfo | undefined {
  return BY_ID.get(id);
}

/** The tables whose rows a cluster backup holds, by id: the order in which SHOW BACKUP lists them. */
export const clusterBackupTables: readonly TableDescriptor[] = Object.values(systemTables)
  .filter(({ inClusterBackup }) => inClusterBackup)
  .map(({ desc }) => desc)
  .sort((a, b) => a.id - b.id);

const BY_ID: ReadonlyMap<number, SystemTableInfo> = new Map(Object.values(systemTables).map((info) => [info.desc.id, info]));

/** The counter behind Catalog.allocateIds: a sequence, as in CockroachDB. */
export const DESCRIPTOR_ID_SEQUENCE_ID = 7;

export const systemDatabase: DatabaseDescriptor = deepFreeze({
  kind: 'database',
  id: SYSTEM_DATABASE_ID,
  name: 'system',
  parentId: 0,
  version: 1,
  modificationTime: MIN_TIMESTAMP,
  state: 'PUBLIC',
  privileges: systemPrivileges(['CONNECT']),
});
