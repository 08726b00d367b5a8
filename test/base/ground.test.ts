/** The small parts everything stands on: bytes, spans, errors, integers, chance, ids, executors. */
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Bytes } from '../../src/base/bytes.ts';
import { fromBuffer, toBuffer, toHex, utf8Decode, utf8Encode } from '../../src/base/bytes.ts';
import { CorruptionError, isVarveError, RetryError, StatementError, withFields } from '../../src/base/errors.ts';
import { InlineExecutor, PoolExecutor } from '../../src/base/executor.ts';
import { Ids } from '../../src/base/ids.ts';
import { canonicalInt, fromHalves, highHalf, lowHalf } from '../../src/base/int64.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { Span } from '../../src/base/span.ts';
import {
  intersectSpans,
  mergeSpans,
  nextKey,
  prefixEnd,
  prefixSpan,
  spanContains,
  spansOverlap,
  subtractSpans,
} from '../../src/base/span.ts';
import { SqlState } from '../../src/base/sqlState.ts';

const bytes = suite('bytes');

bytes('text round trips as UTF-8, and compares by those bytes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
      assert.is(utf8Decode(utf8Encode(a)), a);
      assert.is(utf8Encode(a) < utf8Encode(b), Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0);
    }),
    { seed: 1 },
  );
  assert.is(toHex(utf8Encode('é')), 'c3a9');
  assert.is(fromBuffer(toBuffer('\x00\xff' as Bytes)), '\x00\xff');
});

bytes('what is no text is refused', () => {
  for (const work of [() => utf8Encode('\ud800'), () => utf8Decode('\xff' as Bytes), () => utf8Decode('\xc3' as Bytes)]) {
    try {
      work();
      assert.unreachable();
    } catch (error) {
      assert.ok(isVarveError(error) && error.code === '22021');
    }
  }
});

bytes('64-bit integers split into halves and come back', () => {
  fc.assert(
    fc.property(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), (big) => {
      const value = canonicalInt(big);
      assert.is(fromHalves(highHalf(value), lowHalf(value)), value);
      assert.is(typeof value === 'number', big <= 2n ** 53n - 1n && big >= -(2n ** 53n) + 1n);
    }),
    { seed: 2 },
  );
});

bytes.run();

const spans = suite('spans');
const SMALL_KEYS = Array.from({ length: 10 }, (_, i) => String(i) as Bytes);
const anySpan = fc
  .tuple(fc.nat(9), fc.nat(9))
  .map(([a, b]): Span => ({ key: String(Math.min(a, b)) as Bytes, endKey: String(Math.max(a, b) + 1) as Bytes }));
const anySpans = fc.array(
  anySpan.filter((span) => span.key < span.endKey),
  { maxLength: 5 },
);
const inside = (list: readonly Span[], key: Bytes) => list.some((span) => spanContains(span, key));

spans('merging and subtracting change no membership but what they should', () => {
  fc.assert(
    fc.property(anySpans, anySpans, (a, b) => {
      const merged = mergeSpans(a);
      const rest = subtractSpans(merged, mergeSpans(b));
      for (const key of SMALL_KEYS) {
        assert.is(inside(merged, key), inside(a, key));
        assert.is(inside(rest, key), inside(a, key) && !inside(b, key));
      }
      for (const list of [merged, rest]) {
        list.forEach((span, i) => {
          assert.ok(span.key < span.endKey);
          if (i > 0) assert.ok((list[i - 1] as Span).endKey <= span.key);
        });
      }
      for (const x of a) for (const y of b) assert.is(intersectSpans(x, y) !== undefined, spansOverlap(x, y));
    }),
    { seed: 3 },
  );
});

spans('a prefix span holds exactly the keys with that prefix', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 4 }), fc.uint8Array({ maxLength: 4 }), (p, k) => {
      const prefix = fromBuffer(p);
      const key = fromBuffer(k);
      if (p.every((byte) => byte === 0xff) || key >= '\xff\xff') return;
      assert.is(spanContains(prefixSpan(prefix), key), key.startsWith(prefix));
      assert.ok(nextKey(key) > key);
    }),
    { seed: 4 },
  );
  assert.is(prefixEnd('a\xff' as Bytes), 'b');
});

spans.run();

const errors = suite('errors');

errors('carry code, fields and cause, and are known by their brand', () => {
  const cause = new Error('below');
  const error = withFields(new StatementError(SqlState.SyntaxError, 'no', { detail: 'd', cause }), { hint: 'h', detail: 'other' });
  assert.equal([error.code, error.detail, error.hint, error.cause, error.name], ['42601', 'd', 'h', cause, 'StatementError']);
  assert.ok(isVarveError(error));
  assert.ok(isVarveError({ [Symbol.for('varve.error')]: true }));
  assert.not.ok(isVarveError(cause));
  assert.not.ok(isVarveError(null));
  assert.is(new CorruptionError(SqlState.DataCorrupted, 'bad', { file: 'f', offset: 3 }).offset, 3);
  assert.ok(new RetryError(SqlState.SerializationFailure, 'again') instanceof Error);
});

errors.run();

const chance = suite('chance and ids');

chance('a seed repeats, another differs, and a fork does not depend on the draws before it', () => {
  const draw = (seed: string) => {
    const random = seededRandom(seed);
    return Array.from({ length: 5 }, () => random.nextUint32());
  };
  assert.equal(draw('a'), draw('a'));
  assert.not.equal(draw('a'), draw('b'));
  const used = seededRandom('a');
  used.nextUint32();
  assert.is(used.fork('x').float(), seededRandom('a').fork('x').float());
  assert.is.not(used.fork('x').float(), used.fork('y').float());
});

chance('draws fill their range evenly', () => {
  const random = seededRandom(1);
  const counts = new Array<number>(10).fill(0);
  for (let i = 0; i < 20_000; i++) {
    const n = random.int(10);
    counts[n] = (counts[n] ?? 0) + 1;
    assert.ok(random.float() < 1);
  }
  for (const count of counts) assert.ok(count > 1800 && count < 2200, String(count));
  assert.is(random.int(1), 0);
  assert.ok(random.int(Number.MAX_SAFE_INTEGER) > 2 ** 32);
  assert.is(random.bytes(20).length, 20);
});

chance('ids are unique, ordered where they say so, and repeat with the seed', async () => {
  const clock = new ManualClock(1_780_000_000_000_000);
  const ids = new Ids(seededRandom('ids'), clock);
  const again = new Ids(seededRandom('ids'), clock);
  assert.match(ids.uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  again.uuid();
  assert.is(ids.uuid(), again.uuid());
  assert.is(ids.name(), again.name());
  assert.is.not(ids.name(), ids.name());
  const first = ids.int8();
  assert.is(ids.int8(), first + 1);
  await clock.advance('1s');
  assert.is(ids.int8(), clock.nowMicros());
  assert.ok(ids.randomInt8() >= 1);
});

chance.run();

const executors = suite('executors');

executors('the pool bounds what is under way, keeps order, and survives failures', async () => {
  const pool = new PoolExecutor({ concurrencyMax: 2 });
  let running = 0;
  let most = 0;
  const started: number[] = [];
  const work = (i: number) => async () => {
    started.push(i);
    most = Math.max(most, ++running);
    await new Promise((resolve) => setImmediate(resolve));
    running--;
    if (i === 1) throw new Error('one failed');
    return i;
  };
  const results = await Promise.allSettled([0, 1, 2, 3, 4].map((i) => pool.run('work', work(i))));
  assert.is(most, 2);
  assert.equal(started, [0, 1, 2, 3, 4]);
  assert.equal(
    results.map((result) => (result.status === 'fulfilled' ? result.value : 'failed')),
    [0, 'failed', 2, 3, 4],
  );
});

executors('a slice ends with its time', async () => {
  let nowMs = 0;
  const pool = new PoolExecutor({ nowMs: () => nowMs, sliceMs: 5 });
  assert.not.ok(pool.shouldYield());
  nowMs = 5;
  assert.ok(pool.shouldYield());
  await pool.yield();
  assert.not.ok(pool.shouldYield());
});

executors('inline work runs one after the other, and slices are counted', async () => {
  const inline = new InlineExecutor(2);
  const log: string[] = [];
  await Promise.allSettled([
    inline.run('a', async () => {
      await Promise.resolve();
      log.push('a');
      throw new Error('a failed');
    }),
    inline.run('b', () => log.push('b')),
  ]);
  assert.equal(log, ['a', 'b']);
  assert.equal([inline.shouldYield(), inline.shouldYield(), inline.shouldYield()], [false, false, true]);
  await inline.yield();
  assert.not.ok(inline.shouldYield());
});

executors.run();
