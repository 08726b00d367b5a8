import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { quoteLiteral } from '../catalog/names.ts';
import type { ClusterSettings } from '../catalog/settings.ts';
import type { Grantees } from '../catalog/privileges.ts';
import { hasSystemPrivilege } from '../catalog/globalPrivileges.ts';
import type { HookResult, StatementContext, StatementHook } from '../sql/exec/statement.ts';
import type { BackupTargets, Option, Restore } from '../sql/parse/ast.ts';
import { printName } from '../sql/parse/printer.ts';

import { type BackupToken, tokenOf, usesIds } from '../backup/backupToken.ts';
import { readListedChain } from '../backup/listedLayers.ts';
import { ENCRYPTION_OPTIONS, type LocationSecrets, readEncryption } from '../backup/encryptionOptions.ts';
import { EXECUTION_LOCALITY, readExecutionLocality } from '../backup/executionLocality.ts';
import { checkFeature, checkTransaction, jobColumns, jobResult } from '../backup/jobResult.ts';
import type { LocationDetails } from '../backup/locationDetails.ts';
import { urisOf } from '../backup/locationDetails.ts';
import { defaultFirst, INCREMENTAL_LOCATION, readLocation, readUris, refuseIncrementalLocation } from '../backup/readLocation.ts';
import { checkLocationAccess, granteesOf, looksOn, readOptions, readSwitch, requireText } from '../backup/statementValues.ts';

import type { RestorePlanningDeps } from './restorePlanning.ts';
import { planRestore } from './restorePlanning.ts';
import { checkRestoreStatement } from './restorePrivileges.ts';

export interface RestoreStatementDeps extends RestorePlanningDeps {
  readonly settings: ClusterSettings;
}

const SWITCHES = [
  'skip_missing_foreign_keys',
  'skip_missing_sequences',
  'skip_missing_sequence_owners',
  'skip_missing_views',
  'schema_only',
  'verify_backup_table_data',
  'grants',
  'detached',
] as const;
const LATEST: BackupToken = { type: 'latest' };
const TEXTS = ['into_db', 'new_db_name'] as const;

/** Options that exist in CockroachDB and not here yet. */
const NOT_SUPPORTED: ReadonlySet<string> = new Set([
  'skip_missing_udfs',
  'skip_localities_check',
  'remove_regions',
  'strip_localities',
  'debug_pause_on',
  'unsafe_restore_incompatible_version',
  'virtual_cluster',
  'virtual_cluster_name',
  'tenant',
  'tenant_name',
  'experimental deferred copy',
  'experimental copy',
]);

export function restoreHook(deps: RestoreStatementDeps): StatementHook<Restore> {
  return {
    columns: (stmt) => jobColumns(looksOn(stmt.options, 'detached')),
    run: (context, stmt) => runRestore(deps, context, stmt),
    ownTransaction: true,
  };
}

async function runRestore(deps: RestoreStatementDeps, context: StatementContext, stmt: Restore): Promise<HookResult> {
  checkFeature('RESTORE', deps.settings);
  const options = await readRestoreOptions(context, stmt);
  const detached = options.on.has('detached');
  checkTransaction('RESTORE', context, detached);
  const grantees = await granteesOf(context);
  const who = {
    grantees,
    hasSystemRestore: await hasSystemPrivilege(context.txn, grantees, 'RESTORE'),
    hasCreateDb: await hasSystemPrivilege(context.txn, grantees, 'CREATEDB'),
  };
  const advice = checkRestoreStatement(stmt.targets.type, who);
  const { backup, location } = await readSource(deps, context, stmt, options, grantees);
  if (advice !== undefined) context.notice(advice);
  const executionLocality = await readExecutionLocality(context, options.executionLocality, deps.kv.cluster);
  const jobId = await planRestore(
    deps,
    {
      targets: stmt.targets,
      targetsText: targetsText(stmt.targets),
      backup,
      useIds: usesIds(context),
      location,
      asOf: stmt.asOf && (await context.resolveAsOf(stmt.asOf.expr)),
      intoDb: options.texts.get('into_db'),
      newDbName: options.texts.get('new_db_name'),
      skip: {
        foreignKeys: options.on.has('skip_missing_foreign_keys'),
        sequences: options.on.has('skip_missing_sequences'),
        sequenceOwners: options.on.has('skip_missing_sequence_owners'),
        views: options.on.has('skip_missing_views'),
      },
      schemaOnly: options.on.has('schema_only'),
      verifyData: options.on.has('verify_backup_table_data'),
      executionLocality,
      grants: options.on.has('grants'),
      optionTexts: [...[...options.texts].map(([name, text]) => `${name} = ${quoteLiteral(text)}`), ...options.on],
      user: context.user,
      ...who,
      notice: (message) => context.notice(message),
      names: context.names,
      signal: context.signal,
    },
    async (write) => {
      if (context.inExplicitTransaction) await write(context.txn);
      else await deps.kv.run(write, { name: 'create restore job' });
    },
  );
  return await jobResult('RESTORE', context, deps.jobs, jobId, detached, executionLocality);
}

interface RestoreOptions {
  /** Switches that are on. */
  readonly on: ReadonlySet<string>;
  readonly texts: ReadonlyMap<string, string>;
  readonly incrementalLocation: Option | undefined;
  readonly executionLocality: Option | undefined;
  readonly secrets: LocationSecrets;
}

/** 42601 for an unknown or repeated option, 0A000 for one that is not supported, 22023 for one that does not fit the targets. */
async function readRestoreOptions(context: StatementContext, stmt: Restore): Promise<RestoreOptions> {
  for (const option of stmt.options) refuseUnsupported(option);
  const given = readOptions('RESTORE', stmt.options, [
    ...TEXTS,
    ...SWITCHES,
    INCREMENTAL_LOCATION,
    EXECUTION_LOCALITY,
    ...ENCRYPTION_OPTIONS,
  ]);
  const on = new Set<string>();
  for (const name of SWITCHES) if (await readSwitch(context, given.get(name))) on.add(name);
  const texts = new Map<string, string>();
  for (const name of TEXTS) {
    const option = given.get(name);
    if (option === undefined) continue;
    if (option.value === undefined) {
      throw new StatementError(SqlState.SyntaxError, `option ${name} needs a value`, { location: { position: option.pos + 1 } });
    }
    texts.set(name, await requireText(context, option.value, `option ${name}`));
  }
  if (on.has('verify_backup_table_data') && !on.has('schema_only')) {
    throw new StatementError(
      SqlState.InvalidParameterValue,
      'to set the verify_backup_table_data option, the schema_only option must be set',
      {
        hint: 'a restore of the data verifies it all the same',
      },
    );
  }
  const { targets } = stmt;
  if (texts.has('into_db') && targets.type !== 'tables') {
    throw new StatementError(SqlState.InvalidParameterValue, 'cannot use "into_db" option when restoring database(s)', {
      hint: 'it is for tables: use new_db_name to give a database another name',
    });
  }
  if (texts.has('new_db_name') && (targets.type !== 'databases' || targets.names.length !== 1)) {
    throw new StatementError(
      SqlState.InvalidParameterValue,
      'new_db_name can only be used for RESTORE DATABASE with a single target database',
    );
  }
  if (on.has('grants') && targets.type !== 'databases' && targets.type !== 'tables') {
    throw new StatementError(SqlState.InvalidParameterValue, 'option grants is for databases and tables: a cluster comes with its grants');
  }
  return {
    on,
    texts,
    incrementalLocation: given.get(INCREMENTAL_LOCATION),
    executionLocality: given.get(EXECUTION_LOCALITY),
    secrets: await readEncryption(context, given),
  };
}

function refuseUnsupported({ name, pos }: Option): void {
  if (!NOT_SUPPORTED.has(name)) return;
  throw new StatementError(SqlState.FeatureNotSupported, `RESTORE option ${name} is not supported yet`, {
    location: { position: pos + 1 },
  });
}

/** Which backup, and where. The older form reads what is there, so access is checked here. */
async function readSource(
  deps: RestoreStatementDeps,
  context: StatementContext,
  { source }: Restore,
  { incrementalLocation: incremental, secrets }: RestoreOptions,
  grantees: Grantees,
): Promise<{ backup: BackupToken; location: LocationDetails }> {
  if (source.type !== 'layers') {
    const backup = source.type === 'latest' ? LATEST : tokenOf(await requireText(context, source.subdir, 'the subdirectory of a backup'));
    const location = { ...(await readLocation(context, source.uris, incremental)), ...secrets };
    await checkLocationAccess(context, urisOf(location), grantees);
    return { backup, location };
  }
  refuseIncrementalLocation('RESTORE', incremental);
  const lists = [];
  for (const uris of source.layers) lists.push(defaultFirst(await readUris(context, uris)));
  await checkLocationAccess(context, lists.flat(), grantees);
  const { user, session, signal } = context;
  const { full, location } = await readListedChain(deps.storage, lists, secrets, { user, nodeId: session.nodeId, signal });
  return { backup: tokenOf(full), location };
}

/** With a space at the end; empty for a cluster. */
function targetsText(targets: BackupTargets): string {
  switch (targets.type) {
    case 'databases':
      return `DATABASE ${targets.names.map((name) => printName(name)).join(', ')} `;
    case 'tables':
      return `TABLE ${targets.patterns
        .map(({ parts, star }) => [...parts.map((part) => printName(part)), ...(star ? ['*'] : [])].join('.'))
        .join(', ')} `;
    case 'systemUsers':
      return 'SYSTEM USERS ';
    case 'cluster':
      return '';
  }
}
