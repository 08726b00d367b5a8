/**
 * Simulate plan: runs a plan to its end and gathers what came of it.
 *
 * Every fact is the engine's own: jobs and their errors, schedules' states, thresholds and protections.
 * Only sizes are scaled, from the sample to the rows that the user has. A time is restorable from the
 * moment at which its layer's backup has succeeded: a layer's end, and with revision history everything
 * between its start and its end.
 */
import { MICROS_PER_HOUR, MICROS_PER_SECOND } from '../../base/duration.ts';
import type { Timestamp } from '../../base/timestamp.ts';
import { BACKUP_JOB_TYPE, detailsFromJson } from '../../backup/backupDetails.ts';
import { fullOfDirectory } from '../../backup/collection.ts';
import { isTerminal, type JobStatus } from '../../jobs/jobMachine.ts';
import { isIncremental, listSchedules } from '../../schedules/schedule.ts';
import type { PlanSpec } from './planSpec.ts';
import { PlanWorld } from './planWorld.ts';

export interface PlanBackup {
  readonly kind: 'full' | 'incremental';
  /** Directory of the full that it belongs to. */
  readonly chain: string;
  readonly status: JobStatus;
  readonly startTime: Timestamp;
  readonly endTime: Timestamp;
  readonly created: Timestamp;
  readonly finished: Timestamp | undefined;
  /** Failed attempts that were repeated. */
  readonly retries: number;
  /** Bytes of keys and values, scaled. */
  readonly dataBytes: number;
}

export interface PlanFailure {
  readonly at: Timestamp;
  readonly kind: 'full' | 'incremental';
  readonly why: string;
  readonly detail: string | undefined;
}

export interface PlanPeak {
  readonly at: Timestamp;
  readonly value: number;
}

export interface PlanResult {
  readonly spec: PlanSpec;
  readonly start: Timestamp;
  readonly end: Timestamp;
  /** By the time of their creation. */
  readonly backups: readonly PlanBackup[];
  readonly failures: readonly PlanFailure[];
  /** Starts that came to nothing before there was a job. */
  readonly refused: number;
  /** Due times that passed without an attempt of their own. */
  readonly missed: number;
  /** Schedules that are paused in the end, and what they say of it. */
  readonly paused: readonly { readonly kind: PlanBackup['kind']; readonly status: string }[];
  /** Seconds since the newest restorable time, where it was longest; and as the database itself saw it in the end. */
  readonly worstRpo: PlanPeak;
  readonly finalRpoSeconds: number;
  /** Scaled bytes that GC could have taken but for protections, where they were most. */
  readonly pinned: PlanPeak;
  readonly metrics: Readonly<Record<string, number>>;
}

/** Steps are no longer than this, so that rows change often enough. */
const STEP_MICROS = MICROS_PER_HOUR;

/** `onStep` is called after each step, with the world as it is then. */
export async function simulatePlan(spec: PlanSpec, onStep?: (world: PlanWorld) => Promise<void>): Promise<PlanResult> {
  const world = await PlanWorld.open(spec);
  try {
    const watch = new Watch(world);
    while (world.clock.nowMicros() < world.endMicros) {
      await world.step(Math.min(STEP_MICROS, world.endMicros - world.clock.nowMicros()));
      await watch.look();
      await onStep?.(world);
    }
    return await watch.result();
  } finally {
    await world.close();
  }
}

class Watch {
  readonly #world: PlanWorld;
  readonly #scale: number;
  readonly #failures: PlanFailure[] = [];
  readonly #statuses = new Map<number, string>();
  #pinned: PlanPeak = { at: 0 as Timestamp, value: 0 };

  constructor(world: PlanWorld) {
    this.#world = world;
    this.#scale = world.spec.rows / world.spec.sampleRows;
  }

  async look(): Promise<void> {
    const { database, clock } = this.#world;
    const { kv } = database;
    const now = Math.floor(clock.nowMicros()) as Timestamp;
    const snapshot = await database.services.catalog.current();
    const { pinnedBytes } = kv.gc.explain(snapshot.requireTable(['app', 'public', 't'], NAMES).descriptor.id);
    if (pinnedBytes > this.#pinned.value) this.#pinned = { at: now, value: pinnedBytes };
    // A backup that could not be planned has no job: its schedule says why.
    for (const schedule of await listSchedules(kv.at(kv.reading()))) {
      const status = schedule.state.status ?? '';
      const missing = /failed to create job for schedule \d+: err=(.*)$/.exec(status)?.[1];
      if (missing !== undefined && this.#statuses.get(schedule.id) !== status + schedule.nextRun) {
        this.#failures.push({ at: now, kind: isIncremental(schedule) ? 'incremental' : 'full', why: missing, detail: undefined });
      }
      this.#statuses.set(schedule.id, status + schedule.nextRun);
    }
  }

  async result(): Promise<PlanResult> {
    const { spec, database, startMicros, clock } = this.#world;
    const backups: PlanBackup[] = [];
    const failures = [...this.#failures];
    for (const record of await database.jobs.list()) {
      if (record.type !== BACKUP_JOB_TYPE) continue;
      const details = detailsFromJson(record.details);
      const { dataBytes = 0 } = (record.result ?? {}) as { readonly dataBytes?: number };
      backups.push({
        kind: details.kind,
        chain: fullOfDirectory(details.directory) ?? details.directory,
        status: record.status,
        startTime: details.startTime,
        endTime: details.endTime,
        created: record.created,
        finished: record.finished,
        retries: record.executionErrors.length,
        dataBytes: dataBytes * this.#scale,
      });
      if (record.error !== undefined) {
        const at = record.finished ?? record.modified;
        failures.push({ at, kind: details.kind, why: record.error.message, detail: record.error.detail });
      }
    }
    backups.sort((a, b) => a.created - b.created);
    failures.sort((a, b) => a.at - b.at);
    const start = startMicros as Timestamp;
    const end = Math.floor(clock.nowMicros()) as Timestamp;
    const health = await database.schedules.health();
    const counted = (await database.metrics.read()).filter(({ name }) => name.startsWith('schedules.'));
    const metrics = Object.fromEntries(counted.map(({ name, value }) => [name, value]));
    const failedJobs = backups.filter(({ status }) => isTerminal(status) && status !== 'succeeded').length;
    return {
      spec,
      start,
      end,
      backups,
      failures,
      refused: Math.max(0, (metrics['schedules.BACKUP.failed'] ?? 0) - failedJobs),
      paused: health
        .filter(({ isPaused }) => isPaused)
        .map(({ schedule }) => ({ kind: isIncremental(schedule) ? 'incremental' : 'full', status: schedule.state.status ?? '' })),
      missed: health.reduce((sum, { missedRuns }) => sum + missedRuns, 0),
      worstRpo: worstRpo(backups, start, end),
      finalRpoSeconds: Math.max(...health.map(({ rpoSeconds }) => rpoSeconds)),
      pinned: { ...this.#pinned, value: this.#pinned.value * this.#scale },
      metrics,
    };
  }
}

const NAMES = { currentDatabase: 'app', searchPath: ['public'] };

/** Succeeded backups by the time at which they did. */
export function succeeded(backups: readonly PlanBackup[]): (PlanBackup & { readonly finished: Timestamp })[] {
  return backups
    .filter(
      (backup): backup is PlanBackup & { readonly finished: Timestamp } => backup.status === 'succeeded' && backup.finished !== undefined,
    )
    .sort((a, b) => a.finished - b.finished);
}

/** Backups that had not ended when the simulation did. */
export function unfinished(backups: readonly PlanBackup[]): PlanBackup[] {
  return backups.filter(({ status }) => !isTerminal(status));
}

/** Just before a backup makes a newer time restorable, or at the end. */
function worstRpo(backups: readonly PlanBackup[], start: Timestamp, end: Timestamp): PlanPeak {
  let worst: PlanPeak = { at: start, value: 0 };
  let newest: Timestamp = start;
  const look = (at: Timestamp): void => {
    const seconds = (at - newest) / MICROS_PER_SECOND;
    if (seconds > worst.value) worst = { at, value: seconds };
  };
  for (const { finished, endTime } of succeeded(backups)) {
    look(finished);
    if (endTime > newest) newest = endTime;
  }
  look(end);
  return worst;
}
