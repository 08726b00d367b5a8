/**
 * Row versions: what a row was, each time it changed, and what keeps the past of it.
 *
 * A row of several families is stored under several keys; its versions are the times at which any of
 * them changed. A version that has been superseded (or is a tombstone) may go once the table's
 * threshold has reached the time at which that happened:
 *
 *   threshold ------------------|
 *   versions     @10 a      @20 b      @30 tombstone
 *                 may go     kept: reads just above the threshold see it
 *
 * Cost: the row's versions. Lives elsewhere: thresholds (gc/thresholds.ts), SQL (historyFunctions.ts).
 */
import type { Bytes } from '../base/bytes.ts';
import { prefixSpan } from '../base/span.ts';
import { MIN_TIMESTAMP, type Timestamp } from '../base/timestamp.ts';
import type { Datum } from '../catalog/datum.ts';
import type { TableDescriptor } from '../catalog/descriptor.ts';
import { rowDecoder, tableCodec } from '../catalog/rowCodec.ts';
import { rowPrefixLength } from '../catalog/rowDecoder.ts';
import type { ProtectionRecord } from '../gc/protectedTimestamps.ts';
import type { Kv } from '../kv/kv.ts';
import { type DiffRow, diffColumns } from './tableDiff.ts';

export interface RowVersion {
  readonly ts: Timestamp;
  /** Undefined: deleted. */
  readonly row: DiffRow | undefined;
  /** True when garbage collection may take it at any time. */
  readonly isCollectable: boolean;
  /** True for the present value of a row that exists. */
  readonly isLatest: boolean;
  /** Whether the TTL alone keeps it still. */
  readonly isWithinTtl: boolean;
  /** From then on it may be collected, as things stand; undefined: not as long as it is the latest, or a protection holds it. */
  readonly keptUntil: Timestamp | undefined;
  /** The records that hold it, oldest first. */
  readonly protections: readonly ProtectionRecord[];
}

const PIECE_BYTES = 1024 * 1024;

/** Versions at or below `at` of the row with this primary key, newest first. 72000 when `at` is no longer readable. */
export async function rowVersions(kv: Kv, table: TableDescriptor, primaryKey: readonly Datum[], at: Timestamp): Promise<RowVersion[]> {
  const familyKeys = tableCodec(table).lookupKeys(primaryKey);
  const [first] = familyKeys;
  if (first === undefined) return [];
  // Everything that is still there is shown; that the time itself is readable is checked by this read.
  await kv.at(at).get([first]);
  const byKey = await versionsByKey(kv, first.slice(0, rowPrefixLength(first)) as Bytes, at);
  const times = [...new Set([...byKey.values()].flatMap((versions) => versions.map(({ ts }) => ts)))].sort((a, b) => b - a);
  const columns = diffColumns(table);
  const ids = [...columns.key, ...columns.visible].map((column) => column.id);
  const decoder = rowDecoder(table, table.primaryIndex, [...new Set(ids)]);
  const places = ids.map((id) => decoder.columnIds.indexOf(id));
  const rowAt = (ts: Timestamp): DiffRow | undefined => {
    const values = familyKeys.map((key) => byKey.get(key)?.find((version) => version.ts <= ts)?.value ?? undefined);
    const row = decoder.decodeFamilies(familyKeys, values);
    return row && { columns, values: places.map((place) => row[place] ?? null) };
  };
  const keeper = keeperOf(kv, table);
  return times.map((ts, i) => {
    const row = rowAt(ts);
    const supersededAt = times[i - 1];
    // A tombstone is needed by reads below it only as the end of what came before.
    const goneAt = row === undefined ? ts : supersededAt;
    return { ts, row, isLatest: goneAt === undefined, ...keeper(goneAt) };
  });
}

type Keeping = Pick<RowVersion, 'isCollectable' | 'isWithinTtl' | 'keptUntil' | 'protections'>;

/** What keeps a version that reads at `goneAt` and later do not see. */
function keeperOf(kv: Kv, table: TableDescriptor): (goneAt: Timestamp | undefined) => Keeping {
  const { threshold, ttlSeconds, now } = kv.gc.thresholds.explain(table.id, table.primaryIndex.id);
  const { protections } = kv.gc.explain(table.id);
  return (goneAt) => {
    if (goneAt === undefined) return { isCollectable: false, isWithinTtl: false, keptUntil: undefined, protections: [] };
    if (goneAt <= threshold) return { isCollectable: true, isWithinTtl: false, keptUntil: undefined, protections: [] };
    return {
      isCollectable: false,
      isWithinTtl: goneAt > now - ttlSeconds * 1_000_000,
      keptUntil: kv.gc.thresholds.unreadableAt(table.id, goneAt, table.primaryIndex.id),
      protections: protections.filter((record) => record.ts <= goneAt),
    };
  };
}

interface KeyVersion {
  readonly ts: Timestamp;
  readonly value: Bytes | null;
}

/** Of each key of the row, its versions, newest first. */
async function versionsByKey(kv: Kv, rowPrefix: Bytes, at: Timestamp): Promise<Map<Bytes, KeyVersion[]>> {
  const byKey = new Map<Bytes, KeyVersion[]>();
  let resume: Parameters<Kv['exportSpan']>[3]['resume'];
  do {
    const options = { allVersions: true, unchecked: true, maxBytes: PIECE_BYTES, ...(resume && { resume }) };
    const piece = await kv.exportSpan(prefixSpan(rowPrefix), MIN_TIMESTAMP, at, options);
    piece.keys.forEach((key, i) => {
      const versions = byKey.get(key) ?? [];
      byKey.set(key, versions);
      versions.push({ ts: piece.timestamps[i] as Timestamp, value: piece.values[i] ?? null });
    });
    resume = piece.resume;
  } while (resume !== undefined);
  return byKey;
}
