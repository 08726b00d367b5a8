/**
 * System table restore: what a restore of the cluster, or of its users, makes of the rows of system
 * tables that a backup holds.
 *
 *   Y1  a cluster restore replaces the rows that are here by those of the backup, table by table:
 *       zones before any data comes, the others in the transaction that publishes everything,
 *       settings last. So nothing of them is there when a restore fails, zones excepted, which are
 *       put back
 *   Y2  ids of objects in rows become the ids that those objects have here; rows about objects that
 *       were not restored are left out
 *   Y3  a restore of users adds those that are missing here, with the roles and options that they had;
 *       who is here already stays as it is
 *
 * Lives elsewhere: reading the rows (systemTableRows.ts), which tables there are (systemTables.ts).
 */
import { MAX_SYSTEM_ID } from '../catalog/descriptor.ts';
import { type PlainRow, systemTable } from '../catalog/systemRows.ts';
import { clusterBackupTables, type SystemTableName } from '../catalog/systemTables.ts';
import type { Txn } from '../kv/kv.ts';

import type { SystemTableRows } from './systemTableRows.ts';

/** Ids in the backup to ids here. */
export type ObjectIds = ReadonlyMap<number, number>;

interface Treatment {
  /** The row as it is written here; undefined: not at all. */
  readonly change?: (row: PlainRow, ids: ObjectIds) => PlainRow | undefined;
  /** Rows that stay as they are here, whatever the backup has. */
  readonly keep?: (row: PlainRow) => boolean;
}

/** Of the tables that are not just copied. */
const TREATMENTS: Readonly<Partial<Record<SystemTableName, Treatment>>> = {
  zones: { change: (row, ids) => withId(row, 'id', ids) },
  comments: { change: (row, ids) => withId(row, 'object_id', ids) },
  // Database 0 stands for all of them.
  database_role_settings: { change: (row, ids) => (row['database_id'] === 0 ? row : withId(row, 'database_id', ids)) },
  // A version is the cluster's own.
  settings: { keep: (row) => row['name'] === 'version' },
  // A schedule goes on where it was made, until somebody resumes it here.
  scheduled_jobs: { change: (row) => ({ ...row, next_run: null }) },
};

/** Rows of the system's own objects and ranges keep their ids. */
function withId(row: PlainRow, column: string, ids: ObjectIds): PlainRow | undefined {
  const id = row[column] as number;
  const here = id <= MAX_SYSTEM_ID ? id : ids.get(id);
  return here === undefined ? undefined : { ...row, [column]: here };
}

/** Restored before there is any data, so that ranges and leases are right from the start. */
export const ZONES_TABLE = 'zones';

/** Replaces the rows of one table (Y1, Y2). */
export async function restoreSystemTable(txn: Txn, name: SystemTableName, rows: readonly PlainRow[], ids: ObjectIds): Promise<void> {
  const { change, keep } = TREATMENTS[name] ?? {};
  const changed = change ? rows.map((row) => change(row, ids)).filter((row) => row !== undefined) : rows;
  await replaceRows(txn, name, keep ? changed.filter((row) => !keep(row)) : changed, keep);
}

/** Makes `rows` all there is, but for those that are kept. */
export async function replaceRows(
  txn: Txn,
  name: SystemTableName,
  rows: readonly PlainRow[],
  keep: (row: PlainRow) => boolean = () => false,
): Promise<void> {
  const table = systemTable(name);
  const { columns, primaryIndex } = table.desc;
  const keyColumns = primaryIndex.columnIds.map((id) => columns.find((column) => column.id === id)?.name ?? '');
  const keyOf = (row: PlainRow) => keyColumns.map((column) => row[column]);
  const wanted = new Set(rows.map((row) => table.key(...keyOf(row))));
  for (const row of await table.scan(txn)) {
    if (!keep(row) && !wanted.has(table.key(...keyOf(row)))) await table.delete(txn, ...keyOf(row));
  }
  // A backup of another version may have columns that are not known here.
  for (const row of rows) await table.upsert(txn, Object.fromEntries(columns.map(({ name: column }) => [column, row[column] ?? null])));
}

/** Every table but zones, settings last (Y1). Returns the number of rows that the backup had of them. */
export async function restoreSystemTables(txn: Txn, rows: SystemTableRows, ids: ObjectIds): Promise<void> {
  const isLast = (name: string) => name === 'settings';
  const names = clusterBackupTables.map(({ name }) => name).filter((name) => name !== ZONES_TABLE);
  for (const name of [...names.filter((one) => !isLast(one)), ...names.filter(isLast)]) {
    const found = rows.get(name);
    if (found) await restoreSystemTable(txn, name as SystemTableName, found, ids);
  }
}

/** What RESTORE SYSTEM USERS reads; only the first is a must. */
export const USER_TABLES: readonly SystemTableName[] = ['users', 'role_members', 'role_options'];

/** Adds the users of the backup that are not here (Y3). */
export async function restoreMissingUsers(txn: Txn, rows: SystemTableRows): Promise<void> {
  const here = new Set((await systemTable('users').scan(txn)).map((row) => row['username']));
  const added = new Set<unknown>();
  for (const row of rows.get('users') ?? []) {
    if (here.has(row['username'])) continue;
    added.add(row['username']);
    await systemTable('users').upsert(txn, row);
  }
  for (const row of rows.get('role_members') ?? []) {
    const isRoleHere = here.has(row['role']) || added.has(row['role']);
    if (added.has(row['member']) && isRoleHere) await systemTable('role_members').upsert(txn, row);
  }
  for (const row of rows.get('role_options') ?? []) {
    if (added.has(row['username'])) await systemTable('role_options').upsert(txn, row);
  }
}
