/**
 * Backup id: a short text that names one layer of a collection, as SHOW BACKUPS prints it and SHOW BACKUP and
 * RESTORE take it.
 *
 * It is the end times of the layer and of its full, in milliseconds (both are multiples of ten, as
 * directories are): the layer's eight bytes, lowest first, then those of (layer XOR full), without
 * the zeros at the end, in the URL alphabet of base64. An incremental in the very hundredth of its full gets a millisecond
 * more, or it would have the full's id. A full's is eight characters; layers of a chain differ in their first ones. No id is the name of a directory, which has slashes at places where no id can.
 * Source: CockroachDB's backup ids, so that they look alike.
 */
import { assert } from '../base/assert.ts';
import { MAX_TIMESTAMP, type Timestamp, timestamp } from '../base/timestamp.ts';

import { directoryTime, fullDirectory } from './collection.ts';

/** The times of a layer and of its full, truncated to hundredths of a second. */
export interface IdTimes {
  readonly fullTime: Timestamp;
  readonly layerTime: Timestamp;
  /** False for an incremental. */
  readonly isFull: boolean;
}

const ID_BYTES = 16;
const MICROS_PER_MILLI = 1000;

/** `full` and `layer`: end times of both. */
export function encodeBackupId(full: Timestamp, layer: Timestamp, isFull: boolean): string {
  const [ofFull, ofLayer] = [BigInt(directoryTime(full) / MICROS_PER_MILLI), BigInt(directoryTime(layer) / MICROS_PER_MILLI)];
  const told = ofLayer === ofFull && !isFull ? ofLayer + 1n : ofLayer;
  const bytes = Buffer.alloc(ID_BYTES);
  bytes.writeBigUInt64LE(told, 0);
  bytes.writeBigUInt64LE(told ^ ofFull, 8);
  let length = ID_BYTES;
  while (length > 0 && bytes[length - 1] === 0) length--;
  return withPadding(bytes.subarray(0, length).toString('base64url'));
}

/** Undefined for a text that is no id: another alphabet, impossible times, or another spelling of an id. */
export function decodeBackupId(text: string): IdTimes | undefined {
  if (!/^[\w-]{8,22}={0,2}$/.test(text)) return undefined;
  const stored = Buffer.from(text, 'base64url');
  if (stored.length > ID_BYTES) return undefined;
  const bytes = Buffer.alloc(ID_BYTES);
  stored.copy(bytes);
  const layer = bytes.readBigUInt64LE(0);
  const full = bytes.readBigUInt64LE(8) ^ layer;
  if (full > layer || layer * BigInt(MICROS_PER_MILLI) > BigInt(MAX_TIMESTAMP)) return undefined;
  const times = { fullTime: fromMillis(full), layerTime: directoryTime(fromMillis(layer)), isFull: full === layer };
  return encodeBackupId(times.fullTime, times.layerTime, times.isFull) === text ? times : undefined;
}

/** The directory of the full that an id's chain stands on. */
export function fullOfId({ fullTime }: IdTimes): string {
  assert(fullTime === directoryTime(fullTime), 'an id has hundredths of a second');
  return fullDirectory(fullTime);
}

function fromMillis(millis: bigint): Timestamp {
  return timestamp(Number(millis) * MICROS_PER_MILLI);
}

function withPadding(text: string): string {
  return text.padEnd(Math.ceil(text.length / 4) * 4, '=');
}
