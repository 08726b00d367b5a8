/**
 * Histograms of a column's values: buckets of about as many rows each, ordered by the type's order.
 *
 *   values   1 1 1 2 3 3 5 8 8 8       three buckets
 *   bucket   upper 1: 3 equal, 0 below │ upper 3: 2 equal, 1 below (1 distinct) │ upper 8: 3 equal, 1 below (1 distinct)
 *
 *   H1  the first bucket's upper bound is the least value that was seen, and nothing lies below it
 *   H2  a bucket's `rangeRows` lie between the upper bound before it and its own, both exclusive
 *   H3  NULLs are in no bucket
 *
 * Equi-depth histograms: Piatetsky-Shapiro and Connell, SIGMOD 1984. What is asked for falls within a
 * bucket is interpolated by distance where values are numbers of any kind, else taken as half.
 * Lives elsewhere: which columns get one (sql/exec/statistics), what is made of the answers (sql/plan/selectivity.ts).
 */
import { compareDatums, type Datum, Decimal } from './datum.ts';
import { formatDatum, parseDatum } from './datumText.ts';
import type { ColumnType } from './type.ts';

export interface HistogramBucket {
  readonly upper: NonNullable<Datum>;
  readonly equalRows: number;
  readonly rangeRows: number;
  readonly distinctRange: number;
}

export interface Histogram {
  readonly type: ColumnType;
  /** Ascending by `upper`. */
  readonly buckets: readonly HistogramBucket[];
}

/** A bucket in JSON, as SHOW STATISTICS USING JSON shows it. */
export interface JsonBucket {
  readonly num_eq: number;
  readonly num_range: number;
  readonly distinct_range: number;
  readonly upper_bound: string;
}

/**
 * The histogram of values sorted by their type's order, NULLs left out, each of which stands for
 * `rowsEach` rows. Undefined for no values. Cost: one pass.
 */
export function buildHistogram(
  type: ColumnType,
  sorted: readonly NonNullable<Datum>[],
  rowsEach: number,
  bucketsMax: number,
): Histogram | undefined {
  if (sorted.length === 0) return undefined;
  const compare = compareDatums(type);
  const buckets: HistogramBucket[] = [];
  for (let at = 0; at < sorted.length; ) {
    const room = Math.max(1, bucketsMax - buckets.length);
    const wanted = at === 0 ? 1 : Math.max(1, Math.floor((sorted.length - at) / room));
    const upper = sorted[at + wanted - 1] as NonNullable<Datum>;
    let less = 0;
    let distinct = 0;
    while (compare(sorted[at + less] as Datum, upper) !== 0) {
      if (less === 0 || compare(sorted[at + less - 1] as Datum, sorted[at + less] as Datum) !== 0) distinct++;
      less++;
    }
    let next = at + less;
    while (next < sorted.length && compare(sorted[next] as Datum, upper) === 0) next++;
    const equal = next - at - less;
    buckets.push({
      upper,
      equalRows: Math.round(equal * rowsEach),
      rangeRows: Math.round(less * rowsEach),
      distinctRange: distinct,
    });
    at = next;
  }
  return { type, buckets };
}

/** Rows of all buckets. */
export function histogramRows({ buckets }: Histogram): number {
  let rows = 0;
  for (const bucket of buckets) rows += bucket.equalRows + bucket.rangeRows;
  return rows;
}

/** Rows that equal a value, about. */
export function rowsEqualTo({ type, buckets }: Histogram, value: NonNullable<Datum>): number {
  const at = firstBucketFrom(type, buckets, value);
  const bucket = buckets[at];
  // Nothing so large was there, nor so small.
  if (!bucket) return 0;
  if (compareDatums(type)(bucket.upper, value) === 0) return bucket.equalRows;
  return at === 0 ? 0 : bucket.rangeRows / Math.max(1, bucket.distinctRange);
}

export interface HistogramBound {
  readonly value: NonNullable<Datum>;
  readonly inclusive: boolean;
}

/** Rows between two bounds, about; an absent one is no bound. */
export function rowsBetween(histogram: Histogram, low: HistogramBound | undefined, high: HistogramBound | undefined): number {
  const upTo = high ? rowsBelow(histogram, high.value, high.inclusive) : histogramRows(histogram);
  const from = low ? rowsBelow(histogram, low.value, !low.inclusive) : 0;
  return Math.max(0, upTo - from);
}

function rowsBelow({ type, buckets }: Histogram, value: NonNullable<Datum>, inclusive: boolean): number {
  const at = firstBucketFrom(type, buckets, value);
  let rows = 0;
  for (let i = 0; i < at; i++) rows += (buckets[i] as HistogramBucket).equalRows + (buckets[i] as HistogramBucket).rangeRows;
  const bucket = buckets[at];
  if (!bucket) return rows;
  if (compareDatums(type)(bucket.upper, value) === 0) return rows + bucket.rangeRows + (inclusive ? bucket.equalRows : 0);
  const before = buckets[at - 1];
  return before ? rows + bucket.rangeRows * fractionBelow(before.upper, bucket.upper, value) : rows;
}

/** Index of the first bucket whose upper bound is not below the value. */
function firstBucketFrom(type: ColumnType, buckets: readonly HistogramBucket[], value: NonNullable<Datum>): number {
  const compare = compareDatums(type);
  let low = 0;
  let high = buckets.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compare((buckets[middle] as HistogramBucket).upper, value) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Where a value lies between two others, from 0 to 1. */
function fractionBelow(low: Datum, high: Datum, value: Datum): number {
  const [a, b, x] = [asNumber(low), asNumber(high), asNumber(value)];
  if (a === undefined || b === undefined || x === undefined || !(b > a)) return 0.5;
  return Math.min(1, Math.max(0, (x - a) / (b - a)));
}

function asNumber(datum: Datum): number | undefined {
  if (typeof datum === 'number') return Number.isFinite(datum) ? datum : undefined;
  if (typeof datum === 'bigint' || datum instanceof Decimal) {
    const number = Number(String(datum));
    return Number.isFinite(number) ? number : undefined;
  }
  return undefined;
}

// ---- as JSON ----------------------------------------------------------------------------------

export function bucketsToJson({ type, buckets }: Histogram): JsonBucket[] {
  return buckets.map(({ upper, equalRows, rangeRows, distinctRange }) => ({
    num_eq: equalRows,
    num_range: rangeRows,
    distinct_range: distinctRange,
    upper_bound: formatDatum(type, upper),
  }));
}

/** Throws what parsing a value throws: 22P02 for one that is none of the type. */
export function bucketsFromJson(type: ColumnType, buckets: readonly JsonBucket[]): Histogram {
  return {
    type,
    buckets: buckets.map(({ num_eq, num_range, distinct_range, upper_bound }) => ({
      upper: parseDatum(type, upper_bound) as NonNullable<Datum>,
      equalRows: Number(num_eq),
      rangeRows: Number(num_range),
      distinctRange: Number(distinct_range),
    })),
  };
}
