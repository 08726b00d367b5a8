/**
 * SHOW SCHEDULES, SHOW SCHEDULE, SHOW CREATE SCHEDULE(S): schedules as rows, secrets redacted. Owners see their own
 * schedules, administrators all of them; SHOW CREATE is for administrators.
 */
import { utf8Encode } from '../base/bytes.ts';
import { CorruptionError, StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { Datum } from '../catalog/datum.ts';
import { formatTimestampTz } from '../catalog/datetimeText.ts';
import { Json, jsonFromPlain } from '../catalog/json.ts';
import { isNewerForm } from '../catalog/newerForm.ts';
import { isAdmin } from '../catalog/privileges.ts';
import { Type } from '../catalog/type.ts';
import { CREATED_BY_SCHEDULE } from '../jobs/job.ts';
import type { JobRegistry } from '../jobs/registry.ts';
import type { Kv } from '../kv/kv.ts';
import type { HookResult, ResultColumn, StatementContext } from '../sql/exec/statement.ts';
import type { Backup, CreateSchedule, Expr, Option, ShowCreateSchedules, ShowSchedules } from '../sql/parse/ast.ts';
import { printStatement } from '../sql/parse/printer.ts';
import { granteesOf } from '../backup/statementValues.ts';

import { scheduleId } from './alterSchedule.ts';
import { presentTime } from './due.ts';
import { isIncremental, isPaused, listSchedules, type Schedule, statementOf } from './schedule.ts';
import {
  FIRST_RUN,
  ON_ERROR_WORDS,
  ON_EXECUTION_FAILURE,
  ON_PREVIOUS_RUNNING,
  RETENTION,
  UPDATES_METRIC,
  WAIT_WORDS,
} from './scheduleOptions.ts';
import { destinationOf, redactedText } from './scheduledStatement.ts';

export interface ShowDeps {
  readonly kv: Kv;
  readonly jobs: JobRegistry;
}

const COLUMNS: readonly ResultColumn[] = [
  { name: 'id', type: Type.Int8 },
  { name: 'label', type: Type.String },
  { name: 'schedule_status', type: Type.String },
  { name: 'next_run', type: Type.TimestampTz },
  { name: 'state', type: Type.String },
  { name: 'recurrence', type: Type.String },
  { name: 'jobsrunning', type: Type.Int8 },
  { name: 'owner', type: Type.String },
  { name: 'created', type: Type.TimestampTz },
  { name: 'on_previous_running', type: Type.String },
  { name: 'on_execution_failure', type: Type.String },
];

/** FOR BACKUP gives the statement alone, and says which kind it is. */
export function showColumns({ purpose }: ShowSchedules): readonly ResultColumn[] {
  if (purpose !== 'backup') return [...COLUMNS, { name: 'command', type: Type.Jsonb }];
  return [...COLUMNS, { name: 'command', type: Type.String }, { name: 'backup_type', type: Type.String }];
}

export async function showSchedules(deps: ShowDeps, context: StatementContext, stmt: ShowSchedules): Promise<HookResult> {
  const id = stmt.schedule && (await scheduleId(context, stmt.schedule));
  const wanted = (schedule: Schedule): boolean => {
    if (id !== undefined) return schedule.id === id;
    if (stmt.purpose !== undefined && stmt.purpose !== 'backup') return false;
    return stmt.which === 'all' || isPaused(schedule) === (stmt.which === 'paused');
  };
  const shown = (await visibleSchedules(context)).filter(wanted);
  const running = await runningJobs(deps.jobs, context);
  const isNewer = isNewerForm(context.engine.settings);
  const rows = shown.map((schedule): Datum[] => [
    ...commonDatums(schedule, running.get(schedule.id) ?? 0),
    ...commandDatums(schedule, stmt, isNewer),
  ]);
  return { tag: `SHOW SCHEDULES ${rows.length}`, rows, rowCount: rows.length };
}

/** By creation; of a pair the incremental first. */
async function visibleSchedules(context: StatementContext): Promise<Schedule[]> {
  const isAll = isAdmin(await granteesOf(context));
  const schedules = (await listSchedules(context.txn)).filter(({ owner }) => isAll || owner === context.user);
  return schedules.sort((a, b) => a.created - b.created || a.id - b.id);
}

/** Unfinished jobs by the schedule that made them. */
async function runningJobs(jobs: JobRegistry, context: StatementContext): Promise<Map<number, number>> {
  const counts = new Map<number, number>();
  for (const { createdBy } of await jobs.listUnfinished(context.txn)) {
    if (createdBy?.type === CREATED_BY_SCHEDULE) counts.set(createdBy.id, (counts.get(createdBy.id) ?? 0) + 1);
  }
  return counts;
}

function commonDatums(schedule: Schedule, running: number): Datum[] {
  const { id, label, nextRun, state, recurrence, owner, created, details } = schedule;
  return [
    id,
    utf8Encode(label),
    utf8Encode(isPaused(schedule) ? 'PAUSED' : 'ACTIVE'),
    nextRun ?? null,
    state.status === undefined ? null : utf8Encode(state.status),
    utf8Encode(recurrence),
    running,
    utf8Encode(owner),
    created,
    utf8Encode(details.wait),
    utf8Encode(details.on_error),
  ];
}

function commandDatums(schedule: Schedule, { purpose }: ShowSchedules, isNewer: boolean): Datum[] {
  const statement = shownStatement(schedule, isNewer);
  if (purpose === 'backup') return [utf8Encode(statement), utf8Encode(isIncremental(schedule) ? 'INCREMENTAL' : 'FULL')];
  const members = { ...schedule.args, backup_statement: statement };
  return [new Json(jsonFromPlain(members))];
}

/** Of a row that was changed by hand into something else: what is wrong with it, and not what it holds. */
function shownStatement(schedule: Schedule, isNewer: boolean): string {
  try {
    return commandText(statementOf(schedule), isNewer);
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    return error.message;
  }
}

/** 25.1 prints options in parentheses. */
function commandText(statement: Backup, isNewer: boolean): string {
  const whole = redactedText(statement);
  const head = redactedText({ ...statement, options: [] });
  return isNewer && whole.startsWith(`${head} WITH `) ? `${head} WITH OPTIONS (${whole.slice(head.length + 6)})` : whole;
}

// ---- SHOW CREATE --------------------------------------------------------------------------------------

export const SHOW_CREATE_COLUMNS: readonly ResultColumn[] = [
  { name: 'schedule_id', type: Type.Int8 },
  { name: 'create_statement', type: Type.String },
];

export async function showCreateSchedules(deps: ShowDeps, context: StatementContext, stmt: ShowCreateSchedules): Promise<HookResult> {
  if (!isAdmin(await granteesOf(context))) {
    throw new StatementError(SqlState.InsufficientPrivilege, 'only users with the admin role are allowed to SHOW CREATE SCHEDULE');
  }
  const id = stmt.schedule && (await scheduleId(context, stmt.schedule));
  const schedules = await visibleSchedules(context);
  const byId = new Map(schedules.map((schedule) => [schedule.id, schedule]));
  const now = presentTime(deps.kv);
  const rows = schedules
    .filter((schedule) => id === undefined || schedule.id === id)
    .filter(isWhole)
    .map((schedule): Datum[] => [schedule.id, utf8Encode(createText(schedule, byId.get(schedule.args.dependent_schedule_id ?? -1), now))]);
  return { tag: `SHOW CREATE SCHEDULES ${rows.length}`, rows, rowCount: rows.length };
}

/** A row that was changed by hand may hold nothing that would make it again. */
function isWhole(schedule: Schedule): boolean {
  try {
    return statementOf(schedule) !== undefined;
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    return false;
  }
}

/** What would make the schedule again, or the pair that it is one of. */
function createText(schedule: Schedule, other: Schedule | undefined, now: Timestamp): string {
  const pair = other === undefined ? [schedule] : [schedule, other];
  const full = pair.find((one) => !isIncremental(one));
  const incremental = pair.find(isIncremental);
  const main = full ?? schedule;
  const statement = statementOf(incremental ?? main);
  const times = pair.flatMap(({ nextRun }) => nextRun ?? []);
  const first = times.length === 0 ? now : Math.min(...times);
  const { details, args } = main;
  const options: Option[] = [
    option(FIRST_RUN, formatTimestampTz(first).replace(/([+-]\d\d)$/, '$1:00')),
    option(ON_EXECUTION_FAILURE, ON_ERROR_WORDS[details.on_error]),
    option(ON_PREVIOUS_RUNNING, WAIT_WORDS[details.wait]),
    ...(args.updates_last_backup_metric ? [{ name: UPDATES_METRIC, value: undefined, pos: 0 }] : []),
    ...(args.retention === undefined ? [] : [option(RETENTION, args.retention)]),
  ];
  const create: CreateSchedule = {
    kind: 'createSchedule',
    ifNotExists: false,
    label: text(schedule.label),
    targets: statement.targets,
    into: destinationOf(statement),
    options: statement.options,
    recurring: text((incremental ?? main).recurrence),
    // An incremental whose full is gone says nothing of fulls.
    fullBackup: incremental === undefined ? { type: 'always' } : full && { type: 'recurring', recurring: text(full.recurrence) },
    scheduleOptions: options,
    pos: 0,
  };
  return printStatement(create);
}

function text(value: string): Expr {
  return { kind: 'string', value, pos: 0 };
}

function option(name: string, value: string): Option {
  return { name, value: text(value), pos: 0 };
}
