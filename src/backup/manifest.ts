/**
 * Manifest: what a layer holds, as one self-describing document. Its presence (with its checksum)
 * makes a directory a layer.
 *
 *   M1  encode and decode assert the same facts (checkManifest), so what cannot be read back is never written
 *   M2  a reader refuses a greater major version by name, and passes over fields it does not know
 *   M3  every byte is under a checksum: the envelope's CRC-32, and the SHA-256 in the file beside it
 *
 * Lives elsewhere: the envelope (envelope.ts), the names (collection.ts), what a chain of manifests
 * proves (chain.ts, coverage.ts). Format: docs/format.md 3.
 */
import { createHash } from 'node:crypto';

import { toHex } from '../base/bytes.ts';
import { isVarveError } from '../base/errors.ts';
import { mapConcurrently } from '../base/mapConcurrently.ts';
import type { Span } from '../base/span.ts';
import { SqlState } from '../base/sqlState.ts';
import { hasTestFault } from '../base/testFaults.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { VERSION } from '../base/version.ts';
import type { Descriptor } from '../catalog/descriptor.ts';

import { type Cipher, EncryptionError, LayerCipher } from './cipher.ts';
import { MANIFEST_CHECKSUM_NAME, MANIFEST_NAME } from './collection.ts';
import type { CollectionStorage } from './collectionPort.ts';
import { corruptFile, expectEqual } from './corruption.ts';
import { descriptorFromJson, descriptorToJson } from './descriptorJson.ts';
import { decodeEnvelope, encodeEnvelope, MANIFEST_MAGIC, isSealed } from './envelope.ts';
import type { JsonObject } from './jsonFields.ts';
import { JsonFields } from './jsonFields.ts';
import { KnownManifests } from './knownManifests.ts';
import type { PartFingerprint } from './partFingerprint.ts';

const MAJOR_VERSION = 1;
/** Of a layer that holds functions of users: a reader of before there were any would restore tables whose checks it cannot run. */
const FUNCTIONS_MAJOR_VERSION = 2;
const MINOR_VERSION = 1;
const FORMAT = 'varve-backup';
/** What clusters counted as that did not say so in their layers. */
export const FIRST_CLUSTER_VERSION = '21.1';

export type BackupScope = 'cluster' | 'databases' | 'tables';
export type LayerKind = 'full' | 'incremental';

export interface EntryCounts {
  /** Rows of primary indexes; versions of rows, with revision history. */
  readonly rows: number;
  /** Entries of secondary indexes. */
  readonly indexEntries: number;
  /** Bytes of keys and values. */
  readonly dataBytes: number;
}

/** A span over an interval of time: (startTime, endTime]. */
export interface SpanInterval {
  readonly span: Span;
  readonly startTime: Timestamp;
  readonly endTime: Timestamp;
}

/** A stretch of keys of a data file. */
export interface ManifestFilePart extends SpanInterval, EntryCounts {
  /** Undefined in layers of before there were fingerprints. */
  readonly fingerprint?: PartFingerprint | undefined;
}

export interface ManifestFile {
  /** Relative to the layer's directory. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  /** The locality tier of the URI it was written to; '' without one. */
  readonly locality: string;
  /** In key order, disjoint. */
  readonly parts: readonly ManifestFilePart[];
}

/** A version of a descriptor; undefined: dropped. */
export interface DescriptorChange {
  readonly id: number;
  readonly time: Timestamp;
  readonly descriptor: Descriptor | undefined;
}

/** Where the statistics of the layer's tables are (statisticsFile.ts). */
export interface StatisticsFile {
  /** Relative to the layer's directory. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** The layer that this one continues. */
export interface ParentLayer {
  readonly directory: string;
  readonly endTime: Timestamp;
  readonly manifestSha256: string;
}

export interface Manifest {
  readonly layerId: string;
  readonly clusterId: string;
  /** The version of CockroachDB that the cluster counted as; undefined in layers of before it was told: FIRST_CLUSTER_VERSION. */
  readonly clusterVersion?: string | undefined;
  readonly jobId: string;
  readonly kind: LayerKind;
  readonly scope: BackupScope;
  /** As the statement named them. */
  readonly targets: readonly string[];
  /** Exclusive; 0 for a full. */
  readonly startTime: Timestamp;
  /** Inclusive. */
  readonly endTime: Timestamp;
  readonly revisionHistory: boolean;
  /** The earliest time that can be restored from this layer; endTime without revision history. */
  readonly revisionStartTime: Timestamp;
  /** Locality tiers that have a place of their own, sorted; empty without any. */
  readonly localities: readonly string[];
  /** Sorted, disjoint. */
  readonly spans: readonly Span[];
  /** Sorted, disjoint, within `spans`. Empty for a full. */
  readonly introducedSpans: readonly Span[];
  /** Ascending. */
  readonly completeDatabaseIds: readonly number[];
  /** Ascending. */
  readonly targetIds: readonly number[];
  /** As of endTime; ascending by id. */
  readonly descriptors: readonly Descriptor[];
  /** Ascending by (time, id); empty without revision history. */
  readonly descriptorChanges: readonly DescriptorChange[];
  readonly files: readonly ManifestFile[];
  /** Spans covered in which nothing was to be stored. */
  readonly emptySpans: readonly SpanInterval[];
  readonly entryCounts: EntryCounts;
  /** Undefined when nothing was known of the tables. */
  readonly statistics?: StatisticsFile | undefined;
  readonly parent: ParentLayer | undefined;
  /** Of a compacted layer: the ids of the layers that it stands for, oldest first (compactedLayer.ts). */
  readonly compacts?: readonly string[] | undefined;
}

/** A manifest and where it was found. */
export interface Layer {
  /** Relative to the collection. */
  readonly directory: string;
  readonly manifest: Manifest;
  /** SHA-256 of the manifest file: how the next layer names this one. */
  readonly manifestSha256: string;
  /** Opens the data files of an encrypted layer: `layer.cipher?.forFile(file.path)`. */
  readonly cipher?: LayerCipher | undefined;
}

// ---- files ------------------------------------------------------------------------------------

/**
 * Writes manifest and checksum into a layer's directory, reads both back, and returns the digest. The layer is complete when
 * this resolves. The caller has made sure that no other job writes here. `isNew`: nor has anybody before, so both are written at
 * once; else the checksum follows the manifest.
 */
export async function writeManifest(
  storage: CollectionStorage,
  directory: string,
  manifest: Manifest,
  { isNew = false, signal }: { readonly isNew?: boolean; readonly signal?: AbortSignal } = {},
): Promise<string> {
  const cipher = await storage.keys.cipherOf(storage, directory, signal);
  const bytes = await encodeManifest(manifest, cipher);
  const digest = sha256(bytes);
  const files = [
    [MANIFEST_NAME, bytes],
    [MANIFEST_CHECKSUM_NAME, Buffer.from(`${digest}\n`)],
  ] as const;
  await mapConcurrently(files, isNew ? files.length : 1, ([name, content]) => storage.write(`${directory}/${name}`, content, { signal }));
  const layer = await readManifest(storage, directory, signal);
  expectEqual({ file: `${directory}/${MANIFEST_NAME}`, offset: 0 }, 'SHA-256 after writing', digest, layer.manifestSha256);
  return digest;
}

/** By owner: what one database has read must not change when another, in the same process, is done with reading. */
const knownManifests = new WeakMap<object, KnownManifests<Manifest>>();

function knownOf({ owner }: CollectionStorage): KnownManifests<Manifest> {
  const known = knownManifests.get(owner) ?? new KnownManifests<Manifest>();
  knownManifests.set(owner, known);
  return known;
}

/**
 * Reads a layer's manifest. 58P01 when the directory holds no completed layer, XX001 when it is
 * damaged, 0A000 for a later version; EncryptionError when the collection's keys do not open it, or are not needed.
 */
export async function readManifest(storage: CollectionStorage, directory: string, signal?: AbortSignal): Promise<Layer> {
  const file = `${directory}/${MANIFEST_NAME}`;
  const checksumFile = `${directory}/${MANIFEST_CHECKSUM_NAME}`;
  const [stored, storedChecksum] = await mapConcurrently([file, checksumFile], 2, (name) => storage.read(name, { signal }));
  const bytes = Buffer.from(stored as Uint8Array);
  const checksum = Buffer.from(storedChecksum as Uint8Array).toString('latin1');
  if (!/^[0-9a-f]{64}\n$/.test(checksum)) {
    throw corruptFile({ file: checksumFile, offset: 0 }, 'checksum', '64 hexadecimal digits', JSON.stringify(checksum.slice(0, 80)));
  }
  const digest = sha256(bytes);
  expectEqual({ file, offset: 0 }, `SHA-256, which ${MANIFEST_CHECKSUM_NAME} has otherwise`, checksum.trim(), digest);
  const cipher = await storage.keys.cipherOf(storage, directory, signal).catch((error: unknown) => {
    const isLost = error instanceof EncryptionError && error.reason === 'notEncrypted' && isSealed(bytes);
    throw isLost
      ? error.about(
          `"${file}" is encrypted, and the ENCRYPTION_INFO of its full backup, without which nothing opens it, is missing`,
          'bring ENCRYPTION_INFO back from another copy of the collection',
        )
      : error;
  });
  const isKept = cipher === undefined && !hasTestFault('a72839');
  const known = isKept ? knownOf(storage) : undefined;
  const manifest = known?.get(digest) ?? (await decodeManifest(bytes, file, cipher));
  known?.add(digest, manifest, bytes.length);
  return { directory, manifest, manifestSha256: digest, ...(cipher && { cipher: new LayerCipher(cipher, manifest.layerId) }) };
}

/** True when an error says that there is no such file. */
export function isMissing(error: unknown): boolean {
  return isVarveError(error) && error.code === SqlState.UndefinedFile;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

// ---- document ---------------------------------------------------------------------------------

/** The bytes of BACKUP_MANIFEST. XX001 when the manifest contradicts itself: nothing is written then. */
export async function encodeManifest(manifest: Manifest, cipher?: Cipher): Promise<Buffer> {
  const text = JSON.stringify(manifestToJson(manifest));
  // What would be refused on the way back must not be written (M1).
  manifestFromJson(JsonFields.parse(text, MANIFEST_NAME));
  const seal = cipher && new LayerCipher(cipher, manifest.layerId).forDocument(MANIFEST_NAME);
  return await encodeEnvelope(MANIFEST_MAGIC, majorOf(manifest), text, seal);
}

/** The manifest in the bytes of `file`. */
export async function decodeManifest(bytes: Buffer, file: string, cipher?: Cipher): Promise<Manifest> {
  const text = await decodeEnvelope(MANIFEST_MAGIC, [MAJOR_VERSION, FUNCTIONS_MAJOR_VERSION], bytes, {
    what: 'manifest',
    file,
    cipher,
    name: MANIFEST_NAME,
  });
  if (hasTestFault('a72839')) requireOwnVersion(text, file);
  return manifestFromJson(JsonFields.parse(text, file));
}

/** A bug that tests put back: what another version wrote is refused, whether or not its format can be read. */
function requireOwnVersion(text: string, file: string): void {
  const { writtenBy } = JSON.parse(text) as { writtenBy: string };
  if (writtenBy !== VERSION) throw corruptFile({ file, offset: 0 }, 'version of the writer', VERSION, writtenBy);
}

/** The writer that a manifest names. While that bug is back every other job counts as a later version's, so that versions meet. */
function writerOf(manifest: Manifest): string {
  return hasTestFault('a72839') && Number(manifest.jobId.at(-1)) % 2 === 1 ? `${VERSION}-next` : VERSION;
}

function majorOf({ descriptors, descriptorChanges }: Manifest): number {
  const isFunction = (one: Descriptor | undefined) => one?.kind === 'function';
  const has = descriptors.some(isFunction) || descriptorChanges.some(({ descriptor }) => isFunction(descriptor));
  return has ? FUNCTIONS_MAJOR_VERSION : MAJOR_VERSION;
}

/** The JSON document of SHOW BACKUP ... WITH as_json, and of the file. */
export function manifestToJson(manifest: Manifest): JsonObject {
  return {
    format: FORMAT,
    majorVersion: majorOf(manifest),
    minorVersion: MINOR_VERSION,
    writtenBy: writerOf(manifest),
    layerId: manifest.layerId,
    clusterId: manifest.clusterId,
    ...(manifest.clusterVersion !== undefined && { clusterVersion: manifest.clusterVersion }),
    jobId: manifest.jobId,
    kind: manifest.kind,
    scope: manifest.scope,
    targets: [...manifest.targets],
    startTime: manifest.startTime,
    endTime: manifest.endTime,
    revisionHistory: manifest.revisionHistory,
    revisionStartTime: manifest.revisionStartTime,
    ...(manifest.localities.length > 0 ? { localities: [...manifest.localities] } : {}),
    spans: manifest.spans.map(spanToJson),
    introducedSpans: manifest.introducedSpans.map(spanToJson),
    completeDatabaseIds: [...manifest.completeDatabaseIds],
    targetIds: [...manifest.targetIds],
    descriptors: manifest.descriptors.map(descriptorToJson),
    descriptorChanges: manifest.descriptorChanges.map(({ id, time, descriptor }) => ({
      id,
      time,
      descriptor: descriptor === undefined ? null : descriptorToJson(descriptor),
    })),
    files: manifest.files.map(fileToJson),
    emptySpans: manifest.emptySpans.map(intervalToJson),
    entryCounts: countsToJson(manifest.entryCounts),
    ...(manifest.statistics && { statistics: { ...manifest.statistics } }),
    parent: manifest.parent === undefined ? null : { ...manifest.parent },
    ...(manifest.compacts && { compacts: [...manifest.compacts] }),
  };
}

function manifestFromJson(fields: JsonFields): Manifest {
  fields.literal('format', FORMAT);
  const isLater = fields.raw['majorVersion'] === FUNCTIONS_MAJOR_VERSION;
  fields.literal('majorVersion', isLater ? FUNCTIONS_MAJOR_VERSION : MAJOR_VERSION);
  const parent = fields.optionalObject('parent');
  const manifest: Manifest = {
    layerId: fields.string('layerId'),
    clusterId: fields.string('clusterId'),
    ...(fields.raw['clusterVersion'] !== undefined && { clusterVersion: fields.string('clusterVersion') }),
    jobId: fields.string('jobId'),
    kind: fields.oneOf('kind', ['full', 'incremental']),
    scope: fields.oneOf('scope', ['cluster', 'databases', 'tables']),
    targets: fields.strings('targets'),
    startTime: fields.time('startTime'),
    endTime: fields.time('endTime'),
    revisionHistory: fields.boolean('revisionHistory'),
    revisionStartTime: fields.time('revisionStartTime'),
    localities: fields.optionalStrings('localities'),
    spans: fields.objects('spans').map(spanFromJson),
    introducedSpans: fields.objects('introducedSpans').map(spanFromJson),
    completeDatabaseIds: fields.integers('completeDatabaseIds'),
    targetIds: fields.integers('targetIds'),
    descriptors: fields.objects('descriptors').map((json) => descriptorFromJson(json)),
    descriptorChanges: fields.objects('descriptorChanges').map((change) => {
      const descriptor = change.optionalObject('descriptor');
      return { id: change.integer('id'), time: change.time('time'), descriptor: descriptor && descriptorFromJson(descriptor) };
    }),
    files: fields.objects('files').map(fileFromJson),
    emptySpans: fields.objects('emptySpans').map(intervalFromJson),
    entryCounts: countsFromJson(fields.object('entryCounts')),
    ...(fields.raw['statistics'] !== undefined && { statistics: statisticsFromJson(fields.object('statistics')) }),
    parent: parent && {
      directory: parent.string('directory'),
      endTime: parent.time('endTime'),
      manifestSha256: parent.string('manifestSha256'),
    },
    ...(fields.raw['compacts'] !== undefined && { compacts: fields.strings('compacts') }),
  };
  checkManifest(manifest, fields);
  return manifest;
}

function statisticsFromJson(fields: JsonFields): StatisticsFile {
  const file = { path: fields.string('path'), sizeBytes: fields.integer('sizeBytes'), sha256: fields.string('sha256') };
  fields.must(isDataPath(file.path), 'a statistics file lies in data/');
  return file;
}

/** The facts that hold between a manifest's fields. */
function checkManifest(manifest: Manifest, fields: JsonFields): void {
  const { kind, startTime, endTime, parent, files, revisionHistory, revisionStartTime, spans } = manifest;
  const must = (holds: boolean, what: string) => fields.must(holds, what);
  must(startTime < endTime, 'startTime is before endTime');
  must((kind === 'full') === (parent === undefined), 'an incremental layer, and no full one, has a parent');
  must((kind === 'full') === (startTime === 0), 'a full layer starts at 0');
  must(
    manifest.compacts === undefined || (kind === 'incremental' && manifest.compacts.length > 1),
    'a compacted layer stands for several incremental ones',
  );
  must(parent === undefined || parent.endTime === startTime, 'a layer starts where its parent ends');
  must(kind === 'incremental' || manifest.introducedSpans.length === 0, 'a full layer introduces nothing');
  must(revisionStartTime >= startTime && revisionStartTime <= endTime, 'revisionStartTime is within the interval');
  must(revisionHistory || revisionStartTime === endTime, 'without revision history only endTime can be restored');
  must(revisionHistory || manifest.descriptorChanges.length === 0, 'descriptor changes come with revision history');
  must(isSorted(spans) && isSorted(manifest.introducedSpans), 'spans are sorted and disjoint');
  must(isAscending(manifest.completeDatabaseIds) && isAscending(manifest.targetIds), 'ids ascend');
  must(isAscending(manifest.descriptors.map((descriptor) => descriptor.id)), 'descriptors ascend by id');
  must(new Set(files.map((file) => file.path)).size === files.length, 'each file is named once');
  for (const file of files) {
    must(file.parts.length > 0, `file ${file.path} has a part`);
    must(isSorted(file.parts.map((part) => part.span)), `parts of file ${file.path} are sorted and disjoint`);
  }
  for (const name of ['rows', 'indexEntries', 'dataBytes'] as const) {
    const sum = files.reduce((total, file) => total + file.parts.reduce((inFile, part) => inFile + part[name], 0), 0);
    must(sum === manifest.entryCounts[name], `entryCounts.${name} is the sum over the files`);
  }
}

function isSorted(spans: readonly Span[]): boolean {
  return spans.every((span, i) => span.key < span.endKey && (i === 0 || spans[i - 1]!.endKey <= span.key));
}

function isAscending(ids: readonly number[]): boolean {
  return ids.every((id, i) => i === 0 || ids[i - 1]! < id);
}

// ---- parts, shared with checkpoints -----------------------------------------------------------

function spanToJson(span: Span): JsonObject {
  return { key: toHex(span.key), endKey: toHex(span.endKey) };
}

function spanFromJson(fields: JsonFields): Span {
  return { key: fields.hex('key'), endKey: fields.hex('endKey') };
}

export function intervalToJson(interval: SpanInterval): JsonObject {
  return { span: spanToJson(interval.span), startTime: interval.startTime, endTime: interval.endTime };
}

export function intervalFromJson(fields: JsonFields): SpanInterval {
  const interval = { span: spanFromJson(fields.object('span')), startTime: fields.time('startTime'), endTime: fields.time('endTime') };
  fields.must(interval.startTime < interval.endTime && interval.span.key < interval.span.endKey, 'an interval is not empty');
  return interval;
}

function countsToJson({ rows, indexEntries, dataBytes }: EntryCounts): JsonObject {
  return { rows, indexEntries, dataBytes };
}

function countsFromJson(fields: JsonFields): EntryCounts {
  return { rows: fields.integer('rows'), indexEntries: fields.integer('indexEntries'), dataBytes: fields.integer('dataBytes') };
}

export function fileToJson(file: ManifestFile): JsonObject {
  const { path, sizeBytes, sha256, locality, parts } = file;
  return { path, sizeBytes, sha256, locality, parts: parts.map(partToJson) };
}

function partToJson(part: ManifestFilePart): JsonObject {
  const { fingerprint } = part;
  return {
    ...intervalToJson(part),
    ...countsToJson(part),
    ...(fingerprint && { fingerprint: { versions: fingerprint.versions, changes: fingerprint.changes } }),
  };
}

function partFromJson(fields: JsonFields): ManifestFilePart {
  const fingerprint = fields.raw['fingerprint'] === undefined ? undefined : fields.object('fingerprint');
  return {
    ...intervalFromJson(fields),
    ...countsFromJson(fields),
    ...(fingerprint && { fingerprint: { versions: fingerprint.string('versions'), changes: fingerprint.string('changes') } }),
  };
}

export function fileFromJson(fields: JsonFields): ManifestFile {
  const file = {
    path: fields.string('path'),
    sizeBytes: fields.integer('sizeBytes'),
    sha256: fields.string('sha256'),
    locality: fields.string('locality'),
    parts: fields.objects('parts').map(partFromJson),
  };
  fields.must(/^[0-9a-f]{64}$/.test(file.sha256), 'a file has a SHA-256');
  fields.must(isDataPath(file.path), 'a data file lies in data/');
  return file;
}

function isDataPath(path: string): boolean {
  return /^data\/[^/]+$/.test(path) && !path.includes('..');
}

/** No entries. */
export const NO_ENTRIES: EntryCounts = Object.freeze({ rows: 0, indexEntries: 0, dataBytes: 0 });

export function addCounts(a: EntryCounts, b: EntryCounts): EntryCounts {
  return { rows: a.rows + b.rows, indexEntries: a.indexEntries + b.indexEntries, dataBytes: a.dataBytes + b.dataBytes };
}

/** The counts of all parts of all files. */
export function countsOf(files: readonly ManifestFile[]): EntryCounts {
  return files.flatMap((file) => file.parts).reduce<EntryCounts>(addCounts, NO_ENTRIES);
}
