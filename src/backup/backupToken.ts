/**
 * Backup token: what stands after FROM in SHOW BACKUP and RESTORE, to the chain and, for an id, the layer that it names.
 *
 *   LATEST                   the newest full and its incrementals; with use_backups_with_ids the newest layer of all chains
 *   '2026/11/20-142355.33'   that full and its incrementals
 *   'osDlrp0B'               one layer (backupId.ts)
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { formatUtc } from '../base/timestamp.ts';
import type { StatementContext } from '../sql/exec/statement.ts';

import { decodeBackupId, encodeBackupId, fullOfId, type IdTimes } from './backupId.ts';
import {
  type Chain,
  type ChoiceOptions,
  type ChosenLayers,
  chooseLayers,
  loadChain,
  type PassedOver,
  restorableIntervals,
  wayTo,
} from './chain.ts';
import { directoryTime, fullDirectoryTime, noLatest, parseSubdirectory } from './collection.ts';
import type { CollectionStorage } from './collectionStorage.ts';
import { type ListedLayer, listNewestLayers, requireNewest, resolveLatest } from './layerIndex.ts';
import { isMissing, type Layer } from './manifest.ts';

/** LATEST, or a text as the user gave it. */
export type BackupToken = { readonly type: 'latest' } | { readonly type: 'name'; readonly text: string };

/** A value may say LATEST too, from a placeholder. */
export function tokenOf(text: string): BackupToken {
  return text.toLowerCase() === 'latest' ? { type: 'latest' } : { type: 'name', text };
}

/** Whether the session means layers by their ids. */
export function usesIds(context: StatementContext): boolean {
  return context.session.showVariable('use_backups_with_ids') === 'on';
}

export interface NamedBackup {
  /** The full's directory. */
  readonly full: string;
  /** Undefined: the whole chain is meant. */
  readonly id: string | undefined;
}

/** 58P01 when there is no latest backup, 22023 for a text that names none. An id's layer is looked for by layerOf(). */
export async function resolveToken(
  storage: CollectionStorage,
  token: BackupToken,
  options: { readonly useIds: boolean; readonly signal?: AbortSignal },
): Promise<NamedBackup> {
  const { useIds, signal } = options;
  if (token.type === 'name') {
    const times = decodeBackupId(token.text);
    return times ? { full: fullOfId(times), id: token.text } : { full: parseSubdirectory(token.text), id: undefined };
  }
  if (!useIds) return { full: await resolveLatest(storage, signal, 'read LATEST path: '), id: undefined };
  const [newest] = (await listNewestLayers(storage, { countMax: 1 }, signal)).layers;
  if (newest === undefined) throw noLatest(storage, 'read LATEST path: ');
  return { full: newest.full, id: idOfLayer(newest) };
}

/** The chain of a named backup. 58P01 as loadChain(), in the user's words. */
export async function loadNamed(
  storage: CollectionStorage,
  { full, id }: NamedBackup,
  signal?: AbortSignal,
  onPassedOver?: PassedOver,
): Promise<Chain> {
  try {
    return await loadChain(storage, full, signal, onPassedOver);
  } catch (error) {
    if (id === undefined || !isMissing(error)) throw error;
    throw idNotFound(id, `there is no completed backup "${full}" in "${storage.uri}"`);
  }
}

/** The id of a layer, which lies in a dated directory. */
export function idOfLayer({ full, directory, endTime }: Pick<ListedLayer, 'full' | 'directory' | 'endTime'>): string {
  return encodeBackupId(fullDirectoryTime(full) ?? endTime, endTime, directory === full);
}

/** 58P01 when a restore to the newest time would silently take an older one: the newest layer has lost its manifest. */
export async function checkNewest(
  storage: CollectionStorage,
  chain: Chain,
  { id }: NamedBackup,
  time: Timestamp | undefined,
  signal?: AbortSignal,
): Promise<void> {
  if (id === undefined && time === undefined) await requireNewest(storage, chain, signal);
}

/** The layer of an id. 58P01 when the chain has none of that time. */
export function layerOf(chain: Chain, id: string): Layer {
  const { layerTime, isFull } = decodeBackupId(id) as IdTimes;
  const layer = chain.find(({ manifest }) => directoryTime(manifest.endTime) === layerTime && (manifest.kind === 'full') === isFull);
  if (layer) return layer;
  throw idNotFound(id, `the chain of "${chain[0].directory}" has no layer that ends at ${formatUtc(layerTime)}`);
}

function idNotFound(id: string, detail: string): StatementError {
  return new StatementError(SqlState.UndefinedFile, `backup with ID ${id} not found`, {
    detail,
    hint: 'SET use_backups_with_ids = true; SHOW BACKUPS IN lists the ids of a collection',
  });
}

/**
 * The layers that a restore reads. Of an id: its layer and those below, to its end time, or to a time inside it that
 * it can restore; 22023 for any other time. Of a whole chain as chooseLayers().
 */
export function chooseNamed(chain: Chain, { id }: NamedBackup, time: Timestamp | undefined, options: ChoiceOptions = {}): ChosenLayers {
  if (id === undefined) return chooseLayers(chain, time, options);
  const layer = layerOf(chain, id);
  const [interval] = restorableIntervals([layer]);
  if (time === undefined || (interval && interval.from <= time && time <= interval.to)) {
    const at = time ?? layer.manifest.endTime;
    return { layers: wayTo(chain, layer, at, options), time: at };
  }
  // The revision start time of an incremental is the end of the layer below.
  if (layer.manifest.revisionHistory && layer.manifest.kind === 'incremental' && time === layer.manifest.startTime) {
    return chooseLayers(chain, time);
  }
  const { from, to } = interval ?? { from: layer.manifest.endTime, to: layer.manifest.endTime };
  const can = from === to ? `only to ${formatUtc(to)}` : `to any time from ${formatUtc(from)} to ${formatUtc(to)}`;
  throw new StatementError(SqlState.InvalidParameterValue, `backup with ID ${id} does not cover requested time`, {
    detail: `requested ${formatUtc(time)}; the backup restores ${can}`,
    hint: 'leave AS OF SYSTEM TIME out, or name the backup whose interval holds the time: SHOW BACKUPS IN ... WITH REVISION START TIME',
  });
}
