/**
 * Restored spans: the keys, as the backup has them, that a restore of some tables needs.
 */
import { indexPrefix } from '../base/keycode.ts';
import type { Span } from '../base/span.ts';
import { prefixSpan } from '../base/span.ts';
import { allIndexes, type TableDescriptor } from '../catalog/descriptor.ts';

/** A table without unfinished indexes, and the id under which the backup keys it. */
export interface RestoredTable {
  readonly oldId: number;
  readonly table: TableDescriptor;
}

/** One span an index, or the primary one's alone, in key order; none for tables whose data was left out of the backup, and views. */
export function restoredSpans(tables: readonly RestoredTable[], primaryOnly = false): Span[] {
  return tables
    .filter(({ table }) => table.excludeDataFromBackup !== true && (table.view === undefined || table.view.isMaterialized === true))
    .flatMap(({ oldId, table }) =>
      (primaryOnly ? [table.primaryIndex] : allIndexes(table)).map(({ id }) => prefixSpan(indexPrefix(oldId, id))),
    )
    .sort((a, b) => (a.key < b.key ? -1 : 1));
}
