/**
 * Attached backup: a database of a backup, queried in place: its descriptors as of any time that the chain holds, and
 * its rows (attachedSource.ts).
 *
 *   AB1  descriptors are those that a RESTORE to that time would have made, under ids of a range that no stored
 *        object has; an object keeps its id at all times
 *   AB2  everything is its attacher's: grants do not come along, as in a restore
 *   AB3  what refers out of the database (foreign keys, sequences, views) is left out, as with the skip_missing
 *        options of a restore
 */
import type { Timestamp } from '../../base/timestamp.ts';
import type { AttachedDatabase } from '../../catalog/attached.ts';
import type { DatabaseDescriptor, Descriptor } from '../../catalog/descriptor.ts';
import { ownerPrivileges } from '../../catalog/privileges.ts';
import { MIN_TIMESTAMP } from '../../base/timestamp.ts';
import type { CatalogSnapshot } from '../../catalog/snapshot.ts';
import type { Mounts } from '../../kv/mounts.ts';

import { backupSnapshot, importStarts } from '../../backup/backupCatalog.ts';
import type { Chain, ChosenLayers } from '../../backup/chain.ts';
import type { Layer } from '../../backup/manifest.ts';
import { type IdMap, rewriteDescriptors } from '../idRewrites.ts';
import { refuse } from '../problems.ts';
import { newNames, renamed } from '../renames.ts';
import { ownedBy } from '../restorePrivileges.ts';
import type { RestoreTargets } from '../restoreTargets.ts';
import { withoutLostViews } from '../viewRefs.ts';

import { AttachedSource, type AttachedSourceOptions } from './attachedSource.ts';

export interface AttachedBackupOptions extends Omit<AttachedSourceOptions, 'backupId' | 'hasData' | 'importStart'> {
  /** What it is called here. */
  readonly name: string;
  /** As the backup has it, at the time it is attached at. */
  readonly database: DatabaseDescriptor;
  readonly owner: string;
  readonly mounts: Mounts;
  /** Types here that are the backup's, by the backup's id: their values can be compared and inserted as they are. */
  readonly sameTypes: ReadonlyMap<number, number>;
}

/** The database as of one time. */
interface Content {
  readonly descriptors: readonly Descriptor[];
  /** Tables whose data the backup leaves out. */
  readonly excludedIds: ReadonlySet<number>;
  /** Of tables that were being imported into. */
  readonly importStarts: ReadonlyMap<number, Timestamp>;
}

const SKIP_ALL = Object.freeze({ foreignKeys: true, sequences: true, sequenceOwners: true, views: true, functions: true });
/** Readers' times whose descriptors are remembered. */
const TIMES_MAX = 16;

export class AttachedBackup implements AttachedDatabase {
  readonly descriptor: DatabaseDescriptor;
  readonly attachedAt: Timestamp;
  readonly source: AttachedSource;
  readonly #options: AttachedBackupOptions;
  /** From the backup's ids to those here. A type takes two: the next one is its array's. */
  readonly #ids: ReadonlyMap<number, number>;
  readonly #contents = new Map<Timestamp, Content>();
  readonly #unmount: () => void;

  constructor(options: AttachedBackupOptions) {
    const { chain, database, name, owner, mounts, attachedAt } = options;
    this.#options = options;
    this.attachedAt = attachedAt;
    const backupIds = idsOf(chain, database.id);
    const first = mounts.allocateIds(2 * (backupIds.length + 1));
    this.#ids = new Map([[database.id, first], ...backupIds.map((id, i): [number, number] => [id, first + 2 * (i + 1)])]);
    const known = new Map([...this.#ids].map(([backupId, id]) => [id, backupId]));
    this.descriptor = {
      kind: 'database',
      id: first,
      name,
      parentId: 0,
      version: 1,
      modificationTime: MIN_TIMESTAMP,
      state: 'PUBLIC',
      privileges: ownerPrivileges(owner),
    };
    this.source = new AttachedSource({
      ...options,
      backupId: (tableId) => known.get(tableId),
      hasData: (tableId, chosen) => !this.#contentOf(chosen).excludedIds.has(tableId),
      importStart: (tableId, chosen) => this.#contentOf(chosen).importStarts.get(tableId),
    });
    this.#unmount = mounts.add(first, 2 * (backupIds.length + 1), this.source);
  }

  get time(): Timestamp {
    return this.#options.time;
  }

  contentAt(readTimestamp: Timestamp): readonly Descriptor[] {
    return this.#contentOf(this.source.chosenAt(readTimestamp)).descriptors;
  }

  /** No read is answered from here on. The storage is the caller's to close. */
  detach(): void {
    this.#unmount();
    this.#options.cache.close();
  }

  #contentOf({ layers, time }: ChosenLayers): Content {
    const known = this.#contents.get(time);
    if (known !== undefined) return known;
    const backup = backupSnapshot((layers.at(-1) as Layer).manifest, time);
    const descriptors = this.#descriptors(backup);
    const excluded = descriptors.filter((descriptor) => descriptor.kind === 'table' && descriptor.excludeDataFromBackup === true);
    const starts = [...importStarts(backup.tablesOf(this.#options.database.id))];
    const content = {
      descriptors,
      excludedIds: new Set(excluded.map(({ id }) => id)),
      importStarts: new Map(starts.map(([id, start]) => [this.#ids.get(id) as number, start])),
    };
    if (this.#contents.size >= TIMES_MAX) this.#contents.delete(this.#contents.keys().next().value as Timestamp);
    this.#contents.set(time, content);
    return content;
  }

  #descriptors(backup: CatalogSnapshot): Descriptor[] {
    const { database, name, owner, sameTypes } = this.#options;
    const here = backup.databaseById(database.id);
    if (here === undefined) return [];
    const targets: RestoreTargets = {
      databases: [here],
      schemas: backup.schemasOf(here).flatMap(({ descriptor }) => descriptor ?? []),
      types: backup.typesOf(here.id),
      functions: backup.functionsOf(here.id),
      tables: backup.tablesOf(here.id),
      parents: [],
      systemTables: [],
    };
    const created = new Map([...this.#ids].filter(([id]) => !sameTypes.has(id)));
    const ids: IdMap = { created, existing: sameTypes };
    const rewritten = rewriteDescriptors(renamed(withoutLostViews(targets, SKIP_ALL, backup, refuse), new Map(), name), ids, {
      privileges: ownedBy(owner, () => undefined),
      skip: SKIP_ALL,
      names: newNames(targets, new Map(), new Map([[here.name, name]]), backup),
      report: refuse,
      backup,
    });
    return rewritten
      .filter(({ kind }) => kind !== 'database')
      .map((descriptor) => ({ ...descriptor, state: 'PUBLIC', offlineReason: undefined }));
  }
}

/** Every object that the database has in some layer, at some time. */
function idsOf(chain: Chain, databaseId: number): number[] {
  const ids = new Set<number>();
  for (const { manifest } of chain) {
    for (const descriptor of [...manifest.descriptors, ...manifest.descriptorChanges.flatMap((change) => change.descriptor ?? [])]) {
      if (descriptor.parentId === databaseId) ids.add(descriptor.id);
    }
  }
  return [...ids].sort((a, b) => a - b);
}
