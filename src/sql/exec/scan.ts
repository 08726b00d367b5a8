/**
 * Scans: rows of a table through one of its indexes.
 *
 *   primary index     spans are read batch by batch and decoded; points are fetched together
 *   covering index    the same over its entries
 *   other indexes     entries give primary keys, whose rows are fetched a batch at a time, in order
 *
 * Spans come from the plan's constraint with the values of this run; they are sorted and disjoint, so
 * rows come in key order whatever the order of an IN list. Batches start small and grow, so a
 * LIMIT above a filter does not read ahead far.
 */
import type { Bytes } from '../../base/bytes.ts';
import type { Span } from '../../base/span.ts';
import type { Txn } from '../../kv/kv.ts';
import { type Datum, compareDatums } from '../../catalog/datum.ts';
import { columnById } from '../../catalog/descriptor.ts';
import { indexColumnIds, indexSpan, type RowDecoder, spanForConstraint, tableCodec, type TableCodec } from '../../catalog/rowCodec.ts';
import { type Compiled, compileExpr } from '../expr/compile.ts';
import { compileAsync, type CompiledAsync } from '../expr/compileAsync.ts';
import { traits } from '../expr/traits.ts';
import type { KeyAlternative, KeyBound, ScanNode } from '../plan/plan.ts';
import type { ReadsToWrite } from './readsToWrite.ts';
import { type Batches, evaluate, type Operator, type Run } from './run.ts';
import { tableDecoder } from './virtualColumns.ts';

const FIRST_BATCH_ROWS = 128;
const BATCH_ROWS_MAX = 4096;

/** Values of one key column: what a row's must equal. null stands for IS NULL. */
type Values = readonly Datum[];

export function compileScan(node: ScanNode): Operator {
  const { table, index } = node;
  const isPrimary = index.id === table.primaryIndex.id;
  const held = new Set(indexColumnIds(table, index));
  const isCovering = isPrimary || node.columnIds.every((id) => held.has(id));
  const codec = tableCodec(table);
  const spansOf = compileSpans(node);
  const limitOf = node.limit && compileLimit(node.limit);
  if (isPrimary && node.constraint && isAllPoints(node)) return pointReads(node, codec, limitOf);
  if (isCovering)
    return async function* (run) {
      yield* readSpans(node, index, node.columnIds, await spansOf(run), limitOf && (await limitOf(run)), run);
    };
  const fetch = rowFetcher(node, codec);
  return async function* (run) {
    const keyIds = table.primaryIndex.columnIds;
    for await (const entries of readSpans(node, index, keyIds, await spansOf(run), limitOf && (await limitOf(run)), run)) {
      const rows = await fetch(entries, run);
      if (rows.length > 0) yield rows;
    }
  };
}

function compileLimit(exprs: NonNullable<ScanNode['limit']>): (run: Run) => Promise<number | undefined> {
  const compiled = exprs.map(compileAsync);
  return async (run) => {
    let sum = 0;
    for (const [i, expr] of compiled.entries()) {
      const value = await evaluate(expr, run);
      // LIMIT NULL is no limit; OFFSET NULL is none to skip.
      if (value === null) {
        if (i === 0) return undefined;
        continue;
      }
      sum += Number(value);
    }
    return sum;
  };
}

/** Does the constraint name single rows of the primary index? */
export function isAllPoints(node: ScanNode): boolean {
  const { constraint, table, reverse } = node;
  if (!constraint || reverse || constraint.low || constraint.high || constraint.ranges) return false;
  return constraint.prefix.length === table.primaryIndex.columnIds.length;
}

// ---- constraints to spans -----------------------------------------------------------------------

type Alternatives = (run: Run) => Promise<Datum[]>;

function compileAlternatives(alternatives: readonly KeyAlternative[]): Alternatives {
  const parts = alternatives.map((alternative): ((run: Run) => Promise<Datum[]>) => {
    if (alternative.kind === 'null') return async () => [null];
    const isArray = alternative.kind === 'elements';
    const compiled: CompiledAsync = compileAsync(isArray ? alternative.array : alternative.value);
    return async (run) => {
      const value = await evaluate(compiled, run);
      // A comparison with NULL is never true.
      if (value === null) return [];
      return isArray ? (value as readonly Datum[]).filter((element) => element !== null) : [value];
    };
  });
  const [only] = parts;
  if (parts.length === 1 && only) return only;
  return async (run) => {
    const values: Datum[] = [];
    for (const part of parts) values.push(...(await part(run)));
    return values;
  };
}

/** Values of each prefix column for this run, in key order and distinct; undefined when no row can match. */
function compilePrefix(node: ScanNode): (run: Run) => Promise<Values[] | undefined> {
  const { constraint, index, table } = node;
  const ids = [...index.columnIds, ...index.keySuffixColumnIds];
  const columns = (constraint?.prefix ?? []).map((alternatives, i) => {
    const type = columnById(table, ids[i] ?? -1)?.type;
    const sign = index.directions[i] === 'DESC' ? -1 : 1;
    return { valuesOf: compileAlternatives(alternatives), compare: type && compareDatums(type), sign };
  });
  return async (run) => {
    const prefix: Values[] = [];
    for (const { valuesOf, compare, sign } of columns) {
      let values = await valuesOf(run);
      if (values.length === 0) return undefined;
      if (values.length > 1 && compare) {
        const order = (a: Datum, b: Datum): number => (a === null ? (b === null ? 0 : -1) : b === null ? 1 : compare(a, b));
        // In key order, so that rows come in the index's order.
        values = [...values].sort((a, b) => sign * order(a, b));
        values = values.filter((value, i) => i === 0 || order(value, values[i - 1] as Datum) !== 0);
      }
      prefix.push(values);
    }
    return prefix;
  };
}

/** Every combination, in order of the first column, then the second, and so on. */
function combinations(prefix: readonly Values[]): Datum[][] {
  let all: Datum[][] = [[]];
  for (const values of prefix) all = all.flatMap((head) => values.map((value) => [...head, value]));
  return all;
}

function compileSpans(node: ScanNode): (run: Run) => Promise<Span[]> {
  const { table, index, constraint, reverse } = node;
  const whole = indexSpan(table, index);
  if (!constraint) return async () => [whole];
  const prefixOf = compilePrefix(node);
  const compileBound = (bound: KeyBound | undefined): { inclusive: boolean; value: CompiledAsync } | undefined =>
    bound && { inclusive: bound.inclusive, value: compileAsync(bound.value) };
  const ranges = (constraint.ranges ?? [constraint]).map(({ low, high }) => ({ low: compileBound(low), high: compileBound(high) }));
  return async (run) => {
    const prefix = await prefixOf(run);
    if (!prefix) return [];
    const spans: Span[] = [];
    for (const { low, high } of ranges) {
      const lower = low && { inclusive: low.inclusive, value: await evaluate(low.value, run) };
      const upper = high && { inclusive: high.inclusive, value: await evaluate(high.value, run) };
      // A comparison with NULL is never true.
      if (lower?.value === null || upper?.value === null) continue;
      for (const equals of combinations(prefix)) {
        const span = spanForConstraint(table, index, { equals, lower, upper });
        if (span) spans.push(span);
      }
    }
    if (spans.length > 1) spans.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
    const disjoint = ranges.length > 1 ? joined(spans) : spans;
    if (reverse) disjoint.reverse();
    return disjoint;
  };
}

/** Sorted spans with those that overlap or touch made one: no row is read twice. */
function joined(spans: readonly Span[]): Span[] {
  const disjoint: Span[] = [];
  for (const span of spans) {
    const last = disjoint.at(-1);
    if (!last || span.key > last.endKey) disjoint.push(span);
    else if (span.endKey > last.endKey) disjoint[disjoint.length - 1] = { key: last.key, endKey: span.endKey };
  }
  return disjoint;
}

// ---- reading ------------------------------------------------------------------------------------

async function* readSpans(
  node: ScanNode,
  index: ScanNode['index'],
  columnIds: readonly number[],
  spans: readonly Span[],
  rowsMax: number | undefined,
  run: Run,
): Batches {
  if (rowsMax !== undefined && rowsMax <= 0) return;
  const decoder = tableDecoder(node.table, index, columnIds)(run);
  const keysPerRow = decoder.isSingleKey ? 1 : node.table.families.length;
  let wanted = rowsMax ?? Number.POSITIVE_INFINITY;
  let batchRows = Math.min(wanted, FIRST_BATCH_ROWS);
  for (const span of spans) {
    let rest: Span | undefined = span;
    while (rest) {
      run.signal.throwIfAborted();
      const result = await run.reader.scan(rest, {
        limit: Math.ceil(batchRows * keysPerRow),
        reverse: node.reverse,
        validated: node.isConstraint,
        unrecorded: node.skipsLocked,
      });
      let rows: Datum[][] = [];
      decoder.decode(result.keys, result.values, result.resume === undefined, rows, result.timestamps);
      if (result.resume === undefined) rest = undefined;
      else rest = node.reverse ? { key: span.key, endKey: result.resume } : { key: result.resume, endKey: span.endKey };
      if (rows.length > 0) {
        if (rows.length > wanted) rows = rows.slice(0, wanted);
        wanted -= rows.length;
        yield rows;
        if (wanted <= 0) return;
      }
      batchRows = Math.min(wanted, batchRows * 4, BATCH_ROWS_MAX);
    }
  }
}

/** Rows by primary key, several families put together. Missing rows are left out. */
export function decodeFetched(
  decoder: RowDecoder,
  keys: readonly Bytes[],
  values: readonly (Bytes | undefined)[],
  perRow: number,
): Datum[][] {
  const rows: Datum[][] = [];
  if (perRow === 1) {
    for (let i = 0; i < keys.length; i++) {
      const value = values[i];
      if (value !== undefined) rows.push(decoder.decodeOne(keys[i] as Bytes, value));
    }
    return rows;
  }
  for (let at = 0; at < keys.length; at += perRow) {
    const row = decoder.decodeFamilies(keys.slice(at, at + perRow), values.slice(at, at + perRow));
    if (row) rows.push(row);
  }
  return rows;
}

/** Looks rows up by primary keys, in their order. */
function rowFetcher(node: ScanNode, codec: TableCodec): (primaryKeys: readonly Datum[][], run: Run) => Promise<Datum[][]> {
  const decoderOf = tableDecoder(node.table, node.table.primaryIndex, node.columnIds);
  const perRow = node.table.families.length;
  const options = node.isConstraint || node.skipsLocked ? { validated: node.isConstraint, unrecorded: node.skipsLocked } : undefined;
  return async (primaryKeys, run) => {
    const keys: Bytes[] = [];
    for (const primaryKey of primaryKeys) for (const key of codec.lookupKeys(primaryKey)) keys.push(key);
    const values = await run.reader.get(keys, options);
    return decodeFetched(decoderOf(run), keys, values, perRow);
  };
}

/** The one key that a constraint names, when its values need no waiting: null when no row can match. Undefined for other constraints. */
export function compileOneKey(node: ScanNode): ((run: Run) => Datum[] | null) | undefined {
  const values: Compiled[] = [];
  for (const alternatives of node.constraint?.prefix ?? []) {
    const [only] = alternatives;
    if (alternatives.length !== 1 || only?.kind !== 'value' || traits(only.value).isAsync) return undefined;
    values.push(compileExpr(only.value));
  }
  return (run) => {
    const key = values.map((value) => value([], run.eval));
    // A comparison with NULL is never true.
    return key.includes(null) ? null : key;
  };
}

/**
 * The transaction that locks the rows of point reads before they are read, if they are read to be
 * written: so they are read as they will stay, and one that changes while its lock is waited for is
 * no conflict. At the weaker levels a statement stands on its snapshot, and locks after reading.
 */
export function lockerOf(node: ScanNode, { txn, context: { session } }: Run): Txn | undefined {
  if (!node.forWrite || txn?.isolation !== 'serializable' || txn.readOnly) return undefined;
  return session.vars.isOn(LOCKS_FIRST) ? txn : undefined;
}

/** Who takes turns for the rows of point reads, when their client has shown that it reads in order to write. */
export function turnsOf(node: ScanNode, { txn, context: { session } }: Run): ReadsToWrite | undefined {
  const turns = session.transaction?.readsToWrite;
  if (!turns || node.forWrite || node.isConstraint || node.skipsLocked || txn?.readOnly !== false) return undefined;
  return session.vars.isOn(LOCKS_FIRST) ? turns : undefined;
}

const LOCKS_FIRST = 'enable_implicit_select_for_update';

/** Point reads of the primary index: one get for all of them. */
function pointReads(node: ScanNode, codec: TableCodec, limitOf: ((run: Run) => Promise<number | undefined>) | undefined): Operator {
  const prefixOf = compilePrefix(node);
  const oneKeyOf = compileOneKey(node);
  const keysOf = async (run: Run): Promise<Datum[][]> => {
    const prefix = await prefixOf(run);
    return prefix ? combinations(prefix) : [];
  };
  const fetch = rowFetcher(node, codec);
  return async function* (run) {
    const key = oneKeyOf?.(run);
    const keys = key === undefined ? await keysOf(run) : key === null ? [] : [key];
    if (keys.length === 0) return;
    const limit = limitOf && (await limitOf(run));
    const locker = limit === undefined ? lockerOf(node, run) : undefined;
    const turns = turnsOf(node, run);
    if (locker || turns) {
      const rowKeys = keys.map((values) => codec.lookupKeys(values)[0] as Bytes);
      if (locker) await locker.lock(rowKeys, { signal: run.signal });
      else await turns?.take(rowKeys, run.signal);
    }
    let rows = await fetch(keys, run);
    if (limit !== undefined) rows = rows.slice(0, limit);
    if (rows.length > 0) yield rows;
  };
}

/** For each key tuple, the rows of the index that begin with it: what lookup joins and foreign keys ask. */
export function compileLookup(node: ScanNode): (keys: readonly Datum[], run: Run) => Promise<Datum[][]> {
  const { table, index } = node;
  const isPrimary = index.id === table.primaryIndex.id;
  const held = new Set(indexColumnIds(table, index));
  const isCovering = isPrimary || node.columnIds.every((id) => held.has(id));
  const codec = tableCodec(table);
  const fetch = rowFetcher(node, codec);
  return async (equals, run) => {
    if (equals.includes(null)) return [];
    if (isPrimary && equals.length === index.columnIds.length) return fetch([equals as Datum[]], run);
    const span = spanForConstraint(table, index, { equals });
    if (!span) return [];
    const rows: Datum[][] = [];
    const columnIds = isCovering ? node.columnIds : table.primaryIndex.columnIds;
    for await (const batch of readSpans(node, index, columnIds, [span], undefined, run)) {
      for (const row of isCovering ? batch : await fetch(batch, run)) rows.push(row);
    }
    return rows;
  };
}
