/**
 * What conditions say about the region of a REGIONAL BY ROW table's rows. One that says nothing of it leaves every region to
 * look into: a lookup by key becomes one in each region's part of the index.
 */
import { utf8Encode } from '../../base/bytes.ts';
import { allIndexes, columnById, givenKeyColumnIds } from '../../catalog/descriptor.ts';
import { Type } from '../../catalog/type.ts';
import type { TypedExpr } from '../expr/typedExpr.ts';
import type { KeyAlternative, ScanNode } from './plan.ts';
import type { Fact } from './spanFacts.ts';

const NOTHING: TypedExpr = Object.freeze({ kind: 'const', type: Type.Bool, value: true });

/** A fact about the region column, where those about other columns make an index of use. */
export function regionFacts(facts: readonly Fact[], { table }: ScanNode): Fact[] {
  if (table.locality?.kind !== 'row') return [];
  const { columnId } = table.locality;
  const type = columnById(table, columnId)?.type;
  const isKnown = (id: number | undefined) => facts.some((fact) => fact.columnId === id);
  const isUseful = allIndexes(table).some((index) => index.regional && isKnown(givenKeyColumnIds(index)[0]));
  if (!type || !isUseful || isKnown(columnId)) return [];
  const equals = (type.members ?? []).map(
    (region): KeyAlternative => ({ kind: 'value', value: { kind: 'const', type, value: utf8Encode(region) } }),
  );
  return [{ columnId, conjunct: NOTHING, isExact: false, says: { equals } }];
}
