/**
 * Who takes locks, and what they wait for: the two sides of the wait-for graph. Types only.
 */
import type { Bytes } from '../base/bytes.ts';
import type { LockStrength } from './kv.ts';

/** A transaction as the lock table sees it. */
export interface LockOwner {
  readonly id: string;
  readonly name: string;
  /** Keys held, in the order of acquisition; the table fills and empties it. */
  readonly lockedKeys: Bytes[];
  /** What it waits for; the table sets it. */
  waitingFor: LockRequest | undefined;
}

export interface LockRequest {
  readonly owner: LockOwner;
  readonly key: Bytes;
  readonly strength: LockStrength;
  readonly isUpgrade: boolean;
  readonly grant: () => void;
  /** Ends the wait without the lock. */
  readonly refuse: (reason: unknown) => void;
}
