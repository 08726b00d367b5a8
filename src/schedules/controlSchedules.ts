/** PAUSE, RESUME and DROP of schedules, one by its id or all that a query names. Who may: the owner, and administrators. */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { hasSystemPrivilege } from '../catalog/globalPrivileges.ts';
import { isAdmin } from '../catalog/privileges.ts';
import type { ProtectedRecords } from '../catalog/protectedRecords.ts';
import type { Kv } from '../kv/kv.ts';
import type { HookResult, StatementContext } from '../sql/exec/statement.ts';
import type { ControlSchedules } from '../sql/parse/ast.ts';
import { granteesOf } from '../backup/statementValues.ts';

import { scheduleId, unknownSchedule } from './alterSchedule.ts';
import { presentTime } from './due.ts';
import { Recurrence } from './recurrence.ts';
import { deleteSchedule, isIncremental, isPaused, readSchedule, type Schedule, writeSchedule } from './schedule.ts';
import { releaseRecord } from './success.ts';

export interface ControlDeps {
  readonly kv: Kv;
  readonly protections: ProtectedRecords;
}

export async function controlSchedules(deps: ControlDeps, context: StatementContext, stmt: ControlSchedules): Promise<HookResult> {
  const { command, schedules } = stmt;
  const ids = schedules.type === 'id' ? [await scheduleId(context, schedules.id)] : await queryIds(context, stmt);
  const grantees = await granteesOf(context);
  const mayAll = isAdmin(grantees) || (await hasSystemPrivilege(context.txn, grantees, 'REPAIRCLUSTER'));
  let count = 0;
  for (const id of ids) {
    const schedule = await readSchedule(context.txn, id);
    if (schedule === undefined) {
      // A query may name what the command before it has dropped with its other half.
      if (schedules.type === 'select') continue;
      throw unknownSchedule(id);
    }
    if (!mayAll && schedule.owner !== context.user) {
      throw new StatementError(
        SqlState.InsufficientPrivilege,
        `must have REPAIRCLUSTER privilege or be owner of the schedule ${id} to ${command.toUpperCase()} it`,
      );
    }
    count += await carryOut(deps, context, command, schedule);
  }
  return { tag: `${command.toUpperCase()} SCHEDULES ${count}`, rowCount: count };
}

/** How many schedules it was about. */
async function carryOut(
  deps: ControlDeps,
  { txn }: StatementContext,
  command: ControlSchedules['command'],
  schedule: Schedule,
): Promise<number> {
  switch (command) {
    case 'pause':
      if (!isPaused(schedule)) await writeSchedule(txn, { ...schedule, nextRun: undefined });
      return 1;
    case 'resume':
      // An active one may have a first run of its own, which is not to be lost.
      if (isPaused(schedule)) await writeSchedule(txn, resumed(deps, schedule));
      return 1;
    case 'drop':
      return await drop(deps, txn, schedule);
    case 'execute':
      throw new StatementError(SqlState.FeatureNotSupported, 'EXECUTE SCHEDULE is not supported for backup schedules', {
        hint: `ALTER BACKUP SCHEDULE ${schedule.id} EXECUTE IMMEDIATELY`,
      });
  }
}

/** Resumed here, it is this cluster's, wherever it was made. */
function resumed({ kv }: ControlDeps, schedule: Schedule): Schedule {
  return {
    ...schedule,
    nextRun: new Recurrence(schedule.recurrence).next(presentTime(kv)),
    // What it was late with before it was paused is not waited for any more.
    state: { ...schedule.state, status: undefined, waiting_since: undefined },
    details: { ...schedule.details, cluster_id: kv.clusterId },
  };
}

/** A full goes with its incremental; what an incremental holds of history goes with it. */
async function drop({ protections }: ControlDeps, txn: StatementContext['txn'], schedule: Schedule): Promise<number> {
  const otherId = schedule.args.dependent_schedule_id;
  const other = otherId === undefined ? undefined : await readSchedule(txn, otherId);
  const goes = other !== undefined && isIncremental(other) ? [schedule, other] : [schedule];
  for (const one of goes) {
    await releaseRecord(protections, txn, one);
    await deleteSchedule(txn, one.id);
  }
  if (other !== undefined && !goes.includes(other)) {
    const args = { ...other.args, dependent_schedule_id: undefined, unpause_on_success: undefined };
    await writeSchedule(txn, { ...other, args });
  }
  return goes.length;
}

/** 42601 for a query of several columns, 42804 for one of no ids. */
async function queryIds(context: StatementContext, { schedules }: ControlSchedules): Promise<number[]> {
  if (schedules.type === 'id') return [];
  const result = await context.engine.runNested(context, schedules.query);
  const [column, ...others] = result.columns ?? [];
  if (!column || others.length > 0) throw new StatementError(SqlState.SyntaxError, 'subquery must return only one column');
  if (column.type.family !== 'int') throw new StatementError(SqlState.DatatypeMismatch, 'the subquery must return ids of type INT8');
  return [...new Set(result.rows.filter((row) => row[0] !== null).map((row) => Number(row[0])))];
}
