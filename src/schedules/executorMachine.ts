/**
 * executorMachine: when the executor of schedules works, as a chart. Decides only; timer and work are injected (executor.ts).
 *
 *   off --start--> waiting --due--> running --done--> waiting
 *
 * `waiting` arms a timer for the earliest next run, or none when there is none; a change of the earliest arms it again.
 */
import { setup } from 'xstate';

export type ExecutorEvent =
  | { readonly type: 'executor.start' }
  | { readonly type: 'executor.stop' }
  /** Another schedule is the earliest, or a setting has changed. */
  | { readonly type: 'executor.changed' }
  | { readonly type: 'executor.due' }
  | { readonly type: 'executor.done' };

const refuseUnset = (effect: string) => () => {
  throw new Error(`executorMachine: effect ${effect} was not provided`);
};

export const executorMachine = setup({
  types: { events: {} as ExecutorEvent },
  actions: {
    armTimer: refuseUnset('armTimer'),
    cancelTimer: refuseUnset('cancelTimer'),
    runRound: refuseUnset('runRound'),
  },
}).createMachine({
  id: 'scheduleExecutor',
  initial: 'off',
  on: { 'executor.stop': '.off' },
  states: {
    off: { on: { 'executor.start': 'waiting' } },
    waiting: {
      entry: 'armTimer',
      exit: 'cancelTimer',
      on: { 'executor.due': 'running', 'executor.changed': { target: 'waiting', reenter: true } },
    },
    // What changes meanwhile is found by the round that follows.
    running: { entry: 'runRound', on: { 'executor.done': 'waiting' } },
  },
});
