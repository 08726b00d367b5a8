/**
 * Cluster: the nodes, who of them lives, and what that means for leases.
 *
 *   C1  node ids are 1..n and never change; a node that starts again has a greater epoch
 *   C2  after every event the leases of all ranges are with live nodes, as long as one lives, and not
 *       with one that is being decommissioned, as long as another lives
 *   C3  listeners hear an event after the leases have moved, in the order of subscription
 *   C4  a node that was decommissioned never starts again
 *
 * Lives elsewhere: a node's life (nodeMachine.ts), the ranges (ranges.ts), what jobs do about a
 * stopped node (jobs).
 */
import type { Actor } from 'xstate';
import { createActor } from 'xstate';

import { letGo, StateError, StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { clusterMachine } from './clusterMachine.ts';
import type { Locality } from './locality.ts';
import { ClusterNode } from './nodeActor.ts';
import type { Lease, Ranges } from './ranges.ts';

export type ClusterEvent =
  | { readonly type: 'node.started'; readonly nodeId: number; readonly epoch: number }
  /** The node takes no new work; its leases have moved, its jobs should move. */
  | { readonly type: 'node.draining'; readonly nodeId: number; readonly epoch: number }
  /** The node is gone, by a crash or after draining; what it claimed in `epoch` is void. */
  | { readonly type: 'node.stopped'; readonly nodeId: number; readonly epoch: number }
  | { readonly type: 'lease.moved'; readonly rangeId: number; readonly from: number; readonly to: number };

export type ClusterListener = (event: ClusterEvent) => void;
/** What must finish before a draining node stops. */
export type DrainWork = (node: ClusterNode) => Promise<void>;

export class Cluster {
  readonly nodes: readonly ClusterNode[];
  readonly actor: Actor<typeof clusterMachine>;
  readonly #listeners = new Set<ClusterListener>();
  readonly #drainWork = new Set<DrainWork>();
  #ranges: Ranges | undefined;

  /** One node a locality; none runs before start(). `now`: the clock, for when nodes started. */
  constructor(localities: readonly Locality[], now: () => number = () => 0) {
    if (localities.length === 0) throw new StatementError(SqlState.InvalidParameterValue, 'a cluster has at least one node');
    this.actor = createActor(clusterMachine, { id: 'cluster' });
    this.actor.start();
    this.nodes = localities.map(
      (locality, index) =>
        new ClusterNode(index + 1, locality, {
          becomeLive: (node) => this.#becomeLive(node),
          handOver: (node) => this.#handOver(node),
          leave: (node) => this.#leave(node),
          now,
        }),
    );
  }

  /** Ties the ranges whose leases follow the nodes, then starts every node. */
  start(ranges: Ranges): void {
    this.#ranges = ranges;
    ranges.onLeaseMoved = (rangeId, from, to) => this.#emit({ type: 'lease.moved', rangeId, from, to });
    for (const node of this.nodes) this.startNode(node.id);
  }

  /** Throws 22023 for an id that no node has. */
  node(id: number): ClusterNode {
    const node = this.nodes[id - 1];
    if (node === undefined) {
      throw new StatementError(SqlState.InvalidParameterValue, `there is no node ${id}`, {
        detail: `this cluster has nodes 1 to ${this.nodes.length}`,
      });
    }
    return node;
  }

  liveNodes(): ClusterNode[] {
    return this.nodes.filter((node) => node.isLive);
  }

  /** The live node with the lowest id. Throws 57P03 when none lives. */
  anyLiveNode(): ClusterNode {
    const node = this.nodes.find((candidate) => candidate.isLive);
    if (node === undefined) throw new StateError(SqlState.CannotConnectNow, 'no node of the cluster is live');
    return node;
  }

  /** True while the node lives in that epoch: what a claim or lease is checked against. */
  isLiveIn(nodeId: number, epoch: number): boolean {
    const node = this.nodes[nodeId - 1];
    return node?.isLive === true && node.epoch === epoch;
  }

  /** What may hold leases now. */
  liveLeases(): Lease[] {
    const live = this.liveNodes();
    const staying = live.filter((node) => node.membership === 'active');
    return (staying.length > 0 ? staying : live).map((node) => ({ nodeId: node.id, epoch: node.epoch }));
  }

  /** No effect on a live node. 55000 for one that was decommissioned. */
  startNode(id: number): void {
    const node = this.node(id);
    if (node.membership === 'decommissioned') {
      throw new StateError(SqlState.ObjectNotInPrerequisiteState, `node ${id} was decommissioned: it cannot join the cluster again`);
    }
    node.actor.send({ type: 'node.start' });
  }

  /** A crash: the node loses leases and claims at once. No effect on a stopped node. */
  stopNode(id: number): void {
    this.node(id).actor.send({ type: 'node.stop' });
  }

  /** Hands over leases, waits for drain work, then stops; resolves when the node has stopped. */
  async drainNode(id: number): Promise<void> {
    const node = this.node(id);
    if (!node.isLive) return;
    await new Promise<void>((resolve) => {
      const subscription = node.actor.subscribe((snapshot) => {
        if (snapshot.value !== 'stopped') return;
        subscription.unsubscribe();
        resolve();
      });
      node.actor.send({ type: 'node.drain' });
    });
  }

  /**
   * Begins to take a node out for good: its leases go to others, and it gets no new ones. No effect on
   * one on its way already. 55000 when no other node could take over.
   */
  decommissionNode(id: number): void {
    const node = this.node(id);
    if (node.membership !== 'active') return;
    if (!this.nodes.some((other) => other !== node && other.isLive && other.membership === 'active')) {
      throw new StateError(
        SqlState.ObjectNotInPrerequisiteState,
        `node ${id} cannot be decommissioned: no other node is live to take over`,
        {
          hint: 'start another node, or recommission one',
        },
      );
    }
    node.membership = 'decommissioning';
    this.#ranges?.reassignLeases();
  }

  /** Ends what decommissionNode() began: the node's work moves, then it stops for ever. 55000 for a node that is none of the two. */
  async finishDecommission(id: number): Promise<void> {
    const node = this.node(id);
    if (node.membership === 'decommissioned') return;
    if (node.membership === 'active') {
      throw new StateError(
        SqlState.ObjectNotInPrerequisiteState,
        `can only fully decommission an already decommissioning node; n${id} found to be ${node.membership}`,
      );
    }
    await this.drainNode(id);
    // It may have been taken back meanwhile.
    if (node.membership === 'decommissioning') node.membership = 'decommissioned';
  }

  /** Takes a node back that is being decommissioned. 55000 for any other. */
  recommissionNode(id: number): void {
    const node = this.node(id);
    if (node.membership !== 'decommissioning') {
      throw new StateError(
        SqlState.ObjectNotInPrerequisiteState,
        `can only recommission a decommissioning node; n${id} found to be ${node.membership}`,
      );
    }
    node.membership = 'active';
    this.#ranges?.reassignLeases();
  }

  /** Returns the function that ends the subscription. */
  subscribe(listener: ClusterListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Registers work that a draining node waits for. Returns the function that removes it. */
  addDrainWork(work: DrainWork): () => void {
    this.#drainWork.add(work);
    return () => this.#drainWork.delete(work);
  }

  close(): void {
    this.#listeners.clear();
    this.#drainWork.clear();
    for (const node of this.nodes) node.actor.stop();
    this.actor.send({ type: 'cluster.close' });
  }

  #becomeLive(node: ClusterNode): void {
    this.actor.send({ type: 'cluster.nodesLive' });
    this.#ranges?.reassignLeases();
    this.#emit({ type: 'node.started', nodeId: node.id, epoch: node.epoch });
  }

  async #handOver(node: ClusterNode): Promise<void> {
    this.#ranges?.reassignLeases();
    this.#emit({ type: 'node.draining', nodeId: node.id, epoch: node.epoch });
    const ended = await Promise.allSettled([...this.#drainWork].map((work) => work(node)));
    // The node stops all the same; a bug shows.
    for (const one of ended) if (one.status === 'rejected') letGo(one.reason);
  }

  #leave(node: ClusterNode): void {
    if (this.liveNodes().length === 0) this.actor.send({ type: 'cluster.noNodeLive' });
    this.#ranges?.reassignLeases();
    this.#emit({ type: 'node.stopped', nodeId: node.id, epoch: node.epoch });
  }

  #emit(event: ClusterEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}
