/**
 * What `open()` takes, checked before anything is built: a program without types can pass anything,
 * and a misspelt option that is silently ignored (`externalIODir`) costs more than a clear refusal.
 */
import type { Clock } from '../base/clock.ts';
import { StatementError } from '../base/errors.ts';
import type { Executor } from '../base/executor.ts';
import { SqlState } from '../base/sqlState.ts';
import type { ExternalIoRules } from '../storage/access.ts';
import type { ExternalStorage } from '../storage/externalStorage.ts';

export interface DatabaseOptions {
  /** Default: the machine's. A ManualClock moves only when told. */
  readonly clock?: Clock;
  /** Nodes of the cluster, 1 to 64; default 1, or one for each of `localities`. */
  readonly nodes?: number;
  /** One a node: `region=us-east,zone=a`. Nodes without one have no locality. */
  readonly localities?: readonly string[];
  /** Where nodelocal:// files are; a path, relative to the working directory. Undefined refuses nodelocal. */
  readonly externalIoDir?: string;
  /** Refuses http:// and https:// locations, and endpoints of one's own for clouds. */
  readonly disableExternalHttp?: boolean;
  /** Refuses what would use this machine's own credentials (AUTH=implicit). */
  readonly disableImplicitCredentials?: boolean;
  /** Refuses every location outside the process: all but userfile:// and mem://. */
  readonly disableExternalIo?: boolean;
  /** Lets users who are no admins use files, credentials and network of this machine without EXTERNALIOIMPLICITACCESS. */
  readonly allowNonAdminImplicitAccess?: boolean;
  /** Decides every id and random value; default: drawn from the system. */
  readonly seed?: string;
  /** Default: the thread pool, in slices of a few milliseconds. */
  readonly executor?: Executor;
  /** Timers of sockets and storage retries; default: the machine's, also beside a manual `clock`. */
  readonly ioClock?: Clock;
  /**
   * The memory budget in bytes, shared with forks; default 70% of what the heap may become. Give each
   * its own when one process opens several databases.
   */
  readonly memoryBytes?: number;
  /** Bytes of rows that a restore ingests between two checkpoints; default 32 MiB. Fewer make a crash lose less, and a restore slower. */
  readonly restoreCheckpointBytes?: number;
  /**
   * Where the keys, salts and nonces of encrypted backups come from; default: node:crypto. A source that repeats
   * makes a simulation repeat, and its backups insecure.
   */
  readonly secureBytes?: (count: number) => Buffer;
  /** Goes around every storage adapter: fault injection. */
  readonly wrapStorage?: (storage: ExternalStorage) => ExternalStorage;
}

export const NODES_MAX = 64;
/** An empty database takes a few hundred KiB. */
export const MEMORY_BYTES_MIN = 4 * 2 ** 20;

const isText = (value: unknown): boolean => typeof value === 'string' && value !== '';
const hasMethods =
  (...names: readonly string[]) =>
  (value: unknown): boolean =>
    typeof value === 'object' && value !== null && names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function');

const SWITCH: readonly [string, (value: unknown) => boolean] = ['true or false', (value) => typeof value === 'boolean'];

/** For each option what it has to be, and the test of it. */
const OPTIONS: { readonly [K in keyof Required<DatabaseOptions>]: readonly [string, (value: unknown) => boolean] } = {
  clock: ['a clock, such as new ManualClock()', hasMethods('nowMicros', 'setTimer')],
  nodes: [
    `a whole number from 1 to ${NODES_MAX}`,
    (value) => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= NODES_MAX,
  ],
  localities: [
    "an array of texts such as 'region=us-east,zone=a'",
    (value) => Array.isArray(value) && value.every((one) => typeof one === 'string'),
  ],
  externalIoDir: ['the path of a directory', isText],
  disableExternalHttp: SWITCH,
  disableImplicitCredentials: SWITCH,
  disableExternalIo: SWITCH,
  allowNonAdminImplicitAccess: SWITCH,
  seed: ['a text', (value) => typeof value === 'string'],
  executor: ['an executor', hasMethods('run', 'yield', 'shouldYield')],
  ioClock: ['a clock', hasMethods('nowMicros', 'setTimer')],
  memoryBytes: [`a number of bytes, ${MEMORY_BYTES_MIN} or more`, (value) => typeof value === 'number' && value >= MEMORY_BYTES_MIN],
  restoreCheckpointBytes: ['a whole number of bytes, 1 or more', (value) => Number.isInteger(value) && (value as number) >= 1],
  secureBytes: ['a function', (value) => typeof value === 'function'],
  wrapStorage: ['a function', (value) => typeof value === 'function'],
};

/** What the options say of locations outside the process. */
export function externalIoRules(options: DatabaseOptions): ExternalIoRules {
  return {
    disableHttp: options.disableExternalHttp ?? false,
    disableImplicitCredentials: options.disableImplicitCredentials ?? false,
    disabled: options.disableExternalIo ?? false,
    allowNonAdminImplicitAccess: options.allowNonAdminImplicitAccess ?? false,
  };
}

/** Throws 22023 for an option that does not exist or cannot have its value; undefined stands for "not given". */
export function checkOptions(options: DatabaseOptions): void {
  if (typeof options !== 'object' || options === null) throw invalid('open(): options must be an object');
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    if (!Object.hasOwn(OPTIONS, name)) {
      throw invalid(`open(): there is no option "${name}"`, `the options are ${Object.keys(OPTIONS).join(', ')}`);
    }
    const [wanted, isValid] = OPTIONS[name as keyof typeof OPTIONS];
    if (!isValid(value)) throw invalid(`open(): ${name} must be ${wanted}`);
  }
  const { nodes, localities } = options;
  if (nodes !== undefined && localities !== undefined && localities.length > nodes) {
    throw invalid(
      `open(): ${localities.length} localities for ${nodes} ${nodes === 1 ? 'node' : 'nodes'}`,
      'give each node one locality at most',
    );
  }
}

function invalid(message: string, hint?: string): StatementError {
  return new StatementError(SqlState.InvalidParameterValue, message, hint === undefined ? {} : { hint });
}
