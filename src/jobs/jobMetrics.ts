/**
 * JobMetrics: what jobs count, by type, and how jobs stand when somebody looks.
 *
 * A type's names carry its own in lower case, with `_`: `jobs.schema_change_gc.currently_running`.
 * Running and idle are told by the runners of this process; paused jobs, and the protected timestamps
 * of any, by the rows: one look at those that have not ended.
 */
import { MICROS_PER_SECOND } from '../base/duration.ts';
import type { Counter, Metric, MetricDefinition } from '../base/metrics.ts';
import type { Kv } from '../kv/kv.ts';

import type { JobId, JobRecord } from './job.ts';

/** Counts the ends of runs: of the work itself, or of its undoing. */
export interface RunCounts {
  readonly completed: Counter;
  readonly failed: Counter;
  readonly retried: Counter;
}

export interface JobTypeCounts {
  readonly resume: RunCounts;
  readonly revert: RunCounts;
}

/** What is to be known of a job that runs here. */
export interface RunningJob {
  readonly type: string;
  readonly isWorking: boolean;
  readonly isIdle: boolean;
}

export interface JobMetricsOptions {
  readonly kv: Kv;
  /** Jobs that have not ended. */
  listUnfinished(): Promise<JobRecord[]>;
  runners(): Iterable<RunningJob>;
}

interface Standing {
  running: number;
  idle: number;
  paused: number;
  protectedRecords: number;
  protectedAgeSeconds: number;
}

export class JobMetrics {
  readonly adoptIterations: Counter;
  readonly claimed: Counter;
  readonly resumed: Counter;
  readonly #options: JobMetricsOptions;
  readonly #taskFailed: Counter;
  readonly #types = new Map<string, JobTypeCounts>();

  constructor(options: JobMetricsOptions) {
    this.#options = options;
    const { metrics } = options.kv;
    this.adoptIterations = metrics.counter({ name: 'jobs.adopt_iterations', help: 'Looks at jobs that a node may have to take up' });
    this.claimed = metrics.counter({ name: 'jobs.claimed_jobs', help: 'Claims of jobs by nodes' });
    this.resumed = metrics.counter({ name: 'jobs.resumed_claimed_jobs', help: 'Claimed jobs whose work was begun, or gone on with' });
    this.#taskFailed = metrics.counter({ name: 'jobs.metrics.task_failed', help: 'Looks at jobs for these metrics that failed' });
    metrics.gauge({ name: 'jobs.running_non_idle', help: 'Jobs at work, and not idle' }, () => {
      return [...options.runners()].filter((runner) => runner.isWorking && !runner.isIdle).length;
    });
    metrics.addSource(() => this.#standings());
  }

  addType(type: string): void {
    this.#types.set(type, {
      resume: this.#runCounts(type, 'resume', 'runs'),
      revert: this.#runCounts(type, 'fail_or_cancel', 'reverts'),
    });
  }

  of(type: string): JobTypeCounts | undefined {
    return this.#types.get(type);
  }

  #runCounts(type: string, prefix: string, what: string): RunCounts {
    const counter = (status: string, help: string): Counter =>
      this.#options.kv.metrics.counter({
        name: `jobs.${typeName(type)}.${prefix}_${status}`,
        help: `Of ${type} jobs, ${what} that ${help}`,
        labelled: { name: `jobs.${prefix}`, labels: { name: typeName(type), status } },
      });
    return {
      completed: counter('completed', 'came to their end'),
      failed: counter('failed', 'ended with an error that stays'),
      retried: counter('retry_error', 'ended with an error that may pass'),
    };
  }

  async #standings(): Promise<Metric[]> {
    const standings = new Map<string, Standing>();
    for (const type of this.#types.keys()) {
      standings.set(type, { running: 0, idle: 0, paused: 0, protectedRecords: 0, protectedAgeSeconds: 0 });
    }
    for (const runner of this.#options.runners()) {
      const standing = standings.get(runner.type);
      if (standing && runner.isWorking) standing.running++;
      if (standing && runner.isWorking && runner.isIdle) standing.idle++;
    }
    const { records, isComplete } = await this.#unfinished();
    const typeOf = new Map<JobId, string>();
    for (const { id, type, status } of records) {
      typeOf.set(id, type);
      const standing = standings.get(type);
      if (standing && status === 'paused') standing.paused++;
    }
    const { gc } = this.#options.kv;
    for (const { metaType, meta, ts } of gc.protections.list()) {
      const type = metaType === 'jobs' ? typeOf.get(Number(meta)) : undefined;
      const standing = type === undefined ? undefined : standings.get(type);
      if (!standing) continue;
      standing.protectedRecords++;
      standing.protectedAgeSeconds = Math.max(standing.protectedAgeSeconds, (this.#options.kv.reading() - ts) / MICROS_PER_SECOND);
    }
    return [...standings].flatMap(([type, standing]) => gaugesOf(type, standing, isComplete));
  }

  async #unfinished(): Promise<{ records: readonly JobRecord[]; isComplete: boolean }> {
    try {
      return { records: await this.#options.listUnfinished(), isComplete: true };
    } catch {
      // The counter says so; what the rows would have told is left out.
      this.#taskFailed.add();
      return { records: [], isComplete: false };
    }
  }
}

function typeName(type: string): string {
  return type.toLowerCase().replaceAll(' ', '_');
}

function gaugesOf(type: string, standing: Standing, isComplete: boolean): Metric[] {
  const name = typeName(type);
  const status = (what: string, label: string, help: string, value: number): Metric => ({
    ...gauge(what, help, value),
    labelled: { name: 'jobs', labels: { [label]: name, status: what } },
  });
  const gauge = (what: string, help: string, value: number): Metric => {
    const definition: MetricDefinition = {
      name: `jobs.${name}.${what}`,
      help: `${type} jobs: ${help}`,
      labelled: { name: `jobs.${what}`, labels: { type: name } },
    };
    return { ...definition, type: 'gauge', value };
  };
  return [
    status('currently_running', 'type', 'at work, or being undone', standing.running),
    status('currently_idle', 'type', 'at work, and waiting for something that takes long', standing.idle),
    ...(isComplete
      ? [
          status('currently_paused', 'name', 'paused', standing.paused),
          gauge('protected_record_count', 'protected timestamp records that they hold', standing.protectedRecords),
          gauge('protected_age_sec', 'age of the oldest protected timestamp that one holds, in seconds', standing.protectedAgeSeconds),
        ]
      : []),
  ];
}
