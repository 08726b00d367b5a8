/**
 * Plugs statistics into an engine: their jobs, their statements, and the automatic collection.
 */
import type { TableStatistics } from '../../../catalog/tableStatistics.ts';
import type { JobRegistry } from '../../../jobs/registry.ts';
import type { SqlEngine } from '../engine.ts';
import { AutomaticStatistics } from './automatic.ts';
import { registerStatisticsStatements } from './statements.ts';
import {
  AUTOMATIC_STATISTICS_JOB_TYPE,
  STATISTICS_JOB_TYPE,
  STATISTICS_PAUSEPOINTS,
  type StatisticsDetails,
  StatisticsResumer,
} from './statisticsJob.ts';

/** Before the registry starts. The collection is to be closed with the database. */
export function registerStatistics(engine: SqlEngine, statistics: TableStatistics, jobs: JobRegistry): AutomaticStatistics {
  for (const [type, isAutomatic] of [
    [STATISTICS_JOB_TYPE, false],
    [AUTOMATIC_STATISTICS_JOB_TYPE, true],
  ] as const) {
    const pausepoints = isAutomatic ? [] : STATISTICS_PAUSEPOINTS;
    jobs.register(
      type,
      { isAutomatic, attemptsMax: 3, pausepoints },
      (details) => new StatisticsResumer(engine, details as StatisticsDetails),
    );
  }
  registerStatisticsStatements(engine.statements, jobs);
  engine.statistics = statistics;
  return new AutomaticStatistics(engine, statistics, jobs);
}
