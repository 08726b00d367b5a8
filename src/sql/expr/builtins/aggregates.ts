/**
 * Aggregates: one running state a group. NULLs are passed over, but by array_agg, json_agg and
 * count(*). The result types are CockroachDB's: the sum and average of INTs are DECIMALs, which never
 * overflow. DISTINCT, FILTER and ORDER BY are the executor's work.
 */
import { type Bytes as ByteString, fromBuffer, utf8Decode } from '../../../base/bytes.ts';
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { type Datum, Decimal as DecimalValue, Interval as IntervalValue, intOf, Json } from '../../../catalog/datum.ts';
import { jsonObject, type JsonValue } from '../../../catalog/json.ts';
import { arrayOf, type ColumnType, Type } from '../../../catalog/type.ts';
import { textFunction } from '../castFunction.ts';
import { compareAcross } from '../compare.ts';
import { decimalSqrt } from '../decimalMath.ts';
import { Bool, Bytes, Decimal, Float8, Int8, Interval, Jsonb, Text, VarBit } from '../define.ts';
import type { EvalContext } from '../evalContext.ts';
import type { Int } from '../intArithmetic.ts';
import type { AggregateOverload, AggregateState, Param } from '../overload.ts';
import { joinAll } from '../resultSize.ts';
import { toJson } from '../toJson.ts';

type D = DecimalValue;

/** A state that folds its first argument's non-NULL values; NULL without any. */
function folding(
  name: string,
  param: ColumnType,
  returns: ColumnType,
  start: () => { add(value: never): void; remove?(value: never): void; result(): Datum },
): AggregateOverload {
  return {
    name,
    params: [param],
    returns,
    start: () => {
      const state = start();
      let count = 0;
      const { remove } = state;
      return {
        add([value]) {
          if (value === null) return;
          count++;
          state.add(value as never);
        },
        ...(remove && {
          remove([value]: readonly Datum[]) {
            if (value === null) return;
            count--;
            remove(value as never);
          },
        }),
        result: () => (count === 0 ? null : state.result()),
      };
    },
  };
}

/** A sum of INTs: numbers while they stay safe, then a bigint. */
class IntSum {
  #small = 0;
  #large = 0n;

  add(value: Int): void {
    if (typeof value === 'number') {
      const sum = this.#small + value;
      if (Number.isSafeInteger(sum)) {
        this.#small = sum;
        return;
      }
    }
    this.#large += BigInt(this.#small) + BigInt(value);
    this.#small = 0;
  }

  total(): bigint {
    return this.#large + BigInt(this.#small);
  }
}

class DecimalSum {
  total: D = DecimalValue.Zero;
  count = 0;

  add(value: D): void {
    this.total = this.total.plus(value);
    this.count++;
  }

  remove(value: D): void {
    this.total = this.total.minus(value);
    this.count--;
  }
}

/** Welford's running mean and squared distance: stable where the plain sums of squares cancel. */
class FloatSpread {
  count = 0;
  #mean = 0;
  squares = 0;

  add(value: number): void {
    this.count++;
    const distance = value - this.#mean;
    this.#mean += distance / this.count;
    this.squares += distance * (value - this.#mean);
  }
}

/** Exact sums of values and squares: n * sum(x^2) - sum(x)^2 loses nothing. */
class DecimalSpread {
  count = 0;
  #sum: D = DecimalValue.Zero;
  #squares: D = DecimalValue.Zero;

  add(value: D): void {
    this.count++;
    this.#sum = this.#sum.plus(value);
    this.#squares = this.#squares.plus(value.times(value));
  }

  /** n times the sum of squared distances from the mean. */
  scaled(): D {
    return this.#squares.times(DecimalValue.fromInt(this.count)).minus(this.#sum.times(this.#sum));
  }
}

const number = (n: number): D => DecimalValue.fromInt(n);

/** variance and its kin over floats, decimals and ints. `sample` divides by n - 1, `root` is the deviation. */
function spreads(name: string, sample: boolean, root: boolean): AggregateOverload[] {
  const floats = folding(name, Float8, Float8, () => {
    const spread = new FloatSpread();
    return {
      add: (value: number) => spread.add(value),
      result: () => {
        const divisor = spread.count - (sample ? 1 : 0);
        if (divisor === 0) return null;
        const variance = spread.squares / divisor;
        return root ? Math.sqrt(variance) : variance;
      },
    };
  });
  const finish = (spread: DecimalSpread): Datum => {
    const { count } = spread;
    const divisor = count - (sample ? 1 : 0);
    if (divisor === 0) return null;
    const variance = spread.scaled().dividedBy(number(count).times(number(divisor)));
    return root ? decimalSqrt(variance) : variance;
  };
  const decimals = folding(name, Decimal, Decimal, () => {
    const spread = new DecimalSpread();
    return { add: (value: D) => spread.add(value), result: () => finish(spread) };
  });
  const ints = folding(name, Int8, Decimal, () => {
    const spread = new DecimalSpread();
    return { add: (value: Int) => spread.add(DecimalValue.fromInt(value)), result: () => finish(spread) };
  });
  return [ints, floats, decimals];
}

function extreme(name: 'min' | 'max'): AggregateOverload {
  const sign = name === 'max' ? 1 : -1;
  return {
    name,
    params: ['anyelement'],
    returns: ([type]) => type ?? Type.Unknown,
    start: ([type]) => {
      const compare = compareAcross(type ?? Type.Unknown, type ?? Type.Unknown);
      let best: Datum = null;
      return {
        add([value]) {
          if (value !== null && value !== undefined && (best === null || compare(value, best) * sign > 0)) best = value;
        },
        result: () => best,
      };
    },
  };
}

function bools(name: string, decisive: boolean): AggregateOverload {
  return folding(name, Bool, Bool, () => {
    let result = !decisive;
    return {
      add: (value: boolean) => {
        if (value === decisive) result = decisive;
      },
      result: () => result,
    };
  });
}

function bits(name: string, op: (a: bigint, b: bigint) => bigint): AggregateOverload {
  return folding(name, Int8, Int8, () => {
    let total: bigint | undefined;
    return {
      add: (value: Int) => {
        total = total === undefined ? BigInt(value) : op(total, BigInt(value));
      },
      result: () => intOf(total ?? 0n),
    };
  });
}

/** AND and OR of bit strings, which must be of one length. */
function bitStrings(name: 'bit_and' | 'bit_or'): AggregateOverload {
  const decisive = name === 'bit_and' ? '0' : '1';
  return folding(name, VarBit, VarBit, () => {
    let total: string | undefined;
    return {
      add: (value: ByteString) => {
        if (total !== undefined && total.length !== value.length) {
          const op = name === 'bit_and' ? 'AND' : 'OR';
          throw new StatementError(SqlState.StringDataLengthMismatch, `cannot ${op} bit strings of different sizes`);
        }
        total = total === undefined ? value : total.replace(/[01]/g, (bit, at: number) => (bit === decisive ? bit : (value[at] ?? bit)));
      },
      result: () => total as ByteString,
    };
  });
}

const xorBytes = folding('xor_agg', Bytes, Bytes, () => {
  let total: Buffer | undefined;
  return {
    add: (value: ByteString) => {
      const bytes = Buffer.from(value, 'latin1');
      if (total && total.length !== bytes.length) {
        throw new StatementError(
          SqlState.InvalidParameterValue,
          `arguments to xor must all be the same length ${total.length} vs ${bytes.length}`,
        );
      }
      total = total ? Buffer.from(total.map((byte, i) => byte ^ (bytes[i] ?? 0))) : bytes;
    },
    result: () => fromBuffer(total as Buffer),
  };
});

/** Joins the first argument's values; each value but the first comes after its own row's separator. */
function joining(name: string, type: ColumnType, hasSeparator: boolean): AggregateOverload {
  return {
    name,
    params: hasSeparator ? [type, type] : [type],
    returns: type,
    start: (): AggregateState => {
      const parts: string[] = [];
      return {
        add([value, separator = null]) {
          if (value === null) return;
          if (parts.length > 0 && separator !== null) parts.push(separator as string);
          parts.push(value as string);
        },
        result: () => (parts.length === 0 ? null : (joinAll(parts, '') as ByteString)),
      };
    },
  };
}

function collecting(
  name: string,
  params: readonly Param[],
  returns: AggregateOverload['returns'],
  start: (types: readonly ColumnType[], ctx: EvalContext) => AggregateState,
): AggregateOverload {
  return { name, params, returns, start };
}

const jsonList = (name: string): AggregateOverload =>
  collecting(name, ['any'], Jsonb, ([type], ctx) => {
    const convert = toJson(type ?? Type.Unknown);
    const items: JsonValue[] = [];
    return {
      add: ([value = null]) => void items.push(convert(value, ctx)),
      result: () => (items.length === 0 ? null : new Json(items.slice())),
    };
  });

const jsonMap = (name: string): AggregateOverload =>
  collecting(name, [Text, 'any'], Jsonb, ([keyType, type], ctx) => {
    const key = textFunction(keyType ?? Type.String);
    const convert = toJson(type ?? Type.Unknown);
    const entries: [string, JsonValue][] = [];
    return {
      add([name = null, value = null]) {
        if (name === null) throw new StatementError(SqlState.InvalidParameterValue, 'field name must not be null');
        entries.push([utf8Decode(key(name, ctx)), convert(value, ctx)]);
      },
      result: () => (entries.length === 0 ? null : new Json(jsonObject(entries))),
    };
  });

const floatTotal = (name: string, finish: (sum: number, count: number) => number): AggregateOverload =>
  folding(name, Float8, Float8, () => {
    let sum = 0;
    let count = 0;
    return {
      add: (value: number) => {
        sum += value;
        count++;
      },
      result: () => finish(sum, count),
    };
  });

const decimalTotal = (name: string, finish: (state: DecimalSum) => Datum): AggregateOverload =>
  folding(name, Decimal, Decimal, () => {
    const state = new DecimalSum();
    return { add: (value: D) => state.add(value), remove: (value: D) => state.remove(value), result: () => finish(state) };
  });

const intTotal = (name: string, returns: ColumnType, finish: (total: bigint, count: number) => Datum): AggregateOverload =>
  folding(name, Int8, returns, () => {
    const sum = new IntSum();
    let count = 0;
    return {
      add: (value: Int) => {
        sum.add(value);
        count++;
      },
      remove: (value: Int) => {
        sum.add(-value);
        count--;
      },
      result: () => finish(sum.total(), count),
    };
  });

const intervalTotal = (name: string, finish: (sum: IntervalValue, count: number) => IntervalValue): AggregateOverload =>
  folding(name, Interval, Interval, () => {
    let sum = IntervalValue.Zero;
    let count = 0;
    return {
      add: (value: IntervalValue) => {
        sum = sum.plus(value);
        count++;
      },
      result: () => finish(sum, count),
    };
  });

const counting = (params: readonly Param[]): AggregateOverload => ({
  name: 'count',
  params,
  returns: Int8,
  start: () => {
    let count = 0;
    return {
      add(args) {
        if (args.length === 0 || args[0] !== null) count++;
      },
      remove(args) {
        if (args.length === 0 || args[0] !== null) count--;
      },
      result: () => count,
    };
  },
});

export const aggregateFunctions: readonly AggregateOverload[] = [
  counting([]),
  counting(['any']),
  { ...counting([]), name: 'count_rows' },
  intTotal('sum', Decimal, (total) => DecimalValue.of(total, 0)),
  floatTotal('sum', (sum) => sum),
  decimalTotal('sum', (state) => state.total),
  intervalTotal('sum', (sum) => sum),
  intTotal('sum_int', Int8, (total) => intOf(total)),
  intTotal('avg', Decimal, (total, count) => DecimalValue.of(total, 0).dividedBy(number(count))),
  floatTotal('avg', (sum, count) => sum / count),
  decimalTotal('avg', (state) => state.total.dividedBy(number(state.count))),
  intervalTotal('avg', (sum, count) => sum.times(1 / count)),
  extreme('min'),
  extreme('max'),
  bools('bool_and', false),
  bools('every', false),
  bools('bool_or', true),
  bits('bit_and', (a, b) => a & b),
  bits('bit_or', (a, b) => a | b),
  bitStrings('bit_and'),
  bitStrings('bit_or'),
  bits('xor_agg', (a, b) => a ^ b),
  xorBytes,
  bits('bit_xor', (a, b) => a ^ b),
  {
    name: 'any_value',
    params: ['any'],
    returns: ([type]) => type ?? Type.Unknown,
    start: () => {
      let first: Datum = null;
      return {
        add([value = null]) {
          first ??= value;
        },
        result: () => first,
      };
    },
  },
  collecting(
    'array_cat_agg',
    ['anyarray'],
    ([type]) => type ?? Type.Unknown,
    () => {
      const items: Datum[] = [];
      let isEmpty = true;
      return {
        add: ([list = null]) => {
          if (list === null) return;
          isEmpty = false;
          items.push(...(list as readonly Datum[]));
        },
        result: () => (isEmpty ? null : items.slice()),
      };
    },
  ),
  joining('string_agg', Text, true),
  joining('string_agg', Bytes, true),
  joining('concat_agg', Text, false),
  joining('concat_agg', Bytes, false),
  collecting(
    'array_agg',
    ['any'],
    ([type]) => arrayElementType(type),
    () => {
      const items: Datum[] = [];
      return {
        add: ([value = null]) => void items.push(value),
        result: () => (items.length === 0 ? null : items.slice()),
      };
    },
  ),
  jsonList('json_agg'),
  jsonList('jsonb_agg'),
  jsonMap('json_object_agg'),
  jsonMap('jsonb_object_agg'),
  ...spreads('variance', true, false),
  ...spreads('var_samp', true, false),
  ...spreads('var_pop', false, false),
  ...spreads('stddev', true, true),
  ...spreads('stddev_samp', true, true),
  ...spreads('stddev_pop', false, true),
];

function arrayElementType(type: ColumnType | undefined): ColumnType {
  if (!type || type.family === 'unknown') return arrayOf(Type.String);
  if (type.family === 'array') throw new StatementError(SqlState.FeatureNotSupported, 'nested arrays are not supported');
  return arrayOf(type);
}
