/**
 * Numbers that several tables of pg_catalog must agree on.
 */
import type { ColumnType } from '../../../../catalog/type.ts';
import { collationOid } from '../../oids.ts';

/** pg_am: how indexes are kept. PostgreSQL's own oids for btree and gin, which is also what pg_get_indexdef prints. */
export const INDEX_ACCESS_METHOD = 403;
export const INVERTED_ACCESS_METHOD = 2742;
export const TABLE_ACCESS_METHOD = 2;
/** pg_collation: `default` and `C`. Text compares by code point in both. */
export const DEFAULT_COLLATION = collationOid('default');
export const C_COLLATION = collationOid('C');
/** The only tablespace there is. */
export const DEFAULT_TABLESPACE = 0;
/** pg_language: functions are built in. */
export const INTERNAL_LANGUAGE = 12;
export const SQL_LANGUAGE = 14;
/** UTF8 in PostgreSQL's numbering of encodings. */
export const UTF8_ENCODING = 6;

/** The collation of a type's values; 0 for types without one. */
export function collationOf(type: ColumnType | undefined): number {
  const base = type?.family === 'array' ? type.element : type;
  if (base?.family !== 'string' || base.variant === '"char"') return 0;
  return base.variant === 'NAME' ? C_COLLATION : DEFAULT_COLLATION;
}
