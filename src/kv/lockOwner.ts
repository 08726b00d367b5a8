/**
 * Who takes locks, and what they wait for: the two sides of the wait-for graph. Types only.
 */
import type { Bytes } from '../base/bytes.ts';
import type { LockStrength, Priority } from './kv.ts';

/** A transaction as the lock table sees it. */
export interface LockOwner {
  readonly id: string;
  readonly name: string;
  /** Default normal. */
  readonly priority?: Priority;
  /** Keys held one by one, in the order of acquisition; the table fills and empties it. */
  readonly lockedKeys: Bytes[];
  /** When they were: the first `count` of them by `at`, in microseconds, to a millisecond. Absent: nobody asks. */
  readonly lockTimes?: readonly { readonly count: number; readonly at: number }[];
  /** What it waits for; the table sets it. */
  waitingFor: LockRequest | undefined;
  /** From so many keys on they are put together to spans; the table moves it up. Undefined: not yet set. */
  escalateAt?: number;
  /**
   * Ends the transaction with that error, so that one of higher priority need not wait for it; false
   * when it is committing and can no more be stopped. Absent: it never gives way.
   */
  evict?(reason: unknown): boolean;
}

export interface LockRequest {
  readonly owner: LockOwner;
  readonly key: Bytes;
  readonly strength: LockStrength;
  readonly isUpgrade: boolean;
  /** When the wait began, in microseconds. */
  readonly since: number;
  readonly grant: () => void;
  /** Ends the wait without the lock. */
  readonly refuse: (reason: unknown) => void;
}

const RANKS = { low: 0, normal: 1, high: 2 } as const;

/** Priorities in order, for comparisons. */
export function rankOf(owner: LockOwner): number {
  return RANKS[owner.priority ?? 'normal'];
}
