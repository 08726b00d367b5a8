/**
 * Session variables: what SET, RESET and SHOW work on, with CockroachDB's names, defaults and texts.
 *
 * A variable is one row of a frozen table: its default, what it accepts, whether it may be set. A
 * value is kept as the text that SHOW prints; the few that steer execution have typed accessors
 * in session.ts. Unknown names are 42704, read-only ones 55P02, bad values 22023.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { isolationNamed, isolationText } from './isolationLevels.ts';
import { rulesNamed } from '../plan/optimizer.ts';

/** How a variable takes a value: gives the text SHOW prints, throws 22023 for what it refuses. */
type Normalize = (text: string, name: string) => string;

export interface SessionVarSpec {
  readonly name: string;
  readonly default: string;
  /** Absent: read-only. */
  readonly normalize?: Normalize;
  readonly hidden?: boolean;
  /** True when the wire protocol reports changes (ParameterStatus), with the protocol's spelling. */
  readonly reportedAs?: string;
}

const anyText: Normalize = (text) => text;

const invalid = (name: string, text: string, detail?: string, hint?: string): never => {
  throw new StatementError(SqlState.InvalidParameterValue, `invalid value for parameter "${name}": "${text}"`, { detail, hint });
};

const TRUE_TEXTS = new Set(['t', 'tr', 'tru', 'true', 'on', 'y', 'ye', 'yes', '1']);
const FALSE_TEXTS = new Set(['f', 'fa', 'fal', 'fals', 'false', 'of', 'off', 'n', 'no', '0']);

const boolean: Normalize = (text, name) => {
  const lower = text.toLowerCase();
  if (TRUE_TEXTS.has(lower)) return 'on';
  if (FALSE_TEXTS.has(lower)) return 'off';
  throw new StatementError(SqlState.InvalidParameterValue, `parameter "${name}" requires a Boolean value`);
};

const integer =
  (min: number, max: number): Normalize =>
  (text, name) => {
    if (!/^[+-]?\d+$/.test(text)) {
      throw new StatementError(SqlState.InvalidParameterValue, `parameter "${name}" requires an integer value`);
    }
    const value = Number(text);
    if (value < min || value > max) {
      throw new StatementError(
        SqlState.InvalidParameterValue,
        `${value} is outside the valid range for parameter "${name}" (${min} .. ${max})`,
      );
    }
    return String(value);
  };

const oneOf =
  (...values: readonly string[]): Normalize =>
  (text, name) =>
    values.includes(text.toLowerCase()) ? text.toLowerCase() : invalid(name, text, undefined, `Available values: ${values.join(',')}`);

const UNIT_MILLIS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/** A duration: milliseconds as a bare number, or with a unit; shown in milliseconds. */
const durationMillis: Normalize = (text, name) => {
  const match = /^\s*(\d+(?:\.\d+)?)\s*(us|ms|s|min|m|h|d)?\s*$/.exec(text);
  if (match?.[1] !== undefined) {
    const unit = match[2] === 'm' ? 'min' : (match[2] ?? 'ms');
    return String(Math.floor(Number(match[1]) * (UNIT_MILLIS[unit] ?? 1)));
  }
  const clock = /^\s*(\d+):(\d\d)(?::(\d\d(?:\.\d+)?))?\s*$/.exec(text);
  if (clock) return String(Math.floor((Number(clock[1]) * 3600 + Number(clock[2]) * 60 + Number(clock[3] ?? 0)) * 1000));
  return invalid(name, text);
};

const dateStyle: Normalize = (text, name) => {
  let order = 'MDY';
  for (const part of text.split(',').map((piece) => piece.trim().toLowerCase())) {
    if (part === 'iso' || part === '' || part === 'default') continue;
    if (part === 'mdy' || part === 'dmy' || part === 'ymd') order = part.toUpperCase();
    else if (part === 'us' || part === 'noneuropean') order = 'MDY';
    else if (part === 'euro' || part === 'european') order = 'DMY';
    else if (part === 'sql' || part === 'german' || part === 'postgres') {
      throw new StatementError(SqlState.FeatureNotSupported, `only ISO style is supported, not "${part}"`);
    } else invalid(name, text);
  }
  return `ISO, ${order}`;
};

const encoding: Normalize = (text) => {
  const folded = text.toLowerCase().replaceAll(/[-_]/g, '');
  if (folded === 'utf8' || folded === 'unicode' || folded === 'cp65001') return 'UTF8';
  throw new StatementError(SqlState.FeatureNotSupported, `unimplemented: unsupported encoding: "${text}"`);
};

const isolation: Normalize = (text, name) => {
  const level = isolationNamed(text);
  return level ? isolationText(level) : invalid(name, text);
};

/** Any zone the platform knows, an offset such as `-5`, `+02:00`, `UTC+3`, or `LOCAL`/`DEFAULT` for UTC. */
const timeZone: Normalize = (text, name) => {
  const trimmed = text.trim();
  const upper = trimmed.toUpperCase();
  if (upper === 'UTC' || upper === 'LOCAL' || upper === 'DEFAULT' || upper === 'ZULU' || upper === 'Z') return 'UTC';
  if (/^[+-]?\d{1,3}(?:\.\d+)?$/.test(trimmed) || /^(?:UTC|GMT)?[+-]\d{1,2}(?::?\d{2})?(?::?\d{2})?$/i.test(trimmed)) return trimmed;
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: trimmed }).resolvedOptions().timeZone === 'UTC' ? 'UTC' : trimmed;
  } catch {
    throw new StatementError(SqlState.InvalidParameterValue, `invalid value for parameter "${name}": "${text}"`, {
      detail: `cannot find time zone "${text}"`,
    });
  }
};

/** What is never done here: it may be said, and then only so. */
const onlyOff: Normalize = (text, name) => {
  if (boolean(text, name) === 'off') return 'off';
  throw new StatementError(SqlState.FeatureNotSupported, `unimplemented: the configuration setting "${name}" cannot be turned on`);
};

const float: Normalize = (text, name) => {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) {
    throw new StatementError(SqlState.InvalidParameterValue, `parameter "${name}" requires a number`);
  }
  return String(value);
};

const onlyOn: Normalize = (text, name) => {
  if (boolean(text, name) === 'on') return 'on';
  throw new StatementError(SqlState.FeatureNotSupported, `unimplemented: the configuration setting "${name}" cannot be turned off`);
};

const optimizerRules: Normalize = (text) => {
  rulesNamed(text);
  return text;
};

const intSize: Normalize = (text) => {
  if (text === '4' || text === '8') return text;
  throw new StatementError(SqlState.InvalidParameterValue, 'only 4 or 8 are supported by default_int_size');
};

const SPECS: readonly SessionVarSpec[] = [
  { name: 'allow_prepare_as_opt_plan', default: 'off', normalize: onlyOff, hidden: true },
  { name: 'alter_primary_region_super_region_override', default: 'off', normalize: boolean, hidden: true },
  { name: 'application_name', default: '', normalize: anyText, reportedAs: 'application_name' },
  { name: 'autocommit_before_ddl', default: 'off', normalize: boolean, hidden: true },
  { name: 'avoid_buffering', default: 'off', normalize: boolean },
  { name: 'backslash_quote', default: 'safe_encoding', normalize: oneOf('safe_encoding') },
  { name: 'bytea_output', default: 'hex', normalize: oneOf('hex', 'escape', 'base64') },
  { name: 'check_function_bodies', default: 'on', normalize: boolean },
  { name: 'client_encoding', default: 'UTF8', normalize: encoding, reportedAs: 'client_encoding' },
  { name: 'catalog_expressions', default: 'cockroach', normalize: oneOf('cockroach', 'postgres'), hidden: true },
  {
    name: 'client_min_messages',
    default: 'notice',
    normalize: oneOf('debug5', 'debug4', 'debug3', 'debug2', 'debug1', 'debug', 'log', 'notice', 'warning', 'error', 'fatal', 'panic'),
  },
  { name: 'cost_scans_with_default_col_size', default: 'off', normalize: boolean, hidden: true },
  { name: 'crdb_version', default: 'CockroachDB OSS v21.1 (Varve)' },
  { name: 'database', default: 'defaultdb', normalize: anyText },
  { name: 'datestyle', default: 'ISO, MDY', normalize: dateStyle, reportedAs: 'DateStyle' },
  { name: 'datestyle_enabled', default: 'on', normalize: boolean, hidden: true },
  { name: 'default_int_size', default: '8', normalize: intSize },
  { name: 'default_table_access_method', default: 'heap', normalize: oneOf('heap'), hidden: true },
  { name: 'default_tablespace', default: '', normalize: oneOf('') },
  { name: 'default_transaction_deferrable', default: 'off', normalize: boolean, hidden: true },
  { name: 'default_transaction_isolation', default: 'serializable', normalize: isolation },
  { name: 'default_transaction_priority', default: 'normal', normalize: oneOf('low', 'normal', 'high') },
  { name: 'default_transaction_read_only', default: 'off', normalize: boolean },
  { name: 'default_transaction_use_follower_reads', default: 'off', normalize: boolean },
  { name: 'default_with_oids', default: 'off', normalize: onlyOff, hidden: true },
  { name: 'disable_partially_distributed_plans', default: 'off', normalize: boolean },
  { name: 'disable_plan_gists', default: 'off', normalize: boolean, hidden: true },
  { name: 'disallow_full_table_scans', default: 'off', normalize: boolean },
  { name: 'distsql', default: 'off', normalize: oneOf('off', 'on', 'auto', 'always', '2.0-auto', '2.0-off') },
  { name: 'enable_drop_enum_value', default: 'on', normalize: boolean, hidden: true },
  { name: 'enable_experimental_alter_column_type_general', default: 'off', normalize: boolean },
  { name: 'enable_implicit_select_for_update', default: 'on', normalize: boolean },
  { name: 'enable_implicit_transaction_for_batch_statements', default: 'on', normalize: boolean },
  { name: 'enable_insert_fast_path', default: 'on', normalize: boolean },
  { name: 'enable_interleaved_joins', default: 'on', normalize: boolean, hidden: true },
  { name: 'enable_multiple_modifications_of_table', default: 'off', normalize: boolean, hidden: true },
  { name: 'enable_multiregion_placement_policy', default: 'off', normalize: boolean, hidden: true },
  { name: 'enable_seqscan', default: 'on', normalize: boolean },
  { name: 'enable_super_regions', default: 'off', normalize: boolean, hidden: true },
  { name: 'enable_zigzag_join', default: 'on', normalize: boolean },
  { name: 'escape_string_warning', default: 'on', normalize: boolean },
  { name: 'experimental_computed_column_rewrites', default: '', normalize: anyText, hidden: true },
  { name: 'experimental_distsql_planning', default: 'off', normalize: oneOf('off', 'on', 'always') },
  { name: 'experimental_enable_hash_sharded_indexes', default: 'off', normalize: boolean },
  { name: 'experimental_enable_implicit_column_partitioning', default: 'off', normalize: boolean },
  { name: 'experimental_enable_temp_tables', default: 'off', normalize: boolean },
  { name: 'experimental_enable_unique_without_index_constraints', default: 'off', normalize: boolean },
  { name: 'experimental_enable_virtual_columns', default: 'off', normalize: boolean },
  { name: 'experimental_use_new_schema_changer', default: 'off', normalize: oneOf('off', 'on', 'unsafe_always') },
  { name: 'extra_float_digits', default: '1', normalize: integer(-15, 3) },
  { name: 'force_savepoint_restart', default: 'off', normalize: boolean },
  { name: 'foreign_key_cascades_limit', default: '10000', normalize: integer(0, Number.MAX_SAFE_INTEGER) },
  { name: 'idle_in_session_timeout', default: '0', normalize: durationMillis },
  { name: 'idle_in_transaction_session_timeout', default: '0', normalize: durationMillis },
  { name: 'index_recommendations_enabled', default: 'on', normalize: boolean, hidden: true },
  { name: 'inject_retry_errors_enabled', default: 'off', normalize: boolean, hidden: true },
  { name: 'integer_datetimes', default: 'on', reportedAs: 'integer_datetimes' },
  { name: 'intervalstyle', default: 'postgres', normalize: oneOf('postgres', 'iso_8601', 'sql_standard'), reportedAs: 'IntervalStyle' },
  { name: 'is_superuser', default: 'on', reportedAs: 'is_superuser' },
  { name: 'large_full_scan_rows', default: '1000', normalize: float, hidden: true },
  { name: 'lc_collate', default: 'C.UTF-8' },
  { name: 'lc_ctype', default: 'C.UTF-8' },
  { name: 'lc_messages', default: 'C.UTF-8', normalize: anyText },
  { name: 'lc_monetary', default: 'C.UTF-8', normalize: anyText },
  { name: 'lc_numeric', default: 'C.UTF-8', normalize: anyText },
  { name: 'lc_time', default: 'C.UTF-8', normalize: anyText },
  { name: 'locality', default: '' },
  { name: 'locality_optimized_partitioned_index_scan', default: 'on', normalize: boolean, hidden: true },
  { name: 'lock_timeout', default: '0', normalize: durationMillis },
  { name: 'max_identifier_length', default: '128' },
  { name: 'max_index_keys', default: '32' },
  { name: 'node_id', default: '1' },
  { name: 'null_ordered_last', default: 'off', normalize: onlyOff, hidden: true },
  { name: 'on_update_rehome_row_enabled', default: 'on', normalize: boolean, hidden: true },
  { name: 'opt_split_scan_limit', default: '2048', normalize: integer(0, Number.MAX_SAFE_INTEGER), hidden: true },
  { name: 'optimizer', default: 'on', normalize: onlyOn, hidden: true },
  { name: 'optimizer_use_forecasts', default: 'on', normalize: boolean, hidden: true },
  { name: 'optimizer_use_histograms', default: 'on', normalize: boolean },
  { name: 'optimizer_use_multicol_stats', default: 'on', normalize: boolean },
  { name: 'override_multi_region_zone_config', default: 'off', normalize: boolean, hidden: true },
  { name: 'parallelize_multi_key_lookup_joins_enabled', default: 'off', normalize: boolean, hidden: true },
  { name: 'password_encryption', default: 'scram-sha-256', hidden: true },
  { name: 'pg_trgm.similarity_threshold', default: '0.3', normalize: float, hidden: true },
  { name: 'plan_cache_mode', default: 'auto', normalize: oneOf('auto', 'force_custom_plan', 'force_generic_plan'), hidden: true },
  { name: 'prefer_lookup_joins_for_fks', default: 'off', normalize: boolean },
  { name: 'prepared_statements_cache_size', default: '0 B', normalize: anyText, hidden: true },
  { name: 'propagate_input_ordering', default: 'off', normalize: boolean, hidden: true },
  { name: 'password_encryption', default: 'scram-sha-256', normalize: oneOf('scram-sha-256'), hidden: true },
  { name: 'reorder_joins_limit', default: '8', normalize: integer(0, 63) },
  { name: 'require_explicit_primary_keys', default: 'off', normalize: boolean },
  { name: 'results_buffer_size', default: '524288' },
  { name: 'role', default: 'none', normalize: anyText },
  { name: 'row_security', default: 'off', normalize: boolean },
  { name: 'search_path', default: '"$user", public', normalize: anyText },
  {
    name: 'serial_normalization',
    default: 'rowid',
    normalize: oneOf('rowid', 'virtual_sequence', 'sql_sequence', 'sql_sequence_cached', 'unordered_rowid'),
  },
  { name: 'server_encoding', default: 'UTF8', reportedAs: 'server_encoding' },
  { name: 'server_version', default: '13.0.0', reportedAs: 'server_version' },
  { name: 'server_version_num', default: '130000' },
  { name: 'session_authorization', default: 'root', reportedAs: 'session_authorization' },
  { name: 'session_id', default: '' },
  { name: 'session_user', default: 'root' },
  { name: 'show_primary_key_constraint_on_not_visible_columns', default: 'on', normalize: boolean, hidden: true },
  { name: 'sql_safe_updates', default: 'off', normalize: boolean },
  { name: 'ssl', default: 'off', hidden: true },
  { name: 'ssl_renegotiation_limit', default: '0', normalize: oneOf('0'), hidden: true },
  { name: 'standard_conforming_strings', default: 'on', normalize: onlyOn, reportedAs: 'standard_conforming_strings' },
  { name: 'statement_timeout', default: '0', normalize: durationMillis },
  { name: 'stub_catalog_tables', default: 'on', normalize: boolean },
  { name: 'synchronize_seqscans', default: 'on', normalize: boolean },
  { name: 'synchronous_commit', default: 'on', normalize: boolean },
  { name: 'testing_optimizer_cost_perturbation', default: '0', normalize: float, hidden: true },
  { name: 'testing_optimizer_random_seed', default: '0', normalize: integer(0, Number.MAX_SAFE_INTEGER), hidden: true },
  { name: 'testing_vectorize_inject_panics', default: 'off', normalize: onlyOff, hidden: true },
  { name: 'varve.null_actions_on_not_null', default: 'off', normalize: boolean, hidden: true },
  { name: 'varve.optimizer_rules_off', default: '', normalize: optimizerRules, hidden: true },
  { name: 'timezone', default: 'UTC', normalize: timeZone, reportedAs: 'TimeZone' },
  { name: 'tracing', default: 'off', normalize: oneOf('off') },
  { name: 'transaction_isolation', default: 'serializable', normalize: isolation },
  { name: 'transaction_priority', default: 'normal' },
  { name: 'transaction_read_only', default: 'off', normalize: boolean },
  { name: 'transaction_rows_read_err', default: '0', normalize: integer(0, Number.MAX_SAFE_INTEGER), hidden: true },
  { name: 'transaction_rows_read_log', default: '0', normalize: integer(0, Number.MAX_SAFE_INTEGER), hidden: true },
  { name: 'transaction_rows_written_err', default: '0', normalize: integer(0, Number.MAX_SAFE_INTEGER), hidden: true },
  { name: 'transaction_rows_written_log', default: '0', normalize: integer(0, Number.MAX_SAFE_INTEGER), hidden: true },
  { name: 'transaction_status', default: 'NoTxn' },
  { name: 'transaction_timeout', default: '0', normalize: durationMillis },
  { name: 'unconstrained_non_covering_index_scan_enabled', default: 'off', normalize: boolean, hidden: true },
  { name: 'use_backups_with_ids', default: 'off', normalize: boolean },
  { name: 'use_declarative_schema_changer', default: 'on', normalize: oneOf('off', 'on', 'unsafe', 'unsafe_always'), hidden: true },
  { name: 'variable_inequality_lookup_join_enabled', default: 'on', normalize: boolean, hidden: true },
  { name: 'varve.null_actions_on_not_null', default: 'off', normalize: boolean },
  { name: 'vectorize', default: 'on', normalize: oneOf('on', 'off', 'experimental_always') },
  { name: 'vectorize_row_count_threshold', default: '0', normalize: integer(0, Number.MAX_SAFE_INTEGER) },
  { name: 'xmloption', default: 'content', normalize: oneOf('content') },
];

/** PostgreSQL's parameters that mean nothing here: 0A000 rather than unknown. */
const POSTGRES_ONLY: ReadonlySet<string> = new Set(
  `archive_mode array_nulls autovacuum backend_flush_after commit_delay commit_siblings constraint_exclusion cpu_index_tuple_cost
  cpu_operator_cost cpu_tuple_cost cursor_tuple_fraction deadlock_timeout debug_assertions debug_pretty_print debug_print_parse
  debug_print_plan debug_print_rewritten default_statistics_target default_text_search_config dynamic_library_path
  effective_cache_size effective_io_concurrency enable_bitmapscan enable_gathermerge enable_hashagg enable_hashjoin
  enable_indexonlyscan enable_indexscan enable_material enable_mergejoin enable_nestloop enable_parallel_append
  enable_parallel_hash enable_partition_pruning enable_partitionwise_aggregate enable_partitionwise_join enable_sort
  enable_tidscan event_source exit_on_error force_parallel_mode from_collapse_limit geqo geqo_effort geqo_generations
  geqo_pool_size geqo_seed geqo_selection_bias geqo_threshold gin_fuzzy_search_limit gin_pending_list_limit
  huge_pages ignore_checksum_failure ignore_system_indexes jit jit_above_cost join_collapse_limit lo_compat_privileges
  local_preload_libraries log_duration log_error_verbosity log_executor_stats log_lock_waits log_min_duration_statement
  log_min_error_statement log_min_messages log_parser_stats log_planner_stats log_replication_commands log_statement
  log_statement_stats log_temp_files maintenance_work_mem max_parallel_workers max_parallel_workers_per_gather
  max_stack_depth min_parallel_index_scan_size min_parallel_table_scan_size old_snapshot_threshold
  operator_precedence_warning parallel_leader_participation parallel_setup_cost parallel_tuple_cost quote_all_identifiers
  random_page_cost seed seq_page_cost session_preload_libraries session_replication_role shared_buffers
  ssl_ciphers statement_mem tcp_keepalives_count tcp_keepalives_idle tcp_keepalives_interval temp_buffers temp_file_limit
  temp_tablespaces timezone_abbreviations trace_lock_oidmin trace_notify trace_sort transaction_deferrable
  transform_null_equals update_process_title vacuum_cost_delay vacuum_cost_limit vacuum_cost_page_dirty
  vacuum_cost_page_hit vacuum_cost_page_miss vacuum_freeze_min_age vacuum_freeze_table_age
  vacuum_multixact_freeze_min_age vacuum_multixact_freeze_table_age wal_compression work_mem xmlbinary zero_damaged_pages`.split(/\s+/),
);

/** Every variable by its lower-case name. Frozen, sorted. */
export const sessionVarSpecs: ReadonlyMap<string, SessionVarSpec> = new Map(SPECS.map((spec) => [spec.name, spec]));

const unknown = (name: string): StatementError =>
  POSTGRES_ONLY.has(name.toLowerCase())
    ? new StatementError(SqlState.FeatureNotSupported, `unimplemented: the configuration setting "${name.toLowerCase()}" is not supported`)
    : new StatementError(SqlState.UndefinedObject, `unrecognized configuration parameter "${name}"`);

/** The variables of one session: texts by name, with the defaults the client connected with. */
export class SessionVars {
  readonly #values = new Map<string, string>();
  /** Grows with every change: what is derived from the variables can be kept until then. */
  version = 0;
  readonly #defaults: Map<string, string>;
  /** Called with (protocol spelling, text) when a reported variable changes. */
  onReport: ((name: string, value: string) => void) | undefined;

  /** `defaults`: what the client asked for when it connected; RESET goes back to it. */
  constructor(defaults: Readonly<Record<string, string>> = {}) {
    this.#defaults = new Map();
    for (const [name, value] of Object.entries(defaults)) this.setDefault(name, value);
  }

  /** Sets the value that RESET goes back to, whether or not SET may change it. 42704 when unknown. */
  setDefault(name: string, value: string): void {
    const spec = this.spec(name);
    this.version++;
    this.#defaults.set(spec.name, spec.normalize?.(value, spec.name) ?? value);
  }

  /** The variable's row; 42704 when there is none. */
  spec(name: string): SessionVarSpec {
    const spec = sessionVarSpecs.get(name) ?? sessionVarSpecs.get(name.toLowerCase());
    if (!spec) throw unknown(name);
    return spec;
  }

  /** The text that SHOW prints; 42704 when unknown. */
  get(name: string): string {
    const spec = this.spec(name);
    return this.#values.get(spec.name) ?? this.#defaults.get(spec.name) ?? spec.default;
  }

  isOn(name: string): boolean {
    return this.get(name) === 'on';
  }

  /** SET name = text. 42704 unknown, 55P02 read-only, 22023 bad value. */
  set(name: string, text: string): void {
    const spec = this.spec(name);
    if (!spec.normalize) {
      throw new StatementError(SqlState.CantChangeRuntimeParam, `parameter "${spec.name}" cannot be changed`);
    }
    this.#write(spec, spec.normalize(text, spec.name));
  }

  /** Writes a value the session itself derives (the user after SET ROLE), read-only or not. */
  force(name: string, text: string): void {
    this.#write(this.spec(name), text);
  }

  /** RESET name, SET name = DEFAULT. */
  reset(name: string): void {
    const spec = this.spec(name);
    if (!spec.normalize) {
      throw new StatementError(SqlState.CantChangeRuntimeParam, `parameter "${spec.name}" cannot be changed`);
    }
    this.version++;
    this.#values.delete(spec.name);
    if (spec.reportedAs) this.onReport?.(spec.reportedAs, this.get(spec.name));
  }

  resetAll(): void {
    for (const name of [...this.#values.keys()]) if (sessionVarSpecs.get(name)?.normalize) this.reset(name);
  }

  /** The values set in this session, to put back after SET LOCAL or a rollback. */
  save(): ReadonlyMap<string, string> {
    return new Map(this.#values);
  }

  restore(saved: ReadonlyMap<string, string>): void {
    for (const name of new Set([...this.#values.keys(), ...saved.keys()])) {
      const value = saved.get(name);
      if (value === this.#values.get(name)) continue;
      this.version++;
      if (value === undefined) this.#values.delete(name);
      else this.#values.set(name, value);
      const spec = this.spec(name);
      if (spec.reportedAs) this.onReport?.(spec.reportedAs, this.get(name));
    }
  }

  /** Every visible variable with its text, by name. */
  entries(): [name: string, value: string][] {
    return SPECS.filter((spec) => !spec.hidden).map((spec) => [spec.name, this.get(spec.name)]);
  }

  /** What the wire protocol reports when a client connects, in its spelling. */
  reported(): [name: string, value: string][] {
    return SPECS.flatMap((spec) => (spec.reportedAs ? [[spec.reportedAs, this.get(spec.name)] as [string, string]] : []));
  }

  #write(spec: SessionVarSpec, text: string): void {
    const before = this.get(spec.name);
    this.version++;
    this.#values.set(spec.name, text);
    if (spec.reportedAs && before !== text) this.onReport?.(spec.reportedAs, text);
  }
}

/** Splits a search_path text into names, quotes removed: `"$user", public` gives ['$user', 'public']. */
export function splitSearchPath(text: string): string[] {
  const names: string[] = [];
  for (const match of text.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^,]*?))\s*(?:,|$)/g)) {
    const name = match[1] !== undefined ? match[1].replaceAll('""', '"') : match[2];
    if (name !== undefined && name !== '') names.push(name);
  }
  return names;
}
