/**
 * SHOW BACKUPS IN, SHOW BACKUP FROM ... IN: what a collection holds, from its manifests.
 *
 * One row an object a layer, the full first, and in a layer database, schemas, tables, types. An
 * unchanged table of an incremental has a row with zeros.
 */
import { utf8Encode } from '../base/bytes.ts';
import { StatementError, StorageError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Datum } from '../catalog/datum.ts';
import type { DatabaseDescriptor, Descriptor, SchemaDescriptor, TableDescriptor, TypeDescriptor } from '../catalog/descriptor.ts';
import { PUBLIC_SCHEMA_ID, SYSTEM_DATABASE_ID } from '../catalog/descriptor.ts';
import { Json, jsonFromPlain } from '../catalog/json.ts';
import { quoteName, quoteNames } from '../catalog/names.ts';
import { Type } from '../catalog/type.ts';
import { tableOfKey } from '../kv/indexOfKey.ts';
import type { HookResult, ResultColumn, StatementContext, StatementHook } from '../sql/exec/statement.ts';
import type { ShowBackup, ShowBackups } from '../sql/parse/ast.ts';
import type { StorageFactory } from '../storage/externalStorage.ts';

import type { Chain } from './chain.ts';
import { loadChain } from './chain.ts';
import { listFulls, parseSubdirectory, readLatest } from './collection.ts';
import type { CollectionStorage } from './collectionStorage.ts';
import { openCollection } from './collectionStorage.ts';
import type { LocationDetails } from './locationDetails.ts';
import { urisOf } from './locationDetails.ts';
import type { Layer, Manifest } from './manifest.ts';
import { isMissing, manifestToJson } from './manifest.ts';
import { readLocation } from './readLocation.ts';
import { checkLocationAccess, granteesOf, looksOn, readOptions, readSwitch, requireText } from './statementValues.ts';

export interface ShowBackupDeps {
  readonly storage: StorageFactory;
}

const PATH_COLUMNS: readonly ResultColumn[] = [{ name: 'path', type: Type.String }];

export function showBackupsHook(deps: ShowBackupDeps): StatementHook<ShowBackups> {
  return {
    columns: () => PATH_COLUMNS,
    run: async (context, stmt) => {
      readOptions('SHOW BACKUPS', stmt.options, []);
      if (stmt.newerThan !== undefined || stmt.olderThan !== undefined) {
        throw new StatementError(SqlState.FeatureNotSupported, 'SHOW BACKUPS with NEWER THAN or OLDER THAN is not supported yet');
      }
      return await withStorage(deps, context, await readLocation(context, stmt.uris), async (storage) => {
        const rows = (await listFulls(storage, context.signal)).map((full): Datum[] => [utf8Encode(`/${full}`)]);
        return { tag: `SHOW BACKUPS ${rows.length}`, rows, rowCount: rows.length };
      });
    },
    isReadOnly: true,
  };
}

const OPTIONS = ['as_json', 'check_files', 'debug_ids', 'privileges'];

export function showBackupHook(deps: ShowBackupDeps): StatementHook<ShowBackup> {
  return { columns: (stmt) => columnsOf(stmt), run: (context, stmt) => runShowBackup(deps, context, stmt), isReadOnly: true };
}

function columnsOf(stmt: ShowBackup): readonly ResultColumn[] {
  const has = (name: string) => looksOn(stmt.options, name);
  if (has('as_json')) return [{ name: 'manifest', type: Type.Jsonb }];
  const when = (condition: boolean, name: string, type = Type.Int8): ResultColumn[] => (condition ? [{ name, type }] : []);
  return [
    { name: 'database_name', type: Type.String },
    ...when(has('debug_ids'), 'database_id'),
    { name: 'parent_schema_name', type: Type.String },
    ...when(has('debug_ids'), 'parent_schema_id'),
    { name: 'object_name', type: Type.String },
    ...when(has('debug_ids'), 'object_id'),
    { name: 'object_type', type: Type.String },
    { name: 'backup_type', type: Type.String },
    { name: 'start_time', type: Type.TimestampTz },
    { name: 'end_time', type: Type.TimestampTz },
    { name: 'size_bytes', type: Type.Int8 },
    { name: 'rows', type: Type.Int8 },
    { name: 'is_full_cluster', type: Type.Bool },
    { name: 'regions', type: Type.String },
    ...when(has('check_files'), 'file_bytes'),
    ...when(has('privileges'), 'privileges', Type.String),
    ...when(has('privileges'), 'owner', Type.String),
  ];
}

async function runShowBackup(deps: ShowBackupDeps, context: StatementContext, stmt: ShowBackup): Promise<HookResult> {
  const { source, view } = stmt;
  if (view !== 'default') {
    throw new StatementError(SqlState.FeatureNotSupported, `SHOW BACKUP ${view.toUpperCase()} is not supported yet`, {
      hint: 'SHOW BACKUP FROM ... IN ... WITH as_json shows the whole manifest',
    });
  }
  if (source.type === 'uri') {
    throw new StatementError(
      SqlState.FeatureNotSupported,
      'SHOW BACKUP of a location is not supported: name the backup in its collection',
      {
        hint: "use SHOW BACKUPS IN 'uri', then SHOW BACKUP FROM LATEST IN 'uri' or SHOW BACKUP FROM 'path' IN 'uri'",
      },
    );
  }
  const options = readOptions('SHOW BACKUP', stmt.options, OPTIONS);
  const [asJson, checkFiles, debugIds, privileges] = await Promise.all(OPTIONS.map((name) => readSwitch(context, options.get(name))));
  return await withStorage(deps, context, await readLocation(context, source.uris), async (storage) => {
    const full =
      source.type === 'latest'
        ? await readLatest(storage, context.signal)
        : parseSubdirectory(await requireText(context, source.subdir, 'the subdirectory of a backup'));
    const chain = await loadChain(storage, full, context.signal);
    if (checkFiles) await checkAllFiles(storage, chain);
    const show = { checkFiles: checkFiles === true, debugIds: debugIds === true, privileges: privileges === true };
    const rows = asJson
      ? chain.map(({ manifest }): Datum[] => [new Json(jsonFromPlain(shownManifest(manifest)))])
      : chain.flatMap((layer) => objectsOf(layer.manifest).map((object) => rowOf(layer, object, show)));
    return { tag: `SHOW BACKUP ${rows.length}`, rows, rowCount: rows.length };
  });
}

async function withStorage(
  deps: ShowBackupDeps,
  context: StatementContext,
  location: LocationDetails,
  show: (storage: CollectionStorage) => Promise<HookResult>,
): Promise<HookResult> {
  await checkLocationAccess(context, urisOf(location), await granteesOf(context));
  const storage = openCollection(deps.storage, location, { user: context.user, nodeId: context.session.nodeId });
  try {
    return await show(storage);
  } finally {
    await storage.close();
  }
}

// ---- rows -------------------------------------------------------------------------------------

/** What a row is about; the synthetic schema `public` has no descriptor. */
interface ShownObject {
  readonly database: DatabaseDescriptor | undefined;
  readonly schema: { readonly id: number; readonly name: string } | undefined;
  readonly id: number;
  readonly name: string;
  readonly type: 'database' | 'schema' | 'table' | 'type';
  readonly descriptor: Descriptor | undefined;
}

function objectsOf(manifest: Manifest): ShownObject[] {
  const { descriptors } = manifest;
  const objects: ShownObject[] = [];
  for (const database of descriptors) {
    if (database.kind !== 'database') continue;
    const schemas = descriptors.filter((one): one is SchemaDescriptor => one.kind === 'schema' && one.parentId === database.id);
    const nameOf = (schemaId: number) => ({ id: schemaId, name: schemas.find(({ id }) => id === schemaId)?.name ?? 'public' });
    objects.push({ database: undefined, schema: undefined, id: database.id, name: database.name, type: 'database', descriptor: database });
    // The system database's is no user's: a cluster backup does not list it.
    if (database.id !== SYSTEM_DATABASE_ID) {
      objects.push({ database, schema: undefined, id: PUBLIC_SCHEMA_ID, name: 'public', type: 'schema', descriptor: undefined });
    }
    for (const schema of schemas) {
      objects.push({ database, schema: undefined, id: schema.id, name: schema.name, type: 'schema', descriptor: schema });
    }
    for (const type of ['table', 'type'] as const) {
      const own = descriptors.filter((one): one is TableDescriptor | TypeDescriptor => one.kind === type && one.parentId === database.id);
      for (const one of own) objects.push({ database, schema: nameOf(one.schemaId), id: one.id, name: one.name, type, descriptor: one });
    }
  }
  return objects;
}

interface ShowOptions {
  readonly checkFiles: boolean;
  readonly debugIds: boolean;
  readonly privileges: boolean;
}

function rowOf({ manifest }: Layer, object: ShownObject, show: ShowOptions): Datum[] {
  const { database, schema, descriptor, type } = object;
  const text = (value: string | undefined): Datum => (value === undefined ? null : utf8Encode(value));
  const size = type === 'table' ? sizeOf(manifest, object.id) : undefined;
  const id = (value: number | undefined): Datum[] => (show.debugIds ? [value ?? null] : []);
  return [
    text(database?.name),
    ...id(database?.id),
    text(schema?.name),
    ...id(schema?.id),
    text(object.name),
    ...id(object.id),
    text(type),
    text(manifest.kind),
    manifest.kind === 'full' ? null : manifest.startTime,
    manifest.endTime,
    size?.dataBytes ?? null,
    size?.rows ?? null,
    manifest.scope === 'cluster',
    null,
    ...(show.checkFiles ? [size ? Math.round(size.fileBytes) : null] : []),
    ...(show.privileges ? [text(descriptor && grantsOf(object, descriptor)), text(descriptor?.privileges.owner)] : []),
  ];
}

/** A table's share of a layer; of a file that several tables share, by bytes of data. */
function sizeOf(manifest: Manifest, tableId: number): { rows: number; dataBytes: number; fileBytes: number } {
  let rows = 0;
  let dataBytes = 0;
  let fileBytes = 0;
  for (const file of manifest.files) {
    const whole = file.parts.reduce((sum, part) => sum + part.dataBytes, 0);
    for (const part of file.parts) {
      if (tableOfKey(part.span.key) !== tableId) continue;
      rows += part.rows;
      dataBytes += part.dataBytes;
      fileBytes += whole === 0 ? 0 : (file.sizeBytes * part.dataBytes) / whole;
    }
  }
  return { rows, dataBytes, fileBytes };
}

/** `GRANT ALL ON TABLE t TO admin; GRANT SELECT ON TABLE t TO u; `. */
function grantsOf({ type, name, schema }: ShownObject, descriptor: Descriptor): string {
  const shown = schema === undefined ? quoteName(name) : quoteNames([schema.name, name]);
  return descriptor.privileges.grants
    .map(({ grantee, privileges }) => `GRANT ${privileges.join(', ')} ON ${type.toUpperCase()} ${shown} TO ${quoteName(grantee)}; `)
    .join('');
}

/** The manifest as users see it: counts as decimal text, a file once for each of its spans. */
function shownManifest(manifest: Manifest): unknown {
  const { rows, indexEntries, dataBytes } = manifest.entryCounts;
  const json = manifestToJson(manifest);
  const files = json['files'] as readonly { readonly parts: readonly Record<string, unknown>[] }[];
  return {
    ...json,
    entryCounts: { dataSize: String(dataBytes), indexEntries: String(indexEntries), rows: String(rows) },
    files: files.flatMap(({ parts, ...file }) => parts.map((part) => ({ ...file, ...part }))),
  };
}

// ---- check_files --------------------------------------------------------------------------------

const MISSING_SHOWN_MAX = 10;

/** 58P01 naming up to ten files of the chain that are missing, or have another size than was written. */
async function checkAllFiles(storage: CollectionStorage, chain: Chain): Promise<void> {
  const missing: string[] = [];
  for (const { directory, manifest } of chain) {
    for (const file of manifest.files) {
      const name = `${directory}/${file.path}`;
      const place = await storage.fileStorage(directory, file.locality);
      const size = await place.size(name).catch((error: unknown) => {
        if (isMissing(error)) return undefined;
        throw error;
      });
      if (size === undefined) missing.push(`${place.uri}/${name}`);
      else if (size !== file.sizeBytes) missing.push(`${place.uri}/${name} (has ${size} of ${file.sizeBytes} bytes)`);
    }
  }
  if (missing.length === 0) return;
  const more = missing.length > MISSING_SHOWN_MAX ? `\n\t... and ${missing.length - MISSING_SHOWN_MAX} more` : '';
  throw new StorageError(
    SqlState.UndefinedFile,
    `The following files are missing from the backup:\n\t${missing.slice(0, MISSING_SHOWN_MAX).join('\n\t')}${more}`,
    { operation: 'size', redactedUri: String(storage.uri) },
  );
}
