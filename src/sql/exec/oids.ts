/**
 * Oids of things without an id of their own: hashes over where they stand, as CockroachDB computes them,
 * so that an oid means the same thing in both.
 *
 * A tag for the kind of thing, then what identifies it: ids as big-endian 32-bit numbers, names as
 * their bytes, through 32-bit FNV-1. Relations, databases and user types go by their descriptor ids.
 *
 * Source: CockroachDB pkg/sql/pg_catalog.go, oidHasher (the scheme).
 */
import { utf8Encode } from '../../base/bytes.ts';
import { USER_TYPE_OID_BASE } from '../../catalog/type.ts';

const TAG = {
  schema: 1,
  index: 2,
  column: 3,
  check: 4,
  foreignKey: 5,
  primaryKey: 6,
  unique: 7,
  function: 8,
  user: 9,
  collation: 10,
  rewrite: 13,
  enumLabel: 12,
} as const;

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** A hash under way: `hash(TAG.user).text('root').oid`. */
class OidHash {
  oid = FNV_OFFSET;

  byte(value: number): this {
    this.oid = (Math.imul(this.oid, FNV_PRIME) ^ value) >>> 0;
    return this;
  }

  int32(value: number): this {
    for (let shift = 24; shift >= 0; shift -= 8) this.byte((value >>> shift) & 0xff);
    return this;
  }

  text(value: string): this {
    const bytes = utf8Encode(value);
    for (let i = 0; i < bytes.length; i++) this.byte(bytes.charCodeAt(i));
    return this;
  }
}

const hash = (tag: number): OidHash => new OidHash().byte(tag);

export const schemaOid = (databaseId: number, name: string): number => hash(TAG.schema).int32(databaseId).text(name).oid;
export const indexOid = (tableId: number, indexId: number): number => hash(TAG.index).int32(tableId).int32(indexId).oid;
/** A column's default. */
export const defaultOid = (tableId: number, columnId: number): number => hash(TAG.column).int32(tableId).int32(columnId).oid;
export const userOid = (name: string): number => hash(TAG.user).text(name).oid;
export const collationOid = (name: string): number => hash(TAG.collation).text(name).oid;
/** The rule that PostgreSQL keeps behind a view. */
export const ruleOid = (viewId: number): number => hash(TAG.rewrite).int32(viewId).oid;
/** One overload of a function, by its number among them. */
export const functionOid = (name: string, overload: number): number => hash(TAG.function).text(name).int32(overload).oid;

/** A label, by the bytes it is stored as. */
export function enumLabelOid(typeId: number, physical: string): number {
  const label = hash(TAG.enumLabel)
    .int32(0)
    .int32(USER_TYPE_OID_BASE + typeId);
  for (let i = 0; i < physical.length; i++) label.byte(physical.charCodeAt(i));
  return label.oid;
}

/** Where a constraint's table stands. */
export interface ConstraintPlace {
  readonly databaseId: number;
  readonly schemaName: string;
  readonly tableId: number;
}

const constraint = (tag: number, { databaseId, schemaName, tableId }: ConstraintPlace): OidHash =>
  hash(tag).int32(databaseId).text(schemaName).int32(tableId);

export const primaryKeyOid = (place: ConstraintPlace, indexId: number): number => constraint(TAG.primaryKey, place).int32(indexId).oid;
export const uniqueOid = (place: ConstraintPlace, indexId: number): number => constraint(TAG.unique, place).int32(indexId).oid;
export const checkOid = (place: ConstraintPlace, name: string, expr: string): number =>
  constraint(TAG.check, place).text(name).text(expr).oid;
export const foreignKeyOid = (place: ConstraintPlace, name: string, referencedTableId: number): number =>
  constraint(TAG.foreignKey, place).int32(referencedTableId).text(name).oid;
