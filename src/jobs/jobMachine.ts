/**
 * jobMachine: the statuses of a job and what leads from one to the next, as a chart. Pure: it decides,
 * the registry writes the row, the runner does the work.
 *
 *   pending --claim--> running --complete--> succeeded
 *                        | retry / retryDue: running <-> retry-running
 *                        | fail -----------------------------> reverting --reverted--> failed | canceled
 *   pause: -> pause-requested --acknowledge--> paused           | retry / retryDue: <-> retry-reverting
 *   resume: paused -> running, or reverting if it was           | fail --> revert-failed
 *   cancel: -> cancel-requested --acknowledge--> reverting
 *
 * `acknowledge` is the owning node's answer, or any node's for a job that nobody runs.
 * `pauseSelf` is the job's own stop: a pausepoint, exhausted retries, a bug that must keep its state.
 * Source: CockroachDB's job statuses (docs, SHOW JOBS); the chart is ours.
 */
import { setup, transition } from 'xstate';

export type JobStatus =
  | 'pending'
  | 'running'
  | 'retry-running'
  | 'pause-requested'
  | 'paused'
  | 'cancel-requested'
  | 'reverting'
  | 'retry-reverting'
  | 'succeeded'
  | 'failed'
  | 'canceled'
  | 'revert-failed';

export type RevertOutcome = 'failed' | 'canceled';

export type JobEvent =
  /** A node has claimed it. */
  | { readonly type: 'job.claim' }
  | { readonly type: 'job.complete' }
  | { readonly type: 'job.retry' }
  | { readonly type: 'job.retryDue' }
  | { readonly type: 'job.fail' }
  | { readonly type: 'job.reverted' }
  | { readonly type: 'job.pause' }
  | { readonly type: 'job.pauseSelf' }
  | { readonly type: 'job.resume' }
  | { readonly type: 'job.cancel' }
  | { readonly type: 'job.acknowledge' };

export interface JobMachineContext {
  readonly revertOutcome: RevertOutcome | undefined;
  /** A pause came while reverting. */
  readonly pausedWhileReverting: boolean;
}

/** What the machine knows of a job: a part of its record. */
export interface JobState extends JobMachineContext {
  readonly status: JobStatus;
}

const machine = setup({
  types: { context: {} as JobMachineContext, events: {} as JobEvent },
  guards: {
    wasReverting: ({ context }) => context.pausedWhileReverting,
    wasRunning: ({ context }) => !context.pausedWhileReverting,
    endsCanceled: ({ context }) => context.revertOutcome === 'canceled',
  },
});
const noteRunning = machine.assign({ pausedWhileReverting: false });
const noteReverting = machine.assign({ pausedWhileReverting: true });
const willFail = machine.assign({ revertOutcome: 'failed' as const });
const willCancel = machine.assign({ revertOutcome: 'canceled' as const });

export const jobMachine = machine.createMachine({
  id: 'job',
  initial: 'pending',
  context: { revertOutcome: undefined, pausedWhileReverting: false },
  states: {
    pending: {
      on: {
        'job.claim': 'running',
        'job.pause': { target: 'pause-requested', actions: noteRunning },
        'job.cancel': { target: 'cancel-requested', actions: willCancel },
      },
    },
    running: {
      on: {
        'job.claim': 'running',
        'job.complete': 'succeeded',
        'job.retry': 'retry-running',
        'job.fail': { target: 'reverting', actions: willFail },
        'job.pause': { target: 'pause-requested', actions: noteRunning },
        'job.pauseSelf': { target: 'paused', actions: noteRunning },
        'job.cancel': { target: 'cancel-requested', actions: willCancel },
      },
    },
    'retry-running': {
      on: {
        'job.claim': 'retry-running',
        'job.retryDue': 'running',
        'job.pause': { target: 'pause-requested', actions: noteRunning },
        'job.cancel': { target: 'cancel-requested', actions: willCancel },
      },
    },
    'pause-requested': { on: { 'job.acknowledge': 'paused' } },
    paused: {
      on: {
        'job.resume': [
          { guard: 'wasReverting', target: 'reverting' },
          { guard: 'wasRunning', target: 'running' },
        ],
        'job.cancel': { guard: 'wasRunning', target: 'cancel-requested', actions: willCancel },
      },
    },
    'cancel-requested': { on: { 'job.acknowledge': 'reverting' } },
    reverting: {
      on: {
        'job.claim': 'reverting',
        'job.reverted': [{ guard: 'endsCanceled', target: 'canceled' }, { target: 'failed' }],
        'job.retry': 'retry-reverting',
        'job.fail': 'revert-failed',
        'job.pause': { target: 'pause-requested', actions: noteReverting },
        'job.pauseSelf': { target: 'paused', actions: noteReverting },
      },
    },
    'retry-reverting': {
      on: {
        'job.claim': 'retry-reverting',
        'job.retryDue': 'reverting',
        'job.pause': { target: 'pause-requested', actions: noteReverting },
      },
    },
    succeeded: { type: 'final' },
    failed: { type: 'final' },
    canceled: { type: 'final' },
    'revert-failed': { type: 'final' },
  },
});

/** What the machine has said: there are a few hundred questions, and asking it takes longer than a job's transaction. */
const ANSWERS = new Map<string, JobState | undefined>();

/** The state after an event; undefined when the event is not for this state. */
export function nextJobState(state: JobState, event: JobEvent): JobState | undefined {
  const question = `${event.type} ${state.status} ${state.revertOutcome} ${state.pausedWhileReverting}`;
  if (!ANSWERS.has(question)) ANSWERS.set(question, askMachine(state, event));
  return ANSWERS.get(question);
}

function askMachine(state: JobState, event: JobEvent): JobState | undefined {
  const snapshot = jobSnapshot(state);
  if (!snapshot.can(event)) return undefined;
  const [next] = transition(jobMachine, snapshot, event);
  return { status: next.value, revertOutcome: next.context.revertOutcome, pausedWhileReverting: next.context.pausedWhileReverting };
}

/** The machine's snapshot for a stored state: where an actor is rehydrated. */
export function jobSnapshot(state: JobState) {
  return jobMachine.resolveState({
    value: state.status,
    context: { revertOutcome: state.revertOutcome, pausedWhileReverting: state.pausedWhileReverting },
  });
}

/** Whether a stored text is a status. */
export function isStatus(text: string): text is JobStatus {
  return Object.hasOwn(jobMachine.states, text);
}

const TERMINAL: ReadonlySet<JobStatus> = new Set(['succeeded', 'failed', 'canceled', 'revert-failed']);

/** The others. */
export const UNFINISHED_STATUSES: readonly JobStatus[] = (Object.keys(jobMachine.states) as JobStatus[]).filter(
  (status) => !TERMINAL.has(status),
);

export function isTerminal(status: JobStatus): boolean {
  return TERMINAL.has(status);
}

/** Statuses in which a node works on the job, or waits to try again. */
export function isActive(status: JobStatus): boolean {
  return !isTerminal(status) && status !== 'paused';
}
