/**
 * Assertions: always on. A failed one is a bug in Varve, never a user's mistake, and carries XX000.
 * Costly checks hide behind `verifyEnabled`, which tests turn on with VARVE_VERIFY=1.
 */
import { VarveError } from './errors.ts';
import { SqlState } from './sqlState.ts';

/** True when the costly checks run (VARVE_VERIFY=1). */
export const verifyEnabled: boolean = process.env.VARVE_VERIFY === '1';

/** Throws XX000 unless the condition holds. `message` states the broken fact with its numbers. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new VarveError(SqlState.InternalError, `internal error: ${message}`, { hint: 'this is a bug in Varve' });
}

/** Marks a branch that no value can reach; the compiler checks it, and so does the run. */
export function unreachable(value: never, what: string): never {
  throw new VarveError(SqlState.InternalError, `internal error: unexpected ${what}: ${String(value)}`);
}
