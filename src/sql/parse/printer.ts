/**
 * Printer: syntax trees back to SQL, in CockroachDB's spelling. This is the door; the work is done in
 * print/: names and types, expressions, queries and row changes, schema statements, administration.
 *
 *   P1  parse(print(tree)) equals tree, positions aside
 *   P2  no secret is printed unless `showSecrets` asks for it
 */
export { printExpr } from './print/expr.ts';
export type { PrintOptions } from './print/options.ts';
export { printName, printObjectName, printType, quoteName, quoteString } from './print/names.ts';
export { printSelect } from './print/query.ts';
export {
  printColumnDef,
  printConstraint,
  printIndexElements,
  printReference,
  printSequenceOptions,
  printStatement,
  printTableElement,
} from './print/statement.ts';
