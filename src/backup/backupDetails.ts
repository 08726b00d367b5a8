/**
 * Backup details: what planning decided, once, as the job's record keeps it. The job does the rest
 * from this alone, on any node, any number of times.
 *
 *   D1  nothing here depends on when or where the job runs
 *   D2  descriptors are not here but ids: the catalog is read again at endTime, which protection keeps
 */
import { assert } from '../base/assert.ts';
import type { Bytes } from '../base/bytes.ts';
import { fromBuffer, toHex } from '../base/bytes.ts';
import type { Span } from '../base/span.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { Json } from '../jobs/job.ts';

import { type LocationDetails, loadLocation, type StoredLocation, storeLocation } from './locationDetails.ts';
import type { BackupScope, LayerKind, ParentLayer } from './manifest.ts';

export const BACKUP_JOB_TYPE = 'BACKUP';

export type LateTable = readonly [tableId: number, from: Timestamp];

/** The schedule behind a backup. */
export interface ScheduleLink {
  readonly id: number;
  /** How often the schedule's destination had been changed. */
  readonly place: number;
}

export interface BackupDetails {
  readonly location: LocationDetails;
  readonly user: string;
  /** Within the collection. */
  readonly directory: string;
  readonly kind: LayerKind;
  readonly layerId: string;
  readonly scope: BackupScope;
  readonly targets: readonly string[];
  readonly targetIds: readonly number[];
  readonly completeDatabaseIds: readonly number[];
  /** Every descriptor of the backup as of endTime, ascending. */
  readonly descriptorIds: readonly number[];
  /** With revision history: what else the layer tells of, such as tables that a TRUNCATE has replaced. */
  readonly historyIds: readonly number[];
  readonly startTime: Timestamp;
  readonly endTime: Timestamp;
  readonly revisionHistory: boolean;
  readonly revisionStartTime: Timestamp;
  /** Tables that can only be read from a later time on than `revisionStartTime`, before which they were not there. */
  readonly lateTables?: readonly LateTable[];
  /** Tiers that have a place of their own, sorted. */
  readonly localities: readonly string[];
  /** Filter of the nodes that work for it; '' for all. */
  readonly executionLocality: string;
  /** A node that has a locality writes to a place of its own, or the backup fails. */
  readonly strictLocality: boolean;
  readonly spans: readonly Span[];
  readonly introducedSpans: readonly Span[];
  readonly parent: ParentLayer | undefined;
  /** Content of ENCRYPTION_INFO in base64, of a full that is encrypted: the job writes it first of all. */
  readonly encryptionInfo?: string | undefined;
  /** A failure for want of the KMS shows among the metrics. */
  readonly updatesMetrics?: boolean;
  /** The schedule that started it. */
  readonly schedule?: ScheduleLink | undefined;
  /** Protection records to release at the end. */
  readonly protectionIds: readonly string[];
}

export function detailsToJson(details: BackupDetails): Json {
  const { location, spans, introducedSpans, parent, ...rest } = details;
  const json = {
    ...rest,
    location: storeLocation(location),
    format: 1,
    parent: parent ?? null,
    spans: spans.map(spanToJson),
    introducedSpans: introducedSpans.map(spanToJson),
  };
  // Through text, as the record stores it: what JSON leaves out must not be missed later.
  return JSON.parse(JSON.stringify(json)) as Json;
}

/** Reads what detailsToJson made. */
export function detailsFromJson(json: Json): BackupDetails {
  const { format, location, spans, introducedSpans, parent, ...rest } = json as unknown as Omit<
    BackupDetails,
    'location' | 'spans' | 'introducedSpans' | 'parent'
  > & {
    location: StoredLocation;
    format: number;
    spans: SpanJson[];
    introducedSpans: SpanJson[];
    parent: ParentLayer | null;
  };
  assert(format === 1, `details of a backup job have format ${format}`);
  return {
    ...rest,
    location: loadLocation(location),
    parent: parent ?? undefined,
    spans: spans.map(spanFromJson),
    introducedSpans: introducedSpans.map(spanFromJson),
  };
}

type SpanJson = readonly [key: string, endKey: string];

function spanToJson(span: Span): SpanJson {
  return [toHex(span.key), toHex(span.endKey)];
}

function spanFromJson([key, endKey]: SpanJson): Span {
  const bytes = (hex: string): Bytes => fromBuffer(Buffer.from(hex, 'hex'));
  return { key: bytes(key), endKey: bytes(endKey) };
}
