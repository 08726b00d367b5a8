/**
 * The rows of SHOW JOBS and SHOW JOB: CockroachDB's columns, in its order, from records.
 *
 * SHOW JOBS leaves out automatic jobs and what finished more than twelve hours ago, and cuts descriptions;
 * unfinished jobs come first by when they started, then the finished by when they finished.
 */
import { MICROS_PER_HOUR } from '../base/duration.ts';
import type { Timestamp } from '../base/timestamp.ts';

import type { JobRecord } from './job.ts';

export interface JobRow {
  readonly job_id: number;
  readonly job_type: string;
  readonly description: string;
  readonly statement: string;
  readonly user_name: string;
  readonly status: string;
  readonly running_status: string | null;
  readonly created: Timestamp;
  readonly started: Timestamp | null;
  readonly finished: Timestamp | null;
  readonly modified: Timestamp;
  readonly fraction_completed: number;
  /** Empty when there is none. */
  readonly error: string;
  /** 0 for a job that no node runs. */
  readonly coordinator_id: number;
  readonly trace_id: number;
  readonly execution_errors: readonly string[];
}

/** Beside JobRow, WITH EXECUTION DETAILS and WITH RESOLVED TIMESTAMP. */
export interface JobDetailsRow {
  /** The steps of the job's type, in their order, by the names of its pausepoints. */
  readonly plan_diagram: string | null;
  /** JSON: what each part of a running job has done, 0 to 1. */
  readonly component_fraction_progressed: string | null;
  /** Up to when a job that follows time is done. */
  readonly resolved_timestamp: Timestamp | null;
}

/** Columns in order, with their SQL types. */
export const JOB_COLUMNS = Object.freeze([
  ['job_id', 'INT8'],
  ['job_type', 'STRING'],
  ['description', 'STRING'],
  ['statement', 'STRING'],
  ['user_name', 'STRING'],
  ['status', 'STRING'],
  ['running_status', 'STRING'],
  ['created', 'TIMESTAMPTZ'],
  ['started', 'TIMESTAMPTZ'],
  ['finished', 'TIMESTAMPTZ'],
  ['modified', 'TIMESTAMPTZ'],
  ['fraction_completed', 'FLOAT8'],
  ['error', 'STRING'],
  ['coordinator_id', 'INT8'],
  ['trace_id', 'INT8'],
  ['execution_errors', 'STRING[]'],
] as const satisfies readonly (readonly [keyof JobRow, string])[]);

/** By option, in lower case. */
export const DETAIL_COLUMNS = Object.freeze({
  'execution details': ['plan_diagram', 'component_fraction_progressed'],
  'resolved timestamp': ['resolved_timestamp'],
} as const satisfies Record<string, readonly (keyof JobDetailsRow)[]>);

const SHOWN_MICROS = 12 * MICROS_PER_HOUR;
const DESCRIPTION_CHARS = 100;

/** What else a row depends on. */
export interface JobView {
  /** Cluster.isLiveIn: a claim of a stopped node shows as none. */
  isLiveIn(nodeId: number, nodeEpoch: number): boolean;
  /** Types that SHOW JOBS leaves out; none when absent. */
  isAutomatic?(type: string): boolean;
}

/** One record as SHOW JOB shows it, whole. */
export function jobRow(record: JobRecord, view: JobView): JobRow {
  const { claim } = record;
  return {
    job_id: record.id,
    job_type: record.type,
    description: record.description,
    statement: record.statement ?? '',
    user_name: record.user,
    status: record.status,
    running_status: record.pauseReason === undefined ? (record.runningStatus ?? null) : `pause reason: ${record.pauseReason}`,
    created: record.created,
    started: record.started ?? null,
    finished: record.finished ?? null,
    modified: record.modified,
    fraction_completed: record.fractionCompleted,
    error: record.error?.message ?? record.pauseError?.message ?? '',
    coordinator_id: claim && view.isLiveIn(claim.nodeId, claim.nodeEpoch) ? claim.nodeId : 0,
    trace_id: 0,
    execution_errors: record.executionErrors,
  };
}

/** What the options add for one record. `steps`: JobRegistry.stepsOf its type. */
export function jobDetailsRow(record: JobRecord, steps: readonly string[], view: JobView): JobDetailsRow {
  const { claim, fractionCompleted } = record;
  const isWorkedOn = claim !== undefined && view.isLiveIn(claim.nodeId, claim.nodeEpoch);
  return {
    plan_diagram: steps.length === 0 ? null : steps.map((step) => step.slice(step.indexOf('.') + 1)).join(' -> '),
    component_fraction_progressed: isWorkedOn ? JSON.stringify({ [`n${claim.nodeId}`]: fractionCompleted }) : null,
    resolved_timestamp: record.highWater ?? null,
  };
}

/** What SHOW JOBS shows of all records at a time. */
export function showJobs(records: readonly JobRecord[], now: Timestamp, view: JobView): JobRow[] {
  const shown = records.filter(
    (record) => !view.isAutomatic?.(record.type) && (record.finished === undefined || record.finished > now - SHOWN_MICROS),
  );
  const sortTime = (record: JobRecord) => record.finished ?? record.started ?? record.created;
  shown.sort((a, b) => Number(a.finished !== undefined) - Number(b.finished !== undefined) || sortTime(a) - sortTime(b) || a.id - b.id);
  return shown.map((record) => {
    const row = jobRow(record, view);
    const chars = [...row.description];
    return chars.length > DESCRIPTION_CHARS ? { ...row, description: `${chars.slice(0, DESCRIPTION_CHARS).join('')}...` } : row;
  });
}
