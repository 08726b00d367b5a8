/**
 * gcMachine: when garbage is collected, as a chart. Decides only; timer and work are injected (gcActor.ts).
 *
 *   off --gc.start--> idle --gc.garbage--> waiting --gc.tick--> running --gc.done--> waiting | idle
 *                       \________________gc.run_______________^
 *
 * `idle` has no timer: without garbage that can ever go, or with all of it pinned, simulated years
 * cost nothing. A commit that supersedes something, a released protection or a changed TTL wakes it.
 */
import { setup } from 'xstate';

export type GcEvent =
  | { readonly type: 'gc.start' }
  | { readonly type: 'gc.stop' }
  /** Something may have become, or become able to be, garbage. */
  | { readonly type: 'gc.garbage' }
  | { readonly type: 'gc.tick' }
  /** On demand. */
  | { readonly type: 'gc.run' }
  /** `waits`: there is garbage that time alone will release. */
  | { readonly type: 'gc.done'; readonly waits: boolean };

const refuseUnset = (effect: string) => () => {
  throw new Error(`gcMachine: effect ${effect} was not provided`);
};

export const gcMachine = setup({
  types: { events: {} as GcEvent },
  actions: {
    armTimer: refuseUnset('armTimer'),
    cancelTimer: refuseUnset('cancelTimer'),
    collect: refuseUnset('collect'),
  },
}).createMachine({
  id: 'gc',
  initial: 'off',
  on: { 'gc.stop': '.off' },
  states: {
    off: { on: { 'gc.start': 'waiting' } },
    idle: { on: { 'gc.garbage': 'waiting', 'gc.run': 'running' } },
    waiting: {
      entry: 'armTimer',
      exit: 'cancelTimer',
      on: { 'gc.tick': 'running', 'gc.run': 'running' },
    },
    running: {
      entry: 'collect',
      on: { 'gc.done': [{ guard: ({ event }) => event.waits, target: 'waiting' }, { target: 'idle' }] },
    },
  },
});
