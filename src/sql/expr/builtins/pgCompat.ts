/**
 * PostgreSQL's catalog functions, as far as drivers and psql ask for them. What they know comes from
 * the catalog lookup of the evaluation context.
 */
import { type Bytes as ByteString, utf8Decode, utf8Encode } from '../../../base/bytes.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { pgTypeName, type ColumnType, Type, typeOfOid } from '../../../catalog/type.ts';
import { userTypeName } from '../castFunction.ts';
import { Bool, contextual, Int8, Oid, Text } from '../define.ts';
import type { EvalFn, Overload, Param } from '../overload.ts';

const text = (bytes: Datum | undefined): string => utf8Decode(bytes as ByteString);
const spoken = (value: string | undefined): Datum => (value === undefined ? null : utf8Encode(value));
const stable = (name: string, params: readonly Param[], returns: ColumnType, fn: EvalFn, more: Partial<Overload> = {}): Overload =>
  contextual(name, params, returns, 'stable', fn, more);

/** format_type: the type of an OID with its modifier; NULL OID is NULL, an unknown one `???`. */
const formatType: EvalFn = (ctx, oid, typmod = null) => {
  if (oid === null) return null;
  const type = typeOfOid(Number(oid));
  if (!type) return utf8Encode(userTypeName(Number(oid), ctx.catalog) ?? '???');
  return utf8Encode(pgTypeName(typmod === null || Number(typmod) < 0 ? type : bounded(type, Number(typmod))));
};

function bounded(type: ColumnType, typmod: number): ColumnType {
  switch (type.family) {
    case 'string':
      return { ...type, width: typmod - 4 };
    case 'decimal':
      return { ...type, precision: (typmod - 4) >> 16, scale: (typmod - 4) & 0xffff };
    case 'bit':
      return { ...type, width: typmod };
    case 'array':
      return type.element ? { ...type, element: bounded(type.element, typmod) } : type;
    default:
      return { ...type, precision: typmod };
  }
}

/** `8192 bytes`, `10 MB`: whole numbers of the largest unit that leaves at least ten of it. */
function prettySize(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let size = bytes;
  let unit = 0;
  while (Math.abs(size) >= 10240 && unit < units.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${Math.round(size)} ${units[unit]}`;
}

/** pg_get_expr(text, relation): stored expressions are SQL text already. */
const getExpr: EvalFn = (_, expression) => expression as Datum;

export const pgCompatFunctions: readonly Overload[] = [
  stable('format_type', [Oid, Int8], Text, formatType, { nullable: true }),
  stable('pg_get_expr', [Text, Oid], Text, getExpr),
  stable('pg_get_expr', [Text, Oid, Bool], Text, getExpr),
  stable('pg_get_indexdef', [Oid], Text, (ctx, oid) => spoken(ctx.catalog.indexDefinition(Number(oid), 0))),
  stable('pg_get_indexdef', [Oid, Int8, Bool], Text, (ctx, oid, column) =>
    spoken(ctx.catalog.indexDefinition(Number(oid), Number(column))),
  ),
  stable('pg_get_constraintdef', [Oid], Text, (ctx, oid) => spoken(ctx.catalog.constraintDefinition(Number(oid)))),
  stable('pg_get_constraintdef', [Oid, Bool], Text, (ctx, oid) => spoken(ctx.catalog.constraintDefinition(Number(oid)))),
  stable('pg_get_viewdef', [Oid], Text, (ctx, oid) => spoken(ctx.catalog.viewDefinition(Number(oid)))),
  stable('pg_get_viewdef', [Oid, Bool], Text, (ctx, oid) => spoken(ctx.catalog.viewDefinition(Number(oid)))),
  stable('pg_get_serial_sequence', [Text, Text], Text, (ctx, table, column) =>
    spoken(ctx.catalog.serialSequence(text(table), text(column))),
  ),
  stable('pg_get_userbyid', [Oid], Text, (ctx, oid) => utf8Encode(ctx.catalog.userName(Number(oid)) ?? `unknown (OID=${oid})`)),
  stable('pg_get_function_result', [Oid], Text, () => null),
  stable('pg_get_function_identity_arguments', [Oid], Text, () => null),
  stable('pg_get_partkeydef', [Oid], Text, () => null),
  stable('pg_table_is_visible', [Oid], Bool, (ctx, oid) =>
    ctx.catalog.relationName(Number(oid)) === undefined ? null : ctx.catalog.isRelationVisible(Number(oid)),
  ),
  stable('pg_type_is_visible', [Oid], Bool, (ctx, oid) =>
    typeOfOid(Number(oid)) ? true : (ctx.catalog.userType(Number(oid))?.isVisible ?? null),
  ),
  stable('pg_function_is_visible', [Oid], Bool, () => null),
  stable('pg_opclass_is_visible', [Oid], Bool, () => null),
  stable('pg_collation_is_visible', [Oid], Bool, () => null),
  stable('to_regclass', [Text], Type.RegClass, (ctx, name) => ctx.catalog.relationOid(text(name)) ?? null),
  stable('to_regnamespace', [Text], Type.RegNamespace, (ctx, name) => ctx.catalog.schemaOid(text(name)) ?? null),
  stable('obj_description', [Oid], Text, (ctx, oid) => spoken(ctx.catalog.comment(Number(oid), 0))),
  stable('obj_description', [Oid, Text], Text, (ctx, oid) => spoken(ctx.catalog.comment(Number(oid), 0))),
  stable('col_description', [Oid, Int8], Text, (ctx, oid, column) => spoken(ctx.catalog.comment(Number(oid), Number(column)))),
  stable('shobj_description', [Oid, Text], Text, (ctx, oid, from) =>
    text(from) === 'pg_database' ? spoken(ctx.catalog.comment(Number(oid), 0)) : null,
  ),
  contextual('pg_size_pretty', [Int8], Text, 'immutable', (_, bytes) => utf8Encode(prettySize(Number(bytes)))),
  stable('pg_encoding_to_char', [Int8], Text, (_, encoding) => (Number(encoding) === 6 ? ('UTF8' as ByteString) : null)),
  stable('pg_client_encoding', [], Text, () => 'UTF8' as ByteString),
  stable('getdatabaseencoding', [], Text, () => 'UTF8' as ByteString),
  stable('pg_my_temp_schema', [], Oid, (ctx) => ctx.catalog.schemaOid('pg_temp') ?? 0),
  stable('pg_is_other_temp_schema', [Oid], Bool, (ctx, oid) => {
    const name = ctx.catalog.schemaName(Number(oid));
    return name?.startsWith('pg_temp_') === true && ctx.catalog.schemaOid('pg_temp') !== oid;
  }),
];
