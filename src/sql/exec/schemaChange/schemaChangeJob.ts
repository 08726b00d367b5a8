/**
 * Schema change job: from a table with a pending change to one with a finished change, or to one
 * without it.
 *
 *   hold a time -> fill columns -> hold a later time T -> ingest entries at T -> validate -> publish
 *
 *   J1  what is to be done is in the descriptor (PendingChange); the record knows how far it has come
 *   J2  any step may be the last one of a coordinator: columns are filled where they are empty, entries
 *       are ingested at the T of the checkpoint, validation begins anew
 *   J3  everything becomes public, or is taken back, in one transaction
 *   J4  the protected timestamp keeps T readable from before the first read at it to the end
 *   J5  a table that was dropped meanwhile leaves nothing to do
 *
 * Beside each durable write stands a pausepoint; those of a piece come after every piece. Lives elsewhere: why it is sound (backfill.ts,
 * validateChange.ts), the two ends (pendingChange.ts), when a statement makes a job (ddl/common.ts).
 */
import { assert } from '../../../base/assert.ts';
import type { Bytes } from '../../../base/bytes.ts';
import type { Timestamp } from '../../../base/timestamp.ts';
import { type IndexDescriptor, indexById, type TableDescriptor, updated } from '../../../catalog/descriptor.ts';
import type { ProtectedRecords } from '../../../catalog/protectedRecords.ts';
import { indexSpan } from '../../../catalog/rowCodec.ts';
import type { JobContext, JobOutcome, Json, Resumer } from '../../../jobs/job.ts';
import type { Txn } from '../../../kv/kv.ts';
import type { EngineServices } from '../statement.ts';
import { EntryBatch, fillColumns, giveWay, type PieceSizes } from './backfill.ts';
import { changeRun } from './changeRun.ts';
import { discarded, published } from './pendingChange.ts';
import { endOfRows, tableRows } from './tableRows.ts';
import { repairEntry, validateRows } from './validateChange.ts';

export const SCHEMA_CHANGE_JOB_TYPE = 'SCHEMA CHANGE';

/** In the order in which a change comes to them; the last three while it is taken back. */
export const SCHEMA_CHANGE_PAUSEPOINTS = Object.freeze([
  'schemachange.beforeBackfill',
  'schemachange.afterColumnPiece',
  'schemachange.afterColumns',
  'schemachange.afterProtect',
  'schemachange.afterIngest',
  'schemachange.afterCheckpoint',
  'schemachange.afterBackfill',
  'schemachange.afterValidationPiece',
  'schemachange.beforePublish',
  'schemachange.beforeRevert',
  'schemachange.afterDescriptor',
  'schemachange.afterRevert',
] as const);

/** Two do nearly always; so many mean a bug, for which the job pauses. */
const VALIDATION_PASSES_MAX = 100;
/** Of the protected timestamps of schema changes; not `jobs`, whose records skip tables left out of backups. */
export const PROTECTION_META = 'schema changes';

export interface SchemaChangeDeps {
  readonly engine: EngineServices;
  readonly protections: ProtectedRecords;
  readonly sizes: PieceSizes;
}

/** What planning recorded. */
export interface SchemaChangeDetails {
  readonly tableId: number;
  readonly indexIds: readonly number[];
  readonly recordId: string;
  readonly [name: string]: Json;
}

type Stage = 'columns' | 'indexes' | 'validate';

interface Progress {
  readonly stage: Stage;
  /** Rows before this key are done in this stage. */
  readonly next: Bytes | undefined;
  /** The timestamp of `indexes`. */
  readonly at: Timestamp | undefined;
}

export class SchemaChangeResumer implements Resumer {
  readonly #deps: SchemaChangeDeps;
  readonly #details: SchemaChangeDetails;
  #rowsSeen = 0;

  constructor(deps: SchemaChangeDeps, details: SchemaChangeDetails) {
    this.#deps = deps;
    this.#details = details;
  }

  async resume(ctx: JobContext): Promise<JobOutcome> {
    await ctx.pausepoint('schemachange.beforeBackfill');
    let progress = fromJson(ctx.progress);
    if (progress.stage === 'columns') {
      await this.#fillColumns(ctx, progress.next);
      await ctx.pausepoint('schemachange.afterColumns');
      const at = await this.#hold(ctx);
      progress = { stage: 'indexes', next: undefined, at };
      await this.#checkpoint(ctx, progress, 0);
    }
    if (progress.stage === 'indexes') {
      await this.#fillIndexes(ctx, progress);
      progress = { stage: 'validate', next: undefined, at: progress.at };
      await this.#checkpoint(ctx, progress, 0);
      await ctx.pausepoint('schemachange.afterBackfill');
    }
    await this.#validate(ctx);
    await ctx.pausepoint('schemachange.beforePublish');
    return { inFinalTxn: (txn) => this.#end(ctx, txn, published) };
  }

  async onFailOrCancel(ctx: JobContext): Promise<undefined> {
    await ctx.pausepoint('schemachange.beforeRevert');
    await ctx.txn((txn) => this.#end(ctx, txn, discarded));
    await ctx.pausepoint('schemachange.afterDescriptor');
    await ctx.checkClaim();
    for (const id of this.#details.indexIds) this.#clearIfGone(id);
    await ctx.pausepoint('schemachange.afterRevert');
    return undefined;
  }

  /** The table with this job's change pending; undefined when there is nothing left to do (J5). */
  #table(ctx: JobContext): TableDescriptor | undefined {
    const table = this.#deps.engine.catalog.currentNow()?.tableById(this.#details.tableId);
    return table?.state === 'PUBLIC' && table.pendingChange?.jobId === ctx.jobId ? table : undefined;
  }

  /** The same in a transaction, which fails when the table changes before its commit. */
  async #tableIn(ctx: JobContext, txn: Txn): Promise<TableDescriptor | undefined> {
    const { catalog } = this.#deps.engine;
    const { tableId } = this.#details;
    const table = (await catalog.snapshot(txn)).tableById(tableId);
    catalog.noteReads(txn, { ids: new Set([tableId]), names: new Map() });
    return table?.state === 'PUBLIC' && table.pendingChange?.jobId === ctx.jobId ? table : undefined;
  }

  #pendingIndexes(table: TableDescriptor): IndexDescriptor[] {
    return table.indexes.filter((index) => index.state === 'write_only' && table.pendingChange?.indexIds.includes(index.id));
  }

  /** Protects the present, or moves what is protected up to it; returns the time. */
  async #hold(ctx: JobContext): Promise<Timestamp> {
    const { protections } = this.#deps;
    const { recordId: id, tableId } = this.#details;
    const at = await ctx.txn(async (txn) => {
      const ts = txn.readTimestamp;
      if (await protections.get(txn, id)) await protections.update(txn, id, ts);
      else
        await protections.protect(txn, {
          id,
          ts,
          metaType: PROTECTION_META,
          meta: String(ctx.jobId),
          target: { kind: 'objects', ids: [tableId] },
        });
      return ts;
    });
    await ctx.pausepoint('schemachange.afterProtect');
    return at;
  }

  async #fillColumns(ctx: JobContext, from: Bytes | undefined): Promise<void> {
    const { engine, sizes } = this.#deps;
    const needsValue = (table: TableDescriptor) =>
      table.columns.filter(
        (column) =>
          table.pendingChange?.columnIds.includes(column.id) && (column.defaultExpr !== undefined || column.computeExpr !== undefined),
      );
    const before = this.#table(ctx);
    if (!before || needsValue(before).length === 0) return;
    const where = { nodeId: ctx.node.id, databaseId: before.parentId };
    const { run, within } = await changeRun(engine, engine.kv.reading(), ctx.signal, where);
    // Rows that come after this one are whole; following them could go on for ever.
    const to = await endOfRows(run.reader, before);
    if (to === undefined) return;
    let next = from;
    let sinceCheckpoint = 0;
    for (;;) {
      const done = await ctx.txn(async (txn) => {
        const table = await this.#tableIn(ctx, txn);
        if (!table) return { next: undefined, rows: 0 };
        const ids = needsValue(table).map((column) => column.id);
        return fillColumns(engine, table, ids, txn, within(txn), { from: next, to, rowsMax: sizes.columnRows });
      });
      if (done.next === undefined) return;
      next = done.next;
      sinceCheckpoint += done.rows;
      this.#rowsSeen += done.rows;
      await ctx.pausepoint('schemachange.afterColumnPiece');
      if (sinceCheckpoint >= sizes.checkpointRows) {
        sinceCheckpoint = 0;
        await this.#checkpoint(ctx, { stage: 'columns', next, at: undefined }, this.#fraction(before));
      }
      await giveWay(engine.kv, ctx.signal);
    }
  }

  async #fillIndexes(ctx: JobContext, { at, next: from }: Progress): Promise<void> {
    const { engine, sizes } = this.#deps;
    const table = this.#table(ctx);
    if (!table || this.#pendingIndexes(table).length === 0) return;
    assert(at !== undefined, 'an index backfill without its timestamp');
    const { run } = await changeRun(engine, at, ctx.signal);
    this.#rowsSeen = 0;
    const batch = new EntryBatch(engine, at, ctx.signal);
    // An index of it can have been dropped by the transaction that added it, or the table with all its indexes.
    const isWanted = (id: number): boolean => {
      const now = this.#table(ctx);
      return now !== undefined && this.#pendingIndexes(now).some((index) => index.id === id);
    };
    let sinceCheckpoint = 0;
    const flush = async (next: Bytes): Promise<void> => {
      sinceCheckpoint += batch.rows;
      this.#rowsSeen += batch.rows;
      try {
        await batch.flush(isWanted);
      } finally {
        // What came in last, of a claim that was lost meanwhile, for an index that was taken back since.
        if (ctx.signal.aborted) for (const id of this.#details.indexIds) this.#clearIfGone(id);
      }
      await ctx.pausepoint('schemachange.afterIngest');
      if (sinceCheckpoint < sizes.checkpointRows) return;
      sinceCheckpoint = 0;
      await this.#checkpoint(ctx, { stage: 'indexes', next, at }, this.#fraction(table));
      await ctx.pausepoint('schemachange.afterCheckpoint');
    };
    let reached: Bytes | undefined;
    for await (const { rows, next } of tableRows(run.reader, table, run, sizes.readRows, from)) {
      batch.add(table, this.#pendingIndexes(table), rows, run);
      reached = next;
      if (batch.rows >= sizes.indexRows) await flush(next);
      else await giveWay(engine.kv, ctx.signal);
    }
    if (reached !== undefined && batch.rows > 0) await flush(reached);
  }

  /** Looks at all rows at ever later times until none has lost its entry. */
  async #validate(ctx: JobContext): Promise<void> {
    const { engine, sizes } = this.#deps;
    for (let pass = 1; ; pass++) {
      // Each pass mends what the one before found, and what writers can lose meanwhile becomes less.
      assert(pass <= VALIDATION_PASSES_MAX, 'a unique index that never agrees with its rows');
      const table = this.#table(ctx);
      if (!table) return;
      const { run, within } = await changeRun(engine, engine.kv.reading(), ctx.signal);
      const onPiece = () => ctx.pausepoint('schemachange.afterValidationPiece');
      const lost = await validateRows(engine, table, run, { rows: sizes.readRows, onPiece });
      if (lost.length === 0) return;
      for (const one of lost) {
        await ctx.txn(async (txn) => {
          const current = await this.#tableIn(ctx, txn);
          if (current) await repairEntry(engine, current, one, txn, within(txn));
        });
      }
    }
  }

  /** Writes the table as `next` has it, what refers to it, and lets go of the protection. */
  async #end(ctx: JobContext, txn: Txn, next: (table: TableDescriptor) => TableDescriptor): Promise<void> {
    const { engine, protections } = this.#deps;
    const { tableId, recordId } = this.#details;
    const { catalog } = engine;
    if (await protections.get(txn, recordId)) await protections.release(txn, recordId);
    await catalog.lock(txn, [tableId]);
    const table = await this.#tableIn(ctx, txn);
    if (!table) return;
    let after = next(table);
    const lost = new Set(
      table.foreignKeys.filter((fk) => !after.foreignKeys.some((kept) => kept.id === fk.id)).map((fk) => fk.referencedTableId),
    );
    for (const id of lost) {
      if (after.foreignKeys.some((fk) => fk.referencedTableId === id)) continue;
      if (id === tableId) after = updated(after, { referencedByIds: after.referencedByIds.filter((one) => one !== tableId) });
      else await this.#forgetReference(txn, id);
    }
    catalog.writeDescriptor(txn, after);
  }

  async #forgetReference(txn: Txn, parentId: number): Promise<void> {
    const { catalog } = this.#deps.engine;
    await catalog.lock(txn, [parentId]);
    const parent = (await catalog.snapshot(txn)).tableById(parentId);
    catalog.noteReads(txn, { ids: new Set([parentId]), names: new Map() });
    if (!parent) return;
    catalog.writeDescriptor(txn, updated(parent, { referencedByIds: parent.referencedByIds.filter((id) => id !== this.#details.tableId) }));
  }

  /** Nobody has ever read an index that was not public, so its data can go at once. */
  #clearIfGone(indexId: number): void {
    const { engine } = this.#deps;
    const { tableId } = this.#details;
    const table = engine.catalog.currentNow()?.tableById(tableId);
    if (table?.state === 'PUBLIC' && indexById(table, indexId)) return;
    engine.kv.clearIndex(tableId, indexId);
  }

  #fraction(table: TableDescriptor): number {
    const { liveKeys } = this.#deps.engine.kv.stats(indexSpan(table, table.primaryIndex));
    const rows = Math.max(1, liveKeys / table.families.length);
    return Math.min(1, this.#rowsSeen / rows);
  }

  async #checkpoint(ctx: JobContext, progress: Progress, ofStage: number): Promise<void> {
    const before = { columns: 0, indexes: 0.4, validate: 0.8 }[progress.stage];
    await ctx.checkpoint({ progress: toJson(progress), fractionCompleted: before + 0.4 * ofStage });
  }
}

function toJson({ stage, next, at }: Progress): Json {
  return { stage, next: next === undefined ? undefined : Buffer.from(next, 'latin1').toString('base64'), at };
}

function fromJson(json: Json): Progress {
  if (json === null) return { stage: 'columns', next: undefined, at: undefined };
  const { stage, next, at } = json as { stage: Stage; next?: string; at?: number };
  return {
    stage,
    next: next === undefined ? undefined : (Buffer.from(next, 'base64').toString('latin1') as Bytes),
    at: at as Timestamp | undefined,
  };
}
