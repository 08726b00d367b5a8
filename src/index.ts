/**
 * The library: `open()` a database, move its clock, back it up, restore it, fork it.
 */
export { ManualClock } from './base/manualClock.ts';
export { SystemClock } from './base/systemClock.ts';
export type { Clock } from './base/clock.ts';
export { formatUtc, type Timestamp } from './base/timestamp.ts';
export {
  ConstraintError,
  CorruptionError,
  isVarveError,
  RetryError,
  StateError,
  StatementError,
  StorageError,
  VarveError,
} from './base/errors.ts';
export { SqlState } from './base/sqlState.ts';
export { VERSION } from './base/version.ts';
export { JobHandle, type JobProgress } from './server/jobHandle.ts';
export {
  type BackupOptions,
  type EncryptionOptions,
  Client,
  type OpenOptions,
  type QueryResult,
  type RestoreOptions,
  type RowDifference,
  type Targets,
  Varve,
} from './server/varve.ts';

import { type OpenOptions, Varve } from './server/varve.ts';

/** Opens a database in this process. `close()` it, or hold it with `await using`. */
export function open(options: OpenOptions = {}): Promise<Varve> {
  return Varve.open(options);
}
