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
import type { Descriptor, TableDescriptor } from '../catalog/descriptor.ts';
import { descriptorFromJson, descriptorToJson } from '../catalog/descriptorCodec.ts';
import type { PlainRow } from '../catalog/systemRows.ts';
import type { Json } from '../jobs/job.ts';

import { type LocationDetails, loadLocation, type StoredLocation, storeLocation } from '../backup/locationDetails.ts';

import type { IngestProgress } from './ingestUnits.ts';
import type { PastStarts } from './restoredHistory.ts';
import type { RowCondition } from './rowFilter.ts';

export const RESTORE_JOB_TYPE = 'RESTORE';

/** A type of the target database that restored tables come to use. */
export interface TypeUse {
  readonly typeId: number;
  /** New ids. */
  readonly tableIds: readonly number[];
}

/** What a restore brings of the system's own tables. */
export interface SystemRestore {
  /** All of them, replacing what is here; or the users that are missing here. */
  readonly kind: 'cluster' | 'users';
  /** Tables whose rows are read, as the backup defines them. */
  readonly tables: readonly TableDescriptor[];
  /** Ids of the backup's objects, and those that they have here. */
  readonly ids: readonly (readonly [oldId: number, newId: number])[];
  /** Databases that give way, as they were; put back when the restore fails. */
  readonly replaced: readonly Descriptor[];
  /** Rows of system.zones as they were; put back when the restore fails. */
  readonly zonesBefore: readonly PlainRow[];
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
  /** The last layer's statistics are there, and restored with the tables. */
  readonly hasStatistics: boolean;
  /** With schemaOnly: all data is read, put under its new keys, and dropped. */
  readonly verifyData: boolean;
  /** Filter of the nodes that may coordinate it; '' for all. */
  readonly executionLocality: string;
  /** Which rows of the one table come; all without it. */
  readonly where?: RowCondition | undefined;
  /** Of tables that come with their past: where it begins. */
  readonly pastStarts?: PastStarts | undefined;
  /** Of tables that were being imported into, by new id: from when on rows are the import's, and left out. */
  readonly importStarts?: readonly (readonly [newId: number, start: Timestamp])[] | undefined;
  /** It pauses itself where it would fail. */
  readonly pausesOnError?: boolean | undefined;
  readonly system?: SystemRestore | undefined;
}

export function detailsToJson(details: RestoreDetails): Json {
  const { system } = details;
  const descriptors = details.descriptors.map((descriptor) => descriptorToJson(descriptor));
  const systemJson = system && { ...system, tables: system.tables.map(descriptorToJson), replaced: system.replaced.map(descriptorToJson) };
  // Through text, as the record stores it: what JSON leaves out must not be missed later.
  const location = storeLocation(details.location);
  return JSON.parse(JSON.stringify({ ...details, location, format: 1, descriptors, system: systemJson })) as Json;
}

/** Reads what detailsToJson made. */
export function detailsFromJson(json: Json): RestoreDetails {
  const { format, location, descriptors, system, ...rest } = json as unknown as Omit<
    RestoreDetails,
    'location' | 'descriptors' | 'system'
  > & {
    format: number;
    location: StoredLocation;
    descriptors: DescriptorJson[];
    system?: Omit<SystemRestore, 'tables' | 'replaced'> & { tables: DescriptorJson[]; replaced: DescriptorJson[] };
  };
  assert(format === 1, `details of a restore job have format ${format}`);
  return {
    ...rest,
    location: loadLocation(location),
    descriptors: descriptors.map(fromJson),
    system: system && { ...system, tables: system.tables.map(fromJson) as TableDescriptor[], replaced: system.replaced.map(fromJson) },
  };
}

type DescriptorJson = Record<string, unknown>;

const fromJson = (json: DescriptorJson): Descriptor => descriptorFromJson(json, MIN_TIMESTAMP);

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
