/** Status changes: what the registry tells of each, and the event that it becomes. */
import type { LogEvent } from '../base/eventLog.ts';

import { CREATED_BY_SCHEDULE, type JobRecord } from './job.ts';
import type { JobStatus } from './jobMachine.ts';

export interface JobStatusChange {
  readonly record: JobRecord;
  /** Undefined for a job that is created. */
  readonly previous: JobStatus | undefined;
}

/** The event of one change, in CockroachDB's words. Descriptions and errors of records are redacted. */
export function statusEvent({ record, previous }: JobStatusChange, micros: number): LogEvent {
  const { id, type, description, user, status, claimEpoch, error, pauseError, createdBy } = record;
  return {
    channel: 'OPS',
    type: 'status_change',
    micros,
    fields: {
      JobID: id,
      JobType: type,
      Description: description,
      User: user,
      PreviousStatus: previous ?? '',
      NewStatus: status,
      RunNum: claimEpoch,
      Error: (status === 'paused' ? pauseError : error)?.message,
      ...(createdBy?.type === CREATED_BY_SCHEDULE && { ScheduleID: createdBy.id }),
    },
  };
}
