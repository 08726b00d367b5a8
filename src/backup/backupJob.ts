/**
 * Backup job: from the record that planning wrote to a finished layer, or to nothing.
 *
 *   lock -> keys -> export (files, checkpoints) -> manifest and checksum -> LATEST and index -> clean up
 *
 * The layer is written, and taken back, by layerWriter.ts, under the rules there; the backup adds what is in it and what
 * leads to it: the pointer to the newest full, and the collection's index. Before each of these the claim is checked as well.
 *
 * Lives elsewhere: what is exported and from when (backupPlanning.ts), the workers (exportLayer.ts).
 */
import { assert } from '../base/assert.ts';
import { StateError } from '../base/errors.ts';
import { mapConcurrently } from '../base/mapConcurrently.ts';
import { mergeSpans, subtractSpans } from '../base/span.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { CLUSTER_VERSION } from '../base/version.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Descriptor } from '../catalog/descriptor.ts';
import type { ProtectedRecords } from '../catalog/protectedRecords.ts';
import type { Statistic } from '../catalog/tableStatistics.ts';
import type { JobContext, JobOutcome, Resumer } from '../jobs/job.ts';
import type { Txn } from '../kv/kv.ts';
import { KmsError } from '../storage/kms/kms.ts';

import type { BackupDetails } from './backupDetails.ts';
import type { BackupMetrics } from './backupMetrics.ts';
import { descriptorHistory } from './backupSpans.ts';
import type { LayerCipher } from './cipher.ts';
import { confirmLatest, fullOfDirectory, isLayer, latestName, writeLatest } from './collection.ts';
import type { CollectionStorage } from './collectionStorage.ts';
import { intervalsOf } from './coverage.ts';
import { refuseWhileDeleted } from './deletionMark.ts';
import { requireNodes } from './executionLocality.ts';
import { exportLayer } from './exportLayer.ts';
import type { Claimant } from './holders.ts';
import { indexName, indexOfLayer, writeIndexFile } from './indexFile.ts';
import { healIndex } from './layerIndex.ts';
import { type Attempt, type LayerContent, type LayerData, LayerWriter, type LayerWriterDeps } from './layerWriter.ts';
import type { Layer, Manifest, StatisticsFile } from './manifest.ts';
import { countsOf } from './manifest.ts';
import type { OnScheduledSuccess } from './scheduledBackup.ts';
import { statisticsOf } from './statisticsFile.ts';

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

export interface BackupJobDeps extends LayerWriterDeps {
  readonly catalog: Catalog;
  readonly protections: ProtectedRecords;
  readonly metrics: BackupMetrics;
  readonly onScheduledSuccess?: OnScheduledSuccess | undefined;
}

export class BackupResumer implements Resumer, LayerContent {
  readonly #deps: BackupJobDeps;
  readonly #details: BackupDetails;
  readonly #writer: LayerWriter;

  constructor(deps: BackupJobDeps, details: BackupDetails) {
    this.#deps = deps;
    this.#details = details;
    this.#writer = new LayerWriter(deps, details, 'backup');
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
    const { manifest } = await this.#writer.attempt(ctx, async (attempt) => {
      const layer = await this.#writer.write(attempt, this);
      const confirmations = await this.#writePointers(attempt, layer);
      // Nothing is written any more: the lock may go meanwhile.
      const last = [...confirmations, () => this.#writer.cleanUp(attempt, layer.manifest)];
      await mapConcurrently(last, last.length, (step) => step());
      return layer;
    });
    const { rows, indexEntries, dataBytes } = manifest.entryCounts;
    const inFinalTxn = async (txn: Txn) => {
      const { schedule } = this.#details;
      if (schedule) await this.#deps.onScheduledSuccess?.(txn, { schedule, jobId: ctx.jobId, details: this.#details });
      await this.#releaseProtections(txn);
    };
    return { result: { rows, indexEntries, dataBytes }, inFinalTxn };
  }

  async onFailOrCancel(ctx: JobContext): Promise<JobOutcome> {
    const { directory, kind, endTime } = this.#details;
    const full = fullOfDirectory(directory);
    const pointers = [...(full === undefined ? [] : [indexName(full, this.#details)]), ...(kind === 'full' ? [latestName(endTime)] : [])];
    await this.#writer.undo(ctx, pointers);
    return { inFinalTxn: (txn) => this.#releaseProtections(txn) };
  }

  // ---- what is in the layer ---------------------------------------------------------------------

  async begin({ ctx, storage }: Attempt, claimant: Claimant): Promise<void> {
    await this.#checkChainStays(ctx, storage, claimant);
  }

  /** What the index lacks of the chain's other layers. */
  async mend({ ctx, storage }: Attempt): Promise<void> {
    const { kind, directory } = this.#details;
    const full = fullOfDirectory(directory);
    if (kind === 'full' || full === undefined || !storage.isCollection || !storage.capabilities.list) return;
    await healIndex(storage, full, { except: directory, signal: ctx.signal });
  }

  /** 55006 when what the layer continues is being deleted: it would lead nowhere. Looked at after the lock was written. */
  async #checkChainStays(ctx: JobContext, storage: CollectionStorage, claimant: Claimant): Promise<void> {
    const full = fullOfDirectory(this.#details.directory);
    if (this.#details.kind === 'full' || full === undefined) return;
    const { parent } = this.#details;
    const [, isThere] = await Promise.all([
      refuseWhileDeleted(storage, full, claimant, this.#deps.jobs, ctx.signal),
      parent === undefined || !storage.capabilities.list || isLayer(storage, parent.directory, ctx.signal),
    ]);
    if (parent === undefined || isThere) return;
    throw new StateError(SqlState.ObjectNotInPrerequisiteState, `the layer that backup "${full}" would continue is gone`, {
      detail: `"${parent.directory}" has been deleted since the backup was planned`,
      hint: 'run the BACKUP again',
    });
  }

  async writeData(attempt: Attempt, cipher: LayerCipher | undefined, done: LayerData): Promise<LayerData> {
    const { kv, settings } = this.#deps;
    const { ctx } = attempt;
    await ctx.pausepoint('backup.afterEncryptionInfo');
    await ctx.pausepoint('backup.beforeExport');
    const storages = new Map<number, CollectionStorage>();
    let isFirst = true;
    try {
      const data = await exportLayer({
        kv,
        details: this.#details,
        cipher,
        done,
        fileTargetBytes: settings.fileSizeBytes(),
        signal: ctx.signal,
        newFileName: () => this.#writer.newFileName(ctx),
        storageFor: (node) => {
          const opened = storages.get(node.id) ?? this.#writer.open(node);
          storages.set(node.id, opened);
          return opened;
        },
        onProgress: async (progress, fraction, isAll) => {
          await this.#writer.noteProgress(attempt, cipher, progress, fraction, isAll);
          if (isFirst) {
            isFirst = false;
            await ctx.pausepoint('backup.afterFirstExport');
          }
        },
      });
      await ctx.pausepoint('backup.afterExport');
      return data;
    } finally {
      for (const opened of storages.values()) await opened.close();
    }
  }

  /** What is known of the layer's tables. */
  async statistics(): Promise<readonly Statistic[]> {
    const { kv } = this.#deps;
    const { descriptorIds, endTime } = this.#details;
    return await statisticsOf(kv.at(kv.reading()), descriptorIds, endTime);
  }

  async makeManifest({ ctx }: Attempt, data: LayerData, statistics: StatisticsFile | undefined): Promise<Manifest> {
    const { kv } = this.#deps;
    const { endTime, revisionHistory, revisionStartTime, descriptorIds, historyIds, completeDatabaseIds } = this.#details;
    const { location: _, user: _1, directory: _2, descriptorIds: _3, historyIds: _4, protectionIds: _5, ...told } = this.#details;
    const { executionLocality: _6, strictLocality: _7, encryptionInfo: _8, updatesMetrics: _9, schedule: _10, ...facts } = told;
    const byKey = [...data.files].sort((a, b) => (firstKey(a) < firstKey(b) ? -1 : 1));
    const scope = { isCluster: this.#details.scope === 'cluster', databaseIds: completeDatabaseIds, ids: historyIds };
    const manifest: Manifest = {
      ...facts,
      clusterId: kv.clusterId,
      clusterVersion: CLUSTER_VERSION,
      jobId: String(ctx.jobId),
      descriptors: await this.#descriptors(endTime, descriptorIds),
      descriptorChanges: revisionHistory ? await descriptorHistory(kv, scope, revisionStartTime, endTime) : [],
      files: byKey,
      emptySpans: data.emptySpans,
      entryCounts: countsOf(data.files),
      ...(statistics && { statistics }),
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

  // ---- what leads to it -------------------------------------------------------------------------

  /**
   * LATEST, and the layer's entry in the collection's index, at once: either alone leads to a whole layer. What it returns reads
   * them back.
   */
  async #writePointers({ ctx, storage }: Attempt, layer: Layer): Promise<(() => Promise<void>)[]> {
    const { kind, directory, endTime } = this.#details;
    const { signal } = ctx;
    if (!storage.isCollection) return [];
    const full = fullOfDirectory(layer.directory);
    const isPointed = kind === 'full';
    const isIndexed = full !== undefined;
    if (isPointed) await ctx.pausepoint('backup.beforeLatest');
    if (isIndexed) await ctx.pausepoint('backup.beforeIndex');
    await ctx.checkClaim();
    const writes: (() => Promise<() => Promise<void>>)[] = [];
    if (isPointed)
      writes.push(async () => {
        await writeLatest(storage, directory, endTime, signal);
        return () => confirmLatest(storage, directory, endTime, signal);
      });
    if (isIndexed) writes.push(() => writeIndexFile(storage, full, indexOfLayer(layer), signal));
    const confirmations = await mapConcurrently(writes, writes.length, (write) => write());
    if (isPointed) await ctx.pausepoint('backup.afterLatest');
    if (isIndexed) await ctx.pausepoint('backup.afterIndex');
    return confirmations;
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
