/** Retention details: what a job that deletes backups is to delete, as its record keeps it: decided once, before it starts. */
import { assert } from '../../base/assert.ts';
import type { Json } from '../../jobs/job.ts';

import { type LocationDetails, loadLocation, type StoredLocation, storeLocation } from '../../backup/locationDetails.ts';

export const RETENTION_JOB_TYPE = 'DELETE BACKUPS';

/** A directory to delete. */
export interface DoomedLayer {
  readonly directory: string;
  /** Its files in the collection's index. */
  readonly indexNames: readonly string[];
}

export interface DoomedChain {
  readonly full: string;
  /** In the order in which they go: what others depend on last. */
  readonly layers: readonly DoomedLayer[];
  /** Every completed layer of the chain when it was decided: another one is a reason to leave it. */
  readonly known: readonly string[];
}

export interface RetentionDetails {
  readonly location: LocationDetails;
  readonly user: string;
  readonly chains: readonly DoomedChain[];
  /** Directories without a completed layer. */
  readonly garbage: readonly DoomedLayer[];
  /** A chain that is used meanwhile fails the job; otherwise it is left. */
  readonly isStrict: boolean;
}

export function retentionDetailsToJson(details: RetentionDetails): Json {
  return JSON.parse(JSON.stringify({ ...details, format: 1, location: storeLocation(details.location) })) as Json;
}

/** Reads what retentionDetailsToJson made. */
export function retentionDetails(json: Json): RetentionDetails {
  const { format, location, ...rest } = json as unknown as Omit<RetentionDetails, 'location'> & {
    format: number;
    location: StoredLocation;
  };
  assert(format === 1, `details of a retention job have format ${format}`);
  return { ...rest, location: loadLocation(location) };
}

/** What a succeeded job's record keeps: chains that it left after all, and why. */
export interface RetentionResult {
  readonly left: readonly { readonly full: string; readonly reason: string }[];
}
