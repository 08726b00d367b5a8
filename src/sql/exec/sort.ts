/**
 * Sort, distinct and set operations: operators that compare rows with each other.
 */
import { type Compare, compareDatums, type Datum, hashKey } from '../../catalog/datum.ts';
import type { ColumnType } from '../../catalog/type.ts';
import { compileAsync } from '../expr/compileAsync.ts';
import type { DistinctNode, PlanColumn, SetOperationNode, SortKey, SortNode } from '../plan/plan.ts';
import { batched, collect, evaluate, keeping, type Operator } from './run.ts';

export type RowCompare = (a: readonly Datum[], b: readonly Datum[]) => number;

/** The order that sort keys give rows of these columns. */
export function compareRows(keys: readonly SortKey[], columns: readonly PlanColumn[]): RowCompare {
  const parts = keys.map((key) => {
    const compare: Compare = compareDatums((columns[key.index] as PlanColumn).type);
    return { index: key.index, compare, sign: key.descending ? -1 : 1, nulls: key.nullsFirst ? -1 : 1 };
  });
  return (a, b) => {
    for (const { index, compare, sign, nulls } of parts) {
      const x = a[index] as Datum;
      const y = b[index] as Datum;
      if (x === null || y === null) {
        if (x === y) continue;
        return x === null ? nulls : -nulls;
      }
      const order = compare(x, y);
      if (order !== 0) return order * sign;
    }
    return 0;
  };
}

/** Sorts everything; with `top`, holds no more than about twice as many rows as are wanted. Stable. */
export function compileSort(node: SortNode, input: Operator): Operator {
  const compare = compareRows(node.keys, node.input.columns);
  const top = node.top?.map(compileAsync);
  return keeping(async function* (run, kept) {
    let wanted: number | undefined = top ? 0 : undefined;
    for (const [i, expr] of (top ?? []).entries()) {
      const value = await evaluate(expr, run);
      if (value === null && i === 0) wanted = undefined;
      else if (wanted !== undefined && value !== null) wanted += Number(value);
    }
    if (wanted === undefined) {
      const rows = [...(await collect(input(run), kept))];
      yield* batched(rows.sort(compare));
      return;
    }
    let rows: Datum[][] = [];
    const room = wanted * 2 + 1000;
    for await (const batch of input(run)) {
      await kept.add(batch);
      for (const row of batch) rows.push(row);
      if (rows.length <= room) continue;
      rows = rows.sort(compare).slice(0, wanted);
      kept.release();
      await kept.add(rows);
    }
    yield* batched(rows.sort(compare).slice(0, wanted));
  });
}

export type KeyOf = (row: readonly Datum[]) => string | number | bigint | boolean | null;

/** A Map key for the given columns of a row: equal for rows that are equal there, NULLs included. */
export function rowKey(indexes: readonly number[], types: readonly ColumnType[]): KeyOf {
  const parts = indexes.map((index, i) => ({ index, hash: hashKey(types[i] as ColumnType) }));
  const [only] = parts;
  if (parts.length === 1 && only) return (row) => only.hash(row[only.index] as Datum);
  return (row) => {
    let key = '';
    for (const { index, hash } of parts) {
      const part = hash(row[index] as Datum);
      if (part === null) {
        key += '~';
        continue;
      }
      const text = String(part);
      key += `${text.length}:${text}`;
    }
    return key;
  };
}

/** Keeps the first row of each combination. */
export function compileDistinct(node: DistinctNode, input: Operator): Operator {
  const keyOf = rowKey(
    node.on,
    node.on.map((index) => (node.input.columns[index] as PlanColumn).type),
  );
  return keeping(async function* (run, kept) {
    const seen = new Set<unknown>();
    for await (const batch of input(run)) {
      const fresh = batch.filter((row) => {
        const key = keyOf(row);
        if (seen.has(key)) return false;
        seen.add(key);
        kept.addKey(key);
        return true;
      });
      if (fresh.length > 0) yield fresh;
    }
  });
}

/** UNION, INTERSECT, EXCEPT: with ALL, rows count as often as they occur. */
export function compileSetOperation(node: SetOperationNode, left: Operator, right: Operator): Operator {
  const indexes = node.columns.map((_, i) => i);
  const keyOf = rowKey(
    indexes,
    node.columns.map((column) => column.type),
  );
  if (node.op === 'union') {
    return keeping(async function* (run, kept) {
      const seen = new Set<unknown>();
      for (const side of [left, right]) {
        for await (const batch of side(run)) {
          const rows = node.all
            ? batch
            : batch.filter((row) => {
                const key = keyOf(row);
                if (seen.has(key)) return false;
                seen.add(key);
                kept.addKey(key);
                return true;
              });
          if (rows.length > 0) yield rows;
        }
      }
    });
  }
  const isIntersect = node.op === 'intersect';
  return keeping(async function* (run, kept) {
    const counts = new Map<unknown, number>();
    for await (const batch of right(run)) {
      for (const row of batch) {
        const key = keyOf(row);
        const count = counts.get(key);
        if (count === undefined) kept.addKey(key);
        counts.set(key, (count ?? 0) + 1);
      }
    }
    const given = new Set<unknown>();
    for await (const batch of left(run)) {
      const rows = batch.filter((row) => {
        const key = keyOf(row);
        const count = counts.get(key) ?? 0;
        if (node.all) {
          if (count > 0) counts.set(key, count - 1);
          return count > 0 === isIntersect;
        }
        if (given.has(key)) return false;
        given.add(key);
        kept.addKey(key);
        return count > 0 === isIntersect;
      });
      if (rows.length > 0) yield rows;
    }
  });
}
