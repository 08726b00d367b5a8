/**
 * Which casts read the session: to or from the zoned types (the time zone), text to dates and times
 * ('now', 'today'), names of catalog objects to OIDs and back. All others are functions of the value.
 */
import type { ColumnType, TypeFamily } from '../../catalog/type.ts';

const ZONED: ReadonlySet<TypeFamily> = new Set(['timestamptz', 'timetz']);
const TEMPORAL: ReadonlySet<TypeFamily> = new Set(['date', 'time', 'timestamp', 'timestamptz', 'timetz']);
const TEXT: ReadonlySet<TypeFamily> = new Set(['string', 'unknown']);

export function castReadsSession(from: ColumnType, to: ColumnType): boolean {
  if (from.family === 'array' && to.family === 'array' && from.element && to.element) return castReadsSession(from.element, to.element);
  if (from.family === 'tuple' && to.family === 'tuple') {
    return (from.fields ?? []).some((field, i) => castReadsSession(field, to.fields?.[i] ?? field));
  }
  if (from.element) return castReadsSession(from.element, to);
  if (to.element) return castReadsSession(from, to.element);
  if (from.fields) return from.fields.some((field) => castReadsSession(field, to));
  // Bounds of the same family need no session; a REGCLASS is an OID.
  if (from.family === to.family) return false;
  if (ZONED.has(from.family) || ZONED.has(to.family)) return true;
  if (TEXT.has(from.family) && TEMPORAL.has(to.family)) return true;
  const named = from.family === 'oid' ? from : to.family === 'oid' ? to : undefined;
  return named?.variant !== undefined && (TEXT.has(from.family) || TEXT.has(to.family));
}
