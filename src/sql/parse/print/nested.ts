/**
 * Expressions hold queries, queries hold statements, statements hold both: statement.ts, which knows
 * all three, ties the knot here, so that no file imports in a circle.
 */
import type { SelectStatement, Statement } from '../ast.ts';
import type { PrintOptions } from './options.ts';

export interface NestedPrinters {
  select: (select: SelectStatement, options: PrintOptions) => string;
  statement: (statement: Statement, options: PrintOptions) => string;
}

/** Set once, when statement.ts is loaded. printer.ts loads it. */
export const nestedPrinters = {} as NestedPrinters;
