/**
 * Schedule: a row of system.scheduled_jobs. Types, and reading and writing the row.
 *
 * What CockroachDB keeps in encoded messages is JSONB here, with the same members in snake case; members of our own are
 * `place`, `chain_full`, `chain_end` and `retention` of the arguments, and all but `status` of the state. A schedule is
 * paused when it has no next run; nothing else says so.
 *
 * The stored statement has its secrets in it, as in CockroachDB: whoever may read the table is an administrator.
 */
import { CorruptionError, isVarveError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { type Timestamp, timestamp } from '../base/timestamp.ts';
import { type PlainRow, systemTable } from '../catalog/systemRows.ts';
import type { KvReader, Txn } from '../kv/kv.ts';
import type { Backup } from '../sql/parse/ast.ts';
import { type ParsedStatement, parseStatements } from '../sql/parse/parse.ts';

/** What CockroachDB calls the executor of backup schedules. */
export const BACKUP_EXECUTOR = 'scheduled-backup-executor';

export const WAITS = ['WAIT', 'NO_WAIT', 'SKIP'] as const;
export const ON_ERRORS = ['RETRY_SCHED', 'RETRY_SOON', 'PAUSE_SCHED'] as const;

export interface ScheduleDetails {
  /** What to do when a run is due while another one goes on. */
  readonly wait: (typeof WAITS)[number];
  readonly on_error: (typeof ON_ERRORS)[number];
  /** The cluster that it runs on: on another one it pauses itself. */
  readonly cluster_id: string;
}

export interface ScheduleState {
  /** What SHOW SCHEDULES says of it. */
  readonly status?: string | undefined;
  /** Due times, since it was created, that passed without a backup of their own. */
  readonly missed?: number | undefined;
  /** When the run that now waits for another one, or is tried again, was due first. */
  readonly waiting_since?: Timestamp | undefined;
  /** The newest time that its backups can bring back. */
  readonly newest_restorable?: Timestamp | undefined;
}

export interface BackupArguments {
  readonly backup_statement: string;
  /** 1 is an incremental; a full has none. */
  readonly backup_type?: 1 | undefined;
  /** The other one of the pair. */
  readonly dependent_schedule_id?: number | undefined;
  /** Of a full: the incremental schedule that waits for its success. */
  readonly unpause_on_success?: number | undefined;
  readonly updates_last_backup_metric?: true | undefined;
  readonly chain_protected_timestamp_records?: true | undefined;
  /** Of an incremental: the record that holds what the next backup of the chain needs. */
  readonly protected_timestamp_record?: string | undefined;
  /** Of an incremental: the full that the record is about, and when it ended. */
  readonly chain_full?: string | undefined;
  readonly chain_end?: Timestamp | undefined;
  /** How often the destination was changed: a backup that was begun for another one changes nothing here. */
  readonly place?: number | undefined;
  /** How long backups are kept. */
  readonly retention?: string | undefined;
}

export interface Schedule {
  readonly id: number;
  readonly label: string;
  readonly created: Timestamp;
  readonly owner: string;
  /** Undefined: paused. */
  readonly nextRun: Timestamp | undefined;
  readonly recurrence: string;
  readonly state: ScheduleState;
  readonly details: ScheduleDetails;
  readonly args: BackupArguments;
}

export const isIncremental = ({ args }: Pick<Schedule, 'args'>): boolean => args.backup_type === 1;
export const isPaused = ({ nextRun }: Pick<Schedule, 'nextRun'>): boolean => nextRun === undefined;

/** A schedule's statement is asked for at each of its runs. */
const PARSED = new Map<string, Backup>();
const PARSED_MAX = 256;

/** The statement that it runs, secrets included. XX001 when the row holds another. */
export function statementOf({ id, args }: Pick<Schedule, 'id' | 'args'>): Backup {
  const known = PARSED.get(args.backup_statement);
  if (known !== undefined) return known;
  let parsed: readonly ParsedStatement[] = [];
  try {
    parsed = parseStatements(args.backup_statement);
  } catch (error) {
    // The parser quotes what it reads, and there may be secrets in it.
    if (!isVarveError(error)) throw error;
  }
  const [first, ...others] = parsed;
  if (first?.ast.kind === 'backup' && others.length === 0) {
    if (PARSED.size >= PARSED_MAX) PARSED.clear();
    PARSED.set(args.backup_statement, first.ast);
    return first.ast;
  }
  throw new CorruptionError(SqlState.DataCorrupted, `system.scheduled_jobs: schedule ${id} holds no BACKUP statement`);
}

// ---- rows -----------------------------------------------------------------------------------------

export async function readSchedule(reader: KvReader, id: number): Promise<Schedule | undefined> {
  // What a client asks for may be any INT8; schedules have none beyond 2^53.
  if (!Number.isSafeInteger(id)) return undefined;
  const row = await systemTable('scheduled_jobs').get(reader, id);
  return row && fromRow(row);
}

/** Every backup schedule by ascending id; rows that are none are left out. */
export async function listSchedules(reader: KvReader): Promise<Schedule[]> {
  return (await systemTable('scheduled_jobs').scan(reader)).flatMap((row) => {
    try {
      return [fromRow(row)];
    } catch (error) {
      if (error instanceof CorruptionError) return [];
      throw error;
    }
  });
}

/** Inserts or replaces. Waits for the row's lock. */
export async function writeSchedule(txn: Txn, schedule: Schedule): Promise<void> {
  await systemTable('scheduled_jobs').upsert(txn, {
    schedule_id: schedule.id,
    schedule_name: schedule.label,
    created: schedule.created,
    owner: schedule.owner,
    next_run: schedule.nextRun,
    schedule_state: withoutUndefined(schedule.state),
    schedule_expr: schedule.recurrence,
    schedule_details: schedule.details,
    executor_type: BACKUP_EXECUTOR,
    execution_args: withoutUndefined(schedule.args),
  });
}

export async function deleteSchedule(txn: Txn, id: number): Promise<void> {
  await systemTable('scheduled_jobs').delete(txn, id);
}

/** Throws XX001 when a row was changed by hand into something that is no backup schedule. */
export function fromRow(row: PlainRow): Schedule {
  const args = row['execution_args'] as BackupArguments | null;
  const details = row['schedule_details'] as Partial<ScheduleDetails> | null;
  const recurrence = row['schedule_expr'];
  const nextRun = row['next_run'];
  const isOne = row['executor_type'] === BACKUP_EXECUTOR && typeof args?.backup_statement === 'string' && typeof recurrence === 'string';
  if (!isOne || (nextRun !== null && typeof nextRun !== 'number')) {
    throw new CorruptionError(SqlState.DataCorrupted, `system.scheduled_jobs: the row of schedule ${row['schedule_id']} is malformed`);
  }
  return {
    id: row['schedule_id'] as number,
    label: row['schedule_name'] as string,
    created: timestamp(row['created'] as number),
    owner: row['owner'] as string,
    nextRun: nextRun === null ? undefined : timestamp(nextRun as number),
    recurrence,
    state: (row['schedule_state'] ?? {}) as ScheduleState,
    details: {
      wait: details?.wait ?? 'WAIT',
      on_error: details?.on_error ?? 'RETRY_SCHED',
      cluster_id: details?.cluster_id ?? '',
    },
    args,
  };
}

/** JSON has no undefined. */
function withoutUndefined(members: object): object {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}
