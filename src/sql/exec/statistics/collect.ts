/**
 * Collecting statistics: one read of a table at a fixed time, of which a sample of rows is decoded.
 *
 *   C1  a table of up to SAMPLE_ROWS rows is counted exactly
 *   C2  of a larger one every row is passed, and about SAMPLE_ROWS of them are looked at, chosen by a source seeded by
 *       the table's id: the same rows give the same statistics
 *   C3  the read goes in pieces, and gives way between them
 *
 * The number of distinct values behind a sample is the estimator Duj1 of Haas and Stokes (1998), which PostgreSQL uses
 * too: a value that the sample has once may have many like it, one that it has often has none.
 */
import type { Bytes } from '../../../base/bytes.ts';
import type { Span } from '../../../base/span.ts';
import { seededRandom } from '../../../base/random.ts';
import type { Timestamp } from '../../../base/timestamp.ts';
import { compareDatums, type Datum } from '../../../catalog/datum.ts';
import type { TableDescriptor } from '../../../catalog/descriptor.ts';
import { bucketsToJson, buildHistogram } from '../../../catalog/histogram.ts';
import { indexSpan, rowDecoder } from '../../../catalog/rowCodec.ts';
import type { Statistic } from '../../../catalog/tableStatistics.ts';
import { type ColumnType, sqlTypeName } from '../../../catalog/type.ts';
import type { Kv } from '../../../kv/kv.ts';
import { KeptRows } from '../keptRows.ts';
import { rowKey } from '../sort.ts';

/** What PostgreSQL looks at by default: 300 rows for each of 100 buckets. */
const SAMPLE_ROWS = 30_000;
const PIECE_ROWS = 4096;
const PIECE_BYTES = 4 << 20;
/** A bound longer than this says no more than its beginning does, and is kept many times over. */
const BOUND_BYTES_MAX = 1024;

export interface CollectOptions {
  readonly kv: Kv;
  readonly table: TableDescriptor;
  /** Sets of column ids to look at, each ascending. */
  readonly sets: readonly (readonly number[])[];
  readonly at: Timestamp;
  readonly signal: AbortSignal;
  readonly hasHistograms: boolean;
  readonly bucketsMax: number;
  onFraction(fraction: number): Promise<void>;
}

/** What was counted of one set of columns. */
export type Collected = Pick<Statistic, 'columnIds' | 'rowCount' | 'distinctCount' | 'nullCount' | 'avgSize' | 'histogram'>;

/** Cost: a scan of the primary index, and of the sample a sort a column. 53200 when there is no room for the sample. */
export async function collectStatistics(options: CollectOptions): Promise<Collected[]> {
  const { kv, table, sets } = options;
  const columnIds = [...new Set(sets.flat())];
  const kept = new KeptRows(kv.memory, 'sorts');
  try {
    const { sample, rowCount } = await sampleRows(options, columnIds, kept);
    const collected: Collected[] = [];
    for (const set of sets) {
      await giveWay(options);
      const places = set.map((id) => columnIds.indexOf(id));
      const types = set.map((id) => table.columns.find((column) => column.id === id)?.type as ColumnType);
      collected.push(countSet(options, set, places, types, sample, rowCount));
    }
    return collected;
  } finally {
    kept.release();
  }
}

async function giveWay({ kv: { executor }, signal }: CollectOptions): Promise<void> {
  if (executor.shouldYield()) await executor.yield();
  signal.throwIfAborted();
}

async function sampleRows(
  options: CollectOptions,
  columnIds: readonly number[],
  kept: KeptRows,
): Promise<{ sample: Datum[][]; rowCount: number }> {
  const { kv, table, at } = options;
  const whole = indexSpan(table, table.primaryIndex);
  const decoder = rowDecoder(table, table.primaryIndex, columnIds);
  const reader = kv.at(at);
  const expected = kv.stats(whole).liveKeys / Math.max(1, table.families.length);
  const isWanted = chosenRows(table.id, expected);
  const sample: Datum[][] = [];
  let rowCount = 0;
  for (let span: Span | undefined = whole; span; ) {
    const result = await reader.scan(span, { limit: PIECE_ROWS, maxBytes: PIECE_BYTES });
    const rows: Datum[][] = [];
    if (decoder.isSingleKey) {
      const keys: Bytes[] = [];
      const values: Bytes[] = [];
      for (let i = 0; i < result.keys.length; i++) {
        if (!isWanted(rowCount++)) continue;
        keys.push(result.keys[i] as Bytes);
        values.push(result.values[i] as Bytes);
      }
      decoder.decode(keys, values, true, rows);
    } else {
      const all: Datum[][] = [];
      decoder.decode(result.keys, result.values, result.resume === undefined, all);
      for (const row of all) if (isWanted(rowCount++)) rows.push(row);
    }
    await kept.add(rows);
    for (const row of rows) sample.push(row);
    await options.onFraction(Math.min(1, rowCount / Math.max(1, expected)));
    await giveWay(options);
    span = result.resume === undefined ? undefined : { key: result.resume, endKey: whole.endKey };
  }
  return { sample, rowCount };
}

/** Which rows are looked at, asked for in order: all of few, else each with the same chance; the gaps between are geometric. */
function chosenRows(tableId: number, expected: number): (row: number) => boolean {
  if (expected <= SAMPLE_ROWS) return () => true;
  const random = seededRandom(`statistics ${tableId}`);
  const logOfRest = Math.log1p(-SAMPLE_ROWS / expected);
  const gap = (): number => Math.floor(Math.log(1 - random.float()) / logOfRest);
  let next = gap();
  return (row) => {
    if (row !== next) return false;
    next += 1 + gap();
    return true;
  };
}

function countSet(
  { hasHistograms, bucketsMax }: CollectOptions,
  columnIds: readonly number[],
  places: readonly number[],
  types: readonly ColumnType[],
  sample: readonly Datum[][],
  rowCount: number,
): Collected {
  const keyOf = rowKey(places, types);
  const counts = new Map<unknown, number>();
  let nulls = 0;
  let bytes = 0;
  for (const row of sample) {
    const key = keyOf(row);
    counts.set(key, (counts.get(key) ?? 0) + 1);
    let isNull = true;
    for (const place of places) {
      const value = row[place] as Datum;
      if (value === null) continue;
      isNull = false;
      bytes += sizeOf(value);
    }
    if (isNull) nulls++;
  }
  const [only] = places;
  const [type] = types;
  const each = sample.length === 0 ? 0 : rowCount / sample.length;
  return {
    columnIds,
    rowCount,
    distinctCount: distinctBehind(counts, sample.length, rowCount),
    nullCount: Math.round(nulls * each),
    avgSize: sample.length === 0 ? 0 : Math.round(bytes / sample.length),
    histogram:
      hasHistograms && places.length === 1 && only !== undefined && type ? histogramOf(type, sample, only, each, bucketsMax) : undefined,
  };
}

function histogramOf(
  type: ColumnType,
  sample: readonly Datum[][],
  place: number,
  each: number,
  bucketsMax: number,
): Statistic['histogram'] {
  if (type.family === 'jsonb') return undefined;
  const values: NonNullable<Datum>[] = [];
  for (const row of sample) {
    const value = row[place] as Datum;
    if (value === null) continue;
    if (sizeOf(value) > BOUND_BYTES_MAX) return undefined;
    values.push(value);
  }
  const histogram = buildHistogram(type, values.sort(compareDatums(type)), each, bucketsMax);
  return { type: sqlTypeName(type), buckets: histogram ? bucketsToJson(histogram) : [] };
}

/** Distinct values of all rows, of which the sample has counted these. */
function distinctBehind(counts: ReadonlyMap<unknown, number>, sampled: number, rows: number): number {
  const distinct = counts.size;
  if (sampled === rows || sampled === 0) return distinct;
  let once = 0;
  for (const count of counts.values()) if (count === 1) once++;
  const estimate = (sampled * distinct) / (sampled - once + (once * sampled) / rows);
  return Math.round(Math.min(rows, Math.max(distinct, estimate)));
}

/** About what a value takes in a row. */
function sizeOf(value: NonNullable<Datum>): number {
  switch (typeof value) {
    case 'string':
      return value.length;
    case 'boolean':
      return 1;
    case 'number':
      return Number.isInteger(value) ? 1 + Math.floor(Math.log2(Math.abs(value) + 1) / 8) : 8;
    case 'bigint':
      return 8;
    default:
      return Array.isArray(value) ? value.reduce((sum: number, item: Datum) => sum + (item === null ? 1 : sizeOf(item)), 0) : 8;
  }
}
