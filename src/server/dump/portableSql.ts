/**
 * Stored SQL texts as a dump writes them: names without the database they were in, so that the dump
 * goes into any, and for PostgreSQL without what only CockroachDB's dialect has.
 *
 * For PostgreSQL an annotation (`1:::INT8`) becomes a cast, or nothing on a number; type names are
 * PostgreSQL's; bytes are a cast hexadecimal string; IF is CASE, IFNULL is COALESCE; current_timestamp() and
 * its like are casts of now(); index hints go.
 * A function that PostgreSQL lacks stays as it is: its replay there says so.
 *
 * Lives elsewhere: whole statements (cockroachText.ts, postgresText.ts).
 */
import { toHex } from '../../base/bytes.ts';
import { quoteNames } from '../../catalog/names.ts';
import { splitName } from '../../sql/exec/catalogLookup.ts';
import { type Rewrite, rewriteTree } from '../../sql/exec/ddl/storedTexts.ts';
import type { BytesLiteral, CallExpr, Expr, IfExpr, ObjectName, TypeName } from '../../sql/parse/ast.ts';
import { parseExpression, parseQuery } from '../../sql/parse/parse.ts';
import { printExpr, printSelect } from '../../sql/parse/printer.ts';

export type DumpFormat = 'cockroach' | 'postgres';

const SEQUENCE_FUNCTIONS: ReadonlySet<string> = new Set(['nextval', 'currval', 'setval']);

/** A view's query. */
export function portableQuery(query: string, database: string, format: DumpFormat): string {
  return printSelect(rewriteTree(parseQuery(query), rewriting(database, format)), {});
}

/** A default, a computed column, a check, a predicate. */
export function portableExpr(text: string, database: string, format: DumpFormat): string {
  // What stays in its own dialect is shown as it is stored.
  if (format === 'cockroach') return text;
  return printExpr(rewriteTree(parseExpression(text), rewriting(database, format)));
}

function rewriting(database: string, format: DumpFormat): Rewrite {
  const isForeign = format === 'postgres';
  const shorten = (parts: readonly string[], full: number): string[] | undefined =>
    parts.length === full && parts[0] === database ? parts.slice(1) : undefined;
  const nameOf = (name: ObjectName, full: number): ObjectName => {
    const parts = shorten(
      name.parts.map((part) => part.text),
      full,
    );
    return parts ? { ...name, parts: parts.map((text) => ({ text, pos: 0 })) } : name;
  };
  /** A constant that names a relation. */
  const literalOf = (expr: Expr | undefined): Expr | undefined => {
    const parts = expr?.kind === 'string' ? shorten(splitName(expr.value), 3) : undefined;
    return parts && expr?.kind === 'string' ? { ...expr, value: quoteNames(parts) } : expr;
  };
  const typeOf = (type: TypeName): TypeName => (isForeign ? foreignType(type) : { ...type, name: nameOf(type.name, 3) });
  // A node is made anew once: its parts are visited with the change made.
  const done = new WeakSet<object>();
  const again = (next: object): unknown => {
    done.add(next);
    return rewriteTree(next, rewrite);
  };
  const rewrite: Rewrite = (node) => {
    if (done.has(node)) return undefined;
    switch (node['kind']) {
      case 'table':
        return again({ ...node, name: nameOf(node['name'] as ObjectName, 3), ...(isForeign && { hint: undefined }) });
      case 'typeName':
        return again(typeOf({ ...(node as unknown as TypeName), name: nameOf(node['name'] as ObjectName, 3) }));
      case 'column':
        // db.schema.table.column
        return again({ ...node, parts: nameOf(node as unknown as ObjectName, 4).parts });
      case 'cast':
      case 'annotate': {
        const { operand, type } = node as unknown as { operand: Expr; type: TypeName };
        const named = type.name.parts.at(-1)?.text === 'regclass' ? literalOf(operand) : operand;
        if (!isForeign || node['kind'] === 'cast') return again({ ...node, operand: named });
        return isNumber(operand) ? rewriteTree(operand, rewrite) : again({ ...node, kind: 'cast', operand: named });
      }
      case 'call': {
        const { name, args } = node as unknown as { name: ObjectName; args: readonly Expr[] };
        const now =
          isForeign && args.length === 0 ? foreignNow(name.parts.at(-1)?.text.toLowerCase() ?? '', node as unknown as CallExpr) : undefined;
        if (now) return again(now);
        const shown = nameOf(name, 3);
        const isOfSequence = SEQUENCE_FUNCTIONS.has(name.parts.at(-1)?.text.toLowerCase() ?? '');
        if (!isOfSequence) return shown === name ? undefined : again({ ...node, name: shown });
        return again({ ...node, args: [literalOf(args[0]), ...args.slice(1)] });
      }
      default:
        return isForeign ? foreignNode(node as unknown as Expr, again) : undefined;
    }
  };
  return rewrite;
}

const isNumber = (expr: Expr): boolean =>
  expr.kind === 'number' || (expr.kind === 'unary' && expr.op === '-' && expr.operand.kind === 'number');

/** What PostgreSQL writes in another way. */
function foreignNode(expr: Expr, again: (next: object) => unknown): unknown {
  switch (expr.kind) {
    case 'bytes':
      return foreignBytes(expr);
    case 'coalesce':
      return expr.isIfNull ? again({ ...expr, isIfNull: false }) : undefined;
    case 'if': {
      const { condition, then, otherwise, pos }: IfExpr = expr;
      return again({ kind: 'case', operand: undefined, whens: [{ when: condition, then }], otherwise, pos });
    }
    default:
      return undefined;
  }
}

/** What now() becomes under each name that PostgreSQL does not let be called. */
const NOW_TYPES: Readonly<Record<string, string>> = {
  current_timestamp: 'timestamptz',
  current_date: 'date',
  current_time: 'timetz',
  localtimestamp: 'timestamp',
  localtime: 'time',
};

function foreignNow(name: string, call: CallExpr): Expr | undefined {
  const type = NOW_TYPES[name];
  if (type === undefined) return undefined;
  const { pos } = call;
  const named = (text: string): ObjectName => ({ parts: [{ text, pos }], pos });
  const operand: CallExpr = { ...call, name: named('now') };
  return { kind: 'cast', operand, type: { kind: 'typeName', name: named(type), args: [], isArray: false, pos }, pos };
}

function foreignBytes({ value, pos }: BytesLiteral): Expr {
  const type: TypeName = { kind: 'typeName', name: { parts: [{ text: 'bytea', pos }], pos }, args: [], isArray: false, pos };
  return { kind: 'cast', operand: { kind: 'string', value: `\\x${toHex(value)}`, pos }, type, pos };
}

/** A built-in type under PostgreSQL's name; a user's type as it is. */
function foreignType(type: TypeName): TypeName {
  const [only, ...more] = type.name.parts;
  if (!only || more.length > 0 || type.intervalFields !== undefined) return type;
  // TEXT has no length.
  const known = only.text === 'string' && type.args.length > 0 ? 'varchar' : FOREIGN_NAMES[only.text];
  return known === undefined ? type : { ...type, name: { ...type.name, parts: [{ text: known, pos: 0 }] } };
}

const FOREIGN_NAMES: Readonly<Record<string, string>> = {
  string: 'text',
  bytes: 'bytea',
  blob: 'bytea',
  // INT is 64 bits wide here, and 32 there.
  int: 'int8',
  integer: 'int8',
  int64: 'int8',
};
