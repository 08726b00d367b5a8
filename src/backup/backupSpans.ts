/**
 * Backup spans: which keys a layer exports, and from when.
 *
 *   X1  a table's data is the spans of its public indexes; an index that is still being built comes
 *       with the layer in which it is public
 *   X2  what the layers before do not cover up to this layer's start is *introduced*: exported from
 *       time 0. So come new tables, new indexes (TRUNCATE makes them too), tables that were being restored
 *       or whose data was excluded before
 *   X3  a layer with revision history exports the spans of every version of every descriptor in its
 *       interval, dropped ones included, and says in its manifest which version stood when
 *   X4  tables with exclude_data_from_backup, and views, have no spans
 *   X5  temporary tables are no part of a backup, nor of its history
 *   X6  a table that is being imported into is backed up with its descriptor as it is, the new rows included, so
 *       that the next layer has only what comes later; a restore leaves them out (backupCatalog.ts)
 */
import type { Bytes } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';
import { mergeSpans, subtractSpans } from '../base/span.ts';
import { hasTestFault } from '../base/testFaults.ts';
import { MIN_TIMESTAMP, type Timestamp } from '../base/timestamp.ts';
import { DESCRIPTOR_SPAN } from '../catalog/catalogContent.ts';
import { allIndexes, type Descriptor, type TableDescriptor } from '../catalog/descriptor.ts';
import { decodeDescriptor } from '../catalog/descriptorCodec.ts';
import { indexSpan } from '../catalog/indexSpans.ts';
import { isSystemObject } from '../catalog/snapshot.ts';
import { systemTable } from '../catalog/systemRows.ts';
import type { Kv } from '../kv/kv.ts';

import { isBackedUp } from './backupCatalog.ts';
import type { CoveredSpan } from './coverage.ts';
import type { DescriptorChange } from './manifest.ts';

/** True for a table that holds rows of its own, and whose rows go into backups. */
export function hasData(table: TableDescriptor): boolean {
  return (table.view === undefined || table.view.isMaterialized === true) && table.excludeDataFromBackup !== true;
}

/** Spans of a table's public indexes (X1, X4); sorted, disjoint. */
export function spansOfTable(table: TableDescriptor): Span[] {
  if (!hasData(table)) return [];
  const indexes = allIndexes(table).filter((index) => index.state === 'public' || hasTestFault('a63162'));
  return mergeSpans(indexes.map((index) => indexSpan(table, index)));
}

/** Spans of all tables among descriptors that backups hold; sorted, disjoint. */
export function spansOfDescriptors(descriptors: Iterable<Descriptor>): Span[] {
  const spans: Span[] = [];
  for (const descriptor of descriptors) {
    if (descriptor.kind === 'table' && isBackedUp(descriptor)) spans.push(...spansOfTable(descriptor));
  }
  return mergeSpans(spans);
}

/** The part of `spans` that earlier layers do not cover up to `startTime` (X2). */
export function introducedSpans(spans: readonly Span[], covered: readonly CoveredSpan[], startTime: Timestamp): Span[] {
  const known = mergeSpans(covered.filter(({ time }) => time >= startTime).map(({ span }) => span));
  return subtractSpans(spans, known);
}

/** Whose history a layer with revision history tells: whole databases, and single objects. */
export interface HistoryScope {
  /** Every database, those that are gone by now included; of the system's own objects only `ids`. */
  readonly isCluster: boolean;
  readonly databaseIds: readonly number[];
  readonly ids: readonly number[];
}

/**
 * The versions of descriptors that stood at `from` or came in (from, to], ascending by (time, id);
 * undefined for dropped. What is not of the scope, at any time in the interval, is left out.
 * Reads the catalog's rows; 72000 when `from` is not readable any more.
 */
export async function descriptorHistory(kv: Kv, scope: HistoryScope, from: Timestamp, to: Timestamp): Promise<DescriptorChange[]> {
  const table = systemTable('descriptor');
  const changes: DescriptorChange[] = [];
  const add = (key: Bytes, value: Bytes | null, time: Timestamp) => {
    const id = table.decodeKey(key)['id'] as number;
    const descriptor = value === null ? undefined : decodeDescriptor(table.decode(key, value)['descriptor'] as Bytes, time);
    changes.push({ id, time, descriptor });
  };

  for (let rest: Span | undefined = DESCRIPTOR_SPAN; rest !== undefined; ) {
    const { keys, values, timestamps, resume } = await kv.at(from).scan(rest, { maxBytes: PIECE_BYTES });
    for (const [i, key] of keys.entries()) add(key, values[i] as Bytes, timestamps[i] as Timestamp);
    rest = resume === undefined ? undefined : { key: resume, endKey: DESCRIPTOR_SPAN.endKey };
  }
  let resume: Parameters<Kv['exportSpan']>[3]['resume'];
  do {
    const piece = await kv.exportSpan(DESCRIPTOR_SPAN, from, to, { allVersions: true, maxBytes: PIECE_BYTES, resume });
    for (const [i, key] of piece.keys.entries()) add(key, piece.values[i] ?? null, piece.timestamps[i] as Timestamp);
    resume = piece.resume;
  } while (resume !== undefined);

  const ofScope = new Set<number>(scope.ids);
  for (const { id, descriptor } of changes) {
    if (descriptor && scope.isCluster && !isSystemObject(descriptor)) ofScope.add(id);
    if (scope.databaseIds.includes(id) || (descriptor && scope.databaseIds.includes(descriptor.parentId))) ofScope.add(id);
  }
  // What was temporary has been so from its first version on.
  for (const { id, descriptor } of changes) if (descriptor && isTemporary(descriptor)) ofScope.delete(id);
  return changes.filter(({ id }) => ofScope.has(id)).sort((a, b) => a.time - b.time || a.id - b.id);
}

function isTemporary(descriptor: Descriptor): boolean {
  return (descriptor.kind === 'table' || descriptor.kind === 'schema') && descriptor.temporary === true;
}

// Descriptors are small; this only keeps a catalog of many thousands from one long step.
const PIECE_BYTES = 1 << 20;

/** Spans of every version of a history that backups hold (X3). */
export function spansOfHistory(history: readonly DescriptorChange[]): Span[] {
  return spansOfDescriptors(history.flatMap(({ descriptor }) => descriptor ?? []));
}

/** An index that stood in a history. */
export interface HistoryIndex {
  /** Where its span begins. */
  readonly key: Bytes;
  readonly tableId: number;
  readonly indexId: number;
  /** From when on the history tells of it. */
  readonly since: Timestamp;
}

/** Every index that was public at some time of a history: one that was dropped may have lost more of its past than its table has. */
export function indexesOfHistory(history: readonly DescriptorChange[]): HistoryIndex[] {
  const found = new Map<Bytes, HistoryIndex>();
  for (const { descriptor: table, time } of history) {
    if (table?.kind !== 'table' || !isTold(table)) continue;
    for (const index of allIndexes(table)) {
      const { key } = indexSpan(table, index);
      if (index.state === 'public' && !found.has(key)) found.set(key, { key, tableId: table.id, indexId: index.id, since: time });
    }
  }
  return [...found.values()];
}

/** From when on the descriptor has been there for backups without a break up to the history's end; 0 when the history tells of none of that. */
export function standingSince(history: readonly DescriptorChange[], id: number): Timestamp {
  let since: Timestamp | undefined;
  for (const change of history) {
    if (change.id !== id) continue;
    if (change.descriptor === undefined || !isBackedUp(change.descriptor)) since = undefined;
    else since ??= change.time;
  }
  return since ?? MIN_TIMESTAMP;
}

/** From when on a history tells of a table's rows; undefined when it never does. */
export function toldSince(history: readonly DescriptorChange[], id: number): Timestamp | undefined {
  return history.find(({ descriptor }) => descriptor?.id === id && descriptor.kind === 'table' && isTold(descriptor))?.time;
}

function isTold(table: TableDescriptor): boolean {
  return isBackedUp(table) && hasData(table);
}

/** The part of a history that still stood at `from` or came later. */
export function historySince(history: readonly DescriptorChange[], from: Timestamp): DescriptorChange[] {
  const next = new Map<number, Timestamp>();
  const kept = history.toReversed().filter(({ id, time }) => {
    const until = next.get(id);
    next.set(id, time);
    return until === undefined || until > from;
  });
  return kept.reverse();
}

/** A table that stood in a history, and of which nothing is left in the catalog of today. */
export interface VanishedTable {
  readonly id: number;
  readonly name: string;
  /** From here on it was not there any more. */
  readonly until: Timestamp;
}

/**
 * Tables of a history whose dropped data was collected already: their part of the history cannot be
 * told. `exists` looks into the catalog of today, where a dropped table stays as long as its data does.
 */
export function vanishedTables(history: readonly DescriptorChange[], exists: (id: number) => boolean): VanishedTable[] {
  const vanished = new Map<number, VanishedTable>();
  const open = new Map<number, string>();
  for (const { id, time, descriptor } of history) {
    if (descriptor?.kind === 'table' && isTold(descriptor)) {
      open.set(id, descriptor.name);
    } else if (open.has(id) && !exists(id)) {
      vanished.set(id, { id, name: open.get(id) ?? '', until: time });
      open.delete(id);
    }
  }
  return [...vanished.values()];
}
