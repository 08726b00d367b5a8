/**
 * Restore details: what planning decided, once, as the job's record keeps it; and how far the job has
 * come. The job does the rest from this alone, on any node, any number of times.
 *
 *   D1  layers are named with the digests of their manifests: what is read later is what was planned on
 *   D2  descriptors are complete, under their new ids: nothing is resolved again
 */
import { assert } from '../base/assert.ts';
import { fromBuffer, toHex } from '../base/bytes.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { MIN_TIMESTAMP } from '../base/timestamp.ts';
import type { Descriptor } from '../catalog/descriptor.ts';
import { descriptorFromJson, descriptorToJson } from '../catalog/descriptorCodec.ts';
import type { Json } from '../jobs/job.ts';

import type { LocationDetails } from '../backup/locationDetails.ts';

import type { IngestProgress } from './ingestUnits.ts';

export const RESTORE_JOB_TYPE = 'RESTORE';

/** A type of the target database that restored tables come to use. */
export interface TypeUse {
  readonly typeId: number;
  /** New ids. */
  readonly tableIds: readonly number[];
}

export interface RestoreDetails {
  readonly location: LocationDetails;
  readonly user: string;
  /** Full first. */
  readonly layers: readonly { readonly directory: string; readonly manifestSha256: string }[];
  /** As of when. */
  readonly time: Timestamp;
  /** The timestamp of every restored row. */
  readonly ingestTime: Timestamp;
  /** Everything that is created, OFFLINE; ascending by id. */
  readonly descriptors: readonly Descriptor[];
  /** Of each table: its id in the backup, and its new one. */
  readonly tableIds: readonly (readonly [oldId: number, newId: number])[];
  readonly typeUses: readonly TypeUse[];
  readonly schemaOnly: boolean;
}

export function detailsToJson(details: RestoreDetails): Json {
  const descriptors = details.descriptors.map((descriptor) => descriptorToJson(descriptor));
  // Through text, as the record stores it: what JSON leaves out must not be missed later.
  return JSON.parse(JSON.stringify({ ...details, format: 1, descriptors })) as Json;
}

/** Reads what detailsToJson made. */
export function detailsFromJson(json: Json): RestoreDetails {
  const { format, descriptors, ...rest } = json as unknown as Omit<RestoreDetails, 'descriptors'> & {
    format: number;
    descriptors: Record<string, unknown>[];
  };
  assert(format === 1, `details of a restore job have format ${format}`);
  return { ...rest, descriptors: descriptors.map((descriptor) => descriptorFromJson(descriptor, MIN_TIMESTAMP)) };
}

const NOTHING_DONE: IngestProgress = Object.freeze({ doneKey: undefined, rows: 0, indexEntries: 0, dataBytes: 0 });

export function progressToJson({ doneKey, rows, indexEntries, dataBytes }: IngestProgress): Json {
  return { doneKey: doneKey === undefined ? null : toHex(doneKey), rows, indexEntries, dataBytes };
}

/** Nothing is done when no checkpoint has been taken. */
export function progressFromJson(json: Json): IngestProgress {
  if (json === null) return NOTHING_DONE;
  const { doneKey, rows, indexEntries, dataBytes } = json as unknown as Omit<IngestProgress, 'doneKey'> & { doneKey: string | null };
  return { doneKey: doneKey === null ? undefined : fromBuffer(Buffer.from(doneKey, 'hex')), rows, indexEntries, dataBytes };
}
