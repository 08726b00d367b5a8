/** Whether a statement may run again unseen: what failed, and how much of its answer is held back until it is sure. */
import { isVarveError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { InjectedRetryError } from '../../kv/retryErrors.ts';
import type { StatementResult } from './statement.ts';

/** True for 40001, unless it was injected for the client to see. */
export function isConflict(error: unknown): boolean {
  return isVarveError(error) && error.code === SqlState.SerializationFailure && !(error instanceof InjectedRetryError);
}

/** About what a result takes while it is held back. */
export function resultBytes(result: StatementResult): number {
  let bytes = 0;
  for (const row of result.rows) for (const value of row) bytes += typeof value === 'string' ? value.length : 8;
  return bytes;
}
