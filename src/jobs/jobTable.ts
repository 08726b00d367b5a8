/**
 * JobTable: where job records are. The registry needs only the interface; systemJobTable keeps them
 * in system.jobs, in the columns of CockroachDB, with the rest of a record in `payload` (what was
 * asked, and how it ended) and `progress` (how far it is).
 *
 *   claim_session_id   `n<node>-<liveness epoch of the node>`; claim_instance_id: the node
 *   num_runs           the claim epoch
 */
import { utf8Decode, utf8Encode, type Bytes } from '../base/bytes.ts';
import { CorruptionError } from '../base/errors.ts';
import type { Span } from '../base/span.ts';
import { SqlState } from '../base/sqlState.ts';
import { type Timestamp, timestamp } from '../base/timestamp.ts';
import { type PlainRow, systemTable } from '../catalog/systemRows.ts';
import type { KvReader, Txn } from '../kv/kv.ts';

import type { JobClaim, JobId, JobRecord } from './job.ts';
import { isStatus, type JobStatus, UNFINISHED_STATUSES } from './jobMachine.ts';

export interface JobTable {
  /** Every key of the table's primary index: where the registry hears commits. */
  readonly span: Span;
  /** The job whose row has this key. */
  idOfKey(key: Bytes): JobId;
  /** `validated`: the row is read in order to write it. */
  read(reader: KvReader, id: JobId, options?: { readonly validated?: boolean }): Promise<JobRecord | undefined>;
  /** All records by ascending id, history within retention included. */
  list(reader: KvReader): Promise<JobRecord[]>;
  /** As list, without what has ended, which costs nothing. */
  listUnfinished(reader: KvReader): Promise<JobRecord[]>;
  /** Locks the row, then buffers the write. */
  write(txn: Txn, record: JobRecord): Promise<void>;
  delete(txn: Txn, id: JobId): Promise<void>;
}

/** Members of a record that are columns, or parts of the claim's columns. */
type ColumnMember = 'id' | 'status' | 'created' | 'createdBy' | 'claim' | 'claimEpoch';
/** Members kept in `progress`; what is left is in `payload`. */
const PROGRESS_MEMBERS = ['progress', 'fractionCompleted', 'runningStatus', 'highWater'] as const;
type ProgressMember = (typeof PROGRESS_MEMBERS)[number];

export const systemJobTable: JobTable = {
  get span(): Span {
    return systemTable('jobs').span;
  },

  idOfKey(key: Bytes): JobId {
    return systemTable('jobs').decodeKey(key)['id'] as JobId;
  },

  async read(reader, id, options) {
    // What a client asks for may be any INT8; jobs have none beyond 2^53.
    if (!Number.isSafeInteger(id)) return undefined;
    const table = systemTable('jobs');
    const key = table.key(id);
    const [value] = await reader.get([key], options);
    return value === undefined ? undefined : fromRow(table.decodeAgain(key, value));
  },

  async list(reader) {
    return (await systemTable('jobs').scan(reader)).map(fromRow);
  },

  async listUnfinished(reader) {
    const table = systemTable('jobs');
    const keys = await table.keysByIndex(reader, 'jobs_status_created_idx', UNFINISHED_STATUSES);
    const values = keys.length === 0 ? [] : await reader.get(keys);
    return keys.flatMap((key, i) => {
      const value = values[i];
      if (value === undefined) return [];
      try {
        return [fromRow(table.decodeAgain(key, value))];
      } catch (error) {
        // Of one that was spoilt by hand nothing can be made, and the others go on.
        if (error instanceof CorruptionError) return [];
        throw error;
      }
    });
  },

  async write(txn, record) {
    await systemTable('jobs').upsert(txn, toRow(record));
  },

  async delete(txn, id) {
    await systemTable('jobs').delete(txn, id);
  },
};

function toRow(record: JobRecord): PlainRow {
  const { id, status, created, createdBy, claim, claimEpoch, progress, fractionCompleted, runningStatus, highWater, ...payload } = record;
  return {
    id,
    status,
    created,
    payload: withoutUndefined(payload),
    progress: withoutUndefined({ progress, fractionCompleted, runningStatus, highWater }),
    created_by_type: createdBy?.type,
    created_by_id: createdBy?.id,
    claim_session_id: claim && utf8Encode(`n${claim.nodeId}-${claim.nodeEpoch}`),
    claim_instance_id: claim?.nodeId,
    num_runs: claimEpoch,
    last_run: claim && record.modified,
  };
}

/** Throws XX001 when a row was changed by hand into something that is no record. */
function fromRow(row: PlainRow): JobRecord {
  const payload = row['payload'] as Omit<JobRecord, ColumnMember | ProgressMember>;
  const progress = (row['progress'] ?? {}) as Partial<Pick<JobRecord, ProgressMember>>;
  const status = row['status'] as JobStatus;
  if (typeof payload !== 'object' || payload === null || typeof payload.type !== 'string' || !isStatus(status)) {
    throw new CorruptionError(SqlState.DataCorrupted, `system.jobs: the row of job ${row['id']} is malformed`);
  }
  const createdByType = row['created_by_type'] as string | null;
  return {
    ...payload,
    id: row['id'] as JobId,
    status,
    created: timestamp(row['created'] as number) as Timestamp,
    createdBy: createdByType === null ? undefined : { type: createdByType, id: row['created_by_id'] as number },
    claim: toClaim(row['claim_session_id'] as Bytes | null),
    claimEpoch: (row['num_runs'] as number | null) ?? 0,
    progress: progress.progress ?? null,
    fractionCompleted: progress.fractionCompleted ?? 0,
    runningStatus: progress.runningStatus,
    highWater: progress.highWater,
  };
}

function toClaim(session: Bytes | null): JobClaim | undefined {
  const match = session === null ? null : /^n(\d+)-(\d+)$/.exec(utf8Decode(session));
  return match ? { nodeId: Number(match[1]), nodeEpoch: Number(match[2]) } : undefined;
}

/** JSON has no undefined; a member that is absent is left out. */
function withoutUndefined(members: object): unknown {
  return JSON.parse(JSON.stringify(members));
}
