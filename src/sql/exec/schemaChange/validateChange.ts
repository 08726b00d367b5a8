/**
 * Validation: the last step before a change becomes public. One pass over the rows as of V, a time
 * after everything was filled.
 *
 *   V1  a check, a NOT NULL or a foreign key that is enforced since before V holds for good when every
 *       row holds it at V
 *   V2  a unique index is sound when at V every row's entry is its own: a row without one lost it to
 *       another row with the same key. From there on writers see each other's keys and keep it so
 *
 * A row whose entry is gone while no other row has its key (the other one was deleted meanwhile, and
 * took the entry with it) gets it back in a transaction of its own; then validation starts over at
 * a later V, so that V2 is never claimed of two times at once.
 */
import type { Bytes } from '../../../base/bytes.ts';
import { ConstraintError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { quoteName } from '../../../catalog/names.ts';
import type { CheckDescriptor, IndexDescriptor, TableDescriptor } from '../../../catalog/descriptor.ts';
import { tableCodec } from '../../../catalog/rowCodec.ts';
import type { Txn } from '../../../kv/kv.ts';
import { analyzeBool } from '../../expr/analyze.ts';
import { compileExpr } from '../../expr/compile.ts';
import { parseExpression } from '../../parse/parse.ts';
import { constraintQueue, validateForeignKey } from '../foreignKeys.ts';
import type { Run } from '../run.ts';
import { decodeFetched } from '../scan.ts';
import type { EngineServices } from '../statement.ts';
import { tableDecoder } from '../virtualColumns.ts';
import { describeRow } from '../describeRow.ts';
import { inAllRegions } from '../keptByReading.ts';
import { validateUnique } from '../uniqueChecks.ts';
import { rowAnalysis, tableWriter } from '../tableWriter.ts';
import { giveWay } from './backfill.ts';
import { tableRows } from './tableRows.ts';

/** A row that has no entry of its own in a unique index. */
export interface LostEntry {
  readonly indexId: number;
  readonly row: Datum[];
}

/** More are looked for in the next pass; each costs a transaction. */
const LOST_MAX = 1_000;

export interface ValidationPieces {
  readonly rows: number;
  readonly onPiece: () => Promise<void>;
}

/**
 * Looks at every row as of `run.reader`. 23514 for a check or NOT NULL, 23503 for a foreign key. Gives the
 * rows that lost their entry in a unique index: none when the change may become public.
 */
export async function validateRows(
  engine: EngineServices,
  table: TableDescriptor,
  run: Run,
  pieces: ValidationPieces,
): Promise<LostEntry[]> {
  const pending = table.pendingChange;
  if (!pending) return [];
  const checkIds = [...pending.constraintIds, ...pending.validateIds];
  const tests = table.checks
    .filter((check) => checkIds.includes(check.id))
    .map((check) => ({
      test: compileExpr(analyzeBool(parseExpression(check.expr), rowAnalysis(table, engine.functions, 'CHECK'))),
      error: (row: readonly Datum[]) => checkError(table, check, row),
    }));
  const notNull = pending.notNull.map(({ columnId }) => table.columns.findIndex((column) => column.id === columnId)).filter((i) => i >= 0);
  const unique = table.indexes.filter((index) => index.unique && pending.indexIds.includes(index.id));
  const lost: LostEntry[] = [];
  if (tests.length + notNull.length + unique.length > 0) {
    for await (const { rows } of tableRows(run.reader, table, run, pieces.rows)) {
      run.signal.throwIfAborted();
      for (const row of rows) {
        for (const { test, error } of tests) if (test(row, run.eval) === false) throw error(row);
        for (const position of notNull) if (row[position] === null) throw notNullError(table, position, row);
      }
      for (const index of unique) lost.push(...(await lostEntries(engine, table, index, rows, run)));
      if (lost.length >= LOST_MAX) return lost;
      await pieces.onPiece();
      await giveWay(engine.kv, run.signal);
    }
  }
  // Writers have looked into the other regions since before V (V1).
  for (const index of unique) if (index.regional) await validateUnique(table, inAllRegions(index), run);
  for (const fk of table.foreignKeys) {
    if (!checkIds.includes(fk.id)) continue;
    await validateForeignKey(table, fk, await constraintQueue(run.context), run);
  }
  return lost;
}

/** `a=1, b=NULL`: the public columns of a row that fails. */
function shownRow(table: TableDescriptor, row: readonly Datum[]): string {
  const ids = table.columns.filter((column) => column.hidden !== true).map((column) => column.id);
  return describeRow(table, ids, row);
}

export function checkError(table: TableDescriptor, check: CheckDescriptor, row: readonly Datum[]): ConstraintError {
  return new ConstraintError(SqlState.CheckViolation, `validation of CHECK "${check.expr}" failed on row: ${shownRow(table, row)}`, {
    constraint: check.name,
    table: table.name,
    relationId: table.id,
  });
}

export function notNullError(table: TableDescriptor, position: number, row: readonly Datum[]): ConstraintError {
  const column = table.columns[position]?.name ?? '';
  return new ConstraintError(
    SqlState.CheckViolation,
    `validation of NOT NULL constraint failed: validation of CHECK "${quoteName(column)} IS NOT NULL" failed on row: ${shownRow(table, row)}`,
    { column, table: table.name, relationId: table.id },
  );
}

/** Entries and their rows' keys as the index should hold them. */
function entriesOf(engine: EngineServices, table: TableDescriptor, index: IndexDescriptor, rows: readonly Datum[][], run: Run) {
  const writer = tableWriter(table, engine.functions);
  return rows.map((row) => {
    const { keys, values } = writer.entriesOf(index, [row], run, new Map());
    return { key: keys[0], value: values[0] };
  });
}

async function lostEntries(
  engine: EngineServices,
  table: TableDescriptor,
  index: IndexDescriptor,
  rows: readonly Datum[][],
  run: Run,
): Promise<LostEntry[]> {
  const wanted = entriesOf(engine, table, index, rows, run);
  const present = wanted.flatMap(({ key }, i) => (key === undefined ? [] : [{ key, i }]));
  const found = await run.reader.get(present.map(({ key }) => key));
  return present.flatMap(({ i }, at) => (found[at] === wanted[i]?.value ? [] : [{ indexId: index.id, row: rows[i] as Datum[] }]));
}

/** Gives a row its entry back, in the caller's transaction. 23505 when another row has the key; nothing when the row changed meanwhile. */
export async function repairEntry(engine: EngineServices, table: TableDescriptor, lost: LostEntry, txn: Txn, run: Run): Promise<void> {
  const index = table.indexes.find((candidate) => candidate.id === lost.indexId);
  if (!index) return;
  const codec = tableCodec(table);
  const ids = table.columns.map((column) => column.id);
  await txn.lock([codec.rowKey(lost.row)]);
  const keys = codec.familyKeys(lost.row);
  const values = await txn.get(keys, { validated: true });
  const [row] = decodeFetched(tableDecoder(table, table.primaryIndex, ids)(run), keys, values, table.families.length);
  if (!row) return;
  const [entry] = entriesOf(engine, table, index, [row], run);
  if (entry?.key === undefined) return;
  await txn.lock([entry.key]);
  const [taken] = await txn.get([entry.key], { validated: true });
  if (taken === entry.value) return;
  if (taken !== undefined) throw tableWriter(table, engine.functions).duplicate(index, row);
  txn.write([entry.key as Bytes], [entry.value ?? null]);
}
