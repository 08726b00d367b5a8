/**
 * Steps into JSON values, shared by operators and functions.
 */
import { utf8Decode, utf8Encode } from '../../base/bytes.ts';
import type { Bytes } from '../../base/bytes.ts';
import { Decimal, type Datum, Json } from '../../catalog/datum.ts';
import { compareJson, formatJson, type JsonValue } from '../../catalog/json.ts';

export function isObject(value: JsonValue): value is ReadonlyMap<string, JsonValue> {
  return value instanceof Map;
}

export function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/** The member of that key, or the array item of that index in text form; undefined when there is none. */
export function memberOf(value: JsonValue, key: string): JsonValue | undefined {
  return isObject(value) ? value.get(key) : undefined;
}

/** The item at an index; negative ones count from the end. */
export function itemOf(value: JsonValue, index: number): JsonValue | undefined {
  return isArray(value) ? value.at(index) : undefined;
}

/** Follows a path of keys and indexes in text form. */
export function followPath(value: JsonValue, path: readonly string[]): JsonValue | undefined {
  let at: JsonValue | undefined = value;
  for (const step of path) {
    if (at === undefined) return undefined;
    if (isArray(at)) {
      at = /^-?\d+$/.test(step) ? at.at(Number(step)) : undefined;
    } else {
      at = memberOf(at, step);
    }
  }
  return at;
}

/** A STRING[] datum as text; undefined when an element is NULL. */
export function pathOf(array: readonly Datum[]): string[] | undefined {
  return array.includes(null) ? undefined : array.map((step) => utf8Decode(step as Bytes));
}

export function jsonDatum(value: JsonValue | undefined): Datum {
  return value === undefined ? null : new Json(value);
}

/** As ->> gives it: a string bare, JSON null as NULL, everything else as JSON text. */
export function jsonText(value: JsonValue | undefined): Datum {
  if (value === undefined || value === null) return null;
  return utf8Encode(typeof value === 'string' ? value : formatJson(value));
}

/** a @> b: b's structure is found in a. An array contains a bare scalar that is one of its items. */
export function jsonContains(a: JsonValue, b: JsonValue): boolean {
  return contains(a, b) || (isArray(a) && !isArray(b) && !isObject(b) && a.some((item) => compareJson(item, b) === 0));
}

function contains(a: JsonValue, b: JsonValue): boolean {
  if (isObject(a) && isObject(b)) {
    for (const [key, value] of b) {
      const own = a.get(key);
      if (own === undefined || !contains(own, value)) return false;
    }
    return true;
  }
  if (isArray(a) && isArray(b)) return b.every((wanted) => a.some((item) => contains(item, wanted)));
  if (isArray(a) || isArray(b) || isObject(a) || isObject(b)) return false;
  return compareJson(a, b) === 0;
}

/** True when the key is one of an object, or a string of an array (or the string itself). */
export function hasKey(value: JsonValue, key: string): boolean {
  if (isObject(value)) return value.has(key);
  return isArray(value) ? value.includes(key) : value === key;
}

export function jsonTypeOf(value: JsonValue): string {
  if (value === null) return 'null';
  if (typeof value === 'number' || value instanceof Decimal) return 'number';
  if (isArray(value)) return 'array';
  return isObject(value) ? 'object' : typeof value;
}
