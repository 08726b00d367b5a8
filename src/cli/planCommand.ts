/**
 * `varve plan`: tries a plan of backups out before anybody relies on it: the real engine, on a clock that
 * runs ahead, with a sample of the rows and the outages that one is afraid of.
 *
 * Lives elsewhere: the world that is simulated (plan/planWorld.ts), what comes of it (plan/simulatePlan.ts,
 * plan/planReport.ts), the drawing (plan/planSvg.ts).
 */
import { writeFile } from 'node:fs/promises';

import { MICROS_PER_DAY } from '../base/duration.ts';
import { UsageError } from './cliError.ts';
import type { Command } from './command.ts';
import type { FlagDefinitions, Flags } from './flags.ts';
import { type Outage, parseChurn, parseOutage, type PlanSpec } from './plan/planSpec.ts';

const FLAGS: FlagDefinitions = {
  full: {
    type: 'string',
    value: 'CRON',
    default: '@weekly',
    help: 'when full backups are due: five crontab fields, or @daily and the like',
  },
  incremental: { type: 'string', value: 'CRON', help: 'when incremental backups are due (default: full backups only)' },
  'gc-ttl': { type: 'string', value: 'DURATION', default: '4h', help: 'how long replaced versions of rows are kept' },
  rows: { type: 'string', value: 'N', default: '1e6', help: 'rows of the data, such as 250000 or 1e6' },
  'row-bytes': { type: 'string', value: 'N', default: '100', help: 'bytes of a row' },
  churn: { type: 'string', value: 'RATE', default: '2%/h', help: 'rows that change: 2%/h of all, or 500/m' },
  outage: {
    type: 'string',
    value: 'LENGTH@TIME',
    multiple: true,
    help: 'storage that is away, such as 6h@day3 or 6h@day3+4h; node:6h@day3 for the node; repeatable',
  },
  days: { type: 'string', value: 'N', default: '30', help: 'days to simulate' },
  start: {
    type: 'string',
    value: 'TIME',
    default: '2026-01-05T00:00:00Z',
    help: 'when the simulation begins, by the clock of the crontabs',
  },
  'no-protection': {
    type: 'boolean',
    help: 'schedules.backup.gc_protection.enabled = false: nothing holds what the next incremental needs',
  },
  'revision-history': { type: 'boolean', help: 'backups with revision_history: every time inside can be restored' },
  'on-execution-failure': { type: 'string', value: 'WHAT', default: 'reschedule', help: 'retry, reschedule or pause' },
  'on-previous-running': { type: 'string', value: 'WHAT', default: 'wait', help: 'start, skip or wait' },
  'sample-rows': { type: 'string', value: 'N', default: '1000', help: 'rows that the simulation really has; more make sizes more exact' },
  'restore-rate': { type: 'string', value: 'SIZE', default: '40MB', help: 'what a restore reads in a second, for its estimate' },
  format: { type: 'string', value: 'FORMAT', default: 'text', help: 'text or json' },
  svg: { type: 'string', value: 'FILE', help: 'also draw a timeline into this file' },
};

const ROWS_MAX = 1e12;
const SAMPLE_ROWS_MAX = 1e6;
const DAYS_MAX = 3660;

export const planCommand: Command = {
  name: 'plan',
  summary: 'try a plan of scheduled backups out on simulated time',
  usage: "varve plan --full '@weekly' --incremental '@hourly' [flags]",
  flags: FLAGS,
  async run(flags, io) {
    if (flags.positionals.length > 0) throw new UsageError(`unexpected argument "${flags.positionals[0]}"`);
    const spec = specOf(flags);
    const restoreRate = flags.bytes('restore-rate', 1) ?? 1;
    const format = oneOf(flags, 'format', ['text', 'json']);
    // The engine is loaded once the flags are known to make sense.
    const { simulatePlan } = await import('./plan/simulatePlan.ts');
    const { planReport, planText } = await import('./plan/planReport.ts');
    const result = await simulatePlan(spec);
    const report = planReport(result, restoreRate);
    io.out(format === 'json' ? `${JSON.stringify(report, undefined, 2)}\n` : planText(report));
    const file = flags.text('svg');
    if (file !== undefined) {
      const { planSvg } = await import('./plan/planSvg.ts');
      await writeFile(file, planSvg(result));
    }
    return 0;
  },
};

function specOf(flags: Flags): PlanSpec {
  const rows = count(flags, 'rows', ROWS_MAX);
  const gcTtlMicros = flags.durationMicros('gc-ttl') ?? 0;
  const days = count(flags, 'days', DAYS_MAX);
  return {
    full: flags.text('full') ?? '',
    incremental: flags.text('incremental'),
    gcTtlMicros,
    rows,
    rowBytes: count(flags, 'row-bytes', 1e6),
    churnPerHour: parseChurn(flags.text('churn') ?? '', rows),
    outages: flags.all('outage').map((text) => outageWithin(text, days)),
    days,
    start: flags.text('start') ?? '',
    hasProtection: !flags.isSet('no-protection'),
    hasRevisionHistory: flags.isSet('revision-history'),
    onFailure: oneOf(flags, 'on-execution-failure', ['retry', 'reschedule', 'pause']),
    onRunning: oneOf(flags, 'on-previous-running', ['start', 'skip', 'wait']),
    sampleRows: Math.min(rows, count(flags, 'sample-rows', SAMPLE_ROWS_MAX)),
  };
}

/** An outage that never comes would say that all goes well. */
function outageWithin(text: string, days: number): Outage {
  const outage = parseOutage(text);
  if (outage.startMicros < days * MICROS_PER_DAY) return outage;
  throw new UsageError(`invalid value "${text}" for --outage: it would begin when the simulation is over`, `--days is ${days}`);
}

/** A whole number from 1 on; `1e6` is one. */
function count(flags: Flags, name: string, max: number): number {
  const text = flags.text(name) ?? '';
  const value = Number(text.replaceAll('_', ''));
  if (text === '' || !Number.isSafeInteger(value) || value < 1 || value > max) {
    throw new UsageError(`invalid value "${text}" for --${name}: want a whole number from 1 to ${max.toLocaleString('en')}`);
  }
  return value;
}

function oneOf<T extends string>(flags: Flags, name: string, values: readonly T[]): T {
  const text = flags.text(name) ?? '';
  const found = values.find((value) => value === text);
  if (found === undefined) throw new UsageError(`invalid value "${text}" for --${name}: want ${values.join(', ')}`);
  return found;
}
