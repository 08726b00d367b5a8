/**
 * RPO: how much would be lost if everything burnt down now, for every schedule one number: seconds since the newest time
 * that its backups can bring back; since its creation, while there is none. With what is wrong with it, if anything.
 */
import { utf8Encode } from '../base/bytes.ts';
import { isVarveError } from '../base/errors.ts';
import { MICROS_PER_SECOND } from '../base/duration.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { Datum } from '../catalog/datum.ts';
import { isAdmin } from '../catalog/privileges.ts';
import { Type } from '../catalog/type.ts';
import { rolesOf } from '../catalog/users.ts';
import type { VirtualTables } from '../sql/plan/virtualTable.ts';

import { WAITING_FOR_FULL } from './createSchedule.ts';
import { Recurrence } from './recurrence.ts';
import { isIncremental, isPaused, listSchedules, type Schedule } from './schedule.ts';

export interface ScheduleHealth {
  readonly schedule: Schedule;
  /** Of the pair, whichever of the two is asked for. */
  readonly newestRestorable: Timestamp | undefined;
  /** Never negative. */
  readonly rpoSeconds: number;
  /** When its oldest unfinished backup was created. */
  readonly runningSince: Timestamp | undefined;
  readonly missedRuns: number;
  /** A backup goes on for longer than two periods, or was due a period ago and has not begun. */
  readonly isStuck: boolean;
  /** By somebody, by a failure or by a restore; an incremental that waits for its first full is not. */
  readonly isPaused: boolean;
}

/** The health of schedules, in their order; `all` has the other halves of pairs. */
export function healthOf(
  schedules: readonly Schedule[],
  all: readonly Schedule[],
  now: Timestamp,
  runningSince: (id: number) => Timestamp | undefined,
): ScheduleHealth[] {
  const byId = new Map(all.map((schedule) => [schedule.id, schedule]));
  return schedules.map((schedule) => {
    const other = byId.get(schedule.args.dependent_schedule_id ?? -1);
    const newest = Math.max(schedule.state.newest_restorable ?? 0, other?.state.newest_restorable ?? 0);
    const since = newest === 0 ? schedule.created : newest;
    const running = runningSince(schedule.id);
    const period = periodOf(schedule, now);
    const isLong = running !== undefined && now - running > 2 * period;
    const isLate = running === undefined && schedule.nextRun !== undefined && now - schedule.nextRun > period;
    return {
      schedule,
      newestRestorable: newest === 0 ? undefined : (newest as Timestamp),
      rpoSeconds: Math.max(0, now - since) / MICROS_PER_SECOND,
      runningSince: running,
      missedRuns: schedule.state.missed ?? 0,
      isStuck: isLong || isLate,
      isPaused: isPaused(schedule) && schedule.state.status !== WAITING_FOR_FULL,
    };
  });
}

/** Of a row that was changed by hand into something that never comes: infinite. */
function periodOf({ recurrence }: Schedule, now: Timestamp): number {
  try {
    return new Recurrence(recurrence).period(now);
  } catch (error) {
    if (!isVarveError(error)) throw error;
    return Number.POSITIVE_INFINITY;
  }
}

/** varve_internal.backup_rpo: a row for each schedule that the user may see. */
export function registerRpoTable(tables: VirtualTables, now: () => Timestamp, runningSince: (id: number) => Timestamp | undefined): void {
  tables.register({
    schema: 'varve_internal',
    name: 'backup_rpo',
    comment: 'how far back the newest restorable time of each backup schedule lies, and what is wrong with it',
    columns: [
      { name: 'schedule_id', type: Type.Int8 },
      { name: 'label', type: Type.String },
      { name: 'backup_type', type: Type.String },
      { name: 'rpo_seconds', type: Type.Float8 },
      { name: 'newest_restorable_time', type: Type.TimestampTz },
      { name: 'next_run', type: Type.TimestampTz },
      { name: 'running_since', type: Type.TimestampTz },
      { name: 'missed_runs', type: Type.Int8 },
      { name: 'is_stuck', type: Type.Bool },
      { name: 'is_paused', type: Type.Bool },
    ],
    async rows({ reader, user }) {
      const isAll = isAdmin(user) || isAdmin(await rolesOf(reader, user));
      const all = await listSchedules(reader);
      const shown = all.filter(({ owner }) => isAll || owner === user);
      return healthOf(shown, all, now(), runningSince).map((health): Datum[] => [
        health.schedule.id,
        utf8Encode(health.schedule.label),
        utf8Encode(isIncremental(health.schedule) ? 'INCREMENTAL' : 'FULL'),
        health.rpoSeconds,
        health.newestRestorable ?? null,
        health.schedule.nextRun ?? null,
        health.runningSince ?? null,
        health.missedRuns,
        health.isStuck,
        health.isPaused,
      ]);
    },
  });
}
