/**
 * COMPACT BACKUP: the statement, and what a schedule calls when its chain has grown (compactWhenDue).
 *
 * Planning reads the chain and decides which of its incremental layers are merged; the job (compactionJob.ts) does the rest.
 */
import { StateError, StatementError, type VarveError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { formatUtc, type Timestamp } from '../../base/timestamp.ts';
import { hasSystemPrivilege } from '../../catalog/globalPrivileges.ts';
import { quoteLiteral } from '../../catalog/names.ts';
import { isAdmin } from '../../catalog/privileges.ts';
import type { ClusterSettings } from '../../catalog/settings.ts';
import type { JobId } from '../../jobs/job.ts';
import { isTerminal } from '../../jobs/jobMachine.ts';
import type { JobRegistry } from '../../jobs/registry.ts';
import type { Kv } from '../../kv/kv.ts';
import type { StatementContext, StatementHook } from '../../sql/exec/statement.ts';
import type { CompactBackup } from '../../sql/parse/ast.ts';
import type { StorageFactory } from '../../storage/externalStorage.ts';

import { resolveToken, tokenOf, usesIds } from '../../backup/backupToken.ts';
import { type Chain, loadChain, newestLayer, pathTo, shortened, takenLayers } from '../../backup/chain.ts';
import type { CollectionStorage } from '../../backup/collectionStorage.ts';
import { namingPlaces, openCollection } from '../../backup/collectionStorage.ts';
import { compactedDirectory, isCompacted } from '../../backup/compactedLayer.ts';
import { proveCoverage } from '../../backup/coverage.ts';
import { ENCRYPTION_OPTIONS, readEncryption, secretsText } from '../../backup/encryptionOptions.ts';
import { checkFeature, checkTransaction, jobColumns, jobResult } from '../../backup/jobResult.ts';
import { type LocationDetails, localitiesOf, urisOf, urisText } from '../../backup/locationDetails.ts';
import type { Layer } from '../../backup/manifest.ts';
import { INCREMENTAL_LOCATION, readDestination } from '../../backup/readLocation.ts';
import { checkLocationAccess, granteesOf, looksOn, readOptions, readSwitch, requireText } from '../../backup/statementValues.ts';
import { COMPACTION_JOB_TYPE, compactionDetails, type CompactionDetails, compactionDetailsToJson } from './compactionDetails.ts';

export interface CompactDeps {
  readonly kv: Kv;
  readonly jobs: JobRegistry;
  readonly storage: StorageFactory;
  readonly settings: ClusterSettings;
}

const STATEMENT = 'COMPACT BACKUP';

export function compactBackupHook(deps: CompactDeps): StatementHook<CompactBackup> {
  return {
    columns: (stmt) => jobColumns(looksOn(stmt.options, 'detached')),
    run: async (context, stmt) => {
      checkFeature('BACKUP', deps.settings, STATEMENT);
      const options = readOptions(STATEMENT, stmt.options, ['detached', INCREMENTAL_LOCATION, ...ENCRYPTION_OPTIONS]);
      const detached = await readSwitch(context, options.get('detached'));
      checkTransaction(STATEMENT, context, detached);
      const grantees = await granteesOf(context);
      if (!isAdmin(grantees) && !(await hasSystemPrivilege(context.txn, grantees, 'BACKUP'))) {
        throw new StatementError(
          SqlState.InsufficientPrivilege,
          `only users with the admin role or the BACKUP system privilege are allowed to run ${STATEMENT}`,
          { detail: `user ${context.user} has neither` },
        );
      }
      const { source } = stmt;
      const text = source.type === 'latest' ? 'LATEST' : await requireText(context, source.subdir, 'the subdirectory of a backup');
      const from = stmt.from && (await context.resolveAsOf(stmt.from));
      const to = stmt.to && (await context.resolveAsOf(stmt.to));
      const secrets = await readEncryption(context, options);
      const location = { ...(await readDestination(context, source.uris, options.get(INCREMENTAL_LOCATION))), ...secrets };
      await checkLocationAccess(context, urisOf(location), grantees);
      const details = await planStatement(deps, context, text, location, { from, to });
      const jobId = deps.jobs.newJobId();
      const spec = jobSpec(details, jobId);
      if (context.inExplicitTransaction) await deps.jobs.create(context.txn, spec);
      else await deps.kv.run((txn) => deps.jobs.create(txn, spec), { name: 'create compaction job' });
      return await jobResult(STATEMENT, context, deps.jobs, jobId, detached);
    },
    ownTransaction: true,
  };
}

async function planStatement(
  deps: CompactDeps,
  context: StatementContext,
  text: string,
  location: LocationDetails,
  range: CompactionRange,
): Promise<CompactionDetails> {
  const { user, session, signal } = context;
  const storage = openCollection(deps.storage, location, { user, nodeId: session.nodeId });
  try {
    return await namingPlaces(storage, async () => {
      const { full } = await resolveToken(storage, tokenOf(text), { useIds: usesIds(context), signal });
      const damaged = new Map<string, VarveError>();
      const chain = await loadChain(storage, full, signal, (directory, why) => damaged.set(directory, why));
      const path = await finalPath(deps, chain);
      const details = planRange(deps, { chain, path, location, user, range });
      const inTheWay = damaged.get(details.directory);
      if (inTheWay !== undefined) throw inTheWay;
      return details;
    });
  } finally {
    await storage.close();
  }
}

/** Bounds of what is merged; undefined: the full's end, the newest layer's end. */
interface CompactionRange {
  readonly from: Timestamp | undefined;
  readonly to: Timestamp | undefined;
}

interface RangeRequest {
  readonly chain: Chain;
  readonly path: readonly Layer[];
  readonly location: LocationDetails;
  readonly user: string;
  readonly range: CompactionRange;
}

/** The path to the newest layer that its job cannot take back any more. */
async function finalPath(deps: CompactDeps, chain: Chain): Promise<Layer[]> {
  const final: Layer[] = [];
  for (const layer of takenLayers(chain)) {
    const { jobId, clusterId } = layer.manifest;
    const record = clusterId === deps.kv.clusterId ? await deps.jobs.get(Number(jobId)) : undefined;
    if (record === undefined || isTerminal(record.status)) final.push(layer);
  }
  const [first, ...others] = final;
  return first === undefined ? [] : pathTo(chain, newestLayer([first, ...others]));
}

/** The incremental layers of a path that lie within the range, as a job's details. 22023 with fewer than two, 58P02 when they are compacted already. */
function planRange(deps: CompactDeps, { chain, path, location, user, range }: RangeRequest): CompactionDetails {
  const { from = 0, to = Number.POSITIVE_INFINITY } = range;
  const full = chain[0].directory;
  const merged = path.filter(({ manifest }) => manifest.kind === 'incremental' && manifest.startTime >= from && manifest.endTime <= to);
  const [first] = merged;
  const last = merged.at(-1);
  if (first?.manifest.parent === undefined || last === undefined || merged.length < 2) {
    throw new StatementError(SqlState.InvalidParameterValue, `there is nothing to compact in backup "${full}"`, {
      detail: `it has ${path.length - 1} incremental layers, of which ${merged.length} lie in the time asked for`,
      hint: 'compaction merges two or more incremental layers that follow one another',
    });
  }
  proveCoverage(path);
  const compacts = merged.map(({ manifest }) => manifest.layerId);
  const before = path.indexOf(first) - 1;
  const inputs = shortened(chain, path.slice(before, before + 1 + merged.length), last.manifest.endTime).slice(1);
  const directory = compactedDirectory(full, first.manifest.startTime, last.manifest.endTime);
  const [only] = inputs;
  if (inputs.length === 1 && only !== undefined && isCompacted(only)) {
    throw new StateError(SqlState.DuplicateFile, `the layers of backup "${full}" are compacted already`, {
      detail: `"${only.directory}" stands for ${compacts.length} layers up to ${formatUtc(last.manifest.endTime)}`,
    });
  }
  return {
    location,
    user,
    full,
    directory,
    layerId: deps.kv.ids.uuid(),
    inputs: inputs.map(({ directory: input, manifestSha256 }) => ({ directory: input, manifestSha256 })),
    compacts,
    parent: first.manifest.parent,
    localities: localitiesOf(location.uris),
  };
}

function jobSpec(details: CompactionDetails, id: JobId, createdBy?: { readonly type: string; readonly id: number }) {
  const { location, full, user } = details;
  const options = [
    ...(location.incrementalUris.length > 0 ? [`incremental_location = ${urisText(location.incrementalUris)}`] : []),
    ...secretsText(location.secrets),
  ];
  const suffix = options.length > 0 ? ` WITH OPTIONS (${options.join(', ')})` : '';
  const description = `COMPACT BACKUP ${quoteLiteral(`/${full}`)} IN ${urisText(location.uris)}${suffix}`;
  return { id, type: COMPACTION_JOB_TYPE, description, user, details: compactionDetailsToJson(details), ...(createdBy && { createdBy }) };
}

/**
 * What a schedule calls after each of its backups: when the way to the newest layer has `backup.compaction.threshold` layers or
 * more, its full included, and nobody compacts the chain already, a job is created that merges all its incrementals. Undefined when none is due.
 */
export async function compactWhenDue(
  deps: CompactDeps,
  request: {
    readonly location: LocationDetails;
    readonly full: string;
    readonly user: string;
    readonly nodeId: number;
    readonly createdBy?: { readonly type: string; readonly id: number };
    readonly signal?: AbortSignal;
  },
): Promise<JobId | undefined> {
  const threshold = deps.settings.number('backup.compaction.threshold');
  if (threshold === 0) return undefined;
  const { location, full, user, nodeId, createdBy, signal } = request;
  for (const { type, details } of await deps.jobs.listUnfinished()) {
    if (type === COMPACTION_JOB_TYPE && compactionDetails(details).full === full) return undefined;
  }
  const storage: CollectionStorage = openCollection(deps.storage, location, { user, nodeId });
  try {
    const damaged = new Set<string>();
    const chain = await loadChain(storage, full, signal, (directory) => damaged.add(directory));
    const path = await finalPath(deps, chain);
    const end = path.at(-1)?.manifest.endTime ?? (0 as Timestamp);
    if (path.length < 3 || shortened(chain, path, end).length < threshold) return undefined;
    const details = planRange(deps, { chain, path, location, user, range: { from: undefined, to: undefined } });
    // Where a damaged one lies it stays, until somebody has looked at it.
    if (damaged.has(details.directory)) return undefined;
    const jobId = deps.jobs.newJobId();
    await deps.kv.run((txn) => deps.jobs.create(txn, jobSpec(details, jobId, createdBy)), { name: 'create compaction job' });
    return jobId;
  } finally {
    await storage.close();
  }
}
