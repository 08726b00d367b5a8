/** Operators on JSONB: access, containment, keys, concatenation, removal. */
import { type Bytes, utf8Decode } from '../../../base/bytes.ts';
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { type Datum, Json } from '../../../catalog/datum.ts';
import { jsonObject, type JsonValue } from '../../../catalog/json.ts';
import { Bool, Int8, Jsonb, pure, Text, StringArray } from '../define.ts';
import type { Int } from '../intArithmetic.ts';
import { followPath, hasKey, isArray, isObject, itemOf, jsonContains, jsonDatum, jsonText, memberOf, pathOf } from '../jsonPath.ts';
import type { Overload } from '../overload.ts';

type Steps = readonly Datum[];

function concat(a: JsonValue, b: JsonValue): JsonValue {
  if (isObject(a) && isObject(b)) return jsonObject([...a, ...b]);
  const list = (value: JsonValue): readonly JsonValue[] => (isArray(value) ? value : [value]);
  return [...list(a), ...list(b)];
}

function withoutKeys(value: JsonValue, keys: readonly string[]): JsonValue {
  if (isObject(value)) return new Map([...value].filter(([key]) => !keys.includes(key)));
  if (isArray(value)) return value.filter((item) => typeof item !== 'string' || !keys.includes(item));
  throw new StatementError(SqlState.InvalidParameterValue, 'cannot delete from scalar');
}

function withoutIndex(value: JsonValue, index: number): JsonValue {
  if (isObject(value)) throw new StatementError(SqlState.InvalidParameterValue, 'cannot delete from object using integer index');
  if (!isArray(value)) throw new StatementError(SqlState.InvalidParameterValue, 'cannot delete from scalar');
  const at = index < 0 ? value.length + index : index;
  return value.filter((_, i) => i !== at);
}

/** #-: removes what the path leads to. */
export function withoutPath(value: JsonValue, path: readonly string[]): JsonValue {
  const [step, ...rest] = path;
  if (step === undefined) return value;
  if (isObject(value)) {
    const member = value.get(step);
    if (member === undefined) return value;
    if (rest.length === 0) return withoutKeys(value, [step]);
    return new Map([...value].map(([key, item]) => [key, key === step ? withoutPath(item, rest) : item]));
  }
  if (isArray(value) && /^-?\d+$/.test(step)) {
    const at = Number(step) < 0 ? value.length + Number(step) : Number(step);
    if (rest.length === 0) return value.filter((_, i) => i !== at);
    return value.map((item, i) => (i === at ? withoutPath(item, rest) : item));
  }
  return value;
}

const texts = (array: Steps): string[] => array.filter((item) => item !== null).map((item) => utf8Decode(item as Bytes));

export const jsonOperators: readonly Overload[] = [
  pure<[Json, Bytes]>('->', [Jsonb, Text], Jsonb, (a, key) => jsonDatum(memberOf(a.value, utf8Decode(key))), { preferred: true }),
  pure<[Json, Int]>('->', [Jsonb, Int8], Jsonb, (a, index) => jsonDatum(itemOf(a.value, Number(index)))),
  pure<[Json, Bytes]>('->>', [Jsonb, Text], Text, (a, key) => jsonText(memberOf(a.value, utf8Decode(key))), { preferred: true }),
  pure<[Json, Int]>('->>', [Jsonb, Int8], Text, (a, index) => jsonText(itemOf(a.value, Number(index)))),
  pure<[Json, Steps]>('#>', [Jsonb, StringArray], Jsonb, (a, steps) => {
    const path = pathOf(steps);
    return path ? jsonDatum(followPath(a.value, path)) : null;
  }),
  pure<[Json, Steps]>('#>>', [Jsonb, StringArray], Text, (a, steps) => {
    const path = pathOf(steps);
    return path ? jsonText(followPath(a.value, path)) : null;
  }),
  pure<[Json, Json]>('@>', [Jsonb, Jsonb], Bool, (a, b) => jsonContains(a.value, b.value)),
  pure<[Json, Json]>('<@', [Jsonb, Jsonb], Bool, (a, b) => jsonContains(b.value, a.value)),
  pure<[Json, Bytes]>('?', [Jsonb, Text], Bool, (a, key) => hasKey(a.value, utf8Decode(key))),
  pure<[Json, Steps]>('?|', [Jsonb, StringArray], Bool, (a, keys) => texts(keys).some((key) => hasKey(a.value, key))),
  pure<[Json, Steps]>('?&', [Jsonb, StringArray], Bool, (a, keys) => texts(keys).every((key) => hasKey(a.value, key))),
  pure<[Json, Json]>('||', [Jsonb, Jsonb], Jsonb, (a, b) => new Json(concat(a.value, b.value))),
  pure<[Json, Bytes]>('-', [Jsonb, Text], Jsonb, (a, key) => new Json(withoutKeys(a.value, [utf8Decode(key)])), { preferred: true }),
  pure<[Json, Int]>('-', [Jsonb, Int8], Jsonb, (a, index) => new Json(withoutIndex(a.value, Number(index)))),
  pure<[Json, Steps]>('-', [Jsonb, StringArray], Jsonb, (a, keys) => new Json(withoutKeys(a.value, texts(keys)))),
  pure<[Json, Steps]>('#-', [Jsonb, StringArray], Jsonb, (a, steps) => {
    const path = pathOf(steps);
    return path ? new Json(withoutPath(a.value, path)) : null;
  }),
];
