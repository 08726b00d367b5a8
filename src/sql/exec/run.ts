/**
 * Running plans: what operators share.
 *
 * A compiled node is a function from a run to its batches of rows. A run is one execution of one
 * statement: where it reads, what its expressions see, the rows of WITH queries. Batches are pulled,
 * so a LIMIT or a portal that stops asking stops the work below it; a batch is never empty.
 */
import type { KvReader, Txn } from '../../kv/kv.ts';
import type { Datum } from '../../catalog/datum.ts';
import { type Compiled, compileExpr } from '../expr/compile.ts';
import { type CompiledAsync, compileAsync } from '../expr/compileAsync.ts';
import type { EvalContext, Row } from '../expr/evalContext.ts';
import { traits } from '../expr/traits.ts';
import type { TypedExpr } from '../expr/typedExpr.ts';
import type { PlanNode } from '../plan/plan.ts';
import { type KeptRows, keptRows } from './keptRows.ts';
import type { StatementContext } from './statement.ts';

export interface Run {
  readonly context: StatementContext;
  readonly reader: KvReader;
  /** Undefined when the statement reads history. */
  readonly txn: Txn | undefined;
  readonly eval: EvalContext;
  readonly signal: AbortSignal;
  /** Rows of WITH queries by number. */
  readonly ctes: WithRows[];
  /** Values of uncorrelated subqueries by slot; the same array as `eval.slots`. */
  readonly slots: Datum[];
  /** Rows that the statement's own row change affected. */
  affected: number;
  /** True when nothing is written after it in its transaction: what it reads need not be kept for validation. */
  readsOnly?: boolean;
  /** Present under EXPLAIN ANALYZE: what each node gave. */
  readonly counts?: Map<PlanNode, NodeCounts>;
}

/** What a node did in one run: how often it was started, and how many rows it gave in all. */
export interface NodeCounts {
  starts: number;
  rows: number;
}

export type Batches = AsyncGenerator<Datum[][], void, undefined>;
export type Operator = (run: Run) => Batches;

/** Rows a batch aims at. */
export const BATCH_ROWS = 1024;

/** Rows written at a time: what locks, encodes and buffers them takes one to five milliseconds. */
export const WRITE_ROWS = 500;

/** The same run with other outer rows: one call of a correlated subquery, or one row of LATERAL. */
export function withOuterRow(run: Run, row: Row): Run {
  return { ...run, eval: { ...run.eval, outerRows: [row, ...run.eval.outerRows] } };
}

/** Several expressions over one row. `sync` is absent when one of them has to wait. */
export interface RowMaker {
  readonly sync: ((row: Row, ctx: EvalContext) => Datum[]) | undefined;
  readonly async: (row: Row, ctx: EvalContext) => Promise<Datum[]>;
}

export function compileRow(exprs: readonly TypedExpr[]): RowMaker {
  const isAsync = exprs.some((expr) => traits(expr).isAsync);
  if (!isAsync) {
    const compiled = exprs.map(compileExpr);
    const sync = rowOf(compiled);
    return { sync, async: async (row, ctx) => sync(row, ctx) };
  }
  const compiled: CompiledAsync[] = exprs.map(compileAsync);
  return {
    sync: undefined,
    async: async (row, ctx) => {
      const made: Datum[] = new Array(compiled.length);
      for (let i = 0; i < compiled.length; i++) {
        const value = (compiled[i] as CompiledAsync)(row, ctx);
        made[i] = value instanceof Promise ? await value : value;
      }
      return made;
    },
  };
}

function rowOf(compiled: readonly Compiled[]): (row: Row, ctx: EvalContext) => Datum[] {
  return (row, ctx) => {
    const made: Datum[] = new Array(compiled.length);
    for (let i = 0; i < compiled.length; i++) made[i] = (compiled[i] as Compiled)(row, ctx);
    return made;
  };
}

/** A condition over a row; NULL counts as false. */
export interface Condition {
  readonly sync: ((row: Row, ctx: EvalContext) => boolean) | undefined;
  readonly async: (row: Row, ctx: EvalContext) => Promise<boolean>;
}

export function compileCondition(expr: TypedExpr): Condition {
  if (!traits(expr).isAsync) {
    const compiled = compileExpr(expr);
    const sync = (row: Row, ctx: EvalContext): boolean => compiled(row, ctx) === true;
    return { sync, async: async (row, ctx) => sync(row, ctx) };
  }
  const compiled = compileAsync(expr);
  return { sync: undefined, async: async (row, ctx) => (await compiled(row, ctx)) === true };
}

/** A row independent expression's value. */
export async function evaluate(expr: CompiledAsync, run: Run): Promise<Datum> {
  return expr([], run.eval);
}

/** The rows of a WITH query. */
export interface WithRows {
  /** Those that are there. */
  readonly rows: readonly Datum[][];
  /** Makes more of them; false when there are none. Absent when all are there. */
  readonly more?: () => Promise<boolean>;
}

/** Everything an operator gives; with `kept`, counted there. */
export async function collect(batches: Batches, kept?: KeptRows): Promise<Datum[][]> {
  let rows: Datum[][] | undefined;
  for await (const batch of batches) {
    const wait = kept?.add(batch);
    if (wait) await wait;
    if (!rows) rows = batch;
    else for (const row of batch) rows.push(row);
  }
  return rows ?? [];
}

/**
 * An operator that keeps rows: `work` counts them, and they count no more when it ends, however it
 * does. With `mayExceed` they are never refused.
 */
export function keeping(work: (run: Run, kept: KeptRows) => Batches, mayExceed = false): Operator {
  return async function* (run) {
    const kept = keptRows(run, 'sorts', mayExceed);
    try {
      yield* work(run, kept);
    } finally {
      kept.release();
    }
  };
}

/** Cuts rows into batches. */
export function* batched<Row = Datum[]>(rows: readonly Row[], size = BATCH_ROWS): Generator<Row[]> {
  if (rows.length <= size) {
    if (rows.length > 0) yield rows as Row[];
    return;
  }
  for (let at = 0; at < rows.length; at += size) yield rows.slice(at, at + size);
}

/** Ends the time slice when it is used up, and the statement when its caller has cancelled it. */
export async function breathe(run: Run): Promise<void> {
  const { executor } = run.context.engine.kv;
  if (executor.shouldYield()) await executor.yield();
  run.signal.throwIfAborted();
}

/**
 * The same operator, taking breath before each batch: rows that come from memory make promises only,
 * and promises alone never let a socket or a timer have its turn. Cost: one reading of a clock a batch.
 */
export function breathing(operator: Operator): Operator {
  return (run) => {
    const batches = operator(run);
    const pull = batches.next.bind(batches);
    const { executor } = run.context.engine.kv;
    // A cancel is thrown inside the generator, so that it cleans up.
    const proceed = () => (run.signal.aborted ? batches.throw(run.signal.reason) : pull());
    batches.next = () => (executor.shouldYield() ? executor.yield().then(proceed) : proceed());
    return batches;
  };
}

/** The same operator, counted in runs that ask for it. */
export function counted(node: PlanNode, operator: Operator): Operator {
  return (run) => (run.counts ? count(operator(run), countsOf(run.counts, node)) : operator(run));
}

function countsOf(all: Map<PlanNode, NodeCounts>, node: PlanNode): NodeCounts {
  let counts = all.get(node);
  if (!counts) {
    counts = { starts: 0, rows: 0 };
    all.set(node, counts);
  }
  counts.starts++;
  return counts;
}

async function* count(batches: Batches, counts: NodeCounts): Batches {
  for await (const batch of batches) {
    counts.rows += batch.length;
    yield batch;
  }
}
