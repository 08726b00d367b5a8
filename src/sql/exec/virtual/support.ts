/**
 * Datums and columns for statements that list things (SHOW): text in both directions of NULL, and
 * columns as a record of types.
 */
import { utf8Encode } from '../../../base/bytes.ts';
import type { Datum } from '../../../catalog/datum.ts';
import type { ColumnType } from '../../../catalog/type.ts';
import type { VirtualColumn } from '../../plan/virtualTable.ts';

export const text = (value: string): Datum => utf8Encode(value);
export const textOrNull = (value: string | undefined): Datum => (value === undefined ? null : utf8Encode(value));

/** `columns({ oid: Type.Oid, relname: Type.Name })`. */
export function columns(spec: Readonly<Record<string, ColumnType>>): VirtualColumn[] {
  return Object.entries(spec).map(([name, type]) => ({ name, type }));
}
