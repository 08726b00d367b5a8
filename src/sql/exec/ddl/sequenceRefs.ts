/**
 * Sequence references: a stored expression names a sequence by its id, `nextval(52::REGCLASS)`; a
 * restored table names the restored one.
 */
import type { ColumnDescriptor } from '../../../catalog/descriptor.ts';
import type { Expr } from '../../parse/ast.ts';
import { parseExpression } from '../../parse/parse.ts';
import { printExpr } from '../../parse/printer.ts';

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

/** Whether a column's DEFAULT or ON UPDATE calls the sequence. */
export function callsSequence(column: ColumnDescriptor, sequenceId: number): boolean {
  if (column.usesSequenceIds?.includes(sequenceId)) return true;
  return column.onUpdateExpr !== undefined && sequenceIdsIn(column.onUpdateExpr).includes(sequenceId);
}

/** A column without the expressions that call a dropped sequence. */
export function withoutSequence(column: ColumnDescriptor, sequenceId: number): ColumnDescriptor {
  let left = column;
  if (left.usesSequenceIds?.includes(sequenceId)) {
    const { defaultExpr: _default, usesSequenceIds: _uses, generatedAsIdentity: _identity, ...rest } = left;
    left = rest;
  }
  if (!callsSequence(left, sequenceId)) return left;
  const { onUpdateExpr: _onUpdate, ...rest } = left;
  return rest;
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
