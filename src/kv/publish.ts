/**
 * Publish: a large commit that has its timestamp C is applied in slices, then becomes visible at once.
 *
 *   PB1  while it runs, snapshots are given just below C, so nobody sees a part of it
 *   PB2  reads and exports at or above C, other commits and ingests wait until it is published
 *   PB3  it cannot fail any more: everything that may refuse it ran before
 */
import { assert } from '../base/assert.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { applyWrites } from './applyWrites.ts';
import type { KvCore } from './core.ts';
import type { CommittedWrites } from './kv.ts';

/** Applies validated writes at `ts`, letting others run in between. Resolves when they are visible. */
export async function publish(core: KvCore, writes: CommittedWrites, ts: Timestamp): Promise<void> {
  assert(core.publication === undefined, 'two large commits at once');
  let done = 0;
  // By default a thousand keys between two looks at the clock, which is about a millisecond.
  const sliceKeys = Math.ceil(core.slicedCommitKeysMin / 10);
  let release = () => {};
  const published = new Promise<void>((resolve) => {
    release = resolve;
  });
  const applySlice = () => {
    const to = Math.min(done + sliceKeys, writes.keys.length);
    applyWrites(core, writes, ts, done, to);
    done = to;
  };
  const finishNow = () => {
    if (core.publication !== publication) return;
    while (done < writes.keys.length) applySlice();
    core.hooks.apply(writes, ts);
    core.publication = undefined;
    release();
  };
  const publication = { commitTimestamp: ts, published, finishNow };
  core.publication = publication;
  await core.activity.during('large commit', async () => {
    while (core.publication === publication && done < writes.keys.length) {
      applySlice();
      if (core.executor.shouldYield()) await core.executor.yield();
    }
    finishNow();
  });
}
