/**
 * Casts as expressions use them: the catalog's casts, given the session's time zone and the
 * transaction's time, and the casts between names and OIDs, which need a catalog lookup.
 */
import { type Bytes, utf8Decode, utf8Encode } from '../../base/bytes.ts';
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { type CastContext, canCast as canCastPlainly, requireCast } from '../../catalog/cast.ts';
import { requireTimeZone } from '../../catalog/datetime.ts';
import type { Datum } from '../../catalog/datum.ts';
import { formatDatum, parseDatum, type TextContext } from '../../catalog/datumText.ts';
import { quoteNames } from '../../catalog/names.ts';
import { type ColumnType, pgTypeName, Type, typeOfOid } from '../../catalog/type.ts';
import { resolveTypeName } from '../../catalog/typeName.ts';
import { castReadsSession } from './castVolatility.ts';
import type { CatalogLookup, EvalContext } from './evalContext.ts';

/** Converts a datum that is not null. */
export type CastFn = (datum: Datum, ctx: EvalContext) => Datum;

const PLAIN: TextContext = Object.freeze({});
const contexts = new WeakMap<EvalContext, TextContext>();

/** The session's part of a cast; made once an evaluation context. */
function textContext(ctx: EvalContext): TextContext {
  let made = contexts.get(ctx);
  if (!made) {
    made = { timeZone: requireTimeZone(ctx.session.timeZone), nowMicros: ctx.transactionTimestamp };
    contexts.set(ctx, made);
  }
  return made;
}

export function canCast(from: ColumnType, to: ColumnType, context: CastContext): boolean {
  return canCastPlainly(from, to, context);
}

/** The cast from one type to another. Throws 42846 or 42804 when there is none. */
export function castFunction(from: ColumnType, to: ColumnType, context: CastContext): CastFn {
  if (to.family === 'oid' && to.variant !== undefined && from.family === 'string') {
    return (datum, ctx) => oidOfName(to, utf8Decode(datum as Bytes), ctx);
  }
  if (from.family === 'oid' && from.variant !== undefined && to.family === 'string') {
    return (datum, ctx) => utf8Encode(nameOfOid(from, datum as number, ctx.catalog));
  }
  const cast = requireCast(from, to, context);
  if (!castReadsSession(from, to)) return (datum) => cast(datum, PLAIN);
  return (datum, ctx) => cast(datum, textContext(ctx));
}

const spoken = new WeakMap<ColumnType, (datum: Datum, ctx: EvalContext) => Bytes>();

/** The text of a type's values, as a cast to STRING gives it. */
export function textFunction(type: ColumnType): (datum: Datum, ctx: EvalContext) => Bytes {
  let made = spoken.get(type);
  if (!made) {
    made = castFunction(type, Type.String, 'explicit') as (datum: Datum, ctx: EvalContext) => Bytes;
    spoken.set(type, made);
  }
  return made;
}

/** Text in UTC and without names: for EXPLAIN and messages. */
export function plainText(type: ColumnType, datum: Datum): string {
  return formatDatum(type, datum, PLAIN);
}

/** Reads a literal whose meaning does not depend on the session (see needsSession). Throws 22P02, 22007, 22008. */
export function parseConstant(type: ColumnType, text: string): Datum {
  return parseDatum(type, text, PLAIN);
}

const RELATIVE = /\b(?:now|today|tomorrow|yesterday)\b/i;
/** 'now', 'today' and their kin: text whose date depends on when it is read. */
export function isRelativeTime(text: string): boolean {
  return RELATIVE.test(text);
}

const HAS_OFFSET = /(?:[+-]\d{1,2}(?::?\d{2}){0,2}|z|utc|gmt)\s*(?:bc|ad)?\s*$/i;

/** True when reading this literal takes the session: relative dates, zoned times without an offset, names of objects. */
export function needsSession(type: ColumnType, text: string): boolean {
  switch (type.family) {
    case 'date':
    case 'time':
    case 'timestamp':
      return RELATIVE.test(text);
    case 'timestamptz':
    case 'timetz':
      // A date alone ends in something that looks like an offset: there must be a clock time before it.
      return RELATIVE.test(text) || !(text.includes(':') && HAS_OFFSET.test(text));
    case 'oid':
      return type.variant !== undefined && !/^\s*\d+\s*$/.test(text);
    case 'array':
      return type.element?.family === 'timestamptz' || type.element?.family === 'timetz' || RELATIVE.test(text);
    default:
      return false;
  }
}

function oidOfName(type: ColumnType, name: string, ctx: EvalContext): number {
  if (/^\s*\d+\s*$/.test(name)) return Number(name);
  const missing = (what: string, code: SqlState) => new StatementError(code, `${what} "${name}" does not exist`);
  switch (type.variant) {
    case 'REGCLASS': {
      const oid = ctx.catalog.relationOid(name);
      if (oid === undefined) throw missing('relation', SqlState.UndefinedTable);
      return oid;
    }
    case 'REGNAMESPACE': {
      const oid = ctx.catalog.schemaOid(name);
      if (oid === undefined) throw missing('schema', SqlState.InvalidSchemaName);
      return oid;
    }
    case 'REGTYPE': {
      const resolved = resolveTypeName(typeParts(name))?.type ?? ctx.catalog.userTypeNamed(name);
      if (!resolved) throw missing('type', SqlState.UndefinedObject);
      return resolved.oid;
    }
    default:
      throw new StatementError(SqlState.FeatureNotSupported, `casting a name to ${type.variant} is not supported`);
  }
}

/** A built-in type's name as quoted identifiers, which tools build from udt_schema and udt_name: `"pg_catalog"."_int4"`. */
const QUOTED_TYPE = /^(?:"?pg_catalog"?\.)?"?(_?)([a-z]\w*)"?$/;

/** `varchar(20)[]` in parts. */
function typeParts(text: string): { name: string; args: number[]; arrayDimensions: number } {
  const [, array, quoted] = QUOTED_TYPE.exec(text.trim()) ?? [];
  // "char" in quotes is a type of its own.
  const name = quoted !== undefined && text.trim() !== '"char"' ? `${quoted}${array ? '[]' : ''}` : text;
  const isArray = name.trim().endsWith('[]');
  const match = /^([^(]*)(?:\(([\d\s,]*)\))?$/.exec(name.trim().replace(/\[\]$/, ''));
  const args = (match?.[2] ?? '').split(',').filter((arg) => arg.trim() !== '');
  return { name: (match?.[1] ?? name).trim(), args: args.map(Number), arrayDimensions: isArray ? 1 : 0 };
}

/** A user type's name, with its schema where the search path does not find it; undefined for an oid of none. */
export function userTypeName(oid: number, catalog: CatalogLookup): string | undefined {
  const found = catalog.userType(oid);
  if (!found) return undefined;
  const { type, isVisible } = found;
  const { schema = 'public', name = '' } = type.element ?? type;
  return `${quoteNames(isVisible ? [name] : [schema, name])}${type.element ? '[]' : ''}`;
}

/** What a REGCLASS and its kin print: the name of the object, or the number where there is none. */
export function nameOfOid(type: ColumnType, oid: number, catalog: CatalogLookup): string {
  switch (type.variant) {
    case 'REGCLASS':
      return catalog.relationName(oid) ?? String(oid);
    case 'REGNAMESPACE':
      return catalog.schemaName(oid) ?? String(oid);
    case 'REGTYPE': {
      const found = typeOfOid(oid);
      return found ? pgTypeName(found) : (userTypeName(oid, catalog) ?? String(oid));
    }
    case 'REGROLE':
      return catalog.userName(oid) ?? String(oid);
    default:
      return String(oid);
  }
}
