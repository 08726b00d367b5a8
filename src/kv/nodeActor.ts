/**
 * ClusterNode: one node of the cluster: id, locality, liveness epoch, and the actor that runs its life.
 *
 * The data is the cluster's; a node adds who does the work. The effects that its machine asks for
 * come from the cluster (cluster.ts).
 */
import type { Actor } from 'xstate';
import { createActor } from 'xstate';

import type { Locality } from './locality.ts';
import type { NodeStatus } from './nodeMachine.ts';
import { nodeMachine } from './nodeMachine.ts';

export interface NodeEffects {
  /** The node is live in its epoch. */
  becomeLive(node: ClusterNode): void;
  /** Leases go to others; resolves when the node's work is done. */
  handOver(node: ClusterNode): Promise<void>;
  /** The node is gone. */
  leave(node: ClusterNode): void;
  /** The clock's time, in microseconds. */
  now(): number;
}

type Effect = 'startUp' | 'becomeLive' | 'handOver' | 'leave';
type EffectsOfNode = Readonly<Record<Effect, (self: Actor<typeof nodeMachine>) => void>>;

/** By actor: so one machine serves every node, and a fork of the cluster builds none. */
const effectsOf = new WeakMap<object, EffectsOfNode>();

const run =
  (effect: Effect) =>
  ({ self }: { self: object }): void =>
    effectsOf.get(self)?.[effect](self as Actor<typeof nodeMachine>);

const machine = nodeMachine.provide({
  actions: { startUp: run('startUp'), becomeLive: run('becomeLive'), handOver: run('handOver'), leave: run('leave') },
});

/** `decommissioning`: live, and on its way out: it gets no leases. `decommissioned`: gone for good. */
export type Membership = 'active' | 'decommissioning' | 'decommissioned';

export class ClusterNode {
  readonly id: number;
  readonly locality: Locality;
  /** How many times it has started; 0 before the first. */
  epoch = 0;
  /** Live in `epoch`: may hold leases and claims. Kept beside the actor, whose snapshot changes only after its effects ran. */
  isLive = false;
  /** When it last started, in microseconds; 0 before the first time. */
  startedAt = 0;
  /** Changed by the cluster only. */
  membership: Membership = 'active';
  readonly actor: Actor<typeof nodeMachine>;

  constructor(id: number, locality: Locality, effects: NodeEffects) {
    this.id = id;
    this.locality = locality;
    this.actor = createActor(machine, { id: `n${id}` });
    effectsOf.set(this.actor, {
      startUp: (self) => {
        this.epoch++;
        this.startedAt = effects.now();
        self.send({ type: 'node.ready' });
      },
      becomeLive: () => {
        this.isLive = true;
        effects.becomeLive(this);
      },
      handOver: (self) => {
        this.isLive = false;
        void effects.handOver(this).finally(() => self.send({ type: 'node.drained' }));
      },
      leave: () => {
        this.isLive = false;
        effects.leave(this);
      },
    });
    this.actor.start();
  }

  get status(): NodeStatus {
    return this.actor.getSnapshot().value;
  }
}
