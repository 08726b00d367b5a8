/**
 * Durations: spans of time without months, as integer microseconds.
 *
 * Read from and printed in the form that CockroachDB's settings and job columns use: `25h`, `90s`,
 * `1h30m`, `10ms`, and printed `4h0m0s`. SQL's INTERVAL, which has months, lives in catalog.
 * Source of the printed form: Go's time.Duration.String.
 */
import { StatementError } from './errors.ts';
import { SqlState } from './sqlState.ts';

export const NANOS_PER_MICRO = 1000;
export const MICROS_PER_MILLI = 1000;
export const MICROS_PER_SECOND = 1_000_000;
export const MICROS_PER_MINUTE = 60 * MICROS_PER_SECOND;
export const MICROS_PER_HOUR = 60 * MICROS_PER_MINUTE;
export const MICROS_PER_DAY = 24 * MICROS_PER_HOUR;

/** Microseconds in one unit; every spelling a person may try. */
const UNIT_MICROS: Readonly<Record<string, number>> = {
  ns: 0.001,
  us: 1,
  µs: 1,
  μs: 1,
  microsecond: 1,
  ms: MICROS_PER_MILLI,
  millisecond: MICROS_PER_MILLI,
  s: MICROS_PER_SECOND,
  sec: MICROS_PER_SECOND,
  second: MICROS_PER_SECOND,
  m: MICROS_PER_MINUTE,
  min: MICROS_PER_MINUTE,
  minute: MICROS_PER_MINUTE,
  h: MICROS_PER_HOUR,
  hr: MICROS_PER_HOUR,
  hour: MICROS_PER_HOUR,
  d: MICROS_PER_DAY,
  day: MICROS_PER_DAY,
  w: 7 * MICROS_PER_DAY,
  week: 7 * MICROS_PER_DAY,
};

/**
 * Reads `25h`, `1h30m`, `2 days`, `1.5h`, `-10s`; a sign covers the whole text. The result is
 * floored to microseconds. Throws 22023 on anything else, a bare number (except 0) included.
 */
export function parseDuration(text: string): number {
  const match = /^\s*([+-]?)\s*(.*?)\s*$/s.exec(text);
  const body = match?.[2] ?? '';
  if (body === '0') return 0;
  const parts = /(\d+(?:\.\d+)?|\.\d+)\s*([a-zµμ]+)\s*/giy;
  let micros = 0;
  let at = 0;
  while (at < body.length) {
    parts.lastIndex = at;
    const part = parts.exec(body);
    const unit = part?.[2]?.toLowerCase() ?? '';
    const scale = UNIT_MICROS[unit] ?? UNIT_MICROS[unit.replace(/s$/, '')];
    if (!part || scale === undefined) throw invalidDuration(text);
    micros += Number(part[1]) * scale;
    at = parts.lastIndex;
  }
  if (body === '' || !Number.isSafeInteger(Math.floor(micros))) throw invalidDuration(text);
  // Rounding first to a thousandth keeps 0.1s from losing its last microsecond to binary fractions.
  const whole = Math.floor(Math.round(micros * 1000) / 1000);
  return match?.[1] === '-' && whole !== 0 ? -whole : whole;
}

function invalidDuration(text: string): StatementError {
  return new StatementError(SqlState.InvalidParameterValue, `invalid duration: "${text}"`, {
    hint: 'write a number with a unit, such as 25h, 1h30m, 90s or 10ms',
  });
}

/** `4h0m0s`, `1m30.5s`, `10ms`, `250µs`, `0s`. */
export function formatDuration(micros: number): string {
  if (micros < 0) return `-${formatDuration(-micros)}`;
  if (micros === 0) return '0s';
  if (micros < MICROS_PER_MILLI) return `${micros}µs`;
  if (micros < MICROS_PER_SECOND) return `${micros / MICROS_PER_MILLI}ms`;
  const hours = Math.floor(micros / MICROS_PER_HOUR);
  const minutes = Math.floor((micros % MICROS_PER_HOUR) / MICROS_PER_MINUTE);
  const seconds = `${(micros % MICROS_PER_MINUTE) / MICROS_PER_SECOND}s`;
  if (hours > 0) return `${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}
