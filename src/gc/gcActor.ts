/**
 * gcActor: runs gcMachine on a clock: the timer, and the collection it starts.
 */
import type { Actor } from 'xstate';
import { createActor } from 'xstate';

import type { Clock, Timer } from '../base/clock.ts';
import { gcMachine } from './gcMachine.ts';

export type GcActor = Actor<typeof gcMachine>;

export interface GcActorEffects {
  readonly clock: Clock;
  /** Microseconds from one collection to the next. */
  intervalMicros(): number;
  /** Collects; resolves to whether garbage is left that time alone will release. Must not reject. */
  collect(): Promise<boolean>;
}

interface Run {
  readonly effects: GcActorEffects;
  timer?: Timer;
}

/** Each actor's run: with effects found by actor one machine serves every cluster, and a fork builds none. */
const runOf = new WeakMap<object, Run>();

const machine = gcMachine.provide({
  actions: {
    armTimer: ({ self }) => {
      const run = runOf.get(self);
      if (run) run.timer = run.effects.clock.setTimer(run.effects.intervalMicros(), () => self.send({ type: 'gc.tick' }));
    },
    cancelTimer: ({ self }) => runOf.get(self)?.timer?.cancel(),
    collect: ({ self }) =>
      void runOf
        .get(self)
        ?.effects.collect()
        .then((waits) => self.send({ type: 'gc.done', waits })),
  },
});

/** Started in state `off`: send `gc.start`. */
export function createGcActor(effects: GcActorEffects): GcActor {
  const actor = createActor(machine, { id: 'gc' });
  runOf.set(actor, { effects });
  actor.start();
  return actor;
}
