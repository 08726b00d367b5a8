/**
 * Joins: hash, nested loop, lookup, and LATERAL.
 *
 * A hash join reads its right side into a map by key, then streams the left side past it, so rows
 * come in the left side's order; without keys every pair is tried. Unmatched rows of a preserved side
 * are given with NULLs for the other; those of the right side come last.
 */
import type { Datum } from '../../catalog/datum.ts';
import type { ApplyNode, JoinNode, LookupJoinNode, PlanNode } from '../plan/plan.ts';
import {
  BATCH_ROWS,
  batched,
  breathe,
  collect,
  compileCondition,
  compileRow,
  type Condition,
  keeping,
  type Operator,
  type Run,
  withOuterRow,
} from './run.ts';
import { compileLookup } from './scan.ts';
import { rowKey } from './sort.ts';

const nulls = (node: PlanNode): Datum[] => node.columns.map(() => null);

async function passes(condition: Condition | undefined, row: Datum[], run: Run): Promise<boolean> {
  return condition === undefined || condition.async(row, run.eval);
}

export function compileJoin(node: JoinNode, left: Operator, right: Operator): Operator {
  const condition = node.on && compileCondition(node.on);
  const hasKeys = node.leftKeys.length > 0;
  const types = node.leftKeys.map((key) => key.type);
  const leftKeys = compileRow(node.leftKeys);
  const rightKeys = compileRow(node.rightKeys);
  const keyOf = rowKey(
    types.map((_, i) => i),
    types,
  );
  // Of a semi or anti join only the left row is given, and one match is enough.
  const isOfLeft = node.type === 'semi' || node.type === 'anti';
  const keepsLeft = node.type === 'left' || node.type === 'full';
  const keepsRight = node.type === 'right' || node.type === 'full';
  const noLeft = nulls(node.left);
  const noRight = nulls(node.right);
  const nothing: number[] = [];

  return keeping(async function* (run, kept) {
    const rightRows = await collect(right(run), kept);
    const matched = keepsRight ? new Uint8Array(rightRows.length) : undefined;
    const byKey = new Map<unknown, number[]>();
    const all = hasKeys ? nothing : rightRows.map((_, i) => i);
    if (hasKeys) {
      for (let i = 0; i < rightRows.length; i++) {
        const row = rightRows[i] as Datum[];
        const key = rightKeys.sync ? rightKeys.sync(row, run.eval) : await rightKeys.async(row, run.eval);
        if (key.includes(null)) continue;
        const hash = keyOf(key);
        const list = byKey.get(hash);
        if (list) list.push(i);
        else byKey.set(hash, [i]);
        kept.addKey(hash);
      }
    }
    let out: Datum[][] = [];
    let tried = 0;
    for await (const batch of left(run)) {
      run.signal.throwIfAborted();
      for (const row of batch) {
        let candidates = all;
        if (hasKeys) {
          const key = leftKeys.sync ? leftKeys.sync(row, run.eval) : await leftKeys.async(row, run.eval);
          candidates = key.includes(null) ? nothing : (byKey.get(keyOf(key)) ?? nothing);
        }
        let isMatched = false;
        for (const at of candidates) {
          // Pairs that match nothing give no batch to take breath at.
          if (++tried % BATCH_ROWS === 0) await breathe(run);
          const pair = row.concat(rightRows[at] as Datum[]);
          if (condition && !(condition.sync ? condition.sync(pair, run.eval) : await condition.async(pair, run.eval))) continue;
          isMatched = true;
          if (matched) matched[at] = 1;
          if (isOfLeft) break;
          out.push(pair);
          if (out.length >= BATCH_ROWS) {
            yield out;
            out = [];
          }
        }
        if (isOfLeft ? isMatched === (node.type === 'semi') : !isMatched && keepsLeft) out.push(isOfLeft ? row : row.concat(noRight));
      }
      if (out.length > 0) {
        yield out;
        out = [];
      }
    }
    if (matched) {
      const rest = rightRows.filter((_, i) => matched[i] === 0).map((row) => noLeft.concat(row));
      if (rest.length > 0) yield rest;
    }
  });
}

/**
 * A semi or anti join that keeps its left side, which is much the smaller: right rows stream past it until every left row
 * has met its match. The left rows come at the end, in their order.
 */
export function compileLeftKeepingJoin(node: JoinNode, left: Operator, right: Operator): Operator {
  const condition = node.on && compileCondition(node.on);
  const types = node.leftKeys.map((key) => key.type);
  const leftKeys = compileRow(node.leftKeys);
  const rightKeys = compileRow(node.rightKeys);
  const keyOf = rowKey(
    types.map((_, i) => i),
    types,
  );
  return keeping(async function* (run, kept) {
    const rows = await collect(left(run), kept);
    const isMatched = new Uint8Array(rows.length);
    /** Left rows that have met no match yet, by key. */
    const waiting = new Map<unknown, number[]>();
    for (const [i, row] of rows.entries()) {
      const key = leftKeys.sync ? leftKeys.sync(row, run.eval) : await leftKeys.async(row, run.eval);
      if (key.includes(null)) continue;
      const hash = keyOf(key);
      const list = waiting.get(hash);
      if (list) list.push(i);
      else {
        waiting.set(hash, [i]);
        kept.addKey(hash);
      }
    }
    if (waiting.size > 0) {
      for await (const batch of right(run)) {
        run.signal.throwIfAborted();
        for (const row of batch) {
          const key = rightKeys.sync ? rightKeys.sync(row, run.eval) : await rightKeys.async(row, run.eval);
          if (key.includes(null)) continue;
          const hash = keyOf(key);
          const list = waiting.get(hash);
          if (!list) continue;
          const rest: number[] = [];
          for (const at of list) {
            if (await passes(condition, condition ? (rows[at] as Datum[]).concat(row) : row, run)) isMatched[at] = 1;
            else rest.push(at);
          }
          if (rest.length > 0) waiting.set(hash, rest);
          else waiting.delete(hash);
        }
        if (waiting.size === 0) break;
      }
    }
    const wanted = node.type === 'semi' ? 1 : 0;
    yield* batched(rows.filter((_, i) => isMatched[i] === wanted));
  });
}

export function compileLookupJoin(node: LookupJoinNode, input: Operator): Operator {
  const lookup = compileLookup(node.scan);
  const keys = compileRow(node.keys);
  const condition = node.on && compileCondition(node.on);
  const noMatch = nulls(node.scan);
  return async function* (run) {
    for await (const batch of input(run)) {
      const out: Datum[][] = [];
      for (const row of batch) {
        run.signal.throwIfAborted();
        const found = await lookup(await keys.async(row, run.eval), run);
        let isMatched = false;
        for (const match of found) {
          const pair = row.concat(match);
          if (!(await passes(condition, pair, run))) continue;
          isMatched = true;
          out.push(pair);
        }
        if (!isMatched && node.type === 'left') out.push(row.concat(noMatch));
      }
      if (out.length > 0) yield out;
    }
  };
}

export function compileApply(node: ApplyNode, left: Operator, right: Operator): Operator {
  const condition = node.on && compileCondition(node.on);
  const noMatch = nulls(node.right);
  return async function* (run) {
    for await (const batch of left(run)) {
      for (const row of batch) {
        run.signal.throwIfAborted();
        let isMatched = false;
        for await (const matches of right(withOuterRow(run, row))) {
          const out: Datum[][] = [];
          for (const match of matches) {
            const pair = row.concat(match);
            if (await passes(condition, pair, run)) out.push(pair);
          }
          if (out.length > 0) {
            isMatched = true;
            yield out;
          }
        }
        if (!isMatched && node.type === 'left') yield [row.concat(noMatch)];
      }
    }
  };
}
