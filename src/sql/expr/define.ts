/**
 * Short ways to write overloads down: the builtin files are tables of these.
 */
import type { Datum } from '../../catalog/datum.ts';
import { arrayOf, type ColumnType, Type } from '../../catalog/type.ts';
import type { EvalFn, Overload, Param, Volatility } from './overload.ts';

export const { Bool, Bytes, Int8, Float8, Decimal, Time, TimeTz, Timestamp, TimestampTz, Interval, Uuid, Jsonb, Oid, VarBit } = Type;
/** STRING and DATE, under names that do not hide JavaScript's own. */
export const { String: Text, Date: Day } = Type;
export const StringArray: ColumnType = arrayOf(Text);
export const IntArray: ColumnType = arrayOf(Type.Int8);

/** A function of its arguments alone. `A` lets the closure name the datums it knows it gets. */
export function pure<A extends Datum[]>(
  name: string,
  params: readonly Param[],
  returns: Overload['returns'],
  fn: (...args: A) => Datum,
  more: Partial<Overload> = {},
): Overload {
  const isFixed = more.variadic === undefined;
  return {
    name,
    params,
    returns,
    volatility: 'immutable',
    fn: withoutContext(fn as (...args: Datum[]) => Datum, isFixed ? params.length : -1),
    ...more,
  };
}

// One and two arguments are nearly all calls: passing them on by name is several times faster than by a rest list.
function withoutContext(fn: (...args: Datum[]) => Datum, arity: number): EvalFn {
  if (arity === 1) return (_, a) => fn(a as Datum);
  if (arity === 2) return (_, a, b) => fn(a as Datum, b as Datum);
  return (_, ...args) => fn(...args);
}

/** A function that looks at the evaluation context. */
export function contextual(
  name: string,
  params: readonly Param[],
  returns: Overload['returns'],
  volatility: Volatility,
  fn: EvalFn,
  more: Partial<Overload> = {},
): Overload {
  return { name, params, returns, volatility, fn, ...more };
}

/** The same overload under another name. */
export function alias(name: string, overloads: readonly Overload[]): Overload[] {
  return overloads.map((overload) => ({ ...overload, name }));
}

/** The type of the array in an anyarray argument, for `returns`. */
export function typeOfArgument(index: number): (args: readonly ColumnType[]) => ColumnType {
  return (args) => args[index] ?? Type.Unknown;
}
