/** Recurrence: crontabs as functions of time, and how often fulls come by default. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE } from '../../src/base/duration.ts';
import { momentToMicros } from '../../src/base/manualClock.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { formatUtc } from '../../src/base/timestamp.ts';
import { defaultFullRecurrence, Recurrence } from '../../src/schedules/recurrence.ts';

const test = suite('recurrence');
const at = (text: string) => momentToMicros(text);
const text = (time: Timestamp | undefined) => time && formatUtc(time).slice(0, 16);

test('finds the next and the last occurrence, in UTC', () => {
  const friday = at('2020-09-10T16:52:17.280821Z');
  const next = (cron: string) => text(new Recurrence(cron).next(friday));
  assert.is(next('@hourly'), '2020-09-10 17:00');
  assert.is(next('@daily'), '2020-09-11 00:00');
  assert.is(next('@weekly'), '2020-09-13 00:00');
  assert.is(next('@monthly'), '2020-10-01 00:00');
  assert.is(next('@yearly'), '2021-01-01 00:00');
  assert.is(next('1 0 * * *'), '2020-09-11 00:01');
  assert.is(next('*/5 * * * *'), '2020-09-10 16:55');
  assert.is(next('0 3 * * MON-FRI'), '2020-09-11 03:00');
  assert.is(next('0 0 29 2 *'), '2024-02-29 00:00');
  assert.is(text(new Recurrence('0 0 29 2 *').last(friday)), '2020-02-29 00:00');
});

test('takes ? for any, not for the moment at which it is read', () => {
  assert.is(text(new Recurrence('0 0 ? * *').next(at('2020-09-10T16:52:00Z'))), '2020-09-11 00:00');
});

test('an occurrence is after the time asked for, the last one at or before it', () => {
  const hourly = new Recurrence('@hourly');
  const noon = at('2026-11-20T12:00:00Z');
  assert.is(hourly.next(noon), noon + MICROS_PER_HOUR);
  assert.is(hourly.next((noon - 1) as Timestamp), noon);
  assert.is(hourly.last(noon), noon);
  assert.is(hourly.last((noon - 1) as Timestamp), noon - MICROS_PER_HOUR);
  assert.is(hourly.last((noon + 1) as Timestamp), noon);
});

test('refuses what is no crontab with the words of who read it, and what never comes', () => {
  const refusal = (cron: string) => {
    try {
      new Recurrence(cron);
    } catch (error) {
      return error as { code: string; message: string; detail: string };
    }
    throw new Error(`${cron} was taken`);
  };
  for (const cron of [
    '',
    'nonsense',
    '@every 1h',
    '60 * * * *',
    '* * * *',
    '* * * * * *',
    '*/0 * * * *',
    '5-1 * * * *',
    'a b c d e',
    '0 0 32 * *',
  ]) {
    const { code, message, detail } = refusal(cron);
    assert.is(code, '22023');
    assert.is(message, `error parsing schedule expression: ${JSON.stringify(cron)}; it must be a valid cron expression`);
    assert.match(detail, /^CronPattern: /);
  }
  assert.is(refusal('0 0 30 2 *').detail, 'there is no such day');
});

test('any text is a crontab or refused with 22023', () => {
  const piece = fc.constantFrom(
    '*',
    '0',
    '5',
    '59',
    '60',
    '*/7',
    '1-5',
    '5-1',
    'MON',
    'L',
    '#',
    '?',
    '1,2',
    '-',
    '',
    'W',
    '31',
    '2',
    '99999999999999999999',
  );
  const cron = fc.oneof(
    fc.array(piece, { minLength: 4, maxLength: 7 }).map((parts) => parts.join(' ')),
    fc.string({ maxLength: 20 }),
  );
  fc.assert(
    fc.property(cron, (candidate) => {
      try {
        const recurrence = new Recurrence(candidate);
        const now = at('2026-11-20T12:00:00Z');
        const next = recurrence.next(now);
        assert.ok(next === undefined || next > now);
        assert.ok(recurrence.period(now) > 0);
      } catch (error) {
        assert.is((error as { code?: string }).code, '22023', String(error));
      }
    }),
    { numRuns: 300 },
  );
});

test('counts what lies between two times, and estimates where there is much', () => {
  const minutely = new Recurrence('* * * * *');
  const noon = at('2026-11-20T12:00:00Z');
  const later = (micros: number) => (noon + micros) as Timestamp;
  assert.is(minutely.count(noon, noon), 0);
  assert.is(minutely.count(noon, later(MICROS_PER_MINUTE)), 1);
  assert.is(minutely.count(noon, later(90 * MICROS_PER_MINUTE - 1)), 89);
  assert.is(minutely.count(noon, later(365 * MICROS_PER_DAY)), 365 * 24 * 60);
});

test('how often a full is taken when nobody says goes by the period of the incrementals', () => {
  const noon = at('2026-11-20T12:00:00Z');
  const picked = (cron: string) => defaultFullRecurrence(new Recurrence(cron).period(noon));
  assert.is(picked('*/5 * * * *'), '@daily');
  assert.is(picked('@hourly'), '@daily');
  assert.is(picked('0 */2 * * *'), '@weekly');
  assert.is(picked('@daily'), '@weekly');
  assert.is(picked('0 0 */2 * *'), undefined);
  assert.is(picked('@weekly'), undefined);
});

test.run();
