/**
 * Cluster settings: typed values over the rows of system.settings.
 *
 * What was set is a row with the value in its canonical text; everything else has its default
 * (settingsRegistry.ts). The current values are kept in memory by a commit hook, so reading one is
 * a map look-up, and listeners hear of a change inside the commit that makes it.
 */
import { formatByteSize, parseByteSize } from '../base/byteSize.ts';
import { formatDuration, parseDuration } from '../base/duration.ts';
import { CorruptionError, StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { CommittedWrites, Kv, KvReader, Txn } from '../kv/kv.ts';

import { SETTINGS, type SettingDefinition, type SettingType, type SettingValue } from './settingsRegistry.ts';
import { systemTable } from './systemRows.ts';

export { formatByteSize, parseByteSize } from '../base/byteSize.ts';
export { SETTINGS, type SettingDefinition, type SettingType, type SettingValue } from './settingsRegistry.ts';

const BY_NAME: ReadonlyMap<string, SettingDefinition> = new Map(SETTINGS.map((setting) => [setting.name, setting]));

/** The setting of that name, in any case, or undefined. */
export function findSetting(name: string): SettingDefinition | undefined {
  return BY_NAME.get(name.toLowerCase());
}

/** The setting of that name, in any case. Throws 42704. */
export function requireSetting(name: string): SettingDefinition {
  const setting = findSetting(name);
  if (!setting) {
    throw new StatementError(SqlState.UndefinedObject, `unknown cluster setting '${name}'`, {
      hint: 'SHOW ALL CLUSTER SETTINGS lists them',
    });
  }
  return setting;
}

const TYPE_WORDS: Readonly<Record<SettingType, string>> = {
  b: 'bool',
  i: 'integer',
  f: 'float',
  s: 'string',
  d: 'duration',
  z: 'byte size',
  e: 'string',
  m: 'string',
};

/** A value as a user wrote it (text, number or boolean) to the setting's own. Throws 22023. */
export function parseSetting(setting: SettingDefinition, value: string | number | bigint | boolean): SettingValue {
  const invalid = (reason: string): never => {
    throw new StatementError(SqlState.InvalidParameterValue, `could not set cluster setting "${setting.name}": ${reason}`);
  };
  const text = String(value).trim();
  const mismatch = (): never => invalid(`argument must be type ${TYPE_WORDS[setting.type]}, not "${text}"`);
  const bounded = (number: number): number => {
    if (!Number.isFinite(number)) mismatch();
    if (setting.min !== undefined && number < setting.min && setting.belowMin !== undefined) {
      throw new StatementError(SqlState.InvalidParameterValue, setting.belowMin);
    }
    if (setting.type === 'd' && number < 0 && setting.min === 0) {
      throw new StatementError(
        SqlState.InvalidParameterValue,
        `invalid value for ${setting.name}: cannot be set to a negative duration: ${text}`,
      );
    }
    if (setting.min !== undefined && number < setting.min) invalid(`cannot be less than ${printSetting(setting, setting.min)}`);
    if (setting.max !== undefined && number > setting.max) invalid(`cannot be greater than ${printSetting(setting, setting.max)}`);
    return number;
  };
  switch (setting.type) {
    case 'b': {
      if (typeof value === 'boolean') return value;
      const word = text.toLowerCase();
      if (['true', 't', 'on', 'yes', '1'].includes(word)) return true;
      return ['false', 'f', 'off', 'no', '0'].includes(word) ? false : mismatch();
    }
    case 'i':
      if (!/^[+-]?\d+$/.test(text)) mismatch();
      if (setting.choices && !setting.choices.includes(text)) invalid(`only ${setting.choices.join(' or ')} are valid values`);
      return bounded(Number(text));
    case 'f':
      return text === '' ? mismatch() : bounded(Number(text));
    case 'd':
      if (setting.needsUnit && (typeof value !== 'string' || /^[+-]?[\d.]+$/.test(text))) {
        throw new StatementError(SqlState.InvalidParameterValue, 'invalid cluster setting argument type', {
          hint: 'write the duration with its unit, as in 500ms or 1h2m',
        });
      }
      if (!/\d/.test(text)) {
        throw new StatementError(SqlState.InvalidParameterValue, `could not parse "${text}" as type interval: interval without a number`);
      }
      return bounded(parseDuration(text));
    case 'z':
      return bounded(parseByteSize(text) ?? mismatch());
    case 'e': {
      const chosen = setting.choices?.find((known) => known === text.toLowerCase());
      return chosen ?? invalid(`invalid value "${text}", the choices are ${setting.choices?.join(', ')}`);
    }
    case 's':
      return String(value);
    case 'm':
      return invalid('the version is set by Varve itself');
  }
}

/** The text SHOW CLUSTER SETTING prints: `true`, `4h0m0s`, `128 MiB`. */
export function printSetting(setting: SettingDefinition, value: SettingValue): string {
  if (setting.type === 'd') return formatDuration(value as number);
  if (setting.type === 'z') return formatByteSize(value as number);
  return String(value);
}

export interface ShownSetting {
  readonly setting: SettingDefinition;
  readonly value: SettingValue;
  /** False when it has its default. */
  readonly isSet: boolean;
}

export class ClusterSettings {
  readonly #values = new Map<string, SettingValue>();
  readonly #listeners = new Map<string, Set<(value: SettingValue) => void>>();
  readonly #checks = new Map<string, (value: SettingValue) => void>();
  readonly #removeHook: () => void;

  private constructor(kv: Kv) {
    this.#removeHook = kv.addCommitHook(systemTable('settings').span, { apply: (writes) => this.#apply(writes) });
  }

  /** For a fork of the cluster, just made: the same values, and what its own commits make of them. */
  fork(kv: Kv): ClusterSettings {
    const fork = new ClusterSettings(kv);
    for (const [name, value] of this.#values) fork.#values.set(name, value);
    return fork;
  }

  /** Reads the rows and follows them from then on. */
  static async open(kv: Kv): Promise<ClusterSettings> {
    const settings = new ClusterSettings(kv);
    settings.#apply(await kv.at(kv.reading()).scan(systemTable('settings').span));
    return settings;
  }

  close(): void {
    this.#removeHook();
    this.#listeners.clear();
  }

  /** The current value: durations in microseconds, sizes in bytes. Throws 42704. */
  get(name: string): SettingValue {
    const setting = requireSetting(name);
    return this.#values.get(setting.name) ?? setting.default;
  }

  bool(name: string): boolean {
    return this.get(name) === true;
  }

  number(name: string): number {
    return Number(this.get(name));
  }

  text(name: string): string {
    return String(this.get(name));
  }

  /** Every setting with its current value, by name. */
  list(): ShownSetting[] {
    return SETTINGS.map((setting) => ({ setting, value: this.get(setting.name), isSet: this.#values.has(setting.name) }));
  }

  /** Called inside the commit step when the value changes. Returns the function that removes it. */
  onChange(name: string, listener: (value: SettingValue) => void): () => void {
    const key = requireSetting(name).name;
    const listeners = this.#listeners.get(key) ?? new Set();
    this.#listeners.set(key, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /** `check` throws when the part that goes by the setting knows no such value. One check a setting. */
  addCheck(name: string, check: (value: SettingValue) => void): void {
    this.#checks.set(requireSetting(name).name, check);
  }

  /** Sets a value, given as a user wrote it; it counts once the transaction commits. 42704, 22023. */
  async set(txn: Txn, name: string, value: string | number | bigint | boolean): Promise<void> {
    const setting = requireSetting(name);
    const parsed = parseSetting(setting, value);
    this.#checks.get(setting.name)?.(parsed);
    await systemTable('settings').upsert(txn, settingRow(setting, parsed, txn.readTimestamp));
  }

  /** Back to the default. */
  async reset(txn: Txn, name: string): Promise<void> {
    const setting = requireSetting(name);
    if (setting.readOnly) parseSetting(setting, '');
    await systemTable('settings').delete(txn, setting.name);
  }

  /** The value as a reader sees it: its own transaction's change included. */
  async read(reader: KvReader, name: string): Promise<SettingValue> {
    const setting = requireSetting(name);
    const row = await systemTable('settings').get(reader, setting.name);
    return row ? decodeSetting(setting, String(row['value'])) : setting.default;
  }

  #apply(writes: CommittedWrites): void {
    const table = systemTable('settings');
    writes.keys.forEach((key, i) => {
      const value = writes.values[i] ?? null;
      const setting = BY_NAME.get(String(table.decodeKey(key)['name']));
      // A row of a setting this version does not know (from a restore) changes nothing.
      if (!setting) return;
      if (value === null) this.#values.delete(setting.name);
      else this.#values.set(setting.name, decodeSetting(setting, String(table.decode(key, value)['value'])));
      for (const listener of this.#listeners.get(setting.name) ?? []) listener(this.get(setting.name));
    });
  }
}

/** The row of a setting; `value` is already of its type. */
export function settingRow(setting: SettingDefinition, value: SettingValue, at: Timestamp): Record<string, unknown> {
  return { name: setting.name, value: String(value), lastUpdated: at, valueType: setting.type };
}

// Stored plainly: durations as microseconds, sizes as bytes.
function decodeSetting(setting: SettingDefinition, stored: string): SettingValue {
  switch (setting.type) {
    case 'b':
      return stored === 'true';
    case 'i':
    case 'f':
    case 'd':
    case 'z': {
      const number = Number(stored);
      if (stored !== '' && Number.isFinite(number)) return number;
      throw new CorruptionError(SqlState.DataCorrupted, `system.settings: "${setting.name}" holds "${stored}"`);
    }
    default:
      return stored;
  }
}
