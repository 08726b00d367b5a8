/**
 * SHOW BACKUPS IN: what a collection holds, from its index (layerIndex.ts).
 *
 *   path                                    the completed fulls, oldest first
 *   id, backup_time [, revision_start_time] with use_backups_with_ids: every layer, newest first; without both
 *                                           filters the newest SHOWN_MAX, and a notice tells how to go on
 *
 * Layers that lie elsewhere are listed WITH incremental_location. Filters compare a layer's end time. They take what AS OF SYSTEM TIME takes, and whole seconds: a time
 * that was read from an answer finds its layer again.
 */
import { utf8Encode } from '../base/bytes.ts';
import { MICROS_PER_SECOND } from '../base/duration.ts';
import { StatementError } from '../base/errors.ts';
import { mapConcurrently } from '../base/mapConcurrently.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { Datum } from '../catalog/datum.ts';
import { Type } from '../catalog/type.ts';
import type { ResultColumn, StatementContext, StatementHook } from '../sql/exec/statement.ts';
import type { Expr, ShowBackups } from '../sql/parse/ast.ts';

import { idOfLayer, usesIds } from './backupToken.ts';
import { fullDirectoryTime, READS_MAX } from './collection.ts';
import type { CollectionStorage } from './collectionStorage.ts';
import { type LayerFilter, listIndexedFulls, listNewestLayers, revisionStart } from './layerIndex.ts';
import { INCREMENTAL_LOCATION, readLocation } from './readLocation.ts';
import { readOptions, readSwitch } from './statementValues.ts';
import { type ShowBackupDeps, withCollection } from './showCollection.ts';

/** Layers of one answer that is not bounded on both sides. */
const SHOWN_MAX = 50;

const PATH_COLUMNS: readonly ResultColumn[] = [{ name: 'path', type: Type.String }];
const ID_COLUMNS: readonly ResultColumn[] = [
  { name: 'id', type: Type.String },
  { name: 'backup_time', type: Type.TimestampTz },
];
const REVISION_OPTION = 'revision start time';
const REVISION_COLUMN: ResultColumn = { name: 'revision_start_time', type: Type.TimestampTz };

export function showBackupsHook(deps: ShowBackupDeps): StatementHook<ShowBackups> {
  return {
    columns: (stmt, context) => {
      if (!usesIds(context)) return PATH_COLUMNS;
      return stmt.options.some(({ name }) => name === REVISION_OPTION) ? [...ID_COLUMNS, REVISION_COLUMN] : ID_COLUMNS;
    },
    run: async (context, stmt) => {
      const options = readOptions('SHOW BACKUPS', stmt.options, [REVISION_OPTION, INCREMENTAL_LOCATION]);
      const withRevisions = await readSwitch(context, options.get(REVISION_OPTION));
      const useIds = usesIds(context);
      if (withRevisions && !useIds) {
        throw new StatementError(SqlState.InvalidParameterValue, 'REVISION START TIME is shown of backups by id only', {
          hint: 'SET use_backups_with_ids = true',
        });
      }
      const filter = await readFilter(context, stmt);
      return await withCollection(
        deps,
        context,
        await readLocation(context, stmt.uris, options.get(INCREMENTAL_LOCATION)),
        async (storage) => {
          const rows = useIds ? await layerRows(context, storage, filter, withRevisions) : await pathRows(context, storage, filter);
          return { tag: `SHOW BACKUPS ${rows.length}`, rows, rowCount: rows.length };
        },
      );
    },
    isReadOnly: true,
  };
}

async function readFilter(context: StatementContext, { newerThan, olderThan }: ShowBackups): Promise<LayerFilter> {
  const time = async (expr: Expr | undefined) => (expr === undefined ? undefined : await context.resolveAsOf(expr));
  const [from, to] = [await time(newerThan), await time(olderThan)];
  return {
    newerThan: from && (secondsOf(from) as Timestamp),
    // The whole of the second that it falls in.
    olderThan: to && ((secondsOf(to) + MICROS_PER_SECOND - 1) as Timestamp),
    countMax: from === undefined || to === undefined ? SHOWN_MAX : Number.POSITIVE_INFINITY,
  };
}

function secondsOf(time: number): number {
  return time - (time % MICROS_PER_SECOND);
}

async function pathRows(context: StatementContext, storage: CollectionStorage, filter: LayerFilter): Promise<Datum[][]> {
  const { newerThan = 0, olderThan = Number.POSITIVE_INFINITY } = filter;
  const isMeant = (full: string) => {
    const time = fullDirectoryTime(full) ?? 0;
    return time >= newerThan && time <= olderThan;
  };
  return (await listIndexedFulls(storage, context.signal)).filter(isMeant).map((full) => [utf8Encode(`/${full}`)]);
}

async function layerRows(
  context: StatementContext,
  storage: CollectionStorage,
  filter: LayerFilter,
  withRevisions: boolean,
): Promise<Datum[][]> {
  const { layers, hasMore } = await listNewestLayers(storage, filter, context.signal);
  const oldest = layers.at(-1);
  if (hasMore && oldest) {
    const shown = new Date(oldest.endTime / 1000).toISOString().slice(0, 19).replace('T', ' ');
    context.notice(
      `only showing ${layers.length} most recent backups. To see more, please run \`SHOW BACKUPS IN ... OLDER THAN '${shown}'\` or specify both OLDER THAN and NEWER THAN.`,
    );
  }
  return await mapConcurrently(layers, READS_MAX, async (listed): Promise<Datum[]> => {
    const row: Datum[] = [utf8Encode(idOfLayer(listed)), listed.endTime];
    return withRevisions ? [...row, (await revisionStart(storage, listed, context.signal)) ?? null] : row;
  });
}
