/**
 * Locality part: a small file beside a layer's data files in the place of each locality tier. It tells
 * whose files these are, so that a restore finds them wherever the place has been moved to, and without being
 * told which tier it was for.
 *
 *   default place   2026/11/20-120000.00/BACKUP_MANIFEST            everything; says each file's tier
 *   place of west   2026/11/20-120000.00/BACKUP_PART-region%3Dwest  this tier's files
 *                   2026/11/20-120000.00/data/...
 *
 *   P1  written before the manifest, removed after it: a layer's manifest has all its parts
 *   P2  it names no tables, only files: in an encrypted collection it is plain
 *
 * Format: docs/format.md 9. Source of the idea: CockroachDB's partition descriptors.
 */
import { CorruptionError, StorageError } from '../base/errors.ts';
import { mapConcurrently } from '../base/mapConcurrently.ts';
import { SqlState } from '../base/sqlState.ts';
import type { ExternalStorage } from '../storage/externalStorage.ts';

import { READS_MAX } from './collection.ts';
import type { CollectionStorage } from './collectionPort.ts';
import { expectEqual } from './corruption.ts';
import { decodeEnvelope, encodeEnvelope, PART_MAGIC } from './envelope.ts';
import { JsonFields } from './jsonFields.ts';
import type { Layer, ManifestFile } from './manifest.ts';
import { isMissing } from './manifest.ts';

const VERSION = 1;
const FORMAT = 'varve-backup-part';
const PART_PREFIX = 'BACKUP_PART-';

export interface LocalityPart {
  readonly layerId: string;
  /** `region=us-east`. */
  readonly locality: string;
  readonly files: readonly Pick<ManifestFile, 'path' | 'sizeBytes' | 'sha256'>[];
}

/** The name of a layer's part. Whatever a tier is made of, it is one segment of a name. */
export function partName(directory: string, locality: string): string {
  return `${directory}/${PART_PREFIX}${encodeURIComponent(locality)}`;
}

/** Writes a layer's part into the place of its tier and reads it back: XX001 when it does not hold what was written. */
export async function writePart(place: ExternalStorage, directory: string, part: LocalityPart, signal?: AbortSignal): Promise<void> {
  const name = partName(directory, part.locality);
  const files = part.files.map(({ path, sizeBytes, sha256 }) => ({ path, sizeBytes, sha256 }));
  const bytes = await encodeEnvelope(PART_MAGIC, VERSION, JSON.stringify({ format: FORMAT, ...part, files }));
  await place.write(name, bytes, { signal });
  const stored = Buffer.from(await place.read(name, { signal }));
  if (!bytes.equals(stored)) expectEqual({ file: name, offset: 0 }, 'part after writing', bytes.toString('hex'), stored.toString('hex'));
}

/** 58P01 when it is not there, XX001 when it is damaged, 0A000 for a later version. */
export async function readPart(place: ExternalStorage, directory: string, locality: string, signal?: AbortSignal): Promise<LocalityPart> {
  const file = partName(directory, locality);
  const bytes = Buffer.from(await place.read(file, { signal }));
  const fields = JsonFields.parse(await decodeEnvelope(PART_MAGIC, VERSION, bytes, { what: 'locality part', file }), file);
  fields.literal('format', FORMAT);
  const part = {
    layerId: fields.string('layerId'),
    locality: fields.string('locality'),
    files: fields.objects('files').map((one) => ({
      path: one.string('path'),
      sizeBytes: one.integer('sizeBytes'),
      sha256: one.string('sha256'),
    })),
  };
  expectEqual({ file, offset: 0 }, 'locality', locality, part.locality);
  return part;
}

/** Whether a place has the part of this very layer; one that is damaged counts as it, for its directory is the layer's. */
export async function isPartOf(
  place: ExternalStorage,
  directory: string,
  locality: string,
  layerId: string,
  signal?: AbortSignal,
): Promise<boolean> {
  try {
    return (await readPart(place, directory, locality, signal)).layerId === layerId;
  } catch (error) {
    if (isMissing(error)) return false;
    if (error instanceof CorruptionError) return true;
    throw error;
  }
}

/** The first of `places` that holds the layer's part for a tier. 58P01 in CockroachDB's words when none does. */
export async function findPart(places: readonly ExternalStorage[], directory: string, locality: string): Promise<ExternalStorage> {
  const name = partName(directory, locality);
  for (const place of places) {
    try {
      await place.size(name);
      return place;
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  const looked = places.map(({ uri }) => `"${uri}"`).join(', ');
  throw new StorageError(SqlState.UndefinedFile, `expected manifest ${name} not found in backup locations`, {
    operation: 'size',
    redactedUri: String(places[0]?.uri ?? ''),
    detail: `the files of locality ${locality} are not in ${looked}`,
    hint: 'name every place that the backup wrote to, or where its files have been moved: the default one first, in parentheses',
  });
}

/**
 * Throws unless the places of every file of the layers are known, and hold the very layers: 58P01 naming part and
 * tier, XX001 for another backup's part.
 */
export async function requireParts(storage: CollectionStorage, layers: readonly Layer[], signal?: AbortSignal): Promise<void> {
  const parts = layers.flatMap(({ directory, manifest }) => {
    const tiers = new Set(manifest.files.map((file) => file.locality));
    return [...tiers].filter((locality) => locality !== '').map((locality) => ({ directory, manifest, locality }));
  });
  await mapConcurrently(parts, READS_MAX, async ({ directory, manifest, locality }) => {
    const place = await storage.fileStorage(directory, locality);
    const { layerId } = await readPart(place, directory, locality, signal);
    if (layerId !== manifest.layerId) {
      const name = partName(directory, locality);
      throw new CorruptionError(SqlState.DataCorrupted, `expected backup part to have backup ID ${manifest.layerId}, found ${layerId}`, {
        detail: `"${name}" in "${place.uri}" is of another backup`,
        file: name,
      });
    }
  });
}
