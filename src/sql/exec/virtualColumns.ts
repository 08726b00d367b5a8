/**
 * Rows with their virtual columns: a virtual computed column is in no row, so what reads rows computes it.
 *
 *   V1  whoever asks for a virtual column gets its value, from the index entry where it is a key, else computed
 *   V2  what it is computed from is read along, and left out again
 *
 * Rows about to be written get theirs in TableWriter.prepare; index entries are then made of them as of any column.
 */
import type { Bytes } from '../../base/bytes.ts';
import type { Datum } from '../../catalog/datum.ts';
import type { IndexDescriptor, TableDescriptor } from '../../catalog/descriptor.ts';
import { indexColumnIds, type RowDecoder } from '../../catalog/rowDecoder.ts';
import { rowDecoder } from '../../catalog/rowCodec.ts';
import { coerceTo, analyzeExpr } from '../expr/analyze.ts';
import { type Compiled, compileExpr } from '../expr/compile.ts';
import type { FunctionRegistry } from '../expr/registry.ts';
import { traits } from '../expr/traits.ts';
import { moveColumns } from '../plan/moveExpr.ts';
import { parseExpression } from '../parse/parse.ts';
import type { Run } from './run.ts';
import { rowAnalysis } from './tableWriter.ts';

/** True when some of the columns are virtual. */
export function hasVirtual(table: TableDescriptor, columnIds: readonly number[]): boolean {
  return table.columns.some((column) => column.isVirtual && columnIds.includes(column.id));
}

/** What decodes rows of an index into the wanted columns, virtual ones too; made once, used with a run. */
export function tableDecoder(table: TableDescriptor, index: IndexDescriptor, columnIds: readonly number[]): (run: Run) => RowDecoder {
  const held = index.id === table.primaryIndex.id ? [] : indexColumnIds(table, index);
  const wanted = table.columns.filter((column) => column.isVirtual && columnIds.includes(column.id) && !held.includes(column.id));
  if (wanted.length === 0) {
    const plain = rowDecoder(table, index, columnIds);
    return () => plain;
  }
  let made: VirtualPlan | undefined;
  return (run) => {
    made ??= planVirtual(table, index, columnIds, run.context.engine.functions);
    return new VirtualDecoder(made, run);
  };
}

interface VirtualPlan {
  readonly columnIds: readonly number[];
  readonly inner: RowDecoder;
  /** Where each wanted column is in the inner row; undefined for one that is computed. */
  readonly places: readonly (number | undefined)[];
  /** Over the inner row, by wanted position. */
  readonly computed: readonly { readonly position: number; readonly compute: Compiled }[];
}

function planVirtual(
  table: TableDescriptor,
  index: IndexDescriptor,
  columnIds: readonly number[],
  functions: FunctionRegistry,
): VirtualPlan {
  const isComputed = (id: number): boolean => table.columns.some((column) => column.id === id && column.isVirtual);
  const exprs = columnIds.map((id) => {
    const column = table.columns.find((one) => one.id === id);
    if (!column?.isVirtual || column.computeExpr === undefined) return undefined;
    const typed = analyzeExpr(parseExpression(column.computeExpr), rowAnalysis(table, functions, 'COMPUTED COLUMN'), column.type);
    return coerceTo(typed, column.type, column.name);
  });
  const bases = exprs.flatMap((expr) => (expr ? [...traits(expr).columns].map((position) => table.columns[position]?.id ?? 0) : []));
  const innerIds = [...new Set([...columnIds.filter((id) => !isComputed(id)), ...bases])];
  const placeOf = (position: number): number => innerIds.indexOf(table.columns[position]?.id ?? 0);
  return {
    columnIds,
    inner: rowDecoder(table, index, innerIds),
    places: columnIds.map((id) => (isComputed(id) ? undefined : innerIds.indexOf(id))),
    computed: exprs.flatMap((expr, position) => (expr ? [{ position, compute: compileExpr(moveColumns(expr, placeOf)) }] : [])),
  };
}

class VirtualDecoder implements RowDecoder {
  readonly columnIds: readonly number[];
  readonly isSingleKey: boolean;
  readonly #plan: VirtualPlan;
  readonly #run: Run;

  constructor(plan: VirtualPlan, run: Run) {
    this.columnIds = plan.columnIds;
    this.isSingleKey = plan.inner.isSingleKey;
    this.#plan = plan;
    this.#run = run;
  }

  #whole(inner: Datum[]): Datum[] {
    const { places, computed } = this.#plan;
    const row = places.map((place) => (place === undefined ? null : (inner[place] as Datum)));
    for (const { position, compute } of computed) row[position] = compute(inner, this.#run.eval);
    return row;
  }

  decode(keys: readonly Bytes[], values: readonly Bytes[], isLast: boolean, out: Datum[][], timestamps?: readonly number[]): void {
    const rows: Datum[][] = [];
    this.#plan.inner.decode(keys, values, isLast, rows, timestamps);
    for (const row of rows) out.push(this.#whole(row));
  }

  decodeOne(key: Bytes, value: Bytes, timestamp?: number): Datum[] {
    return this.#whole(this.#plan.inner.decodeOne(key, value, timestamp));
  }

  decodeFamilies(keys: readonly Bytes[], values: readonly (Bytes | undefined)[]): Datum[] | undefined {
    const row = this.#plan.inner.decodeFamilies(keys, values);
    return row && this.#whole(row);
  }
}
