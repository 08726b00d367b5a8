/**
 * Collection storage: one object that says where a collection's files are and how to read them. It is the
 * storage of the default place, whose names are the collection's (collection.ts), and knows besides
 * in which place the data files of a layer lie.
 *
 *   C1  names are the collection's everywhere, also of incremental layers that lie apart (incremental_location),
 *       of layers that the older statements name one by one, and in the places of locality tiers
 *   C2  a writer puts a tier's files where the list of URIs says; a reader finds them by the parts
 *       beside them (localityPart.ts), whatever the list calls the places
 *   C3  a storage that cannot list gets listings kept beside the files (storage/listed.ts)
 *
 * Lives elsewhere: what a user may say of places (locationDetails.ts, readLocation.ts).
 */
import { CorruptionError } from '../base/errors.ts';
import type { Locality } from '../kv/locality.ts';
import { tiersByPrecision } from '../kv/locality.ts';
import type { ExternalStorage, StorageContext, StorageFactory } from '../storage/externalStorage.ts';
import { ListingLocks, withListings } from '../storage/listed.ts';

import { INCREMENTALS_PREFIX } from './collection.ts';
import type { CollectionStorage } from './collectionPort.ts';
import { Keyring, NO_KEYS } from './keyring.ts';
import { findPart } from './localityPart.ts';
import type { LocationDetails, PlaceUris } from './locationDetails.ts';
import { tierOf } from './locationDetails.ts';
import { RoutedStorage } from './routedStorage.ts';

export type { CollectionStorage } from './collectionPort.ts';

/** Opens a collection. Throws what opening a storage throws; touches neither disk nor network. */
export function openCollection(factory: StorageFactory, location: LocationDetails, context: StorageContext): CollectionStorage {
  const opened = new Map<string, ExternalStorage>();
  const open = (uri: string): ExternalStorage => {
    const storage = opened.get(uri) ?? withListings(factory.open(uri, context), locksOf(factory));
    opened.set(uri, storage);
    return storage;
  };
  const placeAt = (prefix: string, uris: PlaceUris): Place => ({
    prefix,
    tiers: uris.map((uri, i) => ({ tier: i === 0 ? '' : (tierOf(uri) ?? ''), storage: open(uri) })),
  });
  const { uris, incrementalUris, places } = location;
  return new PlacedCollection(
    [
      placeAt('', uris),
      ...(incrementalUris.length > 0 ? [placeAt(INCREMENTALS_PREFIX, incrementalUris)] : []),
      ...(places ?? []).map((place) => placeAt(`${place.directory}/`, place.uris)),
    ],
    places === undefined,
    new Keyring(location.secrets, factory.secrets, context),
    factory,
  );
}

const listingLocks = new WeakMap<StorageFactory, ListingLocks>();

/** One for all openings of a database. */
function locksOf(factory: StorageFactory): ListingLocks {
  const locks = listingLocks.get(factory) ?? new ListingLocks();
  listingLocks.set(factory, locks);
  return locks;
}

/** A collection all of whose files lie in one storage. It closes with that storage. Without keys it is not encrypted. */
export function collectionAt(storage: ExternalStorage, keys: Keyring = NO_KEYS): CollectionStorage {
  return new PlacedCollection([{ prefix: '', tiers: [{ tier: '', storage }] }], true, keys, storage);
}

/** Runs what reads a collection; an error about a file that has another name where it lies says so. */
export async function namingPlaces<T>(storage: CollectionStorage, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof CorruptionError) || error.file === undefined) throw error;
    const { code, message, detail, hint, file, offset } = error;
    const own = storage.ownName(file);
    if (own === file) throw error;
    const uris = storage.layerStorages(file).map(({ uri }) => `"${uri}"`);
    const place = `the file is "${own}" in ${uris.join(' or ')}`;
    const told = detail === undefined ? place : `${detail}; ${place}`;
    // What layers are called that a statement names by their URIs, nobody knows.
    const text = storage.isCollection ? message : message.replaceAll(`"${file}"`, `"${own}"`);
    throw new CorruptionError(code, text, { detail: told, hint, file, cause: error, ...(offset !== undefined && { offset }) });
  }
}

/** Where the names below a prefix are. */
interface Place {
  readonly prefix: string;
  /** The default one first. '' of another: the list does not say. */
  readonly tiers: readonly { readonly tier: string; readonly storage: ExternalStorage }[];
}

class PlacedCollection extends RoutedStorage implements CollectionStorage {
  readonly owner: object;
  readonly keys: Keyring;
  readonly isCollection: boolean;
  /** Longest prefix first. */
  readonly #places: readonly Place[];
  readonly #found = new Map<string, Promise<ExternalStorage>>();

  constructor(places: readonly Place[], isCollection: boolean, keys: Keyring, owner: object) {
    super(
      defaultOf(places[0]),
      places.map((place) => ({ prefix: place.prefix, storage: defaultOf(place), at: '' })),
    );
    this.#places = [...places].sort((a, b) => b.prefix.length - a.prefix.length);
    this.isCollection = isCollection;
    this.keys = keys;
    this.owner = owner;
  }

  async fileStorage(layerDirectory: string, locality: string): Promise<ExternalStorage> {
    const all = this.layerStorages(layerDirectory);
    if (locality === '') return all[0] as ExternalStorage;
    const key = `${layerDirectory}\n${locality}`;
    const place = this.#placeOf(layerDirectory);
    // What the list says of the places is a hint: where it is right, one look suffices.
    const likely = place.tiers.findIndex(({ tier }) => tier === locality);
    const order = likely === -1 ? all : [all[likely] as ExternalStorage, ...all.filter((_, i) => i !== likely)];
    const found = this.#found.get(key) ?? findPart(order, layerDirectory, locality);
    this.#found.set(key, found);
    return await found;
  }

  tierFor(locality: Locality): string {
    const { tiers } = this.#placeOf('');
    const own = tiersByPrecision(locality).map(({ key, value }) => `${key}=${value}`);
    return own.find((text) => tiers.some(({ tier }) => tier === text)) ?? '';
  }

  writeStorage(layerDirectory: string, locality: string): ExternalStorage {
    const { tiers } = this.#placeOf(layerDirectory);
    const index = Math.max(
      0,
      tiers.findIndex(({ tier }) => tier === locality),
    );
    return this.layerStorages(layerDirectory)[index] as ExternalStorage;
  }

  layerStorages(layerDirectory: string): readonly ExternalStorage[] {
    const { prefix, tiers } = this.#placeOf(layerDirectory);
    return tiers.map(({ storage }) => (prefix === '' ? storage : new RoutedStorage(storage, [{ prefix, storage, at: '' }])));
  }

  ownName(name: string): string {
    return name.slice(this.#placeOf(name).prefix.length);
  }

  override async close(): Promise<void> {
    const storages = new Set(this.#places.flatMap(({ tiers }) => tiers.map(({ storage }) => storage)));
    for (const storage of storages) await storage.close();
  }

  #placeOf(layerDirectory: string): Place {
    return this.#places.find(({ prefix }) => `${layerDirectory}/`.startsWith(prefix)) as Place;
  }
}

function defaultOf(place: Place | undefined): ExternalStorage {
  return place?.tiers[0]?.storage as ExternalStorage;
}
