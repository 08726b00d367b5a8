/**
 * Session defaults: the variables whose default a cluster setting gives. A session takes it when it begins, below what
 * the database, the role and the client ask for; a change is for new sessions.
 *
 * Settings that have their own default are passed over: the variable's is the same, or says what is done here. So is a
 * text that the variable does not take: no setting can keep clients out.
 */
import { isVarveError } from '../../base/errors.ts';
import { type ClusterSettings, requireSetting, type SettingDefinition, type SettingValue } from '../../catalog/settings.ts';

import { sessionVarSpecs } from './sessionVars.ts';

/** By variable, of the settings that are not called as the variable with `.enabled` after it. */
const SETTING_OF: Readonly<Record<string, string>> = {
  cost_scans_with_default_col_size: 'cost_scans_with_default_col_size.enabled',
  datestyle: 'datestyle',
  default_int_size: 'default_int_size',
  distsql: 'distsql',
  enable_drop_enum_value: 'drop_enum_value.enabled',
  enable_experimental_alter_column_type_general: 'experimental_alter_column_type.enabled',
  enable_implicit_select_for_update: 'implicit_select_for_update.enabled',
  enable_insert_fast_path: 'insert_fast_path.enabled',
  enable_multiregion_placement_policy: 'multiregion_placement_policy.enabled',
  enable_super_regions: 'super_regions.enabled',
  enable_zigzag_join: 'zigzag_join.enabled',
  experimental_distsql_planning: 'experimental_distsql_planning',
  experimental_enable_hash_sharded_indexes: 'experimental_hash_sharded_indexes.enabled',
  experimental_enable_implicit_column_partitioning: 'experimental_implicit_column_partitioning.enabled',
  experimental_enable_temp_tables: 'experimental_temporary_tables.enabled',
  experimental_enable_virtual_columns: 'experimental_virtual_columns.enabled',
  experimental_use_new_schema_changer: 'experimental_use_new_schema_changer',
  foreign_key_cascades_limit: 'foreign_key_cascades_limit',
  idle_in_session_timeout: 'idle_in_session_timeout',
  idle_in_transaction_session_timeout: 'idle_in_transaction_session_timeout',
  intervalstyle: 'intervalstyle',
  large_full_scan_rows: 'large_full_scan_rows',
  lock_timeout: 'lock_timeout',
  reorder_joins_limit: 'reorder_joins_limit',
  results_buffer_size: 'results_buffer.size',
  serial_normalization: 'serial_normalization',
  statement_timeout: 'statement_timeout',
  transaction_rows_read_err: 'transaction_rows_read_err',
  transaction_rows_read_log: 'transaction_rows_read_log',
  transaction_rows_written_err: 'transaction_rows_written_err',
  transaction_rows_written_log: 'transaction_rows_written_log',
  use_declarative_schema_changer: 'use_declarative_schema_changer',
  vectorize: 'vectorize',
  vectorize_row_count_threshold: 'vectorize_row_count_threshold',
};

/** Of the settings that are called so. */
const ENABLED = [
  'autocommit_before_ddl',
  'datestyle_enabled',
  'disallow_full_table_scans',
  'experimental_enable_unique_without_index_constraints',
  'locality_optimized_partitioned_index_scan',
  'optimizer_use_histograms',
  'optimizer_use_multicol_stats',
  'override_multi_region_zone_config',
  'prefer_lookup_joins_for_fks',
  'require_explicit_primary_keys',
  'stub_catalog_tables',
];

interface SessionDefault {
  readonly variable: string;
  readonly setting: SettingDefinition;
}

const DEFAULTS: readonly SessionDefault[] = [
  ...Object.entries(SETTING_OF),
  ...ENABLED.map((name) => [name, `${name.replace(/_enabled$/, '')}.enabled`] as const),
].map(([variable, setting]) => ({ variable, setting: requireSetting(`sql.defaults.${setting}`) }));

/** What the cluster's settings say now, as SET would take it. */
export function sessionDefaults(settings: ClusterSettings): Record<string, string> {
  const defaults: Record<string, string> = {};
  for (const { variable, setting } of DEFAULTS) {
    const value = settings.get(setting.name);
    if (value === setting.default) continue;
    const text = textOf(setting, value);
    if (isTaken(variable, text)) defaults[variable] = text;
  }
  return defaults;
}

/** Variables measure durations in milliseconds, settings in microseconds. */
function textOf(setting: SettingDefinition, value: SettingValue): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  return setting.type === 'd' ? String(Math.ceil(Number(value) / 1000)) : String(value);
}

function isTaken(variable: string, text: string): boolean {
  try {
    sessionVarSpecs.get(variable)?.normalize?.(text, variable);
    return true;
  } catch (error) {
    if (isVarveError(error)) return false;
    throw error;
  }
}
