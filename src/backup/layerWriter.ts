/**
 * Layer writer: how a job turns a directory into a finished layer, or leaves it as it was. A backup writes a layer of what
 * it exports (backupJob.ts), a compaction one of what it merges (restore/compact/compactionJob.ts); the order is here, once.
 *
 *   lock -> keys -> data files, checkpoints -> read data back, statistics -> parts -> manifest and checksum -> clean up
 *   undo: pointers -> checksum, manifest -> parts, data -> checkpoints -> keys -> lock
 *
 * What needs no other step's end stands beside it, for each round trip of a far storage is as long as some MB of data: the
 * look for others beside the first files (it is over before one of them counts), statistics, the second look and what is mended elsewhere beside the
 * reading back, the checksum beside the manifest.
 *
 *   J1  success means restorable: each file's stored bytes were read back and compared before the
 *       manifest named it, and the manifest was read back before the job ends
 *   J2  any step may be the last one of a coordinator; the next one finds in the storage what is
 *       done (lock, checkpoint, manifest) and goes on from there
 *   J3  before lock, manifest and deletes the claim is checked, so a coordinator that was
 *       taken for dead does no harm; data files carry the claim's epoch in their names
 *   J4  manifest and checksum come last, in either order, and go first: a layer is both of them, so whoever looks in between
 *       sees it whole, or none. What only leads to the layer (index, LATEST) comes after and goes before, the lock comes
 *       first and goes last. An attempt after the first one finds a checksum of another manifest, perhaps, and takes it
 *       away before it writes its own: the two never disagree
 *   J5  undone, nothing that this job wrote is left, nor anybody else's touched. Whose a file is shows by its name, or by
 *       what it says in clear: undoing needs no key, so a KMS that does not answer cannot make anything stay
 *
 * Beside each durable write stands a pausepoint, named after the job: `backup.afterLock`, `compaction.afterLock`.
 * Lives elsewhere: who owns the directory (directoryClaim.ts), what is in the files.
 */
import { CorruptionError, StorageError } from '../base/errors.ts';
import { mapConcurrently } from '../base/mapConcurrently.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { Statistic } from '../catalog/tableStatistics.ts';
import type { JobContext } from '../jobs/job.ts';
import { RetryableJobError } from '../jobs/job.ts';
import type { JobRegistry } from '../jobs/registry.ts';
import type { Kv } from '../kv/kv.ts';
import type { ClusterNode } from '../kv/nodeActor.ts';
import type { StorageFactory } from '../storage/externalStorage.ts';

import { listOwnCheckpoints, readNewestCheckpoint, writeCheckpoint } from './checkpoint.ts';
import { EncryptionError, LayerCipher } from './cipher.ts';
import {
  dataFileName,
  dataFilePrefix,
  listCheckpoints,
  listClaims,
  listLocks,
  listWorkFiles,
  lockName,
  MANIFEST_CHECKSUM_NAME,
  MANIFEST_NAME,
} from './collection.ts';
import { type CollectionStorage, openCollection } from './collectionStorage.ts';
import { verifyStoredFile } from './dataFileReader.ts';
import { checkAlone, renewLock, writeLock } from './directoryClaim.ts';
import { ENCRYPTION_INFO_NAME, writeEncryptionInfo } from './encryptionInfo.ts';
import { sealedLayerId } from './envelope.ts';
import { type Claimant, RENEW_MICROS } from './holders.ts';
import type { BackupSettings } from './layerSettings.ts';
import { isPartOf, partName, writePart } from './localityPart.ts';
import type { LocationDetails } from './locationDetails.ts';
import type { Layer, Manifest, ManifestFile, SpanInterval, StatisticsFile } from './manifest.ts';
import { decodeManifest, isMissing, readManifest, writeManifest } from './manifest.ts';
import { writeStatistics } from './statisticsFile.ts';

/** Attempts to undo: below those at which the registry would give up in its own way. */
const UNDO_ATTEMPTS_MAX = 4;

/** Files that are read back at once: one is read while another is hashed, and round trips overlap. */
const CONFIRMATIONS_MAX = 3;

/** Small files that are written at once. */
const WRITES_MAX = 8;

/** The data's share of the whole: confirming and finishing take the rest. */
const DATA_FRACTION = 0.95;

export interface LayerWriterDeps {
  readonly kv: Kv;
  readonly jobs: JobRegistry;
  readonly storage: StorageFactory;
  readonly settings: BackupSettings;
}

/** Which layer, as the job's record has it. */
export interface LayerTask {
  readonly location: LocationDetails;
  readonly user: string;
  /** Within the collection. */
  readonly directory: string;
  readonly layerId: string;
  /** Tiers that have a place of their own, sorted. */
  readonly localities: readonly string[];
  /** Content of ENCRYPTION_INFO in base64, of a full that is encrypted. */
  readonly encryptionInfo?: string | undefined;
}

/** One run of the job: its claim, and the collection as its node sees it. */
export interface Attempt {
  readonly ctx: JobContext;
  readonly storage: CollectionStorage;
}

/** Data that has been stored so far. */
export interface LayerData {
  readonly files: readonly ManifestFile[];
  readonly emptySpans: readonly SpanInterval[];
}

/** What a layer is made of: the job's own part of the writing. */
export interface LayerContent {
  /** Once the directory is this job's: throws when the layer would lead nowhere. */
  begin(attempt: Attempt, claimant: Claimant): Promise<void>;
  /** Writes the data that `done` lacks, and tells of each file (noteProgress); returns all there is. */
  writeData(attempt: Attempt, cipher: LayerCipher | undefined, done: LayerData): Promise<LayerData>;
  /** What the collection lacks of other layers; beside the proof of this one's files. */
  mend?(attempt: Attempt): Promise<void>;
  /** Of the layer's tables. */
  statistics(attempt: Attempt): Promise<readonly Statistic[]>;
  makeManifest(attempt: Attempt, data: LayerData, statistics: StatisticsFile | undefined): Promise<Manifest>;
}

/** Lives as long as a claim, over all its attempts. */
export class LayerWriter {
  readonly #deps: LayerWriterDeps;
  readonly #task: LayerTask;
  /** What the names of its pausepoints begin with. */
  readonly #prefix: string;
  /** Counts data files of this claim. */
  #fileNumber = 0;
  #undoAttempts = 0;
  /** An attempt of this claim has come as far as the data. */
  #hasBegun = false;
  #checkpointAt = Number.NEGATIVE_INFINITY;
  #lockedAt = Number.NEGATIVE_INFINITY;
  /** That nothing is in the way of this attempt. */
  #clearing: Promise<void> = Promise.resolve();
  /** Nothing of this job lies in the storage but what its manifest names, and the lock: one attempt, no checkpoint. */
  #isTidy = false;

  constructor(deps: LayerWriterDeps, task: LayerTask, prefix: string) {
    this.#deps = deps;
    this.#task = task;
    this.#prefix = prefix;
  }

  /** The collection as a node sees it. The caller closes it. */
  open(node: ClusterNode): CollectionStorage {
    const { location, user } = this.#task;
    return openCollection(this.#deps.storage, location, { user, nodeId: node.id });
  }

  /** Runs an attempt on the collection as the job's node sees it. */
  async attempt<T>(ctx: JobContext, run: (attempt: Attempt) => Promise<T>): Promise<T> {
    const storage = this.open(ctx.node);
    try {
      return await run({ ctx, storage });
    } finally {
      await storage.close();
    }
  }

  /** A new name of a data file, within the layer's directory. */
  newFileName({ jobId, claimEpoch }: JobContext): string {
    return dataFileName(String(jobId), claimEpoch, ++this.#fileNumber);
  }

  // ---- writing ----------------------------------------------------------------------------------

  /** The finished layer: a coordinator before may have come that far (J2). 55006, 58P02 when the directory is another's. */
  async write(attempt: Attempt, content: LayerContent): Promise<Layer> {
    return (await this.#finishedLayer(attempt)) ?? (await this.#writeLayer(attempt, content));
  }

  /** This job's own manifest, complete with its checksum. */
  async #finishedLayer({ ctx, storage }: Attempt): Promise<Layer | undefined> {
    if (this.#isFirst(ctx)) return undefined;
    try {
      const layer = await readManifest(storage, this.#task.directory, ctx.signal);
      return this.#isOwn(layer.manifest, ctx) ? layer : undefined;
    } catch (error) {
      // What this job's key does not open is not its own: who has the directory is said when it is claimed.
      if (isMissing(error) || error instanceof EncryptionError) return undefined;
      throw error;
    }
  }

  /** Nobody has worked on the job before: there is nothing of it in the storage. */
  #isFirst(ctx: JobContext): boolean {
    return ctx.claimEpoch === 1 && !this.#hasBegun;
  }

  async #writeLayer(attempt: Attempt, content: LayerContent): Promise<Layer> {
    const { ctx, storage } = attempt;
    const { kv } = this.#deps;
    const { directory, layerId, encryptionInfo } = this.#task;
    const claimant = this.#claimant(ctx);
    await this.#pausepoint(ctx, 'beforeLock');
    await ctx.checkClaim();
    const isOurs = await writeLock(storage, directory, claimant, ctx.signal);
    await this.#pausepoint(ctx, 'afterLock');
    this.#lockedAt = claimant.now;
    const clearing = kv.activity.during('layer claim', () => this.#clearWay(attempt, content, claimant, isOurs));
    // Whoever waits for it gets the error.
    clearing.catch(() => {});
    this.#clearing = clearing;
    try {
      // New files under this job's own name harm nobody. What may be written again does, and so does a key.
      if (!isOurs || encryptionInfo !== undefined) await this.#cleared();
      const key = await storage.keys.cipherOf(storage, directory, ctx.signal);
      const cipher = key && new LayerCipher(key, layerId);
      const done = await this.#storedData(attempt, cipher);
      this.#isTidy = this.#isFirst(ctx);
      this.#hasBegun = true;
      this.#checkpointAt = Number.NEGATIVE_INFINITY;
      const data = await content.writeData(attempt, cipher, done);
      await this.#cleared();
      return await this.#finish(attempt, content, data, cipher, { claimant, isOurs });
    } finally {
      await kv.activity.suspend(clearing.catch(() => {}));
    }
  }

  /** Looks for others, and only then writes anything that is not under the job's own name. */
  async #clearWay(attempt: Attempt, content: LayerContent, claimant: Claimant, isOurs: boolean): Promise<void> {
    const { ctx, storage } = attempt;
    const { directory } = this.#task;
    await checkAlone(storage, directory, claimant, isOurs, this.#deps.jobs, ctx.signal);
    // An attempt before has written it.
    if (!isOurs && storage.capabilities.conditionalCreate) await renewLock(storage, directory, claimant, ctx.signal);
    await this.#writeKeys(attempt);
    await content.begin(attempt, claimant);
  }

  /** Throws what is in the way. */
  #cleared(): Promise<void> {
    return this.#deps.kv.activity.suspend(this.#clearing);
  }

  /** From stored data to a layer. */
  async #finish(
    attempt: Attempt,
    content: LayerContent,
    data: LayerData,
    cipher: LayerCipher | undefined,
    { claimant, isOurs }: { readonly claimant: Claimant; readonly isOurs: boolean },
  ): Promise<Layer> {
    const { ctx, storage } = attempt;
    const { kv, jobs } = this.#deps;
    const { directory } = this.#task;
    const by = { jobId: String(ctx.jobId), claimEpoch: ctx.claimEpoch, cipher, signal: ctx.signal };
    const look = () => checkAlone(storage, directory, claimant, isOurs, jobs, ctx.signal);
    const lookedAt = kv.clock.nowMicros();
    const [statistics] = await mapConcurrently(
      [
        async () => await writeStatistics(storage, directory, await content.statistics(attempt), by),
        async () => void (await this.#confirm(attempt, data)),
        async () => void (await look()),
        async () => void (await content.mend?.(attempt)),
      ],
      4,
      (step) => step(),
    );
    await this.#pausepoint(ctx, 'afterStatistics');
    const manifest = await content.makeManifest(attempt, data, statistics || undefined);

    await this.#pausepoint(ctx, 'beforeManifest');
    await ctx.checkClaim();
    // What took so long that others may have come in between is looked for again.
    if (kv.clock.nowMicros() - lookedAt >= RENEW_MICROS) await look();
    await this.#writeParts(attempt, manifest);
    const isNew = this.#isTidy;
    if (!isNew && storage.capabilities.delete) await storage.delete(`${directory}/${MANIFEST_CHECKSUM_NAME}`);
    const manifestSha256 = await writeManifest(storage, directory, manifest, { isNew, signal: ctx.signal });
    await this.#pausepoint(ctx, 'afterManifest');
    return { directory, manifest, manifestSha256, cipher };
  }

  /** Reads data files back (J1). */
  async #confirm({ ctx, storage }: Attempt, { files }: LayerData): Promise<void> {
    const { directory } = this.#task;
    await mapConcurrently(files, CONFIRMATIONS_MAX, (file) =>
      verifyStoredFile(storage.writeStorage(directory, file.locality), `${directory}/${file.path}`, file, ctx.signal),
    );
  }

  #claimant(ctx: JobContext): Claimant {
    const { clusterId, clock } = this.#deps.kv;
    return { clusterId, jobId: String(ctx.jobId), nodeId: ctx.node.id, now: clock.nowMicros() as Timestamp };
  }

  /** The keys of an encrypted chain, before the first file that needs one. Written again it is the same. */
  async #writeKeys({ ctx, storage }: Attempt): Promise<void> {
    const { directory, encryptionInfo } = this.#task;
    if (encryptionInfo === undefined) return;
    await ctx.checkClaim();
    await writeEncryptionInfo(storage, directory, 1, Buffer.from(encryptionInfo, 'base64'), ctx.signal);
  }

  /** What each tier's place holds, for readers that do not know which place is whose. */
  async #writeParts({ ctx, storage }: Attempt, { layerId, localities, files }: Manifest): Promise<void> {
    const { directory } = this.#task;
    await mapConcurrently(localities, WRITES_MAX, (locality) => {
      const own = files.filter((file) => file.locality === locality);
      return writePart(storage.writeStorage(directory, locality), directory, { layerId, locality, files: own }, ctx.signal);
    });
  }

  // ---- progress ---------------------------------------------------------------------------------

  /** As of the newest checkpoint. */
  async #storedData({ ctx, storage }: Attempt, cipher: LayerCipher | undefined): Promise<LayerData> {
    const owner = { clusterId: this.#deps.kv.clusterId, jobId: String(ctx.jobId) };
    const options = { cipher, signal: ctx.signal };
    const found = this.#isFirst(ctx) ? undefined : await readNewestCheckpoint(storage, this.#task.directory, owner, options);
    return found ?? { files: [], emptySpans: [] };
  }

  /**
   * After each data file: keeps what there is as a checkpoint when one is due. `fraction` is of the data; `isAll`: nothing is
   * left, so the manifest follows, until which a coordinator that goes on does again what is newer than its checkpoint.
   */
  async noteProgress(attempt: Attempt, cipher: LayerCipher | undefined, data: LayerData, fraction: number, isAll: boolean): Promise<void> {
    const { kv, settings } = this.#deps;
    await this.#cleared();
    const now = kv.clock.nowMicros();
    if (now - this.#lockedAt >= RENEW_MICROS) {
      await renewLock(attempt.storage, this.#task.directory, this.#claimant(attempt.ctx), attempt.ctx.signal);
      this.#lockedAt = now;
    }
    if (isAll || now - this.#checkpointAt < settings.checkpointIntervalMicros()) {
      await attempt.ctx.setFraction(fraction * DATA_FRACTION);
    } else {
      await this.#checkpoint(attempt, cipher, data, fraction * DATA_FRACTION);
      this.#checkpointAt = now;
    }
  }

  /** The new checkpoint first, then the older ones go: there is always one. */
  async #checkpoint({ ctx, storage }: Attempt, cipher: LayerCipher | undefined, data: LayerData, fraction: number): Promise<void> {
    const { kv } = this.#deps;
    const { directory } = this.#task;
    const own = { clusterId: kv.clusterId, jobId: String(ctx.jobId), claimEpoch: ctx.claimEpoch, time: kv.hlc.now() };
    await ctx.checkClaim();
    this.#isTidy = false;
    const name = await writeCheckpoint(storage, directory, { ...own, ...data }, { cipher, signal: ctx.signal });
    await ctx.checkpoint({ progress: { checkpoint: name, files: data.files.length }, fractionCompleted: fraction });
    if (!storage.capabilities.delete) return;
    for (const older of await listCheckpoints(storage, directory, ctx.signal)) if (older !== name) await storage.delete(older);
  }

  // ---- afterwards -------------------------------------------------------------------------------

  /** Removes what only a job under way needs: files of attempts that came to nothing, checkpoints, the lock. */
  async cleanUp({ ctx, storage }: Attempt, manifest: Manifest): Promise<void> {
    const { directory } = this.#task;
    if (mayDelete(storage)) {
      await ctx.checkClaim();
      if (!this.#isTidy) await this.#deleteLeftovers({ ctx, storage }, manifest);
      await storage.delete(lockName(directory, String(ctx.jobId)));
    }
    await this.#pausepoint(ctx, 'afterCleanup');
  }

  async #deleteLeftovers({ ctx, storage }: Attempt, { files, statistics }: Manifest): Promise<void> {
    const { directory } = this.#task;
    const named = new Set(files.map((file) => `${directory}/${file.path}`));
    if (statistics) named.add(`${directory}/${statistics.path}`);
    for (const place of storage.layerStorages(directory)) {
      const { dataFiles, checkpoints } = await listWorkFiles(place, directory, String(ctx.jobId), ctx.signal);
      for (const name of dataFiles) if (!named.has(name)) await place.delete(name);
      for (const name of checkpoints) await place.delete(name);
    }
  }

  /**
   * Takes the layer back. `pointers`: files that lead to it (index, LATEST). A storage that is gone for good must not hold the
   * job for good: after some attempts the files stay, and the job's status says so.
   */
  async undo(ctx: JobContext, pointers: readonly string[] = []): Promise<void> {
    await this.#pausepoint(ctx, 'beforeRevert');
    await this.attempt(ctx, async (attempt) => {
      const { storage } = attempt;
      try {
        if (mayDelete(storage)) await this.#deleteEverything(attempt, pointers);
      } catch (error) {
        if (!(error instanceof StorageError) || (error.isRetryable && this.#mayUndoAgain())) throw error;
        await ctx.checkpoint({ runningStatus: `files are left in "${storage.uri}": ${error.message}` });
      }
    });
    await this.#pausepoint(ctx, 'afterRevert');
  }

  async #deleteEverything(attempt: Attempt, pointers: readonly string[]): Promise<void> {
    const { ctx, storage } = attempt;
    const { directory, layerId } = this.#task;
    const jobId = String(ctx.jobId);
    await ctx.checkClaim();
    const owner = await this.#manifestOwner(attempt);
    // Without a manifest there is no pointer (J4).
    if (owner === 'self') for (const name of pointers) await storage.delete(name);
    if (owner === 'self' || (owner === 'none' && (await this.#hasOwnChecksum(attempt)))) {
      await storage.delete(`${directory}/${MANIFEST_CHECKSUM_NAME}`);
    }
    if (owner === 'self') await storage.delete(`${directory}/${MANIFEST_NAME}`);
    await this.#deleteData(attempt);
    const self = { clusterId: this.#deps.kv.clusterId, jobId, layerId };
    const checkpoints = (await this.#isAlone(attempt))
      ? await listCheckpoints(storage, directory, ctx.signal)
      : await listOwnCheckpoints(storage, directory, self, ctx.signal);
    for (const name of checkpoints) await storage.delete(name);
    await this.#deleteKeys(attempt);
    await storage.delete(lockName(directory, jobId));
  }

  /** Data files and parts of this job, in every place. */
  async #deleteData({ ctx, storage }: Attempt): Promise<void> {
    const { directory, localities, layerId } = this.#task;
    for (const locality of localities) {
      const place = storage.writeStorage(directory, locality);
      if (await isPartOf(place, directory, locality, layerId, ctx.signal)) await place.delete(partName(directory, locality));
    }
    for (const place of storage.layerStorages(directory)) {
      const names = await place.list(`${directory}/${dataFilePrefix(String(ctx.jobId))}`, { signal: ctx.signal });
      for (const name of names) await place.delete(name);
    }
  }

  /** What this job wrote, and keys that were added to it since. */
  async #deleteKeys({ ctx, storage }: Attempt): Promise<void> {
    const { directory, encryptionInfo } = this.#task;
    if (encryptionInfo === undefined) return;
    const [first, ...added] = await storage.list(`${directory}/${ENCRYPTION_INFO_NAME}`, { signal: ctx.signal });
    if (first === undefined) return;
    const isOwn = Buffer.from(encryptionInfo, 'base64').equals(await storage.read(first, { signal: ctx.signal }));
    // One that the storage garbled is this job's where nobody else is, or has been.
    const { locks, hasManifest } = await listClaims(storage, directory, ctx.signal);
    if (!isOwn && (hasManifest || locks.some((jobId) => jobId !== String(ctx.jobId)))) return;
    for (const name of [...added, first]) await storage.delete(name);
  }

  /**
   * Whose the directory's manifest is, if there is one. A damaged one would make the whole
   * chain unreadable, so it must go; what the storage garbled on this one read is read again first.
   */
  async #manifestOwner(attempt: Attempt): Promise<'self' | 'other' | 'none'> {
    const { ctx, storage } = attempt;
    const { directory, layerId } = this.#task;
    const file = `${directory}/${MANIFEST_NAME}`;
    let bytes: Buffer | undefined;
    try {
      bytes = Buffer.from(await storage.read(file, { signal: ctx.signal }));
      return this.#isOwn(await decodeManifest(bytes, file), ctx) ? 'self' : 'other';
    } catch (error) {
      if (isMissing(error)) return 'none';
      // Sealed and whole: without its key it still tells its layer.
      if (bytes !== undefined && error instanceof EncryptionError) return sealedLayerId(bytes) === layerId ? 'self' : 'other';
      if (!(error instanceof CorruptionError)) throw error;
      if (this.#mayUndoAgain()) throw new RetryableJobError(error.message, error);
      return (await this.#isAlone(attempt)) ? 'self' : 'other';
    }
  }

  /** Of a checksum that stands without its manifest: this job's, unless another is at work there, whose manifest is seen the next time. */
  async #hasOwnChecksum(attempt: Attempt): Promise<boolean> {
    const { ctx, storage } = attempt;
    const name = `${this.#task.directory}/${MANIFEST_CHECKSUM_NAME}`;
    if (!(await storage.list(name, { signal: ctx.signal })).includes(name)) return false;
    if (await this.#isAlone(attempt)) return true;
    if (this.#mayUndoAgain()) throw new RetryableJobError(`"${name}" stands without its manifest`);
    return false;
  }

  #isOwn(manifest: Manifest, ctx: JobContext): boolean {
    return manifest.jobId === String(ctx.jobId) && manifest.clusterId === this.#deps.kv.clusterId;
  }

  /** Nobody writes where another's lock stands, so where none does, what cannot tell its owner is this job's. */
  async #isAlone({ ctx, storage }: Attempt): Promise<boolean> {
    const locks = await listLocks(storage, this.#task.directory, ctx.signal);
    return locks.every((jobId) => jobId === String(ctx.jobId));
  }

  #mayUndoAgain(): boolean {
    return ++this.#undoAttempts < UNDO_ATTEMPTS_MAX;
  }

  #pausepoint(ctx: JobContext, name: string): Promise<void> {
    return ctx.pausepoint(`${this.#prefix}.${name}`);
  }
}

function mayDelete({ capabilities }: CollectionStorage): boolean {
  return capabilities.delete && capabilities.list;
}
