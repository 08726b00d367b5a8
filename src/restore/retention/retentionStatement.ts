/**
 * DELETE BACKUP and EXPIRE BACKUPS: the statements. They read what there is, decide (retentionPlan.ts), and have a job delete it;
 * WITH preview they only say what they would do.
 *
 * No key is needed: nothing of an encrypted backup is opened. Who may: admins, and holders of the system privilege BACKUP.
 */
import { type Bytes, utf8Decode, utf8Encode } from '../../base/bytes.ts';
import { isVarveError, StateError, StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Timestamp } from '../../base/timestamp.ts';
import { addInterval } from '../../catalog/datetime.ts';
import { hasSystemPrivilege } from '../../catalog/globalPrivileges.ts';
import { Interval } from '../../catalog/interval.ts';
import { formatInterval, parseInterval } from '../../catalog/intervalText.ts';
import { isAdmin } from '../../catalog/privileges.ts';
import type { ClusterSettings } from '../../catalog/settings.ts';
import { Type } from '../../catalog/type.ts';
import type { JobId, JobSpec } from '../../jobs/job.ts';
import { type JobRegistry, requireSucceeded } from '../../jobs/registry.ts';
import type { Kv } from '../../kv/kv.ts';
import type { HookResult, ResultColumn, StatementContext, StatementHook } from '../../sql/exec/statement.ts';
import type { DeleteBackup, ExpireBackups, KeepRule } from '../../sql/parse/ast.ts';
import type { StorageFactory } from '../../storage/externalStorage.ts';

import { decodeBackupId } from '../../backup/backupId.ts';
import { resolveToken, tokenOf, usesIds } from '../../backup/backupToken.ts';
import { directoryTime } from '../../backup/collection.ts';
import type { CollectionStorage } from '../../backup/collectionStorage.ts';
import { holdersOf, holderText } from '../../backup/holders.ts';
import { checkFeature } from '../../backup/jobResult.ts';
import { type LocationDetails, urisText } from '../../backup/locationDetails.ts';
import { INCREMENTAL_LOCATION, readLocation } from '../../backup/readLocation.ts';
import { withCollection } from '../../backup/showCollection.ts';
import { granteesOf, readOptions, readSwitch, requireText } from '../../backup/statementValues.ts';
import { chainUsesOf } from './chainUses.ts';
import { type ContentChain, type ContentLayer, readContent } from './collectionContent.ts';
import { RETENTION_JOB_TYPE, type RetentionDetails, retentionDetailsToJson, type RetentionResult } from './retentionDetails.ts';
import { chainFrom, planExpiry, type RetentionPlan, type Rule, type Verdict, wholeChain, whyStuck } from './retentionPlan.ts';

export interface RetentionDeps {
  readonly kv: Kv;
  readonly jobs: JobRegistry;
  readonly storage: StorageFactory;
  readonly settings: ClusterSettings;
}

type CreatedBy = NonNullable<JobSpec['createdBy']>;

const PREVIEW = 'preview';
const FORCE = 'force';

const COLUMNS: readonly ResultColumn[] = [
  { name: 'path', type: Type.String },
  { name: 'end_time', type: Type.TimestampTz },
  { name: 'layers', type: Type.Int8 },
  { name: 'action', type: Type.String },
  { name: 'reason', type: Type.String },
];

export function expireBackupsHook(deps: RetentionDeps): StatementHook<ExpireBackups> {
  return { columns: () => COLUMNS, run: (context, stmt) => runExpire(deps, context, stmt), ownTransaction: true };
}

export function deleteBackupHook(deps: RetentionDeps): StatementHook<DeleteBackup> {
  return { columns: () => COLUMNS, run: (context, stmt) => runDelete(deps, context, stmt), ownTransaction: true };
}

async function runExpire(deps: RetentionDeps, context: StatementContext, stmt: ExpireBackups): Promise<HookResult> {
  const name = 'EXPIRE BACKUPS';
  await checkMayDelete(deps, context, name);
  const options = readOptions(name, stmt.options, [PREVIEW, INCREMENTAL_LOCATION]);
  const isPreview = await readSwitch(context, options.get(PREVIEW));
  checkOutsideTransaction(name, context, isPreview);
  const rules: Rule[] = [];
  for (const rule of stmt.keep) rules.push(await readRule(context, rule, deps.kv.reading()));
  const location = await readLocation(context, stmt.uris, options.get(INCREMENTAL_LOCATION));
  const keep = rules.map((rule) => `KEEP ${rule.unit === 'age' ? `'${rule.text}'` : `${rule.count} FULLS`}`).join(', ');
  return await withCollection(deps, context, location, async (storage) => {
    const plan = await planHere(deps, context, storage, { name, location, rules });
    const description = `EXPIRE BACKUPS IN ${urisText(location.uris)} ${keep}`;
    return await carryOut(deps, context, { name, plan, location, isPreview, isStrict: false, description });
  });
}

/**
 * EXPIRE BACKUPS ... KEEP age of a schedule, in the name of the context's user: creates the job and does not wait for it.
 * Undefined when there is nothing to delete. 42501, 0A000 and the storage's own errors as for the statement.
 */
export async function expireForSchedule(
  deps: RetentionDeps,
  context: StatementContext,
  request: { readonly location: LocationDetails; readonly age: string; readonly createdBy: CreatedBy },
): Promise<JobId | undefined> {
  const name = 'EXPIRE BACKUPS';
  await checkMayDelete(deps, context, name);
  const { location, age, createdBy } = request;
  const rule = ageRule(parseInterval(age), age, deps.kv.reading());
  return await withCollection(deps, context, location, async (storage) => {
    const plan = await planHere(deps, context, storage, { name, location, rules: [rule] });
    if (plan.chains.length + plan.garbage.length === 0) return undefined;
    const description = `EXPIRE BACKUPS IN ${urisText(location.uris)} KEEP '${age}'`;
    return await createJob(deps, context, { name, plan, location, isPreview: false, isStrict: false, description }, createdBy);
  });
}

/** What an expiry by these rules would delete. */
async function planHere(
  deps: RetentionDeps,
  context: StatementContext,
  storage: CollectionStorage,
  { name, location, rules }: { readonly name: string; readonly location: LocationDetails; readonly rules: readonly Rule[] },
): Promise<RetentionPlan> {
  const content = await readHere(deps, context, storage, name);
  const uses = new Map<string, string>();
  for (const { full } of content) {
    const use = await useOf(deps, storage, context, location, full, content);
    if (use !== undefined) uses.set(full, use);
  }
  return planExpiry(content, rules, (full) => uses.get(full));
}

async function runDelete(deps: RetentionDeps, context: StatementContext, stmt: DeleteBackup): Promise<HookResult> {
  const name = 'DELETE BACKUP';
  await checkMayDelete(deps, context, name);
  const options = readOptions(name, stmt.options, [PREVIEW, FORCE, INCREMENTAL_LOCATION]);
  const isPreview = await readSwitch(context, options.get(PREVIEW));
  checkOutsideTransaction(name, context, isPreview);
  const isForced = await readSwitch(context, options.get(FORCE));
  const { source } = stmt;
  const text = source.type === 'latest' ? 'LATEST' : await requireText(context, source.subdir, 'the subdirectory of a backup');
  const location = await readLocation(context, source.uris, options.get(INCREMENTAL_LOCATION));
  return await withCollection(deps, context, location, async (storage) => {
    requireDeletes(storage, name);
    const named = await resolveToken(storage, tokenOf(text), { useIds: usesIds(context), signal: context.signal });
    const content = await readHere(deps, context, storage, name);
    const listed = content.filter(({ layers }) => layers.length > 0);
    const chain = listed.find(({ full }) => full === named.full);
    if (chain === undefined) throw noBackup(text, storage);
    const layer = named.id === undefined ? undefined : layerOfId(chain, named.id, storage);
    const plan = planDeletion(chain, layer?.kind === 'incremental' ? layer : undefined);
    const takesFull = plan.chains.some(({ layers }) => layers.some(({ directory }) => directory === chain.full));
    if (takesFull && listed[0] === chain && !isForced) {
      throw new StateError(SqlState.ObjectNotInPrerequisiteState, `"${chain.full}" is the newest backup in "${storage.uri}"`, {
        detail: listed.length === 1 ? 'without it there is no backup left' : 'without it the newest times cannot be restored',
        hint: 'take a new full backup first, or say WITH force',
      });
    }
    const stuck = whyStuck(chain, await useOf(deps, storage, context, location, chain.full, content));
    if (stuck !== undefined) {
      throw new StateError(SqlState.ObjectInUse, `backup "${chain.full}" cannot be deleted: ${stuck}`, {
        hint: 'SHOW JOBS and SHOW ATTACHED BACKUPS tell who uses it',
      });
    }
    const description = `DELETE BACKUP ${quoted(layer?.directory ?? chain.full)} IN ${urisText(location.uris)}`;
    return await carryOut(deps, context, { name, plan, location, isPreview, isStrict: true, description });
  });
}

// ---- what is there ------------------------------------------------------------------------------

async function readHere(deps: RetentionDeps, context: StatementContext, storage: CollectionStorage, name: string) {
  requireDeletes(storage, name);
  const own = { clusterId: deps.kv.clusterId, jobId: '', now: deps.kv.clock.nowMicros() as Timestamp };
  const isHeld = async (names: readonly string[]) => (await holdersOf(storage, names, own, deps.jobs, context.signal)).length > 0;
  return await readContent(storage, isHeld, context.signal);
}

/** Who uses a chain: here, or by its locks elsewhere. */
async function useOf(
  deps: RetentionDeps,
  storage: CollectionStorage,
  context: StatementContext,
  location: LocationDetails,
  full: string,
  content: readonly ContentChain[],
): Promise<string | undefined> {
  const use = await chainUsesOf(deps.storage).find(location, full, deps.jobs);
  if (use !== undefined) return use;
  const own = { clusterId: deps.kv.clusterId, jobId: '', now: deps.kv.clock.nowMicros() as Timestamp };
  const { heldBy = [] } = content.find((chain) => chain.full === full) ?? {};
  const [holder] = await holdersOf(storage, heldBy, own, deps.jobs, context.signal);
  return holder && holderText(holder);
}

/** 0A000 where files can be neither found nor deleted. */
function requireDeletes(storage: CollectionStorage, name: string): void {
  const { list, delete: deletes } = storage.capabilities;
  if (list && deletes) return;
  throw new StatementError(SqlState.FeatureNotSupported, `${name} needs a storage that can ${list ? 'delete' : 'list'} files`, {
    detail: `"${storage.uri}" cannot`,
  });
}

function layerOfId(chain: ContentChain, id: string, storage: CollectionStorage): ContentLayer {
  const times = decodeBackupId(id);
  const layer = chain.layers.find(
    ({ kind, endTime }) => kind !== 'compacted' && (kind === 'full') === times?.isFull && directoryTime(endTime) === times.layerTime,
  );
  if (layer === undefined) throw noBackup(id, storage);
  return layer;
}

function planDeletion(chain: ContentChain, layer: ContentLayer | undefined): RetentionPlan {
  const { full, newestEnd } = chain;
  const backups = chain.layers.filter(({ kind }) => kind !== 'compacted').length;
  if (layer === undefined) {
    const verdict = { path: full, endTime: newestEnd, layers: backups, keeps: false, reason: 'the statement names it' };
    return { verdicts: [verdict], chains: [wholeChain(chain)], garbage: [] };
  }
  const found = chainFrom(chain, layer);
  if (found === undefined) {
    throw new StateError(SqlState.ObjectNotInPrerequisiteState, `what continues layer "${layer.directory}" cannot be told`, {
      detail: 'its index file, or that of a later layer, is missing',
      hint: 'the next incremental backup of the chain writes it again; or delete the whole chain, by the name of its full backup',
    });
  }
  const verdicts = found.doomed.layers.map(({ directory }): Verdict => {
    const one = chain.layers.find((candidate) => candidate.directory === directory) as ContentLayer;
    const why = one.kind === 'compacted' ? 'it was made of a layer that goes' : 'it continues a layer that goes';
    return { path: directory, endTime: one.endTime, layers: 1, keeps: false, reason: one === layer ? 'the statement names it' : why };
  });
  return { verdicts, chains: [found.doomed], garbage: [] };
}

function noBackup(text: string, storage: CollectionStorage): StatementError {
  return new StatementError(SqlState.UndefinedFile, `no completed backup "${text}" in "${storage.uri}"`, {
    hint: 'SHOW BACKUPS IN lists the completed backups of a collection; EXPIRE BACKUPS deletes what is left of others',
  });
}

// ---- doing it -----------------------------------------------------------------------------------

interface Deed {
  readonly name: string;
  readonly plan: RetentionPlan;
  readonly location: LocationDetails;
  readonly isPreview: boolean;
  readonly isStrict: boolean;
  readonly description: string;
}

async function carryOut(deps: RetentionDeps, context: StatementContext, deed: Deed): Promise<HookResult> {
  const { name, plan, isPreview } = deed;
  const { chains, garbage } = plan;
  if (isPreview) return rowsOf(name, plan.verdicts, { keeps: 'would be kept', goes: 'would be deleted' });
  if (chains.length + garbage.length === 0) return rowsOf(name, plan.verdicts, { keeps: 'kept', goes: 'deleted' });
  const jobId = await createJob(deps, context, deed);
  const record = requireSucceeded(await deps.jobs.wait(jobId, { signal: context.signal }));
  const { left } = record.result as unknown as RetentionResult;
  const verdicts = plan.verdicts.map((verdict) => {
    const reason = left.find(({ full }) => full === verdict.path)?.reason;
    return reason === undefined ? verdict : { ...verdict, keeps: true, reason };
  });
  return rowsOf(name, verdicts, { keeps: 'kept', goes: 'deleted' });
}

async function createJob(deps: RetentionDeps, context: StatementContext, deed: Deed, createdBy?: CreatedBy): Promise<JobId> {
  const { plan, location, isStrict, description } = deed;
  const { user } = context;
  const details: RetentionDetails = { location, user, chains: plan.chains, garbage: plan.garbage, isStrict };
  const id = deps.jobs.newJobId();
  const spec = {
    id,
    type: RETENTION_JOB_TYPE,
    description,
    user,
    details: retentionDetailsToJson(details),
    ...(createdBy && { createdBy }),
  };
  await deps.kv.run((txn) => deps.jobs.create(txn, spec), { name: 'create retention job' });
  return id;
}

function rowsOf(name: string, verdicts: readonly Verdict[], words: { readonly keeps: string; readonly goes: string }): HookResult {
  const text = (value: string): Bytes => utf8Encode(value);
  const rows = verdicts.map(({ path, endTime, layers, keeps, reason }) => [
    text(`/${path}`),
    endTime,
    layers,
    text(keeps ? words.keeps : words.goes),
    text(reason),
  ]);
  return { tag: `${name} ${rows.length}`, rows, rowCount: rows.length };
}

// ---- what the statement says ----------------------------------------------------------------------

async function checkMayDelete(deps: RetentionDeps, context: StatementContext, name: string): Promise<void> {
  checkFeature('BACKUP', deps.settings, name);
  const grantees = await granteesOf(context);
  if (isAdmin(grantees) || (await hasSystemPrivilege(context.txn, grantees, 'BACKUP'))) return;
  throw new StatementError(
    SqlState.InsufficientPrivilege,
    `only users with the admin role or the BACKUP system privilege are allowed to run ${name}`,
    { detail: `user ${context.user} has neither` },
  );
}

/** 25001: what is deleted does not come back with a ROLLBACK. */
function checkOutsideTransaction(name: string, context: StatementContext, isPreview: boolean): void {
  if (!context.inExplicitTransaction || isPreview) return;
  throw new StatementError(SqlState.ActiveSqlTransaction, `${name} cannot be used inside a multi-statement transaction`, {
    detail: 'files that are deleted do not come back with a ROLLBACK',
    hint: 'WITH preview may be used there',
  });
}

async function readRule(context: StatementContext, { unit, value: expr }: KeepRule, now: Timestamp): Promise<Rule> {
  const { type, value } = await context.evalDatum(expr);
  const location = { position: expr.pos + 1 };
  const given = type.family === 'string' && value !== null ? utf8Decode(value as Bytes).trim() : value;
  if (unit === 'fulls') {
    const count = typeof given === 'string' && /^\d+$/.test(given) ? Number(given) : given;
    if (typeof count === 'number' && Number.isSafeInteger(count) && count > 0) return { unit, count };
    throw new StatementError(SqlState.InvalidParameterValue, 'KEEP n FULLS needs a number of at least 1', { location });
  }
  if (typeof given === 'string') refuseBareNumber('KEEP', given, "write KEEP '30 days', or KEEP 30 FULLS");
  const interval = typeof given === 'string' ? parseInterval(given) : given instanceof Interval ? given : undefined;
  const hint = "say how long backups are kept: KEEP '7 days', or how many: KEEP 4 FULLS";
  if (interval === undefined) throw new StatementError(SqlState.InvalidParameterValue, 'KEEP needs an interval', { location, hint });
  if (interval.sortMicros() <= 0n) {
    throw new StatementError(SqlState.InvalidParameterValue, 'KEEP needs an interval greater than zero', { location, hint });
  }
  return ageRule(interval, typeof given === 'string' ? given : formatInterval(interval), now);
}

/** 22023 for an interval without a unit: SQL reads it as seconds, and who means days would lose backups by it. */
export function refuseBareNumber(what: string, text: string, hint: string): void {
  if (!/^\s*[\d.]+\s*$/.test(text)) return;
  throw new StatementError(SqlState.InvalidParameterValue, `${what} ${JSON.stringify(text)} has no unit`, { hint });
}

function ageRule(interval: Interval, text: string, now: Timestamp): Rule {
  return { unit: 'age', since: Math.max(0, before(now, interval)) as Timestamp, text };
}

/** The beginning of the calendar for what lies before it. */
function before(now: Timestamp, interval: Interval): number {
  try {
    return Number(addInterval(now, interval.negated()));
  } catch (error) {
    if (!isVarveError(error) || error.code !== SqlState.DatetimeFieldOverflow) throw error;
    return 0;
  }
}

function quoted(text: string): string {
  return `'${text}'`;
}
