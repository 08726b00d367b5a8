import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { quoteLiteral, quoteNames } from '../catalog/names.ts';
import type { ClusterSettings } from '../catalog/settings.ts';
import type { Grantees } from '../catalog/privileges.ts';
import { hasSystemPrivilege } from '../catalog/globalPrivileges.ts';
import type { HookResult, StatementContext, StatementHook } from '../sql/exec/statement.ts';
import type { BackupTargets, Restore } from '../sql/parse/ast.ts';
import { printName } from '../sql/parse/printer.ts';

import { type BackupToken, tokenOf, usesIds } from '../backup/backupToken.ts';
import { readListedChain } from '../backup/listedLayers.ts';
import { readExecutionLocality } from '../backup/executionLocality.ts';
import { checkFeature, checkTransaction, jobColumns, jobResult } from '../backup/jobResult.ts';
import type { LocationDetails } from '../backup/locationDetails.ts';
import { urisOf } from '../backup/locationDetails.ts';
import { defaultFirst, readLocation, readUris, refuseIncrementalLocation } from '../backup/readLocation.ts';
import { checkLocationAccess, granteesOf, looksOn, requireText } from '../backup/statementValues.ts';

import { DRY_RUN_COLUMNS, dryRun } from './dryRun.ts';
import { conditionText } from './rowFilter.ts';
import { readRestoreOptions, type RestoreOptions } from './restoreOptions.ts';
import type { RestorePlanningDeps, RestoreRequest } from './restorePlanning.ts';
import { planRestore } from './restorePlanning.ts';
import { checkRestoreStatement } from './restorePrivileges.ts';

export interface RestoreStatementDeps extends RestorePlanningDeps {
  readonly settings: ClusterSettings;
}

const LATEST: BackupToken = { type: 'latest' };

export function restoreHook(deps: RestoreStatementDeps): StatementHook<Restore> {
  return {
    columns: (stmt) => (looksOn(stmt.options, 'dry_run') ? DRY_RUN_COLUMNS : jobColumns(looksOn(stmt.options, 'detached'))),
    run: (context, stmt) => runRestore(deps, context, stmt),
    ownTransaction: true,
  };
}

async function runRestore(deps: RestoreStatementDeps, context: StatementContext, stmt: Restore): Promise<HookResult> {
  checkFeature('RESTORE', deps.settings);
  const options = await readRestoreOptions(context, stmt);
  const detached = options.on.has('detached');
  const isDryRun = options.on.has('dry_run');
  if (!isDryRun) checkTransaction('RESTORE', context, detached);
  const grantees = await granteesOf(context);
  const who = {
    grantees,
    hasSystemRestore: await hasSystemPrivilege(context.txn, grantees, 'RESTORE'),
    hasCreateDb: await hasSystemPrivilege(context.txn, grantees, 'CREATEDB'),
  };
  const advice = checkRestoreStatement(stmt.targets.type, who);
  const { backup, location } = await readSource(deps, context, stmt, options, grantees);
  if (advice !== undefined) context.notice(advice);
  const executionLocality = await readExecutionLocality(context, options.executionLocality, deps.kv.cluster);
  const request: RestoreRequest = {
    targets: stmt.targets,
    targetsText: targetsText(stmt.targets),
    backup,
    useIds: usesIds(context),
    location,
    asOf: stmt.asOf && (await context.resolveAsOf(stmt.asOf.expr)),
    intoDb: options.texts.get('into_db'),
    newDbName: options.texts.get('new_db_name'),
    renames: options.renames,
    where: readWhere(stmt, options),
    ignoresVersion: options.on.has('unsafe_restore_incompatible_version'),
    isOnlineCopy: options.on.has('experimental copy'),
    pausesOnError: options.texts.has('debug_pause_on'),
    skip: {
      foreignKeys: options.on.has('skip_missing_foreign_keys'),
      sequences: options.on.has('skip_missing_sequences'),
      sequenceOwners: options.on.has('skip_missing_sequence_owners'),
      views: options.on.has('skip_missing_views'),
      functions: options.on.has('skip_missing_udfs'),
    },
    revisionHistory: options.on.has('revision_history'),
    schemaOnly: options.on.has('schema_only'),
    skipsLocalities: options.on.has('skip_localities_check'),
    removesRegions: options.on.has('remove_regions') || options.on.has('strip_localities'),
    defaultRegion: String(deps.settings.get('sql.defaults.primary_region')),
    verifyData: options.on.has('verify_backup_table_data'),
    executionLocality,
    grants: options.on.has('grants'),
    optionTexts: optionTexts(options),
    user: context.user,
    ...who,
    notice: (message, more) => context.notice(message, more),
    names: context.names,
    signal: context.signal,
  };
  if (isDryRun) return await dryRun(deps, request);
  const jobId = await planRestore(deps, request, async (write) => {
    if (context.inExplicitTransaction) await write(context.txn);
    else await deps.kv.run(write, { name: 'create restore job' });
  });
  return await jobResult('RESTORE', context, deps.jobs, jobId, detached, executionLocality);
}

/** The condition's text. 22023 for anything but rows of a table. */
function readWhere({ where, targets }: Restore, { on }: RestoreOptions): string | undefined {
  if (where === undefined) return undefined;
  const message = refusalOfWhere(targets.type, on);
  if (message === undefined) return conditionText(where);
  throw new StatementError(SqlState.InvalidParameterValue, message, { location: { position: where.pos + 1 } });
}

function refusalOfWhere(targets: Restore['targets']['type'], on: RestoreOptions['on']): string | undefined {
  if (targets !== 'tables') return 'RESTORE ... WHERE is for one table';
  if (on.has('schema_only')) return 'schema_only restores no rows: WHERE has none to choose from';
  if (on.has('revision_history')) return 'WHERE is about rows at one time: revision_history brings them with their past';
  return undefined;
}

/** The options as SQL. */
function optionTexts({ on, texts, renames }: RestoreOptions): string[] {
  const pairs = renames.map(({ from, to }) => `${quoteLiteral(quoteNames(from))} = ${quoteLiteral(to)}`);
  return [
    ...[...texts].map(([name, text]) => `${name} = ${quoteLiteral(text)}`),
    ...(pairs.length > 0 ? [`rename = (${pairs.join(', ')})`] : []),
    ...[...on].map((name) => (name.includes(' ') ? name.toUpperCase() : name)),
  ];
}

/** Which backup, and where. The older form reads what is there, so access is checked here. */
async function readSource(
  deps: RestoreStatementDeps,
  context: StatementContext,
  { source }: Restore,
  { incrementalLocation: incremental, secrets }: RestoreOptions,
  grantees: Grantees,
): Promise<{ backup: BackupToken; location: LocationDetails }> {
  if (source.type !== 'layers') {
    const backup = source.type === 'latest' ? LATEST : tokenOf(await requireText(context, source.subdir, 'the subdirectory of a backup'));
    const location = { ...(await readLocation(context, source.uris, incremental)), ...secrets };
    await checkLocationAccess(context, urisOf(location), grantees);
    return { backup, location };
  }
  refuseIncrementalLocation('RESTORE', incremental);
  const lists = [];
  for (const uris of source.layers) lists.push(defaultFirst(await readUris(context, uris)));
  await checkLocationAccess(context, lists.flat(), grantees);
  const { user, session, signal } = context;
  const { full, location } = await readListedChain(deps.storage, lists, secrets, { user, nodeId: session.nodeId, signal });
  return { backup: tokenOf(full), location };
}

/** With a space at the end; empty for a cluster. */
function targetsText(targets: BackupTargets): string {
  switch (targets.type) {
    case 'databases':
      return `DATABASE ${targets.names.map((name) => printName(name)).join(', ')} `;
    case 'tables':
      return `TABLE ${targets.patterns
        .map(({ parts, star }) => [...parts.map((part) => printName(part)), ...(star ? ['*'] : [])].join('.'))
        .join(', ')} `;
    case 'systemUsers':
      return 'SYSTEM USERS ';
    case 'cluster':
      return '';
  }
}
