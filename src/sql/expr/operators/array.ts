/** Operators on arrays: concatenation, containment, overlap. */
import type { Datum } from '../../../catalog/datum.ts';
import { arrayOf, type ColumnType, Type } from '../../../catalog/type.ts';
import { comparisonTest } from '../compare.ts';
import { Bool } from '../define.ts';
import type { EvalFn, Overload } from '../overload.ts';

type List = readonly Datum[] | null;

const arrayType = (type: ColumnType | undefined): ColumnType | undefined =>
  type?.family === 'array' && type.element?.family !== 'unknown' ? type : undefined;

/** NULL array counts as empty beside a value; NULL || NULL is NULL. */
const concat: EvalFn = (_, a, b) => {
  if (a === null || b === null) return (a ?? b) as Datum;
  return [...(a as readonly Datum[]), ...(b as readonly Datum[])];
};

const elementTest = (types: readonly ColumnType[]): ((a: Datum, b: Datum) => boolean) => {
  const element = types[0]?.element ?? Type.Unknown;
  const test = comparisonTest('=', element, types[1]?.element ?? element);
  return (a, b) => test(a, b) === true;
};

function listOperator(
  name: string,
  decide: (a: readonly Datum[], b: readonly Datum[], same: (a: Datum, b: Datum) => boolean) => boolean,
): Overload {
  return {
    name,
    params: ['anyarray', 'anyarray'],
    returns: Bool,
    volatility: 'immutable',
    specialize: (types): EvalFn => {
      const same = elementTest(types);
      return (_, a, b) => decide(a as readonly Datum[], b as readonly Datum[], same);
    },
  };
}

const contains = (a: readonly Datum[], b: readonly Datum[], same: (a: Datum, b: Datum) => boolean): boolean =>
  b.every((wanted) => a.some((item) => same(item, wanted)));

export const arrayOperators: readonly Overload[] = [
  {
    name: '||',
    params: ['anyarray', 'anyarray'],
    returns: (args) => arrayType(args[0]) ?? arrayType(args[1]) ?? arrayOf(Type.String),
    volatility: 'immutable',
    nullable: true,
    fn: concat,
  },
  {
    name: '||',
    params: ['anyarray', 'anyelement'],
    returns: (args) => arrayType(args[0]) ?? arrayOf(args[1] ?? Type.String),
    volatility: 'immutable',
    nullable: true,
    preferred: true,
    fn: (_, a, b) => [...((a as List) ?? []), b as Datum],
  },
  {
    name: '||',
    params: ['anyelement', 'anyarray'],
    returns: (args) => arrayType(args[1]) ?? arrayOf(args[0] ?? Type.String),
    volatility: 'immutable',
    nullable: true,
    preferred: true,
    fn: (_, a, b) => [a as Datum, ...((b as List) ?? [])],
  },
  listOperator('@>', contains),
  listOperator('<@', (a, b, same) => contains(b, a, same)),
  listOperator('&&', (a, b, same) => a.some((item) => b.some((other) => same(item, other)))),
];
