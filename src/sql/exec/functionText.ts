/**
 * Functions of users as text: their signatures, and the statement that makes one.
 */
import type { CatalogSnapshot } from '../../catalog/catalog.ts';
import type { FunctionDescriptor } from '../../catalog/descriptor.ts';
import { quoteName, quoteNames } from '../../catalog/names.ts';
import { type ColumnType, sqlTypeName } from '../../catalog/type.ts';
import { parseQuery } from '../parse/parse.ts';
import { dollarQuoted } from '../parse/print/functions.ts';
import { printSelect } from '../parse/printer.ts';
import { splitName } from './catalogLookup.ts';
import { rewriteTree } from './ddl/storedTexts.ts';

/** Functions have object ids of their own, above those of relations. */
export const functionOid = ({ id }: FunctionDescriptor): number => 100_000 + id;

const typeText = (type: ColumnType): string => sqlTypeName(type);

/** `add(x int8, y int8)`. */
export function functionSignature({ name, params }: FunctionDescriptor): string {
  return `${quoteName(name)}(${params.map((param) => `${param.name === undefined ? '' : `${quoteName(param.name)} `}${typeText(param.type).toLowerCase()}`).join(', ')})`;
}

/** The parameters in parentheses, as CREATE and pg_get_function_arguments have them. */
export function parametersText({ params }: FunctionDescriptor): string {
  return params.map((param) => `${param.name === undefined ? '' : `${quoteName(param.name)} `}${typeText(param.type)}`).join(', ');
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

/** A query of a body without its own database's name, as it would be written there. */
export function shownStatement(text: string, database: string): string {
  return printSelect(
    rewriteTree(parseQuery(text), (node) => {
      const parts = node['parts'] as readonly { readonly text: string }[] | undefined;
      if (node['kind'] === 'column' && /^\$\d+$/.test(parts?.at(-1)?.text ?? '')) {
        return { kind: 'placeholder', index: Number(parts?.at(-1)?.text.slice(1)), pos: 0 };
      }
      if (Array.isArray(parts) && parts.length > 2 && parts[0]?.text === database) return { ...node, parts: parts.slice(1) };
      if (node['kind'] === 'string') {
        const named = splitOrNothing(String(node['value']));
        return named.length === 3 && named[0] === database ? { ...node, value: quoteNames(named.slice(1)) } : undefined;
      }
      return undefined;
    }),
    {},
  );
}

function splitOrNothing(text: string): string[] {
  return /^[\w$".]+$/.test(text) ? splitName(text) : [];
}
