/**
 * How long fuzzing goes on and where it starts: `node test/fuzz/<file> --runs N --seed S`. Without,
 * as many runs as the tests have time for, from a fixed seed: the same statements every time.
 */
import { parseArgs } from 'node:util';

export interface FuzzOptions {
  readonly runs: number;
  readonly seed: string;
  /** Says what every kind of run came to. */
  readonly isLong: boolean;
}

export function fuzzOptions(runs: number): FuzzOptions {
  const { values } = parseArgs({ options: { runs: { type: 'string' }, seed: { type: 'string' } }, strict: false });
  const asked = typeof values.runs === 'string' ? Number(values.runs) : undefined;
  return { runs: asked ?? runs, seed: typeof values.seed === 'string' ? values.seed : 'varve', isLong: asked !== undefined };
}
