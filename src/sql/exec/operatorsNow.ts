/**
 * Operators that do not wait: plans over rows that their primary key names.
 *
 * Everything they need is in memory, so such a plan runs as one function call instead of a chain of
 * generators and promises, which would cost several times the work itself. What may have to wait (a
 * lock that somebody holds, a reader of history, a full memory budget) gives undefined instead of
 * rows; the statement then runs through the ordinary operators from the start. Until then it has
 * changed nothing that others see: at most it holds locks that it needs anyway.
 *
 *   NW1  rows, errors and what is locked, read and written are those of the ordinary operators
 *   NW2  undefined is given before the first write is buffered
 *
 * Lives elsewhere: the ordinary operators (operators.ts, scan.ts, mutate.ts), the statement around
 * them (statementsNow.ts).
 */
import type { Datum } from '../../catalog/datum.ts';
import type { TableDescriptor } from '../../catalog/descriptor.ts';
import { rowDecoder, tableCodec } from '../../catalog/rowCodec.ts';
import { compileExpr } from '../expr/compile.ts';
import { traits } from '../expr/traits.ts';
import type { TypedExpr } from '../expr/typedExpr.ts';
import type { DeleteNode, InsertNode, LimitNode, PlanNode, ScanNode, UpdateNode, ValuesNode } from '../plan/plan.ts';
import { tableShape } from '../plan/tableShape.ts';
import { keptByReading } from './keptByReading.ts';
import { asShape } from './mutate.ts';
import { compileCondition, compileRow, type Run } from './run.ts';
import { compileOneKey, decodeFetched, isAllPoints, lockerOf, turnsOf } from './scan.ts';
import { tableWriter } from './tableWriter.ts';
import { hasVirtual } from './virtualColumns.ts';

/** All rows of one run; undefined when something has to be waited for. */
export type NowOperator = (run: Run) => Datum[][] | undefined;

/** The operator of a plan that need not wait; undefined for every other plan. */
export function compileNow(node: PlanNode): NowOperator | undefined {
  switch (node.kind) {
    case 'values':
      return valuesNow(node);
    case 'scan':
      return scanNow(node);
    case 'filter': {
      const input = compileNow(node.input);
      const keeps = compileCondition(node.predicate).sync;
      return input && keeps && ((run) => input(run)?.filter((row) => keeps(row, run.eval)));
    }
    case 'project': {
      const input = compileNow(node.input);
      const { exprs } = node;
      if (exprs.length === node.input.columns.length && exprs.every((expr, i) => expr.kind === 'column' && expr.index === i)) return input;
      const make = compileRow(exprs).sync;
      return input && make && ((run) => input(run)?.map((row) => make(row, run.eval)));
    }
    case 'limit':
      return limitNow(node);
    case 'insert':
      return insertNow(node);
    case 'update':
      return updateNow(node);
    case 'delete':
      return deleteNow(node);
    default:
      return undefined;
  }
}

/** One row of VALUES, or the row of a SELECT without FROM. */
function valuesNow({ rows }: ValuesNode): NowOperator | undefined {
  const [only] = rows;
  if (rows.length !== 1 || !only) return undefined;
  const make = compileRow(only).sync;
  return make && ((run) => [make([], run.eval)]);
}

/** The row of one primary key. */
function scanNow(node: ScanNode): NowOperator | undefined {
  const { table, index } = node;
  if (index.id !== table.primaryIndex.id || node.skipsLocked || !isAllPoints(node) || hasVirtual(table, node.columnIds)) return undefined;
  const keyOf = compileOneKey(node);
  if (!keyOf) return undefined;
  const codec = tableCodec(table);
  const decoder = rowDecoder(table, index, node.columnIds);
  const familyCount = table.families.length;
  const options = node.isConstraint ? { validated: true } : undefined;
  return (run) => {
    const primaryKey = keyOf(run);
    if (primaryKey === null) return [];
    const keys = codec.lookupKeys(primaryKey);
    const first = keys.length === 1 ? keys : keys.slice(0, 1);
    if (lockerOf(node, run)?.lockNow(first) === false || turnsOf(node, run)?.takeNow(first) === false) return undefined;
    const values = run.reader.getNow(keys, run.readsOnly ? UNRECORDED : options);
    return values && decodeFetched(decoder, keys, values, familyCount);
  };
}

const UNRECORDED = { unrecorded: true };

/** LIMIT with a plain count. */
function limitNow({ limit, offset, ...node }: LimitNode): NowOperator | undefined {
  if (!limit || offset || limit.kind !== 'const') return undefined;
  const count = Number(limit.value);
  const input = compileNow(node.input);
  return input && limit.value !== null && count > 0 ? (run) => input(run)?.slice(0, count) : undefined;
}

/** RETURNING; undefined when it has to wait. */
function returningNow(returning: readonly TypedExpr[] | undefined): ((row: Datum[], run: Run) => Datum[][]) | undefined {
  if (!returning) return () => [];
  if (returning.some((expr) => traits(expr).isAsync)) return undefined;
  const exprs = returning.map(compileExpr);
  return (row, run) => [exprs.map((expr) => expr(row, run.eval))];
}

/** Foreign keys, and unique constraints without an index, are looked up at the end of the statement, which has to wait. */
function standsAlone(table: TableDescriptor): boolean {
  return table.foreignKeys.length + table.referencedByIds.length + keptByReading(table).length === 0;
}

function hasRoom(run: Run): boolean {
  return !run.context.engine.kv.memory.budget.isAboveSoft;
}

function insertNow(node: InsertNode): NowOperator | undefined {
  const { table } = node;
  if (node.conflict || !standsAlone(table)) return undefined;
  const input = compileNow(node.input);
  const returning = returningNow(node.returning);
  if (!input || !returning) return undefined;
  return (run) => {
    const rows = run.txn && hasRoom(run) ? input(run) : undefined;
    if (!rows) return undefined;
    const [row] = rows;
    if (!row) return [];
    const writer = tableWriter(table, run.context.engine.functions);
    writer.prepare(row, run);
    if (!writer.insertNow(row, run)) return undefined;
    run.affected = 1;
    return returning(asShape(table, row), run);
  };
}

function updateNow(node: UpdateNode): NowOperator | undefined {
  const { table, targets, valuesOffset } = node;
  if (!standsAlone(table) || valuesOffset > tableShape(table).width) return undefined;
  const input = compileNow(node.input);
  const returning = returningNow(node.returning);
  if (!input || !returning) return undefined;
  const columnCount = table.columns.length;
  return (run) => {
    const rows = run.txn && hasRoom(run) ? input(run) : undefined;
    if (!rows) return undefined;
    const [old] = rows;
    if (!old) return [];
    const next = old.slice(0, columnCount);
    for (let i = 0; i < targets.length; i++) next[targets[i] as number] = old[valuesOffset + i] as Datum;
    const writer = tableWriter(table, run.context.engine.functions);
    writer.prepare(next, run);
    if (!writer.updateNow({ old, next }, run)) return undefined;
    run.affected = 1;
    return returning(asShape(table, next), run);
  };
}

function deleteNow(node: DeleteNode): NowOperator | undefined {
  const { table } = node;
  if (!standsAlone(table) || node.input.columns.length > tableShape(table).width) return undefined;
  const input = compileNow(node.input);
  const returning = returningNow(node.returning);
  if (!input || !returning) return undefined;
  return (run) => {
    const rows = run.txn ? input(run) : undefined;
    if (!rows) return undefined;
    const [row] = rows;
    if (!row) return [];
    const writer = tableWriter(table, run.context.engine.functions);
    if (!writer.deleteNow(row, run)) return undefined;
    run.affected = 1;
    return returning(row, run);
  };
}
