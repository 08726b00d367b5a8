/**
 * Export layer: all of a layer's data files, by workers beside the leaseholders.
 *
 *   W1  work is cut at today's range bounds and given to the leaseholder's node, or under EXECUTION LOCALITY
 *       the nearest one that matches; what a node that
 *       stops had under way goes to whoever holds the lease then
 *   W2  a unit is done when its file is stored whole; done work is never done again (onProgress
 *       makes it durable)
 *   W3  the first failure stops all workers, and is thrown once they have stopped
 */
import { assert } from '../base/assert.ts';
import { StateError } from '../base/errors.ts';
import type { Span } from '../base/span.ts';
import { mergeSpans, subtractSpans } from '../base/span.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { Kv } from '../kv/kv.ts';
import { formatLocality } from '../kv/locality.ts';
import type { ClusterNode } from '../kv/nodeActor.ts';

import type { BackupDetails } from './backupDetails.ts';
import type { LayerCipher } from './cipher.ts';
import type { CollectionStorage } from './collectionStorage.ts';
import { workerFor } from './executionLocality.ts';
import type { ExportUnit } from './exportFile.ts';
import { checkNothingIsGone, exportFile, WorkerLostError } from './exportFile.ts';
import type { LayerData } from './layerWriter.ts';
import type { ManifestFile, SpanInterval } from './manifest.ts';

/** Two encode while a third waits for storage: what a thread pool of four keeps busy. */
const WORKERS_MAX = 3;
/** Units of one file at most: a file of very many tiny spans would make a failure expensive. */
const UNITS_PER_FILE_MAX = 1000;

/** A worker takes at least this much, so that small tables share files. */
const SHARE_BYTES_MIN = 8 << 20;

export interface ExportLayerOptions {
  readonly kv: Kv;
  readonly details: BackupDetails;
  /** Undefined: not encrypted. */
  readonly cipher?: LayerCipher | undefined;
  readonly done: LayerData;
  readonly fileTargetBytes: number;
  readonly signal: AbortSignal;
  /** A new name of a data file, within the layer's directory. */
  readonly newFileName: () => string;
  /** The collection as a node sees it. The caller closes it. */
  readonly storageFor: (node: ClusterNode) => CollectionStorage;
  /** Called after each finished file, one call at a time. `fraction` is of the bytes there are; `isAll`: nothing is left to export. */
  readonly onProgress: (progress: LayerData, fraction: number, isAll: boolean) => Promise<void>;
}

/** Exports what of the layer's spans is not done yet; returns everything. */
export async function exportLayer(options: ExportLayerOptions): Promise<LayerData> {
  const work = new Work(options);
  await work.run();
  return work.progress;
}

class Work {
  readonly #options: ExportLayerOptions;
  readonly #files: ManifestFile[];
  readonly #emptySpans: SpanInterval[];
  /** In key order. */
  #pending: ExportUnit[];
  #underWay = 0;
  readonly #totalBytes: number;
  #pendingBytes = 0;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  #reporting: Promise<void> = Promise.resolve();
  /** Workers that found nothing to do while others may give work back. */
  #idle: (() => void)[] = [];

  constructor(options: ExportLayerOptions) {
    this.#options = options;
    this.#files = [...options.done.files];
    this.#emptySpans = [...options.done.emptySpans];
    this.#signal = AbortSignal.any([options.signal, this.#stop.signal]);
    const { details } = options;
    this.#totalBytes = this.#bytesOf(details.spans);
    this.#pending = remainingUnits(details, options.done);
  }

  get progress(): LayerData {
    return { files: [...this.#files], emptySpans: [...this.#emptySpans] };
  }

  async run(): Promise<void> {
    this.#cutAtRanges();
    const failures: unknown[] = [];
    const worker = async (): Promise<void> => {
      try {
        await this.#work();
      } catch (error) {
        failures.push(error);
        this.#stop.abort(error);
        this.#wakeIdle();
      }
    };
    // Effects of their own: one that waits for its storage must not hide one that works.
    await this.#options.kv.activity.alongside(
      'export worker',
      Array.from({ length: WORKERS_MAX }, () => worker),
    );
    // What the others say after the first stop is an echo of it.
    if (failures.length > 0) throw failures[0];
    await this.#reporting;
  }

  get #lateTables(): ReadonlyMap<number, Timestamp> {
    return new Map(this.#options.details.lateTables ?? []);
  }

  get #historyFrom(): Timestamp | undefined {
    const { revisionHistory, revisionStartTime } = this.#options.details;
    return revisionHistory ? revisionStartTime : undefined;
  }

  async #work(): Promise<void> {
    for (;;) {
      this.#signal.throwIfAborted();
      const bundle = this.#take();
      if (bundle !== undefined) {
        await this.#exportBundle(bundle.node, bundle.units);
      } else if (this.#underWay > 0) {
        await this.#options.kv.activity.suspend(new Promise<void>((resolve) => this.#idle.push(resolve)));
      } else {
        this.#wakeIdle();
        return;
      }
    }
  }

  /** Work of one leaseholder, in key order: of the node that holds the first pending unit. */
  #take(): { node: ClusterNode; units: ExportUnit[] } | undefined {
    const first = this.#pending[0];
    if (first === undefined) return undefined;
    const node = this.#nodeOf(first);
    // Enough for one file, or for a fair share: the next worker takes up the rest. A small layer is one file a node.
    const share = Math.max(SHARE_BYTES_MIN, Math.min(this.#totalBytes / WORKERS_MAX, this.#options.fileTargetBytes));
    const units: ExportUnit[] = [];
    const left: ExportUnit[] = [];
    let bytes = 0;
    for (const unit of this.#pending) {
      const isMine = bytes < share && units.length < UNITS_PER_FILE_MAX && this.#nodeOf(unit) === node;
      (isMine ? units : left).push(unit);
      if (isMine) bytes += this.#bytesOf([unit.span]);
    }
    this.#pending = left;
    this.#underWay++;
    return { node, units };
  }

  async #exportBundle(node: ClusterNode, units: readonly ExportUnit[]): Promise<void> {
    const { kv, details, cipher, fileTargetBytes } = this.#options;
    const { epoch } = node;
    let rest = units;
    try {
      const collection = this.#options.storageFor(node);
      const locality = collection.tierFor(node.locality);
      if (details.strictLocality) requirePlace(node, locality);
      const storage = collection.writeStorage(details.directory, locality);
      while (rest.length > 0) {
        const path = this.#options.newFileName();
        const exported = await exportFile(rest, {
          kv,
          executor: kv.executor,
          storage,
          name: `${details.directory}/${path}`,
          cipher: cipher?.forFile(path),
          allVersions: details.revisionHistory,
          historyFrom: this.#historyFrom,
          lateTables: this.#lateTables,
          targetBytes: fileTargetBytes,
          isAlive: () => kv.cluster.isLiveIn(node.id, epoch),
          signal: this.#signal,
        });
        rest = exported.rest;
        this.#emptySpans.push(...exported.emptySpans);
        if (exported.file) this.#files.push({ path, locality, ...exported.file });
        await this.#report(rest.length === 0);
      }
    } catch (error) {
      if (!(error instanceof WorkerLostError)) throw error;
      this.#giveBack(rest);
    } finally {
      this.#underWay--;
      this.#wakeIdle();
    }
  }

  #giveBack(units: readonly ExportUnit[]): void {
    this.#pending = [...this.#pending, ...units].sort((a, b) => (a.span.key < b.span.key ? -1 : 1));
    this.#cutAtRanges();
  }

  /** Cuts pending work at range bounds; what has no range has no data (W1). */
  #cutAtRanges(): void {
    const { kv } = this.#options;
    const cut: ExportUnit[] = [];
    for (const unit of this.#pending) {
      const ranges = kv.rangesOf(unit.span);
      for (const { span } of ranges) cut.push({ ...unit, span });
      const rangeless = subtractSpans([unit.span], mergeSpans(ranges.map(({ span }) => span)));
      for (const span of rangeless) {
        checkNothingIsGone(kv, { ...unit, span }, this.#historyFrom, this.#lateTables);
        this.#emptySpans.push({ ...unit, span });
      }
    }
    this.#pending = cut;
    this.#pendingBytes = this.#bytesOf(cut.map(({ span }) => span));
  }

  #nodeOf(unit: ExportUnit): ClusterNode {
    const { cluster } = this.#options.kv;
    const holder = this.#options.kv.rangesOf(unit.span)[0]?.leaseholder ?? 0;
    const node = cluster.nodes[holder - 1];
    return workerFor(cluster, this.#options.details.executionLocality, node?.isLive ? node : cluster.anyLiveNode());
  }

  #bytesOf(spans: readonly Span[]): number {
    let bytes = 0;
    for (const span of spans) for (const range of this.#options.kv.rangesOf(span)) bytes += range.sizeBytes;
    return bytes;
  }

  /** Reports queue behind one another; each waits for its own. `isLast`: of its bundle. */
  async #report(isLast: boolean): Promise<void> {
    const { activity } = this.#options.kv;
    const report = this.#reporting.then(() =>
      activity.during('export report', async () => {
        this.#signal.throwIfAborted();
        this.#pendingBytes = this.#bytesOf(this.#pending.map(({ span }) => span));
        const fraction = this.#totalBytes === 0 ? 1 : 1 - this.#pendingBytes / this.#totalBytes;
        const isAll = isLast && this.#pending.length === 0 && this.#underWay === 1;
        await this.#options.onProgress(this.progress, Math.max(0, fraction), isAll);
      }),
    );
    this.#reporting = report.catch(() => {});
    await activity.suspend(report);
  }

  #wakeIdle(): void {
    for (const wake of this.#idle.splice(0)) wake();
  }
}

/** Throws 55000 when a node that is somewhere would write to a place that is for nodes anywhere. */
function requirePlace(node: ClusterNode, tier: string): void {
  if (tier !== '' || node.locality.tiers.length === 0) return;
  throw new StateError(
    SqlState.ObjectNotInPrerequisiteState,
    `node ${node.id} with locality ${formatLocality(node.locality)} matches no storage location of the backup (STRICT STORAGE LOCALITY)`,
    {
      detail: 'its data would be written to the default location',
      hint: 'add a location for one of its tiers, or leave STRICT STORAGE LOCALITY out',
    },
  );
}

/** What of the layer's spans no finished file and no empty span holds; in key order. */
export function remainingUnits(details: BackupDetails, done: LayerData): ExportUnit[] {
  const finished = mergeSpans([...done.files.flatMap((file) => file.parts), ...done.emptySpans].map(({ span }) => span));
  const { startTime, endTime, introducedSpans } = details;
  const continuing = subtractSpans(details.spans, introducedSpans);
  const units = [
    ...subtractSpans(continuing, finished).map((span) => ({ span, startTime, endTime })),
    ...subtractSpans(introducedSpans, finished).map((span) => ({ span, startTime: 0 as typeof startTime, endTime })),
  ];
  assert(startTime < endTime, 'a layer ends after it starts');
  return units.sort((a, b) => (a.span.key < b.span.key ? -1 : 1));
}
