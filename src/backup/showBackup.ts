/**
 * SHOW BACKUP [SCHEMAS | FILES | RANGES | VALIDATE] FROM ... IN: what a backup holds, from its manifests.
 *
 * A subdirectory or LATEST shows the chain, full first; an id, and LATEST with use_backups_with_ids, one layer.
 * Lives elsewhere: the rows (showObjects.ts, showFiles.ts), lists of backups (showBackups.ts).
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Datum } from '../catalog/datum.ts';
import type { HookResult, ResultColumn, StatementContext, StatementHook } from '../sql/exec/statement.ts';
import type { ShowBackup } from '../sql/parse/ast.ts';

import { layerOf, loadNamed, resolveToken, tokenOf, usesIds } from './backupToken.ts';
import { type Chain, newestLayer, pathTo } from './chain.ts';
import type { Layer } from './manifest.ts';
import { type ShowBackupDeps, withCollection } from './showCollection.ts';
import {
  checkAllFiles,
  FILE_COLUMNS,
  fileRows,
  MANIFEST_COLUMNS,
  manifestRows,
  RANGE_COLUMNS,
  rangeRows,
  VALIDATE_COLUMNS,
  validationRows,
} from './showFiles.ts';
import { objectColumns, objectRows } from './showObjects.ts';
import { INCREMENTAL_LOCATION, readLocation } from './readLocation.ts';
import { looksOn, readOptions, readSwitch, requireText } from './statementValues.ts';

const SWITCHES = ['as_json', 'check_files', 'debug_ids', 'privileges', 'skip size'] as const;
type Switch = (typeof SWITCHES)[number];

export function showBackupHook(deps: ShowBackupDeps): StatementHook<ShowBackup> {
  return { columns: (stmt) => columnsOf(stmt), run: (context, stmt) => runShowBackup(deps, context, stmt), isReadOnly: true };
}

function columnsOf({ view, options }: ShowBackup): readonly ResultColumn[] {
  if (looksOn(options, 'as_json')) return MANIFEST_COLUMNS;
  switch (view) {
    case 'files':
      return FILE_COLUMNS;
    case 'ranges':
      return RANGE_COLUMNS;
    case 'validate':
      return VALIDATE_COLUMNS;
    default:
      return objectColumns({
        schemas: view === 'schemas',
        checkFiles: looksOn(options, 'check_files'),
        debugIds: looksOn(options, 'debug_ids'),
        privileges: looksOn(options, 'privileges'),
      });
  }
}

async function runShowBackup(deps: ShowBackupDeps, context: StatementContext, stmt: ShowBackup): Promise<HookResult> {
  const { source } = stmt;
  if (source.type === 'uri') {
    throw new StatementError(
      SqlState.FeatureNotSupported,
      'SHOW BACKUP of a location is not supported: name the backup in its collection',
      {
        hint: "use SHOW BACKUPS IN 'uri', then SHOW BACKUP FROM LATEST IN 'uri' or SHOW BACKUP FROM 'path' IN 'uri'",
      },
    );
  }
  const options = readOptions('SHOW BACKUP', stmt.options, [...SWITCHES, INCREMENTAL_LOCATION]);
  const on = new Set<Switch>();
  for (const name of SWITCHES) if (await readSwitch(context, options.get(name))) on.add(name);
  return await withCollection(
    deps,
    context,
    await readLocation(context, source.uris, options.get(INCREMENTAL_LOCATION)),
    async (storage) => {
      const { signal } = context;
      const text = source.type === 'latest' ? 'LATEST' : await requireText(context, source.subdir, 'the subdirectory of a backup');
      const named = await resolveToken(storage, tokenOf(text), { useIds: usesIds(context), signal });
      const chain = await loadNamed(storage, named, signal);
      const shown = named.id === undefined ? chain : [layerOf(chain, named.id)];
      if (on.has('check_files')) await checkAllFiles(storage, shown);
      const rows = rowsOf(stmt.view, on, chain, shown);
      return { tag: `SHOW BACKUP ${rows.length}`, rows, rowCount: rows.length };
    },
  );
}

function rowsOf(view: ShowBackup['view'], on: ReadonlySet<Switch>, chain: Chain, shown: readonly Layer[]): Datum[][] {
  if (on.has('as_json')) return manifestRows(shown);
  switch (view) {
    case 'files':
      return fileRows(shown);
    case 'ranges':
      return rangeRows(shown);
    case 'validate':
      return validationRows(pathTo(chain, shown.at(-1) ?? newestLayer(chain)));
    default: {
      const show = {
        schemas: view === 'schemas',
        checkFiles: on.has('check_files'),
        debugIds: on.has('debug_ids'),
        privileges: on.has('privileges'),
      };
      return objectRows(shown, show, on.has('skip size'));
    }
  }
}
