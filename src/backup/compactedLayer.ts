/**
 * Compacted layer: what several incremental layers of a chain hold, merged into one beside them (COMPACT BACKUP),
 * so that a restore reads one layer in their place.
 *
 *   full --- inc 1 --- inc 2 --- inc 3 --- inc 4          the chain, as it was taken
 *     `------------ compacted 1-3 ----------'             stands for inc 1 to 3: same start, same end
 *
 *   K1  its directory has both of its times, in a form that readers which know nothing of compaction pass over:
 *       they read the layers that it was made of, which stay
 *   K2  it names the layers that it was made of; it stands for exactly these, between the parent of the first and
 *       what continues the last. Nothing ever continues a compacted layer
 *   K3  it is neither indexed nor pointed to: it is no backup by itself, only a shorter way
 *
 * Lives elsewhere: choosing it (chain.ts), making it (restore/compact). Format: docs/format.md 11.
 */
import { mapConcurrently } from '../base/mapConcurrently.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { ExternalStorage } from '../storage/externalStorage.ts';

import { INCREMENTALS_PREFIX, incrementalDirectory, incrementalDirectoryTime, READS_MAX } from './collection.ts';
import type { Layer, Manifest } from './manifest.ts';

/** `incrementals/2026/11/20-142355.33/20261121/060000.00-20261120-142355.33`: by its end, then its start. */
export function compactedDirectory(full: string, startTime: Timestamp, endTime: Timestamp): string {
  const root = `${INCREMENTALS_PREFIX}${full}/`;
  const start = incrementalDirectory(full, startTime).slice(root.length).replace('/', '-');
  return `${incrementalDirectory(full, endTime)}-${start}`;
}

export interface CompactedTimes {
  /** Both truncated to hundredths of a second. */
  readonly startTime: Timestamp;
  readonly endTime: Timestamp;
}

/** Of a compacted layer's directory, whole or below its full; undefined for any other. */
export function compactedTimes(directory: string): CompactedTimes | undefined {
  const match = /(?:^|\/)(\d{8}\/\d{6}\.\d{2})-(\d{8})-(\d{6}\.\d{2})$/.exec(directory);
  if (match === null) return undefined;
  const endTime = incrementalDirectoryTime(match[1] ?? '');
  const startTime = incrementalDirectoryTime(`${match[2]}/${match[3]}`);
  return startTime === undefined || endTime === undefined ? undefined : { startTime, endTime };
}

/** True for what COMPACT BACKUP made. */
export function isCompacted({ manifest }: Layer): boolean {
  return manifest.compacts !== undefined;
}

export interface ChainDirectories {
  readonly incrementals: readonly string[];
  readonly compacted: readonly string[];
}

/** Directories on a full, oldest end first, whether they hold a completed layer or not. Needs `list`; a listing for each day. */
export async function listChainDirectories(storage: ExternalStorage, full: string, signal?: AbortSignal): Promise<ChainDirectories> {
  const root = `${INCREMENTALS_PREFIX}${full}/`;
  // Where they lie below their full, its own files stand among them.
  const days = (await storage.list(root, { delimiter: '/', signal })).filter((day) => /^\d{8}\/$/.test(day.slice(root.length)));
  const names = (await mapConcurrently(days, READS_MAX, (day) => storage.list(day, { delimiter: '/', signal }))).flat();
  const directories = names.filter((name) => name.endsWith('/')).map((name) => name.slice(0, -1));
  return {
    incrementals: directories.filter((directory) => incrementalDirectoryTime(directory.slice(root.length)) !== undefined),
    compacted: directories.filter((directory) => compactedTimes(directory.slice(root.length)) !== undefined),
  };
}

/** What SHOW BACKUP calls a layer. */
export function typeOfLayer({ kind, compacts }: Manifest): 'full' | 'incremental' | 'compacted' {
  return compacts === undefined ? kind : 'compacted';
}
