/**
 * Checkpoint: how far a backup job is, as a file beside its data, so that another coordinator goes
 * on without exporting again what is stored already.
 *
 * A checkpoint that is damaged, or of another job, is passed over: it costs work, never correctness.
 * Lives elsewhere: when one is taken (layerWriter.ts). Format: docs/format.md 4.
 */
import { isVarveError, letGo } from '../base/errors.ts';
import type { Timestamp } from '../base/timestamp.ts';

import { type Cipher, EncryptionError, type LayerCipher } from './cipher.ts';
import { checkpointName, listCheckpoints } from './collection.ts';
import type { CollectionStorage } from './collectionStorage.ts';
import { CHECKPOINT_MAGIC, decodeEnvelope, encodeEnvelope, sealedLayerId } from './envelope.ts';
import { JsonFields } from './jsonFields.ts';
import type { ManifestFile, SpanInterval } from './manifest.ts';
import { fileFromJson, fileToJson, intervalFromJson, intervalToJson, isMissing } from './manifest.ts';

const VERSION = 1;

export interface Checkpoint {
  readonly clusterId: string;
  readonly jobId: string;
  /** The claim under which it was taken. */
  readonly claimEpoch: number;
  readonly time: Timestamp;
  /** Finished data files. */
  readonly files: readonly ManifestFile[];
  readonly emptySpans: readonly SpanInterval[];
}

/** Writes a checkpoint under a name of its own; returns the name. `cipher`: of an encrypted layer. */
export async function writeCheckpoint(
  storage: CollectionStorage,
  directory: string,
  checkpoint: Checkpoint,
  options: { readonly cipher?: LayerCipher | undefined; readonly signal?: AbortSignal } = {},
): Promise<string> {
  const { cipher, signal } = options;
  const name = checkpointName(directory, checkpoint.time);
  const { files, emptySpans, ...rest } = checkpoint;
  const text = JSON.stringify({ ...rest, files: files.map(fileToJson), emptySpans: emptySpans.map(intervalToJson) });
  const seal = cipher?.forDocument(name.slice(directory.length + 1));
  await storage.write(name, await encodeEnvelope(CHECKPOINT_MAGIC, VERSION, text, seal), { signal });
  return name;
}

/** The newest readable checkpoint of a job in a directory; undefined when there is none; `name` is its file. Storage errors pass through. */
export async function readNewestCheckpoint(
  storage: CollectionStorage,
  directory: string,
  owner: { readonly clusterId: string; readonly jobId: string },
  options: { readonly cipher?: LayerCipher | undefined; readonly signal?: AbortSignal } = {},
): Promise<(Checkpoint & { readonly name: string }) | undefined> {
  const { cipher, signal } = options;
  for (const name of await listCheckpoints(storage, directory, signal)) {
    const bytes = await readIfThere(storage, name, signal);
    if (bytes === undefined) continue;
    const opened = cipher && { cipher: cipher.cipher, name: name.slice(directory.length + 1) };
    // Damaged, a later version's, sealed with another key: passed over.
    const checkpoint = await decodeCheckpoint(bytes, name, opened).catch(letGo);
    if (checkpoint?.clusterId === owner.clusterId && checkpoint.jobId === owner.jobId) return { ...checkpoint, name };
  }
  return undefined;
}

/** Names of the checkpoints that are a job's own, as far as they are whole. Needs no key: one that is sealed says its layer in clear. */
export async function listOwnCheckpoints(
  storage: CollectionStorage,
  directory: string,
  owner: { readonly clusterId: string; readonly jobId: string; readonly layerId: string },
  signal?: AbortSignal,
): Promise<string[]> {
  const own: string[] = [];
  for (const name of await listCheckpoints(storage, directory, signal)) {
    const bytes = await readIfThere(storage, name, signal);
    if (bytes !== undefined && (await isOwn(bytes, name, owner))) own.push(name);
  }
  return own;
}

async function isOwn(bytes: Buffer, name: string, owner: { clusterId: string; jobId: string; layerId: string }): Promise<boolean> {
  try {
    const { clusterId, jobId } = await decodeCheckpoint(bytes, name);
    return clusterId === owner.clusterId && jobId === owner.jobId;
  } catch (error) {
    if (!isVarveError(error)) throw error;
    return error instanceof EncryptionError && sealedLayerId(bytes) === owner.layerId;
  }
}

async function readIfThere(storage: CollectionStorage, name: string, signal?: AbortSignal): Promise<Buffer | undefined> {
  try {
    return Buffer.from(await storage.read(name, { signal }));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** XX001 when it is damaged. */
export async function decodeCheckpoint(
  bytes: Buffer,
  file: string,
  opened: { readonly cipher?: Cipher; readonly name?: string } = {},
): Promise<Checkpoint> {
  const fields = JsonFields.parse(await decodeEnvelope(CHECKPOINT_MAGIC, VERSION, bytes, { what: 'checkpoint', file, ...opened }), file);
  return {
    clusterId: fields.string('clusterId'),
    jobId: fields.string('jobId'),
    claimEpoch: fields.integer('claimEpoch'),
    time: fields.time('time'),
    files: fields.objects('files').map(fileFromJson),
    emptySpans: fields.objects('emptySpans').map(intervalFromJson),
  };
}
