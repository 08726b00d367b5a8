/**
 * BACKUP: the statement. Evaluates what the user wrote, refuses what does not go, has the backup
 * planned, and waits for the job unless it is detached.
 *
 * The job outlives the statement: a client that goes away, or cancels, leaves it running.
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { hasSystemPrivilege } from '../catalog/globalPrivileges.ts';
import type { ClusterSettings } from '../catalog/settings.ts';
import type { HookResult, StatementContext, StatementHook } from '../sql/exec/statement.ts';
import type { Backup, Option } from '../sql/parse/ast.ts';

import type { DestinationRequest } from './backupDestination.ts';
import type { BackupPlanningDeps, BackupRequest } from './backupPlanning.ts';
import { planBackup } from './backupPlanning.ts';
import { warnOfBreakingChain } from './chainNotice.ts';
import { parseSubdirectory } from './collection.ts';
import { EXECUTION_LOCALITY, readExecutionLocality } from './executionLocality.ts';
import { checkFeature, checkTransaction, jobColumns, jobResult } from './jobResult.ts';
import type { LocationDetails } from './locationDetails.ts';
import { urisOf } from './locationDetails.ts';
import { INCREMENTAL_LOCATION, readDestination } from './readLocation.ts';
import { checkLocationAccess, granteesOf, looksOn, readOptions, readSwitch, requireText } from './statementValues.ts';

const STRICT_LOCALITY = 'strict storage locality';

export interface BackupStatementDeps extends BackupPlanningDeps {
  readonly settings: ClusterSettings;
}

const OPTIONS = ['revision_history', 'detached', INCREMENTAL_LOCATION, EXECUTION_LOCALITY, STRICT_LOCALITY];

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
  const grantees = await granteesOf(context);
  const destination = await readForm(context, stmt);
  const location = await readDestination(context, stmt.destination.uris, options.get(INCREMENTAL_LOCATION));
  await checkLocationAccess(context, urisOf(location), grantees);
  const request: BackupRequest = {
    targets: stmt.targets,
    destination,
    location,
    asOf: stmt.asOf && (await context.resolveAsOf(stmt.asOf.expr)),
    revisionHistory: await readSwitch(context, options.get('revision_history')),
    executionLocality: await readExecutionLocality(context, options.get(EXECUTION_LOCALITY), deps.kv.cluster),
    strictLocality: await readStrictLocality(context, options.get(STRICT_LOCALITY), location),
    detached,
    user: context.user,
    grantees,
    hasSystemBackup: await hasSystemPrivilege(context.txn, grantees, 'BACKUP'),
    notice: (message) => context.notice(message),
    names: context.session.names,
    signal: context.signal,
  };
  const jobId = await planBackup(deps, request, async (write) => {
    if (context.inExplicitTransaction) await write(context.txn);
    else await deps.kv.run(write, { name: 'create backup job' });
  });
  const result = await jobResult('BACKUP', context, deps.jobs, jobId, detached, request.executionLocality);
  if (!detached) await warnOfBreakingChain(deps, context, jobId);
  return result;
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

async function readForm(context: StatementContext, stmt: Backup): Promise<DestinationRequest> {
  const { destination } = stmt;
  switch (destination.type) {
    case 'into':
      return { type: 'new' };
    case 'intoLatest':
      return { type: 'latest' };
    case 'intoSubdir': {
      const full = parseSubdirectory(await requireText(context, destination.subdir, 'the subdirectory of a backup'));
      return { type: 'subdir', full };
    }
    case 'to':
      throw new StatementError(SqlState.FeatureNotSupported, 'BACKUP ... TO is not supported: it was removed from CockroachDB in v25.1', {
        hint: 'use BACKUP ... INTO for a new full backup, BACKUP ... INTO LATEST IN for an incremental one',
      });
  }
}
