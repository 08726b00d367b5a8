/**
 * nodeMachine: the life of one node, as a chart. Decides only; what happens is injected (nodeActor.ts).
 *
 *   stopped --node.start--> starting --node.ready--> live --node.drain--> draining --node.drained--> stopped
 *                               \                      \________node.stop (crash)_______________________^
 *                                \_____________________node.stop_______________________________________/
 *
 * Each entry to `starting` takes a new liveness epoch. What a node was given in an older epoch
 * (leases, job claims) is void from the moment it leaves `live`.
 */
import { setup } from 'xstate';

export type NodeEvent =
  | { readonly type: 'node.start' }
  | { readonly type: 'node.ready' }
  | { readonly type: 'node.drain' }
  | { readonly type: 'node.drained' }
  /** A crash: nothing is handed over. */
  | { readonly type: 'node.stop' };

export type NodeStatus = 'stopped' | 'starting' | 'live' | 'draining';

const refuseUnset = (effect: string) => () => {
  throw new Error(`nodeMachine: effect ${effect} was not provided`);
};

export const nodeMachine = setup({
  types: { events: {} as NodeEvent },
  actions: {
    /** Takes the next epoch, then sends node.ready. */
    startUp: refuseUnset('startUp'),
    /** The node may hold leases and claims from now on. */
    becomeLive: refuseUnset('becomeLive'),
    /** Hands leases over and lets work finish, then sends node.drained. */
    handOver: refuseUnset('handOver'),
    /** The node is gone: its leases and claims go to others. */
    leave: refuseUnset('leave'),
  },
}).createMachine({
  id: 'node',
  initial: 'stopped',
  states: {
    stopped: { on: { 'node.start': 'starting' } },
    starting: { entry: 'startUp', on: { 'node.ready': 'live', 'node.stop': 'stopped' } },
    live: {
      entry: 'becomeLive',
      on: { 'node.drain': 'draining', 'node.stop': { target: 'stopped', actions: 'leave' } },
    },
    draining: {
      entry: 'handOver',
      on: { 'node.drained': { target: 'stopped', actions: 'leave' }, 'node.stop': { target: 'stopped', actions: 'leave' } },
    },
  },
});
