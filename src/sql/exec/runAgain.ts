/** Whether a statement may run again unseen: what failed, and how much of its answer is held back until it is sure. */
import { isVarveError, StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { ExpiredReadsError, InjectedRetryError } from '../../kv/retryErrors.ts';
import type { StatementResult } from './statement.ts';

/** True for 40001, unless it was injected for the client to see. */
export function isConflict(error: unknown): boolean {
  return isVarveError(error) && error.code === SqlState.SerializationFailure && !(error instanceof InjectedRetryError);
}

/** Runs of a batch, or of a statement, before the client is told of the conflict. */
const RUNS_MAX = 50;
/** A wait that outlasted the TTL hardly comes twice; a statement that outlasts it by itself always does. */
const RUNS_AFTER_EXPIRY_MAX = 3;

/** How many runs a statement has when one of them ends like this. */
export function runsMax(error: unknown): number {
  return error instanceof ExpiredReadsError ? RUNS_AFTER_EXPIRY_MAX : RUNS_MAX;
}

/** What the client is told after that many runs: 72000 where each of them outlasted the TTL by itself, for another would too. */
export function gaveUp(error: unknown, runs: number): unknown {
  if (!(error instanceof ExpiredReadsError) || runs < runsMax(error)) return error;
  return new StatementError(SqlState.SnapshotTooOld, 'the statement outlasts the gc.ttlseconds of a table that it reads', {
    detail: `it ran ${runs} times, each longer than that; the last time: ${error.detail}`,
    hint: 'raise gc.ttlseconds with CONFIGURE ZONE, or do less at a time (LIMIT)',
    cause: error,
  });
}

/** About what a result takes while it is held back. */
export function resultBytes(result: StatementResult): number {
  let bytes = 0;
  for (const row of result.rows) for (const value of row) bytes += typeof value === 'string' ? value.length : 8;
  return bytes;
}
