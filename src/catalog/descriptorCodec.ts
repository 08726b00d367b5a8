/**
 * Descriptors as stored: JSON text in system.descriptor, with a format number.
 *
 * Format 1: an object with `format` first and then the descriptor's fields, except modificationTime,
 * which is the commit time of the row. Decoded descriptors are deep-frozen, their types shared.
 */
import { type Bytes, utf8Decode, utf8Encode } from '../base/bytes.ts';
import { CorruptionError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';

import type { ColumnDescriptor, Descriptor, FunctionBody, TableDescriptor } from './descriptor.ts';
import { type ColumnType, type TypeJson, typeFromJson } from './type.ts';

export const DESCRIPTOR_FORMAT = 1;

export function encodeDescriptor(desc: Descriptor): Bytes {
  const { modificationTime: _fromRow, ...fields } = desc;
  return utf8Encode(JSON.stringify({ format: DESCRIPTOR_FORMAT, ...fields }));
}

/** Reads what encodeDescriptor wrote; `modificationTime` is the row's. Throws XX001 for anything else. */
export function decodeDescriptor(bytes: Bytes, modificationTime: Timestamp): Descriptor {
  return descriptorFromJson(parse(bytes), modificationTime);
}

/** The stored object of a descriptor: what a backup's manifest holds. */
export function descriptorToJson(desc: Descriptor): Record<string, unknown> {
  const { modificationTime: _fromRow, ...fields } = desc;
  return { format: DESCRIPTOR_FORMAT, ...fields };
}

export function descriptorFromJson(json: Record<string, unknown>, modificationTime: Timestamp): Descriptor {
  const { format, ...fields } = json;
  if (format !== DESCRIPTOR_FORMAT) {
    throw new CorruptionError(SqlState.DataCorrupted, `descriptor has format ${String(format)}, expected ${DESCRIPTOR_FORMAT}`);
  }
  const desc = { ...fields, modificationTime } as unknown as Descriptor;
  if (desc.kind === 'function') return deepFreeze({ ...desc, ...restoreFunction(desc) });
  if (desc.kind !== 'table') return deepFreeze(desc);
  const exprFunctions = desc.exprFunctions && { exprFunctions: desc.exprFunctions.map((one) => ({ ...one, ...restoreFunction(one) })) };
  const exprTypes = desc.exprTypes && { exprTypes: desc.exprTypes.map((type) => typeFromJson(type as unknown as TypeJson)) };
  const past = desc.past && {
    past: { ...desc.past, table: descriptorFromJson({ ...desc.past.table, format }, modificationTime) },
  };
  return deepFreeze({ ...desc, ...exprTypes, ...exprFunctions, ...past, columns: desc.columns.map(restoreColumn) } as TableDescriptor);
}

function restoreColumn(column: ColumnDescriptor): ColumnDescriptor {
  return { ...column, type: typeFromJson(column.type as unknown as TypeJson) };
}

function restoreFunction({ params, returns }: FunctionBody): Pick<FunctionBody, 'params' | 'returns'> {
  const typeOf = (type: ColumnType): ColumnType => typeFromJson(type as unknown as TypeJson);
  return { params: params.map((param) => ({ ...param, type: typeOf(param.type) })), returns: typeOf(returns) };
}

function parse(bytes: Bytes): Record<string, unknown> {
  try {
    const json: unknown = JSON.parse(utf8Decode(bytes));
    if (typeof json === 'object' && json !== null) return json as Record<string, unknown>;
  } catch (cause) {
    throw new CorruptionError(SqlState.DataCorrupted, 'descriptor is not valid JSON', { cause });
  }
  throw new CorruptionError(SqlState.DataCorrupted, 'descriptor is not a JSON object');
}

/** Freezes plain data all the way down; what is frozen already is taken to be so throughout. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}
