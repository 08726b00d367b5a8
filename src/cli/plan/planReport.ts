/** Plan report: what a simulated plan amounts to, as figures, and those as text. Pure. */
import { formatByteSize } from '../../base/byteSize.ts';
import { formatDuration, MICROS_PER_MINUTE, MICROS_PER_SECOND } from '../../base/duration.ts';
import { formatUtc, type Timestamp } from '../../base/timestamp.ts';
import { describeOutage, type PlanSpec } from './planSpec.ts';
import { type PlanBackup, type PlanFailure, type PlanResult, succeeded, unfinished } from './simulatePlan.ts';

export interface KindCounts {
  readonly started: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly unfinished: number;
}

/** Failures of one kind for one reason, with nothing else between them. */
export interface FailureRun {
  readonly kind: PlanBackup['kind'];
  readonly why: string;
  readonly detail: string | undefined;
  readonly first: Timestamp;
  readonly last: Timestamp;
  /** Failed jobs, or hours in which starts failed. */
  readonly seen: number;
}

export interface PlanReport {
  readonly spec: PlanSpec;
  readonly start: Timestamp;
  readonly end: Timestamp;
  readonly full: KindCounts;
  readonly incremental: KindCounts;
  readonly retries: number;
  readonly refused: number;
  readonly missed: number;
  readonly failures: readonly FailureRun[];
  readonly paused: PlanResult['paused'];
  readonly chains: { readonly count: number; readonly layersMax: number; readonly layersNewest: number };
  readonly restorable: {
    readonly layers: number;
    readonly oldest: Timestamp | undefined;
    readonly newest: Timestamp | undefined;
    /** The longest time between two neighbours, in seconds, and where it begins. */
    readonly gapSeconds: number;
    readonly gapFrom: Timestamp | undefined;
  };
  readonly worstRpo: { readonly at: Timestamp; readonly seconds: number };
  readonly finalRpoSeconds: number;
  readonly storage: { readonly fullBytes: number; readonly incrementalBytes: number };
  readonly pinned: { readonly at: Timestamp; readonly bytes: number };
  /** Of the newest restorable time. */
  readonly restore: { readonly layers: number; readonly bytes: number; readonly seconds: number };
}

export function planReport(result: PlanResult, restoreBytesPerSecond: number): PlanReport {
  const { backups, spec, start, end } = result;
  const done = succeeded(backups);
  const chains = Map.groupBy(done, ({ chain }) => chain);
  const newest = done.reduce<PlanBackup | undefined>(
    (best, backup) => (best === undefined || backup.endTime > best.endTime ? backup : best),
    undefined,
  );
  const chain = newest === undefined ? [] : (chains.get(newest.chain) ?? []);
  const restoreBytes = sum(chain);
  return {
    spec,
    start,
    end,
    full: counts(backups, 'full'),
    incremental: counts(backups, 'incremental'),
    retries: backups.reduce((total, { retries }) => total + retries, 0),
    refused: result.refused,
    missed: result.missed,
    failures: failureRuns(result.failures),
    paused: result.paused,
    chains: {
      count: chains.size,
      layersMax: Math.max(0, ...[...chains.values()].map((layers) => layers.length)),
      layersNewest: chain.length,
    },
    restorable: restorable(done),
    worstRpo: { at: result.worstRpo.at, seconds: result.worstRpo.value },
    finalRpoSeconds: result.finalRpoSeconds,
    storage: {
      fullBytes: sum(done.filter(({ kind }) => kind === 'full')),
      incrementalBytes: sum(done.filter(({ kind }) => kind === 'incremental')),
    },
    pinned: { at: result.pinned.at, bytes: result.pinned.value },
    restore: { layers: chain.length, bytes: restoreBytes, seconds: restoreBytes / restoreBytesPerSecond },
  };
}

function sum(backups: readonly PlanBackup[]): number {
  return backups.reduce((total, { dataBytes }) => total + dataBytes, 0);
}

function counts(backups: readonly PlanBackup[], kind: PlanBackup['kind']): KindCounts {
  const ofKind = backups.filter((backup) => backup.kind === kind);
  const open = unfinished(ofKind).length;
  const good = succeeded(ofKind).length;
  return { started: ofKind.length, succeeded: good, failed: ofKind.length - good - open, unfinished: open };
}

function restorable(done: readonly PlanBackup[]): PlanReport['restorable'] {
  const times = done.map(({ endTime }) => endTime).sort((a, b) => a - b);
  let gapMicros = 0;
  let gapFrom: Timestamp | undefined;
  for (const [i, time] of times.entries()) {
    const before = times[i - 1];
    if (before === undefined || time - before <= gapMicros) continue;
    gapMicros = time - before;
    gapFrom = before;
  }
  return { layers: times.length, oldest: times[0], newest: times.at(-1), gapSeconds: gapMicros / MICROS_PER_SECOND, gapFrom };
}

function failureRuns(failures: readonly PlanFailure[]): FailureRun[] {
  const runs: FailureRun[] = [];
  for (const { kind, why, detail, at } of failures) {
    const last = runs.at(-1);
    if (last?.kind === kind && sameReason(last.why, why)) runs[runs.length - 1] = { ...last, last: at, seen: last.seen + 1 };
    else runs.push({ kind, why, detail, first: at, last: at, seen: 1 });
  }
  return runs;
}

/** Times and other numbers differ from failure to failure. */
function sameReason(a: string, b: string): boolean {
  const bare = (text: string): string => text.replace(/\d+/g, '#');
  return bare(a) === bare(b);
}

// ---- text -----------------------------------------------------------------------------------------

export function planText(report: PlanReport): string {
  const { spec, full, incremental, chains, storage, restore, pinned } = report;
  const { layers, oldest, newest, gapSeconds, gapFrom } = report.restorable;
  const facts: (readonly [string, string])[] = [
    ['plan', planWords(spec)],
    ['data', `${spec.rows.toLocaleString('en')} rows of ${spec.rowBytes} bytes, ${percent(spec.churnPerHour)} of them changed in an hour`],
    [
      'simulated',
      `${spec.days} days from ${time(report.start)}, with ${spec.sampleRows.toLocaleString('en')} rows: bytes are scaled by ${scale(spec)}`,
    ],
    ...spec.outages.map((outage) => ['outage', describeOutage(outage)] as const),
    ['full backups', countWords(full)],
    ...(spec.incremental === undefined ? [] : [['incrementals', countWords(incremental)] as const]),
    ['not started', `${report.refused} times for a failure, ${report.missed} due times passed over`],
    ...report.paused.map(({ kind, status }) => ['paused', `the ${kind} schedule, to the end: ${status}`] as const),
    ['retries', `${report.retries} attempts of jobs repeated`],
    ['chains', `${chains.count}, the longest of ${chains.layersMax} layers, the newest of ${chains.layersNewest}`],
    [
      'restorable',
      newest === undefined ? 'nothing' : `${restorableWords(spec)} ${layers} backups, from ${time(oldest)} to ${time(newest)}`,
    ],
    ['longest gap', gapFrom === undefined ? 'none' : `${seconds(gapSeconds)} after ${time(gapFrom)}`],
    ['worst RPO', `${seconds(report.worstRpo.seconds)} at ${time(report.worstRpo.at)}; ${seconds(report.finalRpoSeconds)} in the end`],
    [
      'storage',
      `${size(storage.fullBytes + storage.incrementalBytes)} before compression: ${size(storage.fullBytes)} in full backups, ${size(storage.incrementalBytes)} in incrementals`,
    ],
    [
      'pinned',
      pinned.bytes === 0
        ? 'nothing was held by protection alone'
        : `at most ${size(pinned.bytes)} held by protection alone, at ${time(pinned.at)}`,
    ],
    [
      'restore',
      newest === undefined
        ? 'impossible'
        : `of the newest time reads ${restore.layers} layers, ${size(restore.bytes)}: about ${seconds(Math.max(1, restore.seconds))}`,
    ],
  ];
  const lines = facts.map(([name, words]) => `${`${name}:`.padEnd(15)}${words}`);
  return `${[...lines, ...failureLines(report.failures)].join('\n')}\n`;
}

function failureLines(failures: readonly FailureRun[]): string[] {
  if (failures.length === 0) return ['failures:      none'];
  return [
    'failures:',
    ...failures.flatMap(({ kind, why, detail, first, last, seen }) => [
      `  ${time(first)}${seen === 1 ? '' : ` to ${time(last)}`}: ${kind} failed: ${why}`,
      ...(detail === undefined ? [] : [`    ${detail}`]),
    ]),
  ];
}

function planWords({ full, incremental, gcTtlMicros, hasProtection, hasRevisionHistory }: PlanSpec): string {
  const cadence = incremental === undefined ? `full ${full}` : `full ${full}, incremental ${incremental}`;
  const history = hasRevisionHistory ? ', revision history' : '';
  return `${cadence}${history}; GC after ${formatDuration(gcTtlMicros)}, chains ${hasProtection ? 'protected' : 'not protected'}`;
}

function restorableWords({ hasRevisionHistory }: PlanSpec): string {
  return hasRevisionHistory ? 'every time that is inside of' : 'the ends of';
}

function countWords({ started, succeeded: good, failed, unfinished: open }: KindCounts): string {
  return `${started} started, ${good} succeeded, ${failed} failed${open === 0 ? '' : `, ${open} not ended`}`;
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))}%`;
}

function scale({ rows, sampleRows }: PlanSpec): string {
  return Number((rows / sampleRows).toPrecision(4)).toLocaleString('en');
}

function size(bytes: number): string {
  return formatByteSize(Math.round(bytes));
}

function time(at: Timestamp | undefined): string {
  return at === undefined ? 'never' : formatUtc(at).slice(0, 16);
}

/** To the second, and beyond some hours to the minute. */
function seconds(value: number): string {
  const unit = value > 6 * 3600 ? MICROS_PER_MINUTE : MICROS_PER_SECOND;
  return formatDuration(Math.round((value * MICROS_PER_SECOND) / unit) * unit);
}
