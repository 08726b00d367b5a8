/**
 * Compaction job: from the record that planning wrote to a finished compacted layer, or to nothing.
 *
 *   lock -> is the chain to stay? -> merge (files, checkpoints) -> manifest, checksum -> clean up
 *
 * The layer is written, and taken back, by backup/layerWriter.ts, under the rules there. It reads the collection only, never the
 * cluster's data, so it holds no protection; layers that it reads stay as they are.
 */
import { CorruptionError, StateError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Statistic } from '../../catalog/tableStatistics.ts';
import type { JobContext, JobOutcome, Resumer } from '../../jobs/job.ts';

import type { LayerCipher } from '../../backup/cipher.ts';
import { refuseWhileDeleted } from '../../backup/deletionMark.ts';
import type { Claimant } from '../../backup/holders.ts';
import type { BackupResult } from '../../backup/layerSettings.ts';
import { type Attempt, type LayerContent, type LayerData, LayerWriter, type LayerWriterDeps } from '../../backup/layerWriter.ts';
import { countsOf, isMissing, type Layer, type Manifest, readManifest } from '../../backup/manifest.ts';
import type { ManifestFile, StatisticsFile } from '../../backup/manifest.ts';
import { readBackupStatistics } from '../../backup/statisticsFile.ts';
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
  'compaction.afterStatistics',
  'compaction.beforeManifest',
  'compaction.afterManifest',
  'compaction.afterCleanup',
  'compaction.beforeRevert',
  'compaction.afterRevert',
] as const);

/** CockroachDB's names of the place where the lock is held and nothing is merged. */
export const COMPACTION_PAUSEPOINT_ALIASES = Object.freeze({
  'backup.after.write_lock': 'compaction.afterLock',
  'backup_compaction.after.details_has_checkpoint': 'compaction.afterLock',
});

export const COMPACTION_ATTEMPTS_MAX = 6;

/** What is merged, and how. */
interface Inputs {
  readonly layers: readonly [Layer, ...Layer[]];
  readonly plan: CompactionPlan;
}

export class CompactionResumer implements Resumer {
  readonly #deps: LayerWriterDeps;
  readonly #details: CompactionDetails;
  readonly #writer: LayerWriter;

  constructor(deps: LayerWriterDeps, details: CompactionDetails) {
    this.#deps = deps;
    this.#details = details;
    this.#writer = new LayerWriter(deps, details, 'compaction');
  }

  async resume(ctx: JobContext): Promise<JobOutcome> {
    const { manifest } = await this.#writer.attempt(ctx, async (attempt) => {
      const layer = await this.#writer.write(attempt, this.#content());
      await this.#writer.cleanUp(attempt, layer.manifest);
      return layer;
    });
    const { rows, indexEntries, dataBytes } = manifest.entryCounts;
    const result: BackupResult = { rows, indexEntries, dataBytes };
    return { result };
  }

  async onFailOrCancel(ctx: JobContext): Promise<undefined> {
    await this.#writer.undo(ctx);
    return undefined;
  }

  /** Of one attempt, which reads its inputs once the directory is claimed. */
  #content(): LayerContent {
    let inputs: Inputs | undefined;
    const read = async (attempt: Attempt): Promise<Inputs> => {
      inputs ??= await this.#readInputs(attempt);
      return inputs;
    };
    return {
      begin: (attempt, claimant) => this.#checkChainStays(attempt, claimant),
      writeData: async (attempt, cipher, done) => await this.#merge(attempt, await read(attempt), cipher, done),
      statistics: async (attempt) => await this.#statistics(attempt, await read(attempt)),
      makeManifest: async (attempt, data, statistics) => this.#makeManifest(attempt, await read(attempt), data, statistics),
    };
  }

  async #checkChainStays({ ctx, storage }: Attempt, claimant: Claimant): Promise<void> {
    await refuseWhileDeleted(storage, this.#details.full, claimant, this.#deps.jobs, ctx.signal);
  }

  /** The layers that were planned on. 55000 when one is another now. */
  async #readInputs({ ctx, storage }: Attempt): Promise<Inputs> {
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
    const all = layers as [Layer, ...Layer[]];
    return { layers: all, plan: planCompaction(all) };
  }

  async #merge(attempt: Attempt, { plan }: Inputs, cipher: LayerCipher | undefined, stored: LayerData): Promise<LayerData> {
    const { kv, settings } = this.#deps;
    const { directory, localities } = this.#details;
    const { ctx, storage } = attempt;
    const files = [...stored.files];
    const emptySpans = [...stored.emptySpans];
    const done = new Set([...files.flatMap(({ parts }) => parts), ...emptySpans].map(({ span }) => span.key));
    const left = plan.pieces.filter(({ span }) => !done.has(span.key));
    await ctx.pausepoint('compaction.beforeMerge');
    let isFirst = true;
    await mergeFiles(left, {
      storage,
      executor: kv.executor,
      signal: ctx.signal,
      directory,
      revisionHistory: plan.revisionHistory,
      targetBytes: settings.fileSizeBytes(),
      newFileName: () => this.#writer.newFileName(ctx),
      cipherFor: (path) => cipher?.forFile(path),
      tierOf: (piece) => tierOf(piece, localities),
      onFile: async (file, empty) => {
        if (file) files.push(file);
        emptySpans.push(...empty);
        const count = files.reduce((sum, { parts }) => sum + parts.length, emptySpans.length);
        const { length } = plan.pieces;
        await this.#writer.noteProgress(attempt, cipher, { files, emptySpans }, count / length, count === length);
        if (isFirst) await ctx.pausepoint('compaction.afterFirstFile');
        isFirst = false;
      },
    });
    await ctx.pausepoint('compaction.afterMerge');
    return { files, emptySpans: [...emptySpans, ...plan.emptySpans] };
  }

  /** Those of the newest layer, if they can be read: nothing depends on them. */
  async #statistics({ ctx, storage }: Attempt, { layers }: Inputs): Promise<readonly Statistic[]> {
    const last = layers.at(-1) ?? layers[0];
    return await readBackupStatistics(storage, last, ctx.signal).catch((error: unknown) => {
      if (isMissing(error) || error instanceof CorruptionError) return [];
      throw error;
    });
  }

  #makeManifest({ ctx }: Attempt, { layers, plan }: Inputs, data: LayerData, statistics: StatisticsFile | undefined): Manifest {
    const { files, emptySpans } = data;
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
}

/** The tier that all of a piece's files have, as far as there is a place for it. */
function tierOf({ parts }: Piece, localities: readonly string[]): string {
  const tiers = new Set(parts.map(({ file }) => file.file.locality));
  const [tier = ''] = tiers;
  return tiers.size === 1 && localities.includes(tier) ? tier : '';
}
