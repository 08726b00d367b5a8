/** The keys of inverted indexes as functions: what such an index is over, and what a condition looks up. */
import { containmentKeys, invertedKeysOf, PRESENT } from '../../../catalog/invertedKeys.ts';
import { arrayOf, Type } from '../../../catalog/type.ts';
import { Bytes, Jsonb } from '../define.ts';
import type { Overload, Param } from '../overload.ts';

const ofValue = (param: Param): Overload[] => [
  // One of the keys: the column that stands for all of them in an index's definition.
  {
    name: 'crdb_internal.inverted_key',
    params: [param],
    returns: Bytes,
    volatility: 'immutable',
    specialize: ([type]) => {
      const of = type ?? Type.Jsonb;
      return (_, value) => invertedKeysOf(of, value ?? null).find((key) => key !== PRESENT) ?? null;
    },
  },
  {
    name: 'crdb_internal.containment_keys',
    params: [param],
    returns: arrayOf(Bytes),
    volatility: 'immutable',
    specialize: ([type]) => {
      const of = type ?? Type.Jsonb;
      return (_, value) => containmentKeys(of, value ?? null);
    },
  },
];

export const invertedFunctions: readonly Overload[] = [...ofValue(Jsonb), ...ofValue('anyarray')];
