/**
 * Aggregation: one state for each aggregate and group, in a map by group key.
 *
 * FILTER, DISTINCT and ORDER BY of an aggregate are applied here, before its state sees a row: a
 * distinct aggregate remembers the arguments it has seen, an ordered one keeps its group's rows and
 * feeds them sorted at the end. Groups come in the order of their first rows.
 */
import type { Datum } from '../../catalog/datum.ts';
import type { EvalContext } from '../expr/evalContext.ts';
import type { AggregateState } from '../expr/overload.ts';
import type { TypedAggregate } from '../expr/typedExpr.ts';
import type { AggregateNode, PlanColumn } from '../plan/plan.ts';
import { rowBytes } from './keptRows.ts';
import { batched, compileCondition, compileRow, type Condition, keeping, type Operator, type RowMaker, type Run } from './run.ts';
import { compareRows, type KeyOf, rowKey, type RowCompare } from './sort.ts';

interface CompiledAggregate {
  readonly args: RowMaker;
  readonly filter: Condition | undefined;
  readonly distinctKey: KeyOf | undefined;
  /** Arguments first, then the sort keys. */
  readonly ordered: { readonly row: RowMaker; readonly compare: RowCompare; readonly argCount: number } | undefined;
  /** Its state holds every argument: array_agg, string_agg and their kin. */
  readonly keepsArgs: boolean;
  readonly start: (ctx: EvalContext) => AggregateState;
}

/** About what a group's state of one aggregate takes. */
const STATE_BYTES = 100;

interface GroupPart {
  readonly state: AggregateState;
  readonly seen: Set<unknown> | undefined;
  readonly rows: Datum[][] | undefined;
}

function compileOne(aggregate: TypedAggregate): CompiledAggregate {
  const types = aggregate.args.map((arg) => arg.type);
  const indexes = types.map((_, i) => i);
  let ordered: CompiledAggregate['ordered'];
  if (aggregate.orderBy.length > 0) {
    const exprs = [...aggregate.args, ...aggregate.orderBy.map((key) => key.expr)];
    const columns: PlanColumn[] = exprs.map((expr) => ({ name: '', type: expr.type }));
    const keys = aggregate.orderBy.map(({ descending, nullsFirst }, i) => ({ index: types.length + i, descending, nullsFirst }));
    ordered = { row: compileRow(exprs), compare: compareRows(keys, columns), argCount: types.length };
  }
  return {
    args: compileRow(aggregate.args),
    filter: aggregate.filter && compileCondition(aggregate.filter),
    distinctKey: aggregate.distinct ? rowKey(indexes, types) : undefined,
    ordered,
    keepsArgs: aggregate.overload.name.endsWith('_agg'),
    start: (ctx) => aggregate.overload.start(types, ctx),
  };
}

/** Adds a batch to the one group of a query without GROUP BY: an aggregate after the other, when none has to wait or keeps its rows. */
function compileAddAll(
  aggregates: readonly CompiledAggregate[],
): ((batch: readonly Datum[][], parts: readonly GroupPart[], run: Run) => void) | undefined {
  const makers = aggregates.map(({ args, filter, distinctKey, ordered, keepsArgs }) =>
    filter || distinctKey || ordered || keepsArgs ? undefined : args.sync,
  );
  if (makers.includes(undefined)) return undefined;
  return (batch, parts, run) => {
    for (let i = 0; i < parts.length; i++) {
      const { state } = parts[i] as GroupPart;
      const argsOf = makers[i] as NonNullable<(typeof makers)[number]>;
      for (let at = 0; at < batch.length; at++) state.add(argsOf(batch[at] as Datum[], run.eval));
    }
  };
}

export function compileAggregate(node: AggregateNode, input: Operator): Operator {
  const keys = compileRow(node.keys);
  const keyOf = rowKey(
    node.keys.map((_, i) => i),
    node.keys.map((key) => key.type),
  );
  const aggregates = node.aggregates.map(compileOne);
  const newGroup = (ctx: EvalContext): GroupPart[] =>
    aggregates.map((aggregate) => ({
      state: aggregate.start(ctx),
      seen: aggregate.distinctKey && new Set(),
      rows: aggregate.ordered && [],
    }));

  const addAll = node.isScalar ? compileAddAll(aggregates) : undefined;

  return keeping(async function* (run, kept) {
    const groups = new Map<unknown, { key: Datum[]; parts: GroupPart[] }>();
    const whole = node.isScalar ? { key: [], parts: newGroup(run.eval) } : undefined;
    if (whole) groups.set('', whole);
    for await (const batch of input(run)) {
      run.signal.throwIfAborted();
      if (whole && addAll) {
        addAll(batch, whole.parts, run);
        continue;
      }
      for (const row of batch) {
        const key = keys.sync ? keys.sync(row, run.eval) : await keys.async(row, run.eval);
        const hash = node.isScalar ? '' : keyOf(key);
        let group = groups.get(hash);
        if (!group) {
          group = { key, parts: newGroup(run.eval) };
          groups.set(hash, group);
          kept.addBytes(rowBytes(key) + aggregates.length * STATE_BYTES);
        }
        for (let i = 0; i < aggregates.length; i++) {
          const aggregate = aggregates[i] as CompiledAggregate;
          const part = group.parts[i] as GroupPart;
          const { filter } = aggregate;
          if (filter && !(filter.sync ? filter.sync(row, run.eval) : await filter.async(row, run.eval))) continue;
          const maker = aggregate.ordered?.row ?? aggregate.args;
          const args = maker.sync ? maker.sync(row, run.eval) : await maker.async(row, run.eval);
          if (part.seen && aggregate.distinctKey) {
            const seen = aggregate.distinctKey(args);
            if (part.seen.has(seen)) continue;
            part.seen.add(seen);
            kept.addKey(seen);
          }
          if (part.rows || aggregate.keepsArgs) kept.addBytes(rowBytes(args));
          if (part.rows) part.rows.push(args);
          else part.state.add(args);
        }
      }
    }
    const out: Datum[][] = [];
    for (const { key, parts } of groups.values()) {
      const row = [...key];
      parts.forEach((part, i) => {
        const ordered = aggregates[i]?.ordered;
        if (part.rows && ordered) {
          for (const args of part.rows.sort(ordered.compare)) part.state.add(args.slice(0, ordered.argCount));
        }
        row.push(part.state.result());
      });
      out.push(row);
    }
    yield* batched(out);
  });
}
