/**
 * Test faults: known bugs that a test puts back, to show that it would catch them. For tests only.
 *
 * Each switch stands for a technical advisory of CockroachDB (docs/advisories.md). It is asked at the
 * one place where the bug would live here. All are off, and nothing but `withTestFault` turns one
 * on: no option, setting or variable of the environment does, so no user can meet them. A question
 * costs a comparison, and none is asked per row.
 */

export const TEST_FAULTS = ['a151050', 'a101963', 'a98779', 'a88042', 'a63162', 'a190483', 'a72839', 'a162085'] as const;

export type TestFault = (typeof TEST_FAULTS)[number];

let active: TestFault | undefined;

/** Whether a test has put this bug back. */
export function hasTestFault(fault: TestFault): boolean {
  return active === fault;
}

/** Runs `work` with one bug put back, in the whole process; undefined for none. Not to be nested, nor run beside other work. */
export async function withTestFault<T>(fault: TestFault | undefined, work: () => Promise<T>): Promise<T> {
  if (active !== undefined) throw new Error(`test fault ${active} is on already`);
  active = fault;
  try {
    return await work();
  } finally {
    active = undefined;
  }
}
