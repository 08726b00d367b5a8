/**
 * rangeQueueMachine: when ranges are looked at for a split or a merge, as a chart. Decides only;
 * timer and work are injected (rangeQueue.ts).
 *
 *   off --queue.start--> idle --queue.changed--> waiting --queue.tick--> running --queue.done--> idle | sleeping
 *                                                  ^___queue.changed, queue.tick___________________________/
 *
 * `idle` has no timer: without writes sizes stay as they are. `sleeping` waits for the moment at
 * which a cut made by statement expires. A change during a run makes it wait again.
 */
import { setup } from 'xstate';

export type RangeQueueEvent =
  | { readonly type: 'queue.start' }
  | { readonly type: 'queue.stop' }
  /** Something was written, or the policy has changed. */
  | { readonly type: 'queue.changed' }
  | { readonly type: 'queue.tick' }
  /** `expiry`: the next moment at which a cut may go by itself. */
  | { readonly type: 'queue.done'; readonly expiry: number | undefined };

const refuseUnset = (effect: string) => () => {
  throw new Error(`rangeQueueMachine: effect ${effect} was not provided`);
};

export const rangeQueueMachine = setup({
  types: { events: {} as RangeQueueEvent },
  actions: {
    armTimer: refuseUnset('armTimer'),
    armExpiry: refuseUnset('armExpiry'),
    cancelTimer: refuseUnset('cancelTimer'),
    look: refuseUnset('look'),
  },
}).createMachine({
  id: 'rangeQueue',
  initial: 'off',
  on: { 'queue.stop': '.off' },
  states: {
    off: { on: { 'queue.start': 'waiting' } },
    idle: { on: { 'queue.changed': 'waiting' } },
    waiting: { entry: 'armTimer', exit: 'cancelTimer', on: { 'queue.tick': 'running' } },
    running: {
      entry: 'look',
      on: {
        'queue.changed': 'waiting',
        'queue.done': [{ guard: ({ event }) => event.expiry !== undefined, target: 'sleeping' }, { target: 'idle' }],
      },
    },
    sleeping: {
      entry: 'armExpiry',
      exit: 'cancelTimer',
      on: { 'queue.tick': 'running', 'queue.changed': 'waiting' },
    },
  },
});
