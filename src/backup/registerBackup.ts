/**
 * Register backup: gives the SQL engine its backup statements and the job registry its job type.
 */
import type { Catalog } from '../catalog/catalog.ts';
import type { ProtectedRecords } from '../catalog/protectedRecords.ts';
import type { ClusterSettings } from '../catalog/settings.ts';
import type { JobRegistry } from '../jobs/registry.ts';
import type { Kv } from '../kv/kv.ts';
import type { StatementHooks } from '../sql/exec/statement.ts';
import type { AlterBackup, Backup, ShowBackup, ShowBackups } from '../sql/parse/ast.ts';
import type { StorageFactory } from '../storage/externalStorage.ts';

import { alterBackupHook } from './alterBackup.ts';
import { BACKUP_JOB_TYPE, detailsFromJson } from './backupDetails.ts';
import { BackupMetrics } from './backupMetrics.ts';
import { backupTelemetry } from './backupTelemetry.ts';
import { BACKUP_ATTEMPTS_MAX, BACKUP_PAUSEPOINTS, BackupResumer } from './backupJob.ts';
import { backupHook, scheduledBackupPlanner } from './backupStatement.ts';
import { ChainMemory } from './chainMemory.ts';
import { DirectoryReservations } from './directoryReservations.ts';
import { mayRunOn } from './executionLocality.ts';
import { layerSettings } from './layerSettings.ts';
import type { OnScheduledSuccess, PlanScheduledBackup } from './scheduledBackup.ts';
import { showBackupHook } from './showBackup.ts';
import { showBackupsHook } from './showBackups.ts';

export interface BackupDeps {
  readonly kv: Kv;
  readonly catalog: Catalog;
  readonly engine: { readonly statements: StatementHooks };
  readonly jobs: JobRegistry;
  readonly storage: StorageFactory;
  readonly protections: ProtectedRecords;
  readonly settings: ClusterSettings;
  readonly onScheduledSuccess?: OnScheduledSuccess;
}

/** CockroachDB's names of the places nearest to a backup's pausepoints. */
const PAUSEPOINT_ALIASES = Object.freeze({
  'backup.before_flow': 'backup.beforeExport',
  'backup.before.flow': 'backup.beforeExport',
  'backup.before.write_first_checkpoint': 'backup.beforeExport',
  'backup.after.write_first_checkpoint': 'backup.afterFirstExport',
  'backup.after.write_lock': 'backup.afterLock',
});

/** Before the registry starts. Returns what plans the backups of schedules. */
export function registerBackup(deps: BackupDeps): PlanScheduledBackup {
  const { settings, jobs } = deps;
  const metrics = new BackupMetrics(deps.kv.metrics);
  const { statements } = deps.engine;
  const planning = { ...deps, metrics, reservations: new DirectoryReservations(), finalJobs: new Set<string>(), chains: new ChainMemory() };
  statements.register<Backup>('backup', backupHook(planning));
  statements.register<ShowBackups>('showBackups', showBackupsHook(deps));
  statements.register<ShowBackup>('showBackup', showBackupHook(deps));
  statements.register<AlterBackup>('alterBackup', alterBackupHook(deps));
  jobs.register(
    BACKUP_JOB_TYPE,
    {
      pausepoints: BACKUP_PAUSEPOINTS,
      pausepointAliases: PAUSEPOINT_ALIASES,
      attemptsMax: BACKUP_ATTEMPTS_MAX,
      whenExhausted: 'fail',
      mayRunOn: (details, node) => mayRunOn(detailsFromJson(details).executionLocality, node),
      telemetry: (details) => backupTelemetry(detailsFromJson(details)),
    },
    (details) => new BackupResumer({ ...deps, metrics, settings: layerSettings(settings) }, detailsFromJson(details)),
  );
  return scheduledBackupPlanner(planning);
}
