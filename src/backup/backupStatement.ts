/**
 * BACKUP: the statement. Evaluates what the user wrote, refuses what does not go, has the backup
 * planned, and waits for the job unless it is detached.
 *
 * The job outlives the statement: a client that goes away, or cancels, leaves it running.
 */
import { StateError, StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Datum } from '../catalog/datum.ts';
import type { ClusterSettings } from '../catalog/settings.ts';
import { utf8Encode } from '../base/bytes.ts';
import { Type } from '../catalog/type.ts';
import { requireSucceeded } from '../jobs/registry.ts';
import type { HookResult, ResultColumn, StatementContext, StatementHook } from '../sql/exec/statement.ts';
import type { Backup } from '../sql/parse/ast.ts';

import type { DestinationRequest } from './backupDestination.ts';
import type { BackupResult } from './backupJob.ts';
import type { BackupPlanningDeps, BackupRequest } from './backupPlanning.ts';
import { planBackup } from './backupPlanning.ts';
import { parseSubdirectory } from './collection.ts';
import { checkLocationAccess, granteesOf, looksOn, readOptions, readSwitch, requireText, requireUri } from './statementValues.ts';

export interface BackupStatementDeps extends BackupPlanningDeps {
  readonly settings: ClusterSettings;
}

const OPTIONS = ['revision_history', 'detached'];

const DETACHED_COLUMNS: readonly ResultColumn[] = [{ name: 'job_id', type: Type.Int8 }];

/** The row of a finished backup or restore. */
export const JOB_RESULT_COLUMNS: readonly ResultColumn[] = [
  { name: 'job_id', type: Type.Int8 },
  { name: 'status', type: Type.String },
  { name: 'fraction_completed', type: Type.Float8 },
  { name: 'rows', type: Type.Int8 },
  { name: 'index_entries', type: Type.Int8 },
  { name: 'bytes', type: Type.Int8 },
];

export function backupHook(deps: BackupStatementDeps): StatementHook<Backup> {
  return {
    columns: (stmt) => (looksOn(stmt.options, 'detached') ? DETACHED_COLUMNS : JOB_RESULT_COLUMNS),
    run: (context, stmt) => runBackup(deps, context, stmt),
    ownTransaction: true,
  };
}

async function runBackup(deps: BackupStatementDeps, context: StatementContext, stmt: Backup): Promise<HookResult> {
  if (!deps.settings.bool('feature.backup.enabled')) {
    throw new StateError(SqlState.ObjectNotInPrerequisiteState, 'feature BACKUP was disabled by the database administrator', {
      hint: 'SET CLUSTER SETTING feature.backup.enabled = true allows it',
    });
  }
  const options = readOptions('BACKUP', stmt.options, OPTIONS);
  const detached = await readSwitch(context, options.get('detached'));
  if (context.inExplicitTransaction && !detached) {
    throw new StatementError(
      SqlState.ActiveSqlTransaction,
      'BACKUP cannot be used inside a multi-statement transaction without DETACHED option',
      {
        hint: 'add WITH detached: the job starts when the transaction commits',
      },
    );
  }
  const grantees = await granteesOf(context);
  const { destination, uri } = await readDestination(context, stmt);
  checkLocationAccess(uri, grantees);
  const request: BackupRequest = {
    targets: stmt.targets,
    destination,
    uri,
    asOf: stmt.asOf && (await context.resolveAsOf(stmt.asOf.expr)),
    revisionHistory: await readSwitch(context, options.get('revision_history')),
    detached,
    user: context.user,
    grantees,
    names: context.session.names,
    signal: context.signal,
  };
  const jobId = await planBackup(deps, request, async (write) => {
    if (context.inExplicitTransaction) await write(context.txn);
    else await deps.kv.run(write, { name: 'create backup job' });
  });
  if (detached) return { tag: 'BACKUP', rows: [[jobId]], rowCount: 1 };
  const record = requireSucceeded(await deps.jobs.wait(jobId, { signal: context.signal }));
  return { tag: 'BACKUP', rows: [jobResultRow(jobId, record.result as BackupResult)], rowCount: 1 };
}

/** In the order of JOB_RESULT_COLUMNS. */
export function jobResultRow(jobId: number, result: { rows: number; indexEntries: number; dataBytes: number }): Datum[] {
  return [jobId, utf8Encode('succeeded'), 1, result.rows, result.indexEntries, result.dataBytes];
}

async function readDestination(context: StatementContext, stmt: Backup): Promise<{ destination: DestinationRequest; uri: string }> {
  const { destination } = stmt;
  switch (destination.type) {
    case 'into':
      return { destination: { type: 'new' }, uri: await requireUri(context, destination.uris) };
    case 'intoLatest':
      return { destination: { type: 'latest' }, uri: await requireUri(context, destination.uris) };
    case 'intoSubdir': {
      const full = parseSubdirectory(await requireText(context, destination.subdir, 'the subdirectory of a backup'));
      return { destination: { type: 'subdir', full }, uri: await requireUri(context, destination.uris) };
    }
    case 'to':
      throw new StatementError(SqlState.FeatureNotSupported, 'BACKUP ... TO is not supported: it was removed from CockroachDB in v25.1', {
        hint: 'use BACKUP ... INTO for a new full backup, BACKUP ... INTO LATEST IN for an incremental one',
      });
  }
}
