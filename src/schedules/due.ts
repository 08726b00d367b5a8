/**
 * Due: what becomes of a schedule whose time has come, and of one whose backup failed. Pure functions of the row and the time.
 *
 *   D1  one start for however many due times have passed: as of the latest of them. The others count as missed
 *   D2  the next run is always an occurrence after now, but for what is to be looked at again in a minute
 *   D3  a paused schedule stays so
 *   D4  due times that pass while a failed run is tried again, or one that failed went on, count as missed, too, but for the one
 *       that the next start is for
 */
import { MICROS_PER_MINUTE } from '../base/duration.ts';
import { type Timestamp, timestamp } from '../base/timestamp.ts';
import type { Kv } from '../kv/kv.ts';
import type { Recurrence } from './recurrence.ts';
import type { Schedule } from './schedule.ts';

/** After this long a run that waits for another one, or is to be retried, is looked at again. */
export const RECHECK_MICROS = MICROS_PER_MINUTE;

/**
 * The present, for schedules: what the clock shows, or the time of the newest commit where that is ahead of it by a moment, so
 * that a backup as of now has everything that there is.
 */
export function presentTime(kv: Kv): Timestamp {
  return timestamp(Math.max(Math.floor(kv.clock.nowMicros()), kv.reading()));
}

export type Decision =
  /** `schedule` as it is once the job is there. */
  | { readonly type: 'start'; readonly asOf: Timestamp; readonly schedule: Schedule }
  | { readonly type: 'wait' | 'skip'; readonly schedule: Schedule };

/** `running`: its jobs that have not ended. The schedule is due: it has a next run, not after now. */
export function decide(schedule: Schedule, recurrence: Recurrence, now: Timestamp, running: number): Decision {
  const { nextRun: due = now, state, details } = schedule;
  // Commits may be ahead of the clock by a moment: what was due at that moment is not due again.
  const present = Math.max(now, due) as Timestamp;
  const since = state.waiting_since ?? due;
  if (running > 0 && details.wait === 'WAIT') {
    const status = `delayed due to ${running} already running`;
    const nextRun = (now + RECHECK_MICROS) as Timestamp;
    return { type: 'wait', schedule: { ...schedule, nextRun, state: { ...state, status, waiting_since: since } } };
  }
  const later = recurrence.count(since, present);
  const nextRun = recurrence.next(present);
  const passed = (more: number) => missedWith(schedule, more);
  if (running > 0 && details.wait === 'SKIP') {
    const status = `rescheduled due to ${running} already running`;
    return {
      type: 'skip',
      schedule: { ...schedule, nextRun, state: { ...state, status, waiting_since: undefined, missed: passed(later + 1) } },
    };
  }
  const asOf = Math.max(due, later === 0 ? 0 : (recurrence.last(present) ?? 0)) as Timestamp;
  const after = { ...schedule, nextRun, state: { ...state, status: undefined, waiting_since: undefined, missed: passed(later) } };
  return { type: 'start', asOf, schedule: after };
}

/** After a failure: `started` when there was a job, so that the next run is set already. */
export function afterFailure(schedule: Schedule, recurrence: Recurrence, now: Timestamp, message: string, started: boolean): Schedule {
  const { waiting_since: since } = schedule.state;
  const state = (status: string) => ({ ...schedule.state, status, waiting_since: undefined });
  if (schedule.nextRun === undefined) return { ...schedule, state: state(message) };
  const first = since ?? schedule.nextRun;
  switch (schedule.details.on_error) {
    case 'PAUSE_SCHED':
      return { ...schedule, nextRun: undefined, state: state(`schedule paused: ${message}`) };
    case 'RETRY_SOON': {
      const retry = (now + RECHECK_MICROS) as Timestamp;
      const nextRun = started ? (Math.min(retry, schedule.nextRun) as Timestamp) : retry;
      // The run that failed is made up for by the next start, unless that is for one that fell due meanwhile.
      const waiting = started
        ? { waiting_since: since ?? recurrence.last(now), missed: missedWith(schedule, since === undefined ? 0 : 1) }
        : { waiting_since: first };
      return { ...schedule, nextRun, state: { ...state(`retrying: ${message}`), ...waiting } };
    }
    case 'RETRY_SCHED': {
      const status = `reschedule: ${message}`;
      if (started) return { ...schedule, state: { ...state(status), waiting_since: since } };
      const present = Math.max(now, schedule.nextRun) as Timestamp;
      const missed = missedWith(schedule, recurrence.count(first, present));
      return { ...schedule, nextRun: recurrence.next(present), state: { ...state(status), missed } };
    }
  }
}

function missedWith({ state: { missed = 0 } }: Schedule, more: number): number | undefined {
  return missed + more > 0 ? missed + more : undefined;
}
