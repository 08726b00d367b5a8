/**
 * Verify backup: the proof that a chain can bring back what was backed up, from the pointer to the last row.
 *
 *   manifests, digests, parents, coverage   from the catalog of the collection (backup/chain.ts, coverage.ts)
 *   every data file, by itself              verifyFile.ts
 *   every index, restored and compared      verifyIndex.ts
 *
 *   B1  nothing is written anywhere, and nothing of the running cluster is read or locked: it needs no server
 *   B2  one fault does not end it: the report names each; what a damaged file belongs to is not restored
 *   B3  memory: two blocks a file while files are read; then a block or two of each layer, and a chunk of keys
 */
import type { Clock } from '../../base/clock.ts';
import { CorruptionError, isVarveError, type VarveError } from '../../base/errors.ts';
import type { Executor } from '../../base/executor.ts';
import { Ids } from '../../base/ids.ts';
import { seededRandom } from '../../base/random.ts';
import { SqlState } from '../../base/sqlState.ts';
import { type Descriptor, PRIMARY_INDEX_ID } from '../../catalog/descriptor.ts';
import { quoteName } from '../../catalog/names.ts';
import { indexOfKey } from '../../kv/indexOfKey.ts';
import type { Kv } from '../../kv/kv.ts';
import { openKv } from '../../kv/localKv.ts';

import { descriptorsAt } from '../../backup/backupCatalog.ts';
import { type Chain, type ChosenLayers, newestLayer, pathTo } from '../../backup/chain.ts';
import type { CollectionStorage } from '../../backup/collectionStorage.ts';
import { proveCoverage, requireSpan } from '../../backup/coverage.ts';
import { addCounts, type EntryCounts, type Layer, type ManifestFilePart, NO_ENTRIES } from '../../backup/manifest.ts';
import { withoutUnfinished } from '../idRewrites.ts';
import { restoredSpans } from '../restoredSpans.ts';
import type { LayerFile } from '../spanCovering.ts';
import { type PathPieces, piecesOfPath } from './eras.ts';
import { verifyFile } from './verifyFile.ts';
import { type VerifiedIndex, verifyIndex } from './verifyIndex.ts';

/** What a version takes in the scratch store, against its key and value: strings, version, tree, log. */
const HEAP_BYTES_PER_BYTE = 4;

export interface VerifyOptions {
  readonly storage: CollectionStorage;
  readonly executor: Executor;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Told about how many bytes of heap restored rows take. */
  readonly onHeld?: (bytes: number) => void;
}

/** What was found of a table in a layer. */
export interface VerifiedTable extends EntryCounts {
  readonly layer: Layer;
  /** Full name; `[id]` for one that the layer does not describe. */
  readonly table: string;
  /** Recorded times whose state came out of the restore again; 0 where none are recorded. */
  readonly times: number;
  /** Of the primary index, as of the layer's end; undefined where the table could not be restored. */
  readonly fingerprint: string | undefined;
  readonly status: 'ok' | 'ok, without fingerprints' | 'corrupt';
}

export interface VerifyReport {
  /** Layers in order of time, tables by name. */
  readonly tables: readonly VerifiedTable[];
  /** Empty: the backup is proved. */
  readonly faults: readonly VarveError[];
}

/**
 * Verifies a chain: all of its layers, or those that `chosen` needs. Faults are reported, not thrown; what is thrown
 * is a cancel, or a storage that cannot be reached.
 */
export async function verifyBackup(chain: Chain, chosen: ChosenLayers | undefined, options: VerifyOptions): Promise<VerifyReport> {
  return await new Verification(chain, chosen, options).run();
}

interface TableResult {
  readonly tableId: number;
  readonly name: string;
  /** By id; empty where a file of the table is damaged. */
  readonly indexes: ReadonlyMap<number, VerifiedIndex>;
  readonly isCorrupt: boolean;
}

class Verification {
  readonly #chain: Chain;
  readonly #chosen: ChosenLayers | undefined;
  readonly #options: VerifyOptions;
  readonly #faults: VarveError[] = [];
  /** Tables of which a file is damaged. */
  readonly #damaged = new Set<number>();
  /** By layer's directory, then table id. */
  readonly #results = new Map<string, Map<number, VerifiedTable>>();

  constructor(chain: Chain, chosen: ChosenLayers | undefined, options: VerifyOptions) {
    this.#chain = chain;
    this.#chosen = chosen;
    this.#options = options;
  }

  async run(): Promise<VerifyReport> {
    const layers = this.#chosen?.layers ?? this.#chain;
    for (const layer of layers) await this.#verifyFiles(layer);
    const { clock, executor } = this.#options;
    const scratch = openKv({ clock, executor, ids: new Ids(seededRandom('scratch'), clock) });
    try {
      for (const path of this.#paths()) await this.#verifyPath(path, scratch);
    } finally {
      scratch.close();
    }
    const tables = layers.flatMap((layer) =>
      [...(this.#results.get(layer.directory)?.values() ?? [])].sort((a, b) => (a.table < b.table ? -1 : 1)),
    );
    return { tables, faults: this.#faults };
  }

  /** The paths that lead to every layer: one, unless incrementals were taken side by side. */
  #paths(): (readonly Layer[])[] {
    if (this.#chosen) return [this.#chosen.layers];
    const parents = new Set(this.#chain.map(({ manifest }) => manifest.parent?.directory));
    const ends = this.#chain.filter(({ directory }) => !parents.has(directory));
    const newest = newestLayer(this.#chain);
    return [newest, ...ends.filter((layer) => layer !== newest)].flatMap((layer) => {
      const path = this.#attempt(() => pathTo(this.#chain, layer));
      return path === undefined ? [] : [path];
    });
  }

  async #verifyFiles(layer: Layer): Promise<void> {
    for (const file of layer.manifest.files) {
      this.#options.signal.throwIfAborted();
      try {
        await verifyFile(layer, file, this.#options);
      } catch (error) {
        this.#report(error);
        for (const part of file.parts) this.#damaged.add(indexOfKey(part.span.key).tableId);
      }
    }
  }

  async #verifyPath(path: readonly Layer[], scratch: Kv): Promise<void> {
    this.#attempt(() => this.#proveCoverage(path));
    const files = new Map<string, LayerFile>();
    for (const { directory, manifest, cipher } of path) {
      for (const file of manifest.files) {
        const name = `${directory}/${file.path}`;
        files.set(name, { name, directory, file, cipher: cipher?.forFile(file.path) });
      }
    }
    const pieces = piecesOfPath(path, files);
    const nameOf = tableNames(path);
    const parts = path.map(partsByTable);
    for (const [tableId, indexIds] of indexesOf(path)) {
      const result = await this.#verifyTable(scratch, path, pieces, { tableId, name: nameOf(tableId) }, indexIds);
      path.forEach((layer, i) => {
        this.#note(layer, i, result, parts[i]?.get(tableId) ?? []);
      });
    }
  }

  /** Every version that the manifests claim is in a file, and everything that the newest one describes is claimed. */
  #proveCoverage(path: readonly Layer[]): void {
    const covered = proveCoverage(path);
    const last = path.at(-1) as Layer;
    const tables = descriptorsAt(last.manifest, last.manifest.endTime).flatMap((descriptor) =>
      descriptor.kind === 'table' ? [{ oldId: descriptor.id, table: withoutUnfinished(descriptor) }] : [],
    );
    for (const span of restoredSpans(tables)) requireSpan(covered, span, last.manifest.endTime, last.directory);
  }

  async #verifyTable(
    scratch: Kv,
    path: readonly Layer[],
    pieces: PathPieces,
    { tableId, name }: Pick<TableResult, 'tableId' | 'name'>,
    indexIds: readonly number[],
  ): Promise<TableResult> {
    const { storage, signal, onHeld = () => {} } = this.#options;
    const indexes = new Map<number, VerifiedIndex>();
    let isCorrupt = this.#damaged.has(tableId);
    for (const indexId of isCorrupt ? [] : indexIds) {
      const index = { name: `${name}, index ${indexId}`, tableId, indexId };
      const options = { storage, scratch, layers: path, pieces, signal, ...index };
      const found = await verifyIndex({ ...options, onHeld: (bytes) => onHeld(HEAP_BYTES_PER_BYTE * bytes) });
      this.#faults.push(...found.faults);
      isCorrupt ||= found.faults.length > 0;
      indexes.set(indexId, found);
    }
    return { tableId, name, indexes, isCorrupt };
  }

  #note(layer: Layer, index: number, { tableId, name, indexes, isCorrupt }: TableResult, parts: readonly ManifestFilePart[]): void {
    const tables = this.#results.get(layer.directory) ?? new Map<number, VerifiedTable>();
    this.#results.set(layer.directory, tables);
    const primary = indexes.get(PRIMARY_INDEX_ID)?.fingerprints[index];
    if (tables.has(tableId) || (parts.length === 0 && primary === undefined)) return;
    const times = new Set([...indexes.values()].flatMap((found) => [...(found.times[index] ?? [])]));
    const isRecorded = parts.every((part) => part.fingerprint !== undefined);
    tables.set(tableId, {
      ...parts.reduce<EntryCounts>(addCounts, NO_ENTRIES),
      layer,
      table: name,
      times: times.size,
      fingerprint: primary?.toHex(),
      status: isCorrupt ? 'corrupt' : isRecorded ? 'ok' : 'ok, without fingerprints',
    });
  }

  #attempt<T>(check: () => T): T | undefined {
    try {
      return check();
    } catch (error) {
      this.#report(error);
      return undefined;
    }
  }

  /** What the backup is to blame for is a fault; anything else ends the work. */
  #report(error: unknown): void {
    this.#options.signal.throwIfAborted();
    if (!isVarveError(error) || !(error instanceof CorruptionError || error.code === SqlState.UndefinedFile)) throw error;
    this.#faults.push(error);
  }
}

function partsByTable({ manifest }: Layer): Map<number, ManifestFilePart[]> {
  const tables = new Map<number, ManifestFilePart[]>();
  for (const { parts } of manifest.files) {
    for (const part of parts) {
      const { tableId } = indexOfKey(part.span.key);
      const known = tables.get(tableId);
      if (known) known.push(part);
      else tables.set(tableId, [part]);
    }
  }
  return tables;
}

/** The indexes that a path holds something of: by table id, ascending. */
function indexesOf(path: readonly Layer[]): [tableId: number, indexIds: number[]][] {
  const tables = new Map<number, Set<number>>();
  for (const { manifest } of path) {
    for (const { parts } of manifest.files) {
      for (const { span } of parts) {
        const { tableId, indexId } = indexOfKey(span.key);
        tables.set(tableId, (tables.get(tableId) ?? new Set()).add(indexId));
      }
    }
  }
  return [...tables].map(([id, indexes]): [number, number[]] => [id, [...indexes].sort((a, b) => a - b)]).sort(([a], [b]) => a - b);
}

/** What the newest layer that knows it calls a table. */
function tableNames(path: readonly Layer[]): (id: number) => string {
  const known = new Map<number, Descriptor>();
  for (const { manifest } of path) {
    for (const { id, descriptor } of manifest.descriptorChanges) if (descriptor) known.set(id, descriptor);
    for (const descriptor of manifest.descriptors) known.set(descriptor.id, descriptor);
  }
  return (id) => {
    const table = known.get(id);
    if (table?.kind !== 'table') return `[${id}]`;
    const database = known.get(table.parentId)?.name ?? `[${table.parentId}]`;
    return [database, known.get(table.schemaId)?.name ?? 'public', table.name].map(quoteName).join('.');
  };
}
