/**
 * Chain: the layers of a full and its incrementals, which moments they can bring back, and which
 * of them a given moment needs.
 *
 *   H1  a layer names its parent by directory, end time and manifest digest; a path of layers is
 *       followed only through parents that are exactly the ones named
 *   H2  a moment is reached by the first layer (by end time) that holds it and whose path back to the full is whole; other
 *       layers, such as one of two incrementals that ran side by side, are not read
 *   H3  from a layer with revision history any time in its interval can be restored, from one
 *       without only its end time
 *   H4  on the path that a moment needs, a compacted layer takes the place of those that it was made of, where that
 *       makes the path shorter and loses nothing of the moment. What can be restored does not depend on it
 *   H5  so a compacted layer whose manifest is damaged is passed over, and told of (PassedOver): the layers that it was made
 *       of bring back the same. Any other damaged manifest makes the chain unreadable
 *
 *        full            incremental          incremental, revision history
 *   0 ----------|--------------------|---------------------------------------|
 *            restorable          restorable   ...............................restorable
 *
 * Lives elsewhere: proof that a path has no holes (coverage.ts), compacted layers (compactedLayer.ts).
 */
import { CorruptionError, isVarveError, StatementError, type VarveError } from '../base/errors.ts';
import { mapConcurrently } from '../base/mapConcurrently.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { formatUtc } from '../base/timestamp.ts';

import type { RememberedChain } from './chainMemory.ts';
import { directoryTime, fullDirectoryTime, incrementalDirectoryTime, MANIFEST_NAME, READS_MAX } from './collection.ts';
import { EncryptionError } from './cipher.ts';
import type { CollectionStorage } from './collectionStorage.ts';
import { compactedTimes, isCompacted, listChainDirectories } from './compactedLayer.ts';
import { expectEqual } from './corruption.ts';
import type { Layer } from './manifest.ts';
import { isMissing, readManifest } from './manifest.ts';

/** A full and the completed incrementals on it, by end time, compacted ones behind those that end with them. The first one is the full. */
export type Chain = readonly [Layer, ...Layer[]];

/** Both inclusive; equal for a layer without revision history. */
export interface RestorableInterval {
  readonly from: Timestamp;
  readonly to: Timestamp;
  readonly layer: Layer;
}

/** Hears of a compacted layer that cannot be read, and what is wrong with it (H5). */
export type PassedOver = (directory: string, why: VarveError) => void;

/** Tells a user of a compacted layer that is passed over. */
export function passedOverNotice(directory: string, { message, detail }: VarveError): string {
  const why = detail === undefined ? message : `${message} (${detail})`;
  return `the compacted layer "${directory}" is passed over, and the layers that it was made of are read: ${why}`;
}

/**
 * Reads the manifests of a full and of all completed incrementals on it, save those that `memory` spares. 58P01 naming the
 * backup when there is no completed full in `full`; XX001, 0A000 as readManifest.
 */
export async function loadChain(
  storage: CollectionStorage,
  full: string,
  signal?: AbortSignal,
  onPassedOver: PassedOver = () => {},
  memory?: RememberedChain,
): Promise<Chain> {
  // Both at once; which directories are layers shows when their manifests are read.
  const [read, listed] = await Promise.allSettled([readManifest(storage, full, signal), listChainDirectories(storage, full, signal)]);
  if (read.status === 'rejected') {
    const error: unknown = read.reason;
    if (!isMissing(error)) throw error;
    throw new StatementError(SqlState.UndefinedFile, `no completed backup "${full}" in "${storage.uri}"`, {
      detail: error instanceof Error ? error.message : undefined,
      hint: 'SHOW BACKUPS IN lists the completed backups of a collection',
      cause: error,
    });
  }
  if (listed.status === 'rejected') throw listed.reason;
  const first = read.value;
  checkPlace(first);
  if (first.manifest.kind !== 'full') {
    throw new CorruptionError(SqlState.DataCorrupted, `backup "${full}" is an incremental layer where a full one belongs`, { file: full });
  }
  const { incrementals, compacted } = listed.value;
  const unread = memory?.unread([...compacted, ...incrementals]) ?? new Map<string, Layer>();
  const toRead = [...incrementals, ...compacted].filter((directory) => !unread.has(directory));
  const found = await mapConcurrently(toRead, READS_MAX, (directory) => {
    const read = readLayer(storage, directory, signal);
    return compactedTimes(directory) === undefined ? read : read.catch((error: unknown) => passOver(directory, error, onPassedOver));
  });
  const layers = [...unread.values(), ...found.filter((layer) => layer !== undefined)];
  memory?.keep(layers, unread);
  const rank = (layer: Layer) => Number(isCompacted(layer));
  layers.sort((a, b) => a.manifest.endTime - b.manifest.endTime || rank(a) - rank(b) || (a.directory < b.directory ? -1 : 1));
  return [first, ...layers];
}

/** Undefined where there is no completed layer: a job at work, or what one left. */
async function readLayer(storage: CollectionStorage, directory: string, signal?: AbortSignal): Promise<Layer | undefined> {
  try {
    const layer = await readManifest(storage, directory, signal);
    checkPlace(layer);
    return layer;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** What is stored is to blame; a storage or KMS that is out of reach is not passed over. */
function passOver(directory: string, error: unknown, onPassedOver: PassedOver): undefined {
  const isLaterVersion = isVarveError(error) && error.code === SqlState.FeatureNotSupported;
  if (!(error instanceof CorruptionError || error instanceof EncryptionError || isLaterVersion)) throw error;
  onPassedOver(directory, error);
}

/** XX001 when a dated directory holds a layer of another time: its files are another's. */
function checkPlace({ directory, manifest }: Layer): void {
  const place = { file: `${directory}/${MANIFEST_NAME}`, offset: 0 };
  const compacted = compactedTimes(directory);
  if (compacted) {
    expectEqual(place, 'start time of the layer', formatUtc(compacted.startTime), formatUtc(directoryTime(manifest.startTime)));
    expectEqual(place, 'layers that it stands for', 'several', manifest.compacts === undefined ? 'none' : 'several');
  }
  const time = compacted?.endTime ?? fullDirectoryTime(directory) ?? incrementalDirectoryTime(directory.split('/').slice(-2).join('/'));
  if (time === undefined) return;
  expectEqual(place, 'end time of the layer', formatUtc(time), formatUtc(directoryTime(manifest.endTime)));
}

/** The newest layer: what the next incremental continues. */
export function newestLayer(chain: Chain): Layer {
  return chain.findLast((layer) => !isCompacted(layer)) ?? chain[0];
}

/**
 * The layers from the full to `layer`, following parents (H1). XX001 when a parent is missing or
 * is not the one named.
 */
export function pathTo(chain: Chain, layer: Layer): Layer[] {
  const path: Layer[] = [layer];
  const byDirectory = new Map(chain.map((candidate) => [candidate.directory, candidate]));
  // Each step goes back in time (a manifest's own check), so the walk ends.
  for (let at = layer; at.manifest.parent !== undefined; ) {
    const { directory, endTime } = at.manifest.parent;
    const parent = byDirectory.get(directory);
    if (parent === undefined || !isParent(at.manifest.parent, parent)) {
      throw new CorruptionError(SqlState.DataCorrupted, `backup layer "${at.directory}" continues a layer that is not there`, {
        detail: `it continues "${directory}" up to ${formatUtc(endTime)}, ${parent === undefined ? `of which "${directory}/${MANIFEST_NAME}" or its checksum is missing` : 'where another layer lies now'}`,
        hint: 'restore to a time before this layer, or bring the missing layer back',
        file: at.directory,
      });
    }
    path.push(parent);
    at = parent;
  }
  return path.reverse();
}

/** The layers whose path back to the full is whole: pathTo() finds it. */
function reachedLayers(chain: Chain): ReadonlySet<Layer> {
  const byDirectory = new Map(chain.map((layer) => [layer.directory, layer]));
  const reached = new Set<Layer>();
  // Parents come before their children, for they end before them.
  for (const layer of chain) {
    const { parent } = layer.manifest;
    const before = parent && byDirectory.get(parent.directory);
    if (parent === undefined || (before !== undefined && isParent(parent, before) && reached.has(before))) reached.add(layer);
  }
  return reached;
}

function isParent({ manifestSha256, endTime }: NonNullable<Layer['manifest']['parent']>, layer: Layer): boolean {
  return layer.manifestSha256 === manifestSha256 && layer.manifest.endTime === endTime;
}

/** The layers that were taken as backups: all but the compacted ones. */
export function takenLayers(chain: Chain): Chain {
  const [first, ...others] = chain;
  return [first, ...others.filter((layer) => !isCompacted(layer))];
}

/** Every moment that the chain can bring back, in order of time; intervals of neighbours may touch. */
export function restorableIntervals(chain: Chain): RestorableInterval[] {
  return chain
    .filter((layer) => !isCompacted(layer))
    .map((layer) => ({
      from: layer.manifest.revisionHistory ? earliestTime(layer) : layer.manifest.endTime,
      to: layer.manifest.endTime,
      layer,
    }));
}

/** The earliest moment that a layer with revision history holds by itself. */
function earliestTime({ manifest }: Layer): Timestamp {
  return Math.max(manifest.revisionStartTime, manifest.startTime + 1) as Timestamp;
}

/** Layers to read for a moment, full first, and the moment: the newest layer's end when `time` is undefined. */
export interface ChosenLayers {
  readonly layers: readonly Layer[];
  readonly time: Timestamp;
}

/**
 * Chooses the layers for a restore to `time` (H2). 22023 with the nearest restorable times when no
 * layer holds that moment.
 */
export function chooseLayers(chain: Chain, time: Timestamp | undefined, options: ChoiceOptions = {}): ChosenLayers {
  if (time === undefined) {
    const newest = newestLayer(chain);
    return { layers: wayTo(chain, newest, newest.manifest.endTime, options), time: newest.manifest.endTime };
  }
  const holders = restorableIntervals(chain).filter(({ from, to }) => from <= time && time <= to);
  const reached = holders.length > 1 ? reachedLayers(chain) : undefined;
  // Without a path to any of them, what is wrong with the first one's is told.
  const holder = holders.find(({ layer }) => reached?.has(layer)) ?? holders[0];
  if (holder === undefined) throw notRestorable(chain, time);
  return { layers: wayTo(chain, holder.layer, time, options), time };
}

export interface ChoiceOptions {
  /** The history below `time` is wanted too: the layers as they were taken, for compacted ones may hold less of it. */
  readonly withPast?: boolean;
}

/** The layers to read for `layer` as of a time in it: the path to it, or a shorter way. */
export function wayTo(chain: Chain, layer: Layer, time: Timestamp, { withPast = false }: ChoiceOptions = {}): Layer[] {
  const path = pathTo(chain, layer);
  return withPast ? path : shortened(chain, path, time);
}

/** A path of taken layers, or a shorter one by way of compacted layers that brings back the same at `time` (H4). */
export function shortened(chain: readonly Layer[], path: readonly Layer[], time: Timestamp): Layer[] {
  const ways = chain.filter(isCompacted);
  // The fewest layers that lead up to each of the path's.
  const best: Layer[][] = [];
  path.forEach((layer, i) => {
    let way = [...(best[i - 1] ?? []), layer];
    for (const compacted of ways) {
      const from = i - (compacted.manifest.compacts?.length ?? 0);
      const before = best[from];
      if (before === undefined || before.length + 1 >= way.length || !standsFor(compacted, path, from, i)) continue;
      if (i === path.length - 1 && !holds(compacted, time)) continue;
      way = [...before, compacted];
    }
    best.push(way);
  });
  return best.at(-1) ?? [];
}

/** Whether a compacted layer was made of exactly the path's layers after index `from`, up to `to`. */
function standsFor({ manifest }: Layer, path: readonly Layer[], from: number, to: number): boolean {
  const { parent, compacts = [], endTime } = manifest;
  const before = path[from];
  return (
    before !== undefined &&
    parent?.manifestSha256 === before.manifestSha256 &&
    parent.directory === before.directory &&
    endTime === path[to]?.manifest.endTime &&
    compacts.every((id, i) => path[from + 1 + i]?.manifest.layerId === id)
  );
}

function holds(layer: Layer, time: Timestamp): boolean {
  const { endTime, revisionHistory } = layer.manifest;
  return time === endTime || (revisionHistory && earliestTime(layer) <= time && time < endTime);
}

/** The nearest times that can be restored on either side of a moment that cannot. */
export function nearestRestorable(chain: Chain, time: Timestamp): { before: Timestamp | undefined; after: Timestamp | undefined } {
  let before: Timestamp | undefined;
  let after: Timestamp | undefined;
  const reached = reachedLayers(chain);
  for (const { from, to, layer } of restorableIntervals(chain)) {
    if (!reached.has(layer)) continue;
    if (to < time && (before === undefined || to > before)) before = to;
    if (from > time && (after === undefined || from < after)) after = from;
  }
  return { before, after };
}

function notRestorable(chain: Chain, time: Timestamp): StatementError {
  const { before, after } = nearestRestorable(chain, time);
  const newestEnd = chain.reduce((end, layer) => Math.max(end, layer.manifest.endTime), 0);
  const inside = before !== undefined && time < newestEnd;
  const nearest = [before && `${formatUtc(before)} before it`, after && `${formatUtc(after)} after it`].filter(Boolean).join(', ');
  const message = inside
    ? "incompatible RESTORE timestamp (BACKUP needs option 'revision_history')"
    : 'supplied backups do not cover requested time';
  return new StatementError(SqlState.InvalidParameterValue, message, {
    detail: `requested ${formatUtc(time)}; the nearest restorable times of backup "${chain[0].directory}" are ${nearest}`,
    hint: inside
      ? 'restore to one of these times; layers taken WITH revision_history can be restored to any time inside them'
      : after === undefined
        ? 'take an incremental backup that reaches the requested time, or restore to the time named'
        : 'an older full backup may reach the requested time: SHOW BACKUPS IN lists them',
  });
}
