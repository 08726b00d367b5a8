/**
 * Compaction job: from the record that planning wrote to a finished compacted layer, or to nothing.
 *
 *   lock -> is the chain to stay? -> merge (files, checkpoints) -> confirm files -> manifest, checksum -> clean up
 *
 * The rules are a backup's (backup/backupJob.ts, J1 to J4): success means restorable, any step may be the last one of a
 * coordinator, the claim is checked before what cannot be undone, and after a failure or a cancel nothing is left. It reads
 * the collection only, never the cluster's data, so it holds no protection; layers that it reads stay as they are.
 */
import { CorruptionError, StateError, StorageError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { JobContext, JobOutcome, Resumer } from '../../jobs/job.ts';
import { RetryableJobError } from '../../jobs/job.ts';
import type { JobRegistry } from '../../jobs/registry.ts';
import type { Kv } from '../../kv/kv.ts';
import type { StorageFactory } from '../../storage/externalStorage.ts';

import type { BackupResult, BackupSettings } from '../../backup/layerSettings.ts';
import { readNewestCheckpoint, writeCheckpoint } from '../../backup/checkpoint.ts';
import { EncryptionError, LayerCipher } from '../../backup/cipher.ts';
import {
  dataFileName,
  dataFilePrefix,
  listCheckpoints,
  listLocks,
  listWorkFiles,
  lockName,
  MANIFEST_CHECKSUM_NAME,
  MANIFEST_NAME,
} from '../../backup/collection.ts';
import { type CollectionStorage, openCollection } from '../../backup/collectionStorage.ts';
import { verifyStoredFile } from '../../backup/dataFileReader.ts';
import { refuseWhileDeleted } from '../../backup/deletionMark.ts';
import { checkAlone, type Claimant, storedManifest, writeLock } from '../../backup/directoryClaim.ts';
import { isPartOf, partName, writePart } from '../../backup/localityPart.ts';
import { countsOf, isMissing, type Layer, type Manifest, readManifest, writeManifest } from '../../backup/manifest.ts';
import type { ManifestFile, SpanInterval, StatisticsFile } from '../../backup/manifest.ts';
import { readBackupStatistics, writeStatistics } from '../../backup/statisticsFile.ts';
import type { CompactionDetails } from './compactionDetails.ts';
import { type CompactionPlan, type Piece, planCompaction } from './compactionPlan.ts';
import { mergeFiles } from './mergeFiles.ts';

/** In the order in which a compaction comes to them; the last two while it is undone. */
export const COMPACTION_PAUSEPOINTS = Object.freeze([
  'compaction.beforeLock',
  'compaction.afterLock',
  'compaction.beforeMerge',
  'compaction.afterFirstFile',
  'compaction.afterMerge',
  'compaction.beforeManifest',
  'compaction.afterManifest',
  'compaction.afterCleanup',
  'compaction.beforeRevert',
  'compaction.afterRevert',
] as const);

export const COMPACTION_ATTEMPTS_MAX = 6;
/** Below COMPACTION_ATTEMPTS_MAX, at which the registry would give up in its own way. */
const REVERT_ATTEMPTS_MAX = 4;
const MERGE_FRACTION = 0.95;

export interface CompactionJobDeps {
  readonly kv: Kv;
  readonly jobs: JobRegistry;
  readonly storage: StorageFactory;
  readonly settings: BackupSettings;
}

interface MergeProgress {
  readonly files: readonly ManifestFile[];
  readonly emptySpans: readonly SpanInterval[];
}

export class CompactionResumer implements Resumer {
  readonly #deps: CompactionJobDeps;
  readonly #details: CompactionDetails;
  #fileNumber = 0;
  #revertAttempts = 0;

  constructor(deps: CompactionJobDeps, details: CompactionDetails) {
    this.#deps = deps;
    this.#details = details;
  }

  async resume(ctx: JobContext): Promise<JobOutcome> {
    const storage = this.#open(ctx);
    try {
      const manifest = (await this.#finished(storage, ctx)) ?? (await this.#writeLayer(storage, ctx));
      await this.#cleanUp(storage, ctx, manifest);
      const { rows, indexEntries, dataBytes } = manifest.entryCounts;
      const result: BackupResult = { rows, indexEntries, dataBytes };
      return { result };
    } finally {
      await storage.close();
    }
  }

  async onFailOrCancel(ctx: JobContext): Promise<undefined> {
    await ctx.pausepoint('compaction.beforeRevert');
    const storage = this.#open(ctx);
    try {
      if (storage.capabilities.delete && storage.capabilities.list) await this.#deleteEverything(storage, ctx);
    } catch (error) {
      if (!(error instanceof StorageError) || (error.isRetryable && ++this.#revertAttempts < REVERT_ATTEMPTS_MAX)) throw error;
      await ctx.checkpoint({ runningStatus: `files are left in "${storage.uri}": ${error.message}` });
    } finally {
      await storage.close();
    }
    await ctx.pausepoint('compaction.afterRevert');
    return undefined;
  }

  #open(ctx: JobContext): CollectionStorage {
    const { location, user } = this.#details;
    return openCollection(this.#deps.storage, location, { user, nodeId: ctx.node.id });
  }

  #claimant(ctx: JobContext): Claimant {
    return { clusterId: this.#deps.kv.clusterId, jobId: String(ctx.jobId), nodeId: ctx.node.id };
  }

  #isOwn(manifest: Manifest, ctx: JobContext): boolean {
    return manifest.jobId === String(ctx.jobId) && manifest.clusterId === this.#deps.kv.clusterId;
  }

  /** This job's own manifest, complete: a coordinator before came that far. */
  async #finished(storage: CollectionStorage, ctx: JobContext): Promise<Manifest | undefined> {
    try {
      const { manifest } = await readManifest(storage, this.#details.directory, ctx.signal);
      return this.#isOwn(manifest, ctx) ? manifest : undefined;
    } catch (error) {
      if (isMissing(error) || error instanceof EncryptionError) return undefined;
      throw error;
    }
  }

  async #writeLayer(storage: CollectionStorage, ctx: JobContext): Promise<Manifest> {
    const { directory, full, layerId, localities } = this.#details;
    const { jobs } = this.#deps;
    const claimant = this.#claimant(ctx);
    await ctx.pausepoint('compaction.beforeLock');
    await ctx.checkClaim();
    const isOurs = await writeLock(storage, directory, claimant, ctx.signal);
    await ctx.pausepoint('compaction.afterLock');
    await checkAlone(storage, directory, claimant, isOurs, jobs, ctx.signal);
    await refuseWhileDeleted(storage, full, claimant, jobs, ctx.signal);

    const layers = await this.#readInputs(storage, ctx);
    const plan = planCompaction(layers);
    const key = await storage.keys.cipherOf(storage, directory, ctx.signal);
    const cipher = key && new LayerCipher(key, layerId);
    const progress = await this.#merge(storage, ctx, plan, cipher);
    await ctx.pausepoint('compaction.afterMerge');
    for (const file of progress.files) {
      await verifyStoredFile(storage.writeStorage(directory, file.locality), `${directory}/${file.path}`, file, ctx.signal);
    }
    const statistics = await this.#copyStatistics(storage, ctx, layers.at(-1) as Layer, cipher);
    const manifest = this.#makeManifest(ctx, layers, plan, progress, statistics);
    await ctx.pausepoint('compaction.beforeManifest');
    await ctx.checkClaim();
    await checkAlone(storage, directory, claimant, isOurs, jobs, ctx.signal);
    for (const locality of localities) {
      const own = manifest.files.filter((file) => file.locality === locality);
      await writePart(storage.writeStorage(directory, locality), directory, { layerId, locality, files: own }, ctx.signal);
    }
    await writeManifest(storage, directory, manifest, ctx.signal);
    await ctx.pausepoint('compaction.afterManifest');
    return manifest;
  }

  /** The layers that were planned on. 55000 when one is another now. */
  async #readInputs(storage: CollectionStorage, ctx: JobContext): Promise<[Layer, ...Layer[]]> {
    const layers: Layer[] = [];
    for (const { directory, manifestSha256 } of this.#details.inputs) {
      const layer = await readManifest(storage, directory, ctx.signal);
      if (layer.manifestSha256 !== manifestSha256) {
        throw new StateError(SqlState.ObjectNotInPrerequisiteState, `layer "${directory}" is not the one that was to be compacted`, {
          detail: 'another backup has been written there since',
          hint: 'run COMPACT BACKUP again',
        });
      }
      layers.push(layer);
    }
    return layers as [Layer, ...Layer[]];
  }

  async #merge(storage: CollectionStorage, ctx: JobContext, plan: CompactionPlan, cipher: LayerCipher | undefined): Promise<MergeProgress> {
    const { kv, settings } = this.#deps;
    const { directory, localities } = this.#details;
    const { signal } = ctx;
    const own = { clusterId: kv.clusterId, jobId: String(ctx.jobId), claimEpoch: ctx.claimEpoch };
    const found = storage.capabilities.list ? await readNewestCheckpoint(storage, directory, own, { cipher, signal }) : undefined;
    const files = [...(found?.files ?? [])];
    const emptySpans = [...(found?.emptySpans ?? [])];
    const done = new Set([...files.flatMap(({ parts }) => parts), ...emptySpans].map(({ span }) => span.key));
    const left = plan.pieces.filter(({ span }) => !done.has(span.key));
    await ctx.pausepoint('compaction.beforeMerge');
    let checkpointAt = Number.NEGATIVE_INFINITY;
    let isFirst = true;
    await mergeFiles(left, {
      storage,
      executor: kv.executor,
      signal,
      directory,
      revisionHistory: plan.revisionHistory,
      targetBytes: settings.fileSizeBytes(),
      newFileName: () => dataFileName(String(ctx.jobId), ctx.claimEpoch, ++this.#fileNumber),
      cipherFor: (path) => cipher?.forFile(path),
      tierOf: (piece) => tierOf(piece, localities),
      onFile: async (file, empty) => {
        if (file) files.push(file);
        emptySpans.push(...empty);
        const count = files.reduce((sum, { parts }) => sum + parts.length, emptySpans.length);
        const fraction = (MERGE_FRACTION * count) / plan.pieces.length;
        const now = kv.clock.nowMicros();
        if (count < plan.pieces.length && now - checkpointAt >= settings.checkpointIntervalMicros()) {
          await ctx.checkClaim();
          const name = await writeCheckpoint(storage, directory, { ...own, time: kv.hlc.now(), files, emptySpans }, { cipher, signal });
          await ctx.checkpoint({ progress: { checkpoint: name, files: files.length }, fractionCompleted: fraction });
          checkpointAt = now;
        } else {
          await ctx.setFraction(fraction);
        }
        if (isFirst) await ctx.pausepoint('compaction.afterFirstFile');
        isFirst = false;
      },
    });
    return { files, emptySpans: [...emptySpans, ...plan.emptySpans] };
  }

  /** Those of the newest layer, if they can be read: nothing depends on them. */
  async #copyStatistics(
    storage: CollectionStorage,
    ctx: JobContext,
    last: Layer,
    cipher: LayerCipher | undefined,
  ): Promise<StatisticsFile | undefined> {
    const statistics = await readBackupStatistics(storage, last, ctx.signal).catch((error: unknown) => {
      if (isMissing(error) || error instanceof CorruptionError) return [];
      throw error;
    });
    const by = { jobId: String(ctx.jobId), claimEpoch: ctx.claimEpoch, cipher, signal: ctx.signal };
    return await writeStatistics(storage, this.#details.directory, statistics, by);
  }

  #makeManifest(
    ctx: JobContext,
    layers: readonly [Layer, ...Layer[]],
    plan: CompactionPlan,
    { files, emptySpans }: MergeProgress,
    statistics: StatisticsFile | undefined,
  ): Manifest {
    const { layerId, compacts, parent, localities } = this.#details;
    const last = (layers.at(-1) ?? layers[0]).manifest;
    const { scope, targets, endTime, completeDatabaseIds, targetIds, descriptors } = last;
    const { spans, introducedSpans, revisionHistory, revisionStartTime, descriptorChanges } = plan;
    const firstKey = (file: ManifestFile) => file.parts[0]?.span.key ?? '';
    return {
      layerId,
      clusterId: this.#deps.kv.clusterId,
      jobId: String(ctx.jobId),
      kind: 'incremental',
      scope,
      targets,
      startTime: layers[0].manifest.startTime,
      endTime,
      revisionHistory,
      revisionStartTime,
      localities,
      spans,
      introducedSpans,
      completeDatabaseIds,
      targetIds,
      descriptors,
      descriptorChanges,
      files: [...files].sort((a, b) => (firstKey(a) < firstKey(b) ? -1 : 1)),
      emptySpans: [...emptySpans].sort((a, b) => (a.span.key < b.span.key ? -1 : 1)),
      entryCounts: countsOf(files),
      ...(statistics && { statistics }),
      parent,
      compacts,
    };
  }

  async #cleanUp(storage: CollectionStorage, ctx: JobContext, manifest: Manifest): Promise<void> {
    const { directory } = this.#details;
    if (storage.capabilities.delete && storage.capabilities.list) {
      await ctx.checkClaim();
      const named = new Set(manifest.files.map((file) => `${directory}/${file.path}`));
      if (manifest.statistics) named.add(`${directory}/${manifest.statistics.path}`);
      for (const place of storage.layerStorages(directory)) {
        const { dataFiles, checkpoints } = await listWorkFiles(place, directory, String(ctx.jobId), ctx.signal);
        for (const name of [...dataFiles, ...checkpoints]) if (!named.has(name)) await place.delete(name);
      }
      await storage.delete(lockName(directory, String(ctx.jobId)));
    }
    await ctx.pausepoint('compaction.afterCleanup');
  }

  /** Manifest first, lock last: whoever comes in between sees a layer whole or none. */
  async #deleteEverything(storage: CollectionStorage, ctx: JobContext): Promise<void> {
    const { directory, localities, layerId } = this.#details;
    const { signal } = ctx;
    const jobId = String(ctx.jobId);
    await ctx.checkClaim();
    const isAlone = (await listLocks(storage, directory, signal)).every((one) => one === jobId);
    if (await this.#hasOwnManifest(storage, ctx, isAlone)) {
      await storage.delete(`${directory}/${MANIFEST_CHECKSUM_NAME}`);
      await storage.delete(`${directory}/${MANIFEST_NAME}`);
    }
    for (const locality of localities) {
      const place = storage.writeStorage(directory, locality);
      if (await isPartOf(place, directory, locality, layerId, signal)) await place.delete(partName(directory, locality));
    }
    for (const place of storage.layerStorages(directory)) {
      for (const name of await place.list(`${directory}/${dataFilePrefix(jobId)}`, { signal })) await place.delete(name);
    }
    if (isAlone) for (const name of await listCheckpoints(storage, directory, signal)) await storage.delete(name);
    await storage.delete(lockName(directory, jobId));
  }

  /** One that the storage garbled is this job's where nobody else is. */
  async #hasOwnManifest(storage: CollectionStorage, ctx: JobContext, isAlone: boolean): Promise<boolean> {
    try {
      const manifest = await storedManifest(storage, this.#details.directory, ctx.signal);
      return manifest !== undefined && this.#isOwn(manifest, ctx);
    } catch (error) {
      if (!(error instanceof CorruptionError) && !(error instanceof EncryptionError)) throw error;
      if (++this.#revertAttempts < REVERT_ATTEMPTS_MAX) throw new RetryableJobError(error.message, error);
      return isAlone;
    }
  }
}

/** The tier that all of a piece's files have, as far as there is a place for it. */
function tierOf({ parts }: Piece, localities: readonly string[]): string {
  const tiers = new Set(parts.map(({ file }) => file.file.locality));
  const [tier = ''] = tiers;
  return tiers.size === 1 && localities.includes(tier) ? tier : '';
}
