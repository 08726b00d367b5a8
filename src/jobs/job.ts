/**
 * Job: the record of a job, and what a job type implements. Types and small pure helpers.
 *
 * system.jobs is the truth: a record says what was asked (`details`, written once at planning and
 * never changed), how far it has come (`progress`), and who may work on it (`claim`). A resumer holds
 * nothing that the record does not, so that any node can go on from the last checkpoint.
 *
 * Lives elsewhere: which status follows which (jobMachine.ts), who runs it (registry.ts, jobRunner.ts),
 * where rows are (jobTable.ts).
 */
import { VarveError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { Kv, Txn } from '../kv/kv.ts';
import type { ClusterNode } from '../kv/nodeActor.ts';

import type { JobStatus, RevertOutcome } from './jobMachine.ts';

/** What goes through JSON unchanged. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [member: string]: Json | undefined };

/** A positive INT8 that is a safe integer. */
export type JobId = number;

/** An error as a record keeps it. No secrets: it is the user-facing text. */
export interface JobError {
  readonly code: string;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
}

/** Who may work on a job. Void once its node is not live in `nodeEpoch` any more. */
export interface JobClaim {
  readonly nodeId: number;
  /** The liveness epoch of the node when it claimed. */
  readonly nodeEpoch: number;
}

/** What `createdBy.type` is for jobs that a schedule started. */
export const CREATED_BY_SCHEDULE = 'crdb_schedule';

export interface JobRecord {
  readonly id: JobId;
  /** `BACKUP`, `RESTORE`, ... as SHOW JOBS prints it. */
  readonly type: string;
  /** Secrets already redacted. */
  readonly description: string;
  /** The statement, where the description is something else. */
  readonly statement?: string;
  readonly user: string;
  /** The schedule (or other thing) that made it. */
  readonly createdBy?: { readonly type: string; readonly id: number };
  /** What planning decided, as the job type defines it. Never changes. */
  readonly details: Json;

  readonly status: JobStatus;
  /** What reverting will end in, from the moment it is decided. */
  readonly revertOutcome?: RevertOutcome;
  /** True when a pause interrupted reverting: RESUME goes back to it. */
  readonly pausedWhileReverting?: boolean;
  /** What PAUSE JOB ... WITH REASON said. */
  readonly pauseReason?: string;
  /** Why it paused itself. */
  readonly pauseError?: JobError;
  readonly claim?: JobClaim;
  /** Counts claims; names written by a claimant contain it. Greater than that of any earlier claim. */
  readonly claimEpoch: number;

  readonly created: Timestamp;
  readonly started?: Timestamp;
  readonly finished?: Timestamp;
  readonly modified: Timestamp;

  /** As the job type defines it; replaced whole by each checkpoint. */
  readonly progress: Json;
  /** 0 to 1. */
  readonly fractionCompleted: number;
  readonly runningStatus?: string;
  /** Everything up to here is done: for jobs that follow time. */
  readonly highWater?: Timestamp;
  /** What the statement that waits returns, set at success. */
  readonly result?: Json;
  /** Why it failed or is being undone. */
  readonly error?: JobError;
  /** Retryable errors seen, newest last, at most EXECUTION_ERRORS_MAX. */
  readonly executionErrors: readonly string[];
  /** Failed attempts in a row since the last checkpoint that moved on. */
  readonly attempts: number;
  /** When a waiting retry is due. */
  readonly nextRun?: Timestamp;
}

// Enough to see a pattern; a job that retries for days must not grow its row without bound.
export const EXECUTION_ERRORS_MAX = 10;

/** What create() is told. */
export interface JobSpec {
  readonly type: string;
  readonly description: string;
  readonly statement?: string;
  readonly user: string;
  readonly details: Json;
  readonly progress?: Json;
  readonly createdBy?: { readonly type: string; readonly id: number };
  /** An id drawn with newJobId(), where something has to name the job before it exists. */
  readonly id?: JobId;
}

/** How a run ends well. */
export interface JobOutcome {
  /** What the waiting statement returns. */
  readonly result?: Json;
  /**
   * Writes that commit together with the final status, or not at all: publishing, releasing protection.
   * May run again after a 40001.
   */
  inFinalTxn?(txn: Txn): Promise<void>;
}

/** One job type's work. A new instance is made for each claim. */
export interface Resumer {
  /**
   * Does the job, from wherever the checkpoint says. May run any number of times, also beside a
   * claimant that was taken for dead and has not noticed: everything durable is named by claim epoch,
   * or written through `ctx`, which refuses a lost claim. Throwing a retryable error (isRetryableJobError) runs it
   * again after a backoff, any other begins the revert.
   */
  resume(ctx: JobContext): Promise<JobOutcome | undefined>;
  /** Undoes what resume() did, after a failure or a cancel. The same rules. Afterwards nothing is left. */
  onFailOrCancel(ctx: JobContext): Promise<JobOutcome | undefined>;
}

export interface JobCheckpoint {
  readonly progress?: Json;
  readonly fractionCompleted?: number;
  /** null clears it. */
  readonly runningStatus?: string | null;
  readonly highWater?: Timestamp;
}

/** A claimant's view of its job. Every write through it is conditional on the claim; a lost one is StaleClaimError. */
export interface JobContext {
  readonly jobId: JobId;
  readonly user: string;
  readonly description: string;
  readonly details: Json;
  /** As of the last checkpoint, here or by a predecessor. */
  readonly progress: Json;
  readonly fractionCompleted: number;
  /** Why it is reverted; for onFailOrCancel. */
  readonly error: JobError | undefined;
  readonly revertOutcome: RevertOutcome | undefined;
  readonly node: ClusterNode;
  readonly claimEpoch: number;
  /** Aborts when the job is to pause or cancel, or the claim is lost. Goes into every call that waits. */
  readonly signal: AbortSignal;
  readonly kv: Kv;
  /** Stores progress durably. */
  checkpoint(update: JobCheckpoint): Promise<void>;
  /** Stores the fraction when it has moved by at least a hundredth. Never steps back. */
  setFraction(fraction: number): Promise<void>;
  /** A transaction that commits only while the claim holds; `fn` may run again after a 40001. */
  txn<T>(fn: (txn: Txn) => Promise<T>): Promise<T>;
  /** Throws StaleClaimError when the claim is lost, and the signal's reason when it aborted. To be awaited just before what cannot be undone. */
  checkClaim(): Promise<void>;
  /** A named stop; the name has been registered with the job type. Pauses the job when asked to. */
  pausepoint(name: string): Promise<void>;
  /** Waits on the clock. Rejects with the signal's reason. */
  sleep(micros: number): Promise<void>;
  /** Says that it waits for something that takes long (true), or works again: it counts as idle meanwhile, as it does in sleep(). */
  markIdle(isIdle: boolean): void;
}

/** The claim has gone to another: the work ends quietly and touches nothing more. */
export class StaleClaimError extends VarveError {
  constructor(jobId: JobId, claimEpoch: number) {
    super(SqlState.ObjectInUse, `job ${jobId}: claim ${claimEpoch} is no longer held`);
  }
}

/** Says of any error that the job should try again. */
export class RetryableJobError extends VarveError {
  constructor(message: string, cause?: unknown) {
    super(SqlState.ObjectNotInPrerequisiteState, message, { cause });
  }
}

/** True for errors that another attempt may not meet: transaction conflicts, passing storage failures, and what says so. */
export function isRetryableJobError(error: unknown): boolean {
  if (error instanceof RetryableJobError) return true;
  const { code, isRetryable } = (error ?? {}) as { code?: unknown; isRetryable?: unknown };
  return isRetryable === true || code === SqlState.SerializationFailure;
}

/** An error as the record keeps it; a bug (no VarveError) keeps only its message. */
export function toJobError(error: unknown): JobError {
  if (error instanceof VarveError) {
    const { code, message, detail, hint } = error;
    return { code, message, ...(detail === undefined ? {} : { detail }), ...(hint === undefined ? {} : { hint }) };
  }
  return { code: SqlState.InternalError, message: `internal error: ${error instanceof Error ? error.message : String(error)}` };
}

/** The error to throw for a kept one. */
export function fromJobError(error: JobError): VarveError {
  return new VarveError(error.code as SqlState, error.message, { detail: error.detail, hint: error.hint });
}
