/**
 * reconcilerMachine: when protected timestamp records are looked at for orphans, as a chart. Decides
 * only; timer and work are injected (protectionReconciler.ts).
 *
 *   off --start--> idle --records.changed--> waiting --tick--> running --done--> waiting | idle
 *
 * `idle` has no timer: without a record of a job or schedule there is nothing to watch.
 */
import { setup } from 'xstate';

export type ReconcilerEvent =
  | { readonly type: 'reconciler.start' }
  | { readonly type: 'reconciler.stop' }
  | { readonly type: 'records.changed' }
  | { readonly type: 'reconciler.tick' }
  /** `watches`: records are left that may become orphans. */
  | { readonly type: 'reconciler.done'; readonly watches: boolean };

const refuseUnset = (effect: string) => () => {
  throw new Error(`reconcilerMachine: effect ${effect} was not provided`);
};

export const reconcilerMachine = setup({
  types: { events: {} as ReconcilerEvent },
  actions: {
    armTimer: refuseUnset('armTimer'),
    cancelTimer: refuseUnset('cancelTimer'),
    reconcile: refuseUnset('reconcile'),
  },
}).createMachine({
  id: 'protectionReconciler',
  initial: 'off',
  on: { 'reconciler.stop': '.off' },
  states: {
    off: { on: { 'reconciler.start': 'waiting' } },
    idle: { on: { 'records.changed': 'waiting' } },
    waiting: { entry: 'armTimer', exit: 'cancelTimer', on: { 'reconciler.tick': 'running' } },
    running: {
      entry: 'reconcile',
      on: { 'reconciler.done': [{ guard: ({ event }) => event.watches, target: 'waiting' }, { target: 'idle' }] },
    },
  },
});
