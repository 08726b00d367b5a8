/**
 * BACKUP: the statement. Evaluates what the user wrote, refuses what does not go, has the backup
 * planned, and waits for the job unless it is detached.
 *
 * The job outlives the statement: a client that goes away, or cancels, leaves it running.
 */
import { isVarveError, StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { hasSystemPrivilege } from '../catalog/globalPrivileges.ts';
import type { Grantees } from '../catalog/privileges.ts';
import type { ClusterSettings } from '../catalog/settings.ts';
import type { HookResult, StatementContext, StatementHook } from '../sql/exec/statement.ts';
import type { Backup, Option } from '../sql/parse/ast.ts';

import { refuseAttachedTargets } from './attachedTargets.ts';
import type { DestinationRequest } from './backupDestination.ts';
import { noFullBackup } from './backupDestination.ts';
import type { BackupPlanningDeps, BackupRequest } from './backupPlanning.ts';
import { planBackup } from './backupPlanning.ts';
import { checkBackupPrivileges } from './backupPrivileges.ts';
import { resolveTargets } from './backupTargets.ts';
import { warnOfBreakingChain } from './chainNotice.ts';
import { fullDirectoryTime } from './collection.ts';
import { ENCRYPTION_OPTIONS, readEncryption } from './encryptionOptions.ts';
import { EXECUTION_LOCALITY, readExecutionLocality } from './executionLocality.ts';
import { checkFeature, checkTransaction, jobColumns, jobResult } from './jobResult.ts';
import { readListedDestination } from './listedLayers.ts';
import type { LocationDetails } from './locationDetails.ts';
import { urisOf } from './locationDetails.ts';
import { INCREMENTAL_LOCATION, readDestination, readUris, refuseIncrementalLocation } from './readLocation.ts';
import type { BackupToPlan, PlanScheduledBackup } from './scheduledBackup.ts';
import { checkLocationAccess, granteesOf, looksOn, readOptions, readSwitch, requireText } from './statementValues.ts';

const STRICT_LOCALITY = 'strict storage locality';
const UPDATES_METRICS = 'updates_cluster_monitoring_metrics';

export interface BackupStatementDeps extends BackupPlanningDeps {
  readonly settings: ClusterSettings;
}

const OPTIONS = [
  'revision_history',
  'detached',
  INCREMENTAL_LOCATION,
  EXECUTION_LOCALITY,
  STRICT_LOCALITY,
  ...ENCRYPTION_OPTIONS,
  UPDATES_METRICS,
];

export function backupHook(deps: BackupStatementDeps): StatementHook<Backup> {
  return {
    columns: (stmt) => jobColumns(looksOn(stmt.options, 'detached')),
    run: (context, stmt) => runBackup(deps, context, stmt),
    ownTransaction: true,
  };
}

async function runBackup(deps: BackupStatementDeps, context: StatementContext, stmt: Backup): Promise<HookResult> {
  checkFeature('BACKUP', deps.settings);
  const options = readOptions('BACKUP', stmt.options, OPTIONS);
  const detached = await readSwitch(context, options.get('detached'));
  checkTransaction('BACKUP', context, detached);
  const request = await readBackup(deps, context, { stmt });
  const jobId = await planBackup(deps, request, async (write) => {
    if (context.inExplicitTransaction) await write(context.txn);
    else await deps.kv.run(write, { name: 'create backup job' });
  });
  const result = await jobResult('BACKUP', context, deps.jobs, jobId, detached, request.executionLocality);
  if (!detached) await warnOfBreakingChain(deps, context, jobId);
  return result;
}

/** Plans the backups of schedules. */
export function scheduledBackupPlanner(deps: BackupStatementDeps): PlanScheduledBackup {
  return async (context, backup, commit) => {
    checkFeature('BACKUP', deps.settings);
    return await planBackup(deps, await readBackup(deps, context, backup), commit);
  };
}

/** The statement with its expressions evaluated, and what can be said of them refused. */
async function readBackup(
  deps: BackupStatementDeps,
  context: StatementContext,
  { stmt, asOf, schedule }: BackupToPlan,
): Promise<BackupRequest> {
  const options = readOptions('BACKUP', stmt.options, OPTIONS);
  refuseAttachedTargets(deps.catalog.attached, stmt.targets, context.names);
  const grantees = await granteesOf(context);
  const hasSystemBackup = await hasSystemPrivilege(context.txn, grantees, 'BACKUP');
  const { destination, location } = await readForm(deps, context, stmt, options, grantees).catch(async (error: unknown) => {
    // As CockroachDB: who may not back up the targets hears of that first.
    if (isVarveError(error) && error.code === SqlState.InsufficientPrivilege) {
      const targets = resolveTargets(await deps.catalog.current(), stmt.targets, context.session.names);
      checkBackupPrivileges(targets, { grantees, hasSystemBackup });
    }
    throw error;
  });
  return {
    targets: stmt.targets,
    destination,
    location,
    asOf: asOf ?? (stmt.asOf && (await context.resolveAsOf(stmt.asOf.expr))),
    revisionHistory: await readSwitch(context, options.get('revision_history')),
    executionLocality: await readExecutionLocality(context, options.get(EXECUTION_LOCALITY), deps.kv.cluster),
    updatesMetrics: await readSwitch(context, options.get(UPDATES_METRICS)),
    strictLocality: await readStrictLocality(context, options.get(STRICT_LOCALITY), location),
    detached: await readSwitch(context, options.get('detached')),
    schedule,
    user: context.user,
    grantees,
    hasSystemBackup,
    notice: (message) => context.notice(message),
    names: context.session.names,
    signal: context.signal,
  };
}

/** 22023 without a place for any tier: then no node could write. */
async function readStrictLocality(context: StatementContext, option: Option | undefined, { uris }: LocationDetails): Promise<boolean> {
  const isStrict = await readSwitch(context, option);
  if (isStrict && uris.length === 1) {
    throw new StatementError(SqlState.InvalidParameterValue, 'STRICT STORAGE LOCALITY needs a list of locality-aware URIs', {
      hint: "name a place for each locality: INTO ('...?COCKROACH_LOCALITY=default', '...?COCKROACH_LOCALITY=region%3Dus-east')",
    });
  }
  return isStrict;
}

/** Where the backup goes, and on what. The older form reads what is there, so access is checked here. */
async function readForm(
  deps: BackupStatementDeps,
  context: StatementContext,
  { destination }: Backup,
  options: ReadonlyMap<string, Option>,
  grantees: Grantees,
): Promise<{ destination: DestinationRequest; location: LocationDetails }> {
  const incremental = options.get(INCREMENTAL_LOCATION);
  const secrets = await readEncryption(context, options);
  if (destination.type !== 'to') {
    const request = await readRequest(context, destination);
    const location = { ...(await readDestination(context, destination.uris, incremental)), ...secrets };
    await checkLocationAccess(context, urisOf(location), grantees);
    return { destination: request, location };
  }
  refuseIncrementalLocation('BACKUP', incremental);
  const to = { ...(await readDestination(context, destination.uris)), ...secrets };
  const from = (await readUris(context, destination.incrementalFrom)).map((uri) => [uri]);
  await checkLocationAccess(context, [...urisOf(to), ...from.flat()], grantees);
  const { user, session, signal } = context;
  const { location, full } = await readListedDestination(deps.storage, to, from, { user, nodeId: session.nodeId, signal });
  return { destination: full === undefined ? { type: 'new' } : { type: 'subdir', full }, location };
}

async function readRequest(
  context: StatementContext,
  destination: Exclude<Backup['destination'], { readonly type: 'to' }>,
): Promise<DestinationRequest> {
  if (destination.type === 'into') return { type: 'new' };
  if (destination.type === 'intoLatest') return { type: 'latest' };
  const text = await requireText(context, destination.subdir, 'the subdirectory of a backup');
  if (text.toLowerCase() === 'latest') return { type: 'latest' };
  const full = text.replace(/^\/+|\/+$/g, '');
  if (fullDirectoryTime(full) === undefined) throw noFullBackup(text);
  return { type: 'subdir', full };
}
