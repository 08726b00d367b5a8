/**
 * Inverted keys: what an inverted index holds of a JSONB value or an array, several keys for one row.
 *
 * A JSON value has a key for each path to a leaf, with the leaf at its end; an array one for each element. In the manner of
 * CockroachDB's encoding, steps are escaped so that no path is the beginning of another's key by chance:
 *
 *   object member   its name, then 00 02      end of the path   00 01
 *   array element   00 03                     leaf              its key encoding; 37 is [], 38 is {}
 *
 *   IK1  the keys of a value are distinct, so an equality finds a row once
 *   IK2  every value but NULL has PRESENT among its keys: what finds all rows when a condition says nothing
 *
 * A value that contains another has each of the other's keys, but for empty parts, which anything of their kind contains;
 * and an array contains a scalar that it has as an element. The keys stand in the index as BYTES. Lives elsewhere: writing
 * them (sql/exec/tableWriter.ts), choosing them for a condition (sql/plan/invertedFacts.ts).
 */
import { type Bytes, utf8Encode } from '../base/bytes.ts';
import { KeyWriter } from '../base/keycode.ts';
import { keyEncoder } from './columnCodec.ts';
import { type Datum, Decimal, type Json } from './datum.ts';
import type { JsonValue } from './json.ts';
import { type ColumnType, Type } from './type.ts';

export const PRESENT = '\x00\x00' as Bytes;

const MEMBER_END = '\x00\x02';
const ELEMENT = '\x00\x03';
const PATH_END = '\x00\x01';
const EMPTY_ARRAY = '\x37';
const EMPTY_OBJECT = '\x38';

const escaped = (name: string): string => utf8Encode(name).replaceAll('\x00', '\x00\xff');

/** The keys of a value of an inverted column; none for NULL. */
export function invertedKeysOf(type: ColumnType, value: Datum): Bytes[] {
  if (value === null) return [];
  const keys = new Set<Bytes>([PRESENT]);
  if (type.family === 'jsonb') addPaths((value as Json).value, '', keys, true);
  else for (const element of value as readonly Datum[]) if (element !== null) keys.add(elementKey(type, element));
  return [...keys];
}

/** Keys of which every value that contains this one has exactly one at least; PRESENT alone where that is all to be said. */
export function containmentKeys(type: ColumnType, value: Datum): Bytes[] {
  const keys = new Set<Bytes>();
  if (type.family === 'jsonb') {
    const json = (value as Json).value;
    if (isScalar(json)) {
      addPaths(json, '', keys, false);
      addPaths(json, ELEMENT, keys, false);
      return [...keys];
    }
    addPaths(json, '', keys, false);
  } else for (const element of value as readonly Datum[]) if (element !== null) keys.add(elementKey(type, element));
  // The longest path is the one that fewest share, as far as one can tell without looking.
  const [longest] = [...keys].sort((a, b) => b.length - a.length || (a < b ? -1 : 1));
  return [longest ?? PRESENT];
}

/** The keys that a scalar at the end of a path of object members may have. */
export function pathKey(members: readonly string[], value: JsonValue): Bytes | undefined {
  if (!isScalar(value)) return undefined;
  const keys = new Set<Bytes>();
  addPaths(value, members.map((member) => escaped(member) + MEMBER_END).join(''), keys, false);
  return [...keys][0];
}

const isScalar = (value: JsonValue): boolean => !Array.isArray(value) && !(value instanceof Map);

function addPaths(value: JsonValue, path: string, keys: Set<Bytes>, withEmpty: boolean): void {
  if (Array.isArray(value)) {
    if (value.length === 0 && withEmpty) keys.add((path + PATH_END + EMPTY_ARRAY) as Bytes);
    for (const item of value as readonly JsonValue[]) addPaths(item, path + ELEMENT, keys, withEmpty);
  } else if (value instanceof Map) {
    if (value.size === 0 && withEmpty) keys.add((path + PATH_END + EMPTY_OBJECT) as Bytes);
    for (const [name, member] of value) addPaths(member, path + escaped(name) + MEMBER_END, keys, withEmpty);
  } else keys.add((path + PATH_END + leafKey(value as Exclude<JsonValue, readonly JsonValue[] | ReadonlyMap<string, JsonValue>>)) as Bytes);
}

const writer = new KeyWriter();
const decimalKey = keyEncoder(Type.Decimal, false);
const textKey = keyEncoder(Type.String, false);
const boolKey = keyEncoder(Type.Bool, false);

function leafKey(value: null | boolean | number | Decimal | string): Bytes {
  writer.reset();
  if (value === null) writer.null(false);
  else if (typeof value === 'boolean') boolKey(writer, value);
  else if (typeof value === 'string') textKey(writer, utf8Encode(value));
  else
    decimalKey(
      writer,
      value instanceof Decimal
        ? value.reduced()
        : Number.isInteger(value)
          ? Decimal.fromInt(value).reduced()
          : Decimal.fromFloat(value).reduced(),
    );
  return writer.finish();
}

function elementKey(type: ColumnType, element: Datum): Bytes {
  writer.reset();
  keyEncoder(type.element ?? Type.String, false)(writer, element as Exclude<Datum, null>);
  return writer.finish();
}
