/**
 * Register restore: gives the SQL engine its RESTORE statement and the job registry its job type.
 */
import { SqlState } from '../base/sqlState.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { ClusterSettings } from '../catalog/settings.ts';
import type { JobRegistry } from '../jobs/registry.ts';
import type { Kv } from '../kv/kv.ts';
import type { SqlEngine } from '../sql/exec/engine.ts';
import type { CompactBackup, DeleteBackup, ExpireBackups, Restore, VerifyBackup } from '../sql/parse/ast.ts';
import type { StorageFactory } from '../storage/externalStorage.ts';

import { mayRunOn } from '../backup/executionLocality.ts';
import { layerSettings } from '../backup/layerSettings.ts';

import { COMPACTION_JOB_TYPE, compactionDetails } from './compact/compactionDetails.ts';
import {
  COMPACTION_ATTEMPTS_MAX,
  COMPACTION_PAUSEPOINT_ALIASES,
  COMPACTION_PAUSEPOINTS,
  CompactionResumer,
} from './compact/compactionJob.ts';
import { registerCompactionFunction } from './compact/compactionFunction.ts';
import { compactBackupHook } from './compact/compactStatement.ts';
import { PlannedLayers } from './plannedLayers.ts';
import { detailsFromJson, RESTORE_JOB_TYPE } from './restoreDetails.ts';
import { CHECKPOINT_BYTES, RESTORE_ATTEMPTS_MAX, RESTORE_PAUSEPOINT_ALIASES, RESTORE_PAUSEPOINTS, RestoreResumer } from './restoreJob.ts';
import { restoreHook } from './restoreStatement.ts';
import { restoreTelemetry } from './restoreTelemetry.ts';
import { RETENTION_JOB_TYPE, retentionDetails } from './retention/retentionDetails.ts';
import { RETENTION_ATTEMPTS_MAX, RETENTION_PAUSEPOINTS, RetentionResumer } from './retention/retentionJob.ts';
import { deleteBackupHook, expireBackupsHook } from './retention/retentionStatement.ts';
import { verifyBackupHook } from './verify/verifyStatement.ts';

export interface RestoreDeps {
  readonly kv: Kv;
  readonly catalog: Catalog;
  readonly engine: SqlEngine;
  readonly jobs: JobRegistry;
  readonly storage: StorageFactory;
  readonly settings: ClusterSettings;
  /** Bytes of rows between two checkpoints of a job; default 32 MiB. */
  readonly restoreCheckpointBytes?: number;
}

/** Before the registry starts. */
export function registerRestore(deps: RestoreDeps): void {
  const { kv, catalog, engine, storage, jobs } = deps;
  const planned = new PlannedLayers();
  engine.statements.register<Restore>('restore', restoreHook({ ...deps, planned }));
  engine.statements.register<VerifyBackup>('verifyBackup', verifyBackupHook(deps));
  const jobDeps = { kv, catalog, engine, storage, planned, checkpointBytes: deps.restoreCheckpointBytes ?? CHECKPOINT_BYTES };
  jobs.register(
    RESTORE_JOB_TYPE,
    {
      pausepoints: RESTORE_PAUSEPOINTS,
      pausepointAliases: RESTORE_PAUSEPOINT_ALIASES,
      attemptsMax: RESTORE_ATTEMPTS_MAX,
      whenExhausted: 'pause',
      // What CockroachDB does when disks are nearly full: after room was made RESUME goes on where it stood.
      pausesOn: ({ code }, details) => code === SqlState.OutOfMemory || detailsFromJson(details).pausesOnError === true,
      mayRunOn: (details, node) => mayRunOn(detailsFromJson(details).executionLocality, node),
      telemetry: (details) => restoreTelemetry(detailsFromJson(details)),
    },
    (details) => new RestoreResumer(jobDeps, detailsFromJson(details)),
  );
  deps.engine.statements.register<DeleteBackup>('deleteBackup', deleteBackupHook(deps));
  deps.engine.statements.register<ExpireBackups>('expireBackups', expireBackupsHook(deps));
  jobs.register(
    RETENTION_JOB_TYPE,
    { pausepoints: RETENTION_PAUSEPOINTS, attemptsMax: RETENTION_ATTEMPTS_MAX, whenExhausted: 'fail' },
    (details) => new RetentionResumer({ kv, jobs, storage }, retentionDetails(details)),
  );
  const compact = compactBackupHook(deps);
  deps.engine.statements.register<CompactBackup>('compactBackup', compact);
  registerCompactionFunction(engine, compact);
  const settings = layerSettings(deps.settings);
  jobs.register(
    COMPACTION_JOB_TYPE,
    {
      pausepoints: COMPACTION_PAUSEPOINTS,
      pausepointAliases: COMPACTION_PAUSEPOINT_ALIASES,
      attemptsMax: COMPACTION_ATTEMPTS_MAX,
      whenExhausted: 'fail',
    },
    (details) => new CompactionResumer({ kv, jobs, storage, settings }, compactionDetails(details)),
  );
}
