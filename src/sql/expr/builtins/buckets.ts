/** What the computed columns of hash-sharded indexes are made of. */
import { bucketOf, encodeDatums } from '../../../catalog/buckets.ts';
import { Bytes, Int8 } from '../define.ts';
import type { Overload } from '../overload.ts';

/** crdb_internal.datums_to_bytes: the values as keys hold them. */
const datumsToBytes: Overload = {
  name: 'crdb_internal.datums_to_bytes',
  params: [],
  variadic: 'any',
  returns: Bytes,
  volatility: 'immutable',
  nullable: true,
  specialize:
    (types) =>
    (_, ...values) =>
      encodeDatums(types, values),
};

/** The bucket of some values, for a planner that knows how many buckets there are. */
export function bucketOverload(buckets: number): Overload {
  return {
    name: 'crdb_internal.bucket',
    params: [],
    variadic: 'any',
    returns: Int8,
    volatility: 'immutable',
    nullable: true,
    specialize:
      (types) =>
      (_, ...values) =>
        bucketOf(types, values, buckets),
  };
}

export const bucketFunctions: readonly Overload[] = [datumsToBytes];
