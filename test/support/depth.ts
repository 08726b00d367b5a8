/** Depth: CI makes all the random runs of a test; by hand half of them are made, so that the suite stays quick. `CI=true` makes all. */
export function runs(inCi: number): number {
  return process.env['CI'] ? inCi : Math.ceil(inCi / 2);
}
