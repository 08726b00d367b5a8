/**
 * Statistics over pairs (corr, covar_*, regr_*), squared distances, and percentiles.
 *
 * Pairs are (y, x), as SQL's regression functions have them; one with a NULL does not count. The sums
 * of squares run as Youngs and Cramer's updates, which PostgreSQL uses too: no large sums are
 * subtracted from each other at the end, so nothing cancels.
 *
 * Percentiles are ordered-set aggregates: the executor gives their rows in the order of WITHIN GROUP.
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { type Datum, Decimal as DecimalValue, type Interval as IntervalValue } from '../../../catalog/datum.ts';
import { arrayOf, type ColumnType, Type } from '../../../catalog/type.ts';
import { sameTest } from '../compare.ts';
import { Decimal, Float8, Int8, Interval } from '../define.ts';
import type { Int } from '../intArithmetic.ts';
import type { AggregateOverload, AggregateState, Param } from '../overload.ts';

// ---- pairs ------------------------------------------------------------------------------------

class Regression {
  count = 0;
  sumX = 0;
  sumY = 0;
  squaresX = 0;
  squaresY = 0;
  products = 0;
  /** True once a sum of finite numbers has left the range of floats. */
  isOutOfRange = false;

  add(y: number, x: number): void {
    this.count++;
    this.sumX += x;
    this.sumY += y;
    const n = this.count;
    if (n > 1) {
      const dx = x * n - this.sumX;
      const dy = y * n - this.sumY;
      const scale = 1 / (n * (n - 1));
      this.squaresX += dx * dx * scale;
      this.squaresY += dy * dy * scale;
      this.products += dx * dy * scale;
    }
    const all = this.sumX + this.sumY + this.squaresX + this.squaresY + this.products;
    if (Number.isFinite(all) || !Number.isFinite(x) || !Number.isFinite(y)) return;
    const sums = [this.sumX, this.sumY, this.squaresX, this.squaresY, this.products];
    if (sums.includes(Infinity) || sums.includes(-Infinity)) this.isOutOfRange = true;
  }
}

const toNumber: Record<string, (value: Datum) => number> = {
  int: (value) => Number(value as Int),
  float: (value) => value as number,
  decimal: (value) => (value as DecimalValue).toNumber(),
};

/** One function of the sums, for every mix of number types. NULL for fewer than `least` pairs. */
function ofPairs(
  name: string,
  least: number,
  finish: (sums: Regression) => number | null,
  returns: ColumnType = Float8,
): AggregateOverload[] {
  const types = [Float8, Int8, Decimal];
  return types.flatMap((yType) =>
    types.map(
      (xType): AggregateOverload => ({
        name,
        params: [yType, xType],
        returns,
        start: () => {
          const sums = new Regression();
          const [yOf, xOf] = [toNumber[yType.family], toNumber[xType.family]];
          return {
            add([y = null, x = null]) {
              if (y !== null && x !== null && yOf && xOf) sums.add(yOf(y), xOf(x));
            },
            result: () => {
              if (sums.isOutOfRange && returns.family === 'float') {
                throw new StatementError(SqlState.NumericValueOutOfRange, 'float out of range');
              }
              return sums.count < least ? null : finish(sums);
            },
          };
        },
      }),
    ),
  );
}

const pairFunctions: readonly AggregateOverload[] = [
  ...ofPairs('corr', 1, ({ squaresX, squaresY, products }) =>
    squaresX === 0 || squaresY === 0 ? null : products / Math.sqrt(squaresX * squaresY),
  ),
  ...ofPairs('covar_pop', 1, ({ products, count }) => products / count),
  ...ofPairs('covar_samp', 2, ({ products, count }) => products / (count - 1)),
  ...ofPairs('regr_avgx', 1, ({ sumX, count }) => sumX / count),
  ...ofPairs('regr_avgy', 1, ({ sumY, count }) => sumY / count),
  ...ofPairs('regr_count', 0, ({ count }) => count, Int8),
  ...ofPairs('regr_intercept', 1, ({ squaresX, products, sumX, sumY, count }) =>
    squaresX === 0 ? null : (sumY - (sumX * products) / squaresX) / count,
  ),
  ...ofPairs('regr_r2', 1, ({ squaresX, squaresY, products }) =>
    squaresX === 0 ? null : squaresY === 0 ? 1 : (products * products) / (squaresX * squaresY),
  ),
  ...ofPairs('regr_slope', 1, ({ squaresX, products }) => (squaresX === 0 ? null : products / squaresX)),
  ...ofPairs('regr_sxx', 1, ({ squaresX }) => squaresX),
  ...ofPairs('regr_sxy', 1, ({ products }) => products),
  ...ofPairs('regr_syy', 1, ({ squaresY }) => squaresY),
];

// ---- squared distances --------------------------------------------------------------------------

/** The sum of squared distances from the mean. Floats by running updates, the rest by exact sums. */
function squaredDistances(type: ColumnType): AggregateOverload {
  const start = (): AggregateState => {
    if (type.family === 'float') {
      let count = 0;
      let mean = 0;
      let squares = 0;
      return {
        add([value = null]) {
          if (value === null) return;
          const distance = (value as number) - mean;
          mean += distance / ++count;
          squares += distance * ((value as number) - mean);
        },
        result: () => (count === 0 ? null : squares),
      };
    }
    let count = 0;
    let sum = DecimalValue.Zero;
    let squares = DecimalValue.Zero;
    return {
      add([value = null]) {
        if (value === null) return;
        const one = type.family === 'int' ? DecimalValue.fromInt(value as Int) : (value as DecimalValue);
        count++;
        sum = sum.plus(one);
        squares = squares.plus(one.times(one));
      },
      result: () => {
        if (count === 0) return null;
        const n = DecimalValue.fromInt(count);
        return squares.times(n).minus(sum.times(sum)).dividedBy(n);
      },
    };
  };
  return { name: 'sqrdiff', params: [type], returns: type.family === 'float' ? Float8 : Decimal, start };
}

// ---- percentiles ------------------------------------------------------------------------------

type Pick = (sorted: readonly Datum[], fraction: number) => Datum;

/** The first value at or beyond the fraction. */
const discrete: Pick = (sorted, fraction) => sorted[Math.max(0, Math.ceil(fraction * sorted.length) - 1)] ?? null;

/** Between the two values around the fraction. */
/** `between` gets the two neighbours and the shares of each. */
function continuous(between: (low: Datum, high: Datum, ofLow: number, ofHigh: number) => Datum): Pick {
  return (sorted, fraction) => {
    // Counted from one, as CockroachDB does: the shares round the same way.
    const place = 1 + fraction * (sorted.length - 1);
    const [low, high] = [Math.floor(place), Math.ceil(place)];
    if (low === high) return sorted[low - 1] ?? null;
    return between(sorted[low - 1] as Datum, sorted[high - 1] as Datum, high - place, place - low);
  };
}

const FloatArray = arrayOf(Float8);

/** Arguments are the fraction, or several, and the value sorted by. NULLs do not count. */
function percentile(name: string, value: Param, pick: Pick): AggregateOverload[] {
  const check = (fraction: number): number => {
    if (fraction >= 0 && fraction <= 1) return fraction;
    throw new StatementError(SqlState.NumericValueOutOfRange, `percentile value ${fraction.toFixed(6)} is not between 0 and 1`);
  };
  const start = (): AggregateState => {
    const sorted: Datum[] = [];
    let wanted: Datum = null;
    return {
      add([fraction = null, item = null]) {
        wanted = fraction;
        if (item !== null) sorted.push(item);
      },
      result: () => {
        if (wanted === null) return null;
        const fractions = (Array.isArray(wanted) ? wanted : [wanted]) as readonly (number | null)[];
        const found = fractions.map((fraction) => (fraction === null ? null : pick(sorted, check(fraction))));
        if (sorted.length === 0) return null;
        return Array.isArray(wanted) ? found : (found[0] ?? null);
      },
    };
  };
  const valueType = ([, type]: readonly ColumnType[]): ColumnType => type ?? Type.Unknown;
  return [
    { name, params: [Float8, value], returns: valueType, isOrderedSet: true, start },
    { name, params: [FloatArray, value], returns: (types) => arrayOf(valueType(types)), isOrderedSet: true, start },
  ];
}

export const statisticsFunctions: readonly AggregateOverload[] = [
  ...pairFunctions,
  squaredDistances(Int8),
  squaredDistances(Float8),
  squaredDistances(Decimal),
  {
    name: 'mode',
    params: ['anyelement'],
    returns: ([type]) => type ?? Type.Unknown,
    isOrderedSet: true,
    start: ([type]) => {
      // Equal values come one after the other: the longest run wins, the first of those alike.
      const isSame = sameTest(type ?? Type.Unknown, type ?? Type.Unknown);
      let current: Datum = null;
      let run = 0;
      let best: Datum = null;
      let bestRun = 0;
      return {
        add([value = null]) {
          if (value === null) return;
          run = run > 0 && isSame(current, value) ? run + 1 : 1;
          current = value;
          if (run > bestRun) [best, bestRun] = [value, run];
        },
        result: () => best,
      };
    },
  },
  ...percentile('percentile_disc', 'anyelement', discrete),
  ...percentile(
    'percentile_cont',
    Float8,
    continuous((low, high, ofLow, ofHigh) => ofLow * (low as number) + ofHigh * (high as number)),
  ),
  ...percentile(
    'percentile_cont',
    Interval,
    continuous((low, high, ofLow, ofHigh) => (low as IntervalValue).times(ofLow).plus((high as IntervalValue).times(ofHigh))),
  ),
];
