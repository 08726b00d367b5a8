/**
 * Retry errors: 40001 in CockroachDB's words, which drivers and people match on. The key that was
 * in the way is printed as CockroachDB prints keys. And 55P03, for locks that were not to be had.
 */
import type { Bytes } from '../base/bytes.ts';
import { RetryError, StateError } from '../base/errors.ts';
import { prettyKey } from '../base/prettyKey.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { formatForError } from '../base/timestamp.ts';
import type { LockOwner, LockRequest } from './lockOwner.ts';

const PREFIX = 'restart transaction: TransactionRetryWithProtoRefreshError:';
const HINT = 'run the whole transaction again; it saw data that another one has changed since';

function retryError(reason: string, detail: string, hint: string = HINT): RetryError {
  return new RetryError(SqlState.SerializationFailure, `${PREFIX} ${reason}`, { detail, hint });
}

/** Something was read too long ago: a run that takes longer than the TTL by itself fails with it every time. */
export class ExpiredReadsError extends RetryError {}

/** What `inject_retry_errors_enabled` gives a client whose retry loop is being tested: nothing retries it but the client. */
export class InjectedRetryError extends RetryError {
  constructor() {
    super(SqlState.SerializationFailure, `${PREFIX} injected by \`inject_retry_errors_enabled\` session variable`, {
      detail: 'nothing was in the way: the session asked for it',
      hint: 'run the whole transaction again, or SET inject_retry_errors_enabled = off',
    });
  }
}

/** Something that was read has changed. */
export function refreshError(key: Bytes, changedAt: Timestamp, readAt: Timestamp): RetryError {
  return retryError(
    `TransactionRetryError: retry txn (RETRY_SERIALIZABLE - failed preemptive refresh due to conflicting committed value on key ${prettyKey(key)})`,
    `read at ${formatForError(readAt)}, changed at ${formatForError(changedAt)}`,
  );
}

/** A key to be written has a newer value than the transaction's snapshot. */
export function writeTooOldError(key: Bytes, changedAt: Timestamp, readAt: Timestamp): RetryError {
  return retryError(
    `TransactionRetryError: retry txn (RETRY_WRITE_TOO_OLD - newer committed value on key ${prettyKey(key)})`,
    `the transaction reads at ${formatForError(readAt)}, the key was written at ${formatForError(changedAt)}`,
  );
}

/** The read set is older than the history that could prove it unchanged. */
export function readSetExpiredError(tableId: number, readAt: Timestamp, threshold: Timestamp): RetryError {
  return new ExpiredReadsError(
    SqlState.SerializationFailure,
    `${PREFIX} TransactionRetryError: retry txn (RETRY_SERIALIZABLE - failed refresh below the replica GC threshold of table ${tableId})`,
    {
      detail: `read at ${formatForError(readAt)}, the threshold is ${formatForError(threshold)}`,
      hint: 'run the whole transaction again; it was open for longer than the gc.ttlseconds of a table it read',
    },
  );
}

/** Waiting for the lock would have closed a circle. `cycle` starts with the wait that was refused. */
export function deadlockError(owner: LockOwner, cycle: readonly LockRequest[]): RetryError {
  const steps = cycle.map((request, i) => {
    const next = cycle[(i + 1) % cycle.length]?.owner ?? owner;
    return `${label(request.owner)} waits for ${label(next)} on key ${prettyKey(request.key)}`;
  });
  return retryError(
    'TransactionAbortedError(ABORT_REASON_PUSHER_ABORTED): deadlock detected',
    steps.join('; '),
    'run the whole transaction again; take locks in the same order everywhere to avoid deadlocks',
  );
}

/** A transaction of higher priority wanted a key that this one holds. */
export function evictedError(owner: LockOwner, request: LockRequest): RetryError {
  return retryError(
    'TransactionAbortedError(ABORT_REASON_ABORTED_RECORD_FOUND): aborted by a transaction of higher priority',
    `${label(request.owner)} of ${request.owner.priority ?? 'normal'} priority wanted key ${prettyKey(request.key)}, which ${label(owner)} of ${owner.priority ?? 'normal'} priority held`,
    'run the whole transaction again; a transaction of higher priority came first',
  );
}

/** 55P03: under NOWAIT, or after lock_timeout. The upper layer that knows the row names it. */
export class LockNotAvailableError extends StateError {
  readonly key: Bytes;
  readonly reason: 'nowait' | 'timeout';

  constructor(reason: 'nowait' | 'timeout', key: Bytes, holder: LockOwner | undefined, row: string = prettyKey(key)) {
    super(SqlState.LockNotAvailable, `${LOCK_REFUSALS[reason]} on row ${row}`, {
      detail: holder && `held by ${label(holder)}`,
    });
    this.key = key;
    this.reason = reason;
  }
}

/** The words before `on row`, for whoever names the row. */
export const LOCK_REFUSALS = { nowait: 'could not obtain lock', timeout: 'canceling statement due to lock timeout' } as const;

function label(owner: LockOwner): string {
  return owner.name === '' ? `transaction ${owner.id}` : `${owner.name} (${owner.id})`;
}
