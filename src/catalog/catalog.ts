/**
 * Catalog: reads and writes descriptors and names as of a timestamp, and hands out ids.
 */
import type { Kv, KvReader, Txn } from '../kv/kv.ts';

import type { DatabaseDescriptor, Descriptor } from './descriptor.ts';
import type { CatalogDependencies, CatalogSnapshot } from './snapshot.ts';

export type { CatalogDependencies, CatalogSnapshot, NameContext, ResolvedObject, ResolvedSchema } from './snapshot.ts';

export declare class Catalog {
  readonly kv: Kv;
  constructor(kv: Kv);
  /** The catalog as the reader sees it; a transaction's own uncommitted changes included. Usually from the cache. */
  snapshot(reader: KvReader | Txn): Promise<CatalogSnapshot>;
  /** Adds the rows behind the look-ups to the transaction's read set. */
  noteReads(txn: Txn, dependencies: CatalogDependencies): void;
  /** Consecutive ids never used before; not undone by a rollback. Returns the first. */
  allocateIds(count: number): Promise<number>;
  /** Validates and writes a descriptor (XX000 when it is invalid); the commit fills in its modification time. */
  writeDescriptor(txn: Txn, descriptor: Descriptor): void;
  /** Removes the descriptor row; the name and the data are the caller's. */
  deleteDescriptor(txn: Txn, id: number): void;
  /** Makes a name stand for an id. The caller has checked that it is free (lookup through the same transaction's snapshot). */
  writeName(txn: Txn, parentId: number, schemaId: number, name: string, id: number): void;
  deleteName(txn: Txn, parentId: number, schemaId: number, name: string): void;
  /** Writes a new database with its names. 42P04 when the name is taken. */
  createDatabase(txn: Txn, options: { name: string; owner: string; id?: number }): Promise<DatabaseDescriptor>;
  /** Stops listening to commits. */
  close(): void;
}
