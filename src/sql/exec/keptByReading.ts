/** Which constraints of a table no index keeps. Lives elsewhere: keeping them (uniqueChecks.ts). */
import {
  allIndexes,
  givenKeyColumnIds,
  type IndexDescriptor,
  type TableDescriptor,
  type UniqueConstraintDescriptor,
} from '../../catalog/descriptor.ts';

const kept = new WeakMap<TableDescriptor, readonly UniqueConstraintDescriptor[]>();

/**
 * The constraints of a table that are kept by reading: those without an index, and those of a REGIONAL BY ROW table, whose
 * indexes see to it in one region alone. Ids of the latter are below 0: they are those of indexes.
 */
export function keptByReading(table: TableDescriptor): readonly UniqueConstraintDescriptor[] {
  if (table.locality?.kind !== 'row') return table.uniqueWithoutIndex ?? [];
  let found = kept.get(table);
  if (!found) {
    const regional = allIndexes(table).filter((index) => index.unique && index.regional);
    found = [...(table.uniqueWithoutIndex ?? []), ...regional.map(inAllRegions)];
    kept.set(table, found);
  }
  return found;
}

/** What a unique index of a REGIONAL BY ROW table promises beyond a region: its columns are unique without it. */
export function inAllRegions(index: IndexDescriptor): UniqueConstraintDescriptor {
  return { id: -index.id, name: index.name, columnIds: givenKeyColumnIds(index), validated: true };
}
