/**
 * Operators: plan nodes to functions that give batches of rows. One case a node; the larger ones
 * have files of their own (scan.ts, join.ts, aggregate.ts, sort.ts). Row changes come from the
 * caller (executor.ts), so that what they call upon may itself compile plans that only read.
 */
import { assert } from '../../base/assert.ts';
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Datum } from '../../catalog/datum.ts';
import { tableCodec } from '../../catalog/rowCodec.ts';
import type { Txn } from '../../kv/kv.ts';
import { compileAsync } from '../expr/compileAsync.ts';
import type { Row } from '../expr/evalContext.ts';
import type {
  DeleteNode,
  FilterNode,
  InsertNode,
  LimitNode,
  LockRowsNode,
  PlanNode,
  ProjectNode,
  ProjectSetNode,
  UpdateNode,
  ValuesNode,
  VirtualScanNode,
} from '../plan/plan.ts';
import { compileAggregate } from './aggregate.ts';
import { compileApply, compileJoin, compileLeftKeepingJoin, compileLookupJoin } from './join.ts';
import { compileMergeJoin } from './mergeJoin.ts';
import { BATCH_ROWS, batched, breathing, compileCondition, compileRow, counted, evaluate, type Operator, type Run } from './run.ts';
import { compileScan } from './scan.ts';
import { compileDistinct, compileSetOperation, compileSort } from './sort.ts';
import { compileWindow } from './window.ts';
import { readOnlyError } from './transaction.ts';

export type MutationNode = InsertNode | UpdateNode | DeleteNode;
export type CompileMutation = (node: MutationNode, input: Operator) => Operator;

/** Compiles a plan that only reads. */
export function compileReadOnly(node: PlanNode): Operator {
  return compileTree(node, () => {
    throw new StatementError(SqlState.InternalError, 'internal error: a row change inside a plan that only reads');
  });
}

export function compileTree(node: PlanNode, mutation: CompileMutation): Operator {
  return counted(node, breathing(compileNode(node, mutation)));
}

function compileNode(node: PlanNode, mutation: CompileMutation): Operator {
  const input = (of: PlanNode): Operator => compileTree(of, mutation);
  switch (node.kind) {
    case 'values':
      return compileValues(node);
    case 'scan':
      return compileScan(node);
    case 'virtualScan':
      return compileVirtualScan(node);
    case 'filter':
      return compileFilter(node, input(node.input));
    case 'project':
      return compileProject(node, input(node.input));
    case 'projectSet':
      return compileProjectSet(node, input(node.input));
    case 'join':
      return (node.merge ? compileMergeJoin : node.keepsLeft ? compileLeftKeepingJoin : compileJoin)(
        node,
        input(node.left),
        input(node.right),
      );
    case 'lookupJoin':
      return compileLookupJoin(node, input(node.input));
    case 'apply':
      return compileApply(node, input(node.left), input(node.right));
    case 'aggregate':
      return compileAggregate(node, input(node.input));
    case 'window':
      return compileWindow(node, input(node.input));
    case 'sort':
      return compileSort(node, input(node.input));
    case 'limit':
      return compileLimit(node, input(node.input));
    case 'distinct':
      return compileDistinct(node, input(node.input));
    case 'setOperation':
      return compileSetOperation(node, input(node.left), input(node.right));
    case 'ordinality': {
      const below = input(node.input);
      return async function* (run) {
        let number = 0;
        for await (const batch of below(run)) yield batch.map((row) => [...row, ++number]);
      };
    }
    case 'cteScan':
      return async function* (run) {
        const source = run.ctes[node.cte];
        assert(source, `WITH query ${node.name} was read before it ran`);
        let given = 0;
        do {
          const { length } = source.rows;
          // A copy where more are to come: whoever takes a batch may add to it.
          yield* batched(source.more ? source.rows.slice(given) : source.rows);
          given = length;
        } while (given < source.rows.length || (await source.more?.()));
      };
    case 'statement':
      return async function* (run) {
        const result = await run.context.engine.runNested(run.context, node.statement);
        yield* batched(result.rows);
      };
    case 'lockRows':
      return compileLockRows(node, input(node.input));
    case 'insert':
    case 'update':
    case 'delete':
      return mutation(node, input(node.input));
  }
}

function compileValues(node: ValuesNode): Operator {
  const rows = node.rows.map((row): Datum[] | ReturnType<typeof compileRow> =>
    row.every((expr) => expr.kind === 'const') ? row.map((expr) => (expr.kind === 'const' ? expr.value : null)) : compileRow(row),
  );
  return async function* (run) {
    let out: Datum[][] = [];
    for (const row of rows) {
      // Rows of constants are copied: what is above may fill columns in.
      if (Array.isArray(row)) out.push(row.slice());
      else out.push(row.sync ? row.sync([], run.eval) : await row.async([], run.eval));
      if (out.length >= BATCH_ROWS) {
        yield out;
        out = [];
      }
    }
    if (out.length > 0) yield out;
  };
}

function compileVirtualScan(node: VirtualScanNode): Operator {
  return async function* (run) {
    let out: Datum[][] = [];
    for (const row of await node.table.rows(run.context, node.database)) {
      out.push(row);
      if (out.length >= BATCH_ROWS) {
        yield out;
        out = [];
      }
    }
    if (out.length > 0) yield out;
  };
}

function compileFilter(node: FilterNode, input: Operator): Operator {
  const { sync, async } = compileCondition(node.predicate);
  return async function* (run) {
    for await (const batch of input(run)) {
      const kept: Datum[][] = [];
      for (const row of batch) if (sync ? sync(row, run.eval) : await async(row, run.eval)) kept.push(row);
      if (kept.length > 0) yield kept;
    }
  };
}

function compileProject(node: ProjectNode, input: Operator): Operator {
  const { exprs } = node;
  // A projection of the row as it is costs nothing.
  if (exprs.length === node.input.columns.length && exprs.every((expr, i) => expr.kind === 'column' && expr.index === i)) return input;
  const { sync, async } = compileRow(exprs);
  return async function* (run) {
    for await (const batch of input(run)) {
      const out: Datum[][] = new Array(batch.length);
      for (let i = 0; i < batch.length; i++) {
        const row = batch[i] as Row;
        out[i] = sync ? sync(row, run.eval) : await async(row, run.eval);
      }
      yield out;
    }
  };
}

function compileProjectSet(node: ProjectSetNode, input: Operator): Operator {
  const generators = node.generators.map((generator) => ({
    args: compileRow(generator.args),
    types: generator.args.map((arg) => arg.type),
    overload: generator.overload,
    width: generator.columns.length,
  }));
  const width = generators.reduce((sum, generator) => sum + generator.width, 0);
  return async function* (run) {
    for await (const batch of input(run)) {
      for (const row of batch) {
        const series: { rows: Iterator<readonly Datum[]> | AsyncIterator<readonly Datum[]>; width: number }[] = [];
        for (const { args, types, overload, width: columns } of generators) {
          const values = await args.async(row, run.eval);
          const isEmpty = !overload.nullable && values.includes(null);
          const read = isEmpty ? undefined : overload.asyncRows?.(run.eval, values, types, run.context)[Symbol.asyncIterator]();
          const made = isEmpty ? [] : (overload.rows?.(run.eval, values, types) ?? []);
          series.push({ rows: read ?? made[Symbol.iterator](), width: columns });
        }
        let out: Datum[][] = [];
        while (true) {
          const extra: Datum[] = [];
          let isLive = false;
          for (const one of series) {
            const step = one.rows.next();
            const next = step instanceof Promise ? await step : step;
            if (!next.done) isLive = true;
            for (let i = 0; i < one.width; i++) extra.push(next.done ? null : (next.value[i] ?? null));
          }
          if (!isLive) break;
          assert(extra.length === width, 'a set-returning function gave rows of another width');
          out.push(row.concat(extra));
          if (out.length >= BATCH_ROWS) {
            run.signal.throwIfAborted();
            yield out;
            out = [];
          }
        }
        if (out.length > 0) yield out;
      }
    }
  };
}

function compileLimit(node: LimitNode, input: Operator): Operator {
  const limit = node.limit && compileAsync(node.limit);
  const offset = node.offset && compileAsync(node.offset);
  const count = async (expr: typeof limit, name: string, run: Run): Promise<number | undefined> => {
    const value = expr && (await evaluate(expr, run));
    if (value === undefined || value === null) return undefined;
    const number = Number(value);
    if (number < 0) throw new StatementError(SqlState.InvalidParameterValue, `negative value for ${name}`);
    return number;
  };
  return async function* (run) {
    let left = (await count(limit, 'LIMIT', run)) ?? Number.POSITIVE_INFINITY;
    let skip = (await count(offset, 'OFFSET', run)) ?? 0;
    if (left <= 0) return;
    for await (const batch of input(run)) {
      let rows = batch;
      if (skip > 0) {
        if (skip >= rows.length) {
          skip -= rows.length;
          continue;
        }
        rows = rows.slice(skip);
        skip = 0;
      }
      if (rows.length >= left) {
        yield rows.length > left ? rows.slice(0, left) : rows;
        return;
      }
      left -= rows.length;
      yield rows;
    }
  };
}

/**
 * Locks the rows that come, and gives those that are locked. With a limit it goes on row by row where
 * some are skipped, so that no more rows are locked than are returned.
 */
function compileLockRows(node: LockRowsNode, input: Operator): Operator {
  const targets = node.targets.map(({ table, keyPositions }) => ({ codec: tableCodec(table), keyPositions }));
  const limitOf = node.limit?.map(compileAsync);
  const lockAll = async (batch: Datum[][], txn: Txn, run: Run): Promise<Datum[][]> => {
    let rows = batch;
    for (const { codec, keyPositions } of targets) {
      // An outer join's row of NULLs stands for no row.
      const keys = rows.map((row) => {
        const values = keyPositions.map((position) => row[position] as Datum);
        return values.includes(null) ? undefined : codec.lookupKeys(values)[0];
      });
      const wanted = keys.filter((key) => key !== undefined);
      const locked = await txn.lock(wanted, { strength: node.strength, wait: node.wait, signal: run.signal, alreadyRead: true });
      if (node.wait === 'skip' && locked.length < wanted.length) {
        const held = new Set(locked);
        rows = rows.filter((_, i) => keys[i] === undefined || held.has(keys[i]));
      }
    }
    return rows;
  };
  return async function* (run) {
    const { txn } = run;
    if (!txn) throw readOnlyError(node.strength === 'exclusive' ? 'SELECT FOR UPDATE' : 'SELECT FOR SHARE');
    let left = Number.POSITIVE_INFINITY;
    if (limitOf) {
      left = 0;
      for (const expr of limitOf) {
        const value = await evaluate(expr, run);
        left += value === null ? (expr === limitOf[0] ? Number.POSITIVE_INFINITY : 0) : Number(value);
      }
    }
    for await (const batch of input(run)) {
      for (let at = 0; at < batch.length && left > 0; ) {
        const piece = at === 0 && left >= batch.length ? batch : batch.slice(at, at + left);
        at += piece.length;
        const rows = await lockAll(piece, txn, run);
        left -= rows.length;
        if (rows.length > 0) yield rows;
      }
      if (left <= 0) return;
    }
  };
}
