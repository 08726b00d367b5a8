/**
 * Window functions: rows sorted into partitions, then a value for each row from its place among them.
 *
 *   partition   rows equal in PARTITION BY           sorted by ORDER BY
 *   peers       rows of it equal in ORDER BY
 *   frame       a range of it for each row, less what EXCLUDE takes out
 *
 * Functions over the same partitions in the same order share one sort. An aggregate keeps one state
 * while its frame only grows, takes rows back out of it where it can (AggregateState.remove), and
 * otherwise starts anew: cost linear in the partition for the usual frames, rows times frame width
 * for the rest.
 *
 * All rows are held until the last is known; they are counted against the memory budget.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { type Compare, compareDatums, type Datum, Decimal, Interval } from '../../catalog/datum.ts';
import type { ColumnType } from '../../catalog/type.ts';
import { castFunction } from '../expr/castFunction.ts';
import { compareAcross } from '../expr/compare.ts';
import { compileAsync } from '../expr/compileAsync.ts';
import type { EvalContext } from '../expr/evalContext.ts';
import type { AggregateState, WindowView } from '../expr/overload.ts';
import type { TypedExpr, TypedFrameBound, TypedWindow } from '../expr/typedExpr.ts';
import type { WindowNode } from '../plan/plan.ts';
import { shareOrder } from '../plan/window.ts';
import { keptRows } from './keptRows.ts';
import {
  batched,
  breathe,
  collect,
  compileCondition,
  compileRow,
  type Condition,
  evaluate,
  type Operator,
  type RowMaker,
  type Run,
} from './run.ts';
import { compareRows, type RowCompare } from './sort.ts';

interface Range {
  readonly start: number;
  readonly end: number;
}

/** One partition in order: `rows` are positions among all rows. */
interface Partition {
  readonly rows: readonly number[];
  readonly keys: readonly (readonly Datum[])[];
  /** By row: the first peer, the row after the last, the number of its group. */
  readonly peerStart: readonly number[];
  readonly peerEnd: readonly number[];
  readonly group: readonly number[];
  /** By group: its first row; one more entry ends the last. */
  readonly groupStarts: readonly number[];
}

export function compileWindow(node: WindowNode, input: Operator): Operator {
  const width = node.input.columns.length;
  const groups: { first: TypedWindow; members: { place: number; compiled: CompiledWindow }[] }[] = [];
  node.windows.forEach((window, i) => {
    const member = { place: width + i, compiled: compileOne(window) };
    const group = groups.find((candidate) => shareOrder(candidate.first, window));
    if (group) group.members.push(member);
    else groups.push({ first: window, members: [member] });
  });
  const sorts = groups.map(({ first, members }) => ({ arrange: compileArrange(first), members }));

  return async function* (run) {
    const kept = keptRows(run);
    try {
      let rows: Datum[][] = (await collect(input(run), kept)).map((row) => row.concat(new Array(node.windows.length).fill(null)));
      for (const { arrange, members } of sorts) {
        const partitions = await arrange(rows, run);
        for (const { place, compiled } of members) {
          const over = await compiled(run);
          for (const partition of partitions) {
            const values = await over(partition, rows);
            for (let i = 0; i < values.length; i++) (rows[partition.rows[i] as number] as Datum[])[place] = values[i] as Datum;
          }
        }
        rows = partitions.flatMap((partition) => partition.rows.map((at) => rows[at] as Datum[]));
      }
      yield* batched(rows);
    } finally {
      kept.release();
    }
  };
}

// ---- partitions -------------------------------------------------------------------------------

function compileArrange({ partitionBy, orderBy }: TypedWindow): (rows: Datum[][], run: Run) => Promise<Partition[]> {
  const partitionKeys = compileRow(partitionBy);
  const orderKeys = compileRow(orderBy.map((key) => key.expr));
  const partitionCompare = compareRows(
    partitionBy.map((_, index) => ({ index, descending: false, nullsFirst: true })),
    partitionBy.map(({ type }) => ({ name: '', type })),
  );
  const orderCompare = compareRows(
    orderBy.map(({ descending, nullsFirst }, index) => ({ index, descending, nullsFirst })),
    orderBy.map(({ expr }) => ({ name: '', type: expr.type })),
  );
  return async (rows, run) => {
    const byPartition: Datum[][] = [];
    const byOrder: Datum[][] = [];
    for (const [i, row] of rows.entries()) {
      if ((i & 1023) === 0) await breathe(run);
      byPartition.push(await makeRow(partitionKeys, row, run.eval));
      byOrder.push(await makeRow(orderKeys, row, run.eval));
    }
    const samePartition = (a: number, b: number) => partitionCompare(byPartition[a] as Datum[], byPartition[b] as Datum[]);
    const sorted = rows.map((_, i) => i);
    if (partitionBy.length + orderBy.length > 0) {
      sorted.sort((a, b) => samePartition(a, b) || orderCompare(byOrder[a] as Datum[], byOrder[b] as Datum[]));
    }
    const partitions: Partition[] = [];
    for (let start = 0; start < sorted.length; ) {
      let end = start + 1;
      while (end < sorted.length && samePartition(sorted[start] as number, sorted[end] as number) === 0) end++;
      const members = sorted.slice(start, end);
      partitions.push(
        withPeers(
          members,
          members.map((at) => byOrder[at] as Datum[]),
          orderCompare,
        ),
      );
      start = end;
    }
    return partitions;
  };
}

function makeRow(maker: RowMaker, row: readonly Datum[], ctx: EvalContext): Datum[] | Promise<Datum[]> {
  return maker.sync ? maker.sync(row, ctx) : maker.async(row, ctx);
}

function withPeers(rows: readonly number[], keys: readonly Datum[][], compare: RowCompare): Partition {
  const peerStart: number[] = [];
  const peerEnd: number[] = [];
  const group: number[] = [];
  const groupStarts: number[] = [];
  for (let start = 0; start < rows.length; ) {
    let end = start + 1;
    while (end < rows.length && compare(keys[start] as Datum[], keys[end] as Datum[]) === 0) end++;
    for (let i = start; i < end; i++) {
      peerStart.push(start);
      peerEnd.push(end);
      group.push(groupStarts.length);
    }
    groupStarts.push(start);
    start = end;
  }
  groupStarts.push(rows.length);
  return { rows, keys, peerStart, peerEnd, group, groupStarts };
}

// ---- functions --------------------------------------------------------------------------------

/** Values for the rows of a partition, in its order. */
type OverPartition = (partition: Partition, rows: readonly Datum[][]) => Promise<Datum[]>;
type CompiledWindow = (run: Run) => Promise<OverPartition>;

function compileOne(window: TypedWindow): CompiledWindow {
  const { overload } = window;
  const args = compileRow(window.args);
  const types = window.args.map((arg) => arg.type);
  const filter = window.filter && compileCondition(window.filter);
  const frames = compileFrames(window);
  return async (run) => {
    const framesOf = await frames(run);
    return async (partition, rows) => {
      const values: Datum[][] = [];
      const isIn: boolean[] | undefined = filter && [];
      for (const [i, at] of partition.rows.entries()) {
        if ((i & 1023) === 0) await breathe(run);
        const row = rows[at] as Datum[];
        values.push(await makeRow(args, row, run.eval));
        if (filter) isIn?.push(await holds(filter, row, run.eval));
      }
      const frameAt = await framesOf(partition, rows);
      if ('over' in overload) return placed(overload.over, partition, values, frameAt, run);
      return aggregated(() => overload.start(types, run.eval), values, isIn, frameAt, run);
    };
  };
}

function holds(filter: Condition, row: readonly Datum[], ctx: EvalContext): boolean | Promise<boolean> {
  return filter.sync ? filter.sync(row, ctx) : filter.async(row, ctx);
}

async function placed(
  over: (view: WindowView) => Datum,
  partition: Partition,
  args: readonly Datum[][],
  frameAt: (row: number) => readonly Range[],
  run: Run,
): Promise<Datum[]> {
  const values: Datum[] = [];
  const view = { size: args.length, args, row: 0, peerStart: 0, peerEnd: 0, peerGroup: 0, frame: () => frameAt(view.row) };
  for (let row = 0; row < args.length; row++) {
    if ((row & 1023) === 0) await breathe(run);
    view.row = row;
    view.peerStart = partition.peerStart[row] as number;
    view.peerEnd = partition.peerEnd[row] as number;
    view.peerGroup = partition.group[row] as number;
    values.push(over(view));
  }
  return values;
}

async function aggregated(
  start: () => AggregateState,
  args: readonly Datum[][],
  isIn: readonly boolean[] | undefined,
  frameAt: (row: number) => readonly Range[],
  run: Run,
): Promise<Datum[]> {
  const values: Datum[] = [];
  let state = start();
  let held: readonly Range[] = [];
  let result: Datum = state.result();
  let work = 0;
  const add = async (from: number, to: number): Promise<void> => {
    for (let i = from; i < to; i++) {
      if ((++work & 1023) === 0) await breathe(run);
      if (isIn === undefined || isIn[i]) state.add(args[i] as Datum[]);
    }
  };
  for (let row = 0; row < args.length; row++) {
    if ((++work & 1023) === 0) await breathe(run);
    const frame = frameAt(row);
    if (!sameRanges(frame, held)) {
      const [was] = held;
      const [now] = frame;
      const isOne = was && now && held.length === 1 && frame.length === 1 && now.start >= was.start && now.end >= was.end;
      if (isOne && (now.start === was.start || (state.remove && now.start < was.end))) {
        for (let i = was.start; i < now.start; i++) if (isIn === undefined || isIn[i]) state.remove?.(args[i] as Datum[]);
        await add(was.end, now.end);
      } else {
        state = start();
        for (const range of frame) await add(range.start, range.end);
      }
      held = frame;
      result = state.result();
    }
    values.push(result);
  }
  return values;
}

function sameRanges(a: readonly Range[], b: readonly Range[]): boolean {
  return a.length === b.length && a.every((range, i) => range.start === b[i]?.start && range.end === b[i]?.end);
}

// ---- frames -----------------------------------------------------------------------------------

type FrameAt = (row: number) => readonly Range[];
type BoundAt = (row: number) => number;

function compileFrames(window: TypedWindow): (run: Run) => Promise<(partition: Partition, rows: readonly Datum[][]) => Promise<FrameAt>> {
  const { mode, start, end, exclude } = window.frame;
  const compiled = [start, end].map((bound) => ({
    bound,
    offset: bound.offset && compileAsync(bound.offset),
    limit: bound.limit && compileRow([bound.limit]),
  }));
  return async (run) => {
    for (const { bound, offset } of compiled) {
      if (offset && bound.offset) checkOffset(await evaluate(offset, run), bound.offset, bound === start ? 'starting' : 'ending');
    }
    return async (partition, rows) => {
      const bounds: BoundAt[] = [];
      for (const { bound, offset, limit } of compiled) {
        const isStart = bound === start;
        if (limit) bounds.push(await rangeBound(window, bound, limit, isStart, partition, rows, run));
        else bounds.push(plainBound(mode, bound, offset ? Number(await evaluate(offset, run)) : 0, isStart, partition));
      }
      const [startAt, endAt] = bounds as [BoundAt, BoundAt];
      const size = partition.rows.length;
      return (row) => {
        const from = Math.max(0, startAt(row));
        const to = Math.min(size, endAt(row));
        if (from >= to) return NO_ROWS;
        return exclude ? without({ start: from, end: to }, exclude, row, partition) : [{ start: from, end: to }];
      };
    };
  };
}

const NO_ROWS: readonly Range[] = [];

/** 22004 for NULL, 22013 for less than nothing. */
function checkOffset(value: Datum, expr: TypedExpr, which: string): void {
  if (value === null) throw new StatementError(SqlState.NullValueNotAllowed, `frame ${which} offset must not be null`);
  const zero = expr.type.family === 'decimal' ? Decimal.Zero : expr.type.family === 'interval' ? Interval.Zero : 0;
  if (compareDatums(expr.type)(value, zero) < 0) {
    throw new StatementError(SqlState.InvalidPrecedingOrFollowingSize, `frame ${which} offset must not be negative`);
  }
}

/** Bounds that are counted in rows or peer groups, or lie at the row's peers or the partition's ends. */
function plainBound(
  mode: 'rows' | 'range' | 'groups',
  { type }: TypedFrameBound,
  offset: number,
  isStart: boolean,
  { rows, peerStart, peerEnd, group, groupStarts }: Partition,
): BoundAt {
  if (type === 'unboundedPreceding') return () => 0;
  if (type === 'unboundedFollowing') return () => rows.length;
  const move = type === 'preceding' ? -offset : offset;
  if (mode === 'rows') return isStart ? (row) => row + move : (row) => row + move + 1;
  if (type === 'currentRow') return isStart ? (row) => peerStart[row] as number : (row) => peerEnd[row] as number;
  const groups = groupStarts.length - 1;
  return (row) => {
    const wanted = (group[row] as number) + move + (isStart ? 0 : 1);
    return groupStarts[Math.min(Math.max(wanted, 0), groups)] as number;
  };
}

/** RANGE with an offset: the first row at or past the limit, or past it for the end. A NULL's frame ends at its peers. */
async function rangeBound(
  { orderBy: [key] }: TypedWindow,
  bound: TypedFrameBound,
  limit: RowMaker,
  isStart: boolean,
  { rows: members, keys, peerStart, peerEnd }: Partition,
  rows: readonly Datum[][],
  run: Run,
): Promise<BoundAt> {
  const keyAt = (row: number): Datum => keys[row]?.[0] ?? null;
  const limits: Datum[] = [];
  for (const [i, at] of members.entries()) {
    limits.push(keyAt(i) === null ? null : ((await makeRow(limit, rows[at] as Datum[], run.eval))[0] ?? null));
  }
  const sign = key?.descending ? -1 : 1;
  const compare = key && bound.limit ? compareWithLimit(key.expr.type, bound.limit.type, run) : () => 0;
  let low = 0;
  let high = members.length;
  while (low < high && keyAt(low) === null) low++;
  while (high > low && keyAt(high - 1) === null) high--;
  return (row) => {
    const wanted = limits[row] ?? null;
    if (wanted === null) return (isStart ? peerStart[row] : peerEnd[row]) as number;
    let from = low;
    let to = high;
    while (from < to) {
      const middle = (from + to) >> 1;
      const order = sign * compare(keyAt(middle), wanted);
      if (isStart ? order < 0 : order <= 0) from = middle + 1;
      else to = middle;
    }
    return from;
  };
}

/** The order of a key and a limit: a date that an interval has moved is a timestamp. */
function compareWithLimit(key: ColumnType, limit: ColumnType, run: Run): Compare {
  if (key.family !== 'date' || limit.family === 'date') return compareAcross(key, limit);
  const asLimit = castFunction(key, limit, 'implicit');
  const compare = compareAcross(limit, limit);
  return (date, other) => compare(asLimit(date, run.eval), other);
}

/** The frame less the row, its peers, or its peers but itself. */
function without(frame: Range, exclude: 'currentRow' | 'group' | 'ties', row: number, { peerStart, peerEnd }: Partition): Range[] {
  const [start, end] = [peerStart[row] as number, peerEnd[row] as number];
  const gaps =
    exclude === 'currentRow'
      ? [{ start: row, end: row + 1 }]
      : exclude === 'group'
        ? [{ start, end }]
        : [
            { start, end: row },
            { start: row + 1, end },
          ];
  const ranges: Range[] = [];
  let from = frame.start;
  for (const gap of gaps) {
    const to = Math.min(gap.start, frame.end);
    if (from < to) ranges.push({ start: from, end: to });
    from = Math.max(from, gap.end);
  }
  if (from < frame.end) ranges.push({ start: from, end: frame.end });
  return ranges;
}
