/**
 * What conditions say about the bucket of hash-sharded indexes: values for all of its columns give the bucket,
 * anything else about the first of them leaves every bucket to look into.
 */
import { givenKeyColumnIds, type IndexDescriptor } from '../../catalog/descriptor.ts';
import { Type } from '../../catalog/type.ts';
import { bucketOverload } from '../expr/builtins/buckets.ts';
import type { TypedExpr } from '../expr/typedExpr.ts';
import { allIndexes } from '../../catalog/descriptor.ts';
import type { KeyAlternative, ScanNode } from './plan.ts';
import type { Fact } from './spanFacts.ts';

/** Facts about the buckets of a scan's indexes, from those about its columns. */
export function bucketFacts(facts: readonly Fact[], scan: ScanNode): Fact[] {
  return allIndexes(scan.table).flatMap((index): Fact[] => {
    const [bucketId] = index.columnIds;
    if (!index.sharded || bucketId === undefined) return [];
    const equals = valuesOf(index, facts) ?? everyBucket(index, facts);
    return equals ? [{ columnId: bucketId, conjunct: NOTHING, isExact: false, says: { equals } }] : [];
  });
}

const NOTHING: TypedExpr = Object.freeze({ kind: 'const', type: Type.Bool, value: true });

const asExpr = (alternative: KeyAlternative | undefined): TypedExpr | undefined =>
  alternative?.kind === 'value' ? alternative.value : alternative?.kind === 'null' ? NULL : undefined;
const NULL: TypedExpr = Object.freeze({ kind: 'const', type: Type.Unknown, value: null });

/** The buckets of a list of values of one column, or of one value for each of several. */
function valuesOf(index: IndexDescriptor, facts: readonly Fact[]): KeyAlternative[] | undefined {
  const ids = givenKeyColumnIds(index);
  const lists = ids.map((id) => {
    const fact = facts.find((one) => one.columnId === id && 'equals' in one.says);
    return fact && 'equals' in fact.says ? fact.says.equals.map(asExpr) : undefined;
  });
  if (!lists.every((list) => list?.every((value) => value !== undefined))) return undefined;
  if (lists.length > 1 && lists.some((list) => list?.length !== 1)) return undefined;
  const keys = lists.length === 1 ? (lists[0] ?? []).map((value) => [value]) : [lists.map((list) => list?.[0])];
  const overload = bucketOverload(index.sharded?.buckets ?? 1);
  return keys.map((args) => ({ kind: 'value', value: { kind: 'call', type: Type.Int8, overload, args: args as TypedExpr[] } }));
}

function everyBucket(index: IndexDescriptor, facts: readonly Fact[]): KeyAlternative[] | undefined {
  const first = givenKeyColumnIds(index)[0];
  if (!facts.some((fact) => fact.columnId === first)) return undefined;
  return Array.from({ length: index.sharded?.buckets ?? 0 }, (_, bucket) => ({
    kind: 'value',
    value: { kind: 'const', type: Type.Int8, value: bucket },
  }));
}
