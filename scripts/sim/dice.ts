/**
 * Dice: a seeded source with the throws that a simulation makes. Each step forks its own from the
 * seed and the step's number, so that leaving a step out changes no throw of the others: that is
 * what lets a failing trace be shortened.
 */
import { type Random, seededRandom } from '../../src/base/random.ts';

export class Dice {
  readonly random: Random;

  constructor(random: Random) {
    this.random = random;
  }

  static ofSeed(seed: string): Dice {
    return new Dice(seededRandom(seed));
  }

  fork(label: string): Dice {
    return new Dice(this.random.fork(label));
  }

  /** Uniform in [low, high]. */
  between(low: number, high: number): number {
    return low + this.random.int(high - low + 1);
  }

  /** True in about `percent` of 100 throws. */
  percent(percent: number): boolean {
    return this.random.float() * 100 < percent;
  }

  pick<T>(from: readonly [T, ...T[]]): T {
    return from[this.random.int(from.length)] as T;
  }

  /** Undefined when there is nothing to pick. */
  maybe<T>(from: readonly T[]): T | undefined {
    return from.length === 0 ? undefined : from[this.random.int(from.length)];
  }

  /** Picks by weight; at least one weight is above zero. */
  weighted<T>(choices: readonly (readonly [weight: number, choice: T])[]): T {
    let at = this.random.float() * choices.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, choice] of choices) {
      at -= weight;
      if (at < 0) return choice;
    }
    return (choices.at(-1) as readonly [number, T])[1];
  }

  /**
   * The same choices with weights that favour some and leave others out, as swarm testing does: some runs do little
   * but what another run hardly does. Choices of `always` keep their weight.
   */
  swarm<T>(choices: readonly (readonly [weight: number, choice: T])[], always: (choice: T) => boolean = () => false): [number, T][] {
    return choices.map(([weight, choice]) => [always(choice) ? weight : weight * this.pick([0, 0.5, 1, 1, 2, 5]), choice]);
  }

  shuffled<T>(from: readonly T[]): T[] {
    const list = [...from];
    for (let i = list.length - 1; i > 0; i--) {
      const other = this.random.int(i + 1);
      [list[i], list[other]] = [list[other] as T, list[i] as T];
    }
    return list;
  }
}
