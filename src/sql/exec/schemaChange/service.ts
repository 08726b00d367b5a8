/**
 * SchemaChangeService: what DDL statements ask of the jobs that finish their changes. Types only;
 * registerSchemaChanges.ts plugs the implementation into the engine. An engine without one does
 * every change inside its statement's transaction.
 */
import type { JobId } from '../../../jobs/job.ts';
import type { Txn } from '../../../kv/kv.ts';

/** What a SCHEMA CHANGE job is told; the rest is in the table's descriptor (PendingChange). */
export interface SchemaChangeRequest {
  readonly jobId: JobId;
  readonly tableId: number;
  /** Indexes to clear if they are taken back. */
  readonly indexIds: readonly number[];
  /** The statement with full names: `CREATE INDEX i ON db.public.t (a)`. */
  readonly description: string;
  readonly user: string;
}

export interface SchemaChangeService {
  newJobId(): JobId;
  /** Writes the job in the statement's transaction; a later statement of it on the same table adds to the same job. */
  create(txn: Txn, request: SchemaChangeRequest): Promise<void>;
  /** Resolves when the job has succeeded, or was rolled back to a savepoint before it; throws what it failed with. */
  finish(jobId: JobId, signal: AbortSignal): Promise<void>;
  /** Resolves when another transaction's job is over, whichever way. 55000 when it is paused. */
  settled(jobId: JobId, tableName: string, signal: AbortSignal): Promise<void>;
}
