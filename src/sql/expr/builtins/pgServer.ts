/**
 * PostgreSQL's functions about the server, its sessions and its sequences, as far as programs ask for them.
 */
import { type Bytes as ByteString, utf8Decode, utf8Encode } from '../../../base/bytes.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { arrayOf, Type } from '../../../catalog/type.ts';
import { resolveTypeName } from '../../../catalog/typeName.ts';
import { Bool, contextual, Int8, Oid, Text } from '../define.ts';
import type { EvalFn, GeneratorOverload, Overload, Param } from '../overload.ts';
import { columnNameKeywords, functionNameKeywords, reservedKeywords, unreservedKeywords } from '../../parse/keywords.ts';

const stable = (name: string, params: readonly Param[], returns: Overload['returns'], fn: EvalFn, more: Partial<Overload> = {}): Overload =>
  contextual(name, params, returns, 'stable', fn, more);
const text = (bytes: Datum | undefined): string => utf8Decode(bytes as ByteString);

/** What a value takes as text or number: an estimate, since rows here are no pages. */
function sizeOf(value: Datum): number {
  if (typeof value === 'string') return value.length + 4;
  if (typeof value === 'boolean') return 1;
  if (Array.isArray(value)) return 24 + value.reduce((sum: number, item) => sum + (item === null ? 0 : sizeOf(item as Datum)), 0);
  return typeof value === 'number' || typeof value === 'bigint' ? 8 : 16;
}

/** The collation of a value: the default one for text, none for others. */
const collationFor: Overload = {
  name: 'pg_collation_for',
  params: ['any'],
  returns: Text,
  volatility: 'stable',
  nullable: true,
  specialize: ([type]) => {
    const name = type?.family === 'string' || type?.family === 'unknown' ? utf8Encode('"default"') : null;
    return () => name;
  },
};

export const pgServerFunctions: readonly Overload[] = [
  stable('inet_client_port', [], Int8, () => null, { nullable: true }),
  stable('inet_server_addr', [], Type.Inet, () => null, { nullable: true }),
  stable('inet_server_port', [], Int8, () => null, { nullable: true }),
  stable('pg_is_wal_replay_paused', [], Bool, () => false),
  stable('pg_trigger_depth', [], Int8, () => 0),
  stable('row_security_active', [Oid], Bool, () => false),
  stable('row_security_active', [Text], Bool, () => false),
  stable('pg_blocking_pids', [Int8], arrayOf(Type.Int4), () => []),
  stable('pg_column_size', ['any'], Int8, (_, value) => sizeOf(value ?? null)),
  stable('pg_relation_is_updatable', [Oid, Bool], Int8, (ctx, oid) =>
    // INSERT, UPDATE and DELETE of tables: 8, 4 and 16; views take none.
    ctx.catalog.relationName(Number(oid)) !== undefined && ctx.catalog.viewDefinition(Number(oid)) === undefined ? 28 : 0,
  ),
  stable(
    'pg_column_is_updatable',
    [Oid, Int8, Bool],
    Bool,
    (ctx, oid, column) =>
      ctx.catalog.relationName(Number(oid)) !== undefined && ctx.catalog.viewDefinition(Number(oid)) === undefined && Number(column) > 0,
  ),
  stable('getpgusername', [], Text, (ctx) => utf8Encode(ctx.session.user)),
  stable('pg_encoding_max_length', [Int8], Int8, (_, encoding) => (Number(encoding) === 6 ? 4 : null)),
  stable('to_regtype', [Text], Type.RegType, (ctx, name) => ctx.catalog.userTypeNamed(text(name))?.oid ?? builtinType(text(name)) ?? null),
  collationFor,
];

/** The oid of a built-in type by any of its names. */
function builtinType(name: string): number | undefined {
  return resolveTypeName({
    name: name.trim().replace(/\[\]$/, '').toLowerCase(),
    args: [],
    arrayDimensions: name.trim().endsWith('[]') ? 1 : 0,
  })?.type.oid;
}

const CLASSES: readonly (readonly [words: readonly string[], code: string, description: string])[] = [
  [unreservedKeywords, 'U', 'unreserved'],
  [columnNameKeywords, 'C', 'unreserved (cannot be function or type name)'],
  [functionNameKeywords, 'T', 'reserved (can be function or type name)'],
  [reservedKeywords, 'R', 'reserved'],
];

export const pgServerGenerators: readonly GeneratorOverload[] = [
  {
    name: 'pg_get_keywords',
    params: [],
    columns: () => ['word', 'catcode', 'catdesc'].map((name) => ({ name, type: Text })),
    volatility: 'immutable',
    rows: function* () {
      const all = CLASSES.flatMap(([words, code, description]) => words.map((word) => [word.toLowerCase(), code, description]));
      for (const row of all.sort(([a = ''], [b = '']) => (a < b ? -1 : 1))) yield row.map(utf8Encode);
    },
  },
];
