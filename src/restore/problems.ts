/**
 * Problems: what stands in the way of a restore. A restore stops at the first one; a dry run collects
 * all of them and goes on, as if what is missing had been given up and what is taken were free.
 */
import type { VarveError } from '../base/errors.ts';

/** Takes a problem. Who calls it must be able to go on when it returns. */
export type Report = (problem: VarveError) => void;

/** Stops at the first one. */
export const refuse: Report = (problem) => {
  throw problem;
};
