/**
 * ALTER BACKUP SCHEDULE: changes a schedule, or both of a pair, whichever of the two is named. All of the commands are
 * applied to the rows as they were, the full backup is planned without doing it, and only then anything is written.
 */
import { StateError, StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { hasSystemPrivilege } from '../catalog/globalPrivileges.ts';
import { isAdmin } from '../catalog/privileges.ts';
import type { ProtectedRecords } from '../catalog/protectedRecords.ts';
import type { HookResult, StatementContext } from '../sql/exec/statement.ts';
import type { AlterBackupSchedule, AlterScheduleCommand, Backup, Option } from '../sql/parse/ast.ts';
import { granteesOf } from '../backup/statementValues.ts';

import { checkPlan, requireString, type ScheduleStatementDeps, scheduleRow, WAITING_FOR_FULL, waitingSchedule } from './createSchedule.ts';
import { presentTime } from './due.ts';
import { checkFrequencies, defaultFullRecurrence, Recurrence } from './recurrence.ts';
import { deleteSchedule, isIncremental, isPaused, readSchedule, type Schedule, statementOf, writeSchedule } from './schedule.ts';
import {
  ALTER_OPTIONS,
  checkMayUpdateMetric,
  ON_EXECUTION_FAILURE,
  ON_PREVIOUS_RUNNING,
  readOnError,
  readRetention,
  readScheduleOptions,
  readWait,
  RETENTION,
  UPDATES_METRIC,
} from './scheduleOptions.ts';
import { DETACHED, fullOf, incrementalOf, inOrder, literalOptions, literalUris, redactedText, storedText } from './scheduledStatement.ts';
import { releaseRecord } from './success.ts';

export interface AlterDeps extends ScheduleStatementDeps {
  readonly protections: ProtectedRecords;
  /** Whether a backup of the schedule goes on. */
  isRunning(scheduleId: number): boolean;
}

/** A schedule of full backups, and the incremental one beside it. */
interface Pair {
  full: Schedule;
  incremental: Schedule | undefined;
  /** Of both: the incremental one's, which has every option. */
  statement: Backup;
}

export async function alterSchedule(deps: AlterDeps, context: StatementContext, stmt: AlterBackupSchedule): Promise<HookResult> {
  refuseRepeated(stmt.commands);
  refuseTwoRetentions(stmt.commands);
  const before = await loadPair(context, await scheduleId(context, stmt.schedule));
  await checkMayAlter(context, before);
  const now = presentTime(deps.kv);
  const pair: Pair = { ...before };
  await changeCadence(deps, context, pair, stmt.commands, now);
  for (const command of stmt.commands) await apply(deps, context, pair, command, now);
  await applyOptions(context, pair, stmt.commands);
  for (const command of stmt.commands) if (command.type === 'execute') execute(pair, command.full, now);
  await checkPlan(deps, context, fullOf(pair.statement), true);
  return await store(deps, context, before, pair);
}

/** Writes what is new; an incremental schedule that is gone lets go of what it holds. */
async function store(deps: AlterDeps, context: StatementContext, before: Pair, pair: Pair): Promise<HookResult> {
  const { txn } = context;
  const { statement } = pair;
  if (before.incremental && !pair.incremental) {
    await releaseRecord(deps.protections, txn, before.incremental);
    await deleteSchedule(txn, before.incremental.id);
  }
  const full = { ...pair.full, args: { ...pair.full.args, backup_statement: storedText(fullOf(statement)) } };
  const incremental = pair.incremental && {
    ...pair.incremental,
    args: { ...pair.incremental.args, backup_statement: storedText(incrementalOf(statement)) },
  };
  const both = incremental ? [incremental, full] : [full];
  for (const schedule of both) await writeSchedule(txn, schedule);
  return { tag: 'ALTER BACKUP SCHEDULE', rows: both.map((schedule) => scheduleRow(schedule, redactedText)), rowCount: both.length };
}

// ---- which ------------------------------------------------------------------------------------------

export async function scheduleId(context: StatementContext, expr: AlterBackupSchedule['schedule']): Promise<number> {
  const id = await context.evalInt(expr);
  if (id === undefined) throw new StatementError(SqlState.InvalidParameterValue, 'the id of a schedule must not be NULL');
  return id;
}

export function unknownSchedule(id: number): StatementError {
  return new StatementError(SqlState.UndefinedObject, `scheduled job with ID ${id} does not exist`, {
    hint: 'SHOW SCHEDULES lists those that you may see',
  });
}

async function loadPair(context: StatementContext, id: number): Promise<Pair> {
  const named = await readSchedule(context.txn, id);
  if (named === undefined) throw unknownSchedule(id);
  const otherId = named.args.dependent_schedule_id;
  const other = otherId === undefined ? undefined : await readSchedule(context.txn, otherId);
  const [full, incremental] = isIncremental(named) ? [other, named] : [named, other];
  if (full === undefined) {
    throw new StateError(
      SqlState.ObjectNotInPrerequisiteState,
      `incremental backup schedule ${id} has no corresponding full backup schedule; drop schedule ${id} and recreate`,
    );
  }
  return { full, incremental, statement: asFull(statementOf(incremental ?? full)) };
}

/** Kept in the form of a full, with the options of the incremental. */
function asFull(statement: Backup): Backup {
  const { destination } = statement;
  return destination.type === 'intoLatest' ? { ...statement, destination: { type: 'into', uris: destination.uris } } : statement;
}

async function checkMayAlter(context: StatementContext, { full, incremental }: Pair): Promise<void> {
  const grantees = await granteesOf(context);
  if (isAdmin(grantees) || (await hasSystemPrivilege(context.txn, grantees, 'REPAIRCLUSTER'))) return;
  if ([full, incremental].every((schedule) => schedule === undefined || schedule.owner === context.user)) return;
  throw new StatementError(
    SqlState.InsufficientPrivilege,
    'must be admin or the owner of the schedules being altered, or have REPAIRCLUSTER privilege',
  );
}

const ONCE: Readonly<Partial<Record<AlterScheduleCommand['type'], string>>> = {
  setLabel: 'SET LABEL',
  setInto: 'SET INTO',
  setRecurring: 'SET RECURRING',
  setFullBackup: 'SET FULL BACKUP',
};

function refuseRepeated(commands: readonly AlterScheduleCommand[]): void {
  const seen = new Set<string>();
  for (const { type, pos } of commands) {
    const name = ONCE[type];
    if (name === undefined) continue;
    if (seen.has(name)) {
      throw new StatementError(SqlState.SyntaxError, `can specify ${name} at most once`, { location: { position: pos + 1 } });
    }
    seen.add(name);
  }
}

// ---- cadence ----------------------------------------------------------------------------------------

/** SET FULL BACKUP first, whether there are incrementals; then SET RECURRING, how often the more frequent ones come. */
async function changeCadence(
  deps: AlterDeps,
  context: StatementContext,
  pair: Pair,
  commands: readonly AlterScheduleCommand[],
  now: Timestamp,
): Promise<void> {
  let recurring: Recurrence | undefined;
  let full: Recurrence | 'always' | undefined;
  for (const command of commands) {
    if (command.type === 'setRecurring')
      recurring = new Recurrence(await requireString(context, command.recurring, 'the crontab of SET RECURRING'));
    if (command.type !== 'setFullBackup') continue;
    const { fullBackup } = command;
    full =
      fullBackup.type === 'always'
        ? 'always'
        : new Recurrence(await requireString(context, fullBackup.recurring, 'the crontab of SET FULL BACKUP'));
  }
  if (recurring === undefined && full === undefined) return;
  if (full === 'always') removeIncremental(pair);
  else if (full !== undefined) {
    if (pair.incremental === undefined) addIncremental(deps, context, pair, now);
    pair.full = recurs(pair.full, full, now);
  }
  if (recurring !== undefined) {
    if (pair.incremental === undefined) pair.full = recurs(pair.full, recurring, now);
    else pair.incremental = recurs(pair.incremental, recurring, now);
  }
  if (pair.incremental === undefined) return;
  const [often, seldom] = [new Recurrence(pair.incremental.recurrence), new Recurrence(pair.full.recurrence)];
  // Without a word about fulls, they follow the table for new schedules when they would else come too often.
  if (full === undefined && often.period(now) > seldom.period(now)) {
    const picked = defaultFullRecurrence(often.period(now));
    if (picked === undefined) removeIncremental(pair);
    else pair.full = recurs(pair.full, new Recurrence(picked), now);
    return;
  }
  checkFrequencies(often, seldom, now);
}

/** The same cadence as before leaves the next run as it is: none may be skipped for it. */
function recurs(schedule: Schedule, recurrence: Recurrence, now: Timestamp): Schedule {
  if (schedule.recurrence === recurrence.text) return schedule;
  return { ...schedule, recurrence: recurrence.text, nextRun: isPaused(schedule) ? undefined : recurrence.next(now) };
}

/** The full takes over how often. */
function removeIncremental(pair: Pair): void {
  const { full, incremental } = pair;
  if (incremental === undefined) return;
  const nextRun = isPaused(full) || incremental.recurrence === full.recurrence ? full.nextRun : earlier(full.nextRun, incremental.nextRun);
  pair.full = {
    ...full,
    recurrence: incremental.recurrence,
    nextRun,
    args: { ...full.args, dependent_schedule_id: undefined, unpause_on_success: undefined },
  };
  pair.incremental = undefined;
}

function earlier(a: Timestamp | undefined, b: Timestamp | undefined): Timestamp | undefined {
  return a === undefined || b === undefined ? (a ?? b) : (Math.min(a, b) as Timestamp);
}

function addIncremental(deps: AlterDeps, context: StatementContext, pair: Pair, now: Timestamp): void {
  const { full, statement } = pair;
  const id = deps.kv.ids.int8();
  const { updates_last_backup_metric, retention, place } = full.args;
  const chains = deps.settings.bool('schedules.backup.gc_protection.enabled') ? (true as const) : undefined;
  const args = { updates_last_backup_metric, retention, place, chain_protected_timestamp_records: chains };
  pair.incremental = waitingSchedule(
    { id, label: full.label, created: now, owner: context.user, recurrence: full.recurrence, details: full.details },
    statement,
    { ...args, dependent_schedule_id: full.id },
  );
  pair.full = {
    ...full,
    args: { ...full.args, dependent_schedule_id: id, unpause_on_success: id, chain_protected_timestamp_records: chains },
  };
}

// ---- the other commands -----------------------------------------------------------------------------

async function apply(deps: AlterDeps, context: StatementContext, pair: Pair, command: AlterScheduleCommand, now: Timestamp): Promise<void> {
  switch (command.type) {
    case 'setLabel': {
      const label = await requireString(context, command.label, 'the label of a schedule');
      pair.full = { ...pair.full, label };
      if (pair.incremental) pair.incremental = { ...pair.incremental, label };
      return;
    }
    case 'setInto': {
      const uris = await literalUris(context, command.into);
      pair.statement = { ...pair.statement, destination: { type: 'into', uris } };
      moveAway(pair, now, deps.isRunning(pair.full.id));
      return;
    }
    case 'setWith':
      await setOptions(context, pair, command.options);
      return;
    default:
      return;
  }
}

/**
 * At the new place there is no full yet: the incrementals wait for one. It is taken at once if they were at work before, or
 * waited for one that goes on at the old place or has failed there; not if the first full is still to come, or somebody paused them.
 */
function moveAway(pair: Pair, now: Timestamp, isRunning: boolean): void {
  const place = (pair.full.args.place ?? 0) + 1;
  const { full, incremental } = pair;
  if (incremental === undefined) {
    pair.full = { ...full, args: { ...full.args, place } };
    return;
  }
  const isWaiting = full.args.unpause_on_success === incremental.id;
  const wasActive = !isPaused(incremental) || (isWaiting && (isRunning || full.state.status !== undefined));
  pair.full = {
    ...full,
    nextRun: wasActive && !isPaused(full) ? now : full.nextRun,
    args: { ...full.args, place, unpause_on_success: incremental.id },
  };
  pair.incremental = {
    ...incremental,
    nextRun: undefined,
    state: { ...incremental.state, status: WAITING_FOR_FULL },
    args: { ...incremental.args, place },
  };
}

/** An empty text takes an option away. */
async function setOptions(context: StatementContext, pair: Pair, options: readonly Option[]): Promise<void> {
  const detached = options.find(({ name }) => name === DETACHED);
  if (detached !== undefined) {
    throw new StatementError(SqlState.InvalidParameterValue, 'DETACHED is required for scheduled backups and cannot be altered', {
      location: { position: detached.pos + 1 },
    });
  }
  for (const option of await literalOptions(
    context,
    options.filter(({ name }) => name !== RETENTION),
  )) {
    const others = pair.statement.options.filter(({ name }) => name !== option.name);
    const added = isEmptyText(option) ? [] : [option];
    pair.statement = { ...pair.statement, options: inOrder([...others, ...added]) };
  }
  const [retention] = options.filter(({ name }) => name === RETENTION);
  if (retention === undefined) return;
  if (retention.value === undefined) {
    throw new StatementError(SqlState.InvalidParameterValue, `option "${RETENTION}" requires a value`, {
      location: { position: retention.pos + 1 },
      hint: `${RETENTION} = '' keeps backups for ever`,
    });
  }
  await setRetention(context, pair, await requireString(context, retention.value, `option ${RETENTION}`));
}

/** Both lists of options may have it, as for CREATE; not both at once. */
function refuseTwoRetentions(commands: readonly AlterScheduleCommand[]): void {
  const options = commands.flatMap((command) =>
    command.type === 'setWith' ? command.options : command.type === 'setOption' ? [command.option] : [],
  );
  if (options.filter(({ name }) => name === RETENTION).length > 1) {
    throw new StatementError(SqlState.InvalidParameterValue, `option "${RETENTION}" is given twice`);
  }
}

function isEmptyText({ value }: Option): boolean {
  if (value?.kind === 'tuple') return value.elements.every((element) => element.kind === 'string' && element.value === '');
  return value?.kind === 'string' && value.value === '';
}

async function setRetention(context: StatementContext, pair: Pair, text: string): Promise<void> {
  const retention = await readRetention(context, text);
  pair.full = { ...pair.full, args: { ...pair.full.args, retention } };
  if (pair.incremental) pair.incremental = { ...pair.incremental, args: { ...pair.incremental.args, retention } };
}

async function applyOptions(context: StatementContext, pair: Pair, commands: readonly AlterScheduleCommand[]): Promise<void> {
  const given = commands.flatMap((command) => (command.type === 'setOption' ? [command.option] : []));
  const options = await readScheduleOptions(context, given, ALTER_OPTIONS);
  const { full, incremental } = pair;
  const [failure, running, metric, retention] = [ON_EXECUTION_FAILURE, ON_PREVIOUS_RUNNING, UPDATES_METRIC, RETENTION].map((name) =>
    options.get(name),
  );
  const details = {
    ...(failure !== undefined && { on_error: readOnError(failure) }),
    ...(running !== undefined && { wait: readWait(running) }),
  };
  if (metric !== undefined) await checkMayUpdateMetric(context);
  const updates = metric === undefined ? {} : { updates_last_backup_metric: readBool(metric) ? (true as const) : undefined };
  pair.full = { ...full, details: { ...full.details, ...details }, args: { ...full.args, ...updates } };
  if (incremental) {
    pair.incremental = {
      ...incremental,
      details: { ...incremental.details, ...details, wait: 'WAIT' },
      args: { ...incremental.args, ...updates },
    };
  }
  if (retention !== undefined) await setRetention(context, pair, retention);
}

/** What Go's ParseBool takes; an option without a value is on. */
function readBool(text: string): boolean {
  if (text === '') return true;
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false;
  throw new StatementError(SqlState.InvalidParameterValue, `unexpected value for ${UPDATES_METRIC}: ${text}`);
}

/** The incremental of a pair, unless the full is asked for. */
function execute(pair: Pair, isFull: boolean, now: Timestamp): void {
  const schedule = isFull ? pair.full : (pair.incremental ?? pair.full);
  if (isPaused(schedule)) {
    throw new StateError(SqlState.ObjectNotInPrerequisiteState, 'cannot execute a paused schedule; use RESUME SCHEDULE instead', {
      detail: schedule.state.status ?? `schedule ${schedule.id} is paused`,
    });
  }
  const due = { ...schedule, nextRun: now };
  if (schedule === pair.full) pair.full = due;
  else pair.incremental = due;
}
