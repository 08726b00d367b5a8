/**
 * Listed layers: BACKUP ... TO, RESTORE ... FROM and SHOW BACKUP without a collection name every layer by its URI.
 * Their files lie at the URI itself:
 *
 *   BACKUP ... TO 'u'                            u/BACKUP_MANIFEST, u/data/...                 a full
 *   BACKUP ... TO 'u' again                      u/20261121/060000.00/BACKUP_MANIFEST, ...     an incremental, appended
 *   BACKUP ... TO 'v' INCREMENTAL FROM 'u'       v/BACKUP_MANIFEST, v/data/...                 an incremental
 *
 *   L1  here each gets the name that it would have in a collection, from its end time; `places` of the
 *       location say where that name lies. So chains, restores and jobs know no difference
 *   L2  a list is oldest first, a full and then what continues it, without gaps
 *   L3  one URI stands for its full and everything appended to it; in a list each stands for itself
 */
import { StateError, StatementError } from '../base/errors.ts';
import { prettyKey } from '../base/prettyKey.ts';
import { SqlState } from '../base/sqlState.ts';
import { formatForError, MIN_TIMESTAMP, type Timestamp } from '../base/timestamp.ts';
import type { StorageContext, StorageFactory } from '../storage/externalStorage.ts';
import { ParsedUri } from '../storage/uri.ts';

import {
  DIRECTORY_STEP_MICROS,
  fullDirectory,
  fullDirectoryTime,
  fullOfDirectory,
  incrementalDirectory,
  INCREMENTALS_PREFIX,
  LATEST_DIRECTORY,
  MANIFEST_NAME,
} from './collection.ts';
import { EncryptionError } from './cipher.ts';
import type { CollectionStorage } from './collectionStorage.ts';
import { namingPlaces, openCollection } from './collectionStorage.ts';
import type { LayerPlace, LocationDetails, PlaceUris } from './locationDetails.ts';
import { urisText } from './locationDetails.ts';
import type { Layer } from './manifest.ts';
import { isMissing, readManifest } from './manifest.ts';

/** A chain, as if in a collection. */
export interface ListedChain {
  readonly location: LocationDetails;
  /** Directory of the full. */
  readonly full: string;
}

/**
 * The chain of a list of places, oldest first (L2, L3). `base`: everything else about the location. 58P01 where there is
 * no completed backup, 22023 when the list has a gap or another order; `intro` begins that message.
 */
export async function readListedChain(
  factory: StorageFactory,
  lists: readonly PlaceUris[],
  base: Omit<LocationDetails, 'uris' | 'incrementalUris' | 'places'>,
  context: StorageContext & { readonly signal?: AbortSignal },
  intro = '',
): Promise<ListedChain> {
  const [first] = lists as [PlaceUris];
  const inCollection = lists.length === 1 ? splitCollection(first) : undefined;
  if (inCollection) return { location: { ...base, uris: inCollection.uris, incrementalUris: [] }, full: inCollection.full };
  const probes = lists.map((uris, i) => ({ directory: probeDirectory(i), uris }));
  const storage = openCollection(factory, { ...base, uris: first, incrementalUris: [], places: probes }, context);
  try {
    const layers: Layer[] = [];
    for (const { directory, uris } of probes) layers.push(await readAt(storage, directory, uris, context.signal));
    requireOrder(layers, intro);
    const full = fullDirectory((layers[0] as Layer).manifest.endTime);
    const places: LayerPlace[] = layers.map(({ manifest }, i) => ({
      directory: i === 0 ? full : incrementalDirectory(full, manifest.endTime),
      uris: lists[i] as PlaceUris,
    }));
    const appended = lists.length === 1 ? [{ directory: `${INCREMENTALS_PREFIX}${full}`, uris: first }] : [];
    return { location: { ...base, uris: first, incrementalUris: [], places: [...places, ...appended] }, full };
  } finally {
    await storage.close();
  }
}

/** What the i-th of a list is called while its end time is not known: a chain at the beginning of time. */
function probeDirectory(i: number): string {
  const full = fullDirectory(MIN_TIMESTAMP);
  return i === 0 ? full : incrementalDirectory(full, (i * DIRECTORY_STEP_MICROS) as Timestamp);
}

/**
 * The layer at a place when it is an incremental one, shown by itself; undefined for a full. `full`: where its chain's
 * full is, which has the keys of an encrypted one. 58P01 as readListedChain().
 */
export async function readListedIncremental(
  factory: StorageFactory,
  uris: PlaceUris,
  base: Omit<LocationDetails, 'uris' | 'incrementalUris' | 'places'>,
  context: StorageContext & { readonly signal?: AbortSignal },
  full?: PlaceUris,
): Promise<{ readonly location: LocationDetails; readonly layer: Layer } | undefined> {
  if (splitCollection(uris)) return undefined;
  const directory = probeDirectory(full === undefined ? 0 : 1);
  const places =
    full === undefined
      ? [{ directory, uris }]
      : [
          { directory: probeDirectory(0), uris: full },
          { directory, uris },
        ];
  const location = { ...base, uris, incrementalUris: [], places };
  const storage = openCollection(factory, location, context);
  try {
    const layer = await readAt(storage, directory, uris, context.signal);
    return layer.manifest.kind === 'full' ? undefined : { location, layer };
  } finally {
    await storage.close();
  }
}

/** Where the files of a listed layer lie, below the URI that was named first or, elsewhere, at the layer's own: '' or `/...`. Undefined in a collection. */
export function listedFolder({ uris, places = [] }: LocationDetails, directory: string): string | undefined {
  const place = places.find((one) => one.directory === directory);
  if (!place) return undefined;
  const [named, own] = [uris[0], place.uris[0]].map((uri) => ParsedUri.parse(uri ?? '').path);
  return named !== undefined && own?.startsWith(`${named}/`) ? own.slice(named.length) : '';
}

async function readAt(storage: CollectionStorage, directory: string, uris: PlaceUris, signal: AbortSignal | undefined): Promise<Layer> {
  try {
    return await namingPlaces(storage, () => readManifest(storage, directory, signal));
  } catch (error) {
    // The directory is only this reader's own.
    if (error instanceof EncryptionError) throw error.about(`the backup is in ${urisText(uris)}`);
    if (!isMissing(error)) throw error;
    const [place] = storage.layerStorages(directory);
    const isCollection = place?.capabilities.list && (await storage.list(`${directory}/${LATEST_DIRECTORY}/`, { signal })).length > 0;
    throw new StatementError(SqlState.UndefinedFile, `no completed backup in ${urisText(uris)}`, {
      hint: isCollection
        ? "it is a collection of backups: use FROM LATEST IN 'uri', or FROM 'subdirectory' IN 'uri'"
        : 'name the URI that BACKUP ... TO wrote to',
      cause: error,
    });
  }
}

/** Throws 22023 in CockroachDB's words unless each layer begins where the one before ends. */
function requireOrder(layers: readonly Layer[], intro: string): void {
  let covered = MIN_TIMESTAMP;
  for (const { manifest } of layers) {
    const { startTime, endTime, spans } = manifest;
    if (startTime !== covered) {
      const span = spans[0];
      const range = span === undefined ? '' : ` for range [${prettyKey(span.key)},${prettyKey(span.endKey)})`;
      const [from, to] = covered < startTime ? [covered, startTime] : [startTime, covered];
      throw new StatementError(
        SqlState.InvalidParameterValue,
        `${intro}no backup covers time [${timeText(from)},${timeText(to)})${range} (or backups listed out of order)`,
        { hint: 'list a full backup first, then its incremental ones, oldest to newest, without leaving one out' },
      );
    }
    covered = endTime;
  }
}

const timeText = (time: Timestamp): string => (time === 0 ? '0,0' : formatForError(time));

/** A place inside a collection, `<collection>/2026/11/20-120000.00`; undefined for any other. */
function splitCollection(uris: PlaceUris): { readonly uris: PlaceUris; readonly full: string } | undefined {
  const fulls = new Set<string>();
  const collections: string[] = [];
  for (const uri of uris) {
    const match = /^([^?]*?)\/+(\d{4}\/\d{2}\/\d{2}-\d{6}\.\d{2})\/*(\?.*)?$/s.exec(uri);
    if (!match?.[2] || fullDirectoryTime(match[2]) === undefined) return undefined;
    fulls.add(match[2]);
    collections.push(`${match[1]}${match[3] ?? ''}`);
  }
  const [full] = fulls;
  return full !== undefined && fulls.size === 1 ? { uris: collections, full } : undefined;
}

/** Where BACKUP ... TO goes: a new chain, or one to continue. */
export interface ListedDestination {
  readonly location: LocationDetails;
  /** Undefined: a full is taken. */
  readonly full: string | undefined;
}

/**
 * The destination of BACKUP ... TO `uris` [INCREMENTAL FROM `from`]. 58P02 when an explicit incremental would go where a
 * backup is, and as readListedChain().
 */
export async function readListedDestination(
  factory: StorageFactory,
  location: LocationDetails,
  from: readonly PlaceUris[],
  context: StorageContext & { readonly signal?: AbortSignal },
): Promise<ListedDestination> {
  const { uris, incrementalUris: _, places: _1, ...base } = location;
  const isTaken = await hasManifest(factory, location, context);
  if (from.length > 0) {
    if (isTaken) throw alreadyTaken(uris);
    const { location: found, full } = await readListedChain(factory, from, base, context, INVALID_PREVIOUS);
    // What the list leaves out is not part of the chain, be it appended to its only member.
    const places = (found.places ?? [{ directory: full, uris: within(found.uris, full) }]).filter(
      ({ directory }) => directory !== `${INCREMENTALS_PREFIX}${full}`,
    );
    return { location: { ...location, places }, full };
  }
  if (!isTaken) return { location: { ...location, places: [] }, full: undefined };
  const { location: found, full } = await readListedChain(factory, [uris], base, context, INVALID_PREVIOUS);
  return { location: found, full };
}

const INVALID_PREVIOUS = 'invalid previous backups (a new full backup may be required if a table has been created, dropped or truncated): ';

/** True when every layer is named by itself: none is appended to another's place. */
export function isListed(location: LocationDetails): boolean {
  return location.places !== undefined && location.places.length === listedPlaces(location).length;
}

/** The places of single layers, without the one where layers are appended. */
export function listedPlaces({ places = [] }: LocationDetails): LayerPlace[] {
  return places.filter(({ directory }) => fullOfDirectory(directory) !== undefined);
}

/** A location in which a new layer's directory lies at the destination, unless the layer is appended to what is there. */
export function withNewLayer(location: LocationDetails, directory: string): LocationDetails {
  const { places, uris } = location;
  if (places === undefined || places.some((place) => `${directory}/`.startsWith(`${place.directory}/`))) return location;
  return { ...location, places: [...places, { directory, uris }] };
}

async function hasManifest(
  factory: StorageFactory,
  { uris, ...base }: LocationDetails,
  context: StorageContext & { readonly signal?: AbortSignal },
): Promise<boolean> {
  const storage = openCollection(factory, { ...base, uris }, context);
  try {
    await storage.size(MANIFEST_NAME);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  } finally {
    await storage.close();
  }
}

function alreadyTaken(uris: PlaceUris): StateError {
  return new StateError(SqlState.DuplicateFile, `${ParsedUri.parse(uris[0] ?? '')} already contains a ${MANIFEST_NAME} file`, {
    hint: 'name another URI after TO: each backup has one of its own',
  });
}

/** URIs of a full's own directory in a collection. */
function within(uris: PlaceUris, full: string): PlaceUris {
  return uris.map((uri) => {
    const query = uri.indexOf('?');
    return query === -1 ? `${uri}/${full}` : `${uri.slice(0, query)}/${full}${uri.slice(query)}`;
  });
}
