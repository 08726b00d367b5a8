/**
 * Defaults as PostgreSQL shows them in its catalogs, for tools that read a schema and compare it with
 * theirs: `'basic'::level`, `'0'::numeric`, `nextval('t_id_seq'::regclass)`, `now()`. Asked for by
 * `catalog_expressions = postgres`; else the catalogs show CockroachDB's form, with its annotations.
 *
 * PostgreSQL keeps whether a number was written with quotes, Varve does not: numbers are shown with
 * them, as tools write them.
 */
import { pgTypeName } from '../../../catalog/type.ts';
import type { ColumnDescriptor } from '../../../catalog/descriptor.ts';
import { quoteLiteral, quoteName, quoteNames } from '../../../catalog/names.ts';
import type { Expr } from '../../parse/ast.ts';
import { parseExpression } from '../../parse/parse.ts';
import { printExpr } from '../../parse/printer.ts';
import { splitName } from '../catalogLookup.ts';
import { rewriteTree } from '../ddl/storedTexts.ts';
import { displayExpr } from '../showCreate.ts';
import type { CatalogView } from './catalogView.ts';

/** True where the session asks for them. */
export function showsPostgresExprs({ context }: CatalogView): boolean {
  return context.session.vars.get('catalog_expressions') === 'postgres';
}

/** The expression of a column's default, given as it is stored. */
export function postgresDefault(text: string, column: ColumnDescriptor, view: CatalogView): string {
  const expr = parseExpression(displayExpr(text, view.snapshot));
  const constant = constantText(expr);
  if (constant !== undefined)
    return constant === 'true' || constant === 'false' ? constant : `${quoteLiteral(constant)}::${typeText(column, view)}`;
  if (expr.kind === 'call' && expr.name.parts.at(-1)?.text === 'nextval') return nextvalText(expr.args[0], view) ?? printExpr(expr);
  return printExpr(withoutAnnotations(expr)).replace(
    /^current_(timestamp|date|time)\(\)/,
    (_, what: string) => `CURRENT_${what.toUpperCase()}`,
  );
}

/** A constant's text; undefined for what is none. */
function constantText(expr: Expr): string | undefined {
  switch (expr.kind) {
    case 'annotate':
    case 'cast':
      return constantText(expr.operand);
    case 'string':
      return expr.value;
    case 'number':
      return expr.text;
    case 'boolean':
      return String(expr.value);
    case 'unary': {
      const operand = expr.op === '-' && expr.operand.kind === 'number' ? expr.operand.text : undefined;
      return operand && `-${operand}`;
    }
    case 'array': {
      const parts = expr.elements.map(constantText);
      return parts.includes(undefined) ? undefined : `{${parts.map((part) => arrayPart(part ?? '')).join(',')}}`;
    }
    default:
      return undefined;
  }
}

/** An element of an array, in quotes where it would be read as something else without. */
function arrayPart(text: string): string {
  return /^[^\s{},"\\]+$/.test(text) && !/^null$/i.test(text) ? text : `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
}

/** A type's name, a user's type with its schema unless the search path finds it. */
function typeText({ type }: ColumnDescriptor, view: CatalogView): string {
  const { schema = 'public', name } = type.element ?? type;
  if (name === undefined)
    return pgTypeName({ ...type, width: type.family === 'int' || type.family === 'float' ? type.width : undefined, precision: undefined });
  return `${isVisible(schema, view) ? quoteName(name) : quoteNames([schema, name])}${type.element ? '[]' : ''}`;
}

function isVisible(schema: string, view: CatalogView): boolean {
  return view.context.names.searchPath.includes(schema);
}

/** `nextval('t_id_seq'::regclass)`. */
function nextvalText(operand: Expr | undefined, view: CatalogView): string | undefined {
  const name = operand && constantText(operand);
  if (name === undefined) return undefined;
  const parts = splitName(name);
  const shown = parts.length === 2 && isVisible(parts[0] ?? '', view) ? parts.slice(1) : parts;
  return `nextval(${quoteLiteral(quoteNames(shown))}::regclass)`;
}

function withoutAnnotations(expr: Expr): Expr {
  return rewriteTree(expr, (node) => (node['kind'] === 'annotate' ? withoutAnnotations(node['operand'] as Expr) : undefined));
}
