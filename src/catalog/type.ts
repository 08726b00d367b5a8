/**
 * Column types: what a column may hold, and the names and numbers it goes by.
 *
 * A ColumnType is frozen plain data, fixed at planning time; datums (datum.ts) carry no type of
 * their own. Two types of one family share their representation, so a width or precision matters
 * only on assignment (cast.ts).
 *
 *   SQL name   as CockroachDB prints it in SHOW CREATE TABLE:   INT8, VARCHAR(20), STRING[]
 *   pg name    as PostgreSQL's format_type prints it:           bigint, character varying(20), text[]
 *   OID        PostgreSQL's, so that drivers decode results:    20, 1043, 1009
 *
 * Lives elsewhere: names to types (typeName.ts), values (datum.ts), casts (cast.ts).
 */
import { assert } from '../base/assert.ts';

import { quoteNames } from './names.ts';

export type TypeFamily =
  | 'int'
  | 'float'
  | 'decimal'
  | 'string'
  | 'bytes'
  | 'bool'
  | 'date'
  | 'timestamp'
  | 'timestamptz'
  | 'time'
  | 'timetz'
  | 'interval'
  | 'uuid'
  | 'jsonb'
  | 'oid'
  | 'array'
  | 'tuple'
  | 'enum'
  | 'unknown'
  | 'void'
  | 'inet'
  | 'bit';

export interface ColumnType {
  readonly family: TypeFamily;
  /** PostgreSQL's type OID. */
  readonly oid: number;
  /** int, float: bits (16, 32, 64). string: greatest number of characters. bit: bits. Absent: unbounded. */
  readonly width?: number;
  /** decimal: digits in all. time and timestamp types: fractional digits, 0 to 6. Absent: unbounded, or 6. */
  readonly precision?: number;
  /** decimal: digits after the point; present exactly when `precision` is. */
  readonly scale?: number;
  /** array: the type of its elements; never itself an array. */
  readonly element?: ColumnType;
  /** tuple: the types and, when known, the labels of its fields. */
  readonly fields?: readonly ColumnType[];
  readonly labels?: readonly string[];
  /** string: VARCHAR, CHAR, "char", NAME; oid: REGCLASS and its kin; bit: VARBIT. Absent for STRING, OID, BIT. */
  readonly variant?: string;
  /** enum: the descriptor that defines it, its name and schema, and its labels in order. */
  readonly typeId?: number;
  readonly name?: string;
  readonly schema?: string;
  readonly members?: readonly string[];
  /** enum: what stands for each label in keys and values, in hexadecimal; ascending (enumType.ts). */
  readonly physical?: readonly string[];
}

const OID_OF_ARRAY: ReadonlyMap<number, number> = new Map([
  [16, 1000],
  [17, 1001],
  [18, 1002],
  [19, 1003],
  [20, 1016],
  [21, 1005],
  [23, 1007],
  [24, 1008],
  [25, 1009],
  [26, 1028],
  [114, 199],
  [700, 1021],
  [701, 1022],
  [869, 1041],
  [1042, 1014],
  [1043, 1015],
  [1082, 1182],
  [1083, 1183],
  [1114, 1115],
  [1184, 1185],
  [1186, 1187],
  [1266, 1270],
  [1560, 1561],
  [1562, 1563],
  [1700, 1231],
  [2202, 2207],
  [2205, 2210],
  [2206, 2211],
  [2249, 2287],
  [2950, 2951],
  [3802, 3807],
  [4089, 4090],
  [4096, 4097],
]);

const make = (type: ColumnType): ColumnType => Object.freeze(type);

/** Types without a width or precision of their own: shared, so `===` is a fair first test. */
export const Type = Object.freeze({
  Bool: make({ family: 'bool', oid: 16 }),
  Bytes: make({ family: 'bytes', oid: 17 }),
  Int8: make({ family: 'int', oid: 20, width: 64 }),
  Int4: make({ family: 'int', oid: 23, width: 32 }),
  Int2: make({ family: 'int', oid: 21, width: 16 }),
  Float8: make({ family: 'float', oid: 701, width: 64 }),
  Float4: make({ family: 'float', oid: 700, width: 32 }),
  Decimal: make({ family: 'decimal', oid: 1700 }),
  String: make({ family: 'string', oid: 25 }),
  VarChar: make({ family: 'string', oid: 1043, variant: 'VARCHAR' }),
  Char: make({ family: 'string', oid: 1042, variant: 'CHAR', width: 1 }),
  QChar: make({ family: 'string', oid: 18, variant: '"char"', width: 1 }),
  Name: make({ family: 'string', oid: 19, variant: 'NAME' }),
  Date: make({ family: 'date', oid: 1082 }),
  Time: make({ family: 'time', oid: 1083 }),
  TimeTz: make({ family: 'timetz', oid: 1266 }),
  Timestamp: make({ family: 'timestamp', oid: 1114 }),
  TimestampTz: make({ family: 'timestamptz', oid: 1184 }),
  Interval: make({ family: 'interval', oid: 1186 }),
  Uuid: make({ family: 'uuid', oid: 2950 }),
  Jsonb: make({ family: 'jsonb', oid: 3802 }),
  Inet: make({ family: 'inet', oid: 869 }),
  Bit: make({ family: 'bit', oid: 1560, width: 1 }),
  VarBit: make({ family: 'bit', oid: 1562, variant: 'VARBIT' }),
  Oid: make({ family: 'oid', oid: 26 }),
  RegClass: make({ family: 'oid', oid: 2205, variant: 'REGCLASS' }),
  RegType: make({ family: 'oid', oid: 2206, variant: 'REGTYPE' }),
  RegProc: make({ family: 'oid', oid: 24, variant: 'REGPROC' }),
  RegProcedure: make({ family: 'oid', oid: 2202, variant: 'REGPROCEDURE' }),
  RegNamespace: make({ family: 'oid', oid: 4089, variant: 'REGNAMESPACE' }),
  RegRole: make({ family: 'oid', oid: 4096, variant: 'REGROLE' }),
  /** The type of a bare NULL. */
  Unknown: make({ family: 'unknown', oid: 705 }),
  Void: make({ family: 'void', oid: 2278 }),
  /** Any tuple: PostgreSQL's record. */
  Record: make({ family: 'tuple', oid: 2249, fields: Object.freeze([]) as readonly ColumnType[] }),
});

const INT2_VECTOR = make({ family: 'array', oid: 22, element: Type.Int2, variant: 'INT2VECTOR' });
const OID_VECTOR = make({ family: 'array', oid: 30, element: Type.Oid, variant: 'OIDVECTOR' });
/** PostgreSQL's catalog-only arrays, which print with blanks between the elements. */
export const VectorType = Object.freeze({ Int2Vector: INT2_VECTOR, OidVector: OID_VECTOR });

const arrays = new WeakMap<ColumnType, ColumnType>();

/** The array of `element`. `element` is not an array (PostgreSQL's arrays have no nested type). */
export function arrayOf(element: ColumnType): ColumnType {
  assert(element.family !== 'array', 'an array of arrays is no type');
  let array = arrays.get(element);
  if (!array) {
    // The array of a user's type has the id after the type's.
    const oid = element.family === 'enum' ? element.oid + 1 : (OID_OF_ARRAY.get(element.oid) ?? 2277);
    array = make({ family: 'array', oid, element });
    arrays.set(element, array);
  }
  return array;
}

export function tupleOf(fields: readonly ColumnType[], labels?: readonly string[]): ColumnType {
  return make({ family: 'tuple', oid: 2249, fields, ...(labels && { labels }) });
}

/** The VARCHAR, CHAR or STRING bounded to `width` characters. */
export function stringOf(base: ColumnType, width: number | undefined): ColumnType {
  const { width: _unbounded, ...rest } = base;
  return width === undefined ? make(rest) : make({ ...rest, width });
}

export function decimalOf(precision: number, scale: number): ColumnType {
  return make({ ...Type.Decimal, precision, scale });
}

/** A TIME, TIMETZ, TIMESTAMP, TIMESTAMPTZ or INTERVAL with that many fractional digits. */
export function withPrecision(base: ColumnType, precision: number | undefined): ColumnType {
  return precision === undefined ? base : make({ ...base, precision });
}

export function bitOf(base: ColumnType, width: number | undefined): ColumnType {
  return width === undefined ? base : make({ ...base, width });
}

/** OIDs of user types are this plus the descriptor's id, as in CockroachDB. */
export const USER_TYPE_OID_BASE = 100_000;

/** An enum type as its descriptor defines it; enumType.ts makes it of a descriptor. */
export function enumOf(parts: Required<Pick<ColumnType, 'typeId' | 'name' | 'schema' | 'members' | 'physical'>>): ColumnType {
  const { typeId, name, schema, members, physical } = parts;
  return make({ family: 'enum', oid: USER_TYPE_OID_BASE + typeId, typeId, name, schema, members, physical });
}

/** True when the two hold the same values under the same bounds. Labels of tuples do not count. */
export function typesEqual(a: ColumnType, b: ColumnType): boolean {
  if (a === b) return true;
  if (a.family !== b.family || a.oid !== b.oid || a.width !== b.width || a.precision !== b.precision) return false;
  if (a.scale !== b.scale || a.variant !== b.variant || a.typeId !== b.typeId) return false;
  return sameParts(a, b, typesEqual);
}

/** True when the two share a representation, so no conversion is needed: INT2 and INT8, VARCHAR(3) and STRING. */
export function typesEquivalent(a: ColumnType, b: ColumnType): boolean {
  if (a === b) return true;
  return a.family === b.family && a.typeId === b.typeId && sameParts(a, b, typesEquivalent);
}

function sameParts(a: ColumnType, b: ColumnType, same: (x: ColumnType, y: ColumnType) => boolean): boolean {
  if (a.element && b.element) return same(a.element, b.element);
  if (!a.fields || !b.fields) return true;
  if (a.fields.length !== b.fields.length) return false;
  return a.fields.every((field, i) => same(field, b.fields?.[i] ?? field));
}

/** The name CockroachDB prints: `INT8`, `DECIMAL(10,2)`, `VARCHAR(20)`, `TIMESTAMPTZ(3)`, `STRING[]`. */
export function sqlTypeName(type: ColumnType): string {
  const precision = type.precision === undefined ? '' : `(${type.precision})`;
  switch (type.family) {
    case 'int':
      return type.width === 16 ? 'INT2' : type.width === 32 ? 'INT4' : 'INT8';
    case 'float':
      return type.width === 32 ? 'FLOAT4' : 'FLOAT8';
    case 'decimal':
      if (type.precision === undefined) return 'DECIMAL';
      return type.scale ? `DECIMAL(${type.precision},${type.scale})` : `DECIMAL(${type.precision})`;
    case 'string': {
      // A bare CHAR is CHAR(1), so one without bound needs another name.
      if (type.variant === 'CHAR' && type.width === undefined) return 'BPCHAR';
      const name = type.variant ?? 'STRING';
      const isImplied = type.width === undefined || (type.width === 1 && (name === 'CHAR' || name === '"char"'));
      return isImplied ? name : `${name}(${type.width})`;
    }
    case 'bit': {
      const name = type.variant ?? 'BIT';
      return type.width === undefined || (type.width === 1 && name === 'BIT') ? name : `${name}(${type.width})`;
    }
    case 'bytes':
    case 'bool':
    case 'date':
    case 'uuid':
    case 'jsonb':
    case 'inet':
    case 'unknown':
    case 'void':
      return type.family.toUpperCase();
    case 'time':
    case 'timetz':
    case 'timestamp':
    case 'timestamptz':
    case 'interval':
      return `${type.family.toUpperCase()}${precision}`;
    case 'oid':
      return type.variant ?? 'OID';
    case 'array':
      return type.variant ?? `${sqlTypeName(elementOf(type))}[]`;
    case 'tuple':
      return !type.fields || type.fields.length === 0 ? 'RECORD' : `tuple{${tupleText(type)}}`;
    case 'enum':
      return quoteNames([...(type.schema === undefined ? [] : [type.schema]), type.name ?? 'ENUM']);
  }
}

function tupleText(type: ColumnType): string {
  return (type.fields ?? [])
    .map((field, i) => {
      const label = type.labels?.[i];
      return familyName(field) + (label === undefined ? '' : ` AS ${label}`);
    })
    .join(', ');
}

/** The lower-case name of CockroachDB's error messages: `int`, `int4`, `decimal`, `varchar`, `int[]`. */
export function familyName(type: ColumnType): string {
  switch (type.family) {
    case 'array':
      return `${familyName(elementOf(type))}[]`;
    case 'tuple':
      return type.fields?.length === 0 ? 'tuple' : `tuple{${tupleText(type)}}`;
    case 'enum':
      return type.name ?? 'enum';
    case 'bit':
      return type.variant ? 'varbit' : 'bit';
    case 'int':
      return type.width === 16 ? 'int2' : type.width === 32 ? 'int4' : 'int';
    case 'float':
      return type.width === 32 ? 'float4' : 'float';
    case 'string':
      return (type.variant ?? 'string').toLowerCase();
    default:
      return (type.variant && type.family === 'oid' ? type.variant : type.family).toLowerCase();
  }
}

const PG_NAMES: ReadonlyMap<number, string> = new Map([
  [16, 'boolean'],
  [17, 'bytea'],
  [18, '"char"'],
  [19, 'name'],
  [20, 'bigint'],
  [21, 'smallint'],
  [22, 'int2vector'],
  [23, 'integer'],
  [24, 'regproc'],
  [25, 'text'],
  [26, 'oid'],
  [30, 'oidvector'],
  [700, 'real'],
  [701, 'double precision'],
  [705, 'unknown'],
  [869, 'inet'],
  [1042, 'character'],
  [1043, 'character varying'],
  [1082, 'date'],
  [1083, 'time without time zone'],
  [1114, 'timestamp without time zone'],
  [1184, 'timestamp with time zone'],
  [1186, 'interval'],
  [1266, 'time with time zone'],
  [1560, 'bit'],
  [1562, 'bit varying'],
  [1700, 'numeric'],
  [2202, 'regprocedure'],
  [2205, 'regclass'],
  [2206, 'regtype'],
  [2249, 'record'],
  [2278, 'void'],
  [2950, 'uuid'],
  [3802, 'jsonb'],
  [4089, 'regnamespace'],
  [4096, 'regrole'],
]);

/** The name PostgreSQL's format_type(oid, typmod) prints: `character varying(20)`, `numeric(10,2)`, `timestamp(3) with time zone`. */
export function pgTypeName(type: ColumnType): string {
  if (type.family === 'array' && !type.variant) return `${pgTypeName(elementOf(type))}[]`;
  if (type.family === 'enum') return type.name ?? 'enum';
  const name = PG_NAMES.get(type.oid) ?? type.family;
  if (type.family === 'decimal' && type.precision !== undefined) return `${name}(${type.precision},${type.scale ?? 0})`;
  if ((type.family === 'string' && type.variant !== '"char"') || type.family === 'bit') {
    return type.width === undefined ? name : `${name}(${type.width})`;
  }
  if (type.precision === undefined) return name;
  const space = name.indexOf(' ');
  return space < 0 ? `${name}(${type.precision})` : `${name.slice(0, space)}(${type.precision})${name.slice(space)}`;
}

const UDT_NAMES: ReadonlyMap<number, string> = new Map([
  [16, 'bool'],
  [18, 'char'],
  [20, 'int8'],
  [21, 'int2'],
  [23, 'int4'],
  [700, 'float4'],
  [701, 'float8'],
  [1042, 'bpchar'],
  [1043, 'varchar'],
  [1083, 'time'],
  [1114, 'timestamp'],
  [1184, 'timestamptz'],
  [1266, 'timetz'],
  [1562, 'varbit'],
]);

/** The row name in pg_type: `int8`, `varchar`, `_text`. */
export function pgTypname(type: ColumnType): string {
  if (type.family === 'array' && !type.variant) return `_${pgTypname(elementOf(type))}`;
  if (type.family === 'enum') return type.name ?? 'enum';
  return UDT_NAMES.get(type.oid) ?? PG_NAMES.get(type.oid) ?? type.family;
}

/** PostgreSQL's type modifier, -1 when the type has none. */
export function typmodOf(type: ColumnType): number {
  switch (type.family) {
    case 'string':
      return type.width === undefined || type.variant === '"char"' ? -1 : type.width + 4;
    case 'decimal':
      return type.precision === undefined ? -1 : ((type.precision << 16) | (type.scale ?? 0)) + 4;
    case 'bit':
      return type.width ?? -1;
    case 'array':
      return typmodOf(elementOf(type));
    default:
      return type.precision ?? -1;
  }
}

/** pg_type.typlen: the bytes of a fixed-size value, -1 when it varies. */
export function typlenOf(type: ColumnType): number {
  switch (type.family) {
    case 'bool':
      return 1;
    case 'int':
    case 'float':
      return (type.width ?? 64) / 8;
    case 'date':
    case 'oid':
      return 4;
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return 8;
    case 'timetz':
      return 12;
    case 'uuid':
    case 'interval':
      return 16;
    case 'string':
      return type.variant === '"char"' ? 1 : type.variant === 'NAME' ? 64 : -1;
    case 'void':
    case 'enum':
      return 4;
    default:
      return -1;
  }
}

/** The element type of an array. */
export function elementOf(type: ColumnType): ColumnType {
  assert(type.element, `${type.family} has no element type`);
  return type.element;
}

/** The type whose OID this is, without width or precision; undefined for one Varve does not have. */
export function typeOfOid(oid: number): ColumnType | undefined {
  return BY_OID.get(oid);
}

const BY_OID: ReadonlyMap<number, ColumnType> = (() => {
  const map = new Map<number, ColumnType>();
  for (const type of Object.values(Type)) {
    map.set(type.oid, type);
    if (OID_OF_ARRAY.has(type.oid)) map.set(OID_OF_ARRAY.get(type.oid) ?? 0, arrayOf(type));
  }
  // json is accepted on the wire and held as jsonb; bare character(1) types come without their width.
  map.set(114, Type.Jsonb);
  map.set(199, arrayOf(Type.Jsonb));
  map.set(1042, stringOf(Type.Char, undefined));
  map.set(1560, make({ family: 'bit', oid: 1560 }));
  map.set(22, INT2_VECTOR);
  map.set(30, OID_VECTOR);
  return map;
})();

/** Every built-in type and its array, for pg_type: sorted by OID. */
export function builtinTypes(): ColumnType[] {
  return [...BY_OID.values()].filter((type, i, all) => all.indexOf(type) === i).sort((a, b) => a.oid - b.oid);
}

/** A ColumnType as plain JSON (it already is), and back to a frozen, shared one. */
export type TypeJson = {
  readonly [K in keyof ColumnType]: K extends 'element' ? TypeJson : K extends 'fields' ? TypeJson[] : ColumnType[K];
};

export function typeToJson(type: ColumnType): TypeJson {
  return type as unknown as TypeJson;
}

export function typeFromJson(json: TypeJson): ColumnType {
  const element = json.element ? typeFromJson(json.element as TypeJson) : undefined;
  if (element && json.variant === undefined) return arrayOf(element);
  const known = BY_OID.get(json.oid);
  const candidate = make({
    ...(json as unknown as ColumnType),
    ...(element && { element }),
    ...(json.fields && { fields: (json.fields as TypeJson[]).map(typeFromJson) }),
  });
  if (known && typesEqual(known, candidate)) return known;
  return candidate;
}
