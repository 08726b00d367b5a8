/**
 * ALTER TABLE ... SET LOCALITY. To and from REGIONAL BY ROW every row moves to its new keys, in the statement's transaction, as
 * ALTER PRIMARY KEY does; the others are a word in the descriptor, and zones.
 */
import { utf8Encode } from '../../../base/bytes.ts';
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { allIndexes, givenKeyColumnIds, type IndexDescriptor, type TableDescriptor, updated } from '../../../catalog/descriptor.ts';
import type { DatabaseRegions } from '../../../catalog/regions.ts';
import { modifiedField } from '../../../catalog/regionZones.ts';
import type { TableLocalityClause } from '../../parse/ast.ts';
import { constraintQueue } from '../foreignKeys.ts';
import { tableWriter } from '../tableWriter.ts';
import { rowsOf } from './alterConstraints.ts';
import { isNewerForm } from '../../../catalog/newerForm.ts';
import type { SchemaChange } from './common.ts';
import { checkRegionalIndex, localityMeant, requireRegions, withRegionFirst } from './localities.ts';
import type { TableInMaking } from './tableInMaking.ts';

/** What CockroachDB says; here the change is whole when the statement is. */
const FINALIZED_LATER =
  'LOCALITY changes will be finalized asynchronously; further schema changes on this table may be restricted until the job completes';

export async function setLocality(change: SchemaChange, builder: TableInMaking, clause: TableLocalityClause): Promise<void> {
  const before = builder.table;
  const regions = requireRegions(change, before);
  await refuseModified(change, before);
  const locality = localityMeant(builder, clause, regions);
  const wasByRow = before.locality?.kind === 'row';
  if (wasByRow && locality?.kind === 'row' && before.locality.columnId === locality.columnId) {
    builder.set({ locality });
    return change.write(builder.table);
  }
  builder.set({ locality });
  if (wasByRow) builder.set(withoutRegionFirst(builder.table));
  if (locality?.kind === 'row') {
    for (const index of allIndexes(builder.table)) {
      checkRegionalIndex(builder.table, { unique: index.unique, where: index.predicate, buckets: index.sharded?.buckets });
    }
    builder.set(allWithRegionFirst(builder.table));
  }
  builder.finish();
  const movesRows = wasByRow || locality?.kind === 'row';
  if (movesRows && isNewerForm(change.context.engine.settings)) change.context.notice(FINALIZED_LATER);
  if (movesRows) await moveRows(change, before, builder.table, regions);
  else await change.write(builder.table);
}

type Keys = Pick<TableDescriptor, 'primaryIndex' | 'indexes'>;

function withSuffixes(primaryIndex: IndexDescriptor, indexes: readonly IndexDescriptor[]): Keys {
  const suffix = ({ columnIds }: IndexDescriptor) => primaryIndex.columnIds.filter((id) => !columnIds.includes(id));
  return {
    primaryIndex,
    indexes: indexes.map((index) => ({
      ...index,
      keySuffixColumnIds: suffix(index),
      storeColumnIds: index.storeColumnIds.filter((id) => !primaryIndex.columnIds.includes(id) && !index.columnIds.includes(id)),
    })),
  };
}

function allWithRegionFirst(table: TableDescriptor): Keys {
  const { primaryIndex, indexes } = table;
  return withSuffixes(
    withRegionFirst(table, primaryIndex),
    indexes.map((index) => withRegionFirst(table, index)),
  );
}

function withoutRegionFirst({ primaryIndex, indexes }: TableDescriptor): Keys {
  const plain = ({ regional, ...index }: IndexDescriptor): IndexDescriptor =>
    regional ? { ...index, columnIds: givenKeyColumnIds({ ...index, regional }), directions: index.directions.slice(1) } : index;
  return withSuffixes(plain(primaryIndex), indexes.map(plain));
}

/** 42P17 when a variable that the regions decide was set by hand, unless it may be overwritten. */
async function refuseModified(change: SchemaChange, table: TableDescriptor): Promise<void> {
  if (change.context.session.vars.isOn('override_multi_region_zone_config')) return;
  const database = change.snapshot.databaseById(table.parentId);
  const found = database && (await modifiedField(change.txn, change.snapshot, database));
  if (found?.what !== `table ${table.name}`) return;
  throw new StatementError(
    SqlState.InvalidObjectDefinition,
    `attempting to update zone configuration for ${found.what} which contains modified field "${found.variable}"`,
    {
      detail: 'the attempted operation will overwrite a user modified field',
      hint: 'to proceed with the overwrite, SET override_multi_region_zone_config = true, and reissue the statement',
    },
  );
}

/** Takes every row out under its old keys and puts it back under the new ones; a new region is the primary one. */
async function moveRows(change: SchemaChange, before: TableDescriptor, next: TableDescriptor, regions: DatabaseRegions): Promise<void> {
  const rows = await rowsOf(change, before);
  const run = change.context.newRun(0, 0);
  const { functions } = change.context.engine;
  const queue = await constraintQueue(change.context);
  // Neither side's foreign keys are touched: the same rows come back.
  const bare = (desc: TableDescriptor): TableDescriptor => updated(desc, { foreignKeys: [], referencedByIds: [], uniqueWithoutIndex: [] });
  await tableWriter(bare(before), functions).delete(rows, run, queue);
  await change.write(next);
  const writer = tableWriter(bare(next), functions);
  const primary = utf8Encode(regions.primaryRegion);
  const isNew = next.columns.map((column) => !before.columns.some(({ id }) => id === column.id));
  const moved = rows.map((row) => {
    let at = 0;
    return next.columns.map((_, i) => (isNew[i] ? primary : (row[at++] ?? null)));
  });
  for (const row of moved) writer.prepare(row, run);
  await writer.insert(moved, run, queue);
}
