/**
 * Show files: SHOW BACKUP FILES, RANGES and VALIDATE, the manifest as JSON, and the check that every file of a
 * chain is where it belongs.
 */
import { utf8Encode } from '../base/bytes.ts';
import { isVarveError, StorageError } from '../base/errors.ts';
import { mapConcurrently } from '../base/mapConcurrently.ts';
import { prettyKey } from '../base/prettyKey.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Datum } from '../catalog/datum.ts';
import { Json, jsonFromPlain } from '../catalog/json.ts';
import { Type } from '../catalog/type.ts';
import { validateCatalog } from '../catalog/validate.ts';
import type { ResultColumn } from '../sql/exec/statement.ts';

import { typeOfLayer } from './compactedLayer.ts';
import { backupSnapshot } from './backupCatalog.ts';
import { MANIFEST_NAME, READS_MAX } from './collection.ts';
import type { CollectionStorage } from './collectionStorage.ts';
import { proveCoverage } from './coverage.ts';
import type { IndexedLayer } from './indexFile.ts';
import { isMissing, type Layer, type Manifest, manifestToJson } from './manifest.ts';

export const FILE_COLUMNS: readonly ResultColumn[] = [
  { name: 'path', type: Type.String },
  { name: 'backup_type', type: Type.String },
  { name: 'start_pretty', type: Type.String },
  { name: 'end_pretty', type: Type.String },
  { name: 'start_key', type: Type.Bytes },
  { name: 'end_key', type: Type.Bytes },
  { name: 'size_bytes', type: Type.Int8 },
  { name: 'rows', type: Type.Int8 },
  { name: 'locality', type: Type.String },
  { name: 'file_bytes', type: Type.Int8 },
];

/**
 * A row for each span of each data file. `file_bytes` is its share of the stored file, by bytes of data. `folderOf`: where
 * a layer's files are told to lie; by themselves, below the collection.
 */
export function fileRows(layers: readonly Layer[], folderOf = (directory: string): string => `/${directory}`): Datum[][] {
  const isLocalityAware = layers.some(({ manifest }) => manifest.files.some(({ locality }) => locality !== ''));
  return layers.flatMap(({ directory, manifest }) =>
    manifest.files.flatMap((file) => {
      const whole = file.parts.reduce((sum, part) => sum + part.dataBytes, 0);
      return file.parts.map((part): Datum[] => [
        utf8Encode(`${folderOf(directory)}/${file.path}`),
        utf8Encode(typeOfLayer(manifest)),
        utf8Encode(prettyKey(part.span.key)),
        utf8Encode(prettyKey(part.span.endKey)),
        part.span.key,
        part.span.endKey,
        part.dataBytes,
        part.rows,
        utf8Encode(isLocalityAware ? file.locality || 'default' : 'NULL'),
        whole === 0 ? 0 : Math.round((file.sizeBytes * part.dataBytes) / whole),
      ]);
    }),
  );
}

export const RANGE_COLUMNS: readonly ResultColumn[] = FILE_COLUMNS.slice(2, 6);

/** A row for each span that a layer covers. */
export function rangeRows(layers: readonly Layer[]): Datum[][] {
  return layers.flatMap(({ manifest }) =>
    manifest.spans.map(({ key, endKey }): Datum[] => [utf8Encode(prettyKey(key)), utf8Encode(prettyKey(endKey)), key, endKey]),
  );
}

export const MANIFEST_COLUMNS: readonly ResultColumn[] = [{ name: 'manifest', type: Type.Jsonb }];

export function manifestRows(layers: readonly Layer[]): Datum[][] {
  return layers.map(({ manifest }): Datum[] => [new Json(jsonFromPlain(shownManifest(manifest)))]);
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

export const VALIDATE_COLUMNS: readonly ResultColumn[] = [{ name: 'validation_status', type: Type.String }];

/** One row: every broken rule of the newest layer's descriptors and of the path's coverage, and what is `damaged` besides, a line each, and what that comes to. */
export function validationRows(path: readonly Layer[], damaged: readonly string[]): Datum[][] {
  const last = path.at(-1) as Layer;
  const problems = [...damaged, ...validateCatalog(backupSnapshot(last.manifest, last.manifest.endTime))];
  try {
    proveCoverage(path);
  } catch (error) {
    if (!isVarveError(error) || error.code !== SqlState.DataCorrupted) throw error;
    problems.push(error.message);
  }
  const lines = problems.length === 0 ? ['No problems found!'] : [...problems, 'ERROR: validation failed'];
  return [[utf8Encode(lines.map((line) => `${line}\n`).join(''))]];
}

// ---- check_files --------------------------------------------------------------------------------

const MISSING_SHOWN_MAX = 10;

/** 58P01 naming up to ten files of the layers that are missing, or have another size than was written; `lost`: layers known to be missing. */
export async function checkAllFiles(storage: CollectionStorage, layers: readonly Layer[], lost: readonly IndexedLayer[]): Promise<void> {
  const files = layers.flatMap(({ directory, manifest: { files: own, statistics } }) => {
    const all = statistics ? [...own, { ...statistics, locality: '' }] : own;
    return all.map((file) => ({ directory, file }));
  });
  const found = await mapConcurrently(files, READS_MAX, async ({ directory, file }) => {
    const name = `${directory}/${file.path}`;
    const place = await storage.fileStorage(directory, file.locality);
    const size = await place.size(name).catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw error;
    });
    if (size === undefined) return `${place.uri}/${storage.ownName(name)}`;
    return size === file.sizeBytes ? undefined : `${place.uri}/${storage.ownName(name)} (has ${size} of ${file.sizeBytes} bytes)`;
  });
  const manifests = lost.map(
    ({ directory }) => `${storage.layerStorages(directory)[0]?.uri}/${storage.ownName(`${directory}/${MANIFEST_NAME}`)}`,
  );
  const missing = [...manifests, ...found.filter((one) => one !== undefined)];
  if (missing.length === 0) return;
  const more = missing.length > MISSING_SHOWN_MAX ? `\n\t... and ${missing.length - MISSING_SHOWN_MAX} more` : '';
  throw new StorageError(
    SqlState.UndefinedFile,
    `The following files are missing from the backup:\n\t${missing.slice(0, MISSING_SHOWN_MAX).join('\n\t')}${more}`,
    { operation: 'size', redactedUri: String(storage.uri) },
  );
}
