/**
 * IMPORT job: rows of CSV files into a table that is offline meanwhile.
 *
 *   I1  the protected timestamp keeps `start` readable, a time after the table went offline and before
 *       its first new row: what reverting goes back to. It stands in the descriptor too, so that a backup of the
 *       table knows which rows a restore leaves out
 *   I2  a checkpoint says how far it has come, and a time `at` by which all of that was committed; a
 *       coordinator that takes over first puts the table back to `at`, so no row comes twice
 *   I3  while the table is offline nobody else writes to it, so "changed since" means "changed by this job"; and this
 *       job writes only keys that were not there before, as a key that is there is an error
 *   I4  publishing, and the revert's end, release the protection in the transaction that ends the job
 *
 * Checks and unique constraints hold for every row; those that no index keeps are looked at in the end.
 * Foreign keys are not looked at: they are NOT VALID afterwards, as in CockroachDB, until VALIDATE CONSTRAINT.
 *
 * Lives elsewhere: the statement (importStatement.ts), the files' format (csvReader.ts).
 */
import { createGunzip } from 'node:zlib';
import { Readable } from 'node:stream';

import { fromBuffer } from '../../base/bytes.ts';
import { StatementError, isVarveError, withFields } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { prefixSpan } from '../../base/span.ts';
import { tablePrefix } from '../../base/keycode.ts';
import type { Timestamp } from '../../base/timestamp.ts';
import { loadLocation, type StoredLocation } from '../../backup/locationDetails.ts';
import type { Datum } from '../../catalog/datum.ts';
import { type ColumnDescriptor, type TableDescriptor, updated } from '../../catalog/descriptor.ts';
import type { ProtectedRecords } from '../../catalog/protectedRecords.ts';
import { bitOf, type ColumnType, stringOf, Type, withPrecision } from '../../catalog/type.ts';
import type { JobContext, JobOutcome, Json, Resumer } from '../../jobs/job.ts';
import type { Txn } from '../../kv/kv.ts';
import { type CopySource, rowMaker } from '../../sql/exec/copy/copyFrom.ts';
import { keptByReading } from '../../sql/exec/keptByReading.ts';
import { changeRun } from '../../sql/exec/schemaChange/changeRun.ts';
import type { EngineServices } from '../../sql/exec/statement.ts';
import { type RowChangeSink, rowAnalysis, tableWriter } from '../../sql/exec/tableWriter.ts';
import { validateUnique } from '../../sql/exec/uniqueChecks.ts';
import { analyzeExpr, coerceTo } from '../../sql/expr/analyze.ts';
import type { TypedExpr } from '../../sql/expr/typedExpr.ts';
import { parseExpression } from '../../sql/parse/parse.ts';
import type { StorageFactory } from '../../storage/externalStorage.ts';
import { ParsedUri } from '../../storage/uri.ts';
import type { ImportOptions } from './csvOptions.ts';
import { CsvReader, type CsvRecord } from './csvReader.ts';
import { fileNameOf, folderOf } from './importFiles.ts';

export const IMPORT_JOB_TYPE = 'IMPORT';
export const IMPORT_META = 'imports';

/** CockroachDB's name of the place where all rows are there. */
export const IMPORT_PAUSEPOINT_ALIASES = Object.freeze({ 'import.after_ingest': 'import.beforePublish' });

export const IMPORT_PAUSEPOINTS = Object.freeze([
  'import.beforeRows',
  'import.afterBatch',
  'import.afterCheckpoint',
  'import.beforePublish',
  'import.beforeRevert',
  'import.afterRevert',
] as const);

export interface ImportDetails {
  readonly tableId: number;
  readonly columnIds: readonly number[];
  /** Of the files, one URI each; sealed when there is a secret in them. */
  readonly files: StoredLocation;
  readonly options: ImportOptions;
  readonly recordId: string;
  /** Foreign keys that go back to being valid when the import is undone. */
  readonly validatedForeignKeyIds: readonly number[];
}

/** How much is done at a time. Tests make it small. */
export interface ImportSizes {
  readonly batchRows: number;
  readonly checkpointRows: number;
}

export const IMPORT_SIZES: ImportSizes = { batchRows: 2000, checkpointRows: 20_000 };

export interface ImportDeps {
  readonly engine: EngineServices;
  readonly storage: StorageFactory;
  readonly protections: ProtectedRecords;
  readonly sizes: ImportSizes;
}

interface Progress {
  readonly start: Timestamp;
  readonly at: Timestamp;
  /** Files that are done, and rows of the next one. */
  readonly files: number;
  readonly rowsInFile: number;
  readonly rows: number;
  readonly bytes: number;
}

const NOTHING_TO_CHECK: RowChangeSink = { inserted() {}, updated() {}, deleted() {} };
const REVERT_BYTES = 1 << 20;

export class ImportResumer implements Resumer {
  readonly #deps: ImportDeps;
  readonly #details: ImportDetails;

  constructor(deps: ImportDeps, details: ImportDetails) {
    this.#deps = deps;
    this.#details = details;
  }

  async resume(ctx: JobContext): Promise<JobOutcome> {
    await ctx.pausepoint('import.beforeRows');
    let progress = fromJson(ctx.progress);
    if (!progress) {
      const start = await this.#protect(ctx);
      progress = { start, at: start, files: 0, rowsInFile: 0, rows: 0, bytes: 0 };
      await ctx.checkpoint({ progress: toJson(progress) });
    } else {
      await this.#revertTo(ctx, progress.at);
    }
    progress = await this.#copyFiles(ctx, progress);
    await this.#checkWithoutIndex(ctx);
    await ctx.pausepoint('import.beforePublish');
    const { rows, bytes } = progress;
    const table = await this.#table(ctx);
    const indexEntries = rows * table.indexes.length;
    return {
      result: { rows, indexEntries, dataBytes: bytes },
      inFinalTxn: (txn) => this.#publish(txn, (fk) => ({ ...fk, validated: false })),
    };
  }

  async onFailOrCancel(ctx: JobContext): Promise<JobOutcome> {
    await ctx.pausepoint('import.beforeRevert');
    const progress = fromJson(ctx.progress);
    if (progress) await this.#revertTo(ctx, progress.start);
    await ctx.pausepoint('import.afterRevert');
    return { inFinalTxn: (txn) => this.#publish(txn, (fk) => fk) };
  }

  async #protect(ctx: JobContext): Promise<Timestamp> {
    const { protections, engine } = this.#deps;
    const { recordId: id, tableId } = this.#details;
    return ctx.txn(async (txn) => {
      const ts = txn.readTimestamp;
      const table = await this.#lockTable(txn);
      if (table) engine.catalog.writeDescriptor(txn, updated(table, { importing: { start: ts } }));
      if (await protections.get(txn, id)) await protections.update(txn, id, ts);
      else {
        const target = { kind: 'objects', ids: [tableId] } as const;
        await protections.protect(txn, { id, ts, metaType: IMPORT_META, meta: String(ctx.jobId), target });
      }
      return ts;
    });
  }

  /** The table as it is offline. 42P01 when it has been dropped. */
  async #table(ctx: JobContext): Promise<TableDescriptor> {
    const { catalog } = this.#deps.engine;
    const table = (await catalog.snapshot(ctx.kv.at(ctx.kv.reading()))).byId(this.#details.tableId);
    if (table?.kind === 'table' && table.state === 'OFFLINE') return table;
    throw new StatementError(SqlState.UndefinedTable, 'the table of the import has been dropped');
  }

  async #publish(txn: Txn, change: (fk: TableDescriptor['foreignKeys'][number]) => TableDescriptor['foreignKeys'][number]): Promise<void> {
    const { engine, protections } = this.#deps;
    const { recordId } = this.#details;
    if (await protections.get(txn, recordId)) await protections.release(txn, recordId);
    const table = await this.#lockTable(txn);
    if (!table) return;
    const foreignKeys = table.foreignKeys.map(change);
    engine.catalog.writeDescriptor(txn, updated(table, { state: 'PUBLIC', offlineReason: undefined, importing: undefined, foreignKeys }));
  }

  /** The table, to be changed in the transaction; undefined when it is not offline any more. */
  async #lockTable(txn: Txn): Promise<TableDescriptor | undefined> {
    const { catalog } = this.#deps.engine;
    const { tableId } = this.#details;
    await catalog.lock(txn, [tableId]);
    const table = (await catalog.snapshot(txn)).byId(tableId);
    catalog.noteReads(txn, { ids: new Set([tableId]), names: new Map() });
    return table?.kind === 'table' && table.state === 'OFFLINE' ? table : undefined;
  }

  /** Puts every key that has changed since `ts` back to what it was then (I3). */
  async #revertTo(ctx: JobContext, ts: Timestamp): Promise<void> {
    const { kv } = ctx;
    const span = prefixSpan(tablePrefix(this.#details.tableId));
    const end = kv.reading();
    let resume: Parameters<typeof kv.exportSpan>[3]['resume'];
    do {
      const piece = await kv.exportSpan(span, ts, end, { allVersions: false, maxBytes: REVERT_BYTES, ...(resume && { resume }) });
      if (piece.keys.length > 0) {
        const before = await kv.at(ts).get(piece.keys);
        await ctx.txn(async (txn) => {
          txn.write(
            piece.keys,
            before.map((value) => value ?? null),
          );
        });
      }
      resume = piece.resume;
    } while (resume !== undefined);
  }

  async #copyFiles(ctx: JobContext, from: Progress): Promise<Progress> {
    const { sizes, engine } = this.#deps;
    const { options, files } = this.#details;
    const { uris } = loadLocation(files);
    const table = await this.#table(ctx);
    const source = rowSource(table, this.#details.columnIds, engine);
    const writer = tableWriter(table, engine.functions);
    const { within } = await changeRun(engine, ctx.kv.reading(), ctx.signal, { nodeId: ctx.node.id, databaseId: table.parentId });
    const makeRow = rowMaker(source, { format: 'csv', delimiter: ',', nullText: '', header: false, quote: '"', escape: '"' }, {});
    let progress = from;
    let sinceCheckpoint = 0;
    const checkpoint = async (): Promise<void> => {
      sinceCheckpoint = 0;
      progress = { ...progress, at: ctx.kv.reading() };
      await ctx.checkpoint({ progress: toJson(progress), fractionCompleted: Math.min(progress.files / uris.length, 0.99) });
      await ctx.pausepoint('import.afterCheckpoint');
    };
    const write = async (records: readonly CsvRecord[]): Promise<void> => {
      if (records.length === 0) return;
      await ctx.txn(async (txn) => {
        const run = within(txn);
        const rows: Datum[][] = [];
        for (const record of records) {
          const row = await makeRow(record, run);
          writer.prepare(row, run);
          rows.push(row);
        }
        await writer.insert(rows, run, NOTHING_TO_CHECK);
      });
      const bytes = records.reduce((sum, { fields }) => sum + fields.reduce((all, field) => all + (field?.length ?? 0), 0), 0);
      progress = {
        ...progress,
        rowsInFile: progress.rowsInFile + records.length,
        rows: progress.rows + records.length,
        bytes: progress.bytes + bytes,
      };
      sinceCheckpoint += records.length;
      await ctx.pausepoint('import.afterBatch');
      if (sinceCheckpoint >= sizes.checkpointRows) await checkpoint();
    };
    for (const uri of uris.slice(from.files)) {
      ctx.signal.throwIfAborted();
      let batch: CsvRecord[] = [];
      const skipped = options.skip + progress.rowsInFile;
      let seen = 0;
      try {
        for await (const record of this.#records(ctx, uri)) {
          if (++seen <= skipped) continue;
          if (options.rowLimit !== undefined && progress.rows + batch.length >= options.rowLimit) break;
          if (record.fields.length !== source.columns.length) {
            throw new StatementError(
              SqlState.BadCopyFileFormat,
              `error parsing row ${seen}: expected ${source.columns.length} fields, got ${record.fields.length}`,
              { detail: `line ${record.line}` },
            );
          }
          batch.push(record);
          if (batch.length < sizes.batchRows) continue;
          await write(batch);
          batch = [];
        }
        await write(batch);
      } catch (error) {
        throw isVarveError(error) ? withFields(error, { hint: error.hint ?? `in ${ParsedUri.parse(uri)}` }) : error;
      }
      progress = { ...progress, files: progress.files + 1, rowsInFile: 0 };
      await checkpoint();
    }
    return progress;
  }

  /** Constraints that no index keeps: rows have been written without a look at the others. */
  async #checkWithoutIndex(ctx: JobContext): Promise<void> {
    const { engine } = this.#deps;
    const table = await this.#table(ctx);
    const constraints = keptByReading(table).filter((unique) => unique.validated);
    if (constraints.length === 0) return;
    const { run } = await changeRun(engine, ctx.kv.reading(), ctx.signal);
    for (const unique of constraints) await validateUnique(table, unique, run);
  }

  async *#records(ctx: JobContext, uri: string): AsyncGenerator<CsvRecord> {
    const { options } = this.#details;
    const name = fileNameOf(uri);
    const storage = this.#deps.storage.open(folderOf(uri), { user: ctx.user, nodeId: ctx.node.id });
    const reader = new CsvReader({
      delimiter: options.delimiter,
      comment: options.comment,
      strictQuotes: options.strictQuotes,
      nullText: options.nullText,
      allowQuotedNull: options.allowQuotedNull,
    });
    const isGzip = options.decompress === 'gzip' || (options.decompress === 'auto' && name.endsWith('.gz'));
    try {
      const stream = storage.readStream(name, { signal: ctx.signal });
      const content: AsyncIterable<Uint8Array> = isGzip ? Readable.from(stream).pipe(createGunzip()) : stream;
      for await (const chunk of content) yield* reader.push(fromBuffer(chunk));
      yield* reader.finish();
    } finally {
      await storage.close();
    }
  }
}

/** How a record becomes a whole row: fields in their columns, defaults in the others. */
function rowSource(table: TableDescriptor, columnIds: readonly number[], engine: EngineServices): CopySource {
  const columns = columnIds.map((id) => table.columns.find((column) => column.id === id)).filter((column) => column !== undefined);
  const types = columns.map((column) => fieldType(column.type));
  const row = table.columns.map((column): TypedExpr => {
    const index = columnIds.indexOf(column.id);
    if (index >= 0) return coerceTo({ kind: 'placeholder', type: types[index] ?? column.type, index }, column.type, column.name);
    return defaultFor(table, column, engine);
  });
  return { table, columns, row, types };
}

function defaultFor(table: TableDescriptor, column: ColumnDescriptor, engine: EngineServices): TypedExpr {
  if (column.defaultExpr === undefined || column.computeExpr !== undefined) return { kind: 'const', type: column.type, value: null };
  const typed = analyzeExpr(parseExpression(column.defaultExpr), rowAnalysis(table, engine.functions, 'DEFAULT'), column.type);
  return coerceTo(typed, column.type, column.name);
}

/** The type without its bounds, which are checked as values are assigned. */
function fieldType(type: ColumnType): ColumnType {
  switch (type.family) {
    case 'string':
      return stringOf(Type.String, undefined);
    case 'decimal':
      return Type.Decimal;
    case 'int':
      return Type.Int8;
    case 'bit':
      return bitOf(Type.VarBit, undefined);
    case 'time':
    case 'timetz':
    case 'timestamp':
    case 'timestamptz':
    case 'interval':
      return withPrecision({ ...type }, undefined);
    default:
      return type;
  }
}

function toJson({ start, at, files, rowsInFile, rows, bytes }: Progress): Json {
  return { start, at, files, rowsInFile, rows, bytes };
}

function fromJson(json: Json): Progress | undefined {
  const progress = json as unknown as Progress | null | undefined;
  return progress?.start === undefined ? undefined : progress;
}
