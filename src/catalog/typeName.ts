/**
 * Type names: what a user may write for a type, resolved to a ColumnType.
 *
 * Names are CockroachDB's and PostgreSQL's aliases, without regard to case. `INT` and `INTEGER` are
 * INT8, as in CockroachDB. SERIAL names are no types: they are flagged, and the CREATE TABLE that
 * uses them decides what the column becomes.
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

import { arrayOf, bitOf, type ColumnType, decimalOf, stringOf, Type, VectorType, withPrecision } from './type.ts';

/** A type as the parser leaves it: `character varying`, [20], one dimension for `character varying(20)[]`. */
export interface TypeNameParts {
  /** As written; words separated by single blanks. A `pg_catalog.` prefix is ignored. */
  readonly name: string;
  readonly args?: readonly number[];
  readonly arrayDimensions?: number;
}

export interface ResolvedTypeName {
  readonly type: ColumnType;
  /** Set when the name was SERIAL or one of its kin. */
  readonly isSerial: boolean;
}

const PLAIN: ReadonlyMap<string, ColumnType> = new Map([
  ['bool', Type.Bool],
  ['boolean', Type.Bool],
  ['int2', Type.Int2],
  ['smallint', Type.Int2],
  ['int4', Type.Int4],
  ['int', Type.Int8],
  ['integer', Type.Int8],
  ['int8', Type.Int8],
  ['int64', Type.Int8],
  ['bigint', Type.Int8],
  ['float4', Type.Float4],
  ['real', Type.Float4],
  ['float8', Type.Float8],
  ['double precision', Type.Float8],
  ['bytes', Type.Bytes],
  ['bytea', Type.Bytes],
  ['blob', Type.Bytes],
  ['date', Type.Date],
  ['uuid', Type.Uuid],
  ['json', Type.Jsonb],
  ['jsonb', Type.Jsonb],
  ['inet', Type.Inet],
  ['oid', Type.Oid],
  ['regclass', Type.RegClass],
  ['regtype', Type.RegType],
  ['regproc', Type.RegProc],
  ['regprocedure', Type.RegProcedure],
  ['regnamespace', Type.RegNamespace],
  ['regrole', Type.RegRole],
  ['name', Type.Name],
  ['"char"', Type.QChar],
  ['unknown', Type.Unknown],
  ['void', Type.Void],
  ['record', Type.Record],
  ['int2vector', VectorType.Int2Vector],
  ['oidvector', VectorType.OidVector],
]);

const STRINGS: ReadonlyMap<string, ColumnType> = new Map([
  ['string', Type.String],
  ['text', Type.String],
  ['varchar', Type.VarChar],
  ['character varying', Type.VarChar],
  ['char varying', Type.VarChar],
  ['char', Type.Char],
  ['character', Type.Char],
  ['bpchar', stringOf(Type.Char, undefined)],
]);

const TIMES: ReadonlyMap<string, ColumnType> = new Map([
  ['time', Type.Time],
  ['time without time zone', Type.Time],
  ['timetz', Type.TimeTz],
  ['time with time zone', Type.TimeTz],
  ['timestamp', Type.Timestamp],
  ['timestamp without time zone', Type.Timestamp],
  ['timestamptz', Type.TimestampTz],
  ['timestamp with time zone', Type.TimestampTz],
  ['interval', Type.Interval],
]);

const SERIALS: ReadonlyMap<string, ColumnType> = new Map([
  ['serial', Type.Int8],
  ['serial8', Type.Int8],
  ['bigserial', Type.Int8],
  ['serial4', Type.Int4],
  ['serial2', Type.Int2],
  ['smallserial', Type.Int2],
]);

const BITS: ReadonlyMap<string, ColumnType> = new Map([
  ['bit', Type.Bit],
  ['varbit', Type.VarBit],
  ['bit varying', Type.VarBit],
]);

const MAX_WIDTH = 10_485_760;

/**
 * The type a name stands for; undefined when no built-in type has it (a user type may).
 * Throws 22023 for a width, precision or scale out of range, 0A000 for arrays of arrays' notation
 * with bounds that mean nothing, 42601 for arguments on a type that takes none.
 */
export function resolveTypeName(parts: TypeNameParts): ResolvedTypeName | undefined {
  const name = normalizeTypeName(parts.name);
  const args = parts.args ?? [];
  const serial = SERIALS.get(name);
  if (serial) {
    refuseArgs(parts.name, args, 0);
    if (parts.arrayDimensions) throw new StatementError(SqlState.FeatureNotSupported, 'array of SERIAL is not supported');
    return { type: serial, isSerial: true };
  }
  const base = resolveScalar(name, parts.name, args);
  if (!base) return undefined;
  if (!parts.arrayDimensions) return { type: base, isSerial: false };
  if (parts.arrayDimensions > 1) {
    throw new StatementError(SqlState.FeatureNotSupported, 'nested arrays are not supported', {
      hint: 'use a JSONB column for arrays of arrays',
    });
  }
  return { type: base.family === 'array' ? base : arrayOf(base), isSerial: false };
}

/** As resolveTypeName, but an unknown name throws 42704 and a SERIAL 0A000. */
export function requireType(parts: TypeNameParts): ColumnType {
  const resolved = resolveTypeName(parts);
  if (!resolved) throw new StatementError(SqlState.UndefinedObject, `type "${parts.name}" does not exist`);
  if (resolved.isSerial) {
    throw new StatementError(SqlState.FeatureNotSupported, 'cannot use SERIAL as the type of an expression', {
      hint: 'SERIAL is for column definitions; use INT8',
    });
  }
  return resolved.type;
}

function normalizeTypeName(name: string): string {
  const lower = name === '"char"' ? name : name.toLowerCase().replace(/\s+/g, ' ').trim();
  return lower.startsWith('pg_catalog.') ? lower.slice('pg_catalog.'.length) : lower;
}

function resolveScalar(name: string, written: string, args: readonly number[]): ColumnType | undefined {
  const plain = PLAIN.get(name);
  if (plain) {
    refuseArgs(written, args, 0);
    return plain;
  }
  const text = STRINGS.get(name);
  if (text) {
    refuseArgs(written, args, 1);
    return args[0] === undefined ? text : stringOf(text, checkWidth(text.variant ?? 'STRING', args[0]));
  }
  const bits = BITS.get(name);
  if (bits) {
    refuseArgs(written, args, 1);
    return args[0] === undefined ? bits : bitOf(bits, checkWidth(bits.variant ?? 'BIT', args[0]));
  }
  const time = TIMES.get(name);
  if (time) {
    refuseArgs(written, args, 1);
    const precision = args[0];
    if (precision !== undefined && !(precision >= 0 && precision <= 6)) {
      throw new StatementError(SqlState.InvalidParameterValue, `precision ${precision} out of range`, {
        hint: 'Varve keeps time to the microsecond: 0 to 6 digits',
      });
    }
    return withPrecision(time, precision);
  }
  if (name === 'decimal' || name === 'numeric' || name === 'dec') return resolveDecimal(written, args);
  if (name === 'float') return resolveFloat(written, args);
  return undefined;
}

function resolveDecimal(written: string, args: readonly number[]): ColumnType {
  refuseArgs(written, args, 2);
  const [precision, scale = 0] = args;
  if (precision === undefined) return Type.Decimal;
  if (!(precision >= 1 && precision <= 16383)) {
    throw new StatementError(SqlState.InvalidParameterValue, `precision for type decimal must be between 1 and 16383, not ${precision}`);
  }
  if (!(scale >= 0 && scale <= precision)) {
    throw new StatementError(SqlState.InvalidParameterValue, `scale (${scale}) must be between 0 and precision (${precision})`);
  }
  return decimalOf(precision, scale);
}

function resolveFloat(written: string, args: readonly number[]): ColumnType {
  refuseArgs(written, args, 1);
  const bits = args[0] ?? 53;
  if (bits < 1) throw new StatementError(SqlState.InvalidParameterValue, 'precision for type float must be at least 1 bit');
  if (bits > 53) throw new StatementError(SqlState.InvalidParameterValue, 'precision for type float must be less than 54 bits');
  return bits <= 24 ? Type.Float4 : Type.Float8;
}

function checkWidth(name: string, width: number): number {
  if (!(width >= 1)) throw new StatementError(SqlState.InvalidParameterValue, `length for type ${name} must be at least 1`);
  if (width > MAX_WIDTH) {
    throw new StatementError(SqlState.InvalidParameterValue, `length for type ${name} cannot exceed ${MAX_WIDTH}`);
  }
  return width;
}

function refuseArgs(written: string, args: readonly number[], most: number): void {
  if (args.length > most)
    throw new StatementError(SqlState.SyntaxError, `type ${written} takes ${most ? `at most ${most}` : 'no'} arguments`);
}
