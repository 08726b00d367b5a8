/**
 * Functions of users in a restore of tables, which brings none: defaults and checks that call them are given up.
 */
import type { TableDescriptor } from '../catalog/descriptor.ts';
import { qualifiedCalls } from '../sql/exec/ddl/storedTexts.ts';
import { parseExpression } from '../sql/parse/parse.ts';

export interface WithoutFunctions {
  readonly table: TableDescriptor;
  /** What calls one and cannot be given up: its values are nowhere but in the function. */
  readonly needed: string | undefined;
}

/** The table without what calls its functions: defaults, ON UPDATE, checks, and the expressions of stored columns, whose values stay. */
export function withoutFunctionCalls(source: TableDescriptor): WithoutFunctions {
  const { exprFunctions = [], ...table } = source;
  const calls = (text: string | undefined): boolean =>
    text !== undefined &&
    qualifiedCalls(parseExpression(text)).some(({ name: { parts } }) =>
      exprFunctions.some(({ schema, name }) => parts.at(-1)?.text === name && parts.at(-2)?.text === schema),
    );
  const virtual = table.columns.find((column) => column.isVirtual && calls(column.computeExpr));
  const index = table.indexes.find(({ predicate }) => calls(predicate));
  const columns = table.columns.map(({ defaultExpr, onUpdateExpr, computeExpr, ...column }) => ({
    ...column,
    ...(defaultExpr !== undefined && !calls(defaultExpr) && { defaultExpr }),
    ...(onUpdateExpr !== undefined && !calls(onUpdateExpr) && { onUpdateExpr }),
    ...(computeExpr !== undefined && (column.isVirtual || !calls(computeExpr)) && { computeExpr }),
  }));
  const shown = virtual?.isIndexExpression
    ? 'an index over an expression'
    : virtual
      ? `virtual computed column "${virtual.name}"`
      : index && `partial index "${index.name}"`;
  return { table: { ...table, columns, checks: table.checks.filter(({ expr }) => !calls(expr)) }, needed: shown };
}
