/**
 * Restore job: from the record that planning wrote to public objects, or to nothing.
 *
 *   descriptors OFFLINE -> data (units, checkpoints) -> everything PUBLIC, together with the job's end
 *
 * Of a cluster zones come before the data, and the other system tables together with the end; a restore of
 * users is that end alone.
 *
 *   J1  nobody sees a part of it: objects become usable all at once, in the transaction that makes the
 *       job succeed
 *   J2  any step may be the last one of a coordinator; the next one goes on from the checkpoint, and
 *       what it does again changes nothing (publish.ts P1, ingestUnits.ts I1)
 *   J3  after a failure or a cancel neither name, descriptor nor data is left
 *   J4  no protected timestamp is needed: the restored rows are live versions, which GC never takes; a past that
 *       comes with them is kept by the tables' own gc.ttlseconds (restoredHistory.ts)
 *
 * Beside each durable write stands a pausepoint. Lives elsewhere: what is restored (restorePlanning.ts),
 * the data (ingestUnits.ts), the catalog's rows (publish.ts).
 */
import { CorruptionError } from '../base/errors.ts';
import { indexPrefix } from '../base/keycode.ts';
import { mapConcurrently } from '../base/mapConcurrently.ts';
import type { Span } from '../base/span.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { allIndexes, type TableDescriptor } from '../catalog/descriptor.ts';
import { systemTable } from '../catalog/systemRows.ts';
import { type Statistic, statisticRow } from '../catalog/tableStatistics.ts';
import type { JobContext, JobOutcome, Resumer } from '../jobs/job.ts';
import type { Kv } from '../kv/kv.ts';
import type { EngineServices } from '../sql/exec/statement.ts';
import type { StorageFactory } from '../storage/externalStorage.ts';

import { READS_MAX } from '../backup/collection.ts';
import type { CollectionStorage } from '../backup/collectionStorage.ts';
import { namingPlaces, openCollection } from '../backup/collectionStorage.ts';
import { requireNodes } from '../backup/executionLocality.ts';
import type { Layer } from '../backup/manifest.ts';
import { ReadMark } from '../backup/readMark.ts';
import { readManifest } from '../backup/manifest.ts';
import { readBackupStatistics } from '../backup/statisticsFile.ts';

import type { IngestProgress, RestoredIndex } from './ingestUnits.ts';
import { ingestUnits } from './ingestUnits.ts';
import { KeyRewriter } from './keyRewriter.ts';
import type { PlannedLayers } from './plannedLayers.ts';
import { clearData, publish, removeOffline, writeOffline } from './publish.ts';
import type { RestoreDetails } from './restoreDetails.ts';
import { progressFromJson, progressToJson } from './restoreDetails.ts';
import { restoredSpans } from './restoredSpans.ts';
import { RowFilter } from './rowFilter.ts';
import { coverSpans } from './spanCovering.ts';
import { replaceRows, restoreMissingUsers, restoreSystemTable, restoreSystemTables, ZONES_TABLE } from './systemTableRestore.ts';
import { NO_SYSTEM_ROWS, readSystemRows, type SystemRows } from './systemTableRows.ts';

/** In the order in which a restore comes to them; the last three while it is undone. Zones and system tables are a cluster's. */
export const RESTORE_PAUSEPOINTS = Object.freeze([
  'restore.beforeDescriptors',
  'restore.afterDescriptors',
  'restore.afterZones',
  'restore.beforeIngest',
  'restore.afterFirstIngest',
  'restore.afterFirstCheckpoint',
  'restore.afterIngest',
  'restore.beforeSystemTables',
  'restore.beforePublish',
  'restore.beforeRevert',
  'restore.afterDescriptorsRemoved',
  'restore.afterRevert',
] as const);

/** CockroachDB's names of the places nearest to these. It publishes in a step of its own, here that is the last one. */
export const RESTORE_PAUSEPOINT_ALIASES = Object.freeze({
  'restore.before_load_descriptors_from_backup': 'restore.beforeDescriptors',
  'restore.before_split': 'restore.beforeIngest',
  'restore.before_flow': 'restore.beforeIngest',
  'restore.before_publishing_descriptors': 'restore.beforePublish',
  'restore.after_publishing_descriptors': 'restore.beforePublish',
});

/** Failed attempts in a row without progress, before the job pauses itself. */
export const RESTORE_ATTEMPTS_MAX = 6;
/** Bytes of rows between checkpoints: a fraction of a second of work to do again. */
export const CHECKPOINT_BYTES = 32 << 20;
/** Attempts to undo that try again for the mark: below those at which the registry would give up. */
const UNDO_ATTEMPTS_MAX = 4;
/** The data's share of the whole. */
const INGEST_FRACTION = 0.98;

export interface RestoreJobDeps {
  readonly kv: Kv;
  readonly catalog: Catalog;
  readonly storage: StorageFactory;
  readonly engine: EngineServices;
  readonly planned: PlannedLayers;
  readonly checkpointBytes: number;
}

/** What a succeeded job's record keeps for the waiting statement. */
export interface RestoreResult {
  readonly rows: number;
  readonly indexEntries: number;
  readonly dataBytes: number;
  readonly [name: string]: number;
}

/** What a restore has read of the backup. */
interface Brought {
  readonly systemRows: SystemRows;
  readonly ingested: IngestProgress;
  readonly statistics: readonly Statistic[];
}

/** False for a restore of the schema alone. */
function readsData({ schemaOnly, verifyData }: RestoreDetails): boolean {
  return !schemaOnly || verifyData;
}

export class RestoreResumer implements Resumer {
  readonly #deps: RestoreJobDeps;
  readonly #details: RestoreDetails;
  /** Of this attempt: from planning, or once they have been read. */
  #known: readonly Layer[] | undefined;
  #undoAttempts = 0;

  constructor(deps: RestoreJobDeps, details: RestoreDetails) {
    this.#deps = deps;
    this.#details = details;
  }

  async resume(ctx: JobContext): Promise<JobOutcome> {
    const { kv, catalog } = this.#deps;
    const details = this.#details;
    this.#known = this.#deps.planned.take(ctx.jobId);
    requireNodes(kv.cluster, details.executionLocality);
    await ctx.pausepoint('restore.beforeDescriptors');
    await ctx.txn((txn) => writeOffline(catalog, txn, details));
    await ctx.pausepoint('restore.afterDescriptors');
    const { system } = details;
    const { systemRows, ingested, statistics } = await this.#withCollection(ctx, (storage) => this.#bring(storage, ctx));
    const { byTable } = systemRows;
    const counted = details.schemaOnly ? NO_SYSTEM_ROWS : systemRows;
    const result: RestoreResult = {
      rows: ingested.rows + counted.rows,
      indexEntries: ingested.indexEntries + counted.indexEntries,
      dataBytes: ingested.dataBytes + counted.dataBytes,
    };
    return {
      result,
      inFinalTxn: async (txn) => {
        await publish(kv, catalog, txn, details);
        for (const one of statistics) await systemTable('table_statistics').upsert(txn, statisticRow(one));
        if (system?.kind === 'cluster') await restoreSystemTables(txn, byTable, new Map(system.ids));
        if (system?.kind === 'users') await restoreMissingUsers(txn, byTable);
      },
    };
  }

  async onFailOrCancel(ctx: JobContext): Promise<undefined> {
    const { kv, catalog } = this.#deps;
    await ctx.pausepoint('restore.beforeRevert');
    const { system } = this.#details;
    await ctx.txn(async (txn) => {
      await removeOffline(catalog, txn, this.#details);
      if (system?.kind === 'cluster') await replaceRows(txn, ZONES_TABLE, system.zonesBefore);
    });
    await ctx.pausepoint('restore.afterDescriptorsRemoved');
    await ctx.checkClaim();
    clearData(kv, this.#details);
    const mayTryAgain = ++this.#undoAttempts < UNDO_ATTEMPTS_MAX;
    await this.#withCollection(ctx, (storage) => this.#readMark(ctx).remove(storage, mayTryAgain));
    await ctx.pausepoint('restore.afterRevert');
    return undefined;
  }

  /** All that is read of the backup: rows into their stores, which nobody sees yet, the rest to be published. */
  async #bring(storage: CollectionStorage, ctx: JobContext): Promise<Brought> {
    const details = this.#details;
    const { system } = details;
    const readsFiles = readsData(details) || system !== undefined;
    const mark = this.#readMark(ctx);
    if (readsFiles) await mark.keep(storage, ctx.signal);
    const systemRows = await this.#systemRows(storage, ctx);
    if (system?.kind === 'cluster') {
      const zones = systemRows.byTable.get(ZONES_TABLE) ?? [];
      await ctx.txn((txn) => restoreSystemTable(txn, ZONES_TABLE, zones, new Map(system.ids)));
      await ctx.pausepoint('restore.afterZones');
    }
    const ingested = readsData(details) ? await this.#ingest(storage, mark, ctx) : progressFromJson(null);
    if (system !== undefined) await ctx.pausepoint('restore.beforeSystemTables');
    await ctx.pausepoint('restore.beforePublish');
    const statistics = details.hasStatistics ? await this.#statistics(storage, ctx) : [];
    if (readsFiles) await mark.remove(storage);
    return { systemRows, ingested, statistics };
  }

  #readMark({ jobId, node }: JobContext): ReadMark {
    const { clusterId, clock } = this.#deps.kv;
    return new ReadMark(this.#details.layers[0]?.directory ?? '', { clusterId, jobId: String(jobId), nodeId: node.id }, clock);
  }

  /** What of the system's own tables is restored. */
  async #systemRows(storage: CollectionStorage, ctx: JobContext): Promise<SystemRows> {
    const { executor } = this.#deps.kv;
    const { system, time } = this.#details;
    if (system === undefined) return NO_SYSTEM_ROWS;
    const layers = await this.#layers(storage, ctx);
    return await readSystemRows(system.tables, { storage, executor, layers, time, signal: ctx.signal });
  }

  /** What the last layer knows of the tables, under their new ids. */
  async #statistics(storage: CollectionStorage, ctx: JobContext): Promise<Statistic[]> {
    const { kv } = this.#deps;
    const newIds = new Map(this.#details.tableIds);
    const last = this.#known?.at(-1) ?? (await this.#layer(storage, this.#details.layers.at(-1) as RestoreDetails['layers'][number], ctx));
    return (await readBackupStatistics(storage, last, ctx.signal)).flatMap((one) => {
      const tableId = newIds.get(one.tableId);
      return tableId === undefined ? [] : { ...one, tableId, id: kv.ids.int8() };
    });
  }

  async #withCollection<T>(ctx: JobContext, use: (storage: CollectionStorage) => Promise<T>): Promise<T> {
    const { location, user } = this.#details;
    const storage = openCollection(this.#deps.storage, location, { user, nodeId: ctx.node.id });
    try {
      return await namingPlaces(storage, () => use(storage));
    } finally {
      await storage.close();
    }
  }

  async #ingest(storage: CollectionStorage, mark: ReadMark, ctx: JobContext): Promise<IngestProgress> {
    const { kv, checkpointBytes } = this.#deps;
    const details = this.#details;
    let isFirstRun = true;
    let isFirstCheckpoint = true;
    const onProgress = async (progress: IngestProgress, fraction: number) => {
      await ctx.checkpoint({ progress: progressToJson(progress), fractionCompleted: fraction * INGEST_FRACTION });
      if (isFirstCheckpoint) await ctx.pausepoint('restore.afterFirstCheckpoint');
      isFirstCheckpoint = false;
    };
    const layers = await this.#layers(storage, ctx);
    const indexes = await this.#indexes(ctx);
    await ctx.pausepoint('restore.beforeIngest');
    const progress = await ingestUnits({
      kv,
      storage,
      units: coverSpans(this.#spans(), layers, details.time),
      done: progressFromJson(ctx.progress),
      time: details.time,
      at: details.ingestTime,
      indexOf: (tableId, indexId) => indexes.get(`${tableId}/${indexId}`),
      checkpointBytes,
      isDropped: details.schemaOnly,
      signal: ctx.signal,
      onRun: async (newTableId) => {
        this.#undoIfRemoved(newTableId, ctx);
        await mark.keep(storage, ctx.signal);
        if (isFirstRun) await ctx.pausepoint('restore.afterFirstIngest');
        isFirstRun = false;
      },
      onProgress,
    });
    await onProgress(progress, 1);
    await ctx.pausepoint('restore.afterIngest');
    return progress;
  }

  /**
   * An ingest waits for a large commit under way; meanwhile the claim can go to another node, and the
   * job can be canceled there. What came in after the data was cleared goes again.
   */
  #undoIfRemoved(newTableId: number, ctx: JobContext): void {
    if (ctx.signal.aborted && this.#deps.catalog.currentNow()?.byId(newTableId) === undefined) this.#deps.kv.clearTable(newTableId);
  }

  /** The layers that planning chose, unchanged since. */
  async #layers(storage: CollectionStorage, ctx: JobContext): Promise<readonly Layer[]> {
    this.#known ??= await mapConcurrently(this.#details.layers, READS_MAX, (layer) => this.#layer(storage, layer, ctx));
    return this.#known;
  }

  async #layer(
    storage: CollectionStorage,
    { directory, manifestSha256 }: RestoreDetails['layers'][number],
    { signal }: JobContext,
  ): Promise<Layer> {
    const layer = await readManifest(storage, directory, signal);
    if (layer.manifestSha256 === manifestSha256) return layer;
    throw new CorruptionError(SqlState.DataCorrupted, `backup layer "${directory}" has changed since the restore was planned`, {
      detail: `its manifest's SHA-256 was ${manifestSha256} and is ${layer.manifestSha256}`,
      file: directory,
    });
  }

  *#tables(): Generator<{ oldId: number; table: TableDescriptor }> {
    const byId = new Map(this.#details.descriptors.map((descriptor) => [descriptor.id, descriptor]));
    for (const [oldId, newId] of this.#details.tableIds) {
      const table = byId.get(newId);
      if (table?.kind === 'table') yield { oldId, table };
    }
  }

  #spans(): Span[] {
    return restoredSpans([...this.#tables()], this.#details.where !== undefined);
  }

  /** By `<old table id>/<index id>`. */
  async #indexes(ctx: JobContext): Promise<ReadonlyMap<string, RestoredIndex>> {
    const { where, ingestTime } = this.#details;
    const pastStarts = new Map(this.#details.pastStarts);
    const starts = new Map(this.#details.importStarts);
    const indexes = new Map<string, RestoredIndex>();
    for (const { oldId, table } of this.#tables()) {
      const filter = where && (await RowFilter.open(this.#deps.engine, table, where, ingestTime, ctx.signal));
      for (const { id } of allIndexes(table)) {
        const rewriter = new KeyRewriter(indexPrefix(oldId, id), indexPrefix(table.id, id));
        indexes.set(`${oldId}/${id}`, {
          rewriter,
          newTableId: table.id,
          isPrimary: id === table.primaryIndex.id,
          filter,
          pastFrom: pastStarts.get(table.id),
          importStart: starts.get(table.id),
        });
      }
    }
    return indexes;
  }
}
