/** Compaction details: which layers a COMPACT BACKUP job merges and where it puts the result, decided once, as its record keeps it. */
import { assert } from '../../base/assert.ts';
import type { Json } from '../../jobs/job.ts';

import { type LocationDetails, loadLocation, type StoredLocation, storeLocation } from '../../backup/locationDetails.ts';
import type { ParentLayer } from '../../backup/manifest.ts';

export const COMPACTION_JOB_TYPE = 'COMPACT BACKUP';

export interface CompactionDetails {
  readonly location: LocationDetails;
  readonly user: string;
  /** Directory of the chain's full. */
  readonly full: string;
  /** Where the compacted layer goes. */
  readonly directory: string;
  readonly layerId: string;
  /** Layers to read, oldest first; compacted ones may be among them. */
  readonly inputs: readonly { readonly directory: string; readonly manifestSha256: string }[];
  /** Ids of the layers that it will stand for, oldest first. */
  readonly compacts: readonly string[];
  /** What the first of them continues. */
  readonly parent: ParentLayer;
  /** Tiers that have a place of their own, sorted. */
  readonly localities: readonly string[];
}

export function compactionDetailsToJson(details: CompactionDetails): Json {
  return JSON.parse(JSON.stringify({ ...details, format: 1, location: storeLocation(details.location) })) as Json;
}

/** Reads what compactionDetailsToJson made. */
export function compactionDetails(json: Json): CompactionDetails {
  const { format, location, ...rest } = json as unknown as Omit<CompactionDetails, 'location'> & {
    format: number;
    location: StoredLocation;
  };
  assert(format === 1, `details of a compaction job have format ${format}`);
  return { ...rest, location: loadLocation(location) };
}
