/**
 * Backup job: from the record that planning wrote to a finished layer, or to nothing.
 *
 *   lock -> keys -> export (files, checkpoints) -> confirm files -> manifest, checksum -> LATEST -> index -> clean up
 *
 *   J1  success means restorable: each file's stored bytes were read back and compared before the
 *       manifest named it, and the manifest was read back before the job ends
 *   J2  any step may be the last one of a coordinator; the next one finds in the storage what is
 *       done (lock, checkpoint, manifest) and goes on from there
 *   J3  before lock, manifest, LATEST, index and deletes the claim is checked, so a coordinator that was
 *       taken for dead does no harm; data files carry the claim's epoch in their names
 *   J4  after a failure or a cancel nothing that this job wrote is left, nor anybody else's touched
 *
 * Beside each durable write stands a pausepoint. Lives elsewhere: what is exported and from when
 * (backupPlanning.ts), the workers (exportLayer.ts), who owns the directory (directoryClaim.ts).
 */
import { assert } from '../base/assert.ts';
import { CorruptionError, StateError, StorageError } from '../base/errors.ts';
import { mergeSpans, subtractSpans } from '../base/span.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { CLUSTER_VERSION } from '../base/version.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Descriptor } from '../catalog/descriptor.ts';
import type { ProtectedRecords } from '../catalog/protectedRecords.ts';
import type { JobContext, JobOutcome, Resumer } from '../jobs/job.ts';
import { RetryableJobError } from '../jobs/job.ts';
import type { JobRegistry } from '../jobs/registry.ts';
import type { Kv, Txn } from '../kv/kv.ts';
import type { ClusterNode } from '../kv/nodeActor.ts';
import type { StorageFactory } from '../storage/externalStorage.ts';
import { KmsError } from '../storage/kms/kms.ts';

import type { BackupDetails } from './backupDetails.ts';
import type { BackupSettings } from './layerSettings.ts';
import type { BackupMetrics } from './backupMetrics.ts';
import { descriptorHistory } from './backupSpans.ts';
import { readNewestCheckpoint, writeCheckpoint } from './checkpoint.ts';
import { EncryptionError, LayerCipher } from './cipher.ts';
import {
  dataFileName,
  dataFilePrefix,
  fullOfDirectory,
  isLayer,
  latestName,
  listCheckpoints,
  listClaims,
  listLocks,
  listWorkFiles,
  lockName,
  MANIFEST_CHECKSUM_NAME,
  MANIFEST_NAME,
  writeLatest,
} from './collection.ts';
import type { CollectionStorage } from './collectionStorage.ts';
import { openCollection } from './collectionStorage.ts';
import { intervalsOf } from './coverage.ts';
import { refuseWhileDeleted } from './deletionMark.ts';
import { verifyStoredFile } from './dataFileReader.ts';
import { ENCRYPTION_INFO_NAME, writeEncryptionInfo } from './encryptionInfo.ts';
import { sealedLayerId } from './envelope.ts';
import type { Claimant } from './directoryClaim.ts';
import { checkAlone, storedManifest, writeLock } from './directoryClaim.ts';
import { requireNodes } from './executionLocality.ts';
import type { ExportProgress } from './exportLayer.ts';
import { exportLayer } from './exportLayer.ts';
import { indexName, indexOfLayer, writeIndexFile } from './indexFile.ts';
import { healIndex } from './layerIndex.ts';
import { isPartOf, partName, writePart } from './localityPart.ts';
import type { Layer, Manifest, StatisticsFile } from './manifest.ts';
import { countsOf, isMissing, readManifest, writeManifest } from './manifest.ts';
import { statisticsOf, writeStatistics } from './statisticsFile.ts';

/** In the order in which a backup comes to them; the last two while it is undone. */
export const BACKUP_PAUSEPOINTS = Object.freeze([
  'backup.beforeLock',
  'backup.afterLock',
  'backup.afterEncryptionInfo',
  'backup.beforeExport',
  'backup.afterFirstExport',
  'backup.afterExport',
  'backup.afterStatistics',
  'backup.beforeManifest',
  'backup.afterManifest',
  'backup.beforeLatest',
  'backup.afterLatest',
  'backup.beforeIndex',
  'backup.afterIndex',
  'backup.afterCleanup',
  'backup.beforeRevert',
  'backup.afterRevert',
] as const);

/** Failed attempts in a row without progress: with the registry's backoff about a quarter of an hour. */
export const BACKUP_ATTEMPTS_MAX = 6;

/** Below BACKUP_ATTEMPTS_MAX, at which the registry would give up in its own way. */
const REVERT_ATTEMPTS_MAX = 4;

/** The export's share of the whole: confirming and finishing take the rest. */
const EXPORT_FRACTION = 0.95;

export interface BackupJobDeps {
  readonly kv: Kv;
  readonly catalog: Catalog;
  readonly protections: ProtectedRecords;
  readonly jobs: JobRegistry;
  readonly storage: StorageFactory;
  readonly settings: BackupSettings;
  readonly metrics: BackupMetrics;
}

export class BackupResumer implements Resumer {
  readonly #deps: BackupJobDeps;
  readonly #details: BackupDetails;
  /** Counts data files of this claim, over all its attempts. */
  #fileNumber = 0;
  #revertAttempts = 0;
  /** An attempt of this claim has come as far as the export. */
  #hasBegun = false;

  constructor(deps: BackupJobDeps, details: BackupDetails) {
    this.#deps = deps;
    this.#details = details;
  }

  async resume(ctx: JobContext): Promise<JobOutcome> {
    try {
      return await this.#resume(ctx);
    } catch (error) {
      if (this.#details.updatesMetrics && error instanceof KmsError) this.#deps.metrics.noteKmsInaccessible(this.#deps.kv.reading());
      throw error;
    }
  }

  async #resume(ctx: JobContext): Promise<JobOutcome> {
    requireNodes(this.#deps.kv.cluster, this.#details.executionLocality);
    const storage = this.#open(ctx.node);
    try {
      const layer = (await this.#finishedLayer(storage, ctx)) ?? (await this.#writeLayer(storage, ctx));
      const { manifest } = layer;
      await this.#writeLatest(storage, ctx);
      await this.#writeIndex(storage, ctx, layer);
      await this.#cleanUp(storage, ctx, manifest);
      const { rows, indexEntries, dataBytes } = manifest.entryCounts;
      return { result: { rows, indexEntries, dataBytes }, inFinalTxn: (txn) => this.#releaseProtections(txn) };
    } finally {
      await storage.close();
    }
  }

  async onFailOrCancel(ctx: JobContext): Promise<JobOutcome> {
    await ctx.pausepoint('backup.beforeRevert');
    const storage = this.#open(ctx.node);
    try {
      if (storage.capabilities.delete && storage.capabilities.list) await this.#deleteEverything(storage, ctx);
    } catch (error) {
      // A storage that is gone for good must not hold history for good: the files stay, the protection goes.
      if (!(error instanceof StorageError) || (error.isRetryable && this.#mayRevertAgain())) throw error;
      await ctx.checkpoint({ runningStatus: `files are left in "${storage.uri}": ${error.message}` });
    } finally {
      await storage.close();
    }
    await ctx.pausepoint('backup.afterRevert');
    return { inFinalTxn: (txn) => this.#releaseProtections(txn) };
  }

  #open(node: ClusterNode): CollectionStorage {
    const { location, user } = this.#details;
    return openCollection(this.#deps.storage, location, { user, nodeId: node.id });
  }

  #claimant(ctx: JobContext): Claimant {
    return { clusterId: this.#deps.kv.clusterId, jobId: String(ctx.jobId), nodeId: ctx.node.id };
  }

  /** This job's own manifest, complete with its checksum: a coordinator before came that far. */
  async #finishedLayer(storage: CollectionStorage, ctx: JobContext): Promise<Layer | undefined> {
    if (this.#isFirstAttempt(ctx)) return undefined;
    try {
      const layer = await readManifest(storage, this.#details.directory, ctx.signal);
      return this.#isOwn(layer.manifest, ctx) ? layer : undefined;
    } catch (error) {
      // What this job's key does not open is not its own: who has the directory is said when it is claimed.
      if (isMissing(error) || error instanceof EncryptionError) return undefined;
      throw error;
    }
  }

  /** Nobody has worked on the job before: there is nothing of it in the storage. */
  #isFirstAttempt(ctx: JobContext): boolean {
    return ctx.claimEpoch === 1 && !this.#hasBegun;
  }

  #isOwn(manifest: Manifest, ctx: JobContext): boolean {
    return manifest.jobId === String(ctx.jobId) && manifest.clusterId === this.#deps.kv.clusterId;
  }

  // ---- resume -----------------------------------------------------------------------------------

  async #writeLayer(storage: CollectionStorage, ctx: JobContext): Promise<Layer> {
    const { directory } = this.#details;
    const claimant = this.#claimant(ctx);
    await ctx.pausepoint('backup.beforeLock');
    await ctx.checkClaim();
    const isOurs = await writeLock(storage, directory, claimant, ctx.signal);
    await ctx.pausepoint('backup.afterLock');
    await checkAlone(storage, directory, claimant, isOurs, this.#deps.jobs, ctx.signal);
    await this.#checkChainStays(storage, ctx);

    await this.#writeEncryptionInfo(storage, ctx);
    const cipher = await this.#layerCipher(storage, ctx);
    const progress = await this.#export(storage, ctx, cipher);
    await ctx.pausepoint('backup.afterExport');
    for (const file of progress.files) {
      await verifyStoredFile(storage.writeStorage(directory, file.locality), `${directory}/${file.path}`, file, ctx.signal);
    }
    const statistics = await this.#writeStatistics(storage, ctx, cipher);
    const manifest = { ...(await this.#makeManifest(ctx, progress)), ...(statistics && { statistics }) };

    await ctx.pausepoint('backup.beforeManifest');
    await ctx.checkClaim();
    await checkAlone(storage, directory, claimant, isOurs, this.#deps.jobs, ctx.signal);
    await this.#writeParts(storage, ctx, manifest);
    const manifestSha256 = await writeManifest(storage, directory, manifest, ctx.signal);
    await ctx.pausepoint('backup.afterManifest');
    return { directory, manifest, manifestSha256, cipher };
  }

  /** 55006 when what the layer continues is being deleted: it would lead nowhere. Looked at after the lock was written. */
  async #checkChainStays(storage: CollectionStorage, ctx: JobContext): Promise<void> {
    const full = fullOfDirectory(this.#details.directory);
    if (this.#details.kind === 'full' || full === undefined) return;
    await refuseWhileDeleted(storage, full, this.#claimant(ctx), this.#deps.jobs, ctx.signal);
    const { parent } = this.#details;
    if (parent === undefined || !storage.capabilities.list || (await isLayer(storage, parent.directory, ctx.signal))) return;
    throw new StateError(SqlState.ObjectNotInPrerequisiteState, `the layer that backup "${full}" would continue is gone`, {
      detail: `"${parent.directory}" has been deleted since the backup was planned`,
      hint: 'run the BACKUP again',
    });
  }

  /** What is known of the layer's tables. */
  async #writeStatistics(
    storage: CollectionStorage,
    ctx: JobContext,
    cipher: LayerCipher | undefined,
  ): Promise<StatisticsFile | undefined> {
    const { kv } = this.#deps;
    const { directory, descriptorIds, endTime } = this.#details;
    const statistics = await statisticsOf(kv.at(kv.reading()), descriptorIds, endTime);
    const by = { jobId: String(ctx.jobId), claimEpoch: ctx.claimEpoch, cipher, signal: ctx.signal };
    const file = await writeStatistics(storage, directory, statistics, by);
    await ctx.pausepoint('backup.afterStatistics');
    return file;
  }

  /** What each tier's place holds, for readers that do not know which place is whose. */
  async #writeParts(storage: CollectionStorage, ctx: JobContext, { layerId, localities, files }: Manifest): Promise<void> {
    const { directory } = this.#details;
    for (const locality of localities) {
      const own = files.filter((file) => file.locality === locality);
      await writePart(storage.writeStorage(directory, locality), directory, { layerId, locality, files: own }, ctx.signal);
    }
  }

  /** The keys of an encrypted chain, before the first file that needs one. Written again it is the same. */
  async #writeEncryptionInfo(storage: CollectionStorage, ctx: JobContext): Promise<void> {
    const { directory, encryptionInfo } = this.#details;
    if (encryptionInfo !== undefined) {
      await ctx.checkClaim();
      await writeEncryptionInfo(storage, directory, 1, Buffer.from(encryptionInfo, 'base64'), ctx.signal);
    }
    await ctx.pausepoint('backup.afterEncryptionInfo');
  }

  async #layerCipher(storage: CollectionStorage, ctx: JobContext): Promise<LayerCipher | undefined> {
    const { directory, layerId } = this.#details;
    const cipher = await storage.keys.cipherOf(storage, directory, ctx.signal);
    return cipher && new LayerCipher(cipher, layerId);
  }

  async #export(storage: CollectionStorage, ctx: JobContext, cipher: LayerCipher | undefined): Promise<ExportProgress> {
    const { kv, settings } = this.#deps;
    const details = this.#details;
    const owner = { clusterId: kv.clusterId, jobId: String(ctx.jobId) };
    const isFirstAttempt = this.#isFirstAttempt(ctx);
    this.#hasBegun = true;
    const { signal } = ctx;
    const found = isFirstAttempt ? undefined : await readNewestCheckpoint(storage, details.directory, owner, { cipher, signal });
    const done: ExportProgress = found ?? { files: [], emptySpans: [] };
    await ctx.pausepoint('backup.beforeExport');

    const storages = new Map<number, CollectionStorage>();
    let checkpointAt = Number.NEGATIVE_INFINITY;
    let isFirst = true;
    try {
      return await exportLayer({
        kv,
        details,
        cipher,
        done,
        fileTargetBytes: settings.fileSizeBytes(),
        signal: ctx.signal,
        newFileName: () => dataFileName(String(ctx.jobId), ctx.claimEpoch, ++this.#fileNumber),
        storageFor: (node) => {
          const opened = storages.get(node.id) ?? this.#open(node);
          storages.set(node.id, opened);
          return opened;
        },
        onProgress: async (progress, fraction, isAll) => {
          const now = kv.clock.nowMicros();
          // When all is there the manifest follows; until then a coordinator that goes on exports again what is newer than its checkpoint.
          if (!isAll && now - checkpointAt >= settings.checkpointIntervalMicros()) {
            await this.#checkpoint(storage, ctx, cipher, progress, fraction * EXPORT_FRACTION);
            checkpointAt = now;
          } else {
            await ctx.setFraction(fraction * EXPORT_FRACTION);
          }
          if (isFirst) {
            isFirst = false;
            await ctx.pausepoint('backup.afterFirstExport');
          }
        },
      });
    } finally {
      for (const opened of storages.values()) await opened.close();
    }
  }

  /** The new checkpoint first, then the older ones go: there is always one. */
  async #checkpoint(
    storage: CollectionStorage,
    ctx: JobContext,
    cipher: LayerCipher | undefined,
    progress: ExportProgress,
    fraction: number,
  ): Promise<void> {
    const { kv } = this.#deps;
    const { directory } = this.#details;
    const own = { clusterId: kv.clusterId, jobId: String(ctx.jobId), claimEpoch: ctx.claimEpoch, time: kv.hlc.now() };
    await ctx.checkClaim();
    const name = await writeCheckpoint(storage, directory, { ...own, ...progress }, { cipher, signal: ctx.signal });
    await ctx.checkpoint({ progress: { checkpoint: name, files: progress.files.length }, fractionCompleted: fraction });
    if (!storage.capabilities.delete) return;
    for (const older of await listCheckpoints(storage, directory, ctx.signal)) if (older !== name) await storage.delete(older);
  }

  async #makeManifest(ctx: JobContext, progress: ExportProgress): Promise<Manifest> {
    const { kv } = this.#deps;
    const { endTime, revisionHistory, revisionStartTime, descriptorIds, historyIds, completeDatabaseIds } = this.#details;
    const { location: _, user: _1, directory: _2, descriptorIds: _3, historyIds: _4, protectionIds: _5, ...told } = this.#details;
    const { executionLocality: _6, strictLocality: _7, encryptionInfo: _8, updatesMetrics: _9, ...facts } = told;
    const byKey = [...progress.files].sort((a, b) => (firstKey(a) < firstKey(b) ? -1 : 1));
    const scope = { isCluster: this.#details.scope === 'cluster', databaseIds: completeDatabaseIds, ids: historyIds };
    const manifest: Manifest = {
      ...facts,
      clusterId: kv.clusterId,
      clusterVersion: CLUSTER_VERSION,
      jobId: String(ctx.jobId),
      descriptors: await this.#descriptors(endTime, descriptorIds),
      descriptorChanges: revisionHistory ? await descriptorHistory(kv, scope, revisionStartTime, endTime) : [],
      files: byKey,
      emptySpans: progress.emptySpans,
      entryCounts: countsOf(progress.files),
    };
    const held = mergeSpans(intervalsOf(manifest).map(({ span }) => span));
    assert(subtractSpans(manifest.spans, held).length === 0, 'an export left out a part of the spans');
    return manifest;
  }

  async #descriptors(at: Timestamp, ids: readonly number[]): Promise<Descriptor[]> {
    const snapshot = await this.#deps.catalog.snapshot(this.#deps.kv.at(at));
    return ids.map((id) => {
      const descriptor = snapshot.byId(id);
      assert(descriptor !== undefined, `descriptor ${id} is not in the catalog as of ${at}`);
      return descriptor;
    });
  }

  /** The layer's entry in the collection's index, and those of the chain that were lost. */
  async #writeIndex(storage: CollectionStorage, ctx: JobContext, layer: Layer): Promise<void> {
    const full = fullOfDirectory(layer.directory);
    if (full === undefined || !storage.isCollection) return;
    await ctx.pausepoint('backup.beforeIndex');
    await ctx.checkClaim();
    await writeIndexFile(storage, full, indexOfLayer(layer), ctx.signal);
    await ctx.pausepoint('backup.afterIndex');
    if (this.#details.kind === 'incremental' && storage.capabilities.list) await healIndex(storage, full, ctx.signal);
  }

  async #writeLatest(storage: CollectionStorage, ctx: JobContext): Promise<void> {
    if (this.#details.kind !== 'full' || !storage.isCollection) return;
    await ctx.pausepoint('backup.beforeLatest');
    await ctx.checkClaim();
    await writeLatest(storage, this.#details.directory, this.#details.endTime, ctx.signal);
    await ctx.pausepoint('backup.afterLatest');
  }

  /** Removes what only a job under way needs: files of attempts that came to nothing, checkpoints, the lock. */
  async #cleanUp(storage: CollectionStorage, ctx: JobContext, manifest: Manifest): Promise<void> {
    const { directory } = this.#details;
    if (storage.capabilities.delete && storage.capabilities.list) {
      await ctx.checkClaim();
      const named = new Set(manifest.files.map((file) => `${directory}/${file.path}`));
      if (manifest.statistics) named.add(`${directory}/${manifest.statistics.path}`);
      for (const place of storage.layerStorages(directory)) {
        const { dataFiles, checkpoints } = await listWorkFiles(place, directory, String(ctx.jobId), ctx.signal);
        for (const name of dataFiles) if (!named.has(name)) await place.delete(name);
        for (const name of checkpoints) await place.delete(name);
      }
      await storage.delete(lockName(directory, String(ctx.jobId)));
    }
    await ctx.pausepoint('backup.afterCleanup');
  }

  /** Data files and parts of this job, in every place. */
  async #deleteFiles(storage: CollectionStorage, ctx: JobContext): Promise<void> {
    const { directory, localities, layerId } = this.#details;
    for (const locality of localities) {
      const place = storage.writeStorage(directory, locality);
      if (await isPartOf(place, directory, locality, layerId, ctx.signal)) await place.delete(partName(directory, locality));
    }
    for (const place of storage.layerStorages(directory)) {
      const names = await place.list(`${directory}/${dataFilePrefix(String(ctx.jobId))}`, { signal: ctx.signal });
      for (const name of names) await place.delete(name);
    }
  }

  // ---- onFailOrCancel ---------------------------------------------------------------------------

  /** Pointer, manifest, data, checkpoints, and the lock last: whoever comes in between sees a layer whole or none (J4). */
  async #deleteEverything(storage: CollectionStorage, ctx: JobContext): Promise<void> {
    const { directory, kind, endTime } = this.#details;
    const jobId = String(ctx.jobId);
    await ctx.checkClaim();
    // Without a manifest there is neither checksum nor pointer: they come after it, and go before it.
    if (await this.#hasOwnManifest(storage, ctx)) {
      const full = fullOfDirectory(directory);
      if (full !== undefined) await storage.delete(indexName(full, this.#details));
      if (kind === 'full') await storage.delete(latestName(endTime));
      await storage.delete(`${directory}/${MANIFEST_CHECKSUM_NAME}`);
      await storage.delete(`${directory}/${MANIFEST_NAME}`);
    }
    await this.#deleteFiles(storage, ctx);
    const owner = { clusterId: this.#deps.kv.clusterId, jobId };
    // What no key opens any more goes with what is nobody's.
    const cipher = await this.#layerCipher(storage, ctx).catch(() => undefined);
    // Each look finds the newest of this job's readable checkpoints, until there is none.
    for (;;) {
      const checkpoint = await readNewestCheckpoint(storage, directory, owner, { cipher, signal: ctx.signal });
      if (checkpoint === undefined) break;
      await storage.delete(checkpoint.name);
    }
    if (await this.#isAlone(storage, ctx)) {
      for (const name of await listCheckpoints(storage, directory, ctx.signal)) await storage.delete(name);
    }
    await this.#deleteEncryptionInfo(storage, ctx);
    await storage.delete(lockName(directory, jobId));
  }

  /** What this job wrote, and keys that were added to it since. */
  async #deleteEncryptionInfo(storage: CollectionStorage, ctx: JobContext): Promise<void> {
    const { directory, encryptionInfo } = this.#details;
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
   * Whether the directory's manifest, if there is one, is this job's. A damaged one would make the whole
   * chain unreadable, so it must go; what the storage garbled on this one read is read again first.
   */
  async #hasOwnManifest(storage: CollectionStorage, ctx: JobContext): Promise<boolean> {
    const { directory } = this.#details;
    try {
      const manifest = await storedManifest(storage, directory, ctx.signal);
      return manifest !== undefined && this.#isOwn(manifest, ctx);
    } catch (error) {
      // Without its key the manifest still tells its layer.
      if (error instanceof EncryptionError || error instanceof KmsError) return await this.#isOwnByLayer(storage, ctx);
      if (!(error instanceof CorruptionError)) throw error;
      if (this.#mayRevertAgain()) throw new RetryableJobError(error.message, error);
      return await this.#isAlone(storage, ctx);
    }
  }

  async #isOwnByLayer(storage: CollectionStorage, ctx: JobContext): Promise<boolean> {
    const { directory, layerId } = this.#details;
    const bytes = Buffer.from(await storage.read(`${directory}/${MANIFEST_NAME}`, { signal: ctx.signal }));
    return sealedLayerId(bytes) === layerId;
  }

  /** Nobody writes where another's lock stands, so where none does, what cannot tell its owner is this job's. */
  async #isAlone(storage: CollectionStorage, ctx: JobContext): Promise<boolean> {
    const locks = await listLocks(storage, this.#details.directory, ctx.signal);
    return locks.every((jobId) => jobId === String(ctx.jobId));
  }

  #mayRevertAgain(): boolean {
    return ++this.#revertAttempts < REVERT_ATTEMPTS_MAX;
  }

  async #releaseProtections(txn: Txn): Promise<void> {
    const { protections } = this.#deps;
    for (const id of this.#details.protectionIds) {
      if ((await protections.get(txn, id)) !== undefined) await protections.release(txn, id);
    }
  }
}

function firstKey(file: Manifest['files'][number]): string {
  return file.parts[0]?.span.key ?? '';
}
