/**
 * TableWriter: the key-values behind inserted, changed and deleted rows of one table.
 *
 *   W1  a row's key, and the keys of its unique entries, are locked before they are read or written
 *   W2  uniqueness is read after all of the statement's own deletes are buffered, so rows may trade
 *       keys: what counts is the state that the statement leaves
 *   W3  every index is maintained, write-only ones too; a partial index where its predicate holds
 *   W4  what foreign keys have to check is queued, and checked at the statement's end (foreignKeys.ts)
 *
 * Rows are whole, in the order of the descriptor's columns; computed columns are filled in here.
 */
import type { Bytes } from '../../base/bytes.ts';
import { ConstraintError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { type Datum, datumsEqual } from '../../catalog/datum.ts';
import { type ColumnDescriptor, givenKeyColumnIds, type IndexDescriptor, type TableDescriptor } from '../../catalog/descriptor.ts';
import { type KeyValues, tableCodec, type TableCodec } from '../../catalog/rowCodec.ts';
import type { Txn } from '../../kv/kv.ts';
import { analyzeBool, analyzeExpr, coerceTo } from '../expr/analyze.ts';
import { type Compiled, compileExpr } from '../expr/compile.ts';
import { compileAsync } from '../expr/compileAsync.ts';
import { invertedKeysOf } from '../../catalog/invertedKeys.ts';
import { arrayOf, type ColumnType } from '../../catalog/type.ts';
import { carriedType } from '../../catalog/enumType.ts';
import { Placeholders } from '../expr/placeholders.ts';
import type { FunctionRegistry } from '../expr/registry.ts';
import type { AnalyzeContext } from '../expr/scope.ts';
import { parseExpression } from '../parse/parse.ts';
import { readOnlyError } from './transaction.ts';
import { Frame, type ScopeColumn, type ScopeTable, SelectScope } from '../plan/scope.ts';
import { carriedFunctions } from '../plan/carriedFunctions.ts';
import { type TableShape, tableShape } from '../plan/tableShape.ts';
import { describeKey } from './describeRow.ts';
import { checkRowSize } from './rowSize.ts';
import { batched, breathe, type Run, WRITE_ROWS } from './run.ts';

/** A row before and after an update. */
export interface RowChange {
  readonly old: readonly Datum[];
  readonly next: Datum[];
}

/** Hears of every row change, for what the statement's end has to check. ConstraintQueue (foreignKeys.ts) implements it. */
export interface RowChangeSink {
  inserted(table: TableDescriptor, rows: readonly (readonly Datum[])[]): void;
  updated(table: TableDescriptor, changes: readonly RowChange[]): void;
  deleted(table: TableDescriptor, rows: readonly (readonly Datum[])[]): void;
}

interface WrittenIndex {
  readonly index: IndexDescriptor;
  readonly predicate: Compiled | undefined;
  /** Of an inverted index: the column looked into, and where its keys stand in turn. */
  readonly inverted: { readonly position: number; readonly type: ColumnType; readonly keyPosition: number } | undefined;
}

interface CompiledCheck {
  readonly name: string;
  readonly text: string;
  readonly test: Compiled;
}

const writers = new WeakMap<TableDescriptor, { functions: FunctionRegistry; writer: TableWriter }>();

/** The writer of a table's version; made once. */
export function tableWriter(table: TableDescriptor, functions: FunctionRegistry): TableWriter {
  const known = writers.get(table);
  if (known?.functions === functions) return known.writer;
  const writer = new TableWriter(table, functions);
  writers.set(table, { functions, writer });
  return writer;
}

/** How expressions over one row of a table are typed: checks, computed columns, index predicates. */
export function rowAnalysis(table: TableDescriptor, functions: FunctionRegistry, clause: string): AnalyzeContext {
  const source: ScopeTable = { name: table.name, schema: undefined, database: undefined, keyColumnIds: undefined };
  const columns: ScopeColumn[] = tableShape(table).columns.map((column, index) => ({
    ...column,
    index,
    table: source,
    isHidden: false,
    isMerged: false,
  }));
  return {
    scope: new SelectScope(columns, new Frame(undefined)),
    functions,
    placeholders: new Placeholders(),
    subqueries: undefined,
    userFunctions: carriedFunctions(table),
    resolveType: (name) => {
      const type = carriedType(
        table,
        name.name.parts.map((part) => part.text),
      );
      return type && name.isArray ? arrayOf(type) : type;
    },
    clause,
    allowAggregates: false,
    allowGenerators: false,
    session: { timeZone: 'UTC' },
  };
}

export class TableWriter {
  readonly table: TableDescriptor;
  readonly shape: TableShape;
  readonly codec: TableCodec;
  readonly #computed: readonly { position: number; compute: Compiled }[];
  /** Defaults of write-only columns: a row from before the column gets its value when it is next written. */
  readonly #unfilled: readonly { position: number; compute: Compiled }[];
  readonly #notNull: readonly { position: number; column: ColumnDescriptor }[];
  readonly #checks: readonly CompiledCheck[];
  readonly #indexes: readonly WrittenIndex[];
  readonly #unique: readonly WrittenIndex[];

  constructor(table: TableDescriptor, functions: FunctionRegistry) {
    this.table = table;
    this.shape = tableShape(table);
    this.codec = tableCodec(table);
    this.#computed = table.columns.flatMap((column, position) => {
      if (column.computeExpr === undefined) return [];
      const typed = analyzeExpr(parseExpression(column.computeExpr), rowAnalysis(table, functions, 'COMPUTED COLUMN'), column.type);
      return [{ position, compute: compileExpr(coerceTo(typed, column.type, column.name)) }];
    });
    this.#unfilled = table.columns.flatMap((column, position) => {
      if (column.state !== 'write_only' || column.defaultExpr === undefined) return [];
      const typed = analyzeExpr(parseExpression(column.defaultExpr), rowAnalysis(table, functions, 'DEFAULT'), column.type);
      return [{ position, compute: compileExpr(coerceTo(typed, column.type, column.name)) }];
    });
    this.#notNull = table.columns.flatMap((column, position) => (column.nullable ? [] : [{ position, column }]));
    this.#checks = table.checks.map((check) => ({
      name: check.name,
      text: check.expr,
      test: compileExpr(analyzeBool(parseExpression(check.expr), rowAnalysis(table, functions, 'CHECK'))),
    }));
    this.#indexes = table.indexes.map((index) => ({
      index,
      predicate:
        index.predicate === undefined
          ? undefined
          : compileExpr(analyzeBool(parseExpression(index.predicate), rowAnalysis(table, functions, 'INDEX PREDICATE'))),
      inverted: this.#invertedOf(index),
    }));
    this.#unique = this.#indexes.filter(({ index }) => index.unique);
  }

  #invertedOf(index: IndexDescriptor): WrittenIndex['inverted'] {
    if (!index.inverted) return undefined;
    const position = this.shape.positionOf(index.inverted.columnId);
    const type = this.table.columns[position]?.type as ColumnType;
    return { position, type, keyPosition: this.shape.positionOf(index.columnIds.at(-1) as number) };
  }

  /** Fills in computed columns and defaults of write-only ones, then tests NOT NULL (23502) and CHECK (23514). */
  prepare(row: Datum[], run: Run): void {
    for (const { position, compute } of this.#unfilled) row[position] ??= compute(row, run.eval);
    for (const { position, compute } of this.#computed) row[position] = compute(row, run.eval);
    for (const { position, column } of this.#notNull) {
      if (row[position] === null) {
        throw new ConstraintError(SqlState.NotNullViolation, `null value in column "${column.name}" violates not-null constraint`, {
          column: column.name,
          table: this.table.name,
          relationId: this.table.id,
        });
      }
    }
    for (const check of this.#checks) {
      if (check.test(row, run.eval) === false) {
        throw new ConstraintError(SqlState.CheckViolation, `failed to satisfy CHECK constraint (${check.text})`, {
          constraint: check.name,
          table: this.table.name,
          relationId: this.table.id,
        });
      }
    }
  }

  /** The keys at which another row would collide on a unique index, the primary one first; undefined where none can. */
  conflictKey(index: IndexDescriptor, row: readonly Datum[], run: Run): Bytes | undefined {
    if (index.id === this.table.primaryIndex.id) return this.codec.rowKey(row);
    const written = this.#unique.find((candidate) => candidate.index.id === index.id);
    if (!written || !holds(written, row, run)) return undefined;
    return this.codec.uniqueSpan(index, row)?.key;
  }

  /** Inserts prepared rows. 23505 when a unique key is taken, by a stored row or by another of these. */
  async insert(rows: readonly Datum[][], run: Run, queue: RowChangeSink): Promise<void> {
    if (rows.length === 0) return;
    const txn = writable(run);
    await this.#claim(rows, run, () => true);
    const out: KeyValues = { keys: [], values: [] };
    for (const row of rows) {
      this.#encodeRow(row, run, out);
      this.#addEntries(row, run, out);
    }
    txn.write(out.keys, out.values);
    queue.inserted(this.table, rows);
  }

  /**
   * Locks and reads the unique keys of rows, and refuses those taken. `isNew(i, index)` says whether
   * row i takes a key on the index that it did not hold before.
   */
  async #claim(rows: readonly Datum[][], run: Run, isNew: (row: number, index: IndexDescriptor) => boolean): Promise<void> {
    const txn = writable(run);
    const keys: Bytes[] = [];
    const owners: { row: number; index: IndexDescriptor }[] = [];
    const seen = new Set<Bytes>();
    const claimOne = (row: number, index: IndexDescriptor, key: Bytes): void => {
      if (seen.has(key)) throw this.duplicate(index, rows[row] as Datum[]);
      seen.add(key);
      keys.push(key);
      owners.push({ row, index });
    };
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i] as Datum[];
      if (isNew(i, this.table.primaryIndex)) claimOne(i, this.table.primaryIndex, this.codec.rowKey(row));
      for (const written of this.#unique) {
        if (!isNew(i, written.index) || !holds(written, row, run)) continue;
        const key = this.codec.uniqueSpan(written.index, row)?.key;
        if (key !== undefined) claimOne(i, written.index, key);
      }
    }
    if (keys.length === 0) return;
    await txn.lock(keys, { signal: run.signal });
    const taken = await txn.get(keys, { validated: true });
    for (let i = 0; i < taken.length; i++) {
      if (taken[i] === undefined) continue;
      const { row, index } = owners[i] as { row: number; index: IndexDescriptor };
      throw this.duplicate(index, rows[row] as Datum[]);
    }
  }

  /** The error for a row whose key on a unique index another row has. */
  duplicate(index: IndexDescriptor, row: readonly Datum[]): ConstraintError {
    return new ConstraintError(SqlState.UniqueViolation, `duplicate key value violates unique constraint "${index.name}"`, {
      detail: `Key ${describeKey(this.table, givenKeyColumnIds(index), row)} already exists.`,
      constraint: index.name,
      table: this.table.name,
      relationId: this.table.id,
    });
  }

  /**
   * Whether an update of these columns may give up a key that is unique: then release() comes for
   * all of a statement's rows before take() comes for the first.
   */
  mayTradeKeys(positions: readonly number[]): boolean {
    const changed = new Set([
      ...positions,
      ...this.#computed.map(({ position }) => position),
      ...this.#unfilled.map(({ position }) => position),
    ]);
    const touches = (ids: readonly number[]) => ids.some((id) => changed.has(this.shape.positionOf(id)));
    return (
      touches(this.table.primaryIndex.columnIds) ||
      this.#unique.some(({ index, predicate }) => predicate !== undefined || touches(index.columnIds))
    );
  }

  /** Changes rows, however many; `next` is prepared. The old rows were read in this transaction. */
  async update(changes: readonly RowChange[], run: Run, queue: RowChangeSink): Promise<void> {
    for (const piece of batched(changes, WRITE_ROWS)) {
      await breathe(run);
      await this.release(piece, run);
    }
    for (const piece of batched(changes, WRITE_ROWS)) {
      await breathe(run);
      await this.take(piece, run, queue);
    }
  }

  /** The first half of an update: locks the rows, and gives up the keys that they will hold no more. */
  async release(changes: readonly RowChange[], run: Run): Promise<void> {
    if (changes.length === 0) return;
    const txn = writable(run);
    await txn.lock(
      changes.map((change) => this.codec.rowKey(change.old)),
      { signal: run.signal, alreadyRead: true },
    );
    const primaryIds = this.table.primaryIndex.columnIds;
    const gone: KeyValues = { keys: [], values: [] };
    for (const change of changes) {
      if (!this.#keeps(primaryIds, change.old, change.next)) this.codec.encodeRowDelete(change.old, gone);
      this.#dropEntries(change.old, change.next, run, gone);
    }
    if (gone.keys.length > 0) txn.write(gone.keys, gone.values);
  }

  /** The second half: takes the new keys, 23505 when one is held, and writes the rows. */
  async take(changes: readonly RowChange[], run: Run, queue: RowChangeSink): Promise<void> {
    if (changes.length === 0) return;
    const txn = writable(run);
    const primaryIds = this.table.primaryIndex.columnIds;
    const moved = changes.map((change) => !this.#keeps(primaryIds, change.old, change.next));
    await this.#claim(
      changes.map((change) => change.next),
      run,
      (i, index) => {
        const change = changes[i] as RowChange;
        if (index.id === this.table.primaryIndex.id) return moved[i] === true;
        if (!this.#keeps(index.columnIds, change.old, change.next)) return true;
        const written = this.#unique.find((candidate) => candidate.index.id === index.id);
        return written !== undefined && !holds(written, change.old, run);
      },
    );
    const out: KeyValues = { keys: [], values: [] };
    changes.forEach((change, i) => {
      this.#encodeRow(change.next, run, out, !moved[i]);
      this.#addEntries(change.next, run, out);
    });
    txn.write(out.keys, out.values);
    queue.updated(this.table, changes);
  }

  /** Deletes rows, however many, that were read in this transaction. */
  async delete(rows: readonly (readonly Datum[])[], run: Run, queue: RowChangeSink): Promise<void> {
    for (const piece of batched(rows, WRITE_ROWS)) {
      await breathe(run);
      await this.#deletePiece(piece, run, queue);
    }
  }

  async #deletePiece(rows: readonly (readonly Datum[])[], run: Run, queue: RowChangeSink): Promise<void> {
    const txn = writable(run);
    await txn.lock(
      rows.map((row) => this.codec.rowKey(row)),
      { signal: run.signal, alreadyRead: true },
    );
    const out: KeyValues = { keys: [], values: [] };
    for (const row of rows) {
      this.codec.encodeRowDelete(row, out);
      this.#dropEntries(row, undefined, run, out);
    }
    txn.write(out.keys, out.values);
    queue.deleted(this.table, rows);
  }

  // ---- one row, without waiting ----------------------------------------------------------------
  //
  // The tables' own: no foreign keys here. False, with nothing written, when something has to be waited for.

  /** As insert() of one prepared row. */
  insertNow(row: readonly Datum[], run: Run): boolean {
    const txn = writable(run);
    const claimed = [this.table.primaryIndex];
    const keys = [this.codec.rowKey(row)];
    for (const written of this.#unique) {
      const key = holds(written, row, run) ? this.codec.uniqueSpan(written.index, row)?.key : undefined;
      if (key === undefined) continue;
      claimed.push(written.index);
      keys.push(key);
    }
    if (!txn.lockNow(keys)) return false;
    const taken = txn.getNow(keys, { validated: true });
    if (!taken) return false;
    const at = taken.findIndex((value) => value !== undefined);
    if (at >= 0) throw this.duplicate(claimed[at] as IndexDescriptor, row);
    const out: KeyValues = { keys: [], values: [] };
    this.#encodeRow(row, run, out);
    this.#addEntries(row, run, out);
    txn.write(out.keys, out.values);
    return true;
  }

  /** As update() of one row; false also when it takes another unique key, which has to be claimed. */
  updateNow({ old, next }: RowChange, run: Run): boolean {
    const txn = writable(run);
    if (!this.#keeps(this.table.primaryIndex.columnIds, old, next)) return false;
    for (const { index, predicate } of this.#unique) if (predicate || !this.#keeps(index.columnIds, old, next)) return false;
    if (!txn.lockNow([this.codec.rowKey(old)], { alreadyRead: true })) return false;
    const out: KeyValues = { keys: [], values: [] };
    this.#dropEntries(old, next, run, out);
    this.#encodeRow(next, run, out, true);
    this.#addEntries(next, run, out);
    txn.write(out.keys, out.values);
    return true;
  }

  /** As delete() of one row. */
  deleteNow(row: readonly Datum[], run: Run): boolean {
    const txn = writable(run);
    if (!txn.lockNow([this.codec.rowKey(row)], { alreadyRead: true })) return false;
    const out: KeyValues = { keys: [], values: [] };
    this.codec.encodeRowDelete(row, out);
    this.#dropEntries(row, undefined, run, out);
    txn.write(out.keys, out.values);
    return true;
  }

  #keeps(columnIds: readonly number[], old: readonly Datum[], next: readonly Datum[]): boolean {
    for (const id of columnIds) {
      const position = this.shape.positionOf(id);
      const column = this.table.columns[position];
      if (column && !datumsEqual(column.type, old[position] as Datum, next[position] as Datum)) return false;
    }
    return true;
  }

  /** Appends a row. 54000 when it is too large. */
  #encodeRow(row: readonly Datum[], run: Run, out: KeyValues, all = false): void {
    const from = out.values.length;
    this.codec.encodeRow(row, out, all ? { all } : undefined);
    checkRowSize(this.table, out, from, run);
  }

  /** Appends the entries of a row in the indexes that hold it. */
  #addEntries(row: readonly Datum[], run: Run, out: KeyValues): void {
    for (const written of this.#indexes) if (holds(written, row, run)) this.#addEntry(written, row, out);
  }

  #addEntry(written: WrittenIndex, row: readonly Datum[], out: KeyValues): void {
    if (written.inverted) {
      for (const each of rowsByKey(written.inverted, row)) this.#addOne(written.index, each, out);
    } else this.#addOne(written.index, row, out);
  }

  #addOne(index: IndexDescriptor, row: readonly Datum[], out: KeyValues): void {
    const entry = this.codec.encodeEntry(index, row);
    out.keys.push(entry.key);
    out.values.push(entry.value);
  }

  /** Appends the deletion of a row's entries that it does not keep as `next`; of all where there is no next. */
  #dropEntries(old: readonly Datum[], next: readonly Datum[] | undefined, run: Run, out: KeyValues): void {
    for (const written of this.#indexes) {
      if (!holds(written, old, run)) continue;
      const stays = next !== undefined && holds(written, next, run);
      if (written.inverted) {
        const kept = new Set(stays ? this.#invertedKeys(written, next) : []);
        for (const key of this.#invertedKeys(written, old)) {
          if (kept.has(key)) continue;
          out.keys.push(key);
          out.values.push(null);
        }
        continue;
      }
      const key = this.codec.entryKey(written.index, old);
      if (stays && key === this.codec.entryKey(written.index, next)) continue;
      out.keys.push(key);
      out.values.push(null);
    }
  }

  #invertedKeys({ index, inverted }: WrittenIndex, row: readonly Datum[]): Bytes[] {
    return inverted ? rowsByKey(inverted, row).map((each) => this.codec.entryKey(index, each)) : [];
  }

  /** The entries of one index for rows, for a backfill. 23505 when two rows share a unique key. */
  entriesOf(index: IndexDescriptor, rows: readonly Datum[][], run: Run, seen: Map<Bytes, true>): KeyValues {
    const written = this.#indexes.find((candidate) => candidate.index.id === index.id);
    const out: KeyValues = { keys: [], values: [] };
    for (const row of rows) {
      if (written && !holds(written, row, run)) continue;
      if (index.unique) {
        const key = this.codec.uniqueSpan(index, row)?.key;
        if (key !== undefined) {
          if (seen.has(key)) throw this.duplicate(index, row);
          seen.set(key, true);
        }
      }
      if (written) this.#addEntry(written, row, out);
      else this.#addOne(index, row, out);
    }
    return out;
  }
}

/** The row once for each inverted key, with it in its place. */
function rowsByKey({ position, type, keyPosition }: NonNullable<WrittenIndex['inverted']>, row: readonly Datum[]): Datum[][] {
  return invertedKeysOf(type, row[position] ?? null).map((key) => {
    const copy = [...row];
    copy[keyPosition] = key;
    return copy;
  });
}

function holds(written: WrittenIndex, row: readonly Datum[], run: Run): boolean {
  return written.predicate === undefined || written.predicate(row, run.eval) === true;
}

function writable(run: Run): Txn {
  if (!run.txn) throw readOnlyError('this statement');
  return run.txn;
}

/** A column's DEFAULT for one row; NULL without one. */
export async function defaultOf(table: TableDescriptor, columnId: number, run: Run): Promise<Datum> {
  const column = table.columns.find((candidate) => candidate.id === columnId);
  if (column?.defaultExpr === undefined) return null;
  const typed = analyzeExpr(parseExpression(column.defaultExpr), rowAnalysis(table, run.context.engine.functions, 'DEFAULT'), column.type);
  return compileAsync(coerceTo(typed, column.type, column.name))([], run.eval);
}
