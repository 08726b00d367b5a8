/** Plan spec: what `varve plan` is to try out, and the words in which it is told. */
import { formatDuration, MICROS_PER_DAY, MICROS_PER_HOUR, parseDuration } from '../../base/duration.ts';
import { UsageError } from '../cliError.ts';

/** What does not work for a while. */
export interface Outage {
  /** `storage`: every call fails. `node`: nothing runs, nobody writes. */
  readonly of: 'storage' | 'node';
  /** From the start of the simulation. */
  readonly startMicros: number;
  readonly lengthMicros: number;
}

export interface PlanSpec {
  /** Crontab; of full backups. */
  readonly full: string;
  /** Undefined: full backups only. */
  readonly incremental: string | undefined;
  readonly gcTtlMicros: number;
  readonly rows: number;
  readonly rowBytes: number;
  /** The share of the rows that is changed in an hour. */
  readonly churnPerHour: number;
  readonly outages: readonly Outage[];
  readonly days: number;
  /** Where the simulation begins, as UTC text. */
  readonly start: string;
  /** schedules.backup.gc_protection.enabled. */
  readonly hasProtection: boolean;
  readonly hasRevisionHistory: boolean;
  readonly onFailure: 'retry' | 'reschedule' | 'pause';
  readonly onRunning: 'start' | 'skip' | 'wait';
  /** Rows that are really there; the figures of bytes are scaled up from them. */
  readonly sampleRows: number;
}

/** `2%/h`, or `500/m` rows of all: the share of the rows that is changed in an hour. */
export function parseChurn(text: string, rows: number): number {
  const match = /^(\d+(?:\.\d+)?)(%?)\/(h|m|d|s)$/.exec(text);
  if (!match) throw new UsageError(`invalid value "${text}" for --churn: want a share such as 2%/h, or rows such as 500/m`);
  const [, amount, percent, unit] = match;
  const share = percent === '%' ? Number(amount) / 100 : Number(amount) / rows;
  return share * (MICROS_PER_HOUR / parseDuration(`1${unit}`));
}

/** `6h@day3`, `node:30m@day3+4h`, `2h@50h`. Day 1 is the first. */
export function parseOutage(text: string): Outage {
  const match = /^(?:(storage|node):)?([^@]+)@(?:day(\d+))?\+?(.*)$/.exec(text);
  const wrong = () =>
    new UsageError(
      `invalid value "${text}" for --outage`,
      'want LENGTH@TIME, such as 6h@day3, 6h@day3+4h or 6h@52h; node:6h@day3 stops the node, otherwise it is the storage that is away',
    );
  if (!match) throw wrong();
  const [, of = 'storage', length = '', day, rest = ''] = match;
  if (day === undefined ? rest === '' : day === '0') throw wrong();
  try {
    const offset = rest === '' ? 0 : parseDuration(rest);
    const startMicros = (day === undefined ? 0 : (Number(day) - 1) * MICROS_PER_DAY) + offset;
    return { of: of as Outage['of'], startMicros, lengthMicros: parseDuration(length) };
  } catch {
    throw wrong();
  }
}

/** `storage: 6h0m0s from day 3`. */
export function describeOutage({ of, startMicros, lengthMicros }: Outage): string {
  const day = Math.floor(startMicros / MICROS_PER_DAY);
  const rest = startMicros - day * MICROS_PER_DAY;
  return `${of} away for ${formatDuration(lengthMicros)} from day ${day + 1}${rest === 0 ? '' : ` + ${formatDuration(rest)}`}`;
}
