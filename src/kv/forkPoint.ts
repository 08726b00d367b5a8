/**
 * Fork points: up to when two clusters of one family have the same history.
 *
 *   main ----+------------+--------->      main and A:  t1
 *            t1           t2               A and B:     t1, the earlier of both
 *            |            +--- B ---->     A and C:     t3
 *            +--- A --+------>
 *                     t3
 *                     +--- C -->
 *
 *   FP1  a fork holds its parent's versions up to `forkedAt`; every later commit, on either side, lies above it
 *
 * A lineage names a cluster's ancestors, oldest first, so the answer needs no ancestor to be alive.
 */
import type { Timestamp } from '../base/timestamp.ts';

/** A cluster that this one descends from, and when this one, or the one between, left it. */
export interface Ancestor {
  readonly clusterId: string;
  readonly forkedAt: Timestamp;
}

export interface Descendant {
  readonly clusterId: string;
  readonly lineage: readonly Ancestor[];
}

/** The last time at which both had one history; infinity for a cluster and itself, undefined for strangers. */
export function forkPoint(a: Descendant, b: Descendant): number | undefined {
  const left = wholeLineage(a);
  const right = wholeLineage(b);
  let point: number | undefined;
  for (let i = 0; i < left.length && left[i]?.clusterId === right[i]?.clusterId; i++) {
    point = Math.min(left[i]?.forkedAt ?? 0, right[i]?.forkedAt ?? 0);
  }
  return point;
}

function wholeLineage({ clusterId, lineage }: Descendant): { readonly clusterId: string; readonly forkedAt: number }[] {
  return [...lineage, { clusterId, forkedAt: Number.POSITIVE_INFINITY }];
}
