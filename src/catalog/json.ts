/**
 * JSON values as JSONB keeps them: keys unique (the last one counts) and sorted, numbers exact.
 *
 * A number is a JavaScript number when that prints as it was written, else a Decimal, so nothing is
 * ever rounded and 1.10 stays 1.10. Objects are Maps: any key is just a key. Strings are JavaScript
 * strings with well-formed UTF-16.
 *
 * The printed form is CockroachDB's: a blank after each colon and comma. The order of values is
 * PostgreSQL's: null < string < number < false < true < array < object, an empty array first of all.
 */
import { utf8Encode } from '../base/bytes.ts';
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

import { Decimal } from './decimal.ts';

export type JsonValue = null | boolean | number | Decimal | string | readonly JsonValue[] | ReadonlyMap<string, JsonValue>;

/** A JSONB datum: a value, its canonical text, or both; each is made from the other when first asked for. */
export class Json {
  #value: JsonValue | undefined;
  #text: string | undefined;

  constructor(value: JsonValue) {
    this.#value = value;
  }

  /** From text that `toString` made: stored rows are parsed only when someone looks inside. */
  static ofCanonicalText(text: string): Json {
    const json = new Json(null);
    json.#value = undefined;
    json.#text = text;
    return json;
  }

  get value(): JsonValue {
    this.#value ??= parseJson(this.#text ?? 'null');
    return this.#value;
  }

  /**
   * Plain JavaScript data, as jsonToPlain makes it. Canonical text that was never looked into goes to JSON.parse, at
   * a tenth of the cost, unless it may hold a number that no double does.
   */
  toPlain(): unknown {
    const text = this.#text;
    if (this.#value !== undefined || text === undefined || MAY_HOLD_MORE_THAN_DOUBLES.test(text)) return jsonToPlain(this.value);
    return JSON.parse(text);
  }

  /** The canonical text: `{"a": 1, "b": [1, 2]}`. */
  toString(): string {
    this.#text ??= formatJson(this.value);
    return this.#text;
  }

  /** Equal for equal values, 1 and 1.0 included. */
  hashText(): string {
    return formatWith(this.value, (n) => (n instanceof Decimal ? n.reduced().toString() : Decimal.fromFloat(n).reduced().toString()));
  }
}

/**
 * Numbers of more than 15 digits, save timestamps' 16, or with an exponent of three digits: any other is the shortest
 * form of the double that it parses to. Some texts in strings match too, and lose nothing but time.
 */
const MAY_HOLD_MORE_THAN_DOUBLES = /(?:^|[[ ])-?(?:[\d.]{17}|[2-9]\d{15}|[\d.]+[eE][+-]?\d{3})/;

/** Deepest nesting that is parsed: keeps a hostile value from exhausting the stack. */
export const JSON_DEPTH_MAX = 1000;

/** Parses JSON text. Throws 22P02 with CockroachDB's opening words and the offset of the mistake. */
export function parseJson(text: string): JsonValue {
  return new JsonParser(text).parseWhole();
}

export function formatJson(value: JsonValue): string {
  return formatWith(value, String);
}

function formatWith(value: JsonValue, formatNumber: (n: number | Decimal) => string): string {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'number' || value instanceof Decimal) return formatNumber(value);
  if (typeof value === 'string') return JSON.stringify(value);
  if (value instanceof Map) {
    const parts: string[] = [];
    for (const [key, item] of value as ReadonlyMap<string, JsonValue>) {
      parts.push(`${JSON.stringify(key)}: ${formatWith(item, formatNumber)}`);
    }
    return `{${parts.join(', ')}}`;
  }
  return `[${(value as readonly JsonValue[]).map((item) => formatWith(item, formatNumber)).join(', ')}]`;
}

/** An object with its keys in the canonical order; the last of equal keys counts. */
export function jsonObject(entries: Iterable<readonly [string, JsonValue]>): JsonValue {
  const map = new Map(entries);
  const keys = [...map.keys()];
  if (isSorted(keys)) return map;
  return new Map(keys.sort(compareText).map((key) => [key, map.get(key) ?? null]));
}

function isSorted(keys: readonly string[]): boolean {
  for (let i = 1; i < keys.length; i++) {
    if (compareText(keys[i - 1] ?? '', keys[i] ?? '') > 0) return false;
  }
  return true;
}

// By UTF-8 bytes: JavaScript's own order differs outside the basic plane.
function compareText(a: string, b: string): number {
  const x = utf8Encode(a);
  const y = utf8Encode(b);
  return x < y ? -1 : x > y ? 1 : 0;
}

/** Plain JavaScript data (as JSON.parse returns) to a JsonValue. */
export function jsonFromPlain(plain: unknown): JsonValue {
  if (plain === null || plain === undefined) return null;
  switch (typeof plain) {
    case 'boolean':
    case 'string':
      return plain;
    case 'number':
      return plain;
    case 'bigint':
      return Number.isSafeInteger(Number(plain)) ? Number(plain) : Decimal.fromInt(plain);
    default:
      if (plain instanceof Decimal) return plain;
      if (Array.isArray(plain)) return plain.map(jsonFromPlain);
      return jsonObject(Object.entries(plain as object).map(([key, value]) => [key, jsonFromPlain(value)] as const));
  }
}

/** To plain JavaScript data; numbers that no double holds become their text. */
export function jsonToPlain(value: JsonValue): unknown {
  if (value instanceof Decimal) {
    const number = value.toNumber();
    return Decimal.fromFloat(number).equals(value) ? number : value.toString();
  }
  if (Array.isArray(value)) return value.map(jsonToPlain);
  if (value instanceof Map) {
    const plain: Record<string, unknown> = Object.create(null);
    for (const [key, item] of value as ReadonlyMap<string, JsonValue>) plain[key] = jsonToPlain(item);
    return { ...plain };
  }
  return value;
}

const jsonRank = (value: JsonValue): number => {
  if (value === null) return 1;
  if (typeof value === 'string') return 2;
  if (typeof value === 'number' || value instanceof Decimal) return 3;
  if (value === false) return 4;
  if (value === true) return 5;
  if (Array.isArray(value)) return value.length === 0 ? 0 : 6;
  return 7;
};

export function compareJson(a: JsonValue, b: JsonValue): number {
  const byRank = jsonRank(a) - jsonRank(b);
  if (byRank !== 0) return byRank;
  if (typeof a === 'string') return compareText(a, b as string);
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a === 'number' || a instanceof Decimal) return toDecimal(a).compare(toDecimal(b as number | Decimal));
  if (Array.isArray(a)) return compareArrays(a, b as readonly JsonValue[]);
  if (a instanceof Map) return compareObjects(a, b as ReadonlyMap<string, JsonValue>);
  return 0;
}

function toDecimal(value: number | Decimal): Decimal {
  return value instanceof Decimal ? value : Decimal.fromFloat(value);
}

// Shorter first, then element by element: PostgreSQL's rule for both arrays and objects.
function compareArrays(a: readonly JsonValue[], b: readonly JsonValue[]): number {
  if (a.length !== b.length) return a.length - b.length;
  for (let i = 0; i < a.length; i++) {
    const byItem = compareJson(a[i] ?? null, b[i] ?? null);
    if (byItem !== 0) return byItem;
  }
  return 0;
}

function compareObjects(a: ReadonlyMap<string, JsonValue>, b: ReadonlyMap<string, JsonValue>): number {
  if (a.size !== b.size) return a.size - b.size;
  const others = b.entries();
  for (const [key, value] of a) {
    const [otherKey, otherValue] = others.next().value ?? ['', null];
    const byEntry = compareText(key, otherKey) || compareJson(value, otherValue);
    if (byEntry !== 0) return byEntry;
  }
  return 0;
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const BLANKS = /[ \t\n\r]*/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids raw control characters in strings
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;

class JsonParser {
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text;
  }

  parseWhole(): JsonValue {
    const value = this.value(0);
    this.blanks();
    if (this.at < this.text.length) throw this.error('trailing characters');
    return value;
  }

  private value(depth: number): JsonValue {
    if (depth > JSON_DEPTH_MAX) throw this.error(`nesting deeper than ${JSON_DEPTH_MAX}`);
    this.blanks();
    const char = this.text[this.at];
    if (char === undefined) throw this.error('unexpected EOF');
    if (char === '{') return this.object(depth);
    if (char === '[') return this.array(depth);
    if (char === '"') return this.string();
    if (char === '-' || (char >= '0' && char <= '9')) return this.number();
    if (this.word('true')) return true;
    if (this.word('false')) return false;
    if (this.word('null')) return null;
    throw this.error(`unable to decode: invalid character ${JSON.stringify(char)}`);
  }

  private object(depth: number): JsonValue {
    const entries: [string, JsonValue][] = [];
    this.at++;
    this.blanks();
    if (this.take('}')) return new Map();
    do {
      this.blanks();
      if (this.text[this.at] !== '"') throw this.error('expected a string as object key');
      const key = this.string();
      this.blanks();
      if (!this.take(':')) throw this.error('expected ":" after object key');
      entries.push([key, this.value(depth + 1)]);
      this.blanks();
    } while (this.take(','));
    if (!this.take('}')) throw this.error('expected "," or "}" in object');
    return jsonObject(entries);
  }

  private array(depth: number): JsonValue {
    const items: JsonValue[] = [];
    this.at++;
    this.blanks();
    if (this.take(']')) return items;
    do {
      items.push(this.value(depth + 1));
      this.blanks();
    } while (this.take(','));
    if (!this.take(']')) throw this.error('expected "," or "]" in array');
    return items;
  }

  private string(): string {
    const raw = this.match(STRING);
    if (raw === undefined) throw this.error('invalid string');
    const text = raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1);
    if (text.includes('\u0000')) throw this.error('\\u0000 cannot be converted to text');
    return text.isWellFormed() ? text : text.toWellFormed();
  }

  private number(): number | Decimal {
    const raw = this.match(NUMBER);
    if (raw === undefined) throw this.error('invalid number');
    const number = Number(raw);
    if (String(number) === raw) return number;
    const decimal = Decimal.parse(raw);
    if (!decimal) throw this.error('invalid number');
    return decimal;
  }

  private word(word: string): boolean {
    if (!this.text.startsWith(word, this.at)) return false;
    this.at += word.length;
    return true;
  }

  private take(char: string): boolean {
    if (this.text[this.at] !== char) return false;
    this.at++;
    return true;
  }

  private blanks(): void {
    this.match(BLANKS);
  }

  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const match = pattern.exec(this.text);
    if (!match) return undefined;
    this.at = pattern.lastIndex;
    return match[0];
  }

  private error(what: string): StatementError {
    return new StatementError(SqlState.InvalidTextRepresentation, `could not parse JSON: ${what}`, {
      detail: `at character ${this.at + 1}`,
    });
  }
}
