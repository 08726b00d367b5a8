/**
 * Zone configurations as data: the variables, their inheritance, their validation and their text.
 *
 * A zone stores only what was set; the rest comes from the parent: index, table, database, RANGE
 * default. The most specific one wins, variable by variable.
 *
 * Varve has one copy of the data, so only gc.ttlseconds and lease_preferences have an effect; the
 * others are kept and shown, for scripts and for teaching.
 */
import { ConstraintError, StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { parseLeasePreferences } from '../kv/rangePolicy.ts';

/** What a zone sets. Texts are YAML flow sequences, as CockroachDB writes them: `[+region=a]`. */
export interface ZoneConfig {
  readonly rangeMinBytes?: number;
  readonly rangeMaxBytes?: number;
  readonly gcTtlSeconds?: number;
  readonly globalReads?: boolean;
  readonly numReplicas?: number;
  readonly numVoters?: number;
  readonly constraints?: string;
  readonly voterConstraints?: string;
  readonly leasePreferences?: string;
}

type Field = keyof ZoneConfig;

interface Variable {
  readonly name: string;
  readonly field: Field;
  readonly kind: 'int' | 'bool' | 'text';
}

/** In the order in which they are shown. */
export const ZONE_VARIABLES: readonly Variable[] = Object.freeze([
  { name: 'range_min_bytes', field: 'rangeMinBytes', kind: 'int' },
  { name: 'range_max_bytes', field: 'rangeMaxBytes', kind: 'int' },
  { name: 'gc.ttlseconds', field: 'gcTtlSeconds', kind: 'int' },
  { name: 'global_reads', field: 'globalReads', kind: 'bool' },
  { name: 'num_replicas', field: 'numReplicas', kind: 'int' },
  { name: 'num_voters', field: 'numVoters', kind: 'int' },
  { name: 'constraints', field: 'constraints', kind: 'text' },
  { name: 'voter_constraints', field: 'voterConstraints', kind: 'text' },
  { name: 'lease_preferences', field: 'leasePreferences', kind: 'text' },
]);

/** RANGE default of a new cluster. */
export const DEFAULT_ZONE: ZoneConfig = Object.freeze({
  rangeMinBytes: 134_217_728,
  rangeMaxBytes: 536_870_912,
  gcTtlSeconds: 14_400,
  numReplicas: 3,
  constraints: '[]',
  leasePreferences: '[]',
});

const INT4_MAX = 2_147_483_647;

const BY_NAME: ReadonlyMap<string, Variable> = new Map(ZONE_VARIABLES.map((variable) => [variable.name, variable]));

/** The variable of that name. Throws 22023 for one that does not exist. */
export function zoneVariable(name: string): Variable {
  const variable = BY_NAME.get(name.toLowerCase());
  if (!variable) {
    throw new StatementError(SqlState.InvalidParameterValue, `unsupported zone config parameter: "${name}"`, {
      hint: `the parameters are ${ZONE_VARIABLES.map((known) => known.name).join(', ')}`,
    });
  }
  return variable;
}

/** What `name = value` sets. Throws 22023 for an unknown name, 42804 for a value of the wrong type. */
export function zoneSetting(name: string, value: number | bigint | boolean | string): ZoneConfig {
  const variable = zoneVariable(name);
  const mismatch = (): never => {
    const wanted = { int: 'int', bool: 'bool', text: 'string' }[variable.kind];
    throw new StatementError(SqlState.DatatypeMismatch, `parameter "${name}" requires a value of type ${wanted}`);
  };
  switch (variable.kind) {
    case 'int': {
      if (typeof value !== 'number' && typeof value !== 'bigint') return mismatch();
      const number = Number(value);
      if (typeof value === 'number' && !Number.isSafeInteger(number)) return mismatch();
      return { [variable.field]: number };
    }
    case 'bool':
      return typeof value === 'boolean' ? { [variable.field]: value } : mismatch();
    case 'text': {
      if (typeof value !== 'string') return mismatch();
      const text = value.trim();
      if (!/^(\[.*\]|\{.*\})$/s.test(text)) {
        throw new StatementError(SqlState.InvalidParameterValue, `could not parse "${name}": expected a list such as [+region=a]`);
      }
      if (variable.field === 'leasePreferences') parseLeasePreferences(text);
      return { [variable.field]: text };
    }
  }
}

/** `own` with what it leaves out taken from `parent`. */
export function inherit(own: ZoneConfig, parent: ZoneConfig): ZoneConfig {
  const merged: Record<string, unknown> = { ...parent };
  for (const [field, value] of Object.entries(own)) if (value !== undefined) merged[field] = value;
  return merged as ZoneConfig;
}

/** Checks a zone about to be stored: `own` alone, and `effective` with what it inherits. Throws 23514. */
export function validateZone(own: ZoneConfig, effective: ZoneConfig): void {
  const refuse = (reason: string): never => {
    throw new ConstraintError(SqlState.CheckViolation, `could not validate zone config: ${reason}`);
  };
  if ((own.rangeMinBytes === undefined) !== (own.rangeMaxBytes === undefined)) {
    refuse('range_min_bytes and range_max_bytes must be set together');
  }
  const { voterConstraints = '[]' } = effective;
  if (effective.numVoters === undefined && !/^[[{\s}\]]*$/.test(voterConstraints)) {
    refuse('when voter_constraints are set, num_voters must be set as well');
  }
  const { rangeMinBytes = 0, rangeMaxBytes = 0, gcTtlSeconds = 1, numReplicas = 1, numVoters } = effective;
  if (rangeMinBytes < 0) refuse(`RangeMinBytes ${rangeMinBytes} less than minimum allowed 0`);
  if (rangeMinBytes >= rangeMaxBytes) refuse(`RangeMinBytes ${rangeMinBytes} is greater than or equal to RangeMaxBytes ${rangeMaxBytes}`);
  if (gcTtlSeconds < 1) refuse(`GC.TTLSeconds ${gcTtlSeconds} less than minimum allowed 1`);
  if (gcTtlSeconds > INT4_MAX) refuse(`GC.TTLSeconds ${gcTtlSeconds} greater than maximum allowed ${INT4_MAX}`);
  // Sizes have 8 bytes in CockroachDB, numbers of replicas 4.
  if (rangeMaxBytes > Number.MAX_SAFE_INTEGER)
    refuse(`RangeMaxBytes ${rangeMaxBytes} greater than maximum allowed ${Number.MAX_SAFE_INTEGER}`);
  if (numReplicas > INT4_MAX) refuse(`NumReplicas ${numReplicas} greater than maximum allowed ${INT4_MAX}`);
  if (numReplicas < 1) refuse('at least one replica is required');
  if (numReplicas === 2) refuse('at least 3 replicas are required for multi-replica configurations');
  if (numVoters !== undefined && numVoters < 1) refuse('at least one voting replica is required');
  if (numVoters !== undefined && numVoters > numReplicas) refuse('num_voters cannot be greater than num_replicas');
}

/** The ALTER statement that makes this configuration: `ALTER TABLE t CONFIGURE ZONE USING` and a variable a line. */
export function zoneSql(target: string, config: ZoneConfig): string {
  const lines = ZONE_VARIABLES.filter((variable) => config[variable.field] !== undefined).map((variable) => {
    const value = config[variable.field];
    return `\t${variable.name} = ${variable.kind === 'text' ? `'${String(value).replaceAll("'", "''")}'` : String(value)}`;
  });
  return `ALTER ${target} CONFIGURE ZONE USING\n${lines.join(',\n')}`;
}
