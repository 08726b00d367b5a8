/**
 * Known chains: what the retained BACKUP jobs say of the chains that could be continued.
 *
 * A chain is known while the record of its newest succeeded layer is there (jobs.retention_time, 14
 * days): nothing here looks into a storage. A chain whose files are gone, or that another cluster
 * has continued, is listed all the same.
 */
import type { Timestamp } from '../base/timestamp.ts';
import { tableOfKey } from '../kv/indexOfKey.ts';
import type { JobId, JobRecord } from '../jobs/job.ts';
import { redactUri } from '../storage/uri.ts';

import { BACKUP_JOB_TYPE, detailsFromJson } from './backupDetails.ts';
import { defaultUri, placeKey } from './locationDetails.ts';

export interface KnownChain {
  /** Redacted. */
  readonly collection: string;
  /** Of the full backup, within the collection: `2026/11/20-120000.00`. */
  readonly subdirectory: string;
  readonly targets: readonly string[];
  /** Layers whose jobs are retained. */
  readonly layers: number;
  /** End of the newest layer: where the next incremental starts. */
  readonly endTime: Timestamp;
  readonly revisionHistory: boolean;
  /** Tables of the newest layer. */
  readonly tableIds: readonly number[];
  readonly jobId: JobId;
}

/** Chains by the end of their newest layer, oldest first. */
export function knownChains(records: readonly JobRecord[]): KnownChain[] {
  const chains = new Map<string, KnownChain>();
  for (const record of records) {
    if (record.type !== BACKUP_JOB_TYPE || record.status !== 'succeeded') continue;
    const details = detailsFromJson(record.details);
    const { location, directory, kind, endTime, targets, revisionHistory, spans } = details;
    // A full's directory is `/2026/11/20-120000.00`, an incremental's starts with its root and the full's.
    const parts = directory.split('/').filter((part) => part !== '');
    const subdirectory = (kind === 'full' ? parts : parts.slice(1, 4)).join('/');
    const key = `${placeKey(location)}\n${subdirectory}`;
    const known = chains.get(key);
    const layers = (known?.layers ?? 0) + 1;
    if (known && known.endTime > endTime) {
      chains.set(key, { ...known, layers });
      continue;
    }
    const tableIds = [...new Set(spans.flatMap((span) => tableOfKey(span.key) ?? []))].sort((a, b) => a - b);
    chains.set(key, {
      collection: redactUri(defaultUri(location)),
      subdirectory,
      targets,
      layers,
      endTime,
      revisionHistory,
      tableIds,
      jobId: record.id,
    });
  }
  return [...chains.values()].sort((a, b) => a.endTime - b.endTime || (a.subdirectory < b.subdirectory ? -1 : 1));
}
