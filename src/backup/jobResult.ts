/**
 * What BACKUP and RESTORE have in common as statements that start a job: when they may, and the row
 * they return, at once when detached, else when the job has succeeded.
 */
import { utf8Encode } from '../base/bytes.ts';
import { isVarveError, StateError, StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { isNewerForm } from '../catalog/newerForm.ts';
import type { ClusterSettings } from '../catalog/settings.ts';
import { Type } from '../catalog/type.ts';
import type { JobId, JobRecord } from '../jobs/job.ts';
import { type JobRegistry, requireSucceeded } from '../jobs/registry.ts';
import type { HookResult, ResultColumn, StatementContext } from '../sql/exec/statement.ts';

import { mayRunOn } from './executionLocality.ts';

type JobStatement = 'BACKUP' | 'RESTORE' | 'IMPORT' | 'COMPACT BACKUP';

const DETACHED_COLUMNS: readonly ResultColumn[] = [{ name: 'job_id', type: Type.Int8 }];

/** The row of a finished backup or restore. */
const RESULT_COLUMNS: readonly ResultColumn[] = [
  ...DETACHED_COLUMNS,
  { name: 'status', type: Type.String },
  { name: 'fraction_completed', type: Type.Float8 },
  { name: 'rows', type: Type.Int8 },
  { name: 'index_entries', type: Type.Int8 },
  { name: 'bytes', type: Type.Int8 },
];

/** What a job of either type leaves as its result. */
interface CopiedCounts {
  readonly rows: number;
  readonly indexEntries: number;
  readonly dataBytes: number;
}

export function jobColumns(isDetached: boolean): readonly ResultColumn[] {
  return isDetached ? DETACHED_COLUMNS : RESULT_COLUMNS;
}

/** Throws 55000 when the statement is switched off in the cluster. */
export function checkFeature(statement: JobStatement, settings: ClusterSettings, name: string = statement): void {
  const setting = `feature.${statement.toLowerCase()}.enabled`;
  if (settings.bool(setting)) return;
  throw new StateError(SqlState.ObjectNotInPrerequisiteState, `feature ${name} was disabled by the database administrator`, {
    hint: `SET CLUSTER SETTING ${setting} = true allows it`,
  });
}

/**
 * Throws 25001 in an explicit transaction, which a job that is waited for could never see committed. Beside other statements of
 * one text a job ends what came before it; 25.1 refuses that, too.
 */
export function checkTransaction(statement: JobStatement, context: StatementContext, isDetached: boolean): void {
  const { engine, session, inExplicitTransaction } = context;
  const isOneOfMany = session.textStatements > 1 && isNewerForm(engine.settings);
  if (!(inExplicitTransaction || isOneOfMany) || isDetached) return;
  throw new StatementError(
    SqlState.ActiveSqlTransaction,
    `${statement} cannot be used inside a multi-statement transaction without DETACHED option`,
    { hint: 'add WITH detached: the job starts when the transaction commits' },
  );
}

/**
 * The statement's row; waits for the job unless detached, and throws why it failed. 55000 when the job may not run
 * on the session's node (EXECUTION LOCALITY): it goes on elsewhere.
 */
export async function jobResult(
  statement: JobStatement,
  context: StatementContext,
  jobs: JobRegistry,
  jobId: JobId,
  isDetached: boolean,
  executionLocality = '',
): Promise<HookResult> {
  if (isDetached) return { tag: statement, rows: [[jobId]], rowCount: 1 };
  const gateway = executionLocality === '' ? undefined : context.engine.kv.cluster.nodes[context.session.nodeId - 1];
  if (gateway !== undefined && !mayRunOn(executionLocality, gateway)) {
    const { claim } = await jobs.wait(jobId, { signal: context.signal, untilClaimed: true });
    throw new StateError(
      SqlState.ObjectNotInPrerequisiteState,
      `execution of job ${jobId} relocated to ${claim?.nodeId ?? 'another node'}`,
      {
        detail: `node ${gateway.id}, to which this session is connected, does not match ${executionLocality}; the job goes on`,
        hint: `SHOW JOB WHEN COMPLETE ${jobId} waits for it; WITH detached starts such a job without an error`,
      },
    );
  }
  const record = requireSucceeded(await waitFor(context, jobs, jobId));
  const { rows, indexEntries, dataBytes } = record.result as unknown as CopiedCounts;
  return { tag: statement, rows: [[jobId, utf8Encode('succeeded'), 1, rows, indexEntries, dataBytes]], rowCount: 1 };
}

/** As wait(); a statement that ends before its job says that the job goes on. */
async function waitFor(context: StatementContext, jobs: JobRegistry, jobId: JobId): Promise<JobRecord> {
  const { signal } = context;
  try {
    return await jobs.wait(jobId, { signal });
  } catch (error) {
    if (!signal.aborted || !isVarveError(error)) throw error;
    throw new StateError(error.code, error.message, {
      detail: `job ${jobId} goes on in the background`,
      hint: `SHOW JOB ${jobId} shows how far it is, CANCEL JOB ${jobId} ends it`,
      cause: error,
    });
  }
}
