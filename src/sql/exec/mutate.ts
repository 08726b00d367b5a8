/**
 * INSERT, UPSERT, UPDATE and DELETE as operators.
 *
 * The whole input is read before the first row is written, so a statement never meets its own rows.
 * Then rows are written in large pieces through the table's writer, foreign keys are settled, and the
 * RETURNING rows are given.
 */
import type { Bytes } from '../../base/bytes.ts';
import { ConstraintError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Datum } from '../../catalog/datum.ts';
import type { IndexDescriptor, TableDescriptor } from '../../catalog/descriptor.ts';
import { rowDecoder } from '../../catalog/rowCodec.ts';
import type { TypedExpr } from '../expr/typedExpr.ts';
import type { ConflictAction, DeleteNode, InsertNode, UpdateNode } from '../plan/plan.ts';
import { tableShape } from '../plan/tableShape.ts';
import { type ConstraintQueue, constraintQueue } from './foreignKeys.ts';
import { rowBytes } from './keptRows.ts';
import type { MutationNode } from './operators.ts';
import { batched, breathe, collect, compileCondition, compileRow, keeping, type Operator, type Run } from './run.ts';
import { decodeFetched } from './scan.ts';
import { type RowChange, type TableWriter, tableWriter } from './tableWriter.ts';

/** Rows written at a time: bounds what one lock or get call holds. */
const WRITE_ROWS = 10_000;
/** About what an index entry holds beside its columns. */
const ENTRY_BYTES = 200;

export function compileMutation(node: MutationNode, input: Operator): Operator {
  switch (node.kind) {
    case 'insert':
      return compileInsert(node, input);
    case 'update':
      return compileUpdate(node, input);
    case 'delete':
      return compileDelete(node, input);
  }
}

const queueOf = (run: Run): Promise<ConstraintQueue> => constraintQueue(run.context);

/** Rows as RETURNING sees them: the table's row, then its system columns. */
export function asShape(table: TableDescriptor, row: readonly Datum[]): Datum[] {
  return [...row.slice(0, table.columns.length), null, table.id];
}

function returningOf(returning: readonly TypedExpr[] | undefined): ((rows: Datum[][], run: Run) => Promise<Datum[][]>) | undefined {
  if (!returning) return undefined;
  const maker = compileRow(returning);
  return async (rows, run) => {
    const out: Datum[][] = [];
    for (const row of rows) out.push(maker.sync ? maker.sync(row, run.eval) : await maker.async(row, run.eval));
    return out;
  };
}

function compileInsert(node: InsertNode, input: Operator): Operator {
  const { table, conflict } = node;
  const returning = returningOf(node.returning);
  const meet = conflict && compileConflict(node, conflict);
  return keeping(async function* (run, kept) {
    const writer = tableWriter(table, run.context.engine.functions);
    const queue = await queueOf(run);
    const rows = await collect(input(run), kept);
    const written: Datum[][] = [];
    for (const piece of batched(rows, WRITE_ROWS)) {
      await breathe(run);
      await seekRoom(piece, table, run);
      for (const row of piece) writer.prepare(row, run);
      if (!meet) {
        await writer.insert(piece, run, queue);
        if (returning) for (const row of piece) written.push(row);
        run.affected += piece.length;
      } else {
        const affected = await meet(writer, piece, run, queue);
        if (returning) for (const row of affected) written.push(row);
        run.affected += affected.length;
      }
    }
    await queue.settle(run);
    if (returning)
      yield* batched(
        await returning(
          written.map((row) => asShape(table, row)),
          run,
        ),
      );
  });
}

/** Waits for memory to write rows when there seems to be none: the writes themselves cannot wait. */
export async function seekRoom(rows: readonly Datum[][], table: TableDescriptor, run: Run): Promise<void> {
  const { memory } = run.context.engine.kv;
  if (!memory.budget.isAboveSoft) return;
  let bytes = rows.length * ENTRY_BYTES * (1 + table.indexes.length);
  for (const row of rows) bytes += rowBytes(row);
  await memory.seekRoom(bytes);
}

type MeetConflict = (writer: TableWriter, rows: Datum[][], run: Run, queue: ConstraintQueue) => Promise<Datum[][]>;

/** Sorts proposed rows into new ones and those that meet a stored row, and writes both; gives the rows as written. */
function compileConflict(node: InsertNode, action: ConflictAction): MeetConflict {
  const { table } = node;
  const arbiters: readonly IndexDescriptor[] =
    action.type === 'upsert'
      ? [table.primaryIndex]
      : action.type === 'update'
        ? [action.arbiter]
        : (action.arbiters ?? [table.primaryIndex, ...table.indexes.filter((index) => index.unique && index.state === 'public')]);
  const change = action.type === 'update' ? compileUpdateAction(table, action) : action.type === 'upsert' ? upsertAction(node) : undefined;

  const isBlind = action.type === 'upsert' && table.indexes.length === 0 && node.targets.length === table.columns.length;
  return async (writer, proposed, run, queue) => {
    // A row is replaced whole, unread: of two with one key the later stays.
    const rows = isBlind ? lastOfEach(writer, proposed) : proposed;
    const keysOf = rows.map((row) => arbiters.map((index) => writer.conflictKey(index, row, run)));
    const distinct = [...new Set(keysOf.flat().filter((key) => key !== undefined))];
    const txn = run.context.txn;
    await txn.lock(distinct, { signal: run.signal });
    const values = await txn.get(distinct, { validated: true });
    const stored = new Map<Bytes, Bytes>();
    distinct.forEach((key, i) => {
      const value = values[i];
      if (value !== undefined) stored.set(key, value);
    });
    const fresh: Datum[][] = [];
    const taken = new Set<Bytes>();
    const met: { key: Bytes; index: IndexDescriptor; row: Datum[] }[] = [];
    rows.forEach((row, i) => {
      const keys = keysOf[i] ?? [];
      const at = keys.findIndex((key) => key !== undefined && (stored.has(key) || taken.has(key)));
      const key = keys[at];
      const index = arbiters[at];
      if (key === undefined || !index) {
        for (const one of keys) if (one !== undefined) taken.add(one);
        fresh.push(row);
        return;
      }
      if (!change) return;
      if (taken.has(key)) {
        throw new ConstraintError(SqlState.CardinalityViolation, 'UPSERT or INSERT...ON CONFLICT command cannot affect row a second time', {
          hint: 'ensure that no rows proposed for insertion within the same command have duplicate constrained values',
        });
      }
      taken.add(key);
      met.push({ key, index, row });
    });
    const sink = queue.as(action.type === 'upsert' ? 'upsert' : 'insert');
    if (!change || met.length === 0) {
      await writer.insert(fresh, run, sink);
      return fresh;
    }
    const changes: RowChange[] = [];
    const oldRows = await fetchConflicting(writer, met, stored, run);
    for (const [i, { row }] of met.entries()) {
      const old = oldRows[i];
      if (!old) continue;
      const next = await change(old, row, run);
      if (!next) continue;
      writer.prepare(next, run);
      changes.push({ old, next });
    }
    // Updates first: a new row may take a key that a changed one gives up.
    await writer.update(changes, run, sink);
    await writer.insert(fresh, run, sink);
    return [...fresh, ...changes.map((one) => one.next)];
  };
}

/** The stored rows behind conflicting keys, whole. */
async function fetchConflicting(
  writer: TableWriter,
  met: readonly { key: Bytes; index: IndexDescriptor; row: Datum[] }[],
  stored: ReadonlyMap<Bytes, Bytes>,
  run: Run,
): Promise<(Datum[] | undefined)[]> {
  const { table, codec, shape } = writer;
  const keys: Bytes[] = [];
  for (const { key, index, row } of met) {
    if (index.id === table.primaryIndex.id) {
      keys.push(...codec.familyKeys(row));
      continue;
    }
    const decoder = rowDecoder(table, index, table.primaryIndex.columnIds);
    keys.push(...codec.lookupKeys(decoder.decodeOne(key, stored.get(key) as Bytes)));
  }
  const txn = run.context.txn;
  const values = await txn.get(keys, { validated: true });
  const decoder = rowDecoder(table, table.primaryIndex, shape.columnIds);
  const perRow = table.families.length;
  const found: (Datum[] | undefined)[] = [];
  for (let at = 0; at < keys.length; at += perRow) {
    found.push(decodeFetched(decoder, keys.slice(at, at + perRow), values.slice(at, at + perRow), perRow)[0]);
  }
  return found;
}

type Change = (old: Datum[], proposed: readonly Datum[], run: Run) => Promise<Datum[] | undefined>;

function compileUpdateAction(table: TableDescriptor, action: Extract<ConflictAction, { type: 'update' }>): Change {
  const maker = compileRow(action.exprs);
  const where = action.where && compileCondition(action.where);
  return async (old, proposed, run) => {
    const both = [...old, ...asShape(table, proposed)];
    if (where && !(await where.async(both, run.eval))) return undefined;
    const values = await maker.async(both, run.eval);
    const next = old.slice(0, table.columns.length);
    action.targets.forEach((position, i) => {
      next[position] = values[i] as Datum;
    });
    return next;
  };
}

/** UPSERT keeps the columns it does not name; without a column list it names all. */
function upsertAction(node: InsertNode): Change {
  return async (old, proposed) => {
    const next = old.slice(0, node.table.columns.length);
    for (const position of node.targets) next[position] = proposed[position] as Datum;
    return next;
  };
}

function compileUpdate(node: UpdateNode, input: Operator): Operator {
  const { table, targets, valuesOffset } = node;
  const returning = returningOf(node.returning);
  const shape = tableShape(table);
  const isJoined = valuesOffset > shape.width;
  return keeping(async function* (run, kept) {
    const writer = tableWriter(table, run.context.engine.functions);
    const queue = await queueOf(run);
    let rows = await collect(input(run), kept);
    if (isJoined) rows = firstOfEach(writer, rows);
    for (const piece of batched(rows, WRITE_ROWS)) {
      await breathe(run);
      await seekRoom(piece, table, run);
      const changes = piece.map((row): RowChange => {
        const next = row.slice(0, table.columns.length);
        targets.forEach((position, i) => {
          next[position] = row[valuesOffset + i] as Datum;
        });
        writer.prepare(next, run);
        return { old: row, next };
      });
      await writer.update(changes, run, queue);
      run.affected += changes.length;
      if (returning) {
        await queue.settle(run);
        const written = changes.map(({ old, next }) => [...asShape(table, next), ...old.slice(shape.width, valuesOffset)]);
        yield* batched(await returning(written, run));
      }
    }
    await queue.settle(run);
  });
}

function lastOfEach(writer: TableWriter, rows: readonly Datum[][]): Datum[][] {
  return [...new Map(rows.map((row) => [writer.codec.rowKey(row), row])).values()];
}

/** UPDATE FROM and DELETE USING meet a row once, with the first match. */
function firstOfEach(writer: TableWriter, rows: readonly Datum[][]): Datum[][] {
  const seen = new Set<Bytes>();
  return rows.filter((row) => {
    const key = writer.codec.rowKey(row);
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** What it keeps is never refused: deleting is a way out of full memory. */
function compileDelete(node: DeleteNode, input: Operator): Operator {
  const { table } = node;
  const returning = returningOf(node.returning);
  const isJoined = node.input.columns.length > tableShape(table).width;
  return keeping(async function* (run, kept) {
    const writer = tableWriter(table, run.context.engine.functions);
    const queue = await queueOf(run);
    let rows = await collect(input(run), kept);
    if (isJoined) rows = firstOfEach(writer, rows);
    for (const piece of batched(rows, WRITE_ROWS)) {
      await breathe(run);
      await writer.delete(piece, run, queue);
      run.affected += piece.length;
    }
    await queue.settle(run);
    if (returning) yield* batched(await returning(rows, run));
  }, true);
}
