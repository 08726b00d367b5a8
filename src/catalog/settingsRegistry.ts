/**
 * The cluster settings there are: name, type, default and a word on each.
 *
 * Names, types and defaults are CockroachDB's; `varve.*` are our own. Settings whose mechanism Varve
 * does not have are kept and shown all the same (settingsKept.ts), so that scripts which set them run.
 */

import { parseByteSize } from '../base/byteSize.ts';
import { parseDuration } from '../base/duration.ts';

import { KEPT_SETTINGS, type KeptSetting } from './settingsKept.ts';

/** Types as SHOW CLUSTER SETTINGS names them: b bool, i int, f float, s string, d duration, z bytes, e enum, m version. */
export type SettingType = 'b' | 'i' | 'f' | 's' | 'd' | 'z' | 'e' | 'm';

/** bool: boolean. int, float, duration (microseconds) and bytes: number. string, enum and version: string. */
export type SettingValue = boolean | number | string;

export interface SettingDefinition {
  readonly name: string;
  readonly type: SettingType;
  readonly default: SettingValue;
  readonly description: string;
  /** The values of an enum, and of a number that takes few. */
  readonly choices?: readonly string[];
  /** Smallest number accepted. */
  readonly min?: number;
  readonly max?: number;
  /** What a number below `min` is told, where the plain text would not do. */
  readonly belowMin?: string;
  /** A duration that must be written with its unit. */
  readonly needsUnit?: boolean;
  /** Holds a secret: for admins alone to set and to see. */
  readonly adminOnly?: boolean;
  /** Set by Varve itself, never by a user. */
  readonly readOnly?: boolean;
}

const SECOND = 1_000_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const MIB = 2 ** 20;

const bool = (name: string, value: boolean, description: string): SettingDefinition => ({ name, type: 'b', default: value, description });
const text = (name: string, value: string, description: string): SettingDefinition => ({ name, type: 's', default: value, description });
const int = (name: string, value: number, description: string, min?: number): SettingDefinition => ({
  name,
  type: 'i',
  default: value,
  description,
  ...(min !== undefined && { min }),
});
const float = (name: string, value: number, description: string, min?: number, max?: number): SettingDefinition => ({
  name,
  type: 'f',
  default: value,
  description,
  ...(min !== undefined && { min }),
  ...(max !== undefined && { max }),
});
const duration = (name: string, value: number, description: string): SettingDefinition => ({
  name,
  type: 'd',
  default: value,
  description,
  min: 0,
});
const size = (name: string, value: number, description: string): SettingDefinition => ({
  name,
  type: 'z',
  default: value,
  description,
  min: 0,
});
const choice = (name: string, value: string, choices: readonly string[], description: string): SettingDefinition => ({
  name,
  type: 'e',
  default: value,
  choices,
  description,
});

const rateLimits = ['azure', 'gs', 'http', 'nodelocal', 'nullsink', 's3', 'userfile'].flatMap((provider) =>
  ['read', 'write'].flatMap((direction) => [
    size(
      `cloudstorage.${provider}.${direction}.node_burst_limit`,
      0,
      `burst of ${direction}s to ${provider} storage a node may make; 0 is unlimited`,
    ),
    size(
      `cloudstorage.${provider}.${direction}.node_rate_limit`,
      0,
      `bytes a second a node may ${direction} at ${provider} storage; 0 is unlimited`,
    ),
  ]),
);

/** Who sets these could read other people's secrets, or open the cluster to strangers. */
const ADMIN_ONLY: ReadonlySet<string> = new Set(['enterprise.license', 'server.oidc_authentication.client_secret']);

function kept([name, letter, value, description]: KeptSetting): SettingDefinition {
  const common = { name, description, ...(ADMIN_ONLY.has(name) && { adminOnly: true }) };
  switch (letter) {
    case 'b':
      return { ...common, type: 'b', default: value === 'true' };
    case 'i':
    case 'f':
      return { ...common, type: letter, default: Number(value) };
    case 's':
      return { ...common, type: 's', default: value };
    case 'd':
    case 'D':
      return { ...common, type: 'd', default: parseDuration(value), min: 0, ...(letter === 'D' && { needsUnit: true }) };
    case 'z': {
      const isMessageSize = name === 'sql.conn.max_read_buffer_message_size';
      const bounds = isMessageSize ? { min: 16_000, belowMin: 'buffer message size must be at least 16 kB' } : { min: 0 };
      return { ...common, type: 'z', default: parseByteSize(value) ?? 0, ...bounds };
    }
  }
}

/** Every setting, sorted by name. */
export const SETTINGS: readonly SettingDefinition[] = Object.freeze(
  [
    int('backup.compaction.threshold', 0, 'length at which a scheduled chain of backups is compacted; 0 turns it off', 0),
    duration('bulkio.backup.checkpoint_interval', MINUTE, 'least time between two checkpoints of a backup'),
    size('bulkio.backup.file_size', 128 * MIB, 'target size of a data file'),
    bool('bulkio.backup.deprecated_full_backup_with_subdir.enabled', false, 'accept a full backup into a subdirectory named by the user'),
    duration('bulkio.backup.read_timeout', 5 * MINUTE, 'time after which a read of a backup is tried again'),
    duration(
      'bulkio.backup.read_with_priority_after',
      MINUTE,
      'age at which reads of a backup take priority over conflicting transactions',
    ),
    duration('bulkio.stream_ingestion.minimum_flush_interval', 5 * SECOND, 'least time between two flushes of an ingestion'),
    duration('changefeed.protect_timestamp.max_age', 4 * DAY, 'age at which a protection held by a change feed fails the feed'),
    int('cloudstorage.azure.concurrent_upload_buffers', 1, 'upload buffers a file uses with Azure storage', 1),
    {
      ...text('cloudstorage.gs.default.key', '', 'JSON key of the service account for Google Cloud Storage with AUTH=default'),
      adminOnly: true,
    },
    text('cloudstorage.http.custom_ca', '', 'certificate authority added to the system ones for storage over HTTPS'),
    duration('cloudstorage.timeout', 10 * MINUTE, 'time after which a call to external storage fails'),
    ...rateLimits,
    text('cluster.organization', '', 'organization name'),
    bool('feature.backup.enabled', true, 'set to false to refuse BACKUP'),
    bool('feature.restore.enabled', true, 'set to false to refuse RESTORE'),
    bool('feature.schema_change.enabled', true, 'set to false to refuse schema changes'),
    text('jobs.debug.pausepoints', '', 'names of pause points, separated by commas, at which jobs pause themselves'),
    duration('jobs.registry.interval.adopt', 30 * SECOND, 'time between two looks for jobs that nobody runs'),
    duration('jobs.registry.interval.cancel', 10 * SECOND, 'time between two looks for jobs to be canceled'),
    duration('jobs.registry.interval.gc', HOUR, 'time between two removals of old job records'),
    duration('jobs.registry.retry.initial_delay', 30 * SECOND, 'wait before a failed job runs again for the first time'),
    duration('jobs.registry.retry.max_delay', 24 * HOUR, 'longest wait before a failed job runs again'),
    bool('jobs.scheduler.enabled', true, 'start the jobs of schedules'),
    int('jobs.scheduler.max_jobs_per_iteration', 5, 'how many schedules are started in one round; 0 is unlimited', 0),
    duration('jobs.scheduler.pace', MINUTE, 'time from a round that left schedules over to the next one'),
    duration(
      'jobs.scheduler.schedule_execution.timeout',
      30 * SECOND,
      'how long starting the job of one schedule may take; 0 is unlimited',
    ),
    duration('jobs.retention_time', 14 * DAY, 'how long the records of finished jobs are kept'),
    size('kv.bulk_sst.max_allowed_overage', 64 * MIB, 'how far an export may go beyond its target size'),
    size('kv.bulk_sst.target_size', 16 * MIB, 'target size of one piece of an export'),
    duration('kv.closed_timestamp.target_duration', 3 * SECOND, 'how far closed timestamps trail the present'),
    bool('kv.gc_ttl.strict_enforcement.enabled', true, 'refuse reads older than the TTL even where data is still there'),
    size('kv.protectedts.max_bytes', 0, 'bytes all protected timestamp records may take; 0 is unlimited'),
    int('kv.protectedts.max_spans', 0, 'targets all protected timestamp records may have; 0 is unlimited', 0),
    duration('kv.protectedts.poll_interval', 2 * MINUTE, 'how often nodes read the records; here they always know them'),
    duration('kv.protectedts.reconciliation.interval', 5 * MINUTE, 'how often records of finished jobs and schedules are looked for'),
    bool('kv.rangefeed.enabled', false, 'enable the rangefeed mechanism'),
    size('kv.transaction.max_intents_bytes', 4 * MIB, 'bytes tracked for the writes of a transaction'),
    size('kv.transaction.max_refresh_spans_bytes', 4 * MIB, 'bytes tracked for the reads of a transaction'),
    bool('schedules.backup.gc_protection.enabled', true, 'keep what the next scheduled backup needs from garbage collection'),
    text('server.auth_log.sql_connections.enabled', 'false', 'log client connections'),
    duration('server.clock.forward_jump_check_interval', 0, 'how often the clock is checked for jumps; 0 turns it off'),
    bool('server.eventlog.enabled', true, 'record events in system.eventlog'),
    duration('server.eventlog.ttl', 90 * DAY, 'age at which events are removed from system.eventlog'),
    duration('server.shutdown.query_wait', 10 * SECOND, 'how long a shutdown waits for running statements'),
    duration('server.time_until_store_dead', 5 * MINUTE, 'time after which a silent node counts as dead'),
    duration('server.web_session_timeout', 7 * DAY, 'life of a session of the web console'),
    int('server.max_connections_per_gateway', -1, 'clients that may be connected at a time, root apart; -1 is no limit', -1),
    choice('server.user_login.password_encryption', 'scram-sha-256', ['crdb-bcrypt', 'scram-sha-256'], 'how new passwords are stored'),
    bool(
      'sql.defaults.autocommit_before_ddl.enabled',
      false,
      'commit a transaction before a schema change in it (default of autocommit_before_ddl)',
    ),
    duration('sql.defaults.idle_in_session_timeout', 0, 'default of idle_in_session_timeout'),
    duration('sql.defaults.idle_in_transaction_session_timeout', 0, 'default of idle_in_transaction_session_timeout'),
    choice('sql.defaults.intervalstyle', 'postgres', ['postgres', 'iso_8601', 'sql_standard'], 'default of intervalstyle'),
    duration('sql.defaults.lock_timeout', 0, 'default of lock_timeout'),
    size('sql.defaults.results_buffer.size', 512 * 1024, 'bytes of results kept back so that a transaction can be retried'),
    choice(
      'sql.defaults.serial_normalization',
      'rowid',
      ['rowid', 'virtual_sequence', 'sql_sequence', 'sql_sequence_cached', 'unordered_rowid'],
      'what SERIAL means',
    ),
    duration('sql.defaults.statement_timeout', 0, 'default of statement_timeout'),
    text('sql.defaults.primary_region', '', 'primary region of new databases, and of restored ones that have none'),
    bool('sql.defaults.multiregion_placement_policy.enabled', false, 'default of enable_multiregion_placement_policy'),
    bool('sql.defaults.override_multi_region_zone_config.enabled', false, 'default of override_multi_region_zone_config'),
    bool('sql.multiregion.drop_primary_region.enabled', true, 'allow to drop the primary region'),
    bool('sql.multiregion.system_database_multiregion.enabled', false, 'allow to give the system database regions'),
    bool('sql.cross_db_fks.enabled', false, 'if true, creating foreign keys to other databases is allowed'),
    bool('sql.cross_db_views.enabled', false, 'if true, creating views that refer to other databases is allowed'),
    { ...int('sql.defaults.default_int_size', 8, 'width of INT in bytes'), choices: ['4', '8'] },
    bool('sql.metrics.statement_details.enabled', true, 'collect statistics of statements'),
    int('sql.stats.automatic_collection.min_stale_rows', 500, 'rows that must change before statistics are collected again', 0),
    bool('feature.stats.enabled', true, 'allow CREATE STATISTICS and ANALYZE'),
    int('sql.stats.histogram_buckets.count', 200, 'buckets of a histogram at most', 2),
    bool('sql.stats.histogram_collection.enabled', true, 'collect histograms'),
    bool('sql.stats.multi_column_collection.enabled', true, 'collect statistics of the columns of an index together'),
    bool('sql.stats.automatic_collection.enabled', true, 'collect table statistics by themselves'),
    float(
      'sql.stats.automatic_collection.fraction_stale_rows',
      0.2,
      'fraction of rows that must change before statistics are collected again',
      0,
    ),
    size('sql.guardrails.max_row_size_err', 512 * MIB, 'size of a column family of a row that is refused; 0 is never'),
    size('sql.guardrails.max_row_size_log', 64 * MIB, 'size of a column family of a row that the client is warned of; 0 is never'),
    bool('sql.txn.read_committed_isolation.enabled', true, 'give READ COMMITTED when asked for it'),
    bool('sql.txn.repeatable_read_isolation.enabled', false, 'give REPEATABLE READ (SNAPSHOT) when asked for it'),
    bool('sql.txn.snapshot_isolation.enabled', false, 'the former name of sql.txn.repeatable_read_isolation.enabled'),
    choice(
      'storage.sstable.compression_algorithm_backup_storage',
      'fastest',
      ['fastest', 'balanced', 'good', 'snappy', 'zstd', 'none'],
      'compression of data files of backups',
    ),
    choice(
      'storage.sstable.compression_algorithm_backup_transport',
      'fastest',
      ['fastest', 'balanced', 'good', 'snappy', 'zstd', 'none'],
      'compression of exported data on its way',
    ),
    bool('timeseries.storage.enabled', true, 'keep the history of metrics'),
    bool('trace.debug.enable', false, 'keep traces of requests'),
    duration('varve.gc.interval', 10 * MINUTE, 'time between two runs of garbage collection'),
    choice(
      'varve.sql.constraint_names',
      'postgres',
      ['postgres', 'crdb_21'],
      "names of keys that nobody named: PostgreSQL's (t_pkey, t_a_fkey), or those of CockroachDB before 22.1 (primary, fk_a_ref_p)",
    ),
    choice(
      'varve.sql.compatibility',
      'crdb_21',
      ['crdb_21', 'crdb_25'],
      'version of CockroachDB that new databases get their privileges like, and SHOW its columns and texts',
    ),
    bool(
      'varve.backup.mixed_collections.enabled',
      false,
      'let a collection hold full backups of unrelated targets; LATEST is the newest of any',
    ),
    int('varve.storage.concurrent_upload_parts', 4, 'parts of 8 MiB and more of a file that are on their way to S3 at once', 1),
    bool('varve.memory.early_gc.enabled', false, 'let memory pressure raise GC thresholds before their time, never past a protection'),
    { name: 'version', type: 'm', default: '1.0', description: 'version of the cluster', readOnly: true } satisfies SettingDefinition,
    ...KEPT_SETTINGS.map(kept),
  ].sort((a, b) => (a.name < b.name ? -1 : 1)),
);
