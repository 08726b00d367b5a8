/** Upkeep: what a schedule does with its collection after a backup: compaction of a chain that has grown long, expiry of old backups. */
import type { ClusterSettings } from '../catalog/settings.ts';
import { CREATED_BY_SCHEDULE } from '../jobs/job.ts';
import type { JobRegistry } from '../jobs/registry.ts';
import type { Kv } from '../kv/kv.ts';
import type { SqlEngine } from '../sql/exec/engine.ts';
import type { StatementContext } from '../sql/exec/statement.ts';
import type { StorageFactory } from '../storage/externalStorage.ts';
import type { BackupDetails } from '../backup/backupDetails.ts';
import { fullOfDirectory } from '../backup/collection.ts';
import type { LocationDetails } from '../backup/locationDetails.ts';
import { INCREMENTAL_LOCATION, readLocation } from '../backup/readLocation.ts';
import { compactWhenDue } from '../restore/compact/compactStatement.ts';
import { expireForSchedule } from '../restore/retention/retentionStatement.ts';

import { isIncremental, readSchedule, type Schedule, statementOf } from './schedule.ts';
import { destinationOf } from './scheduledStatement.ts';

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
    await deps.engine.runAs(schedule.owner, async (context) => {
      const whole = { ...location, incrementalUris: await incrementalUris(deps, context, schedule, location) };
      return await expireForSchedule(deps, context, { location: whole, age: retention, createdBy });
    });
    return;
  }
  const full = fullOfDirectory(details.directory);
  const node = deps.kv.cluster.anyLiveNode();
  if (full !== undefined) await compactWhenDue(deps, { location, full, user, nodeId: node.id, createdBy });
}

/** Where the incrementals of the pair lie, if not beside the fulls: a full says nothing of it, and a chain goes only as a whole. */
async function incrementalUris(
  { kv }: UpkeepDeps,
  context: StatementContext,
  { args }: Schedule,
  location: LocationDetails,
): Promise<readonly string[]> {
  const id = args.dependent_schedule_id;
  const incremental = id === undefined ? undefined : await readSchedule(kv.at(kv.reading()), id);
  if (incremental === undefined) return location.incrementalUris;
  const statement = statementOf(incremental);
  const option = statement.options.find(({ name }) => name === INCREMENTAL_LOCATION);
  const present = await readLocation(context, destinationOf(statement), option);
  // Sent elsewhere meanwhile: of this place nothing is known any more.
  return present.uris.join('\n') === location.uris.join('\n') ? present.incrementalUris : location.incrementalUris;
}
