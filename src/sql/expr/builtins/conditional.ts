/**
 * GREATEST and LEAST: NULLs are passed over; the arguments have one type by the time they get here.
 * num_nulls and num_nonnulls count arguments of any types.
 */
import type { Datum } from '../../../catalog/datum.ts';
import { type ColumnType, Type } from '../../../catalog/type.ts';
import { compareAcross } from '../compare.ts';
import type { Overload } from '../overload.ts';

type Name = 'greatest' | 'least';

function pick(name: Name, type: ColumnType): (values: readonly Datum[]) => Datum {
  const compare = compareAcross(type, type);
  const sign = name === 'greatest' ? 1 : -1;
  return (values) => {
    let best: Datum = null;
    for (const value of values) {
      if (value !== null && (best === null || compare(value, best) * sign > 0)) best = value;
    }
    return best;
  };
}

const ofType: Record<Name, WeakMap<ColumnType, Overload>> = { greatest: new WeakMap(), least: new WeakMap() };

/** The overload for one type: the same one each time, so that equal calls are seen to be equal. */
export function extremum(name: Name, type: ColumnType): Overload {
  const known = ofType[name].get(type) ?? extremumOf(name, type);
  ofType[name].set(type, known);
  return known;
}

function extremumOf(name: Name, type: ColumnType): Overload {
  const choose = pick(name, type);
  return {
    name,
    params: [],
    variadic: 'anyelement',
    returns: type,
    volatility: 'immutable',
    nullable: true,
    fn: (_, ...args) => choose(args),
  };
}

function counting(name: string, isCounted: (value: Datum) => boolean): Overload {
  const fn = (_: unknown, ...args: Datum[]): Datum => args.filter(isCounted).length;
  return { name, params: ['any'], variadic: 'any', returns: Type.Int8, volatility: 'immutable', nullable: true, fn };
}

const extrema = (['greatest', 'least'] as const).map(
  (name): Overload => ({
    name,
    params: ['anyelement'],
    variadic: 'anyelement',
    returns: (args) => args[0] as ColumnType,
    volatility: 'immutable',
    nullable: true,
    specialize: (types) => {
      const choose = pick(name, types[0] as ColumnType);
      return (_, ...args) => choose(args);
    },
  }),
);

export const conditionalFunctions: readonly Overload[] = [
  ...extrema,
  counting('num_nulls', (value) => value === null),
  counting('num_nonnulls', (value) => value !== null),
];
