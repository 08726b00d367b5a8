/** Statements about functions of users as text. */
import type { AlterFunction, CreateFunction, DropFunction, FunctionName, FunctionOptions } from '../ast.ts';
import { printName, printObjectName, printRole, printType } from './names.ts';

function optionsText({ volatility, isLeakproof, isStrict }: FunctionOptions): string[] {
  return [
    ...(volatility === undefined ? [] : [volatility.toUpperCase()]),
    ...(isLeakproof === undefined ? [] : [isLeakproof ? 'LEAKPROOF' : 'NOT LEAKPROOF']),
    ...(isStrict === undefined ? [] : [isStrict ? 'STRICT' : 'CALLED ON NULL INPUT']),
  ];
}

/** A dollar quote that the text does not hold. */
export function dollarQuoted(text: string): string {
  let tag = '$$';
  for (let i = 0; text.includes(tag); i++) tag = `$f${i === 0 ? '' : i}$`;
  return `${tag}${text}${tag}`;
}

export function printFunctionName({ name, params }: FunctionName): string {
  return `${printObjectName(name)}${params ? `(${params.map(printType).join(', ')})` : ''}`;
}

function printCreate(s: CreateFunction): string {
  const params = s.params.map(({ name, type }) => `${name ? `${printName(name)} ` : ''}${printType(type)}`);
  const head = `CREATE ${s.orReplace ? 'OR REPLACE ' : ''}FUNCTION ${printObjectName(s.name)}(${params.join(', ')})`;
  const returns = `RETURNS ${s.returnsSet ? 'SETOF ' : ''}${printType(s.returns)}`;
  return [head, returns, ...optionsText(s.options), `LANGUAGE ${s.language.toUpperCase()} AS ${dollarQuoted(s.body)}`].join(' ');
}

function printAlter({ function: of, action }: AlterFunction): string {
  const head = `ALTER FUNCTION ${printFunctionName(of)}`;
  switch (action.type) {
    case 'rename':
      return `${head} RENAME TO ${printName(action.newName)}`;
    case 'setSchema':
      return `${head} SET SCHEMA ${printName(action.schema)}`;
    case 'owner':
      return `${head} OWNER TO ${printRole(action.owner)}`;
    case 'options':
      return [head, ...optionsText(action.options)].join(' ');
  }
}

function printDrop({ functions, ifExists, behavior }: DropFunction): string {
  const tail = behavior === undefined ? '' : ` ${behavior.toUpperCase()}`;
  return `DROP FUNCTION ${ifExists ? 'IF EXISTS ' : ''}${functions.map(printFunctionName).join(', ')}${tail}`;
}

export function printFunctionStatement(s: CreateFunction | AlterFunction | DropFunction): string {
  switch (s.kind) {
    case 'createFunction':
      return printCreate(s);
    case 'alterFunction':
      return printAlter(s);
    case 'dropFunction':
      return printDrop(s);
  }
}
