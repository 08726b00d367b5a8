/**
 * Functions of users in a restore of tables, which brings none: defaults and checks that call them are given up.
 */
import type { TableDescriptor } from '../catalog/descriptor.ts';
import { qualifiedCalls } from '../sql/exec/ddl/storedTexts.ts';
import { parseExpression } from '../sql/parse/parse.ts';

/** The table without what calls its functions; `needed` names what calls one and cannot be left out: a computed column, an index. */
export function withoutFunctionCalls(source: TableDescriptor): { readonly table: TableDescriptor; readonly needed: string | undefined } {
  const { exprFunctions = [], ...table } = source;
  const calls = (text: string | undefined): boolean =>
    text !== undefined &&
    qualifiedCalls(parseExpression(text)).some(({ parts }) =>
      exprFunctions.some(({ schema, name }) => parts.at(-1)?.text === name && parts.at(-2)?.text === schema),
    );
  const computed = table.columns.find((column) => calls(column.computeExpr));
  const index = table.indexes.find(({ predicate }) => calls(predicate));
  const columns = table.columns.map(({ defaultExpr, onUpdateExpr, ...column }) => ({
    ...column,
    ...(defaultExpr !== undefined && !calls(defaultExpr) && { defaultExpr }),
    ...(onUpdateExpr !== undefined && !calls(onUpdateExpr) && { onUpdateExpr }),
  }));
  return {
    table: { ...table, columns, checks: table.checks.filter(({ expr }) => !calls(expr)) },
    needed: computed ? `column "${computed.name}"` : index && `index "${index.name}"`,
  };
}
