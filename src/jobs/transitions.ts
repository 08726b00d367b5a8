/**
 * Transitions: what an event does to a record, beside its status. Pure.
 *
 *   T1  a record that is paused or terminal has no claim
 *   T2  a terminal record has `finished`, and only a terminal one
 *   T3  an illegal request (PAUSE, RESUME, CANCEL) is refused with 55000 and says the status; one that
 *       asks for what is so already changes nothing
 */
import { StateError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';

import type { JobRecord } from './job.ts';
import { isTerminal, type JobEvent, type JobStatus, nextJobState } from './jobMachine.ts';

/** The record after a legal event at a time, with other changes; undefined when the event is not for its status. */
export function recordAfter(record: JobRecord, event: JobEvent, at: Timestamp, changes: Partial<JobRecord> = {}): JobRecord | undefined {
  const next = nextJobState(
    { status: record.status, revertOutcome: record.revertOutcome, pausedWhileReverting: record.pausedWhileReverting ?? false },
    event,
  );
  if (!next) return undefined;
  const hasClaim = next.status !== 'paused' && !isTerminal(next.status);
  const changed: JobRecord = {
    ...record,
    ...changes,
    status: next.status,
    revertOutcome: next.revertOutcome,
    pausedWhileReverting: next.pausedWhileReverting,
    modified: at,
  };
  return {
    ...changed,
    claim: hasClaim ? changed.claim : undefined,
    started: changed.started ?? (next.status === 'running' ? at : undefined),
    finished: isTerminal(next.status) ? at : undefined,
    fractionCompleted: next.status === 'succeeded' ? 1 : changed.fractionCompleted,
    nextRun: next.status === 'retry-running' || next.status === 'retry-reverting' ? changed.nextRun : undefined,
  };
}

export type JobRequest = 'pause' | 'resume' | 'cancel';

/** Statuses in which a request asks for what is so already, or soon will be. */
const SATISFIED: Readonly<Record<JobRequest, readonly JobStatus[]>> = {
  pause: ['pause-requested', 'paused'],
  resume: ['pending', 'running', 'retry-running', 'reverting', 'retry-reverting'],
  cancel: ['cancel-requested'],
};

const REFUSED: Readonly<Record<JobRequest, string>> = {
  pause: 'cannot be requested to be paused',
  resume: 'cannot be resumed',
  cancel: 'cannot be requested to be canceled',
};

/** The record after a user's request; the same record when there is nothing to do. Throws 55000 (T3). */
export function recordAfterRequest(record: JobRecord, request: JobRequest, at: Timestamp, reason?: string): JobRecord {
  if (SATISFIED[request].includes(record.status)) return record;
  const changes: Partial<JobRecord> =
    request === 'pause'
      ? { pauseReason: reason }
      : request === 'resume'
        ? { pauseReason: undefined, pauseError: undefined, attempts: 0 }
        : { pauseReason: undefined, pauseError: undefined };
  const next = recordAfter(record, { type: `job.${request}` }, at, changes);
  if (next) return next;
  const isRevertPaused = request === 'cancel' && record.status === 'paused';
  throw new StateError(SqlState.ObjectNotInPrerequisiteState, `job with status ${record.status} ${REFUSED[request]}`, {
    detail: `job ${record.id}${isRevertPaused ? ' was paused while it was being reverted' : ''}`,
    hint: isRevertPaused ? 'RESUME JOB lets the revert finish' : undefined,
  });
}
