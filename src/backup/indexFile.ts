/**
 * Index file: a small file for each layer, apart from the layers, so that a collection is listed
 * without a look into its directories and manifests.
 *
 *   metadata/index/<descending>_<full>/<descending>_<start>_<end>.vix
 *
 *   X1  names sort newest full first, and within a chain newest layer first; a name alone tells a
 *       layer's full, its place and its exact end time
 *   X2  an index file is written after its layer's manifest, beside the pointer, and removed before both: what is indexed is
 *       whole. It is written once; name and content follow from the manifest
 *   X3  it holds no names of tables, users or places: in an encrypted collection it is plain
 *   X4  losing one costs time, never data: readers turn to the manifest, and the next backup of the
 *       chain writes it again (layerIndex.ts)
 *
 * Format: docs/format.md 6. Source of the idea and of the layout: CockroachDB 26.1's backup index.
 */
import type { Timestamp } from '../base/timestamp.ts';
import type { ExternalStorage } from '../storage/externalStorage.ts';

import { descending, fullDirectory, fullDirectoryTime, incrementalDirectory } from './collection.ts';
import { expectEqual } from './corruption.ts';
import { decodeEnvelope, encodeEnvelope, INDEX_MAGIC } from './envelope.ts';
import { JsonFields } from './jsonFields.ts';
import type { Layer, LayerKind } from './manifest.ts';

const VERSION = 1;
const FORMAT = 'varve-backup-index';
const INDEX_DIRECTORY = 'metadata/index';
const SUFFIX = '.vix';

/** What an index file says of its layer; all of it is in the manifest too. */
export interface LayerIndex {
  readonly directory: string;
  readonly layerId: string;
  readonly clusterId: string;
  readonly jobId: string;
  readonly kind: LayerKind;
  readonly startTime: Timestamp;
  readonly endTime: Timestamp;
  readonly revisionHistory: boolean;
  readonly revisionStartTime: Timestamp;
  readonly manifestSha256: string;
}

/** What the name of an index file tells. */
export interface IndexedLayer {
  readonly indexName: string;
  /** Directory of the chain's full. */
  readonly full: string;
  readonly directory: string;
  readonly kind: LayerKind;
  /** Exact. */
  readonly endTime: Timestamp;
}

export function indexOfLayer({ directory, manifest, manifestSha256 }: Layer): LayerIndex {
  const { layerId, clusterId, jobId, kind, startTime, endTime, revisionHistory, revisionStartTime } = manifest;
  return { directory, layerId, clusterId, jobId, kind, startTime, endTime, revisionHistory, revisionStartTime, manifestSha256 };
}

/** The name of the index file of a layer on `full`. */
export function indexName(full: string, { startTime, endTime }: { readonly startTime: Timestamp; readonly endTime: Timestamp }): string {
  const start = startTime === 0 ? '0' : flatTime(startTime);
  return `${chainPrefix(full)}${descending(endTime)}_${start}_${flatTime(endTime)}${SUFFIX}`;
}

/** `metadata/index/<descending>_20261120-142355.33/`: what the names of a chain's index files begin with. */
function chainPrefix(full: string): string {
  const time = fullDirectoryTime(full);
  return time === undefined ? `${INDEX_DIRECTORY}/${full}/` : `${INDEX_DIRECTORY}/${descending(time)}_${flatTime(time)}/`;
}

/** `20261120-142355.33`. */
function flatTime(time: Timestamp): string {
  return fullDirectory(time).replaceAll('/', '');
}

/** Names have been read before: each listing of a chain has those of the one before it, and one more. */
const READ_NAMES = new Map<string, IndexedLayer>();
const READ_NAMES_MAX = 4096;

/** Undefined when it is not the name of an index file. */
export function parseIndexName(name: string): IndexedLayer | undefined {
  const known = READ_NAMES.get(name);
  if (known !== undefined) return known;
  const entry = readIndexName(name);
  if (entry === undefined) return undefined;
  if (READ_NAMES.size >= READ_NAMES_MAX) READ_NAMES.clear();
  READ_NAMES.set(name, entry);
  return entry;
}

function readIndexName(name: string): IndexedLayer | undefined {
  const match = INDEX_NAME.exec(name);
  if (match === null) return undefined;
  const [, fullText = '', end = '', start = ''] = match;
  const full = fullOfFlat(fullText);
  const endTime = Number(0xffffffffffffffffn - BigInt(`0x${end}`)) as Timestamp;
  if (!Number.isSafeInteger(endTime) || fullDirectoryTime(full) === undefined) return undefined;
  const kind = start === '0' ? 'full' : 'incremental';
  const directory = kind === 'full' ? full : incrementalDirectory(full, endTime);
  // What was renamed by hand tells nothing.
  const isConsistent = name.endsWith(`_${flatTime(endTime)}${SUFFIX}`) && name.startsWith(chainPrefix(full));
  return isConsistent ? { indexName: name, full, directory, kind, endTime } : undefined;
}

/** Back from flatTime(). */
function fullOfFlat(text: string): string {
  return `${text.slice(0, 4)}/${text.slice(4, 6)}/${text.slice(6)}`;
}

const FLAT_TIME = String.raw`\d{8}-\d{6}\.\d{2}`;
const INDEX_NAME = new RegExp(`^${INDEX_DIRECTORY}/[0-9a-f]{16}_(${FLAT_TIME})/([0-9a-f]{16})_(0|${FLAT_TIME})_${FLAT_TIME}\\${SUFFIX}$`);

const CHAIN_FOLDER = new RegExp(`^${INDEX_DIRECTORY}/[0-9a-f]{16}_(${FLAT_TIME})/$`);

/** What is indexed, of one chain or of all: newest chain first, each newest layer first. Needs `list`; one listing. */
export async function listIndex(storage: ExternalStorage, full: string | undefined, signal?: AbortSignal): Promise<IndexedLayer[]> {
  const names = await storage.list(full === undefined ? `${INDEX_DIRECTORY}/` : chainPrefix(full), { signal });
  return names.map(parseIndexName).filter((entry) => entry !== undefined);
}

/** Fulls whose chains have a folder in the index, newest first. Needs `list`; one listing. */
export async function listIndexedChains(storage: ExternalStorage, signal?: AbortSignal): Promise<string[]> {
  const folders = await storage.list(`${INDEX_DIRECTORY}/`, { delimiter: '/', signal });
  return folders.flatMap((folder) => {
    const text = CHAIN_FOLDER.exec(folder)?.[1];
    return text === undefined ? [] : fullOfFlat(text);
  });
}

/** Writes a layer's index file. What it returns reads it back: XX001 when it does not hold what was written. */
export async function writeIndexFile(
  storage: ExternalStorage,
  full: string,
  layer: LayerIndex,
  signal?: AbortSignal,
): Promise<() => Promise<void>> {
  const name = indexName(full, layer);
  const bytes = await encodeEnvelope(INDEX_MAGIC, VERSION, JSON.stringify({ format: FORMAT, ...layer }));
  await storage.write(name, bytes, { signal });
  return async () => {
    const stored = Buffer.from(await storage.read(name, { signal }));
    if (!bytes.equals(stored))
      expectEqual({ file: name, offset: 0 }, 'index file after writing', bytes.toString('hex'), stored.toString('hex'));
  };
}

/** 58P01 when it is not there, XX001 when it is damaged or speaks of another layer, 0A000 for a later version. */
export async function readIndexFile(storage: ExternalStorage, entry: IndexedLayer, signal?: AbortSignal): Promise<LayerIndex> {
  const file = entry.indexName;
  const bytes = Buffer.from(await storage.read(file, { signal }));
  const fields = JsonFields.parse(await decodeEnvelope(INDEX_MAGIC, VERSION, bytes, { what: 'index file', file }), file);
  fields.literal('format', FORMAT);
  const index: LayerIndex = {
    directory: fields.string('directory'),
    layerId: fields.string('layerId'),
    clusterId: fields.string('clusterId'),
    jobId: fields.string('jobId'),
    kind: fields.oneOf('kind', ['full', 'incremental']),
    startTime: fields.time('startTime'),
    endTime: fields.time('endTime'),
    revisionHistory: fields.boolean('revisionHistory'),
    revisionStartTime: fields.time('revisionStartTime'),
    manifestSha256: fields.string('manifestSha256'),
  };
  expectEqual({ file, offset: 0 }, 'layer', entry.directory, index.directory);
  expectEqual({ file, offset: 0 }, 'end time', entry.endTime, index.endTime);
  return index;
}
