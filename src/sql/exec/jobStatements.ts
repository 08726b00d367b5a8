/**
 * Job statements: SHOW JOBS, PAUSE / RESUME / CANCEL JOB and ALTER JOB OWNER, as hooks over the
 * job registry. They run in the statement's transaction: a request takes effect when it commits.
 *
 * Who may: admin everything; VIEWJOB (see) and CONTROLJOB (see and control) are role options; users
 * without them see their own jobs only, and nobody but admin controls an admin's job.
 * Lives elsewhere: the rows (jobs/showJobs.ts), what a request does (jobs/transitions.ts).
 */
import { utf8Encode } from '../../base/bytes.ts';
import { MICROS_PER_HOUR } from '../../base/duration.ts';
import { StateError, StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Datum } from '../../catalog/datum.ts';
import { hasSystemPrivilege, type SystemPrivilege } from '../../catalog/globalPrivileges.ts';
import { isAdmin } from '../../catalog/privileges.ts';
import { arrayOf, type ColumnType, Type } from '../../catalog/type.ts';
import { requireUser, rolesOf } from '../../catalog/users.ts';
import { CREATED_BY_SCHEDULE, type JobId, type JobRecord } from '../../jobs/job.ts';
import { type JobRegistry, unknownJob } from '../../jobs/registry.ts';
import { DETAIL_COLUMNS, JOB_COLUMNS, type JobDetailsRow, type JobRow, jobDetailsRow, jobRow, showJobs } from '../../jobs/showJobs.ts';
import { recordAfterRequest } from '../../jobs/transitions.ts';
import type { AlterJobOwner, ControlJobs, Expr, JobSelection, ShowJobs } from '../parse/ast.ts';
import type { HookResult, ResultColumn, StatementContext, StatementHooks } from './statement.ts';

// SHOW JOBS WHEN COMPLETE gives up after a day, as CockroachDB does.
const WHEN_COMPLETE_MICROS_MAX = 24 * MICROS_PER_HOUR;

const COLUMN_TYPES: Readonly<Record<(typeof JOB_COLUMNS)[number][1], ColumnType>> = {
  INT8: Type.Int8,
  STRING: Type.String,
  TIMESTAMPTZ: Type.TimestampTz,
  FLOAT8: Type.Float8,
  'STRING[]': arrayOf(Type.String),
};

const COLUMNS: readonly ResultColumn[] = JOB_COLUMNS.map(([name, type]) => ({ name, type: COLUMN_TYPES[type] }));

/** Adds the job statements to a session engine's hooks. */
export function registerJobStatements(hooks: StatementHooks, registry: JobRegistry): void {
  hooks.register<ShowJobs>('showJobs', {
    columns: (stmt) => [...COLUMNS, ...detailColumns(stmt)],
    placeholderTypes: ({ jobs }) => idTypes(jobs),
    queryWithin: ({ jobs }) => (jobs.type === 'select' || jobs.type === 'schedules' ? jobs.query : undefined),
    run: (context, stmt) => runShowJobs(context, stmt, registry),
    isReadOnly: true,
  });
  hooks.register<ControlJobs>('controlJobs', {
    columns: () => undefined,
    placeholderTypes: ({ jobs }) => idTypes(jobs),
    queryWithin: ({ jobs }) => (jobs.type === 'select' || jobs.type === 'schedules' ? jobs.query : undefined),
    run: (context, stmt) => runControlJobs(context, stmt, registry),
  });
  hooks.register<AlterJobOwner>('alterJobOwner', {
    columns: () => undefined,
    placeholderTypes: ({ job }) => idTypes({ type: 'ids', ids: [job] }),
    run: (context, stmt) => runAlterJobOwner(context, stmt, registry),
  });
}

/** INT8 for placeholders that stand for ids. */
function idTypes(jobs: JobSelection): (ColumnType | undefined)[] {
  const types: (ColumnType | undefined)[] = [];
  const ids = jobs.type === 'ids' ? jobs.ids : jobs.type === 'schedule' ? [jobs.schedule] : [];
  for (const id of ids) if (id.kind === 'placeholder') types[id.index - 1] = Type.Int8;
  return types;
}

async function runShowJobs(context: StatementContext, stmt: ShowJobs, registry: JobRegistry): Promise<HookResult> {
  const canViewAll = await hasJobPrivilege(context, 'VIEWJOB', 'CONTROLJOB');
  const isVisible = (record: JobRecord) => canViewAll || record.user === context.user;
  const view = {
    isLiveIn: (nodeId: number, epoch: number) => context.engine.kv.cluster.isLiveIn(nodeId, epoch),
    isAutomatic: (type: string) => registry.isAutomatic(type),
  };
  let rows: JobRow[];
  if (stmt.jobs.type === 'all' && !stmt.whenComplete) {
    rows = showJobs((await registry.list(context.txn)).filter(isVisible), context.statementTimestamp, view);
  } else {
    let records = (await selectJobs(context, stmt.jobs, registry)).filter(isVisible);
    if (stmt.single && records.length === 0) throw unknownJob(await onlyId(context, stmt.jobs));
    if (stmt.whenComplete) records = await whenComplete(context, records, registry);
    rows = records.map((record) => jobRow(record, view));
  }
  const names = detailColumns(stmt).map(({ name }) => name as keyof JobDetailsRow);
  const details = async (row: JobRow): Promise<Datum[]> => {
    const record = names.length === 0 ? undefined : await registry.get(row.job_id, context.txn);
    if (record === undefined) return names.map(() => null);
    const shown = jobDetailsRow(record, registry.stepsOf(record.type), view);
    return names.map((name) => {
      const value = shown[name];
      return typeof value === 'string' ? utf8Encode(value) : value;
    });
  };
  const datums: Datum[][] = [];
  for (const row of rows) datums.push([...rowDatums(row), ...(await details(row))]);
  return { tag: `SHOW JOBS ${rows.length}`, rows: datums, rowCount: rows.length };
}

/** What the options add, in their usual order. */
function detailColumns({ options }: ShowJobs): ResultColumn[] {
  return Object.entries(DETAIL_COLUMNS)
    .filter(([option]) => options.some(({ name }) => name === option))
    .flatMap(([, names]) => names.map((name) => ({ name, type: name === 'resolved_timestamp' ? Type.TimestampTz : Type.String })));
}

/** Waits until every job is terminal. Throws 55000 after a day. */
async function whenComplete(context: StatementContext, records: readonly JobRecord[], registry: JobRegistry): Promise<JobRecord[]> {
  const timeout = new AbortController();
  const timer = context.engine.kv.clock.setTimer(WHEN_COMPLETE_MICROS_MAX, () => {
    const detail = 'SHOW JOBS WHEN COMPLETE waits for 24 hours at most';
    timeout.abort(new StateError(SqlState.ObjectNotInPrerequisiteState, 'timed out waiting for jobs', { detail }));
  });
  const signal = AbortSignal.any([context.signal, timeout.signal]);
  try {
    return await Promise.all(records.map((record) => registry.wait(record.id, { signal, throughPauses: true })));
  } finally {
    timer.cancel();
  }
}

const TAGS = { pause: 'PAUSE JOBS', resume: 'RESUME JOBS', cancel: 'CANCEL JOBS' } as const;

async function runControlJobs(context: StatementContext, stmt: ControlJobs, registry: JobRegistry): Promise<HookResult> {
  const { command, jobs } = stmt;
  if (!(await hasJobPrivilege(context, 'CONTROLJOB'))) {
    throw new StatementError(SqlState.InsufficientPrivilege, `user ${context.user} does not have CONTROLJOB privilege`);
  }
  const isAdminHere = await isAdminUser(context, context.user);
  const reason = stmt.reason && (await context.evalString(stmt.reason));
  const records = await selectJobs(context, jobs, registry);
  if (jobs.type === 'ids' && records.length < jobs.ids.length) throw unknownJob(await firstMissing(context, jobs.ids, records));
  // A group is asked for whatever of it can follow; jobs named one by one have to.
  const isGroup = jobs.type === 'schedule' || jobs.type === 'schedules' || jobs.type === 'allOfType';
  let count = 0;
  for (const record of records) {
    if (!isAdminHere && (await isAdminUser(context, record.user))) {
      if (isGroup) continue;
      throw new StatementError(SqlState.InsufficientPrivilege, `only admins can control jobs owned by other admins`, {
        detail: `job ${record.id}`,
      });
    }
    if (isGroup && !canFollow(record, command, context)) continue;
    await registry.request(context.txn, record.id, command, reason);
    count++;
  }
  const isBySchedule = jobs.type === 'schedule' || jobs.type === 'schedules';
  return { tag: `${TAGS[command]}${isBySchedule ? ' FOR SCHEDULES' : ''} ${count}`, rowCount: count };
}

/** True when the request would change the job's status. */
function canFollow(record: JobRecord, command: ControlJobs['command'], context: StatementContext): boolean {
  try {
    return recordAfterRequest(record, command, context.statementTimestamp) !== record;
  } catch (error) {
    if (error instanceof StateError) return false;
    throw error;
  }
}

async function runAlterJobOwner(context: StatementContext, stmt: AlterJobOwner, registry: JobRegistry): Promise<HookResult> {
  const id = await jobId(context, stmt.job);
  const owner = stmt.owner.text;
  const record = await registry.get(id, context.txn);
  if (!record) throw unknownJob(id);
  await requireUser(context.txn, owner);
  const roles = await rolesOf(context.txn, context.user);
  if (!isAdmin(roles) && !roles.has(record.user)) {
    throw new StatementError(SqlState.InsufficientPrivilege, `must be owner of job ${id}`);
  }
  if (!isAdmin(roles) && !roles.has(owner)) {
    throw new StatementError(SqlState.InsufficientPrivilege, `must be member of role "${owner}"`);
  }
  await registry.changeOwner(context.txn, id, owner);
  return { tag: 'ALTER JOB OWNER' };
}

/** The records a selection names, as the transaction sees them; ids without a job are left out, repeated ones count once. */
async function selectJobs(context: StatementContext, jobs: JobSelection, registry: JobRegistry): Promise<JobRecord[]> {
  const list = () => registry.list(context.txn);
  const byIds = async (ids: readonly JobId[]) => {
    const records = await Promise.all([...new Set(ids)].map((id) => registry.get(id, context.txn)));
    return records.filter((record) => record !== undefined);
  };
  switch (jobs.type) {
    case 'all':
      return (await list()).filter((record) => !registry.isAutomatic(record.type));
    case 'automatic':
      return (await list()).filter((record) => registry.isAutomatic(record.type));
    case 'ids':
      return await byIds(await Promise.all(jobs.ids.map((expr) => jobId(context, expr))));
    case 'select':
      return await byIds(await queryIds(context, jobs.query));
    case 'schedule':
      return ofSchedules(await list(), [await jobId(context, jobs.schedule)]);
    case 'schedules':
      return ofSchedules(await list(), await queryIds(context, jobs.query));
    case 'allOfType':
      return (await list()).filter((record) => record.type.toLowerCase() === jobs.jobType);
  }
}

function ofSchedules(records: readonly JobRecord[], ids: readonly number[]): JobRecord[] {
  return records.filter((record) => record.createdBy?.type === CREATED_BY_SCHEDULE && ids.includes(record.createdBy.id));
}

/** The ids that a query returns in its one column. Throws 42804 for another type, 42601 for more columns. */
async function queryIds(context: StatementContext, query: (JobSelection & { type: 'select' })['query']): Promise<number[]> {
  const result = await context.engine.runNested(context, query);
  const [column, ...others] = result.columns ?? [];
  if (!column || others.length > 0) throw new StatementError(SqlState.SyntaxError, 'subquery must return only one column');
  if (column.type.family !== 'int') throw new StatementError(SqlState.DatatypeMismatch, 'the subquery must return ids of type INT8');
  // Ids beyond 2^53 are no job's: they stay, and name nothing.
  return result.rows.filter((row) => row[0] !== null).map((row) => Number(row[0]));
}

/** Throws 22023 for NULL. */
async function jobId(context: StatementContext, expr: Expr): Promise<number> {
  const id = await context.evalInt(expr);
  if (id === undefined) throw new StatementError(SqlState.InvalidParameterValue, 'an id must not be NULL');
  return id;
}

async function onlyId(context: StatementContext, jobs: JobSelection): Promise<JobId> {
  const expr = jobs.type === 'ids' ? jobs.ids[0] : undefined;
  return expr ? await jobId(context, expr) : 0;
}

async function firstMissing(context: StatementContext, exprs: readonly Expr[], found: readonly JobRecord[]): Promise<JobId> {
  for (const expr of exprs) {
    const id = await jobId(context, expr);
    if (!found.some((record) => record.id === id)) return id;
  }
  return 0;
}

/** True for admin, and for users with one of the system privileges or the role options of that name. */
async function hasJobPrivilege(context: StatementContext, ...privileges: readonly SystemPrivilege[]): Promise<boolean> {
  for (const privilege of privileges) if (await hasSystemPrivilege(context.txn, context.user, privilege)) return true;
  return false;
}

/** True for root, admin, and members of admin at any depth. */
async function isAdminUser(context: StatementContext, user: string): Promise<boolean> {
  return isAdmin(user) || isAdmin(await rolesOf(context.txn, user));
}

function rowDatums(row: JobRow): Datum[] {
  return JOB_COLUMNS.map(([name]) => {
    const value = row[name];
    if (typeof value === 'string') return utf8Encode(value);
    if (typeof value === 'object' && value !== null) return value.map(utf8Encode);
    return value;
  });
}
