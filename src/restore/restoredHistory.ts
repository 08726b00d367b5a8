/**
 * Restored history: which part of a table's past a restore WITH revision_history brings back.
 *
 *   layer 1 full          layer 2, history       layer 3, history       restored to t
 *   -------|----------------------|-----------------------------|--t---
 *          |<------ the chain's history: from layer 1's end to t ->|
 *
 *   H1  the chain's history is the longest stretch up to t of which every moment can be restored
 *   H2  a table's begins in it, and not before the last change of its columns or indexes, nor before a layer
 *       that exported it anew: then one descriptor, that of t, reads all of it
 *   H3  ingested are the versions above the begin, and of each key the one that stood there
 *   H4  its gc.ttlseconds grows by the past's age, so that the past can be read as long after the restore as
 *       history is kept anyway; then GC takes it
 *
 * How a statement reads it is catalog/restoredPast.ts; the versions are chosen here, too.
 */
import type { Bytes } from '../base/bytes.ts';
import { MICROS_PER_SECOND } from '../base/duration.ts';
import { StateError, StatementError } from '../base/errors.ts';
import { tablePrefix } from '../base/keycode.ts';
import { prefixSpan, spansOverlap } from '../base/span.ts';
import { SqlState } from '../base/sqlState.ts';
import { formatUtc, type Timestamp } from '../base/timestamp.ts';
import type { Descriptor, TableDescriptor } from '../catalog/descriptor.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { configureTables, ZoneSet } from '../catalog/zones.ts';
import type { Txn } from '../kv/kv.ts';

import { hasData } from '../backup/backupSpans.ts';
import type { ChosenLayers } from '../backup/chain.ts';
import type { DescriptorChange, Layer } from '../backup/manifest.ts';

/** Of restored tables, by new id: where the past begins. */
export type PastStarts = readonly (readonly [newId: number, from: Timestamp])[];

/** gc.ttlseconds is an INT4. */
const TTL_SECONDS_MAX = 2 ** 31 - 1;

/**
 * Where the past of each table begins, by id in the backup; none for tables whose data was left out of the
 * backup, nor for those that were being imported into. 22023 when the chain has no history at that time, 55000 for a time that this cluster has not reached.
 */
export function pastStarts(
  { layers, time }: ChosenLayers,
  tables: readonly TableDescriptor[],
  now: Timestamp,
): ReadonlyMap<number, Timestamp> {
  if (time > now) {
    throw new StateError(
      SqlState.ObjectNotInPrerequisiteState,
      `the backup is as of ${formatUtc(time)}, a time that this cluster has not reached`,
      {
        hint: 'restore without revision_history, or later',
      },
    );
  }
  const from = historyStart(layers, time);
  if (from === time) {
    throw new StatementError(SqlState.InvalidParameterValue, `the backup holds no history before ${formatUtc(time)}`, {
      detail: `layer "${layers.at(-1)?.directory ?? ''}" was taken without revision_history, or begins there`,
      hint: 'restore without revision_history; a layer taken WITH revision_history has a past',
    });
  }
  const changes = layers.flatMap(({ manifest }) => manifest.descriptorChanges);
  const starts = tables
    .filter((table) => (hasData(table) || table.view !== undefined) && table.importing === undefined)
    .map((table) => {
      return [table.id, Math.max(from, unchangedSince(table, changes, time), exportedSince(table, layers)) as Timestamp] as const;
    });
  return new Map(starts);
}

/** The first moment of the stretch up to `time` of which each can be restored (H1). */
function historyStart(layers: readonly Layer[], time: Timestamp): Timestamp {
  let from = time;
  for (const { manifest } of layers.toReversed()) {
    if (!manifest.revisionHistory) return Math.min(from, Math.max(manifest.endTime, 0)) as Timestamp;
    from = Math.max(manifest.revisionStartTime, manifest.startTime + 1) as Timestamp;
    if (manifest.revisionStartTime > manifest.startTime) return Math.min(from, time) as Timestamp;
  }
  return from;
}

/** Since when rows of the table have been kept as they are at `time`. */
function unchangedSince(table: TableDescriptor, changes: readonly DescriptorChange[], time: Timestamp): Timestamp {
  const shape = shapeOf(table);
  let since = 0 as Timestamp;
  let isSame = false;
  for (const change of changes) {
    if (change.id !== table.id || change.time > time) continue;
    const isNowSame = change.descriptor?.state === 'PUBLIC' && shapeOf(change.descriptor) === shape;
    if (isNowSame && !isSame) since = change.time;
    isSame = isNowSame;
  }
  return since;
}

/** What does not change how rows are kept. */
const NOT_SHAPE: ReadonlySet<string> = new Set([
  'name',
  'schema',
  'members',
  'physical',
  'defaultExpr',
  'onUpdateExpr',
  'nullable',
  'usesSequenceIds',
  'ownsSequenceIds',
]);

function shapeOf(descriptor: Descriptor): string {
  if (descriptor.kind !== 'table') return '';
  const { columns, families, primaryIndex, indexes, view } = descriptor;
  const shape = { columns, families, primaryIndex, indexes, view, hasData: hasData(descriptor) };
  return JSON.stringify(shape, (key, value: unknown) => (NOT_SHAPE.has(key) ? undefined : value));
}

/** From when on the last layer that exported the table, or an index of it, from time 0 tells of it. */
function exportedSince(table: TableDescriptor, layers: readonly Layer[]): Timestamp {
  const span = prefixSpan(tablePrefix(table.id));
  const anew = layers.filter(({ manifest }) => manifest.introducedSpans.some((one) => spansOverlap(one, span)));
  return Math.max(0, ...anew.map(({ manifest }) => manifest.revisionStartTime)) as Timestamp;
}

/** Descriptors that carry their past. `starts` by new id. */
export function withPasts(descriptors: readonly Descriptor[], starts: PastStarts, until: Timestamp): Descriptor[] {
  const startOf = new Map(starts);
  return descriptors.map((one) => {
    const from = startOf.get(one.id);
    if (from === undefined || one.kind !== 'table') return one;
    const { offlineReason: _, ...table } = one;
    return { ...one, past: { from, until, table: { ...table, state: 'PUBLIC' } } };
  });
}

/** Gives the tables a gc.ttlseconds that keeps their past as long as history is kept anyway, from now on (H4). */
export async function keepPasts(
  txn: Txn,
  snapshot: CatalogSnapshot,
  tables: readonly TableDescriptor[],
  starts: PastStarts,
): Promise<void> {
  const startOf = new Map(starts);
  const zones = await ZoneSet.read(txn, snapshot);
  const ttls = tables.flatMap(({ id, parentId }) => {
    const from = startOf.get(id);
    if (from === undefined) return [];
    const kept = zones.effective({ kind: 'database', id: parentId }).gcTtlSeconds ?? 0;
    const age = Math.ceil((txn.readTimestamp - from) / MICROS_PER_SECOND) + 1;
    return [{ id, changes: { gcTtlSeconds: Math.min(TTL_SECONDS_MAX, kept + age) } }];
  });
  await configureTables(txn, zones, ttls);
}

/** Versions of whole keys, each key's newest first. */
export interface VersionLists {
  readonly keys: readonly Bytes[];
  readonly timestamps: readonly Timestamp[];
  readonly values: readonly (Bytes | null)[];
}

/** Which of them a past from `from` to `until` needs (H3): indexes. A key that was deleted before and stays so needs none. */
export function neededVersions({ keys, timestamps, values }: VersionLists, from: Timestamp, until: Timestamp): number[] {
  const needed: number[] = [];
  let key: Bytes | undefined;
  let isStanding = false;
  for (let i = 0; i < keys.length; i++) {
    if (keys[i] !== key) {
      key = keys[i];
      isStanding = false;
    }
    const time = timestamps[i] as Timestamp;
    if (time > until || isStanding) continue;
    isStanding = time <= from;
    // A tombstone with nothing below it.
    if (isStanding && values[i] === null) continue;
    needed.push(i);
  }
  return needed;
}
