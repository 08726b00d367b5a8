/**
 * The executor: a plan compiled once, run many times.
 *
 * A run first carries out the prelude in order (WITH queries, uncorrelated subqueries), then pulls
 * batches from the root. Correlated subqueries are compiled at their first use and run once for each
 * row that asks.
 *
 * Lives elsewhere: the operators (operators.ts), row changes (mutate.ts), planning (../plan/).
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Datum } from '../../catalog/datum.ts';
import type { EvalContext, Row } from '../expr/evalContext.ts';
import type { SubqueryPlan } from '../expr/typedExpr.ts';
import type { Plan, PlanNode, PlannedSubquery, PreludeStep } from '../plan/plan.ts';
import { compileMutation } from './mutate.ts';
import { compileTree } from './operators.ts';
import { compileNow, type NowOperator } from './operatorsNow.ts';
import { type KeptRows, keptRows } from './keptRows.ts';
import { type Batches, collect, type Operator, type Run } from './run.ts';
import { rowKey } from './sort.ts';

/** A statement ready to run. */
export interface CompiledPlan {
  readonly plan: Plan;
  readonly root: Operator;
  /** Runs what comes before the rows; absent when there is nothing. */
  readonly prelude: ((run: Run, kept: KeptRows) => Promise<void>) | undefined;
  /** The same without waiting, for plans that need not. */
  readonly now: NowOperator | undefined;
}

export function compileNode(node: PlanNode): Operator {
  return compileTree(node, compileMutation);
}

export function compilePlan(plan: Plan): CompiledPlan {
  const steps = plan.prelude.map((step) => compileStep(step, plan.mutates));
  return {
    plan,
    root: compileNode(plan.root),
    prelude:
      steps.length === 0
        ? undefined
        : async (run, kept) => {
            for (const step of steps) await step(run, kept);
          },
    now: steps.length === 0 ? compileNow(plan.root) : undefined,
  };
}

/** Runs a compiled plan. Rows come as they are made: nothing has been read before the first pull. */
export async function* runPlan(compiled: CompiledPlan, run: Run): Batches {
  if (!compiled.prelude) return yield* compiled.root(run);
  // Rows of WITH queries stay until the statement has given its own.
  const kept = keptRows(run);
  try {
    await compiled.prelude(run, kept);
    yield* compiled.root(run);
  } finally {
    kept.release();
  }
}

function compileStep(step: PreludeStep, mutates: boolean): (run: Run, kept: KeptRows) => Promise<void> {
  if (step.kind === 'slot') {
    const result = compileSubquery(step.plan);
    return async (run) => {
      run.slots[step.slot] = await result(run);
    };
  }
  const root = compileNode(step.node);
  const { recursive, cte } = step;
  if (!recursive) {
    return async (run, kept) => {
      // The statement's own row count does not include its WITH queries'.
      const { affected } = run;
      run.ctes[cte] = { rows: await collect(root(run), kept) };
      run.affected = affected;
    };
  }
  const next = compileNode(recursive.step);
  const own = recursive.prelude.map((inner) => compileStep(inner, mutates));
  const { columns } = step.node;
  const keyOf = rowKey(
    columns.map((_, i) => i),
    columns.map((column) => column.type),
  );
  return async (run, kept) => {
    // What the turns read is theirs: who reads this query meanwhile sees all of its rows.
    const turn: Run = { ...run, ctes: [...run.ctes] };
    const seen = new Set<unknown>();
    const isNew = (row: Datum[]): boolean => {
      if (recursive.all) return true;
      const key = keyOf(row);
      if (seen.has(key)) return false;
      seen.add(key);
      return true;
    };
    let last = (await collect(root(run), kept)).filter(isNew);
    const rows = [...last];
    const takeTurn = async (): Promise<boolean> => {
      if (last.length === 0) return false;
      run.signal.throwIfAborted();
      turn.ctes[cte] = { rows: last };
      for (const step of own) await step(turn, kept);
      last = (await collect(next(turn), kept)).filter(isNew);
      for (const row of last) rows.push(row);
      return last.length > 0;
    };
    // Turns are taken as they are read, so that an endless query with a LIMIT ends. Two readers share one.
    let underWay: Promise<boolean> | undefined;
    const more = (): Promise<boolean> => {
      underWay ??= takeTurn().finally(() => {
        underWay = undefined;
      });
      return underWay;
    };
    run.ctes[cte] = { rows, more };
    // Rows that are changed must not be seen by the turns.
    if (mutates) while (await more());
  };
}

// ---- subqueries -------------------------------------------------------------------------------

const compiledSubqueries = new WeakMap<PlannedSubquery, (run: Run) => Promise<Datum>>();

/** The subquery's rows as one datum, in the form the expression asked for. */
function compileSubquery(plan: PlannedSubquery): (run: Run) => Promise<Datum> {
  let compiled = compiledSubqueries.get(plan);
  if (!compiled) {
    const root = compileNode(plan.node);
    compiled = (run) => foldRows(plan, root(run));
    compiledSubqueries.set(plan, compiled);
  }
  return compiled;
}

async function foldRows(plan: PlannedSubquery, batches: Batches): Promise<Datum> {
  const isSingle = plan.columns.length === 1;
  const datumOf = (row: Datum[]): Datum => (isSingle ? (row[0] as Datum) : row.slice(0, plan.columns.length));
  if (plan.form === 'array') return (await collect(batches)).map(datumOf);
  let first: Datum[] | undefined;
  for await (const batch of batches) {
    if (plan.form === 'exists') return true;
    if (first || batch.length > 1) {
      throw new StatementError(SqlState.CardinalityViolation, 'more than one row returned by a subquery used as an expression');
    }
    first = batch[0];
  }
  if (plan.form === 'exists') return false;
  return first ? datumOf(first) : null;
}

/** Runs a correlated subquery for one row: `EvalContext.runSubquery` of this run. */
export function runCorrelated(run: Run, subquery: SubqueryPlan, row: Row, ctx: EvalContext): Promise<Datum> {
  const plan = subquery as PlannedSubquery;
  let outer = row;
  if (plan.outerMap) {
    // The row as it was laid out when the subquery was analysed; only what it reads is there.
    const laidOut: Datum[] = [];
    for (const [from, to] of plan.outerMap) laidOut[from] = row[to] as Datum;
    outer = laidOut;
  }
  return compileSubquery(plan)({ ...run, eval: { ...ctx, outerRows: [outer, ...ctx.outerRows] } });
}
