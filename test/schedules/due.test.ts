/** What becomes of schedules in time, against a model that keeps every due time. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { MICROS_PER_MINUTE } from '../../src/base/duration.ts';
import { momentToMicros } from '../../src/base/manualClock.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { afterFailure, decide } from '../../src/schedules/due.ts';
import { DueIndex } from '../../src/schedules/dueIndex.ts';
import { Recurrence } from '../../src/schedules/recurrence.ts';
import type { Schedule } from '../../src/schedules/schedule.ts';

const test = suite('due schedules');
const START = momentToMicros('2026-11-20T00:00:00Z');

function schedule(recurrence: string, changes: Partial<Schedule['details']> = {}): Schedule {
  return {
    id: 1,
    label: 'test',
    created: START,
    owner: 'root',
    nextRun: new Recurrence(recurrence).next(START),
    recurrence,
    state: {},
    details: { wait: 'WAIT', on_error: 'RETRY_SCHED', cluster_id: 'c', ...changes },
    args: { backup_statement: 'BACKUP INTO $1' },
  };
}

/** Every due time of a crontab, by a walk over the minutes. */
function dueTimes(everyMinutes: number, until: Timestamp): Timestamp[] {
  const times: Timestamp[] = [];
  for (let at = START + MICROS_PER_MINUTE; at <= until; at += MICROS_PER_MINUTE) {
    if (((at - START) / MICROS_PER_MINUTE) % everyMinutes === 0) times.push(at as Timestamp);
  }
  return times;
}

test('whatever outages and long backups there are, each due time is served, made up for or counted as missed, once', () => {
  // Looks at irregular moments, at each of which a number of backups goes on.
  const looks = fc.array(fc.record({ minutes: fc.integer({ min: 1, max: 400 }), running: fc.integer({ min: 0, max: 2 }) }), {
    maxLength: 25,
  });
  const wait = fc.constantFrom('WAIT' as const, 'SKIP' as const, 'NO_WAIT' as const);
  const every = fc.constantFrom(5, 15, 60);
  fc.assert(
    fc.property(every, wait, looks, (minutes, behaviour, moments) => {
      const recurrence = new Recurrence(minutes === 60 ? '0 * * * *' : `*/${minutes} * * * *`);
      let current = schedule(recurrence.text, { wait: behaviour });
      let now = START;
      const started: Timestamp[] = [];
      for (const { minutes: passed, running } of moments) {
        now = (now + passed * MICROS_PER_MINUTE) as Timestamp;
        if (current.nextRun === undefined || current.nextRun > now) continue;
        const decision = decide(current, recurrence, now, running);
        if (decision.type === 'start') {
          // As of a time that was due, or at which it was to look again; never in the future, never twice.
          assert.ok(decision.asOf <= now);
          assert.ok(decision.asOf > (started.at(-1) ?? START));
          assert.ok(decision.asOf >= (recurrence.last(now) ?? 0));
          started.push(decision.asOf);
        } else {
          assert.ok(running > 0 && behaviour !== 'NO_WAIT');
        }
        assert.ok(decision.schedule.nextRun !== undefined && decision.schedule.nextRun > now);
        current = decision.schedule;
      }
      const waiting = current.state.waiting_since;
      const past = dueTimes(minutes, now).filter((time) => time < (waiting ?? current.nextRun ?? 0));
      assert.is(started.length + (current.state.missed ?? 0), past.length);
    }),
    { numRuns: 300 },
  );
});

test('a backup that waits for another one is looked at again in a minute, and its due time is remembered', () => {
  const recurrence = new Recurrence('@hourly');
  const first = schedule('@hourly');
  const due = first.nextRun as Timestamp;
  const { schedule: delayed } = decide(first, recurrence, due, 1);
  assert.is(delayed.nextRun, due + MICROS_PER_MINUTE);
  assert.is(delayed.state.status, 'delayed due to 1 already running');
  assert.is(delayed.state.waiting_since, due);
  const again = decide(delayed, recurrence, (due + MICROS_PER_MINUTE) as Timestamp, 0);
  assert.is(again.type === 'start' && again.asOf, due + MICROS_PER_MINUTE);
  assert.is(again.schedule.state.waiting_since, undefined);
  assert.is(again.schedule.state.missed, undefined);
});

test('what is due a moment ahead of the clock is not due twice', () => {
  const recurrence = new Recurrence('@hourly');
  const first = schedule('@hourly');
  const due = first.nextRun as Timestamp;
  const decision = decide(first, recurrence, (due - 10) as Timestamp, 0);
  assert.is(decision.schedule.nextRun, recurrence.next(due));
});

test('failures follow the policy, and leave a paused schedule paused', () => {
  const recurrence = new Recurrence('@hourly');
  const now = (START + 90 * MICROS_PER_MINUTE) as Timestamp;
  const failed = (on_error: Schedule['details']['on_error'], started: boolean, nextRun: Timestamp | undefined = recurrence.next(now)) =>
    afterFailure({ ...schedule('@hourly', { on_error }), nextRun }, recurrence, now, 'why', started);
  assert.is(failed('RETRY_SCHED', true).nextRun, recurrence.next(now));
  assert.is(failed('RETRY_SCHED', false, now).nextRun, recurrence.next(now));
  assert.is(failed('RETRY_SCHED', true).state.status, 'reschedule: why');
  assert.is(failed('RETRY_SOON', true).nextRun, now + MICROS_PER_MINUTE);
  assert.is(failed('RETRY_SOON', false, now).nextRun, now + MICROS_PER_MINUTE);
  assert.is(failed('RETRY_SOON', true).state.status, 'retrying: why');
  assert.is(failed('PAUSE_SCHED', true).nextRun, undefined);
  assert.is(failed('PAUSE_SCHED', true).state.status, 'schedule paused: why');
  const paused = afterFailure({ ...schedule('@hourly'), nextRun: undefined }, recurrence, now, 'why', true);
  assert.is(paused.nextRun, undefined);
});

test('while failed runs are tried again, each due time is served, made up for or counted as missed, once', () => {
  // Each attempt cannot start, fails after some minutes, or succeeds at once; others wait for it meanwhile.
  const attempts = fc.array(
    fc.record({ outcome: fc.constantFrom('refused', 'failed', 'done'), minutes: fc.integer({ min: 0, max: 200 }) }),
    {
      minLength: 1,
      maxLength: 30,
    },
  );
  fc.assert(
    fc.property(attempts, fc.constantFrom(5, 60), (outcomes, minutes) => {
      const recurrence = new Recurrence(minutes === 60 ? '@hourly' : `*/${minutes} * * * *`);
      let current = schedule(recurrence.text, { on_error: 'RETRY_SOON' });
      let now = START;
      let served = 0;
      const last = { outcome: 'done', minutes: 0 };
      for (const { outcome, minutes: lasting } of [...outcomes, last]) {
        now = Math.max(now, current.nextRun ?? 0) as Timestamp;
        const decision = decide(current, recurrence, now, 0);
        assert.is(decision.type, 'start');
        if (outcome === 'refused') {
          now = (now + lasting * MICROS_PER_MINUTE) as Timestamp;
          current = afterFailure(current, recurrence, now, 'why', false);
          continue;
        }
        current = decision.schedule;
        if (outcome === 'done') {
          // A success stands for one due time: what it tried again, or was due last.
          served++;
          continue;
        }
        // Looked at once, as soon as something is due, and found running.
        const ends = (now + lasting * MICROS_PER_MINUTE) as Timestamp;
        const { nextRun } = current;
        if (nextRun !== undefined && nextRun <= ends) current = decide(current, recurrence, nextRun, 1).schedule;
        now = ends;
        current = afterFailure(current, recurrence, now, 'why', true);
      }
      const past = dueTimes(minutes, now).filter((time) => time < (current.nextRun ?? 0));
      assert.is(served + (current.state.missed ?? 0), past.length);
    }),
    { numRuns: 300 },
  );
});

test('due times that pass while a run is put off or goes on count under every policy', () => {
  const recurrence = new Recurrence('@hourly');
  const at = (hours: number) => (START + hours * 60 * MICROS_PER_MINUTE) as Timestamp;
  const late = afterFailure(schedule('@hourly'), recurrence, at(3.5), 'why', false);
  assert.equal([late.nextRun, late.state.missed], [at(4), 2]);
  // Started at 1, due again at 2 and found running; failed at 3.5.
  const { schedule: going } = decide(schedule('@hourly'), recurrence, at(1), 0);
  const { schedule: waits } = decide(going, recurrence, at(2), 1);
  const failed = afterFailure(waits, recurrence, at(3.5), 'why', true);
  const next = decide(failed, recurrence, at(3.6), 0);
  assert.equal([next.type, next.schedule.state.missed, next.schedule.nextRun], ['start', 1, at(4)]);
});

test('the index gives what is due in order, incrementals first, whatever was set and deleted before', () => {
  const change = fc.record({
    id: fc.integer({ min: 1, max: 8 }),
    nextRun: fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined }),
    isFull: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 40 }),
      fc.integer({ min: 0, max: 20 }),
      fc.integer({ min: 0, max: 5 }),
      (changes, now, limit) => {
        const index = new DueIndex();
        const model = new Map<number, { id: number; nextRun: Timestamp; isFull: boolean }>();
        for (const { id, nextRun, isFull } of changes) {
          if (nextRun === undefined) {
            index.delete(id);
            model.delete(id);
          } else {
            const entry = { id, nextRun: nextRun as Timestamp, isFull };
            index.set(entry);
            model.set(id, entry);
          }
        }
        const expected = [...model.values()]
          .filter(({ nextRun }) => nextRun <= now)
          .sort((a, b) => a.nextRun - b.nextRun || Number(a.isFull) - Number(b.isFull) || a.id - b.id);
        assert.equal(index.due(now as Timestamp, limit), limit === 0 ? expected : expected.slice(0, limit));
        assert.is(index.size, model.size);
        assert.is(index.earliest(), model.size === 0 ? undefined : Math.min(...[...model.values()].map(({ nextRun }) => nextRun)));
      },
    ),
    { numRuns: 200 },
  );
});

test.run();
