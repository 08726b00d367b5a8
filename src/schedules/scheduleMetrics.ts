/** What backup schedules count about themselves, under CockroachDB's names; missed, stuck and paused ones are ours. */
import { type Counter, type MetricDefinition, MetricRegistry } from '../base/metrics.ts';

/** A number that somebody sets, for a gauge to show. */
export class Level {
  value = 0;
}

const ofBackups = (status: string, help: string): MetricDefinition => ({
  name: `schedules.BACKUP.${status}`,
  help,
  labelled: { name: 'schedules', labels: { name: 'BACKUP', status } },
});

export class ScheduleMetrics {
  readonly started: Counter;
  readonly succeeded: Counter;
  readonly failed: Counter;
  readonly missed: Counter;
  /** Unix seconds. */
  readonly lastCompletedTime: Level;
  readonly errors: Level;
  readonly malformed: Level;
  readonly roundStarted: Level;
  readonly roundSkipped: Level;
  readonly roundWaiting: Level;

  constructor(registry: MetricRegistry = new MetricRegistry()) {
    this.started = registry.counter(ofBackups('started', 'number of BACKUP jobs that schedules have started'));
    this.succeeded = registry.counter(ofBackups('succeeded', 'number of BACKUP jobs of schedules that succeeded'));
    this.failed = registry.counter(ofBackups('failed', 'number of BACKUP jobs of schedules that failed'));
    this.missed = registry.counter(ofBackups('missed', 'number of due times of schedules that passed without a backup of their own'));
    this.lastCompletedTime = level(registry, {
      name: 'schedules.BACKUP.last-completed-time',
      help: 'time as of which a schedule that maintains this metric last completed a backup, in Unix seconds',
    });
    registry.gauge(
      {
        name: 'schedules.BACKUP.last-completed-time-by-virtual_cluster',
        help: 'the same for each virtual cluster, of which there is one: the system',
        labels: { tenant: 'system' },
      },
      () => this.lastCompletedTime.value,
    );
    this.errors = level(registry, { name: 'schedules.error', help: 'number of schedules which did not execute successfully' });
    this.malformed = level(registry, { name: 'schedules.malformed', help: 'number of malformed schedules' });
    this.roundStarted = level(registry, { name: 'schedules.round.jobs-started', help: 'number of jobs started in the last round' });
    this.roundSkipped = level(registry, {
      name: 'schedules.round.reschedule-skip',
      help: 'number of schedules rescheduled in the last round due to SKIP policy',
    });
    this.roundWaiting = level(registry, {
      name: 'schedules.round.reschedule-wait',
      help: 'number of schedules rescheduled in the last round due to WAIT policy',
    });
  }
}

function level(registry: MetricRegistry, definition: MetricDefinition): Level {
  const kept = new Level();
  registry.gauge(definition, () => kept.value);
  return kept;
}
