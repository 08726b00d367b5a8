/**
 * Plugs the jobs of schema changes into an engine: the job type, and what statements ask of it.
 */
import { StateError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { ProtectedRecords } from '../../../catalog/protectedRecords.ts';
import type { JobId } from '../../../jobs/job.ts';
import { jobOwnerCheck, type ProtectionReconciler } from '../../../jobs/protectionReconciler.ts';
import { type JobRegistry, requireSucceeded } from '../../../jobs/registry.ts';
import type { Txn } from '../../../kv/kv.ts';
import type { SqlEngine } from '../engine.ts';
import { PIECE_SIZES, type PieceSizes } from './backfill.ts';
import {
  PROTECTION_META,
  SCHEMA_CHANGE_JOB_TYPE,
  SCHEMA_CHANGE_PAUSEPOINTS,
  type SchemaChangeDetails,
  SchemaChangeResumer,
} from './schemaChangeJob.ts';
import type { SchemaChangeRequest, SchemaChangeService } from './service.ts';

export interface RegisterSchemaChangesDeps {
  readonly engine: SqlEngine;
  readonly jobs: JobRegistry;
  readonly protections: ProtectedRecords;
  /** Releases what a job that is gone has left protected. */
  readonly reconciler?: ProtectionReconciler;
  readonly sizes?: PieceSizes;
}

/** Before the registry starts. */
export function registerSchemaChanges(deps: RegisterSchemaChangesDeps): void {
  const { engine, jobs, protections, sizes = PIECE_SIZES } = deps;
  jobs.register(SCHEMA_CHANGE_JOB_TYPE, { pausepoints: SCHEMA_CHANGE_PAUSEPOINTS }, (details) => {
    return new SchemaChangeResumer({ engine, protections, sizes }, details as SchemaChangeDetails);
  });
  deps.reconciler?.addOwnerCheck(PROTECTION_META, jobOwnerCheck(jobs.table));
  engine.schemaChanges = new SchemaChangeJobs(engine, jobs);
}

class SchemaChangeJobs implements SchemaChangeService {
  readonly #engine: SqlEngine;
  readonly #jobs: JobRegistry;

  constructor(engine: SqlEngine, jobs: JobRegistry) {
    this.#engine = engine;
    this.#jobs = jobs;
  }

  newJobId(): JobId {
    return this.#jobs.newJobId();
  }

  async create(txn: Txn, { jobId, tableId, indexIds, description, user }: SchemaChangeRequest): Promise<void> {
    const known = await this.#jobs.get(jobId, txn);
    const recordId = (known?.details as SchemaChangeDetails | undefined)?.recordId ?? this.#engine.kv.ids.uuid();
    const isSaid = known === undefined || known.description.split('; ').includes(description);
    await this.#jobs.create(txn, {
      id: jobId,
      type: SCHEMA_CHANGE_JOB_TYPE,
      description: known === undefined ? description : isSaid ? known.description : `${known.description}; ${description}`,
      user,
      details: { tableId, indexIds, recordId } satisfies SchemaChangeDetails,
    });
  }

  async finish(jobId: JobId, signal: AbortSignal): Promise<void> {
    if ((await this.#jobs.get(jobId)) === undefined) return;
    requireSucceeded(await this.#jobs.wait(jobId, { signal }));
  }

  async settled(jobId: JobId, tableName: string, signal: AbortSignal): Promise<void> {
    if ((await this.#jobs.get(jobId)) === undefined) return;
    const record = await this.#jobs.wait(jobId, { signal });
    if (record.status !== 'paused') return;
    throw new StateError(SqlState.ObjectNotInPrerequisiteState, `relation "${tableName}" has a schema change that is paused`, {
      detail: `job ${jobId}: ${record.description}`,
      hint: 'RESUME JOB lets it finish, CANCEL JOB takes it back',
    });
  }
}
