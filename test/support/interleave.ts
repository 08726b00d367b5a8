/**
 * A seeded scheduler of clients: before each of its steps a client comes to a gate, and one of those
 * that stand there is let through at a time. One seed always gives one interleaving; a client that
 * waits for a lock is not at its gate, and the others go on.
 */
import { nextTurn } from '../../src/base/idle.ts';
import type { Random } from '../../src/base/random.ts';

/** Turns of the microtask queue in which a step that does not wait has ended, or nearly. */
const STEP_TURNS = 12;

export type Gate = () => Promise<void>;

/** Runs the clients to their ends. Each awaits the gate before every step. */
export async function interleave(random: Random, clients: readonly ((gate: Gate) => Promise<void>)[]): Promise<void> {
  const standing: (() => void)[] = [];
  let running = clients.length;
  const gate = () => new Promise<void>((resolve) => standing.push(resolve));
  const failures: unknown[] = [];
  for (const client of clients) {
    void client(gate)
      .catch((error) => failures.push(error))
      .finally(() => {
        running--;
      });
  }
  while (running > 0) {
    for (let i = 0; i < STEP_TURNS; i++) await Promise.resolve();
    const [next] = standing.length === 0 ? [] : standing.splice(random.int(standing.length), 1);
    if (next) next();
    else await nextTurn();
    if (failures.length > 0) throw failures[0];
  }
}
