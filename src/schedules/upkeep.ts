/** Upkeep: what a schedule does with its collection after a backup: compaction of a chain that has grown long, expiry of old backups. */
import type { ClusterSettings } from '../catalog/settings.ts';
import { CREATED_BY_SCHEDULE } from '../jobs/job.ts';
import type { JobRegistry } from '../jobs/registry.ts';
import type { Kv } from '../kv/kv.ts';
import type { SqlEngine } from '../sql/exec/engine.ts';
import type { StorageFactory } from '../storage/externalStorage.ts';
import type { BackupDetails } from '../backup/backupDetails.ts';
import { fullOfDirectory } from '../backup/collection.ts';
import { compactWhenDue } from '../restore/compact/compactStatement.ts';
import { expireForSchedule } from '../restore/retention/retentionStatement.ts';

import { isIncremental, type Schedule } from './schedule.ts';

export interface UpkeepDeps {
  readonly kv: Kv;
  readonly engine: SqlEngine;
  readonly jobs: JobRegistry;
  readonly storage: StorageFactory;
  readonly settings: ClusterSettings;
}

/** Starts what is due as jobs of the schedule. Rejects with what could not be started. */
export async function keepUp(deps: UpkeepDeps, schedule: Schedule, details: BackupDetails): Promise<void> {
  const createdBy = { type: CREATED_BY_SCHEDULE, id: schedule.id };
  const { location, user } = details;
  const { retention } = schedule.args;
  if (!isIncremental(schedule)) {
    if (retention === undefined) return;
    await deps.engine.runAs(schedule.owner, (context) => expireForSchedule(deps, context, { location, age: retention, createdBy }));
    return;
  }
  const full = fullOfDirectory(details.directory);
  const node = deps.kv.cluster.anyLiveNode();
  if (full !== undefined) await compactWhenDue(deps, { location, full, user, nodeId: node.id, createdBy });
}
