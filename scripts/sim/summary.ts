/**
 * Summary: what the seeds of a run have done, kept in a file that is whole after every seed, so that a
 * run can be stopped at any moment and goes on with the seeds that are missing. A seed that failed is
 * in it by name only: it counts once it has passed.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

import type { RunResult } from './simulation.ts';
import { formatSteps, parseSteps } from './stepSet.ts';

export interface SummaryFile {
  readonly stepsPerSeed: number;
  /** Those that passed: `1-200,202`. */
  readonly seeds: string;
  readonly seedCount: number;
  readonly failures: Readonly<Record<string, string>>;
  /** How often each operation, fault, outcome and error happened. */
  readonly counts: Readonly<Record<string, number>>;
}

/** Runs of different seeds as one: what several processes have done side by side. */
export function mergeSummaries(parts: readonly SummaryFile[]): SummaryFile {
  const [first] = parts;
  if (first === undefined) throw new Error('there is no summary to merge');
  const seeds = new Set<number>();
  const counts = new Map<string, number>();
  for (const part of parts) {
    if (part.stepsPerSeed !== first.stepsPerSeed) throw new Error('the summaries are of seeds with different numbers of steps');
    for (const seed of parseSteps(part.seeds)) {
      if (seeds.has(seed)) throw new Error(`seed ${seed} is in two summaries`);
      seeds.add(seed);
    }
    for (const [what, count] of Object.entries(part.counts)) counts.set(what, (counts.get(what) ?? 0) + count);
  }
  return {
    stepsPerSeed: first.stepsPerSeed,
    seeds: formatSteps(seeds),
    seedCount: seeds.size,
    failures: Object.assign({}, ...parts.map(({ failures }) => failures)) as Record<string, string>,
    counts: Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

export class Summary {
  readonly #file: string | undefined;
  readonly #steps: number;
  readonly #seeds = new Set<number>();
  readonly #failures = new Map<number, string>();
  readonly #counts = new Map<string, number>();

  private constructor(file: string | undefined, steps: number) {
    this.#file = file;
    this.#steps = steps;
  }

  /** Without a file it is only printed. */
  static open(file: string | undefined, steps: number): Summary {
    const summary = new Summary(file, steps);
    if (file === undefined || !existsSync(file)) return summary;
    const { stepsPerSeed, seeds, counts } = JSON.parse(readFileSync(file, 'utf8')) as SummaryFile;
    if (stepsPerSeed !== steps) throw new Error(`${file} is of seeds with ${stepsPerSeed} steps each`);
    for (const seed of parseSteps(seeds)) summary.#seeds.add(seed);
    summary.#count(Object.entries(counts));
    return summary;
  }

  has(seed: number): boolean {
    return this.#seeds.has(seed);
  }

  add(seed: number, counts: ReadonlyMap<string, number>): void {
    this.#seeds.add(seed);
    this.#failures.delete(seed);
    this.#count(counts);
    this.#write();
  }

  addFailure(seed: number, failure: NonNullable<RunResult['failure']>): void {
    this.#failures.set(seed, `step ${failure.step}: ${failure.invariant}: ${failure.message.split('\n', 1)[0]}`);
    this.#write();
  }

  print(): void {
    console.log(`\n${this.#seeds.size} seeds, ${this.#seeds.size * this.#steps} steps`);
    for (const [what, count] of this.#sorted()) console.log(`${String(count).padStart(9)}  ${what}`);
    for (const [seed, failure] of this.#failures) console.log(`seed ${seed} failed at ${failure}`);
  }

  #count(counts: Iterable<readonly [what: string, count: number]>): void {
    for (const [what, count] of counts) this.#counts.set(what, (this.#counts.get(what) ?? 0) + count);
  }

  #sorted(): [string, number][] {
    return [...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  #write(): void {
    if (this.#file === undefined) return;
    const content: SummaryFile = {
      stepsPerSeed: this.#steps,
      seeds: formatSteps(this.#seeds),
      seedCount: this.#seeds.size,
      failures: Object.fromEntries(this.#failures),
      counts: Object.fromEntries(this.#sorted()),
    };
    // Whole or not at all, whenever the process is stopped.
    writeFileSync(`${this.#file}.new`, `${JSON.stringify(content, undefined, 2)}\n`);
    renameSync(`${this.#file}.new`, this.#file);
  }
}
