/**
 * Collection content: all that lies in a collection, for who decides what may go: chains with their completed layers,
 * and directories that hold none (garbage: of jobs that died, or of a deletion that was interrupted).
 *
 *   C1  no manifest is opened, so no key is needed: names of directories and index files tell all times
 *   C2  what is indexed counts as completed; what is not is looked at
 *   C3  a directory at which a job is at work is neither
 */
import { mapConcurrently } from '../../base/mapConcurrently.ts';
import type { Timestamp } from '../../base/timestamp.ts';

import {
  fullDirectory,
  fullDirectoryTime,
  INCREMENTALS_PREFIX,
  incrementalDirectoryTime,
  listFullDirectories,
  MANIFEST_CHECKSUM_NAME,
  MANIFEST_NAME,
  READS_MAX,
} from '../../backup/collection.ts';
import type { CollectionStorage } from '../../backup/collectionStorage.ts';
import { compactedTimes, listChainDirectories } from '../../backup/compactedLayer.ts';
import { isHold } from '../../backup/holders.ts';
import { type IndexedLayer, listIndex } from '../../backup/indexFile.ts';

export interface ContentLayer {
  readonly directory: string;
  readonly kind: 'full' | 'incremental' | 'compacted';
  /** Truncated to hundredths of a second; undefined when only the manifest knows. */
  readonly startTime: Timestamp | undefined;
  readonly endTime: Timestamp;
  readonly indexNames: readonly string[];
}

export interface ContentChain {
  readonly full: string;
  /** Completed ones, by end; the full first. Empty when the full is not complete: the chain is not listed then. */
  readonly layers: readonly ContentLayer[];
  /** Directories that hold no completed layer, or one that nothing leads to. */
  readonly garbage: readonly ContentLayer[];
  /** Indexed layers whose directories are not here: incrementals that lie elsewhere. */
  readonly lost: readonly IndexedLayer[];
  readonly newestEnd: Timestamp;
  /** Locks and marks in its directories, of jobs that may be over. */
  readonly heldBy: readonly string[];
}

/** Chains, newest full first. `isHeld` says of the files of an unfinished directory that a job is at work there. Needs `list`. */
export async function readContent(
  storage: CollectionStorage,
  isHeld: (names: readonly string[]) => Promise<boolean>,
  signal?: AbortSignal,
): Promise<ContentChain[]> {
  const [fulls, roots, indexed] = await Promise.all([
    listFullDirectories(storage, signal),
    listIncrementalRoots(storage, signal),
    listIndex(storage, undefined, signal),
  ]);
  const names = [...new Set([...fulls, ...roots, ...indexed.map(({ full }) => full)])].sort().reverse();
  return await mapConcurrently(names, READS_MAX, (full) => {
    const entries = indexed.filter((entry) => entry.full === full);
    return readContentChain(storage, full, { hasFull: fulls.includes(full), entries, isHeld, signal });
  });
}

interface ChainLook {
  readonly hasFull: boolean;
  readonly entries: readonly IndexedLayer[];
  readonly isHeld: (names: readonly string[]) => Promise<boolean>;
  readonly signal: AbortSignal | undefined;
}

async function readContentChain(storage: CollectionStorage, full: string, look: ChainLook): Promise<ContentChain> {
  const { hasFull, entries, isHeld, signal } = look;
  const { incrementals, compacted } = await listChainDirectories(storage, full, signal);
  const directories = [...(hasFull ? [full] : []), ...incrementals, ...compacted];
  const layers: ContentLayer[] = [];
  const garbage: ContentLayer[] = [];
  const heldBy: string[] = [];
  let isAnyHeld = false;
  await mapConcurrently(directories, READS_MAX, async (directory) => {
    const own = entries.filter((entry) => entry.directory === directory);
    const layer = contentLayer(full, directory, own);
    const names = await storage.list(`${directory}/BACKUP`, { signal });
    const isWhole = names.includes(`${directory}/${MANIFEST_NAME}`) && names.includes(`${directory}/${MANIFEST_CHECKSUM_NAME}`);
    heldBy.push(...names.filter(isHold));
    if (isWhole) layers.push(layer);
    else if (await isHeld(names)) isAnyHeld = true;
    else garbage.push(layer);
  });
  const here = new Set(directories);
  const lost = entries.filter(({ directory }) => !here.has(directory));
  const isListed = layers.some(({ directory }) => directory === full);
  layers.sort(byEnd);
  const newestEnd = Math.max(0, ...layers.map(({ endTime }) => endTime), ...lost.map(({ endTime }) => endTime)) as Timestamp;
  if (isListed) return { full, layers, garbage: garbage.sort(byEnd), lost, newestEnd, heldBy };
  // Without a full nothing of it can be restored; where its job is still at work all of it stays.
  const orphans = isAnyHeld ? [] : [...layers, ...garbage].sort(byEnd);
  return { full, layers: [], garbage: orphans, lost, newestEnd, heldBy };
}

/** What a directory and its index files say of its layer. */
function contentLayer(full: string, directory: string, own: readonly IndexedLayer[]): ContentLayer {
  const indexNames = own.map(({ indexName }) => indexName);
  if (directory === full) {
    const endTime = own[0]?.endTime ?? ((fullDirectoryTime(full) ?? 0) as Timestamp);
    return { directory, kind: 'full', startTime: 0 as Timestamp, endTime, indexNames };
  }
  const times = compactedTimes(directory);
  if (times) return { directory, kind: 'compacted', ...times, indexNames };
  const endTime = (own[0]?.endTime ?? incrementalDirectoryTime(directory.split('/').slice(-2).join('/')) ?? 0) as Timestamp;
  return { directory, kind: 'incremental', startTime: own[0] && startOf(own[0]), endTime, indexNames };
}

/** The start that an index file's name tells. */
function startOf({ indexName }: IndexedLayer): Timestamp | undefined {
  const text = /_(\d{8}-\d{6}\.\d{2})_\d{8}-\d{6}\.\d{2}\.vix$/.exec(indexName)?.[1];
  return text === undefined ? undefined : fullDirectoryTime(`${text.slice(0, 4)}/${text.slice(4, 6)}/${text.slice(6)}`);
}

function byEnd(a: ContentLayer, b: ContentLayer): number {
  const rank = ({ kind }: ContentLayer) => ['full', 'incremental', 'compacted'].indexOf(kind);
  return Math.floor(a.endTime / 10_000) - Math.floor(b.endTime / 10_000) || rank(a) - rank(b) || (a.directory < b.directory ? -1 : 1);
}

/** Fulls below `incrementals/`. */
async function listIncrementalRoots(storage: CollectionStorage, signal?: AbortSignal): Promise<string[]> {
  const below = async (prefixes: readonly string[]) =>
    (await mapConcurrently(prefixes, READS_MAX, (prefix) => storage.list(prefix, { delimiter: '/', signal }))).flat();
  const isYear = (name: string) => /\/\d{4}\/$/.test(name);
  const years = (await storage.list(INCREMENTALS_PREFIX, { delimiter: '/', signal })).filter(isYear);
  return (await below(await below(years)))
    .filter((name) => name.endsWith('/'))
    .map((name) => name.slice(INCREMENTALS_PREFIX.length, -1))
    .filter((full) => {
      const time = fullDirectoryTime(full);
      return time !== undefined && fullDirectory(time) === full;
    });
}
