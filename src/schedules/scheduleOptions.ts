/** The options of schedules: what WITH SCHEDULE OPTIONS and SET SCHEDULE OPTION say. Error texts are CockroachDB's. */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { type Timestamp, timestamp } from '../base/timestamp.ts';
import { requireTimeZone } from '../catalog/datetime.ts';
import { parseTimestampTz } from '../catalog/datetimeText.ts';
import { hasSystemPrivilege } from '../catalog/globalPrivileges.ts';
import { parseInterval } from '../catalog/intervalText.ts';
import { isAdmin } from '../catalog/privileges.ts';
import type { StatementContext } from '../sql/exec/statement.ts';
import type { Option } from '../sql/parse/ast.ts';
import { granteesOf } from '../backup/statementValues.ts';
import { refuseBareNumber } from '../restore/retention/retentionStatement.ts';

import type { ScheduleDetails } from './schedule.ts';

export const FIRST_RUN = 'first_run';
export const ON_EXECUTION_FAILURE = 'on_execution_failure';
export const ON_PREVIOUS_RUNNING = 'on_previous_running';
export const IGNORE_EXISTING_BACKUPS = 'ignore_existing_backups';
export const UPDATES_METRIC = 'updates_cluster_last_backup_time_metric';
export const RETENTION = 'retention';

type Rule = 'value' | 'no value' | 'any';

export const CREATE_OPTIONS: Readonly<Record<string, Rule>> = {
  [FIRST_RUN]: 'value',
  [ON_EXECUTION_FAILURE]: 'value',
  [ON_PREVIOUS_RUNNING]: 'value',
  [IGNORE_EXISTING_BACKUPS]: 'no value',
  [UPDATES_METRIC]: 'no value',
  [RETENTION]: 'value',
};

export const ALTER_OPTIONS: Readonly<Record<string, Rule>> = {
  [ON_EXECUTION_FAILURE]: 'value',
  [ON_PREVIOUS_RUNNING]: 'value',
  [UPDATES_METRIC]: 'any',
  [RETENTION]: 'any',
};

/** Values by name; '' for an option without one. 22023 for one that is not among them, given twice, or with a value that it does not take. */
export async function readScheduleOptions(
  context: StatementContext,
  options: readonly Option[],
  known: Readonly<Record<string, Rule>>,
): Promise<Map<string, string>> {
  const values = new Map<string, string>();
  for (const { name, value, pos } of options) {
    const refuse = (message: string, hint?: string) =>
      new StatementError(SqlState.InvalidParameterValue, message, { location: { position: pos + 1 }, hint });
    const rule = Object.hasOwn(known, name) ? known[name] : undefined;
    if (rule === undefined) throw refuse(`invalid option "${name}"`, `schedule options are ${Object.keys(known).join(', ')}`);
    if (values.has(name)) throw refuse(`option "${name}" is given twice`);
    if (rule === 'value' && value === undefined) throw refuse(`option "${name}" requires a value`);
    if (rule === 'no value' && value !== undefined) throw refuse(`option "${name}" does not take a value`);
    const text = value === undefined ? '' : await context.evalString(value);
    if (text === undefined) throw refuse(`option "${name}" must not be NULL`);
    values.set(name, text);
  }
  return values;
}

export function readOnError(value: string): ScheduleDetails['on_error'] {
  const found = ({ retry: 'RETRY_SOON', reschedule: 'RETRY_SCHED', pause: 'PAUSE_SCHED' } as const)[value.toLowerCase()];
  if (found !== undefined) return found;
  throw new StatementError(
    SqlState.InvalidParameterValue,
    `${JSON.stringify(value)} is not a valid on_execution_error; valid values are [retry|reschedule|pause]`,
  );
}

export function readWait(value: string): ScheduleDetails['wait'] {
  const found = ({ start: 'NO_WAIT', skip: 'SKIP', wait: 'WAIT' } as const)[value.toLowerCase()];
  if (found !== undefined) return found;
  throw new StatementError(
    SqlState.InvalidParameterValue,
    `${JSON.stringify(value)} is not a valid on_previous_running; valid values are [start|skip|wait]`,
  );
}

/** The words of the options again. */
export const ON_ERROR_WORDS: Readonly<Record<ScheduleDetails['on_error'], string>> = {
  RETRY_SOON: 'RETRY',
  RETRY_SCHED: 'RESCHEDULE',
  PAUSE_SCHED: 'PAUSE',
};
export const WAIT_WORDS: Readonly<Record<ScheduleDetails['wait'], string>> = { NO_WAIT: 'START', SKIP: 'SKIP', WAIT: 'WAIT' };

/** A TIMESTAMPTZ, in the session's zone where it names none, or `now`. 22007, 22023. */
export function readFirstRun({ session }: StatementContext, text: string, now: Timestamp): Timestamp {
  const time = parseTimestampTz(text, { nowMicros: now, timeZone: requireTimeZone(session.values.timeZone) });
  if (typeof time === 'number' && Number.isSafeInteger(time) && time >= 0) return timestamp(time);
  throw new StatementError(SqlState.InvalidParameterValue, `${FIRST_RUN} ${JSON.stringify(text)} is no time at which a schedule could run`);
}

/** How long backups are kept: an interval; '' for as long as they last. 22023, and 42501 for who may not delete backups. */
export async function readRetention(context: StatementContext, text: string): Promise<string | undefined> {
  if (text.trim() === '') return undefined;
  refuseBareNumber(RETENTION, text, `write ${RETENTION} = '30 days'`);
  const interval = parseInterval(text);
  if (interval.sortMicros() <= 0n) {
    throw new StatementError(SqlState.InvalidParameterValue, `${RETENTION} needs an interval greater than zero`, {
      hint: "retention = '30 days' keeps what is needed to restore any time of the last 30 days",
    });
  }
  const grantees = await granteesOf(context);
  if (!isAdmin(grantees) && !(await hasSystemPrivilege(context.txn, grantees, 'BACKUP'))) {
    throw new StatementError(
      SqlState.InsufficientPrivilege,
      'only users with the admin role or the BACKUP system privilege are allowed to let a schedule delete backups',
      { detail: `user ${context.user} has neither` },
    );
  }
  return text;
}

/** 42501 for who is no administrator. */
export async function checkMayUpdateMetric(context: StatementContext): Promise<void> {
  if (isAdmin(await granteesOf(context))) return;
  throw new StatementError(SqlState.InsufficientPrivilege, `only users with the admin role are allowed to change ${UPDATES_METRIC}`);
}
