/**
 * JsonFields: a JSON object read field by field, each checked for its type; XX001 names file and field.
 */
import type { Bytes } from '../base/bytes.ts';
import { fromBuffer } from '../base/bytes.ts';
import type { Timestamp } from '../base/timestamp.ts';

import { corruptFile } from './corruption.ts';

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: JsonValue;
}

export class JsonFields {
  readonly #object: JsonObject;
  readonly #file: string;
  /** Where the object stands in the document: '' or `files[3].`. */
  readonly #path: string;

  constructor(object: JsonObject, file: string, path = '') {
    this.#object = object;
    this.#file = file;
    this.#path = path;
  }

  static parse(text: string, file: string): JsonFields {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      throw corruptFile({ file, offset: 0 }, 'document', 'JSON', 'other text', cause);
    }
    if (!isObject(value)) throw corruptFile({ file, offset: 0 }, 'document', 'a JSON object', kindOf(value));
    return new JsonFields(value, file);
  }

  /** The object as it is. */
  get raw(): JsonObject {
    return this.#object;
  }

  get file(): string {
    return this.#file;
  }

  string(name: string): string {
    const value = this.#object[name];
    if (typeof value !== 'string') throw this.#wrong(name, 'a string', value);
    return value;
  }

  boolean(name: string): boolean {
    const value = this.#object[name];
    if (typeof value !== 'boolean') throw this.#wrong(name, 'true or false', value);
    return value;
  }

  /** An integer from 0 to 2^53 - 1. */
  integer(name: string): number {
    const value = this.#object[name];
    if (!isCount(value)) throw this.#wrong(name, 'an integer from 0 to 2^53 - 1', value);
    return value;
  }

  time(name: string): Timestamp {
    return this.integer(name) as Timestamp;
  }

  /** Bytes in hexadecimal digits. */
  hex(name: string): Bytes {
    const text = this.string(name);
    if (!/^(?:[0-9a-f]{2})*$/.test(text)) throw this.#wrong(name, 'hexadecimal digits', text);
    return fromBuffer(Buffer.from(text, 'hex'));
  }

  oneOf<T extends string>(name: string, choices: readonly T[]): T {
    const value = this.string(name);
    const choice = choices.find((candidate) => candidate === value);
    if (choice === undefined) throw this.#wrong(name, `one of ${choices.join(', ')}`, value);
    return choice;
  }

  literal(name: string, expected: string | number): void {
    const value = this.#object[name];
    if (value !== expected) throw this.#wrong(name, String(expected), value);
  }

  strings(name: string): string[] {
    return this.#array(name, 'strings', (value) => typeof value === 'string') as string[];
  }

  /** None when the field is not there: an older writer did not know it. */
  optionalStrings(name: string): string[] {
    return this.#object[name] === undefined ? [] : this.strings(name);
  }

  integers(name: string): number[] {
    return this.#array(name, 'integers', isCount) as number[];
  }

  object(name: string): JsonFields {
    const value = this.#object[name];
    if (!isObject(value)) throw this.#wrong(name, 'an object', value);
    return new JsonFields(value, this.#file, `${this.#path}${name}.`);
  }

  /** Undefined for null. */
  optionalObject(name: string): JsonFields | undefined {
    return this.#object[name] === null ? undefined : this.object(name);
  }

  objects(name: string): JsonFields[] {
    const values = this.#array(name, 'objects', isObject) as JsonObject[];
    return values.map((value, i) => new JsonFields(value, this.#file, `${this.#path}${name}[${i}].`));
  }

  /** XX001 unless a fact between fields holds. */
  must(holds: boolean, fact: string): void {
    if (!holds) throw corruptFile({ file: this.#file, offset: 0 }, 'document contradicts itself', fact, 'otherwise');
  }

  #array(name: string, what: string, isElement: (value: unknown) => boolean): readonly JsonValue[] {
    const value = this.#object[name];
    if (!Array.isArray(value) || !value.every(isElement)) throw this.#wrong(name, `a list of ${what}`, value);
    return value;
  }

  #wrong(name: string, expected: string, value: unknown): Error {
    const found = typeof value === 'string' || typeof value === 'number' ? JSON.stringify(value).slice(0, 80) : kindOf(value);
    return corruptFile({ file: this.#file, offset: 0 }, `field ${this.#path}${name}`, expected, found);
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function kindOf(value: unknown): string {
  return value === undefined ? 'nothing' : value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`;
}
