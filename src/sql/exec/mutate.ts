/**
 * INSERT, UPSERT, UPDATE and DELETE as operators.
 *
 * The whole input is read before the first row is written, so a statement never meets its own rows.
 * Then rows are written in pieces through the table's writer, foreign keys are settled, and the
 * RETURNING rows are given. Where rows may trade unique keys, all of them give up theirs before the
 * first takes a new one.
 *
 * Between pieces others have their turn; no step is about more than a piece's rows.
 */
import { type Bytes, utf8Encode } from '../../base/bytes.ts';
import { ConstraintError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Datum } from '../../catalog/datum.ts';
import type { IndexDescriptor, TableDescriptor } from '../../catalog/descriptor.ts';
import { rowDecoder } from '../../catalog/rowCodec.ts';
import type { TypedExpr } from '../expr/typedExpr.ts';
import type { ConflictAction, DeleteNode, InsertNode, UpdateNode } from '../plan/plan.ts';
import { tableShape } from '../plan/tableShape.ts';
import { type ConstraintQueue, constraintQueue } from './foreignKeys.ts';
import { type KeptRows, rowBytes } from './keptRows.ts';
import type { MutationNode } from './operators.ts';
import {
  type Batches,
  batched,
  breathe,
  collect,
  compileCondition,
  compileRow,
  keeping,
  type Operator,
  type Run,
  WRITE_ROWS,
} from './run.ts';
import { decodeFetched } from './scan.ts';
import { type RowChange, type TableWriter, tableWriter } from './tableWriter.ts';
import { tableDecoder } from './virtualColumns.ts';

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

/** Gives the RETURNING rows for what was written; `shapeOf` makes of it the row that the expressions see. */
type Returning = <Written>(written: readonly Written[], shapeOf: (one: Written) => Datum[], run: Run) => Batches;

function returningOf(returning: readonly TypedExpr[] | undefined): Returning | undefined {
  if (!returning) return undefined;
  const maker = compileRow(returning);
  return async function* (written, shapeOf, run) {
    for (const piece of batched(written)) {
      await breathe(run);
      const out: Datum[][] = [];
      for (const one of piece) {
        const row = shapeOf(one);
        out.push(maker.sync ? maker.sync(row, run.eval) : await maker.async(row, run.eval));
      }
      yield out;
    }
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
    let written: readonly Datum[][] = rows;
    if (meet) {
      written = await meet(writer, rows, run, queue, kept);
    } else {
      for (const piece of batched(rows, WRITE_ROWS)) {
        await beforePiece(piece, writer, run);
        await writer.insert(piece, run, queue);
      }
    }
    run.affected += written.length;
    await queue.settle(run);
    if (returning) yield* returning(written, (row) => asShape(table, row), run);
  });
}

/** Takes breath, seeks room, and prepares rows that are about to be written. */
async function beforePiece(rows: Datum[][], writer: TableWriter, run: Run): Promise<void> {
  await breathe(run);
  await seekRoom(rows, writer.table, run);
  for (const row of rows) writer.prepare(row, run);
}

/** Waits for memory to write rows when there seems to be none: the writes themselves cannot wait. */
export async function seekRoom(rows: readonly Datum[][], table: TableDescriptor, run: Run): Promise<void> {
  const { memory } = run.context.engine.kv;
  if (!memory.budget.isAboveSoft) return;
  let bytes = rows.length * ENTRY_BYTES * (1 + table.indexes.length);
  for (const row of rows) bytes += rowBytes(row);
  await memory.seekRoom(bytes);
}

type MeetConflict = (writer: TableWriter, rows: readonly Datum[][], run: Run, queue: ConstraintQueue, kept: KeptRows) => Promise<Datum[][]>;

/** Sorts proposed rows into new ones and those that meet a stored row, and writes both; gives the rows as written. */
function compileConflict(node: InsertNode, action: ConflictAction): MeetConflict {
  const { table } = node;
  const indexes: readonly IndexDescriptor[] =
    action.type === 'upsert'
      ? [table.primaryIndex]
      : action.type === 'update'
        ? [action.arbiter]
        : (action.arbiters ?? [table.primaryIndex, ...table.indexes.filter((index) => index.unique && index.state === 'public')]);
  const arbiters = indexes.flatMap((index) => placesOf(table, index));
  const change = action.type === 'update' ? compileUpdateAction(table, action) : action.type === 'upsert' ? upsertAction(node) : undefined;

  const isBlind =
    action.type === 'upsert' && table.indexes.length === 0 && !table.primaryIndex.regional && node.targets.length === table.columns.length;
  return async (writer, proposed, run, queue, kept) => {
    // A row is replaced whole, unread: of two with one key the later stays.
    const rows = isBlind ? await lastOfEach(writer, proposed, run) : proposed;
    run.affected += proposed.length - rows.length;
    const sink = queue.as(action.type === 'upsert' ? 'upsert' : 'insert');
    const fresh: Datum[][] = [];
    const changes: RowChange[] = [];
    /** Keys that rows of this statement have taken or met, in whichever piece. */
    const taken = new Set<Bytes>();
    const take = (key: Bytes): void => {
      kept.addKey(key);
      taken.add(key);
    };
    for (const piece of batched(rows, WRITE_ROWS)) {
      await beforePiece(piece, writer, run);
      const keysOf = piece.map((row) => arbiters.map(({ index, inPlace }) => writer.conflictKey(index, inPlace(row), run)));
      const stored = await readLocked([...new Set(keysOf.flat().filter((key) => key !== undefined))], run);
      const met: { key: Bytes; index: IndexDescriptor; row: Datum[]; atKey: Datum[] }[] = [];
      piece.forEach((row, i) => {
        const keys = keysOf[i] ?? [];
        const at = keys.findIndex((key) => key !== undefined && (stored.has(key) || taken.has(key)));
        const key = keys[at];
        const arbiter = arbiters[at];
        if (key === undefined || !arbiter) {
          for (const one of keys) if (one !== undefined) take(one);
          fresh.push(row);
          return;
        }
        if (!change) return;
        if (taken.has(key)) {
          throw new ConstraintError(
            SqlState.CardinalityViolation,
            'UPSERT or INSERT...ON CONFLICT command cannot affect row a second time',
            {
              hint: 'ensure that no rows proposed for insertion within the same command have duplicate constrained values',
            },
          );
        }
        take(key);
        met.push({ key, index: arbiter.index, row, atKey: arbiter.inPlace(row) });
      });
      if (!change || met.length === 0) continue;
      const oldRows = await fetchConflicting(writer, met, stored, run);
      for (const [i, { row }] of met.entries()) {
        const old = oldRows[i];
        const next = old && (await change(old, row, run));
        if (!next) continue;
        writer.prepare(next, run);
        changes.push({ old, next });
      }
    }
    // Updates give up their keys first: a new row may take them.
    for (const piece of batched(changes, WRITE_ROWS)) {
      await breathe(run);
      await writer.release(piece, run);
    }
    for (const piece of batched(fresh, WRITE_ROWS)) {
      await breathe(run);
      await writer.insert(piece, run, sink);
    }
    for (const piece of batched(changes, WRITE_ROWS)) {
      await breathe(run);
      await writer.take(piece, run, sink);
    }
    for (const one of changes) fresh.push(one.next);
    return fresh;
  };
}

interface Arbiter {
  readonly index: IndexDescriptor;
  /** The row as it would stand at the key that is looked at. */
  readonly inPlace: (row: Datum[]) => Datum[];
}

/** Where an index may have a row's key: in any region, when rows have regions that nobody named in it. */
function placesOf(table: TableDescriptor, index: IndexDescriptor): Arbiter[] {
  const regionId = index.regional ? index.columnIds[0] : undefined;
  const at = table.columns.findIndex(({ id }) => id === regionId);
  if (at < 0) return [{ index, inPlace: (row) => row }];
  const members = table.columns[at]?.type.members ?? [];
  return members.map((member): Arbiter => {
    const region = utf8Encode(member);
    return { index, inPlace: (row) => row.with(at, region) };
  });
}

/** Locks keys and reads them: what is stored under those that are there. */
async function readLocked(keys: readonly Bytes[], run: Run): Promise<Map<Bytes, Bytes>> {
  const { txn } = run.context;
  await txn.lock(keys, { signal: run.signal });
  const values = await txn.get(keys, { validated: true });
  const stored = new Map<Bytes, Bytes>();
  keys.forEach((key, i) => {
    const value = values[i];
    if (value !== undefined) stored.set(key, value);
  });
  return stored;
}

/** The stored rows behind conflicting keys, whole. */
async function fetchConflicting(
  writer: TableWriter,
  met: readonly { key: Bytes; index: IndexDescriptor; atKey: Datum[] }[],
  stored: ReadonlyMap<Bytes, Bytes>,
  run: Run,
): Promise<(Datum[] | undefined)[]> {
  const { table, codec, shape } = writer;
  const keys: Bytes[] = [];
  for (const { key, index, atKey } of met) {
    if (index.id === table.primaryIndex.id) {
      keys.push(...codec.familyKeys(atKey));
      continue;
    }
    const decoder = rowDecoder(table, index, table.primaryIndex.columnIds);
    keys.push(...codec.lookupKeys(decoder.decodeOne(key, stored.get(key) as Bytes)));
  }
  const txn = run.context.txn;
  const values = await txn.get(keys, { validated: true });
  const decoder = tableDecoder(table, table.primaryIndex, shape.columnIds)(run);
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
    if (isJoined) rows = await firstOfEach(writer, rows, run);
    const isTrading = writer.mayTradeKeys(targets);
    const all: RowChange[] = [];
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
      await writer.release(changes, run);
      if (!isTrading) {
        await breathe(run);
        await writer.take(changes, run, queue);
      }
      if (!isTrading && !returning) continue;
      await kept.add(changes.map((change) => change.next));
      for (const change of changes) all.push(change);
    }
    for (const changes of isTrading ? batched(all, WRITE_ROWS) : []) {
      await breathe(run);
      await writer.take(changes, run, queue);
    }
    run.affected += rows.length;
    await queue.settle(run);
    const shapeOf = ({ old, next }: RowChange) => [...asShape(table, next), ...old.slice(shape.width, valuesOffset)];
    if (returning) yield* returning(all, shapeOf, run);
  });
}

async function lastOfEach(writer: TableWriter, rows: readonly Datum[][], run: Run): Promise<Datum[][]> {
  const last = new Map<Bytes, Datum[]>();
  for (const piece of batched(rows)) {
    await breathe(run);
    for (const row of piece) last.set(writer.codec.rowKey(row), row);
  }
  return [...last.values()];
}

/** UPDATE FROM and DELETE USING meet a row once, with the first match. */
async function firstOfEach(writer: TableWriter, rows: readonly Datum[][], run: Run): Promise<Datum[][]> {
  const seen = new Set<Bytes>();
  const first: Datum[][] = [];
  for (const piece of batched(rows)) {
    await breathe(run);
    for (const row of piece) {
      const key = writer.codec.rowKey(row);
      if (seen.has(key)) continue;
      seen.add(key);
      first.push(row);
    }
  }
  return first;
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
    if (isJoined) rows = await firstOfEach(writer, rows, run);
    await writer.delete(rows, run, queue);
    run.affected += rows.length;
    await queue.settle(run);
    if (returning) yield* returning(rows, (row) => row, run);
  }, true);
}
