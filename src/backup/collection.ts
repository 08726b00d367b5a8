/**
 * Collection: the names in a backup destination, from times and back, and the small files that
 * point, claim and say how far a job is.
 *
 *   C1  a layer's directory is its end time in UTC, truncated to hundredths of a second
 *   C2  LATEST pointers are written once and never changed; their names sort newest full first, so
 *       jobs that finish out of order cannot turn the pointer back
 *   C3  a directory without manifest and checksum is no layer, and no function here lists it
 *
 * Lives elsewhere: what is in the files (manifest.ts, dataFile.ts). Format: docs/format.md 1.
 * Source of the layout: CockroachDB's documentation of backup collections.
 */
import { assert } from '../base/assert.ts';
import { StateError, StatementError } from '../base/errors.ts';
import { isVarveError } from '../base/errors.ts';
import { mapConcurrently } from '../base/mapConcurrently.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { MAX_TIMESTAMP, timestamp } from '../base/timestamp.ts';
import type { ExternalStorage } from '../storage/externalStorage.ts';

import { expectEqual } from './corruption.ts';

export const MANIFEST_NAME = 'BACKUP_MANIFEST';
export const MANIFEST_CHECKSUM_NAME = 'BACKUP_MANIFEST-CHECKSUM';
export const LATEST_DIRECTORY = 'metadata/latest';
const LATEST_PREFIX = `${LATEST_DIRECTORY}/LATEST-`;
const INCREMENTALS = 'incrementals';
/** What the names of all incremental layers begin with. */
export const INCREMENTALS_PREFIX = `${INCREMENTALS}/`;
const LOCK_PREFIX = 'BACKUP-LOCK-';
/** What MANIFEST_NAME and locks begin with. */
const CLAIM_PREFIX = 'BACKUP';
const CHECKPOINT_PREFIX = 'progress/BACKUP-CHECKPOINT-';

/** Two layers of a chain are at least this far apart, because their directories are. */
export const DIRECTORY_STEP_MICROS = 10_000;

/** Small reads of one chain under way at once: a chain of hundreds of layers opens in a few round trips' time. */
export const READS_MAX = 16;

const FULL_DIRECTORY = /^(\d{4})\/(\d{2})\/(\d{2})-(\d{2})(\d{2})(\d{2})\.(\d{2})$/;
const INCREMENTAL_DIRECTORY = /^(\d{4})(\d{2})(\d{2})\/(\d{2})(\d{2})(\d{2})\.(\d{2})$/;
/** What a compacted layer's directory has behind its end (compactedLayer.ts). */
const COMPACTED_SUFFIX = /-\d{8}-\d{6}\.\d{2}$/;

// ---- directories ------------------------------------------------------------------------------

/** `2026/11/20-142355.33`: where a full of this end time lies. */
export function fullDirectory(endTime: Timestamp): string {
  const [year, month, day, time] = parts(endTime);
  return `${year}/${month}/${day}-${time}`;
}

/** `incrementals/2026/11/20-142355.33/20261121/060000.00`: where an incremental on that full lies. */
export function incrementalDirectory(full: string, endTime: Timestamp): string {
  const [year, month, day, time] = parts(endTime);
  return `${INCREMENTALS}/${full}/${year}${month}${day}/${time}`;
}

/** The end time that a full's directory stands for, truncated to hundredths; undefined when it is no such name. */
export function fullDirectoryTime(directory: string): Timestamp | undefined {
  return timeOf(directory, FULL_DIRECTORY);
}

/** The same for the part of an incremental's directory below its full. */
export function incrementalDirectoryTime(name: string): Timestamp | undefined {
  return timeOf(name, INCREMENTAL_DIRECTORY);
}

/** The full of the chain that a layer's directory belongs to; undefined when it is no dated directory. */
export function fullOfDirectory(directory: string): string | undefined {
  if (fullDirectoryTime(directory) !== undefined) return directory;
  const parts = directory.split('/');
  const full = parts.slice(1, 4).join('/');
  const name = parts.slice(4).join('/').replace(COMPACTED_SUFFIX, '');
  const isIncremental = parts[0] === INCREMENTALS && incrementalDirectoryTime(name) !== undefined;
  return isIncremental && fullDirectoryTime(full) !== undefined ? full : undefined;
}

/** The hundredth of a second in which a time lies: what its directory can tell. */
export function directoryTime(time: Timestamp): Timestamp {
  return timestamp(time - (time % DIRECTORY_STEP_MICROS));
}

/**
 * A user's name of a full, with or without slashes at the ends, to the directory. 22023 when it
 * has another form: only BACKUP names directories.
 */
export function parseSubdirectory(text: string): string {
  const directory = text.replace(/^\/+|\/+$/g, '');
  if (fullDirectoryTime(directory) === undefined) {
    throw new StatementError(SqlState.InvalidParameterValue, `"${text}" is not the name of a backup`, {
      detail: 'a backup is named YYYY/MM/DD-HHMMSS.FF, the end time of its full layer',
      hint: 'SHOW BACKUPS IN lists the backups of a collection',
    });
  }
  return directory;
}

function parts(time: Timestamp): [year: string, month: string, day: string, time: string] {
  const date = new Date(Math.floor(time / 1000));
  const year = date.getUTCFullYear();
  assert(year >= 1970 && year <= 9999, `no directory for year ${year}`);
  const two = (value: number) => String(value).padStart(2, '0');
  const hundredths = two(Math.floor(date.getUTCMilliseconds() / 10));
  const clock = `${two(date.getUTCHours())}${two(date.getUTCMinutes())}${two(date.getUTCSeconds())}.${hundredths}`;
  return [String(year), two(date.getUTCMonth() + 1), two(date.getUTCDate()), clock];
}

/** Names have been read as times before: each listing of a collection has those of the one before it, and a few more. */
const READ_NAMES = new Map<string, Timestamp>();
const READ_NAMES_MAX = 4096;

/** A name has one of the forms, if any. */
function timeOf(name: string, form: RegExp): Timestamp | undefined {
  const known = form.test(name) ? READ_NAMES.get(name) : undefined;
  if (known !== undefined) return known;
  const time = readTime(form.exec(name));
  if (time === undefined) return undefined;
  if (READ_NAMES.size >= READ_NAMES_MAX) READ_NAMES.clear();
  READ_NAMES.set(name, time);
  return time;
}

function readTime(match: RegExpExecArray | null): Timestamp | undefined {
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second, hundredths] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const millis = Date.UTC(year, month - 1, day, hour, minute, second, hundredths * 10);
  if (!(millis >= 0 && millis * 1000 <= MAX_TIMESTAMP)) return undefined;
  // A month 13 or a 31st of April would come out as another date.
  const time = timestamp(millis * 1000);
  const [y, m, d, t] = parts(time);
  return `${y}${m}${d}${t}` === match.slice(1, 7).join('') + `.${match[7]}` ? time : undefined;
}

// ---- listings ---------------------------------------------------------------------------------

/** Directories of the completed fulls, oldest first. Needs `list`. */
export async function listFulls(storage: ExternalStorage, signal?: AbortSignal): Promise<string[]> {
  const directories = await listFullDirectories(storage, signal);
  const complete = await mapConcurrently(directories, READS_MAX, (directory) => isLayer(storage, directory, signal));
  return directories.filter((_, index) => complete[index]);
}

/** The same with those that hold no completed layer, or none yet. Needs `list`; a listing each for years and months. */
export async function listFullDirectories(storage: ExternalStorage, signal?: AbortSignal): Promise<string[]> {
  const below = async (prefixes: readonly string[]) =>
    (await mapConcurrently(prefixes, READS_MAX, (prefix) => storage.list(prefix, { delimiter: '/', signal }))).flat();
  const years = (await storage.list('', { delimiter: '/', signal })).filter((name) => /^\d{4}\/$/.test(name));
  return (await below(await below(years)))
    .filter((name) => name.endsWith('/'))
    .map((name) => name.slice(0, -1))
    .filter((directory) => fullDirectoryTime(directory) !== undefined);
}

/** Directories of the completed incrementals on a full, oldest first. Needs `list`. */
export async function listIncrementals(storage: ExternalStorage, full: string, signal?: AbortSignal): Promise<string[]> {
  const directories = await listIncrementalDirectories(storage, full, signal);
  const complete = await mapConcurrently(directories, READS_MAX, (directory) => isLayer(storage, directory, signal));
  return directories.filter((_, index) => complete[index]);
}

/** The same with those that hold no completed layer, or none yet. Needs `list`. */
export async function listIncrementalDirectories(storage: ExternalStorage, full: string, signal?: AbortSignal): Promise<string[]> {
  const root = `${INCREMENTALS}/${full}/`;
  // Where they lie below their full, its own files stand among them.
  const days = (await storage.list(root, { delimiter: '/', signal })).filter((day) => /^\d{8}\/$/.test(day.slice(root.length)));
  const times = (await mapConcurrently(days, READS_MAX, (day) => storage.list(day, { delimiter: '/', signal }))).flat();
  return times
    .filter((time) => time.endsWith('/'))
    .map((time) => time.slice(0, -1))
    .filter((directory) => incrementalDirectoryTime(directory.slice(root.length)) !== undefined);
}

/** True when a directory holds a completed layer (C3). */
export async function isLayer(storage: ExternalStorage, directory: string, signal?: AbortSignal): Promise<boolean> {
  // One listing finds both: they differ in their ending.
  const names = await storage.list(`${directory}/${MANIFEST_NAME}`, { signal });
  return names.includes(`${directory}/${MANIFEST_NAME}`) && names.includes(`${directory}/${MANIFEST_CHECKSUM_NAME}`);
}

/** True when the directory holds any file at all: a layer, a job at work, or what one left. */
export async function isDirectoryTaken(storage: ExternalStorage, directory: string, signal?: AbortSignal): Promise<boolean> {
  return (await storage.list(`${directory}/`, { delimiter: '/', signal })).length > 0;
}

// ---- LATEST -----------------------------------------------------------------------------------

/** The name of the pointer to a full of this end time; newest first in a listing. */
export function latestName(endTime: Timestamp): string {
  return `${LATEST_PREFIX}${descending(endTime)}`;
}

/** Writes the pointer to a completed full. Writing it again is harmless: name and content follow from the full. */
export async function writeLatest(storage: ExternalStorage, full: string, endTime: Timestamp, signal?: AbortSignal): Promise<void> {
  await storage.write(latestName(endTime), Buffer.from(full, 'ascii'), { signal });
}

/** Reads it back: XX001 when it does not hold what was written. */
export async function confirmLatest(storage: ExternalStorage, full: string, endTime: Timestamp, signal?: AbortSignal): Promise<void> {
  const name = latestName(endTime);
  const stored = Buffer.from(await storage.read(name, { signal })).toString('latin1');
  expectEqual({ file: name, offset: 0 }, 'pointer after writing', full, stored);
}

/**
 * The directory of the full that the newest pointer names. 58P01 `path does not contain a completed latest
 * backup` after `context` when there is none; XX001 when the pointer has another content than its full's name.
 * Which full is the newest, though its pointer may be lost, says resolveLatest() (layerIndex.ts).
 */
export async function readLatest(storage: ExternalStorage, signal?: AbortSignal, context = ''): Promise<string> {
  const names = await storage.list(LATEST_PREFIX, { signal });
  const newest = names[0];
  if (newest === undefined) throw noLatest(storage, context);
  let content: string;
  try {
    content = Buffer.from(await storage.read(newest, { signal })).toString('latin1');
  } catch (error) {
    if (isVarveError(error) && error.code === SqlState.UndefinedFile) throw noLatest(storage, context);
    throw error;
  }
  const full = content.trim().replace(/^\/+|\/+$/g, '');
  const time = fullDirectoryTime(full);
  const expected = directoryTime(timeOfDescending(newest.slice(LATEST_PREFIX.length)));
  if (time === undefined || time !== expected) {
    throw new StatementError(
      SqlState.DataCorrupted,
      `the LATEST pointer "${newest}" does not name ${time === undefined ? 'a backup' : 'its backup'}`,
      {
        detail: `found ${JSON.stringify(content.slice(0, 80))} in "${storage.uri}"`,
        hint: "name the backup: FROM 'YYYY/MM/DD-HHMMSS.FF' IN ...; SHOW BACKUPS IN lists them",
      },
    );
  }
  return full;
}

/** The 58P01 of readLatest(). */
export function noLatest(storage: ExternalStorage, context = ''): StateError {
  return new StateError(SqlState.UndefinedFile, `${context}path does not contain a completed latest backup`, {
    detail: `no LATEST pointer in "${storage.uri}"`,
    hint: 'take a full backup there first: BACKUP ... INTO',
  });
}

/** Sixteen hexadecimal digits that sort later times first. */
export function descending(time: Timestamp): string {
  return (0xffffffffffffffffn - BigInt(time)).toString(16).padStart(16, '0');
}

/** The time of such digits; 0 for others. */
export function timeOfDescending(digits: string): Timestamp {
  const time = /^[0-9a-f]{16}$/.test(digits) ? Number(0xffffffffffffffffn - BigInt(`0x${digits}`)) : 0;
  return (time <= MAX_TIMESTAMP ? time : 0) as Timestamp;
}

// ---- files in a layer's directory -------------------------------------------------------------

export function lockName(directory: string, jobId: string): string {
  return `${directory}/${LOCK_PREFIX}${jobId}`;
}

/** Job ids that have a lock in the directory, as text. */
export async function listLocks(storage: ExternalStorage, directory: string, signal?: AbortSignal): Promise<string[]> {
  const prefix = `${directory}/${LOCK_PREFIX}`;
  return (await storage.list(prefix, { signal })).map((name) => name.slice(prefix.length));
}

/** Both that can hold a directory, in one listing: locks, and a manifest with its checksum or without. */
export async function listClaims(
  storage: ExternalStorage,
  directory: string,
  signal?: AbortSignal,
): Promise<{ readonly locks: string[]; readonly hasManifest: boolean }> {
  const prefix = `${directory}/${LOCK_PREFIX}`;
  const names = await storage.list(`${directory}/${CLAIM_PREFIX}`, { signal });
  return {
    locks: names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length)),
    hasManifest: names.includes(`${directory}/${MANIFEST_NAME}`),
  };
}

/** What a lock says of its owner. */
export interface LockContent {
  readonly clusterId: string;
  readonly jobId: string;
  readonly node: number;
  /** Until when another cluster takes it for that of a job at work (holders.ts); undefined: for good. */
  readonly until?: Timestamp;
}

export function encodeLock(lock: LockContent): Buffer {
  return Buffer.from(`${JSON.stringify(lock)}\n`);
}

/** Undefined when the text is no lock of ours: it then holds the directory, owner unknown. */
export function decodeLock(content: Uint8Array): LockContent | undefined {
  try {
    const value = JSON.parse(Buffer.from(content).toString('utf8')) as Partial<LockContent> | null;
    if (typeof value?.clusterId !== 'string' || typeof value.jobId !== 'string' || typeof value.node !== 'number') return undefined;
    const { clusterId, jobId, node, until } = value;
    return { clusterId, jobId, node, ...(typeof until === 'number' && { until }) };
  } catch {
    return undefined;
  }
}

export function checkpointName(directory: string, time: Timestamp): string {
  return `${directory}/${CHECKPOINT_PREFIX}${descending(time)}`;
}

/** Checkpoints in the directory, newest first. */
export async function listCheckpoints(storage: ExternalStorage, directory: string, signal?: AbortSignal): Promise<string[]> {
  return await storage.list(`${directory}/${CHECKPOINT_PREFIX}`, { signal });
}

/** A job's data files, and everybody's checkpoints, in one listing of the layer's directory. */
export async function listWorkFiles(
  storage: ExternalStorage,
  directory: string,
  jobId: string,
  signal?: AbortSignal,
): Promise<{ readonly dataFiles: string[]; readonly checkpoints: string[] }> {
  const names = await storage.list(`${directory}/`, { signal });
  return {
    dataFiles: names.filter((name) => name.startsWith(`${directory}/${dataFilePrefix(jobId)}`)),
    checkpoints: names.filter((name) => name.startsWith(`${directory}/${CHECKPOINT_PREFIX}`)),
  };
}

/** `data/1106-2-000017.vkv`: a data file within its layer's directory. */
export function dataFileName(jobId: string, claimEpoch: number, number: number): string {
  return `${dataFilePrefix(jobId)}${claimEpoch}-${String(number).padStart(6, '0')}.vkv`;
}

/** `data/1106-2-statistics`: the statistics file of a layer, within its directory. */
export function statisticsFileName(jobId: string, claimEpoch: number): string {
  return `${dataFilePrefix(jobId)}${claimEpoch}-statistics`;
}

/** What every data file of a job starts with, within its layer's directory. */
export function dataFilePrefix(jobId: string): string {
  return `data/${jobId}-`;
}
