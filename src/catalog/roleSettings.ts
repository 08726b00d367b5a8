/**
 * Defaults of session variables by role and database: ALTER ROLE ... SET, kept as `name=value` texts
 * in system.database_role_settings. Role '' is ALTER ROLE ALL, database 0 is any database.
 */
import type { KvReader, Txn } from '../kv/kv.ts';

import { systemTable } from './systemRows.ts';

function parse(settings: unknown): Map<string, string> {
  const pairs = ((settings ?? []) as readonly unknown[]).map((text): [string, string] => {
    const [name = '', ...value] = String(text).split('=');
    return [name, value.join('=')];
  });
  return new Map(pairs);
}

/** Sets or, without a value, removes one default. */
export async function setRoleDefault(txn: Txn, databaseId: number, role: string, name: string, value: string | undefined): Promise<void> {
  const table = systemTable('database_role_settings');
  const settings = parse((await table.get(txn, databaseId, role))?.['settings']);
  if (value === undefined) settings.delete(name);
  else settings.set(name, value);
  if (settings.size === 0) await table.delete(txn, databaseId, role);
  else {
    const texts = [...settings].map(([key, text]) => `${key}=${text}`).sort();
    await table.upsert(txn, { database_id: databaseId, role_name: role, settings: texts });
  }
}

/** RESET ALL. */
export async function clearRoleDefaults(txn: Txn, databaseId: number, role: string): Promise<void> {
  await systemTable('database_role_settings').delete(txn, databaseId, role);
}

/** What a session of the role in the database begins with: the more exact row wins, the role before the database. */
export async function roleDefaults(reader: KvReader, databaseId: number, role: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const rows = [
    [0, ''],
    [databaseId, ''],
    [0, role],
    [databaseId, role],
  ] as const;
  for (const [id, name] of rows) {
    const row = await systemTable('database_role_settings').get(reader, id, name);
    for (const [variable, value] of parse(row?.['settings'])) found[variable] = value;
  }
  return found;
}

/** Every row, for pg_db_role_setting. */
export async function allRoleDefaults(reader: KvReader): Promise<{ databaseId: number; role: string; settings: readonly string[] }[]> {
  return (await systemTable('database_role_settings').scan(reader)).map((row) => ({
    databaseId: Number(row['database_id']),
    role: String(row['role_name']),
    settings: (row['settings'] as readonly unknown[]).map(String),
  }));
}
