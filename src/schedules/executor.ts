/**
 * ScheduleExecutor: starts what is due. One actor a database; schedules themselves are rows.
 *
 *   E1  a due time has at most one start: the next run moves on in the transaction that creates the job
 *   E2  nothing polls: a timer stands for the earliest next run, and a commit that changes which that is arms it anew
 *   E3  what goes wrong with one schedule is written into its row, and hinders no other
 *   E4  a backup runs in its owner's name, as of the time at which it was due; where that cannot be read any more, as of now
 *
 * Lives elsewhere: what becomes of a due schedule (due.ts), of a backup that succeeded (success.ts), what is done with the
 * collection afterwards (upkeep.ts), the chart (executorMachine.ts).
 */
import { type Actor, createActor } from 'xstate';

import type { Timer } from '../base/clock.ts';
import { CorruptionError, isVarveError, StateError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { type Timestamp, timestamp } from '../base/timestamp.ts';
import type { ClusterSettings } from '../catalog/settings.ts';
import { systemTable } from '../catalog/systemRows.ts';
import { CREATED_BY_SCHEDULE, type JobId, type JobRecord } from '../jobs/job.ts';
import type { JobRegistry } from '../jobs/registry.ts';
import type { CommittedWrites, Kv, Txn } from '../kv/kv.ts';
import type { SqlEngine } from '../sql/exec/engine.ts';
import { BACKUP_JOB_TYPE, type BackupDetails, detailsFromJson } from '../backup/backupDetails.ts';
import type { PlanScheduledBackup } from '../backup/scheduledBackup.ts';

import { afterFailure, decide, type Decision, presentTime } from './due.ts';
import { DueIndex } from './dueIndex.ts';
import { executorMachine } from './executorMachine.ts';
import { Recurrence } from './recurrence.ts';
import { readSchedule, type Schedule, statementOf, writeSchedule } from './schedule.ts';
import type { ScheduleMetrics } from './scheduleMetrics.ts';

export interface ExecutorDeps {
  readonly kv: Kv;
  readonly engine: SqlEngine;
  readonly jobs: JobRegistry;
  readonly settings: ClusterSettings;
  readonly metrics: ScheduleMetrics;
  readonly planBackup: PlanScheduledBackup;
  /** What is to be done after a backup that succeeded; may reject. */
  afterSuccess(schedule: Schedule, details: BackupDetails): Promise<void>;
}

const SETTING = {
  enabled: 'jobs.scheduler.enabled',
  pace: 'jobs.scheduler.pace',
  perRound: 'jobs.scheduler.max_jobs_per_iteration',
  timeout: 'jobs.scheduler.schedule_execution.timeout',
} as const;

type Effect = 'armTimer' | 'cancelTimer' | 'runRound';

/** By actor: so one machine serves every database, and a fork builds none. */
const effectsOf = new WeakMap<object, Readonly<Record<Effect, () => void>>>();

const run =
  (effect: Effect) =>
  ({ self }: { self: object }): void =>
    effectsOf.get(self)?.[effect]();

const machine = executorMachine.provide({
  actions: { armTimer: run('armTimer'), cancelTimer: run('cancelTimer'), runRound: run('runRound') },
});

export class ScheduleExecutor {
  readonly actor: Actor<typeof machine>;
  readonly #deps: ExecutorDeps;
  readonly #due = new DueIndex();
  /** Backups that have not ended, by schedule. */
  readonly #running = new Map<number, Map<JobId, Timestamp>>();
  #unsubscribe: (() => void)[] = [];
  /** No round before this: the last one left something over. */
  #pacedUntil = 0;
  #armedFor: number | undefined;
  #isOpen = false;

  constructor(deps: ExecutorDeps) {
    this.#deps = deps;
    const { clock } = deps.kv;
    let timer: Timer | undefined;
    this.actor = createActor(machine, { id: 'scheduleExecutor' });
    effectsOf.set(this.actor, {
      armTimer: () => {
        const at = this.#wakeTime();
        this.#armedFor = at;
        if (at !== undefined) timer = clock.setTimer(Math.max(0, at - this.#now()), () => this.actor.send({ type: 'executor.due' }));
      },
      cancelTimer: () => {
        timer?.cancel();
        timer = undefined;
      },
      runRound: () => {
        void deps.kv.activity
          .during('schedules: round', () => this.#round())
          // The next round meets the same schedules again.
          .catch(() => {
            this.#countError();
            this.#pace();
          })
          .then(() => this.actor.send({ type: 'executor.done' }));
      },
    });
    this.actor.start();
  }

  /** Reads the schedules that there are, and follows their unfinished backups. After the job registry has started. */
  async start(): Promise<void> {
    const { kv, jobs, settings } = this.#deps;
    this.#isOpen = true;
    const table = systemTable('scheduled_jobs');
    this.#unsubscribe.push(kv.addCommitHook(table.span, { apply: (writes) => this.#follow(writes) }));
    this.#unsubscribe.push(kv.cluster.subscribe(() => this.#changed()));
    for (const name of Object.values(SETTING)) this.#unsubscribe.push(settings.onChange(name, () => this.#changed()));
    const reader = kv.at(kv.reading());
    for (const row of await table.scan(reader)) this.#index(row);
    for (const record of await jobs.listUnfinished(reader)) {
      if (record.type === BACKUP_JOB_TYPE && record.createdBy?.type === CREATED_BY_SCHEDULE) {
        this.#watch(record.createdBy.id, record.id, record.created);
      }
    }
    this.actor.send({ type: 'executor.start' });
  }

  close(): void {
    this.#isOpen = false;
    for (const unsubscribe of this.#unsubscribe.splice(0)) unsubscribe();
    this.actor.send({ type: 'executor.stop' });
    this.actor.stop();
  }

  /** When the oldest unfinished backup of a schedule was created; undefined when none goes on. */
  runningSince(scheduleId: number): Timestamp | undefined {
    const running = this.#running.get(scheduleId);
    return running && (Math.min(...running.values()) as Timestamp);
  }

  /** How many schedules have a next run. */
  get active(): number {
    return this.#due.size;
  }

  // ---- when -------------------------------------------------------------------------------------

  #now(): Timestamp {
    return presentTime(this.#deps.kv);
  }

  /** What the clock shows: waits are counted from there. */
  #clockTime(): Timestamp {
    return timestamp(Math.floor(this.#deps.kv.clock.nowMicros()));
  }

  #wakeTime(): number | undefined {
    const earliest = this.#due.earliest();
    const { kv, settings } = this.#deps;
    // Without a node nothing can run: what falls due meanwhile is made up for when one comes back.
    if (earliest === undefined || !settings.bool(SETTING.enabled) || kv.cluster.liveNodes().length === 0) return undefined;
    return Math.max(earliest, this.#pacedUntil);
  }

  #pace(): void {
    this.#pacedUntil = this.#now() + this.#deps.settings.number(SETTING.pace);
  }

  #changed(): void {
    if (this.#wakeTime() !== this.#armedFor) this.actor.send({ type: 'executor.changed' });
  }

  /** Inside the commit step. */
  #follow(writes: CommittedWrites): void {
    const table = systemTable('scheduled_jobs');
    writes.keys.forEach((key, i) => {
      const value = writes.values[i] ?? null;
      if (value === null) this.#due.delete(table.decodeKey(key)['schedule_id'] as number);
      else this.#index(table.decode(key, value));
    });
    this.#changed();
  }

  /** What cannot be read is looked at when it is due, once. */
  #index(row: Readonly<Record<string, unknown>>): void {
    const id = row['schedule_id'] as number;
    const nextRun = row['next_run'];
    if (typeof nextRun !== 'number') this.#due.delete(id);
    else {
      const args = row['execution_args'] as { backup_type?: unknown } | null;
      this.#due.set({ id, nextRun: nextRun as Timestamp, isFull: args?.backup_type !== 1 });
    }
  }

  // ---- a round ----------------------------------------------------------------------------------

  async #round(): Promise<void> {
    const { metrics, settings } = this.#deps;
    const limit = settings.number(SETTING.perRound);
    const due = this.#due.due(this.#now(), limit);
    metrics.roundStarted.value = 0;
    metrics.roundSkipped.value = 0;
    metrics.roundWaiting.value = 0;
    for (const { id } of due) {
      if (!this.#isOpen) return;
      await this.#runDue(id);
    }
    if (limit > 0 && due.length === limit) this.#pace();
  }

  /** E3. */
  async #runDue(id: number): Promise<void> {
    const { kv, metrics } = this.#deps;
    let schedule: Schedule | undefined;
    try {
      schedule = await readSchedule(kv.at(kv.reading()), id);
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      metrics.malformed.value++;
      this.#due.delete(id);
      return;
    }
    if (schedule?.nextRun === undefined || schedule.nextRun > this.#now()) return;
    if (schedule.details.cluster_id !== kv.clusterId) {
      await this.#pauseForeign(schedule);
      return;
    }
    try {
      const recurrence = new Recurrence(schedule.recurrence);
      const decision = decide(schedule, recurrence, this.#clockTime(), this.#running.get(id)?.size ?? 0);
      if (decision.type === 'start') await this.#start(schedule, decision);
      else await this.#postpone(schedule, decision);
    } catch (error) {
      if (!this.#isOpen) return;
      metrics.errors.value++;
      metrics.failed.add(1);
      await this.#noteFailure(id, `failed to create job for schedule ${id}: err=${messageOf(error)}`, false);
    }
  }

  async #postpone(seen: Schedule, { type, schedule }: Decision): Promise<void> {
    const { metrics } = this.#deps;
    (type === 'skip' ? metrics.roundSkipped : metrics.roundWaiting).value++;
    await this.#update((txn) => this.#replace(txn, seen, schedule));
    this.#countMissed(seen, schedule);
  }

  async #start(seen: Schedule, decision: Decision & { type: 'start' }): Promise<void> {
    const { kv, engine, metrics, settings } = this.#deps;
    const stmt = statementOf(seen);
    const timeout = settings.number(SETTING.timeout);
    const controller = new AbortController();
    const timer = timeout === 0 ? undefined : kv.clock.setTimer(timeout, () => controller.abort(tooSlow(seen.id)));
    const plan = (asOf: Timestamp | undefined) =>
      engine.runAs(
        seen.owner,
        (context) =>
          this.#deps.planBackup(context, { stmt, asOf, schedule: { id: seen.id, place: seen.args.place ?? 0 } }, (write) =>
            this.#update(async (txn) => {
              await this.#replace(txn, seen, decision.schedule);
              await write(txn);
            }),
          ),
        controller.signal,
      );
    try {
      const jobId = await plan(decision.asOf).catch((error: unknown) => {
        // The due time may be out of reach: after a long outage, or when a newer backup of the chain has come in between.
        if (!isOutOfReach(error) || decision.asOf >= this.#now()) throw error;
        return plan(undefined);
      });
      metrics.started.add(1);
      metrics.roundStarted.value++;
      this.#countMissed(seen, decision.schedule);
      this.#watch(seen.id, jobId, this.#now());
    } catch (error) {
      if (!(error instanceof ChangedMeanwhileError)) throw error;
    } finally {
      timer?.cancel();
    }
  }

  /** Writes a schedule that is still as it was seen; ends the transaction when it is not: somebody else decided (E1). */
  async #replace(txn: Txn, seen: Schedule, after: Schedule): Promise<void> {
    const current = await readSchedule(txn, seen.id);
    if (JSON.stringify(current) !== JSON.stringify(seen)) throw new ChangedMeanwhileError();
    await writeSchedule(txn, after);
  }

  async #pauseForeign(seen: Schedule): Promise<void> {
    const { clusterId } = this.#deps.kv;
    const status = 'paused: it was made on another cluster; RESUME SCHEDULE lets it run on this one';
    await this.#update((txn) =>
      this.#replace(txn, seen, {
        ...seen,
        nextRun: undefined,
        state: { ...seen.state, status },
        details: { ...seen.details, cluster_id: clusterId },
      }),
    ).catch(ignoreChanged);
  }

  #countMissed(before: Schedule, after: Schedule): void {
    this.#deps.metrics.missed.add(Math.max(0, (after.state.missed ?? 0) - (before.state.missed ?? 0)));
  }

  // ---- afterwards -------------------------------------------------------------------------------

  #watch(scheduleId: number, jobId: JobId, since: Timestamp): void {
    const { kv, jobs } = this.#deps;
    const running = this.#running.get(scheduleId) ?? new Map<JobId, Timestamp>();
    this.#running.set(scheduleId, running.set(jobId, since));
    const ended = () => {
      running.delete(jobId);
      if (running.size === 0) this.#running.delete(scheduleId);
    };
    jobs.wait(jobId, { throughPauses: true }).then(
      (record) => {
        ended();
        if (this.#isOpen)
          void kv.activity.during(`schedule ${scheduleId}: after a backup`, () => this.#ended(scheduleId, record)).catch(this.#countError);
      },
      // The database closes, or somebody has deleted the row.
      ended,
    );
  }

  /** The row takes no word of what went wrong: it is no schedule any more, or the database closes. The job's own row has it. */
  readonly #countError = (): void => {
    if (this.#isOpen) this.#deps.metrics.errors.value++;
  };

  async #ended(scheduleId: number, record: JobRecord): Promise<void> {
    const { kv, metrics } = this.#deps;
    if (record.status !== 'succeeded') {
      metrics.failed.add(1);
      const why = record.error?.message ?? 'it was canceled';
      await this.#noteFailure(scheduleId, `backup job ${record.id} failed with err=${why}`, true);
      return;
    }
    metrics.succeeded.add(1);
    const schedule = await readSchedule(kv.at(kv.reading()), scheduleId);
    if (schedule === undefined) return;
    const details = detailsFromJson(record.details);
    if (schedule.args.updates_last_backup_metric) metrics.lastCompletedTime.value = Math.floor(details.endTime / 1_000_000);
    try {
      await this.#deps.afterSuccess(schedule, details);
    } catch (error) {
      if (!this.#isOpen) return;
      metrics.errors.value++;
      await this.#noteStatus(scheduleId, `backup job ${record.id} succeeded, but ${messageOf(error)}`);
    }
  }

  async #noteFailure(id: number, message: string, started: boolean): Promise<void> {
    let seen: Schedule | undefined;
    let after: Schedule | undefined;
    await this.#change(id, (schedule) => {
      const recurrence = recurrenceOf(schedule);
      seen = schedule;
      // Without a time at which it would come again there is nothing to wait for.
      if (recurrence === undefined)
        after = { ...schedule, nextRun: undefined, state: { ...schedule.state, status: `schedule paused: ${message}` } };
      else after = afterFailure(schedule, recurrence, this.#clockTime(), message, started);
      return after;
    });
    if (seen !== undefined && after !== undefined) this.#countMissed(seen, after);
  }

  async #noteStatus(id: number, status: string): Promise<void> {
    await this.#change(id, (schedule) => ({ ...schedule, state: { ...schedule.state, status } }));
  }

  async #change(id: number, change: (schedule: Schedule) => Schedule): Promise<void> {
    await this.#update(async (txn) => {
      const schedule = await readSchedule(txn, id);
      if (schedule) await writeSchedule(txn, change(schedule));
    });
  }

  #update<T>(fn: (txn: Txn) => Promise<T>): Promise<T> {
    return this.#deps.kv.run(fn, { name: 'schedule', isEffect: true });
  }
}

/** The row is not as it was seen: paused, altered or dropped meanwhile. */
class ChangedMeanwhileError extends Error {}

function ignoreChanged(error: unknown): void {
  if (!(error instanceof ChangedMeanwhileError)) throw error;
}

/** Undefined when the row was changed by hand into something that is no crontab. */
function recurrenceOf({ recurrence }: Schedule): Recurrence | undefined {
  try {
    return new Recurrence(recurrence);
  } catch (error) {
    if (!isVarveError(error)) throw error;
    return undefined;
  }
}

function isOutOfReach(error: unknown): boolean {
  return isVarveError(error) && (error.code === SqlState.SnapshotTooOld || error.code === SqlState.InvalidParameterValue);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function tooSlow(id: number): StateError {
  return new StateError(SqlState.QueryCanceled, `schedule ${id} could not be started within ${SETTING.timeout}`);
}
