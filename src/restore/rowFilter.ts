/**
 * Row filter: `RESTORE TABLE t FROM ... WHERE condition`: the rows of one table for which a condition holds.
 *
 *   F1  the condition is over the table as it is restored: its columns at the restored time, under the name
 *       that the backup has for it. It gives the same for the same row at every attempt: nothing volatile, no
 *       subquery
 *   F2  only the primary index is read from the backup. Entries of the others are made from the rows that are
 *       kept, as a backfill makes them, so every index holds the same rows; memory is a run's
 *   F3  a row is judged whole, however many families it has
 *   F4  foreign keys from elsewhere are never restored, and those to elsewhere are given up by their own option;
 *       of the table to itself, rows that others refer to may be missing: it must be given up too
 */
import { assert } from '../base/assert.ts';
import type { Bytes } from '../base/bytes.ts';
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { Datum } from '../catalog/datum.ts';
import { isTable, type TableDescriptor } from '../catalog/descriptor.ts';
import { rowPrefixLength } from '../catalog/rowDecoder.ts';
import { visitTree } from '../sql/exec/ddl/storedTexts.ts';
import type { Run } from '../sql/exec/run.ts';
import { changeRun } from '../sql/exec/schemaChange/changeRun.ts';
import type { EngineServices } from '../sql/exec/statement.ts';
import { rowAnalysis, tableWriter } from '../sql/exec/tableWriter.ts';
import { tableDecoder } from '../sql/exec/virtualColumns.ts';
import { analyzeBool } from '../sql/expr/analyze.ts';
import { type Compiled, compileExpr } from '../sql/expr/compile.ts';
import type { FunctionRegistry } from '../sql/expr/registry.ts';
import { traits } from '../sql/expr/traits.ts';
import type { Expr } from '../sql/parse/ast.ts';
import { parseExpression } from '../sql/parse/parse.ts';
import { printExpr } from '../sql/parse/printer.ts';

import type { Report } from './problems.ts';
import type { RestoreTargets } from './restoreTargets.ts';

/** As the job's record keeps it. */
export interface RowCondition {
  readonly text: string;
  /** What columns of the table are qualified with. */
  readonly tableName: string;
}

/** Sorted by key. */
export interface KeptEntries {
  readonly keys: readonly Bytes[];
  readonly values: readonly Bytes[];
}

export interface KeptRows {
  readonly primary: KeptEntries;
  readonly secondary: readonly KeptEntries[];
  readonly rowCount: number;
}

/** The condition's text. 0A000 for placeholders and subqueries, which a job could not evaluate. */
export function conditionText(where: Expr): string {
  visitTree(where, ({ kind }) => {
    if (kind !== 'placeholder' && kind !== 'subquery' && kind !== 'exists') return;
    const what = kind === 'placeholder' ? 'placeholders' : 'subqueries';
    throw new StatementError(SqlState.FeatureNotSupported, `${what} are not allowed in the WHERE of RESTORE`, {
      hint: 'ATTACH BACKUP, and INSERT INTO ... SELECT ... WHERE ..., takes any condition',
    });
  });
  return printExpr(where);
}

/** The one table, without its foreign keys to itself. 22023 when several are restored, 42809 for a view or sequence; reports F4. */
export function filteredTargets(targets: RestoreTargets, skipForeignKeys: boolean, report: Report): RestoreTargets {
  const [table, ...others] = targets.tables;
  if (table === undefined || others.length > 0) {
    throw new StatementError(SqlState.InvalidParameterValue, 'RESTORE ... WHERE is for one table', {
      hint: 'restore each table with a statement of its own',
    });
  }
  if (!isTable(table)) throw new StatementError(SqlState.WrongObjectType, `"${table.name}" is not a table: it has no rows to choose from`);
  const own = table.foreignKeys.find(({ referencedTableId }) => referencedTableId === table.id);
  if (own === undefined) return targets;
  if (!skipForeignKeys) {
    report(
      new StatementError(
        SqlState.InvalidParameterValue,
        `cannot restore some rows of table "${table.name}" with its foreign key "${own.name}" (or "skip_missing_foreign_keys" option)`,
        {
          detail: 'rows that it refers to may be left out',
          hint: 'restore all rows, or give the foreign key up: WITH skip_missing_foreign_keys',
        },
      ),
    );
  }
  const bare: TableDescriptor = {
    ...table,
    foreignKeys: table.foreignKeys.filter(({ referencedTableId }) => referencedTableId !== table.id),
    referencedByIds: table.referencedByIds.filter((id) => id !== table.id),
  };
  return { ...targets, tables: [bare] };
}

/** Compiles a condition. Throws what analyzing it throws, 0A000 when it is volatile. */
export function compileCondition(table: TableDescriptor, { text, tableName }: RowCondition, functions: FunctionRegistry): Compiled {
  const typed = analyzeBool(parseExpression(text), rowAnalysis({ ...table, name: tableName }, functions, 'WHERE'));
  const { volatility, isAsync } = traits(typed);
  if (volatility === 'volatile' || isAsync) {
    throw new StatementError(SqlState.FeatureNotSupported, 'volatile functions are not allowed in the WHERE of RESTORE', {
      hint: 'a job that goes on after a crash looks at rows again, and must find the same ones',
    });
  }
  return compileExpr(typed);
}

export class RowFilter {
  readonly #table: TableDescriptor;
  readonly #run: Run;
  readonly #engine: EngineServices;
  readonly #condition: Compiled;
  readonly #columnIds: readonly number[];

  private constructor(engine: EngineServices, table: TableDescriptor, condition: RowCondition, run: Run) {
    this.#engine = engine;
    this.#table = table;
    this.#run = run;
    this.#condition = compileCondition(table, condition, engine.functions);
    this.#columnIds = table.columns.map(({ id }) => id);
  }

  /** `table` under its new id; now() in the condition is `at`. */
  static async open(
    engine: EngineServices,
    table: TableDescriptor,
    condition: RowCondition,
    at: Timestamp,
    signal: AbortSignal,
  ): Promise<RowFilter> {
    return new RowFilter(engine, table, condition, (await changeRun(engine, at, signal)).run);
  }

  /** What is kept of whole rows, given as entries of the primary index under their new keys. */
  keep(keys: readonly Bytes[], values: readonly Bytes[]): KeptRows {
    const starts = rowStarts(keys);
    const rows: Datum[][] = [];
    tableDecoder(this.#table, this.#table.primaryIndex, this.#columnIds)(this.#run).decode(keys, values, true, rows);
    assert(rows.length === starts.length, 'rows of a filtered table without their first family');
    const primary: { keys: Bytes[]; values: Bytes[] } = { keys: [], values: [] };
    const kept: Datum[][] = [];
    for (const [i, row] of rows.entries()) {
      if (this.#condition(row, this.#run.eval) !== true) continue;
      kept.push(row);
      for (let at = starts[i] as number; at < (starts[i + 1] ?? keys.length); at++) {
        primary.keys.push(keys[at] as Bytes);
        primary.values.push(values[at] as Bytes);
      }
    }
    const secondary = this.#table.indexes.map(({ id }) => this.#entriesOf(id, kept));
    return { primary, secondary, rowCount: kept.length };
  }

  #entriesOf(indexId: number, rows: readonly Datum[][]): KeptEntries {
    const index = this.#table.indexes.find(({ id }) => id === indexId);
    assert(index !== undefined, `index ${indexId} of a filtered table`);
    const writer = tableWriter(this.#table, this.#engine.functions);
    const { keys, values } = writer.entriesOf(index, rows, this.#run, new Map());
    const order = keys.map((_, i) => i).sort((a, b) => ((keys[a] as Bytes) < (keys[b] as Bytes) ? -1 : 1));
    return { keys: order.map((i) => keys[i] as Bytes), values: order.map((i) => values[i] as Bytes) };
  }
}

/** Indexes at which a row begins. */
function rowStarts(keys: readonly Bytes[]): number[] {
  const starts: number[] = [];
  let prefix: Bytes | undefined;
  for (const [i, key] of keys.entries()) {
    const own = key.slice(0, rowPrefixLength(key)) as Bytes;
    if (own !== prefix) starts.push(i);
    prefix = own;
  }
  return starts;
}

/** Where the last row of a run begins, which the next run may go on with. */
export function lastRowStart(keys: readonly Bytes[]): number {
  const last = keys.at(-1);
  if (last === undefined) return 0;
  const length = rowPrefixLength(last);
  let start = keys.length - 1;
  while (start > 0 && (keys[start - 1] as Bytes).startsWith(last.slice(0, length))) start--;
  return start;
}
