/**
 * Layer index: which layers a collection holds, from index files (indexFile.ts) where they are, from
 * manifests where they are not.
 *
 *   E1  an indexed layer is listed while its directory is there: what was deleted by hand is not
 *   E2  a completed layer that is not indexed (an older version wrote it, or its index file is lost) is listed
 *       all the same, at the cost of its manifest; readers do not write, the next backup of the chain does (heal)
 *   E3  the cost is one listing of the index and one of the directories of fulls, and then the answer's:
 *       a listing of the incrementals of each chain in it. Only there a lost index file shows
 */
import { isVarveError, StorageError } from '../base/errors.ts';
import { mapConcurrently } from '../base/mapConcurrently.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { formatUtc } from '../base/timestamp.ts';

import { type Chain, newestLayer } from './chain.ts';
import {
  fullDirectoryTime,
  incrementalDirectoryTime,
  isLayer,
  listFullDirectories,
  listIncrementalDirectories,
  MANIFEST_CHECKSUM_NAME,
  MANIFEST_NAME,
  READS_MAX,
  readLatest,
} from './collection.ts';
import type { CollectionStorage } from './collectionStorage.ts';
import { type IndexedLayer, indexName, indexOfLayer, listIndex, listIndexedChains, readIndexFile, writeIndexFile } from './indexFile.ts';
import { isMissing, type Layer, readManifest } from './manifest.ts';

/** A completed layer, as a listing tells of it. */
export interface ListedLayer {
  /** Directory of the chain's full. */
  readonly full: string;
  readonly directory: string;
  /** Exact; to a hundredth of a second for a layer that is not indexed and cannot be read. */
  readonly endTime: Timestamp;
  /** Undefined: not indexed. */
  readonly index: IndexedLayer | undefined;
  /** Set when it had to be read. */
  readonly layer: Layer | undefined;
}

/** Directories of the completed fulls, oldest first: those that are indexed, without a look into them. Needs `list`. */
export async function listIndexedFulls(storage: CollectionStorage, signal?: AbortSignal): Promise<string[]> {
  const [directories, indexed] = await Promise.all([listFullDirectories(storage, signal), listIndexedChains(storage, signal)]);
  const known = new Set(indexed);
  const complete = await mapConcurrently(directories, READS_MAX, async (one) => known.has(one) || (await isLayer(storage, one, signal)));
  return directories.filter((_, i) => complete[i]);
}

/** Which layers are asked for, by end time; both bounds inclusive. */
export interface LayerFilter {
  readonly newerThan?: Timestamp;
  readonly olderThan?: Timestamp;
  readonly countMax: number;
}

/** Layers of all chains, newest first, and whether there are more than asked for. Needs `list`. */
export async function listNewestLayers(
  storage: CollectionStorage,
  filter: LayerFilter,
  signal?: AbortSignal,
): Promise<{ readonly layers: ListedLayer[]; readonly hasMore: boolean }> {
  const { newerThan = 0, olderThan = Number.POSITIVE_INFINITY, countMax } = filter;
  const [directories, indexed] = await Promise.all([listFullDirectories(storage, signal), listIndex(storage, undefined, signal)]);
  const chains = new Map<string, readonly ListedLayer[]>();
  const proved = new Set<string>();
  for (const full of directories) {
    const own = indexed.filter((entry) => entry.full === full);
    chains.set(full, own.map(ofIndex));
  }
  const prove = async (fulls: readonly string[]) => {
    const found = await mapConcurrently(fulls, READS_MAX, (full) =>
      listChainLayers(
        storage,
        full,
        (chains.get(full) ?? []).map(({ index }) => index).filter((index) => index !== undefined),
        signal,
      ),
    );
    fulls.forEach((full, i) => {
      chains.set(full, found[i] ?? []);
      proved.add(full);
    });
  };
  // Of a chain whose full is not indexed nothing is known yet; none of its layers is older than its full.
  await prove(directories.filter((full) => (fullDirectoryTime(full) ?? 0) <= olderThan && !chains.get(full)?.some(isFull)));
  for (;;) {
    const all = [...chains.values()].flat().filter(({ endTime }) => endTime >= newerThan && endTime <= olderThan);
    all.sort((a, b) => b.endTime - a.endTime || (a.directory < b.directory ? 1 : -1));
    const page = all.slice(0, countMax);
    const unproved = [...new Set(page.map(({ full }) => full))].filter((full) => !proved.has(full));
    if (unproved.length === 0) return { layers: page, hasMore: all.length > page.length };
    await prove(unproved);
  }
}

/** The completed layers of one chain, newest first; none without a completed full. `indexed`: what is indexed of it; `except`: not looked at. */
export async function listChainLayers(
  storage: CollectionStorage,
  full: string,
  indexed: readonly IndexedLayer[] | Promise<readonly IndexedLayer[]>,
  signal?: AbortSignal,
  except?: string,
): Promise<ListedLayer[]> {
  const [incrementals, entries] = await Promise.all([listIncrementalDirectories(storage, full, signal), indexed]);
  const byDirectory = new Map(entries.map((entry) => [entry.directory, entry]));
  const directories = [full, ...incrementals].filter((directory) => directory !== except);
  const unindexed = directories.filter((directory) => !byDirectory.has(directory));
  const read = await mapConcurrently(unindexed, READS_MAX, (directory) => readUnindexed(storage, full, directory, signal));
  const found = new Map(unindexed.map((directory, i) => [directory, read[i]]));
  const layers = directories.map((directory) => {
    const entry = byDirectory.get(directory);
    return entry ? ofIndex(entry) : found.get(directory);
  });
  if (layers[0] === undefined) return [];
  return layers.filter((layer) => layer !== undefined).sort((a, b) => b.endTime - a.endTime);
}

const ofIndex = (index: IndexedLayer): ListedLayer => ({
  full: index.full,
  directory: index.directory,
  endTime: index.endTime,
  index,
  layer: undefined,
});

const isFull = ({ full, directory }: ListedLayer): boolean => full === directory;

/** Undefined where there is no completed layer. One that is damaged, or of which the key is not here, is listed by its name. */
async function readUnindexed(
  storage: CollectionStorage,
  full: string,
  directory: string,
  signal?: AbortSignal,
): Promise<ListedLayer | undefined> {
  try {
    const layer = await readManifest(storage, directory, signal);
    return { full, directory, endTime: layer.manifest.endTime, index: undefined, layer };
  } catch (error) {
    if (isMissing(error)) return undefined;
    if (!isVarveError(error) || error instanceof StorageError || signal?.aborted) throw error;
    if (!(await isLayer(storage, directory, signal))) return undefined;
    const endTime = fullDirectoryTime(directory) ?? incrementalDirectoryTime(directory.split('/').slice(-2).join('/'));
    return endTime === undefined ? undefined : { full, directory, endTime, index: undefined, layer: undefined };
  }
}

/** From when on a layer can be restored to any time; undefined without revision history, and for one that cannot be read. */
export async function revisionStart(storage: CollectionStorage, listed: ListedLayer, signal?: AbortSignal): Promise<Timestamp | undefined> {
  const ofManifest = (layer: Layer | undefined) => (layer?.manifest.revisionHistory ? layer.manifest.revisionStartTime : undefined);
  if (listed.index === undefined) return ofManifest(listed.layer);
  try {
    const index = await readIndexFile(storage, listed.index, signal);
    return index.revisionHistory ? index.revisionStartTime : undefined;
  } catch (error) {
    // A damaged index file costs a look into the manifest (X4).
    if (!isVarveError(error) || error.code !== SqlState.DataCorrupted) throw error;
    return ofManifest((await readUnindexed(storage, listed.full, listed.directory, signal))?.layer);
  }
}

/**
 * The directory of the newest completed full: that of the newest pointer, or a newer one that the index knows and that
 * is whole, for its pointer is written beside its index file. Throws as readLatest().
 */
export async function resolveLatest(storage: CollectionStorage, signal?: AbortSignal, context = ''): Promise<string> {
  const [pointed, indexed] = await Promise.allSettled([readLatest(storage, signal, context), listIndexedChains(storage, signal)]);
  if (indexed.status === 'rejected') throw indexed.reason;
  if (pointed.status === 'rejected' && !isMissing(pointed.reason)) throw pointed.reason;
  const known = pointed.status === 'fulfilled' ? pointed.value : '';
  for (const full of indexed.value) {
    if (full <= known) break;
    const entries = await listIndex(storage, full, signal);
    if (entries.some(({ directory }) => directory === full) && (await isLayer(storage, full, signal))) return full;
  }
  if (pointed.status === 'rejected') throw pointed.reason;
  return known;
}

/** Layers of a chain that the index knows and that are not there: not whole, or gone. Needs `list`. */
export async function lostLayers(storage: CollectionStorage, chain: Chain, signal?: AbortSignal): Promise<IndexedLayer[]> {
  const there = new Set(chain.map(({ directory }) => directory));
  return (await listIndex(storage, chain[0].directory, signal)).filter(({ directory }) => !there.has(directory));
}

/** 58P01 naming what is missing when the index knows a layer of the chain that is newer than all that are there. */
export async function requireNewest(storage: CollectionStorage, chain: Chain, signal?: AbortSignal): Promise<void> {
  if (!storage.capabilities.list) return;
  const newest = newestLayer(chain).manifest.endTime;
  const lost = (await lostLayers(storage, chain, signal)).filter(({ endTime }) => endTime > newest).at(-1);
  if (lost === undefined) return;
  const { directory, endTime, indexName } = lost;
  const names = await storage.list(`${directory}/`, { signal });
  const missing = [MANIFEST_NAME, MANIFEST_CHECKSUM_NAME].find((name) => !names.includes(`${directory}/${name}`)) ?? MANIFEST_NAME;
  throw new StorageError(SqlState.UndefinedFile, `the newest layer of the backup is not whole: "${directory}/${missing}" is missing`, {
    operation: 'read',
    redactedUri: String(storage.uri),
    detail: `the index of "${storage.uri}" has a layer that ends at ${formatUtc(endTime)}`,
    hint: `restore AS OF SYSTEM TIME ${formatUtc(newest)} or before, name the incremental_location if its incrementals lie elsewhere, or bring the file back; if the layer was deleted on purpose, delete "${indexName}" too`,
  });
}

/** Writes what is missing of the index of a chain, but for the layer in `except`, which is not whole yet. Needs `list`. */
export async function healIndex(
  storage: CollectionStorage,
  full: string,
  { except, signal }: { readonly except?: string; readonly signal?: AbortSignal } = {},
): Promise<void> {
  const listed = await listChainLayers(storage, full, listIndex(storage, full, signal), signal, except);
  const missing = listed.filter(({ index }) => index === undefined).flatMap(({ layer }) => layer ?? []);
  await mapConcurrently(missing, READS_MAX, (layer) => indexAgain(storage, full, layer, signal));
}

/** The layer's own job may take it back at the same moment: then nothing of it must be left, and nothing is wrong. */
async function indexAgain(storage: CollectionStorage, full: string, layer: Layer, signal?: AbortSignal): Promise<void> {
  try {
    const confirm = await writeIndexFile(storage, full, indexOfLayer(layer), signal);
    await confirm();
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  if (storage.capabilities.delete && !(await isLayer(storage, layer.directory, signal))) {
    await storage.delete(indexName(full, layer.manifest));
  }
}
