/** All operators that are overloads, by name. Comparisons and logic are node kinds of their own. */
import type { Overload } from '../overload.ts';
import { arithmeticOperators, unaryOperators } from './arithmetic.ts';
import { arrayOperators } from './array.ts';
import { inetOperators, inetUnaryOperators } from './inet.ts';
import { jsonOperators } from './json.ts';
import { temporalOperators } from './temporal.ts';
import { textOperators } from './text.ts';

const byName = (overloads: readonly Overload[]): ReadonlyMap<string, readonly Overload[]> =>
  Map.groupBy(overloads, (overload) => overload.name);

const BINARY = byName([
  ...arithmeticOperators,
  ...temporalOperators,
  ...textOperators,
  ...jsonOperators,
  ...arrayOperators,
  ...inetOperators,
]);
const UNARY = byName([...unaryOperators, ...inetUnaryOperators]);

/** Overloads of a binary operator: `+`, `||`, `->`, and by their names LIKE, ILIKE, SIMILAR TO (and with ESCAPE). */
export function binaryOverloads(op: string): readonly Overload[] {
  return BINARY.get(op) ?? [];
}

export function unaryOverloads(op: string): readonly Overload[] {
  return UNARY.get(op) ?? [];
}
