/**
 * Applying: sorted writes go to the stores of their indexes, at one timestamp.
 */
import type { Bytes } from '../base/bytes.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { KvCore } from './core.ts';
import { firstAtOrAfter } from './hooks.ts';
import type { CommittedWrites } from './kv.ts';

/** Applies writes [from, to), store by store. Stores that are missing are made. */
export function applyWrites(core: KvCore, writes: CommittedWrites, ts: Timestamp, from: number, to: number): void {
  const { keys } = writes;
  for (let start = from; start < to; ) {
    const entry = core.keyspace.ensure(keys[start] as Bytes);
    const inStore = (keys[to - 1] as Bytes) < entry.span.endKey ? to : Math.min(to, firstAtOrAfter(keys, entry.span.endKey));
    entry.store.apply(ts, writes, start, inStore);
    start = inStore;
  }
}
