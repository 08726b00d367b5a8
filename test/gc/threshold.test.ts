/** The rule itself: values by table, and that the inverse is one. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { Timestamp } from '../../src/base/timestamp.ts';
import { timestamp } from '../../src/base/timestamp.ts';
import { gcThreshold, oldestReadable, ttlToKeep, unreadableAt } from '../../src/gc/threshold.ts';

const S = 1_000_000;
const threshold = suite('gc: threshold');

threshold('now - ttl, held back to just below the oldest protection, never below zero', () => {
  const cases: [now: number, ttl: number, protection: number | undefined, expected: number][] = [
    [100 * S, 10, undefined, 90 * S],
    [100 * S, 10, 50 * S, 50 * S - 1],
    [100 * S, 10, 95 * S, 90 * S],
    [100 * S, 10, 90 * S, 90 * S - 1],
    [100 * S, 10, 90 * S + 1, 90 * S],
    [5 * S, 10, undefined, 0],
    [5 * S, 10, 0, 0],
  ];
  for (const [now, ttl, protection, expected] of cases) {
    const found = gcThreshold(timestamp(now), ttl, protection === undefined ? undefined : timestamp(protection));
    assert.is(found, expected, `${now} ${ttl} ${protection}`);
  }
  assert.is(oldestReadable(timestamp(7)), 8);
});

threshold('unreadableAt is the first moment at which the threshold reaches the time', () => {
  const micros = fc.integer({ min: 1, max: 1000 * S });
  const ttl = fc.integer({ min: 1, max: 500 });
  fc.assert(
    fc.property(micros, ttl, fc.option(micros, { nil: undefined }), (ts, ttlSeconds, protection) => {
      const held = protection as Timestamp | undefined;
      const at = unreadableAt(timestamp(ts), ttlSeconds, held);
      if (at === undefined) {
        assert.ok(gcThreshold(timestamp(1e15), ttlSeconds, held) < ts);
        return;
      }
      assert.ok(gcThreshold(at, ttlSeconds, held) >= ts);
      assert.ok(gcThreshold(timestamp(at - 1), ttlSeconds, held) < ts);
    }),
  );
});

threshold('ttlToKeep keeps the time readable until then, and one second less does not', () => {
  const micros = fc.integer({ min: 1, max: 1000 * S });
  fc.assert(
    fc.property(micros, micros, (ts, later) => {
      const until = timestamp(ts + later);
      const ttlSeconds = ttlToKeep(timestamp(ts), until);
      assert.ok(gcThreshold(until, ttlSeconds, undefined) < ts);
      if (ttlSeconds > 1) assert.ok(gcThreshold(until, ttlSeconds - 1, undefined) >= ts);
    }),
  );
});
threshold.run();
