/** Set-returning functions. Rows are made as they are asked for. */
import { utf8Encode } from '../../../base/bytes.ts';
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { type Datum, type Interval as IntervalValue, Json } from '../../../catalog/datum.ts';
import { addInterval, addIntervalInZone } from '../../../catalog/datetime.ts';
import type { JsonValue } from '../../../catalog/json.ts';
import type { ColumnType } from '../../../catalog/type.ts';
import { Int8, Interval, Jsonb, Text, Timestamp, TimestampTz } from '../define.ts';
import type { EvalContext } from '../evalContext.ts';
import { addInt, type Int } from '../intArithmetic.ts';
import { isArray, isObject, jsonText } from '../jsonPath.ts';
import type { GeneratorOverload, Param } from '../overload.ts';
import { zoneOf } from '../sessionZone.ts';
import { splitText } from './array.ts';
import { regexpGenerators } from './regexp.ts';

function one(
  name: string,
  params: readonly Param[],
  type: ColumnType,
  rows: (args: readonly Datum[], ctx: EvalContext) => Iterable<Datum>,
  column = name,
  nullable = false,
): GeneratorOverload {
  return {
    name,
    params,
    nullable,
    columns: () => [{ name: column, type }],
    volatility: 'immutable',
    rows: function* (ctx, args) {
      for (const value of rows(args, ctx)) yield [value];
    },
  };
}

function* intSeries(start: Int, end: Int, step: Int): Iterable<Datum> {
  if (step === 0) throw new StatementError(SqlState.InvalidParameterValue, 'step cannot be 0');
  const isUp = step > 0;
  let value = start;
  while (isUp ? value <= end : value >= end) {
    yield value;
    // The last step may leave the range of INT8, where no further value can be wanted.
    if (isUp ? BigInt(value) + BigInt(step) > BigInt(end) : BigInt(value) + BigInt(step) < BigInt(end)) return;
    value = addInt(value, step);
  }
}

function* timeSeries(start: Int, end: Int, step: IntervalValue, add: (at: Int, by: IntervalValue) => Int): Iterable<Datum> {
  const direction = step.sortMicros();
  if (direction === 0n) throw new StatementError(SqlState.InvalidParameterValue, 'step cannot be 0');
  for (let value = start; direction > 0n ? value <= end : value >= end; value = add(value, step)) yield value;
}

function elements(value: JsonValue, name: string): readonly JsonValue[] {
  if (isArray(value)) return value;
  throw new StatementError(SqlState.InvalidParameterValue, `cannot be called on ${isObject(value) ? 'a non-array' : 'a scalar'}`, {
    detail: `in ${name}()`,
  });
}

function members(value: JsonValue, name: string): ReadonlyMap<string, JsonValue> {
  if (isObject(value)) return value;
  throw new StatementError(SqlState.InvalidParameterValue, `cannot be called on ${isArray(value) ? 'an array' : 'a scalar'}`, {
    detail: `in ${name}()`,
  });
}

const json = (args: readonly Datum[]): JsonValue => (args[0] as Json).value;

function jsonGenerators(prefix: string): GeneratorOverload[] {
  const arrayElements = `${prefix}_array_elements`;
  const arrayTexts = `${prefix}_array_elements_text`;
  const keys = `${prefix}_object_keys`;
  const each = (name: string, type: ColumnType, show: (value: JsonValue) => Datum): GeneratorOverload => ({
    name,
    params: [Jsonb],
    columns: () => [
      { name: 'key', type: Text },
      { name: 'value', type },
    ],
    volatility: 'immutable',
    rows: function* (_, args) {
      for (const [key, value] of members(json(args), name)) yield [utf8Encode(key), show(value)];
    },
  });
  return [
    one(arrayElements, [Jsonb], Jsonb, (args) => elements(json(args), arrayElements).map((item) => new Json(item)), 'value'),
    one(arrayTexts, [Jsonb], Text, (args) => elements(json(args), arrayTexts).map(jsonText), 'value'),
    one(keys, [Jsonb], Text, (args) => [...members(json(args), keys).keys()].map(utf8Encode)),
    each(`${prefix}_each`, Jsonb, (value) => new Json(value)),
    each(`${prefix}_each_text`, Text, jsonText),
  ];
}

/** unnest of one array, or of several side by side, padded with NULL. */
const unnest: GeneratorOverload = {
  name: 'unnest',
  params: ['anyarray'],
  columns: ([array]) => [{ name: 'unnest', type: array?.element ?? Text }],
  volatility: 'immutable',
  rows: function* (_, [array]) {
    for (const item of array as readonly Datum[]) yield [item];
  },
};

const unnestMany = (count: number): GeneratorOverload => ({
  name: 'unnest',
  params: Array.from({ length: count }, () => 'any' as const),
  columns: (types) => types.map((type) => ({ name: 'unnest', type: type.element ?? Text })),
  volatility: 'immutable',
  nullable: true,
  rows: function* (_, args) {
    const lists = args.map((arg) => (arg ?? []) as readonly Datum[]);
    const length = Math.max(0, ...lists.map((list) => list.length));
    for (let i = 0; i < length; i++) yield lists.map((list) => list[i] ?? null);
  },
});

export const generatorFunctions: readonly GeneratorOverload[] = [
  one('generate_series', [Int8, Int8], Int8, ([start, end]) => intSeries(start as Int, end as Int, 1)),
  one('generate_series', [Int8, Int8, Int8], Int8, ([start, end, step]) => intSeries(start as Int, end as Int, step as Int)),
  one('generate_series', [Timestamp, Timestamp, Interval], Timestamp, ([start, end, step]) =>
    timeSeries(start as Int, end as Int, step as IntervalValue, addInterval),
  ),
  one('generate_series', [TimestampTz, TimestampTz, Interval], TimestampTz, ([start, end, step], ctx) =>
    timeSeries(start as Int, end as Int, step as IntervalValue, (at, by) => addIntervalInZone(at, by, zoneOf(ctx))),
  ),
  one('generate_subscripts', ['anyarray'], Int8, ([array]) => (array as readonly Datum[]).map((_, i) => i + 1)),
  one('generate_subscripts', ['anyarray', Int8], Int8, ([array, dimension]) =>
    dimension === 1 ? (array as readonly Datum[]).map((_, i) => i + 1) : [],
  ),
  unnest,
  unnestMany(2),
  unnestMany(3),
  ...regexpGenerators,
  one('string_to_table', [Text, Text], Text, ([text, separator]) => splitText(text ?? null, separator ?? null) ?? [], undefined, true),
  one(
    'string_to_table',
    [Text, Text, Text],
    Text,
    ([text, separator, nullText]) => splitText(text ?? null, separator ?? null, nullText ?? null) ?? [],
    undefined,
    true,
  ),
  ...jsonGenerators('json'),
  ...jsonGenerators('jsonb'),
];
