/**
 * The two tables of a userfile prefix, in the user's own database (so they show in SQL, and are
 * backed up and protected like any table):
 *
 *   <prefix>_upload_files    (filename STRING PRIMARY KEY, file_id UUID, file_size INT8, username STRING, upload_time TIMESTAMP, sha256 STRING)
 *   <prefix>_upload_payload  (file_id UUID, byte_offset INT8, payload BYTES, PRIMARY KEY (file_id, byte_offset))
 *
 * A file is a row of the first and its chunks in the second; chunks without a file row belong to a
 * write under way. The creator owns both; nobody else but admin may use them until granted.
 */
import { assert } from '../base/assert.ts';
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { type ColumnDescriptor, columnByName, type Privilege, type TableDescriptor } from '../catalog/descriptor.ts';
import { newTable } from '../catalog/newTable.ts';
import { checkPrivilege, ownerPrivileges, withGrant } from '../catalog/privileges.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { type ColumnType, Type } from '../catalog/type.ts';
import { rolesOf } from '../catalog/users.ts';
import type { KvReader, Txn } from '../kv/kv.ts';

/** Where the tables are: `database.schema.prefix`, names as stored. */
export interface UserfileHost {
  readonly database: string;
  readonly schema: string;
  readonly prefix: string;
}

export interface UserfileTables {
  readonly files: TableDescriptor;
  readonly payload: TableDescriptor;
}

const FILES_COLUMNS: readonly (readonly [string, ColumnType])[] = [
  ['filename', Type.String],
  ['file_id', Type.Uuid],
  ['file_size', Type.Int8],
  ['username', Type.String],
  ['upload_time', Type.Timestamp],
  ['sha256', Type.String],
];
const PAYLOAD_COLUMNS: readonly (readonly [string, ColumnType])[] = [
  ['file_id', Type.Uuid],
  ['byte_offset', Type.Int8],
  ['payload', Type.Bytes],
];
const OWNER_PRIVILEGES: readonly Privilege[] = ['DELETE', 'DROP', 'INSERT', 'SELECT'];

/**
 * The tables as the reader sees them; undefined when they do not exist. Checks `privilege` on both (42501).
 * A transaction depends on them afterwards: if they are dropped before it commits, it fails with 40001.
 */
export async function findUserfileTables(
  catalog: Catalog,
  reader: KvReader | Txn,
  host: UserfileHost,
  user: string,
  privilege: Privilege,
): Promise<UserfileTables | undefined> {
  const snapshot = (await catalog.snapshot(reader)).tracked();
  const tables = lookUp(snapshot, host);
  if ('commit' in reader) catalog.noteReads(reader, snapshot.dependencies);
  if (!tables) return undefined;
  const roles = await rolesOf(reader, user);
  for (const table of [tables.files, tables.payload]) checkPrivilege(roles, table, privilege);
  return tables;
}

/** As findUserfileTables for INSERT, and creates what does not exist, for which the user needs CREATE on the database. Throws 3D000, 3F000. */
export async function ensureUserfileTables(catalog: Catalog, txn: Txn, host: UserfileHost, user: string): Promise<UserfileTables> {
  const existing = await findUserfileTables(catalog, txn, host, user, 'INSERT');
  if (existing) return existing;
  const snapshot = await catalog.snapshot(txn);
  const database = snapshot.requireDatabase(host.database);
  const schema = snapshot.requireSchema(database, host.schema);
  checkPrivilege(await rolesOf(txn, user), database, 'CREATE');
  const firstId = await catalog.allocateIds(2);
  const create = (id: number, name: string, columns: readonly (readonly [string, ColumnType])[], keyCount: number): TableDescriptor => {
    if (snapshot.lookup(database.id, schema.id, name) !== undefined) throw notUserfile(name);
    const written = catalog.writeDescriptor(txn, tableDescriptor(id, name, database.id, schema.id, user, columns, keyCount));
    catalog.writeName(txn, database.id, schema.id, name, id);
    return written;
  };
  return {
    files: create(firstId, filesName(host), FILES_COLUMNS, 1),
    payload: create(firstId + 1, payloadName(host), PAYLOAD_COLUMNS, 2),
  };
}

/** The id of a column that userfile tables have. */
export function columnId(table: TableDescriptor, name: string): number {
  const column = columnByName(table, name);
  assert(column !== undefined, `userfile table ${table.name} has no column ${name}`);
  return column.id;
}

function lookUp(snapshot: CatalogSnapshot, host: UserfileHost): UserfileTables | undefined {
  const context = { currentDatabase: '', searchPath: [] };
  const resolve = (name: string) => snapshot.resolveTable([host.database, host.schema, name], context)?.descriptor;
  const files = resolve(filesName(host));
  const payload = resolve(payloadName(host));
  if (!files || !payload) return undefined;
  if (!hasShape(files, FILES_COLUMNS)) throw notUserfile(files.name);
  if (!hasShape(payload, PAYLOAD_COLUMNS)) throw notUserfile(payload.name);
  return { files, payload };
}

const filesName = (host: UserfileHost) => `${host.prefix}_upload_files`;
const payloadName = (host: UserfileHost) => `${host.prefix}_upload_payload`;

/** True for a table of these columns, in this order: one that was made here, or restored from a backup of one. */
function hasShape(table: TableDescriptor, columns: readonly (readonly [string, ColumnType])[]): boolean {
  return (
    table.columns.length === columns.length &&
    columns.every(([name, type], i) => table.columns[i]?.name === name && table.columns[i]?.type.family === type.family)
  );
}

function notUserfile(name: string): StatementError {
  return new StatementError(SqlState.WrongObjectType, `relation "${name}" exists and is not a userfile table`, {
    hint: 'use another host in the userfile URI',
  });
}

function tableDescriptor(
  id: number,
  name: string,
  databaseId: number,
  schemaId: number,
  user: string,
  columns: readonly (readonly [string, ColumnType])[],
  keyCount: number,
): TableDescriptor {
  const described: ColumnDescriptor[] = columns.map(([columnName, type], i) => {
    return { id: i + 1, name: columnName, type, nullable: false, state: 'public' };
  });
  return newTable({
    id,
    name,
    parentId: databaseId,
    schemaId,
    privileges: withGrant(ownerPrivileges(user), user, user === 'root' || user === 'admin' ? ['ALL'] : OWNER_PRIVILEGES, {
      grantOption: true,
    }),
    primaryKeyName: 'primary',
    columns: described,
    keyColumns: keyCount,
  });
}
