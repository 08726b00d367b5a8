/**
 * Attached databases: read-only databases beside the stored ones, whose descriptors come from elsewhere (a backup
 * in place), and whose rows kv/mounts.ts serves.
 *
 *   AT1  every session of the cluster sees them, under names that no stored database has; nothing of them is
 *        stored, so they end with the process, and a fork has none of its parent's
 *   AT2  what runs a statement sees them (CatalogSnapshot.overlaid); jobs, backups, zones and GC, which ask the
 *        catalog itself, do not
 *   AT3  their descriptors and names are never written: 25006
 *   AT4  a reader of a time before they were attached sees them as of that time, everybody else as of the
 *        time they were attached at
 */
import { isVarveError, StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { MOUNTED_TABLE_ID_MIN } from '../kv/mounts.ts';

import { type DatabaseDescriptor, type Descriptor, namePlace } from './descriptor.ts';
import { type CatalogContent, type NameEntry, nameKey } from './snapshot.ts';

export interface AttachedDatabase {
  /** Under an id that no stored descriptor has. */
  readonly descriptor: DatabaseDescriptor;
  /** When, on this cluster's clock. */
  readonly attachedAt: Timestamp;
  /**
   * Everything in the database as a reader of a time sees it, the database itself left out. Throws
   * 22023 when it cannot tell of that time.
   */
  contentAt(readTimestamp: Timestamp): readonly Descriptor[];
}

export function isAttachedId(id: number): boolean {
  return id >= MOUNTED_TABLE_ID_MIN;
}

/** Throws 25006 when a descriptor is of an attached database, or would be put into one. */
export function checkNotAttached(...ids: readonly number[]): void {
  if (!ids.some(isAttachedId)) return;
  throw new StatementError(SqlState.ReadOnlySqlTransaction, 'an attached backup is read-only', {
    hint: 'RESTORE it to have a database that can be changed; DETACH BACKUP ends it',
  });
}

export class AttachedDatabases {
  readonly #byName = new Map<string, AttachedDatabase>();
  readonly #onChange: () => void;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  get isEmpty(): boolean {
    return this.#byName.size === 0;
  }

  /** By name. */
  list(): readonly AttachedDatabase[] {
    return [...this.#byName.values()].sort((a, b) => (a.descriptor.name < b.descriptor.name ? -1 : 1));
  }

  get(name: string): AttachedDatabase | undefined {
    return this.#byName.get(name);
  }

  /** The caller has made sure that the name is free. */
  add(database: AttachedDatabase): void {
    this.#byName.set(database.descriptor.name, database);
    this.#onChange();
  }

  remove(name: string): void {
    this.#byName.delete(name);
    this.#onChange();
  }

  /** True when a reader of the time sees each of them as it was attached: then versions of the catalog tell content apart. */
  isPresentAt(readTimestamp: Timestamp): boolean {
    for (const { attachedAt } of this.#byName.values()) if (readTimestamp < attachedAt) return false;
    return true;
  }

  /** Stored content with these databases beside it, as a reader of a time sees them. */
  overlay(stored: CatalogContent, readTimestamp: Timestamp): CatalogContent {
    if (this.isEmpty) return stored;
    const version = this.isPresentAt(readTimestamp) ? stored.version : -1;
    return new OverlaidContent(
      stored,
      version,
      this.list().map((database) => new Part(database, readTimestamp)),
    );
  }
}

/** One database at one time; its content is asked for when something looks into it. */
class Part {
  readonly database: DatabaseDescriptor;
  readonly #attached: AttachedDatabase;
  readonly #at: Timestamp;
  #descriptors: ReadonlyMap<number, Descriptor> | undefined;
  #names: ReadonlyMap<string, NameEntry> | undefined;

  constructor(attached: AttachedDatabase, at: Timestamp) {
    this.database = attached.descriptor;
    this.#attached = attached;
    this.#at = at;
  }

  get descriptors(): ReadonlyMap<number, Descriptor> {
    this.#descriptors ??= new Map(this.#attached.contentAt(this.#at).map((descriptor) => [descriptor.id, descriptor]));
    return this.#descriptors;
  }

  get names(): ReadonlyMap<string, NameEntry> {
    this.#names ??= new Map(
      [...this.descriptors.values()].map((descriptor) => {
        const { parentId, schemaId, name } = namePlace(descriptor);
        return [nameKey(parentId, schemaId, name), { parentId, schemaId, name, id: descriptor.id }];
      }),
    );
    return this.#names;
  }

  /** For lists of everything: nothing at a time that it cannot tell of. */
  ids(): number[] {
    try {
      return [this.database.id, ...this.descriptors.keys()];
    } catch (error) {
      if (!isVarveError(error)) throw error;
      return [this.database.id];
    }
  }
}

class OverlaidContent implements CatalogContent {
  readonly version: number;
  readonly #stored: CatalogContent;
  readonly #parts: readonly Part[];

  constructor(stored: CatalogContent, version: number, parts: readonly Part[]) {
    this.#stored = stored;
    this.version = version;
    this.#parts = parts;
  }

  descriptorOf(id: number): Descriptor | undefined {
    if (!isAttachedId(id)) return this.#stored.descriptorOf(id);
    for (const part of this.#parts) {
      if (part.database.id === id) return part.database;
      // Ids of a database lie behind its own, and before the next one's.
      const next = this.#parts.some(({ database }) => database.id > part.database.id && database.id <= id);
      if (part.database.id < id && !next) return part.descriptors.get(id);
    }
    return undefined;
  }

  *ids(): Generator<number> {
    yield* this.#stored.ids();
    for (const part of this.#parts) yield* part.ids();
  }

  idOf(parentId: number, schemaId: number, name: string): number | undefined {
    const part = this.#parts.find(({ database }) => database.id === parentId);
    if (part) return part.names.get(nameKey(parentId, schemaId, name))?.id;
    // First, for at a time whose stored catalog is gone an attached one can still be read.
    const attached = parentId === 0 && schemaId === 0 ? this.#parts.find(({ database }) => database.name === name) : undefined;
    return attached?.database.id ?? this.#stored.idOf(parentId, schemaId, name);
  }

  *names(parentId: number, schemaId: number): Generator<NameEntry> {
    const part = this.#parts.find(({ database }) => database.id === parentId);
    if (part) {
      for (const entry of part.names.values()) if (entry.schemaId === schemaId) yield entry;
      return;
    }
    yield* this.#stored.names(parentId, schemaId);
    if (parentId !== 0 || schemaId !== 0) return;
    for (const { database } of this.#parts) yield { parentId: 0, schemaId: 0, name: database.name, id: database.id };
  }
}
