/**
 * Restore options: the WITH clause of RESTORE, read and checked as far as the statement alone allows.
 *
 * Some of CockroachDB's options are about what this database has not got: functions. There is
 * nothing for them to leave out, so they change nothing. An online restore (EXPERIMENTAL DEFERRED COPY,
 * EXPERIMENTAL COPY) is a plain one, within its limits: objects can be used when their data is there.
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { StatementContext } from '../sql/exec/statement.ts';
import type { BackupTargets, Option, Restore } from '../sql/parse/ast.ts';

import { ENCRYPTION_OPTIONS, type LocationSecrets, readEncryption } from '../backup/encryptionOptions.ts';
import { EXECUTION_LOCALITY } from '../backup/executionLocality.ts';
import { INCREMENTAL_LOCATION } from '../backup/readLocation.ts';
import { readOptions, readSwitch, requireText } from '../backup/statementValues.ts';

import { readRenames, type RenameRequest } from './renames.ts';

const SWITCHES = [
  'skip_missing_foreign_keys',
  'skip_missing_sequences',
  'skip_missing_sequence_owners',
  'skip_missing_views',
  'skip_missing_udfs',
  'skip_localities_check',
  'remove_regions',
  'strip_localities',
  'revision_history',
  'schema_only',
  'verify_backup_table_data',
  'unsafe_restore_incompatible_version',
  'experimental deferred copy',
  'experimental copy',
  'grants',
  'dry_run',
  'detached',
] as const;
const TEXTS = ['into_db', 'new_db_name', 'debug_pause_on'] as const;
const RENAME = 'rename';

/** Options for virtual clusters, which do not exist here. */
const VIRTUAL_CLUSTER: ReadonlySet<string> = new Set([
  'virtual_cluster',
  'virtual_cluster_name',
  'include_all_virtual_clusters',
  'tenant',
  'tenant_name',
]);
/** Of one thing two names. */
const SYNONYMS: readonly (readonly [Switch, Switch])[] = [['remove_regions', 'strip_localities']];

type Switch = (typeof SWITCHES)[number];
type Text = (typeof TEXTS)[number];

export interface RestoreOptions {
  /** Switches that are on. */
  readonly on: ReadonlySet<Switch>;
  readonly texts: ReadonlyMap<Text, string>;
  readonly renames: readonly RenameRequest[];
  readonly incrementalLocation: Option | undefined;
  readonly executionLocality: Option | undefined;
  readonly secrets: LocationSecrets;
}

/** 42601 for an unknown or repeated option, 0A000 for one that is not supported, 22023 for one that does not fit the targets. */
export async function readRestoreOptions(context: StatementContext, stmt: Restore): Promise<RestoreOptions> {
  for (const option of stmt.options) refuseVirtualCluster(option);
  const given = readOptions('RESTORE', stmt.options, [
    ...TEXTS,
    RENAME,
    ...SWITCHES,
    INCREMENTAL_LOCATION,
    EXECUTION_LOCALITY,
    ...ENCRYPTION_OPTIONS,
  ]);
  const on = new Set<Switch>();
  for (const name of SWITCHES) if (await readSwitch(context, given.get(name))) on.add(name);
  const texts = new Map<Text, string>();
  for (const name of TEXTS) {
    const option = given.get(name);
    if (option === undefined) continue;
    if (option.value === undefined) throw needsValue(option);
    texts.set(name, await requireText(context, option.value, `option ${name}`));
  }
  checkTogether(given, on);
  checkTargets(stmt.targets, on, texts);
  const pauseOn = texts.get('debug_pause_on');
  if (pauseOn !== undefined && pauseOn !== 'error') {
    throw new StatementError(SqlState.InvalidParameterValue, `debug_pause_on cannot be set with the value ${pauseOn}`, {
      hint: "its only value is 'error': the job pauses itself where it would fail",
    });
  }
  const rename = given.get(RENAME);
  if (rename !== undefined && rename.value === undefined) throw needsValue(rename);
  const secrets = await readEncryption(context, given);
  if (on.has('experimental copy') && secrets.secrets !== undefined) {
    throw new StatementError(SqlState.FeatureNotSupported, 'experimental online restore: encrypted backups are not supported', {
      hint: 'leave EXPERIMENTAL COPY out',
    });
  }
  return {
    on,
    texts,
    renames: rename?.value === undefined ? [] : await readRenames(context, rename.value),
    incrementalLocation: given.get(INCREMENTAL_LOCATION),
    executionLocality: given.get(EXECUTION_LOCALITY),
    secrets,
  };
}

function needsValue({ name, pos }: Option): StatementError {
  return new StatementError(SqlState.SyntaxError, `option ${name} needs a value`, { location: { position: pos + 1 } });
}

function checkTogether(given: ReadonlyMap<string, Option>, on: ReadonlySet<Switch>): void {
  for (const [one, other] of SYNONYMS) {
    if (given.has(one) && given.has(other)) {
      throw new StatementError(SqlState.SyntaxError, `options ${one} and ${other} are the same one, given twice`);
    }
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
  if (on.has('revision_history') && on.has('schema_only')) {
    throw new StatementError(SqlState.InvalidParameterValue, 'schema_only restores no rows: revision_history has none to tell of');
  }
  if (on.has('dry_run') && on.has('detached')) {
    throw new StatementError(SqlState.InvalidParameterValue, 'a dry run starts no job that could be detached');
  }
}

function checkTargets(targets: BackupTargets, on: ReadonlySet<Switch>, texts: ReadonlyMap<Text, string>): void {
  if (texts.has('into_db') && targets.type !== 'tables') {
    throw new StatementError(SqlState.InvalidParameterValue, 'cannot use "into_db" option when restoring database(s)', {
      hint: 'it is for tables: use new_db_name to give a database another name',
    });
  }
  if (texts.has('new_db_name') && (targets.type !== 'databases' || targets.names.length !== 1)) {
    throw new StatementError(
      SqlState.InvalidParameterValue,
      'new_db_name can only be used for RESTORE DATABASE with a single target database',
      targets.type === 'databases' ? { hint: "WITH rename = ('old' = 'new', ...) names several" } : {},
    );
  }
  if (on.has('revision_history') && targets.type !== 'databases' && targets.type !== 'tables') {
    throw new StatementError(SqlState.InvalidParameterValue, 'option revision_history is for databases and tables', {
      hint: 'a database of a cluster backup comes with its past by RESTORE DATABASE',
    });
  }
  if (on.has('grants') && targets.type !== 'databases' && targets.type !== 'tables') {
    throw new StatementError(SqlState.InvalidParameterValue, 'option grants is for databases and tables: a cluster comes with its grants');
  }
}

function refuseVirtualCluster({ name, pos }: Option): void {
  if (!VIRTUAL_CLUSTER.has(name)) return;
  throw new StatementError(SqlState.FeatureNotSupported, `RESTORE option ${name} is not supported: there are no virtual clusters`, {
    location: { position: pos + 1 },
  });
}
