/**
 * CREATE SCHEDULE FOR BACKUP: evaluates what the user wrote, has the full backup planned without doing it, and writes one
 * schedule, or a pair: an incremental one that waits for the first full, and the full one.
 */
import { isVarveError, StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { MICROS_PER_SECOND } from '../base/duration.ts';
import { utf8Encode } from '../base/bytes.ts';
import type { ClusterSettings } from '../catalog/settings.ts';
import type { Datum } from '../catalog/datum.ts';
import { Type } from '../catalog/type.ts';
import type { Kv } from '../kv/kv.ts';
import type { HookResult, ResultColumn, StatementContext } from '../sql/exec/statement.ts';
import type { Backup, CreateSchedule, Expr } from '../sql/parse/ast.ts';
import type { StorageFactory } from '../storage/externalStorage.ts';
import { redactUri } from '../storage/uri.ts';
import { noLatest, readLatest } from '../backup/collection.ts';
import { openCollection } from '../backup/collectionStorage.ts';
import { readLocation } from '../backup/readLocation.ts';
import type { PlanScheduledBackup } from '../backup/scheduledBackup.ts';

import { presentTime } from './due.ts';
import { checkFrequencies, defaultFullRecurrence, Recurrence } from './recurrence.ts';
import { isPaused, listSchedules, type Schedule, type ScheduleDetails, statementOf, writeSchedule } from './schedule.ts';
import {
  checkMayUpdateMetric,
  CREATE_OPTIONS,
  FIRST_RUN,
  IGNORE_EXISTING_BACKUPS,
  ON_EXECUTION_FAILURE,
  ON_PREVIOUS_RUNNING,
  readFirstRun,
  readOnError,
  readRetention,
  readScheduleOptions,
  readWait,
  RETENTION,
  UPDATES_METRIC,
} from './scheduleOptions.ts';
import { scheduleTelemetry } from './scheduleTelemetry.ts';
import { destinationOf, fullOf, incrementalOf, openText, scheduledStatement, storedText } from './scheduledStatement.ts';

export interface ScheduleStatementDeps {
  readonly kv: Kv;
  readonly settings: ClusterSettings;
  readonly storage: StorageFactory;
  readonly planBackup: PlanScheduledBackup;
}

export const WAITING_FOR_FULL = 'Waiting for initial backup to complete';

/** What CREATE and ALTER return a row of for each schedule, the incremental one first. */
export const SCHEDULE_COLUMNS: readonly ResultColumn[] = [
  { name: 'schedule_id', type: Type.Int8 },
  { name: 'label', type: Type.String },
  { name: 'status', type: Type.String },
  { name: 'first_run', type: Type.TimestampTz },
  { name: 'schedule', type: Type.String },
  { name: 'backup_stmt', type: Type.String },
];

export async function createSchedule(deps: ScheduleStatementDeps, context: StatementContext, stmt: CreateSchedule): Promise<HookResult> {
  const tag = 'CREATE SCHEDULE';
  const label = stmt.label && (await requireString(context, stmt.label, 'the label of a schedule'));
  if (stmt.ifNotExists) {
    if (label === undefined) throw new StatementError(SqlState.SyntaxError, 'CREATE SCHEDULE IF NOT EXISTS needs a label');
    if ((await listSchedules(context.txn)).some((schedule) => schedule.label === label)) {
      context.notice(`schedule ${JSON.stringify(label)} already exists, skipping`);
      return { tag, rows: [], rowCount: 0 };
    }
  }
  const now = presentTime(deps.kv);
  const cadence = await readCadence(context, stmt, now);
  const options = await readScheduleOptions(context, stmt.scheduleOptions, CREATE_OPTIONS);
  const { backupOptions, retention } = await readKeeping(context, stmt, options);
  const statement = await scheduledStatement(context, { targets: stmt.targets, into: stmt.into, options: backupOptions });
  const full = fullOf(statement);
  await checkPlan(deps, context, full, options.has(IGNORE_EXISTING_BACKUPS));
  if (options.has(UPDATES_METRIC)) await checkMayUpdateMetric(context);
  const details: ScheduleDetails = {
    wait: readWait(options.get(ON_PREVIOUS_RUNNING) ?? 'wait'),
    on_error: readOnError(options.get(ON_EXECUTION_FAILURE) ?? 'reschedule'),
    cluster_id: deps.kv.clusterId,
  };
  const first = options.get(FIRST_RUN);
  const firstRun = first === undefined ? (cadence.isPicked ? now : cadence.full.next(now)) : readFirstRun(context, first, now);
  const common = {
    label: label ?? `BACKUP ${Math.floor(now / MICROS_PER_SECOND)}`,
    created: now,
    owner: context.user,
    state: {},
  };
  const { incremental } = cadence;
  const incrementalId = incremental && deps.kv.ids.int8();
  const fullId = deps.kv.ids.int8();
  const args = {
    ...(options.has(UPDATES_METRIC) && { updates_last_backup_metric: true as const }),
    ...(incremental &&
      deps.settings.bool('schedules.backup.gc_protection.enabled') && { chain_protected_timestamp_records: true as const }),
    ...(retention !== undefined && { retention }),
  };
  const made: Schedule[] = [];
  if (incremental && incrementalId !== undefined) {
    made.push(
      waitingSchedule({ ...common, id: incrementalId, recurrence: incremental.text, details }, statement, {
        ...args,
        dependent_schedule_id: fullId,
      }),
    );
  }
  const pair = incrementalId === undefined ? {} : { dependent_schedule_id: incrementalId, unpause_on_success: incrementalId };
  const fullArgs = { backup_statement: storedText(full), ...args, ...pair };
  made.push({ ...common, id: fullId, nextRun: firstRun, recurrence: cadence.full.text, details, args: fullArgs });
  for (const schedule of made) await writeSchedule(context.txn, schedule);
  const { kv } = deps;
  context.txn.afterCommit(() => {
    kv.events.emit({ channel: 'TELEMETRY', type: 'recovery_event', micros: kv.reading(), fields: scheduleTelemetry(made) });
  });
  return { tag, rows: made.map((schedule) => scheduleRow(schedule, openText)), rowCount: made.length };
}

/** An incremental schedule that a full one will wake: of the same statement, and always waiting for its own runs. */
export function waitingSchedule(
  parts: Omit<Schedule, 'nextRun' | 'state' | 'args'>,
  statement: Backup,
  args: Omit<Schedule['args'], 'backup_statement' | 'backup_type'>,
): Schedule {
  return {
    ...parts,
    nextRun: undefined,
    state: { status: WAITING_FOR_FULL },
    details: { ...parts.details, wait: 'WAIT' },
    args: { backup_statement: storedText(incrementalOf(statement)), backup_type: 1, ...args },
  };
}

interface Cadence {
  readonly full: Recurrence;
  /** Undefined when every backup is a full one. */
  readonly incremental: Recurrence | undefined;
  /** Nobody said how often a full is taken: then the first one is taken at once. */
  readonly isPicked: boolean;
}

async function readCadence(context: StatementContext, { recurring, fullBackup }: CreateSchedule, now: Timestamp): Promise<Cadence> {
  const often = new Recurrence(await requireString(context, recurring, 'the crontab of RECURRING'));
  if (fullBackup?.type === 'always') return { full: often, incremental: undefined, isPicked: false };
  if (fullBackup === undefined) {
    const picked = defaultFullRecurrence(often.period(now));
    if (picked === undefined) return { full: often, incremental: undefined, isPicked: true };
    return { full: new Recurrence(picked), incremental: often, isPicked: true };
  }
  const full = new Recurrence(await requireString(context, fullBackup.recurring, 'the crontab of FULL BACKUP'));
  checkFrequencies(often, full, now);
  return { full, incremental: often, isPicked: false };
}

/** `retention` may stand among the options of the backup too. */
async function readKeeping(context: StatementContext, stmt: CreateSchedule, options: ReadonlyMap<string, string>) {
  const backupOptions = stmt.options.filter(({ name }) => name !== RETENTION);
  const among = stmt.options.filter(({ name }) => name === RETENTION);
  if (among.length + (options.has(RETENTION) ? 1 : 0) > 1) {
    throw new StatementError(SqlState.InvalidParameterValue, `option "${RETENTION}" is given twice`);
  }
  const [option] = among;
  if (option !== undefined && option.value === undefined) {
    throw new StatementError(SqlState.InvalidParameterValue, `option "${RETENTION}" requires a value`);
  }
  const text = option?.value ? await requireString(context, option.value, `option ${RETENTION}`) : options.get(RETENTION);
  return { backupOptions, retention: text === undefined ? undefined : await readRetention(context, text) };
}

/** Throws what the backup would throw, and 55000 when others lie at its destination already. */
export async function checkPlan(
  deps: ScheduleStatementDeps,
  context: StatementContext,
  full: Backup,
  ignoresExisting: boolean,
): Promise<void> {
  let refusal: unknown;
  try {
    // Not to write is what makes it a dry run.
    await deps.planBackup(context, { stmt: full }, async () => {});
  } catch (error) {
    if (!isVarveError(error)) throw error;
    refusal = new StatementError(error.code, `failed to dry run backup: ${error.message}`, error);
    if (error.code === SqlState.InsufficientPrivilege) throw refusal;
  }
  // Backups of something else lead to a refusal too; that there are any says more.
  if (!ignoresExisting) await refuseExisting(deps, context, full, refusal);
  if (refusal !== undefined) throw refusal;
}

async function refuseExisting(deps: ScheduleStatementDeps, context: StatementContext, full: Backup, refusal: unknown): Promise<void> {
  const uri = redactUri((await readLocation(context, destinationOf(full))).uris[0] ?? '');
  try {
    if (!(await hasBackups(deps, context, full))) return;
  } catch (error) {
    if (!isVarveError(error)) throw error;
    // Why it could not be planned says why it could not be looked at.
    if (refusal !== undefined) return;
    throw new StatementError(error.code, `unexpected error occurred when checking for existing backups in ${uri}: ${error.message}`, error);
  }
  throw new StatementError(
    SqlState.ObjectNotInPrerequisiteState,
    `backups already created in ${uri}; to ignore existing backups, the schedule can be created with the 'ignore_existing_backups' option`,
  );
}

async function hasBackups(deps: ScheduleStatementDeps, context: StatementContext, full: Backup): Promise<boolean> {
  const { user, session, signal } = context;
  const location = await readLocation(context, destinationOf(full));
  const storage = openCollection(deps.storage, location, { user, nodeId: session.nodeId });
  try {
    await readLatest(storage, signal);
    return true;
  } catch (error) {
    if (isVarveError(error) && error.code === noLatest(storage).code) return false;
    throw error;
  } finally {
    await storage.close();
  }
}

/** A row of SCHEDULE_COLUMNS. `textOf`: who has just written the statement sees its URIs whole. */
export function scheduleRow(schedule: Schedule, textOf: (statement: Backup) => string): Datum[] {
  const { status } = schedule.state;
  const shown = isPaused(schedule) ? `PAUSED${status === undefined ? '' : `: ${status}`}` : 'ACTIVE';
  return [
    schedule.id,
    utf8Encode(schedule.label),
    utf8Encode(shown),
    schedule.nextRun ?? null,
    utf8Encode(schedule.recurrence),
    utf8Encode(textOf(statementOf(schedule))),
  ];
}

export async function requireString(context: StatementContext, expr: Expr, what: string): Promise<string> {
  const text = await context.evalString(expr);
  if (text !== undefined) return text;
  throw new StatementError(SqlState.InvalidParameterValue, `${what} must not be NULL`, { location: { position: expr.pos + 1 } });
}
