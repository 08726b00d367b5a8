/**
 * Enum types: labels, and the bytes that stand for them in keys and values.
 *
 * A label's representation orders as the labels do, byte by byte, and is its own for good: a new
 * label gets one between its neighbours', a renamed one keeps its, so no stored row ever has to
 * change. In memory an enum value is its label, as its text says.
 *
 * Representations are fractions in base 256 without trailing zeros, so that between any two there is
 * always another. Source of the idea: CockroachDB, whose first representations these are too.
 */
import { type Bytes, fromBuffer, utf8Encode } from '../base/bytes.ts';
import { CorruptionError, StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

import type { Descriptor, TableDescriptor, TypeDescriptor } from './descriptor.ts';
import type { CatalogSnapshot } from './snapshot.ts';
import { type ColumnType, enumOf } from './type.ts';

const hexOf = (bytes: readonly number[]): string => bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');
const bytesOf = (hex: string): number[] => [...Buffer.from(hex, 'hex')];

/** Representations for the labels of a new type, spread evenly; as many as `count`, ascending. */
export function firstRepresentations(count: number): string[] {
  let length = 1;
  while (256 ** length <= count) length++;
  const step = Math.floor(256 ** length / (count + 1));
  return Array.from({ length: count }, (_, i) => {
    const bytes: number[] = [];
    for (let value = (i + 1) * step, at = 0; at < length; at++, value = Math.floor(value / 256)) bytes.unshift(value % 256);
    while (bytes.at(-1) === 0) bytes.pop();
    return hexOf(bytes);
  });
}

/** A representation between two others; undefined stands for either end. `below` is less than `above`. */
export function representationBetween(below: string | undefined, above: string | undefined): string {
  const low = bytesOf(below ?? '');
  let high = above === undefined ? undefined : bytesOf(above);
  const made: number[] = [];
  for (let i = 0; ; i++) {
    const from = low[i] ?? 0;
    const to = high ? (high[i] ?? 0) : 256;
    if (to - from > 1) return hexOf([...made, from + ((to - from) >> 1)]);
    made.push(from);
    // Below the digit that differs everything is free.
    if (to !== from) high = undefined;
  }
}

/** The type of a descriptor's values, under the name of its schema. */
export function enumTypeOf(type: TypeDescriptor, snapshot: CatalogSnapshot): ColumnType {
  const [, schema = 'public'] = snapshot.fullName(type);
  return enumOf({ typeId: type.id, name: type.name, schema, members: type.members, physical: type.physical });
}

/** The user type of a column type, or of its elements. */
export const userPartOf = (type: ColumnType): ColumnType | undefined =>
  type.family === 'enum' ? type : type.element?.family === 'enum' ? type.element : undefined;

/** Ids of the user types that a table, view or function uses, ascending. */
export function typeIdsUsed(table: Descriptor): readonly number[] {
  if (table.kind === 'function') return table.typeIds;
  if (table.kind !== 'table') return [];
  const ids = [...table.columns.map((column) => column.type), ...(table.exprTypes ?? [])].map((type) => userPartOf(type)?.typeId);
  return [...new Set([...ids, ...(table.view?.typeIds ?? [])])].filter((id) => id !== undefined).sort((a, b) => a - b);
}

/** Ids of the functions of users that a table, view or function uses, ascending. */
export function functionIdsUsed(user: Descriptor): readonly number[] {
  if (user.kind === 'function') return user.functionIds;
  if (user.kind !== 'table') return [];
  const ids = [...(user.exprFunctions ?? []).map(({ id }) => id), ...(user.view?.functionIds ?? [])];
  return [...new Set(ids)].sort((a, b) => a - b);
}

/** The type that a stored text names, among those the table carries; undefined when it carries no such type. */
export function carriedType(table: TableDescriptor, parts: readonly string[]): ColumnType | undefined {
  const name = parts.at(-1);
  const schema = parts.at(-2);
  for (const type of [...table.columns.map((column) => column.type), ...(table.exprTypes ?? [])]) {
    const user = userPartOf(type);
    if (user?.name === name && (schema === undefined || user?.schema === schema)) return user;
  }
  return undefined;
}

export interface EnumCodec {
  toPhysical(label: Bytes): Bytes;
  /** Throws XX001 for bytes that stand for no label. */
  toLabel(physical: Bytes): Bytes;
  /** The same for bytes that a statement gives: throws 22P02. */
  read(physical: Bytes): Bytes;
}

const codecs = new WeakMap<ColumnType, EnumCodec>();

export function enumCodec(type: ColumnType): EnumCodec {
  let codec = codecs.get(type);
  if (!codec) {
    codec = makeCodec(type);
    codecs.set(type, codec);
  }
  return codec;
}

function makeCodec(type: ColumnType): EnumCodec {
  const physicals = new Map<Bytes, Bytes>();
  const labels = new Map<Bytes, Bytes>();
  const { members = [], physical = [] } = type;
  members.forEach((member, i) => {
    const label = utf8Encode(member);
    const bytes = fromBuffer(Buffer.from(physical[i] ?? '', 'hex'));
    physicals.set(label, bytes);
    labels.set(bytes, label);
  });
  return {
    toPhysical: (label) => physicals.get(label) ?? unknownLabel(type, label),
    toLabel(bytes) {
      const label = labels.get(bytes);
      if (label === undefined) throw new CorruptionError(SqlState.DataCorrupted, unknownRepresentation(type, bytes));
      return label;
    },
    read(bytes) {
      const label = labels.get(bytes);
      if (label === undefined) throw new StatementError(SqlState.InvalidTextRepresentation, unknownRepresentation(type, bytes));
      return label;
    },
  };
}

function unknownLabel(type: ColumnType, label: Bytes): never {
  throw new CorruptionError(SqlState.DataCorrupted, `enum ${type.name} has no value "${label}"`);
}

function unknownRepresentation(type: ColumnType, bytes: Bytes): string {
  const list = Array.from(bytes, (char) => char.charCodeAt(0)).join(' ');
  return `could not find [${list}] in enum "${type.schema}.${type.name}" representation`;
}
