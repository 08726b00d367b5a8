/** Functions on JSONB. Each json_ name has its jsonb_ twin: there is one JSON type. */
import { type Bytes as ByteString, utf8Decode, utf8Encode } from '../../../base/bytes.ts';
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { type Datum, Json } from '../../../catalog/datum.ts';
import { formatJson, jsonObject, type JsonValue } from '../../../catalog/json.ts';
import { textFunction } from '../castFunction.ts';
import { Bool, Int8, Jsonb, pure, Text, StringArray } from '../define.ts';
import { followPath, isArray, isObject, jsonDatum, jsonText, jsonTypeOf, pathOf } from '../jsonPath.ts';
import type { EvalFn, Overload } from '../overload.ts';
import { toJson } from '../toJson.ts';
import { withoutPath } from '../operators/json.ts';

const text = (bytes: Datum): string => utf8Decode(bytes as ByteString);

function both(name: string, make: (name: string) => Overload[]): Overload[] {
  return [...make(`json_${name}`), ...make(`jsonb_${name}`)];
}

const buildArray = (name: string): Overload => ({
  name,
  params: [],
  variadic: 'any',
  returns: Jsonb,
  volatility: 'stable',
  nullable: true,
  specialize: (types): EvalFn => {
    const convert = types.map(toJson);
    return (ctx, ...args) => new Json(args.map((arg, i) => (convert[i] as (typeof convert)[0])(arg, ctx)));
  },
});

const buildObject = (name: string): Overload => ({
  name,
  params: [],
  variadic: 'any',
  returns: Jsonb,
  volatility: 'stable',
  nullable: true,
  specialize: (types): EvalFn => {
    const convert = types.map(toJson);
    const key = types.map(textFunction);
    return (ctx, ...args) => {
      if (args.length % 2 !== 0) {
        throw new StatementError(SqlState.InvalidParameterValue, 'argument list must have even number of elements');
      }
      const entries: [string, JsonValue][] = [];
      for (let i = 0; i < args.length; i += 2) {
        const name = args[i] as Datum;
        if (name === null) throw new StatementError(SqlState.InvalidParameterValue, `argument ${i + 1} cannot be null`);
        entries.push([text((key[i] as (typeof key)[0])(name, ctx)), (convert[i + 1] as (typeof convert)[0])(args[i + 1] as Datum, ctx)]);
      }
      return new Json(jsonObject(entries));
    };
  },
});

const convertOne = (name: string): Overload => ({
  name,
  params: ['any'],
  returns: Jsonb,
  volatility: 'stable',
  specialize: ([type]): EvalFn => {
    const convert = toJson(type as NonNullable<typeof type>);
    return (ctx, value) => new Json(convert(value as Datum, ctx));
  },
});

/** Replaces, or with `create` adds, the value a path leads to. All steps but the last must exist. */
function setPath(value: JsonValue, path: readonly string[], replacement: JsonValue, create: boolean): JsonValue {
  const [step, ...rest] = path;
  if (step === undefined) return value;
  const deeper = (item: JsonValue): JsonValue => (rest.length === 0 ? replacement : setPath(item, rest, replacement, create));
  if (isObject(value)) {
    const member = value.get(step);
    if (member === undefined) return rest.length === 0 && create ? jsonObject([...value, [step, replacement]]) : value;
    return new Map([...value].map(([key, item]) => [key, key === step ? deeper(item) : item]));
  }
  if (isArray(value)) {
    const index = stepIndex(step);
    const at = index < 0 ? value.length + index : index;
    if (at >= 0 && at < value.length) return value.map((item, i) => (i === at ? deeper(item) : item));
    if (rest.length > 0 || !create) return value;
    return at < 0 ? [replacement, ...value] : [...value, replacement];
  }
  if (path.length > 0) throw new StatementError(SqlState.InvalidParameterValue, 'cannot set path in scalar');
  return value;
}

function stepIndex(step: string): number {
  if (!/^-?\d+$/.test(step)) throw new StatementError(SqlState.InvalidTextRepresentation, `path element is not an integer: ${step}`);
  return Number(step);
}

/** Inserts before (or after) the array item a path leads to, or adds an object key that is not there. */
function insertPath(value: JsonValue, path: readonly string[], inserted: JsonValue, after: boolean): JsonValue {
  const [step, ...rest] = path;
  if (step === undefined) return value;
  if (isObject(value)) {
    if (rest.length > 0)
      return new Map([...value].map(([key, item]) => [key, key === step ? insertPath(item, rest, inserted, after) : item]));
    if (value.has(step))
      throw new StatementError(SqlState.InvalidParameterValue, 'cannot replace existing key', { hint: 'use jsonb_set to replace a value' });
    return jsonObject([...value, [step, inserted]]);
  }
  if (isArray(value)) {
    const index = stepIndex(step);
    const at = index < 0 ? value.length + index : index;
    if (rest.length > 0) return value.map((item, i) => (i === at ? insertPath(item, rest, inserted, after) : item));
    const place = Math.max(0, Math.min(value.length, after ? at + 1 : at));
    return [...value.slice(0, place), inserted, ...value.slice(place)];
  }
  return value;
}

/** Four blanks a level, as jsonb_pretty prints. */
function pretty(value: JsonValue, indent = ''): string {
  const inner = `${indent}    `;
  if (isArray(value)) {
    if (value.length === 0) return '[]';
    return `[\n${value.map((item) => inner + pretty(item, inner)).join(',\n')}\n${indent}]`;
  }
  if (isObject(value)) {
    if (value.size === 0) return '{}';
    return `{\n${[...value].map(([key, item]) => `${inner}${JSON.stringify(key)}: ${pretty(item, inner)}`).join(',\n')}\n${indent}}`;
  }
  return formatJson(value);
}

function stripNulls(value: JsonValue): JsonValue {
  if (isArray(value)) return value.map(stripNulls);
  if (isObject(value)) return new Map([...value].filter(([, item]) => item !== null).map(([key, item]) => [key, stripNulls(item)]));
  return value;
}

const path = (name: string, returns: typeof Jsonb, finish: (value: JsonValue | undefined) => Datum): Overload =>
  pure(name, [Jsonb], returns, (json, ...steps) => finish(followPath((json as Json).value, steps.map(text))), { variadic: Text });

function lengthOf(value: JsonValue): number {
  if (isArray(value)) return value.length;
  throw new StatementError(SqlState.InvalidParameterValue, `cannot get array length of a ${isObject(value) ? 'non-array' : 'scalar'}`);
}

function steps(array: Datum): string[] {
  const found = pathOf(array as readonly Datum[]);
  if (!found) throw new StatementError(SqlState.InvalidParameterValue, 'path element at position 1 is null');
  return found;
}

/** json_object('{a,1,b,2}'), json_object('{a,b}', '{1,2}'). */
function objectOf(keys: readonly Datum[], values: readonly Datum[]): Json {
  if (keys.length !== values.length) throw new StatementError(SqlState.InvalidParameterValue, 'mismatched array dimensions');
  return new Json(
    jsonObject(
      keys.map((key, i) => {
        if (key === null) throw new StatementError(SqlState.InvalidParameterValue, 'null value not allowed for object key');
        const value = values[i] as Datum;
        return [text(key), value === null ? null : text(value)] as const;
      }),
    ),
  );
}

export const jsonFunctions: readonly Overload[] = [
  ...both('build_array', (name) => [buildArray(name)]),
  ...both('build_object', (name) => [buildObject(name)]),
  convertOne('to_json'),
  convertOne('to_jsonb'),
  convertOne('array_to_json'),
  convertOne('row_to_json'),
  ...both('typeof', (name) => [pure<[Json]>(name, [Jsonb], Text, (a) => jsonTypeOf(a.value) as ByteString)]),
  ...both('array_length', (name) => [pure<[Json]>(name, [Jsonb], Int8, (a) => lengthOf(a.value))]),
  ...both('extract_path', (name) => [path(name, Jsonb, jsonDatum)]),
  ...both('extract_path_text', (name) => [path(name, Text, jsonText)]),
  ...both('strip_nulls', (name) => [pure<[Json]>(name, [Jsonb], Jsonb, (a) => new Json(stripNulls(a.value)))]),
  ...both('set', (name) => [
    pure<[Json, Datum, Json]>(
      name,
      [Jsonb, StringArray, Jsonb],
      Jsonb,
      (a, at, to) => new Json(setPath(a.value, steps(at), to.value, true)),
    ),
    pure<[Json, Datum, Json, boolean]>(
      name,
      [Jsonb, StringArray, Jsonb, Bool],
      Jsonb,
      (a, at, to, create) => new Json(setPath(a.value, steps(at), to.value, create)),
    ),
  ]),
  ...both('insert', (name) => [
    pure<[Json, Datum, Json]>(
      name,
      [Jsonb, StringArray, Jsonb],
      Jsonb,
      (a, at, item) => new Json(insertPath(a.value, steps(at), item.value, false)),
    ),
    pure<[Json, Datum, Json, boolean]>(
      name,
      [Jsonb, StringArray, Jsonb, Bool],
      Jsonb,
      (a, at, item, after) => new Json(insertPath(a.value, steps(at), item.value, after)),
    ),
  ]),
  ...both('remove_path', (name) => [
    pure<[Json, Datum]>(name, [Jsonb, StringArray], Jsonb, (a, at) => new Json(withoutPath(a.value, steps(at)))),
  ]),
  ...both('object', (name) => [
    pure<[readonly Datum[]]>(name, [StringArray], Jsonb, (list) =>
      objectOf(
        list.filter((_, i) => i % 2 === 0),
        list.filter((_, i) => i % 2 === 1),
      ),
    ),
    pure<[readonly Datum[], readonly Datum[]]>(name, [StringArray, StringArray], Jsonb, objectOf),
  ]),
  pure<[Json]>('jsonb_pretty', [Jsonb], Text, (a) => utf8Encode(pretty(a.value))),
];
