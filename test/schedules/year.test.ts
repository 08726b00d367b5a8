/**
 * A year of schedules: a full backup every week, an incremental every hour, storage and node that are away now and then.
 *
 *   Y1  no unreported gap: at every hour the RPO that schedules tell is the distance to the newest time that a backup really
 *       brings back, and each due time has a backup, or is counted as failed or as missed
 *   Y2  chained protection is never lost: history is kept from the newest layer of the chain on, however long the storage
 *       is away, and no incremental ever finds it gone, though garbage collection waits for half an hour only
 *   Y3  no due time is started twice, and no two backups of a schedule overlap
 *
 * npm test runs the first twelve days of it, with a full that is due while the storage is away, .ci/run the year (DAYS=365).
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND } from '../../src/base/duration.ts';
import { parseOutage, type PlanSpec } from '../../src/cli/plan/planSpec.ts';
import { planSvg } from '../../src/cli/plan/planSvg.ts';
import type { PlanWorld } from '../../src/cli/plan/planWorld.ts';
import { type PlanResult, simulatePlan, succeeded } from '../../src/cli/plan/simulatePlan.ts';

const DAYS = Number(process.env['DAYS'] || 12);
/** Every fortnight. A Sunday of each, when the full backup is due, is undisturbed, the other is not. */
const OUTAGES = Array.from({ length: Math.ceil(DAYS / 14) }, (_, i) => i * 14).flatMap((day) => [
  `5h@day${day + 1}+8h30m`,
  `26h@day${day + 2}+12h`,
  `node:7h@day${day + 4}+10h`,
  `node:40m@day${day + 9}`,
  `30h@day${day + 10}+12h`,
]);

const SPEC: PlanSpec = {
  full: '@weekly',
  incremental: '@hourly',
  gcTtlMicros: 30 * MICROS_PER_MINUTE,
  rows: 100,
  rowBytes: 20,
  churnPerHour: 0.1,
  outages: OUTAGES.map(parseOutage),
  days: DAYS,
  // A Thursday: the weekly full is due when the fourth day begins.
  start: '2026-01-08T00:00:00Z',
  hasProtection: true,
  hasRevisionHistory: false,
  onFailure: 'reschedule',
  onRunning: 'wait',
  sampleRows: 100,
};

const test = suite('a year of schedules');

let result: PlanResult;
const problems: string[] = [];
/** Jobs that have succeeded since the last look, as the log of events tells. */
let justDone: number[] | undefined;
/** The newest end of a backup that has succeeded. */
let newestEnd = 0;

/** What the jobs themselves say, apart from what schedules remember; only those that are new are read. */
async function readNewestEnd({ database }: PlanWorld): Promise<number> {
  if (justDone === undefined) {
    const ids: number[] = [];
    database.kv.events.subscribe(({ fields }) => {
      if (fields['NewStatus'] === 'succeeded') ids.push(Number(fields['JobID']));
    });
    justDone = ids;
    for (const { id, status } of await database.jobs.list()) if (status === 'succeeded') ids.push(id);
  }
  for (const id of justDone.splice(0)) {
    const record = await database.jobs.get(id);
    if (record?.type === 'BACKUP') newestEnd = Math.max(newestEnd, Number((record.details as { endTime: number }).endTime));
  }
  return newestEnd;
}

/** Y1 and Y2 at one hour. */
async function look(world: PlanWorld): Promise<void> {
  const { database, clock, startMicros } = world;
  const now = Math.floor(clock.nowMicros());
  const at = `${(now - startMicros) / MICROS_PER_HOUR} h`;
  const newest = await readNewestEnd(world);
  for (const { rpoSeconds, schedule } of await database.schedules.health()) {
    const real = Math.max(0, now - (newest === 0 ? schedule.created : newest)) / MICROS_PER_SECOND;
    if (rpoSeconds !== real) problems.push(`${at}: the RPO is ${real} s, schedule ${schedule.id} tells ${rpoSeconds} s`);
  }
  const held = database.kv.gc.protections.list().filter(({ metaType }) => metaType === 'schedules');
  if (newest > 0 && held.length !== 1) problems.push(`${at}: ${held.length} records of schedules`);
  for (const { ts } of held) if (ts > newest) problems.push(`${at}: history is held from ${ts} on, the chain ends at ${newest}`);
}

test.before(async () => {
  result = await simulatePlan(SPEC, look);
});

test('the RPO that is told is the real one, and history is held from the end of the chain on, at every hour', () => {
  assert.equal(problems, []);
});

test('each due time has a backup of its own, or is counted as failed or as missed', () => {
  const hours = DAYS * 24;
  const weeks = countWeeks();
  const of = (kind: string): number => result.backups.filter((backup) => backup.kind === kind).length;
  // The first full is due at the start, which is no occurrence; the incrementals begin with the hour after it.
  assert.is(of('full') + of('incremental') + result.refused + result.missed, 1 + weeks + hours);
  assert.ok(result.refused > 0, 'the storage was away');
  assert.ok(result.missed > 0, 'the node was away');
  assert.is(result.metrics['schedules.BACKUP.missed'], result.missed);
  assert.is(result.metrics['schedules.BACKUP.started'], result.backups.length);
  assert.is(result.metrics['schedules.BACKUP.succeeded'], succeeded(result.backups).length);
});

test('no incremental finds its history gone, and after each outage the chain goes on', () => {
  const others = result.failures.filter(({ why }) => !why.includes('the storage is away'));
  assert.equal(others, []);
  const done = succeeded(result.backups);
  assert.is(done.length, result.backups.length);
  for (const { kind, startTime, endTime, chain } of done) {
    const parent = done.find((other) => other.chain === chain && other.endTime === startTime);
    if (kind === 'incremental') assert.ok(parent, `the incremental as of ${endTime} continues a layer of its chain`);
  }
});

test('nothing is started twice', () => {
  for (const kind of ['full', 'incremental']) {
    const own = result.backups.filter((backup) => backup.kind === kind);
    assert.is(new Set(own.map(({ endTime }) => endTime)).size, own.length);
    for (const [i, { created }] of own.entries()) {
      const before = own[i - 1];
      if (before) assert.ok((before.finished ?? Number.POSITIVE_INFINITY) <= created, `two ${kind} backups at ${created}`);
    }
  }
});

test('the worst RPO is that of the longest outage, and is over in the end', () => {
  assert.is(result.finalRpoSeconds < 2 * 3600, true, `${result.finalRpoSeconds} s`);
  const past = SPEC.outages.filter(({ startMicros }) => startMicros < DAYS * MICROS_PER_DAY);
  const longest = Math.max(...past.map(({ lengthMicros }) => lengthMicros)) / MICROS_PER_SECOND;
  assert.ok(result.worstRpo.value >= longest && result.worstRpo.value < longest + 2 * 3600, `${result.worstRpo.value} s`);
});

test('the drawing has each backup, failure and outage', () => {
  const svg = planSvg(result);
  const count = (words: string): number => svg.split(words).length - 1;
  assert.is(count('<title>full as of') + count('<title>incremental as of'), succeeded(result.backups).length);
  assert.is(count('<title>storage away</title>') + count('<title>node away</title>'), SPEC.outages.length);
  assert.is(count('the storage is away</title>'), result.failures.length);
  assert.is(count('<rect') - count('</title></rect>'), 1);
});

/** Sundays' midnights in the simulation. */
function countWeeks(): number {
  const start = Date.parse(SPEC.start);
  let weeks = 0;
  for (let day = 1; day <= DAYS; day++) if (new Date(start + (day * MICROS_PER_DAY) / 1000).getUTCDay() === 0) weeks++;
  return weeks;
}

test.run();
