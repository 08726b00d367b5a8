/**
 * jobActor: a claimed job as an xstate actor, rehydrated from its row.
 *
 * It holds no truth: the row is written first, and the event that led to it is sent here after the
 * commit, so that inspection and the console's chart show what is stored. assert() says when the
 * two part, which would be a bug.
 */
import { type Actor, createActor } from 'xstate';

import { assert } from '../base/assert.ts';

import { type JobEvent, type JobState, type JobStatus, jobMachine, jobSnapshot } from './jobMachine.ts';

export type JobActor = Actor<typeof jobMachine>;

export function createJobActor(jobId: number, state: JobState): JobActor {
  const actor = createActor(jobMachine, { id: `job-${jobId}`, snapshot: jobSnapshot(state) });
  actor.start();
  return actor;
}

/** Repeats a stored transition; `status` is the row's after it. */
export function followRow(actor: JobActor, event: JobEvent, status: JobStatus): void {
  actor.send(event);
  const shown = actor.getSnapshot().value;
  assert(shown === status, `job actor is ${shown}, its row ${status}, after ${event.type}`);
}
