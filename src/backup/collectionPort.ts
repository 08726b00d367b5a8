/** A collection as who reads and writes it sees it: the default place's storage, and what lies elsewhere. Made by collectionStorage.ts. */
import type { Locality } from '../kv/locality.ts';
import type { ExternalStorage } from '../storage/externalStorage.ts';

import type { Keyring } from './keyring.ts';

export interface CollectionStorage extends ExternalStorage {
  /** Whose it is, such as one database's storage: what is remembered of files is remembered with it, and no other sees it. */
  readonly owner: object;
  /** The keys of encrypted chains, by the secrets that the location came with. */
  readonly keys: Keyring;
  /** False for layers that the older statements name one by one: they have neither pointers nor an index. */
  readonly isCollection: boolean;
  /**
   * The storage that holds the data files of a layer that were written for a locality tier ('' = default),
   * under the names that they have in the collection. Owned by the collection: it closes with it.
   * 58P01 naming the tier when none of the places holds them.
   */
  fileStorage(layerDirectory: string, locality: string): Promise<ExternalStorage>;
  /** The tier whose place a node writes to: the most specific one that it has; '' for the default place. */
  tierFor(locality: Locality): string;
  /** Where a writer puts the files of a tier. */
  writeStorage(layerDirectory: string, locality: string): ExternalStorage;
  /** Every storage that files of a layer may lie in, the default one first. */
  layerStorages(layerDirectory: string): readonly ExternalStorage[];
  /** What a file is called in the place where it lies, for messages. */
  ownName(name: string): string;
}
