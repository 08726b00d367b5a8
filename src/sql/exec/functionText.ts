/**
 * Functions of users as text: their signatures, and the statement that makes one.
 */
import type { CatalogSnapshot } from '../../catalog/catalog.ts';
import type { DatabaseDescriptor, FunctionDescriptor } from '../../catalog/descriptor.ts';
import { quoteName, quoteNames } from '../../catalog/names.ts';
import { type ColumnType, pgTypeName, sqlTypeName, USER_TYPE_OID_BASE } from '../../catalog/type.ts';
import type { CallExpr, Expr, TypeName } from '../parse/ast.ts';
import { parseQuery } from '../parse/parse.ts';
import { dollarQuoted } from '../parse/print/functions.ts';
import { printSelect } from '../parse/printer.ts';
import { type Rewrite, rewriteTree } from './ddl/storedTexts.ts';

/** Functions have object ids as types have them, above those of relations. */
export const functionOid = ({ id }: FunctionDescriptor): number => USER_TYPE_OID_BASE + id;

const typeText = (type: ColumnType): string => sqlTypeName(type);

/** `add(x int8, y int8)`. */
export function functionSignature({ name, params }: FunctionDescriptor): string {
  return `${quoteName(name)}(${params.map((param) => `${param.name === undefined ? '' : `${quoteName(param.name)} `}${typeText(param.type).toLowerCase()}`).join(', ')})`;
}

/** The parameters in parentheses, as CREATE and pg_get_function_arguments have them. */
export function parametersText({ params }: FunctionDescriptor): string {
  return params.map((param) => `${param.name === undefined ? '' : `${quoteName(param.name)} `}${typeText(param.type)}`).join(', ');
}

/** Arguments and result in PostgreSQL's names of types. */
export function shownSignature(one: FunctionDescriptor): { readonly args: string; readonly result: string } {
  const args = one.params.map((param) => `${param.name === undefined ? '' : `${quoteName(param.name)} `}${pgTypeName(param.type)}`);
  return { args: args.join(', '), result: `${one.returnsSet ? 'SETOF ' : ''}${pgTypeName(one.returns)}` };
}

/** SHOW FUNCTIONS: schema, name, result, arguments, kind and volatility, in the order of schemas and names. */
export function shownFunctions(snapshot: CatalogSnapshot, database: DatabaseDescriptor, schema: string | undefined): string[][] {
  const rows = snapshot.functionsOf(database.id).map((one): string[] => {
    const [, place = 'public'] = snapshot.fullName(one);
    const { args, result } = shownSignature(one);
    return [place, one.name, result, args, 'func', one.volatility];
  });
  const key = ([place = '', name = '', , args = '']: string[]): string => `${place}.${name}(${args}`;
  return rows.filter(([place]) => schema === undefined || place === schema).sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** SHOW CREATE FUNCTION, in CockroachDB's lines. */
export function createFunctionText(one: FunctionDescriptor, snapshot: CatalogSnapshot): string {
  const [database = '', schema = 'public'] = snapshot.fullName(one);
  const lines = [
    `CREATE FUNCTION ${quoteNames([schema, one.name])}(${parametersText(one)})`,
    `\tRETURNS ${one.returnsSet ? 'SETOF ' : ''}${typeText(one.returns)}`,
    `\t${one.volatility.toUpperCase()}`,
    `\t${one.isLeakproof ? '' : 'NOT '}LEAKPROOF`,
    `\t${one.isStrict ? 'RETURNS NULL' : 'CALLED'} ON NULL INPUT`,
    '\tLANGUAGE SQL',
    '\tSECURITY INVOKER',
  ];
  const body = one.statements.map((text) => `\t\t${shownStatement(text, database)};\n`).join('');
  const [open, close] = dollarQuoted(`\n${body}\t`).split(`\n${body}\t`);
  return `${lines.join('\n')}\n\tAS ${open}\n${body}\t${close}`;
}

/** A query of a body with $n where it names a parameter without a name. */
export function withPlaceholders(text: string): string {
  return text.replace(/(?:[\w$]+|"(?:[^"]|"")*")\."(\$\d+)"/g, '$1');
}

/** A query of a body without its own database's name, as it would be written there. */
export function shownStatement(text: string, database: string): string {
  const seen = new WeakSet<object>();
  const own: Rewrite = (node) => {
    const parts = node['parts'] as readonly { readonly text: string }[] | undefined;
    if (node['kind'] === 'column' && /^\$\d+$/.test(parts?.at(-1)?.text ?? '')) {
      return { kind: 'placeholder', index: Number(parts?.at(-1)?.text.slice(1)), pos: 0 };
    }
    const typed = seen.has(node) ? undefined : typedConstant(node);
    if (typed) {
      seen.add(typed);
      return rewriteTree(typed, own);
    }
    if (Array.isArray(parts) && parts.length > 2 && parts[0]?.text === database) return { ...node, parts: parts.slice(1) };
    if (node['kind'] === 'string') {
      const named = splitOrNothing(String(node['value']));
      return named.length === 3 && named[0] === database ? { ...node, value: quoteNames(named.slice(1)) } : undefined;
    }
    return undefined;
  };
  return printSelect(rewriteTree(parseQuery(text), own), {});
}

const SEQUENCE_FUNCTIONS: ReadonlySet<string> = new Set(['nextval', 'currval', 'setval']);

/** A label with its type, and the name of a sequence as one, as CockroachDB shows them. */
function typedConstant(node: Readonly<Record<string, unknown>>): object | undefined {
  if (node['kind'] === 'cast' && (node['operand'] as Expr).kind === 'string' && (node['type'] as TypeName).name.parts.length > 1) {
    return { ...node, kind: 'annotate' };
  }
  const call = node['kind'] === 'call' ? (node as unknown as CallExpr) : undefined;
  const [first, ...others] = call?.args ?? [];
  if (!call || first?.kind !== 'string' || !SEQUENCE_FUNCTIONS.has(call.name.parts.at(-1)?.text ?? '')) return undefined;
  return { ...call, args: [{ kind: 'cast', operand: first, type: REGCLASS, pos: 0 }, ...others] };
}

const REGCLASS: TypeName = { kind: 'typeName', name: { parts: [{ text: 'regclass', pos: 0 }], pos: 0 }, args: [], isArray: false, pos: 0 };

/** The parts of a name as quoteNames() writes it; none for what is no such name. */
function splitOrNothing(text: string): string[] {
  if (!/^(?:"(?:[^"]|"")*"|[\w$]+)(?:\.(?:"(?:[^"]|"")*"|[\w$]+))*$/.test(text)) return [];
  return [...text.matchAll(/"((?:[^"]|"")*)"|[\w$]+/g)].map(([plain, quoted]) => quoted?.replaceAll('""', '"') ?? plain);
}
