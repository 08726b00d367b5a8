/**
 * Backup catalog: the descriptors that a layer holds, as of a moment, in the shape of a catalog
 * snapshot, so that names in a RESTORE resolve by the same rules as everywhere else.
 *
 *   B1  at the layer's end time it is what the manifest calls `descriptors`; inside a layer with
 *       revision history it is, of each object, the newest change at or below that moment
 *   B2  what was offline, dropped or being added then is not there, nor restored; but a table that was being imported
 *       into is, PUBLIC as all are, and says from when on its rows are the import's and not its own: everybody who
 *       reads it leaves out what has a newer version, and has the table from before the import
 */
import type { Timestamp } from '../base/timestamp.ts';
import { type Descriptor, namePlace, type TableDescriptor } from '../catalog/descriptor.ts';
import { type CatalogContent, CatalogSnapshot, type NameEntry, nameKey } from '../catalog/snapshot.ts';

import type { Manifest } from './manifest.ts';

/** Whether backups hold an object in the state that it is in. */
export function isBackedUp(descriptor: Descriptor): boolean {
  return descriptor.state === 'PUBLIC' || isImporting(descriptor);
}

function isImporting(descriptor: Descriptor): descriptor is TableDescriptor {
  return descriptor.kind === 'table' && descriptor.state === 'OFFLINE' && descriptor.importing !== undefined;
}

/** Of tables that were being imported into: by id, from when on their rows are the import's. */
export function importStarts(tables: readonly Descriptor[]): ReadonlyMap<number, Timestamp> {
  return new Map(
    tables.flatMap((one) => (one.kind === 'table' && one.importing?.start !== undefined ? [[one.id, one.importing.start]] : [])),
  );
}

/** The descriptors of a layer that a restore brings back as of `time`, ascending by id. The layer holds that moment (chain.ts, H3). */
export function descriptorsAt(manifest: Manifest, time: Timestamp): Descriptor[] {
  const descriptors = time === manifest.endTime ? manifest.descriptors : newestChanges(manifest, time);
  return descriptors
    .filter(isBackedUp)
    .map((one) => (isImporting(one) ? { ...one, state: 'PUBLIC' as const, offlineReason: undefined } : one))
    .sort((a, b) => a.id - b.id);
}

function newestChanges(manifest: Manifest, time: Timestamp): Descriptor[] {
  const newest = new Map<number, Descriptor | undefined>();
  // Ascending by time, so the last one at or below the moment stays.
  for (const change of manifest.descriptorChanges) if (change.time <= time) newest.set(change.id, change.descriptor);
  return [...newest.values()].filter((descriptor) => descriptor !== undefined);
}

/** The catalog as of `time`, as far as the layer holds it. */
export function backupSnapshot(manifest: Manifest, time: Timestamp): CatalogSnapshot {
  return new CatalogSnapshot(new BackupContent(descriptorsAt(manifest, time)), time);
}

class BackupContent implements CatalogContent {
  /** A backup's content stands alone: nothing is cached by it. */
  readonly version = -1;
  readonly #descriptors: ReadonlyMap<number, Descriptor>;
  readonly #names = new Map<string, NameEntry>();

  constructor(descriptors: readonly Descriptor[]) {
    this.#descriptors = new Map(descriptors.map((descriptor) => [descriptor.id, descriptor]));
    for (const descriptor of descriptors) {
      const { parentId, schemaId, name } = namePlace(descriptor);
      const { id } = descriptor;
      this.#names.set(nameKey(parentId, schemaId, name), { parentId, schemaId, name, id });
    }
  }

  descriptorOf(id: number): Descriptor | undefined {
    return this.#descriptors.get(id);
  }

  ids(): Iterable<number> {
    return this.#descriptors.keys();
  }

  idOf(parentId: number, schemaId: number, name: string): number | undefined {
    return this.#names.get(nameKey(parentId, schemaId, name))?.id;
  }

  *names(parentId: number, schemaId: number): Generator<NameEntry> {
    for (const entry of this.#names.values()) if (entry.parentId === parentId && entry.schemaId === schemaId) yield entry;
  }
}
