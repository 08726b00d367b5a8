/**
 * What a benchmark is: a named case that measures itself and a ceiling in the same run.
 *
 * A case prints one row: what was measured, the rate or size, the ceiling's, the ratio, and the aim.
 * The ceiling is the bare thing that Varve stands on (a B-tree, memcpy), doing the same work on the
 * same data, so a row says how much Varve adds, whatever the machine.
 */

export interface BenchRow {
  readonly name: string;
  readonly measured: string;
  /** What it is compared with, and its figure. */
  readonly ceiling?: string;
  /** Cost against the ceiling: 1 is equal, 2 is twice as slow. */
  readonly ratio?: number;
  /** The ratio aimed at, at most; or a sentence. */
  readonly aim?: number | string;
  /** Whether an aim in words is met. */
  readonly met?: boolean;
}

export interface BenchContext {
  /** Rows to work on. */
  readonly rows: number;
}

export interface BenchCase {
  /** What `npm run bench NAME` selects by prefix, such as `mvcc`. */
  readonly name: string;
  run(context: BenchContext): Promise<BenchRow[]> | BenchRow[];
}

/**
 * Milliseconds of the fastest of `times` runs; `prepare` is not timed. The heap is collected once,
 * before the first: right after a collection, allocation pays for sweeping.
 */
export function fastestMs<T>(times: number, prepare: () => T, work: (prepared: T) => void): number {
  let best = Number.POSITIVE_INFINITY;
  collectGarbage();
  for (let i = 0; i < times; i++) {
    const prepared = prepare();
    const start = performance.now();
    work(prepared);
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

/**
 * Milliseconds of the fastest of `times` runs of each of two works, which take turns so that a slow
 * moment of the machine does not fall on one of them alone.
 */
export function fastestPairMs(times: number, first: () => () => void, second: () => () => void): [number, number] {
  let a = Number.POSITIVE_INFINITY;
  let b = Number.POSITIVE_INFINITY;
  for (let i = 0; i < times; i++) {
    a = Math.min(
      a,
      fastestMs(1, first, (work) => work()),
    );
    b = Math.min(
      b,
      fastestMs(1, second, (work) => work()),
    );
  }
  return [a, b];
}

export interface Cost {
  readonly wallMs: number;
  /** Of all threads together: what can be compared on a machine that others use too. */
  readonly processorMs: number;
}

/** What a work costs this process. Starts from a collected heap. */
export async function costOf(work: () => unknown): Promise<Cost> {
  collectGarbage();
  const before = process.cpuUsage();
  const start = performance.now();
  await work();
  const wallMs = performance.now() - start;
  const { user, system } = process.cpuUsage(before);
  return { wallMs, processorMs: (user + system) / 1000 };
}

/** The least time and the least processor time of several runs; `prepare` is not counted. */
export async function leastCost(times: number, work: () => unknown, prepare: () => unknown = () => {}): Promise<Cost> {
  let least: Cost = { wallMs: Number.POSITIVE_INFINITY, processorMs: Number.POSITIVE_INFINITY };
  for (let i = 0; i < times; i++) {
    await prepare();
    least = lesser(least, await costOf(work));
  }
  return least;
}

export function lesser(a: Cost, b: Cost): Cost {
  return { wallMs: Math.min(a.wallMs, b.wallMs), processorMs: Math.min(a.processorMs, b.processorMs) };
}

/** `180 MB/s, 95 a CPU second`. */
export function throughputs(bytes: number, { wallMs, processorMs }: Cost): string {
  return `${throughput(bytes, wallMs)}, ${Math.round(bytes / processorMs / 1000)} a CPU second`;
}

/** `2.41 M/s`: how many of `count` a second. */
export function rate(count: number, ms: number): string {
  const perSecond = (count / ms) * 1000;
  return perSecond >= 1e6 ? `${(perSecond / 1e6).toFixed(2)} M/s` : `${(perSecond / 1e3).toFixed(1)} k/s`;
}

/** `512 MB/s`. */
export function throughput(bytes: number, ms: number): string {
  return `${Math.round(bytes / ms / 1000)} MB/s`;
}

/** Runs the garbage collector when the process was started with --expose-gc. */
export function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}
