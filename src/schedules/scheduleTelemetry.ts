/** Schedule telemetry: what the event of a CREATE SCHEDULE tells of it, without names, places or secrets. */
import type { EventFields } from '../base/eventLog.ts';

import { isIncremental, type Schedule } from './schedule.ts';

/** `made`: one schedule, or the pair. */
export function scheduleTelemetry(made: readonly Schedule[]): EventFields {
  const full = made.find((schedule) => !isIncremental(schedule));
  const [first] = made;
  return {
    RecoveryType: 'create_schedule',
    RecurringCron: first?.recurrence,
    FullBackupCron: full?.recurrence,
    OnExecutionFailure: full?.details.on_error,
    OnPreviousRunning: full?.details.wait,
    HasRetention: full?.args.retention !== undefined,
    ScheduleCount: made.length,
  };
}
