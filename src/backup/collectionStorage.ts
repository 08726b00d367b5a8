/**
 * Collection storage: one object that says where a collection's files are and how to read them. It is the
 * storage of the default location, whose names are the collection's (collection.ts), and knows besides
 * where the data files of a layer lie.
 *
 * Lives elsewhere: what a user may say of places (locationDetails.ts).
 */
import type { ExternalStorage, StorageContext, StorageFactory } from '../storage/externalStorage.ts';

import type { LocationDetails } from './locationDetails.ts';
import { defaultUri } from './locationDetails.ts';

export interface CollectionStorage extends ExternalStorage {
  /**
   * The storage that holds the data files of a layer that were written for a locality tier ('' = default),
   * under the names that they have in the collection. Owned by the collection: it closes with it.
   */
  fileStorage(layerDirectory: string, locality: string): Promise<ExternalStorage>;
}

/** Opens a collection. Throws what opening a storage throws; touches neither disk nor network. */
export function openCollection(factory: StorageFactory, location: LocationDetails, context: StorageContext): CollectionStorage {
  return collectionAt(factory.open(defaultUri(location), context));
}

/** A collection all of whose files lie in one storage. It closes with that storage. */
export function collectionAt(storage: ExternalStorage): CollectionStorage {
  return new PlainCollection(storage);
}

class PlainCollection implements CollectionStorage {
  readonly #storage: ExternalStorage;

  constructor(storage: ExternalStorage) {
    this.#storage = storage;
  }

  get uri(): ExternalStorage['uri'] {
    return this.#storage.uri;
  }

  get capabilities(): ExternalStorage['capabilities'] {
    return this.#storage.capabilities;
  }

  async fileStorage(): Promise<ExternalStorage> {
    return this.#storage;
  }

  async write(...args: Parameters<ExternalStorage['write']>): ReturnType<ExternalStorage['write']> {
    return await this.#storage.write(...args);
  }

  async read(...args: Parameters<ExternalStorage['read']>): ReturnType<ExternalStorage['read']> {
    return await this.#storage.read(...args);
  }

  readStream(...args: Parameters<ExternalStorage['readStream']>): ReturnType<ExternalStorage['readStream']> {
    return this.#storage.readStream(...args);
  }

  async size(name: string): Promise<number> {
    return await this.#storage.size(name);
  }

  async list(...args: Parameters<ExternalStorage['list']>): ReturnType<ExternalStorage['list']> {
    return await this.#storage.list(...args);
  }

  async delete(name: string): Promise<void> {
    await this.#storage.delete(name);
  }

  async close(): Promise<void> {
    await this.#storage.close();
  }
}
