/**
 * clusterMachine: whether the cluster can serve, as a chart.
 *
 *   unavailable --cluster.nodesLive--> available --cluster.noNodeLive--> unavailable
 *   either --cluster.close--> closed
 */
import { setup } from 'xstate';

export type ClusterMachineEvent =
  | { readonly type: 'cluster.nodesLive' }
  | { readonly type: 'cluster.noNodeLive' }
  | { readonly type: 'cluster.close' };

export const clusterMachine = setup({ types: { events: {} as ClusterMachineEvent } }).createMachine({
  id: 'cluster',
  initial: 'unavailable',
  on: { 'cluster.close': '.closed' },
  states: {
    unavailable: { on: { 'cluster.nodesLive': 'available' } },
    available: { on: { 'cluster.noNodeLive': 'unavailable' } },
    closed: { type: 'final' },
  },
});
