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
import type { WriteBuffer } from './writeBuffer.ts';

/** Applies validated writes at `ts`, letting others run in between. Resolves when they are visible. */
export async function publish(core: KvCore, writes: WriteBuffer, ts: Timestamp): Promise<void> {
  assert(core.publication === undefined, 'two large commits at once');
  // By default a thousand keys between two looks at the clock, which is about a millisecond.
  const slices = writes.slices(Math.ceil(core.slicedCommitKeysMin / 10));
  let release = () => {};
  const published = new Promise<void>((resolve) => {
    release = resolve;
  });
  /** False when there is none left. */
  const applySlice = (): boolean => {
    const slice = slices.next().value;
    if (slice) applyWrites(core, slice, ts, 0, slice.keys.length);
    return slice !== undefined;
  };
  const finishNow = () => {
    if (core.publication !== publication) return;
    while (applySlice());
    core.hooks.apply((span) => writes.partIn(span), ts);
    core.publication = undefined;
    release();
  };
  const publication = { commitTimestamp: ts, published, finishNow };
  core.publication = publication;
  await core.activity.during('large commit', async () => {
    while (core.publication === publication && applySlice()) {
      if (core.executor.shouldYield()) await core.executor.yield();
    }
    finishNow();
  });
}
