/**
 * Threshold: the time at and below which history may be gone. Pure: no state, no clock.
 *
 *   T1  threshold = max(settled, min(now - ttl, oldest protection - 1))
 *   T2  a read at ts is served exactly when ts > threshold
 *   T3  it never moves back: `settled` keeps what any earlier configuration made of it
 *
 *          settled        oldest protection      now - ttl            now
 *   ----------|---------------------|--------------|-------------------|---->
 *     refused        readable from P - 1 + 1 = P on
 *
 * Lives elsewhere: who protects what (protectedTimestamps.ts), the settled value of each table
 * (thresholds.ts), removing the data (gcController.ts).
 */
import type { Timestamp } from '../base/timestamp.ts';
import { MIN_TIMESTAMP } from '../base/timestamp.ts';

const MICROS_PER_SECOND = 1_000_000;

/** The bound that age and protections set, before T3: min(now - ttl, oldestProtection - 1), not below zero. */
export function gcThreshold(now: Timestamp, ttlSeconds: number, oldestProtection: Timestamp | undefined): Timestamp {
  const byAge = now - ttlSeconds * MICROS_PER_SECOND;
  const bound = oldestProtection === undefined ? byAge : Math.min(byAge, oldestProtection - 1);
  return Math.max(bound, MIN_TIMESTAMP) as Timestamp;
}

/**
 * The first physical time at which a read at `ts` is refused under this TTL; undefined when a
 * protection keeps it readable for as long as it stands. The inverse of gcThreshold in `now`.
 */
export function unreadableAt(ts: Timestamp, ttlSeconds: number, oldestProtection: Timestamp | undefined): Timestamp | undefined {
  if (oldestProtection !== undefined && oldestProtection <= ts) return undefined;
  return (ts + ttlSeconds * MICROS_PER_SECOND) as Timestamp;
}

/** The oldest time that a read, or the start of an incremental backup, may have: just above the threshold. */
export function oldestReadable(threshold: Timestamp): Timestamp {
  return (threshold + 1) as Timestamp;
}

/** The TTL in whole seconds that keeps `ts` readable until `until`; what an error's hint suggests. */
export function ttlToKeep(ts: Timestamp, until: Timestamp): number {
  return Math.max(1, Math.ceil((until - ts + 1) / MICROS_PER_SECOND));
}
