/**
 * JobRunner: one claimed job at work on its node. The JobContext that the resumer sees.
 *
 *   R1  every write to the row, and every transaction through ctx.txn, commits only while the claim
 *       holds: the row's claim epoch is this one, and the node lives in the epoch it claimed in
 *   R2  a pause or cancel aborts the signal, which ends every wait, for a lock too; the row moves on
 *       only when the work has stopped
 *   R3  a runner that lost its claim writes nothing more and ends
 *
 * What an error means: a pausepoint or a bug (XX000) pauses the job with its state kept; a retryable
 * error waits and tries again; any other reverts, and while reverting ends as revert-failed.
 */
import { sleep } from '../base/clock.ts';
import { StateError, VarveError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { type Timestamp, timestamp } from '../base/timestamp.ts';
import type { Kv, RunOptions, Txn } from '../kv/kv.ts';
import type { ClusterNode } from '../kv/nodeActor.ts';

import {
  EXECUTION_ERRORS_MAX,
  isRetryableJobError,
  type JobCheckpoint,
  type JobContext,
  type JobError,
  type JobId,
  type JobOutcome,
  type JobRecord,
  type Json,
  type Resumer,
  StaleClaimError,
  toJobError,
} from './job.ts';
import { createJobActor, followRow, type JobActor } from './jobActor.ts';
import type { JobEvent, RevertOutcome } from './jobMachine.ts';
import type { JobTypeCounts, RunCounts } from './jobMetrics.ts';
import type { JobTable } from './jobTable.ts';
import { PausepointError, type Pausepoints } from './pausepoints.ts';
import { recordAfter } from './transitions.ts';

/** How a job type takes failures. */
export interface RetryLimits {
  /** Failed attempts in a row, without a checkpoint between them, before `whenExhausted` applies. */
  readonly attemptsMax: number;
  readonly whenExhausted: 'fail' | 'pause';
  /** Errors for which the job pauses itself, since somebody has to make room first: it goes on after RESUME. Default: none. */
  readonly pausesOn?: ((error: JobError, details: Json) => boolean) | undefined;
}

export interface RunnerEnvironment {
  readonly kv: Kv;
  readonly table: JobTable;
  /** Stores a record in place of another, and tells of a new status. */
  write(txn: Txn, before: JobRecord, next: JobRecord): Promise<void>;
  /** Where the ends of a type's runs are counted. */
  countsOf(type: string): JobTypeCounts | undefined;
  readonly pausepoints: Pausepoints;
  /** Microseconds to wait after this many failed attempts in a row. */
  retryDelayMicros(attempts: number): number;
  /** Whether somebody waits for a job to end. */
  isAwaited(id: JobId): boolean;
}

/** The reason of the signal when the user asked for a stop. */
export class JobStopError extends VarveError {
  constructor(jobId: JobId, what: string) {
    super(SqlState.QueryCanceled, `job ${jobId}: ${what}`);
  }
}

export class JobRunner implements JobContext {
  readonly node: ClusterNode;
  readonly claimEpoch: number;
  readonly actor: JobActor;
  readonly #environment: RunnerEnvironment;
  readonly #resumer: Resumer;
  readonly #limits: RetryLimits;
  readonly #nodeEpoch: number;
  #record: JobRecord;
  #controller = new AbortController();
  #isLost = false;
  #isWorking = false;
  #isIdle = false;

  /** `record` as it was committed with this claim. */
  constructor(
    environment: RunnerEnvironment,
    record: JobRecord,
    node: ClusterNode,
    nodeEpoch: number,
    resumer: Resumer,
    limits: RetryLimits,
  ) {
    this.#environment = environment;
    this.#record = record;
    this.node = node;
    this.#nodeEpoch = nodeEpoch;
    this.claimEpoch = record.claimEpoch;
    this.#resumer = resumer;
    this.#limits = limits;
    this.actor = createJobActor(record.id, {
      status: record.status,
      revertOutcome: record.revertOutcome,
      pausedWhileReverting: record.pausedWhileReverting ?? false,
    });
  }

  get jobId(): JobId {
    return this.#record.id;
  }
  get type(): string {
    return this.#record.type;
  }
  get user(): string {
    return this.#record.user;
  }
  get description(): string {
    return this.#record.description;
  }
  get details(): Json {
    return this.#record.details;
  }
  get progress(): Json {
    return this.#record.progress;
  }
  get fractionCompleted(): number {
    return this.#record.fractionCompleted;
  }
  get error(): JobError | undefined {
    return this.#record.error;
  }
  get revertOutcome(): RevertOutcome | undefined {
    return this.#record.revertOutcome;
  }
  get signal(): AbortSignal {
    return this.#controller.signal;
  }
  /** In resume() or onFailOrCancel(), not between attempts. */
  get isWorking(): boolean {
    return this.#isWorking;
  }
  get isIdle(): boolean {
    return this.#isIdle;
  }
  get kv(): Kv {
    return this.#environment.kv;
  }

  /** Works until the job is paused, terminal, or claimed by another. Never rejects, unless Varve has a bug in here. */
  async run(): Promise<void> {
    try {
      for (;;) {
        // A stop that was asked for is answered; what comes next has a signal of its own.
        if (this.#controller.signal.aborted && !this.#isLost) this.#controller = new AbortController();
        switch (this.#record.status) {
          case 'running':
            await this.#attempt({ type: 'job.complete' }, () => this.#resumer.resume(this));
            break;
          case 'reverting':
            await this.#attempt({ type: 'job.reverted' }, () => this.#resumer.onFailOrCancel(this));
            break;
          case 'retry-running':
          case 'retry-reverting':
            await this.#waitForRetry();
            break;
          default:
            return;
        }
      }
    } catch (error) {
      if (!(error instanceof StaleClaimError)) throw error;
    } finally {
      this.actor.stop();
    }
  }

  /** A newer row, written by someone else: a request to stop ends the work. */
  notice(record: JobRecord): void {
    if (record.claimEpoch !== this.claimEpoch) this.lose();
    else if (record.status === 'pause-requested' || record.status === 'cancel-requested') {
      this.#controller.abort(new JobStopError(this.jobId, record.status));
    }
  }

  /** The claim is void: the node stopped, or another has claimed the job. */
  lose(): void {
    this.#isLost = true;
    this.#controller.abort(this.#stale());
  }

  async checkpoint(update: JobCheckpoint): Promise<void> {
    await this.#update(async (record) => {
      const { progress = record.progress, fractionCompleted = record.fractionCompleted, highWater = record.highWater } = update;
      const runningStatus = update.runningStatus === undefined ? record.runningStatus : (update.runningStatus ?? undefined);
      return {
        ...record,
        progress,
        runningStatus,
        highWater,
        fractionCompleted: Math.min(1, Math.max(record.fractionCompleted, fractionCompleted)),
        modified: this.#now(),
        // Progress was made, so the attempts before it do not count against the next failure.
        attempts: update.progress === undefined ? record.attempts : 0,
      };
    });
  }

  async setFraction(fraction: number): Promise<void> {
    if (fraction >= this.#record.fractionCompleted + FRACTION_STEP) await this.checkpoint({ fractionCompleted: fraction });
  }

  async txn<T>(fn: (txn: Txn) => Promise<T>): Promise<T> {
    this.signal.throwIfAborted();
    return await this.#environment.kv.run(async (txn) => {
      await this.#readClaimed(txn);
      return await fn(txn);
    }, this.#untilStopped());
  }

  async checkClaim(): Promise<void> {
    this.signal.throwIfAborted();
    await this.#environment.kv.run((txn) => this.#readClaimed(txn), { readOnly: true, ...AS_EFFECT });
    this.signal.throwIfAborted();
  }

  async pausepoint(name: string): Promise<void> {
    await this.#environment.pausepoints.reach(name, this);
  }

  async sleep(micros: number): Promise<void> {
    const { activity, clock } = this.#environment.kv;
    this.#isIdle = true;
    try {
      // Who waits for the job waits for this, too: the process must not end under it.
      await activity.suspend(sleep(clock, micros, this.signal, { holdsProcess: this.#environment.isAwaited(this.jobId) }));
    } finally {
      this.#isIdle = false;
    }
  }

  markIdle(isIdle: boolean): void {
    this.#isIdle = isIdle;
  }

  async #attempt(done: JobEvent, work: () => Promise<JobOutcome | undefined>): Promise<void> {
    const counts = this.#counts();
    let outcome: JobOutcome | undefined;
    this.#isWorking = true;
    this.#isIdle = false;
    try {
      outcome = await work();
      const isDone = await this.#step(done, outcome?.result === undefined ? {} : { result: outcome.result }, outcome);
      if (isDone) counts?.completed.add();
    } catch (error) {
      await this.#onError(error);
    } finally {
      this.#isWorking = false;
    }
  }

  /** Where the end of the present run counts. */
  #counts(): RunCounts | undefined {
    return this.#environment.countsOf(this.type)?.[this.#record.status === 'reverting' ? 'revert' : 'resume'];
  }

  async #onError(error: unknown): Promise<void> {
    if (this.#isLost || error instanceof StaleClaimError) throw this.#stale();
    const kept = toJobError(error);
    const counts = this.#counts();
    if (error instanceof PausepointError || (kept.code === SqlState.InternalError && !this.signal.aborted)) {
      await this.#step({ type: 'job.pauseSelf' }, { pauseError: kept });
    } else if (this.#record.status === 'running' && this.#limits.pausesOn?.(kept, this.#record.details)) {
      await this.#step({ type: 'job.pauseSelf' }, { pauseError: kept, pauseReason: kept.message });
    } else if (!isRetryableJobError(error)) {
      const isReverting = this.#record.status === 'reverting';
      // What made the job fail stays its error; why the revert failed stands beside it.
      const changes = isReverting && this.#record.error ? { executionErrors: this.#withExecutionError(kept) } : { error: kept };
      if (await this.#step({ type: 'job.fail' }, { attempts: 0, ...changes })) counts?.failed.add();
    } else {
      await this.#retryOrGiveUp(kept);
    }
  }

  async #retryOrGiveUp(kept: JobError): Promise<void> {
    const attempts = this.#record.attempts + 1;
    const executionErrors = this.#withExecutionError(kept);
    const counts = this.#counts();
    if (attempts < this.#limits.attemptsMax) {
      // The clock's time, not the HLC's: the wait is a timer's.
      const nextRun = timestamp(Math.floor(this.kv.clock.nowMicros()) + this.#environment.retryDelayMicros(attempts));
      if (await this.#step({ type: 'job.retry' }, { attempts, executionErrors, nextRun })) counts?.retried.add();
      return;
    }
    const exhausted: JobError = { ...kept, detail: `gave up after ${attempts} attempts` };
    if (this.#limits.whenExhausted === 'pause') await this.#step({ type: 'job.pauseSelf' }, { executionErrors, pauseError: exhausted });
    else {
      const error = this.#record.error ?? exhausted;
      if (await this.#step({ type: 'job.fail' }, { attempts: 0, executionErrors, error })) counts?.failed.add();
    }
  }

  #withExecutionError(kept: JobError): readonly string[] {
    return [...this.#record.executionErrors, kept.message].slice(-EXECUTION_ERRORS_MAX);
  }

  /** A retry's wait; ends early when the job is to stop. */
  async #waitForRetry(): Promise<void> {
    try {
      await this.sleep(Math.max(0, (this.#record.nextRun ?? 0) - this.#environment.kv.clock.nowMicros()));
    } catch (error) {
      if (this.#isLost || !(error instanceof JobStopError)) throw this.#isLost ? this.#stale() : error;
    }
    await this.#step({ type: 'job.retryDue' }, {});
  }

  /** Stores an event and its changes; a request to stop that came first is answered instead: then false. */
  async #step(event: JobEvent, changes: Partial<JobRecord>, outcome?: JobOutcome): Promise<boolean> {
    let stored: JobEvent = event;
    let requested: JobEvent | undefined;
    await this.#update(async (record, txn) => {
      requested = requestOf(record);
      stored = requested ? { type: 'job.acknowledge' } : event;
      if (!requested) await outcome?.inFinalTxn?.(txn);
      const next = recordAfter(record, stored, this.#now(), requested ? {} : changes);
      if (!next)
        throw new StateError(SqlState.InternalError, `internal error: ${stored.type} for job ${record.id} with status ${record.status}`);
      return next;
      // Nothing of the row itself is waited for: only what the job does in its last transaction.
    }, outcome?.inFinalTxn && this.#untilStopped());
    if (requested && this.actor.getSnapshot().can(requested)) this.actor.send(requested);
    followRow(this.actor, stored, this.#record.status);
    return requested === undefined;
  }

  async #update(change: (record: JobRecord, txn: Txn) => Promise<JobRecord>, options: RunOptions = AS_EFFECT): Promise<void> {
    this.#record = await this.#environment.kv.run(async (txn) => {
      const before = await this.#readClaimed(txn);
      const next = await change(before, txn);
      await this.#environment.write(txn, before, next);
      return next;
    }, options);
  }

  /** For transactions that may wait for a lock: a request to stop ends the wait. */
  #untilStopped(): RunOptions {
    return { ...AS_EFFECT, signal: this.signal };
  }

  /** The row, read in order to write it. Throws StaleClaimError, now or in the commit step (R1). */
  async #readClaimed(txn: Txn): Promise<JobRecord> {
    const record = await this.#environment.table.read(txn, this.jobId, { validated: true });
    if (!record?.claim || record.claimEpoch !== this.claimEpoch || !this.#isNodeLive()) throw this.#stale();
    txn.beforeCommit(() => {
      if (!this.#isNodeLive()) throw this.#stale();
    });
    return record;
  }

  #isNodeLive(): boolean {
    return this.#environment.kv.cluster.isLiveIn(this.node.id, this.#nodeEpoch);
  }

  #stale(): StaleClaimError {
    return new StaleClaimError(this.jobId, this.claimEpoch);
  }

  #now(): Timestamp {
    return this.#environment.kv.reading();
  }
}

// A row version for every hundredth is what a progress bar can show.
const FRACTION_STEP = 0.01;

/** A job is an effect of the Activity: while it waits for a client's lock, time may pass. */
const AS_EFFECT = { isEffect: true } as const;

/** The request that a row waits to have answered. */
function requestOf(record: JobRecord): JobEvent | undefined {
  if (record.status === 'pause-requested') return { type: 'job.pause' };
  return record.status === 'cancel-requested' ? { type: 'job.cancel' } : undefined;
}
