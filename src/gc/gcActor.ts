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

/** Started in state `off`: send `gc.start`. */
export function createGcActor(effects: GcActorEffects): GcActor {
  let timer: Timer | undefined;
  const actor = createActor(
    gcMachine.provide({
      actions: {
        armTimer: ({ self }) => {
          timer = effects.clock.setTimer(effects.intervalMicros(), () => self.send({ type: 'gc.tick' }));
        },
        cancelTimer: () => timer?.cancel(),
        collect: ({ self }) => {
          void effects.collect().then((waits) => self.send({ type: 'gc.done', waits }));
        },
      },
    }),
    { id: 'gc' },
  );
  actor.start();
  return actor;
}
