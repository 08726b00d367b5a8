/**
 * Plugs EXPORT INTO CSV, IMPORT INTO and its job into a database.
 */
import type { ProtectedRecords } from '../../catalog/protectedRecords.ts';
import { jobOwnerCheck, type ProtectionReconciler } from '../../jobs/protectionReconciler.ts';
import type { JobRegistry } from '../../jobs/registry.ts';
import type { SqlEngine } from '../../sql/exec/engine.ts';
import type { ExportInto, ImportInto } from '../../sql/parse/ast.ts';
import type { StorageFactory } from '../../storage/externalStorage.ts';
import { exportHook } from './exportCsv.ts';
import {
  IMPORT_JOB_TYPE,
  IMPORT_META,
  IMPORT_PAUSEPOINT_ALIASES,
  IMPORT_PAUSEPOINTS,
  IMPORT_SIZES,
  type ImportDetails,
  ImportResumer,
} from './importJob.ts';
import { importHook } from './importStatement.ts';

export interface CsvDeps {
  readonly engine: SqlEngine;
  readonly jobs: JobRegistry;
  readonly storage: StorageFactory;
  readonly protections: ProtectedRecords;
  /** Releases what an import that is gone has left protected. */
  readonly reconciler: ProtectionReconciler;
}

/** Before the job registry starts. */
export function registerCsv({ engine, jobs, storage, protections, reconciler }: CsvDeps): void {
  engine.statements.register<ExportInto>('exportInto', exportHook(storage));
  engine.statements.register<ImportInto>('importInto', importHook(jobs, storage));
  jobs.register(
    IMPORT_JOB_TYPE,
    { pausepoints: IMPORT_PAUSEPOINTS, pausepointAliases: IMPORT_PAUSEPOINT_ALIASES },
    (details) => new ImportResumer({ engine, storage, protections, sizes: IMPORT_SIZES }, details as unknown as ImportDetails),
  );
  reconciler.addOwnerCheck(IMPORT_META, jobOwnerCheck(jobs.table));
}
