/**
 * Sequence references: a stored expression names a sequence by its id, `nextval(52::REGCLASS)`; a
 * restored table names the restored one.
 */
import type { Expr } from '../sql/parse/ast.ts';
import { parseExpression } from '../sql/parse/parse.ts';
import { printExpr } from '../sql/parse/printer.ts';

const SEQUENCE_FUNCTIONS: ReadonlySet<string> = new Set(['nextval', 'currval', 'setval']);

/** The SQL text of an expression with sequence ids replaced; ids that `ids` does not have stay. */
export function rewriteSequenceIds(text: string, ids: ReadonlyMap<number, number>): string {
  return printExpr(rewritten(parseExpression(text), (id) => ids.get(id), false) as Expr);
}

/** Ids of the sequences that an expression names. */
export function sequenceIdsIn(text: string): number[] {
  const found = new Set<number>();
  const note = (id: number) => {
    found.add(id);
    return undefined;
  };
  rewritten(parseExpression(text), note, false);
  return [...found];
}

/** `isArgument`: inside the argument of a sequence function, where a number is an id. */
function rewritten(node: unknown, newId: (id: number) => number | undefined, isArgument: boolean): unknown {
  if (Array.isArray(node)) return node.map((item) => rewritten(item, newId, isArgument));
  if (typeof node !== 'object' || node === null) return node;
  const expr = node as Expr;
  if (isArgument && expr.kind === 'number') {
    const id = newId(Number(expr.text));
    return id === undefined ? expr : { ...expr, text: String(id) };
  }
  if (expr.kind === 'call' && SEQUENCE_FUNCTIONS.has(expr.name.parts.at(-1)?.text.toLowerCase() ?? '')) {
    const [sequence, ...others] = expr.args;
    return { ...expr, args: [rewritten(sequence, newId, true), ...others.map((arg) => rewritten(arg, newId, false))] };
  }
  return Object.fromEntries(Object.entries(expr).map(([key, value]) => [key, rewritten(value, newId, isArgument)]));
}
