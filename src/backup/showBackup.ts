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
import type { Option, ShowBackup } from '../sql/parse/ast.ts';

import { layerOf, loadNamed, resolveToken, tokenOf, usesIds } from './backupToken.ts';
import { type Chain, newestLayer, passedOverNotice, pathTo } from './chain.ts';
import { lostLayers } from './layerIndex.ts';
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
import { ENCRYPTION_OPTIONS, optionValue, readEncryption } from './encryptionOptions.ts';
import type { CollectionStorage } from './collectionStorage.ts';
import { listedFolder, readListedChain, readListedIncremental } from './listedLayers.ts';
import type { LocationDetails } from './locationDetails.ts';
import { defaultFirst, INCREMENTAL_LOCATION, readLocation, readUris, refuseIncrementalLocation } from './readLocation.ts';
import { checkLocationAccess, granteesOf, looksOn, readOptions, readSwitch, requireText } from './statementValues.ts';

const SWITCHES = ['as_json', 'check_files', 'debug_ids', 'privileges', 'skip size'] as const;
type Switch = (typeof SWITCHES)[number];

/** Where the keys of an incremental layer that is named by its own location are: its full's. */
const ENCRYPTION_INFO_DIR = 'encryption_info_dir';

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
  const options = readOptions('SHOW BACKUP', stmt.options, [...SWITCHES, INCREMENTAL_LOCATION, ...ENCRYPTION_OPTIONS, ENCRYPTION_INFO_DIR]);
  const on = new Set<Switch>();
  for (const name of SWITCHES) if (await readSwitch(context, options.get(name))) on.add(name);
  const { text, location, alone } = await readSource(deps, context, source, options);
  return await withCollection(deps, context, location, async (storage) => {
    const { chain, shown, damaged } = alone
      ? { chain: [alone] as Chain, shown: [alone], damaged: [] }
      : await findShown(context, storage, text);
    if (stmt.view !== 'validate') for (const told of damaged) context.notice(told);
    if (on.has('check_files')) {
      const lost = shown === chain && storage.capabilities.list ? await lostLayers(storage, chain, context.signal) : [];
      await checkAllFiles(storage, shown, lost);
    }
    const rows = rowsOf(stmt.view, on, chain, shown, damaged, location);
    return { tag: `SHOW BACKUP ${rows.length}`, rows, rowCount: rows.length };
  });
}

async function findShown(
  context: StatementContext,
  storage: CollectionStorage,
  text: string,
): Promise<{ readonly chain: Chain; readonly shown: readonly Layer[]; readonly damaged: readonly string[] }> {
  const { signal } = context;
  const damaged: string[] = [];
  const named = await resolveToken(storage, tokenOf(text), { useIds: usesIds(context), signal });
  const chain = await loadNamed(storage, named, signal, (directory, why) => damaged.push(passedOverNotice(directory, why)));
  return { chain, shown: named.id === undefined ? chain : [layerOf(chain, named.id)], damaged };
}

/** Which backup, and where; an older statement names a location whose backup it reads. */
async function readSource(
  deps: ShowBackupDeps,
  context: StatementContext,
  source: ShowBackup['source'],
  options: ReadonlyMap<string, Option>,
): Promise<{ readonly text: string; readonly location: LocationDetails; readonly alone?: Layer }> {
  const incremental = options.get(INCREMENTAL_LOCATION);
  const infoDir = options.get(ENCRYPTION_INFO_DIR);
  const secrets = await readEncryption(context, options);
  if (source.type !== 'uri') {
    if (infoDir) throw infoDirOfCollection(infoDir);
    const text = source.type === 'latest' ? 'LATEST' : await requireText(context, source.subdir, 'the subdirectory of a backup');
    return { text, location: { ...(await readLocation(context, source.uris, incremental)), ...secrets } };
  }
  refuseIncrementalLocation('SHOW BACKUP', incremental);
  const uris = defaultFirst(await readUris(context, source.uris));
  await checkLocationAccess(context, uris, await granteesOf(context));
  const { user, session, signal } = context;
  const reader = { user, nodeId: session.nodeId, signal };
  // Of an incremental layer that has a URI of its own the others' are not known: it is shown alone.
  const full = infoDir && [await requireText(context, optionValue(infoDir), `option ${ENCRYPTION_INFO_DIR}`)];
  if (full) await checkLocationAccess(context, full, await granteesOf(context));
  const incrementalAlone = await readListedIncremental(deps.storage, uris, secrets, reader, full);
  if (incrementalAlone) return { text: '', location: incrementalAlone.location, alone: incrementalAlone.layer };
  const chain = await readListedChain(deps.storage, [uris], secrets, reader);
  return { text: chain.full, location: chain.location };
}

function infoDirOfCollection({ pos }: Option): StatementError {
  return new StatementError(
    SqlState.InvalidParameterValue,
    `${ENCRYPTION_INFO_DIR} is for an incremental backup that is named by its own location`,
    {
      hint: 'a collection has the keys of its chains',
      location: { position: pos + 1 },
    },
  );
}

function rowsOf(
  view: ShowBackup['view'],
  on: ReadonlySet<Switch>,
  chain: Chain,
  shown: readonly Layer[],
  damaged: readonly string[],
  location: LocationDetails,
): Datum[][] {
  if (on.has('as_json')) return manifestRows(shown);
  switch (view) {
    case 'files':
      return fileRows(shown, (directory) => listedFolder(location, directory) ?? `/${directory}`);
    case 'ranges':
      return rangeRows(shown);
    case 'validate':
      return validationRows(pathTo(chain, shown === chain ? newestLayer(chain) : (shown[0] ?? newestLayer(chain))), damaged);
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
