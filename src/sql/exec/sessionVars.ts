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

const onlyOn: Normalize = (text, name) => {
  if (boolean(text, name) === 'on') return 'on';
  throw new StatementError(SqlState.FeatureNotSupported, `unimplemented: the configuration setting "${name}" cannot be turned off`);
};

const SPECS: readonly SessionVarSpec[] = [
  { name: 'application_name', default: '', normalize: anyText, reportedAs: 'application_name' },
  { name: 'avoid_buffering', default: 'off', normalize: boolean },
  { name: 'backslash_quote', default: 'safe_encoding', normalize: oneOf('safe_encoding') },
  { name: 'bytea_output', default: 'hex', normalize: oneOf('hex', 'escape', 'base64') },
  { name: 'check_function_bodies', default: 'on', normalize: boolean },
  { name: 'client_encoding', default: 'UTF8', normalize: encoding, reportedAs: 'client_encoding' },
  {
    name: 'client_min_messages',
    default: 'notice',
    normalize: oneOf('debug5', 'debug4', 'debug3', 'debug2', 'debug1', 'debug', 'log', 'notice', 'warning', 'error', 'fatal', 'panic'),
  },
  { name: 'crdb_version', default: 'CockroachDB OSS v21.1 (Varve)' },
  { name: 'database', default: 'defaultdb', normalize: anyText },
  { name: 'datestyle', default: 'ISO, MDY', normalize: dateStyle, reportedAs: 'DateStyle' },
  { name: 'default_int_size', default: '8', normalize: oneOf('4', '8') },
  { name: 'default_tablespace', default: '', normalize: oneOf('') },
  { name: 'default_transaction_isolation', default: 'serializable', normalize: isolation },
  { name: 'default_transaction_priority', default: 'normal', normalize: oneOf('low', 'normal', 'high') },
  { name: 'default_transaction_read_only', default: 'off', normalize: boolean },
  { name: 'default_transaction_use_follower_reads', default: 'off', normalize: boolean },
  { name: 'disallow_full_table_scans', default: 'off', normalize: boolean },
  { name: 'distsql', default: 'off', normalize: oneOf('off', 'on', 'auto', 'always', '2.0-auto', '2.0-off') },
  { name: 'enable_implicit_transaction_for_batch_statements', default: 'on', normalize: boolean },
  { name: 'enable_zigzag_join', default: 'on', normalize: boolean },
  { name: 'experimental_enable_hash_sharded_indexes', default: 'off', normalize: boolean },
  { name: 'extra_float_digits', default: '1', normalize: integer(-15, 3) },
  { name: 'force_savepoint_restart', default: 'off', normalize: boolean },
  { name: 'foreign_key_cascades_limit', default: '10000', normalize: integer(0, Number.MAX_SAFE_INTEGER) },
  { name: 'idle_in_session_timeout', default: '0', normalize: durationMillis },
  { name: 'idle_in_transaction_session_timeout', default: '0', normalize: durationMillis },
  { name: 'integer_datetimes', default: 'on', reportedAs: 'integer_datetimes' },
  { name: 'intervalstyle', default: 'postgres', normalize: oneOf('postgres', 'iso_8601', 'sql_standard'), reportedAs: 'IntervalStyle' },
  { name: 'is_superuser', default: 'on', reportedAs: 'is_superuser' },
  { name: 'lc_collate', default: 'C.UTF-8' },
  { name: 'lc_ctype', default: 'C.UTF-8' },
  { name: 'lc_messages', default: 'C.UTF-8', normalize: anyText },
  { name: 'lc_monetary', default: 'C.UTF-8', normalize: anyText },
  { name: 'lc_numeric', default: 'C.UTF-8', normalize: anyText },
  { name: 'lc_time', default: 'C.UTF-8', normalize: anyText },
  { name: 'lock_timeout', default: '0', normalize: durationMillis },
  { name: 'max_identifier_length', default: '128' },
  { name: 'max_index_keys', default: '32' },
  { name: 'node_id', default: '1' },
  { name: 'optimizer', default: 'on', normalize: onlyOn, hidden: true },
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
  { name: 'sql_safe_updates', default: 'off', normalize: boolean },
  { name: 'standard_conforming_strings', default: 'on', normalize: onlyOn, reportedAs: 'standard_conforming_strings' },
  { name: 'statement_timeout', default: '0', normalize: durationMillis },
  { name: 'stub_catalog_tables', default: 'on', normalize: boolean },
  { name: 'synchronize_seqscans', default: 'on', normalize: boolean },
  { name: 'synchronous_commit', default: 'on', normalize: boolean },
  { name: 'timezone', default: 'UTC', normalize: timeZone, reportedAs: 'TimeZone' },
  { name: 'tracing', default: 'off', normalize: oneOf('off') },
  { name: 'transaction_isolation', default: 'serializable', normalize: isolation },
  { name: 'transaction_priority', default: 'normal' },
  { name: 'transaction_read_only', default: 'off', normalize: boolean },
  { name: 'transaction_status', default: 'NoTxn' },
  { name: 'transaction_timeout', default: '0', normalize: durationMillis },
  { name: 'use_backups_with_ids', default: 'off', normalize: boolean },
  { name: 'vectorize', default: 'on', normalize: oneOf('on', 'off', 'experimental_always') },
  { name: 'xmloption', default: 'content', normalize: oneOf('content') },
];

/** Every variable by its lower-case name. Frozen, sorted. */
export const sessionVarSpecs: ReadonlyMap<string, SessionVarSpec> = new Map(SPECS.map((spec) => [spec.name, spec]));

const unknown = (name: string): StatementError =>
  new StatementError(SqlState.UndefinedObject, `unrecognized configuration parameter "${name}"`);

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
