/** Functions on arrays. Positions start at 1; NULL elements equal each other in searches. */
import { type Bytes as ByteString, utf8Decode, utf8Encode } from '../../../base/bytes.ts';
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { arrayOf, type ColumnType, Type } from '../../../catalog/type.ts';
import { textFunction } from '../castFunction.ts';
import { sameTest } from '../compare.ts';
import { Int8, pure, Text, StringArray } from '../define.ts';
import type { Int } from '../intArithmetic.ts';
import type { EvalFn, Overload, Param } from '../overload.ts';
import { checkResultSize } from '../resultSize.ts';

type List = readonly Datum[];

const known = (type: ColumnType | undefined): ColumnType | undefined => (type && type.family !== 'unknown' ? type : undefined);
const arrayIn =
  (index: number) =>
  (args: readonly ColumnType[]): ColumnType =>
    known(args[index]) ?? arrayOf(known(args.find((type) => type.family !== 'array' && type.family !== 'unknown')) ?? Type.String);

/** array[low:high]: both ends belong to it; an empty array when they meet nothing. */
export const arraySlice: Overload = pure<[List, Int, Int]>('array_slice', ['anyarray', Int8, Int8], arrayIn(0), (list, low, high) =>
  list.slice(Math.max(0, Number(low) - 1), Math.max(0, Number(high))),
);

/** An overload whose closure compares elements of the array at `index`. */
function comparing(
  name: string,
  params: readonly Param[],
  returns: Overload['returns'],
  make: (same: (a: Datum, b: Datum) => boolean) => (...args: Datum[]) => Datum,
): Overload {
  return {
    name,
    params,
    returns,
    volatility: 'immutable',
    nullable: true,
    specialize: ([array, element]): EvalFn => {
      const type = array?.element ?? element ?? Type.Unknown;
      const fn = make(sameTest(type, element ?? type));
      return (_, ...args) => fn(...args);
    },
  };
}

/** The parts of a text; `nullText` stands for NULL. A NULL separator cuts between characters, an empty one not at all. */
export function splitText(source: Datum, separator: Datum, nullText: Datum = null): Datum[] | null {
  if (source === null) return null;
  if (source === '') return [];
  const parts: string[] =
    separator === null
      ? Array.from(utf8Decode(source as ByteString), (char) => utf8Encode(char))
      : separator === ''
        ? [source as string]
        : (source as string).split(separator as string);
  return parts.map((part) => (nullText !== null && part === (nullText as string) ? null : (part as ByteString)));
}

function joining(params: readonly Param[]): Overload {
  return {
    name: 'array_to_string',
    params,
    returns: Text,
    volatility: 'stable',
    nullable: true,
    specialize: ([array]): EvalFn => {
      const speak = textFunction(array?.element ?? Type.String);
      return (ctx, list, separator, nullText = null) => {
        if (list === null || separator === null) return null;
        const parts: string[] = [];
        for (const item of list as List) {
          if (item !== null) parts.push(speak(item, ctx));
          else if (nullText !== null) parts.push(nullText as string);
        }
        return parts.join(separator as string) as ByteString;
      };
    },
  };
}

const lengthAlong = (list: List, dimension: Int): Datum => (dimension === 1 && list.length > 0 ? list.length : null);

export const arrayFunctions: readonly Overload[] = [
  pure<[List, Int]>('array_length', ['anyarray', Int8], Int8, lengthAlong),
  pure<[List, Int]>('array_upper', ['anyarray', Int8], Int8, lengthAlong),
  pure<[List, Int]>('array_lower', ['anyarray', Int8], Int8, (list, dimension) => (dimension === 1 && list.length > 0 ? 1 : null)),
  pure<[List]>('array_ndims', ['anyarray'], Int8, (list) => (list.length > 0 ? 1 : null)),
  pure<[List]>('cardinality', ['anyarray'], Int8, (list) => list.length),
  pure<[List | null, Datum]>('array_append', ['anyarray', 'anyelement'], arrayIn(0), (list, item) => [...(list ?? []), item], {
    nullable: true,
  }),
  pure<[Datum, List | null]>('array_prepend', ['anyelement', 'anyarray'], arrayIn(1), (item, list) => [item, ...(list ?? [])], {
    nullable: true,
  }),
  pure<[List | null, List | null]>(
    'array_cat',
    ['anyarray', 'anyarray'],
    arrayIn(0),
    (a, b) => (a === null || b === null ? (a ?? b) : [...a, ...b]),
    {
      nullable: true,
    },
  ),
  comparing(
    'array_remove',
    ['anyarray', 'anyelement'],
    arrayIn(0),
    (same) => (list, item) => (list === null ? null : (list as List).filter((own) => !same(own, item as Datum))),
  ),
  comparing(
    'array_replace',
    ['anyarray', 'anyelement', 'anyelement'],
    arrayIn(0),
    (same) => (list, from, to) => (list === null ? null : (list as List).map((own) => (same(own, from as Datum) ? (to as Datum) : own))),
  ),
  comparing('array_position', ['anyarray', 'anyelement'], Int8, (same) => (list, item) => {
    if (list === null) return null;
    const at = (list as List).findIndex((own) => same(own, item as Datum));
    return at < 0 ? null : at + 1;
  }),
  comparing(
    'array_positions',
    ['anyarray', 'anyelement'],
    arrayOf(Type.Int8),
    (same) => (list, item) => (list === null ? null : (list as List).flatMap((own, i) => (same(own, item as Datum) ? [i + 1] : []))),
  ),
  pure<[List]>('array_dims', ['anyarray'], Text, (list) => (list.length > 0 ? (`[1:${list.length}]` as ByteString) : null)),
  pure<[List, Int]>('trim_array', ['anyarray', Int8], arrayIn(0), (list, count) => {
    if (count < 0 || count > list.length) {
      throw new StatementError(SqlState.ArraySubscriptError, `number of elements to trim must be between 0 and ${list.length}`);
    }
    return list.slice(0, list.length - Number(count));
  }),
  pure<[Datum, List | null]>(
    'array_fill',
    ['anyelement', arrayOf(Type.Int8)],
    (args) => arrayOf(known(args[0]) ?? Type.String),
    (item, dimensions) => {
      if (dimensions === null) throw new StatementError(SqlState.NullValueNotAllowed, 'dimension array or low bound array cannot be null');
      if (dimensions.length > 1) throw new StatementError(SqlState.FeatureNotSupported, 'nested arrays are not supported');
      const size = Number(dimensions[0] ?? 0);
      checkResultSize(size * 8);
      return new Array<Datum>(Math.max(0, size)).fill(item);
    },
    { nullable: true },
  ),
  joining(['anyarray', Text]),
  joining(['anyarray', Text, Text]),
  pure<[Datum, Datum]>('string_to_array', [Text, Text], StringArray, (a, separator) => splitText(a, separator), { nullable: true }),
  pure<[Datum, Datum, Datum]>('string_to_array', [Text, Text, Text], StringArray, splitText, { nullable: true }),
];
